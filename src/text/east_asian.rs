//! Chinese, Japanese and Korean: text in which words are not what search looks for.
//!
//! Chinese and Japanese put no spaces between words. A run of their characters is one [`Word`] here, and its terms are
//! the overlapping pairs of characters: whatever the words are, those of the query and of the document share their
//! pairs. Korean puts spaces between phrases; [`korean`](super::korean) says what becomes of them. All three occur
//! together, and with Latin words, so one tokenizer serves the three languages.

use super::elision::{self, Apostrophe};
use super::fold::LetterI;
use super::korean;
use super::script::{Script, runs};
use super::segment;
use super::tokenizer::{Tokenizer, Word};
use super::western::{MAX_FOLDED_BYTES, with_folded};

/// A run is cut into words of at most this many characters; an even number, so that Korean pairs stay whole.
const MAX_RUN_CHARACTERS: usize = 64;

/// The tokenizer of Chinese, Japanese and Korean.
pub(super) struct EastAsian;

impl Tokenizer for EastAsian {
    fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        let mut run = Run::default();
        segment::words(text, |word| match script_of_word(word.text) {
            Script::HanOrKana => {
                if word.start > run.end {
                    run.flush(emit);
                }
                run.extend(word, emit);
            }
            Script::Hangul if word.text.len() > MAX_RUN_CHARACTERS => {
                run.flush(emit);
                emit_pieces(word, emit);
            }
            _ => {
                run.flush(emit);
                emit(word);
            }
        });
        run.flush(emit);
    }

    fn terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        if word.len() > MAX_FOLDED_BYTES {
            return emit(word);
        }
        with_folded(word, LetterI::Dotted, |folded| {
            let mut before = None;
            for (script, run) in runs(folded) {
                match script {
                    Script::Hangul => korean::terms(run, before.is_some(), emit),
                    Script::HanOrKana => pairs(run, emit),
                    Script::Other => other_terms(run, emit),
                }
                before = Some(script);
            }
        });
    }
}

/// Hangul if any character is, else Han or kana if all are.
fn script_of_word(word: &str) -> Script {
    if word.is_ascii() {
        return Script::Other;
    }
    let mut scripts = word.chars().map(Script::of);
    if scripts.clone().any(|script| script == Script::Hangul) {
        Script::Hangul
    } else if scripts.all(|script| script == Script::HanOrKana) {
        Script::HanOrKana
    } else {
        Script::Other
    }
}

/// A word of Latin letters or digits, without the marks at its ends.
fn other_terms(run: &str, emit: &mut dyn FnMut(&str)) {
    let word = run.trim_matches(|character: char| !character.is_alphanumeric());
    if !word.is_empty() {
        emit(elision::strip(word, Apostrophe::Genitive));
    }
}

/// The overlapping pairs of characters of `run`, or its only character.
fn pairs(run: &str, emit: &mut dyn FnMut(&str)) {
    let mut previous = None;
    for (start, character) in run.char_indices() {
        let end = start + character.len_utf8();
        if let Some(previous) = previous {
            emit(&run[previous..end]);
        } else if end == run.len() {
            emit(run);
        }
        previous = Some(start);
    }
}

/// Neighbouring characters of Han or kana, collected into one word.
#[derive(Default)]
struct Run {
    text: String,
    characters: usize,
    start: usize,
    end: usize,
    /// The last character and where it begins in the original text.
    last: Option<(char, usize)>,
}

impl Run {
    /// Adds a word of Han or kana; emits full pieces, each beginning with the character that ended the one before.
    fn extend(&mut self, word: Word<'_>, emit: &mut dyn FnMut(Word<'_>)) {
        for (character, start, end) in characters(word) {
            if self.characters == MAX_RUN_CHARACTERS {
                self.flush(emit);
                if let Some((last, last_start)) = self.last {
                    self.push(last, last_start, start);
                }
            }
            self.push(character, start, end);
        }
    }

    fn push(&mut self, character: char, start: usize, end: usize) {
        if self.characters == 0 {
            self.start = start;
        }
        self.text.push(character);
        self.characters += 1;
        self.end = end;
        self.last = Some((character, start));
    }

    fn flush(&mut self, emit: &mut dyn FnMut(Word<'_>)) {
        if self.characters > 0 {
            emit(Word {
                text: &self.text,
                start: self.start,
                end: self.end,
            });
        }
        self.text.clear();
        self.characters = 0;
    }
}

/// The characters of a word with their ranges in the original text; the range of the whole word where normalization
/// changed it.
fn characters(word: Word<'_>) -> impl Iterator<Item = (char, usize, usize)> {
    let unchanged = word.text.len() == word.end - word.start;
    word.text.char_indices().map(move |(at, character)| {
        if unchanged {
            let start = word.start + at;
            (character, start, start + character.len_utf8())
        } else {
            (character, word.start, word.end)
        }
    })
}

/// Cuts a long word into pieces that do not overlap.
fn emit_pieces(word: Word<'_>, emit: &mut dyn FnMut(Word<'_>)) {
    let mut piece = Run::default();
    for (character, start, end) in characters(word) {
        if piece.characters == MAX_RUN_CHARACTERS {
            piece.flush(emit);
        }
        piece.push(character, start, end);
    }
    piece.flush(emit);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        EastAsian.words(text, &mut |word| {
            found.push((word.text.to_owned(), word.start, word.end))
        });
        found
    }

    fn terms(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        EastAsian.words(text, &mut |word| {
            EastAsian.terms(word.text, &mut |term| found.push(term.to_owned()));
        });
        found
    }

    #[test]
    fn a_run_of_characters_is_one_word_of_overlapping_pairs() {
        assert_eq!(
            words("搜索引擎。Linux系统"),
            [
                ("搜索引擎".to_owned(), 0, 12),
                ("Linux".to_owned(), 15, 20),
                ("系统".to_owned(), 20, 26)
            ]
        );
        assert_eq!(
            terms("搜索引擎。Linux系统"),
            ["搜索", "索引", "引擎", "linux", "系统"]
        );
        assert_eq!(terms("我"), ["我"]);
    }

    #[test]
    fn kana_and_kanji_run_together() {
        assert_eq!(
            terms("食べるデータ"),
            ["食べ", "べる", "るデ", "デー", "ータ"]
        );
    }

    #[test]
    fn half_width_kana_map_back_to_the_original() {
        assert_eq!(
            words("x ｻｰﾊﾞｰ"),
            [("x".to_owned(), 0, 1), ("サーバー".to_owned(), 2, 17)]
        );
    }

    #[test]
    fn long_runs_are_cut_and_lose_no_pair() {
        let text: String = ('\u{4e00}'..).take(200).collect();
        assert!(words(&text).len() > 1);
        assert!(
            words(&text)
                .iter()
                .all(|(word, start, end)| text[*start..*end] == *word)
        );
        assert_eq!(terms(&text).len(), 199);
        let syllables: String = ('\u{ac00}'..).take(200).collect();
        assert_eq!(words(&syllables).len(), 4);
        assert_eq!(terms(&syllables).len(), 100);
    }

    #[test]
    fn latin_words_are_folded_and_no_more() {
        assert_eq!(terms("IT 기업"), ["it", "기업"]);
        assert_eq!(terms("Debian's"), ["debian"]);
    }
}
