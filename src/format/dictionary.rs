//! Sorted keys, front-coded in blocks, with a payload for terms (`format-spec/dictionary.md`).

mod iter;
mod memo;
mod scan;
mod writer;

use std::sync::Arc;

pub use iter::DictionaryIter;
use memo::TermMemo;
pub use scan::common_prefix;
use scan::{BlockScan, Ordinals};
pub use writer::DictionaryWriter;

use super::section::Section;
use super::{DocId, Malformed, Parse, read_u32, read_u64};
use crate::error::{Error, Result};

/// Keys in every block but the last.
pub const KEYS_PER_BLOCK: u32 = 32;
const FOOTER_BYTES: u64 = 32;

/// What the keys of a dictionary stand for, and so what comes with each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// None: external ids, and keywords of columns.
    None,
    /// Terms of a text field.
    TextTerms,
    /// Terms of a sparse field.
    SparseTerms,
    /// Terms of a text field with positions.
    TextTermsWithPositions,
}

impl Payload {
    const ALL: [Self; 4] = [
        Self::None,
        Self::TextTerms,
        Self::SparseTerms,
        Self::TextTermsWithPositions,
    ];

    /// The number in the footer.
    pub(super) fn code(self) -> u32 {
        match self {
            Self::None => 0,
            Self::TextTerms => 1,
            Self::SparseTerms => 2,
            Self::TextTermsWithPositions => 3,
        }
    }
}

/// Where a term's postings are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TermPostings {
    /// The only posting, kept in the dictionary itself.
    Single {
        /// The document.
        document: DocId,
        /// Its value as a block would hold it: tf - 1, or 255 less the steps of an impact; above
        /// its low byte an impact's exponent, as it is [packed](super::impact::pack).
        value: u32,
    },
    /// A list in the postings section.
    List {
        /// Offset in bytes.
        offset: u64,
        /// Length in bytes.
        length: u64,
    },
}

/// Where a term's [positions](super::positions) are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TermPositions {
    /// Nowhere: the field has none.
    #[default]
    None,
    /// The only position of a term that occurs once, kept in the dictionary itself.
    Single(u32),
    /// A list in the positions section.
    List {
        /// Offset in bytes.
        offset: u64,
        /// Length in bytes.
        length: u64,
    },
}

/// What the dictionary says of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TermEntry {
    /// Number of documents that have the term, deleted ones included.
    pub document_frequency: u32,
    /// Where they are.
    pub postings: TermPostings,
    /// Where the term is in their texts.
    pub positions: TermPositions,
}

/// Finds and lists the keys of a dictionary section.
#[derive(Clone, Debug)]
pub struct Dictionary {
    section: Section,
    keys: u64,
    blocks: u32,
    keys_per_block: u32,
    offsets: u64,
    payload: Payload,
    memo: Arc<TermMemo>,
}

impl Dictionary {
    /// Reads the footer of a dictionary of `payload`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when it does not describe the section or the payload is another one,
    /// [`Error::TooNew`] when this build does not know the payload.
    pub fn open(section: Section, payload: Payload) -> Result<Self> {
        let footer_at = section.len().saturating_sub(FOOTER_BYTES);
        let footer = section.slice(footer_at, FOOTER_BYTES)?;
        let parse = || -> Parse<Self> {
            Ok(Self {
                section: section.clone(),
                keys: read_u64(footer, 0)?,
                blocks: read_u32(footer, 8)?,
                keys_per_block: read_u32(footer, 12)?,
                offsets: read_u64(footer, 16)?
                    .checked_next_multiple_of(4)
                    .ok_or(Malformed("length of the blocks overflows"))?,
                payload,
                memo: Arc::default(),
            })
        };
        let dictionary = section.parsed(footer_at, parse())?;
        let found = section.parsed(footer_at, read_u32(footer, 24))?;
        expect_payload(&section, footer_at, found, payload)?;
        let blocks = u64::from(dictionary.blocks);
        let fits = dictionary.offsets.checked_add(4 * (blocks + 1)) == Some(footer_at);
        let per_block = u64::from(dictionary.keys_per_block);
        // Every key takes a byte at least: no count of documents outgrows the file that names them.
        let fits = fits && dictionary.keys <= dictionary.offsets;
        if !fits || per_block == 0 || dictionary.keys.div_ceil(per_block) != blocks {
            let message = Malformed("the footer does not describe this dictionary");
            return Err(section.malformed(footer_at, message));
        }
        Ok(dictionary)
    }

    /// Number of keys.
    pub fn len(&self) -> u64 {
        self.keys
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.keys == 0
    }

    /// The ordinal of a key, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block that must be read is damaged.
    pub fn ordinal(&self, key: &[u8]) -> Result<Option<u64>> {
        Ok(self.seek(key)?.map(|(ordinal, _)| ordinal))
    }

    /// What is known of a term, if it is there.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block that must be read is damaged.
    pub fn term(&self, key: &[u8]) -> Result<Option<TermEntry>> {
        self.memo.get(key, self.keys, || {
            Ok(self.seek(key)?.and_then(|(_, entry)| entry))
        })
    }

    /// The ordinal of the first key that is not below `key`; the number of keys when all are.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when a block that must be read is damaged.
    pub fn ceiling(&self, key: &[u8]) -> Result<u64> {
        let Some(block) = self.block_of(key)? else {
            return Ok(0);
        };
        let mut scan = self.scan(block)?;
        if scan.seek(key)?.is_some() {
            return Ok(scan.ordinal());
        }
        let keys_before = (u64::from(block) + 1) * u64::from(self.keys_per_block);
        Ok(keys_before.min(self.keys))
    }

    /// The last block whose first key is not above `key`.
    fn block_of(&self, key: &[u8]) -> Result<Option<u32>> {
        let after = self.first_block_above(0, self.blocks, key)?;
        Ok(after.checked_sub(1))
    }

    /// The first block from `low` to `high` whose first key is above `key`, and `high` if none is.
    fn first_block_above(&self, mut low: u32, mut high: u32, key: &[u8]) -> Result<u32> {
        while low < high {
            let middle = low + (high - low) / 2;
            if self.first_key(middle)? <= key {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    fn first_key(&self, block: u32) -> Result<&[u8]> {
        self.scan(block)?.first_key()
    }

    fn seek(&self, key: &[u8]) -> Result<Option<(u64, Option<TermEntry>)>> {
        let Some(block) = self.block_of(key)? else {
            return Ok(None);
        };
        let mut scan = self.scan(block)?;
        let found = scan.seek(key)?;
        Ok(found
            .filter(|_| scan.key() == key)
            .map(|entry| (scan.ordinal(), entry)))
    }

    /// Appends the key of an ordinal to `key`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when there is no such ordinal or its block is damaged.
    pub fn key_of(&self, ordinal: u64, key: &mut Vec<u8>) -> Result<()> {
        let no_such = || {
            let message = Malformed("the dictionary has no key of this ordinal");
            self.section.malformed(0, message)
        };
        let block = ordinal / u64::from(self.keys_per_block);
        let mut scan = self.scan(u32::try_from(block).map_err(|_| no_such())?)?;
        while scan.next()?.is_some() {
            if scan.ordinal() == ordinal {
                key.extend_from_slice(scan.key());
                return Ok(());
            }
        }
        Err(no_such())
    }

    /// A key of this dictionary as text, which terms and keywords are.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when it is not UTF-8.
    pub fn text<'k>(&self, key: &'k [u8]) -> Result<&'k str> {
        std::str::from_utf8(key).map_err(|_| {
            let message = Malformed("a term or keyword is not UTF-8");
            self.section.malformed(0, message)
        })
    }

    /// Begins to read what look-ups need, of a dictionary in an object store: all of a small one, the
    /// offsets of the blocks and some blocks of another.
    pub fn prefetch(&self) {
        const SMALL: u64 = 4 << 20;
        const FIRST_LOOKED_AT: u64 = 8;
        if self.section.len() <= SMALL {
            return self.section.prefetch(0, self.section.len());
        }
        let table = self.section.len() - self.offsets.min(self.section.len());
        self.section.prefetch(self.offsets, table.min(SMALL));
        // A search halves the blocks: these are near the first ones that it looks at.
        for place in 1..FIRST_LOOKED_AT {
            self.section
                .prefetch(self.offsets / FIRST_LOOKED_AT * place, 1);
        }
    }

    /// Begins to read the block of an ordinal.
    pub fn prefetch_key(&self, ordinal: u64) {
        let block = ordinal / u64::from(self.keys_per_block);
        let at = self.offsets.saturating_add(4 * block);
        // An error comes back when the key is read.
        if let Ok(start) = self.section.slice(at, 4)
            && let Ok(start) = read_u32(start, 0)
        {
            self.section.prefetch(start.into(), 1);
        }
    }

    /// All keys in order.
    pub fn iter(&self) -> DictionaryIter<'_> {
        DictionaryIter::new(self)
    }

    fn scan(&self, block: u32) -> Result<BlockScan<'_>> {
        if block >= self.blocks {
            let message = Malformed("the dictionary has no such block");
            return Err(self.section.malformed(self.offsets, message));
        }
        let at = self.offsets + 4 * u64::from(block);
        let pair = self.section.slice(at, 8)?;
        let start = self.section.parsed(at, read_u32(pair, 0))?;
        let end = self.section.parsed(at, read_u32(pair, 4))?;
        let Some(length) = end.checked_sub(start) else {
            let message = Malformed("block offsets of the dictionary do not rise");
            return Err(self.section.malformed(at, message));
        };
        let first_ordinal = u64::from(block) * u64::from(self.keys_per_block);
        let left = self.keys.saturating_sub(first_ordinal);
        let first = Ordinals {
            next: first_ordinal,
            left: left.min(u64::from(self.keys_per_block)),
        };
        BlockScan::new(
            &self.section,
            start.into(),
            length.into(),
            first,
            self.payload,
        )
    }
}

fn expect_payload(section: &Section, at: u64, found: u32, expected: Payload) -> Result<()> {
    if found == expected.code() {
        return Ok(());
    }
    if Payload::ALL.iter().any(|known| known.code() == found) {
        let message = Malformed("expected a dictionary of another kind of keys");
        return Err(section.malformed(at, message));
    }
    Err(Error::TooNew {
        file: section.file().to_owned(),
        found: format!("dictionary payload {found} in section {}", section.name()),
        supported: format!("dictionary payload {}", expected.code()),
    })
}

#[cfg(test)]
mod tests;
