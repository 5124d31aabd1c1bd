//! Sets of documents of one segment, as bitmaps.
//!
//! A [`DocSet`] holds deleted documents, the documents that a filter accepts, and those that a check
//! has seen. It is a leaf: it reads no bytes (`format::deletes` does) and knows no segment.

use std::ops::Range;

use zerocopy::IntoBytes;

use crate::simd::{Level, take_flags};

/// A document's number inside one segment, from 0.
pub type DocId = u32;

const WORD_BITS: usize = 64;
/// The byte of a word with the lowest bits is the first, or the last.
const BYTE_ORDER: usize = if cfg!(target_endian = "big") { 7 } else { 0 };

/// A set of the documents of a segment, one bit per document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocSet {
    /// Number of documents of the segment. Bits from here on are 0.
    documents: u32,
    /// Number of documents in the set.
    count: u32,
    words: Vec<u64>,
}

impl DocSet {
    /// The empty set, for a segment of `documents` documents.
    pub fn empty(documents: u32) -> Self {
        Self {
            documents,
            count: 0,
            words: vec![0; (documents as usize).div_ceil(WORD_BITS)],
        }
    }

    /// All documents of a segment of `documents` documents.
    pub fn full(documents: u32) -> Self {
        Self::empty(documents).complement()
    }

    /// The set that these words hold, lowest bit first; `None` unless there are exactly enough words
    /// for `documents` documents and no bit is set beyond the last one.
    pub fn from_words(documents: u32, words: Vec<u64>) -> Option<Self> {
        let enough = words.len() == (documents as usize).div_ceil(WORD_BITS);
        let beyond = words
            .last()
            .is_some_and(|word| word & !last_mask(documents) != 0);
        (enough && !beyond).then(|| Self {
            documents,
            count: ones(&words),
            words,
        })
    }

    /// The set's bits, 64 documents a word, lowest bit first.
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// Adds a document; false when the set has it already or the segment does not.
    pub fn insert(&mut self, document: DocId) -> bool {
        let bit = 1 << (document % 64);
        match self.words.get_mut((document / 64) as usize) {
            Some(word) if document < self.documents && *word & bit == 0 => {
                *word |= bit;
                self.count += 1;
                true
            }
            _ => false,
        }
    }

    /// Adds the documents that `add` adds, many at a time, and counts once at the end.
    ///
    /// # Errors
    ///
    /// Those of `add`.
    pub fn insert_lists<E>(
        &mut self,
        add: impl FnOnce(&mut Inserter<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let added = add(&mut Inserter {
            words: &mut self.words,
            flags: None,
        });
        if let Some(last) = self.words.last_mut() {
            *last &= last_mask(self.documents);
        }
        self.count = ones(&self.words);
        added
    }

    /// True when the document is in the set.
    #[inline]
    pub fn contains(&self, document: DocId) -> bool {
        self.words
            .get((document / 64) as usize)
            .is_some_and(|word| word >> (document % 64) & 1 == 1)
    }

    /// Number of documents in the set.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// True when the set has no document.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Number of documents of the segment.
    pub fn documents(&self) -> u32 {
        self.documents
    }

    /// The documents of the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = DocId> + '_ {
        documents_of(0, &self.words)
    }

    /// The documents of the segment that are not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut words: Vec<u64> = self.words.iter().map(|word| !word).collect();
        if let Some(last) = words.last_mut() {
            *last &= last_mask(self.documents);
        }
        Self {
            documents: self.documents,
            count: self.documents - self.count,
            words,
        }
    }

    /// The documents of the set from `range`, ascending.
    pub fn iter_in(&self, range: Range<DocId>) -> impl Iterator<Item = DocId> + '_ {
        let end = range.end.min(self.documents);
        let words = (range.start / 64) as usize..(end as usize).div_ceil(WORD_BITS);
        words.flat_map(move |place| {
            let first = place as u32 * 64;
            let mut rest = self.words.get(place).copied().unwrap_or(0);
            if first < range.start {
                rest &= u64::MAX << (range.start - first);
            }
            if end - first < 64 {
                rest &= (1 << (end - first)) - 1;
            }
            Bits { first, rest }
        })
    }

    /// The set's bits from document `first`, a multiple of 64, on: as many as `documents` of them need.
    pub fn words_from(&self, first: DocId, documents: u32) -> &[u64] {
        let start = (first as usize / WORD_BITS).min(self.words.len());
        let end = start + (documents as usize).div_ceil(WORD_BITS);
        let words = self.words.get(start..end.min(self.words.len()));
        words.unwrap_or_default()
    }

    /// Adds the documents that `other` has. The sets are of the same segment.
    pub fn unite(&mut self, other: &Self) {
        self.combine(other, |word, other| word | other);
        if let Some(last) = self.words.last_mut() {
            *last &= last_mask(self.documents);
        }
        self.count = ones(&self.words);
    }

    /// Keeps the documents that `other` has too. The sets are of the same segment; documents beyond
    /// the end of `other` are in neither.
    pub fn intersect(&mut self, other: &Self) {
        self.combine(other, |word, other| word & other);
    }

    /// Removes the documents that `other` has.
    pub fn subtract(&mut self, other: &Self) {
        self.combine(other, |word, other| word & !other);
    }

    fn combine(&mut self, other: &Self, combined: impl Fn(u64, u64) -> u64) {
        let others = other.words.iter().copied().chain(std::iter::repeat(0));
        for (word, other) in self.words.iter_mut().zip(others) {
            *word = combined(*word, other);
        }
        self.count = ones(&self.words);
    }
}

/// The documents whose bits are set in these words, of which the first bit stands for document
/// `first`.
#[inline]
pub fn documents_of(first: DocId, words: &[u64]) -> impl Iterator<Item = DocId> + '_ {
    let words = (first..).step_by(WORD_BITS).zip(words);
    words.flat_map(|(first, word)| Bits { first, rest: *word })
}

/// The bits of the last word that stand for documents.
fn last_mask(documents: u32) -> u64 {
    match documents % 64 {
        0 => u64::MAX,
        used => (1 << used) - 1,
    }
}

fn ones(words: &[u64]) -> u32 {
    words.iter().map(|word| word.count_ones()).sum()
}

/// Adds documents to a set.
pub struct Inserter<'a> {
    words: &'a mut [u64],
    /// A flag for each document of a window, once they are needed.
    flags: Option<Box<[u8; FLAGS as usize]>>,
}

/// Documents that have a flag at a time: few enough for the L1 cache.
const FLAGS: u32 = 1 << 12;
/// Documents have flags where a list has at least one in this many: setting flags is faster, but
/// every document's is looked at.
const DENSE: u32 = 12;

impl Inserter<'_> {
    /// Adds documents, in any order; those that the segment does not have are left out.
    #[inline]
    pub fn insert(&mut self, documents: &[DocId]) {
        let bytes = self.words.as_mut_bytes();
        // Neighbors are mostly in one word, but in different bytes, so that setting one need not wait
        // for the other.
        for document in documents {
            if let Some(byte) = bytes.get_mut((document / 8) as usize ^ BYTE_ORDER) {
                *byte |= 1 << (document % 8);
            }
        }
    }

    /// Whether a list of this many documents is added faster by [flags](Self::flags).
    pub fn is_dense(&self, documents: u32) -> bool {
        let all = self.words.len() as u64 * WORD_BITS as u64;
        u64::from(documents) * u64::from(DENSE) >= all
    }

    /// For adding a list of many documents.
    pub fn flags(&mut self) -> Flags<'_> {
        let flags = self
            .flags
            .get_or_insert_with(|| Box::new([0; FLAGS as usize]));
        Flags {
            level: Level::detect(),
            words: self.words,
            flags,
            first: 0,
        }
    }
}

/// Adds the documents of a list, by a flag for each document of a window.
pub struct Flags<'a> {
    level: Level,
    words: &'a mut [u64],
    flags: &'a mut [u8; FLAGS as usize],
    /// The first document of the window.
    first: DocId,
}

impl Flags<'_> {
    /// Adds documents, which rise from call to call; those that the segment does not have are left
    /// out.
    #[inline]
    pub fn insert(&mut self, mut documents: &[DocId]) {
        while let (Some(first), Some(last)) = (documents.first(), documents.last()) {
            if first.wrapping_sub(self.first) >= FLAGS {
                self.take();
                self.first = first / FLAGS * FLAGS;
            }
            let here = match last.wrapping_sub(self.first) < FLAGS {
                true => documents.len(),
                false => {
                    documents.partition_point(|document| document.wrapping_sub(self.first) < FLAGS)
                }
            };
            let (here, behind) = documents.split_at(here);
            // The compiler unrolls loops of a known length.
            let (eights, rest) = here.as_chunks::<8>();
            for eight in eights {
                eight.iter().for_each(|document| self.set(*document));
            }
            rest.iter().for_each(|document| self.set(*document));
            documents = behind;
        }
    }

    /// Sets the flag of a document of the window, whose first is a multiple of [`FLAGS`].
    #[inline(always)]
    fn set(&mut self, document: DocId) {
        self.flags[(document % FLAGS) as usize] = 1;
    }

    /// Takes over the flags of the last window.
    pub fn finish(mut self) {
        self.take();
    }

    fn take(&mut self) {
        let words = self.words.get_mut(self.first as usize / WORD_BITS..);
        take_flags(self.level, self.flags, words.unwrap_or_default());
    }
}

/// The documents of one word.
struct Bits {
    first: DocId,
    rest: u64,
}

impl Iterator for Bits {
    type Item = DocId;

    fn next(&mut self) -> Option<DocId> {
        if self.rest == 0 {
            return None;
        }
        let document = self.first + self.rest.trailing_zeros();
        self.rest &= self.rest - 1;
        Some(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn set(documents: u32, members: &[u32]) -> (DocSet, BTreeSet<u32>) {
        let (mut set, mut model) = (DocSet::empty(documents), BTreeSet::new());
        for member in members {
            let is_new = *member < documents && model.insert(*member);
            assert_eq!(set.insert(*member), is_new);
        }
        (set, model)
    }

    fn is_same(set: &DocSet, model: &BTreeSet<u32>) -> bool {
        set.iter().eq(model.iter().copied())
            && set.count() as usize == model.len()
            && set.is_empty() == model.is_empty()
            && (0..set.documents() + 70).all(|d| set.contains(d) == model.contains(&d))
    }

    proptest! {
        #[test]
        fn a_set_is_what_a_tree_of_numbers_is(
            documents in 0u32..300,
            one in prop::collection::vec(0u32..400, 0..80),
            other in prop::collection::vec(0u32..400, 0..80),
            range in (0u32..400, 0u32..400),
        ) {
            let (one, one_model) = set(documents, &one);
            let (other, other_model) = set(documents, &other);
            prop_assert!(is_same(&one, &one_model));
            let all: BTreeSet<u32> = (0..documents).collect();
            prop_assert!(is_same(&DocSet::full(documents), &all));
            prop_assert!(is_same(&one.complement(), &(&all - &one_model)));
            let mut both = one.clone();
            both.intersect(&other);
            prop_assert!(is_same(&both, &(&one_model & &other_model)));
            let mut rest = one.clone();
            rest.subtract(&other);
            prop_assert!(is_same(&rest, &(&one_model - &other_model)));
            let mut either = one.clone();
            either.unite(&other);
            prop_assert!(is_same(&either, &(&one_model | &other_model)));
            let mut together = one.clone();
            let members: Vec<u32> = other_model.iter().rev().chain(&[9_999]).copied().collect();
            let Ok(()) = together.insert_lists(|inserter| {
                inserter.insert(&members);
                Ok::<(), std::convert::Infallible>(())
            });
            prop_assert!(is_same(&together, &(&one_model | &other_model)));
            let mut together = one.clone();
            let members: Vec<u32> = other_model.iter().copied().chain([9_999, 9_999_999]).collect();
            let Ok(()) = together.insert_lists(|inserter| {
                let mut flags = inserter.flags();
                let (some, others) = members.split_at(members.len() / 2);
                flags.insert(some);
                flags.insert(others);
                flags.finish();
                Ok::<(), std::convert::Infallible>(())
            });
            prop_assert!(is_same(&together, &(&one_model | &other_model)));
            let part: Vec<u32> = one.iter_in(range.0..range.1).collect();
            let model = one_model.iter().copied().filter(|d| (range.0..range.1).contains(d));
            prop_assert_eq!(part, model.collect::<Vec<u32>>());
            let words = one.words().to_vec();
            prop_assert_eq!(DocSet::from_words(documents, words), Some(one));
        }
    }

    #[test]
    fn words_with_bits_beyond_the_last_document_are_no_set() {
        assert_eq!(DocSet::from_words(3, vec![0b1000]), None);
        assert_eq!(DocSet::from_words(64, vec![1, 0]), None);
        assert_eq!(DocSet::from_words(65, vec![1]), None);
        assert!(DocSet::from_words(64, vec![u64::MAX]).is_some());
        assert!(DocSet::from_words(0, Vec::new()).is_some());
    }
}
