//! Chinese, Japanese and Korean: text in which words are not what search looks for.
//!
//! Chinese and Japanese put no spaces between words. Their words here are the overlapping pairs of
//! characters: whatever the real words are, those of the query and of the document share their
//! pairs. Real words of one character are Chinese characters, so each of these is a word of the
//! document too; a query of several characters asks for the pairs alone, which are rarer. Korean
//! puts spaces between phrases; [`korean`](super::korean) says what becomes of them. All three
//! occur together, and with Latin words, so one tokenizer serves the three languages.

use super::elision::{self, Apostrophe};
use super::fold::LetterI;
use super::korean;
use super::letters::drop_accents;
use super::options::Options;
use super::parts;
use super::script::{Script, is_han, runs};
use super::segment::{self, is_emoji};
use super::tokenizer::{Tokenizer, Word};
use super::western::{MAX_FOLDED_BYTES, with_folded};

/// Korean phrases are cut into words of at most this many characters; an even number, so that pairs
/// stay whole.
const MAX_PIECE_CHARACTERS: usize = 64;

/// The tokenizer of Chinese, Japanese and Korean.
pub(super) struct EastAsian {
    options: Options,
    /// Which characters are words of a document by themselves.
    singles: Singles,
}

impl EastAsian {
    /// With `is_korean` a Chinese character beside others is no word by itself: in Korean such
    /// characters only spell out what stands before them.
    pub(super) fn new(options: Options, is_korean: bool) -> Self {
        let singles = if is_korean {
            Singles::Alone
        } else {
            Singles::Han
        };
        Self { options, singles }
    }

    fn find_words(text: &str, singles: Singles, emit: &mut dyn FnMut(Word<'_>)) {
        let mut run = Run::new(singles);
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

    /// The terms of a word; of a document's also what may be a noun of one syllable.
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
                    Script::HanOrKana => pairs(run, emit),
                    Script::Other => self.other_terms(run, emit),
                }
                before = Some(script);
            }
        });
    }

    /// The terms of a word of Latin letters, digits or emoji, without the marks at its ends.
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
        Self::find_words(text, self.singles, emit);
    }

    fn query_words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        Self::find_words(text, Singles::Alone, emit);
    }

    fn terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        self.find_terms(word, true, emit);
    }

    fn query_terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        self.find_terms(word, false, emit);
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

/// Which characters of a run are words by themselves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Singles {
    /// Every Chinese character, and what stands alone.
    Han,
    /// Only what stands alone.
    Alone,
}

/// Neighbouring characters of Han or kana.
struct Run {
    singles: Singles,
    /// The last character, and what it covers of the original text.
    last: Option<(char, usize, usize)>,
    /// Whether the last character is in a word already.
    is_emitted: bool,
    end: usize,
}

impl Run {
    fn new(singles: Singles) -> Self {
        Self {
            singles,
            last: None,
            is_emitted: false,
            end: 0,
        }
    }

    /// Adds a character: emits its pair with the one before, and itself if it is a word of its own.
    fn push(&mut self, character: char, start: usize, end: usize, emit: &mut dyn FnMut(Word<'_>)) {
        let mut buffer = [0; 8];
        let mut is_emitted = false;
        if let Some((before, before_start, _)) = self.last {
            let length = before.encode_utf8(&mut buffer).len();
            let length = length + character.encode_utf8(&mut buffer[length..]).len();
            if let Ok(text) = std::str::from_utf8(&buffer[..length]) {
                emit(Word {
                    text,
                    start: before_start,
                    end,
                });
            }
            is_emitted = true;
        }
        if self.singles == Singles::Han && is_han(character) {
            emit_character(character, start, end, emit);
            is_emitted = true;
        }
        self.last = Some((character, start, end));
        self.is_emitted = is_emitted;
        self.end = end;
    }

    /// Ends the run; a character that stood alone is a word.
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
    emit(Word { text, start, end });
}

/// The characters of a word with their ranges in the original text; the range of the whole word
/// where normalization changed it.
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

/// Cuts a long word into pieces that do not overlap.
fn emit_pieces(text: &str, word: Word<'_>, emit: &mut dyn FnMut(Word<'_>)) {
    let mut piece = String::new();
    let (mut count, mut piece_start, mut piece_end) = (0, word.start, word.start);
    for (character, start, end) in characters(text, word) {
        if count == MAX_PIECE_CHARACTERS {
            emit(Word {
                text: &piece,
                start: piece_start,
                end: piece_end,
            });
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
    emit(Word {
        text: &piece,
        start: piece_start,
        end: piece_end,
    });
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
        // The last two characters take six bytes, as the text does before it is normalized.
        let found = words("\u{337f}\u{ff9e}");
        assert!(found.len() > 4);
        assert!(found.iter().all(|(_, start, end)| (*start, *end) == (0, 6)));
    }

    #[test]
    fn documents_have_pairs_and_single_characters() {
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
    fn queries_have_pairs_or_one_character() {
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
    fn long_words_are_cut_and_lose_no_pair() {
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
    fn latin_words_are_folded_and_no_more() {
        assert_eq!(terms("IT 기업"), ["it", "기업"]);
        assert_eq!(terms("Debian's 🍕"), ["debian", "🍕"]);
        let mut found = Vec::new();
        analyzer("ko+fold+parts")
            .analyze("café.js는", &mut |term, _| found.push(term.to_owned()));
        assert_eq!(found, ["cafe.js", "cafe", "js"]);
    }
}
