//! BM25 contributions of a term's postings.
//!
//! The contribution is weight - weight / (1 + tf / norm), which equals weight · tf / (tf + norm), and in this form every
//! rounding keeps the order: it never falls when tf rises or the length falls. So the contribution
//! of a bound is never below that of a posting that it dominates, to the last bit.

use super::cursor::{BlockCursor, Cursor};
use super::request::Bm25;
use crate::error::{Error, Result};
use crate::format::block_list::BlockEntry;
use crate::format::bounds::{Bound, UNBOUNDED_FREQUENCY};
use crate::format::text_postings::{TextBlockEntry, TextList};
use crate::format::{DocId, NO_MORE_DOCUMENTS, lengths};

/// What length does to a contribution, for every length code: 1 / (k1 · (1 - b + b · length / average)).
pub(super) struct LengthNorms([f32; 256]);

impl LengthNorms {
    pub fn new(bm25: Bm25, average_length: f32) -> Self {
        let mut norms = [0.0; 256];
        for (norm, length) in norms.iter_mut().zip(lengths::TABLE) {
            // The greatest length is 31,744, so the conversion is exact.
            let share = length as f32 / average_length;
            *norm = 1.0 / (bm25.k1 * (1.0 - bm25.b + bm25.b * share));
        }
        Self(norms)
    }

    #[inline]
    fn of(&self, code: u8) -> f32 {
        self.0[usize::from(code)]
    }
}

/// A term's postings with their BM25 contributions.
pub(super) struct TextCursor<'a> {
    blocks: BlockCursor<'a, TextBlockEntry>,
    term: usize,
    weight: f32,
    norms: &'a LengthNorms,
    lengths: &'a [u8],
    bound: f32,
    /// Bound of the block that was asked for last, and which it was.
    block_bound: (usize, f32),
}

impl<'a> TextCursor<'a> {
    /// A cursor on a list, whose term is the query's `term`-th and has this weight.
    pub fn new(
        list: &TextList<'a>,
        term: usize,
        weight: f32,
        norms: &'a LengthNorms,
        lengths: &'a [u8],
    ) -> Result<Self> {
        let mut cursor = Self {
            blocks: BlockCursor::new(list.blocks),
            term,
            weight,
            norms,
            lengths,
            bound: 0.0,
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
                    .map(|(document, value)| cursor.contribution(*document, *value))
                    .fold(0.0, f32::max);
            }
        }
        Ok(cursor)
    }

    #[inline]
    fn contribution(&self, document: DocId, value: u32) -> f32 {
        let code = self.lengths.get(document as usize).copied().unwrap_or(0);
        // Frequencies above 2^24 round, in the same direction always.
        let frequency = value as f32 + 1.0;
        self.weight - self.weight / (1.0 + frequency * self.norms.of(code))
    }

    fn bound_of(&self, bounds: &[Bound]) -> f32 {
        let of_one = |bound: &Bound| {
            if bound.frequency == UNBOUNDED_FREQUENCY {
                return self.weight;
            }
            let frequency = f32::from(bound.frequency);
            self.weight - self.weight / (1.0 + frequency * self.norms.of(bound.length))
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
        self.contribution(self.blocks.document(), self.blocks.value())
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
        let Some(blocks) = self.blocks.blocks_in(start, end) else {
            return 0.0;
        };
        blocks.fold(0.0, |bound, block| bound.max(self.bound_of_block(block)))
    }

    #[inline]
    fn add_window(&mut self, start: DocId, end: DocId, sums: &mut [f32]) {
        let (lengths, norms, weight) = (self.lengths, self.norms, self.weight);
        self.blocks.for_window(start, end, |documents, values| {
            for (document, value) in documents.iter().zip(values) {
                let code = lengths.get(*document as usize).copied().unwrap_or(0);
                let frequency = *value as f32 + 1.0;
                let contribution = weight - weight / (1.0 + frequency * norms.of(code));
                if let Some(sum) = sums.get_mut((document - start) as usize) {
                    *sum += contribution;
                }
            }
        });
    }

    fn scored(&self) -> u64 {
        self.blocks.scored
    }

    fn take_error(&mut self) -> Option<Error> {
        self.blocks.take_error()
    }
}
