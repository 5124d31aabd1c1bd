//! A list of postings in blocks, as text lists and the tiers of sparse lists have it in common.
//!
//! A list of up to 128 postings is one block. A longer one has a table with an entry for each
//! block, which says where the block ends, with which document, and how good its postings can be.

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::block::{self, BEFORE_FIRST, BLOCK_POSTINGS, DecodedBlock};
use super::section::Section;
use super::{DocId, Malformed, Parse, wide};
use crate::error::Result;

/// An entry of a block table.
pub trait BlockEntry: FromBytes + KnownLayout + Immutable + Unaligned {
    /// Last document of the block.
    fn last_document(&self) -> DocId;
    /// End of the block's bytes, counted from the start of the first block.
    fn end(&self) -> u32;
}

/// A view of one list; decodes any of its blocks.
#[derive(Debug)]
pub struct BlockList<'a, E> {
    section: &'a Section,
    postings: u32,
    documents: u32,
    single: Option<(DocId, u32)>,
    table: &'a [E],
    blocks_at: u64,
    blocks_length: u64,
}

// Derived impls would ask the same of `E`, of which only references are held.
impl<E> Clone for BlockList<'_, E> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<E> Copy for BlockList<'_, E> {}

impl<'a, E: BlockEntry> BlockList<'a, E> {
    /// A list of one posting, which lies in the dictionary.
    pub fn single(section: &'a Section, documents: u32, document: DocId, value: u32) -> Self {
        Self {
            section,
            postings: 1,
            documents,
            single: Some((document, value)),
            table: &[],
            blocks_at: 0,
            blocks_length: 0,
        }
    }

    /// The list of `postings` postings in the `length` bytes at `offset`, in a segment of
    /// `documents` documents.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when there is no room for its block table.
    pub fn open(
        section: &'a Section,
        documents: u32,
        postings: u32,
        offset: u64,
        length: u64,
    ) -> Result<Self> {
        let mut list = Self {
            section,
            postings,
            documents,
            single: None,
            table: &[],
            blocks_at: offset,
            blocks_length: length,
        };
        if postings > documents {
            return Err(section.malformed(
                offset,
                Malformed("a list has more postings than the segment has documents"),
            ));
        }
        if list.block_count() > 1 {
            let table_length = wide(list.block_count()) * wide(size_of::<E>());
            let table = section.slice(offset, table_length.min(length))?;
            list.table = <[E]>::ref_from_bytes(table)
                .ok()
                .filter(|table| table.len() == list.block_count())
                .ok_or_else(|| {
                    section.malformed(offset, Malformed("block table runs past its list"))
                })?;
            list.blocks_at = offset.saturating_add(table_length);
            list.blocks_length = length - table_length;
        }
        Ok(list)
    }

    /// Number of postings.
    pub fn len(&self) -> u32 {
        self.postings
    }

    /// Whether there are no postings; no list of an index is empty.
    pub fn is_empty(&self) -> bool {
        self.postings == 0
    }

    /// Number of blocks.
    #[inline]
    pub fn block_count(&self) -> usize {
        (self.postings as usize).div_ceil(BLOCK_POSTINGS)
    }

    /// Number of postings of one block.
    #[inline]
    pub fn block_len(&self, block: usize) -> usize {
        (self.postings as usize)
            .saturating_sub(block * BLOCK_POSTINGS)
            .min(BLOCK_POSTINGS)
    }

    /// The block table; empty for a list of one block.
    #[inline]
    pub fn table(&self) -> &'a [E] {
        self.table
    }

    /// The first block from `from` on whose last document is at or after `target`: doubling steps,
    /// then halving. A list of one block has no table, and any target is looked for in the block.
    #[inline]
    pub fn find_block(&self, from: usize, target: DocId) -> usize {
        let table = self.table;
        if table.is_empty() {
            return from;
        }
        let reaches = |block: usize| table.get(block).is_none_or(|e| e.last_document() >= target);
        let mut step = 1;
        let mut low = from;
        while !reaches(low + step - 1) {
            low += step;
            step *= 2;
        }
        let high = (low + step).min(table.len());
        let between = table.get(low..high).unwrap_or_default();
        low + between.partition_point(|entry| entry.last_document() < target)
    }

    /// Decodes a block.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when its bytes are damaged or contradict the
    /// table.
    #[inline]
    pub fn decode(&self, block: usize, into: &mut DecodedBlock) -> Result<()> {
        self.decode_with(block, into, block::decode)
    }

    /// As [`decode`](Self::decode), without the values.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode), but for damage to the values.
    #[inline]
    pub fn decode_documents(&self, block: usize, into: &mut DecodedBlock) -> Result<()> {
        self.decode_with(block, into, block::decode_documents)
    }

    #[inline(always)]
    fn decode_with(
        &self,
        block: usize,
        into: &mut DecodedBlock,
        decode: impl FnOnce(&[u8], DocId, usize, &mut DecodedBlock) -> Parse<()>,
    ) -> Result<()> {
        if let Some((document, value)) = self.single {
            into.len = 1;
            if let (Some(d), Some(v)) = (into.documents.first_mut(), into.values.first_mut()) {
                (*d, *v) = (document, value);
            }
            return self.check_last(document, None, self.blocks_at);
        }
        let before = block.checked_sub(1).and_then(|b| self.table.get(b));
        let entry = self.table.get(block);
        let start = before.map_or(0, |e| u64::from(e.end()));
        let end = entry.map_or(self.blocks_length, |e| u64::from(e.end()));
        let at = self.blocks_at.saturating_add(start);
        let Some(length) = end.checked_sub(start).filter(|_| end <= self.blocks_length) else {
            return Err(self
                .section
                .malformed(at, Malformed("ends of blocks do not rise in their list")));
        };
        let bytes = self.section.slice(at, length)?;
        let previous = before.map_or(BEFORE_FIRST, BlockEntry::last_document);
        if previous != BEFORE_FIRST && previous >= self.documents {
            let message = Malformed("a block begins after the last document of the segment");
            return Err(self.section.malformed(at, message));
        }
        let decoded = decode(bytes, previous, self.block_len(block), into);
        self.section.parsed(at, decoded)?;
        let last = into.documents().last().copied().unwrap_or(DocId::MAX);
        self.check_last(last, entry.map(BlockEntry::last_document), at)
    }

    #[inline]
    fn check_last(&self, last: DocId, expected: Option<DocId>, at: u64) -> Result<()> {
        if last < self.documents && expected.is_none_or(|expected| expected == last) {
            return Ok(());
        }
        Err(self.section.malformed(
            at,
            Malformed("a block ends with another document than its table says"),
        ))
    }
}

/// Appends the blocks of a list to `blocks`, and calls `entry` for each block with its last
/// document, its end in `blocks` counted from where they began, and the range of its postings.
pub fn encode_blocks(
    documents: &[DocId],
    values: &[u32],
    blocks: &mut Vec<u8>,
    mut entry: impl FnMut(DocId, u64, std::ops::Range<usize>),
) {
    let origin = blocks.len();
    let mut previous = BEFORE_FIRST;
    let mut start = 0;
    let pairs = documents
        .chunks(BLOCK_POSTINGS)
        .zip(values.chunks(BLOCK_POSTINGS));
    for (documents, values) in pairs {
        super::block::encode(previous, documents, values, blocks);
        previous = documents.last().copied().unwrap_or(previous);
        let end = start + documents.len();
        entry(previous, wide(blocks.len() - origin), start..end);
        start = end;
    }
}
