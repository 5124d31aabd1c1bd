//! The public API: an analyzer has a name, finds words, and turns them into terms.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};

use super::east_asian::EastAsian;
use super::language::{Language, Method, SIMPLE, languages};
use super::mojibake;
use super::options::Options;
use super::tokenizer::{Tokenizer, Word};
use super::western::Western;

/// Increased with every change to the terms of `simple`.
const SIMPLE_REVISION: u32 = 1;

const CUSTOM_PREFIX: &str = "custom:";

/// Turns text into index terms, the same way when indexing and when searching.
///
/// Cheap to clone. The index stores its name with each field, so queries are analyzed the way the
/// documents were.
///
/// ```
/// use esparsa::text::Analyzer;
///
/// let english = Analyzer::named("en")?;
/// let mut terms = Vec::new();
/// english.analyze("The dog's Cafés", &mut |term, range| terms.push((term.to_owned(), range)));
/// assert_eq!(terms, [("dog".to_owned(), 4..9), ("café".to_owned(), 10..16)]);
/// assert_eq!(english.name(), "english");
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone)]
pub struct Analyzer {
    name: Arc<str>,
    tokenizer: Arc<dyn Tokenizer>,
    revision: u32,
    repairs: bool,
}

impl Analyzer {
    /// The analyzer called `name`, in any case.
    ///
    /// A name is a language, as a code (`pt`, `pt-BR`, `por`) or in English (`portuguese`), or
    /// `simple`, which only folds: no stop words, no stemming. [`languages`] lists the languages.
    /// Options may follow, each after a `+`, as in `english+fold+parts`:
    ///
    /// | option | effect |
    /// | --- | --- |
    /// | `compounds` | Korean: any two adjacent syllables of a compound word find it |
    /// | `fold` | accents of Latin letters are removed, so `cafe` finds `café`; French and Portuguese always do this |
    /// | `mojibake` | repairs text that was decoded with the wrong character set, see [`Analyzer::repair`] |
    /// | `parts` | the parts of a compound token find it too: `browser` finds `browser.js`, `10000` finds `10,000`, `US` finds `U.S.` |
    /// | `stopwords` | keeps stop words, so queries can find them |
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the analyzer or an option is unknown, if the language or this
    /// build lacks the option, and for the name of a [custom](Analyzer::custom) analyzer, which
    /// only the application can supply.
    pub fn named(name: &str) -> Result<Self> {
        if name.starts_with(CUSTOM_PREFIX) {
            return Err(Error::invalid(format!(
                "`{name}` is an analyzer of the application that wrote this index; \
                 pass it in, made with `Analyzer::custom`"
            )));
        }
        let mut parts = name.trim().split('+').map(str::trim);
        let base = parts.next().unwrap_or_default();
        let mut options = Options::default();
        for option in parts {
            options.set(option, name)?;
        }
        let (mut canonical, revision, tokenizer) = find(base, options)?;
        options.append_to(&mut canonical);
        Ok(Self {
            name: canonical.into(),
            tokenizer,
            revision,
            repairs: options.mojibake,
        })
    }

    /// An analyzer that the application implements; its [`name`](Analyzer::name) is `custom:`
    /// followed by `name`.
    pub fn custom(name: impl Into<String>, tokenizer: impl Tokenizer + 'static) -> Self {
        Self {
            name: format!("{CUSTOM_PREFIX}{}", name.into()).into(),
            revision: tokenizer.revision(),
            tokenizer: Arc::new(tokenizer),
            repairs: false,
        }
    }

    /// The canonical name, which an index stores with a field.
    ///
    /// [`Analyzer::named`] returns the same analyzer for it, unless the analyzer is custom.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The revision of the analyzer's terms, which increases when a correction or a newer stemmer
    /// changes them.
    ///
    /// An index holds terms of one revision; only queries of the same revision can find them.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// Finds the words of `text`, in order; see [`Tokenizer::words`].
    pub fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        self.tokenizer.words(text, emit);
    }

    /// Turns one word into zero, one or more index terms; see [`Tokenizer::terms`].
    pub fn terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        self.tokenizer.terms(word, emit);
    }

    /// Calls `emit` with each term of `text` and the bytes of `text` that its word covers.
    pub fn analyze(&self, text: &str, emit: &mut dyn FnMut(&str, Range<usize>)) {
        self.words(text, &mut |word| {
            self.terms(word.text, &mut |term| emit(term, word.start..word.end));
        });
    }

    /// Calls `emit` with each term to search for when `text` is a query, and the bytes of `text`
    /// that its word covers.
    ///
    /// A query may have fewer terms than a document of the same text, see
    /// [`Tokenizer::query_words`] and [`Tokenizer::query_terms`].
    pub fn analyze_query(&self, text: &str, emit: &mut dyn FnMut(&str, Range<usize>)) {
        self.query_words(text, &mut |word| {
            self.query_terms(word.text, &mut |term| emit(term, word.start..word.end));
        });
    }

    /// Turns one word of a query into the terms to search for; see [`Tokenizer::query_terms`].
    pub fn query_terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        self.tokenizer.query_terms(word, emit);
    }

    /// Finds the words of a query, in order; see [`Tokenizer::query_words`].
    pub fn query_words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        self.tokenizer.query_words(text, emit);
    }

    /// The text to index and to store in place of `text`.
    ///
    /// This is `text` itself, unless the analyzer has the option `mojibake` and the text needs
    /// repair. The ranges of [`words`](Analyzer::words) and [`analyze`](Analyzer::analyze) refer to
    /// their argument, so a caller that repairs a text also analyzes and highlights the repaired
    /// one.
    pub fn repair<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.repairs {
            mojibake::repair(text)
        } else {
            Cow::Borrowed(text)
        }
    }
}

/// The canonical name, the revision and the tokenizer of a name without options.
fn find(name: &str, options: Options) -> Result<(String, u32, Arc<dyn Tokenizer>)> {
    if name.eq_ignore_ascii_case("simple") {
        options.check("simple", false, false)?;
        let tokenizer = Arc::new(Western::new(SIMPLE, options));
        return Ok(("simple".to_owned(), SIMPLE_REVISION, tokenizer));
    }
    let Some(language) = Language::find(name) else {
        let known: Vec<_> = languages().map(|language| language.code()).collect();
        return Err(Error::invalid(format!(
            "unknown analyzer `{name}`; expected `simple` or a language, as code or English name: {}",
            known.join(", ")
        )));
    };
    let canonical = language.name().to_ascii_lowercase();
    let tokenizer: Arc<dyn Tokenizer> = match language.method {
        Method::Western(rules) => {
            options.check(&canonical, true, false)?;
            Arc::new(Western::new(rules, options))
        }
        Method::EastAsian => {
            let is_korean = canonical == "korean";
            options.check(&canonical, false, is_korean)?;
            Arc::new(EastAsian::new(options, is_korean))
        }
    };
    Ok((canonical, language.revision, tokenizer))
}

impl fmt::Debug for Analyzer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Analyzer").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Whole;

    impl Tokenizer for Whole {
        fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
            emit(Word::new(text, 0..text.len()));
        }
    }

    #[test]
    fn names_become_canonical() {
        for (given, canonical) in [
            ("EN", "english"),
            (" pt-BR ", "portuguese"),
            ("Simple", "simple"),
            ("kor", "korean"),
        ] {
            assert_eq!(Analyzer::named(given).unwrap().name(), canonical);
        }
    }

    #[test]
    fn unknown_names_and_options_say_what_is_known() {
        let message = Analyzer::named("klingon").unwrap_err().to_string();
        assert!(
            message.contains("`klingon`") && message.contains("pt, ro"),
            "{message}"
        );
        let message = Analyzer::named("en+loud").unwrap_err().to_string();
        assert!(
            message.contains("`loud`") && message.contains("`mojibake`"),
            "{message}"
        );
    }

    #[test]
    fn options_have_one_order_and_are_refused_where_they_mean_nothing() {
        let analyzer = Analyzer::named("EN+parts + FOLD").unwrap();
        assert_eq!(analyzer.name(), "english+fold+parts");
        for name in [
            "en+compounds",
            "zh+compounds",
            "simple+stopwords",
            "ko+stopwords",
        ] {
            let message = Analyzer::named(name).unwrap_err().to_string();
            assert!(message.contains("has no"), "{name}: {message}");
        }
    }

    #[test]
    fn an_application_numbers_the_revisions_of_its_analyzer() {
        struct Third;
        impl Tokenizer for Third {
            fn words(&self, _: &str, _: &mut dyn FnMut(Word<'_>)) {}
            fn revision(&self) -> u32 {
                3
            }
        }
        assert_eq!(Analyzer::custom("third", Third).revision(), 3);
        assert_eq!(Analyzer::custom("whole", Whole).revision(), 1);
    }

    #[test]
    fn only_the_application_can_supply_a_custom_analyzer() {
        let analyzer = Analyzer::custom("whole", Whole);
        assert_eq!(analyzer.name(), "custom:whole");
        let message = Analyzer::named(analyzer.name()).unwrap_err().to_string();
        assert!(message.contains("Analyzer::custom"), "{message}");
    }

    #[test]
    fn nothing_is_repaired_unless_asked_for() {
        let analyzer = Analyzer::named("pt").unwrap();
        assert_eq!(analyzer.repair("cafÃ©"), "cafÃ©");
    }

    #[cfg(feature = "mojibake")]
    #[test]
    fn mojibake_is_repaired_where_asked_for() {
        let analyzer = Analyzer::named("PT + Mojibake").unwrap();
        assert_eq!(analyzer.name(), "portuguese+mojibake");
        assert_eq!(analyzer.repair("cafÃ©"), "café");
    }

    #[cfg(not(feature = "mojibake"))]
    #[test]
    fn a_build_without_repair_says_which_feature_is_missing() {
        let message = Analyzer::named("pt+mojibake").unwrap_err().to_string();
        assert!(message.contains("feature `mojibake`"), "{message}");
    }
}
