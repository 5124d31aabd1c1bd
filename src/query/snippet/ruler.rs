//! Lengths of text, and the boundaries of grapheme clusters.

use std::ops::Range;

use unicode_segmentation::GraphemeCursor;

/// Measures text: in characters, or by a width of each.
#[derive(Clone, Debug, Default)]
pub(super) struct Ruler {
    /// `None`: 1.
    width: Option<fn(char) -> usize>,
}

impl Ruler {
    pub fn with_widths(width: fn(char) -> usize) -> Self {
        Self { width: Some(width) }
    }

    fn width(&self, character: char) -> usize {
        self.width.map_or(1, |width| width(character))
    }

    /// The length of a text.
    pub fn measure(&self, text: &str) -> usize {
        match self.width {
            None => text.chars().count(),
            Some(width) => text.chars().map(width).fold(0, usize::saturating_add),
        }
    }

    /// The last boundary of clusters in a range, such that the text from its beginning is not
    /// longer.
    pub fn forward(&self, text: &str, range: Range<usize>, length: usize) -> usize {
        let (mut left, mut end) = (length, range.start);
        for character in text[range.clone()].chars() {
            match left.checked_sub(self.width(character)) {
                Some(rest) => left = rest,
                None => break,
            }
            end += character.len_utf8();
        }
        if end == range.end {
            return end;
        }
        floor(text, end).max(range.start)
    }

    /// The first boundary of clusters in a range, such that the text up to its end is not longer.
    pub fn backward(&self, text: &str, range: Range<usize>, length: usize) -> usize {
        let (mut left, mut start) = (length, range.end);
        for character in text[range.clone()].chars().rev() {
            match left.checked_sub(self.width(character)) {
                Some(rest) => left = rest,
                None => break,
            }
            start -= character.len_utf8();
        }
        if start == range.start {
            return start;
        }
        ceil(text, start).min(range.end)
    }
}

/// The last boundary of grapheme clusters that is not behind a boundary of characters.
pub(super) fn floor(text: &str, at: usize) -> usize {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    match cursor.is_boundary(text, 0) {
        Ok(false) => cursor.prev_boundary(text, 0).ok().flatten().unwrap_or(0),
        _ => at,
    }
}

/// The first boundary of grapheme clusters that is not before a boundary of characters.
pub(super) fn ceil(text: &str, at: usize) -> usize {
    let mut cursor = GraphemeCursor::new(at, text.len(), true);
    match cursor.is_boundary(text, 0) {
        Ok(false) => {
            let next = cursor.next_boundary(text, 0).ok().flatten();
            next.unwrap_or(text.len())
        }
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_not_divided() {
        let text = "ae\u{301}👩‍👩‍👧x";
        let ruler = Ruler::default();
        let ends: Vec<usize> = (0..10)
            .map(|length| ruler.forward(text, 0..text.len(), length))
            .collect();
        assert_eq!(ends, [0, 1, 1, 4, 4, 4, 4, 4, 22, 23]);
        let starts: Vec<usize> = (0..10)
            .map(|length| ruler.backward(text, 0..text.len(), length))
            .collect();
        assert_eq!(starts, [23, 22, 22, 22, 22, 22, 4, 4, 1, 0]);
        assert_eq!((floor(text, 2), ceil(text, 2)), (1, 4));
    }

    #[test]
    fn widths_are_added() {
        let ruler = Ruler::with_widths(|c| if c.is_ascii() { 1 } else { 2 });
        assert_eq!(ruler.measure("a한"), 3);
        assert_eq!(ruler.forward("한한", 0..6, 3), 3);
    }
}
