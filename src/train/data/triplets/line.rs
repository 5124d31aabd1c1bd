//! Lines of triplets: columns separated by tabs, or JSON.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::eval::json::{id_from, parse_object, wrong_type};
use crate::eval::lines::quote;

/// The layouts of a file of triplets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// `query`, relevant document, negatives, with tabs between them.
    Tsv,
    /// JSON Lines of arrays or objects.
    Json,
}

/// What a line holds: texts, or ids of texts.
#[derive(Debug, PartialEq)]
pub(super) struct Columns<'a> {
    pub query: Cow<'a, str>,
    /// At least one.
    pub relevant: Vec<Cow<'a, str>>,
    /// At least one.
    pub negatives: Vec<Cow<'a, str>>,
}

impl Layout {
    /// The layout of a file with this first line. A line of JSON has no tabs, those in its strings
    /// are escaped; a query may begin with a bracket.
    pub fn of(line: &str) -> Self {
        match line.trim_start().starts_with(['[', '{']) && !line.contains('\t') {
            true => Self::Json,
            false => Self::Tsv,
        }
    }

    /// Splits a line.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] without a position, for a line without a query, a relevant document and
    /// a negative, and for one that is empty.
    pub fn parse(self, line: &str) -> Result<Columns<'_>> {
        match self {
            Self::Tsv => columns(line),
            Self::Json => json(line),
        }
    }
}

fn columns(line: &str) -> Result<Columns<'_>> {
    let mut parts = line.split('\t').map(str::trim);
    if let Some(empty) = parts.clone().position(str::is_empty) {
        return Err(Error::invalid(format!(
            "expected columns that are not empty, found nothing in column {}",
            empty + 1
        )));
    }
    let (query, relevant) = (parts.next(), parts.next());
    let negatives: Vec<Cow<'_, str>> = parts.map(Cow::Borrowed).collect();
    match (query, relevant) {
        (Some(query), Some(relevant)) if !negatives.is_empty() => Ok(Columns {
            query: Cow::Borrowed(query),
            relevant: vec![Cow::Borrowed(relevant)],
            negatives,
        }),
        _ => Err(Error::invalid(format!(
            "expected a query, a relevant document and one or more negatives, separated by tabs, found {} \
             columns",
            line.split('\t').count()
        ))),
    }
}

fn json(line: &str) -> Result<Columns<'_>> {
    let found = match line.trim_start().starts_with('[') {
        true => array(line)?,
        false => object(line)?,
    };
    for (list, what) in [
        (&found.relevant, "relevant document"),
        (&found.negatives, "negative"),
    ] {
        if list.is_empty() {
            return Err(Error::invalid(format!(
                "expected one or more entries for a {what}, found none in {}",
                quote(line)
            )));
        }
    }
    let documents = found.relevant.iter().chain(&found.negatives);
    let has_empty = documents
        .chain([&found.query])
        .any(|entry| entry.trim().is_empty());
    match has_empty {
        true => Err(Error::invalid(format!(
            "expected entries that are not empty, found an empty one in {}",
            quote(line)
        ))),
        false => Ok(found),
    }
}

/// `[query, relevant, negative, ...]`.
fn array(line: &str) -> Result<Columns<'static>> {
    let items: Vec<Value> = serde_json::from_str(line).map_err(|error| {
        Error::invalid(format!(
            "expected one JSON array on the line, found {} (column {})",
            quote(line),
            error.column()
        ))
    })?;
    let [query, relevant, rest @ ..] = &items[..] else {
        return Err(Error::invalid(format!(
            "expected `[query, relevant document, negative, ...]`, found {} entries in {}",
            items.len(),
            quote(line)
        )));
    };
    let mut negatives = Vec::with_capacity(rest.len());
    for negative in rest {
        append(negative, &mut negatives)?;
    }
    Ok(Columns {
        query: one(query)?,
        relevant: all(relevant)?,
        negatives,
    })
}

/// `{"qid": query, "pos": [relevant, ...], "neg": [negative, ...]}`.
fn object(line: &str) -> Result<Columns<'static>> {
    let object = parse_object(line)?;
    let part = |names: &[&str]| {
        let found = names.iter().find_map(|name| object.get(*name));
        found.ok_or_else(|| {
            Error::invalid(format!(
                "expected `query`, `pos` and `neg`, found no `{}` in {}",
                names[0],
                quote(line)
            ))
        })
    };
    let query = one(part(&["query", "qid", "anchor"])?)?;
    let relevant = all(part(&["pos", "positive", "positives"])?)?;
    let negatives = match part(&["neg", "negative", "negatives"])? {
        Value::Object(systems) => {
            let mut found = Vec::new();
            for list in systems.values() {
                append(list, &mut found)?;
            }
            without_repeats(found)
        }
        other => all(other)?,
    };
    Ok(Columns {
        query,
        relevant,
        negatives,
    })
}

fn one(value: &Value) -> Result<Cow<'static, str>> {
    id_from(value).map(Cow::Owned)
}

fn all(value: &Value) -> Result<Vec<Cow<'static, str>>> {
    let mut found = Vec::new();
    append(value, &mut found)?;
    Ok(found)
}

/// One text or id, or an array of them.
fn append(value: &Value, found: &mut Vec<Cow<'static, str>>) -> Result<()> {
    match value {
        Value::Array(items) => {
            for item in items {
                found.push(one(item)?);
            }
        }
        Value::String(_) | Value::Number(_) => found.push(one(value)?),
        other => {
            return Err(wrong_type(
                "a string, an integer or an array of these",
                other,
            ));
        }
    }
    Ok(())
}

/// Each entry once, where it came first.
fn without_repeats(entries: Vec<Cow<'static, str>>) -> Vec<Cow<'static, str>> {
    let mut seen = HashSet::with_capacity(entries.len());
    let is_new = |entry: &Cow<'static, str>| seen.insert(entry.clone());
    entries.into_iter().filter(is_new).collect()
}
