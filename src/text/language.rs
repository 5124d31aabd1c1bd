//! The languages: codes, names, and what is done to their words.

use rust_stemmers::Algorithm;

use super::elision::Apostrophe;
use super::fold::LetterI;

/// A language that has an analyzer of its own.
///
/// ```
/// use esparsa::text::languages;
///
/// let portuguese = languages().find(|language| language.code() == "pt").unwrap();
/// assert_eq!(portuguese.name(), "Portuguese");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Language {
    code: &'static str,
    name: &'static str,
    aliases: &'static [&'static str],
    pub(super) method: Method,
}

/// How the words of a language become terms.
#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    /// Words between spaces, with stop words and a stemmer.
    Western(Rules),
    /// Chinese, Japanese and Korean: parts of words.
    EastAsian,
}

/// The steps for a language written with spaces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub letter_i: LetterI,
    /// Whether accents make no difference; the stop words are then written without them.
    pub drop_accents: bool,
    pub apostrophe: Apostrophe,
    /// Stop words, separated by white space; `#` begins a comment line.
    pub stop_words: &'static str,
    pub stemmer: Stemming,
}

/// Which stemmer a language has.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stemming {
    None,
    Porter,
    Portuguese,
    Snowball(Algorithm),
}

impl Language {
    /// The two-letter code of ISO 639-1.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// The English name, such as `Portuguese`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The language that `name` means: a code, an English name, in any case; `pt-BR` means `pt`.
    pub(super) fn find(name: &str) -> Option<&'static Self> {
        let primary = name.split(['-', '_']).next().unwrap_or(name);
        LANGUAGES.iter().find(|language| {
            name.eq_ignore_ascii_case(language.name)
                || primary.eq_ignore_ascii_case(language.code)
                || language
                    .aliases
                    .iter()
                    .any(|alias| primary.eq_ignore_ascii_case(alias))
        })
    }
}

/// The languages that have an analyzer of their own, by code.
pub fn languages() -> impl Iterator<Item = Language> {
    LANGUAGES.iter().copied()
}

/// What `simple` does, and where most languages begin: nothing but folding.
pub(super) const SIMPLE: Rules = Rules {
    letter_i: LetterI::Dotted,
    drop_accents: false,
    apostrophe: Apostrophe::Keep,
    stop_words: "",
    stemmer: Stemming::None,
};

const fn snowball(
    algorithm: Algorithm,
    apostrophe: Apostrophe,
    stop_words: &'static str,
) -> Method {
    Method::Western(Rules {
        apostrophe,
        stop_words,
        stemmer: Stemming::Snowball(algorithm),
        ..SIMPLE
    })
}

/// One line of the table below.
macro_rules! language {
    ($code:literal, $name:literal, [$($alias:literal),*], $method:expr) => {
        Language { code: $code, name: $name, aliases: &[$($alias),*], method: $method }
    };
}

macro_rules! stop_words {
    ($code:literal) => {
        include_str!(concat!("stopwords/", $code, ".txt"))
    };
}

#[rustfmt::skip]
static LANGUAGES: &[Language] = &[
    language!("ar", "Arabic", ["ara"], snowball(Algorithm::Arabic, Apostrophe::Keep, stop_words!("ar"))),
    language!("da", "Danish", ["dan"], snowball(Algorithm::Danish, Apostrophe::Genitive, stop_words!("da"))),
    language!("de", "German", ["deu", "ger"], snowball(Algorithm::German, Apostrophe::Genitive, stop_words!("de"))),
    language!("el", "Greek", ["ell", "gre"], snowball(Algorithm::Greek, Apostrophe::Keep, stop_words!("el"))),
    language!("en", "English", ["eng"], Method::Western(Rules {
        apostrophe: Apostrophe::Genitive, stop_words: stop_words!("en"), stemmer: Stemming::Porter, ..SIMPLE
    })),
    language!("es", "Spanish", ["spa"], snowball(Algorithm::Spanish, Apostrophe::Keep, stop_words!("es"))),
    language!("fi", "Finnish", ["fin"], snowball(Algorithm::Finnish, Apostrophe::ColonSuffix, stop_words!("fi"))),
    language!("fr", "French", ["fra", "fre"], snowball(Algorithm::French, Apostrophe::French, stop_words!("fr"))),
    language!("hu", "Hungarian", ["hun"], snowball(Algorithm::Hungarian, Apostrophe::Keep, stop_words!("hu"))),
    language!("it", "Italian", ["ita"], snowball(Algorithm::Italian, Apostrophe::Italian, stop_words!("it"))),
    language!("ja", "Japanese", ["jpn"], Method::EastAsian),
    language!("ko", "Korean", ["kor"], Method::EastAsian),
    language!("nl", "Dutch", ["nld", "dut"], snowball(Algorithm::Dutch, Apostrophe::Genitive, stop_words!("nl"))),
    language!("no", "Norwegian", ["nor", "nb", "nob", "nn", "nno"], snowball(Algorithm::Norwegian, Apostrophe::Genitive, stop_words!("no"))),
    language!("pt", "Portuguese", ["por"], Method::Western(Rules {
        drop_accents: true, apostrophe: Apostrophe::Portuguese, stop_words: stop_words!("pt"),
        stemmer: Stemming::Portuguese, ..SIMPLE
    })),
    language!("ro", "Romanian", ["ron", "rum"], snowball(Algorithm::Romanian, Apostrophe::Keep, stop_words!("ro"))),
    language!("ru", "Russian", ["rus"], snowball(Algorithm::Russian, Apostrophe::Keep, stop_words!("ru"))),
    language!("sv", "Swedish", ["swe"], snowball(Algorithm::Swedish, Apostrophe::ColonSuffix, stop_words!("sv"))),
    language!("ta", "Tamil", ["tam"], snowball(Algorithm::Tamil, Apostrophe::Keep, stop_words!("ta"))),
    language!("tr", "Turkish", ["tur"], Method::Western(Rules {
        letter_i: LetterI::Dotless, apostrophe: Apostrophe::Suffix, stop_words: stop_words!("tr"),
        stemmer: Stemming::Snowball(Algorithm::Turkish), ..SIMPLE
    })),
    language!("zh", "Chinese", ["zho", "chi"], Method::EastAsian),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn code(name: &str) -> Option<&'static str> {
        Language::find(name).map(|language| language.code())
    }

    #[test]
    fn codes_names_and_regions_find_the_language() {
        assert_eq!(code("PT"), Some("pt"));
        assert_eq!(code("pt-BR"), Some("pt"));
        assert_eq!(code("zh_Hant_TW"), Some("zh"));
        assert_eq!(code("korean"), Some("ko"));
        assert_eq!(code("nb"), Some("no"));
        assert_eq!(code("klingon"), None);
        assert_eq!(code(""), None);
    }

    #[test]
    fn every_code_and_name_is_found_once() {
        for language in languages() {
            assert_eq!(code(language.code()), Some(language.code()));
            assert_eq!(code(language.name()), Some(language.code()));
        }
    }

    #[test]
    fn every_language_with_a_stemmer_has_stop_words() {
        for language in languages() {
            if let Method::Western(rules) = language.method {
                assert!(
                    rules.stop_words.split_whitespace().count() > 30,
                    "{}",
                    language.name
                );
            }
        }
    }

    #[test]
    fn the_table_is_sorted_by_code() {
        assert!(LANGUAGES.is_sorted_by_key(|language| language.code));
    }
}
