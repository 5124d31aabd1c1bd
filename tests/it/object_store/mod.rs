//! Indexes in an object store: equal to local ones, with faults and races.

mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use esparsa::store::{Directory, Memory, ObjectStore, ObjectStoreOptions};
use esparsa::{
    Column, Document, Error, Index, IndexOptions, Query, Result, Schema, Snapshot, Sparse, Text,
    Verify, WriterOptions,
};

use self::store::{FAULTS, Fault, TestStore, When};
use crate::random::Random;

const FOLDER: &str = "a/index";

fn schema() -> Schema {
    Schema::builder()
        .text("text", Text::new().positions())
        .sparse("splade", Sparse::new())
        .column("year", Column::i64())
        .stored("source")
        .build()
        .unwrap()
}

/// Words of which a few are frequent and most are rare.
fn document(random: &mut Random, number: u64) -> Document {
    let mut word = || {
        let spread = 2 << random.below(16);
        format!("w{}", random.below(spread))
    };
    let words: Vec<String> = (0..40).map(|_| word()).collect();
    let terms: Vec<(String, f32)> = (0..20).map(|place| (word(), place as f32 + 0.5)).collect();
    let terms: BTreeMap<&str, f32> = terms.iter().map(|(t, w)| (t.as_str(), *w)).collect();
    Document::new(format!("document-{number}"))
        .with_text("text", words.join(" "))
        .with_sparse("splade", terms)
        .with_stored("source", words.join("+"))
        .with("year", 1900 + (number % 120) as i64)
}

fn options() -> ObjectStoreOptions {
    ObjectStoreOptions::new()
        .refresh(Duration::ZERO)
        .timeout(Duration::from_millis(30))
}

fn open_directory(store: &TestStore, options: ObjectStoreOptions) -> Arc<ObjectStore> {
    Arc::new(ObjectStore::new(Arc::new(store.clone()), FOLDER, options).unwrap())
}

/// The same history in any directory: several commits, replaced and deleted documents, merges.
fn build(directory: Arc<dyn Directory>, documents: u64) -> Result<Index> {
    let index = Index::create_in(directory, schema(), IndexOptions::new())?;
    let mut random = Random(documents);
    let mut writer = index.writer_with(WriterOptions::new().threads(1))?;
    for number in 0..documents {
        writer.add(document(&mut random, number))?;
        if number % (documents / 3).max(1) == documents / 4 {
            writer.commit()?;
        }
    }
    for number in (0..documents).step_by(17) {
        writer.delete(&format!("document-{number}"))?;
    }
    writer.commit()?;
    writer.merge_to(2)?;
    writer.commit()?;
    drop(writer);
    Ok(index)
}

fn queries() -> Vec<Query> {
    let words = |words: &str| Query::text("text", words);
    vec![
        words("w1 w20 w300"),
        words("w5"),
        words("w0 w2").with_filter(Query::range("year", 1910..1950)),
        Query::phrase("text", "w1 w2"),
        Query::sparse("splade", [("w3", 1.5), ("w40", 0.5), ("w500", 2.0)]),
        Query::prefix("text", "w12"),
    ]
}

/// Everything that the queries find: ids, scores and stored documents.
fn answers(snapshot: &Snapshot) -> Result<Vec<String>> {
    let mut answers = Vec::new();
    for query in queries() {
        let hits = snapshot.search(&query, 10)?;
        let ids = hits.ids()?;
        let scores = hits.iter().map(|hit| hit.score.to_bits());
        let scores: Vec<u32> = scores.collect();
        let first = ids.first().map(|id| snapshot.get(id)).transpose()?;
        answers.push(format!(
            "{} {ids:?} {scores:?} {first:?}",
            snapshot.count(&query)?
        ));
    }
    Ok(answers)
}

fn local_answers(documents: u64) -> Vec<String> {
    let index = build(Arc::new(Memory::new()), documents).unwrap();
    answers(&index.snapshot().unwrap()).unwrap()
}

fn open(store: &TestStore, options: ObjectStoreOptions) -> Result<Index> {
    Index::open_in(open_directory(store, options), IndexOptions::new())
}

#[test]
fn an_index_in_a_store_answers_as_a_local_one() {
    for documents in [30, 3_000, 20_000] {
        let store = TestStore::new();
        let expected = local_answers(documents);
        let index = build(open_directory(&store, options()), documents).unwrap();
        assert_eq!(answers(&index.snapshot().unwrap()).unwrap(), expected);
        // From the store alone, and again from the cache.
        let folder = tempfile::tempdir().unwrap();
        let cached = || options().cache(folder.path());
        for _ in 0..2 {
            let snapshot = open(&store, cached()).unwrap().snapshot().unwrap();
            assert_eq!(answers(&snapshot).unwrap(), expected);
        }
        // The second time, nothing but the listing, the manifest and short files was read.
        store.take_log();
        let snapshot = open(&store, cached()).unwrap().snapshot().unwrap();
        answers(&snapshot).unwrap();
        let log = store.take_log();
        let long = log.iter().filter(|request| {
            let is_long = |name: &str| store.objects()[name].len() > 256 << 10;
            request.starts_with("get") && request.split(' ').nth(1).is_some_and(is_long)
        });
        assert_eq!(long.count(), 0, "{log:#?}");
        esparsa::internals::segment::verify(&snapshot.segments()[0].reader).unwrap();
    }
}

/// An index of one segment, and one of several.
fn of_one_segment(documents: u64) -> TestStore {
    let store = TestStore::new();
    let index = build(open_directory(&store, options()), documents).unwrap();
    let mut writer = index.writer().unwrap();
    writer.merge_to(1).unwrap();
    writer.commit().unwrap();
    store.take_log();
    store
}

#[test]
fn one_read_opens_a_segment_and_a_query_reads_little_more() {
    let store = of_one_segment(20_000);
    let index = open(&store, options().refresh(Duration::from_secs(60))).unwrap();
    let log = store.take_log();
    assert_eq!((log.len(), &*log[0]), (2, "list"), "{log:#?}");
    let snapshot = index.snapshot().unwrap();
    let log = store.take_log();
    assert_eq!(log.len(), 1, "{log:#?}");
    snapshot.search(&queries()[0], 10).unwrap().ids().unwrap();
    let log = store.take_log();
    // The dictionary, the lengths, three lists; the ids are in the end, which is there.
    assert!(log.len() <= 6, "{log:#?}");
    // The same query needs nothing.
    snapshot.search(&queries()[0], 10).unwrap().ids().unwrap();
    assert_eq!(store.take_log(), Vec::<String>::new());
}

/// A fault at every request of opening and searching: the answers are right, or there is an error.
#[test]
fn a_fault_of_any_request_ends_in_a_right_answer_or_an_error() {
    let built = TestStore::new();
    build(open_directory(&built, options()), 3_000).unwrap();
    let expected = local_answers(3_000);
    let read = |store: &TestStore| {
        let options = options().attempts(3);
        answers(&open(store, options)?.snapshot()?)
    };
    built.fail(Fault::Refused, When::Never);
    assert_eq!(read(&built).unwrap(), expected);
    let requests = built.requests();
    for fault in FAULTS {
        for at in 0..requests {
            // What fails once is tried again.
            built.fail(fault, When::Once(at));
            match read(&built) {
                Ok(found) => assert_eq!(found, expected, "{fault:?} at request {at}"),
                // What has no checksum of its own is not read twice.
                Err(Error::Corrupt { .. }) if fault == Fault::BitFlipped => {}
                Err(error) => panic!("{fault:?} at request {at}: {error}"),
            }
            built.fail(fault, When::From(at));
            let found = read(&built);
            let slow = fault == Fault::TooSlow;
            assert!(found.is_err() || slow, "{fault:?} from request {at}");
        }
    }
}

/// A fault at every request of building: what is committed is whole, and no fault that passes
/// loses a document.
#[test]
fn a_fault_while_building_leaves_an_index_that_is_whole() {
    let expected = local_answers(60);
    let built = TestStore::new();
    build(open_directory(&built, options()), 60).unwrap();
    let requests = built.requests();
    for fault in [Fault::Refused, Fault::AnswerLost] {
        for at in 0..requests {
            let store = TestStore::new();
            store.fail(fault, When::Once(at));
            let index = build(open_directory(&store, options().attempts(3)), 60);
            let found = answers(&index.unwrap().snapshot().unwrap()).unwrap();
            assert_eq!(found, expected, "{fault:?} at request {at}");

            let store = TestStore::new();
            store.fail(fault, When::From(at));
            let failed = build(open_directory(&store, options().attempts(1)), 60);
            let reads = failed.and_then(|index| index.snapshot()).map(drop);
            store.fail(fault, When::Never);
            assert!(reads.is_err(), "{fault:?} from request {at}");
            match open(&store, options()) {
                // Every file that the newest commit names is there.
                Ok(index) => drop(answers(&index.snapshot().unwrap()).unwrap()),
                Err(Error::NoIndex { .. }) => {}
                Err(error) => panic!("{fault:?} from request {at}: {error}"),
            }
        }
    }
}

fn add(writer: &mut esparsa::IndexWriter, id: &str) {
    writer
        .add(Document::new(id).with_text("text", "w1 lava"))
        .unwrap();
}

fn ids(store: &TestStore) -> Vec<String> {
    let snapshot = open(store, options()).unwrap().snapshot().unwrap();
    let hits = snapshot.search(&Query::text("text", "lava"), 100).unwrap();
    let mut ids = hits.ids().unwrap();
    ids.sort_unstable();
    ids
}

#[test]
fn of_two_writers_that_commit_at_once_one_fails_and_takes_nothing_away() {
    // Without a delay, each removes what it thinks is unused as soon as it may.
    for delay in [Duration::ZERO, Duration::from_secs(600)] {
        let store = TestStore::new();
        let options = || options().keep_removed(delay);
        let created = Index::create_in(
            open_directory(&store, options()),
            schema(),
            IndexOptions::new(),
        );
        let mut first = created.unwrap().writer().unwrap();
        let mut second = open(&store, options()).unwrap().writer().unwrap();
        add(&mut first, "first");
        add(&mut second, "second");
        first.commit().unwrap();
        let error = second.commit().unwrap_err().to_string();
        assert!(error.contains("another writer"), "{error}");
        assert!(second.commit().is_err(), "a writer that lost goes on");
        drop(second);
        assert_eq!(ids(&store), ["first"]);
        // One that opened before several other commits loses too, although its number is free.
        let mut late = open(&store, options()).unwrap().writer().unwrap();
        add(&mut late, "late");
        for id in ["a", "b", "c"] {
            add(&mut first, id);
            first.commit().unwrap();
        }
        let error = late.commit().unwrap_err().to_string();
        assert!(error.contains("another writer"), "{error}");
        drop(late);
        add(&mut first, "d");
        first.commit().unwrap();
        assert_eq!(ids(&store), ["a", "b", "c", "d", "first"]);
    }
}

#[test]
fn files_of_older_commits_stay_for_their_readers_and_then_go() {
    let store = TestStore::new();
    let keep = |delay| open_directory(&store, options().keep_removed(delay));
    let index = build(keep(Duration::from_secs(600)), 3_000).unwrap();
    let reader = open(&store, options()).unwrap().snapshot().unwrap();
    let mut writer = index.writer().unwrap();
    writer.merge_to(1).unwrap();
    add(&mut writer, "new");
    writer.commit().unwrap();
    drop(writer);
    assert_eq!(answers(&reader).unwrap(), local_answers(3_000));
    let before = store.objects().len();
    // A writer without a delay removes them with its next commit.
    let index = Index::open_in(keep(Duration::ZERO), IndexOptions::new()).unwrap();
    let old = open(&store, options()).unwrap().snapshot().unwrap();
    let mut writer = index.writer().unwrap();
    add(&mut writer, "newer");
    writer.merge_to(1).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let names: Vec<String> = store.objects().into_keys().collect();
    assert!(names.len() < before && names.len() <= 3, "{names:?}");
    // A snapshot that was not read yet says what is missing.
    match answers(&old) {
        Err(Error::Io { source, .. }) => assert_eq!(source.kind(), std::io::ErrorKind::NotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn damage_in_the_cache_is_repaired_and_damage_in_the_store_is_reported() {
    let store = of_one_segment(20_000);
    let folder = tempfile::tempdir().unwrap();
    let cached = || options().cache(folder.path());
    let read = || answers(&open(&store, cached())?.snapshot()?);
    let expected = read().unwrap();
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.iter_mut().step_by(1_000).for_each(|byte| *byte ^= 1);
        std::fs::write(&path, bytes).unwrap();
    }
    assert_eq!(read().unwrap(), expected);
    let (name, mut bytes) = store
        .objects()
        .into_iter()
        .max_by_key(|(_, b)| b.len())
        .unwrap();
    let end = bytes.len() - (256 << 10);
    bytes[64..end]
        .iter_mut()
        .step_by(1_000)
        .for_each(|byte| *byte ^= 1);
    store.overwrite(&name, bytes);
    let error = answers(&open(&store, options()).unwrap().snapshot().unwrap()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_cache_that_is_too_small_holds_no_more_than_its_limit() {
    let store = of_one_segment(20_000);
    let expected = answers(&open(&store, options()).unwrap().snapshot().unwrap()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let limit = 1 << 20;
    let index = open(&store, options().cache(folder.path()).cache_bytes(limit)).unwrap();
    for _ in 0..3 {
        // Each query takes a snapshot, as an application does.
        let query = |query: &Query| {
            let snapshot = index.snapshot().unwrap();
            snapshot.search(query, 10).unwrap().ids().unwrap()
        };
        queries().iter().for_each(|q| drop(query(q)));
        assert_eq!(answers(&index.snapshot().unwrap()).unwrap(), expected);
        let used: u64 = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap())
            .map(|metadata| std::os::unix::fs::MetadataExt::blocks(&metadata) * 512)
            .sum();
        assert!(used <= limit, "{used}");
    }
}

#[test]
fn an_index_is_copied_and_attached_inside_a_store() {
    let store = TestStore::new();
    let shared: Arc<dyn object_store::ObjectStore> = Arc::new(store.clone());
    let at = |folder: &str| {
        Arc::new(
            ObjectStore::new(
                shared.clone(),
                folder,
                options().refresh(Duration::from_secs(60)),
            )
            .unwrap(),
        )
    };
    let source = build(at("part"), 3_000).unwrap();
    store.take_log();
    let target = Index::create_in(at("whole"), schema(), IndexOptions::new()).unwrap();
    let mut writer = target.writer().unwrap();
    writer.attach_in(at("part"), Verify::default()).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let log = store.take_log();
    let copies = log.iter().filter(|request| request.starts_with("copy"));
    assert_eq!(
        copies.count(),
        source.snapshot().unwrap().segments().len(),
        "{log:#?}"
    );
    assert_eq!(
        answers(&target.snapshot().unwrap()).unwrap(),
        answers(&source.snapshot().unwrap()).unwrap()
    );
}

#[test]
fn writers_that_commit_once_remove_what_is_old_too() {
    let store = TestStore::new();
    let options = || options().keep_removed(Duration::from_millis(300));
    let directory = open_directory(&store, options());
    let created = Index::create_in(directory, schema(), IndexOptions::new());
    drop(created.unwrap());
    for round in 0..6 {
        let index = open(&store, options()).unwrap();
        let mut writer = index.writer().unwrap();
        add(&mut writer, &round.to_string());
        writer.merge_to(1).unwrap();
        writer.commit().unwrap();
        drop(writer);
        std::thread::sleep(Duration::from_millis(200));
    }
    let names: Vec<String> = store.objects().into_keys().collect();
    let manifests = names.iter().filter(|name| name.contains("manifest"));
    assert!(manifests.count() <= 3 && names.len() <= 8, "{names:?}");
    assert_eq!(ids(&store).len(), 6);
}

#[test]
fn a_request_that_panics_ends_in_an_error() {
    let store = of_one_segment(20_000);
    let snapshot = open(&store, options()).unwrap().snapshot().unwrap();
    store.fail(Fault::Panics, When::From(0));
    assert!(answers(&snapshot).is_err());
    store.fail(Fault::Panics, When::Never);
    assert!(answers(&snapshot).is_ok());
}
