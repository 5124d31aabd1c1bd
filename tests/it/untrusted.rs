//! Indexes of strangers: verified from end to end before they are used, and out of their reach.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use esparsa::store::{Directory, Memory};
use esparsa::{
    Error, Index, IndexOptions, Query, Result, Schema, SchemaChange, SearchOptions, Snapshot, Text,
};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::lies::{sections, with_sections};
use crate::walk::{Question, ask, build, open, questions};

const MEMORY: u64 = 64 << 20;

fn untrusted() -> IndexOptions {
    IndexOptions::new().untrusted(MEMORY)
}

fn open_untrusted(memory: &Memory) -> Result<Snapshot> {
    Index::open_in(Arc::new(memory.clone()), untrusted())?.snapshot()
}

/// Writes the index to a folder.
fn save(index: &Memory, folder: &Path) {
    for name in index.list().unwrap() {
        std::fs::write(folder.join(&name), &*index.bytes(&name).unwrap()).unwrap();
    }
}

fn segments_of(folder: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    let is_segment = |path: &std::path::PathBuf| path.to_string_lossy().contains("segment-");
    paths.filter(is_segment).collect()
}

#[test]
fn answers_are_those_of_an_index_that_is_trusted() {
    let index = build(300, 12);
    let snapshot = open_untrusted(&index).unwrap();
    for (question, answer) in questions(&open(&index).unwrap()) {
        assert_eq!(ask(&snapshot, &question).unwrap(), answer, "{question:?}");
    }
}

#[test]
fn files_that_change_or_become_shorter_change_no_answer() {
    let (index, folder) = (build(300, 12), tempfile::tempdir().unwrap());
    save(&index, folder.path());
    let all: Vec<(Question, _)> = questions(&open(&index).unwrap());
    let opened = Index::open_with(folder.path(), untrusted()).unwrap();
    let snapshot = opened.snapshot().unwrap();
    for (path, is_cut) in segments_of(folder.path())
        .into_iter()
        .zip([true, false].into_iter().cycle())
    {
        let length = std::fs::metadata(&path).unwrap().len();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(if is_cut { 100 } else { 0 }).unwrap();
        // Zeros, up to the length that it had.
        file.set_len(if is_cut { 100 } else { length }).unwrap();
    }
    for (question, answer) in all {
        assert_eq!(ask(&snapshot, &question).unwrap(), answer, "{question:?}");
    }
    // A copy is made of what was verified.
    let copy = Memory::new();
    snapshot.copy_to(&copy).unwrap();
    assert_eq!(open(&copy).unwrap().documents(), snapshot.documents());
    // Who opens it now gets an error, not a signal.
    let again = Index::open_with(folder.path(), untrusted())
        .unwrap()
        .snapshot();
    assert!(matches!(again, Err(Error::Corrupt { .. })), "{again:?}");
}

#[test]
fn what_the_check_refuses_is_refused_before_there_is_a_snapshot() {
    let index = build(120, 3);
    let names = index.list().unwrap().into_iter();
    let names: Vec<String> = names.filter(|name| name.starts_with("segment")).collect();
    // A change of one byte, with right checksums.
    let lie = (
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        any::<prop::sample::Index>(),
        1..=255_u8,
    );
    let only_the_check_sees = Cell::new(0);
    let config = ProptestConfig {
        cases: 400,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(1),
        ..ProptestConfig::default()
    };
    proptest!(config, |((name, section, place, change) in lie)| {
        let name = name.get(&names);
        let mut sections = sections(&index, name);
        let section = section.index(sections.len());
        let bytes = &mut sections[section].2;
        if !bytes.is_empty() {
            let place = place.index(bytes.len());
            bytes[place] ^= change;
        }
        let lying = with_sections(&index, name, &sections);
        let opened = open(&lying);
        let verified = opened.as_ref().is_ok_and(|snapshot| {
            (0..snapshot.segment_count()).all(|segment| snapshot.verify_segment(segment).is_ok())
        });
        only_the_check_sees.set(only_the_check_sees.get() + u32::from(opened.is_ok() && !verified));
        prop_assert_eq!(open_untrusted(&lying).is_ok(), verified);
    });
    assert!(
        only_the_check_sees.get() > 50,
        "{only_the_check_sees:?} cases"
    );
}

#[test]
fn an_untrusted_index_is_only_read() {
    let index = build(60, 3);
    let mut opened = Index::open_in(Arc::new(index.clone()), untrusted()).unwrap();
    let refused = |outcome: Result<()>| {
        let error = outcome.expect_err("it must be refused");
        assert!(matches!(error, Error::InvalidInput { .. }), "{error:?}");
        assert!(error.to_string().contains("untrusted"), "{error}");
    };
    refused(opened.writer().map(drop));
    refused(
        opened
            .change_schema(SchemaChange::new().drop_field("tag"))
            .map(drop),
    );
    let schema = Schema::builder().text("text", Text::new()).build().unwrap();
    refused(Index::create_in(Arc::new(Memory::new()), schema, untrusted()).map(drop));
    let copy = Memory::new();
    opened.snapshot().unwrap().copy_to(&copy).unwrap();
    let copied = Index::open_in(Arc::new(copy), IndexOptions::new()).unwrap();
    copied.writer().unwrap().commit().unwrap();
    let query = Query::text("text", "common");
    let options = SearchOptions::new(10);
    let found = |index: &Index| {
        index
            .snapshot()
            .unwrap()
            .search_with(&query, &options)
            .unwrap()
            .hits
    };
    assert_eq!(found(&copied).ids().unwrap(), found(&opened).ids().unwrap());
}

#[cfg(unix)]
#[test]
fn a_file_above_the_limit_of_memory_is_refused_before_it_is_read() {
    let (index, folder) = (build(60, 3), tempfile::tempdir().unwrap());
    save(&index, folder.path());
    let path = segments_of(folder.path()).remove(0);
    // A terabyte that takes no room on the disk of most systems.
    File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    let snapshot = Index::open_with(folder.path(), untrusted())
        .unwrap()
        .snapshot();
    let Err(Error::Limit { found, limit, .. }) = &snapshot else {
        panic!("expected the limit of memory, found {snapshot:?}");
    };
    assert!(*found > 1 << 40 && *limit == MEMORY);
    let little = IndexOptions::new().untrusted(1_000);
    let opened = Index::open_with(folder.path(), little).and_then(|index| index.snapshot());
    assert!(matches!(opened, Err(Error::Limit { .. })), "{opened:?}");
}

#[test]
fn new_commits_make_room_by_closing_what_only_the_index_holds() {
    let memory = Memory::new();
    let directory = Arc::new(memory.clone());
    let index = Index::create_in(
        directory.clone(),
        crate::walk::schema(),
        IndexOptions::new(),
    );
    let index = index.unwrap();
    let mut writer = index.writer().unwrap();
    let mut commit = |numbers: std::ops::Range<u32>| {
        numbers.for_each(|number| writer.add(crate::walk::document(number, 10)).unwrap());
        writer.commit().unwrap();
        writer.merge_to(1).unwrap();
        writer.commit().unwrap();
        let names = memory.list().unwrap().into_iter();
        names
            .map(|name| memory.bytes(&name).unwrap().len() as u64)
            .sum::<u64>()
    };
    commit(0..200);
    let bytes = commit(200..210);
    let options = IndexOptions::new().untrusted(bytes + bytes / 2);
    let theirs = Index::open_in(directory, options).unwrap();
    let first = theirs.snapshot().unwrap().documents();
    // Both commits do not fit at once: the first is closed, since nobody uses it.
    commit(210..220);
    assert_eq!((first, theirs.snapshot().unwrap().documents()), (210, 220));
    let kept = theirs.snapshot().unwrap();
    commit(220..230);
    let error = theirs.snapshot().unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    drop(kept);
    assert_eq!(theirs.snapshot().unwrap().documents(), 230);
}
