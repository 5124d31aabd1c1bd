//! The fuzz targets on their kept corpora: what fuzzing has found stays found, and targets compile
//! with the rest. `fuzz/README.md` says how new inputs are looked for.

// Each target is a program of its own too, so that it has the modules that it shares with others.
#![allow(clippy::duplicate_mod)]

mod replay;
mod seeds;
mod targets;
// What the seeds are made of.
#[allow(dead_code)]
#[path = "../it/walk/mod.rs"]
mod walk;

use std::collections::BTreeSet;
use std::path::Path;

/// One test for each target, and a list of them.
macro_rules! targets {
    ($($(#[$attribute:meta])* $target:ident),* $(,)?) => {
        $(
            $(#[$attribute])*
            #[test]
            fn $target() {
                replay::replay((stringify!($target), targets::$target::run));
            }
        )*

        #[allow(clippy::vec_init_then_push)]
        fn all() -> Vec<replay::Target> {
            let mut all: Vec<replay::Target> = Vec::new();
            $(
                $(#[$attribute])*
                all.push((stringify!($target), targets::$target::run));
            )*
            all
        }
    };
}

targets!(
    analyzers,
    block,
    column,
    container,
    deletes,
    dense,
    dictionary,
    ids,
    manifest,
    model,
    #[cfg(feature = "neural")]
    model_config,
    open,
    patterns,
    positions,
    query,
    query_json,
    range_list,
    #[cfg(feature = "neural")]
    safetensors,
    schema,
    segment_info,
    sparse_postings,
    stored,
    text_postings,
    #[cfg(feature = "neural")]
    tokenizer_json,
    topics_qrels_runs,
);

#[test]
fn valid_inputs_pass() {
    let working = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    replay::seed(&all(), seeds::all(), &working);
}

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // The published package lacks the folder.
    let Ok(manifest) = std::fs::read_to_string(root.join("fuzz/Cargo.toml")) else {
        return;
    };
    let (_, programs) = manifest.split_once("[[bin]]").expect("targets");
    let names = programs
        .lines()
        .filter_map(|line| line.strip_prefix("name = "));
    let targets: BTreeSet<String> = names
        .map(|name| name.trim_matches('"').to_owned())
        .collect();
    let of_package = replay::names(&replay::corpora());
    let replayed = all().len() + if cfg!(feature = "neural") { 0 } else { 3 };
    assert_eq!(of_package.len(), replayed, "each corpus is replayed");
    let of_command_line = replay::names(&root.join("cli/tests/fuzz/corpus"));
    let corpora: BTreeSet<String> = of_package.into_iter().chain(of_command_line).collect();
    assert_eq!(targets, corpora);
}
