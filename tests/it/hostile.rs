//! Files whose checksums are right and whose content is a lie: an error, never a panic.
//!
//! Sections of a small index are damaged and written anew with right checksums, and the manifest is
//! made to name the result. Whatever the bytes say, opening, reading, searching, verifying and
//! merging end, soon, without a panic and without more memory than a small index has any use for. The
//! answers may be wrong: nothing can tell a lie that is told well from the truth.

mod change;
mod lists;
mod positions;
mod records;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use change::{Change, Place, change, overwrite};
use esparsa::internals::format::block::{self, BEFORE_FIRST};
use esparsa::internals::format::dictionary::{
    DictionaryWriter, TermEntry, TermPositions, TermPostings,
};
use esparsa::internals::format::manifest::{Manifest, manifest_file};
use esparsa::internals::format::segment_info::SegmentInfo;
use esparsa::internals::format::{FieldNumber, FileKind, Section, Verify};
use esparsa::internals::segment::SegmentReader;
use esparsa::store::{Directory, Memory};
use esparsa::{Algorithm, Document, Error, Index, IndexOptions, Query, Result, SearchOptions};
use proptest::prelude::*;

use crate::lies::{file_of, load, manifest_of, merge, sections, use_everything, with_sections};
use crate::walk::{Question, build, open, questions, schema, writer};

/// Set for the child that runs with little memory: the file that it notes its cases in.
const CASE_FILE: &str = "ESPARSA_HOSTILE_CASE";
/// What the child may take in all, in KiB; the index has some tens of KiB.
const MEMORY_KIB: usize = 512 << 10;
/// Without `ESPARSA_HOSTILE_CASES`.
const CASES: u32 = 1_000;
/// A case takes some milliseconds; one that takes this long has no end.
const CASE_TIMEOUT: Duration = Duration::from_secs(60);

/// Changes of one section: its place among all sections of all files.
fn lie() -> impl Strategy<Value = (prop::sample::Index, Vec<Change>)> {
    let place = any::<prop::sample::Index>();
    (place, prop::collection::vec(change(), 1..4))
}

#[test]
fn whatever_sections_say_nothing_panics_or_takes_memory_without_bound() {
    match std::env::var_os(CASE_FILE) {
        Some(cases) => run_cases(cases.into()),
        None => run_with_little_memory(),
    }
}

/// Runs this test again in a child, which aborts when it asks for too much memory or does not end.
fn run_with_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let case_file = folder.path().join("case");
    let test = std::env::current_exe().unwrap();
    // A sanitizer reserves terabytes of addresses.
    let is_limited = cfg!(unix) && std::env::var_os("ESPARSA_SANITIZER").is_none();
    let mut command = if is_limited {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -v {MEMORY_KIB} && exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script).arg(test);
        shell
    } else {
        Command::new(test)
    };
    let name = "hostile::whatever_sections_say_nothing_panics_or_takes_memory_without_bound";
    let output = command
        .args(["--exact", name, "--test-threads=1", "--nocapture"])
        .env(CASE_FILE, &case_file)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = &said[said.len().saturating_sub(4_000)..];
    assert!(
        output.status.success(),
        "{}\nlast case: {}",
        String::from_utf8_lossy(said),
        std::fs::read_to_string(&case_file).unwrap_or_default()
    );
}

fn run_cases(case_file: PathBuf) {
    let index = build(300, 12);
    let questions: Vec<Question> = questions(&open(&index).unwrap())
        .into_iter()
        .map(|(question, _)| question)
        .collect();
    let everything = questions.len() + 5;
    assert_eq!(use_everything(&copy(&index), &questions), everything);
    let mut all = Vec::new();
    for name in index.list().unwrap() {
        let sections = sections(&index, &name);
        all.extend((0..sections.len()).map(|place| (name.clone(), sections.clone(), place)));
    }
    let done = Arc::new(AtomicU64::new(0));
    watch(done.clone());
    let cases = std::env::var("ESPARSA_HOSTILE_CASES");
    let config = ProptestConfig {
        cases: cases.map_or(CASES, |cases| cases.parse().unwrap()),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |((place, changes) in lie())| {
        done.fetch_add(1, Ordering::Relaxed);
        let (name, sections, section) = place.get(&all);
        let mut sections = sections.clone();
        let case = format!("{name} {:?} {changes:?}", sections[*section].0);
        std::fs::write(&case_file, case).unwrap();
        for change in &changes {
            change.apply(&mut sections[*section].2);
        }
        use_everything(&with_sections(&index, name, &sections), &questions);
    });
}

fn copy(index: &Memory) -> Memory {
    let name = manifest_file(manifest_of(index).commit);
    with_sections(index, &name, &sections(index, &name))
}

/// Ends the process when a case does not end.
fn watch(done: Arc<AtomicU64>) {
    std::thread::spawn(move || {
        loop {
            let before = done.load(Ordering::Relaxed);
            std::thread::sleep(CASE_TIMEOUT);
            if done.load(Ordering::Relaxed) == before {
                eprintln!("a case did not end");
                std::process::abort();
            }
        }
    });
}

/// An index of one segment, whose documents get their fields from `fill`.
fn index_of(documents: u32, fill: impl Fn(Document, u32) -> Document) -> Memory {
    let memory = Memory::new();
    let options = IndexOptions::new();
    let index = Index::create_in(Arc::new(memory.clone()), schema(), options).unwrap();
    let mut writer = writer(&index);
    for number in 0..documents {
        let document = Document::new(format!("id{number:04}"));
        writer.add(fill(document, number)).unwrap();
    }
    writer.commit().unwrap();
    memory
}

#[test]
fn documents_that_take_no_bytes_are_refused() {
    // Every count agrees, but one id cannot be two thousand million documents: reading on would
    // allocate for each of them.
    let documents = 0x7FFF_FFFFu32;
    let mut dictionary = DictionaryWriter::of_keys();
    dictionary.add_id(b"a").unwrap();
    let mut ids = dictionary.finish().unwrap();
    let footer = ids.len() - 32;
    ids[footer..footer + 8].copy_from_slice(&u64::from(documents).to_le_bytes());
    ids[footer + 12..footer + 16].copy_from_slice(&documents.to_le_bytes());
    let mut info = SegmentInfo::default();
    info.documents = documents;
    let order = [documents.to_le_bytes(), [0; 4]].concat();
    let all = [
        ("ids", ids),
        ("id-order", order),
        ("info", info.encode().unwrap()),
    ];
    let sections = all.map(|(name, bytes)| (name.to_owned(), None, bytes));
    let (bytes, _) = file_of(FileKind::Segment, &sections.to_vec());
    let opened = SegmentReader::open(Arc::new(bytes), "segment", &schema(), Verify::default());
    assert!(matches!(opened, Err(Error::Corrupt { .. })), "{opened:?}");
}
