//! Arrays of numbers of up to 64 bits, bit-packed in blocks with bounds (`format-spec/column.md`).
//!
//! A block is the unit of decoding, and its min and max say what need not be decoded; those of 64
//! blocks together, a superblock, say what need not even be looked at.

mod writer;

use super::packing::{self, BLOCK};
use crate::error::{Error, Result};
use crate::format::section::Section;
use crate::format::{Malformed, narrow, read_u32, read_u64, wide};
use crate::simd::{Level, select_packed};

use writer::Bounds;
pub use writer::{NumbersShape, NumbersWriter};

/// Blocks of a superblock.
pub const SUPERBLOCK_BLOCKS: u32 = 64;
const SUPERBLOCK: usize = SUPERBLOCK_BLOCKS as usize;
/// Numbers of a block.
pub const BLOCK_NUMBERS: u32 = 1_024;
const FOOTER_BYTES: u64 = 40;
/// Offsets of blocks count pieces of this many bytes: a full block is as many of them as its
/// numbers have bits.
const PIECE_BYTES: u64 = 128;

/// How the numbers of a block or superblock stand to a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Within {
    /// None of them is in the range.
    None,
    /// Some may be.
    Some,
    /// All of them are.
    All,
}

/// A block that is to be decoded.
#[derive(Clone, Copy, Debug)]
struct Block {
    bounds: Bounds,
    /// In bytes.
    offset: u64,
    width: u32,
}

impl Block {
    /// The largest number as it is packed.
    fn span(&self) -> u64 {
        self.bounds.max - self.bounds.min
    }
}

/// Reads numbers.
#[derive(Clone, Debug)]
pub struct Numbers {
    section: Section,
    shape: NumbersShape,
    blocks: u32,
    bound_bytes: u32,
    /// Where the table of blocks begins.
    table: u64,
    /// Where the table of superblocks begins.
    superblocks: u64,
}

impl Numbers {
    /// Reads the footer.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when it does not describe the section.
    pub fn open(section: Section) -> Result<Self> {
        let malformed = Malformed("the footer does not describe these numbers");
        let wrong = || section.malformed(section.len().saturating_sub(FOOTER_BYTES), malformed);
        let at = section.len().checked_sub(FOOTER_BYTES).ok_or_else(wrong)?;
        let footer = section.slice(at, FOOTER_BYTES)?;
        let number = |place: usize| section.parsed(at, read_u64(footer, place));
        let shape = NumbersShape {
            count: number(0)?,
            min: number(8)?,
            max: number(16)?,
            divisor: number(24)?,
        };
        let blocks = section.parsed(at, read_u32(footer, 32))?;
        let bound_bytes = section.parsed(at, read_u32(footer, 36))?;
        let is_ordered = shape.min <= shape.max && shape.divisor > 0;
        if !is_ordered
            || u64::from(blocks) != shape.count.div_ceil(wide(BLOCK))
            || u64::from(bound_bytes) != wide(shape.bound_bytes())
        {
            return Err(wrong());
        }
        let record = 4 + 2 * u64::from(bound_bytes);
        let superblocks = u64::from(blocks).div_ceil(wide(SUPERBLOCK)) * (record - 4);
        let superblocks = at.checked_sub(superblocks).ok_or_else(wrong)?;
        let table = superblocks.checked_sub(u64::from(blocks) * record);
        let table = table.ok_or_else(wrong)?;
        Ok(Self {
            section,
            shape,
            blocks,
            bound_bytes,
            table,
            superblocks,
        })
    }

    /// How many numbers there are, their min and max.
    pub fn shape(&self) -> NumbersShape {
        self.shape
    }

    /// Number of blocks.
    pub fn blocks(&self) -> u32 {
        self.blocks
    }

    fn block(&self, number: u32) -> Result<Block> {
        let record = 4 + 2 * u64::from(self.bound_bytes);
        let at = self.table + u64::from(number) * record;
        let bytes = self.section.slice(at, record)?;
        let pieces = self.section.parsed(at, read_u32(bytes, 0))?;
        let bounds = bytes.get(4..).unwrap_or_default();
        let bounds = Bounds::read(bounds, self.bound_bytes as usize);
        let span = bounds.max.checked_sub(bounds.min);
        let largest = (self.shape.max - self.shape.min) / self.shape.divisor;
        let Some(span) = span.filter(|_| bounds.max <= largest && number < self.blocks) else {
            let message = Malformed("bounds of a block are not within those of all blocks");
            return Err(self.section.malformed(at, message));
        };
        Ok(Block {
            bounds,
            offset: u64::from(pieces) * PIECE_BYTES,
            width: packing::width(span),
        })
    }

    /// The number that a reduced one stands for: bounds that were checked keep it within 64 bits.
    fn restored(&self, reduced: u64) -> u64 {
        let number = reduced.wrapping_mul(self.shape.divisor);
        number.wrapping_add(self.shape.min)
    }

    /// A number.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when there is no such number or its block is
    /// damaged.
    pub fn get(&self, index: u64) -> Result<u64> {
        if index >= self.shape.count {
            let message = Malformed("expected a number of this array");
            return Err(self.section.malformed(0, message));
        }
        let number = self.section.parsed(0, narrow(index / wide(BLOCK)))?;
        let block = self.block(u32::try_from(number).unwrap_or(u32::MAX))?;
        let bit = index % wide(BLOCK) * u64::from(block.width);
        let at = block.offset + bit / 8;
        let bytes = self.section.slice(at, packing::READ_BYTES)?;
        let relative = packing::get(bytes, block.width, bit % 8);
        let relative = self.section.parsed(at, relative)?;
        self.of_block(&block, relative)
    }

    fn of_block(&self, block: &Block, relative: u64) -> Result<u64> {
        match relative <= block.span() {
            true => Ok(self.restored(block.bounds.min + relative)),
            false => Err(self.outside(block)),
        }
    }

    #[cold]
    fn outside(&self, block: &Block) -> Error {
        let message = Malformed("a number is not within the bounds of its block");
        self.section.malformed(block.offset, message)
    }

    /// Decodes a block into `out`, which has as many numbers then as the block.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when there is no such block or it is damaged.
    pub fn decode(&self, number: u32, out: &mut Vec<u64>) -> Result<()> {
        let block = self.unpack(number, out)?;
        let (first, divisor) = (self.restored(block.bounds.min), self.shape.divisor);
        match divisor {
            1 => out
                .iter_mut()
                .for_each(|number| *number = first.wrapping_add(*number)),
            _ => out.iter_mut().for_each(|number| {
                *number = first.wrapping_add(number.wrapping_mul(divisor));
            }),
        }
        Ok(())
    }

    /// As [`decode`](Self::decode), less the block's min.
    fn unpack(&self, number: u32, out: &mut Vec<u64>) -> Result<Block> {
        let block = self.block(number)?;
        let (count, packed) = self.packed(number, &block)?;
        out.resize(count, 0);
        let unpacked = packing::unpack(packed, block.width, out);
        self.section.parsed(block.offset, unpacked)?;
        match are_up_to(out, block.span()) {
            true => Ok(block),
            false => Err(self.outside(&block)),
        }
    }

    /// How many numbers a block has, and their bytes, with the [`READ_BYTES`](packing::READ_BYTES)
    /// after them.
    fn packed(&self, number: u32, block: &Block) -> Result<(usize, &[u8])> {
        let before = u64::from(number) * wide(BLOCK);
        let count = self.shape.count.saturating_sub(before).min(wide(BLOCK));
        let count: usize = self.section.parsed(0, narrow(count))?;
        let length = wide(packing::packed_length(count, block.width));
        let length = length + packing::READ_BYTES;
        Ok((count, self.section.slice(block.offset, length)?))
    }

    /// The range from `low` to `high` among the numbers of a block as they are packed; `None` when
    /// there are none in it.
    fn packed_range(&self, block: &Block, (low, high): (u64, u64)) -> Option<(u64, u64)> {
        let first = self.restored(block.bounds.min);
        let high = high.checked_sub(first)? / self.shape.divisor;
        let low = low.saturating_sub(first).div_ceil(self.shape.divisor);
        (low <= high).then_some((low, high))
    }

    /// Sets a bit of `words`, lowest first, for each number of a block that is from `low` to `high`.
    /// `words` are 0 before.
    ///
    /// The bounds are compared with the numbers as they are packed.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn select(
        &self,
        number: u32,
        range: (u64, u64),
        words: &mut [u64],
        spare: &mut Vec<u64>,
    ) -> Result<()> {
        let block = self.block(number)?;
        let Some((low, high)) = self.packed_range(&block, range) else {
            return Ok(());
        };
        let (count, packed) = self.packed(number, &block)?;
        let (width, max) = (block.width, block.span());
        let groups = count / packing::GROUP;
        let whole = words.get_mut(..groups).unwrap_or_default();
        let selected = select_packed(Level::detect(), packed, width, (low, high), max, whole);
        let (done, are_up_to_max) = match selected {
            Some(are_up_to_max) => (groups, are_up_to_max),
            None => (0, true),
        };
        // Groups of 64 numbers fill whole bytes.
        let bytes = packed.get(done * packing::packed_length(packing::GROUP, width)..);
        spare.resize(count - done * packing::GROUP, 0);
        let unpacked = packing::unpack(bytes.unwrap_or_default(), width, spare);
        self.section.parsed(block.offset, unpacked)?;
        if !are_up_to_max || !are_up_to(spare, max) {
            return Err(self.outside(&block));
        }
        let rest = words.get_mut(done..).unwrap_or_default();
        for (word, numbers) in rest.iter_mut().zip(spare.chunks(packing::GROUP)) {
            let bits = numbers.iter().enumerate();
            *word = bits.fold(0, |word, (place, number)| {
                word | u64::from(number.wrapping_sub(low) <= high - low) << place
            });
        }
        Ok(())
    }

    /// How the numbers of a superblock stand to the range from `low` to `high`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when there is no such superblock.
    pub fn superblock_within(&self, superblock: u32, low: u64, high: u64) -> Result<Within> {
        Ok(self.within(self.superblock(superblock)?, low, high))
    }

    fn superblock(&self, number: u32) -> Result<Bounds> {
        let bytes = 2 * u64::from(self.bound_bytes);
        let at = self.superblocks + u64::from(number) * bytes;
        let bounds = self.section.slice(at, bytes)?;
        Ok(Bounds::read(bounds, self.bound_bytes as usize))
    }

    fn within(&self, bounds: Bounds, low: u64, high: u64) -> Within {
        let (min, max) = (self.restored(bounds.min), self.restored(bounds.max));
        if max < low || min > high {
            Within::None
        } else if min >= low && max <= high {
            Within::All
        } else {
            Within::Some
        }
    }

    /// The min and max of a block.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when there is no such block.
    pub fn block_bounds(&self, block: u32) -> Result<(u64, u64)> {
        let Bounds { min, max } = self.block(block)?.bounds;
        Ok((self.restored(min), self.restored(max)))
    }

    /// How the numbers of a block stand to the range from `low` to `high`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when there is no such block.
    pub fn block_within(&self, block: u32, low: u64, high: u64) -> Result<Within> {
        Ok(self.within(self.block(block)?.bounds, low, high))
    }

    /// Checks every block: its bounds are those of its numbers, and so are the bounds of all.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) at the first that is not as `format-spec/` says.
    pub fn verify(&self, mut visit: impl FnMut(&[u64]) -> Result<()>) -> Result<()> {
        let mut found = NumbersShape::default();
        let (mut numbers, mut superblock) = (Vec::new(), Vec::new());
        let mut end = 0;
        for number in 0..self.blocks {
            self.decode(number, &mut numbers)?;
            let block = self.block(number)?;
            if block.offset != end {
                let message = Malformed("a block does not begin where the one before ends");
                return Err(self.section.malformed(self.table, message));
            }
            end += wide(packing::packed_length(numbers.len(), block.width));
            let bounds = block.bounds;
            let exact = Bounds::of(&numbers);
            if self.restored(bounds.min) != exact.min || self.restored(bounds.max) != exact.max {
                let message = Malformed("bounds of a block are not those of its numbers");
                return Err(self.section.malformed(self.table, message));
            }
            numbers.iter().for_each(|number| found.add(*number));
            superblock.push(exact);
            if superblock.len() == SUPERBLOCK || number + 1 == self.blocks {
                self.verify_superblock(number / SUPERBLOCK_BLOCKS, &superblock)?;
                superblock.clear();
            }
            visit(&numbers)?;
        }
        found.divisor = found.divisor();
        if found == self.shape && end == self.table {
            return Ok(());
        }
        let message = Malformed("min, max or divisor are not those of the numbers");
        Err(self
            .section
            .malformed(self.section.len() - FOOTER_BYTES, message))
    }

    fn verify_superblock(&self, superblock: u32, blocks: &[Bounds]) -> Result<()> {
        let min = blocks.iter().map(|bounds| bounds.min).min().unwrap_or(0);
        let max = blocks.iter().map(|bounds| bounds.max).max().unwrap_or(0);
        let kept = self.superblock(superblock)?;
        if (self.restored(kept.min), self.restored(kept.max)) == (min, max) {
            return Ok(());
        }
        let message = Malformed("bounds of a superblock are not those of its blocks");
        Err(self.section.malformed(self.superblocks, message))
    }
}

/// Whether no number is above `max`. Without a branch for each, most are compared by their
/// difference's sign.
fn are_up_to(numbers: &[u64], max: u64) -> bool {
    const SIGN: u64 = 1 << 63;
    let mut signs = 0;
    let mut all = 0;
    for number in numbers {
        signs |= max.wrapping_sub(*number);
        all |= number;
    }
    match (all | max) & SIGN {
        0 => signs & SIGN == 0,
        _ => numbers.iter().all(|number| *number <= max),
    }
}

#[cfg(test)]
pub(super) mod tests;
