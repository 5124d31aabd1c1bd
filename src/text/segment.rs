//! Word segmentation by UAX #29: words with at least one letter or digit, and emoji.
//!
//! White space always separates words, so the text is processed in chunks between white space.
//! [`scan`](super::scan) handles chunks of common scripts. All others are normalized if necessary
//! and segmented by the general algorithm. Restarting the algorithm at a chunk or after a word does
//! not change its result, because no rule looks back across the end of a word.

use unicode_properties::UnicodeEmoji;
use unicode_segmentation::UnicodeSegmentation;

use super::normalize::{Normalizer, is_normalized};
use super::scan;
use super::tokenizer::Word;

/// Calls `emit` with the words of `text`, in order.
pub(super) fn words(text: &str, mut emit: impl FnMut(Word<'_>)) {
    let mut normalizer = Normalizer::default();
    let mut at = 0;
    while at < text.len() {
        at = scan::words(text, at, &mut emit);
        if at < text.len() {
            let end = chunk_end(text, at);
            chunk_words(&text[at..end], at, &mut normalizer, &mut emit);
            at = end;
        }
    }
}

/// Emits the words of one chunk, which begins at byte `base` of the text, by the general algorithm.
fn chunk_words(
    chunk: &str,
    base: usize,
    normalizer: &mut Normalizer,
    emit: &mut impl FnMut(Word<'_>),
) {
    if is_normalized(chunk) {
        for (offset, word) in words_of(chunk) {
            let start = base + offset;
            emit(Word::new(word, start..start + word.len()));
        }
        return;
    }
    normalizer.normalize(chunk);
    for (offset, word) in words_of(normalizer.text()) {
        let range = normalizer.source_range(offset..offset + word.len());
        emit(Word::new(word, base + range.start..base + range.end));
    }
}

/// The words of a normalized chunk with their offsets.
fn words_of(chunk: &str) -> impl Iterator<Item = (usize, &str)> {
    let parts = chunk.split_word_bound_indices();
    parts.filter(|(_, part)| part.chars().any(|c| c.is_alphanumeric() || is_emoji(c)))
}

/// True for pictographs, but not for symbols of Latin text that also have an emoji form (`©`, `*`,
/// `#`).
pub(super) fn is_emoji(character: char) -> bool {
    character >= '\u{2000}' && character.is_emoji_char()
}

/// The offset of the first white space after `start`, or the end of the text.
pub(super) fn chunk_end(text: &str, start: usize) -> usize {
    let length = text.as_bytes()[start..]
        .iter()
        .position(u8::is_ascii_whitespace);
    length.map_or(text.len(), |length| start + length)
}

/// Reference for [`words`]: every chunk by the general algorithm.
#[cfg(test)]
pub(super) fn words_reference(text: &str, mut emit: impl FnMut(Word<'_>)) {
    let mut normalizer = Normalizer::default();
    let mut at = 0;
    while at < text.len() {
        let end = chunk_end(text, at);
        chunk_words(&text[at..end], at, &mut normalizer, &mut emit);
        at = end + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(text: &str) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        words(text, |word| {
            found.push((word.text.to_owned(), word.start, word.end));
        });
        found
    }

    fn texts(text: &str) -> Vec<String> {
        collect(text).into_iter().map(|(text, _, _)| text).collect()
    }

    #[test]
    fn words_have_a_letter_or_a_digit() {
        assert_eq!(
            texts("a - b ... 3 _ __x \u{2014} © ⁂"),
            ["a", "b", "3", "__x"]
        );
    }

    #[test]
    fn emoji_are_words() {
        assert_eq!(
            texts("pizza🍕! 👩\u{200d}🚀 🇧🇷🇰🇷 👍🏽 ❤\u{fe0f}✔"),
            [
                "pizza",
                "🍕",
                "👩\u{200d}🚀",
                "🇧🇷",
                "🇰🇷",
                "👍🏽",
                "❤\u{fe0f}",
                "✔"
            ]
        );
    }

    #[test]
    fn dots_commas_and_apostrophes_join_by_the_rules() {
        assert_eq!(
            texts("can't 3.14 1,000 e.g. a,b x.3 3.x don\u{2019}t foo_bar l'\u{e9}t\u{e9}"),
            [
                "can't",
                "3.14",
                "1,000",
                "e.g",
                "a",
                "b",
                "x",
                "3",
                "3",
                "x",
                "don\u{2019}t",
                "foo_bar",
                "l'\u{e9}t\u{e9}"
            ]
        );
    }

    #[test]
    fn a_mark_after_an_ascii_word_belongs_to_it() {
        assert_eq!(
            collect("x cafe\u{301}s y"),
            [
                ("x".to_owned(), 0, 1),
                ("caf\u{e9}s".to_owned(), 2, 9),
                ("y".to_owned(), 10, 11)
            ]
        );
    }

    #[test]
    fn one_character_may_hold_several_words() {
        // The Arabic ligature U+FDFA is a phrase of four words.
        let ranges: Vec<_> = collect("x\u{fdfa}")
            .into_iter()
            .map(|(_, start, end)| (start, end))
            .collect();
        assert_eq!(ranges, [(0, 4), (1, 4), (1, 4), (1, 4)]);
    }

    #[test]
    fn empty_and_blank_texts_have_no_words() {
        assert!(collect("").is_empty());
        assert!(collect(" \t\r\n ").is_empty());
    }
}
