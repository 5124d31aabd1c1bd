//! Looking up documents in a decoded block.
//!
//! Branch-free: the number of eight parts' last documents that are below a document, then the
//! number of the part's documents below it, give its place. The compiler vectorizes both counts.

use super::Task;
use crate::format::DocId;
use crate::format::block::{BLOCK_POSTINGS, DecodedBlock};

/// Documents looked up at a time.
pub(in crate::query) const LOOKED_UP: usize = 64;

/// Documents that were found, with their values and their places among those looked up.
pub(in crate::query) struct Found {
    pub count: usize,
    documents: [DocId; LOOKED_UP],
    values: [u32; LOOKED_UP],
    places: [u8; LOOKED_UP],
}

impl Found {
    /// The documents.
    #[inline]
    pub fn documents(&self) -> &[DocId] {
        &self.documents[..self.count]
    }

    /// Their values.
    #[inline]
    pub fn values(&self) -> &[u32] {
        &self.values[..self.count]
    }

    /// Their places.
    #[inline]
    pub fn places(&self) -> impl Iterator<Item = usize> {
        self.places[..self.count].iter().copied().map(usize::from)
    }
}

impl Default for Found {
    fn default() -> Self {
        Self {
            count: 0,
            documents: [0; LOOKED_UP],
            values: [0; LOOKED_UP],
            places: [0; LOOKED_UP],
        }
    }
}

/// Finds those of up to [`LOOKED_UP`] documents that a block has. None of the documents is above
/// the block's last, and behind this the block's array has only larger numbers.
pub(in crate::query) struct LookUp<'a> {
    pub block: &'a DecodedBlock,
    pub documents: &'a [DocId],
    pub found: &'a mut Found,
}

const PART: usize = 16;
const PARTS: usize = BLOCK_POSTINGS / PART;

impl Task for LookUp<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (parts, _) = self.block.documents.as_chunks::<PART>();
        let mut lasts = [DocId::MAX; PARTS];
        for (last, part) in lasts.iter_mut().zip(parts) {
            *last = part[PART - 1];
        }
        let mut count = 0;
        for (at, document) in (0u8..).zip(self.documents.iter().take(LOOKED_UP)) {
            let part = below(&lasts, *document) % PARTS;
            let place = (part * PART + below(&parts[part], *document)) % BLOCK_POSTINGS;
            // Noted in any case, and kept by moving on.
            self.found.documents[count] = *document;
            self.found.values[count] = self.block.values[place];
            self.found.places[count] = at;
            count += usize::from(self.block.documents[place] == *document);
        }
        self.found.count = count;
    }
}

/// How many of the numbers are less.
#[inline(always)]
fn below<const N: usize>(numbers: &[DocId; N], document: DocId) -> usize {
    let below = numbers.iter().map(|number| u32::from(*number < document));
    below.sum::<u32>() as usize
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_there_is_found(
            postings in prop::collection::btree_map(0u32..400, any::<u32>(), 1..=BLOCK_POSTINGS),
            asked in prop::collection::btree_set(0u32..400, 0..LOOKED_UP),
        ) {
            let mut block = DecodedBlock::default();
            block.documents.fill(DocId::MAX);
            for (place, (document, value)) in postings.iter().enumerate() {
                block.documents[place] = *document;
                block.values[place] = *value;
            }
            block.len = postings.len();
            let last = *postings.keys().last().unwrap();
            let asked: Vec<DocId> = asked.into_iter().filter(|document| *document <= last).collect();
            let there = asked.iter().filter_map(|d| postings.get(d).map(|value| (*d, *value)));
            let expected: Vec<(DocId, u32)> = there.collect();
            let are_there = asked.iter().enumerate().filter(|(_, d)| postings.contains_key(d));
            let places: Vec<usize> = are_there.map(|(place, _)| place).collect();
            for level in Level::all() {
                let mut found = Found::default();
                level.run(LookUp { block: &block, documents: &asked, found: &mut found });
                let pairs = found.documents().iter().copied().zip(found.values().iter().copied());
                prop_assert_eq!(&pairs.collect::<Vec<_>>(), &expected);
                prop_assert_eq!(&found.places().collect::<Vec<_>>(), &places);
            }
        }
    }
}
