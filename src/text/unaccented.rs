//! Stemmers for words without accents: Snowball's for French and Portuguese, made whole.
//!
//! Accents make no difference in these languages, because people leave them out when they type
//! queries. But Snowball's rules rely on them, so words come here without accents, the accents of
//! the few suffixes that Snowball knows are put back, and those of the stem are taken off again.
//! Its rules for Portuguese also leave `ação` and `ações`, `jornal` and `jornais` apart: irregular
//! plurals become singulars first. What was tried for Portuguese is in `benches/README.md`.

use frostem::{Algorithm, Stemmer as Snowball};

use super::letters::drop_accents;

/// A suffix and what replaces it.
type Rule = (&'static str, &'static str);

/// Portuguese plurals that do more than add an s, to their singulars.
const PORTUGUESE_PLURALS: &[Rule] = &[
    ("ns", "m"),
    ("eis", "el"),
    ("ais", "al"),
    ("ois", "ol"),
    ("oes", "ao"),
    ("aes", "ao"),
];

/// Suffixes of Portuguese that Snowball knows by their accents.
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

/// Suffixes of French that Snowball knows by their accents.
const FRENCH_ACCENTED: &[Rule] = &[
    ("ite", "ité"),
    ("ites", "ités"),
    ("iere", "ière"),
    ("ieres", "ières"),
    ("erent", "èrent"),
    ("ee", "ée"),
    ("ees", "ées"),
];

/// Plurals are undone in words longer than this, in letters.
const SHORTEST_PLURAL: usize = 4;

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

    /// Hands the stem of `word`, which is folded and has no accents, to `emit`.
    pub(super) fn stem(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        let mut form = word.to_owned();
        if word.len() > SHORTEST_PLURAL {
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
    fn forms_of_a_word_meet() {
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
    fn different_words_stay_apart() {
        let portuguese = Unaccented::portuguese();
        assert_ne!(
            stemmed(&portuguese, "rede"),
            stemmed(&portuguese, "redação")
        );
        assert_ne!(stemmed(&portuguese, "carro"), stemmed(&portuguese, "carta"));
    }
}
