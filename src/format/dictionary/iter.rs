//! All keys of a dictionary, in order.

use super::scan::BlockScan;
use super::{Dictionary, TermEntry};
use crate::error::Result;
use crate::format::Malformed;

/// Walks all keys of a dictionary in order.
pub struct DictionaryIter<'a> {
    dictionary: &'a Dictionary,
    next_block: u32,
    scan: Option<BlockScan<'a>>,
    /// A block whose first key was read, and that key.
    ahead: Option<(u32, &'a [u8])>,
}

impl<'a> DictionaryIter<'a> {
    /// Stands before the first key.
    pub(super) fn new(dictionary: &'a Dictionary) -> Self {
        Self {
            dictionary,
            next_block: 0,
            scan: None,
            ahead: None,
        }
    }

    /// Moves to the next key; false after the last.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block is damaged.
    pub fn advance(&mut self) -> Result<bool> {
        Ok(self.next_entry()?.is_some())
    }

    /// Moves to the next term; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block is damaged or has no payloads.
    pub fn next_term(&mut self) -> Result<Option<TermEntry>> {
        match self.next_entry()? {
            None => Ok(None),
            Some(Some(entry)) => Ok(Some(entry)),
            Some(None) => {
                let message =
                    Malformed("expected a dictionary of terms, found one without postings");
                Err(self.dictionary.section.malformed(0, message))
            }
        }
    }

    /// The current key.
    pub fn key(&self) -> &[u8] {
        self.scan.as_ref().map_or(&[], |scan| scan.key())
    }

    /// The current key's ordinal.
    pub fn ordinal(&self) -> u64 {
        self.scan.as_ref().map_or(0, BlockScan::ordinal)
    }

    /// Moves to the first term that is not below `key`, which is above the current one; `None` when
    /// there is none.
    ///
    /// # Errors
    ///
    /// As [`next_term`](Self::next_term), for terms; keys without postings have an entry of `None`.
    pub fn seek(&mut self, key: &[u8]) -> Result<Option<Option<TermEntry>>> {
        if self.next_block < self.dictionary.blocks && self.first_ahead()? <= key {
            let block = self.last_block_from(self.next_block, key)?;
            self.scan = Some(self.dictionary.scan(block)?);
            self.next_block = block + 1;
        }
        if let Some(scan) = &mut self.scan
            && let Some(entry) = scan.seek(key)?
        {
            return Ok(Some(entry));
        }
        // All keys of the next block are above it.
        self.next_entry()
    }

    /// The first key of the next block.
    fn first_ahead(&mut self) -> Result<&'a [u8]> {
        if let Some((block, key)) = self.ahead
            && block == self.next_block
        {
            return Ok(key);
        }
        let key = self.dictionary.first_key(self.next_block)?;
        self.ahead = Some((self.next_block, key));
        Ok(key)
    }

    /// The last block from `low`, whose first key is not above `key`, of which that is true. It is
    /// looked for in steps that double, since it is often near.
    fn last_block_from(&self, mut low: u32, key: &[u8]) -> Result<u32> {
        let mut step = 1;
        loop {
            let next = low.saturating_add(step);
            if next >= self.dictionary.blocks || self.dictionary.first_key(next)? > key {
                let high = next.min(self.dictionary.blocks);
                let after = self.dictionary.first_block_above(low + 1, high, key)?;
                return Ok(after - 1);
            }
            low = next;
            step *= 2;
        }
    }

    /// Moves to the next key, with its entry if it has one; `None` after the last.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block is damaged.
    pub fn next_entry(&mut self) -> Result<Option<Option<TermEntry>>> {
        loop {
            if let Some(scan) = &mut self.scan
                && let Some(entry) = scan.next()?
            {
                return Ok(Some(entry));
            }
            if self.next_block >= self.dictionary.blocks {
                return Ok(None);
            }
            let next = self.dictionary.scan(self.next_block)?;
            if let Some(before) = &self.scan
                && next.first_key()? <= before.key()
            {
                return Err(next.malformed(Malformed("keys do not rise")));
            }
            self.scan = Some(next);
            self.next_block += 1;
        }
    }
}
