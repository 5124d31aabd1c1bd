//! Chinese, Japanese and Korean: languages that are indexed by bigrams instead of words.
//!
//! Chinese and Japanese put no spaces between words. Their tokens here are the overlapping bigrams
//! of characters: query and document share bigrams wherever they share a word, without a
//! dictionary. Words of one character are Chinese characters (Han), so documents also get each Han
//! character as a unigram. A query of several characters uses its bigrams only, which are rarer.
//! Korean separates phrases by spaces; [`korean`](super::korean) turns each phrase into terms. The
//! three scripts occur together, and with Latin words, so one tokenizer serves the three languages.

use super::elision::{self, Apostrophe};
use super::fold::LetterI;
use super::korean;
use super::letters::drop_accents;
use super::normalize::nfkc;
use super::options::Options;
use super::parts;
use super::script::{Script, is_han, runs};
use super::segment::{self, is_emoji};
use super::tokenizer::{Tokenizer, Word};
use super::western::{MAX_FOLDED_BYTES, with_folded};

/// Maximum number of characters of a Korean token; longer phrases are split. Even, so that a split
/// does not cut a bigram.
const MAX_PIECE_CHARACTERS: usize = 64;

/// The tokenizer of Chinese, Japanese and Korean.
pub(super) struct EastAsian {
    options: Options,
    /// Which characters of a document become unigrams.
    unigrams: Unigrams,
}

impl EastAsian {
    /// For Korean, a Han character next to others is no unigram: in Korean text such characters
    /// only give the Chinese spelling of the word before them.
    pub(super) fn new(options: Options, is_korean: bool) -> Self {
        let unigrams = if is_korean {
            Unigrams::Isolated
        } else {
            Unigrams::Han
        };
        Self { options, unigrams }
    }

    fn find_words(text: &str, unigrams: Unigrams, emit: &mut dyn FnMut(Word<'_>)) {
        let mut run = Run::new(unigrams);
        segment::words(text, |word| match script_of_word(word.text) {
            Script::HanOrKana => {
                if word.start > run.end {
                    run.finish(emit);
                }
                for (character, start, end) in characters(text, word) {
                    run.push(character, start, end, emit);
                }
            }
            Script::Hangul if word.text.len() > MAX_PIECE_CHARACTERS => {
                run.finish(emit);
                emit_pieces(text, word, emit);
            }
            _ => {
                run.finish(emit);
                emit(word);
            }
        });
        run.finish(emit);
    }

    /// Emits the terms of a word; a document's word also gets a possible noun of one syllable.
    fn find_terms(&self, word: &str, of_document: bool, emit: &mut dyn FnMut(&str)) {
        if word.len() > MAX_FOLDED_BYTES {
            return emit(word);
        }
        with_folded(word, LetterI::Dotted, |folded| {
            let mut before = None;
            for (script, run) in runs(folded) {
                match script {
                    Script::Hangul => {
                        if of_document && let Some(noun) = korean::possible_noun(run) {
                            emit(noun);
                        }
                        korean::terms(run, before.is_some(), self.options.compounds, emit);
                    }
                    Script::HanOrKana => bigrams(run, emit),
                    Script::Other => self.other_terms(run, emit),
                }
                before = Some(script);
            }
        });
    }

    /// Emits the terms of a word of Latin letters, digits or emoji, without punctuation at its
    /// ends.
    fn other_terms(&self, run: &str, emit: &mut dyn FnMut(&str)) {
        let word = run.trim_matches(|c: char| !(c.is_alphanumeric() || is_emoji(c)));
        let mut emit_term = |word: &str| {
            let word = elision::strip(word, Apostrophe::Genitive);
            if self.options.fold && !word.is_ascii() {
                let mut folded = word.to_owned();
                drop_accents(&mut folded);
                emit(&folded);
            } else if !word.is_empty() {
                emit(word);
            }
        };
        emit_term(word);
        if self.options.parts {
            parts::each(word, &mut emit_term);
        }
    }
}

impl Tokenizer for EastAsian {
    fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        Self::find_words(text, self.unigrams, emit);
    }

    fn query_words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        Self::find_words(text, Unigrams::Isolated, emit);
    }

    fn terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        self.find_terms(word, true, emit);
    }

    fn normalize(&self, word: &str) -> String {
        with_folded(&nfkc(word), LetterI::Dotted, |folded| folded.clone())
    }

    fn query_terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        self.find_terms(word, false, emit);
    }
}

/// Hangul if any character is Hangul, Han or kana if all characters are, else other.
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

/// Emits the overlapping bigrams of `run`, or its only character.
fn bigrams(run: &str, emit: &mut dyn FnMut(&str)) {
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

/// Which characters of a run become unigrams.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unigrams {
    /// Every Han character, and a character without neighbors.
    Han,
    /// Only a character without neighbors.
    Isolated,
}

/// A run of adjacent Han or kana characters.
struct Run {
    unigrams: Unigrams,
    /// The last character and its byte range in the original text.
    last: Option<(char, usize, usize)>,
    /// True if an emitted token has the last character.
    is_emitted: bool,
    end: usize,
}

impl Run {
    fn new(unigrams: Unigrams) -> Self {
        Self {
            unigrams,
            last: None,
            is_emitted: false,
            end: 0,
        }
    }

    /// Adds a character: emits its bigram with the previous one, and itself if it is a unigram.
    fn push(&mut self, character: char, start: usize, end: usize, emit: &mut dyn FnMut(Word<'_>)) {
        let mut buffer = [0; 8];
        let mut is_emitted = false;
        if let Some((before, before_start, _)) = self.last {
            let length = before.encode_utf8(&mut buffer).len();
            let length = length + character.encode_utf8(&mut buffer[length..]).len();
            if let Ok(text) = std::str::from_utf8(&buffer[..length]) {
                emit(Word::new(text, before_start..end));
            }
            is_emitted = true;
        }
        if self.unigrams == Unigrams::Han && is_han(character) {
            emit_character(character, start, end, emit);
            is_emitted = true;
        }
        self.last = Some((character, start, end));
        self.is_emitted = is_emitted;
        self.end = end;
    }

    /// Ends the run; a character without neighbors becomes a unigram.
    fn finish(&mut self, emit: &mut dyn FnMut(Word<'_>)) {
        if let Some((character, start, end)) = self.last.take()
            && !self.is_emitted
        {
            emit_character(character, start, end, emit);
        }
    }
}

fn emit_character(character: char, start: usize, end: usize, emit: &mut dyn FnMut(Word<'_>)) {
    let mut buffer = [0; 4];
    let text = character.encode_utf8(&mut buffer);
    emit(Word::new(text, start..end));
}

/// The characters of a word with their byte ranges in the original text.
///
/// If normalization changed the word, its characters have no ranges of their own: each then has the
/// range of the whole word.
fn characters<'a>(
    text: &str,
    word: Word<'a>,
) -> impl Iterator<Item = (char, usize, usize)> + use<'a> {
    let unchanged = text.get(word.start..word.end) == Some(word.text);
    word.text.char_indices().map(move |(at, character)| {
        if unchanged {
            let start = word.start + at;
            (character, start, start + character.len_utf8())
        } else {
            (character, word.start, word.end)
        }
    })
}

/// Splits a long word into pieces that do not overlap.
fn emit_pieces(text: &str, word: Word<'_>, emit: &mut dyn FnMut(Word<'_>)) {
    let mut piece = String::new();
    let (mut count, mut piece_start, mut piece_end) = (0, word.start, word.start);
    for (character, start, end) in characters(text, word) {
        if count == MAX_PIECE_CHARACTERS {
            emit(Word::new(&piece, piece_start..piece_end));
            piece.clear();
            count = 0;
        }
        if count == 0 {
            piece_start = start;
        }
        piece.push(character);
        piece_end = end;
        count += 1;
    }
    emit(Word::new(&piece, piece_start..piece_end));
}

#[cfg(test)]
mod tests {
    use super::super::Analyzer;

    fn analyzer(name: &str) -> Analyzer {
        Analyzer::named(name).unwrap()
    }

    fn words(text: &str) -> Vec<(String, usize, usize)> {
        let mut found = Vec::new();
        analyzer("ja").words(text, &mut |word| {
            found.push((word.text.to_owned(), word.start, word.end))
        });
        found
    }

    fn terms(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        analyzer("ja").analyze(text, &mut |term, _| found.push(term.to_owned()));
        found
    }

    fn query_terms(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        analyzer("ja").analyze_query(text, &mut |term, _| found.push(term.to_owned()));
        found
    }

    #[test]
    fn a_character_that_normalization_made_covers_all_of_its_source() {
        // Normalization makes several characters of these two, which take six bytes.
        let found = words("\u{337f}\u{ff9e}");
        assert!(found.len() > 4);
        assert!(found.iter().all(|(_, start, end)| (*start, *end) == (0, 6)));
    }

    #[test]
    fn documents_have_bigrams_and_unigrams() {
        assert_eq!(
            words("搜索引。Linux系"),
            [
                ("搜".to_owned(), 0, 3),
                ("搜索".to_owned(), 0, 6),
                ("索".to_owned(), 3, 6),
                ("索引".to_owned(), 3, 9),
                ("引".to_owned(), 6, 9),
                ("Linux".to_owned(), 12, 17),
                ("系".to_owned(), 17, 20)
            ]
        );
        assert_eq!(terms("我"), ["我"]);
    }

    #[test]
    fn queries_have_bigrams_or_one_unigram() {
        assert_eq!(
            query_terms("搜索引擎。Linux系"),
            ["搜索", "索引", "引擎", "linux", "系"]
        );
        assert_eq!(query_terms("か 猫"), ["か", "猫"]);
    }

    #[test]
    fn kana_and_kanji_run_together() {
        assert_eq!(
            terms("食べるデータ"),
            ["食", "食べ", "べる", "るデ", "デー", "ータ"]
        );
        assert_eq!(terms("か"), ["か"]);
    }

    #[test]
    fn half_width_kana_map_back_to_the_original() {
        let word = |text: &str| (text.to_owned(), 2, 17);
        assert_eq!(
            words("x ｻｰﾊﾞｰ"),
            [
                ("x".to_owned(), 0, 1),
                word("サー"),
                word("ーバ"),
                word("バー")
            ]
        );
    }

    #[test]
    fn long_words_are_split_and_lose_no_bigram() {
        let text: String = ('\u{4e00}'..).take(200).collect();
        assert!(
            words(&text)
                .iter()
                .all(|(word, start, end)| text[*start..*end] == *word)
        );
        assert_eq!(query_terms(&text).len(), 199);
        let syllables: String = ('\u{ac00}'..).take(200).collect();
        assert_eq!(words(&syllables).len(), 4);
        assert_eq!(terms(&syllables).len(), 100);
    }

    #[test]
    fn latin_words_are_only_folded() {
        assert_eq!(terms("IT 기업"), ["it", "기업"]);
        assert_eq!(terms("Debian's 🍕"), ["debian", "🍕"]);
        let mut found = Vec::new();
        analyzer("ko+fold+parts")
            .analyze("café.js는", &mut |term, _| found.push(term.to_owned()));
        assert_eq!(found, ["cafe.js", "cafe", "js"]);
    }
}
