//! Snippets as data: the passages of a document in parts, of which some match. A page inserts the
//! parts as text, so that no document can insert markup.

use std::ops::Range;

use esparsa::{Query, Snapshot, SnippetOptions};
use serde::Serialize;

use super::error::ApiError;
use super::parameters::Parameters;
use super::reply::escaped_bytes;
use crate::search::snippet::title_and_text;

/// Characters of a passage, unless another number is asked for.
const DEFAULT_LENGTH: usize = 200;
/// The most characters of a passage.
const MAX_LENGTH: usize = 10_000;

/// How many passages are wanted, and how long.
#[derive(Clone)]
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

impl Passages {
    /// Bytes that they take in an answer: a part may be one letter, which is little beside what is
    /// around it.
    pub fn bytes(&self) -> usize {
        const PART: usize = r#"{"text":"","is_match":false},"#.len();
        const PASSAGE: usize = r#"{"begins_text":false,"ends_text":false,"parts":[]},"#.len();
        let parts = self.text.iter().flat_map(|passage| &passage.parts);
        let parts = parts.chain(&self.title);
        let parts = parts.map(|part| PART + escaped_bytes(&part.text));
        PASSAGE * self.text.len() + parts.sum::<usize>()
    }
}

/// One passage.
#[derive(Serialize)]
struct Passage {
    /// Whether it begins where the text does.
    begins_text: bool,
    /// Whether it ends where the text does.
    ends_text: bool,
    parts: Vec<Part>,
}

/// A part of a passage that matches as a whole, or not at all.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Part {
    text: String,
    is_match: bool,
}

impl Wanted {
    /// Takes `snippets` and `snippet_length`; `None` when no snippets are wanted.
    ///
    /// # Errors
    ///
    /// 400 for a length out of range.
    pub fn take(parameters: &mut Parameters) -> Result<Option<Self>, ApiError> {
        let passages = parameters.size("snippets", 0)?;
        let length = parameters.size("snippet_length", DEFAULT_LENGTH)?;
        if !(1..=MAX_LENGTH).contains(&length) {
            return Err(ApiError::invalid(format!(
                "expected a `snippet_length` from 1 to {MAX_LENGTH} characters, found {length}"
            )));
        }
        Ok((passages > 0).then_some(Self { passages, length }))
    }

    /// The title, whole up to the same length, and the best passages of the text.
    ///
    /// # Errors
    ///
    /// 400 for a number of passages out of range.
    pub fn of(
        &self,
        snapshot: &Snapshot,
        query: &Query,
        stored: &[u8],
    ) -> Result<Passages, ApiError> {
        let (title, text) = title_and_text(stored);
        let options = SnippetOptions::new(self.length);
        let title = snapshot.snippets(query, None, &title, &options)?;
        let title = title.first();
        let options = SnippetOptions::new(self.length).passages(self.passages);
        let passages = snapshot.snippets(query, None, &text, &options)?;
        Ok(Passages {
            title: title.map_or_else(Vec::new, |title| parts(title.text(), title.marks())),
            text: passages
                .iter()
                .map(|passage| Passage {
                    begins_text: passage.begins_text(),
                    ends_text: passage.ends_text(),
                    parts: parts(passage.text(), passage.marks()),
                })
                .collect(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passages_count_as_long_as_they_are_sent() {
        let text = "a \u{1}\"".repeat(1_000);
        let marks: Vec<Range<usize>> = (0..1_000).map(|part| 4 * part..4 * part + 1).collect();
        let passage = || Passage {
            begins_text: false,
            ends_text: false,
            parts: parts(&text, &marks),
        };
        let passages = Passages {
            title: parts(&text, &[]),
            text: vec![passage(), passage()],
        };
        let sent = serde_json::to_vec(&passages).unwrap().len();
        assert!(
            (sent..sent + 10_000).contains(&(passages.bytes() + 100)),
            "{sent}"
        );
    }

    #[test]
    fn a_text_is_cut_at_its_marks() {
        let cut = |text, marks: &[Range<usize>]| -> String {
            let parts = parts(text, marks).into_iter();
            let shown = parts.map(|part| match part.is_match {
                true => format!("[{}]", part.text),
                false => format!("({})", part.text),
            });
            shown.collect()
        };
        assert_eq!(cut("abc", &[]), "(abc)");
        assert_eq!(cut("abc", &[0..1, 2..3]), "[a](b)[c]");
        assert_eq!(cut("é!", &[0..2, 2..2]), "[é](!)");
        assert_eq!(cut("", &[]), "");
    }
}
