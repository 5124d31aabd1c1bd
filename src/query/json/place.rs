//! Values of JSON, and where they are, for messages.

use std::fmt;

use serde_json::{Map, Value as Json};

use crate::error::{Error, Result};
use crate::format::Value;

/// Keys of Elasticsearch and OpenSearch, and what they are here.
const OTHERS: [(&str, &str); 12] = [
    ("dis_max", "`{\"best_of\": [QUERY, …]}`"),
    (
        "function_score",
        "`boost` or `constant_score` beside the query",
    ),
    ("knn", "`{\"dense\": {FIELD: [NUMBER, …]}}`"),
    ("match", "`{\"text\": {FIELD: WORDS}}`"),
    ("match_all", "`{\"all\": {}}`"),
    ("match_phrase", "`{\"phrase\": {FIELD: WORDS}}`"),
    (
        "match_phrase_prefix",
        "`{\"phrase\": {FIELD: {\"text\": WORDS, \"prefix\": true}}}`",
    ),
    (
        "minimum_should_match",
        "`minimum_should`, or `minimum_terms` beside `text`",
    ),
    (
        "multi_match",
        "`{\"text_in\": {\"fields\": {FIELD: WEIGHT}, \"text\": WORDS}}`",
    ),
    ("must_not", "`without` beside `bool`"),
    (
        "query_string",
        "the text in the query language, which is not JSON",
    ),
    ("regexp", "`{\"regex\": {FIELD: PATTERN}}`"),
];

/// Where in the JSON something is, for messages.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Root,
    Key(&'a str),
    Element(usize),
}

impl Place<'_> {
    pub const ROOT: Place<'static> = Place {
        parent: None,
        step: Step::Root,
    };

    pub fn key<'a>(&'a self, key: &'a str) -> Place<'a> {
        Place {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    pub fn element(&self, number: usize) -> Place<'_> {
        Place {
            parent: Some(self),
            step: Step::Element(number),
        }
    }

    pub fn path(&self) -> String {
        let before = self.parent.map(Place::path).unwrap_or_default();
        match self.step {
            Step::Root => before,
            Step::Key(key) if before.is_empty() => key.to_owned(),
            Step::Key(key) => format!("{before}.{key}"),
            Step::Element(number) => format!("{before}[{number}]"),
        }
    }

    pub fn error(&self, expected: &str, found: impl fmt::Display) -> Error {
        let path = match self.path() {
            path if path.is_empty() => String::new(),
            path => format!("at `{path}`: "),
        };
        Error::invalid(format!("{path}expected {expected}, found {found}"))
    }

    /// The error of a key that no query has, with what other engines mean by it.
    pub fn unknown(&self, expected: &str, key: &str) -> Error {
        let ours = OTHERS.iter().find(|(other, _)| *other == key);
        let hint = ours.map_or(String::new(), |(_, ours)| format!("; write {ours}"));
        self.error(expected, format_args!("the key `{key}`{hint}"))
    }

    pub fn wrong(&self, expected: &str, found: &Json) -> Error {
        let mut found = found.to_string();
        if let Some((end, _)) = found.char_indices().nth(60) {
            found.truncate(end);
            found.push('…');
        }
        self.error(expected, found)
    }

    /// The only entry of an object.
    pub fn field<'j>(&self, json: &'j Json) -> Result<(&'j str, &'j Json)> {
        let expected = "an object with the name of one field";
        let mut entries = self.object(expected, json)?.iter();
        match (entries.next(), entries.next()) {
            (Some((field, value)), None) => Ok((field, value)),
            _ => Err(self.wrong(expected, json)),
        }
    }

    pub fn count(&self, json: &Json) -> Result<u32> {
        let count = json.as_u64().and_then(|count| u32::try_from(count).ok());
        count.ok_or_else(|| self.wrong("a whole number", json))
    }

    pub fn object<'j>(&self, expected: &str, json: &'j Json) -> Result<&'j Map<String, Json>> {
        json.as_object().ok_or_else(|| self.wrong(expected, json))
    }

    pub fn array<'j>(&self, expected: &str, json: &'j Json) -> Result<&'j Vec<Json>> {
        json.as_array().ok_or_else(|| self.wrong(expected, json))
    }

    pub fn string<'j>(&self, expected: &str, json: &'j Json) -> Result<&'j str> {
        let expected = format!("{expected}, a string");
        json.as_str().ok_or_else(|| self.wrong(&expected, json))
    }

    pub fn number(&self, expected: &str, json: &Json) -> Result<f32> {
        let number = json.as_f64().map(|number| number as f32);
        let number = number.filter(|number| number.is_finite());
        number.ok_or_else(|| self.wrong(expected, json))
    }

    pub fn value(&self, json: &Json) -> Result<Value> {
        Value::from_json(json).ok_or_else(|| self.wrong("a string, a number, true or false", json))
    }
}
