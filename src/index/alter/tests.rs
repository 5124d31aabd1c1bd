use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;

use crate::store::{Directory, Memory};
use crate::{
    Algorithm, Bm25, Column, Dense, Document, Error, Index, IndexOptions, Query, Schema,
    SchemaChange, SearchOptions, Snapshot, Sort, Sparse, SparseLayout, Text,
};

fn document(id: impl ToString) -> Document {
    Document::new(id.to_string())
}

fn commit(index: &Index, documents: impl IntoIterator<Item = Document>) -> Snapshot {
    let mut writer = index.writer().unwrap();
    for document in documents {
        writer.add(document).unwrap();
    }
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

fn merged(index: &Index) -> Snapshot {
    let mut writer = index.writer().unwrap();
    writer.merge_to(1).unwrap();
    writer.commit().unwrap();
    index.snapshot().unwrap()
}

fn found(snapshot: &Snapshot, query: &Query) -> Vec<String> {
    let mut ids = snapshot.search(query, 100).unwrap().ids().unwrap();
    ids.sort();
    ids
}

fn verify(snapshot: &Snapshot) {
    for segment in 0..snapshot.segment_count() {
        snapshot.verify_segment(segment).unwrap();
    }
}

/// The fields that have sections in the segments of a snapshot.
fn fields_on_disk(snapshot: &Snapshot) -> BTreeSet<u32> {
    let segments = snapshot.segment_statistics().into_iter();
    let sections = segments.flat_map(|segment| segment.sections);
    sections.filter_map(|section| section.field).collect()
}

#[test]
fn fields_of_every_kind_are_added_to_documents_that_lack_them() {
    let schema = Schema::builder().text("text", Text::new());
    let mut index = Index::in_memory(schema.build().unwrap()).unwrap();
    let old = commit(&index, [document("old").with_text("text", "lava")]);
    let change = SchemaChange::new()
        .add_field("title", Text::new().analyzer("en"))
        .add_field("sparse", Sparse::new())
        .add_field("dense", Dense::new(2))
        .add_field("size", Column::i64())
        .add_field("tags", Column::keyword().several())
        .add_field("source", crate::StoredOptions);
    let report = index.change_schema(change).unwrap();
    assert_eq!((report.commit, report.documents), (3, 1));
    assert_eq!(index.schema().fields().len(), 7);
    let new = document("new")
        .with_text("text", "lava")
        .with_text("title", "Volcanoes")
        .with_sparse("sparse", [("ash", 1.0)])
        .with_dense("dense", [1.0, 0.5])
        .with("size", 7)
        .with("tags", "a")
        .with("tags", "b")
        .with_stored("source", "stored");
    for snapshot in [commit(&index, [new]), merged(&index)] {
        verify(&snapshot);
        assert_eq!(
            found(&snapshot, &Query::text("text", "lava")),
            ["new", "old"]
        );
        for query in [
            Query::text("title", "volcano"),
            Query::sparse("sparse", [("ash", 1.0)]),
            Query::dense("dense", [1.0, 0.0]),
            Query::range("size", 0..),
            Query::term("tags", "b"),
            Query::exists("tags"),
        ] {
            assert_eq!(found(&snapshot, &query), ["new"], "{query:?}");
        }
        let sorted = SearchOptions::new(10).sort(Sort::ascending("size"));
        let sorted = snapshot.search_with(&Query::all(), &sorted).unwrap();
        assert_eq!(sorted.hits.ids().unwrap(), ["new", "old"]);
        assert_eq!(snapshot.get("new").unwrap().unwrap(), b"stored");
        assert_eq!(snapshot.get("old").unwrap().unwrap(), b"");
    }
    assert_eq!(old.schema().fields().len(), 1);
    assert!(old.search(&Query::text("title", "volcano"), 1).is_err());
}

#[test]
fn a_dropped_field_is_gone_also_when_its_name_comes_back() {
    let schema = Schema::builder()
        .text("text", Text::new())
        .sparse("sparse", Sparse::new())
        .dense("dense", Dense::new(1))
        .column("size", Column::i64())
        .stored("source");
    let mut index = Index::in_memory(schema.build().unwrap()).unwrap();
    let full = |id: &str| {
        let document = document(id).with_text("text", "lava").with("size", 7);
        let document = document.with_sparse("sparse", [("ash", 1.0)]);
        document
            .with_dense("dense", [1.0])
            .with_stored("source", "x")
    };
    let old = commit(&index, [full("old")]);
    let change = SchemaChange::new()
        .drop_field("text")
        .drop_field("sparse")
        .drop_field("dense")
        .drop_field("source")
        .drop_field("size")
        .add_field("size", Column::keyword());
    index.change_schema(change).unwrap();
    let snapshot = commit(&index, [document("new").with("size", "large")]);
    assert_eq!(found(&snapshot, &Query::exists("size")), ["new"]);
    assert!(
        snapshot
            .search(&Query::text("text", "lava"), 1)
            .unwrap_err()
            .is_input()
    );
    assert_eq!(snapshot.get("old").unwrap().unwrap(), b"");
    verify(&snapshot);
    assert_eq!(fields_on_disk(&snapshot), (0..=5).collect());
    let snapshot = merged(&index);
    assert_eq!(fields_on_disk(&snapshot), [5].into());
    assert_eq!(found(&snapshot, &Query::exists("size")), ["new"]);
    assert_eq!(found(&snapshot, &Query::all()), ["new", "old"]);
    verify(&snapshot);
    // A snapshot from before keeps its schema and its values.
    assert_eq!(found(&old, &Query::text("text", "lava")), ["old"]);
    assert_eq!(found(&old, &Query::range("size", 7..)), ["old"]);
    assert_eq!(old.get("old").unwrap().unwrap(), b"x");
}

#[test]
fn defaults_of_bm25_count_for_queries_after_the_change() {
    let text = Text::new().analyzer("en");
    let schema = Schema::builder()
        .text("text", text.clone())
        .build()
        .unwrap();
    let mut index = Index::in_memory(schema).unwrap();
    let long = document("long").with_text("text", "lava and ash and smoke and stones");
    let before = commit(&index, [document("a").with_text("text", "lava"), long]);
    let bm25 = Bm25 { k1: 2.0, b: 1.0 };
    let change = SchemaChange::new().set_options("text", text.bm25(bm25));
    index.change_schema(change).unwrap();
    let after = index.snapshot().unwrap();
    let query = Query::text("text", "lava");
    let scores = |snapshot: &Snapshot, query: &Query| {
        let hits = snapshot.search(query, 10).unwrap();
        hits.iter().map(|hit| hit.score).collect::<Vec<_>>()
    };
    assert_ne!(scores(&before, &query), scores(&after, &query));
    let given = query.clone().with_bm25(bm25);
    assert_eq!(scores(&before, &given), scores(&after, &query));
}

#[test]
fn every_algorithm_searches_segments_of_both_layouts() {
    let sparse = Sparse::new().layout(SparseLayout::Tiers);
    let schema = Schema::builder().sparse("sparse", sparse.clone());
    let mut index = Index::in_memory(schema.build().unwrap()).unwrap();
    let documents = |ids: std::ops::Range<u32>| {
        ids.map(|id| {
            let weight = |n: u32| 0.1 + (id * 37 % (n + 11)) as f32 / 10.0;
            let terms = (0..5).map(|n| (format!("t{}", (id + n) % 9), weight(n)));
            document(id).with_sparse("sparse", terms)
        })
    };
    commit(&index, documents(0..2_000));
    let ranges = sparse.layout(SparseLayout::Ranges);
    let change = SchemaChange::new().set_options("sparse", ranges.clone());
    index.change_schema(change).unwrap();
    commit(&index, documents(1_500..4_000));
    let query = Query::sparse("sparse", [("t1", 2.0), ("t4", 1.0), ("t7", 0.5)]);
    let check = |snapshot: &Snapshot| {
        let search = |algorithm| {
            let options = SearchOptions::new(50).algorithm(algorithm);
            let found = snapshot.search_with(&query, &options).unwrap();
            let hits = found.hits.iter();
            hits.map(|hit| (hit.id().unwrap(), hit.score))
                .collect::<Vec<_>>()
        };
        let expected = search(Algorithm::Exhaustive);
        let able = snapshot.algorithms(&query).unwrap();
        assert_eq!(expected.len(), 50);
        for algorithm in able {
            assert_eq!(search(algorithm), expected, "{algorithm}");
        }
        verify(snapshot);
    };
    check(&index.snapshot().unwrap());
    let back = SchemaChange::new().set_options("sparse", ranges.layout(SparseLayout::Tiers));
    index.change_schema(back).unwrap();
    check(&index.snapshot().unwrap());
    check(&merged(&index));
}

#[test]
fn other_handles_see_the_change_and_an_open_writer_prevents_it() {
    let memory = Arc::new(Memory::new());
    let schema = Schema::builder().text("text", Text::new()).build().unwrap();
    let mut index = Index::create_in(memory.clone(), schema, IndexOptions::new()).unwrap();
    let clone = index.clone();
    let other = Index::open_in(memory.clone(), IndexOptions::new()).unwrap();
    commit(&index, [document("a").with_text("text", "lava")]);
    let change = || SchemaChange::new().add_field("size", Column::i64());
    let writer = clone.writer().unwrap();
    let refused = index.change_schema(change());
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    drop(writer);
    assert_eq!(index.change_schema(change()).unwrap().commit, 3);
    // Without a difference there is no commit.
    let nothing = index.change_schema(SchemaChange::new()).unwrap();
    assert_eq!((nothing.commit, nothing.documents), (3, 1));
    assert!(index.change_schema(change()).unwrap_err().is_input());
    for handle in [&clone, &other] {
        assert!(handle.snapshot().unwrap().schema().field("size").is_some());
        let writer = handle.writer().unwrap();
        assert!(writer.schema().field("size").is_some());
    }
    // What older commits left is removed.
    let names = memory.list().unwrap();
    assert_eq!(names, ["manifest-0000000003", "segment-0000000001"]);
}

#[test]
fn a_changed_index_is_opened_with_the_schema_that_it_has_come_to() {
    let memory: Arc<dyn Directory> = Arc::new(Memory::new());
    let first = Schema::builder().text("text", Text::new().analyzer("en"));
    let first = first.column("size", Column::i64()).build().unwrap();
    let mut index = Index::create_in(memory.clone(), first.clone(), IndexOptions::new()).unwrap();
    let change = SchemaChange::new()
        .drop_field("size")
        .add_field("year", Column::i64());
    index.change_schema(change).unwrap();
    let open = |schema| Index::open_or_create_in(memory.clone(), schema, IndexOptions::new());
    let builder = || Schema::builder().text("text", Text::new().analyzer("en"));
    open(builder().column("year", Column::i64()).build().unwrap()).unwrap();
    let other_order = Schema::builder().column("year", Column::i64());
    open(
        other_order
            .text("text", Text::new().analyzer("en"))
            .build()
            .unwrap(),
    )
    .unwrap();
    let message = open(first).unwrap_err().to_string();
    assert!(
        message.contains("it lacks the field `size` (column of type i64)"),
        "{message}"
    );
    assert!(message.contains("it has a field `year`"), "{message}");
}

#[test]
fn numbers_that_an_attached_index_has_dropped_are_not_given_again() {
    let folder = tempfile::tempdir().unwrap();
    let text = || Schema::builder().text("text", Text::new());
    let with_size = text().column("size", Column::i64()).build().unwrap();
    let mut other = Index::create(folder.path(), with_size).unwrap();
    commit(
        &other,
        [document("a").with_text("text", "lava").with("size", 3)],
    );
    other
        .change_schema(SchemaChange::new().drop_field("size"))
        .unwrap();

    let mut index = Index::in_memory(text().build().unwrap()).unwrap();
    let mut writer = index.writer().unwrap();
    writer.attach(folder.path()).unwrap();
    writer.commit().unwrap();
    drop(writer);
    let change = SchemaChange::new().add_field("weight", Column::i64());
    index.change_schema(change).unwrap();
    let snapshot = index.snapshot().unwrap();
    assert_eq!(snapshot.schema().field("weight").unwrap().number, 2);
    assert_eq!(snapshot.count(&Query::exists("weight")).unwrap(), 0);
    assert_eq!(snapshot.documents(), 1);
}

#[test]
fn analyzers_of_added_and_changed_fields_are_resolved() {
    let schema = Schema::builder()
        .text("text", Text::new().analyzer("pt"))
        .build()
        .unwrap();
    let mut index = Index::in_memory(schema).unwrap();
    let unknown = SchemaChange::new().add_field("title", Text::new().analyzer("klingon"));
    assert!(index.change_schema(unknown).unwrap_err().is_input());
    let bm25 = Bm25 { k1: 1.0, b: 0.0 };
    let change = SchemaChange::new()
        .set_options("text", Text::new().analyzer("portuguese").bm25(bm25))
        .set_options("text", Text::new().analyzer("pt").bm25(bm25))
        .add_field("title", Text::new().analyzer("en"));
    index.change_schema(change).unwrap();
    let snapshot = commit(&index, [document("a").with_text("title", "volcanoes")]);
    assert_eq!(found(&snapshot, &Query::text("title", "volcano")), ["a"]);
}

/// The kinds of fields that the random test adds.
const KINDS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    /// A name and a kind.
    AddField(usize, usize),
    DropField(usize),
    /// An id, and a value for every field that there is.
    Write(u32, u32),
    Merge,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..4usize, 0..KINDS).prop_map(|(name, kind)| Step::AddField(name, kind)),
        2 => (0..4usize).prop_map(Step::DropField),
        6 => (0u32..8, 0u32..5).prop_map(|(id, value)| Step::Write(id, value)),
        1 => Just(Step::Merge),
    ]
}

fn query(kind: usize, field: &str, value: u32) -> Query {
    match kind {
        0 => Query::text(field, format!("w{value}")),
        1 => Query::term(field, i64::from(value)),
        _ => Query::sparse(field, [(format!("w{value}"), 1.0)]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn an_index_whose_schema_changes_is_a_map_of_maps(
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut index = Index::in_memory(Schema::builder().build().unwrap()).unwrap();
        let mut fields: BTreeMap<String, usize> = BTreeMap::new();
        // For each document its value in each field.
        let mut model: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::AddField(name, kind) => {
                    let name = format!("f{name}");
                    let change = SchemaChange::new();
                    let changed = index.change_schema(match kind {
                        0 => change.add_field(&name, Text::new()),
                        1 => change.add_field(&name, Column::i64()),
                        _ => change.add_field(&name, Sparse::new()),
                    });
                    prop_assert_eq!(changed.is_ok(), !fields.contains_key(&name));
                    fields.entry(name).or_insert(kind);
                }
                Step::DropField(name) => {
                    let name = format!("f{name}");
                    let changed = index.change_schema(SchemaChange::new().drop_field(&name));
                    prop_assert_eq!(changed.is_ok(), fields.remove(&name).is_some());
                    model.values_mut().for_each(|values| {
                        values.remove(&name);
                    });
                }
                Step::Write(id, value) => {
                    let mut written = document(id);
                    for (name, kind) in &fields {
                        let word = format!("w{value}");
                        written = match kind {
                            0 => written.with_text(name, word),
                            1 => written.with(name, i64::from(value)),
                            _ => written.with_sparse(name, [(word, 1.0)]),
                        };
                    }
                    commit(&index, [written]);
                    let values = fields.keys().map(|name| (name.clone(), value)).collect();
                    model.insert(id.to_string(), values);
                }
                Step::Merge => {
                    merged(&index);
                }
            }
            let snapshot = index.snapshot().unwrap();
            verify(&snapshot);
            prop_assert_eq!(snapshot.documents(), model.len() as u64);
            for (name, kind) in &fields {
                for value in 0..5 {
                    let has = |(_, values): &(&String, &BTreeMap<String, u32>)| {
                        values.get(name) == Some(&value)
                    };
                    let having = model.iter().filter(has).map(|(id, _)| id.clone());
                    let expected: Vec<String> = having.collect();
                    prop_assert_eq!(found(&snapshot, &query(*kind, name, value)), expected);
                }
            }
        }
    }
}
