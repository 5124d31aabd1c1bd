//! Analyzers that an application puts together: a tokenizer, then filters in order.
//!
//! `standard|lowercase|stop:en|stem:en` names such a chain. The tokenizer finds the words; each
//! filter turns a term of one word into zero, one or more terms, and the next filter takes those.
//! The terms of a word thus depend on the word alone, as [`Tokenizer::terms`] requires.

// | file | concept |
// | --- | --- |
// | `name` | names of chains: parsing, canonical form, errors |
// | `part` | the parts that a name can have: arguments, revisions |
// | `split` | the tokenizers other than that of the languages |
// | `filter` | what a filter does to a term |
// | `grams` | n-grams |
// | `builder` | the public builder, which escapes lists of stop words |

pub(super) mod builder;
mod filter;
mod grams;
pub(super) mod name;
mod part;
mod split;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use self::filter::{Filter, Mode};
use self::part::Part;
use self::split::Split;
use super::normalize::nfkc;
use super::tokenizer::{Tokenizer, Word};
use super::western::MAX_FOLDED_BYTES;

/// A tokenizer and filters.
pub(super) struct Chain {
    split: Split,
    filters: Vec<Filter>,
    revision: u32,
}

impl Chain {
    fn new(split: Split, parts: &[Part]) -> Self {
        let mut filters = Vec::with_capacity(parts.len());
        for part in parts {
            let filter = Filter::new(part, &filters);
            filters.push(filter);
        }
        // The sum increases whenever the revision of a part does.
        let above_one = parts.iter().map(|part| part.revision() - 1);
        let revision = split.revision() + above_one.sum::<u32>();
        Self {
            split,
            filters,
            revision,
        }
    }

    /// Whether a filter makes terms that are not words.
    pub(super) fn makes_fragments(&self) -> bool {
        self.filters.iter().any(Filter::makes_fragments)
    }

    fn filtered(&self, word: &str, mode: Mode, emit: &mut dyn FnMut(&str)) {
        if word.len() > MAX_FOLDED_BYTES {
            return emit(word);
        }
        filter::run(&self.filters, mode, word, emit);
    }
}

impl Tokenizer for Chain {
    fn words(&self, text: &str, emit: &mut dyn FnMut(Word<'_>)) {
        self.split.words(text, emit);
    }

    fn terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        self.filtered(word, Mode::Document, emit);
    }

    fn query_terms(&self, word: &str, emit: &mut dyn FnMut(&str)) {
        self.filtered(word, Mode::Query, emit);
    }

    fn normalize(&self, word: &str) -> String {
        let mut normalized = String::new();
        let word = match self.split {
            Split::Standard => nfkc(word),
            Split::Keyword | Split::Letters | Split::Whitespace => Cow::Borrowed(word),
        };
        self.filtered(&word, Mode::Beginning, &mut |term| {
            normalized.push_str(term)
        });
        normalized
    }

    fn revision(&self) -> u32 {
        self.revision
    }
}
