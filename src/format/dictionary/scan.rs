//! The keys of one block of a dictionary, in order.

use super::{Payload, TermEntry, TermPositions, TermPostings};
use crate::error::{Error, Result};
use crate::format::section::Section;
use crate::format::{DocId, Malformed, Parse, narrow, varint};

/// Walks the keys of one block.
pub(super) struct BlockScan<'a> {
    section: &'a Section,
    start: u64,
    bytes: &'a [u8],
    position: usize,
    key: Vec<u8>,
    ordinals: Ordinals,
    /// Where the next term's list and positions are.
    list: u64,
    positions: u64,
    has_payload: bool,
    has_positions: bool,
    at_first: bool,
}

/// The ordinals of the keys of a block that are not read yet.
pub(super) struct Ordinals {
    pub next: u64,
    pub left: u64,
}

impl<'a> BlockScan<'a> {
    /// Stands before the first key of the block in these bytes of a section.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when the block is cut off.
    pub fn new(
        section: &'a Section,
        start: u64,
        length: u64,
        ordinals: Ordinals,
        payload: Payload,
    ) -> Result<Self> {
        let mut scan = Self {
            section,
            start,
            bytes: section.slice(start, length)?,
            position: 0,
            key: Vec::new(),
            ordinals,
            list: 0,
            positions: 0,
            has_payload: payload != Payload::None,
            has_positions: payload == Payload::TextTermsWithPositions,
            at_first: true,
        };
        if scan.has_payload {
            let base = varint::read(scan.bytes, &mut scan.position);
            scan.list = section.parsed(start, base)?;
        }
        if scan.has_positions {
            let base = varint::read(scan.bytes, &mut scan.position);
            scan.positions = section.parsed(start, base)?;
        }
        Ok(scan)
    }

    /// An error about the keys of this block.
    pub fn malformed(&self, message: Malformed) -> Error {
        self.section.malformed(self.start, message)
    }

    /// The first key, without moving.
    pub fn first_key(&self) -> Result<&'a [u8]> {
        let mut position = self.position;
        let key = varint::read_bytes(self.bytes, &mut position);
        self.section.parsed(self.start, key)
    }

    pub fn key(&self) -> &[u8] {
        &self.key
    }

    pub fn ordinal(&self) -> u64 {
        self.ordinals.next.saturating_sub(1)
    }

    /// Moves to the next key; the payload, if the dictionary has payloads, comes with it.
    #[inline]
    pub fn next(&mut self) -> Result<Option<Option<TermEntry>>> {
        if self.ordinals.left == 0 {
            return Ok(None);
        }
        self.ordinals.left -= 1;
        self.ordinals.next += 1;
        let at = self.start;
        let entry = self.read_entry();
        self.section.parsed(at, entry).map(Some)
    }

    /// Moves to the first key that is not below `target`, which is above the current one; `None`
    /// when the block has none.
    ///
    /// The idea: a key that shares more with the one before it than that one with the target is
    /// below the target as well. Of its bytes only the number is looked at, and whether it rises is
    /// not checked. When the block has no such key, [`key`](Self::key) is not its last.
    pub fn seek(&mut self, target: &[u8]) -> Result<Option<Option<TermEntry>>> {
        let at = self.start;
        let entry = self.seek_entry(target);
        self.section.parsed(at, entry)
    }

    fn seek_entry(&mut self, target: &[u8]) -> Parse<Option<Option<TermEntry>>> {
        // Bytes that the key before shares with the target: as many as the last that was kept.
        let mut common = common_prefix(&self.key, target);
        let mut length = self.key.len();
        while self.ordinals.left > 0 {
            self.ordinals.left -= 1;
            self.ordinals.next += 1;
            let (shared, rest) = self.read_coded_key(length)?;
            length = shared + rest.len();
            if shared <= common {
                self.set_key(shared, rest)?;
                common = shared + common_prefix(rest, target.get(shared..).unwrap_or_default());
            }
            let entry = self.read_payload()?;
            if shared <= common && self.key.get(common..) >= target.get(common..) {
                return Ok(Some(entry));
            }
        }
        Ok(None)
    }

    #[inline]
    fn read_entry(&mut self) -> Parse<Option<TermEntry>> {
        let (shared, rest) = self.read_coded_key(self.key.len())?;
        self.set_key(shared, rest)?;
        self.read_payload()
    }

    #[inline]
    fn read_payload(&mut self) -> Parse<Option<TermEntry>> {
        if !self.has_payload {
            return Ok(None);
        }
        let frequency = varint::read_u32(self.bytes, &mut self.position)?;
        let document_frequency = frequency
            .checked_add(1)
            .ok_or(Malformed("document frequency overflows"))?;
        let postings = if document_frequency == 1 {
            let code = varint::read(self.bytes, &mut self.position)?;
            let document =
                DocId::try_from(code >> 1).map_err(|_| Malformed("document does not fit"))?;
            let value = if code & 1 == 0 {
                0
            } else {
                varint::read_u32(self.bytes, &mut self.position)?
            };
            TermPostings::Single { document, value }
        } else {
            let length = varint::read(self.bytes, &mut self.position)?;
            let offset = self.list;
            self.list = offset
                .checked_add(length)
                .ok_or(Malformed("list offset overflows"))?;
            TermPostings::List { offset, length }
        };
        let positions = match self.has_positions {
            false => TermPositions::None,
            true => self.read_positions(&postings)?,
        };
        Ok(Some(TermEntry {
            document_frequency,
            postings,
            positions,
        }))
    }

    fn read_positions(&mut self, postings: &TermPostings) -> Parse<TermPositions> {
        if let TermPostings::Single { value: 0, .. } = postings {
            let position = varint::read_u32(self.bytes, &mut self.position)?;
            return Ok(TermPositions::Single(position));
        }
        let length = varint::read(self.bytes, &mut self.position)?;
        let offset = self.positions;
        self.positions = offset
            .checked_add(length)
            .ok_or(Malformed("offset of positions overflows"))?;
        Ok(TermPositions::List { offset, length })
    }

    /// How many bytes the next key shares with the one before, which has `length`, and its others.
    #[inline]
    fn read_coded_key(&mut self, length: usize) -> Parse<(usize, &'a [u8])> {
        if self.at_first {
            let key = varint::read_bytes(self.bytes, &mut self.position)?;
            return Ok((0, key));
        }
        let byte = *self
            .bytes
            .get(self.position)
            .ok_or(Malformed("keys run past the block"))?;
        self.position += 1;
        let mut shared = usize::from(byte & 15);
        let mut rest = usize::from(byte >> 4);
        for length in [&mut shared, &mut rest] {
            if *length == 15 {
                let more = narrow(varint::read(self.bytes, &mut self.position)?)?;
                *length = length
                    .checked_add(more)
                    .ok_or(Malformed("key length overflows"))?;
            }
        }
        let end = self
            .position
            .checked_add(rest)
            .ok_or(Malformed("key length overflows"))?;
        let rest = self
            .bytes
            .get(self.position..end)
            .ok_or(Malformed("keys run past the block"))?;
        if shared > length {
            return Err(Malformed("a key shares more than the key before it has"));
        }
        self.position = end;
        Ok((shared, rest))
    }

    #[inline]
    fn set_key(&mut self, shared: usize, rest: &[u8]) -> Parse<()> {
        // `None` is less than any byte: a key that only grew rises.
        if !self.at_first && rest.first() <= self.key.get(shared) {
            return Err(Malformed("keys do not rise"));
        }
        self.at_first = false;
        self.key.truncate(shared);
        self.key.extend_from_slice(rest);
        Ok(())
    }
}

/// Length of the longest common prefix, by words of eight bytes.
#[inline]
pub fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    let (left_words, _) = left.as_chunks::<8>();
    let (right_words, _) = right.as_chunks::<8>();
    let mut length = 0;
    for (left, right) in left_words.iter().zip(right_words) {
        let difference = u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let pairs = left.iter().zip(right).skip(length);
    length + pairs.take_while(|(left, right)| left == right).count()
}
