//! `/api/indexes/{name}/suggest`: how the text of a search box may go on, and what was probably
//! meant when it cannot.

use std::cmp::Reverse;
use std::collections::HashMap;

use esparsa::{Completion, FieldKind, FieldOptions, Query, SearchOptions, Snapshot};
use serde::Serialize;

use super::app::Work;
use super::error::ApiError;
use super::indexes::ServedIndex;
use super::judged::QueryReport;
use super::query::{MAX_QUERY_BYTES, text_fields};
use super::reply::to_json;
use crate::search::snippet::title_and_text;

/// Suggestions, unless another number is asked for.
const DEFAULT_K: usize = 8;
/// The most suggestions.
const MAX_K: usize = 100;
/// Documents that the words of a field with stems are taken from.
const MAX_DOCUMENTS: usize = 20;

#[derive(Serialize)]
struct Report<'a> {
    index: &'a str,
    commit: u64,
    /// The field that was asked; none for an index without text.
    field: Option<&'a str>,
    completions: Vec<CompletionReport>,
    /// The whole text with its words corrected, if nothing completes it.
    correction: Option<String>,
    /// Judged queries that have the text.
    queries: Vec<QueryReport<'a>>,
}

/// A way in which the text may go on.
#[derive(Serialize)]
struct CompletionReport {
    /// The completed word or title.
    text: String,
    /// The whole text, with it in the place of its last word.
    query: String,
    /// How many documents have it: of words that are taken from documents, how many of these.
    documents: u64,
}

/// What a field gives.
enum Source {
    /// Keywords of a column: whole titles.
    Titles,
    /// Terms that are words.
    Words,
    /// Stems and n-grams, which nobody should read: words of documents stand for them.
    Documents,
}

/// Completes the last word of `q`, or corrects `q` when nothing does.
///
/// # Errors
///
/// 400 for mistakes in the parameters, 504 when the time is up.
pub fn answer(work: &mut Work, index: &ServedIndex) -> Result<Vec<u8>, ApiError> {
    let app = work.app.clone();
    let parameters = &mut work.parameters;
    let text = parameters.text("q")?;
    let field = parameters.text("field")?;
    let k = parameters.size("k", DEFAULT_K)?;
    work.finish_parameters()?;
    let text = text.ok_or_else(|| {
        ApiError::invalid("expected `q`, the beginning of a query, found none; add it")
    })?;
    if text.len() > MAX_QUERY_BYTES || !(1..=MAX_K).contains(&k) {
        return Err(ApiError::invalid(format!(
            "expected `q` of at most {MAX_QUERY_BYTES} bytes and `k` from 1 to {MAX_K}, found {} bytes and {k}",
            text.len()
        )));
    }
    let snapshot = index.snapshot();
    let mut report = Report {
        index: &index.name,
        commit: snapshot.commit(),
        field: None,
        completions: Vec::new(),
        correction: None,
        queries: app
            .judgements
            .of(&index.name)
            .map_or_else(Vec::new, |judged| judged.with(&text, k)),
    };
    let field = field.or_else(|| default_field(&snapshot));
    if let Some(field) = &field {
        // The library cannot stop the search for words, so it is not begun when the time is up.
        work.cancel.check("completing")?;
        let source = source(&snapshot, field)?;
        report.field = Some(field);
        report.completions = match source {
            Source::Titles => titles(&snapshot, field, &text, k)?,
            Source::Words => words(&snapshot, field, &text, k)?,
            Source::Documents => of_documents(work, &snapshot, field, &text, k)?,
        };
        if report.completions.is_empty() && matches!(source, Source::Words) {
            work.cancel.check("correcting")?;
            let correction = snapshot.correct(field, &text)?;
            report.correction = correction.map(|correction| correction.text);
        }
    }
    to_json(&report)
}

/// The first field whose terms are words, or else the first field of text.
fn default_field(snapshot: &Snapshot) -> Option<String> {
    let fields = text_fields(snapshot);
    let are_words = |field: &&String| matches!(source(snapshot, field), Ok(Source::Words));
    fields.iter().find(are_words).or(fields.first()).cloned()
}

fn source(snapshot: &Snapshot, field: &str) -> Result<Source, ApiError> {
    let is_column = snapshot
        .schema()
        .field(field)
        .is_some_and(|field| matches!(field.options, FieldOptions::Column(_)));
    if is_column {
        return Ok(Source::Titles);
    }
    snapshot.schema().expect(field, FieldKind::Text)?;
    // Fields with stems cannot be corrected, and nothing else tells them from others.
    Ok(match snapshot.correct(field, "") {
        Ok(_) => Source::Words,
        Err(_) => Source::Documents,
    })
}

fn titles(
    snapshot: &Snapshot,
    column: &str,
    text: &str,
    k: usize,
) -> Result<Vec<CompletionReport>, ApiError> {
    let completion = Completion::titles(column);
    let found = snapshot.complete_with(&completion, text, k)?;
    let reports = found.into_iter().map(|found| CompletionReport {
        query: found.text.clone(),
        text: found.text,
        documents: found.documents,
    });
    Ok(reports.collect())
}

fn words(
    snapshot: &Snapshot,
    field: &str,
    text: &str,
    k: usize,
) -> Result<Vec<CompletionReport>, ApiError> {
    let (before, prefix) = last_word(text);
    if prefix.is_empty() {
        return Ok(Vec::new());
    }
    let found = snapshot.complete(field, prefix, k)?;
    let reports = found.into_iter().map(|found| CompletionReport {
        query: format!("{before}{}", found.text),
        text: found.text,
        documents: found.documents,
    });
    Ok(reports.collect())
}

/// Words of the best documents that begin with the last word: those in the most documents first.
fn of_documents(
    work: &Work,
    snapshot: &Snapshot,
    field: &str,
    text: &str,
    k: usize,
) -> Result<Vec<CompletionReport>, ApiError> {
    let (before, prefix) = last_word(text);
    if prefix.is_empty() {
        return Ok(Vec::new());
    }
    let folded = prefix.to_lowercase();
    let query = Query::prefix(field, &folded);
    let options = SearchOptions::new(MAX_DOCUMENTS).cancel(work.cancel.clone());
    let result = snapshot.search_with(&query, &options)?;
    let mut counts: HashMap<String, u64> = HashMap::new();
    for hit in &result.hits {
        work.cancel.check("reading documents")?;
        let (title, text) = title_and_text(&hit.stored()?);
        let mut words = Vec::new();
        for part in [&title, &text] {
            let marked = snapshot.highlight(&query, part)?;
            let marked = marked.into_iter().filter_map(|range| part.get(range));
            words.extend(marked.map(str::to_lowercase));
        }
        words.sort_unstable();
        words.dedup();
        for word in words.into_iter().filter(|word| word.starts_with(&folded)) {
            *counts.entry(word).or_default() += 1;
        }
    }
    let mut counts: Vec<(String, u64)> = counts.into_iter().collect();
    counts.sort_unstable_by(|(a, x), (b, y)| (Reverse(x), a).cmp(&(Reverse(y), b)));
    counts.truncate(k);
    let reports = counts
        .into_iter()
        .map(|(word, documents)| CompletionReport {
            query: format!("{before}{word}"),
            text: word,
            documents,
        });
    Ok(reports.collect())
}

/// The last word of a text, which is empty behind a blank or a sign, and what is before it.
fn last_word(text: &str) -> (&str, &str) {
    let is_between = |character: char| !character.is_alphanumeric();
    let start = text
        .char_indices()
        .rfind(|(_, character)| is_between(*character))
        .map_or(0, |(at, character)| at + character.len_utf8());
    text.split_at(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_what_is_being_typed() {
        assert_eq!(last_word("vol"), ("", "vol"));
        assert_eq!(last_word("active vol"), ("active ", "vol"));
        assert_eq!(last_word("+title:(\"vol"), ("+title:(\"", "vol"));
        assert_eq!(last_word("한글 세종"), ("한글 ", "세종"));
        assert_eq!(last_word("vol "), ("vol ", ""));
        assert_eq!(last_word(""), ("", ""));
    }
}
