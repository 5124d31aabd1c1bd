//! An index that never changes, read by everything that can read one.
//!
//! `format-spec/golden/` holds the index of the documents in `golden/documents.rs`, and in `contents.json` what
//! `format-spec/reader.py --json` prints of it. A change of the format, wanted or not, fails here.
//! After a wanted one, write both anew (this needs `python3` with a zstd decoder) and read the diff:
//!
//! ```text
//! ESPARSA_WRITE_GOLDEN=1 cargo test --test it golden
//! ```

mod documents;
mod dump;
mod positions;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, OnceLock};

pub use documents::Files;
use documents::{build, schema};
pub use dump::dump;
use esparsa::internals::format::manifest::Manifest;
use esparsa::internals::format::{Container, FieldKind, FileKind, Verify};
use esparsa::internals::segment::SegmentReader;
use esparsa::store::Memory;
use esparsa::{Column, Error, Index, IndexOptions, SchemaChange};
use serde_json::{Value, json};

use crate::reseal::reseal;

pub fn format_spec() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("format-spec")
}

/// The golden index, written anew first when the environment says so.
fn golden() -> PathBuf {
    static WRITTEN: OnceLock<()> = OnceLock::new();
    let folder = format_spec().join("golden");
    WRITTEN.get_or_init(|| {
        if std::env::var_os("ESPARSA_WRITE_GOLDEN").is_some_and(|value| value == "1") {
            write_golden(&folder);
        }
    });
    folder
}

fn write_golden(folder: &Path) {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).unwrap();
    for (name, bytes) in build() {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    let output = run_reader(folder).expect("contents.json is written by python3, which is missing");
    assert!(output.status.success(), "{output:?}");
    let contents: Value = serde_json::from_slice(&output.stdout).unwrap();
    let stored = &contents["segments"][0]["stored"]["documents"];
    assert!(
        stored.is_array(),
        "python3 has no zstd decoder; install `zstandard`"
    );
    std::fs::write(folder.join("contents.json"), output.stdout).unwrap();
}

fn recorded() -> Value {
    let bytes = std::fs::read(golden().join("contents.json")).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// A term of a field of a segment.
fn find(recorded: &Value, segment: usize, field: usize, term: Value) -> Value {
    let listed = &recorded["segments"][segment]["fields"][field]["listed"];
    let mut terms = listed.as_array().unwrap().iter();
    terms.find(|t| t["term"] == term).unwrap().clone()
}

fn golden_files() -> Files {
    files_of(&golden())
}

/// The files of the index in a folder.
pub fn files_of(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap());
    entries
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path()))
        .filter(|(name, _)| name != "contents.json")
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

// `reader.py`.

/// Runs the independent reader; `None`, and a line that says so, when there is no Python.
pub fn run_reader(folder: &Path) -> Option<Output> {
    let reader = format_spec().join("reader.py");
    let output = Command::new("python3")
        .arg(reader)
        .arg(folder)
        .arg("--json")
        .output();
    match output {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: reader.py needs python3, which is not on this machine");
            None
        }
        Err(error) => panic!("python3 cannot be started: {error}"),
    }
}

/// Takes stored documents out, which a Python without a zstd decoder cannot read.
pub fn without_stored_documents(mut contents: Value) -> Value {
    for segment in contents["segments"].as_array_mut().unwrap() {
        segment["stored"]["documents"] = Value::Null;
    }
    contents
}

// Changing bytes so that checksums stay right.

/// Gives the section `from` of a file another name and required flag.
fn rename_section(mut bytes: Vec<u8>, from: &str, to: &str, required: bool) -> Vec<u8> {
    let length = bytes.len();
    let trailer = length - 64;
    let table = u64::from_le_bytes(bytes[trailer..trailer + 8].try_into().unwrap()) as usize;
    let entry = (table..trailer)
        .step_by(48)
        .find(|at| bytes[*at..].starts_with(from.as_bytes()) && bytes[at + from.len()] == 0)
        .unwrap();
    bytes[entry..entry + 16].fill(0);
    bytes[entry..entry + to.len()].copy_from_slice(to.as_bytes());
    bytes[entry + 20] = u8::from(required);
    reseal(&mut bytes).unwrap();
    bytes
}

fn open_segment(bytes: Vec<u8>) -> esparsa::Result<SegmentReader> {
    SegmentReader::open(
        Arc::new(bytes),
        "segment-0000000001",
        &schema(),
        Verify::AtOpen,
    )
}

#[test]
fn the_rust_reader_sees_what_is_recorded() {
    let (found, recorded) = (dump(&golden()), recorded());
    for part in ["files", "manifest", "segments"] {
        assert!(
            found[part] == recorded[part],
            "{part} differ: found {:#}",
            found[part]
        );
    }
    assert_eq!(found, recorded);
}

#[test]
fn the_same_documents_give_the_same_bytes() {
    let (built, golden) = (build(), golden_files());
    let names = |files: &Files| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&built), names(&golden));
    for (name, bytes) in &built {
        let golden = &golden[name];
        let same = bytes.iter().zip(golden).take_while(|(a, b)| a == b).count();
        assert!(
            bytes == golden,
            "{name} differs from byte {same} on: the format has changed"
        );
    }
    assert!(golden.values().map(Vec::len).sum::<usize>() < 80_000);
}

#[test]
fn the_golden_index_has_a_list_of_every_shape() {
    let recorded = recorded();
    let fields = &recorded["segments"][0]["fields"];
    let find = |field: usize, name: &str| find(&recorded, 0, field, name.into());
    for (term, df) in [
        ("twice", 1),
        ("pair", 2),
        ("uneven", 70),
        ("full", 128),
        ("gaps", 130),
        ("common", 519),
        ("scattered", 299),
    ] {
        assert_eq!(find(0, term)["df"], df, "{term}");
    }
    assert_eq!(find(0, "common")["blocks"].as_array().unwrap().len(), 5);
    let tiers = find(1, "everywhere")["tiers"].as_array().unwrap().clone();
    let blocks = tiers
        .iter()
        .map(|t| t["blocks"].as_array().map_or(0, Vec::len));
    assert_eq!(blocks.collect::<Vec<_>>(), [0, 2, 3]);
    assert_eq!(fields[0]["skipped"], 1);
    assert_eq!(fields[1]["skipped"], 1);
    assert_eq!(recorded["segments"][0]["deleted"], json!([0, 1, 64, 519]));
    assert_eq!(
        recorded["segments"][0]["stored"]["blocks"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(recorded["segments"][1]["fields"][2]["terms"], 0);
    let reordered = recorded["segments"].as_array().unwrap().iter();
    let reordered: Vec<&Value> = reordered.map(|segment| &segment["reordered"]).collect();
    assert_eq!(reordered, [false, true, false]);
    assert_eq!(
        schema()
            .expect("numbered", FieldKind::Sparse)
            .unwrap()
            .number,
        2
    );
}

#[test]
fn the_golden_index_has_vectors_of_every_shape() {
    let recorded = recorded();
    let fields = |segment: usize| recorded["segments"][segment]["fields"].as_array().unwrap();
    let field = |segment: usize, number: u32| {
        let mut found = fields(segment).iter();
        found.find(|field| field["field"] == number).cloned()
    };
    // In some documents, in all, in none.
    let half = field(0, 5).unwrap();
    assert_eq!(half["vector_documents"], json!([0, 173, 346, 519]));
    assert_eq!(half["vectors"][3].as_array().unwrap().len(), 33);
    let single = field(1, 4).unwrap();
    assert_eq!(single["vector_documents"], json!([0, 1, 2]));
    let odd = [1.0, -0.0, f32::MIN_POSITIVE / 4.0, 1e17, 0.1].map(f32::to_bits);
    assert_eq!(single["vectors"][0], json!(odd));
    assert!((4..7).all(|number| field(2, number).is_none()));
    assert!(field(0, 4).is_none());
    let byte = field(0, 6).unwrap();
    assert_eq!(byte["vectors"][0][2], -127);
    assert_eq!(byte["scale_bits"][0], (2f32 / 127.0).to_bits());
    assert_eq!(field(1, 6).unwrap()["scale_bits"], json!([0]));
    let schema = &recorded["manifest"]["schema"];
    let fingerprint = "0123456789abcdeffedcba9876543210";
    assert_eq!(
        schema[5]["model"],
        json!({ "name": "médio", "fingerprint": fingerprint })
    );
    assert_eq!(schema[6]["model"], Value::Null);
}

/// The values of a document in a column of a segment.
fn values_of(recorded: &Value, segment: usize, field: u32, document: u64) -> Value {
    let mut fields = recorded["segments"][segment]["fields"]
        .as_array()
        .unwrap()
        .iter();
    let column = fields.find(|found| found["field"] == field).unwrap();
    let runs = column.get("value_bits").unwrap_or(&column["values"]);
    let mut end = 0;
    let mut runs = runs.as_array().unwrap().iter();
    let run = runs.find(|run| {
        end += run[0].as_u64().unwrap();
        document < end
    });
    run.unwrap()[1].clone()
}

#[test]
fn the_golden_index_has_columns_of_every_shape() {
    let recorded = recorded();
    let length = |segment: usize, section: &str, field: u32| {
        let file = recorded["segments"][segment]["file"].as_str().unwrap();
        let sections = &recorded["files"][file]["sections"];
        let mut sections = sections.as_array().unwrap().iter();
        let found = sections.find(|found| found["name"] == section && found["field"] == field);
        found.map(|section| section["length"].as_u64().unwrap())
    };
    let [whole, natural, real, flag, date, keyword] = [7, 8, 9, 10, 11, 12];
    // A list of documents, a bitmap of them, and all of them.
    assert_eq!(length(0, "column-documents", natural), Some(24 + 2 * 20));
    assert_eq!(length(2, "column-documents", natural), Some(24 + 8_448));
    assert_eq!(length(1, "column-documents", natural), None);
    // Numbers of 64 bits; two superblocks, in which nearly all blocks take no bytes; days.
    let frame = |blocks: u64, superblocks: u64, bytes: u64| {
        40 + blocks * (4 + 2 * bytes) + superblocks * 2 * bytes
    };
    let values = |segment, field| length(segment, "column-values", field).unwrap();
    assert_eq!(values(1, natural), 3 * 8 + frame(1, 1, 8));
    assert_eq!(values(2, flag), 128 + 8 + frame(65, 2, 1));
    assert_eq!(values(0, date), (130u64 * 5).div_ceil(8) + frame(1, 1, 1));
    // Starts that are a line, others, and none.
    assert_eq!(length(2, "column-starts", flag), Some(frame(9, 1, 0)));
    assert!(length(0, "column-starts", whole) > Some(frame(1, 1, 1)));
    assert_eq!(length(0, "column-starts", flag), None);
    let fields = recorded["segments"][0]["fields"].as_array().unwrap();
    assert_eq!(fields.last().unwrap()["field"], keyword);
    assert_eq!(fields.last().unwrap()["terms"], 133);
    for (segment, field, document, expected) in [
        (0, whole, 3, json!([0, 3, 3])),
        (0, keyword, 4, json!(["key4", "red"])),
        (0, keyword, 6, json!(["", "né"])),
        (0, keyword, u64::from(documents::BARE), json!([])),
        (0, real, 25, json!([0])),
        (0, real, 30, json!([f64::INFINITY.to_bits()])),
        (1, real, 0, json!([f64::NEG_INFINITY.to_bits()])),
        (1, whole, 0, json!([i64::MIN, -1, 0, i64::MAX])),
        (1, natural, 0, json!([u64::MAX])),
        (1, date, 0, json!([-1])),
        (1, date, 1, json!([1_718_810_565_120u64])),
        (1, flag, 1, json!([false, true])),
        (1, keyword, 1, json!(["blue", "blue-green"])),
        (2, date, 8_199, json!([8 * 86_400_000])),
        (2, natural, 8_199, json!([])),
    ] {
        let found = values_of(&recorded, segment, field, document);
        assert_eq!(found, expected, "segment {segment}, field {field}");
    }
}

#[test]
fn the_golden_index_has_ranges_of_every_shape() {
    let recorded = recorded();
    let numbers = |value: &Value| -> Vec<u64> {
        let numbers = value.as_array().unwrap().iter();
        numbers.map(|number| number.as_u64().unwrap()).collect()
    };
    let list = |segment, term: u32| find(&recorded, segment, 2, term.into());
    // How many postings the ranges of a list have, by group.
    let by_group = |list: &Value| {
        let groups = list["groups"].as_array().unwrap().len();
        let mut by_group = vec![Vec::new(); groups];
        for range in list["ranges"].as_array().unwrap() {
            let range = numbers(range);
            by_group[(range[0] / 64) as usize].push(range[1]);
        }
        by_group
    };
    assert_eq!(by_group(&list(0, 7)), [[vec![32; 8], vec![4]].concat()]);
    let eights = list(2, 7);
    assert_eq!(by_group(&eights), [vec![8; 64], vec![8; 64], vec![1]]);
    assert!(numbers(&eights["noted"]).iter().all(|impact| *impact > 0));
    let whole = vec![64, 64, 64, 64, 44];
    assert_eq!(by_group(&list(2, 8)), [whole, vec![1], vec![1]]);
    assert_eq!(numbers(&list(2, 8)["noted"])[3], 0);
    let few_and_many = vec![8, 9, 64, 64, 12];
    assert_eq!(by_group(&list(2, 9)), [few_and_many, vec![], vec![1]]);
    let second_alone = [vec![64; 6], vec![20]].concat();
    assert_eq!(by_group(&list(2, 10)), [vec![], second_alone, vec![]]);
    // A shorter list of the same field is a block.
    assert_eq!(list(0, 65_536)["tiers"].as_array().unwrap().len(), 1);
}

#[test]
fn the_golden_index_has_impacts_of_several_exponents() {
    let recorded = recorded();
    let field = |segment: usize| &recorded["segments"][segment]["fields"][2];
    assert_eq!(field(0)["base"], 0);
    assert_eq!(field(0)["has_parts"], 1);
    assert!(field(2)["base"].as_i64().unwrap() > 0);
    assert!(field(0)["rounded_up"].as_u64().unwrap() > 0);
    let exponents = |term: u32| -> Vec<i64> {
        let parts = find(&recorded, 0, 2, term.into())["parts"].clone();
        let parts = parts.as_array().unwrap().iter();
        parts
            .map(|part| part["exponent"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(exponents(11), [2, 1, 0, -12]);
    assert_eq!(exponents(12), [6, -12]);
    assert_eq!(exponents(13), [-12]);
    let many = find(&recorded, 0, 2, 11.into());
    assert!(many["parts"][2]["ranges"].is_array());
    assert!(many["parts"][3]["tiers"].is_array());
}

#[test]
fn the_independent_reader_sees_what_is_recorded() {
    let Some(output) = run_reader(&golden()) else {
        return;
    };
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    if found["segments"][0]["stored"]["documents"].is_null() {
        println!("stored documents are not compared: python3 has no zstd decoder");
        assert_eq!(found, without_stored_documents(recorded()));
        return;
    }
    let recorded = std::fs::read(golden().join("contents.json")).unwrap();
    assert!(
        output.stdout == recorded,
        "what reader.py prints is not contents.json"
    );
}

#[test]
fn the_independent_reader_skips_fields_that_were_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let golden = Index::open(golden()).unwrap().snapshot().unwrap();
    golden.backup(folder.path()).unwrap();
    let mut index = Index::open(folder.path()).unwrap();
    let names = index.schema().fields().iter().map(|f| f.name.clone());
    let names: Vec<String> = names.collect();
    let dropped = names.iter().step_by(2);
    let change = dropped.fold(SchemaChange::new(), SchemaChange::drop_field);
    index
        .change_schema(change.add_field(&names[0], Column::keyword()))
        .unwrap();
    let Some(output) = run_reader(folder.path()) else {
        return;
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let fields = found["manifest"]["schema"].as_array().unwrap();
    let last = fields.last().unwrap();
    assert_eq!(fields.len(), names.len() / 2 + 1);
    assert_eq!(last["number"], names.len());
    let numbers: Vec<&Value> = fields.iter().map(|field| &field["number"]).collect();
    for segment in found["segments"].as_array().unwrap() {
        let of_segment = segment["fields"].as_array().unwrap();
        assert!(!of_segment.is_empty());
        assert!(of_segment.iter().all(|f| numbers.contains(&&f["field"])));
    }
}

#[test]
fn the_independent_reader_finds_a_flipped_byte_in_every_part_of_a_file() {
    let files = golden_files();
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in &files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let recorded = recorded();
    for (name, bytes) in &files {
        // Header, the first section, the middle, the end of the table, the trailer's reserved bytes.
        for at in [9, 64, bytes.len() / 2, bytes.len() - 65, bytes.len() - 30] {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            std::fs::write(folder.path().join(name), damaged).unwrap();
            let Some(output) = run_reader(folder.path()) else {
                return;
            };
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(
                output.status.code(),
                Some(1),
                "{name}, byte {at}: {message}"
            );
            assert!(output.stdout.is_empty());
            let says = |word: &str| message.contains(word);
            assert!(says(name) && says("section") && says("offset"), "{message}");
        }
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    // Undamaged again, it reads as before.
    let output = run_reader(folder.path()).unwrap();
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        without_stored_documents(found),
        without_stored_documents(recorded)
    );
}

#[test]
fn a_newer_version_is_refused_as_too_new() {
    let memory = Memory::new();
    for (name, mut bytes) in golden_files() {
        if name.starts_with("segment") {
            bytes[8] = 2;
            let crc = crc32c::crc32c(&bytes[..60]);
            bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        }
        memory.overwrite(&name, bytes);
    }
    let index = Index::open_in(Arc::new(memory), IndexOptions::new()).unwrap();
    let error = index.snapshot().unwrap_err();
    assert!(matches!(error, Error::TooNew { .. }), "{error}");
    assert!(error.to_string().contains("segment-0000000001"), "{error}");
    assert!(error.to_string().contains("format version 2"), "{error}");
}

#[test]
fn an_unknown_section_is_refused_when_required_and_skipped_when_not() {
    let bytes = golden_files().remove("manifest-0000000005").unwrap();
    let read = |bytes: Vec<u8>| {
        let (kind, verify) = (FileKind::Manifest, Verify::AtOpen);
        let container = Container::open(Arc::new(bytes), "manifest-0000000005", kind, verify)?;
        Manifest::read(&container, 5)
    };
    let required = rename_section(bytes.clone(), "calibration", "hologram", true);
    let error = read(required).unwrap_err();
    assert!(matches!(error, Error::TooNew { .. }), "{error}");
    assert!(error.to_string().contains("hologram"), "{error}");
    let optional = rename_section(bytes.clone(), "calibration", "hologram", false);
    assert!(read(optional).unwrap().calibrations.is_empty());
    assert!(!read(bytes).unwrap().calibrations.is_empty());
}

/// Changes a byte of a section and its checksum with it.
fn change_section(mut bytes: Vec<u8>, section: &str, at: usize, value: u8) -> Vec<u8> {
    let length = bytes.len();
    let trailer = length - 64;
    let number = |bytes: &[u8], at: usize| {
        u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize
    };
    let table = number(&bytes, trailer);
    let entry = (table..trailer)
        .step_by(48)
        .find(|at| bytes[*at..].starts_with(section.as_bytes()) && bytes[at + section.len()] == 0)
        .unwrap();
    let (offset, of_section) = (number(&bytes, entry + 24), number(&bytes, entry + 32));
    assert!(at < of_section && of_section <= 65_536);
    bytes[offset + at] = value;
    reseal(&mut bytes).unwrap();
    bytes
}

#[test]
fn an_unknown_codec_of_postings_is_refused_by_name() {
    let bytes = golden_files().remove("segment-0000000001").unwrap();
    assert!(open_segment(bytes.clone()).is_ok());
    // The codec is the last byte of the first field's record.
    let unknown = change_section(bytes, "info", 12 + 55, 77);
    let error = open_segment(unknown).unwrap_err();
    assert!(matches!(error, Error::TooNew { .. }), "{error}");
    let message = error.to_string();
    assert!(
        message.contains("postings codec 77 of field 0"),
        "{message}"
    );
}
