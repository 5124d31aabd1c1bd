//! Languages that separate words by spaces: fold, strip apostrophes, drop stop words, stem.

use std::cell::Cell;

use super::elision::{self, Apostrophe};
use super::fold::{LetterI, fold};
use super::language::Rules;
use super::letters::{Letters, drop_accents};
use super::normalize::nfkc;
use super::options::Options;
use super::parts;
use super::segment;
use super::stem::Stemmer;
use super::stopwords::StopWords;
use super::tokenizer::{Tokenizer, Word};

/// Maximum length in bytes of a word to fold. Longer ones become terms unchanged: no index accepts
/// them.
pub(super) const MAX_FOLDED_BYTES: usize = 4096;

/// Persian writes it between a word and a prefix or ending, instead of a space.
const ZERO_WIDTH_NON_JOINER: char = '\u{200c}';

thread_local! {
    /// Buffer for one folded word; moved out while in use, so that `emit` may call the analyzer.
    static BUFFER: Cell<String> = const { Cell::new(String::new()) };
}

/// Calls `with` with the folded form of `word`, in a reused buffer.
pub(super) fn with_folded<T>(
    word: &str,
    letter_i: LetterI,
    with: impl FnOnce(&mut String) -> T,
) -> T {
    // A thread that ends may still search, in a destructor, when its buffer is gone.
    let mut folded = BUFFER.try_with(Cell::take).unwrap_or_default();
    folded.clear();
    fold(word, letter_i, &mut folded);
    let result = with(&mut folded);
    let _ = BUFFER.try_with(|buffer| buffer.set(folded));
    result
}

/// The tokenizer of one language that separates words by spaces.
pub(super) struct Western {
    rules: Rules,
    options: Options,
    stop_words: StopWords,
    stemmer: Stemmer,
}

impl Western {
    pub(super) fn new(rules: Rules, options: Options) -> Self {
        let mut western = Self {
            rules,
            options,
            stop_words: StopWords::default(),
            stemmer: Stemmer::new(rules.stemmer),
        };
        if !options.stopwords {
            western.stop_words = StopWords::parse(rules.stop_words, |word| {
                western.with_unified(word, |unified| unified.clone())
            });
        }
        western
    }

    /// Calls `with` with `word` folded and its letter variants unified.
    fn with_unified<T>(&self, word: &str, with: impl FnOnce(&mut String) -> T) -> T {
        with_folded(word, self.rules.letter_i, |folded| {
            self.rules.letters.unify(folded);
            if self.options.fold {
                drop_accents(folded);
            }
            with(folded)
        })
    }

    /// Emits the term of a word or of one of its parts; none for a stop word.
    fn term_of(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        let word = match self.rules.apostrophe {
            Apostrophe::Irish => without_irish_prefix(word),
            _ => word,
        };
        self.with_unified(word, |unified| {
            let word = elision::strip(unified, self.rules.apostrophe);
            if word.is_empty() || self.stop_words.contains(word) {
                return;
            }
            if self.options.fold || self.rules.letters.changes_stems() {
                self.stemmer
                    .stem(word, &mut |stem| self.emit_unified(word, stem, emit));
            } else {
                self.stemmer.stem(word, emit);
            }
        });
    }

    /// Emits a stem with unified letters, or the word if the stem is then empty.
    fn emit_unified(&self, word: &str, stem: &str, emit: &mut dyn FnMut(&str)) {
        let mut stem = stem.to_owned();
        self.rules.letters.unify_stem(&mut stem);
        if self.options.fold {
            drop_accents(&mut stem);
        }
        emit(if stem.is_empty() { word } else { &stem });
    }
}

/// An Irish word without the `n` or `t` before a capital vowel, as in `nAthair`.
pub(super) fn without_irish_prefix(word: &str) -> &str {
    match word.strip_prefix(['n', 't']) {
        Some(rest) if rest.starts_with(['A', 'E', 'I', 'O', 'U', 'Á', 'É', 'Í', 'Ó', 'Ú']) => {
            rest
        }
        _ => word,
    }
}

impl Tokenizer for Western {
    fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        segment::words(text, emit);
    }

    fn normalize(&self, word: &str) -> String {
        let word = nfkc(word);
        let word = match self.rules.apostrophe {
            Apostrophe::Irish => without_irish_prefix(&word),
            _ => &word,
        };
        self.with_unified(word, |unified| match self.rules.apostrophe.is_elision() {
            true => elision::strip(unified, self.rules.apostrophe).to_owned(),
            false => unified.clone(),
        })
    }

    fn terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        if word.len() > MAX_FOLDED_BYTES {
            return emit(word);
        }
        if self.rules.letters == Letters::Persian && word.contains(ZERO_WIDTH_NON_JOINER) {
            let parts = word.split(ZERO_WIDTH_NON_JOINER);
            return parts.for_each(|part| self.term_of(part, emit));
        }
        self.term_of(word, emit);
        if self.options.parts {
            parts::each(word, &mut |part| self.term_of(part, emit));
        }
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
    fn stop_words_are_dropped_and_inflected_forms_share_a_term() {
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
    fn simple_only_folds() {
        assert_eq!(
            terms("simple", "The Dogs\u{2019} CAFÉ"),
            ["the", "dogs", "café"]
        );
    }

    #[test]
    fn emit_may_call_the_analyzer() {
        let analyzer = Analyzer::named("en").unwrap();
        let mut inner = Vec::new();
        analyzer.terms("Houses", &mut |outer| {
            analyzer.terms("Gardens", &mut |term| inner.push(format!("{outer} {term}")));
        });
        assert_eq!(inner, ["hous garden"]);
    }
}
