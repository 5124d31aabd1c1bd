//! Contributions of a tier's postings: query weight times impact, both integers.

use super::cursor::{BlockCursor, Collected, Cursor, Matches};
use super::window::Window;
use crate::error::Error;
use crate::format::block_list::BlockEntry;
use crate::format::sparse_postings::{SparseBlockEntry, Tier};
use crate::format::{DocId, NO_MORE_DOCUMENTS};

/// The postings of one tier of a term. The tiers of a term are cursors of the same
/// [`term`](Cursor::term).
pub(super) struct TierCursor<'a> {
    blocks: BlockCursor<'a, SparseBlockEntry>,
    term: usize,
    weight: u32,
    max_impact: u32,
}

impl<'a> TierCursor<'a> {
    /// A cursor on a tier of the query's `term`-th term, with the term's weight in the query.
    pub fn new(tier: &Tier<'a>, term: usize, weight: u32) -> Self {
        Self {
            blocks: BlockCursor::new(tier.blocks),
            term,
            weight,
            max_impact: u32::from(tier.max_impact),
        }
    }

    #[inline]
    fn bound_of_block(&self, block: usize) -> u32 {
        match self.blocks.entry(block) {
            Some(entry) => self.weight * u32::from(entry.max_impact()),
            None => self.bound(),
        }
    }
}

impl Cursor for TierCursor<'_> {
    type Score = u32;

    fn term(&self) -> usize {
        self.term
    }

    fn len(&self) -> u32 {
        self.blocks.len()
    }

    #[inline]
    fn bound(&self) -> u32 {
        self.weight * self.max_impact
    }

    #[inline]
    fn document(&self) -> DocId {
        self.blocks.document()
    }

    #[inline]
    fn seek(&mut self, target: DocId) {
        self.blocks.seek(target);
    }

    #[inline]
    fn advance(&mut self) {
        self.blocks.advance();
    }

    fn value(&self) -> u32 {
        self.max_impact.saturating_sub(self.blocks.value())
    }

    #[inline]
    fn score(&mut self) -> u32 {
        self.blocks.scored += 1;
        self.weight * self.value()
    }

    #[inline]
    fn block_bound(&mut self, target: DocId) -> (u32, DocId) {
        let block = self.blocks.shallow_seek(target);
        match self.blocks.entry(block) {
            Some(entry) => (self.bound_of_block(block), entry.last_document()),
            None if self.blocks.block_count() == 1 => (self.bound(), NO_MORE_DOCUMENTS - 1),
            None => (0, NO_MORE_DOCUMENTS - 1),
        }
    }

    #[inline]
    fn window_bound(&mut self, start: DocId, end: DocId) -> u32 {
        let Some(blocks) = self.blocks.blocks_in(start, end) else {
            return 0;
        };
        blocks.fold(0, |bound, block| bound.max(self.bound_of_block(block)))
    }

    #[inline]
    fn add_window(&mut self, start: DocId, end: DocId, sums: &mut Window<u32>) {
        let (weight, max) = (self.weight, self.max_impact);
        self.blocks.for_window(start, end, |documents, values| {
            for (document, value) in documents.iter().zip(values) {
                sums.add(*document, weight * max.saturating_sub(*value));
            }
        });
    }

    #[inline]
    fn collect(&mut self, start: DocId, end: DocId, collected: &mut Collected<u32>) {
        let (weight, max) = (self.weight, self.max_impact);
        self.blocks.for_window(start, end, |documents, values| {
            collected.documents.extend_from_slice(documents);
            let impacts = values.iter().map(|value| max.saturating_sub(*value));
            let contributions = &mut collected.contributions;
            contributions.extend(impacts.map(|impact| weight * impact));
        });
    }

    #[inline]
    fn find(&mut self, documents: &[DocId], matches: &mut Matches<u32>) {
        let (weight, max) = (self.weight, self.max_impact);
        self.blocks.for_documents(documents, |found| {
            matches.places.extend(found.places());
            let impacts = found
                .values()
                .iter()
                .map(|value| max.saturating_sub(*value));
            matches
                .contributions
                .extend(impacts.map(|impact| weight * impact));
        });
    }

    fn scored(&self) -> u64 {
        self.blocks.scored
    }

    fn take_error(&mut self) -> Option<Error> {
        self.blocks.take_error()
    }
}
