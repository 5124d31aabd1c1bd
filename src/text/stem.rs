//! Stemmers: inflected forms of a word become one term.
//!
//! They are Snowball's, as its compiler generates them for the crate `frostem`. That crate follows
//! Snowball's main branch, and a changed stemmer changes what an index holds. So its version is
//! pinned, and a newer one goes with a newer [revision](super::Analyzer::revision).

use frostem::{Algorithm, Stemmer as Snowball};

use super::porter::Porter;
use super::unaccented::Unaccented;

/// Words longer than this, in bytes, are left as they are: no word of a language is.
const MAX_STEMMED_BYTES: usize = 100;

/// Which stemmer a language has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stemming {
    None,
    Porter,
    /// For words without accents.
    French,
    /// For words without accents.
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

    /// Hands the stem of the folded word `word` to `emit`.
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

/// A stemmer may leave nothing of a word that is all suffix, or of a lone mark; the word itself is better than that.
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
