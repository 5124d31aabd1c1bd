//! What apostrophes attach to a word: possessives, elided articles, case endings.
//!
//! Segmentation keeps `dog's`, `l'homme` and `EU:n` whole. Search wants `dog`, `homme` and `EU`. Words come here
//! folded, so that every apostrophe is the straight one.

/// What a language does at an apostrophe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Apostrophe {
    /// Nothing is attached by it.
    Keep,
    /// A final `'s` is dropped: English, German, Dutch and others.
    Genitive,
    /// Everything from the apostrophe on is dropped: Turkish names and their endings.
    Suffix,
    /// Everything from the colon on is dropped: Finnish and Swedish abbreviations; so is a final `'s`.
    ColonSuffix,
    /// French articles, pronouns and conjunctions in front are dropped.
    French,
    /// Italian articles and prepositions in front are dropped.
    Italian,
    /// Catalan articles, pronouns and prepositions in front are dropped.
    Catalan,
    /// Irish prepositions and particles in front are dropped.
    Irish,
    /// A Portuguese preposition in front is dropped.
    Portuguese,
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

/// The part of a folded word that search is about.
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
    fn possessives_go() {
        assert_eq!(strip("dog's", Apostrophe::Genitive), "dog");
        assert_eq!(strip("o'neill", Apostrophe::Genitive), "o'neill");
        assert_eq!(strip("'s", Apostrophe::Genitive), "'s");
    }

    #[test]
    fn elided_articles_go() {
        assert_eq!(strip("l'homme", Apostrophe::French), "homme");
        assert_eq!(strip("qu'il", Apostrophe::French), "il");
        assert_eq!(strip("aujourd'hui", Apostrophe::French), "aujourd'hui");
        assert_eq!(strip("dell'arte", Apostrophe::Italian), "arte");
        assert_eq!(strip("l'home", Apostrophe::Catalan), "home");
        assert_eq!(strip("d'ól", Apostrophe::Irish), "ól");
        assert_eq!(strip("d'\u{e1}gua", Apostrophe::Portuguese), "\u{e1}gua");
    }

    #[test]
    fn endings_after_names_go() {
        assert_eq!(strip("türkiye'nin", Apostrophe::Suffix), "türkiye");
        assert_eq!(strip("eu:n", Apostrophe::ColonSuffix), "eu");
        assert_eq!(strip("volvo's", Apostrophe::ColonSuffix), "volvo");
    }
}
