//! Why a query of words finds nothing.

use esparsa::{Query, Result, Snapshot};

use crate::queries::SearchedField;

/// Why a query of words finds nothing, if all its words are stop words or it has none; `text` is
/// the query as the user wrote it.
///
/// # Errors
///
/// What analyzing the query gives.
pub fn without_terms(snapshot: &Snapshot, query: &Query, text: &str) -> Result<Option<String>> {
    if snapshot.has_terms(query)? {
        return Ok(None);
    }
    let dropped = snapshot.words_without_terms(query)?;
    Ok(Some(match dropped.is_empty() {
        true => format!(
            "expected a query with at least one word, found `{text}`; letters and digits make words"
        ),
        false => format!(
            "every word of the query is a stop word ({}), and these are not indexed; an index made with an analyzer like \
             `--language en+stopwords` keeps them",
            dropped.join(", ")
        ),
    }))
}

/// Which words of a text no document has, or that none has all of them, for a query that requires
/// all.
///
/// # Errors
///
/// What searching gives.
pub fn missing_words(snapshot: &Snapshot, field: &SearchedField, text: &str) -> Result<String> {
    let mut missing = Vec::new();
    for word in text.split_whitespace() {
        let query = field.parse(word)?.with_all_terms();
        if snapshot.has_terms(&query)? && snapshot.search(&query, 1)?.is_empty() {
            missing.push(format!("`{word}`"));
        }
    }
    Ok(match missing.is_empty() {
        true => "no document has all words of the query; without --all-terms, documents that have some are found".to_owned(),
        false => format!(
            "no document has {}, and --all-terms requires every word; leave out what is missing, or --all-terms",
            missing.join(" or ")
        ),
    })
}
