//! Adding, replacing, deleting, merging and attaching, held against a model in memory.

use std::collections::BTreeMap;

use esparsa::{
    Document, Index, IndexOptions, IndexWriter, MergePolicy, OnDuplicate, Schema, WriterOptions,
};
use proptest::prelude::*;

fn schema() -> Schema {
    let schema = Schema::new().text("text", "simple").unwrap();
    let schema = schema.sparse("sparse", 2.0).unwrap();
    schema.stored("source").unwrap()
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

fn contents(index: &Index) -> BTreeMap<String, String> {
    let snapshot = index.snapshot().unwrap();
    let mut found = BTreeMap::new();
    for segment in snapshot.segments() {
        esparsa::segment::verify(&segment.reader).unwrap();
        for document in (0..segment.reader.documents()).filter(|d| segment.is_live(*d)) {
            let id = segment.reader.ids().id(document).unwrap();
            let stored = segment.reader.stored_document(document).unwrap();
            let before = found.insert(id, String::from_utf8(stored).unwrap());
            assert_eq!(before, None, "two live documents of one id");
        }
    }
    assert_eq!(snapshot.documents(), found.len() as u64);
    found
}

#[derive(Clone, Debug)]
enum Step {
    Add(u32, u32),
    Delete(u32),
    Commit,
    Rollback,
    Merge(usize),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0u32..40, any::<u32>()).prop_map(|(id, version)| Step::Add(id, version)),
        4 => (0u32..40).prop_map(Step::Delete),
        4 => Just(Step::Commit),
        1 => Just(Step::Rollback),
        1 => (1usize..4).prop_map(Step::Merge),
        1 => Just(Step::Reopen),
    ]
}

fn writer(index: &Index, threads: usize) -> IndexWriter {
    let options = WriterOptions {
        threads,
        merge_policy: MergePolicy {
            segments_per_tier: 3,
            ..MergePolicy::default()
        },
        ..WriterOptions::default()
    };
    index.writer_with(options).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn an_index_is_a_map_from_ids_to_documents(
        steps in prop::collection::vec(step(), 1..80),
        threads in 1usize..3,
    ) {
        let index = Index::in_memory(schema()).unwrap();
        let mut open = writer(&index, threads);
        let (mut committed, mut pending) = (BTreeMap::new(), BTreeMap::new());
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
                Step::Merge(segments) => {
                    open.merge_to(segments).unwrap();
                }
                Step::Reopen => {
                    drop(open);
                    pending = committed.clone();
                    open = writer(&index, threads);
                }
            }
            prop_assert_eq!(&contents(&index), &committed);
        }
        open.merge_to(1).unwrap();
        open.commit().unwrap();
        prop_assert_eq!(&contents(&index), &pending);
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
            .writer_with(WriterOptions {
                threads,
                memory: WriterOptions::MIN_MEMORY,
                merge_policy: MergePolicy {
                    segments_per_tier: 2,
                    ..MergePolicy::default()
                },
                ..WriterOptions::default()
            })
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
        use esparsa::store::Directory;
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
    let options = WriterOptions {
        on_duplicate: OnDuplicate::Reject,
        ..WriterOptions::default()
    };
    let mut writer = index.writer_with(options).unwrap();
    writer
        .add_parsed(|| esparsa::index::ParsedBatch {
            documents: vec![document(1, 1), document(2, 1), document(1, 2)],
            file: "a.jsonl".into(),
            lines: vec![1, 2, 3],
            errors: Vec::new(),
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
    let error = writer.attach(folder.path()).unwrap_err().to_string();
    assert!(error.contains("is no index"), "{error}");
}
