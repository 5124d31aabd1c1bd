//! Encoding numbers in one pass, once their bounds are known.

use super::super::packing::{self, BLOCK};
use super::SUPERBLOCK;
use crate::error::{Error, Result};
use crate::format::{count32, wide};

/// What must be known of all numbers before the first is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NumbersShape {
    /// How many they are.
    pub count: u64,
    /// The min; 0 when there are none.
    pub min: u64,
    /// The max; 0 when there are none.
    pub max: u64,
    /// The greatest common divisor of all differences; 0 when there are none.
    pub(super) divisor: u64,
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

    pub(super) fn divisor(self) -> u64 {
        self.divisor.max(1)
    }

    /// Bytes of a bound in the tables.
    pub(super) fn bound_bytes(self) -> usize {
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
pub(super) struct Bounds {
    pub min: u64,
    pub max: u64,
}

impl Bounds {
    pub fn of(numbers: &[u64]) -> Self {
        Self {
            min: numbers.iter().copied().min().unwrap_or(0),
            max: numbers.iter().copied().max().unwrap_or(0),
        }
    }

    pub fn write(self, bytes: usize, to: &mut Vec<u8>) {
        for bound in [self.min, self.max] {
            let all = bound.to_le_bytes();
            to.extend_from_slice(all.get(..bytes).unwrap_or(&all));
        }
    }

    pub fn read(record: &[u8], bytes: usize) -> Self {
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
