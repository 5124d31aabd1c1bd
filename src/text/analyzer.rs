//! The public API: an analyzer has a name, finds words, and turns them into terms.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Result};

use super::chain::builder::ChainBuilder;
use super::chain::name as chain;
use super::east_asian::EastAsian;
use super::language::{Language, Method, SIMPLE, languages};
use super::mojibake;
use super::options::Options;
use super::tokenizer::{Tokenizer, Word};
use super::western::Western;

/// Increased with every change to the terms of `simple`.
pub(super) const SIMPLE_REVISION: u32 = 1;

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
    makes_fragments: bool,
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
    /// Or a name is a chain: a tokenizer, then any number of filters, each after a `|`, which take
    /// the terms of the one before. `LANG` is a language as above; [`Analyzer::chain`] builds a
    /// name that has stop words of the application's own.
    ///
    /// | tokenizer | words |
    /// | --- | --- |
    /// | `standard` | those of Unicode (UAX #29), NFKC-normalized, as the languages that use spaces have them |
    /// | `whitespace` | all between white space |
    /// | `letters` | runs of letters |
    /// | `keyword` | the whole text, without white space around it, as one word |
    /// | `ngram:2-3`, `edge-ngram:2-10` | short for `standard\|ngram:2-3` and `standard\|edge-ngram:2-10` |
    ///
    /// | filter | effect |
    /// | --- | --- |
    /// | `lowercase`, `lowercase:LANG` | folds case, typographic apostrophes, digits of other scripts, and invisible characters; `tr` and `ga` have rules of their own |
    /// | `fold` | removes accents of Latin letters and splits ligatures |
    /// | `nfkc` | NFKC normalization, for the tokenizers that do not normalize |
    /// | `normalize:LANG` | unifies letters that the language writes in more than one way: Arabic alefs, `ё` and `е` |
    /// | `elision:LANG` | drops elided words before an apostrophe: `l'homme` becomes `homme`; after `lowercase` |
    /// | `possessive:LANG` | drops endings after an apostrophe: `dog's` becomes `dog`; after `lowercase` |
    /// | `stop:LANG` | drops the stop words of the language |
    /// | `stop:WORD,WORD` | drops these words; a single one is written `stop:WORD,`; backslash escapes a comma, <code>\|</code> and itself |
    /// | `stem:LANG` | unifies letters as `normalize` does, and stems as the language's analyzer does |
    /// | `parts` | the parts of a compound token become terms too, as with the option `parts` |
    /// | `length:2-20` | drops terms with fewer or more characters |
    /// | `edge-ngram:2-10` | the beginnings of a term, of 2 to 10 characters; a query word is searched as its first 10 characters, uncut, so `fire` finds `firefox` but not `first` |
    /// | `ngram:2-3` | all substrings of 2 to 3 characters, in queries too |
    ///
    /// The filters before `stop` that change letters apply to its list too: after `fold`, the list
    /// has no accents either. Characters are Unicode scalar values. A term shorter than the
    /// shortest n-gram stays whole. Words of more than 4096 bytes pass unchanged; an index has no
    /// terms of that length. `english` has the terms of
    /// `standard|lowercase|possessive:en|stop:en|stem:en`.
    ///
    /// ```
    /// use esparsa::text::Analyzer;
    ///
    /// let analyzer = Analyzer::named("standard | lowercase | fold | edge-ngram:2-4")?;
    /// assert_eq!(analyzer.name(), "standard|lowercase|fold|edge-ngram:2-4");
    /// let (mut document, mut query) = (Vec::new(), Vec::new());
    /// analyzer.analyze("Ações", &mut |term, range| document.push((term.to_owned(), range)));
    /// analyzer.analyze_query("aço", &mut |term, _| query.push(term.to_owned()));
    /// assert_eq!(document, ["ac", "aco", "acoe"].map(|term| (term.to_owned(), 0..7)));
    /// assert_eq!(query, ["aco"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the analyzer, an option or a part is unknown, if the language or
    /// this build lacks the option or part, and for the name of a [custom](Analyzer::custom)
    /// analyzer, which only the application can supply. [`Error::Limit`] if the name of a chain
    /// has more than 64 KiB.
    pub fn named(name: &str) -> Result<Self> {
        if name.starts_with(CUSTOM_PREFIX) {
            return Err(Error::invalid(format!(
                "`{name}` is an analyzer of the application that wrote this index; \
                 pass it in, made with `Analyzer::custom`"
            )));
        }
        if chain::is_chain(name) {
            let (canonical, chain) = chain::parse(name)?;
            return Ok(Self {
                name: canonical.into(),
                revision: chain.revision(),
                makes_fragments: chain.makes_fragments(),
                tokenizer: Arc::new(chain),
                repairs: false,
            });
        }
        let mut parts = name.trim().split('+').map(str::trim);
        let base = parts.next().unwrap_or_default();
        let mut options = Options::default();
        for option in parts {
            options.set(option, name)?;
        }
        let (mut canonical, revision, tokenizer) = find(base, options)?;
        options.append_to(&mut canonical);
        let method = Language::find(base).map(|language| language.method);
        Ok(Self {
            name: canonical.into(),
            tokenizer,
            revision,
            repairs: options.mojibake,
            makes_fragments: matches!(method, Some(Method::Western(_))),
        })
    }

    /// Begins a chain with a tokenizer, for filters to follow; see [`Analyzer::named`] for both.
    pub fn chain(tokenizer: &str) -> ChainBuilder {
        ChainBuilder::new(tokenizer)
    }

    /// An analyzer that the application implements; its [`name`](Analyzer::name) is `custom:`
    /// followed by `name`.
    pub fn custom(name: impl Into<String>, tokenizer: impl Tokenizer + 'static) -> Self {
        Self {
            name: format!("{CUSTOM_PREFIX}{}", name.into()).into(),
            revision: tokenizer.revision(),
            tokenizer: Arc::new(tokenizer),
            repairs: false,
            makes_fragments: false,
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

    /// Whether terms are stems or n-grams, which are not meant to be read. False of a custom
    /// analyzer, of which that is not known.
    pub(crate) fn makes_fragments(&self) -> bool {
        self.makes_fragments
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

    /// Calls `emit` with each term of `text`, its position, and the bytes of `text` that its word
    /// covers.
    ///
    /// Positions count words from 0: every word that [`words`](Analyzer::words) finds has the next
    /// one, also a word without terms, such as a stop word, and all terms of a word have its
    /// position. An index with positions keeps these.
    ///
    /// ```
    /// use esparsa::text::Analyzer;
    ///
    /// let mut terms = Vec::new();
    /// let english = Analyzer::named("en")?;
    /// english.positions("Fish and the Seas", &mut |term, position, _| {
    ///     terms.push((term.to_owned(), position));
    /// });
    /// assert_eq!(terms, [("fish".to_owned(), 0), ("sea".to_owned(), 3)]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn positions(&self, text: &str, emit: &mut dyn FnMut(&str, u32, Range<usize>)) {
        let mut position = 0u32;
        self.words(text, &mut |word| {
            let range = word.start..word.end;
            self.terms(word.text, &mut |term| emit(term, position, range.clone()));
            position = position.saturating_add(1);
        });
    }

    /// Calls `emit` with each term to search for when `text` is a query, its position, and the
    /// bytes of `text` that its word covers.
    ///
    /// A query's word has the position that it has in a [document](Analyzer::positions) of the same
    /// text, even if the query has fewer words. So in every document that contains the text, all
    /// these terms are found, each as far behind the first one as here.
    pub fn query_positions(&self, text: &str, emit: &mut dyn FnMut(&str, u32, Range<usize>)) {
        let mut words = Vec::new();
        self.words(text, &mut |word| {
            words.push((word.text.to_owned(), word.start..word.end));
        });
        let mut next = 0;
        self.query_words(text, &mut |word| {
            let range = word.start..word.end;
            let mut rest = words.iter().skip(next);
            let between = rest.position(|(text, of_word)| text == word.text && *of_word == range);
            // A tokenizer may give a query words that no document has; they are never found.
            let position = next + between.unwrap_or(0);
            next = position + 1;
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            self.query_terms(word.text, &mut |term| emit(term, position, range.clone()));
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

    /// The form of a word, or of the beginning of one, that terms have before their endings are
    /// removed; see [`Tokenizer::normalize`].
    pub fn normalize(&self, word: &str) -> String {
        self.tokenizer.normalize(word)
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
            "unknown analyzer `{name}`; expected `simple`, a language, as code or English name, or a chain such as \
             `standard|lowercase|stem:en`; languages: {}",
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
