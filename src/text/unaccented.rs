//! Stemmers for words without accents: Snowball's for French and Portuguese, with additions.
//!
//! We ignore accents in these languages because people omit them in queries. But Snowball's rules
//! need them. The input has no accents; we restore those of the few suffixes that Snowball knows,
//! and remove the accents of the stem again. Snowball's rules for Portuguese also keep `ação` and
//! `ações`, `jornal` and `jornais` distinct, so irregular plurals become singulars first.
//! `benches/README.md` has measurements of the alternatives for Portuguese.

use frostem::{Algorithm, Stemmer as Snowball};

use super::letters::drop_accents;

/// A suffix and what replaces it.
type Rule = (&'static str, &'static str);

/// Irregular Portuguese plural suffixes and their singulars.
const PORTUGUESE_PLURALS: &[Rule] = &[
    ("ns", "m"),
    ("eis", "el"),
    ("ais", "al"),
    ("ois", "ol"),
    ("oes", "ao"),
    ("aes", "ao"),
];

/// Portuguese suffixes that Snowball recognizes only with accents.
const PORTUGUESE_ACCENTED: &[Rule] = &[
    ("cao", "ção"),
    ("sao", "são"),
    ("avel", "ável"),
    ("ivel", "ível"),
    ("ancia", "ância"),
    ("ancias", "âncias"),
    ("encia", "ência"),
    ("encias", "ências"),
];

/// French suffixes that Snowball recognizes only with accents.
const FRENCH_ACCENTED: &[Rule] = &[
    ("ite", "ité"),
    ("ites", "ités"),
    ("iere", "ière"),
    ("ieres", "ières"),
    ("erent", "èrent"),
    ("ee", "ée"),
    ("ees", "ées"),
];

/// Minimum length of a word whose plural suffix is replaced, in bytes.
const MIN_PLURAL_BYTES: usize = 5;

/// A stemmer for words without accents.
pub(super) struct Unaccented {
    snowball: Snowball,
    plurals: &'static [Rule],
    accented: &'static [Rule],
}

impl Unaccented {
    pub(super) fn french() -> Self {
        Self {
            snowball: Snowball::new(Algorithm::French),
            plurals: &[],
            accented: FRENCH_ACCENTED,
        }
    }

    pub(super) fn portuguese() -> Self {
        Self {
            snowball: Snowball::new(Algorithm::Portuguese),
            plurals: PORTUGUESE_PLURALS,
            accented: PORTUGUESE_ACCENTED,
        }
    }

    /// Calls `emit` with the stem of `word`, which is folded and has no accents.
    pub(super) fn stem(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        let mut form = word.to_owned();
        if word.len() >= MIN_PLURAL_BYTES {
            replace_suffix(&mut form, self.plurals);
        }
        replace_suffix(&mut form, self.accented);
        let mut stem = self.snowball.stem(&form).into_owned();
        drop_accents(&mut stem);
        emit(if stem.is_empty() { word } else { &stem });
    }
}

fn replace_suffix(word: &mut String, rules: &[Rule]) {
    if let Some((suffix, replacement)) = rules.iter().find(|(suffix, _)| word.ends_with(suffix)) {
        word.truncate(word.len() - suffix.len());
        word.push_str(replacement);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stemmed(stemmer: &Unaccented, word: &str) -> String {
        let mut word = word.to_owned();
        drop_accents(&mut word);
        let mut result = String::new();
        stemmer.stem(&word, &mut |stem| result.push_str(stem));
        result
    }

    #[test]
    fn inflected_forms_share_a_stem() {
        for (one, other) in [
            ("informação", "informações"),
            ("jornal", "jornais"),
            ("avião", "aviões"),
            ("homem", "homens"),
            ("papel", "papéis"),
            ("menina", "meninos"),
            ("lento", "lentamente"),
            ("utilizado", "utilizar"),
            ("biblioteca", "bibliotecas"),
        ] {
            let portuguese = Unaccented::portuguese();
            assert_eq!(
                stemmed(&portuguese, one),
                stemmed(&portuguese, other),
                "{one}, {other}"
            );
        }
        for (one, other) in [
            ("sécurité", "sécurités"),
            ("première", "premier"),
            ("élève", "élèves"),
            ("marchée", "marcher"),
            ("généreuse", "généreux"),
            ("activité", "activités"),
        ] {
            let french = Unaccented::french();
            assert_eq!(
                stemmed(&french, one),
                stemmed(&french, other),
                "{one}, {other}"
            );
        }
    }

    #[test]
    fn accents_make_no_difference() {
        for (one, other) in [
            ("configuração", "configuracao"),
            ("frequência", "frequencia"),
            ("disponível", "disponivel"),
            ("método", "metodo"),
        ] {
            let portuguese = Unaccented::portuguese();
            assert_eq!(
                stemmed(&portuguese, one),
                stemmed(&portuguese, other),
                "{one}, {other}"
            );
        }
    }

    #[test]
    fn different_words_keep_different_stems() {
        let portuguese = Unaccented::portuguese();
        assert_ne!(
            stemmed(&portuguese, "rede"),
            stemmed(&portuguese, "redação")
        );
        assert_ne!(stemmed(&portuguese, "carro"), stemmed(&portuguese, "carta"));
    }
}
