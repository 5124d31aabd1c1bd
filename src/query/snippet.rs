//! The passages of a text that show why it was found.
//!
//! | file | concept |
//! | --- | --- |
//! | `ruler` | lengths of text, and the boundaries of grapheme clusters |
//! | `best` | the stretches of a text with the best matches |
//! | `widen` | from a stretch to a passage of whole sentences or words |
//! | `render` | [`Snippet`]: its marks, as HTML and as text |

mod best;
#[cfg(test)]
mod properties;
mod render;
mod ruler;
#[cfg(test)]
mod tests;
mod widen;

use std::ops::Range;

pub use render::Snippet;

use super::marks::{Occurrence, merged};
use super::request::Query;
use super::text::idf;
use crate::error::{Error, Result};
use crate::format::FieldNumber;
use crate::format::limits::MAX_TEXT_TERM_BYTES;
use crate::index::Snapshot;
use best::Stretch;
use ruler::Ruler;

/// The most passages of a text, so that finding them takes bounded time.
const MAX_PASSAGES: usize = 100;
/// The default length of a passage: two lines.
const DEFAULT_LENGTH: usize = 160;
/// Weights are idf times this, as integers, so that sums do not depend on their order.
const WEIGHT_SCALE: f64 = 65_536.0;

/// Which passages of a text are wanted: by default one of at most 160 characters.
///
/// ```
/// use esparsa::SnippetOptions;
///
/// let options = SnippetOptions::new(200).passages(3).by_rank();
/// // At most 200 code units of UTF-16, as JavaScript counts.
/// let options = options.widths(char::len_utf16);
/// ```
#[derive(Clone, Debug)]
pub struct SnippetOptions {
    length: usize,
    passages: usize,
    is_by_rank: bool,
    ruler: Ruler,
}

impl Default for SnippetOptions {
    fn default() -> Self {
        Self::new(DEFAULT_LENGTH)
    }
}

impl SnippetOptions {
    /// One passage of at most `length` characters (Unicode scalar values), at least 1. A text that
    /// is no longer is given whole; `usize::MAX` gives any text whole.
    pub fn new(length: usize) -> Self {
        Self {
            length,
            passages: 1,
            is_by_rank: false,
            ruler: Ruler::default(),
        }
    }

    /// The maximum number of passages, 1 to 100, which do not overlap.
    #[must_use]
    pub fn passages(mut self, passages: usize) -> Self {
        self.passages = passages;
        self
    }

    /// The best passage first. By default they are in the order of the text.
    #[must_use]
    pub fn by_rank(mut self) -> Self {
        self.is_by_rank = true;
        self
    }

    /// Measures the length by the widths of characters, such as the columns that they take on a
    /// terminal, instead of counting them.
    #[must_use]
    pub fn widths(mut self, width: fn(char) -> usize) -> Self {
        self.ruler = Ruler::with_widths(width);
        self
    }

    fn check(&self) -> Result<()> {
        if self.length == 0 {
            let message = "expected passages of a length of at least 1, found 0";
            return Err(Error::invalid(message));
        }
        if !(1..=MAX_PASSAGES).contains(&self.passages) {
            let message = format!(
                "expected 1 to {MAX_PASSAGES} passages of a text, found {}",
                self.passages
            );
            return Err(Error::invalid(message));
        }
        Ok(())
    }
}

impl Snapshot {
    /// The best passages of a text by what a query looks for, with the words marked.
    ///
    /// Words of the query on `field` count, and with `None` those on all text fields, each analyzed
    /// as its field is; [`highlight`](Self::highlight) says which words are marked. The best
    /// passage has the highest sum of idf of the distinct terms in it; of equal ones the best has
    /// the least text between its matches, and then stands first. Passages consist of whole
    /// sentences where these are neither too long nor too short, or else end between words, and
    /// never divide a grapheme cluster, a character as people see it. Passages without a match are
    /// not returned; if there is no match at all, the beginning of the text is. Nothing is returned
    /// for a text without visible characters, and where a single cluster is longer than a passage
    /// may be.
    ///
    /// The time is linear in the length of the text.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, SnippetOptions, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("text", Text::new().analyzer("english"))
    ///     .stored("source")
    ///     .build()?)?;
    /// let mut writer = index.writer()?;
    /// let text = "Sicily is an island. Etna & its lava are famous: the volcano is active. It has \
    ///             snow in winter.";
    /// writer.add(Document::new("etna").with_text("text", text))?;
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// let query = Query::text("text", "active volcanoes");
    /// let hits = snapshot.search(&query, 10)?;
    /// let best = hits.first().expect("one document matches");
    /// // What is stored is JSON; `text` is the text of the field.
    /// let stored: serde_json::Value = serde_json::from_slice(&best.stored()?)?;
    /// let text = stored["text"].as_str().unwrap_or_default();
    ///
    /// let snippets = snapshot.snippets(&query, Some("text"), text, &SnippetOptions::new(60))?;
    /// assert_eq!(
    ///     snippets[0].to_html("<mark>", "</mark>"),
    ///     "Etna &amp; its lava are famous: the <mark>volcano</mark> is <mark>active</mark>."
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when `field` or a field of the query is
    /// no text field of the index, or an option is out of its range;
    /// [`Error::Corrupt`](crate::Error::Corrupt) when a dictionary is damaged.
    pub fn snippets<'t>(
        &self,
        query: &Query,
        field: Option<&str>,
        text: &'t str,
        options: &SnippetOptions,
    ) -> Result<Vec<Snippet<'t>>> {
        options.check()?;
        let found = self.occurrences(query, field, text)?;
        let mut weights = Vec::with_capacity(found.terms.len());
        for (field, term) in &found.terms {
            let idf = idf(
                self.totals(*field).documents,
                self.document_frequency(*field, term)?,
            );
            weights.push((f64::from(idf) * WEIGHT_SCALE) as u64 + 1);
        }
        let passages = passages(text, &found.all, &weights, options);
        let snippets = passages.into_iter().map(|passage| {
            let marks = marks_in(text, &found.all, &passage);
            Snippet::new(text, passage, marks)
        });
        Ok(snippets.collect())
    }

    /// In how many documents of the snapshot a term is, deleted ones included.
    fn document_frequency(&self, field: FieldNumber, term: &str) -> Result<u64> {
        if term.len() > MAX_TEXT_TERM_BYTES {
            return Ok(0);
        }
        let mut documents = 0;
        for segment in self.segments() {
            if let Some(text) = segment.reader.text(field)
                && let Some(entry) = text.terms.term(term.as_bytes())?
            {
                documents += u64::from(entry.document_frequency);
            }
        }
        Ok(documents)
    }
}

/// The best passages in the order that the options say.
fn passages(
    text: &str,
    occurrences: &[Occurrence],
    weights: &[u64],
    options: &SnippetOptions,
) -> Vec<Range<usize>> {
    let (ruler, length) = (&options.ruler, options.length);
    if ruler.forward(text, 0..text.len(), length) == text.len() {
        return match text.chars().all(char::is_whitespace) {
            true => Vec::new(),
            false => Vec::from_iter(std::iter::once(0..text.len())),
        };
    }
    if occurrences.is_empty() {
        let passage = widen::beginning(text, length, ruler);
        return Vec::from_iter((!passage.is_empty()).then_some(passage));
    }
    let spots = best::measure(text, occurrences, ruler);
    let mut stretches = vec![Stretch::new(&spots, 0..text.len(), weights, length)];
    let mut passages = Vec::new();
    while passages.len() < options.passages {
        let best = stretches.iter().enumerate();
        let best = best.filter_map(|(number, stretch)| Some((stretch.rank()?, number)));
        let Some((_, number)) = best.max() else {
            break;
        };
        let stretch = stretches.swap_remove(number);
        let Some(core) = stretch.core(text) else {
            break;
        };
        let passage = widen::passage(text, &core, &stretch.free, length, ruler);
        let taken = core.start.min(passage.start)..core.end.max(passage.end);
        stretches.extend(stretch.without(&taken, weights, length));
        if !passage.is_empty() {
            passages.push(passage);
        }
    }
    if !options.is_by_rank {
        passages.sort_by_key(|passage| passage.start);
    }
    passages
}

/// The marks of a passage, as bytes from its beginning.
fn marks_in(text: &str, occurrences: &[Occurrence], passage: &Range<usize>) -> Vec<Range<usize>> {
    let from = occurrences.partition_point(|one| one.range.end <= passage.start);
    let inside = occurrences[from..].iter().map(|one| &one.range);
    let inside = inside
        .take_while(|range| range.start < passage.end)
        .map(|range| {
            let (start, end) = (range.start.max(passage.start), range.end.min(passage.end));
            start - passage.start..end - passage.start
        });
    merged(&text[passage.clone()], inside)
}
