//! Lists become bytes.

use zerocopy::IntoBytes;
use zerocopy::byteorder::little_endian::U32;

use super::{
    GROUP_RANGES, Head, MAX_OFFSETS, NARROW_BYTES, NOTED_RANKS, RANGE_DOCUMENTS, RangeGroup,
    groups_of,
};
use crate::error::{Error, Result};
use crate::format::limits::list_length;
use crate::format::{DocId, count32, wide};

/// Encodes lists; kept between lists for its memory.
#[derive(Default)]
pub struct RangeListEncoder {
    groups: Vec<RangeGroup>,
    max: Vec<u8>,
    payload: Vec<u8>,
    ends: Vec<u16>,
    chunks: Vec<u8>,
}

impl RangeListEncoder {
    /// Appends a list to `out`; `documents` rise and are below `count`, `impacts` are 1 to 255.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when the list takes more than `MAX_LIST_BYTES`.
    pub fn encode(
        &mut self,
        documents: &[DocId],
        impacts: &[u32],
        count: u32,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.groups.clear();
        self.max.clear();
        self.payload.clear();
        if let Some(impact) = impacts.iter().find(|impact| **impact > u32::from(u8::MAX)) {
            let (found, limit) = (u64::from(*impact), u64::from(u8::MAX));
            return Err(Error::limit("an impact", found, limit));
        }
        let mut rest = (documents, impacts);
        for group in 0..groups_of(count) {
            let end = u64::from(group + 1) * u64::from(RANGE_DOCUMENTS * GROUP_RANGES);
            let in_group = rest
                .0
                .partition_point(|document| u64::from(*document) < end);
            let (documents, impacts) = (rest.0.split_at(in_group), rest.1.split_at(in_group));
            self.encode_group(documents.0, impacts.0)?;
            rest = (documents.1, impacts.1);
        }
        self.push_group(0)?;
        let head = Head {
            noted: noted_impacts(impacts),
            reserved: [0; 3],
            groups: U32::new(groups_of(count)),
            ranges: U32::new(count32("ranges of a term's postings", self.max.len())?),
        };
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(self.groups.as_bytes());
        out.extend_from_slice(&self.max);
        out.extend_from_slice(&self.payload);
        Ok(())
    }

    fn push_group(&mut self, present: u64) -> Result<()> {
        list_length("bytes of a term's postings", wide(self.payload.len()))?;
        let group = RangeGroup::new(present, self.max.len(), self.payload.len())?;
        self.groups.push(group);
        Ok(())
    }

    fn encode_group(&mut self, documents: &[DocId], impacts: &[u32]) -> Result<()> {
        let range_of = |document: &DocId| document / RANGE_DOCUMENTS;
        let present = documents
            .iter()
            .fold(0u64, |all, d| all | 1 << (range_of(d) % GROUP_RANGES));
        self.push_group(present)?;
        self.ends.clear();
        self.chunks.clear();
        let mut impacts = impacts;
        for range in documents.chunk_by(|a, b| range_of(a) == range_of(b)) {
            let (of_range, rest) = impacts.split_at(range.len());
            self.encode_range(range, of_range);
            // At most 64 times 72 bytes.
            let end = u16::try_from(self.chunks.len()).map_err(|_| {
                let (found, limit) = (wide(self.chunks.len()), u64::from(u16::MAX));
                Error::limit("bytes of a group of ranges", found, limit)
            })?;
            self.ends.push(end);
            impacts = rest;
        }
        let width = if self.chunks.len() <= NARROW_BYTES {
            1
        } else {
            2
        };
        for end in &self.ends {
            let end = end.to_le_bytes();
            self.payload.extend(end.iter().take(width));
        }
        self.payload.extend_from_slice(&self.chunks);
        Ok(())
    }

    fn encode_range(&mut self, documents: &[DocId], impacts: &[u32]) {
        // `encode` has checked that impacts are bytes.
        let byte = |impact: &u32| impact.to_le_bytes()[0];
        let offsets = documents
            .iter()
            .map(|d| (d % RANGE_DOCUMENTS).to_le_bytes()[0]);
        if documents.len() <= MAX_OFFSETS {
            self.chunks.extend(offsets);
        } else {
            let bits = offsets.fold(0u64, |bits, offset| bits | 1 << offset);
            self.chunks.extend_from_slice(&bits.to_le_bytes());
        }
        self.chunks.extend(impacts.iter().map(byte));
        self.max.push(impacts.iter().map(byte).max().unwrap_or(0));
    }
}

/// The impacts at the noted ranks, 0 where the list is shorter.
fn noted_impacts(impacts: &[u32]) -> [u8; NOTED_RANKS.len()] {
    let mut counts = [0usize; 256];
    for impact in impacts {
        if let Some(count) = counts.get_mut(*impact as usize) {
            *count += 1;
        }
    }
    NOTED_RANKS.map(|rank| {
        let mut reached = 0;
        let mut falling = counts.iter().zip(0u8..=255).rev();
        let found = falling.find(|(count, _)| {
            reached += **count;
            reached >= rank
        });
        found.map_or(0, |(_, impact)| impact)
    })
}
