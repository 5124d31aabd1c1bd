//! Tokenizers: how a chain finds the words of a text.

use unicode_normalization::char::is_combining_mark;

use crate::text::analyzer::SIMPLE_REVISION;
use crate::text::segment;
use crate::text::tokenizer::Word;

/// How a text is split into words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Split {
    /// The whole text, without white space around it, is one word.
    Keyword,
    /// Runs of letters with their combining marks.
    Letters,
    /// The words of UAX #29, NFKC-normalized, as the analyzers of languages find them.
    Standard,
    /// Runs of anything but white space.
    Whitespace,
}

/// All tokenizers by name, sorted.
pub(super) const SPLITS: [(&str, Split); 4] = [
    ("keyword", Split::Keyword),
    ("letters", Split::Letters),
    ("standard", Split::Standard),
    ("whitespace", Split::Whitespace),
];

impl Split {
    pub fn find(name: &str) -> Option<Self> {
        let found = SPLITS
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, split)| *split)
    }

    pub fn name(self) -> &'static str {
        let found = SPLITS.iter().find(|(_, split)| *split == self);
        found.map_or("", |(name, _)| name)
    }

    /// Increased with every change to the words.
    pub fn revision(self) -> u32 {
        match self {
            Self::Standard => SIMPLE_REVISION,
            Self::Keyword | Self::Letters | Self::Whitespace => 1,
        }
    }

    pub fn words(self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        match self {
            Self::Standard => segment::words(text, emit),
            Self::Keyword => {
                let word = text.trim();
                let start = text.len() - text.trim_start().len();
                if !word.is_empty() {
                    emit(Word::new(word, start..start + word.len()));
                }
            }
            Self::Letters => runs(text, is_letter, emit),
            Self::Whitespace => runs(text, |character, _| !character.is_whitespace(), emit),
        }
    }
}

/// A letter, or a combining mark inside a word.
fn is_letter(character: char, in_word: bool) -> bool {
    character.is_alphabetic() || in_word && is_combining_mark(character)
}

/// Emits the runs of characters for which `belongs` is true, which takes the character and whether
/// the one before it belongs to a run.
fn runs(text: &str, belongs: impl Fn(char, bool) -> bool, emit: &mut dyn FnMut(Word<'_>)) {
    let mut start = None;
    for (at, character) in text.char_indices() {
        match (belongs(character, start.is_some()), start) {
            (true, None) => start = Some(at),
            (false, Some(from)) => {
                emit(Word::new(&text[from..at], from..at));
                start = None;
            }
            _ => {}
        }
    }
    if let Some(from) = start {
        emit(Word::new(&text[from..], from..text.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(split: Split, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        split.words(text, &mut |word| found.push(word.text.to_owned()));
        found
    }

    #[test]
    fn tokenizers_differ_in_what_is_a_word() {
        let text = " C++ \u{a0}AT&T\tx-1\u{3000}cafe\u{301}s\n";
        assert_eq!(
            words(Split::Whitespace, text),
            ["C++", "AT&T", "x-1", "cafe\u{301}s"]
        );
        assert_eq!(
            words(Split::Letters, text),
            ["C", "AT", "T", "x", "cafe\u{301}s"]
        );
        assert_eq!(words(Split::Keyword, text), [text.trim()]);
        assert_eq!(
            words(Split::Standard, text),
            ["C", "AT", "T", "x", "1", "caf\u{e9}s"]
        );
        for (_, split) in SPLITS {
            assert!(words(split, " \u{3000}\n").is_empty(), "{split:?}");
        }
        assert_eq!(words(Split::Letters, "\u{301}a 1\u{301}"), ["a"]);
    }
}
