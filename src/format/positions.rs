//! Where terms stand in the texts of a field (`format-spec/positions.md`).
//!
//! The positions of a term are kept as distances, from the position before in the same document, and
//! for the first from 0. They lie in the order of the term's postings, so that a position is found
//! by the frequencies of the postings before it. What belongs to 128 postings begins anew, which
//! lets a reader go where it wants without reading what is before.

mod chunk;
mod reader;
mod writer;

use zerocopy::FromBytes;
use zerocopy::byteorder::little_endian::U32;

pub use reader::PositionReader;
pub use writer::PositionListEncoder;

use super::block::BLOCK_POSTINGS;
use super::dictionary::{TermEntry, TermPositions};
use super::section::Section;
use super::{Malformed, Parse, wide};
use crate::error::Result;

/// How far the first word of a text is behind the last one of the text before it, when a document
/// has several texts in a field.
pub const POSITION_GAP: u32 = 100;

/// The positions of one term.
#[derive(Clone, Copy, Debug)]
pub struct PositionList<'a> {
    section: &'a Section,
    place: Place<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Place<'a> {
    /// The only position.
    Single(u32),
    Blocks {
        /// For each 128 postings where their positions end; empty when there are no more of them.
        ends: &'a [U32],
        /// Where the positions of the first posting are in the section.
        at: u64,
        /// Bytes of all positions.
        length: u64,
    },
}

impl<'a> PositionList<'a> {
    /// The positions of a term that the dictionary gave; `None` when its field has none.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when the dictionary's entry does not fit the
    /// section.
    pub fn open(section: &'a Section, entry: &TermEntry) -> Result<Option<Self>> {
        let (offset, length) = match entry.positions {
            TermPositions::None => return Ok(None),
            TermPositions::Single(position) => {
                let place = Place::Single(position);
                return Ok(Some(Self { section, place }));
            }
            TermPositions::List { offset, length } => (offset, length),
        };
        let blocks = (entry.document_frequency as usize).div_ceil(BLOCK_POSTINGS);
        let mut place = Place::Blocks {
            ends: &[],
            at: offset,
            length,
        };
        if blocks > 1 {
            let bytes = wide(blocks) * wide(size_of::<U32>());
            if bytes > length {
                let message = Malformed("the ends of a term's positions run past its list");
                return Err(section.malformed(offset, message));
            }
            let ends = <[U32]>::ref_from_bytes(section.slice(offset, bytes)?);
            let ends = ends.map_err(|_| Malformed("the ends of a term's positions are cut short"));
            place = Place::Blocks {
                ends: section.parsed(offset, ends)?,
                at: offset.saturating_add(bytes),
                length: length - bytes,
            };
        }
        Ok(Some(Self { section, place }))
    }

    /// A reader of the list, which keeps what it decoded last.
    pub fn reader(&self) -> PositionReader<'a> {
        PositionReader::new(*self)
    }

    /// The bytes of the positions of one block of postings, and where they are.
    fn block(&self, block: usize) -> Result<(&'a [u8], u64)> {
        let Place::Blocks { ends, at, length } = self.place else {
            return Ok((&[], 0));
        };
        let end_of = |block: usize| ends.get(block).map(|end| u64::from(end.get()));
        let start = match block.checked_sub(1) {
            None => Some(0),
            Some(before) => end_of(before),
        };
        let end = match block + 1 < ends.len() {
            true => end_of(block),
            // The last block is all that is left.
            false => Some(length),
        };
        let range = start
            .zip(end)
            .filter(|(start, end)| start <= end && *end <= length);
        let Some((start, end)) = range else {
            let message = Malformed("the ends of a term's positions do not rise in its list");
            return Err(self.section.malformed(at, message));
        };
        let at = at.saturating_add(start);
        Ok((self.section.slice(at, end - start)?, at))
    }
}

/// Moves past `count` varints at `*at`: past the positions of a posting of such a frequency, as
/// [`Postings`](super::postings::Postings) hold them.
///
/// # Errors
///
/// When there are fewer.
#[inline]
pub(crate) fn skip_varints(bytes: &[u8], at: &mut usize, count: u32) -> Parse<()> {
    if count == 0 {
        return Ok(());
    }
    let mut left = count;
    let rest = bytes.get(*at..).unwrap_or_default();
    for (byte, length) in rest.iter().zip(1..) {
        left = left.saturating_sub(u32::from(*byte < 0x80));
        if left == 0 {
            *at += length;
            return Ok(());
        }
    }
    Err(Malformed("positions run past their end"))
}

#[cfg(test)]
mod tests;
