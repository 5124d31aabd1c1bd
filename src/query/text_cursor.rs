//! BM25 contributions of a term's postings.
//!
//! The contribution is computed as weight - weight / (1 + tf · norm). In this form rounding is
//! monotone: the result never falls when tf rises or the length falls. So the contribution of a
//! bound is never below that of a posting that it dominates, to the last bit.

use super::cursor::{BlockCursor, Collected, Cursor, Matches};
use super::simd::{Bm25Term, Contributions, Level};
use super::window::Window;
use crate::error::{Error, Result};
use crate::format::block_list::BlockEntry;
use crate::format::bounds::{Bound, UNBOUNDED_FREQUENCY};
use crate::format::text_postings::{TextBlockEntry, TextList};
use crate::format::{DocId, NO_MORE_DOCUMENTS};

/// A list with a posting for one document in this many is dense.
const DENSE_SHARE: u32 = 4;

fn is_dense(list: &TextList<'_>) -> bool {
    let last = list
        .blocks
        .table()
        .last()
        .map(|entry| entry.last_document());
    last.is_some_and(|last| last / DENSE_SHARE <= list.blocks.len())
}

/// Appends the contributions of postings.
#[inline]
fn append(
    level: Level,
    term: Bm25Term<'_>,
    documents: &[DocId],
    values: &[u32],
    contributions: &mut Vec<f32>,
) {
    let start = contributions.len();
    contributions.resize(start + documents.len(), 0.0);
    level.run(Contributions {
        term,
        documents,
        values,
        contributions: contributions.get_mut(start..).unwrap_or_default(),
    });
}

/// A term's postings with their BM25 contributions.
pub(super) struct TextCursor<'a> {
    blocks: BlockCursor<'a, TextBlockEntry>,
    term: usize,
    parts: Bm25Term<'a>,
    bound: f32,
    /// True when a window has many blocks: the max of their bounds is then hardly lower than the
    /// bound of the list.
    is_dense: bool,
    /// The block whose bound was computed last, and the bound.
    block_bound: (usize, f32),
}

impl<'a> TextCursor<'a> {
    /// A cursor on a list, whose term is the query's `term`-th.
    pub fn new(list: &TextList<'a>, term: usize, parts: Bm25Term<'a>) -> Result<Self> {
        let mut cursor = Self {
            blocks: BlockCursor::new(list.blocks),
            term,
            parts,
            bound: 0.0,
            is_dense: is_dense(list),
            block_bound: (usize::MAX, 0.0),
        };
        match list.bounds {
            Some(bounds) => cursor.bound = cursor.bound_of(bounds),
            None => {
                // One block: its contributions are computed here, and the bound is exact.
                cursor.blocks.seek(0);
                if let Some(error) = cursor.take_error() {
                    return Err(error);
                }
                let decoded = &cursor.blocks.decoded;
                let postings = decoded.documents().iter().zip(decoded.values());
                cursor.bound = postings
                    .map(|(document, value)| cursor.parts.contribution(*document, *value))
                    .fold(0.0, f32::max);
            }
        }
        Ok(cursor)
    }

    /// Where the current document's posting is: its block, the values of the block, and the place in
    /// it.
    #[inline]
    pub fn place(&self) -> (usize, &[u32], usize) {
        self.blocks.place()
    }

    /// The contribution of a frequency, which need not be a whole number, in the current document.
    #[inline]
    pub fn contribution_of(&self, frequency: f32) -> f32 {
        self.parts
            .contribution_at(self.blocks.document(), frequency)
    }

    /// The frequency of the current document, normalized by its length.
    #[inline]
    pub fn amount(&self) -> f32 {
        let document = self.blocks.document();
        self.parts.amount(document, self.blocks.value())
    }

    fn bound_of(&self, bounds: &[Bound]) -> f32 {
        let of_one = |bound: &Bound| {
            if bound.frequency == UNBOUNDED_FREQUENCY {
                return self.parts.weight;
            }
            self.parts.contribution_of(bound.frequency, bound.length)
        };
        bounds.iter().map(of_one).fold(0.0, f32::max)
    }

    #[inline]
    fn bound_of_block(&mut self, block: usize) -> f32 {
        if self.block_bound.0 != block {
            let bound = match self.blocks.entry(block) {
                Some(entry) => self.bound_of(entry.bounds()),
                None => self.bound,
            };
            self.block_bound = (block, bound);
        }
        self.block_bound.1
    }
}

impl Cursor for TextCursor<'_> {
    type Score = f32;

    fn term(&self) -> usize {
        self.term
    }

    fn len(&self) -> u32 {
        self.blocks.len()
    }

    #[inline]
    fn bound(&self) -> f32 {
        self.bound
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
        self.blocks.value().saturating_add(1)
    }

    #[inline]
    fn score(&mut self) -> f32 {
        self.blocks.scored += 1;
        self.parts
            .contribution(self.blocks.document(), self.blocks.value())
    }

    #[inline]
    fn block_bound(&mut self, target: DocId) -> (f32, DocId) {
        let block = self.blocks.shallow_seek(target);
        match self.blocks.entry(block) {
            Some(entry) => (self.bound_of_block(block), entry.last_document()),
            None if self.blocks.block_count() == 1 => (self.bound, NO_MORE_DOCUMENTS - 1),
            None => (0.0, NO_MORE_DOCUMENTS - 1),
        }
    }

    #[inline]
    fn window_bound(&mut self, start: DocId, end: DocId) -> f32 {
        if self.is_dense {
            return self.bound;
        }
        let Some(blocks) = self.blocks.blocks_in(start, end) else {
            return 0.0;
        };
        blocks.fold(0.0, |bound, block| bound.max(self.bound_of_block(block)))
    }

    #[inline]
    fn add_window(&mut self, start: DocId, end: DocId, sums: &mut Window<f32>) {
        let parts = self.parts;
        self.blocks.for_window(start, end, |documents, values| {
            sums.add_contributions(parts, documents, values);
        });
    }

    #[inline]
    fn add_documents(&mut self, documents: &[DocId], sums: &mut Window<f32>) {
        let parts = self.parts;
        self.blocks.for_documents(documents, |found| {
            sums.add_contributions(parts, found.documents(), found.values());
        });
    }

    #[inline]
    fn collect(&mut self, start: DocId, end: DocId, collected: &mut Collected<f32>) {
        let (parts, level) = (self.parts, self.blocks.level);
        self.blocks.for_window(start, end, |documents, values| {
            collected.documents.extend_from_slice(documents);
            append(
                level,
                parts,
                documents,
                values,
                &mut collected.contributions,
            );
        });
    }

    #[inline]
    fn find(&mut self, documents: &[DocId], matches: &mut Matches<f32>) {
        let (parts, level) = (self.parts, self.blocks.level);
        self.blocks.for_documents(documents, |found| {
            matches.places.extend(found.places());
            let contributions = &mut matches.contributions;
            append(
                level,
                parts,
                found.documents(),
                found.values(),
                contributions,
            );
        });
    }

    fn scored(&self) -> u64 {
        self.blocks.scored
    }

    fn take_error(&mut self) -> Option<Error> {
        self.blocks.take_error()
    }
}
