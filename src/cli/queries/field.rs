//! The field that is searched, and queries for it.

use serde_json::{Value, json};

use crate::Bm25;
use crate::error::{Error, Result};
use crate::eval::{self, TopicPart, read_queries};
use crate::format::schema::Field;
use crate::format::{FieldKind, FieldOptions, Schema, SparseTerms};
use crate::query::Query;

/// The options that say what is searched and how it is scored.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct FieldArguments {
    /// Field to search: its name, or `text`, `sparse` or `dense` for the first field of that kind [default: the first text
    /// field; if the queries are vectors, the first field of their kind].
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// BM25: how soon a term's frequency saturates, at least 0 [default: 0.9].
    #[arg(long, value_name = "X")]
    k1: Option<f32>,
    /// BM25: how much a document's length counts, from 0 to 1 [default: 0.4].
    #[arg(long, value_name = "X")]
    b: Option<f32>,
}

/// A field of an index, and how it is scored.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchedField {
    /// The field's name.
    pub name: String,
    scoring: Scoring,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scoring {
    Words(Bm25),
    Weights(SparseTerms),
    Numbers,
}

impl FieldArguments {
    /// Finds the field in a schema; `preferred` is the kind to take when none is named.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the schema has no such field, when the field cannot be searched, and when k1 or b is
    /// given for a field without BM25.
    pub fn find(&self, schema: &Schema, preferred: FieldKind) -> Result<SearchedField> {
        let field = match &self.field {
            Some(name) => named(schema, name)?,
            None => [
                preferred,
                FieldKind::Text,
                FieldKind::Sparse,
                FieldKind::Dense,
            ]
            .into_iter()
            .find_map(|kind| first_of(schema, kind))
            .ok_or_else(|| Error::invalid("the index has no field that can be searched"))?,
        };
        let scoring = match &field.options {
            FieldOptions::Text { bm25, .. } => Scoring::Words(self.bm25(*bm25)),
            FieldOptions::Sparse { terms, .. } => Scoring::Weights(*terms),
            FieldOptions::Dense { .. } => Scoring::Numbers,
            FieldOptions::Stored | FieldOptions::Unknown { .. } => {
                return Err(unknown(schema, &field.name));
            }
        };
        if !matches!(scoring, Scoring::Words(_)) && (self.k1.is_some() || self.b.is_some()) {
            let message = "k1 and b are for text fields, and this is none; leave them out";
            return Err(Error::invalid(message).in_field(&field.name));
        }
        Ok(SearchedField {
            name: field.name.clone(),
            scoring,
        })
    }

    fn bm25(&self, default: Bm25) -> Bm25 {
        Bm25 {
            k1: self.k1.unwrap_or(default.k1),
            b: self.b.unwrap_or(default.b),
        }
    }
}

fn first_of(schema: &Schema, kind: FieldKind) -> Option<&Field> {
    let mut fields = schema.fields().iter();
    fields.find(|field| field.options.kind() == kind)
}

/// The field of this name or, if there is none, the first of the kind that the name means.
fn named<'a>(schema: &'a Schema, name: &str) -> Result<&'a Field> {
    let by_kind = || match name {
        "text" => first_of(schema, FieldKind::Text),
        "sparse" => first_of(schema, FieldKind::Sparse),
        "dense" => first_of(schema, FieldKind::Dense),
        _ => None,
    };
    let found = schema.field(name).or_else(by_kind);
    found.ok_or_else(|| unknown(schema, name))
}

fn unknown(schema: &Schema, name: &str) -> Error {
    let fields = schema.fields().iter().filter_map(|field| {
        let kind = match field.options {
            FieldOptions::Text { .. } => "text",
            FieldOptions::Sparse { .. } => "sparse",
            FieldOptions::Dense { .. } => "dense",
            FieldOptions::Stored | FieldOptions::Unknown { .. } => return None,
        };
        Some(format!("`{}` ({kind})", field.name))
    });
    let fields: Vec<String> = fields.collect();
    let message = format!(
        "no field that can be searched has this name; the index has {}",
        fields.join(", ")
    );
    Error::invalid(message).in_field(name)
}

impl SearchedField {
    /// Whether the field is searched by words.
    pub fn is_text(&self) -> bool {
        matches!(self.scoring, Scoring::Words(_))
    }

    /// What the field's documents are counted by, for people.
    pub fn counted(&self) -> &'static str {
        match self.scoring {
            Scoring::Words(_) | Scoring::Weights(_) => "postings",
            Scoring::Numbers => "vectors",
        }
    }

    /// The query that `text` means: words, for a sparse field a JSON object of term to weight, for a dense field a JSON array
    /// of numbers.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when it is no such object or array.
    pub fn parse(&self, text: &str) -> Result<Query> {
        if self.is_text() {
            return self.query(&eval::Query {
                text: Some(text.to_owned()),
                ..eval::Query::default()
            });
        }
        let vector: Value = serde_json::from_str(text).map_err(|error| {
            let expected = match self.scoring {
                Scoring::Numbers => "array of numbers, such as '[0.12, -0.5]'",
                _ => r#"object of term to weight, such as '{"volcano": 2.5, "lava": 1.1}'"#,
            };
            let model = match cfg!(feature = "neural") {
                true => ", or --model with the model that made the field, for words",
                false => "",
            };
            let message = format!("expected a JSON {expected}{model}; found `{text}` ({error})");
            Error::invalid(message).in_field(&self.name)
        })?;
        // One line of a query file, so that the same rules hold.
        let line = json!({ "id": "QUERY", "vector": vector }).to_string();
        let read = read_queries(line.as_bytes(), "QUERY", TopicPart::default())?;
        let query = read
            .first()
            .ok_or_else(|| Error::invalid("expected a query, found none"))?;
        self.query(query)
    }

    /// The library's query for a query of a file.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the query lacks the text or the vector that the field is searched with.
    pub fn query(&self, query: &eval::Query) -> Result<Query> {
        match self.scoring {
            Scoring::Words(bm25) => match &query.text {
                Some(text) => Ok(Query::text(&self.name, text).with_bm25(bm25)),
                None => Err(self.lacks(query, "text", "sparse")),
            },
            Scoring::Weights(terms) => match &query.vector {
                Some(vector) => self.weights(vector, terms),
                None => Err(self.lacks(query, "vector", "text")),
            },
            Scoring::Numbers => match &query.dense {
                Some(vector) => Ok(Query::dense(&self.name, vector.as_slice())),
                None => Err(self.lacks(query, "vector", "text")),
            },
        }
    }

    fn weights(&self, vector: &[(String, f32)], terms: SparseTerms) -> Result<Query> {
        if terms == SparseTerms::Strings {
            return Ok(Query::sparse(&self.name, vector.iter().cloned()));
        }
        let numbered = vector.iter().map(|(term, weight)| {
            let number = term.parse::<u32>().map_err(|_| {
                let message = format!("terms of this field are numbers, found `{term}`");
                Error::invalid(message).in_field(&self.name)
            })?;
            Ok((number, *weight))
        });
        let numbered = numbered.collect::<Result<Vec<_>>>()?;
        Ok(Query::sparse_numbered(&self.name, numbered))
    }

    fn lacks(&self, query: &eval::Query, part: &str, other: &str) -> Error {
        let id = &query.id;
        let found = match (&query.vector, &query.dense) {
            (Some(_), None) if self.scoring == Scoring::Numbers => "an object of weights",
            (None, Some(_)) if part == "vector" => "an array of numbers",
            _ => "none",
        };
        let message = format!(
            "expected `{part}` in query `{id}`, found {found}; add it, or search a {other} field by --field{}",
            match part {
                "vector" if cfg!(feature = "neural") => ", or name the field's model by --model",
                _ => "",
            }
        );
        Error::invalid(message).in_field(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        let schema = Schema::new().stored("source").unwrap();
        let schema = schema.text("title", "en").unwrap();
        let schema = schema.text("body", "en").unwrap();
        let schema = schema.sparse("splade", 3.0).unwrap();
        schema.sparse_numbered("sparse", 3.0).unwrap()
    }

    fn find(field: Option<&str>, preferred: FieldKind) -> Result<SearchedField> {
        let arguments = FieldArguments {
            field: field.map(str::to_owned),
            ..FieldArguments::default()
        };
        arguments.find(&schema(), preferred)
    }

    #[test]
    fn a_field_is_found_by_name_then_by_kind() {
        let name = |field, kind| find(field, kind).unwrap().name;
        assert_eq!(name(None, FieldKind::Text), "title");
        assert_eq!(name(None, FieldKind::Sparse), "splade");
        assert_eq!(name(Some("body"), FieldKind::Sparse), "body");
        assert_eq!(name(Some("text"), FieldKind::Text), "title");
        // A field that has the name of a kind is meant by it.
        assert_eq!(name(Some("sparse"), FieldKind::Text), "sparse");
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
        let stored = Schema::new().stored("source").unwrap();
        let error = FieldArguments::default().find(&stored, FieldKind::Text);
        assert!(
            error
                .unwrap_err()
                .to_string()
                .contains("no field that can be searched")
        );
    }

    #[test]
    fn bm25_parameters_are_refused_for_sparse_fields() {
        let arguments = FieldArguments {
            k1: Some(1.2),
            ..FieldArguments::default()
        };
        let text = arguments.find(&schema(), FieldKind::Text).unwrap();
        assert_eq!(text.scoring, Scoring::Words(Bm25 { k1: 1.2, b: 0.4 }));
        assert!(arguments.find(&schema(), FieldKind::Sparse).is_err());
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
        let schema = schema().dense("passage", 2).unwrap();
        let arguments = FieldArguments {
            field: Some("dense".to_owned()),
            ..FieldArguments::default()
        };
        let field = arguments.find(&schema, FieldKind::Text).unwrap();
        assert_eq!(
            (field.name.as_str(), field.counted()),
            ("passage", "vectors")
        );
        let query = field.parse("[1, -0.5]").unwrap();
        assert_eq!(query, Query::dense("passage", [1.0, -0.5]));
        for text in ["lava", r#"{"lava": 1}"#, r#"["x"]"#, "[1e39]", ""] {
            assert!(field.parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_query_without_what_the_field_needs_is_named() {
        let text = eval::Query {
            id: "q7".into(),
            text: Some("lava".into()),
            ..eval::Query::default()
        };
        let error = find(Some("splade"), FieldKind::Text).unwrap().query(&text);
        let error = error.unwrap_err().to_string();
        assert!(error.contains("`vector` in query `q7`"), "{error}");
        let body = find(Some("body"), FieldKind::Text).unwrap();
        let expected = Query::text("body", "lava").with_bm25(Bm25::default());
        assert_eq!(body.query(&text).unwrap(), expected);
    }
}
