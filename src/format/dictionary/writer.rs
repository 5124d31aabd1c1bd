//! Building a dictionary.

use super::{KEYS_PER_BLOCK, Payload, TermEntry, TermPositions, TermPostings};
use crate::error::{Error, Result};
use crate::format::limits::MAX_DICTIONARY_BYTES;
use crate::format::{count32, varint, wide};

/// Builds a dictionary from keys in rising order.
///
/// Bytes may be taken out while keys are added ([`DictionaryWriter::take_blocks`]), so that a large
/// dictionary is not held in memory.
pub struct DictionaryWriter {
    payload: Payload,
    /// Bytes of blocks that were taken out.
    taken: u64,
    blocks: Vec<u8>,
    offsets: Vec<u32>,
    last_key: Vec<u8>,
    keys: u64,
    /// Bytes of the positions of the terms so far.
    positions: u64,
}

impl DictionaryWriter {
    /// A dictionary without payloads: of external ids or keywords.
    pub fn of_keys() -> Self {
        Self::new(Payload::None)
    }

    /// A dictionary of the terms of a text field.
    pub fn of_text_terms() -> Self {
        Self::new(Payload::TextTerms)
    }

    /// A dictionary of the terms of a text field with positions.
    pub fn of_text_terms_with_positions() -> Self {
        Self::new(Payload::TextTermsWithPositions)
    }

    /// A dictionary of the terms of a sparse field.
    pub fn of_sparse_terms() -> Self {
        Self::new(Payload::SparseTerms)
    }

    fn new(payload: Payload) -> Self {
        Self {
            payload,
            taken: 0,
            blocks: Vec::new(),
            offsets: Vec::new(),
            last_key: Vec::new(),
            keys: 0,
            positions: 0,
        }
    }

    /// Number of keys so far.
    pub fn keys(&self) -> u64 {
        self.keys
    }

    /// Adds a key without payload; keys must rise.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when the dictionary grows too large.
    pub fn add_id(&mut self, key: &[u8]) -> Result<()> {
        self.add_key(key, None)
    }

    /// Adds a term; terms must rise, and lists must follow one another, and so must positions.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when the dictionary grows too large.
    pub fn add_term(&mut self, key: &[u8], entry: &TermEntry, next_list: u64) -> Result<()> {
        self.add_key(key, Some(next_list))?;
        let frequency = u64::from(entry.document_frequency);
        varint::write(frequency.saturating_sub(1), &mut self.blocks);
        match entry.postings {
            TermPostings::Single { document, value } => {
                let flag = u64::from(value > 0);
                varint::write(u64::from(document) * 2 + flag, &mut self.blocks);
                if value > 0 {
                    varint::write(u64::from(value), &mut self.blocks);
                }
            }
            TermPostings::List { length, .. } => varint::write(length, &mut self.blocks),
        }
        match entry.positions {
            TermPositions::None => {}
            TermPositions::Single(position) => {
                varint::write(u64::from(position), &mut self.blocks);
            }
            TermPositions::List { offset, length } => {
                debug_assert_eq!(offset, self.positions);
                varint::write(length, &mut self.blocks);
                self.positions += length;
            }
        }
        Ok(())
    }

    fn add_key(&mut self, key: &[u8], list_base: Option<u64>) -> Result<()> {
        debug_assert!(self.keys == 0 || self.last_key.as_slice() < key);
        if self.keys.is_multiple_of(u64::from(KEYS_PER_BLOCK)) {
            self.offsets.push(self.position()?);
            if let Some(base) = list_base {
                varint::write(base, &mut self.blocks);
            }
            if self.payload == Payload::TextTermsWithPositions {
                varint::write(self.positions, &mut self.blocks);
            }
            varint::write(wide(key.len()), &mut self.blocks);
            self.blocks.extend_from_slice(key);
        } else {
            self.add_rest_of_key(key);
        }
        self.last_key.clear();
        self.last_key.extend_from_slice(key);
        self.keys += 1;
        Ok(())
    }

    fn add_rest_of_key(&mut self, key: &[u8]) {
        let shared = key
            .iter()
            .zip(&self.last_key)
            .take_while(|(a, b)| a == b)
            .count();
        let rest = key.get(shared..).unwrap_or_default();
        let nibble = |length: usize| u8::try_from(length.min(15)).unwrap_or(15);
        self.blocks.push(nibble(shared) | nibble(rest.len()) << 4);
        for length in [shared, rest.len()] {
            if length >= 15 {
                varint::write(wide(length - 15), &mut self.blocks);
            }
        }
        self.blocks.extend_from_slice(rest);
    }

    fn position(&self) -> Result<u32> {
        let length = self.taken + wide(self.blocks.len());
        u32::try_from(length).map_err(|_| {
            Error::limit(
                "bytes of a segment's dictionary",
                length,
                MAX_DICTIONARY_BYTES,
            )
        })
    }

    /// Hands the bytes that are there to `out` once they are at least `min_bytes`, and forgets
    /// them.
    ///
    /// # Errors
    ///
    /// What `out` returns.
    pub fn take_blocks(
        &mut self,
        min_bytes: usize,
        out: impl FnOnce(&[u8]) -> Result<()>,
    ) -> Result<()> {
        if self.blocks.len() >= min_bytes {
            out(&self.blocks)?;
            self.taken += wide(self.blocks.len());
            self.blocks.clear();
        }
        Ok(())
    }

    /// The bytes of the whole section, or what is left of them after some were taken out.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when the dictionary grew too large.
    pub fn finish(mut self) -> Result<Vec<u8>> {
        let end = self.position()?;
        self.offsets.push(end);
        let blocks_length = u64::from(end);
        let block_count = count32("blocks of a dictionary", self.offsets.len() - 1)?;
        let mut bytes = self.blocks;
        let padding = blocks_length..blocks_length.next_multiple_of(4);
        bytes.extend(padding.map(|_| 0));
        for offset in &self.offsets {
            bytes.extend_from_slice(&offset.to_le_bytes());
        }
        bytes.extend_from_slice(&self.keys.to_le_bytes());
        bytes.extend_from_slice(&block_count.to_le_bytes());
        bytes.extend_from_slice(&KEYS_PER_BLOCK.to_le_bytes());
        bytes.extend_from_slice(&blocks_length.to_le_bytes());
        bytes.extend_from_slice(&self.payload.code().to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        Ok(bytes)
    }
}
