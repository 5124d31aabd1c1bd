//! Reading the codes of many documents, in order.

use std::ops::Range;

use super::packing::BLOCK;
use super::{ColumnValues, Numbers};
use crate::error::Result;
use crate::format::{DocId, wide};

/// Codes of a block that are looked up one by one before the block is decoded.
const LOOK_UPS: u32 = 8;

/// Reads codes of documents, which should rise: blocks of which many codes are read are decoded as
/// a whole.
pub struct ColumnCursor<'a> {
    column: &'a ColumnValues,
    blocks: Blocks<'a>,
    codes: Vec<u64>,
}

impl<'a> ColumnCursor<'a> {
    /// A cursor over a column.
    pub fn new(column: &'a ColumnValues) -> Self {
        Self {
            column,
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
    pub fn codes(&mut self, document: DocId) -> Result<&[u64]> {
        let places = self.column.places(document)?;
        self.codes.clear();
        for place in places {
            self.codes.push(self.blocks.get(place)?);
        }
        Ok(&self.codes)
    }

    /// The lowest code of a document, or the highest.
    ///
    /// # Errors
    ///
    /// As [`codes`](Self::codes).
    pub fn extreme(&mut self, document: DocId, highest: bool) -> Result<Option<u64>> {
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
    fn get(&mut self, place: u64) -> Result<u64> {
        let block = place / wide(BLOCK);
        if block != self.block {
            self.block = block;
            self.looked_up = 0;
            self.decoded.clear();
        }
        let inside = usize::try_from(place % wide(BLOCK)).unwrap_or(usize::MAX);
        if let Some(code) = self.decoded.get(inside) {
            return Ok(*code);
        }
        self.looked_up += 1;
        if self.looked_up > LOOK_UPS
            && let Ok(number) = u32::try_from(block)
        {
            self.numbers.decode(number, &mut self.decoded)?;
            if let Some(code) = self.decoded.get(inside) {
                return Ok(*code);
            }
        }
        self.numbers.get(place)
    }
}
