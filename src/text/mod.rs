//! Text in, index terms out: one analyzer per language.
//!
//! In comes any UTF-8 text. Out come its words, in order, each with the byte range it covers in that text, and for
//! each word the terms under which it is indexed: normalized (NFKC), case-folded, without stop words, stemmed. The
//! two steps are apart because the second depends on the word alone, so that an index writer runs it once per distinct
//! word. This room never does I/O, never ranks, never fails on a text (only on an unknown analyzer name), and never
//! cuts off long terms: whoever stores the terms decides what is too long.
//!
//! | file | concept |
//! | --- | --- |
//! | [`analyzer`](Analyzer) | the public face: names, and the two steps in one call |
//! | `language` | which languages there are, their codes and names |
//! | `segment`, `scan` | words by UAX #29: the plain way, and the fast way for common scripts |
//! | `normalize` | NFKC with a map back to the original offsets |
//! | `options` | what may be asked of an analyzer beyond its language |
//! | `fold` | case folding; marks and digits that are the same |
//! | `letters` | letters that a language writes in more than one way |
//! | `elision` | apostrophes: possessives, elided articles |
//! | `stopwords`, `stem` | function words and stemmers, per language |
//! | `porter` | the stemmer for English: Snowball's, with its author's later changes |
//! | `unaccented` | stemmers for words whose accents are missing |
//! | `parts` | the parts of joined words |
//! | `western` | the tokenizer of languages written with spaces |
//! | `east_asian`, `korean`, `script` | the tokenizer of languages whose words are not the units of search |
//! | `mojibake` | repair of text that was decoded with the wrong character set |

mod analyzer;
mod east_asian;
mod elision;
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
mod tokenizer;
mod unaccented;
mod western;

#[cfg(test)]
mod cases;
#[cfg(test)]
mod properties;

pub use analyzer::Analyzer;
pub use language::{Language, languages};
pub use tokenizer::{Tokenizer, Word};
