//! Snippets as data: the passages of a document in parts, of which some match. A page inserts the
//! parts as text, so that no document can insert markup.

use std::ops::Range;

use esparsa::{Error, Query, Result, Snapshot, SnippetOptions};
use serde::Serialize;

use crate::document::title_and_text;

/// Characters of a passage, unless another number is asked for.
const DEFAULT_LENGTH: usize = 200;
/// The most characters of a passage.
const MAX_LENGTH: usize = 10_000;

/// How many passages are wanted, and how long.
pub struct Wanted {
    passages: usize,
    length: usize,
}

/// The title and the best passages of a document.
#[derive(Serialize)]
pub struct Passages {
    title: Vec<Part>,
    text: Vec<Passage>,
}

/// One passage.
#[derive(Serialize)]
struct Passage {
    begins_text: bool,
    ends_text: bool,
    parts: Vec<Part>,
}

/// A part of a passage that matches as a whole, or not at all.
#[derive(Serialize)]
struct Part {
    text: String,
    is_match: bool,
}

impl Wanted {
    /// `None` for 0 passages.
    ///
    /// # Errors
    ///
    /// For a length out of range.
    pub fn new(passages: usize, length: Option<usize>) -> Result<Option<Self>> {
        let length = length.unwrap_or(DEFAULT_LENGTH);
        if !(1..=MAX_LENGTH).contains(&length) {
            return Err(Error::invalid(format!(
                "expected a `snippet_length` from 1 to {MAX_LENGTH} characters, found {length}; \
                 correct it"
            )));
        }
        Ok((passages > 0).then_some(Self { passages, length }))
    }

    /// The title, whole up to the same length, and the best passages of the text.
    ///
    /// # Errors
    ///
    /// Those of [`Snapshot::snippets`].
    pub fn of(&self, snapshot: &Snapshot, query: &Query, stored: &[u8]) -> Result<Passages> {
        let (title, text) = title_and_text(stored);
        let options = SnippetOptions::new(self.length);
        let title = snapshot.snippets(query, None, &title, &options)?;
        let title = title
            .first()
            .map(|title| parts(title.text(), title.marks()));
        let options = options.passages(self.passages);
        let passages = snapshot.snippets(query, None, &text, &options)?;
        let passages = passages.iter().map(|passage| Passage {
            begins_text: passage.begins_text(),
            ends_text: passage.ends_text(),
            parts: parts(passage.text(), passage.marks()),
        });
        Ok(Passages {
            title: title.unwrap_or_default(),
            text: passages.collect(),
        })
    }
}

/// Cuts a text at its marks, which are in order and do not overlap.
fn parts(text: &str, marks: &[Range<usize>]) -> Vec<Part> {
    let mut parts = Vec::with_capacity(2 * marks.len() + 1);
    let mut push = |range: Range<usize>, is_match| {
        let text = text.get(range).unwrap_or_default();
        if !text.is_empty() {
            let text = text.to_owned();
            parts.push(Part { text, is_match });
        }
    };
    let mut at = 0;
    for mark in marks {
        push(at..mark.start, false);
        push(mark.clone(), true);
        at = mark.end;
    }
    push(at..text.len(), false);
    parts
}
