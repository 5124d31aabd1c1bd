use std::sync::Arc;

use super::*;
use crate::Text;
use crate::index::{MergePolicy, OnDuplicate};
use crate::store::{Gate, Memory};

fn schema() -> Schema {
    Schema::builder()
        .text("text", Text::new())
        .stored("source")
        .build()
        .unwrap()
}

fn options(segments_per_tier: usize) -> WriterOptions {
    WriterOptions::new()
        // Deterministic: merges run only when a test waits for them.
        .merge_threads(0)
        .merge_policy(MergePolicy::new().segments_per_tier(segments_per_tier))
}

fn add(writer: &mut IndexWriter, ids: impl IntoIterator<Item = u32>, version: u32) {
    for id in ids {
        let text = format!("common w{id} v{version}");
        let document = Document::new(format!("id{id:03}")).with_text("text", text);
        writer.add(document).unwrap();
    }
}

/// Number of live documents of each version.
fn versions(index: &Index, versions: &[u32]) -> Vec<u64> {
    let snapshot = index.snapshot().unwrap();
    let count = |version| {
        let query = crate::Query::text("text", format!("v{version}"));
        snapshot.search(&query, 10_000).unwrap().len() as u64
    };
    versions.iter().copied().map(count).collect()
}

#[test]
fn reindexing_the_same_corpus_replaces_documents_of_merged_segments() {
    for merge_threads in [0, 1] {
        let index = Index::in_memory(schema()).unwrap();
        let options = options(3)
            .merge_threads(merge_threads)
            .on_duplicate(OnDuplicate::Reject);
        let mut writer = index.writer_with(options.clone()).unwrap();
        for start in [0, 10] {
            add(&mut writer, start..start + 10, 1);
            writer.commit().unwrap();
        }
        drop(writer);
        let mut writer = index.writer_with(options).unwrap();
        add(&mut writer, 0..5, 2);
        // Two committed segments and a new one become one.
        writer.wait_for_merges().unwrap();
        assert_eq!(writer.segments.all().len(), 1);
        add(&mut writer, 5..20, 2);
        writer.wait_for_merges().unwrap();
        assert!(writer.take_errors().is_empty());
        // Ids of this load are duplicates, in any segment.
        add(&mut writer, [3, 17], 3);
        writer.wait_for_merges().unwrap();
        assert_eq!(writer.take_errors().len(), 2);
        assert_eq!(writer.commit().unwrap().documents, 20);
        assert_eq!(versions(&index, &[1, 2, 3]), [0, 20, 0]);
        // After a commit they are not.
        add(&mut writer, [3, 17], 4);
        writer.commit().unwrap();
        assert!(writer.take_errors().is_empty());
        assert_eq!(versions(&index, &[2, 4]), [18, 2]);
    }
}

#[test]
fn a_document_deleted_and_added_again_in_one_load_is_no_duplicate() {
    let index = Index::in_memory(schema()).unwrap();
    let options = options(3).on_duplicate(OnDuplicate::Reject);
    let mut writer = index.writer_with(options).unwrap();
    add(&mut writer, 0..100, 1);
    writer.wait_for_merges().unwrap();
    for id in 0..100 {
        writer.delete(&format!("id{id:03}")).unwrap();
    }
    add(&mut writer, 0..100, 2);
    assert_eq!(writer.commit().unwrap().documents, 100);
    assert!(writer.take_errors().is_empty());
    assert_eq!(versions(&index, &[1, 2]), [0, 100]);
}

#[test]
fn merges_of_segments_that_are_being_merged_lose_nothing() {
    let index = Index::in_memory(schema()).unwrap();
    let mut writer = index.writer_with(options(2)).unwrap();
    for round in 0..20 {
        add(&mut writer, round * 5..round * 5 + 5, 1);
        if round > 0 {
            writer.delete(&format!("id{:03}", round * 5 - 1)).unwrap();
        }
        let documents = writer.commit().unwrap().documents;
        assert_eq!(documents, u64::from(round * 5 + 5 - round));
    }
    // No merge has run so far.
    assert!(index.snapshot().unwrap().segments().len() > 15);
    writer.wait_for_merges().unwrap();
    writer.commit().unwrap();
    assert!(index.snapshot().unwrap().segments().len() < 5);
    assert_eq!(versions(&index, &[1]), [81]);
}

#[test]
fn a_merge_over_a_limit_changes_nothing_and_does_not_poison_the_writer() {
    let index = Index::in_memory(schema()).unwrap();
    let mut writer = index.writer_with(options(2)).unwrap();
    for round in 0..4 {
        add(&mut writer, round * 5..round * 5 + 5, 1);
        writer.commit().unwrap();
    }
    // The merge of all four waits for two others, of which one fails.
    let failed = *writer.merging.iter().next().unwrap();
    writer.end_merge(failed, Err(Error::limit("documents", 2, 1)));
    writer.delete("id007").unwrap();
    let error = writer.wait_for_merges().unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    writer.wait_for_merges().unwrap();
    assert_eq!(writer.commit().unwrap().documents, 19);
    assert_eq!(versions(&index, &[1]), [19]);
    drop(writer);
    let mut writer = index.writer_with(options(2)).unwrap();
    add(&mut writer, 20..25, 2);
    writer.commit().unwrap();
    writer.merge_to(1).unwrap();
    assert_eq!(writer.commit().unwrap().documents, 24);
}

#[test]
fn a_record_over_a_limit_is_refused_alone() {
    let index = Index::in_memory(schema()).unwrap();
    let mut writer = index.writer_with(options(2)).unwrap();
    add(&mut writer, 0..3, 1);
    // As JSON every line end takes two bytes, so that this is more than a block of stored
    // documents.
    let large = Document::new("large").with_text("text", "\n".repeat(40 << 20));
    let error = writer.add(large).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    add(&mut writer, 3..5, 1);
    assert_eq!(writer.commit().unwrap().documents, 5);
}

fn gated_index() -> (Gate, Index) {
    let gate = Gate::default();
    let index = Index::create_in(Arc::new(gate.clone()), schema(), IndexOptions::new());
    (gate, index.unwrap())
}

fn with_a_merge_thread(segments_per_tier: usize) -> WriterOptions {
    options(segments_per_tier).merge_threads(1)
}

#[test]
fn commits_do_not_wait_for_merges() {
    let (gate, index) = gated_index();
    let mut writer = index.writer_with(with_a_merge_thread(3)).unwrap();
    for round in 0..12 {
        add(&mut writer, [round], 1);
        let report = writer.commit().unwrap();
        assert_eq!(report.segments, round as usize + 1);
    }
    gate.open_gate();
    writer.wait_for_merges().unwrap();
    assert!(writer.commit().unwrap().segments <= 4);
    assert_eq!(versions(&index, &[1]), [12]);
}

#[test]
fn a_dropped_writer_does_not_wait_for_a_merge_which_then_writes_no_file() {
    let (gate, index) = gated_index();
    let mut writer = index.writer_with(with_a_merge_thread(2)).unwrap();
    for round in 0..2 {
        add(&mut writer, [round], 1);
        writer.commit().unwrap();
    }
    gate.wait_until(|state| state.created == 1);
    drop(writer);
    // The next writer uses the same file numbers again.
    let mut writer = index.writer_with(options(0)).unwrap();
    for round in 2..5 {
        add(&mut writer, [round], 1);
        writer.commit().unwrap();
    }
    let files = || {
        let names = gate.memory().list().unwrap().into_iter();
        let file = |name: String| (gate.memory().bytes(&name).unwrap(), name);
        names.map(file).collect::<Vec<_>>()
    };
    let before = files();
    gate.open_gate();
    gate.wait_until(|state| state.closed == 1);
    add(&mut writer, [5], 1);
    assert_eq!(files(), before);
    assert_eq!(writer.commit().unwrap().documents, 6);
    assert_eq!(versions(&index, &[1]), [6]);
}

#[test]
fn a_rollback_waits_for_no_merge() {
    let (gate, index) = gated_index();
    let mut writer = index.writer_with(with_a_merge_thread(2)).unwrap();
    for round in 0..2 {
        add(&mut writer, [round], 1);
        writer.commit().unwrap();
    }
    gate.wait_until(|state| state.created == 1);
    writer.rollback().unwrap();
    gate.open_gate();
    gate.wait_until(|state| state.closed == 1);
    writer.wait_for_merges().unwrap();
    assert_eq!(writer.commit().unwrap().segments, 1);
    assert_eq!(versions(&index, &[1]), [2]);
}

#[test]
fn a_failed_merge_is_abandoned_and_its_error_is_returned_once() {
    let index = Index::in_memory(schema()).unwrap();
    let mut writer = index.writer_with(options(2)).unwrap();
    for round in 0..2 {
        add(&mut writer, [round], 1);
        writer.commit().unwrap();
    }
    let failed = *writer.merging.iter().next().unwrap();
    writer.pool.clear_merges();
    writer.end_merge(
        failed,
        Err(Error::corrupt("segment", "terms", 0, "damaged")),
    );
    add(&mut writer, [2], 1);
    // A commit does not return its error, and `merge_to` has its own result.
    assert_eq!(writer.commit().unwrap().documents, 3);
    writer.merge_to(1).unwrap();
    assert_eq!(writer.commit().unwrap().segments, 1);
    let error = writer.wait_for_merges().unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    writer.wait_for_merges().unwrap();
}

#[test]
fn extreme_options_neither_deadlock_nor_overflow() {
    for segments_per_tier in [0, 1, usize::MAX] {
        let index = Index::in_memory(schema()).unwrap();
        let mut writer = index.writer_with(options(segments_per_tier)).unwrap();
        for round in 0..3 {
            add(&mut writer, [round], 1);
            writer.commit().unwrap();
        }
        writer.wait_for_merges().unwrap();
        assert_eq!(writer.commit().unwrap().segments, 3);
    }
    let index = Index::in_memory(schema()).unwrap();
    let too_many = options(2).merge_threads(1_025);
    assert!(index.writer_with(too_many).is_err());
}

#[test]
fn a_load_of_deletes_alone_does_not_pile_up() {
    let index = Index::in_memory(schema()).unwrap();
    let with_threads = options(2).threads(2);
    let mut writer = index.writer_with(with_threads).unwrap();
    for id in 0..2_000 {
        add(&mut writer, [id], 1);
        writer.delete(&format!("id{id:03}")).unwrap();
        assert!(
            writer.arrived.len() <= MAX_ARRIVED,
            "{}",
            writer.arrived.len()
        );
    }
    assert_eq!(writer.commit().unwrap().documents, 0);
}

#[test]
fn a_dropped_writer_leaves_no_file_that_its_commit_does_not_name() {
    let memory = Memory::new();
    let index = Index::create_in(Arc::new(memory.clone()), schema(), IndexOptions::new()).unwrap();
    let mut writer = index.writer_with(options(2)).unwrap();
    add(&mut writer, 0..3, 1);
    writer.commit().unwrap();
    let before = memory.list().unwrap();
    add(&mut writer, 3..6, 1);
    writer.wait_for_merges().unwrap();
    assert_ne!(memory.list().unwrap(), before);
    drop(writer);
    assert_eq!(memory.list().unwrap(), before);
}

#[test]
fn a_damaged_newest_commit_is_an_error_unless_an_older_one_is_accepted() {
    let memory = Memory::new();
    let directory = || Arc::new(memory.clone()) as Arc<dyn Directory>;
    let index = Index::create_in(directory(), schema(), IndexOptions::new()).unwrap();
    let mut writer = index.writer_with(options(0)).unwrap();
    add(&mut writer, 0..3, 1);
    writer.commit().unwrap();
    let older = (
        "manifest-0000000002",
        memory.bytes("manifest-0000000002").unwrap(),
    );
    add(&mut writer, 3..6, 1);
    writer.commit().unwrap();
    drop(writer);
    // The older manifest exists again, as after a removal that did not reach the disk.
    memory.overwrite(older.0, older.1.to_vec());
    let mut damaged = memory.bytes("manifest-0000000003").unwrap().to_vec();
    damaged[70] ^= 1;
    memory.overwrite("manifest-0000000003", damaged);
    let files = memory.list().unwrap();

    let error = Index::open_in(directory(), IndexOptions::new()).unwrap_err();
    let message = error.to_string();
    let older_commit = Some(2);
    assert!(
        matches!(error, Error::Corrupt { older_commit: found, .. } if found == older_commit),
        "{message}"
    );
    assert!(message.contains("accept_older_commit"), "{message}");
    let error = index.snapshot().unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    assert!(index.writer().is_err());
    assert_eq!(memory.list().unwrap(), files);

    let accepting = IndexOptions::new().accept_older_commit();
    let index = Index::open_in(directory(), accepting).unwrap();
    assert_eq!(index.snapshot().unwrap().documents(), 3);
    let mut writer = index.writer().unwrap();
    add(&mut writer, [9], 1);
    let report = writer.commit().unwrap();
    assert_eq!((report.commit, report.documents), (4, 4));
    let index = Index::open_in(directory(), IndexOptions::new()).unwrap();
    assert_eq!(index.snapshot().unwrap().documents(), 4);
}

#[test]
fn an_older_commit_with_missing_files_is_not_accepted() {
    let memory = Memory::new();
    let directory = || Arc::new(memory.clone()) as Arc<dyn Directory>;
    let index = Index::create_in(directory(), schema(), IndexOptions::new()).unwrap();
    let mut writer = index.writer_with(options(0)).unwrap();
    add(&mut writer, 0..3, 1);
    let older = format!("manifest-{:010}", writer.commit().unwrap().commit);
    let bytes = memory.bytes(&older).unwrap().to_vec();
    add(&mut writer, 3..6, 1);
    writer.merge_to(1).unwrap();
    let newer = format!("manifest-{:010}", writer.commit().unwrap().commit);
    drop(writer);
    memory.overwrite(&older, bytes);
    let accepting = || IndexOptions::new().accept_older_commit();
    let index = Index::open_in(directory(), accepting()).unwrap();
    assert_eq!(index.snapshot().unwrap().documents(), 6);
    let mut damaged = memory.bytes(&newer).unwrap().to_vec();
    damaged[70] ^= 1;
    memory.overwrite(&newer, damaged);
    let error = Index::open_in(directory(), accepting()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn which_segments_are_merged_does_not_depend_on_the_threads() {
    let limits = |merge_threads| {
        let index = Index::in_memory(schema()).unwrap();
        let options = options(2).merge_threads(merge_threads);
        index.writer_with(options).unwrap().merge_limits()
    };
    assert_eq!(limits(0).max_documents, limits(8).max_documents);
    assert_eq!(limits(0).max_key_bytes, limits(8).max_key_bytes);
}

#[test]
fn errors_over_the_maximum_are_counted_and_dropped() {
    let index = Index::in_memory(schema()).unwrap();
    let rejecting = options(2).on_duplicate(OnDuplicate::Reject);
    let mut writer = index.writer_with(rejecting).unwrap();
    for _ in 0..MAX_ERRORS + 6 {
        add(&mut writer, [1], 1);
    }
    assert_eq!(writer.commit().unwrap().documents, 1);
    let errors = writer.take_errors();
    assert_eq!(errors.len(), MAX_ERRORS + 1);
    let last = errors.last().unwrap().to_string();
    assert!(last.starts_with("5 more errors"), "{last}");
    assert!(writer.take_errors().is_empty());
}
