//! Languages written with spaces: fold, strip apostrophes, drop stop words, stem.

use std::cell::Cell;

use super::elision;
use super::fold::{LetterI, fold};
use super::language::Rules;
use super::portuguese::drop_accents;
use super::segment;
use super::stem::Stemmer;
use super::stopwords::StopWords;
use super::tokenizer::{Tokenizer, Word};

/// Words longer than this, in bytes, become terms unchanged: they are longer than any index keeps.
pub(super) const MAX_FOLDED_BYTES: usize = 4096;

thread_local! {
    /// Room for one folded word; taken out while in use, so that `emit` may call back.
    static BUFFER: Cell<String> = const { Cell::new(String::new()) };
}

/// Calls `with` with the folded form of `word`.
pub(super) fn with_folded<T>(
    word: &str,
    letter_i: LetterI,
    with: impl FnOnce(&mut String) -> T,
) -> T {
    let mut folded = BUFFER.take();
    folded.clear();
    fold(word, letter_i, &mut folded);
    let result = with(&mut folded);
    BUFFER.set(folded);
    result
}

/// The tokenizer of one language written with spaces.
pub(super) struct Western {
    rules: Rules,
    stop_words: StopWords,
    stemmer: Stemmer,
}

impl Western {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            stop_words: StopWords::parse(rules.stop_words, rules.letter_i),
            stemmer: Stemmer::new(rules.stemmer),
        }
    }

    fn terms_of_folded(&self, folded: &str, emit: &mut dyn FnMut(&str)) {
        let word = elision::strip(folded, self.rules.apostrophe);
        if word.is_empty() || self.stop_words.contains(word) {
            return;
        }
        self.stemmer.stem(word, emit);
    }
}

impl Tokenizer for Western {
    fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        segment::words(text, emit);
    }

    fn terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        if word.len() > MAX_FOLDED_BYTES {
            return emit(word);
        }
        with_folded(word, self.rules.letter_i, |folded| {
            if self.rules.drop_accents {
                drop_accents(folded);
            }
            self.terms_of_folded(folded, emit);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::Analyzer;

    fn terms(language: &str, text: &str) -> Vec<String> {
        let mut terms = Vec::new();
        Analyzer::named(language)
            .unwrap()
            .analyze(text, &mut |term, _| terms.push(term.to_owned()));
        terms
    }

    #[test]
    fn stop_words_go_and_inflected_words_meet() {
        for (language, one, other) in [
            ("en", "The dogs are running", "dog's run"),
            (
                "pt",
                "as informações da configuração",
                "informação e configurações",
            ),
            ("fr", "L\u{2019}école et les écoles", "écoles école"),
            ("de", "Die Häuser der STRASSEN", "haus straße"),
            ("it", "dell'arte è la città", "arte città"),
            ("es", "los niños y las canciones", "niño canción"),
            ("ru", "в книгах и книги", "книга книгами"),
            ("tr", "Türkiye'nin KITAPLARI", "türkiye kıtapları"),
            ("el", "Ο ΔΡΌΜΟΣ και οι δρόμοι", "δρόμος δρόμους"),
            ("sv", "EU:s hundarna", "eu hundar"),
        ] {
            assert_eq!(terms(language, one), terms(language, other), "{language}");
        }
    }

    #[test]
    fn simple_folds_and_no_more() {
        assert_eq!(
            terms("simple", "The Dogs\u{2019} CAFÉ"),
            ["the", "dogs", "café"]
        );
    }

    #[test]
    fn emit_may_analyze_in_turn() {
        let analyzer = Analyzer::named("en").unwrap();
        let mut inner = Vec::new();
        analyzer.terms("Houses", &mut |outer| {
            analyzer.terms("Gardens", &mut |term| inner.push(format!("{outer} {term}")));
        });
        assert_eq!(inner, ["hous garden"]);
    }
}
