//! The trait that an analyzer implements.

use std::ops::Range;

/// One word of a text, as segmentation found it, before folding and stemming.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Word<'a> {
    /// The word, NFKC-normalized, in its original case.
    pub text: &'a str,
    /// Offset of the word in the original text, in bytes.
    pub start: usize,
    /// End of the word in the original text, in bytes, exclusive.
    pub end: usize,
}

impl<'a> Word<'a> {
    /// A word and its byte range in the original text.
    pub fn new(text: &'a str, range: Range<usize>) -> Self {
        Self {
            text,
            start: range.start,
            end: range.end,
        }
    }
}

/// Splits text into words, and words into terms.
///
/// An application with its own notion of words implements this and wraps it in
/// [`Analyzer::custom`](super::Analyzer::custom).
///
/// ```
/// use esparsa::text::{Analyzer, Tokenizer, Word};
///
/// /// Every line is one word.
/// struct Lines;
///
/// impl Tokenizer for Lines {
///     fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
///         let mut start = 0;
///         for line in text.split_inclusive('\n') {
///             let word = line.trim_end_matches('\n');
///             emit(Word::new(word, start..start + word.len()));
///             start += line.len();
///         }
///     }
/// }
///
/// let analyzer = Analyzer::custom("lines", Lines);
/// let mut terms = Vec::new();
/// analyzer.analyze("sudo rm\nls", &mut |term, range| terms.push((term.to_owned(), range)));
/// assert_eq!(terms, [("sudo rm".to_owned(), 0..7), ("ls".to_owned(), 8..10)]);
/// ```
pub trait Tokenizer: Send + Sync {
    /// Finds the words of `text`, in order.
    ///
    /// Ranges are on character boundaries of `text`; neither starts nor ends decrease from one word
    /// to the next.
    fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>));

    /// Finds the words of a query, in order, by the same rules. The default is
    /// [`words`](Tokenizer::words).
    ///
    /// Override it if documents are indexed under more words than a query needs: a Chinese document
    /// has bigrams and unigrams, a query of several characters only bigrams.
    fn query_words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        self.words(text, emit);
    }

    /// Turns one word into zero, one or more index terms.
    ///
    /// The result must depend on the word alone, so that callers may cache it. The default is the
    /// word itself.
    fn terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        emit(word);
    }

    /// Turns one word of a query into the terms to search for. The default is
    /// [`terms`](Tokenizer::terms).
    ///
    /// Override it if documents are indexed under more terms than a query needs: a Korean word that
    /// may be a noun of one syllable with a particle is also indexed under that noun, but a query
    /// for the word does not search for the noun.
    fn query_terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        self.terms(word, emit);
    }

    /// The form of a word, or of the beginning of one, that terms have before their endings are
    /// removed: in lower case, for an analyzer that folds case. For what is compared with terms but
    /// is not a whole word, such as a prefix. The default is the word itself.
    fn normalize(&self, word: &str) -> String {
        word.to_owned()
    }

    /// The revision of words and terms, to increase with every change to them; see
    /// [`Analyzer::revision`](super::Analyzer::revision). The default is 1.
    fn revision(&self) -> u32 {
        1
    }
}
