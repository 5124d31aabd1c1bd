//! Passages of texts with marks.

use std::ops::Range;

use esparsa::{Snippet, SnippetOptions};

pub fn passage_options(length: usize, passages: usize) -> SnippetOptions {
    SnippetOptions::new(length).passages(passages)
}

/// Passages as HTML or as text, with marks.
pub fn snippets(found: &[Snippet<'_>], before: &str, after: &str, html: bool) -> Vec<String> {
    let each = found.iter();
    each.map(|snippet| match html {
        true => snippet.to_html(before, after),
        false => snippet.to_text(before, after),
    })
    .collect()
}

/// Ranges of characters, as strings of Python have them, from ranges of bytes, which are in order
/// and do not overlap.
pub fn characters(text: &str, ranges: &[Range<usize>]) -> Vec<(usize, usize)> {
    let (mut byte, mut character) = (0, 0);
    let mut place = |end: usize| {
        character += text[byte..end].chars().count();
        byte = end;
        character
    };
    let each = ranges.iter();
    each.map(|range| (place(range.start), place(range.end)))
        .collect()
}
