//! Files whose checksums are right and whose content is a lie: an error, never a panic.
//!
//! Sections of a small index are damaged and written anew with right checksums, and the manifest is
//! made to name the result. Whatever the bytes say, opening, reading, searching, verifying and
//! merging end, soon, without a panic and without more memory than a small index has any use for. The
//! answers may be wrong: nothing can tell a lie that is told well from the truth.

#[allow(dead_code)]
mod walk;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use esparsa::format::block::{self, BEFORE_FIRST};
use esparsa::format::container::FileStamp;
use esparsa::format::dictionary::{DictionaryWriter, TermEntry, TermPostings};
use esparsa::format::manifest::{Manifest, manifest_file};
use esparsa::format::segment_info::SegmentInfo;
use esparsa::format::{Container, ContainerWriter, FieldNumber, FileKind, Section, Verify};
use esparsa::segment::{SegmentReader, Source};
use esparsa::store::{Directory, Memory};
use esparsa::{
    Algorithm, Document, Error, Index, IndexOptions, Query, Result, SearchOptions, Snapshot,
};
use proptest::prelude::*;
use walk::{Question, ask, build, document, open, questions, schema, writer};

/// Set for the child that runs with little memory: the file that it notes its cases in.
const CASE_FILE: &str = "ESPARSA_HOSTILE_CASE";
/// What the child may take in all, in KiB; the index has some tens of KiB.
const MEMORY_KIB: usize = 512 << 10;
const CASES: u32 = 3_000;
/// A case takes some milliseconds; one that takes this long has no end.
const CASE_TIMEOUT: Duration = Duration::from_secs(60);

type Sections = Vec<(String, Option<FieldNumber>, Vec<u8>)>;

fn kind_of(name: &str) -> FileKind {
    match name.split('-').next() {
        Some("segment") => FileKind::Segment,
        Some("deletes") => FileKind::Deletes,
        _ => FileKind::Manifest,
    }
}

fn container(memory: &Memory, name: &str) -> Container {
    let bytes = memory.bytes(name).unwrap();
    Container::open(bytes, name, kind_of(name), Verify::AtOpen).unwrap()
}

fn sections(memory: &Memory, name: &str) -> Sections {
    let container = container(memory, name);
    let section = |name: &str, field| {
        let bytes = container.section(name, field).unwrap().all().unwrap();
        (name.to_owned(), field, bytes.to_vec())
    };
    let all = container.sections();
    all.map(|(name, field, _)| section(name, field)).collect()
}

/// A file with right checksums.
fn file_of(kind: FileKind, sections: &Sections) -> (Vec<u8>, FileStamp) {
    let mut writer = ContainerWriter::new(Vec::new(), kind).unwrap();
    for (name, field, bytes) in sections {
        writer.begin(name, *field).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap()
}

fn manifest_of(memory: &Memory) -> Manifest {
    let commit = open(memory).unwrap().commit();
    Manifest::read(&container(memory, &manifest_file(commit)), commit).unwrap()
}

/// A copy of an index in which a file has other sections, and the manifest names it as it is.
fn with_sections(index: &Memory, name: &str, sections: &Sections) -> Memory {
    let hostile = Memory::new();
    for name in index.list().unwrap() {
        hostile.overwrite(&name, index.bytes(&name).unwrap().to_vec());
    }
    let before = container(index, name).stamp();
    let (bytes, stamp) = file_of(kind_of(name), sections);
    hostile.overwrite(name, bytes);
    if kind_of(name) != FileKind::Manifest {
        let mut manifest = manifest_of(index);
        for segment in &mut manifest.segments {
            let deletes = segment.deletes.iter_mut().map(|deletes| &mut deletes.stamp);
            let stamps = deletes.chain([&mut segment.stamp]);
            stamps.filter(|s| **s == before).for_each(|s| *s = stamp);
        }
        let (bytes, _) = manifest.write(Vec::new()).unwrap();
        hostile.overwrite(&manifest_file(manifest.commit), bytes);
    }
    hostile
}

/// Does everything that can be done with an index. Returns how much of it went well.
fn use_everything(index: &Memory, questions: &[Question]) -> usize {
    let Ok(snapshot) = open(index) else { return 0 };
    let answered = questions.iter().filter(|q| in_range(&snapshot, q));
    let mut well = answered.filter(|q| ask(&snapshot, q).is_ok()).count();
    let readers: Vec<&SegmentReader> = snapshot.segments().iter().map(|s| &s.reader).collect();
    let verified = readers
        .iter()
        .map(|reader| esparsa::segment::verify(reader));
    well += verified.filter(Result::is_ok).count();
    well += usize::from(merge(&snapshot).is_ok());
    well + usize::from(load(index).is_ok())
}

/// A hostile manifest may have taken segments away.
fn in_range(snapshot: &Snapshot, question: &Question) -> bool {
    let segments = snapshot.segments().len();
    match question {
        Question::Info(place) | Question::Live(place) | Question::Ids(place) => *place < segments,
        Question::StoredBlock(place, _) | Question::Lengths(place, _) => *place < segments,
        Question::AllPostings(place, _) | Question::Postings(place, _, _) => *place < segments,
        _ => true,
    }
}

/// Merges on this thread, where a panic is seen.
fn merge(snapshot: &Snapshot) -> Result<()> {
    let segments = snapshot.segments();
    let sources: Vec<Source<'_>> = segments
        .iter()
        .map(|s| Source::Segment(&s.reader, s.deleted.as_deref()))
        .collect();
    let merged = esparsa::segment::write(snapshot.schema(), &sources, Vec::new(), "merged");
    merged.map(|_| ())
}

fn load(index: &Memory) -> Result<()> {
    let index = Index::open_in(Arc::new(index.clone()), IndexOptions::new())?;
    let mut writer = index.writer()?;
    writer.delete(document(3, 0).id())?;
    writer.add(document(5, 10))?;
    writer.commit()?;
    writer.merge_to(1)?;
    writer.commit()?;
    Ok(())
}

/// A change of the bytes of a section; places are shares of the section's length, in 65,536ths.
#[derive(Clone, Debug)]
enum Change {
    Flip(Place, u8),
    Byte(Place, u8),
    U32(Place, u32),
    U64(Place, u64),
    Cut(Place),
    Remove(Place, usize),
    Repeat(Place, usize),
    Extend(usize, u8),
}

/// Where a change is: anywhere, or some bytes from the start or the end, where heads and footers are.
#[derive(Clone, Copy, Debug)]
enum Place {
    Share(u16),
    FromStart(usize),
    FromEnd(usize),
}

impl Place {
    fn of(self, length: usize) -> usize {
        match self {
            Self::Share(share) => (length * usize::from(share)) >> 16,
            Self::FromStart(at) => at.min(length),
            Self::FromEnd(back) => length.saturating_sub(back),
        }
    }
}

fn overwrite(bytes: &mut [u8], at: usize, with: &[u8]) {
    for (to, from) in bytes[at..].iter_mut().zip(with) {
        *to = *from;
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        match self {
            Self::Flip(place, bit) => {
                if let Some(byte) = bytes.get_mut(place.of(length)) {
                    *byte ^= 1 << bit;
                }
            }
            Self::Byte(place, value) => overwrite(bytes, place.of(length), &[*value]),
            Self::U32(place, value) => overwrite(bytes, place.of(length), &value.to_le_bytes()),
            Self::U64(place, value) => overwrite(bytes, place.of(length), &value.to_le_bytes()),
            Self::Cut(place) => bytes.truncate(place.of(length)),
            Self::Remove(place, count) => {
                let start = place.of(length);
                bytes.drain(start..length.min(start + count));
            }
            Self::Repeat(place, count) => {
                let start = place.of(length);
                let piece = bytes[start..length.min(start + count)].to_vec();
                bytes.splice(start..start, piece);
            }
            Self::Extend(count, value) => bytes.resize(length + count, *value),
        }
    }
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![
        2 => any::<u16>().prop_map(Place::Share),
        1 => (0usize..24).prop_map(Place::FromStart),
        1 => (0usize..48).prop_map(Place::FromEnd),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![
        any::<u8>(),
        Just(0),
        Just(1),
        Just(0x7F),
        Just(0x80),
        Just(0xFF)
    ];
    let edges = [
        0,
        1,
        127,
        128,
        0x7FFF_FFFF,
        0x8000_0000,
        u32::MAX - 1,
        u32::MAX,
    ];
    let u32s = prop_oneof![
        any::<u32>(),
        prop::sample::select(edges.to_vec()),
        0u32..1_000
    ];
    let edges = [1 << 32, (1 << 32) - 1, 1 << 63, u64::MAX - 7, u64::MAX];
    let u64s = prop_oneof![
        any::<u64>(),
        prop::sample::select(edges.to_vec()),
        0u64..100_000
    ];
    prop_oneof![
        4 => (place(), 0u8..8).prop_map(|(place, bit)| Change::Flip(place, bit)),
        4 => (place(), byte).prop_map(|(place, byte)| Change::Byte(place, byte)),
        3 => (place(), u32s).prop_map(|(place, value)| Change::U32(place, value)),
        2 => (place(), u64s).prop_map(|(place, value)| Change::U64(place, value)),
        1 => place().prop_map(Change::Cut),
        1 => (place(), 1usize..20).prop_map(|(place, count)| Change::Remove(place, count)),
        1 => (place(), 1usize..20).prop_map(|(place, count)| Change::Repeat(place, count)),
        1 => (1usize..70, any::<u8>()).prop_map(|(count, byte)| Change::Extend(count, byte)),
    ]
}

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
    let mut command = if cfg!(unix) {
        let mut shell = Command::new("sh");
        let script = format!("ulimit -v {MEMORY_KIB} && exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script).arg(test);
        shell
    } else {
        Command::new(test)
    };
    let name = "whatever_sections_say_nothing_panics_or_takes_memory_without_bound";
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
    let everything = questions.len() + 4;
    assert_eq!(use_everything(&copy(&index), &questions), everything);
    let mut all = Vec::new();
    for name in index.list().unwrap() {
        let sections = sections(&index, &name);
        all.extend((0..sections.len()).map(|place| (name.clone(), sections.clone(), place)));
    }
    let done = Arc::new(AtomicU64::new(0));
    watch(done.clone());
    let config = ProptestConfig {
        cases: CASES,
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

#[test]
fn documents_that_take_no_bytes_are_refused() {
    // Every count agrees, but one id cannot be two thousand million documents: reading on would
    // allocate for each of them.
    let documents = 0x7FFF_FFFFu32;
    let mut dictionary = DictionaryWriter::of_ids();
    dictionary.add_id(b"a").unwrap();
    let mut ids = dictionary.finish().unwrap();
    let footer = ids.len() - 32;
    ids[footer..footer + 8].copy_from_slice(&u64::from(documents).to_le_bytes());
    ids[footer + 12..footer + 16].copy_from_slice(&documents.to_le_bytes());
    let info = SegmentInfo {
        documents,
        fields: Vec::new(),
    };
    let order = [documents.to_le_bytes(), [0; 4]].concat();
    let all = [("ids", ids), ("id-order", order), ("info", info.encode())];
    let sections = all.map(|(name, bytes)| (name.to_owned(), None, bytes));
    let (bytes, _) = file_of(FileKind::Segment, &sections.to_vec());
    let opened = SegmentReader::open(Arc::new(bytes), "segment", &schema(), Verify::default());
    assert!(matches!(opened, Err(Error::Corrupt { .. })), "{opened:?}");
}

/// An index of one term in `documents.len()` documents, whose list says that they are `documents`.
fn index_with_list(documents: &[u32]) -> Memory {
    let memory = Memory::new();
    let options = IndexOptions::new();
    let index = Index::create_in(Arc::new(memory.clone()), schema(), options).unwrap();
    let mut writer = writer(&index);
    for number in 0..documents.len() {
        let document = Document::new(format!("id{number}"));
        writer.add(document.with_text("text", "x")).unwrap();
    }
    writer.commit().unwrap();
    let mut postings = Vec::new();
    block::encode(
        BEFORE_FIRST,
        documents,
        &vec![0; documents.len()],
        &mut postings,
    );
    let entry = TermEntry {
        document_frequency: documents.len() as u32,
        postings: TermPostings::List {
            offset: 0,
            length: postings.len() as u64,
        },
    };
    let mut dictionary = DictionaryWriter::of_text_terms();
    dictionary.add_term(b"x", &entry, 0).unwrap();
    let mut lies = BTreeMap::from([
        ("postings", postings),
        ("terms", dictionary.finish().unwrap()),
    ]);
    let name = "segment-0000000001";
    let mut sections = sections(&memory, name);
    for (name, field, bytes) in &mut sections {
        if *field == Some(0) {
            *bytes = lies.remove(&**name).unwrap_or_else(|| bytes.clone());
        }
    }
    with_sections(&memory, name, &sections)
}

#[test]
fn blocks_whose_documents_do_not_rise_are_refused() {
    let search = |documents: &[u32], algorithm| {
        let snapshot = open(&index_with_list(documents)).unwrap();
        let options = SearchOptions::new(3).algorithm(algorithm);
        let found = snapshot.search_with(&Query::text("text", "x"), &options);
        found.map(|result| result.hits.len())
    };
    let rising: Vec<u32> = (0..100).collect();
    for algorithm in Algorithm::ALL {
        assert_eq!(search(&rising, algorithm).unwrap(), 3);
        for (a, b) in [(0, 1), (0, 98), (20, 60), (97, 98)] {
            let mut documents = rising.clone();
            documents.swap(a, b);
            let refused = search(&documents, algorithm);
            let corrupt = matches!(refused, Err(Error::Corrupt { .. }));
            assert!(corrupt, "{algorithm:?}, {a} and {b} swapped: {refused:?}");
        }
        let twice: Vec<u32> = rising.iter().map(|document| document / 2 + 50).collect();
        assert!(search(&twice, algorithm).is_err());
    }
}

#[test]
fn statistics_beyond_all_numbers_do_not_overflow() {
    let index = build(20, 5);
    let name = "segment-0000000001";
    let sections = sections(&index, name);
    let place = sections.iter().position(|s| s.0 == "info").unwrap();
    let info = Section::from_bytes("info", sections[place].2.clone());
    let honest = SegmentInfo::read(&info).unwrap();
    for repeat in [false, true] {
        let mut info = honest.clone();
        info.fields[0].total = u64::MAX;
        info.fields[0].postings = u64::MAX;
        info.fields[0].left_out = u64::MAX;
        if repeat {
            info.fields.insert(0, info.fields[0]);
        }
        let mut sections = sections.clone();
        sections[place].2 = info.encode();
        let hostile = with_sections(&index, name, &sections);
        if let Ok(snapshot) = open(&hostile) {
            let reader = &snapshot.segments()[0].reader;
            assert!(esparsa::segment::verify(reader).is_err());
        }
    }
}

#[test]
fn numbers_of_commits_and_files_never_start_again() {
    let index = build(20, 5);
    let honest = manifest_of(&index);
    let numbers = [(u64::MAX, honest.next_file), (honest.commit, u64::MAX)];
    let manifests = numbers.map(|(commit, next_file)| {
        let manifest = Manifest {
            commit,
            next_file,
            ..honest.clone()
        };
        let (bytes, _) = manifest.write(Vec::new()).unwrap();
        (manifest_file(commit), bytes)
    });
    // A file that no commit names counts too.
    let leftover = (format!("segment-{}", u64::MAX), Vec::new());
    for (name, bytes) in manifests.into_iter().chain([leftover]) {
        let hostile = copy(&index);
        hostile.overwrite(&name, bytes);
        let Ok(before) = open(&hostile) else { continue };
        match load(&hostile) {
            Ok(()) => assert!(open(&hostile).unwrap().commit() > before.commit(), "{name}"),
            Err(error) => assert!(!error.to_string().contains("panicked"), "{error}"),
        }
    }
}

#[test]
fn a_writer_meets_hostile_segments_with_errors_alone() {
    // The writer's threads turn panics into errors, so that these must be told from honest ones.
    let index = build(300, 12);
    let name = "segment-0000000001";
    let honest = sections(&index, name);
    for place in 0..honest.len() {
        for changed in 0..40 {
            let mut sections = honest.clone();
            let bytes = &mut sections[place].2;
            let at = Place::Share((changed * 1_600) as u16).of(bytes.len());
            overwrite(bytes, at, &[0xFF, 0x7F]);
            let hostile = with_sections(&index, name, &sections);
            let opened = Index::open_in(Arc::new(hostile), IndexOptions::new()).unwrap();
            if opened.snapshot().is_err() {
                continue;
            }
            let mut writer = writer(&opened);
            let merged = writer.merge_to(1).map_err(|error| error.to_string());
            let panicked = merged
                .as_ref()
                .is_err_and(|error| error.contains("panicked"));
            assert!(!panicked, "{} at {at}: {merged:?}", honest[place].0);
        }
    }
}
