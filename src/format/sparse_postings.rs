//! The postings of a sparse field: lists in tiers of falling impact, or cut at ranges of documents
//! (`format-spec/sparse_postings.md`).

use std::ops::RangeInclusive;

use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::block::{BLOCK_POSTINGS, DecodedBlock};
use super::block_list::{BlockEntry, BlockList, encode_blocks};
use super::dictionary::{TermEntry, TermPostings};
use super::limits::{MAX_LIST_BYTES, MAX_TIERS};
use super::range_list::{RangeList, RangeListEncoder, groups_of};
use super::schema::SparseLayout;
use super::section::Section;
use super::{DocId, Malformed, wide};
use crate::error::{Error, Result};

/// Tiers are cut where the count from the top passes these shares of the list: 1/32, 1/8, 1/2.
const CUTS: [usize; 3] = [32, 8, 2];
/// The first byte of a list that is cut at ranges, where others have their number of tiers.
const RANGES: u8 = 0;
/// A list is cut at ranges when it has so many postings for each group of ranges: with fewer, the table of groups is most of
/// it, and decoding all of them takes little.
const LEAST_IN_GROUP: u32 = 1;
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

/// The list of a term.
#[derive(Clone, Debug)]
pub enum SparseList<'a> {
    /// Tiers, greatest impacts first.
    Tiers(Vec<Tier<'a>>),
    /// Cut at ranges of documents.
    Ranges(RangeList<'a>),
}

impl<'a> SparseList<'a> {
    /// Opens the list of a term in a segment of `documents` documents.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the list's bytes do not hold what they should.
    pub fn open(section: &'a Section, documents: u32, entry: &TermEntry) -> Result<Self> {
        let (offset, length) = match entry.postings {
            TermPostings::Single { document, value } => {
                return Ok(Self::Tiers(vec![Tier {
                    blocks: BlockList::single(section, documents, document, value),
                    greatest_impact: u8::MAX,
                }]));
            }
            TermPostings::List { offset, length } => (offset, length),
        };
        let first = section.slice(offset, 1)?.first().copied().unwrap_or(0);
        let rest = length.saturating_sub(1);
        if entry.document_frequency as usize <= BLOCK_POSTINGS {
            let postings = entry.document_frequency;
            return Ok(Self::Tiers(vec![Tier {
                blocks: BlockList::open(section, documents, postings, offset + 1, rest)?,
                greatest_impact: first,
            }]));
        }
        if first == RANGES {
            let postings = entry.document_frequency;
            let list = RangeList::open(section, documents, postings, offset + 1, rest)?;
            return Ok(Self::Ranges(list));
        }
        Tier::open_table(
            section,
            documents,
            entry.document_frequency,
            offset,
            first,
            rest,
        )
        .map(Self::Tiers)
    }

    /// Number of postings.
    pub fn len(&self) -> u64 {
        match self {
            Self::Tiers(tiers) => tiers.iter().map(|tier| u64::from(tier.blocks.len())).sum(),
            Self::Ranges(list) => u64::from(list.len()),
        }
    }

    /// Whether there are no postings; no list of an index is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `visit` with every posting: tier after tier, documents rising in each.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when postings are damaged.
    pub fn for_each(&self, mut visit: impl FnMut(DocId, u8)) -> Result<()> {
        let tiers = match self {
            Self::Ranges(list) => return list.for_each(visit),
            Self::Tiers(tiers) => tiers,
        };
        let mut block = DecodedBlock::default();
        for tier in tiers {
            for index in 0..tier.blocks.block_count() {
                tier.blocks.decode(index, &mut block)?;
                for (document, value) in block.documents().iter().zip(block.values()) {
                    visit(*document, tier.impact(*value));
                }
            }
        }
        Ok(())
    }
}

impl<'a> Tier<'a> {
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
    pub fn impact(&self, value: u32) -> u8 {
        let value = u8::try_from(value).unwrap_or(u8::MAX);
        self.greatest_impact.saturating_sub(value)
    }
}

/// Encodes the lists of a field one after another.
pub struct SparseListEncoder {
    layout: SparseLayout,
    count: u32,
    ranges: RangeListEncoder,
    documents: Vec<DocId>,
    values: Vec<u32>,
    blocks: Vec<u8>,
    table: Vec<SparseBlockEntry>,
    tiers: Vec<u8>,
}

impl SparseListEncoder {
    /// Encodes lists of a segment of `count` documents.
    pub fn new(layout: SparseLayout, count: u32) -> Self {
        Self {
            layout,
            count,
            ranges: RangeListEncoder::default(),
            documents: Vec::new(),
            values: Vec::new(),
            blocks: Vec::new(),
            table: Vec::new(),
            tiers: Vec::new(),
        }
    }

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
        } else if self.layout == SparseLayout::Tiers {
            self.encode_tiers(choose_tiers(impacts), documents, impacts, out)?;
        } else if document_frequency / LEAST_IN_GROUP >= groups_of(self.count) {
            out.push(RANGES);
            self.ranges.encode(documents, impacts, self.count, out)?;
        } else {
            self.encode_tiers(one_tier(impacts), documents, impacts, out)?;
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
        ranges: Vec<RangeInclusive<u32>>,
        documents: &[DocId],
        impacts: &[u32],
        out: &mut Vec<u8>,
    ) -> Result<()> {
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

/// All impacts in one tier.
fn one_tier(impacts: &[u32]) -> Vec<RangeInclusive<u32>> {
    let least = impacts.iter().copied().min().unwrap_or(0);
    let greatest = impacts.iter().copied().max().unwrap_or(0);
    vec![least..=greatest]
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
            let entry = SparseListEncoder::new(SparseLayout::Tiers, 5_000)
                .encode(&documents, &impacts, 3, &mut bytes)
                .unwrap();
            let section = Section::from_bytes("impacts", bytes);
            let mut read = BTreeMap::new();
            let mut floor = 256;
            let mut block = DecodedBlock::default();
            let list = SparseList::open(&section, 5_000, &entry).unwrap();
            let SparseList::Tiers(tiers) = list else {
                panic!("expected tiers");
            };
            for tier in tiers {
                let mut smallest = 256;
                for index in 0..tier.blocks.block_count() {
                    tier.blocks.decode(index, &mut block).unwrap();
                    let mut greatest = 0;
                    for (document, value) in block.documents().iter().zip(block.values()) {
                        let impact = u32::from(tier.impact(*value));
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

    proptest! {
        #[test]
        fn every_layout_holds_every_posting(
            postings in prop::collection::btree_map(0u32..40_000, 1u32..=255, 1..2_500),
            spread in 1u32..2_000,
            ranges in any::<bool>(),
        ) {
            // Close together, ranges have many postings; far apart, few.
            let close: BTreeMap<u32, u32> = postings.iter().map(|(d, i)| (d / spread, *i)).collect();
            let documents: Vec<u32> = close.keys().copied().collect();
            let impacts: Vec<u32> = close.values().copied().collect();
            let layout = if ranges { SparseLayout::Ranges } else { SparseLayout::Tiers };
            let mut bytes = vec![0; 3];
            let entry = SparseListEncoder::new(layout, 40_000)
                .encode(&documents, &impacts, 3, &mut bytes)
                .unwrap();
            let section = Section::from_bytes("impacts", bytes);
            let list = SparseList::open(&section, 40_000, &entry).unwrap();
            let mut read = BTreeMap::new();
            let mut twice = false;
            list.for_each(|document, impact| {
                twice |= read.insert(document, u32::from(impact)).is_some();
            }).unwrap();
            prop_assert!(!twice);
            prop_assert_eq!(read, close);
        }
    }

    #[test]
    fn the_chapters_example_holds() {
        let mut bytes = Vec::new();
        SparseListEncoder::new(SparseLayout::Tiers, 5_000)
            .encode(&[3, 4, 9], &[200, 200, 198], 0, &mut bytes)
            .unwrap();
        assert_eq!(bytes, [0xC8, 0x43, 0x02, 0x03, 0x01, 0x20]);
    }
}
