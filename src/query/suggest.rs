//! Suggestions: what a user may be about to type, and what was probably meant.
//!
//! A prefix or a misspelled text comes in, terms of a field or keywords of a column go out, best
//! first, exact over all segments of the snapshot. Each segment lists what matches in its sorted
//! dictionary; the lists are merged, and only then ordered: the frequency of a term is known when
//! every segment has been asked.
//!
//! | file | concept |
//! | --- | --- |
//! | `vocabulary` | the terms of a field, or the keywords of a column, with their document frequencies |
//! | `title_prefix`, `titles` | whole titles that begin with a prefix, and the best of them |
//! | `correct` | corrections of misspelled words |

mod correct;
#[cfg(test)]
mod tests;
mod title_prefix;
mod titles;
mod vocabulary;

use std::borrow::Cow;
use std::cmp::{Ordering, Reverse};

use unicode_normalization::UnicodeNormalization;

pub use correct::{CorrectedWord, Correction};
use vocabulary::Vocabulary;

use super::matching_terms::TermPattern;
use super::patterns::{Fuzzy, Pattern};
use super::request::Query;
use crate::error::{Error, Result};
use crate::format::Value;
use crate::format::limits::MAX_K;
use crate::index::Snapshot;

/// A term, a keyword or a title that is suggested.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Suggestion {
    /// As the index has it.
    pub text: String,
    /// How many documents have it. Deleted documents are included until a merge drops them, except
    /// in a completion of [titles](Completion::titles), which counts the live documents that its
    /// filters accept.
    pub documents: u64,
    /// The max [weight](Completion::weight) of these documents, if a completion has a weight and
    /// one of them has a value.
    pub weight: Option<Value>,
    /// The edit distance from what was given.
    pub edits: u8,
}

/// What a prefix is completed to: the terms of a field or the keywords of a column, or whole titles.
///
/// ```
/// use esparsa::{Column, Completion, Document, Index, Query, Schema};
///
/// let index = Index::in_memory(Schema::builder()
///     .column("title", Column::keyword())
///     .column("visitors", Column::u64())
///     .column("country", Column::keyword())
///     .build()?)?;
/// let mut writer = index.writer()?;
/// for (title, visitors, country) in [
///     ("Étretat", 1_500_000, "France"),
///     ("Etna", 800_000, "Italy"),
///     ("Monte Etna", 200_000, "Italy"),
/// ] {
///     let document = Document::new(title).with("title", title).with("country", country);
///     writer.add(document.with("visitors", visitors))?;
/// }
/// writer.commit()?;
///
/// let snapshot = index.snapshot()?;
/// let titles = |completion: &Completion, prefix: &str| {
///     let found = snapshot.complete_with(completion, prefix, 10)?;
///     Ok::<Vec<String>, esparsa::Error>(found.into_iter().map(|found| found.text).collect())
/// };
/// let by_visitors = Completion::titles("title").weight("visitors");
/// assert_eq!(titles(&by_visitors, "et")?, ["Étretat", "Etna"]);
/// let in_italy = by_visitors.filter(Query::term("country", "Italy")).any_word();
/// assert_eq!(titles(&in_italy, "et")?, ["Etna", "Monte Etna"]);
/// assert_eq!(titles(&in_italy.typos(1), "erna")?, ["Etna", "Monte Etna"]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Completion {
    field: String,
    is_of_titles: bool,
    typos: u8,
    weight: Option<String>,
    filters: Vec<Query>,
    any_word: bool,
}

impl Completion {
    /// The terms of a text field, or the keywords of a column, that begin with the prefix: those
    /// that the most documents have first, equally frequent ones in the order of their bytes.
    ///
    /// A text field's analyzer folds the prefix as it folds terms, without cutting its ending off.
    /// Terms of a field with a stemmer are stems, such as `volcan`: complete from a field with the
    /// analyzer `simple`, or from a column of keywords, and search in whichever field serves best.
    /// Keywords are compared as they are, case and accents included. A term has no blanks: of a
    /// text that is typed, pass the last word.
    ///
    /// Every term that begins with the prefix is read, and for keywords also the values of the
    /// documents that have one.
    pub fn terms(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            is_of_titles: false,
            typos: 0,
            weight: None,
            filters: Vec::new(),
            any_word: false,
        }
    }

    /// The titles, which are the keywords of a column, that begin with the prefix, ignoring case and
    /// accents. Those that the most documents have are first, or those with the highest
    /// [`weight`](Self::weight); ties are in the order of their bytes. Only live documents count.
    ///
    /// The column holds titles as they are shown; titles that differ in case or accents are
    /// different suggestions. Titles are folded while they are compared: of a prefix that begins
    /// with an ASCII letter or digit, all titles of the index that begin with it, in either case, or
    /// with a character beyond ASCII are read; of another prefix, and with
    /// [`any_word`](Self::any_word), all titles.
    pub fn titles(column: impl Into<String>) -> Self {
        Self {
            is_of_titles: true,
            ..Self::terms(column)
        }
    }

    /// Accepts up to `typos`, 0 to 2, in the prefix: characters inserted, deleted or replaced,
    /// and neighbors swapped, but not in its first character. Fewer typos come first. A prefix of up
    /// to 2 characters is never changed, one of up to 5 at most once.
    #[must_use]
    pub fn typos(mut self, typos: u8) -> Self {
        self.typos = typos;
        self
    }

    /// Orders titles by a column of numbers or dates: the one whose document has the highest value
    /// first, titles of documents without a value last. Of several documents with the same title,
    /// and several values of a document, the highest counts. For titles only.
    #[must_use]
    pub fn weight(mut self, column: impl Into<String>) -> Self {
        self.weight = Some(column.into());
        self
    }

    /// Counts only documents that match this query; given again, documents that match all of them.
    /// For titles only.
    #[must_use]
    pub fn filter(mut self, filter: Query) -> Self {
        self.filters.push(filter);
        self
    }

    /// Finds also titles of which a later word begins with the prefix: `wes` finds `The Wild West`,
    /// and so does `wild w`. For titles only.
    #[must_use]
    pub fn any_word(mut self) -> Self {
        self.any_word = true;
        self
    }

    fn check(&self) -> Result<()> {
        let is_plain = self.weight.is_none() && self.filters.is_empty() && !self.any_word;
        if !self.is_of_titles && !is_plain {
            let message = "expected a completion of titles, because only these have a weight, filters and later words; \
                           found one of terms; leave these out, or complete titles";
            return Err(Error::invalid(message).in_field(&self.field));
        }
        if self.typos > 2 {
            let message = format!("expected 0 to 2 typos, found {}", self.typos);
            return Err(Error::invalid(message).in_field(&self.field));
        }
        Ok(())
    }

    /// The pattern of what begins with a prefix.
    fn pattern(&self, prefix: &str) -> Result<TermPattern> {
        let distance = self.typos.min(max_edits(prefix));
        let pattern = match distance {
            0 => Pattern::Prefix(prefix.to_owned()),
            _ => Pattern::Fuzzy(Fuzzy {
                term: prefix.to_owned(),
                distance,
                prefix: 1,
                transpositions: true,
                prefix_match: true,
            }),
        };
        TermPattern::new(&pattern)
    }
}

impl Snapshot {
    /// The `n` most frequent terms of a text field, or keywords of a column, that begin with a
    /// prefix: [`complete_with`](Self::complete_with) of [`Completion::terms`].
    ///
    /// ```
    /// use esparsa::{Document, Index, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder().text("text", Text::new()).build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("1").with_text("text", "Lava lakes"))?;
    /// writer.add(Document::new("2").with_text("text", "Lava domes"))?;
    /// writer.commit()?;
    /// let found = index.snapshot()?.complete("text", "LA", 10)?;
    /// let found: Vec<_> = found.iter().map(|found| (&*found.text, found.documents)).collect();
    /// assert_eq!(found, [("lava", 2), ("lakes", 1)]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`complete_with`](Self::complete_with).
    pub fn complete(&self, field: &str, prefix: &str, n: usize) -> Result<Vec<Suggestion>> {
        self.complete_with(&Completion::terms(field), prefix, n)
    }

    /// The best `n` completions of a prefix, best first; fewer when there are fewer. They are exact:
    /// every segment is asked. White space at the beginning of the prefix is ignored; an empty one
    /// finds the best of all terms or titles.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when a field is not there or of another kind, when `n` is 0, when a
    /// completion of terms has options of titles, or when typos are accepted in a prefix of more
    /// than 101 characters; [`Error::Limit`] when `n` is too large; for a filter as
    /// [`search`](Self::search); [`Error::Corrupt`] when bytes that must be read are damaged.
    pub fn complete_with(
        &self,
        completion: &Completion,
        prefix: &str,
        n: usize,
    ) -> Result<Vec<Suggestion>> {
        if n == 0 {
            return Err(Error::invalid("expected n to be at least 1, found 0"));
        }
        if n > MAX_K {
            return Err(Error::limit("n", n as u64, MAX_K as u64));
        }
        completion.check()?;
        let prefix = prefix.trim_start();
        if completion.is_of_titles {
            return titles::complete(self, completion, prefix, n);
        }
        let in_field = |error: Error| error.in_field(&completion.field);
        let vocabulary = Vocabulary::new(self, &completion.field)?;
        let prefix = vocabulary.normalize(prefix)?;
        let pattern = completion.pattern(&prefix).map_err(in_field)?;
        let mut found = vocabulary.matching(&pattern)?;
        keep_best(&mut found, n, compare);
        Ok(found)
    }
}

/// Fewer edits first, then the most documents, then the order of the bytes.
fn compare(a: &Suggestion, b: &Suggestion) -> Ordering {
    let key = |found: &Suggestion| (found.edits, Reverse(found.documents));
    key(a).cmp(&key(b)).then_with(|| a.text.cmp(&b.text))
}

/// Keeps the best `n` in order, without sorting the others.
fn keep_best<T>(found: &mut Vec<T>, n: usize, compare: impl Fn(&T, &T) -> Ordering) {
    if n > 0 && n < found.len() {
        found.select_nth_unstable_by(n - 1, &compare);
        found.truncate(n);
    }
    found.sort_unstable_by(compare);
}

/// The most edits of a word, or of a prefix, that still leave it recognizable: none of up to 2
/// characters, 1 of up to 5, else 2.
fn max_edits(word: &str) -> u8 {
    match word.chars().take(6).count() {
        0..=2 => 0,
        3..=5 => 1,
        _ => 2,
    }
}

/// The text as analyzers find words in it: NFKC-normalized.
fn nfkc(text: &str) -> Cow<'_, str> {
    match text.is_ascii() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.nfkc().collect()),
    }
}
