//! A passage with its marks, as ranges and as text.

use std::borrow::Cow;
use std::ops::Range;

/// A passage of a text, with the words marked that a query looks for.
///
/// ```
/// use esparsa::{Index, Query, Schema, SnippetOptions, Text};
///
/// let index = Index::in_memory(Schema::builder().text("text", Text::new()).build()?)?;
/// let (query, text) = (Query::text("text", "lava"), "😀 <b>lava</b>");
/// let options = SnippetOptions::default();
/// let snippets = index.snapshot()?.snippets(&query, Some("text"), text, &options)?;
/// let snippet = &snippets[0];
/// assert_eq!(snippet.to_html("<em>", "</em>"), "😀 &lt;b&gt;<em>lava</em>&lt;/b&gt;");
/// assert_eq!(snippet.to_text("[", "]"), "😀 <b>[lava]</b>");
/// // The same place counted in bytes, in characters, and as JavaScript counts.
/// assert_eq!(snippet.marks(), [8..12]);
/// assert_eq!(snippet.character_marks(), [5..9]);
/// assert_eq!(snippet.utf16_marks(), [6..10]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet<'t> {
    whole: &'t str,
    range: Range<usize>,
    marks: Vec<Range<usize>>,
}

impl<'t> Snippet<'t> {
    /// Marks are bytes from the beginning of the range, in order, and do not overlap.
    pub(super) fn new(whole: &'t str, range: Range<usize>, marks: Vec<Range<usize>>) -> Self {
        Self {
            whole,
            range,
            marks,
        }
    }

    /// The passage.
    pub fn text(&self) -> &'t str {
        &self.whole[self.range.clone()]
    }

    /// Which bytes of the whole text the passage is.
    pub fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// Whether there is nothing but white space before the passage; otherwise an ellipsis may stand
    /// there.
    pub fn begins_text(&self) -> bool {
        let before = &self.whole[..self.range.start];
        before.chars().all(char::is_whitespace)
    }

    /// Whether there is nothing but white space behind the passage; otherwise an ellipsis may stand
    /// there.
    pub fn ends_text(&self) -> bool {
        let behind = &self.whole[self.range.end..];
        behind.chars().all(char::is_whitespace)
    }

    /// The marked words, as ranges of bytes of [`text`](Self::text), in order. They do not overlap,
    /// and none divides a grapheme cluster.
    pub fn marks(&self) -> &[Range<usize>] {
        &self.marks
    }

    /// The marked words, as ranges of characters (Unicode scalar values) of [`text`](Self::text):
    /// what Python counts.
    pub fn character_marks(&self) -> Vec<Range<usize>> {
        self.counted(|text| text.chars().count())
    }

    /// The marked words, as ranges of code units of UTF-16 of [`text`](Self::text): what
    /// JavaScript, Java and C# count.
    pub fn utf16_marks(&self) -> Vec<Range<usize>> {
        self.counted(|text| text.encode_utf16().count())
    }

    fn counted(&self, count: impl Fn(&str) -> usize) -> Vec<Range<usize>> {
        let text = self.text();
        let (mut at, mut counted) = (0, 0);
        let marks = self.marks.iter().map(|mark| {
            let start = counted + count(&text[at..mark.start]);
            let end = start + count(&text[mark.clone()]);
            (at, counted) = (mark.end, end);
            start..end
        });
        marks.collect()
    }

    /// The passage as HTML: each marked word between `open` and `close`, which are tags and taken
    /// as they are. Everything else is escaped (`&`, `<`, `>`, `"` and `'`), so that it is text,
    /// inside of elements and of quoted attributes.
    pub fn to_html(&self, open: &str, close: &str) -> String {
        self.rendered(open, close, |text| {
            html_escape::encode_quoted_attribute(text)
        })
    }

    /// The passage as it is, with each marked word between `open` and `close`.
    pub fn to_text(&self, open: &str, close: &str) -> String {
        self.rendered(open, close, Cow::Borrowed)
    }

    fn rendered<'s>(
        &'s self,
        open: &str,
        close: &str,
        escape: impl Fn(&'s str) -> Cow<'s, str>,
    ) -> String {
        let text: &'s str = self.text();
        let marks = self.marks.len() * (open.len() + close.len());
        let mut out = String::with_capacity(text.len() + marks);
        let mut at = 0;
        for mark in &self.marks {
            out.push_str(&escape(&text[at..mark.start]));
            out.push_str(open);
            out.push_str(&escape(&text[mark.clone()]));
            out.push_str(close);
            at = mark.end;
        }
        out.push_str(&escape(&text[at..]));
        out
    }
}
