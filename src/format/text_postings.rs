//! The postings of a text field (`format-spec/text_postings.md`).

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::block::BLOCK_POSTINGS;
use super::block_list::{BlockEntry, BlockList, encode_blocks};
use super::bounds::{Bound, Frontier};
use super::dictionary::{TermEntry, TermPositions, TermPostings};
use super::limits::list_length;
use super::postings::Postings;
use super::section::Section;
use super::{DocId, Malformed, count32, index32, wide};
use crate::error::Result;

/// Bounds kept for each block.
pub const BLOCK_BOUNDS: usize = 2;
/// Bounds kept for each list of more than one block.
pub const LIST_BOUNDS: usize = 4;
const LIST_HEAD_BYTES: u64 = 2 * LIST_BOUNDS as u64;

/// What the block table says of a block of a text list.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct TextBlockEntry {
    last_document: U32,
    end: U32,
    bounds: [Bound; BLOCK_BOUNDS],
}

impl TextBlockEntry {
    /// Bounds that dominate the block.
    #[inline]
    pub fn bounds(&self) -> &[Bound; BLOCK_BOUNDS] {
        &self.bounds
    }
}

impl BlockEntry for TextBlockEntry {
    #[inline]
    fn last_document(&self) -> DocId {
        self.last_document.get()
    }

    #[inline]
    fn end(&self) -> u32 {
        self.end.get()
    }
}

/// The postings of one term of a text field; the values of its blocks are tf - 1.
#[derive(Clone, Copy, Debug)]
pub struct TextList<'a> {
    /// The blocks.
    pub blocks: BlockList<'a, TextBlockEntry>,
    /// Bounds that dominate the list, if it has more than one block.
    pub bounds: Option<&'a [Bound; LIST_BOUNDS]>,
}

impl<'a> TextList<'a> {
    /// The list of a term, in a segment of `documents` documents.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the dictionary's entry does not fit the section.
    pub fn open(section: &'a Section, documents: u32, entry: &TermEntry) -> Result<Self> {
        let postings = entry.document_frequency;
        let (offset, length) = match entry.postings {
            TermPostings::Single { document, value } => {
                return Ok(Self {
                    blocks: BlockList::single(section, documents, document, value),
                    bounds: None,
                });
            }
            TermPostings::List { offset, length } => (offset, length),
        };
        if postings as usize <= BLOCK_POSTINGS {
            return Ok(Self {
                blocks: BlockList::open(section, documents, postings, offset, length)?,
                bounds: None,
            });
        }
        let head = section.slice(offset, LIST_HEAD_BYTES)?;
        let bounds = <[Bound; LIST_BOUNDS]>::ref_from_bytes(head)
            .map_err(|_| section.malformed(offset, Malformed("a list has no bounds")))?;
        let rest = length.saturating_sub(LIST_HEAD_BYTES);
        let offset = offset.saturating_add(LIST_HEAD_BYTES);
        Ok(Self {
            blocks: BlockList::open(section, documents, postings, offset, rest)?,
            bounds: Some(bounds),
        })
    }
}

/// Encodes the lists of a field one after another.
#[derive(Default)]
pub struct TextListEncoder {
    values: Vec<u32>,
    blocks: Vec<u8>,
    table: Vec<TextBlockEntry>,
}

impl TextListEncoder {
    /// Appends the list of a term to `out` and returns its dictionary entry.
    ///
    /// Documents rise, values are frequencies of at least 1, `lengths` are the length codes of all
    /// documents of the segment, `offset` is where `out` ends in the section.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when the list takes more than `MAX_LIST_BYTES`.
    pub fn encode(
        &mut self,
        postings: &Postings,
        lengths: &[u8],
        offset: u64,
        out: &mut Vec<u8>,
    ) -> Result<TermEntry> {
        let (documents, frequencies) = (&postings.documents[..], &postings.values[..]);
        let document_frequency = count32("postings of a term", documents.len())?;
        if let (&[document], &[frequency]) = (documents, frequencies) {
            let value = frequency.saturating_sub(1);
            return Ok(TermEntry {
                document_frequency,
                postings: TermPostings::Single { document, value },
                positions: TermPositions::None,
            });
        }
        self.values.clear();
        self.values
            .extend(frequencies.iter().map(|f| f.saturating_sub(1)));
        let start = out.len();
        if documents.len() <= BLOCK_POSTINGS {
            encode_blocks(documents, &self.values, out, |_, _, _| {});
        } else {
            self.encode_long(documents, frequencies, lengths, out)?;
        }
        Ok(TermEntry {
            document_frequency,
            postings: TermPostings::List {
                offset,
                length: wide(out.len() - start),
            },
            positions: TermPositions::None,
        })
    }

    fn encode_long(
        &mut self,
        documents: &[DocId],
        frequencies: &[u32],
        lengths: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        self.blocks.clear();
        self.table.clear();
        let table = &mut self.table;
        let mut of_list = Frontier::default();
        encode_blocks(
            documents,
            &self.values,
            &mut self.blocks,
            |last, end, range| {
                let mut of_block = Frontier::default();
                let postings = documents.iter().zip(frequencies);
                for (document, frequency) in postings.skip(range.start).take(range.len()) {
                    let length = lengths.get(*document as usize).copied().unwrap_or(0);
                    of_block.add(Bound::of(*frequency, length));
                }
                let bounds: [Bound; BLOCK_BOUNDS] = of_block.reduced();
                for bound in bounds {
                    of_list.add(bound);
                }
                table.push(TextBlockEntry {
                    last_document: U32::new(last),
                    // The limit of a list is checked below.
                    end: U32::new(index32(end)),
                    bounds,
                });
            },
        );
        list_length("bytes of a term's postings", wide(self.blocks.len()))?;
        out.extend_from_slice(of_list.reduced::<LIST_BOUNDS>().as_bytes());
        out.extend_from_slice(self.table.as_bytes());
        out.extend_from_slice(&self.blocks);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::block::DecodedBlock;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_are_read_as_written(
            raw in prop::collection::vec((1u32..50, 1u32..20), 1..700),
            lengths in prop::collection::vec(1u8..200, 36_000),
        ) {
            let mut document = 0;
            let (mut documents, mut frequencies) = (Vec::new(), Vec::new());
            for (gap, frequency) in raw {
                document += gap;
                documents.push(document);
                frequencies.push(frequency);
            }
            let mut bytes = vec![0; 9];
            let postings = Postings::new(documents, frequencies);
            let entry = TextListEncoder::default()
                .encode(&postings, &lengths, 9, &mut bytes)
                .unwrap();
            let Postings { documents, values: frequencies, .. } = postings;
            let section = Section::from_bytes("postings", bytes);
            let list = TextList::open(&section, 36_000, &entry).unwrap();
            let mut block = DecodedBlock::default();
            let (mut read, mut read_frequencies) = (Vec::new(), Vec::new());
            for index in 0..list.blocks.block_count() {
                list.blocks.decode(index, &mut block).unwrap();
                read.extend_from_slice(block.documents());
                read_frequencies.extend(block.values().iter().map(|v| v + 1));
                for (document, value) in block.documents().iter().zip(block.values()) {
                    let posting = Bound::of(value + 1, lengths[*document as usize]);
                    if let Some(entry) = list.blocks.table().get(index) {
                        prop_assert!(entry.bounds().iter().any(|b| b.dominates(posting)));
                    }
                    if let Some(bounds) = list.bounds {
                        prop_assert!(bounds.iter().any(|b| b.dominates(posting)));
                    }
                }
            }
            prop_assert_eq!(read, documents);
            prop_assert_eq!(read_frequencies, frequencies);
        }
    }
}
