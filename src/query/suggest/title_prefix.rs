//! Titles that begin with a prefix, ignoring case and accents.

use super::super::matching_terms::TermPattern;
use super::{Completion, nfkc};
use crate::error::Result;
use crate::format::dictionary::{Dictionary, DictionaryIter};
use crate::text::Analyzer;

/// A prefix, folded, and how titles are folded to be compared with it.
pub(super) struct TitlePrefix {
    folder: Analyzer,
    pattern: TermPattern,
    any_word: bool,
    /// The prefix begins with this ASCII letter, in lower case, or digit.
    first: Option<u8>,
}

impl TitlePrefix {
    pub fn new(completion: &Completion, prefix: &str) -> Result<Self> {
        let folder = Analyzer::named("simple+fold")?;
        let folded = folder.normalize(&nfkc(prefix));
        let first = folded.bytes().next();
        Ok(Self {
            pattern: completion.pattern(&folded)?,
            folder,
            any_word: completion.any_word,
            first: first.filter(u8::is_ascii_alphanumeric),
        })
    }

    /// The number of typos in the prefix, if the title, or a word of it, begins with it.
    pub fn edits(&self, title: &str) -> Option<u8> {
        let folded = self.folder.normalize(&nfkc(title));
        let mut edits = self.pattern.edits(&folded);
        if self.any_word {
            self.folder.words(&folded, &mut |word| {
                let rest = folded.get(word.start..).unwrap_or_default();
                edits = edits.into_iter().chain(self.pattern.edits(rest)).min();
            });
        }
        edits
    }

    /// Calls `visit` with the keys, and their ordinals, that can be titles with this prefix.
    ///
    /// An ASCII letter or digit at the beginning of a title is also the beginning of its folded form
    /// but for the case, with or without accents behind it. So of a prefix with such a beginning,
    /// most titles need not be read.
    pub fn each_candidate(
        &self,
        titles: &Dictionary,
        mut visit: impl FnMut(&[u8], u64) -> Result<()>,
    ) -> Result<()> {
        let mut iter = titles.iter();
        let Some(first) = self.first.filter(|_| !self.any_word) else {
            while iter.advance()? {
                visit(iter.key(), iter.ordinal())?;
            }
            return Ok(());
        };
        let upper = first.to_ascii_uppercase();
        each_from(&mut iter, upper, upper, &mut visit)?;
        if first != upper {
            each_from(&mut iter, first, first, &mut visit)?;
        }
        each_from(&mut iter, 0x80, u8::MAX, &mut visit)
    }
}

/// Visits the keys whose first byte is in a range that is not below the current key.
fn each_from(
    iter: &mut DictionaryIter<'_>,
    low: u8,
    high: u8,
    visit: &mut impl FnMut(&[u8], u64) -> Result<()>,
) -> Result<()> {
    // The range before may have ended on the first key of this one.
    let is_there = iter.key().first().is_some_and(|first| *first >= low);
    let mut has_key = is_there || iter.seek(&[low])?.is_some();
    while has_key && iter.key().first().is_some_and(|first| *first <= high) {
        visit(iter.key(), iter.ordinal())?;
        has_key = iter.advance()?;
    }
    Ok(())
}
