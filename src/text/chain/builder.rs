//! The public builder of chains.

use super::name::push_words;
use crate::error::Result;
use crate::text::Analyzer;

/// Builds an analyzer from a tokenizer and filters, made with [`Analyzer::chain`].
///
/// [`Analyzer::named`] lists both, and accepts the [`name`](Analyzer::name) of what is built here.
///
/// ```
/// use esparsa::text::Analyzer;
///
/// let analyzer = Analyzer::chain("standard")
///     .filter("lowercase")
///     .stop_words(["acme", "inc"])
///     .filter("stem:en")
///     .build()?;
/// assert_eq!(analyzer.name(), "standard|lowercase|stop:acme,inc|stem:en");
/// let mut terms = Vec::new();
/// analyzer.analyze("ACME Rockets, Inc.", &mut |term, _| terms.push(term.to_owned()));
/// assert_eq!(terms, ["rocket"]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ChainBuilder {
    name: String,
}

impl ChainBuilder {
    pub(in crate::text) fn new(tokenizer: &str) -> Self {
        Self {
            name: tokenizer.to_owned(),
        }
    }

    /// Adds a filter, as [`Analyzer::named`] lists them: `lowercase`, `stem:en`.
    pub fn filter(mut self, filter: &str) -> Self {
        self.name.push('|');
        self.name.push_str(filter);
        self
    }

    /// Adds a filter that drops `words`; they become part of the analyzer's name. None are no
    /// filter.
    ///
    /// The words are compared as the filters before this one spell them: after `lowercase`, `The`
    /// is a stop word if `the` is.
    pub fn stop_words<S: AsRef<str>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        let words: Vec<S> = words.into_iter().collect();
        let words = words.iter().map(|word| word.as_ref().trim());
        let mut words = words.filter(|word| !word.is_empty()).peekable();
        if words.peek().is_some() {
            self.name.push('|');
            push_words(words, &mut self.name);
        }
        self
    }

    /// The analyzer.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) as [`Analyzer::named`].
    pub fn build(self) -> Result<Analyzer> {
        Analyzer::named(&self.name)
    }
}
