//! Porter's stemmer for English, with the changes that its author made later.
//!
//! M. F. Porter, "An algorithm for suffix stripping", Program 14(3), 1980. Snowball implements the
//! paper. Porter's own program, which Lucene follows, also handles `-bli` (`possibly` like
//! `possible`) and `-logi` (`ontology` like `ontological`), and does not change words of one or two
//! letters, so `us` and `os` remain distinct from `u` and `o`.

use frostem::{Algorithm, Stemmer as Snowball};

/// The stemmer for English.
pub(super) struct Porter {
    snowball: Snowball,
}

impl Porter {
    pub(super) fn new() -> Self {
        Self {
            snowball: Snowball::new(Algorithm::Porter),
        }
    }

    /// Calls `emit` with the stem of the folded word `word`.
    pub(super) fn stem(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        if word.len() <= 2 {
            return emit(word);
        }
        let stem = self.snowball.stem(word);
        // No step of the paper changes these two endings, so we can replace them after Snowball has
        // run; running all steps again on the new ending equals running only the later ones.
        match (stem.strip_suffix("bli"), stem.strip_suffix("logi")) {
            (Some(rest), _) if has_measure(rest) => {
                emit(&self.snowball.stem(&format!("{rest}ble")));
            }
            (_, Some(rest)) if has_measure(rest) => emit(&stem[..stem.len() - 1]),
            _ => emit(&stem),
        }
    }
}

/// True if a consonant follows a vowel anywhere: the paper's measure m is above 0.
fn has_measure(rest: &str) -> bool {
    let mut before = None;
    for byte in rest.bytes() {
        let is_vowel = match byte {
            b'a' | b'e' | b'i' | b'o' | b'u' => true,
            b'y' => before == Some(false),
            _ => false,
        };
        if before == Some(true) && !is_vowel {
            return true;
        }
        before = Some(is_vowel);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stemmed(word: &str) -> String {
        let mut result = String::new();
        Porter::new().stem(word, &mut |stem| result.push_str(stem));
        result
    }

    #[test]
    fn stems_equal_those_of_porters_program() {
        for (word, expected) in [
            ("caresses", "caress"),
            ("ponies", "poni"),
            ("agreed", "agre"),
            ("troubled", "troubl"),
            ("hopping", "hop"),
            ("filing", "file"),
            ("relational", "relat"),
            ("replacement", "replac"),
            ("controlling", "control"),
            ("possibly", "possibl"),
            ("nobly", "nobli"),
            ("usably", "usabl"),
            ("ontology", "ontolog"),
            ("ontological", "ontolog"),
            ("logy", "logi"),
            ("us", "us"),
            ("as", "as"),
        ] {
            assert_eq!(stemmed(word), expected, "{word}");
        }
    }
}
