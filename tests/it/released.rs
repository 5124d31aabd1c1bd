//! Indexes of each released version, whose bytes are frozen: every later version reads them, gives
//! the same answers, and goes on from them.
//!
//! `format-spec/released/VERSION/` holds the golden indexes as that version wrote them, what
//! `format-spec/reader.py --json` prints of each, and answers to queries. A release adds its own,
//! and the fingerprint below, which the test prints:
//!
//! ```text
//! ESPARSA_FREEZE=0.2.0 cargo test --test it released
//! ```

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use esparsa::{Document, Index, Query, Snapshot};
use serde_json::{Value, json};

use crate::golden::{dump, files_of, format_spec, run_reader, without_stored_documents};

/// The released indexes, and the CRC32C of all their files: nobody changes them.
const FROZEN: [(&str, u32); 2] = [
    ("0.1.0/fields", 0x54a5_8d27),
    ("0.1.0/positions", 0x62a8_5e3a),
];

/// Where a release copies its indexes from, and what they are called.
const GOLDEN: [(&str, &str); 2] = [("golden", "fields"), ("golden-positions", "positions")];

fn folder(name: &str) -> PathBuf {
    format_spec().join("released").join(name)
}

fn read_json(path: &Path) -> Value {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&bytes).unwrap()
}

/// The CRC32C of the names and the bytes of all files, the answers among them.
fn fingerprint(folder: &Path) -> u32 {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort_unstable();
    paths.iter().fold(0, |crc, path| {
        let name = path.file_name().unwrap().as_encoded_bytes();
        let crc = crc32c::crc32c_append(crc, name);
        crc32c::crc32c_append(crc, &std::fs::read(path).unwrap())
    })
}

/// Queries of every kind, for the fields that the golden indexes have.
fn queries(snapshot: &Snapshot) -> Vec<Value> {
    let all = [
        json!({"text": {"text": "common uneven"}}),
        json!({"text": {"text": "twice only16 scattered gaps"}}),
        json!({"phrase": {"text": "x often"}}),
        json!({"phrase": {"text": {"text": "common seldom", "slop": 3}}}),
        json!({"sparse": {"impacts": {"everywhere": 1.5, "flat": 0.5, "greatest": 1.0}}}),
        json!({"sparse_numbered": {"numbered": {"7": 1.0, "11": 2.0}}}),
        json!({"dense": {"single": [1.0, 0.5, -1.0, 0.25, 2.0]}}),
        json!({"range": {"whole": {"gte": -1, "lt": 40}}}),
        json!({"term": {"keyword": "red"}}),
        json!({"prefix": {"keyword": "key1"}}),
        json!({"all_of": [{"text": {"text": "common"}}, {"term": {"flag": true}}, {"exists": "date"}]}),
    ];
    let is_asked = |query: &Value| {
        let query = Query::from_json(&query.to_string()).expect("a query");
        snapshot.search(&query, 1).is_ok()
    };
    all.into_iter().filter(is_asked).collect()
}

fn answer(snapshot: &Snapshot, query: &Value) -> Value {
    let query = Query::from_json(&query.to_string()).unwrap();
    let hits = snapshot.search(&query, 20).unwrap();
    let ids = hits.ids().unwrap();
    let hits: Vec<Value> = ids
        .iter()
        .zip(hits.iter())
        .map(|(id, hit)| json!([id, hit.score]))
        .collect();
    json!({ "count": snapshot.count(&query).unwrap(), "hits": hits })
}

/// Equal but for the rounding of sums, whose order depends on the CPU.
fn assert_same_answer(found: &Value, expected: &Value, query: &Value) {
    assert_eq!(found["count"], expected["count"], "{query}");
    let hits = |answer: &Value| -> Vec<(String, f64)> {
        let hits = answer["hits"].as_array().unwrap().iter();
        hits.map(|hit| {
            (
                hit[0].as_str().unwrap().to_owned(),
                hit[1].as_f64().unwrap(),
            )
        })
        .collect()
    };
    let (found, expected) = (hits(found), hits(expected));
    assert_eq!(found.len(), expected.len(), "{query}");
    for (found, expected) in found.iter().zip(&expected) {
        let is_close = (found.1 - expected.1).abs() <= 1e-5 * expected.1.abs().max(1.0);
        assert!(
            found.0 == expected.0 && is_close,
            "{query}: {found:?}, expected {expected:?}"
        );
    }
}

/// Copies the golden indexes, and notes what they answer.
fn freeze(version: &str) {
    for (golden, name) in GOLDEN {
        let (from, to) = (format_spec().join(golden), folder(version).join(name));
        assert!(!to.exists(), "{} is frozen", to.display());
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        let snapshot = Index::open(&to).unwrap().snapshot().unwrap();
        let queries = queries(&snapshot).into_iter();
        let answers: Vec<Value> = queries
            .map(|query| json!({ "answer": answer(&snapshot, &query), "query": query }))
            .collect();
        let answers = serde_json::to_string_pretty(&answers).unwrap() + "\n";
        std::fs::write(to.join("answers.json"), answers).unwrap();
        println!("(\"{version}/{name}\", {:#010x})", fingerprint(&to));
    }
}

#[test]
fn released_indexes_are_read_and_give_the_same_answers() {
    if let Ok(version) = std::env::var("ESPARSA_FREEZE") {
        return freeze(&version);
    }
    for (name, frozen) in FROZEN {
        let folder = folder(name);
        assert_eq!(
            fingerprint(&folder),
            frozen,
            "{name} was released: its bytes must stay"
        );
        let contents = read_json(&folder.join("contents.json"));
        assert!(dump(&folder) == contents, "{name} is not read as it was");
        let snapshot = Index::open(&folder).unwrap().snapshot().unwrap();
        let answers = read_json(&folder.join("answers.json"));
        let answers = answers.as_array().unwrap();
        assert!(answers.len() > 3, "{name} has {} answers", answers.len());
        for recorded in answers {
            let query = &recorded["query"];
            assert_same_answer(&answer(&snapshot, query), &recorded["answer"], query);
        }
        if let Some(output) = run_reader(&folder) {
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "reader.py of {name}: {error}");
            let found: Value = serde_json::from_slice(&output.stdout).unwrap();
            let [found, contents] = [found, contents].map(without_stored_documents);
            assert!(
                found == contents,
                "reader.py does not read {name} as it did"
            );
        }
    }
}

#[test]
fn every_released_index_is_tested() {
    let names = |folder: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    };
    let versions = names(&folder(""));
    let indexes = versions.iter().flat_map(|version| {
        let indexes = names(&folder(version)).into_iter();
        indexes.map(move |index| format!("{version}/{index}"))
    });
    let tested = FROZEN.iter().map(|(name, _)| (*name).to_owned());
    assert_eq!(indexes.collect::<BTreeSet<_>>(), tested.collect());
}

#[test]
fn a_writer_goes_on_from_each_released_index() {
    for (name, _) in FROZEN {
        let copy = tempfile::tempdir().unwrap();
        let files = files_of(&folder(name)).into_iter();
        for (file, bytes) in files.filter(|(file, _)| !file.ends_with(".json")) {
            std::fs::write(copy.path().join(file), bytes).unwrap();
        }
        let index = Index::open(copy.path()).unwrap();
        let before = index.snapshot().unwrap();
        let query = json!({"text": {"text": "common"}});
        let count = |snapshot: &Snapshot| answer(snapshot, &query)["count"].as_u64().unwrap();
        let mut writer = index.writer().unwrap();
        writer
            .add(Document::new("one more").with_text("text", "common"))
            .unwrap();
        writer.commit().unwrap();
        writer.merge_to(1).unwrap();
        writer.commit().unwrap();
        let after = index.snapshot().unwrap();
        assert_eq!(
            (after.segment_count(), count(&after)),
            (1, count(&before) + 1),
            "{name}"
        );
        after.verify_segment(0).unwrap();
    }
}
