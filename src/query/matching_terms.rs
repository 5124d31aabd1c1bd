//! The documents that have a term, or a keyword, of a pattern.

use std::fmt;

use super::patterns::{Compiled, Pattern, Terms};
use super::text_documents::add_documents;
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::FieldNumber;
use crate::format::dictionary::{Dictionary, DictionaryIter, TermEntry};
use crate::segment::SegmentReader;

/// A pattern, compiled once for all segments.
pub(super) struct TermPattern {
    pattern: Pattern,
    compiled: Compiled,
}

/// The pattern alone: it tells one set of documents from another.
impl fmt::Debug for TermPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pattern.fmt(f)
    }
}

impl TermPattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when it is malformed, too long, or needs too much memory.
    pub fn new(pattern: &Pattern) -> Result<Self> {
        let compiled = pattern.compile();
        Ok(Self {
            compiled: compiled.map_err(|error| Error::invalid(error.to_string()))?,
            pattern: pattern.clone(),
        })
    }

    /// Whether a term is one of the pattern.
    pub fn matches(&self, term: &str) -> bool {
        self.edits(term).is_some()
    }

    /// The edit distance of a term of the pattern (0 unless it is fuzzy), `None` of another.
    pub fn edits(&self, term: &str) -> Option<u8> {
        self.compiled.matches(term.as_bytes())
    }

    /// The documents of a segment; `None` when it has neither text nor keywords in the field.
    pub fn documents(&self, reader: &SegmentReader, field: FieldNumber) -> Result<Option<DocSet>> {
        if let Some(text) = reader.text(field) {
            let mut set = DocSet::empty(reader.documents());
            set.insert_lists(|set| {
                self.for_each_entry(&text.terms, |entry| add_documents(reader, text, entry, set))
            })?;
            return Ok(Some(set));
        }
        let Some(column) = reader.column(field) else {
            return Ok(None);
        };
        let mut codes = Vec::new();
        if let Some(keywords) = column.keywords() {
            self.for_each(keywords, |found| {
                codes.push(found.ordinal);
                Ok(())
            })?;
        }
        column.in_set(&codes).map(Some)
    }

    /// Calls `visit` with the entry of every term of the pattern, in order.
    pub fn for_each_entry(
        &self,
        dictionary: &Dictionary,
        mut visit: impl FnMut(&TermEntry) -> Result<()>,
    ) -> Result<()> {
        self.for_each(dictionary, |found| match found.entry {
            Some(entry) => visit(entry),
            None => Ok(()),
        })
    }

    /// Calls `visit` with every term, or keyword, of the pattern, in order.
    pub fn for_each(
        &self,
        dictionary: &Dictionary,
        mut visit: impl FnMut(FoundTerm<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut terms = DictionaryTerms {
            iter: dictionary.iter(),
            entry: None,
        };
        self.compiled.for_each(&mut terms, |terms, edits| {
            visit(FoundTerm {
                key: terms.iter.key(),
                ordinal: terms.iter.ordinal(),
                entry: terms.entry.as_ref(),
                edits,
            })
        })
    }
}

/// A term, or a keyword, of a pattern in the dictionary of a segment.
pub(super) struct FoundTerm<'a> {
    pub key: &'a [u8],
    pub ordinal: u64,
    /// `None` of a keyword.
    pub entry: Option<&'a TermEntry>,
    /// The edit distance; 0 unless the pattern is fuzzy.
    pub edits: u8,
}

/// The terms of a dictionary, as patterns walk them.
struct DictionaryTerms<'a> {
    iter: DictionaryIter<'a>,
    entry: Option<TermEntry>,
}

impl DictionaryTerms<'_> {
    fn stand_on(&mut self, found: Option<Option<TermEntry>>) -> bool {
        self.entry = found.flatten();
        found.is_some()
    }
}

impl Terms for DictionaryTerms<'_> {
    type Error = Error;

    fn seek(&mut self, key: &[u8]) -> Result<bool> {
        let found = self.iter.seek(key)?;
        Ok(self.stand_on(found))
    }

    fn advance(&mut self) -> Result<bool> {
        let found = self.iter.next_entry()?;
        Ok(self.stand_on(found))
    }

    fn key(&self) -> &[u8] {
        self.iter.key()
    }
}
