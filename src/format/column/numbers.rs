//! Arrays of numbers of up to 64 bits, bit-packed in blocks with bounds (`format-spec/column.md`).
//!
//! A block is the unit of decoding, and its min and max say what need not be decoded; those of 64
//! blocks together, a superblock, say what need not even be looked at.

use super::packing::{self, BLOCK};
use crate::error::{Error, Result};
use crate::format::section::Section;
use crate::format::{Malformed, count32, narrow, read_u32, read_u64, wide};

/// Blocks of a superblock.
pub const SUPERBLOCK_BLOCKS: u32 = 64;
const SUPERBLOCK: usize = SUPERBLOCK_BLOCKS as usize;
/// Numbers of a block.
pub const BLOCK_NUMBERS: u32 = 1_024;
const FOOTER_BYTES: u64 = 40;
/// Offsets of blocks count pieces of this many bytes: a full block is as many of them as its
/// numbers have bits.
const PIECE_BYTES: u64 = 128;

/// What must be known of all numbers before the first is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NumbersShape {
    /// How many they are.
    pub count: u64,
    /// The min; 0 when there are none.
    pub min: u64,
    /// The max; 0 when there are none.
    pub max: u64,
    /// The greatest number that divides all differences; 0 when there are none.
    divisor: u64,
}

impl NumbersShape {
    /// Counts a number.
    pub fn add(&mut self, number: u64) {
        if self.count == 0 {
            (self.min, self.max) = (number, number);
        }
        if self.divisor != 1 {
            self.divisor = gcd(self.divisor, number.abs_diff(self.min));
        }
        self.min = self.min.min(number);
        self.max = self.max.max(number);
        self.count += 1;
    }

    fn divisor(self) -> u64 {
        self.divisor.max(1)
    }

    /// Bytes of a bound in the tables.
    fn bound_bytes(self) -> usize {
        let largest = (self.max - self.min) / self.divisor();
        packing::width(largest).div_ceil(8) as usize
    }
}

fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The min and max of a block or superblock, as they are in the tables: less the min of all, and
/// divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    min: u64,
    max: u64,
}

impl Bounds {
    fn of(numbers: &[u64]) -> Self {
        Self {
            min: numbers.iter().copied().min().unwrap_or(0),
            max: numbers.iter().copied().max().unwrap_or(0),
        }
    }

    fn write(self, bytes: usize, to: &mut Vec<u8>) {
        for bound in [self.min, self.max] {
            let all = bound.to_le_bytes();
            to.extend_from_slice(all.get(..bytes).unwrap_or(&all));
        }
    }

    fn read(record: &[u8], bytes: usize) -> Self {
        let bound = |at: usize| {
            let mut all = [0; 8];
            let stored = record.get(at..at + bytes).unwrap_or_default();
            all.iter_mut()
                .zip(stored)
                .for_each(|(to, from)| *to = *from);
            u64::from_le_bytes(all)
        };
        Self {
            min: bound(0),
            max: bound(bytes),
        }
    }
}

/// Encodes numbers in one pass; what is written goes to the function that each method is given.
pub struct NumbersWriter {
    shape: NumbersShape,
    pending: Vec<u64>,
    packed: Vec<u8>,
    table: Vec<u8>,
    superblocks: Vec<u8>,
    superblock: Vec<Bounds>,
    /// Of the next block, in pieces.
    offset: u32,
}

impl NumbersWriter {
    /// Begins to write numbers of this shape.
    pub fn new(shape: NumbersShape) -> Self {
        Self {
            shape,
            pending: Vec::with_capacity(BLOCK),
            packed: Vec::new(),
            table: Vec::new(),
            superblocks: Vec::new(),
            superblock: Vec::new(),
            offset: 0,
        }
    }

    /// Adds a number, which the shape has counted.
    ///
    /// # Errors
    ///
    /// Those of `put`.
    pub fn push(&mut self, number: u64, put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let reduced = number.saturating_sub(self.shape.min) / self.shape.divisor();
        self.pending.push(reduced);
        match self.pending.len() == BLOCK {
            true => self.end_block(put),
            false => Ok(()),
        }
    }

    fn end_block(&mut self, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let bounds = Bounds::of(&self.pending);
        let width = packing::width(bounds.max - bounds.min);
        self.table.extend_from_slice(&self.offset.to_le_bytes());
        bounds.write(self.shape.bound_bytes(), &mut self.table);
        self.packed.clear();
        let relative = self.pending.iter().map(|number| number - bounds.min);
        packing::pack(relative, width, &mut self.packed);
        put(&self.packed)?;
        let next = self.offset.checked_add(width);
        let pieces = u64::from(u32::MAX);
        let too_many = || Error::limit("packed bytes of a column over 128", pieces + 1, pieces);
        self.offset = next.ok_or_else(too_many)?;
        self.pending.clear();
        self.superblock.push(bounds);
        if self.superblock.len() == SUPERBLOCK {
            self.end_superblock();
        }
        Ok(())
    }

    fn end_superblock(&mut self) {
        let min = self.superblock.iter().map(|bounds| bounds.min).min();
        let max = self.superblock.iter().map(|bounds| bounds.max).max();
        if let (Some(min), Some(max)) = (min, max) {
            let bounds = Bounds { min, max };
            bounds.write(self.shape.bound_bytes(), &mut self.superblocks);
        }
        self.superblock.clear();
    }

    /// Writes what is left: the last block, the tables and the footer.
    ///
    /// # Errors
    ///
    /// Those of `put`.
    pub fn finish(mut self, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        if !self.pending.is_empty() {
            self.end_block(&mut put)?;
        }
        self.end_superblock();
        put(&self.table)?;
        put(&self.superblocks)?;
        let shape = self.shape;
        let blocks = count32("blocks of a column", blocks_of(shape.count))?;
        let bound_bytes = count32("bytes of a bound", shape.bound_bytes())?;
        let mut footer = Vec::new();
        for number in [shape.count, shape.min, shape.max, shape.divisor()] {
            footer.extend_from_slice(&number.to_le_bytes());
        }
        footer.extend_from_slice(&blocks.to_le_bytes());
        footer.extend_from_slice(&bound_bytes.to_le_bytes());
        put(&footer)
    }
}

/// As many blocks as numbers make; saturates on machines of 32 bits.
fn blocks_of(count: u64) -> usize {
    usize::try_from(count.div_ceil(wide(BLOCK))).unwrap_or(usize::MAX)
}

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
        match relative <= block.bounds.max - block.bounds.min {
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
        let span = block.bounds.max - block.bounds.min;
        if out.iter().any(|relative| *relative > span) {
            return Err(self.outside(&block));
        }
        let first = self.restored(block.bounds.min);
        for number in out {
            *number = first.wrapping_add(number.wrapping_mul(self.shape.divisor));
        }
        Ok(())
    }

    /// As [`decode`](Self::decode), less the block's min.
    fn unpack(&self, number: u32, out: &mut Vec<u64>) -> Result<Block> {
        let block = self.block(number)?;
        let before = u64::from(number) * wide(BLOCK);
        let count = self.shape.count.saturating_sub(before).min(wide(BLOCK));
        out.resize(self.section.parsed(0, narrow(count))?, 0);
        let length = wide(packing::packed_length(out.len(), block.width));
        let packed = self
            .section
            .slice(block.offset, length + packing::READ_BYTES)?;
        let unpacked = packing::unpack(packed, block.width, out);
        self.section.parsed(block.offset, unpacked)?;
        Ok(block)
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn encode(numbers: &[u64]) -> Vec<u8> {
        let mut shape = NumbersShape::default();
        numbers.iter().for_each(|number| shape.add(*number));
        let (mut writer, mut bytes) = (NumbersWriter::new(shape), Vec::new());
        let mut put = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        for number in numbers {
            writer.push(*number, &mut put).unwrap();
        }
        writer.finish(&mut put).unwrap();
        bytes
    }

    pub fn open(numbers: &[u64]) -> Numbers {
        Numbers::open(Section::from_bytes("column-values", encode(numbers))).unwrap()
    }

    /// Numbers of many shapes: of any width, in steps, or nearly all the same.
    fn numbers() -> impl Strategy<Value = Vec<u64>> {
        let lengths = prop_oneof![0usize..40, 1_000usize..1_050, 2_040usize..3_000];
        (lengths, 0u32..=64, 1u64..1_000, any::<u64>(), any::<u64>()).prop_map(
            |(length, width, step, base, seed)| {
                let mask = if width == 0 {
                    0
                } else {
                    u64::MAX >> (64 - width)
                };
                let number = |place: u64| {
                    let random = (seed ^ place).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                    let random = (random ^ random >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9);
                    let number = (random ^ random >> 32) & mask;
                    (number / step * step).saturating_add(base & !mask)
                };
                (0..length as u64).map(number).collect()
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn numbers_are_read_as_written(expected in numbers()) {
            let numbers = open(&expected);
            let mut all = Vec::new();
            numbers.verify(|block| {
                all.extend_from_slice(block);
                Ok(())
            }).unwrap();
            prop_assert_eq!(&all, &expected);
            for (index, number) in (0..).zip(&expected) {
                prop_assert_eq!(numbers.get(index).unwrap(), *number);
            }
            prop_assert!(numbers.get(expected.len() as u64).is_err());
        }

        #[test]
        fn bounds_say_what_a_look_at_all_numbers_says(
            all in numbers(),
            low in any::<u64>(),
            high in any::<u64>(),
            places in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
        ) {
            let numbers = open(&all);
            let mut ranges = vec![(low, high)];
            if !all.is_empty() {
                ranges.push((*places.0.get(&all), *places.1.get(&all)));
            }
            for (low, high) in ranges {
                for (number, block) in (0..).zip(all.chunks(BLOCK)) {
                    let within = block.iter().filter(|n| (low..=high).contains(n)).count();
                    match numbers.block_within(number, low, high).unwrap() {
                        Within::None => prop_assert_eq!(within, 0),
                        Within::All => prop_assert_eq!(within, block.len()),
                        Within::Some => {}
                    }
                }
            }
        }

        #[test]
        fn damaged_bytes_are_an_error_or_other_numbers(
            all in numbers(),
            places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        ) {
            let mut bytes = encode(&all);
            for (place, byte) in places {
                let place = place.index(bytes.len());
                bytes[place] = byte;
            }
            if let Ok(numbers) = Numbers::open(Section::from_bytes("column-values", bytes)) {
                let mut out = Vec::new();
                for block in 0..numbers.blocks().min(4) {
                    let _ = numbers.decode(block, &mut out);
                }
                let _ = numbers.get(0);
                let _ = numbers.superblock_within(0, 3, 9);
            }
        }
    }

    #[test]
    fn dates_of_whole_days_take_the_bits_of_days() {
        let day = 86_400_000;
        let days: Vec<u64> = (0..4_096).map(|n| (1 << 40) + n * 7 % 512 * day).collect();
        // 9 bits a number, four records of 4 + 2 · 2 bytes, one superblock, and the footer.
        assert_eq!(encode(&days).len(), 4_096 * 9 / 8 + 4 * 8 + 4 + 40);
        let same = encode(&[u64::MAX; 5_000]);
        assert_eq!(same.len(), 5 * 4 + 40);
    }
}
