//! The postings of a sparse field, in tiers of falling impact (`format-spec/sparse_postings.md`).

use std::ops::RangeInclusive;

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::block::BLOCK_POSTINGS;
use super::block_list::{BlockEntry, BlockList, encode_blocks};
use super::dictionary::{TermEntry, TermPostings};
use super::limits::{MAX_LIST_BYTES, MAX_TIERS};
use super::section::Section;
use super::{DocId, Malformed, wide};
use crate::error::{Error, Result};

/// Tiers are cut where the count from the top passes these shares of the list: 1/32, 1/8, 1/2.
const CUTS: [usize; 3] = [32, 8, 2];
const TIER_RECORD_BYTES: u64 = size_of::<TierRecord>() as u64;

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct TierRecord {
    postings: U32,
    length: U32,
    greatest: u8,
    smallest: u8,
    reserved: [u8; 2],
}

/// What the block table says of a block of a tier.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SparseBlockEntry {
    last_document: U32,
    end: U32,
    greatest_impact: u8,
}

impl SparseBlockEntry {
    /// The greatest impact of the block.
    #[inline]
    pub fn greatest_impact(&self) -> u8 {
        self.greatest_impact
    }
}

impl BlockEntry for SparseBlockEntry {
    #[inline]
    fn last_document(&self) -> DocId {
        self.last_document.get()
    }

    #[inline]
    fn end(&self) -> u32 {
        self.end.get()
    }
}

/// One tier of a term's list: the value of a posting is `greatest_impact` minus its impact.
#[derive(Clone, Copy, Debug)]
pub struct Tier<'a> {
    /// The blocks, in document order.
    pub blocks: BlockList<'a, SparseBlockEntry>,
    /// The greatest impact of the tier.
    pub greatest_impact: u8,
}

impl<'a> Tier<'a> {
    /// Opens the tiers of a term, greatest impacts first, in a segment of `documents` documents.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the list's bytes do not hold tiers that add up to it.
    pub fn open_all(
        section: &'a Section,
        documents: u32,
        entry: &TermEntry,
    ) -> Result<Vec<Tier<'a>>> {
        let (offset, length) = match entry.postings {
            TermPostings::Single { document, value } => {
                return Ok(vec![Tier {
                    blocks: BlockList::single(section, documents, document, value),
                    greatest_impact: u8::MAX,
                }]);
            }
            TermPostings::List { offset, length } => (offset, length),
        };
        let first = section.slice(offset, 1)?.first().copied().unwrap_or(0);
        let rest = length.saturating_sub(1);
        if entry.document_frequency as usize <= BLOCK_POSTINGS {
            let postings = entry.document_frequency;
            return Ok(vec![Tier {
                blocks: BlockList::open(section, documents, postings, offset + 1, rest)?,
                greatest_impact: first,
            }]);
        }
        Self::open_table(
            section,
            documents,
            entry.document_frequency,
            offset,
            first,
            rest,
        )
    }

    fn open_table(
        section: &'a Section,
        documents: u32,
        document_frequency: u32,
        offset: u64,
        tiers: u8,
        rest: u64,
    ) -> Result<Vec<Tier<'a>>> {
        let malformed = |message| section.malformed(offset, Malformed(message));
        if usize::from(tiers) > MAX_TIERS || tiers == 0 {
            return Err(malformed("a sparse list has no tiers or too many"));
        }
        let table_length = u64::from(tiers) * TIER_RECORD_BYTES;
        let records = <[TierRecord]>::ref_from_bytes(section.slice(offset + 1, table_length)?)
            .map_err(|_| malformed("the tier table is cut short"))?;
        let mut at = offset + 1 + table_length;
        let mut left = rest.saturating_sub(table_length);
        let mut postings = 0u64;
        let mut opened = Vec::with_capacity(records.len());
        for record in records {
            let length = u64::from(record.length.get());
            left = left
                .checked_sub(length)
                .ok_or_else(|| malformed("tiers run past their list"))?;
            let count = record.postings.get();
            if count == 0 {
                return Err(malformed("a tier has no postings"));
            }
            opened.push(Tier {
                blocks: BlockList::open(section, documents, count, at, length)?,
                greatest_impact: record.greatest,
            });
            postings += u64::from(count);
            at += length;
        }
        if postings != u64::from(document_frequency) || left != 0 {
            return Err(malformed("tiers do not add up to their list"));
        }
        Ok(opened)
    }

    /// The impact that a value of this tier's blocks stands for.
    #[inline]
    pub fn impact(&self, value: u32) -> u32 {
        u32::from(self.greatest_impact).saturating_sub(value)
    }
}

/// Encodes the lists of a field one after another.
#[derive(Default)]
pub struct SparseListEncoder {
    documents: Vec<DocId>,
    values: Vec<u32>,
    blocks: Vec<u8>,
    table: Vec<SparseBlockEntry>,
    tiers: Vec<u8>,
}

impl SparseListEncoder {
    /// Appends the list of a term to `out` and returns its dictionary entry.
    ///
    /// `documents` rise, `impacts` are 1 to 255, `offset` is where `out` ends in the section.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when the list takes more than [`MAX_LIST_BYTES`].
    pub fn encode(
        &mut self,
        documents: &[DocId],
        impacts: &[u32],
        offset: u64,
        out: &mut Vec<u8>,
    ) -> Result<TermEntry> {
        let document_frequency = u32::try_from(documents.len()).unwrap_or(u32::MAX);
        if let (&[document], &[impact]) = (documents, impacts) {
            let value = u32::from(u8::MAX).saturating_sub(impact);
            return Ok(TermEntry {
                document_frequency,
                postings: TermPostings::Single { document, value },
            });
        }
        let start = out.len();
        if documents.len() <= BLOCK_POSTINGS {
            let greatest = impacts.iter().copied().max().unwrap_or(0);
            self.values.clear();
            self.values.extend(impacts.iter().map(|i| greatest - i));
            out.push(u8::try_from(greatest).unwrap_or(u8::MAX));
            encode_blocks(documents, &self.values, out, |_, _, _| {});
        } else {
            self.encode_tiers(documents, impacts, out)?;
        }
        Ok(TermEntry {
            document_frequency,
            postings: TermPostings::List {
                offset,
                length: wide(out.len() - start),
            },
        })
    }

    fn encode_tiers(
        &mut self,
        documents: &[DocId],
        impacts: &[u32],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let ranges = choose_tiers(impacts);
        out.push(u8::try_from(ranges.len()).unwrap_or(u8::MAX));
        self.tiers.clear();
        for range in ranges {
            let before = self.tiers.len();
            self.encode_tier(documents, impacts, &range);
            let length = wide(self.tiers.len() - before);
            let length = u32::try_from(length)
                .map_err(|_| Error::limit("bytes of a term's postings", length, MAX_LIST_BYTES))?;
            let record = TierRecord {
                postings: U32::new(u32::try_from(self.documents.len()).unwrap_or(u32::MAX)),
                length: U32::new(length),
                greatest: u8::try_from(*range.end()).unwrap_or(u8::MAX),
                smallest: u8::try_from(*range.start()).unwrap_or(u8::MAX),
                reserved: [0; 2],
            };
            out.extend_from_slice(record.as_bytes());
        }
        out.extend_from_slice(&self.tiers);
        Ok(())
    }

    /// Appends to `self.tiers` the postings whose impact lies in `range`.
    fn encode_tier(&mut self, documents: &[DocId], impacts: &[u32], range: &RangeInclusive<u32>) {
        self.documents.clear();
        self.values.clear();
        for (document, impact) in documents.iter().zip(impacts) {
            if range.contains(impact) {
                self.documents.push(*document);
                self.values.push(range.end() - impact);
            }
        }
        if self.documents.len() <= BLOCK_POSTINGS {
            encode_blocks(&self.documents, &self.values, &mut self.tiers, |_, _, _| {});
            return;
        }
        self.blocks.clear();
        self.table.clear();
        let (table, values) = (&mut self.table, &self.values);
        encode_blocks(
            &self.documents,
            values,
            &mut self.blocks,
            |last, end, postings| {
                let least = values
                    .get(postings)
                    .and_then(|values| values.iter().min())
                    .copied()
                    .unwrap_or(0);
                table.push(SparseBlockEntry {
                    last_document: U32::new(last),
                    end: U32::new(u32::try_from(end).unwrap_or(u32::MAX)),
                    greatest_impact: u8::try_from(range.end() - least).unwrap_or(u8::MAX),
                });
            },
        );
        self.tiers.extend_from_slice(self.table.as_bytes());
        self.tiers.extend_from_slice(&self.blocks);
    }
}

/// The impact ranges of the tiers of a list, greatest first; each range's ends occur in the list.
fn choose_tiers(impacts: &[u32]) -> Vec<RangeInclusive<u32>> {
    let mut counts = [0usize; 256];
    for impact in impacts {
        if let Some(count) = counts.get_mut(*impact as usize) {
            *count += 1;
        }
    }
    let mut tiers = Vec::with_capacity(CUTS.len() + 1);
    let mut cuts = CUTS.iter().map(|share| impacts.len() / share).peekable();
    let (mut from_top, mut in_tier, mut greatest) = (0, 0, None);
    let mut smallest = 0;
    for (count, impact) in counts.iter().zip(0u32..256).rev() {
        if *count == 0 {
            continue;
        }
        greatest.get_or_insert(impact);
        smallest = impact;
        from_top += count;
        in_tier += count;
        let passed = cuts.peek().is_some_and(|cut| from_top >= *cut);
        let enough = in_tier >= BLOCK_POSTINGS && impacts.len() - from_top >= BLOCK_POSTINGS;
        if passed && enough {
            while cuts.next_if(|cut| from_top >= *cut).is_some() {}
            tiers.extend(greatest.take().map(|greatest| impact..=greatest));
            in_tier = 0;
        }
    }
    tiers.extend(greatest.map(|greatest| smallest..=greatest));
    tiers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::block::DecodedBlock;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn tiers_hold_every_posting_once_and_fall(
            postings in prop::collection::btree_map(0u32..5_000, 1u32..=255, 1..1_500),
        ) {
            let documents: Vec<u32> = postings.keys().copied().collect();
            let impacts: Vec<u32> = postings.values().copied().collect();
            let mut bytes = vec![0; 3];
            let entry = SparseListEncoder::default()
                .encode(&documents, &impacts, 3, &mut bytes)
                .unwrap();
            let section = Section::from_bytes("impacts", bytes);
            let mut read = BTreeMap::new();
            let mut floor = 256;
            let mut block = DecodedBlock::default();
            for tier in Tier::open_all(&section, 5_000, &entry).unwrap() {
                let mut smallest = 256;
                for index in 0..tier.blocks.block_count() {
                    tier.blocks.decode(index, &mut block).unwrap();
                    let mut greatest = 0;
                    for (document, value) in block.documents().iter().zip(block.values()) {
                        let impact = tier.impact(*value);
                        prop_assert!(impact < floor, "tiers overlap");
                        prop_assert!(read.insert(*document, impact).is_none());
                        smallest = smallest.min(impact);
                        greatest = greatest.max(impact);
                    }
                    if let Some(entry) = tier.blocks.table().get(index) {
                        prop_assert_eq!(u32::from(entry.greatest_impact()), greatest);
                    }
                }
                floor = smallest;
            }
            prop_assert_eq!(read, postings);
        }
    }

    #[test]
    fn the_chapters_example_holds() {
        let mut bytes = Vec::new();
        SparseListEncoder::default()
            .encode(&[3, 4, 9], &[200, 200, 198], 0, &mut bytes)
            .unwrap();
        assert_eq!(bytes, [0xC8, 0x43, 0x02, 0x03, 0x01, 0x20]);
    }
}
