//! Adding, replacing, deleting, merging and attaching, held against a model in memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use esparsa::store::{Directory, Gate, Memory};
use esparsa::{
    Document, Error, Index, IndexOptions, IndexWriter, MergePolicy, OnDuplicate, Query, Schema,
    SearchOptions, Sparse, SparseLayout, Text, WriterOptions,
};
use proptest::prelude::*;

use crate::contents::Contents;

fn schema() -> Schema {
    schema_with(SparseLayout::default())
}

fn document(id: u32, version: u32) -> Document {
    Document::new(format!("id{id}"))
        .with_text("text", format!("common w{id} v{version}"))
        .with_sparse(
            "sparse",
            [(format!("s{}", id % 5), 1.0), ("all".into(), 0.5)],
        )
        .with_stored("source", format!("{id}/{version}"))
}

fn contents(index: &Index) -> Contents {
    crate::contents::contents(&index.snapshot().unwrap())
}

#[derive(Clone, Debug)]
enum Step {
    Add(u32, u32),
    Delete(u32),
    Commit,
    Rollback,
    Refresh,
    Merge(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0u32..40, any::<u32>()).prop_map(|(id, version)| Step::Add(id, version)),
        4 => (0u32..40).prop_map(Step::Delete),
        4 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        4 => Just(Step::Refresh),
        1 => (1usize..4).prop_map(Step::Merge),
        1 => Just(Step::Reopen),
    ]
}

fn writer(index: &Index, threads: usize, reorder_from: Option<u32>) -> IndexWriter {
    let options = WriterOptions::new()
        .threads(threads)
        .reorder_from(reorder_from)
        .merge_policy(MergePolicy::new().segments_per_tier(3));
    index.writer_with(options).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn an_index_is_a_map_from_ids_to_documents(
        steps in prop::collection::vec(step(), 1..80),
        threads in 1usize..3,
        reorder_from in prop::option::of(1u32..30),
    ) {
        let index = Index::in_memory(schema()).unwrap();
        let mut open = writer(&index, threads, reorder_from);
        let (mut committed, mut pending) = (BTreeMap::new(), BTreeMap::new());
        let mut refreshed = Vec::new();
        for step in steps {
            match step {
                Step::Add(id, version) => {
                    open.add(document(id, version)).unwrap();
                    pending.insert(format!("id{id}"), format!("{id}/{version}"));
                }
                Step::Delete(id) => {
                    open.delete(&format!("id{id}")).unwrap();
                    pending.remove(&format!("id{id}"));
                }
                Step::Commit => {
                    let report = open.commit().unwrap();
                    prop_assert_eq!(report.documents, pending.len() as u64);
                    committed = pending.clone();
                }
                Step::Rollback => {
                    open.rollback().unwrap();
                    pending = committed.clone();
                }
                Step::Refresh => {
                    let snapshot = open.refresh().unwrap();
                    let found = crate::contents::contents(&snapshot);
                    prop_assert_eq!(&found, &pending);
                    let query = Query::text("text", "common");
                    prop_assert_eq!(snapshot.count(&query).unwrap(), found.len() as u64);
                    refreshed.push((snapshot, found));
                }
                Step::Merge(segments) => {
                    open.merge_to(segments).unwrap();
                }
                Step::Reopen => {
                    drop(open);
                    pending = committed.clone();
                    open = writer(&index, threads, reorder_from);
                }
            }
            prop_assert_eq!(&contents(&index), &committed);
        }
        open.merge_to(1).unwrap();
        open.commit().unwrap();
        prop_assert_eq!(&contents(&index), &pending);
        for (snapshot, expected) in refreshed {
            prop_assert_eq!(crate::contents::contents(&snapshot), expected);
        }
        let snapshot = index.snapshot().unwrap();
        prop_assert!(snapshot.segments().len() <= 1);
        prop_assert!(snapshot.segments().iter().all(|s| s.deleted.is_none()));
    }
}

#[test]
fn bytes_do_not_depend_on_the_number_of_threads() {
    let files = |threads| {
        let memory = esparsa::store::Memory::new();
        let options = IndexOptions::new();
        let index =
            Index::create_in(std::sync::Arc::new(memory.clone()), schema(), options).unwrap();
        let mut writer = index
            .writer_with(
                WriterOptions::new()
                    .threads(threads)
                    .memory(WriterOptions::MIN_MEMORY)
                    .merge_policy(MergePolicy::new().segments_per_tier(2)),
            )
            .unwrap();
        for id in 0..60_000u32 {
            let words: Vec<String> = (0..30)
                .map(|w| format!("w{}", id.wrapping_mul(w * 7 + 3) % 9_973))
                .collect();
            writer
                .add(document(id, 0).with_text("text", words.join(" ")))
                .unwrap();
        }
        writer.wait_for_merges().unwrap();
        let report = writer.commit().unwrap();
        assert_eq!(report.documents, 60_000);
        drop(writer);
        let names = memory.list().unwrap();
        let files: Vec<_> = names
            .into_iter()
            .map(|n| (n.clone(), memory.bytes(&n).unwrap()))
            .collect();
        files
    };
    let one = files(1);
    assert!(one.iter().any(|(name, _)| name.starts_with("segment")));
    for threads in [2, 3] {
        let other = files(threads);
        let names = |files: &[(String, _)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
        assert_eq!(names(&one), names(&other));
        assert!(one == other, "bytes differ with {threads} threads");
    }
}

#[test]
fn duplicates_of_a_load_are_rejected_with_their_line() {
    let index = Index::in_memory(schema()).unwrap();
    let options = WriterOptions::new().on_duplicate(OnDuplicate::Reject);
    let mut writer = index.writer_with(options).unwrap();
    writer
        .add_parsed(|| {
            let mut batch = esparsa::ParsedBatch::of_file("a.jsonl");
            batch.add_line(document(1, 1), 1);
            batch.add_line(document(2, 1), 2);
            batch.add_line(document(1, 2), 3);
            batch
        })
        .unwrap();
    writer.commit().unwrap();
    let errors = writer.take_errors();
    assert_eq!(errors.len(), 1);
    assert!(
        errors[0]
            .to_string()
            .starts_with("a.jsonl:3: duplicate id `id1`"),
        "{}",
        errors[0]
    );
    assert_eq!(contents(&index)["id1"], "1/1");
    // A later load replaces.
    writer.add(document(1, 9)).unwrap();
    writer.commit().unwrap();
    assert!(writer.take_errors().is_empty());
    assert_eq!(contents(&index)["id1"], "1/9");
}

#[test]
fn attached_segments_are_found_and_replace_older_documents() {
    let folder = tempfile::tempdir().unwrap();
    let build = |name: &str, ids: std::ops::Range<u32>, version| {
        let index = Index::create(folder.path().join(name), schema()).unwrap();
        let mut writer = index.writer().unwrap();
        for id in ids {
            writer.add(document(id, version)).unwrap();
        }
        writer.commit().unwrap();
        drop(writer);
        index
    };
    let main = build("main", 0..10, 1);
    build("part", 5..15, 2);
    let mut writer = main.writer().unwrap();
    writer.attach(folder.path().join("part")).unwrap();
    assert_eq!(contents(&main).len(), 10);
    writer.commit().unwrap();
    let found = contents(&main);
    assert_eq!(found.len(), 15);
    assert_eq!(
        (found["id4"].as_str(), found["id5"].as_str()),
        ("4/1", "5/2")
    );
    let error = writer.attach(folder.path()).unwrap_err();
    assert!(matches!(error, Error::NoIndex { .. }), "{error}");
}

// Documents put in another order.

/// A document of one of eight topics, which come in turn: their order is a bad one.
fn topical(number: u32) -> Document {
    topical_with(number, format!("{number}/0").into_bytes())
}

fn topical_with(number: u32, stored: Vec<u8>) -> Document {
    let topic = number % 8;
    let word = |place: u32| topic * 20 + (number / 8 + place * 3) % 20;
    let words: Vec<String> = (0..6).map(|place| format!("w{}", word(place))).collect();
    let weight = |place: u32| (1 + (number * 7 + place) % 200) as f32 / 128.0;
    let vector = (0..6).map(|place| (format!("s{}", word(place)), weight(place)));
    let all = ("all".to_owned(), (1 + number % 100) as f32 / 64.0);
    Document::new(format!("id{number}"))
        .with_text("text", words.join(" ") + " common")
        .with_sparse("sparse", vector.chain([all]).collect::<Vec<_>>())
        .with_stored("source", stored)
}

fn schema_with(layout: SparseLayout) -> Schema {
    Schema::builder()
        .text("text", Text::new())
        .sparse("sparse", Sparse::new().expected_max(2.0).layout(layout))
        .stored("source")
        .build()
        .unwrap()
}

/// Segments of the topical documents `0..documents`, `per_segment` each.
fn topical_index(schema: Schema, documents: u32, per_segment: u32) -> (Memory, Index) {
    let memory = Memory::new();
    let directory = Arc::new(memory.clone());
    let index = Index::create_in(directory, schema, IndexOptions::new()).unwrap();
    let mut writer = unmerged(&index, None, 1);
    for number in 0..documents {
        writer.add(topical(number)).unwrap();
        if number % per_segment == per_segment - 1 {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
    drop(writer);
    (memory, index)
}

/// A writer that merges when it is told to.
fn unmerged(index: &Index, reorder_from: Option<u32>, threads: usize) -> IndexWriter {
    let options = WriterOptions::new()
        .threads(threads)
        .reorder_from(reorder_from)
        .merge_policy(MergePolicy::never());
    index.writer_with(options).unwrap()
}

/// The file of each segment, and whether its documents are reordered.
fn segments(index: &Index) -> Vec<(u64, bool)> {
    let snapshot = index.snapshot().unwrap();
    let segments = snapshot.segments().iter();
    segments
        .map(|s| (s.entry.number, s.reader.is_reordered()))
        .collect()
}

fn ids_in_order(index: &Index) -> Vec<String> {
    let snapshot = index.snapshot().unwrap();
    let mut ids = Vec::new();
    for segment in snapshot.segments() {
        let documents = 0..segment.reader.documents();
        ids.extend(documents.map(|d| segment.reader.ids().id(d).unwrap()));
    }
    ids
}

fn queries() -> [Query; 4] {
    [
        Query::text("text", "w3 w5 common"),
        Query::text("text", "w25 w47 w160 w159"),
        Query::sparse("sparse", [("s3", 1.0), ("s44", 0.5), ("all", 0.25)]),
        Query::sparse("sparse", [("s1", 1.0), ("s2", 1.0), ("s21", 2.0)]),
    ]
}

/// The ids of the best `k` documents with the bits of their scores.
fn found(index: &Index, query: &Query, k: usize) -> Vec<(String, u32)> {
    let snapshot = index.snapshot().unwrap();
    let hits = snapshot
        .search_with(query, &SearchOptions::new(k))
        .unwrap()
        .hits;
    let hits = hits.iter();
    hits.map(|hit| (hit.id().unwrap(), hit.score.to_bits()))
        .collect()
}

#[test]
fn an_order_by_terms_changes_no_document_and_no_score() {
    const DOCUMENTS: u32 = 3_000;
    for layout in [SparseLayout::Ranges, SparseLayout::Tiers] {
        let (_, index) = topical_index(schema_with(layout), DOCUMENTS, 1_100);
        let (stored, ids) = (contents(&index), ids_in_order(&index));
        let all = |query: &Query| {
            let found = found(&index, query, DOCUMENTS as usize).into_iter();
            found.collect::<BTreeMap<String, u32>>()
        };
        let before = queries().map(|query| (all(&query), found(&index, &query, 10)));
        unmerged_merge(&index, 1);
        let [(_, reordered)] = segments(&index)[..] else {
            panic!("expected one segment");
        };
        assert!(reordered);
        assert_ne!(ids_in_order(&index), ids);
        assert_eq!(contents(&index), stored);
        for (query, (before, best_before)) in queries().iter().zip(before) {
            let after = all(query);
            assert!(before.len() > 300 && after == before, "{query:?}");
            // Of documents with the last score, others may be among the best.
            let best = found(&index, query, 10);
            let scores = |best: &[(String, u32)]| best.iter().map(|b| b.1).collect::<Vec<_>>();
            assert_eq!(scores(&best), scores(&best_before), "{query:?}");
            assert!(best.iter().all(|(id, score)| before[id] == *score));
        }
    }
}

fn unmerged_merge(index: &Index, reorder_from: u32) {
    let mut writer = unmerged(index, Some(reorder_from), 2);
    writer.merge_to(1).unwrap();
    writer.commit().unwrap();
}

#[test]
fn an_order_by_terms_brings_topics_together() {
    let with_text_alone = Schema::builder()
        .text("text", Text::new())
        .stored("source")
        .build()
        .unwrap();
    for schema in [schema(), with_text_alone] {
        let has_sparse = schema.field("sparse").is_some();
        let index = Index::in_memory(schema).unwrap();
        let mut writer = unmerged(&index, None, 1);
        for number in 0..2_000 {
            let mut document = topical(number);
            if !has_sparse {
                let words = format!("w{0} v{0} u{0} t{0} x{1}", number % 8, number % 29);
                document = Document::new(format!("id{number}")).with_text("text", words);
            }
            writer.add(document).unwrap();
        }
        writer.commit().unwrap();
        drop(writer);
        unmerged_merge(&index, 2_000);
        let ids = ids_in_order(&index).into_iter();
        let topics: Vec<u32> = ids.map(|id| id[2..].parse::<u32>().unwrap() % 8).collect();
        let changes = topics.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert!(changes < 200, "{changes} changes of topic");
    }
}

#[test]
fn merging_to_one_orders_a_segment_once() {
    let (_, index) = topical_index(schema(), 500, 500);
    let [(first, false)] = segments(&index)[..] else {
        panic!("expected one segment, in the order of the load");
    };
    // Too few documents.
    unmerged_merge(&index, 501);
    assert_eq!(segments(&index), [(first, false)]);
    unmerged_merge(&index, 500);
    let [(second, true)] = segments(&index)[..] else {
        panic!("expected one segment in another order");
    };
    assert_ne!(first, second);
    let commit = index.snapshot().unwrap().commit();
    unmerged_merge(&index, 500);
    assert_eq!(segments(&index), [(second, true)]);
    assert_eq!(index.snapshot().unwrap().commit(), commit);
    // A new segment beside it, and both are merged into an order again.
    let mut writer = unmerged(&index, Some(500), 1);
    writer.add(topical(500)).unwrap();
    writer.commit().unwrap();
    assert_eq!(segments(&index).len(), 2);
    writer.merge_to(1).unwrap();
    writer.commit().unwrap();
    assert!(matches!(segments(&index)[..], [(_, true)]));
    assert_eq!(contents(&index).len(), 501);
}

#[test]
fn bytes_of_ordered_segments_do_not_depend_on_the_number_of_threads() {
    // Enough documents that the threads share the work.
    let files = |threads| {
        let (memory, index) = topical_index(schema(), 10_000, 6_000);
        let mut writer = unmerged(&index, Some(1), threads);
        writer.merge_to(1).unwrap();
        writer.commit().unwrap();
        let names = memory.list().unwrap().into_iter();
        let files = names.map(|name| (memory.bytes(&name).unwrap().to_vec(), name));
        files.collect::<Vec<_>>()
    };
    let one = files(1);
    for threads in [2, 3] {
        assert!(files(threads) == one, "bytes differ with {threads} threads");
    }
}

#[test]
fn stored_documents_larger_than_the_memory_for_them_are_put_in_order() {
    // Stored documents are put in order 64 MiB at a time.
    const MIB: usize = 1 << 20;
    let index = Index::in_memory(schema()).unwrap();
    let mut writer = unmerged(&index, None, 1);
    let expected = |number: u32| vec![number.to_le_bytes()[0]; MIB + number as usize];
    for number in 0..140 {
        writer.add(topical_with(number, expected(number))).unwrap();
    }
    writer.commit().unwrap();
    drop(writer);
    unmerged_merge(&index, 1);
    let snapshot = index.snapshot().unwrap();
    for number in 0..140 {
        let stored = snapshot.get(&format!("id{number}")).unwrap();
        assert!(stored == Some(expected(number)), "document {number}");
    }
    esparsa::internals::segment::verify(&snapshot.segments()[0].reader).unwrap();
}

#[test]
fn deletes_made_during_and_after_a_merge_that_orders_documents_hold() {
    let (memory, _) = topical_index(schema(), 900, 300);
    // Merges run on background threads, where their files wait.
    let gate = Gate::new(memory);
    let index = Index::open_in(Arc::new(gate.clone()), IndexOptions::new()).unwrap();
    let mut expected = contents(&index);
    let mut delete = |writer: &mut IndexWriter, numbers: std::ops::Range<u32>| {
        for number in numbers.step_by(7) {
            writer.delete(&format!("id{number}")).unwrap();
            expected.remove(&format!("id{number}"));
        }
        expected.clone()
    };
    let mut before = unmerged(&index, None, 1);
    delete(&mut before, 0..900);
    before.commit().unwrap();
    drop(before);
    let at_start = segments(&index);
    let mut writer = writer(&index, 2, Some(1));
    // A merge of the three begins, without the documents deleted so far.
    writer.commit().unwrap();
    delete(&mut writer, 2..900);
    writer.commit().unwrap();
    gate.wait_until(|state| state.created > 0);
    let during = (segments(&index), contents(&index));
    gate.open_gate();
    let expected_during = delete(&mut writer, 0..0);
    assert_eq!(during, (at_start, expected_during.clone()));
    assert_eq!(during.0.len(), 3);
    writer.wait_for_merges().unwrap();
    writer.commit().unwrap();
    assert!(matches!(segments(&index)[..], [(_, true)]));
    let documents = index.snapshot().unwrap().segments()[0].reader.documents();
    assert_eq!(documents, 900 - 900_u32.div_ceil(7));
    assert_eq!(contents(&index), expected_during);
    let expected = delete(&mut writer, 3..900);
    writer.commit().unwrap();
    assert_eq!(contents(&index), expected);
}
