//! Tests of the field that is searched.

use super::*;
use esparsa::{Dense, SchemaBuilder, Sparse, Text};

fn schema() -> Schema {
    builder().build().unwrap()
}

fn builder() -> SchemaBuilder {
    Schema::builder()
        .stored("source")
        .text("title", Text::new().analyzer("en"))
        .text("body", Text::new().analyzer("en"))
        .sparse("splade", Sparse::new())
        .sparse("sparse", Sparse::new().numbered())
}

fn find(field: Option<&str>, kind: FieldKind) -> Result<SearchedField> {
    let arguments = FieldArguments {
        field: field.map(str::to_owned),
        ..FieldArguments::default()
    };
    arguments.find(&schema(), &[kind])
}

#[test]
fn a_field_is_found_by_name_then_by_kind() {
    let name = |field, kind| find(field, kind).unwrap().name;
    assert_eq!(name(Some("body"), FieldKind::Sparse), "body");
    assert_eq!(name(Some("text"), FieldKind::Text), "title");
    // A field that has the name of a kind is meant by it.
    assert_eq!(name(Some("sparse"), FieldKind::Text), "sparse");
}

#[test]
fn without_a_name_the_only_field_that_fits_is_searched() {
    let find = |schema: &Schema, kinds: &[FieldKind]| {
        let found = FieldArguments::default().find(schema, kinds);
        found.map(|field| field.name).map_err(|e| e.to_string())
    };
    let vectors = Schema::builder()
        .sparse("splade", Sparse::new())
        .build()
        .unwrap();
    // The only one is meant whatever the query is: it says itself what it expects.
    for text in ["honey", r#"{"honey": 1}"#, "[1]"] {
        assert_eq!(find(&vectors, &[kind_of(text)]).unwrap(), "splade");
    }
    let both = Schema::builder()
        .sparse("splade", Sparse::new())
        .text("body", Text::new().analyzer("en"))
        .build()
        .unwrap();
    for (text, field) in [
        ("honey", "body"),
        (r#"{"honey": 1}"#, "splade"),
        (r#"["honey"]"#, "body"),
        ("[]", "body"),
        ("7", "body"),
    ] {
        assert_eq!(find(&both, &[kind_of(text)]).unwrap(), field, "{text}");
    }
    let neither = find(&both, &[kind_of("[0.5, 1]")]).unwrap_err();
    assert!(
        neither.ends_with("--field: `splade` (sparse), `body` (text)"),
        "{neither}"
    );
    let several = find(&schema(), &[kind_of("honey")]).unwrap_err();
    assert!(
        several.ends_with("--field: `title` (text), `body` (text)"),
        "{several}"
    );
    let vectors = Schema::builder()
        .sparse("splade", Sparse::new())
        .dense("minilm", Dense::new(2))
        .build()
        .unwrap();
    assert_eq!(find(&vectors, &[kind_of("[1, 2]")]).unwrap(), "minilm");
    let none = find(&vectors, &[kind_of("honey")]).unwrap_err();
    assert!(
        none.ends_with("`splade` (sparse), `minilm` (dense)"),
        "{none}"
    );
}

#[test]
fn an_unknown_field_is_answered_with_those_there_are() {
    for name in ["headline", "source"] {
        let error = find(Some(name), FieldKind::Text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("field `{name}`: ")), "{error}");
        assert!(
            error.contains("`title` (text), `body` (text), `splade` (sparse)"),
            "{error}"
        );
        assert!(!error.contains("`source` ("), "{error}");
    }
    let stored = Schema::builder().stored("source").build().unwrap();
    let error = FieldArguments::default().find(&stored, &[FieldKind::Text]);
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("no field that can be searched")
    );
}

#[test]
fn bm25_parameters_are_refused_for_sparse_fields() {
    let find = |field: &str| {
        let arguments = FieldArguments {
            field: Some(field.to_owned()),
            k1: Some(1.2),
            ..FieldArguments::default()
        };
        arguments.find(&schema(), &[])
    };
    let text = find("text").unwrap();
    assert_eq!(text.scoring, Scoring::Text(Bm25 { k1: 1.2, b: 0.4 }));
    assert!(find("sparse").is_err());
}

#[test]
fn parameters_out_of_range_are_answered_with_the_range() {
    assert_eq!(k1_parser("1.2"), Ok(1.2));
    for text in ["-1", "nan", "inf", "x", ""] {
        let expected = format!("expected a number of at least 0, found {text}");
        assert_eq!(k1_parser(text), Err(expected));
    }
    assert_eq!((b_parser("0"), b_parser("1")), (Ok(0.0), Ok(1.0)));
    for text in ["-1", "1.5", "nan"] {
        let expected = format!("expected a number from 0 to 1, found {text}");
        assert_eq!(b_parser(text), Err(expected));
    }
}

#[test]
fn a_sparse_query_is_an_object_of_weights() {
    let splade = find(Some("splade"), FieldKind::Text).unwrap();
    let query = splade.parse(r#"{"lava": 2.5, "etna": 1}"#).unwrap();
    assert_eq!(
        query,
        Query::sparse("splade", [("etna", 1.0), ("lava", 2.5)])
    );
    for text in [
        "lava",
        "[1]",
        r#"{"lava": -1}"#,
        r#"{"lava": "x"}"#,
        "",
        "{",
    ] {
        assert!(splade.parse(text).is_err(), "{text}");
    }
    let numbered = find(Some("sparse"), FieldKind::Text).unwrap();
    let query = numbered.parse(r#"{"7": 2.5}"#).unwrap();
    assert_eq!(query, Query::sparse_numbered("sparse", [(7, 2.5)]));
    assert!(numbered.parse(r#"{"lava": 1}"#).is_err());
}

#[test]
fn a_dense_query_is_an_array_of_numbers() {
    let schema = builder().dense("passage", Dense::new(2)).build().unwrap();
    let arguments = FieldArguments {
        field: Some("dense".to_owned()),
        ..FieldArguments::default()
    };
    let field = arguments.find(&schema, &[FieldKind::Text]).unwrap();
    assert_eq!((field.name.as_str(), field.unit()), ("passage", "vector"));
    let query = field.parse("[1, -0.5]").unwrap();
    assert_eq!(query, Query::dense("passage", [1.0, -0.5]));
    for text in ["lava", r#"{"lava": 1}"#, r#"["x"]"#, "[1e39]", ""] {
        assert!(field.parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_query_without_what_the_field_needs_is_named() {
    let text = eval::Query::of_text("q7", "lava");
    let error = find(Some("splade"), FieldKind::Text).unwrap().query(&text);
    let error = error.unwrap_err().to_string();
    assert!(error.contains("`vector` in query `q7`"), "{error}");
    let body = find(Some("body"), FieldKind::Text).unwrap();
    let expected = Query::text("body", "lava").with_bm25(Bm25::default());
    assert_eq!(body.query(&text).unwrap(), expected);
}
