//! Stemmers: inflected forms of a word become one term.
//!
//! They are Snowball's, as its compiler generates them for the crate `frostem`. That crate follows
//! Snowball's main branch, and a changed stemmer changes the terms of an index. Its version is
//! therefore pinned; an update requires a new [revision](super::Analyzer::revision).

use frostem::{Algorithm, Stemmer as Snowball};

use super::porter::Porter;
use super::unaccented::Unaccented;

/// Maximum length in bytes of a word to stem. Longer tokens are no words of a language and stay.
const MAX_STEMMED_BYTES: usize = 100;

/// The choice of a stemmer for a language.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stemming {
    None,
    Porter,
    /// Expects words without accents.
    French,
    /// Expects words without accents.
    Portuguese,
    Snowball(Algorithm),
}

/// The stemmer of one language.
pub(super) enum Stemmer {
    None,
    Porter(Porter),
    Unaccented(Unaccented),
    Snowball(Snowball),
}

impl Stemmer {
    pub(super) fn new(stemming: Stemming) -> Self {
        match stemming {
            Stemming::None => Self::None,
            Stemming::Porter => Self::Porter(Porter::new()),
            Stemming::French => Self::Unaccented(Unaccented::french()),
            Stemming::Portuguese => Self::Unaccented(Unaccented::portuguese()),
            Stemming::Snowball(algorithm) => Self::Snowball(Snowball::new(algorithm)),
        }
    }

    /// Calls `emit` with the stem of the folded word `word`.
    pub(super) fn stem(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        if word.len() > MAX_STEMMED_BYTES {
            return emit(word);
        }
        match self {
            Self::None => emit(word),
            Self::Porter(porter) => porter.stem(word, emit),
            Self::Unaccented(stemmer) => stemmer.stem(word, emit),
            Self::Snowball(snowball) => emit_stem(word, &snowball.stem(word), emit),
        }
    }
}

/// Emits the stem, or the word if the stem is empty: a word that is all suffix, or a single
/// combining mark.
fn emit_stem(word: &str, stem: &str, emit: &mut dyn FnMut(&str)) {
    emit(if stem.is_empty() { word } else { stem });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_stem_is_empty() {
        let arabic = Stemmer::new(Stemming::Snowball(Algorithm::Arabic));
        let mut found = Vec::new();
        arabic.stem("\u{64b}", &mut |stem| found.push(stem.to_owned()));
        assert_eq!(found, ["\u{64b}"]);
    }

    #[test]
    fn words_too_long_for_a_language_stay_as_they_are() {
        let word = "s".repeat(MAX_STEMMED_BYTES + 1);
        Stemmer::new(Stemming::Porter).stem(&word, &mut |stem| assert_eq!(stem, word));
    }
}
