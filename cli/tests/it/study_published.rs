//! The studies of published collections, on miniatures of them.

use std::path::Path;
use std::process::Command;

use crate::command::Scratch;
use crate::published::{KOREAN, MS_MARCO, ROBUST, klue, ms_marco, robust};
use crate::small_models::model;

/// Runs a study of the repository as it is, with small models under the names that it asks for.
/// Returns its report.
fn study(name: &str, collections: &Scratch, models: &[(&str, &str)]) -> String {
    let folder = Scratch::new();
    for (asked, small) in models {
        copy(&model(small), &folder.path("models").join(asked));
    }
    let studies = Path::new(env!("CARGO_MANIFEST_DIR")).join("../studies");
    let output = Command::new(env!("CARGO_BIN_EXE_esparsa"))
        .arg("study")
        .arg(studies.join(name))
        .args(["--threads", "1", "--folder"])
        .arg(folder.path("study"))
        .env("COLLECTIONS", collections.path(""))
        .env("MODELS", folder.path("models"))
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{message}");
    std::fs::read_to_string(folder.path("study/report.md")).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &to),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// Moves the converted collection to where a study looks for it.
fn put(converted: &Scratch, collections: &Scratch, name: &str) {
    copy(&converted.path("out"), &collections.path(name));
}

#[track_caller]
fn assert_has_rows(report: &str, systems: &[&str]) {
    for system in systems {
        let row = format!("\n| {system} | ");
        assert!(report.contains(&row), "{system} is not in\n{report}");
    }
}

#[test]
fn splade_of_mmarco_on_mrobust() {
    let collections = Scratch::new();
    let passages = ms_marco();
    let triplets = format!("{MS_MARCO} --triplets triples.ids.tsv --dev-share 30");
    passages.run(&triplets).done();
    put(&passages, &collections, "mmarco-pt");
    let robust = robust();
    robust
        .run(&format!("{ROBUST} --test qrels.robust04.txt"))
        .done();
    put(&robust, &collections, "mrobust-pt");
    let models = [("bertimbau", "splade-max")];
    let report = study("mmarco-mrobust-pt.toml", &collections, &models);
    assert!(report.contains("## mrobust-pt: "), "{report}");
    let systems = ["bm25", "splade-256", "splade-384-sparse", "bm25+splade-256"];
    assert_has_rows(&report, &systems);
}

#[test]
fn a_cross_encoder_on_ms_marco() {
    let collections = Scratch::new();
    let passages = ms_marco();
    passages
        .run(&format!(
            "{MS_MARCO} --train qrels.train.tsv --dev-share 30"
        ))
        .done();
    put(&passages, &collections, "msmarco");
    let models = [("minilm-l6-h384", "ce-bert")];
    let report = study("msmarco-rerank-en.toml", &collections, &models);
    assert_has_rows(
        &report,
        &["bm25", "re-ranked", "bm25+re-ranked", "shuffled"],
    );
}

#[test]
fn a_cross_encoder_and_a_mixture_on_klue() {
    let scratch = Scratch::new();
    scratch.write("klue.json", klue(&KOREAN, "train").to_string());
    scratch
        .run("convert squad klue.json --shares 50,20,30 --output out")
        .done();
    let collections = Scratch::new();
    put(&scratch, &collections, "klue-ko");
    let models = [("klue-roberta-base", "roberta")];
    let report = study("klue-ko.toml", &collections, &models);
    assert_has_rows(
        &report,
        &["bm25", "re-ranked", "bm25+re-ranked", "shuffled"],
    );
}
