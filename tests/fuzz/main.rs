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

/// One test for each target.
macro_rules! replay {
    ($($target:ident),* $(,)?) => {
        $(
            #[test]
            fn $target() {
                replay::replay(stringify!($target), targets::$target::run);
            }
        )*
    };
}

replay!(
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
    open,
    patterns,
    positions,
    query,
    query_json,
    range_list,
    schema,
    segment_info,
    sparse_postings,
    stored,
    text_postings,
    topics_qrels_runs,
);

#[cfg(feature = "neural")]
replay!(model_config, safetensors, tokenizer_json);

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
    let of_command_line = replay::names(&root.join("cli/tests/fuzz/corpus"));
    let corpora: BTreeSet<String> = of_package.into_iter().chain(of_command_line).collect();
    assert_eq!(targets, corpora);
}
