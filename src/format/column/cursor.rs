//! Reading the codes of many documents, in order.

use std::ops::Range;

use super::packing::BLOCK;
use super::{ColumnValues, Numbers};
use crate::error::Result;
use crate::format::{DocId, wide};

/// Codes of a block that are looked up one by one before the block is decoded.
const LOOK_UPS: u32 = 8;
/// Documents that have a bit in a word.
const WORD_BITS: usize = u64::BITS as usize;

/// Reads codes of documents, which should rise: blocks of which many codes are read are decoded as
/// a whole.
pub struct ColumnCursor<'a> {
    column: &'a ColumnValues,
    /// Whether every document has one value, whose place is the number of the document.
    is_dense: bool,
    blocks: Blocks<'a>,
    codes: Vec<u64>,
}

impl<'a> ColumnCursor<'a> {
    /// A cursor over a column.
    pub fn new(column: &'a ColumnValues) -> Self {
        Self {
            column,
            is_dense: column.is_dense(),
            blocks: Blocks {
                numbers: &column.values,
                block: u64::MAX,
                looked_up: 0,
                decoded: Vec::new(),
            },
            codes: Vec::new(),
        }
    }

    /// The codes of a document, which rise; none when it has no value.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when bytes that must be read are damaged.
    #[inline]
    pub fn codes(&mut self, document: DocId) -> Result<&[u64]> {
        self.codes.clear();
        if self.is_dense && document < self.column.documents {
            self.codes.push(self.blocks.get(u64::from(document))?);
            return Ok(&self.codes);
        }
        let places = self.column.places(document)?;
        for place in places {
            self.codes.push(self.blocks.get(place)?);
        }
        Ok(&self.codes)
    }

    /// Calls `visit` with some documents and the code of each, where every document has one value;
    /// returns false where that is not so. The documents are among the
    /// [`BOUNDED_DOCUMENTS`](ColumnValues::BOUNDED_DOCUMENTS) from `first`, a multiple of these, on,
    /// and given by one bit each, lowest first.
    ///
    /// # Errors
    ///
    /// As [`codes`](Self::codes), and those of `visit`.
    #[inline]
    pub fn visit_block(
        &mut self,
        first: DocId,
        words: &[u64],
        mut visit: impl FnMut(DocId, u64) -> Result<()>,
    ) -> Result<bool> {
        if !self.is_dense {
            return Ok(false);
        }
        let count: u32 = words.iter().map(|word| word.count_ones()).sum();
        if count > LOOK_UPS {
            self.blocks.decode(u64::from(first) / wide(BLOCK))?;
        }
        // Loops of their own: the adapters of iterators are not always inlined here.
        for (word, base) in words.iter().zip((first..).step_by(WORD_BITS)) {
            let mut rest = *word;
            while rest != 0 {
                let document = base + rest.trailing_zeros();
                rest &= rest - 1;
                visit(document, self.blocks.get(u64::from(document))?)?;
            }
        }
        Ok(true)
    }

    /// The lowest code of a document, or the highest.
    ///
    /// # Errors
    ///
    /// As [`codes`](Self::codes).
    #[inline]
    pub fn extreme(&mut self, document: DocId, highest: bool) -> Result<Option<u64>> {
        if self.is_dense && document < self.column.documents {
            return self.blocks.get(u64::from(document)).map(Some);
        }
        let Range { start, end } = self.column.places(document)?;
        match start < end {
            true if highest => self.blocks.get(end - 1).map(Some),
            true => self.blocks.get(start).map(Some),
            false => Ok(None),
        }
    }
}

struct Blocks<'a> {
    numbers: &'a Numbers,
    /// The block that was read last; `u64::MAX` for none.
    block: u64,
    looked_up: u32,
    /// Its numbers, if it is decoded.
    decoded: Vec<u64>,
}

impl Blocks<'_> {
    #[inline]
    fn get(&mut self, place: u64) -> Result<u64> {
        let (block, inside) = (place / wide(BLOCK), place % wide(BLOCK));
        let inside = usize::try_from(inside).unwrap_or(usize::MAX);
        match self.decoded.get(inside) {
            Some(code) if block == self.block => Ok(*code),
            _ => self.look_up(place, block, inside),
        }
    }

    /// Decodes a block.
    fn decode(&mut self, block: u64) -> Result<()> {
        if (self.block != block || self.decoded.is_empty())
            && let Ok(number) = u32::try_from(block)
        {
            // Not those of another block if there is damage.
            self.block = u64::MAX;
            self.numbers.decode(number, &mut self.decoded)?;
            self.block = block;
        }
        Ok(())
    }

    fn look_up(&mut self, place: u64, block: u64, inside: usize) -> Result<u64> {
        if block != self.block {
            self.block = block;
            self.looked_up = 0;
            self.decoded.clear();
        }
        self.looked_up += 1;
        if self.looked_up > LOOK_UPS {
            self.decode(block)?;
            if let Some(code) = self.decoded.get(inside) {
                return Ok(*code);
            }
        }
        self.numbers.get(place)
    }
}
