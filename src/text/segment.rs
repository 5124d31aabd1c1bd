//! Words by the rules of UAX #29, those with at least one letter or digit, and emoji.
//!
//! White space always separates words, so the text is handled in chunks between white space. Chunks of common scripts
//! are scanned by [`scan`](super::scan); all others come here: normalized if they need it, then segmented by the
//! general algorithm. Restarting the algorithm at a chunk, or right after a word, does not change what it finds, since
//! no rule looks back across a word's end.

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

/// Words of one chunk that begins at byte `base` of the text, by the general algorithm.
fn chunk_words(
    chunk: &str,
    base: usize,
    normalizer: &mut Normalizer,
    emit: &mut impl FnMut(Word<'_>),
) {
    if is_normalized(chunk) {
        for (offset, word) in words_of(chunk) {
            emit(Word {
                text: word,
                start: base + offset,
                end: base + offset + word.len(),
            });
        }
        return;
    }
    normalizer.normalize(chunk);
    for (offset, word) in words_of(normalizer.text()) {
        let range = normalizer.source_range(offset..offset + word.len());
        emit(Word {
            text: word,
            start: base + range.start,
            end: base + range.end,
        });
    }
}

/// The words of a normalized chunk, each with where it begins.
fn words_of(chunk: &str) -> impl Iterator<Item = (usize, &str)> {
    let parts = chunk.split_word_bound_indices();
    parts.filter(|(_, part)| part.chars().any(|c| c.is_alphanumeric() || is_emoji(c)))
}

/// Pictures, not the marks of Latin text (`©`, `*`, `#`) that may be shown as such.
pub(super) fn is_emoji(character: char) -> bool {
    character >= '\u{2000}' && character.is_emoji_char()
}

/// Where the white space after `start` begins, or the end of the text.
pub(super) fn chunk_end(text: &str, start: usize) -> usize {
    let length = text.as_bytes()[start..]
        .iter()
        .position(u8::is_ascii_whitespace);
    length.map_or(text.len(), |length| start + length)
}

/// The slow, obvious version of [`words`]: every chunk by the general algorithm.
#[cfg(test)]
pub(super) fn words_slowly(text: &str, mut emit: impl FnMut(Word<'_>)) {
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
        // The Arabic ligature U+FDFA stands for a phrase of four words.
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
