//! Encoding the positions of a field, term by term.

use zerocopy::IntoBytes;
use zerocopy::byteorder::little_endian::U32;

use super::chunk::{self, CHUNK};
use crate::error::{Error, Result};
use crate::format::block::BLOCK_POSTINGS;
use crate::format::dictionary::TermPositions;
use crate::format::limits::list_length;
use crate::format::postings::Postings;
use crate::format::{Malformed, Parse, index32, varint, wide};

/// Encodes the positions of the terms of a field one after another.
#[derive(Default)]
pub struct PositionListEncoder {
    distances: Vec<u32>,
    blocks: Vec<u8>,
    ends: Vec<U32>,
}

impl PositionListEncoder {
    /// Appends the positions of a term to `out` and returns what its dictionary entry says of them.
    ///
    /// Values of postings are frequencies of at least 1, `offset` is where `out` ends in the
    /// section.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when they take more than `MAX_LIST_BYTES`, and [`Error::InvalidInput`] when
    /// the postings have more or fewer positions than their frequencies say.
    pub fn encode(
        &mut self,
        postings: &Postings,
        offset: u64,
        out: &mut Vec<u8>,
    ) -> Result<TermPositions> {
        let encoded = self.encode_blocks(postings);
        encoded.map_err(|Malformed(message)| Error::invalid(message))?;
        if let ([1], [position]) = (&postings.values[..], &self.distances[..]) {
            return Ok(TermPositions::Single(*position));
        }
        list_length("bytes of a term's positions", wide(self.blocks.len()))?;
        let start = out.len();
        if self.ends.len() > 1 {
            out.extend_from_slice(self.ends.as_bytes());
        }
        out.extend_from_slice(&self.blocks);
        Ok(TermPositions::List {
            offset,
            length: wide(out.len() - start),
        })
    }

    fn encode_blocks(&mut self, postings: &Postings) -> Parse<()> {
        self.blocks.clear();
        self.ends.clear();
        let mut at = 0;
        for frequencies in postings.values.chunks(BLOCK_POSTINGS) {
            self.distances.clear();
            for _ in 0..frequencies.iter().map(|f| u64::from(*f)).sum::<u64>() {
                let distance = varint::read_u32(&postings.positions, &mut at)?;
                self.distances.push(distance);
            }
            for distances in self.distances.chunks(CHUNK) {
                chunk::encode(distances, &mut self.blocks);
            }
            // The limit of a list is checked when all blocks are there.
            self.ends.push(U32::new(index32(self.blocks.len())));
        }
        match at == postings.positions.len() {
            true => Ok(()),
            false => Err(Malformed(
                "expected as many positions as occurrences, found more",
            )),
        }
    }
}
