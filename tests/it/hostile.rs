//! Files whose checksums are right and whose content is a lie: an error, never a panic.
//!
//! Sections of a small index are damaged and written anew with right checksums, and the manifest is
//! made to name the result. Whatever the bytes say, opening, reading, searching, verifying and
//! merging end, soon, without a panic and without more memory than a small index has any use for. The
//! answers may be wrong: nothing can tell a lie that is told well from the truth.

mod change;
#[allow(dead_code)]
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::walk::{Question, ask, build, document, open, questions, schema, writer};
use change::{Change, Place, change, overwrite};
use esparsa::executor::CancelToken;
use esparsa::internals::format::block::{self, BEFORE_FIRST};
use esparsa::internals::format::container::FileStamp;
use esparsa::internals::format::dictionary::{DictionaryWriter, TermEntry, TermPostings};
use esparsa::internals::format::manifest::{Manifest, manifest_file};
use esparsa::internals::format::segment_info::SegmentInfo;
use esparsa::internals::format::{
    Capabilities, Container, ContainerWriter, FieldNumber, FileKind, Section, Verify,
};
use esparsa::internals::segment::{Reorder, SegmentReader, Source, WriteOptions};
use esparsa::store::{Directory, Memory};
use esparsa::{
    Algorithm, Document, Error, Index, IndexOptions, Query, Result, SearchOptions, Snapshot,
};
use proptest::prelude::*;

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
    let capabilities = match kind {
        FileKind::Segment => Capabilities {
            required: Capabilities::IMPACT_EXPONENTS,
            optional: 0,
        },
        _ => Capabilities::default(),
    };
    let writer = ContainerWriter::with_capabilities(Vec::new(), kind, capabilities);
    let mut writer = writer.unwrap();
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
        .map(|reader| esparsa::internals::segment::verify(reader));
    well += verified.filter(Result::is_ok).count();
    well += usize::from(merge(&snapshot, false).is_ok());
    well += usize::from(merge(&snapshot, true).is_ok());
    well + usize::from(load(index).is_ok())
}

/// A hostile manifest may have taken segments away.
fn in_range(snapshot: &Snapshot, question: &Question) -> bool {
    let segments = snapshot.segments().len();
    match question {
        Question::Info(place) | Question::Live(place) | Question::Ids(place) => *place < segments,
        Question::StoredBlock(place, _) | Question::Lengths(place, _) => *place < segments,
        Question::AllPostings(place, _) | Question::Postings(place, _, _) => *place < segments,
        Question::Vectors(place, _) => *place < segments,
        _ => true,
    }
}

/// Merges on this thread, where a panic is seen.
fn merge(snapshot: &Snapshot, reorder: bool) -> Result<()> {
    let segments = snapshot.segments();
    let sources: Vec<Source<'_>> = segments
        .iter()
        .map(|s| Source::Segment(&s.reader, s.deleted.as_deref()))
        .collect();
    let reorder = reorder.then_some(Reorder {
        threads: 1,
        memory: 8 << 20,
    });
    let schema = snapshot.schema();
    let options = WriteOptions {
        reorder,
        scratch: &Memory::new(),
        cancel: &CancelToken::new(),
    };
    let merged =
        esparsa::internals::segment::write(schema, &sources, &options, Vec::new(), "merged");
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

/// An index of one term in `documents.len()` documents, whose list says that they are `documents`.
fn index_with_list(documents: &[u32]) -> Memory {
    let of_text = |document: Document, _| document.with_text("text", "x");
    let memory = index_of(documents.len() as u32, of_text);
    let mut postings = Vec::new();
    let values = vec![0; documents.len()];
    block::encode(BEFORE_FIRST, documents, &values, &mut postings);
    let terms = DictionaryWriter::of_text_terms();
    with_one_list(&memory, 0, terms, documents.len() as u32, postings)
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

/// The same index with `list` as the only list of a field, that of the term `x`.
fn with_one_list(
    memory: &Memory,
    field: FieldNumber,
    mut dictionary: DictionaryWriter,
    document_frequency: u32,
    list: Vec<u8>,
) -> Memory {
    let entry = TermEntry {
        document_frequency,
        postings: TermPostings::List {
            offset: 0,
            length: list.len() as u64,
        },
    };
    dictionary.add_term(b"x", &entry, 0).unwrap();
    let terms = dictionary.finish().unwrap();
    let name = "segment-0000000001";
    let mut sections = sections(memory, name);
    for (name, of_field, bytes) in &mut sections {
        if *of_field == Some(field) {
            match &**name {
                "postings" | "impacts" => bytes.clone_from(&list),
                "terms" => bytes.clone_from(&terms),
                _ => {}
            }
        }
    }
    with_sections(memory, name, &sections)
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
    for algorithm in [
        Algorithm::Exhaustive,
        Algorithm::Wand,
        Algorithm::BlockMaxWand,
        Algorithm::MaxScore,
    ] {
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

/// The documents that have `x` in the test below: all of two ranges, few of a third, and most of one in another group.
fn documents_of_x() -> impl Iterator<Item = u32> {
    (0..128).chain([140, 142, 150]).chain(4_100..4_150)
}

#[test]
fn lists_cut_at_ranges_that_lie_are_refused() {
    let fields: BTreeSet<u32> = documents_of_x().collect();
    let honest = index_of(4_200, |document, number| {
        let weight = (1 + number % 90) as f32 * 2.0 / 255.0;
        let vector = fields.contains(&number).then_some(("x", weight));
        document.with_sparse("sparse", vector)
    });
    let sections = sections(&honest, "segment-0000000001");
    let list = sections.iter().find(|s| s.0 == "impacts" && s.1 == Some(1));
    let list = list.unwrap().2.clone();
    // A head of 16 bytes; two groups and the end of the last; four greatest impacts; then, of the first group, three
    // ends of a byte each, two ranges of 72 bytes and one of 6, and of the second an end and 58 bytes.
    let (second, greatest, ends) = (16 + 16, 16 + 3 * 16, 16 + 3 * 16 + 4);
    let (bits, few) = (ends + 3, ends + 3 + 2 * 72);
    assert_eq!((list[0], list.len()), (255, few + 6 + 1 + 58));
    // The lie, where it is, and what is there.
    let lies: [(&str, usize, &[u8]); 23] = [
        ("noted impacts", 1, &[91]),
        ("noted impacts", 2, &[0]),
        ("noted impacts", 4, &[1]),
        ("more groups", 8, &[3]),
        ("no groups", 8, &[0]),
        ("more ranges", 12, &[5]),
        ("fewer ranges", 12, &[3]),
        ("ranges without end", 12, &[0xFF; 4]),
        ("a range that has nothing", 16, &[0x0F]),
        ("a range of no document", second + 1, &[1]),
        ("ranges of a group begin later", second + 8, &[4]),
        ("ranges of a group begin nowhere", second + 8, &[0xFF; 4]),
        ("a group begins earlier", second + 12, &[100]),
        ("a group begins beyond the list", second + 12, &[0xFF; 4]),
        ("the last group ends earlier", second + 16 + 12, &[180]),
        (
            "the last group ends beyond the list",
            second + 16 + 12,
            &[0xFF; 4],
        ),
        ("a greatest impact that does not occur", greatest, &[200]),
        ("a greatest impact that is exceeded", greatest + 3, &[1]),
        ("an end beyond the group", ends + 2, &[0xFF]),
        ("bits without impacts", bits, &[0]),
        ("documents that fall", few, &[40, 12, 3]),
        ("a document of no range", few + 2, &[0xFF]),
        ("an impact of zero", few + 3, &[0]),
    ];
    let query = Query::sparse("sparse", [("x", 1.0)]);
    let search = |index: &Memory, algorithm| {
        let snapshot = open(index).unwrap();
        let options = SearchOptions::new(200).algorithm(algorithm);
        let found = snapshot.search_with(&query, &options);
        found.map(|result| result.hits.len())
    };
    let with_list = |list: Vec<u8>| {
        let terms = DictionaryWriter::of_sparse_terms();
        with_one_list(&honest, 1, terms, fields.len() as u32, list)
    };
    let verify = |index: &Memory| {
        let snapshot = open(index).unwrap();
        esparsa::internals::segment::verify(&snapshot.segments()[0].reader)
    };
    let unchanged = with_list(list.clone());
    verify(&unchanged).unwrap();
    assert_eq!(search(&unchanged, Algorithm::Ranges).unwrap(), fields.len());
    for (lie, at, bytes) in lies {
        let mut list = list.clone();
        overwrite(&mut list, at, bytes);
        let hostile = with_list(list);
        let refused = verify(&hostile);
        let corrupt = matches!(refused, Err(Error::Corrupt { .. }));
        assert!(corrupt, "{lie}: {refused:?}");
        for algorithm in open(&hostile).unwrap().algorithms(&query).unwrap() {
            match search(&hostile, algorithm) {
                Ok(found) => assert!(found <= fields.len(), "{lie}, {algorithm}: {found}"),
                Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{lie}: {error}"),
            }
        }
        let snapshot = open(&hostile).unwrap();
        for reorder in [false, true] {
            if let Err(error) = merge(&snapshot, reorder) {
                assert!(matches!(error, Error::Corrupt { .. }), "{lie}: {error}");
            }
        }
    }
}

#[test]
fn parts_that_lie_are_refused() {
    let count = 60u32;
    let honest = index_of(200, |document, number| {
        let weight = match number {
            0 => 90.0,
            1 => 1e-4,
            _ => 0.5,
        };
        let vector = (number < count).then_some(("x", weight));
        document.with_sparse("sparse", vector)
    });
    let sections = sections(&honest, "segment-0000000001");
    let list = sections.iter().find(|s| s.0 == "impacts" && s.1 == Some(1));
    let list = list.unwrap().2.clone();
    // Zero, the number of parts, and for each its exponent, postings and bytes.
    assert_eq!(list[..3], [0, 3, 0]);
    let (first, second) = (3, 13);
    let lies: [(&str, usize, &[u8]); 10] = [
        ("no parts", 1, &[0]),
        ("fewer parts", 1, &[2]),
        ("parts beyond the list", 1, &[0xFF; 2]),
        ("an exponent out of range", first, &[1, 2]),
        ("exponents that rise", first, &[0xF0, 0xFF]),
        ("an exponent twice", second, &[list[first], list[first + 1]]),
        ("a part without postings", first + 2, &[0]),
        ("more postings", second + 2, &[count as u8]),
        ("a longer part", first + 6, &[200]),
        ("a part beyond the list", second + 6, &[0xFF; 4]),
    ];
    let with_list = |list: Vec<u8>| {
        let terms = DictionaryWriter::of_sparse_terms();
        with_one_list(&honest, 1, terms, count, list)
    };
    let search = |index: &Memory, algorithm| {
        let options = SearchOptions::new(200).algorithm(algorithm);
        let query = Query::sparse("sparse", [("x", 1.0)]);
        let found = open(index)?.search_with(&query, &options);
        found.map(|result| result.hits.len())
    };
    let unchanged = with_list(list.clone());
    assert_eq!(search(&unchanged, Algorithm::Ranges).unwrap(), 60);
    for (lie, at, bytes) in lies {
        let mut list = list.clone();
        overwrite(&mut list, at, bytes);
        let hostile = with_list(list);
        let for_any_term = Algorithm::ALL
            .into_iter()
            .filter(|a| *a != Algorithm::Conjunction);
        for algorithm in for_any_term {
            let refused = search(&hostile, algorithm);
            let corrupt = matches!(refused, Err(Error::Corrupt { .. }));
            assert!(corrupt, "{lie}, {algorithm}: {refused:?}");
        }
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
        info.fields[0].skipped = u64::MAX;
        if repeat {
            info.fields.insert(0, info.fields[0]);
        }
        let mut sections = sections.clone();
        sections[place].2 = info.encode().unwrap();
        let hostile = with_sections(&index, name, &sections);
        if let Ok(snapshot) = open(&hostile) {
            let reader = &snapshot.segments()[0].reader;
            assert!(esparsa::internals::segment::verify(reader).is_err());
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

#[test]
fn rows_of_vectors_that_lie_are_refused_or_found_by_verifying() {
    let numbers = |number: u32| -> Vec<f32> {
        let numbers = (0..20).map(|place| ((number * 7 + place * 3) % 11) as f32 - 5.0);
        numbers.collect()
    };
    let honest = index_of(300, |document, number| {
        let document = document.with_dense("single", numbers(number));
        let document = document.with_dense("byte", numbers(number));
        match number.is_multiple_of(2) {
            true => document.with_dense("half", numbers(number)),
            false => document,
        }
    });
    let name = "segment-0000000001";
    let field = |name: &str| Some(schema().field(name).unwrap().number);
    // Field, section, where the lie is, what is there, and whether a search must notice.
    let nan = f32::NAN.to_le_bytes();
    let lies: [(&str, &str, usize, &[u8], bool); 10] = [
        ("single", "vectors", 128 * 200 + 4, &nan, true),
        (
            "single",
            "vectors",
            128 * 299,
            &f32::INFINITY.to_le_bytes(),
            true,
        ),
        ("single", "vectors", 128 * 10, &2e18f32.to_le_bytes(), false),
        ("single", "vectors", 128 * 10 + 124, &[1], false),
        ("half", "vectors", 64 * 149, &0x7C00u16.to_le_bytes(), true),
        ("byte", "vectors", 64 * 299, &[0x80], false),
        ("byte", "vector-scales", 4 * 299, &nan, true),
        (
            "byte",
            "vector-scales",
            4 * 299,
            &(-1f32).to_le_bytes(),
            false,
        ),
        (
            "half",
            "vector-documents",
            4 * 149,
            &300u32.to_le_bytes(),
            true,
        ),
        (
            "half",
            "vector-documents",
            4 * 149,
            &0u32.to_le_bytes(),
            false,
        ),
    ];
    for (of, section, at, lie, is_noticed) in lies {
        let mut sections = sections(&honest, name);
        let mut changed = sections.iter_mut();
        let changed = changed.find(|(n, f, _)| n == section && *f == field(of));
        overwrite(&mut changed.unwrap().2, at, lie);
        let index = with_sections(&honest, name, &sections);
        let snapshot = open(&index).unwrap();
        let what = format!("{of}, {section}, {at}");
        for threads in [1, 3] {
            let options = SearchOptions::new(300).threads(threads).part_documents(70);
            let query = Query::dense(of, numbers(3));
            let refused = snapshot.search_with(&query, &options);
            let corrupt = matches!(refused, Err(Error::Corrupt { .. }));
            assert!(corrupt == is_noticed, "{what}: {refused:?}");
            if let Err(error) = refused {
                let error = error.to_string();
                assert!(error.contains(name) && error.contains("offset"), "{error}");
            }
        }
        let verified = esparsa::internals::segment::verify(&snapshot.segments()[0].reader);
        assert!(matches!(verified, Err(Error::Corrupt { .. })), "{what}");
    }
    let snapshot = open(&honest).unwrap();
    esparsa::internals::segment::verify(&snapshot.segments()[0].reader).unwrap();
}
