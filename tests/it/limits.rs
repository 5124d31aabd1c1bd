//! Limits of `format-spec/limits.md`, reached and exceeded by one, from the outside. Those of lists
//! and segments, which take gigabytes to reach, are tested beside their code.

use std::sync::Arc;

use esparsa::internals::format::limits::{
    MAX_COLUMN_VALUES, MAX_DENSE_DIMENSIONS, MAX_DENSE_NORM, MAX_DOCUMENT_BYTES,
    MAX_FIELD_NAME_BYTES, MAX_FIELDS, MAX_ID_BYTES, MAX_K, MAX_KEYWORD_BYTES, MAX_MODEL_NAME_BYTES,
    MAX_QUERY_CLAUSES, MAX_QUERY_DEPTH, MAX_QUERY_TERMS, MAX_SLOP, MAX_SPARSE_TERM_BYTES,
    MAX_TEXT_TERM_BYTES,
};
use esparsa::{
    Column, Dense, DenseMetric, Document, Error, Index, IndexOptions, ModelIdentity, Query, Result,
    Schema, SchemaBuilder, SearchOptions, Snapshot, Sparse, Text,
};

fn index(schema: SchemaBuilder) -> Index {
    Index::in_memory(schema.build().unwrap()).unwrap()
}

fn verify(snapshot: &Snapshot) {
    for segment in 0..snapshot.segment_count() {
        snapshot.verify_segment(segment).unwrap();
    }
}

/// The snapshot with these documents, every segment of which is verified.
fn indexed(index: &Index, documents: impl IntoIterator<Item = Document>) -> Result<Snapshot> {
    let mut writer = index.writer()?;
    for document in documents {
        writer.add(document)?;
    }
    writer.commit()?;
    let snapshot = index.snapshot()?;
    verify(&snapshot);
    Ok(snapshot)
}

/// Refused for its size, with both numbers in the message; the writer goes on.
#[track_caller]
fn is_refused<T: std::fmt::Debug>(outcome: Result<T>, limit: usize) {
    let error = outcome.expect_err("it is one past the limit");
    assert!(
        error.is_input() || matches!(error, Error::Limit { .. }),
        "{error:?}"
    );
    let message = error.to_string();
    for number in [limit, limit + 1] {
        let is_named = message.contains(&number.to_string());
        assert!(is_named, "{number} is not in: {message}");
    }
}

fn found(snapshot: &Snapshot, query: &Query) -> Vec<String> {
    snapshot.search(query, 10).unwrap().ids().unwrap()
}

#[test]
fn ids() {
    let index = index(Schema::builder().text("text", Text::new()));
    let longest = "i".repeat(MAX_ID_BYTES);
    let mut writer = index.writer().unwrap();
    let longer = Document::new("i".repeat(MAX_ID_BYTES + 1));
    is_refused(writer.add(longer), MAX_ID_BYTES);
    drop(writer);
    let document = Document::new(longest.clone()).with_text("text", "a");
    let snapshot = indexed(&index, [document]).unwrap();
    assert_eq!(found(&snapshot, &Query::text("text", "a")), [longest]);
}

#[test]
fn text_terms_that_are_longer_are_left_out_and_counted() {
    let index =
        index(Schema::builder().text("text", Text::new().analyzer("whitespace").positions()));
    let longest = "t".repeat(MAX_TEXT_TERM_BYTES);
    let longer = "u".repeat(MAX_TEXT_TERM_BYTES + 1);
    let text = format!("a {longest} {longer} b");
    let snapshot = indexed(&index, [Document::new("d").with_text("text", text)]).unwrap();
    let finds = |text: &str| found(&snapshot, &Query::text("text", text)).len();
    assert_eq!((finds(&longest), finds(&longer)), (1, 0));
    // The position of what is left out stays.
    let near = |text: &str| found(&snapshot, &Query::phrase("text", text)).len();
    assert_eq!(
        (near(&format!("a {longest}")), near(&format!("{longest} b"))),
        (1, 0)
    );
    let info = snapshot.segments()[0].reader.info().clone();
    assert_eq!(info.field(0).unwrap().skipped, 1);
}

#[test]
fn sparse_terms() {
    let index = index(Schema::builder().sparse("sparse", Sparse::new()));
    let of = |length: usize| Document::new("d").with_sparse("sparse", [("s".repeat(length), 1.0)]);
    let mut writer = index.writer().unwrap();
    is_refused(
        writer.add(of(MAX_SPARSE_TERM_BYTES + 1)),
        MAX_SPARSE_TERM_BYTES,
    );
    drop(writer);
    let snapshot = indexed(&index, [of(MAX_SPARSE_TERM_BYTES)]).unwrap();
    let query = |length: usize| Query::sparse("sparse", [("s".repeat(length), 1.0)]);
    assert_eq!(found(&snapshot, &query(MAX_SPARSE_TERM_BYTES)).len(), 1);
    assert_eq!(found(&snapshot, &query(MAX_SPARSE_TERM_BYTES + 1)).len(), 0);
}

#[test]
fn keywords_and_values_of_a_column() {
    let schema = Schema::builder()
        .column("tag", Column::keyword())
        .column("numbers", Column::i64().several());
    let index = index(schema);
    let tagged = |length: usize| Document::new("tagged").with("tag", "k".repeat(length));
    let numbered = |count: usize| {
        let numbers = 0..count as i64;
        numbers.fold(Document::new("numbered"), |document, number| {
            document.with("numbers", number)
        })
    };
    let mut writer = index.writer().unwrap();
    is_refused(writer.add(tagged(MAX_KEYWORD_BYTES + 1)), MAX_KEYWORD_BYTES);
    is_refused(
        writer.add(numbered(MAX_COLUMN_VALUES + 1)),
        MAX_COLUMN_VALUES,
    );
    drop(writer);
    let snapshot = indexed(
        &index,
        [tagged(MAX_KEYWORD_BYTES), numbered(MAX_COLUMN_VALUES)],
    )
    .unwrap();
    let tag = Query::term("tag", "k".repeat(MAX_KEYWORD_BYTES));
    assert_eq!(found(&snapshot, &tag), ["tagged"]);
    let last = Query::term("numbers", MAX_COLUMN_VALUES as i64 - 1);
    assert_eq!(found(&snapshot, &last), ["numbered"]);
}

#[test]
fn dimensions_and_norms_of_vectors() {
    let dimensions = MAX_DENSE_DIMENSIONS as usize;
    let schema = |count: usize| Schema::builder().dense("v", Dense::new(count)).build();
    is_refused(schema(dimensions + 1), dimensions);
    let options = Dense::new(dimensions).metric(DenseMetric::InnerProduct);
    let index = index(Schema::builder().dense("v", options));
    // Of one number, so that the norm is the number.
    let vector = |first: f64| {
        let mut vector = vec![0.0; dimensions];
        vector[dimensions - 1] = first as f32;
        vector
    };
    let of = |norm: f64| Document::new("d").with_dense("v", vector(norm));
    let mut writer = index.writer().unwrap();
    let error = writer.add(of(MAX_DENSE_NORM * 1.001)).unwrap_err();
    assert!(error.to_string().contains("norm"), "{error}");
    drop(writer);
    let snapshot = indexed(&index, [of(MAX_DENSE_NORM * 0.999)]).unwrap();
    let query = Query::dense("v", vector(MAX_DENSE_NORM * 0.999));
    let hits = snapshot.search(&query, 1).unwrap();
    assert!(hits.get(0).unwrap().score.is_finite());
    let query = Query::dense("v", vector(MAX_DENSE_NORM * 1.001));
    assert!(snapshot.search(&query, 1).is_err());
}

#[test]
fn names() {
    let of_field = |length: usize| Schema::builder().stored("n".repeat(length)).build();
    of_field(MAX_FIELD_NAME_BYTES).unwrap();
    is_refused(of_field(MAX_FIELD_NAME_BYTES + 1), MAX_FIELD_NAME_BYTES);
    let of_model = |length: usize| {
        let model = ModelIdentity {
            name: "m".repeat(length),
            fingerprint: 1,
        };
        Schema::builder()
            .dense("v", Dense::new(2).model(model))
            .build()
    };
    of_model(MAX_MODEL_NAME_BYTES).unwrap();
    is_refused(of_model(MAX_MODEL_NAME_BYTES + 1), MAX_MODEL_NAME_BYTES);
}

/// One document has a value in each of as many fields as there may be.
fn check_fields(
    add: impl Fn(SchemaBuilder, &str) -> SchemaBuilder,
    fill: impl Fn(Document, &str) -> Document,
) {
    let name = |number: usize| format!("field{number}");
    let schema = |count: usize| {
        let names = (0..count).map(name);
        names.fold(Schema::builder(), |schema, name| add(schema, &name))
    };
    is_refused(schema(MAX_FIELDS + 1).build(), MAX_FIELDS);
    let index = index(schema(MAX_FIELDS));
    let document = (0..MAX_FIELDS)
        .map(name)
        .fold(Document::new("d"), |document, name| fill(document, &name));
    let snapshot = indexed(&index, [document]).unwrap();
    assert_eq!(snapshot.documents(), 1);
    // What was written is read again, and can be merged.
    let mut writer = index.writer().unwrap();
    writer.add(Document::new("e")).unwrap();
    writer.commit().unwrap();
    writer.merge_to(1).unwrap();
    writer.commit().unwrap();
    verify(&index.snapshot().unwrap());
}

#[test]
fn fields_of_text_with_positions() {
    let options = Text::new().positions();
    check_fields(
        |schema, name| schema.text(name, options.clone()),
        |document, name| document.with_text(name, "lava and ash, lava"),
    );
}

#[test]
fn fields_of_columns() {
    check_fields(
        |schema, name| schema.column(name, Column::keyword().several()),
        |document, name| document.with(name, "red").with(name, "blue"),
    );
}

#[test]
fn fields_of_vectors() {
    check_fields(
        |schema, name| schema.dense(name, Dense::new(2)),
        |document, name| document.with_dense(name, [1.0, 2.0]),
    );
    check_fields(
        |schema, name| schema.sparse(name, Sparse::new()),
        |document, name| document.with_sparse(name, [("a", 1.0), ("b", 2.0)]),
    );
}

#[test]
fn bytes_of_a_document() {
    let index = index(Schema::builder().text("text", Text::new()));
    // The id counts too.
    let of = |length: usize| Document::new("d").with_text("text", "a ".repeat(length / 2));
    let mut writer = index.writer().unwrap();
    is_refused(writer.add(of(MAX_DOCUMENT_BYTES)), MAX_DOCUMENT_BYTES);
    drop(writer);
    let longest = Document::new("dd").with_text("text", "a ".repeat(MAX_DOCUMENT_BYTES / 2 - 1));
    let snapshot = indexed(&index, [longest]).unwrap();
    assert_eq!(found(&snapshot, &Query::text("text", "a")), ["dd"]);
}

#[test]
fn queries() {
    let index = index(Schema::builder().text("text", Text::new().positions()));
    let snapshot = indexed(&index, [Document::new("d").with_text("text", "a b")]).unwrap();
    let search = |query: &Query| snapshot.search(query, 1).map(|hits| hits.len());
    let a = || Query::text("text", "a");
    let nested = |depth: usize| (0..depth).fold(a(), |query, _| Query::all_of([query]));
    assert_eq!(search(&nested(MAX_QUERY_DEPTH)).unwrap(), 1);
    is_refused(search(&nested(MAX_QUERY_DEPTH + 1)), MAX_QUERY_DEPTH);
    let best = |count: usize| Query::best_of((1..count).map(|_| a()), 0.0);
    assert_eq!(search(&best(MAX_QUERY_CLAUSES)).unwrap(), 1);
    is_refused(search(&best(MAX_QUERY_CLAUSES + 1)), MAX_QUERY_CLAUSES);
    let near = |slop: u32| Query::phrase("text", "b a").with_slop(slop);
    assert_eq!(search(&near(MAX_SLOP)).unwrap(), 1);
    is_refused(search(&near(MAX_SLOP + 1)), MAX_SLOP as usize);
    let with_k = |k: usize| {
        snapshot
            .search_with(&a(), &SearchOptions::new(k))
            .map(|found| found.hits.len())
    };
    assert_eq!(with_k(MAX_K).unwrap(), 1);
    is_refused(with_k(MAX_K + 1), MAX_K);
}

#[test]
fn terms_of_a_query() {
    let index = index(Schema::builder().text("text", Text::new().analyzer("whitespace")));
    let words = |count: usize| -> String {
        let words = (0..count).map(|number| format!("t{number}"));
        words.collect::<Vec<_>>().join(" ")
    };
    let document = Document::new("d").with_text("text", words(MAX_QUERY_TERMS + 1));
    let snapshot = indexed(&index, [document]).unwrap();
    let found = |count: usize| {
        let query = Query::text("text", words(count));
        snapshot
            .search_with(&query, &SearchOptions::new(1))
            .unwrap()
    };
    assert_eq!(found(MAX_QUERY_TERMS).statistics.terms_skipped, 0);
    assert_eq!(found(MAX_QUERY_TERMS + 1).statistics.terms_skipped, 1);
    let all =
        |count: usize| snapshot.search(&Query::text("text", words(count)).with_all_terms(), 1);
    assert_eq!(all(MAX_QUERY_TERMS).unwrap().len(), 1);
    is_refused(all(MAX_QUERY_TERMS + 1), MAX_QUERY_TERMS);
}

#[test]
fn files_and_commits_have_numbers_up_to_the_limit() {
    use crate::lies::{manifest_of, sections, with_sections};
    use esparsa::internals::format::limits::MAX_FILE_NUMBER;
    use esparsa::internals::format::manifest::manifest_file;
    use esparsa::store::Memory;

    let memory = Memory::new();
    let schema = Schema::builder().text("text", Text::new()).build().unwrap();
    Index::create_in(Arc::new(memory.clone()), schema, IndexOptions::new()).unwrap();
    let name = manifest_file(manifest_of(&memory).commit);
    let with_next = |next: u64| {
        let mut sections = sections(&memory, &name);
        let commit = sections
            .iter_mut()
            .find(|(name, ..)| name == "commit")
            .unwrap();
        commit.2[8..16].copy_from_slice(&next.to_le_bytes());
        let changed = with_sections(&memory, &name, &sections);
        let index = Index::open_in(Arc::new(changed), IndexOptions::new())?;
        let mut writer = index.writer()?;
        writer.add(Document::new("d").with_text("text", "a"))?;
        writer.commit()
    };
    with_next(MAX_FILE_NUMBER - 1).unwrap();
    // The number is free, and the one behind it, which readers would refuse, is not.
    let error = with_next(MAX_FILE_NUMBER).unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    let error = with_next(MAX_FILE_NUMBER + 1).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn commits_have_numbers_up_to_the_limit() {
    use esparsa::internals::format::limits::MAX_FILE_NUMBER;
    use esparsa::internals::format::manifest::manifest_file;
    use esparsa::store::{Directory, Memory};

    use crate::lies::manifest_of;

    let memory = Memory::new();
    let schema = Schema::builder().text("text", Text::new()).build().unwrap();
    Index::create_in(Arc::new(memory.clone()), schema, IndexOptions::new()).unwrap();
    let mut manifest = manifest_of(&memory);
    memory.remove(&manifest_file(manifest.commit)).unwrap();
    manifest.commit = MAX_FILE_NUMBER - 1;
    let (bytes, _) = manifest.write(Vec::new()).unwrap();
    memory.overwrite(&manifest_file(manifest.commit), bytes);
    let index = Index::open_in(Arc::new(memory), IndexOptions::new()).unwrap();
    let add = |id: &str| {
        let mut writer = index.writer()?;
        writer.add(Document::new(id).with_text("text", "a"))?;
        writer.commit()
    };
    assert_eq!(add("a").unwrap().commit, MAX_FILE_NUMBER);
    let error = add("b").unwrap_err();
    assert!(matches!(error, Error::Limit { .. }), "{error}");
    assert_eq!(index.snapshot().unwrap().documents(), 1);
}
