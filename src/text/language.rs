//! The table of languages: codes, names, and the rules that turn their words into terms.

use frostem::Algorithm;

use super::elision::Apostrophe;
use super::fold::LetterI;
use super::letters::Letters;
use super::stem::Stemming;

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
    /// Increased with every change to the terms of this language.
    pub(super) revision: u32,
    pub(super) method: Method,
}

/// How the words of a language become terms.
#[derive(Clone, Copy, Debug)]
pub(super) enum Method {
    /// Words separated by spaces, with stop words and a stemmer.
    Western(Rules),
    /// Chinese, Japanese and Korean: bigrams.
    EastAsian,
}

/// The analysis steps of a language that separates words by spaces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub letter_i: LetterI,
    pub letters: Letters,
    pub apostrophe: Apostrophe,
    /// Stop words, separated by white space; `#` begins a comment line.
    pub stop_words: &'static str,
    pub stemmer: Stemming,
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

    /// The language with this code or English name, in any case; `pt-BR` means `pt`.
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

/// The languages that have an analyzer of their own, sorted by code.
pub fn languages() -> impl Iterator<Item = Language> {
    LANGUAGES.iter().copied()
}

/// The rules of `simple`, and the base for the others: folding only.
pub(super) const SIMPLE: Rules = Rules {
    letter_i: LetterI::Dotted,
    letters: Letters::AsWritten,
    apostrophe: Apostrophe::Keep,
    stop_words: "",
    stemmer: Stemming::None,
};

/// The rules of a language that needs only stop words and a Snowball stemmer.
const fn snowball(algorithm: Algorithm, stop_words: &'static str) -> Rules {
    Rules {
        stop_words,
        stemmer: Stemming::Snowball(algorithm),
        ..SIMPLE
    }
}

impl Rules {
    const fn apostrophe(self, apostrophe: Apostrophe) -> Self {
        Self { apostrophe, ..self }
    }

    const fn letters(self, letters: Letters) -> Self {
        Self { letters, ..self }
    }

    const fn stemmer(self, stemmer: Stemming) -> Self {
        Self { stemmer, ..self }
    }

    const fn letter_i(self, letter_i: LetterI) -> Self {
        Self { letter_i, ..self }
    }
}

/// One row of the table below.
macro_rules! language {
    ($code:literal, $name:literal, [$($alias:literal),*]) => {
        Language { code: $code, name: $name, aliases: &[$($alias),*], revision: 1, method: Method::EastAsian }
    };
    ($code:literal, $name:literal, [$($alias:literal),*], $algorithm:ident $($rule:tt)*) => {
        Language {
            code: $code,
            name: $name,
            aliases: &[$($alias),*],
            revision: 1,
            method: Method::Western(
                snowball(Algorithm::$algorithm, include_str!(concat!("stopwords/", $code, ".txt"))) $($rule)*
            ),
        }
    };
}

#[rustfmt::skip]
static LANGUAGES: &[Language] = &[
    language!("ar", "Arabic", ["ara"], Arabic .letters(Letters::Arabic)),
    language!("ca", "Catalan", ["cat"], Catalan .apostrophe(Apostrophe::Catalan)),
    language!("cs", "Czech", ["ces", "cze"], Czech),
    language!("da", "Danish", ["dan"], Danish .apostrophe(Apostrophe::Genitive).letters(Letters::DanoNorwegian)),
    language!("de", "German", ["deu", "ger"], German .apostrophe(Apostrophe::Genitive)),
    language!("el", "Greek", ["ell", "gre"], Greek .letters(Letters::Greek)),
    language!("en", "English", ["eng"], Porter .apostrophe(Apostrophe::Genitive).stemmer(Stemming::Porter)),
    language!("eo", "Esperanto", ["epo"], Esperanto),
    language!("es", "Spanish", ["spa"], Spanish),
    language!("et", "Estonian", ["est"], Estonian),
    language!("eu", "Basque", ["eus", "baq"], Basque),
    language!("fa", "Persian", ["fas", "per"], Persian .letters(Letters::Persian)),
    language!("fi", "Finnish", ["fin"], Finnish .apostrophe(Apostrophe::ColonSuffix)),
    language!("fr", "French", ["fra", "fre"], French
        .apostrophe(Apostrophe::French)
        .letters(Letters::Unaccented)
        .stemmer(Stemming::French)
    ),
    language!("ga", "Irish", ["gle"], Irish .apostrophe(Apostrophe::Irish)),
    language!("hi", "Hindi", ["hin"], Hindi .letters(Letters::Hindi)),
    language!("hu", "Hungarian", ["hun"], Hungarian),
    language!("hy", "Armenian", ["hye", "arm"], Armenian),
    language!("id", "Indonesian", ["ind"], Indonesian),
    language!("it", "Italian", ["ita"], Italian .apostrophe(Apostrophe::Italian)),
    language!("ja", "Japanese", ["jpn"]),
    language!("ko", "Korean", ["kor"]),
    language!("lt", "Lithuanian", ["lit"], Lithuanian),
    language!("ne", "Nepali", ["nep"], Nepali),
    language!("nl", "Dutch", ["nld", "dut"], Dutch .apostrophe(Apostrophe::Genitive)),
    language!("no", "Norwegian", ["nor", "nb", "nob", "nn", "nno"], Norwegian
        .apostrophe(Apostrophe::Genitive)
        .letters(Letters::DanoNorwegian)
    ),
    language!("pl", "Polish", ["pol"], Polish),
    language!("pt", "Portuguese", ["por"], Portuguese
        .apostrophe(Apostrophe::Portuguese)
        .letters(Letters::Unaccented)
        .stemmer(Stemming::Portuguese)
    ),
    language!("ro", "Romanian", ["ron", "rum"], Romanian .letters(Letters::Romanian)),
    language!("ru", "Russian", ["rus"], Russian .letters(Letters::Russian)),
    language!("sr", "Serbian", ["srp"], Serbian .letters(Letters::Serbian)),
    language!("st", "Sesotho", ["sot"], Sesotho),
    language!("sv", "Swedish", ["swe"], Swedish .apostrophe(Apostrophe::ColonSuffix).letters(Letters::Swedish)),
    language!("ta", "Tamil", ["tam"], Tamil),
    language!("tr", "Turkish", ["tur"], Turkish .apostrophe(Apostrophe::Suffix).letter_i(LetterI::Dotless)),
    language!("uk", "Ukrainian", ["ukr"], Ukrainian .letters(Letters::Ukrainian)),
    language!("yi", "Yiddish", ["yid"], Yiddish),
    language!("zh", "Chinese", ["zho", "chi"]),
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
