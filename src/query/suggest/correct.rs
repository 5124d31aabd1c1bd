//! Corrections of misspelled words: "did you mean".

use std::cmp::{Ordering, Reverse};
use std::collections::HashMap;
use std::ops::Range;

use super::super::matching_terms::TermPattern;
use super::super::patterns::{Fuzzy, Pattern};
use super::vocabulary::Vocabulary;
use super::{Suggestion, keep_best, max_edits};
use crate::error::{Error, Result};
use crate::index::Snapshot;
use crate::text::Analyzer;

/// The most suggestions for a word.
const MAX_SUGGESTIONS: usize = 5;
/// A word that documents have is misspelled when a term one edit away is in this many times as many.
/// Less often, it is mostly a rare word of its own, as are most words of few characters.
const MIN_FREQUENCY_RATIO: u64 = 500;
/// The document frequency of a term that begins with the same character as the word is multiplied by
/// this: people seldom mistype the first character.
const SAME_FIRST_CHARACTER: u64 = 10;
/// The most distinct words of a text: each may take milliseconds in a large index.
const MAX_WORDS: usize = 256;
/// The most characters of a word that is corrected; nobody means a longer one.
const MAX_WORD_CHARACTERS: usize = 64;

/// A text with corrected words; see [`Snapshot::correct`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Correction {
    /// The text with the first suggestion in the place of each corrected word.
    pub text: String,
    /// The words that were corrected, at least one, in order.
    pub words: Vec<CorrectedWord>,
}

/// A word that was corrected.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct CorrectedWord {
    /// Its bytes in the text that was given.
    pub original: Range<usize>,
    /// The bytes of the first suggestion in [`Correction::text`].
    pub corrected: Range<usize>,
    /// What was probably meant, best first: at least one, at most five.
    pub suggestions: Vec<Suggestion>,
}

impl Snapshot {
    /// The text of a query with its misspelled words corrected; `None` when there is nothing to
    /// correct.
    ///
    /// Corrections are terms of a text field that is not stemmed (the analyzer `simple`, for
    /// example), because stems are not meant to be read, or keywords of a column. They need not be
    /// of the field that is searched. Words of the text become terms as the field's analyzer makes
    /// them, so the corrections are in lower case; with a column, words are found and folded as by
    /// `simple`, and compared with keywords byte for byte, so keep these in lower case too.
    ///
    /// A word is corrected to a term within an edit distance (characters inserted, deleted or
    /// replaced, and neighbors swapped) of 1 if it has 3 to 5 characters, of 2 if it has 6 to 64.
    /// The best of these terms has the fewest edits; of several, it is the one that the most
    /// documents have, where ten times as many must have one that does not begin with the same
    /// character as the word; then the first in the order of bytes.
    ///
    /// These words are left as they are: shorter and longer ones, words without letters, stop words,
    /// words with several terms, and words that documents have, deleted ones included. A word that
    /// documents have is corrected all the same if it has 6 characters or more and a term that
    /// begins with the same character and is one edit away is in at least 500 times as many
    /// documents: then these documents probably misspell it.
    ///
    /// ```
    /// use esparsa::{Document, Index, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("text", Text::new().analyzer("english"))
    ///     .text("words", Text::new().analyzer("simple"))
    ///     .build()?)?;
    /// let mut writer = index.writer()?;
    /// let text = "Etna is an active volcano in Sicily.";
    /// writer.add(Document::new("etna").with_text("text", text).with_text("words", text))?;
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// let query = "activ Vulcano";
    /// let correction = snapshot.correct("words", query)?.expect("both words are misspelled");
    /// assert_eq!(correction.text, "active volcano");
    /// let second = &correction.words[1];
    /// assert_eq!(&query[second.original.clone()], "Vulcano");
    /// assert_eq!(&correction.text[second.corrected.clone()], "volcano");
    /// assert_eq!((second.suggestions[0].edits, second.suggestions[0].documents), (1, 1));
    /// assert_eq!(snapshot.correct("words", "Etna?")?, None);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the field is not there, has neither terms nor keywords, or is
    /// stemmed; [`Error::Limit`] when the text has more than 256 different words that might be
    /// corrected; [`Error::Corrupt`] when bytes that must be read are damaged.
    pub fn correct(&self, field: &str, text: &str) -> Result<Option<Correction>> {
        let vocabulary = Vocabulary::new(self, field)?;
        let simple;
        let analyzer = match vocabulary.analyzer()? {
            Some(analyzer) if analyzer.makes_fragments() => {
                let message = format!(
                    "expected a field whose terms are words, found one whose analyzer `{}` makes stems or n-grams, \
                     which are not meant to be read; correct from a field with the analyzer `simple`, or from a \
                     column of keywords",
                    analyzer.name()
                );
                return Err(Error::invalid(message).in_field(field));
            }
            Some(analyzer) => analyzer,
            None => {
                simple = Analyzer::named("simple")?;
                &simple
            }
        };
        let words = words_of(analyzer, text);
        let mut known: HashMap<String, Vec<Suggestion>> = HashMap::new();
        let mut corrected = Vec::new();
        for (term, range) in words {
            if !known.contains_key(&term) {
                if known.len() == MAX_WORDS {
                    let (found, limit) = (MAX_WORDS as u64 + 1, MAX_WORDS as u64);
                    return Err(Error::limit("distinct words to correct", found, limit));
                }
                let suggestions = self.suggestions(&vocabulary, &term)?;
                known.insert(term.clone(), suggestions);
            }
            if let Some(suggestions) = known.get(&term).filter(|found| !found.is_empty()) {
                corrected.push((range, suggestions.clone()));
            }
        }
        Ok((!corrected.is_empty()).then(|| Correction::new(text, corrected)))
    }

    /// What was meant by a word, best first; nothing when the word itself was.
    fn suggestions(&self, vocabulary: &Vocabulary<'_>, word: &str) -> Result<Vec<Suggestion>> {
        let documents = vocabulary.documents(word)?;
        let min_documents = documents.saturating_mul(MIN_FREQUENCY_RATIO);
        let deleted = self.segments().iter();
        let deleted = deleted.map(|segment| u64::from(segment.deleted_count()));
        if min_documents > self.documents() + deleted.sum::<u64>() {
            return Ok(Vec::new());
        }
        let is_known = documents > 0;
        if is_known && max_edits(word) < 2 {
            return Ok(Vec::new());
        }
        let pattern = TermPattern::new(&Pattern::Fuzzy(Fuzzy {
            term: word.to_owned(),
            distance: if is_known { 1 } else { max_edits(word) },
            prefix: usize::from(is_known),
            transpositions: true,
            prefix_match: false,
        }))?;
        let mut found = vocabulary.matching(&pattern)?;
        found.retain(|term| term.edits > 0 && term.documents >= min_documents);
        let first = word.chars().next();
        keep_best(&mut found, MAX_SUGGESTIONS, |a, b| compare(first, a, b));
        Ok(found)
    }
}

/// Fewer edits first, then the most documents, which count more if the first character is the same,
/// then the order of the bytes.
fn compare(first: Option<char>, a: &Suggestion, b: &Suggestion) -> Ordering {
    let key = |found: &Suggestion| {
        let times = match found.text.chars().next() == first {
            true => SAME_FIRST_CHARACTER,
            false => 1,
        };
        (found.edits, Reverse(found.documents.saturating_mul(times)))
    };
    key(a).cmp(&key(b)).then_with(|| a.text.cmp(&b.text))
}

/// The words of a text that can be corrected, as terms, and their bytes in the text. They do not
/// overlap.
fn words_of(analyzer: &Analyzer, text: &str) -> Vec<(String, Range<usize>)> {
    let mut words: Vec<(String, Range<usize>)> = Vec::new();
    analyzer.query_words(text, &mut |word| {
        let mut terms = Vec::new();
        analyzer.query_terms(word.text, &mut |term| terms.push(term.to_owned()));
        let Ok([term]) = <[String; 1]>::try_from(terms) else {
            return;
        };
        let overlaps = words.last().is_some_and(|(_, last)| word.start < last.end);
        let is_long = term.chars().nth(MAX_WORD_CHARACTERS).is_some();
        if max_edits(&term) > 0 && !is_long && !overlaps && term.chars().any(char::is_alphabetic) {
            words.push((term, word.start..word.end));
        }
    });
    words
}

impl Correction {
    /// Puts the first suggestion in the place of each of these words.
    fn new(original: &str, corrected: Vec<(Range<usize>, Vec<Suggestion>)>) -> Self {
        let (mut text, mut end) = (String::new(), 0);
        let mut words = Vec::with_capacity(corrected.len());
        for (range, suggestions) in corrected {
            text.push_str(original.get(end..range.start).unwrap_or_default());
            end = range.end;
            let start = text.len();
            if let Some(best) = suggestions.first() {
                text.push_str(&best.text);
            }
            words.push(CorrectedWord {
                original: range,
                corrected: start..text.len(),
                suggestions,
            });
        }
        text.push_str(original.get(end..).unwrap_or_default());
        Self { text, words }
    }
}
