//! Removal of what an apostrophe attaches to a word: possessives, elided articles, case endings.
//!
//! Segmentation keeps `dog's`, `l'homme` and `EU:n` whole; search needs `dog`, `homme` and `EU`.
//! The input is folded, so every apostrophe is the straight one.

/// How a language uses the apostrophe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apostrophe {
    /// Words with an apostrophe stay as they are.
    Keep,
    /// Drops a final `'s`: English, German, Dutch and others.
    Genitive,
    /// Drops everything from the apostrophe on: endings of Turkish names.
    Suffix,
    /// Drops everything from a colon on, and a final `'s`: Finnish and Swedish.
    ColonSuffix,
    /// Drops leading French articles, pronouns and conjunctions.
    French,
    /// Drops leading Italian articles and prepositions.
    Italian,
    /// Drops leading Catalan articles, pronouns and prepositions.
    Catalan,
    /// Drops leading Irish prepositions and particles.
    Irish,
    /// Drops a leading Portuguese preposition.
    Portuguese,
}

impl Apostrophe {
    /// Whether it is before the word that counts: articles and the like, not endings.
    pub(super) fn is_elision(self) -> bool {
        match self {
            Self::French | Self::Italian | Self::Catalan | Self::Irish | Self::Portuguese => true,
            Self::Keep | Self::Genitive | Self::Suffix | Self::ColonSuffix => false,
        }
    }
}

const FRENCH: &[&str] = &[
    "c", "d", "j", "jusqu", "l", "lorsqu", "m", "n", "presqu", "puisqu", "qu", "quelqu", "quoiqu",
    "s", "t",
];

const ITALIAN: &[&str] = &[
    "agl", "all", "bell", "c", "coll", "d", "dagl", "dall", "degl", "dell", "gl", "l", "m", "negl",
    "nell", "quell", "quest", "s", "sant", "sugl", "sull", "t", "tutt", "un", "v",
];

const CATALAN: &[&str] = &["d", "l", "m", "n", "s", "t"];

const IRISH: &[&str] = &["b", "d", "m"];

const PORTUGUESE: &[&str] = &["d", "n"];

/// The folded word without what its apostrophe attaches.
pub(super) fn strip(word: &str, rule: Apostrophe) -> &str {
    match rule {
        Apostrophe::Keep => word,
        Apostrophe::Genitive => without_genitive(word),
        Apostrophe::Suffix => before(word, |character| character == '\''),
        Apostrophe::ColonSuffix => without_genitive(before(word, |character| character == ':')),
        Apostrophe::French => without_article(word, FRENCH),
        Apostrophe::Italian => without_article(word, ITALIAN),
        Apostrophe::Catalan => without_article(word, CATALAN),
        Apostrophe::Irish => without_article(word, IRISH),
        Apostrophe::Portuguese => without_article(word, PORTUGUESE),
    }
}

fn without_genitive(word: &str) -> &str {
    word.strip_suffix("'s")
        .filter(|rest| !rest.is_empty())
        .unwrap_or(word)
}

fn before(word: &str, mark: impl Fn(char) -> bool) -> &str {
    match word.find(mark) {
        Some(at) if at > 0 => &word[..at],
        _ => word,
    }
}

fn without_article<'a>(word: &'a str, articles: &[&str]) -> &'a str {
    match word.split_once('\'') {
        Some((article, rest)) if !rest.is_empty() && articles.contains(&article) => rest,
        _ => word,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn possessives_are_dropped() {
        assert_eq!(strip("dog's", Apostrophe::Genitive), "dog");
        assert_eq!(strip("o'neill", Apostrophe::Genitive), "o'neill");
        assert_eq!(strip("'s", Apostrophe::Genitive), "'s");
    }

    #[test]
    fn elided_articles_are_dropped() {
        assert_eq!(strip("l'homme", Apostrophe::French), "homme");
        assert_eq!(strip("qu'il", Apostrophe::French), "il");
        assert_eq!(strip("aujourd'hui", Apostrophe::French), "aujourd'hui");
        assert_eq!(strip("dell'arte", Apostrophe::Italian), "arte");
        assert_eq!(strip("l'home", Apostrophe::Catalan), "home");
        assert_eq!(strip("d'ól", Apostrophe::Irish), "ól");
        assert_eq!(strip("d'\u{e1}gua", Apostrophe::Portuguese), "\u{e1}gua");
    }

    #[test]
    fn endings_of_names_are_dropped() {
        assert_eq!(strip("türkiye'nin", Apostrophe::Suffix), "türkiye");
        assert_eq!(strip("eu:n", Apostrophe::ColonSuffix), "eu");
        assert_eq!(strip("volvo's", Apostrophe::ColonSuffix), "volvo");
    }
}
