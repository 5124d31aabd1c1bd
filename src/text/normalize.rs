//! NFKC normalization with a map from normalized offsets back to source offsets.
//!
//! The text is split into the smallest pieces that normalize independently: a piece begins at each
//! character whose decomposition starts with a character that neither composes with nor reorders
//! around the one before it. Each piece is normalized separately, and the pair of offsets at which
//! it begins is kept as an anchor. A range of normalized text maps to the source of every piece
//! that it overlaps.

use std::borrow::Cow;
use std::ops::Range;

use unicode_normalization::char::{canonical_combining_class, decompose_compatible};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick, is_nfkc_quick};

/// True if `text` is certainly NFKC; false if it may not be.
pub(super) fn is_normalized(text: &str) -> bool {
    text.is_ascii() || is_nfkc_quick(text.chars()) == IsNormalized::Yes
}

/// A word in NFKC.
pub(super) fn nfkc(word: &str) -> Cow<'_, str> {
    match is_normalized(word) {
        true => Cow::Borrowed(word),
        false => Cow::Owned(word.nfkc().collect()),
    }
}

/// Normalizes one text at a time and maps ranges back to it. Reuses its buffers.
#[derive(Default)]
pub(super) struct Normalizer {
    text: String,
    anchors: Vec<Anchor>,
}

/// The same position in both texts: the start of a piece, or the end of the text.
#[derive(Clone, Copy)]
struct Anchor {
    normalized: usize,
    source: usize,
}

impl Normalizer {
    /// Normalizes `source`; the previous text is discarded.
    pub(super) fn normalize(&mut self, source: &str) {
        self.text.clear();
        self.anchors.clear();
        let mut start = 0;
        for (offset, character) in source.char_indices() {
            if offset > start && begins_piece(character) {
                self.push_piece(&source[start..offset], start);
                start = offset;
            }
        }
        self.push_piece(&source[start..], start);
        self.anchors.push(Anchor {
            normalized: self.text.len(),
            source: source.len(),
        });
    }

    /// The normalized text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The source bytes that the normalized bytes `range` came from; `range` is not empty.
    pub(super) fn source_range(&self, range: Range<usize>) -> Range<usize> {
        let first = self
            .anchors
            .partition_point(|anchor| anchor.normalized <= range.start);
        let last = self
            .anchors
            .partition_point(|anchor| anchor.normalized < range.end);
        let start = first.checked_sub(1).map_or(0, |at| self.anchors[at].source);
        let end = self.anchors.get(last).map_or(start, |anchor| anchor.source);
        start..end
    }

    fn push_piece(&mut self, piece: &str, source: usize) {
        self.anchors.push(Anchor {
            normalized: self.text.len(),
            source,
        });
        self.text.extend(piece.nfkc());
    }
}

/// True if `character` and the text before it normalize independently.
fn begins_piece(character: char) -> bool {
    if character.is_ascii() {
        return true;
    }
    let mut first = None;
    decompose_compatible(character, |part| {
        first.get_or_insert(part);
    });
    let first = first.unwrap_or(character);
    canonical_combining_class(first) == 0
        && is_nfc_quick(std::iter::once(first)) == IsNormalized::Yes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normalize(source: &str) -> Normalizer {
        let mut normalizer = Normalizer::default();
        normalizer.normalize(source);
        normalizer
    }

    #[test]
    fn composed_and_decomposed_letters_become_the_same() {
        assert_eq!(normalize("cafe\u{301}").text(), "caf\u{e9}");
        assert_eq!(normalize("caf\u{e9}").text(), "caf\u{e9}");
    }

    #[test]
    fn ranges_cover_the_characters_they_came_from() {
        let normalizer = normalize("ab\u{fb01}e\u{301}z");
        assert_eq!(normalizer.text(), "abfi\u{e9}z");
        assert_eq!(normalizer.source_range(0..2), 0..2);
        assert_eq!(normalizer.source_range(2..3), 2..5);
        assert_eq!(normalizer.source_range(3..4), 2..5);
        assert_eq!(normalizer.source_range(4..6), 5..8);
        assert_eq!(normalizer.source_range(0..7), 0..9);
    }

    #[test]
    fn full_width_letters_keep_their_own_ranges() {
        let normalizer = normalize("\u{ff21}\u{ff22}");
        assert_eq!(normalizer.text(), "AB");
        assert_eq!(normalizer.source_range(1..2), 3..6);
    }

    #[test]
    fn half_width_jamo_compose_and_map_to_the_whole_syllable() {
        // The half-width forms of U+1112, U+1161 and U+11AB make one syllable together.
        let normalizer = normalize("\u{1112}\u{1161}\u{11ab}");
        assert_eq!(normalizer.text(), "\u{d55c}");
        assert_eq!(normalizer.source_range(0..3), 0..9);
    }
}
