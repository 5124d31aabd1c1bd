//! What documents must have in one field, checked against the schema.

use std::ops::Bound;
use std::sync::Arc;

use super::matching_terms::TermPattern;
use super::patterns::Pattern;
use super::text_documents::{WordDocuments, add_terms};
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::column::{ColumnType, ColumnValues};
use crate::format::{DocId, FieldKind, FieldNumber, FieldOptions, Value};
use crate::index::Snapshot;
use crate::segment::{SegmentReader, TextField};

/// What documents must have in a field.
#[derive(Debug)]
pub(super) enum InField {
    /// A code in this range.
    Codes(u64, u64),
    /// One of these codes, which rise.
    CodeSet(Vec<u64>),
    Keywords(Bound<String>, Bound<String>),
    KeywordSet(Vec<String>),
    /// One of these terms.
    TextTerms(Vec<String>),
    /// A term, or a keyword, of this pattern.
    Matching(TermPattern),
    /// Anything.
    Exists,
}

/// The number and options of a field.
fn field<'a>(snapshot: &'a Snapshot, name: &str) -> Result<(FieldNumber, &'a FieldOptions)> {
    match snapshot.schema().field(name) {
        Some(field) => Ok((field.number, &field.options)),
        // The error that names the fields of the index.
        None => Err(match snapshot.schema().expect(name, FieldKind::Column) {
            Ok(_) => Error::invalid("expected a column"),
            Err(error) => error,
        }),
    }
}

fn refuse<T>(expected: &str, found: &FieldOptions) -> Result<T> {
    let found = found.kind().name();
    Err(Error::invalid(format!(
        "expected {expected}, found a {found} field"
    )))
}

pub(super) fn terms(
    snapshot: &Snapshot,
    name: &str,
    values: &[Value],
) -> Result<(FieldNumber, InField)> {
    let (field, options) = field(snapshot, name)?;
    let column = match options {
        FieldOptions::Column(column) => column.column_type,
        FieldOptions::Text(_) => {
            let terms = values.iter().map(|value| match value {
                Value::Keyword(term) => Ok(term.clone()),
                value => Err(Error::invalid(format!("expected a term, found {value}"))),
            });
            return Ok((field, InField::TextTerms(terms.collect::<Result<_>>()?)));
        }
        options => return refuse("a column or a text field", options),
    };
    let converted = values.iter().map(|value| column.convert(value));
    let converted = converted.collect::<Result<Vec<Value>>>()?;
    if column == ColumnType::Keyword {
        let keywords = converted.into_iter().map(|value| value.to_string());
        return Ok((field, InField::KeywordSet(keywords.collect())));
    }
    let codes = converted.iter().filter_map(|value| column.code_of(value));
    let mut codes: Vec<u64> = codes.collect();
    codes.sort_unstable();
    codes.dedup();
    Ok((field, InField::CodeSet(codes)))
}

pub(super) fn range(
    snapshot: &Snapshot,
    name: &str,
    low: &Bound<Value>,
    high: &Bound<Value>,
) -> Result<(FieldNumber, InField)> {
    let (field, options) = field(snapshot, name)?;
    let FieldOptions::Column(column) = options else {
        return refuse("a column", options);
    };
    let reversed = |low: &Value, high: &Value| {
        let message = format!("expected a range from low to high, found one from {low} to {high}");
        Error::invalid(message)
    };
    if column.column_type == ColumnType::Keyword {
        let (low, high) = (keyword(low)?, keyword(high)?);
        if let (Some(low), Some(high)) = (limit(&low), limit(&high))
            && low > high
        {
            return Err(reversed(&Value::from(low), &Value::from(high)));
        }
        return Ok((field, InField::Keywords(low, high)));
    }
    let lowest = |value: &Value, is_strict| column.column_type.lowest_code(value, is_strict);
    let start = match low {
        Bound::Unbounded => Some(0),
        Bound::Included(value) => lowest(value, false)?,
        Bound::Excluded(value) => lowest(value, true)?,
    };
    // The first code that is above the range; `None` when all are below.
    let end = match high {
        Bound::Unbounded => None,
        Bound::Included(value) => lowest(value, true)?,
        Bound::Excluded(value) => lowest(value, false)?,
    };
    if let (Some(low), Some(high)) = (limit(low), limit(high))
        && lowest(low, false)?.unwrap_or(u64::MAX) > lowest(high, false)?.unwrap_or(u64::MAX)
    {
        return Err(reversed(low, high));
    }
    let last = end.map_or(Some(u64::MAX), |end| end.checked_sub(1));
    let codes = match (start, last) {
        (Some(start), Some(last)) if start <= last => InField::Codes(start, last),
        _ => InField::CodeSet(Vec::new()),
    };
    Ok((field, codes))
}

fn limit<T>(bound: &Bound<T>) -> Option<&T> {
    match bound {
        Bound::Included(value) | Bound::Excluded(value) => Some(value),
        Bound::Unbounded => None,
    }
}

fn keyword(bound: &Bound<Value>) -> Result<Bound<String>> {
    let keyword = |value: &Value| match ColumnType::Keyword.convert(value)? {
        Value::Keyword(keyword) => Ok(keyword),
        _ => Err(Error::invalid("expected a string")),
    };
    Ok(match bound {
        Bound::Included(value) => Bound::Included(keyword(value)?),
        Bound::Excluded(value) => Bound::Excluded(keyword(value)?),
        Bound::Unbounded => Bound::Unbounded,
    })
}

/// The number and options of a field that has terms or keywords.
pub(super) fn field_of_terms<'a>(
    snapshot: &'a Snapshot,
    name: &str,
) -> Result<(FieldNumber, &'a FieldOptions)> {
    let (field, options) = field(snapshot, name)?;
    match options {
        FieldOptions::Text(_) => Ok((field, options)),
        FieldOptions::Column(column) if column.column_type == ColumnType::Keyword => {
            Ok((field, options))
        }
        FieldOptions::Column(column) => {
            let found = column.column_type.name();
            Err(Error::invalid(format!(
                "expected a text field or a column of keywords, found a column of type {found}"
            )))
        }
        options => refuse("a text field or a column of keywords", options),
    }
}

pub(super) fn matching(
    snapshot: &Snapshot,
    name: &str,
    pattern: &Pattern,
) -> Result<(FieldNumber, InField)> {
    let (field, _) = field_of_terms(snapshot, name)?;
    Ok((field, InField::Matching(TermPattern::new(pattern)?)))
}

pub(super) fn exists(snapshot: &Snapshot, name: &str) -> Result<(FieldNumber, InField)> {
    let (field, options) = field(snapshot, name)?;
    match options.kind() {
        FieldKind::Column | FieldKind::Text | FieldKind::Dense => Ok((field, InField::Exists)),
        _ => refuse("a column, a text field or a dense field", options),
    }
}

impl InField {
    /// The documents of a segment; none when the segment does not have the field.
    pub fn documents(&self, reader: &SegmentReader, field: FieldNumber) -> Result<Arc<DocSet>> {
        let none = DocSet::empty(reader.documents());
        let set = match self {
            Self::Codes(low, high) => match reader.column(field) {
                Some(column) => column.in_range(*low, *high)?,
                None => none,
            },
            Self::CodeSet(codes) => match reader.column(field) {
                Some(column) => column.in_set(codes)?,
                None => none,
            },
            Self::Keywords(low, high) => match reader.column(field) {
                Some(column) => keywords_between(column, low, high)?.unwrap_or(none),
                None => none,
            },
            Self::KeywordSet(keywords) => match reader.column(field) {
                Some(column) => one_of_keywords(column, keywords)?,
                None => none,
            },
            Self::TextTerms(terms) => match reader.text(field) {
                Some(text) => with_terms(reader, text, terms)?,
                None => none,
            },
            Self::Matching(pattern) => pattern.documents(reader, field)?.unwrap_or(none),
            Self::Exists => having_field(reader, field)?.unwrap_or(none),
        };
        Ok(Arc::new(set))
    }
}

impl InField {
    /// Of documents that rise, keeps those that are found, or those that are not; false when finding
    /// all of them is faster.
    pub fn retain(
        &self,
        reader: &SegmentReader,
        field: FieldNumber,
        documents: &mut Vec<DocId>,
        are_kept: bool,
    ) -> Result<bool> {
        match (self, reader.column(field), reader.text(field)) {
            (Self::Codes(low, high), Some(column), _) => {
                column.retain_in_range(*low, *high, documents, are_kept)
            }
            (Self::TextTerms(terms), _, Some(text)) => {
                let mut lists = Vec::new();
                for term in terms {
                    if let Some(entry) = text.terms.term(term.as_bytes())? {
                        lists.push(text.list(reader.documents(), &entry)?.blocks);
                    }
                }
                let words = WordDocuments::new(lists, reader.documents(), false);
                words.retain(documents, are_kept)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}

fn one_of_keywords(column: &ColumnValues, keywords: &[String]) -> Result<DocSet> {
    let mut codes = Vec::new();
    if let Some(dictionary) = column.keywords() {
        for keyword in keywords {
            codes.extend(dictionary.ordinal(keyword.as_bytes())?);
        }
    }
    codes.sort_unstable();
    codes.dedup();
    column.in_set(&codes)
}

/// `None` when there are no such keywords.
fn keywords_between(
    column: &ColumnValues,
    low: &Bound<String>,
    high: &Bound<String>,
) -> Result<Option<DocSet>> {
    let Some(dictionary) = column.keywords() else {
        return Ok(None);
    };
    // The ordinal of the first keyword that is not below, or is above, this one.
    let first = |keyword: &String, is_above: bool| {
        let ceiling = dictionary.ceiling(keyword.as_bytes())?;
        let is_there = is_above && dictionary.ordinal(keyword.as_bytes())?.is_some();
        Ok::<u64, Error>(ceiling + u64::from(is_there))
    };
    let start = match low {
        Bound::Unbounded => 0,
        Bound::Included(keyword) => first(keyword, false)?,
        Bound::Excluded(keyword) => first(keyword, true)?,
    };
    let end = match high {
        Bound::Unbounded => dictionary.len(),
        Bound::Included(keyword) => first(keyword, true)?,
        Bound::Excluded(keyword) => first(keyword, false)?,
    };
    match end.checked_sub(1) {
        Some(last) if start <= last => column.in_range(start, last).map(Some),
        _ => Ok(None),
    }
}

/// The documents with any of these terms.
fn with_terms(reader: &SegmentReader, text: &TextField, terms: &[String]) -> Result<DocSet> {
    let mut set = DocSet::empty(reader.documents());
    set.insert_lists(|set| add_terms(reader, text, terms, set))?;
    Ok(set)
}

/// The documents that have anything in a field; `None` when the segment does not have it.
fn having_field(reader: &SegmentReader, field: FieldNumber) -> Result<Option<DocSet>> {
    if let Some(column) = reader.column(field) {
        return column.having_value().map(Some);
    }
    let mut set = DocSet::empty(reader.documents());
    if let Some(text) = reader.text(field) {
        for (document, code) in (0..).zip(text.lengths.all()?) {
            if *code > 0 {
                set.insert(document);
            }
        }
    }
    if let Some(vectors) = reader.dense(field) {
        for row in 0..vectors.rows() {
            set.insert(vectors.document(row)?);
        }
    }
    Ok(Some(set))
}
