//! Stored documents in zstd blocks (`format-spec/stored.md`).

mod blocks;

use std::borrow::Cow;
use std::sync::Arc;

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use blocks::{KeptBlocks, RawBlock};

use super::limits::MAX_STORED_BLOCK_BYTES;
use super::section::Section;
use super::{DocId, Malformed, count32, narrow, wide};
use crate::error::{Error, Result};

/// A block is closed when it has this many raw bytes.
pub const BLOCK_TARGET_BYTES: usize = 16 << 10;
/// Bytes of one stored document: it fits a block with what is there of a block before it is closed.
pub const MAX_STORED_DOCUMENT_BYTES: usize = MAX_STORED_BLOCK_BYTES - 2 * BLOCK_TARGET_BYTES;
/// Fast, and within a few percent of the size of the slower levels on blocks this small.
const LEVEL: i32 = 1;
const ENTRY_BYTES: u64 = size_of::<StoredEntry>() as u64;

/// An entry of `stored-index`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct StoredEntry {
    first_document: U32,
    raw_length: U32,
    offset: U64,
}

/// One compressed block.
#[derive(Clone, Debug)]
pub struct StoredBlock<F = Vec<u8>> {
    /// Number of documents.
    pub documents: u32,
    /// Bytes before compression.
    pub raw_length: u32,
    /// A zstd frame.
    pub frame: F,
}

/// Collects documents into compressed blocks.
#[derive(Default)]
pub struct StoredPacker {
    ends: Vec<u32>,
    content: Vec<u8>,
    blocks: Vec<StoredBlock>,
}

impl StoredPacker {
    /// Adds the next document; an empty one was not stored.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when a single document does not fit a block.
    pub fn add(&mut self, document: &[u8]) -> Result<()> {
        self.content.extend_from_slice(document);
        let end = wide(self.content.len());
        if self.content.len() > MAX_STORED_BLOCK_BYTES - BLOCK_TARGET_BYTES {
            let limit = wide(MAX_STORED_BLOCK_BYTES - BLOCK_TARGET_BYTES);
            return Err(Error::limit("bytes of a stored document", end, limit));
        }
        let end = count32("bytes of a block of stored documents", self.content.len())?;
        self.ends.push(end);
        if self.content.len() + 4 * self.ends.len() >= BLOCK_TARGET_BYTES {
            self.close_block()?;
        }
        Ok(())
    }

    /// Closes the last block and returns all.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when compression fails, which it has no reason to.
    pub fn finish(mut self) -> Result<Vec<StoredBlock>> {
        self.close_block()?;
        Ok(self.blocks)
    }

    /// The blocks that are closed, taken out.
    pub fn take_closed(&mut self) -> Vec<StoredBlock> {
        std::mem::take(&mut self.blocks)
    }

    fn close_block(&mut self) -> Result<()> {
        if self.ends.is_empty() {
            return Ok(());
        }
        let mut raw: Vec<u8> = self.ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        raw.extend_from_slice(&self.content);
        let mut frame = zstd::bulk::compress(&raw, LEVEL)
            .map_err(|source| Error::io("stored documents", "compress", source))?;
        frame.shrink_to_fit();
        self.blocks.push(StoredBlock {
            documents: count32("documents of a block", self.ends.len())?,
            raw_length: count32("bytes of a block of stored documents", raw.len())?,
            frame,
        });
        self.ends.clear();
        self.content.clear();
        Ok(())
    }
}

/// Builds the bytes of `stored-index` while blocks are written to `stored`.
#[derive(Default)]
pub struct StoredIndexWriter {
    bytes: Vec<u8>,
    documents: u32,
    offset: u64,
}

impl StoredIndexWriter {
    /// Notes a block; returns the bytes to write to `stored`.
    pub fn add<'a>(&mut self, block: &'a StoredBlock) -> &'a [u8] {
        self.push(block.raw_length);
        self.documents += block.documents;
        self.offset += wide(block.frame.len());
        &block.frame
    }

    /// Ends the index with the entry for the end.
    pub fn finish(mut self) -> Vec<u8> {
        self.push(0);
        self.bytes
    }

    fn push(&mut self, raw_length: u32) {
        let entry = StoredEntry {
            first_document: U32::new(self.documents),
            raw_length: U32::new(raw_length),
            offset: U64::new(self.offset),
        };
        self.bytes.extend_from_slice(entry.as_bytes());
    }
}

/// Reads stored documents; clones share the blocks that are kept.
#[derive(Clone, Debug)]
pub struct Stored {
    frames: Section,
    index: Section,
    blocks: u64,
    kept: Arc<KeptBlocks>,
}

impl Stored {
    /// Opens the two sections.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the index is not made of entries.
    pub fn open(frames: Section, index: Section) -> Result<Self> {
        if index.is_empty() || !index.len().is_multiple_of(ENTRY_BYTES) {
            let message = Malformed("expected whole entries of 16 bytes");
            return Err(index.malformed(0, message));
        }
        let blocks = index.len() / ENTRY_BYTES - 1;
        Ok(Self {
            frames,
            index,
            blocks,
            kept: Arc::default(),
        })
    }

    /// Number of blocks.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Bytes of all blocks before compression, as the index says.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the index is damaged.
    pub fn raw_bytes(&self) -> Result<u64> {
        let lengths = (0..self.blocks).map(|block| Ok(self.entry(block)?.raw_length.get()));
        lengths
            .map(|length: Result<u32>| length.map(u64::from))
            .sum()
    }

    /// The bytes stored for a document; empty when none were. Blocks that were read lately are kept
    /// decompressed, and nothing but the document is copied.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when there is no such document or its block is damaged.
    pub fn document(&self, document: DocId) -> Result<Vec<u8>> {
        let (mut low, mut high) = (0, self.blocks);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.entry(middle)?.first_document.get() <= document {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let block = low.saturating_sub(1);
        let first = self.entry(block)?.first_document.get();
        let raw = self.kept.get(block, || self.decompress(block))?;
        let malformed = |message| {
            self.index
                .malformed(block * ENTRY_BYTES, Malformed(message))
        };
        let place = document.checked_sub(first);
        let place = place.ok_or_else(|| malformed("the first block begins after this document"))?;
        let bytes = raw.document(place as usize).map_err(malformed)?;
        let bytes = bytes.ok_or_else(|| malformed("the block has no such document"))?;
        Ok(bytes.to_vec())
    }

    fn decompress(&self, block: u64) -> Result<RawBlock> {
        RawBlock::decompress(&self.fetch(block)?).map_err(|message| {
            let message = Malformed(message);
            self.index.malformed(block * ENTRY_BYTES, message)
        })
    }

    /// All documents of a block, decompressed.
    ///
    /// # Errors
    ///
    /// As [`Stored::document`].
    pub fn documents_of(&self, block: u64) -> Result<Vec<Vec<u8>>> {
        let raw = self.decompress(block)?;
        let malformed = |message| {
            self.index
                .malformed(block * ENTRY_BYTES, Malformed(message))
        };
        let mut documents = Vec::with_capacity(raw.documents());
        for place in 0..raw.documents() {
            let bytes = raw.document(place).map_err(malformed)?;
            documents.push(bytes.unwrap_or_default().to_vec());
        }
        Ok(documents)
    }

    /// Number of documents of a block, from the index alone.
    ///
    /// # Errors
    ///
    /// As [`Stored::document`].
    pub fn block_documents(&self, block: u64) -> Result<u32> {
        let first = self.entry(block)?.first_document.get();
        let next = self.entry(block + 1)?.first_document.get();
        next.checked_sub(first).ok_or_else(|| {
            let at = block * ENTRY_BYTES;
            self.index.malformed(at, Malformed("entries do not rise"))
        })
    }

    /// A block as it is on disk, to be copied by a merge.
    ///
    /// # Errors
    ///
    /// As [`Stored::document`].
    pub fn block(&self, block: u64) -> Result<StoredBlock> {
        let StoredBlock {
            documents,
            raw_length,
            frame,
        } = self.fetch(block)?;
        Ok(StoredBlock {
            documents,
            raw_length,
            frame: frame.into_owned(),
        })
    }

    /// A block as it is on disk. In a file that is not mapped, it alone is read, not the section.
    fn fetch(&self, block: u64) -> Result<StoredBlock<Cow<'_, [u8]>>> {
        let entry = self.entry(block)?;
        let next = self.entry(block + 1)?;
        let at = block * ENTRY_BYTES;
        let malformed = |message| self.index.malformed(at, Malformed(message));
        let offset = entry.offset.get();
        let length = next.offset.get().checked_sub(offset);
        let documents = next
            .first_document
            .get()
            .checked_sub(entry.first_document.get());
        let (Some(length), Some(documents)) = (length, documents) else {
            return Err(malformed("entries do not rise"));
        };
        let raw_length = entry.raw_length.get();
        if raw_length as usize > MAX_STORED_BLOCK_BYTES {
            return Err(malformed("a block is larger than the limit"));
        }
        Ok(StoredBlock {
            documents,
            raw_length,
            frame: self.frames.fetch(offset, length)?,
        })
    }

    fn entry(&self, block: u64) -> Result<StoredEntry> {
        let at = self.index.parsed(0, narrow(block))?;
        let at = wide(at).saturating_mul(ENTRY_BYTES);
        let bytes = self.index.slice(at, ENTRY_BYTES)?;
        StoredEntry::read_from_bytes(bytes)
            .map_err(|_| self.index.malformed(at, Malformed("entry is cut short")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn store(documents: &[Vec<u8>]) -> Stored {
        let mut packer = StoredPacker::default();
        for document in documents {
            packer.add(document).unwrap();
        }
        let (mut frames, mut index) = (Vec::new(), StoredIndexWriter::default());
        for block in packer.finish().unwrap() {
            frames.extend_from_slice(index.add(&block));
        }
        Stored::open(
            Section::from_bytes("stored", frames),
            Section::from_bytes("stored-index", index.finish()),
        )
        .unwrap()
    }

    proptest! {
        #[test]
        fn documents_come_back(documents in prop::collection::vec(
            prop_oneof![
                Just(Vec::new()),
                prop::collection::vec(any::<u8>(), 0..300),
                prop::collection::vec(97u8..100, 5_000..9_000),
            ],
            1..40,
        )) {
            let stored = store(&documents);
            for (number, document) in (0..).zip(&documents) {
                prop_assert_eq!(&stored.document(number).unwrap(), document);
            }
            prop_assert!(stored.document(documents.len() as u32).is_err());
        }
    }

    /// Without the check, document 0 would be another document's bytes.
    #[test]
    fn a_first_block_that_begins_later_has_no_earlier_documents() {
        let stored = store(&[b"ab".to_vec(), b"c".to_vec()]);
        let mut index = stored.index.all().unwrap().to_vec();
        index[0..4].copy_from_slice(&1u32.to_le_bytes());
        let index = Section::from_bytes("stored-index", index);
        let broken = Stored::open(stored.frames, index).unwrap();
        let error = broken.document(0).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{error}");
    }

    #[test]
    fn a_raw_length_that_lies_allocates_nothing_of_its_size() {
        let stored = store(&[b"ab".to_vec(), b"c".to_vec()]);
        for (length, expected) in [
            (u32::MAX, "larger than the limit"),
            // A legal size, of which nothing is there.
            (60 << 20, "not as long as its entry says"),
        ] {
            let mut index = stored.index.all().unwrap().to_vec();
            index[4..8].copy_from_slice(&length.to_le_bytes());
            let index = Section::from_bytes("stored-index", index);
            let broken = Stored::open(stored.frames.clone(), index).unwrap();
            let error = broken.document(0).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
