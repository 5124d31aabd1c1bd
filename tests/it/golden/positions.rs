//! A second index that never changes, `format-spec/golden-positions/`: text with positions.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use esparsa::store::{Directory, Memory};
use esparsa::{Document, Index, IndexOptions, MergePolicy, Schema, Text, WriterOptions};
use serde_json::{Value, json};

use super::documents::Files;
use super::dump::dump;
use super::{files_of, find, format_spec, run_reader};

const DOCUMENTS: u32 = 300;

fn texts(n: u32) -> Vec<String> {
    // In all documents with frequencies of several sizes, one of them of more than a chunk.
    let common = match n {
        150 => 200,
        _ => 1 + n as usize % 5,
    };
    let mut first = "common ".repeat(common);
    if n < 130 {
        // Full chunks with an exception here and there.
        first += &"x ".repeat(if n.is_multiple_of(40) { 3_000 } else { 1 });
        first += "often ";
    }
    if n.is_multiple_of(60) {
        // A few: varints.
        first += "seldom ";
    }
    match n {
        3 => first += "once",
        5 => first += "twice and twice",
        // Several terms of one word, one of them twice; a word that gives none.
        7 => first += &format!("a_b_a {} after", "y".repeat(300)),
        _ => {}
    }
    match n % 100 {
        // No text, and two of which the second begins behind a gap.
        99 => vec![],
        50 => vec![first, "another often".to_owned()],
        _ => vec![first],
    }
}

fn document(n: u32) -> Document {
    let document = Document::new(format!("d{n}"));
    let texts = texts(n).into_iter();
    texts.fold(document, |document, text| document.with_text("text", text))
}

/// One segment that is a merge, in an order by terms and without what was deleted, and one that is
/// not.
fn build() -> Files {
    let memory = Memory::new();
    let text = Text::new().analyzer("simple+parts").positions();
    let schema = Schema::builder().text("text", text).build().unwrap();
    let directory = Arc::new(memory.clone());
    let index = Index::create_in(directory, schema, IndexOptions::new()).unwrap();
    let options = WriterOptions::new()
        .merge_policy(MergePolicy::never())
        .reorder_from(Some(1));
    let mut writer = index.writer_with(options).unwrap();
    for part in [0..170, 170..DOCUMENTS] {
        part.for_each(|n| writer.add(document(n)).unwrap());
        writer.commit().unwrap();
    }
    writer.delete("d4").unwrap();
    writer.merge_to(1).unwrap();
    writer
        .add(Document::new("e").with_text("text", "common and once more common"))
        .unwrap();
    writer.commit().unwrap();
    let names = memory.list().unwrap().into_iter();
    names
        .map(|name| (name.clone(), memory.bytes(&name).unwrap().to_vec()))
        .collect()
}

/// The folder, written anew first when the environment says so.
fn golden() -> PathBuf {
    static WRITTEN: OnceLock<()> = OnceLock::new();
    let folder = format_spec().join("golden-positions");
    WRITTEN.get_or_init(|| {
        if std::env::var_os("ESPARSA_WRITE_GOLDEN").is_some_and(|value| value == "1") {
            let _ = std::fs::remove_dir_all(&folder);
            std::fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in build() {
                std::fs::write(folder.join(name), bytes).unwrap();
            }
            let output = run_reader(&folder).expect("contents.json is written by python3");
            assert!(output.status.success(), "{output:?}");
            std::fs::write(folder.join("contents.json"), output.stdout).unwrap();
        }
    });
    folder
}

fn recorded() -> Value {
    let bytes = std::fs::read(golden().join("contents.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

#[test]
fn the_rust_reader_sees_the_recorded_positions() {
    assert!(dump(&golden()) == recorded());
}

#[test]
fn the_independent_reader_sees_the_recorded_positions() {
    let Some(output) = run_reader(&golden()) else {
        return;
    };
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{message}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(found == recorded());
}

#[test]
fn the_same_documents_give_the_same_positions() {
    assert!(build() == files_of(&golden()), "the format has changed");
}

#[test]
fn the_golden_positions_have_every_shape() {
    let recorded = recorded();
    let term = |segment: usize, name: &str| find(&recorded, segment, 0, name.into());
    assert_eq!(recorded["manifest"]["schema"][0]["positions"], true);
    assert_eq!(recorded["segments"][0]["reordered"], true);
    for (name, df) in [("common", 296), ("often", 130), ("seldom", 5), ("once", 1)] {
        assert_eq!(term(0, name)["df"], df, "{name}");
    }
    let often = term(0, "often");
    let often = often["positions"].as_array().unwrap();
    assert!(
        often
            .iter()
            .any(|of_document| of_document[0].as_u64() > Some(3_000))
    );
    let twice = term(0, "twice")["positions"][0].clone();
    assert_eq!(twice[1].as_u64(), twice[0].as_u64().map(|first| first + 2));
    // `a` twice in the word of `b`, and two behind it what comes after the word without a term.
    let first = |name: &str| term(0, name)["positions"][0][0].as_u64().unwrap();
    assert_eq!(term(0, "a")["positions"], json!([[first("b"), first("b")]]));
    assert_eq!(first("after"), first("b") + 2);
    // The second text begins 100 behind the end of the first one.
    let [most, another] = ["common", "another"].map(|name| term(0, name));
    assert_eq!(another["df"], 3);
    let place = most["documents"]
        .as_array()
        .unwrap()
        .iter()
        .position(|document| *document == another["documents"][0]);
    let of_document = most["positions"][place.unwrap()].as_array().unwrap();
    let last = of_document.last().unwrap().as_u64().unwrap();
    let start = another["positions"][0][0].as_u64().unwrap();
    assert!(start > last + 100, "{start} is not behind {last}");
    assert_eq!(term(1, "common")["positions"], json!([[0, 4]]));
    assert_eq!(term(1, "once")["positions"], json!([[2]]));
}
