//! Which documents have a value of a column (`format-spec/column.md`): bitmaps, or lists where they
//! are shorter, for 65,536 documents each.

use crate::error::Result;
use crate::format::section::Section;
use crate::format::{DocId, Malformed, count32, narrow, read_u32, read_u64};

/// Documents of a block.
const BLOCK: u32 = 1 << 16;
/// With at most this many documents a list is no longer than a bitmap.
const MAX_LISTED: u32 = 4_096;
const RECORD_BYTES: u64 = 8;
const FOOTER_BYTES: u64 = 8;
const WORD_BITS: u32 = 64;
/// A bitmap is preceded by its ranks: the number of documents before each group of as many.
const RANK_DOCUMENTS: u32 = 512;
const RANKS_BYTES: u64 = (BLOCK / RANK_DOCUMENTS * 2) as u64;

/// Encodes rising documents in one pass.
pub struct DocumentsWriter {
    documents: u32,
    /// Of the current block, less its first.
    pending: Vec<u16>,
    block: u32,
    table: Vec<u8>,
    rank: u32,
    offset: u32,
}

impl DocumentsWriter {
    /// Begins, for a segment of `documents` documents.
    pub fn new(documents: u32) -> Self {
        Self {
            documents,
            pending: Vec::new(),
            block: 0,
            table: Vec::new(),
            rank: 0,
            offset: 0,
        }
    }

    /// Adds a document, which must be higher than all before.
    ///
    /// # Errors
    ///
    /// Those of `put`.
    pub fn push(
        &mut self,
        document: DocId,
        mut put: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        while document / BLOCK > self.block {
            self.end_block(&mut put)?;
        }
        let [low, high, ..] = document.to_le_bytes();
        self.pending.push(u16::from_le_bytes([low, high]));
        Ok(())
    }

    fn end_block(&mut self, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        self.record();
        let count = count32("documents of a block", self.pending.len())?;
        let bytes = match Shape::of(count, block_documents(self.documents, self.block)) {
            Shape::None | Shape::All => Vec::new(),
            Shape::List => self.pending.iter().flat_map(|d| d.to_le_bytes()).collect(),
            Shape::Bitmap => bitmap(&self.pending),
        };
        put(&bytes)?;
        self.offset += count32("bytes of a block", bytes.len())?;
        self.rank += count;
        self.block += 1;
        self.pending.clear();
        Ok(())
    }

    fn record(&mut self) {
        self.table.extend_from_slice(&self.rank.to_le_bytes());
        self.table.extend_from_slice(&self.offset.to_le_bytes());
    }

    /// Writes what is left: the last block, the table and the footer.
    ///
    /// # Errors
    ///
    /// Those of `put`.
    pub fn finish(mut self, mut put: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let blocks = self.documents.div_ceil(BLOCK);
        while self.block < blocks {
            self.end_block(&mut put)?;
        }
        self.record();
        put(&self.table)?;
        put(&self.documents.to_le_bytes())?;
        put(&self.rank.to_le_bytes())
    }
}

/// The ranks and words of a bitmap.
fn bitmap(documents: &[u16]) -> Vec<u8> {
    let mut words = vec![0u64; (BLOCK / WORD_BITS) as usize];
    for document in documents {
        if let Some(word) = words.get_mut(usize::from(*document) / 64) {
            *word |= 1 << (document % 64);
        }
    }
    let mut bytes = Vec::new();
    let mut rank = 0u16;
    for group in words.chunks((RANK_DOCUMENTS / WORD_BITS) as usize) {
        bytes.extend_from_slice(&rank.to_le_bytes());
        let ones = group.iter().map(|word| word.count_ones()).sum::<u32>();
        // A bitmap that is not full has fewer documents than 16 bits count.
        rank = rank.saturating_add(u16::try_from(ones).unwrap_or(u16::MAX));
    }
    bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
    bytes
}

/// How the documents of a block are kept, which follows from their number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    None,
    All,
    List,
    Bitmap,
}

impl Shape {
    fn of(count: u32, documents: u32) -> Self {
        match count {
            0 => Self::None,
            count if count == documents => Self::All,
            count if count <= MAX_LISTED => Self::List,
            _ => Self::Bitmap,
        }
    }

    fn bytes(self, count: u32) -> u64 {
        match self {
            Self::None | Self::All => 0,
            Self::List => u64::from(count) * 2,
            Self::Bitmap => RANKS_BYTES + u64::from(BLOCK / 8),
        }
    }
}

fn block_documents(documents: u32, block: u32) -> u32 {
    documents
        .saturating_sub(block.saturating_mul(BLOCK))
        .min(BLOCK)
}

/// A block: how many documents with a value are before it and in it, and where they are.
#[derive(Clone, Copy)]
struct Block {
    rank: u32,
    count: u32,
    shape: Shape,
    offset: u64,
}

/// The documents that have a value.
#[derive(Clone, Debug)]
pub struct ColumnDocuments {
    section: Section,
    documents: u32,
    count: u32,
    /// Where the table begins.
    table: u64,
}

impl ColumnDocuments {
    /// Reads the footer.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when it does not describe the section or a segment
    /// of `documents` documents.
    pub fn open(section: Section, documents: u32) -> Result<Self> {
        let malformed = Malformed("the footer does not describe these documents");
        let wrong = || section.malformed(section.len().saturating_sub(FOOTER_BYTES), malformed);
        let at = section.len().checked_sub(FOOTER_BYTES).ok_or_else(wrong)?;
        let footer = section.slice(at, FOOTER_BYTES)?;
        let found = section.parsed(at, read_u32(footer, 0))?;
        let count = section.parsed(at, read_u32(footer, 4))?;
        let records = u64::from(documents.div_ceil(BLOCK)) + 1;
        let table = at.checked_sub(records * RECORD_BYTES);
        let fits = found == documents && count <= documents;
        let table = table.filter(|_| fits).ok_or_else(wrong)?;
        Ok(Self {
            section,
            documents,
            count,
            table,
        })
    }

    /// How many documents have a value.
    pub fn count(&self) -> u32 {
        self.count
    }

    fn block(&self, number: u32) -> Result<Block> {
        let at = self.table + u64::from(number) * RECORD_BYTES;
        let records = self.section.slice(at, 2 * RECORD_BYTES)?;
        let field = |place: usize| self.section.parsed(at, read_u32(records, place));
        let (rank, offset, next, end) = (field(0)?, field(4)?, field(8)?, field(12)?);
        let documents = block_documents(self.documents, number);
        let count = next.checked_sub(rank).filter(|count| *count <= documents);
        let block = count.map(|count| Block {
            rank,
            count,
            shape: Shape::of(count, documents),
            offset: u64::from(offset),
        });
        let block = block.filter(|block| {
            let length = u64::from(end).checked_sub(block.offset);
            next <= self.count && length == Some(block.shape.bytes(block.count))
        });
        block.ok_or_else(|| {
            let message = Malformed("a block of documents is not as long as its count says");
            self.section.malformed(at, message)
        })
    }

    /// How many documents with a value are before this one; `None` when it has no value itself.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when its block is damaged.
    pub fn rank(&self, document: DocId) -> Result<Option<u32>> {
        if document >= self.documents {
            return Ok(None);
        }
        let block = self.block(document / BLOCK)?;
        let inside = document % BLOCK;
        let rank = match block.shape {
            Shape::None => None,
            Shape::All => Some(inside),
            Shape::List => self.list(block)?.and_then(|list| {
                let found = list.binary_search_by_key(&inside, |listed| listed_document(*listed));
                found.ok().and_then(|place| u32::try_from(place).ok())
            }),
            Shape::Bitmap => self.rank_in_bitmap(block, inside)?,
        };
        Ok(rank.map(|rank| block.rank + rank))
    }

    fn list(&self, block: Block) -> Result<Option<&[[u8; 2]]>> {
        let bytes = self
            .section
            .slice(block.offset, block.shape.bytes(block.count))?;
        Ok(Some(bytes.as_chunks::<2>().0))
    }

    fn rank_in_bitmap(&self, block: Block, inside: u32) -> Result<Option<u32>> {
        let group = inside / RANK_DOCUMENTS;
        let rank = self.section.slice(block.offset + u64::from(group) * 2, 2)?;
        let rank = rank.first_chunk().map_or(0, |rank| listed_document(*rank));
        let words = block.offset + RANKS_BYTES + u64::from(group * RANK_DOCUMENTS / 8);
        let words = self.section.slice(words, u64::from(RANK_DOCUMENTS / 8))?;
        let word = |place: u32| {
            let word = read_u64(words, place as usize * 8);
            self.section.parsed(block.offset, word)
        };
        let place = inside % RANK_DOCUMENTS / WORD_BITS;
        let last = word(place)?;
        let bit = inside % WORD_BITS;
        if last >> bit & 1 == 0 {
            return Ok(None);
        }
        let mut rank = rank + (last & !(u64::MAX << bit)).count_ones();
        for before in 0..place {
            rank += word(before)?.count_ones();
        }
        Ok(Some(rank))
    }

    /// Calls `visit` with every document that has a value, in order.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when a block is damaged, and those of `visit`.
    pub fn for_each(&self, mut visit: impl FnMut(DocId) -> Result<()>) -> Result<()> {
        // The last block has room for more documents than the segment has.
        let mut visit = |document: DocId| match document < self.documents {
            true => visit(document),
            false => {
                let message = Malformed("a document with a value is not in the segment");
                Err(self.section.malformed(0, message))
            }
        };
        for number in 0..self.documents.div_ceil(BLOCK) {
            let block = self.block(number)?;
            let first = number * BLOCK;
            match block.shape {
                Shape::None => {}
                Shape::All => (first..first + block.count).try_for_each(&mut visit)?,
                Shape::List => {
                    let mut list = self.list(block)?.into_iter().flatten();
                    list.try_for_each(|listed| visit(first + listed_document(*listed)))?;
                }
                Shape::Bitmap => {
                    let words = self.words(block)?;
                    for (word, first) in words.iter().zip((first..).step_by(64)) {
                        let mut rest = *word;
                        while rest != 0 {
                            visit(first + rest.trailing_zeros())?;
                            rest &= rest - 1;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// The words of a bitmap.
    fn words(&self, block: Block) -> Result<Vec<u64>> {
        let bytes = self
            .section
            .slice(block.offset + RANKS_BYTES, u64::from(BLOCK / 8))?;
        let words = bytes.as_chunks::<8>().0.iter();
        Ok(words.map(|word| u64::from_le_bytes(*word)).collect())
    }

    /// One bit for each document of the segment, lowest first: whether it has a value.
    ///
    /// # Errors
    ///
    /// As [`for_each`](Self::for_each).
    pub fn bits(&self) -> Result<Vec<u64>> {
        let words = narrow(u64::from(self.documents.div_ceil(WORD_BITS)));
        let mut bits = vec![0u64; self.section.parsed(0, words)?];
        self.for_each(|document| {
            if let Some(word) = bits.get_mut((document / WORD_BITS) as usize) {
                *word |= 1 << (document % WORD_BITS);
            }
            Ok(())
        })?;
        Ok(bits)
    }

    /// Checks that documents rise, are in the segment, and are as many as blocks and ranks say.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) at the first that is not as `format-spec/` says.
    pub fn verify(&self) -> Result<()> {
        let (mut last, mut count) = (None, 0);
        let first = self.section.slice(self.table, RECORD_BYTES)?;
        let begins_at_0 = first.iter().all(|byte| *byte == 0);
        let wrong = |message| Err(self.section.malformed(0, Malformed(message)));
        self.for_each(|document| {
            if last >= Some(document) {
                return wrong("documents with a value do not rise");
            }
            last = Some(document);
            if self.rank(document)? != Some(count) {
                return wrong("a rank is not the number of documents before");
            }
            count += 1;
            Ok(())
        })?;
        let end = self.table + u64::from(self.documents.div_ceil(BLOCK)) * RECORD_BYTES;
        let record = self.section.slice(end, RECORD_BYTES)?;
        let ranks = self.section.parsed(end, read_u32(record, 0))?;
        let bytes = self.section.parsed(end, read_u32(record, 4))?;
        let ends_well = ranks == self.count && u64::from(bytes) == self.table;
        if count != self.count || !begins_at_0 || !ends_well {
            return wrong("documents with a value are not as many as the footer says");
        }
        Ok(())
    }
}

fn listed_document(bytes: [u8; 2]) -> u32 {
    u32::from(u16::from_le_bytes(bytes))
}

#[cfg(test)]
pub(super) mod tests;
