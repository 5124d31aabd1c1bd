//! Records of JSON Lines: BEIR, Anserini's vector collections, and any other lines with an id and
//! text.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use esparsa::{Error, Result};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;

use super::lines::{Lines, utf8};
use super::repair::repair;
use super::vector::{Vector, VectorField};
use super::without_field::without_field;
use super::{Chunk, Record, check_id, excerpt};

/// Parses the lines of a chunk; blank lines are skipped.
pub(super) fn parse(chunk: &Chunk, emit: &mut dyn FnMut(Result<Record>)) {
    for (number, line) in Lines::new(&chunk.bytes, chunk.first_line) {
        if !line.trim_ascii().is_empty() {
            let result = parse_line(line, &chunk.file, number);
            emit(result.map_err(|error| error.at_line(&*chunk.file, number)));
        }
    }
}

/// The keys of a JSON object that its text is read from, in order of preference.
pub const TEXT_KEYS: [&str; 5] = ["text", "contents", "content", "body", "passage"];

/// The fields of a record that are read; the others are only checked to be JSON.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow, default, rename = "_id")]
    beir_id: Scalar<'a>,
    #[serde(borrow, default)]
    id: Scalar<'a>,
    /// MIRACL's name of the id.
    #[serde(borrow, default)]
    docid: Scalar<'a>,
    #[serde(borrow, default)]
    title: Scalar<'a>,
    #[serde(borrow, default)]
    text: Scalar<'a>,
    #[serde(borrow, default)]
    contents: Scalar<'a>,
    #[serde(borrow, default)]
    content: Scalar<'a>,
    #[serde(borrow, default)]
    body: Scalar<'a>,
    #[serde(borrow, default)]
    passage: Scalar<'a>,
    #[serde(default)]
    vector: Option<VectorField>,
}

fn parse_line(line: &[u8], file: &Arc<str>, number: u64) -> Result<Record> {
    let line = utf8(line, file, number)?;
    let object = line.trim_ascii();
    if !object.starts_with('{') {
        return Err(not_an_object(object));
    }
    let error = match serde_json::from_str::<Fields<'_>>(line) {
        Ok(fields) => return record(fields, object, file, number),
        Err(error) => error,
    };
    if let Some(repaired) = repair(object)
        && let Ok(fields) = serde_json::from_str::<Fields<'_>>(&repaired)
        // A repaired number is an error in a vector all the same, and the first message names it.
        && !fields.vector.as_ref().is_some_and(VectorField::is_bad)
    {
        return record(fields, &repaired, file, number);
    }
    Err(describe(&error, line))
}

/// The record of a JSON object that was written as `object`.
fn record(fields: Fields<'_>, object: &str, file: &Arc<str>, number: u64) -> Result<Record> {
    let id = fields.id()?;
    check_id(&id)?;
    let title = fields.title.into_text("title")?;
    let texts = [
        fields.text,
        fields.contents,
        fields.content,
        fields.body,
        fields.passage,
    ];
    let text = first_text(TEXT_KEYS.into_iter().zip(texts))?;
    let (vector, source) = match fields.vector {
        Some(field) => (field.into_vector()?, without_field(object, "vector")),
        None => (None, object.as_bytes().to_vec()),
    };
    let (vector, dense) = match vector {
        None => (None, None),
        Some(Vector::Sparse(terms)) => (Some(terms), None),
        Some(Vector::Dense(numbers)) => (None, Some(numbers)),
    };
    Ok(Record {
        id: id.into_owned(),
        title: title.map(Cow::into_owned),
        text: text.map(Cow::into_owned),
        vector,
        dense,
        source,
        file: Arc::clone(file),
        line: number,
        encoding: None,
    })
}

/// The first string; where there is none, the first other value is an error.
fn first_text<'a>(
    values: impl Iterator<Item = (&'static str, Scalar<'a>)>,
) -> Result<Option<Cow<'a, str>>> {
    let mut other = None;
    for (name, value) in values {
        match value {
            Scalar::Text(_) => return value.into_text(name),
            Scalar::Null => {}
            value => other = other.or(Some((name, value))),
        }
    }
    other.map_or(Ok(None), |(name, value)| value.into_text(name))
}

impl<'a> Fields<'a> {
    fn id(&self) -> Result<Cow<'a, str>> {
        let (name, id) = match (&self.beir_id, &self.id) {
            (Scalar::Null, Scalar::Null) => ("docid", &self.docid),
            (Scalar::Null, id) => ("id", id),
            (id, _) => ("_id", id),
        };
        match id {
            Scalar::Text(id) => Ok(id.clone()),
            Scalar::Integer(id) => Ok(Cow::Owned(id.to_string())),
            Scalar::Null => Err(Error::invalid(
                "the record has no id; expected a field `_id`, `id` or `docid`",
            )),
            Scalar::Other(found) => Err(Error::invalid(format!(
                "expected a string or an integer, found {found}; write the id as a string"
            ))
            .in_field(name)),
        }
    }
}

/// The error for a line that is JSON of another kind, or no JSON at all.
fn not_an_object(line: &str) -> Error {
    let hint = if line.starts_with('[') {
        "; a file that is one array is turned into JSON Lines by `jq -c '.[]'`"
    } else {
        ""
    };
    Error::invalid(format!(
        "expected one JSON object on the line, found `{}`{hint}",
        excerpt(line, 0)
    ))
}

/// Says what is wrong with a line that is not the JSON expected here.
fn describe(error: &serde_json::Error, line: &str) -> Error {
    let place = format!(" at line {} column {}", error.line(), error.column());
    let message = error.to_string();
    let message = message.strip_suffix(&place).unwrap_or(&message);
    let byte = error.column();
    let near = excerpt(line, byte.saturating_sub(1));
    match error.classify() {
        Category::Data => Error::invalid(format!("{message} (byte {byte}, near `{near}`)")),
        Category::Eof => Error::invalid(format!(
            "the JSON object does not end on its line: {message} at byte {byte}, near `{near}`"
        )),
        Category::Syntax | Category::Io => Error::invalid(format!(
            "not valid JSON at byte {byte}: {message}, near `{near}`"
        )),
    }
}

/// The value of a field, borrowed from the line if it has no escapes.
#[derive(Debug, Default, PartialEq)]
enum Scalar<'a> {
    /// Missing, or `null`.
    #[default]
    Null,
    Text(Cow<'a, str>),
    Integer(i128),
    /// Anything else, in words.
    Other(&'static str),
}

impl<'a> Scalar<'a> {
    /// The text of the field called `name`.
    fn into_text(self, name: &str) -> Result<Option<Cow<'a, str>>> {
        let found = match self {
            Scalar::Null => return Ok(None),
            Scalar::Text(text) => return Ok(Some(text)),
            Scalar::Integer(_) => "a number",
            Scalar::Other(found) => found,
        };
        Err(Error::invalid(format!("expected a string, found {found}")).in_field(name))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> std::result::Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, _: bool) -> std::result::Result<Self::Value, E> {
        Ok(Scalar::Other("true or false"))
    }

    fn visit_i64<E>(self, value: i64) -> std::result::Result<Self::Value, E> {
        Ok(Scalar::Integer(i128::from(value)))
    }

    fn visit_u64<E>(self, value: u64) -> std::result::Result<Self::Value, E> {
        Ok(Scalar::Integer(i128::from(value)))
    }

    fn visit_f64<E>(self, _: f64) -> std::result::Result<Self::Value, E> {
        Ok(Scalar::Other("a number with a fraction or too many digits"))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> std::result::Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut elements: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(
        self,
        mut entries: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an object"))
    }
}

#[cfg(test)]
mod tests;
