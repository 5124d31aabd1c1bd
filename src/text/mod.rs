//! Analyzers: text in, index terms out. There is one analyzer per language, and applications put
//! together others from a tokenizer and filters.
//!
//! The input is any UTF-8 text. The output is its words in order, each with the byte range that it
//! covers in the text, and for each word the terms under which it is indexed: NFKC-normalized,
//! case-folded, without stop words, stemmed. Finding words and making terms are separate steps
//! because the second depends on the word alone, so an index writer runs it once per distinct word.
//!
//! This module performs no I/O and no ranking. No text makes it fail, only an unknown analyzer
//! name or a malformed list of synonyms. It does not truncate long terms: the code that stores
//! terms decides on their maximum length.

// | file | concept |
// | --- | --- |
// | `analyzer` | the public API: names, and both steps in one call |
// | `language` | the table of languages: codes, names, rules |
// | `segment`, `scan` | word segmentation by UAX #29: the general algorithm, and the fast path for common scripts |
// | `normalize` | NFKC with a map back to the original offsets |
// | `options` | the options of an analyzer beyond its language |
// | `fold` | case folding, punctuation variants, digits of all scripts |
// | `letters` | letters that a language writes in more than one way |
// | `elision` | apostrophes: possessives, elided articles |
// | `stopwords`, `stem` | stop words and stemmers, per language |
// | `porter` | the stemmer for English: Snowball's, with its author's later changes |
// | `unaccented` | stemmers for words whose accents are missing |
// | `parts` | the parts of compound tokens such as `browser.js` |
// | `western` | the tokenizer of languages that separate words by spaces |
// | `east_asian`, `korean`, `script` | the bigram tokenizer of Chinese, Japanese and Korean |
// | `chain` | analyzers that an application puts together of a tokenizer and filters |
// | `synonyms` | synonyms of words and phrases, applied to queries |
// | `escape` | backslash escapes in lists of words |
// | `mojibake` | repair of text that was decoded with the wrong character set |

mod analyzer;
mod chain;
mod east_asian;
mod elision;
mod escape;
mod fold;
mod korean;
mod language;
mod letters;
mod mojibake;
mod normalize;
mod options;
mod parts;
mod porter;
mod scan;
mod script;
mod segment;
mod stem;
mod stopwords;
mod synonyms;
mod tokenizer;
mod unaccented;
mod western;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod properties;

pub use analyzer::Analyzer;
pub use chain::builder::ChainBuilder;
pub use language::{Language, languages};
pub use synonyms::{FieldSynonyms, SynonymGroup, Synonyms};
pub use tokenizer::{Tokenizer, Word};
