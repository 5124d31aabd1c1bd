//! Reading the positions of single postings.

use std::ops::Range;

use super::chunk::{self, CHUNK};
use super::{Place, PositionList};
use crate::error::{Error, Result};
use crate::format::limits::MAX_DOCUMENT_BYTES;
use crate::format::{Malformed, Parse, wide};

/// Reads the positions of one term, posting by posting.
///
/// It keeps the chunk of 128 distances that it decoded last, so that reading postings in rising
/// order decodes each chunk once, and only those of the postings that are read.
#[derive(Clone)]
pub struct PositionReader<'a> {
    list: PositionList<'a>,
    /// The block that is read, if there is one.
    block: Option<usize>,
    bytes: &'a [u8],
    /// Where the bytes are in the section.
    at: u64,
    /// Distances of the whole block.
    total: u64,
    /// A posting of the block, and how many distances those before it have.
    posting: usize,
    before: u64,
    /// Which distances of the block were decoded last, and where the next ones begin.
    decoded: Range<u64>,
    next: usize,
    distances: [u32; CHUNK],
}

impl<'a> PositionReader<'a> {
    pub(super) fn new(list: PositionList<'a>) -> Self {
        Self {
            list,
            block: None,
            bytes: &[],
            at: 0,
            total: 0,
            posting: 0,
            before: 0,
            decoded: 0..0,
            next: 0,
            distances: [0; CHUNK],
        }
    }

    /// Replaces what is in `out` by the positions of a posting, in rising order.
    ///
    /// It is posting `posting` of block `block` of the term's list, and `values` are the values of
    /// all postings of that block as they were decoded: frequencies less one. Reading postings in
    /// rising order is fast, any order is right.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the positions are damaged or there are more or fewer of them than the
    /// values say.
    #[inline]
    pub fn read(
        &mut self,
        block: usize,
        values: &[u32],
        posting: usize,
        out: &mut Vec<u32>,
    ) -> Result<()> {
        out.clear();
        let mut position = 0u32;
        let mut rises = true;
        self.distances(block, values, posting, |distances| {
            for distance in distances {
                let (sum, overflows) = position.overflowing_add(*distance);
                rises &= !overflows;
                position = sum;
                out.push(sum);
            }
        })?;
        match rises {
            true => Ok(()),
            false => Err(self.malformed(Malformed("a position has more than 32 bits"))),
        }
    }

    /// Visits the distances of a posting, in pieces; see [`PositionReader::read`].
    ///
    /// # Errors
    ///
    /// As [`PositionReader::read`].
    #[inline]
    pub(crate) fn distances(
        &mut self,
        block: usize,
        values: &[u32],
        posting: usize,
        mut visit: impl FnMut(&[u32]),
    ) -> Result<()> {
        if self.block != Some(block) {
            self.open_block(block, values)?;
        }
        if posting < self.posting {
            (self.posting, self.before) = (0, 0);
        }
        let between = values.get(self.posting..posting);
        let (Some(between), Some(value)) = (between, values.get(posting)) else {
            return Err(self.malformed(Malformed("expected a posting of the block")));
        };
        self.before += between
            .iter()
            .map(|value| u64::from(*value) + 1)
            .sum::<u64>();
        self.posting = posting;
        if let Place::Single(position) = self.list.place {
            visit(&[position]);
            return Ok(());
        }
        let end = self.before + u64::from(*value) + 1;
        if self.before < self.decoded.start {
            (self.decoded, self.next) = (0..0, 0);
        }
        let mut from = self.before;
        while from < end {
            if from >= self.decoded.end {
                let decoded = self.decode(from);
                decoded.map_err(|malformed| self.malformed(malformed))?;
            }
            let piece = self.decoded.start..end.min(self.decoded.end);
            // Both lie in a chunk.
            let start = usize::try_from(from - piece.start).unwrap_or(CHUNK);
            let length = usize::try_from(piece.end - piece.start).unwrap_or(CHUNK);
            visit(self.distances.get(start..length).unwrap_or_default());
            from = piece.end;
        }
        Ok(())
    }

    /// Begins a block.
    fn open_block(&mut self, block: usize, values: &[u32]) -> Result<()> {
        self.block = None;
        self.total = values.iter().map(|value| u64::from(*value) + 1).sum();
        (self.posting, self.before) = (0, 0);
        (self.decoded, self.next) = (0..0, 0);
        (self.bytes, self.at) = self.list.block(block)?;
        if let Place::Single(_) = self.list.place {
            if (block, self.total) != (0, 1) {
                return Err(self.malformed(Malformed("a term has more postings than positions")));
            }
        } else if values
            .iter()
            .any(|value| u64::from(*value) >= wide(MAX_DOCUMENT_BYTES))
        {
            return Err(self.malformed(Malformed("a document has more occurrences than bytes")));
        } else if self.total.div_ceil(wide(CHUNK)) > wide(self.bytes.len()) {
            // Every chunk takes a byte, so no damaged frequency makes more positions than the bytes
            // can hold.
            return Err(self.malformed(Malformed("a block has more occurrences than positions")));
        }
        self.block = Some(block);
        Ok(())
    }

    /// Decodes the chunk that holds distance `wanted` of the block, which lies behind the last
    /// decoded ones.
    fn decode(&mut self, wanted: u64) -> Parse<()> {
        loop {
            let start = self.decoded.end;
            let left = self.total.saturating_sub(start);
            let count = usize::try_from(left).map_or(CHUNK, |left| left.min(CHUNK));
            let out = self.distances.get_mut(..count).unwrap_or_default();
            if out.is_empty() {
                return Err(Malformed("a block has more occurrences than positions"));
            }
            let end = start + wide(count);
            // What comes before the wanted chunk is full.
            if wanted >= end {
                chunk::skip(self.bytes, &mut self.next, count)?;
                self.decoded = end..end;
                continue;
            }
            // Until it is decoded, nothing is.
            self.decoded = start..start;
            chunk::decode(self.bytes, &mut self.next, out)?;
            if end == self.total && self.next != self.bytes.len() {
                return Err(Malformed("a block has more positions than occurrences"));
            }
            self.decoded = start..end;
            return Ok(());
        }
    }

    /// The error for what is wrong in the block.
    #[cold]
    fn malformed(&mut self, malformed: Malformed) -> Error {
        self.block = None;
        self.list.section.malformed(self.at, malformed)
    }
}
