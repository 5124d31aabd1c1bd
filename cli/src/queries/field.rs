//! The field that is searched, and queries for it.

use esparsa::Field;
use esparsa::eval::{self, TopicPart, read_queries};
use esparsa::{Bm25, Error, FieldOptions, Query, QueryParser, Result, Schema, Snapshot};
use esparsa::{FieldKind, SparseTerms};
use serde_json::{Value, json};

/// The options for the field that is searched, and for its scoring.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct FieldArguments {
    /// Field to search: its name, or `text`, `sparse` or `dense` for the first field of that kind
    /// [default: the index's only field that can be searched; if it has several, the only one that
    /// fits the query, which is words or a vector].
    #[arg(long, value_name = "NAME")]
    field: Option<String>,
    /// BM25: how soon a term's frequency saturates, at least 0 [default: 0.9].
    #[arg(long, value_name = "X", value_parser = k1_parser)]
    k1: Option<f32>,
    /// BM25: how much a document's length counts, from 0 to 1 [default: 0.4].
    #[arg(long, value_name = "X", value_parser = b_parser)]
    b: Option<f32>,
    /// True if no other kind of field is of use.
    #[arg(skip)]
    sparse_only: bool,
}

/// A field of an index, and how it is scored.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchedField {
    /// The field's name.
    pub name: String,
    scoring: Scoring,
    /// Names and kinds of the other fields that can be searched, for messages.
    others: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scoring {
    Text(Bm25),
    Sparse(SparseTerms),
    Dense,
}

impl FieldArguments {
    /// Arguments for work on sparse fields only, with the name of one, if it is given.
    pub fn sparse(field: Option<String>) -> Self {
        Self {
            field,
            sparse_only: true,
            ..Self::default()
        }
    }

    /// Finds the sparse field, as [`find_in`](Self::find_in) does, for work that only sparse
    /// fields allow.
    ///
    /// # Errors
    ///
    /// Those of [`find`](Self::find), and [`Error::InvalidInput`] when the index has no sparse
    /// field or the field that is named is of another kind.
    pub fn find_sparse(&self, snapshot: &Snapshot) -> Result<SearchedField> {
        let schema = snapshot.schema();
        if first_of(schema, FieldKind::Sparse).is_none() {
            let fields: Vec<&Field> = schema.fields().iter().collect();
            return Err(Error::invalid(format!(
                "expected an index with a sparse field, found one that has {}; approximate searches are of sparse fields \
                 only, so there is nothing to measure",
                in_words(&fields)
            )));
        }
        let field = self.find_in(snapshot, &[FieldKind::Sparse])?;
        if matches!(field.scoring, Scoring::Sparse(_)) {
            return Ok(field);
        }
        let advice = match field.others.is_empty() {
            true => "the index has no sparse field with documents".to_owned(),
            false => format!("choose one by --field: {}", field.others),
        };
        let message = format!(
            "expected a sparse field, found one of another kind, whose searches are never approximate; {advice}"
        );
        Err(Error::invalid(message).in_field(&field.name))
    }

    /// Finds the field in a schema. When none is named it is the only one that can be searched, or
    /// else the only one of the kinds that `fitting` lists, which are those that the queries can
    /// search.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the schema has no such field, when the field cannot be
    /// searched, when none is named and more than one, or none, fits, and when k1 or b is given for
    /// a field without BM25.
    pub fn find(&self, schema: &Schema, fitting: &[FieldKind]) -> Result<SearchedField> {
        let field = match &self.field {
            Some(name) => named(schema, name)?,
            None => only(schema, fitting)?,
        };
        let scoring = match &field.options {
            FieldOptions::Text(text) => Scoring::Text(self.bm25(text.bm25)),
            FieldOptions::Sparse(sparse) => Scoring::Sparse(sparse.terms),
            FieldOptions::Dense(_) => Scoring::Dense,
            _ => return Err(unknown(schema, &field.name)),
        };
        if !matches!(scoring, Scoring::Text(_)) && (self.k1.is_some() || self.b.is_some()) {
            let message = "k1 and b are for text fields, and this is none; leave them out";
            return Err(Error::invalid(message).in_field(&field.name));
        }
        let others = schema.fields().iter();
        let is_sparse = |other: &Field| other.options.kind() == FieldKind::Sparse;
        let others = others.filter(|other| !self.sparse_only || is_sparse(other));
        let others: Vec<&Field> = others.filter(|other| other.name != field.name).collect();
        Ok(SearchedField {
            name: field.name.clone(),
            scoring,
            others: in_words(&others),
        })
    }

    /// Finds the field as [`find`](Self::find) does. Fields that are empty in all documents are
    /// searched only when they are named, or when all fields are empty.
    ///
    /// # Errors
    ///
    /// Those of [`find`](Self::find).
    pub fn find_in(&self, snapshot: &Snapshot, fitting: &[FieldKind]) -> Result<SearchedField> {
        let schema = snapshot.schema();
        let held = schema.filtered(|field| snapshot.totals(field.number).documents > 0);
        match self.field.is_none() && !held.fields().is_empty() {
            true => self.find(&held, fitting),
            false => self.find(schema, fitting),
        }
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

/// Parser of k1.
fn k1_parser(text: &str) -> std::result::Result<f32, String> {
    let k1 = text.parse().ok();
    let k1 = k1.filter(|k1: &f32| k1.is_finite() && *k1 >= 0.0);
    k1.ok_or_else(|| format!("expected a number of at least 0, found {text}"))
}

/// Parser of b.
fn b_parser(text: &str) -> std::result::Result<f32, String> {
    let b = text.parse().ok();
    let b = b.filter(|b| (0.0..=1.0).contains(b));
    b.ok_or_else(|| format!("expected a number from 0 to 1, found {text}"))
}

/// The field that is searched when none is named.
fn only<'a>(schema: &'a Schema, fitting: &[FieldKind]) -> Result<&'a Field> {
    let kinds = [FieldKind::Text, FieldKind::Sparse, FieldKind::Dense];
    let fields = schema.fields().iter();
    let all: Vec<&Field> = fields
        .filter(|field| kinds.contains(&field.options.kind()))
        .collect();
    let fits = |field: &&&Field| fitting.contains(&field.options.kind());
    let fit: Vec<&Field> = all.iter().filter(fits).copied().collect();
    match (&*all, &*fit) {
        ([field], _) | (_, [field]) => Ok(field),
        ([], _) => Err(Error::invalid(
            "the index has no field that can be searched",
        )),
        (all, []) => Err(Error::invalid(format!(
            "expected queries that fit one of the fields, found none that does; choose the field by --field: {}",
            in_words(all)
        ))),
        (_, several) => Err(Error::invalid(format!(
            "expected a query that fits one field, found one that fits several; choose the field by --field: {}",
            in_words(several)
        ))),
    }
}

/// Names and kinds of fields that can be searched.
fn in_words(fields: &[&Field]) -> String {
    let fields = fields.iter().filter_map(|field| {
        let kind = field.options.kind();
        let kinds = [FieldKind::Text, FieldKind::Sparse, FieldKind::Dense];
        kinds
            .contains(&kind)
            .then(|| format!("`{}` ({})", field.name, kind.name()))
    });
    fields.collect::<Vec<_>>().join(", ")
}

/// The kind of field that the query of a command line searches: a JSON object is a sparse vector,
/// an array of numbers a dense one, and anything else is words.
pub fn kind_of(text: &str) -> FieldKind {
    match serde_json::from_str(text) {
        Ok(Value::Object(_)) => FieldKind::Sparse,
        Ok(Value::Array(values)) if is_numbers(&values) => FieldKind::Dense,
        _ => FieldKind::Text,
    }
}

fn is_numbers(values: &[Value]) -> bool {
    !values.is_empty() && values.iter().all(Value::is_number)
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
    let fields: Vec<&Field> = schema.fields().iter().collect();
    let message = format!(
        "no field that can be searched has this name; the index has {}",
        in_words(&fields)
    );
    Error::invalid(message).in_field(name)
}

impl SearchedField {
    /// Whether the field is searched by words.
    pub fn is_text(&self) -> bool {
        matches!(self.scoring, Scoring::Text(_))
    }

    /// The unit in which messages count the work on the field.
    pub fn unit(&self) -> &'static str {
        match self.scoring {
            Scoring::Text(_) | Scoring::Sparse(_) => "posting",
            Scoring::Dense => "vector",
        }
    }

    /// The query that `text` means: words, for a sparse field a JSON object of term to weight, for
    /// a dense field a JSON array of numbers.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when it is no such object or array.
    pub fn parse(&self, text: &str) -> Result<Query> {
        if self.is_text() {
            return self.query(&eval::Query::of_text("", text));
        }
        let vector: Value = serde_json::from_str(text)
            .map_err(|error| self.expected_vector(&format!("`{text}` ({error})")))?;
        let fits = match self.scoring {
            Scoring::Dense => vector.is_array(),
            _ => vector.is_object(),
        };
        if !fits {
            return Err(self.expected_vector(&format!("`{text}`")));
        }
        // One line of a query file, so that the same rules hold.
        let line = json!({ "id": "QUERY", "vector": vector }).to_string();
        let read = read_queries(line.as_bytes(), "QUERY", TopicPart::default());
        // The user knows neither that line nor its key.
        let read = read.map_err(|error| match error {
            Error::InvalidInput { message, .. } => Error::invalid(message).in_field(&self.name),
            error => error,
        })?;
        let query = read
            .first()
            .ok_or_else(|| Error::invalid("expected a query, found none"))?;
        self.query(query)
    }

    /// A parser of queries on this field, which is of text.
    pub fn parser(&self) -> QueryParser {
        let parser = QueryParser::new([self.name.as_str()]);
        match self.scoring {
            Scoring::Text(bm25) => parser.with_bm25(bm25),
            _ => parser,
        }
    }

    /// The field of a query, for reports; a query on several fields has none.
    pub fn of(query: &Query) -> Self {
        Self {
            name: query.field().to_owned(),
            scoring: Scoring::Text(Bm25::default()),
            others: String::new(),
        }
    }

    /// The error for a query that is no vector of the field's kind.
    fn expected_vector(&self, found: &str) -> Error {
        let expected = match self.scoring {
            Scoring::Dense => "array of numbers, such as '[0.12, -0.5]'",
            _ => r#"object of term to weight, such as '{"volcano": 2.5, "lava": 1.1}'"#,
        };
        let model = ", or --model with the model that made the field, for words";
        let other = self.other_fields();
        let message = format!("expected a JSON {expected}{model}{other}; found {found}");
        Error::invalid(message).in_field(&self.name)
    }

    /// Advice to search another field, if there is one.
    fn other_fields(&self) -> String {
        match self.others.is_empty() {
            true => String::new(),
            false => format!(", or another field by --field: {}", self.others),
        }
    }

    /// The library's query for a query of a file.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the query lacks the text or the vector that the field is
    /// searched with.
    pub fn query(&self, query: &eval::Query) -> Result<Query> {
        match self.scoring {
            Scoring::Text(bm25) => match &query.text {
                Some(text) => Ok(Query::text(&self.name, text).with_bm25(bm25)),
                None => Err(self.lacks(query, "text")),
            },
            Scoring::Sparse(terms) => match &query.vector {
                Some(vector) => self.weights(vector, terms),
                None => Err(self.lacks(query, "vector")),
            },
            Scoring::Dense => match &query.dense {
                Some(vector) => Ok(Query::dense(&self.name, vector.as_slice())),
                None => Err(self.lacks(query, "vector")),
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

    fn lacks(&self, query: &eval::Query, part: &str) -> Error {
        let id = &query.id;
        let found = match (&query.vector, &query.dense) {
            (Some(_), None) if self.scoring == Scoring::Dense => "an object of weights",
            (None, Some(_)) if part == "vector" => "an array of numbers",
            _ => "none",
        };
        let message = format!(
            "expected `{part}` in query `{id}`, found {found}; add it{}{}",
            match part {
                "vector" => {
                    ", as `esparsa encode --query` does, or search with --model, the field's model"
                }
                _ => "",
            },
            self.other_fields()
        );
        Error::invalid(message).in_field(&self.name)
    }
}

#[cfg(test)]
mod tests;
