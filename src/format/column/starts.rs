//! Where the values of each document begin, for columns of which some document has several.
//!
//! Starts rise, so what is kept of each is its distance from a straight line, which takes few bits.

use super::numbers::{Numbers, NumbersShape, NumbersWriter};
use crate::error::Result;
use crate::format::section::Section;
use crate::format::{Malformed, wide};

/// Added to distances, which may be negative.
const MIDDLE: u64 = 1 << 63;

/// A straight line from the start of the first document's values to the end of the last's.
#[derive(Clone, Copy, Debug)]
struct Line {
    documents: u32,
    values: u64,
}

impl Line {
    fn at(self, rank: u32) -> u64 {
        let product = u128::from(rank) * u128::from(self.values);
        let place = product / u128::from(self.documents.max(1));
        u64::try_from(place).unwrap_or(u64::MAX)
    }

    fn code(self, rank: u32, start: u64) -> u64 {
        start.wrapping_sub(self.at(rank)).wrapping_add(MIDDLE)
    }

    fn start(self, rank: u32, code: u64) -> u64 {
        code.wrapping_sub(MIDDLE).wrapping_add(self.at(rank))
    }
}

/// Encodes starts in two passes over the numbers of values of each document: [`count`](Self::count)
/// and then [`push`](Self::push).
pub struct StartsWriter {
    line: Line,
    shape: NumbersShape,
    counted: (u32, u64),
    writer: Option<NumbersWriter>,
    pushed: (u32, u64),
}

impl StartsWriter {
    /// Begins, for `documents` documents that have `values` values together.
    pub fn new(documents: u32, values: u64) -> Self {
        let line = Line { documents, values };
        let mut shape = NumbersShape::default();
        shape.add(line.code(0, 0));
        Self {
            line,
            shape,
            counted: (0, 0),
            writer: None,
            pushed: (0, 0),
        }
    }

    /// Counts the next document, which has `values` values.
    pub fn count(&mut self, values: usize) {
        let (rank, start) = &mut self.counted;
        *rank += 1;
        *start += wide(values);
        self.shape.add(self.line.code(*rank, *start));
    }

    /// Writes the next document, which has `values` values; all were counted before.
    ///
    /// # Errors
    ///
    /// Those of `put`.
    pub fn push(&mut self, values: usize, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (line, shape) = (self.line, self.shape);
        let writer = self.writer.get_or_insert_with(|| NumbersWriter::new(shape));
        let (rank, start) = &mut self.pushed;
        writer.push(line.code(*rank, *start), &mut put)?;
        *rank += 1;
        *start += wide(values);
        Ok(())
    }

    /// Writes the end of the last document's values, and what is left.
    ///
    /// # Errors
    ///
    /// Those of `put`.
    pub fn finish(self, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let (rank, start) = self.pushed;
        let writer = self
            .writer
            .unwrap_or_else(|| NumbersWriter::new(self.shape));
        let mut writer = writer;
        writer.push(self.line.code(rank, start), &mut put)?;
        writer.finish(put)
    }
}

/// Reads starts.
#[derive(Clone, Debug)]
pub struct Starts {
    section: Section,
    numbers: Numbers,
    line: Line,
}

impl Starts {
    /// Opens the starts of `documents` documents that have `values` values together.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when there are more or fewer.
    pub fn open(section: Section, documents: u32, values: u64) -> Result<Self> {
        let numbers = Numbers::open(section.clone())?;
        if numbers.shape().count != u64::from(documents) + 1 {
            let message = Malformed("a column has more or fewer starts than documents");
            return Err(section.malformed(0, message));
        }
        let line = Line { documents, values };
        Ok(Self {
            section,
            numbers,
            line,
        })
    }

    /// Where the values of the document of this rank begin, or for the rank after the last where
    /// those of the last end.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when there is no such start or it is damaged.
    pub fn get(&self, rank: u32) -> Result<u64> {
        let start = self.line.start(rank, self.numbers.get(u64::from(rank))?);
        match start <= self.line.values {
            true => Ok(start),
            false => {
                let message = Malformed("a start is past the end of the values");
                Err(self.section.malformed(0, message))
            }
        }
    }

    /// Checks that starts rise strictly from 0 to the number of values.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when they do not.
    pub fn verify(&self) -> Result<()> {
        let (mut rank, mut last) = (0, None);
        let message = Malformed("starts do not rise from 0 to the number of values");
        self.numbers.verify(|block| {
            for code in block {
                let start = self.line.start(rank, *code);
                if last >= Some(start) || rank == 0 && start != 0 {
                    return Err(self.section.malformed(0, message));
                }
                last = Some(start);
                rank += 1;
            }
            Ok(())
        })?;
        match last == Some(self.line.values) {
            true => Ok(()),
            false => Err(self.section.malformed(0, message)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub fn encode(counts: &[usize]) -> Vec<u8> {
        let values = counts.iter().sum::<usize>() as u64;
        let mut writer = StartsWriter::new(counts.len() as u32, values);
        counts.iter().for_each(|count| writer.count(*count));
        let mut bytes = Vec::new();
        let mut put = |piece: &[u8]| {
            bytes.extend_from_slice(piece);
            Ok(())
        };
        for count in counts {
            writer.push(*count, &mut put).unwrap();
        }
        writer.finish(&mut put).unwrap();
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn starts_are_read_as_written(counts in prop::collection::vec(1usize..9, 1..3_000)) {
            let documents = counts.len() as u32;
            let values = counts.iter().sum::<usize>() as u64;
            let bytes = encode(&counts);
            let section = Section::from_bytes("column-starts", bytes);
            let starts = Starts::open(section.clone(), documents, values).unwrap();
            starts.verify().unwrap();
            let mut start = 0;
            for (rank, count) in (0..).zip(&counts) {
                prop_assert_eq!(starts.get(rank).unwrap(), start);
                start += *count as u64;
            }
            prop_assert_eq!(starts.get(documents).unwrap(), values);
            prop_assert!(starts.get(documents + 1).is_err());
            prop_assert!(Starts::open(section, documents + 1, values).is_err());
        }
    }
}
