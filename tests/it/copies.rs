//! Copies of an index, and changes of its schema, interrupted at every operation on the directory.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use esparsa::internals::format::manifest::segment_file;
use esparsa::store::{Directory, Fault, Faulty, FileSystem, Memory};
use esparsa::{
    Column, Document, Error, Index, IndexOptions, IndexWriter, MergePolicy, Schema, SchemaChange,
    Snapshot, Text, WriterOptions,
};

use crate::contents::{Contents, contents};

fn schema() -> Schema {
    Schema::builder()
        .text("text", Text::new())
        .column("size", Column::i64())
        .stored("source")
        .build()
        .unwrap()
}

fn document(id: u32, version: u32) -> Document {
    Document::new(format!("id{id}"))
        .with_text("text", format!("common w{id} v{version}"))
        .with("size", i64::from(id))
        .with_stored("source", format!("{id}/{version}"))
}

fn writer(index: &Index) -> IndexWriter {
    let policy = MergePolicy::new().segments_per_tier(2);
    index
        .writer_with(WriterOptions::new().merge_policy(policy))
        .unwrap()
}

/// Three segments, of which two have deletes.
fn fill(index: &Index) -> Contents {
    let options = WriterOptions::new().merge_policy(MergePolicy::never());
    let mut writer = index.writer_with(options).unwrap();
    for round in 0..3 {
        (round * 10..round * 10 + 12).for_each(|id| writer.add(document(id, round)).unwrap());
        writer.commit().unwrap();
    }
    assert_eq!(index.snapshot().unwrap().segments().len(), 3);
    contents(&index.snapshot().unwrap())
}

fn opened(directory: &Arc<dyn Directory>) -> Option<Contents> {
    match Index::open_in(directory.clone(), IndexOptions::new()) {
        Ok(index) => Some(contents(&index.snapshot().unwrap())),
        Err(Error::NoIndex { .. }) => None,
        Err(error) => panic!("neither an index nor none: {error}"),
    }
}

#[test]
fn what_cannot_be_searched_as_one_is_refused() {
    let index = Index::in_memory(schema()).unwrap();
    fill(&index);
    let snapshot = index.snapshot().unwrap();
    let joined = Snapshot::joined([&snapshot, &snapshot]).unwrap();
    // Both documents of an id are there.
    assert_eq!(joined.documents(), 2 * snapshot.documents());
    assert!(!joined.is_committed());
    let refused = joined.copy_to(&Memory::new()).unwrap_err().to_string();
    assert!(refused.contains("found one of several"), "{refused}");

    let none = Snapshot::joined([]).unwrap_err();
    assert!(none.to_string().contains("found none"), "{none}");
    let other = Schema::builder().text("text", Text::new()).build().unwrap();
    let other = Index::in_memory(other).unwrap().snapshot().unwrap();
    let refused = Snapshot::joined([&snapshot, &snapshot, &other]).unwrap_err();
    assert!(refused.is_input());
    for part in ["number 3", "it lacks the field `size`"] {
        assert!(refused.to_string().contains(part), "{refused}");
    }
}

#[test]
fn an_index_goes_from_memory_to_disk_and_back() {
    let index = Index::in_memory(schema()).unwrap();
    let expected = fill(&index);
    let folder = tempfile::tempdir().unwrap();
    let on_disk = FileSystem::open(folder.path()).unwrap();
    let on_disk = index.copy_to(Arc::new(on_disk)).unwrap();
    let back = on_disk.copy_to(Arc::new(Memory::new())).unwrap();
    for copy in [&on_disk, &back] {
        let snapshot = copy.snapshot().unwrap();
        assert_eq!(contents(&snapshot), expected);
        assert_eq!(snapshot.commit(), index.snapshot().unwrap().commit());
    }
    // Each goes on by itself.
    let mut writer = writer(&back);
    writer.delete("id0").unwrap();
    writer.add(document(50, 9)).unwrap();
    writer.merge_to(1).unwrap();
    assert_eq!(writer.commit().unwrap().documents, expected.len() as u64);
    for index in [&index, &on_disk] {
        assert_eq!(contents(&index.snapshot().unwrap()), expected);
    }
    drop(writer);
    assert!(contents(&back.snapshot().unwrap()).contains_key("id50"));
}

#[test]
fn a_copy_of_what_a_writer_holds_has_its_changes() {
    let index = Index::in_memory(schema()).unwrap();
    let mut expected = fill(&index);
    let mut open = writer(&index);
    open.delete("id3").unwrap();
    open.add(document(60, 1)).unwrap();
    expected.remove("id3");
    expected.insert("id60".into(), "60/1".into());
    let snapshot = open.refresh().unwrap();
    drop(open);
    let copy: Arc<dyn Directory> = Arc::new(Memory::new());
    snapshot.copy_to(&*copy).unwrap();
    assert_eq!(opened(&copy).unwrap(), expected);
    // It can be written to.
    let copy = Index::open_in(copy, IndexOptions::new()).unwrap();
    let mut writer = writer(&copy);
    writer.add(document(61, 1)).unwrap();
    assert_eq!(
        writer.commit().unwrap().documents,
        expected.len() as u64 + 1
    );
}

#[cfg(unix)]
#[test]
fn a_backup_on_the_same_file_system_shares_the_files() {
    use std::os::unix::fs::MetadataExt;

    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(folder.path().join("index"), schema()).unwrap();
    let expected = fill(&index);
    let snapshot = index.snapshot().unwrap();
    let backup = folder.path().join("deep/backup");
    snapshot.backup(&backup).unwrap();
    for segment in snapshot.segments() {
        let name = segment_file(segment.entry.number);
        assert_eq!(std::fs::metadata(backup.join(name)).unwrap().nlink(), 2);
    }
    // The index removes its names alone.
    let mut writer = writer(&index);
    (0..40).for_each(|id| writer.delete(&format!("id{id}")).unwrap());
    writer.commit().unwrap();
    let copy = Index::open(&backup).unwrap();
    assert_eq!(contents(&copy.snapshot().unwrap()), expected);
    // Of a snapshot whose files are gone, what it holds open is copied.
    snapshot.backup(folder.path().join("later")).unwrap();
    let later = Index::open(folder.path().join("later")).unwrap();
    assert_eq!(contents(&later.snapshot().unwrap()), expected);
}

#[test]
fn backups_are_whole_while_a_writer_works() {
    let folder = tempfile::tempdir().unwrap();
    let index = Index::create(folder.path().join("index"), schema()).unwrap();
    fill(&index);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let work = scope.spawn(|| {
            let mut writer = writer(&index);
            let mut round = 3;
            while !done.load(Ordering::Relaxed) {
                (0..20).for_each(|id| writer.add(document(id * round % 50, round)).unwrap());
                writer.delete(&format!("id{}", round % 50)).unwrap();
                writer.commit().unwrap();
                round += 1;
            }
            round
        });
        for number in 0..30 {
            let snapshot = index.snapshot().unwrap();
            let backup = folder.path().join(format!("backup-{number}"));
            snapshot.backup(&backup).unwrap();
            let copy = Index::open(&backup).unwrap().snapshot().unwrap();
            assert_eq!(contents(&copy), contents(&snapshot));
            assert_eq!(copy.commit(), snapshot.commit());
        }
        done.store(true, Ordering::Relaxed);
        assert!(work.join().unwrap() > 5);
    });
}

#[test]
fn a_directory_with_files_of_an_index_is_refused() {
    let index = Index::in_memory(schema()).unwrap();
    fill(&index);
    let snapshot = index.snapshot().unwrap();
    let other = Memory::new();
    snapshot.copy_to(&other).unwrap();
    let message = snapshot.copy_to(&other).unwrap_err().to_string();
    assert!(message.contains("already holds an index"), "{message}");
    let left = Memory::new();
    left.overwrite("segment-0000000001", b"left".to_vec());
    let message = snapshot.copy_to(&left).unwrap_err().to_string();
    assert!(message.contains("segment-0000000001"), "{message}");
    assert_eq!(left.list().unwrap(), ["segment-0000000001"]);
    let locked = Memory::new();
    let _lock = locked.lock().unwrap();
    let refused = snapshot.copy_to(&locked);
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
}

#[test]
fn a_copy_that_is_interrupted_anywhere_is_no_index_or_whole() {
    let index = Index::in_memory(schema()).unwrap();
    let expected = fill(&index);
    let snapshot = index.snapshot().unwrap();
    let whole = Faulty::new(Fault::None);
    snapshot.copy_to(&whole).unwrap();
    let operations = whole.operations();
    assert!(operations > 20, "{operations}");
    let faults = (0..operations).flat_map(|at| [Fault::StopAt(at), Fault::FailOnce(at)]);
    let mut failed = 0;
    for fault in faults.chain([Fault::None]) {
        let directory = Faulty::new(fault);
        let copied = snapshot.copy_to(&directory);
        failed += u64::from(copied.is_err());
        for (names, content) in [(false, false), (false, true), (true, false), (true, true)] {
            let left: Arc<dyn Directory> = Arc::new(directory.after_crash(names, content));
            match opened(&left) {
                Some(found) => assert_eq!(found, expected, "{fault:?}"),
                None => assert!(copied.is_err(), "{fault:?}: {copied:?} left no index"),
            }
        }
        // After one failed operation, the copy can be made again where nothing of it is left.
        let left = directory.after_crash(true, true);
        if matches!(fault, Fault::FailOnce(_)) && left.list().unwrap().is_empty() {
            snapshot.copy_to(&left).unwrap();
            assert_eq!(
                opened(&(Arc::new(left) as Arc<dyn Directory>)),
                Some(expected.clone())
            );
        }
    }
    assert!(failed > operations, "{failed} of {operations}");
}

#[test]
fn a_change_of_the_schema_is_there_completely_or_not_at_all() {
    let source = Index::in_memory(schema()).unwrap();
    let expected = fill(&source);
    let change = || {
        let change = SchemaChange::new().drop_field("size");
        change
            .add_field("size", Column::keyword())
            .add_field("year", Column::date())
    };
    let run = |fault| {
        let whole = Memory::new();
        source.snapshot().unwrap().copy_to(&whole).unwrap();
        let directory = Faulty::with_files(fault, &whole).unwrap();
        let opened = Index::open_in(Arc::new(directory.clone()), IndexOptions::new());
        let changed = opened.and_then(|mut index| index.change_schema(change()));
        (directory, changed)
    };
    let operations = run(Fault::None).0.operations();
    let faults = (0..operations).flat_map(|at| [Fault::StopAt(at), Fault::FailOnce(at)]);
    let (mut before, mut after) = (0, 0);
    for fault in faults.chain([Fault::None]) {
        let (directory, changed) = run(fault);
        for (names, content) in [(false, false), (false, true), (true, false), (true, true)] {
            let left: Arc<dyn Directory> = Arc::new(directory.after_crash(names, content));
            assert_eq!(opened(&left), Some(expected.clone()), "{fault:?}");
            let mut index = Index::open_in(left, IndexOptions::new()).unwrap();
            let fields = index.schema().fields().iter();
            let fields: Vec<_> = fields.map(|f| (f.number, f.name.as_str())).collect();
            let is_changed = fields == [(0, "text"), (2, "source"), (3, "size"), (4, "year")];
            if is_changed {
                after += 1;
            } else {
                assert_eq!(
                    fields,
                    [(0, "text"), (1, "size"), (2, "source")],
                    "{fault:?}"
                );
                assert!(changed.is_err(), "{fault:?}");
                before += 1;
                // It can be made again.
                index.change_schema(change()).unwrap();
            }
            let mut writer = writer(&index);
            writer
                .add(Document::new("new").with("size", "large"))
                .unwrap();
            writer.merge_to(1).unwrap();
            writer.commit().unwrap();
            drop(writer);
            assert_eq!(
                contents(&index.snapshot().unwrap()).len(),
                expected.len() + 1
            );
        }
    }
    assert!(before > 10 && after > 10, "{before} before, {after} after");
}
