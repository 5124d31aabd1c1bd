//! What algorithms move: a list of postings with contributions and bounds.

use std::ops::RangeInclusive;

use super::score::Score;
use super::simd::{Found, LOOKED_UP, Level, find_in_block};
use super::window::Window;
use crate::error::Error;
use crate::format::block::DecodedBlock;
use crate::format::block_list::{BlockEntry, BlockList};
use crate::format::{DocId, NO_MORE_DOCUMENTS};

/// A list of postings in document order.
///
/// A cursor stands before its list until the first [`seek`](Self::seek). When it finds damage it
/// stops as if the list had ended, and [`take_error`](Self::take_error) returns the error: the
/// search then fails as a whole.
pub(crate) trait Cursor {
    type Score: Score;

    /// Place of the cursor's term in the query. Cursors of one term never share a document, so of
    /// their bounds only the largest counts.
    fn term(&self) -> usize;

    /// Number of postings.
    fn len(&self) -> u32;

    /// No posting of the list contributes more.
    fn bound(&self) -> Self::Score;

    /// The current document; [`NO_MORE_DOCUMENTS`] after the last.
    fn document(&self) -> DocId;

    /// Moves to the first document at or after `target`; never back.
    fn seek(&mut self, target: DocId);

    /// Moves to the next document.
    fn advance(&mut self);

    /// The term frequency or impact of the current document.
    fn value(&self) -> u32;

    /// The contribution of the current document.
    fn score(&mut self) -> Self::Score;

    /// Looks up the block that has or would have `target` without moving to it: a bound of the
    /// block, and its last document. `target` never falls from call to call.
    fn block_bound(&mut self, target: DocId) -> (Self::Score, DocId);

    /// A bound of all contributions of documents from `start` until `end`, exclusive. `start` never
    /// falls.
    fn window_bound(&mut self, start: DocId, end: DocId) -> Self::Score;

    /// Adds the contribution of every document from `start` until `end`, exclusive, to its
    /// accumulator, and moves to `end`.
    fn add_window(&mut self, start: DocId, end: DocId, sums: &mut Window<Self::Score>);

    /// Adds the contributions of some documents to their accumulators. The documents are ascending,
    /// none before the current one.
    fn add_documents(&mut self, documents: &[DocId], sums: &mut Window<Self::Score>) {
        for document in documents {
            self.seek(*document);
            if self.document() == *document {
                sums.add(*document, self.score());
            }
        }
    }

    /// Appends the documents from `start` until `end`, exclusive, and their contributions, and
    /// moves to `end`.
    fn collect(&mut self, start: DocId, end: DocId, collected: &mut Collected<Self::Score>) {
        self.seek(start);
        while self.document() < end {
            collected.documents.push(self.document());
            collected.contributions.push(self.score());
            self.advance();
        }
    }

    /// As [`collect`](Self::collect), but leaves out blocks whose contributions are all up to `cut`,
    /// and the cursor may stay before `end`. After it, callers must not call
    /// [`block_bound`](Self::block_bound) or [`window_bound`](Self::window_bound) with documents
    /// before `end`.
    #[inline]
    fn collect_above(
        &mut self,
        start: DocId,
        end: DocId,
        cut: Self::Score,
        collected: &mut Collected<Self::Score>,
    ) {
        let mut start = start;
        while start < end {
            let (bound, last) = self.block_bound(start);
            let block_end = last.max(start).saturating_add(1).min(end);
            if bound > cut {
                self.collect(start, block_end, collected);
            }
            start = block_end;
        }
    }

    /// Finds which of some documents the list has, and appends their places and contributions. The
    /// documents are ascending, none before those of earlier calls; the cursor does not move past
    /// the last of them.
    fn find(&mut self, documents: &[DocId], found: &mut Matches<Self::Score>) {
        for (place, document) in documents.iter().enumerate() {
            self.seek(*document);
            if self.document() == *document {
                found.places.push(place);
                found.contributions.push(self.score());
            }
        }
    }

    /// How many postings had their contribution computed.
    fn scored(&self) -> u64;

    /// The damage that was met, if any.
    fn take_error(&mut self) -> Option<Error>;
}

/// Documents, rising, and their contributions.
#[derive(Debug, Default)]
pub(crate) struct Collected<S> {
    pub documents: Vec<DocId>,
    pub contributions: Vec<S>,
}

/// Which of some documents were found, by their places, and their contributions.
#[derive(Debug, Default)]
pub(crate) struct Matches<S> {
    pub places: Vec<usize>,
    pub contributions: Vec<S>,
}

/// Moves through the blocks of a list.
pub(super) struct BlockCursor<'a, E> {
    list: BlockList<'a, E>,
    pub decoded: DecodedBlock,
    /// The block decoded; `usize::MAX` for none.
    block: usize,
    position: usize,
    document: DocId,
    /// The block that [`shallow_seek`](Self::shallow_seek) found last.
    shallow: usize,
    pub scored: u64,
    pub level: Level,
    error: Option<Error>,
}

const NO_BLOCK: usize = usize::MAX;

/// Documents that are compared at once, without a branch for each.
const STEP: usize = 16;

/// How many documents are below `target`.
#[inline]
fn below(documents: &[DocId; STEP], target: DocId) -> usize {
    let below = documents
        .iter()
        .map(|document| u32::from(*document < target));
    below.sum::<u32>() as usize
}

impl<'a, E: BlockEntry> BlockCursor<'a, E> {
    pub fn new(list: BlockList<'a, E>) -> Self {
        Self {
            list,
            decoded: DecodedBlock::default(),
            block: NO_BLOCK,
            position: 0,
            document: 0,
            shallow: 0,
            scored: 0,
            level: Level::detect(),
            error: None,
        }
    }

    pub fn len(&self) -> u32 {
        self.list.len()
    }

    #[inline]
    pub fn document(&self) -> DocId {
        self.document
    }

    /// The value of the current document.
    #[inline]
    pub fn value(&self) -> u32 {
        self.decoded
            .values()
            .get(self.position)
            .copied()
            .unwrap_or(0)
    }

    /// The block decoded, its values, and the place of the current document.
    pub fn place(&self) -> (usize, &[u32], usize) {
        (self.block, self.decoded.values(), self.position)
    }

    pub fn take_error(&mut self) -> Option<Error> {
        self.error.take()
    }

    /// Ends the list because of damage.
    #[cold]
    pub fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
        self.end();
    }

    fn end(&mut self) {
        self.document = NO_MORE_DOCUMENTS;
        self.decoded.len = 0;
        self.position = 0;
        self.block = self.list.block_count();
    }

    fn is_loaded(&self) -> bool {
        self.block != NO_BLOCK
    }

    /// Decodes a block and stands on its first document; ends when there is no such block.
    fn load(&mut self, block: usize) {
        if block >= self.list.block_count() {
            return self.end();
        }
        if let Err(error) = self.list.decode(block, &mut self.decoded) {
            return self.fail(error);
        }
        // Looking documents up counts the smaller ones.
        if let Some(behind) = self.decoded.documents.get_mut(self.decoded.len..) {
            behind.fill(NO_MORE_DOCUMENTS);
        }
        self.block = block;
        self.stand_at(0);
    }

    #[inline]
    fn stand_at(&mut self, position: usize) {
        self.position = position;
        match self.decoded.documents().get(position) {
            Some(document) => self.document = *document,
            None => self.load(self.block + 1),
        }
    }

    #[inline]
    pub fn advance(&mut self) {
        if self.document != NO_MORE_DOCUMENTS {
            self.stand_at(self.position + 1);
        }
    }

    #[inline]
    pub fn seek(&mut self, target: DocId) {
        if self.is_loaded() && self.document >= target {
            return;
        }
        self.stand_in_block_of(target);
        if self.document >= target {
            return;
        }
        let rest = self.decoded.documents.get(self.position..);
        // Most steps are short.
        let position = match rest.and_then(|rest| rest.first_chunk::<STEP>()) {
            Some(near) if near[STEP - 1] >= target => self.position + below(near, target),
            _ => self.place_in_block(target),
        };
        self.stand_at(position);
    }

    /// How many documents of the block are below `target`: whole steps first, then those of one. The
    /// documents behind the last are above any.
    #[inline]
    fn place_in_block(&self, target: DocId) -> usize {
        let (steps, _) = self.decoded.documents.as_chunks::<STEP>();
        let whole = steps
            .iter()
            .map(|step| usize::from(step[STEP - 1] < target));
        let whole: usize = whole.sum();
        let rest = steps.get(whole).map_or(0, |step| below(step, target));
        whole * STEP + rest
    }

    /// Decodes the block that has or would have `target`, unless it is decoded.
    #[inline]
    fn stand_in_block_of(&mut self, target: DocId) {
        let from = if self.is_loaded() { self.block } else { 0 };
        let block = self.list.find_block(from, target);
        if block != self.block {
            self.load(block);
        }
    }

    /// Finds the block that has or would have `target`, without decoding it.
    #[inline]
    pub fn shallow_seek(&mut self, target: DocId) -> usize {
        self.shallow = self.list.find_block(self.shallow, target);
        self.shallow
    }

    /// The table's entry of a block; `None` past the last, and for a list of one block.
    #[inline]
    pub fn entry(&self, block: usize) -> Option<&'a E> {
        self.list.table().get(block)
    }

    /// Number of blocks.
    pub fn block_count(&self) -> usize {
        self.list.block_count()
    }

    /// The blocks that may have documents from `start` until `end`, exclusive; `None` when there
    /// are certainly no such documents.
    #[inline]
    pub fn blocks_in(&mut self, start: DocId, end: DocId) -> Option<RangeInclusive<usize>> {
        if self.list.table().is_empty() {
            self.seek(start);
            return (self.document < end).then_some(0..=0);
        }
        if self.is_loaded() && self.document >= end {
            return None;
        }
        let first = self.shallow_seek(start);
        let last = self.list.block_count() - 1;
        (first <= last).then(|| first..=self.list.find_block(first, end - 1).min(last))
    }

    /// Finds those of `documents`, which are ascending, that the list has. Calls `visit` with what was
    /// found, piece by piece. The cursor then stands in the block of the last document, not behind
    /// it.
    #[inline]
    pub fn for_documents(&mut self, documents: &[DocId], mut visit: impl FnMut(&Found)) {
        let mut found = Found::default();
        let mut from = 0;
        while let Some(first) = documents.get(from) {
            self.stand_in_block_of(*first);
            let Some(last) = self.decoded.documents().last() else {
                break;
            };
            let rest = documents.get(from..).unwrap_or_default().iter();
            let end = from + rest.take_while(|document| *document <= last).count();
            if end == from {
                // The list has one block, and the rest of the documents are behind it.
                break;
            }
            while from < end {
                let next = end.min(from + found.room());
                let some = documents.get(from..next).unwrap_or_default();
                find_in_block(self.level, &self.decoded, some, from, &mut found);
                from = next;
                if found.count > LOOKED_UP / 2 {
                    self.scored += found.count as u64;
                    visit(&found);
                    found.count = 0;
                }
            }
        }
        if found.count > 0 {
            self.scored += found.count as u64;
            visit(&found);
        }
    }

    /// Calls `visit` with documents and values, piece by piece, from `start` until `end`,
    /// exclusive, and moves to `end`.
    #[inline]
    pub fn for_window(
        &mut self,
        start: DocId,
        end: DocId,
        mut visit: impl FnMut(&[DocId], &[u32]),
    ) {
        self.seek(start);
        while self.document < end {
            let documents = self
                .decoded
                .documents()
                .get(self.position..)
                .unwrap_or_default();
            let values = self
                .decoded
                .values()
                .get(self.position..)
                .unwrap_or_default();
            let all = documents.last().is_some_and(|last| *last < end);
            let count = if all {
                documents.len()
            } else {
                documents.partition_point(|document| *document < end)
            };
            visit(
                documents.get(..count).unwrap_or_default(),
                values.get(..count).unwrap_or_default(),
            );
            self.scored += count as u64;
            self.stand_at(self.position + count);
        }
    }
}
