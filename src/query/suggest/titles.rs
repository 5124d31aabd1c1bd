//! Completion of whole titles, by a weight or by the number of documents.

use std::cmp::Reverse;
use std::sync::Arc;

use super::super::matching::Matcher;
use super::super::options::SearchOptions;
use super::super::request::Query;
use super::title_prefix::TitlePrefix;
use super::vocabulary::each_code;
use super::{Completion, Suggestion, keep_best};
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::column::{ColumnCursor, ColumnType, ColumnValues};
use crate::format::{FieldKind, FieldNumber, FieldOptions};
use crate::index::{Snapshot, SnapshotSegment};

/// A title that begins with the prefix.
struct Title {
    text: String,
    edits: u8,
    documents: u64,
    /// The code of its max weight: codes of numbers and dates are in their order, in all segments.
    weight: Option<u64>,
}

/// The best `n` titles that begin with a prefix.
pub(super) fn complete(
    snapshot: &Snapshot,
    completion: &Completion,
    prefix: &str,
    n: usize,
) -> Result<Vec<Suggestion>> {
    let (field, column) = column_of(snapshot, &completion.field)?;
    if column != ColumnType::Keyword {
        let message = format!(
            "expected a column of keywords, found one of type {}",
            column.name()
        );
        return Err(Error::invalid(message).in_field(&completion.field));
    }
    let weight = completion.weight.as_deref();
    let weight = weight
        .map(|name| weight_column(snapshot, name))
        .transpose()?;
    let query = completion.filters.iter().cloned();
    let query = query.fold(Query::all(), Query::with_filter);
    let options = SearchOptions::new(1);
    snapshot.check_query(&query, &options)?;
    let filters = Matcher::of_filters(snapshot, &query, &options)?;
    let prefix = TitlePrefix::new(completion, prefix);
    let prefix = prefix.map_err(|error| error.in_field(&completion.field))?;

    let mut titles = Vec::new();
    for (ordinal, segment) in snapshot.segments().iter().enumerate() {
        let reader = &segment.reader;
        let Some(column) = reader.column(field) else {
            continue;
        };
        let (codes, mut found) = candidates(column, &prefix)?;
        if codes.is_empty() {
            continue;
        }
        let with_title = column.in_set(&codes)?;
        let accepted = accepted(segment, with_title, filters.as_ref(), ordinal)?;
        let weights = weight.and_then(|(number, _)| reader.column(number));
        count(column, &codes, &accepted, weights, &mut found)?;
        titles.extend(found.into_iter().filter(|title| title.documents > 0));
    }
    merge(&mut titles);
    keep_best(&mut titles, n, |a, b| {
        let documents = |title: &Title| match weight {
            Some(_) => 0,
            None => title.documents,
        };
        let key = |title: &Title| {
            (
                title.edits,
                Reverse(title.weight),
                Reverse(documents(title)),
            )
        };
        key(a).cmp(&key(b)).then_with(|| a.text.cmp(&b.text))
    });
    let suggestions = titles.into_iter().map(|title| Suggestion {
        text: title.text,
        documents: title.documents,
        weight: title
            .weight
            .and_then(|code| weight.and_then(|(_, column)| column.value_of(code))),
        edits: title.edits,
    });
    Ok(suggestions.collect())
}

fn column_of(snapshot: &Snapshot, name: &str) -> Result<(FieldNumber, ColumnType)> {
    let field = snapshot.schema().expect(name, FieldKind::Column)?;
    match &field.options {
        FieldOptions::Column(column) => Ok((field.number, column.column_type)),
        _ => Err(Error::invalid("expected a column").in_field(name)),
    }
}

fn weight_column(snapshot: &Snapshot, name: &str) -> Result<(FieldNumber, ColumnType)> {
    let (field, column) = column_of(snapshot, name)?;
    if matches!(column, ColumnType::Keyword | ColumnType::Bool) {
        let found = column.name();
        let message = format!("expected a column of numbers or dates, found one of type {found}");
        return Err(Error::invalid(message).in_field(name));
    }
    Ok((field, column))
}

/// The titles of a segment that begin with the prefix, and their codes, which rise.
fn candidates(column: &ColumnValues, prefix: &TitlePrefix) -> Result<(Vec<u64>, Vec<Title>)> {
    let (mut codes, mut titles) = (Vec::new(), Vec::new());
    if let Some(keywords) = column.keywords() {
        prefix.each_candidate(keywords, |key, ordinal| {
            let text = keywords.text(key)?;
            if let Some(edits) = prefix.edits(text) {
                codes.push(ordinal);
                titles.push(Title {
                    text: text.to_owned(),
                    edits,
                    documents: 0,
                    weight: None,
                });
            }
            Ok(())
        })?;
    }
    Ok((codes, titles))
}

/// The live documents among these that the filters accept.
fn accepted(
    segment: &SnapshotSegment,
    mut documents: DocSet,
    filters: Option<&Matcher<'_>>,
    ordinal: usize,
) -> Result<DocSet> {
    if let Some(filters) = filters {
        let filtered: Arc<DocSet> = filters.documents(ordinal)?;
        documents.intersect(&filtered);
    }
    if let Some(deleted) = &segment.deleted {
        documents.subtract(deleted);
    }
    Ok(documents)
}

/// Counts the documents of each title, and finds the max of their weights.
fn count(
    column: &ColumnValues,
    codes: &[u64],
    documents: &DocSet,
    weights: Option<&ColumnValues>,
    titles: &mut [Title],
) -> Result<()> {
    let mut weights = weights.map(ColumnCursor::new);
    each_code(column, codes, documents, |document, index| {
        let weight = match &mut weights {
            Some(weights) => weights.extreme(document, true)?,
            None => None,
        };
        if let Some(title) = titles.get_mut(index) {
            title.documents += 1;
            title.weight = title.weight.max(weight);
        }
        Ok(())
    })
}

/// Combines what segments have of the same titles.
fn merge(titles: &mut Vec<Title>) {
    // The list of each segment is in order already, which this sort makes use of.
    titles.sort_by(|a, b| a.text.cmp(&b.text));
    titles.dedup_by(|next, kept| {
        let is_same = next.text == kept.text;
        if is_same {
            kept.documents += next.documents;
            kept.weight = kept.weight.max(next.weight);
        }
        is_same
    });
}
