//! The postings of a sparse field: lists in tiers of falling impact, or cut at ranges of documents
//! (`format-spec/sparse_postings.md`).
//!
//! All impacts of a list have the same exponent. A term whose impacts have several, as few have,
//! has a list for each: its *parts*.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use zerocopy::byteorder::little_endian::{I16, U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::block::{BLOCK_POSTINGS, DecodedBlock};
use super::block_list::{BlockEntry, BlockList, encode_blocks};
use super::dictionary::{TermEntry, TermPositions, TermPostings};
use super::impact::{Impact, MAX_EXPONENT, unpack};
use super::limits::{MAX_TIERS, list_length};
use super::postings::Postings;
use super::range_list::{RangeList, RangeListEncoder, groups_of};
use super::schema::SparseLayout;
use super::section::Section;
use super::{DocId, Malformed, count32, index32, wide};
use crate::error::{Error, Result};

/// Tiers are cut where the count from the top passes these shares of the list: 1/32, 1/8, 1/2.
const CUTS: [usize; 3] = [32, 8, 2];
/// The first byte of the postings of a term in parts, where a list has its number of tiers or its
/// max impact.
const PARTS: u8 = 0;
/// The first byte of a list that is cut at ranges, where others have their number of tiers.
const RANGES: u8 = u8::MAX;
/// A list is cut at ranges when it has at least this many postings for each group of ranges: with
/// fewer, the table of groups is most of it, and decoding all of them takes little.
const MIN_IN_GROUP: u32 = 1;
const TIER_RECORD_BYTES: u64 = size_of::<TierRecord>() as u64;
const PART_RECORD_BYTES: u64 = size_of::<PartRecord>() as u64;

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct PartRecord {
    exponent: I16,
    postings: U32,
    length: U32,
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct TierRecord {
    postings: U32,
    length: U32,
    max: u8,
    min: u8,
    reserved: [u8; 2],
}

/// What the block table says of a block of a tier.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SparseBlockEntry {
    last_document: U32,
    end: U32,
    max_impact: u8,
}

impl SparseBlockEntry {
    /// The max impact of the block.
    #[inline]
    pub fn max_impact(&self) -> u8 {
        self.max_impact
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

/// One tier of a term's list: the value of a posting is `max_impact` minus its impact.
#[derive(Clone, Copy, Debug)]
pub struct Tier<'a> {
    /// The blocks, in document order.
    pub blocks: BlockList<'a, SparseBlockEntry>,
    /// The max impact of the tier.
    pub max_impact: u8,
}

/// The list of a term.
#[derive(Clone, Debug)]
pub enum SparseList<'a> {
    /// Tiers, max impacts first.
    Tiers(Vec<Tier<'a>>),
    /// Cut at ranges of documents.
    Ranges(RangeList<'a>),
}

/// Opens the lists of a term in a segment of `documents` documents with this base exponent, and
/// calls `visit` with the exponent of each and the list: one list, or a few whose exponents fall.
///
/// # Errors
///
/// [`Error::Corrupt`] when the bytes do not hold what they should.
pub fn open_lists<'a>(
    section: &'a Section,
    documents: u32,
    base: i16,
    entry: &TermEntry,
    mut visit: impl FnMut(i16, SparseList<'a>),
) -> Result<()> {
    let (offset, length) = match entry.postings {
        TermPostings::Single { document, value } => {
            let impact = unpack(value, base);
            // The number of steps is kept as what is missing to the most.
            let value = u32::from(impact.steps);
            let tier = Tier {
                blocks: BlockList::single(section, documents, document, value),
                max_impact: u8::MAX,
            };
            visit(impact.exponent, SparseList::Tiers(vec![tier]));
            return Ok(());
        }
        TermPostings::List { offset, length } => (offset, length),
    };
    let postings = entry.document_frequency;
    let first = first_byte(section, offset)?;
    if first != PARTS {
        let list = SparseList::open(section, documents, postings, first, (offset, length))?;
        visit(base, list);
        return Ok(());
    }
    let parts = parts_of(section, postings, offset, length)?;
    let mut at = offset + 1 + size_of::<U16>() as u64 + wide(parts.len()) * PART_RECORD_BYTES;
    for part in parts {
        let length = u64::from(part.length.get());
        let first = first_byte(section, at)?;
        let postings = part.postings.get();
        let list = SparseList::open(section, documents, postings, first, (at, length))?;
        visit(part.exponent.get(), list);
        at += length;
    }
    Ok(())
}

/// Calls `visit` with the exponents of a term's lists, without opening them.
///
/// # Errors
///
/// As [`open_lists`].
pub fn read_exponents(
    section: &Section,
    base: i16,
    entry: &TermEntry,
    mut visit: impl FnMut(i16),
) -> Result<()> {
    let (offset, length) = match entry.postings {
        TermPostings::Single { value, .. } => {
            visit(unpack(value, base).exponent);
            return Ok(());
        }
        TermPostings::List { offset, length } => (offset, length),
    };
    if first_byte(section, offset)? != PARTS {
        visit(base);
        return Ok(());
    }
    let parts = parts_of(section, entry.document_frequency, offset, length)?;
    parts.iter().for_each(|part| visit(part.exponent.get()));
    Ok(())
}

#[inline]
fn first_byte(section: &Section, offset: u64) -> Result<u8> {
    Ok(section.slice(offset, 1)?.first().copied().unwrap_or(0))
}

/// The table of the parts of a term with `postings` postings, checked against the term's bytes.
fn parts_of(section: &Section, postings: u32, offset: u64, length: u64) -> Result<&[PartRecord]> {
    let malformed = |message| section.malformed(offset, Malformed(message));
    let count_bytes = size_of::<U16>() as u64;
    let count = U16::read_from_bytes(section.slice(offset + 1, count_bytes)?)
        .map_err(|_| malformed("the number of parts is cut short"))?;
    let table_length = u64::from(count.get()) * PART_RECORD_BYTES;
    let table_at = offset + 1 + count_bytes;
    let parts = <[PartRecord]>::ref_from_bytes(section.slice(table_at, table_length)?)
        .map_err(|_| malformed("the table of parts is cut short"))?;
    let mut counted = 0u64;
    let mut bytes = 1 + count_bytes + table_length;
    for part in parts {
        if part.postings.get() == 0
            || part.exponent.get().unsigned_abs() > MAX_EXPONENT.unsigned_abs()
        {
            return Err(malformed(
                "a part has no postings, or an exponent out of range",
            ));
        }
        counted += u64::from(part.postings.get());
        bytes += u64::from(part.length.get());
    }
    let falls = parts.is_sorted_by(|a, b| a.exponent.get() > b.exponent.get());
    if !falls || counted != u64::from(postings) || bytes != length {
        return Err(malformed(
            "parts do not fall in exponent or do not add up to their term",
        ));
    }
    Ok(parts)
}

impl<'a> SparseList<'a> {
    /// Opens the `length` bytes at `offset`, which begin with `first`, as a list of `postings`
    /// postings in a segment of `documents` documents.
    fn open(
        section: &'a Section,
        documents: u32,
        postings: u32,
        first: u8,
        (offset, length): (u64, u64),
    ) -> Result<Self> {
        let rest = length.saturating_sub(1);
        if postings as usize <= BLOCK_POSTINGS {
            return Ok(Self::Tiers(vec![Tier {
                blocks: BlockList::open(section, documents, postings, offset + 1, rest)?,
                max_impact: first,
            }]));
        }
        if first == RANGES {
            let list = RangeList::open(section, documents, postings, offset + 1, rest)?;
            return Ok(Self::Ranges(list));
        }
        Tier::open_table(section, documents, postings, offset, first, rest).map(Self::Tiers)
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
                max_impact: record.max,
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
        self.max_impact.saturating_sub(value)
    }
}

/// Encodes the lists of a field one after another.
pub struct SparseListEncoder {
    layout: SparseLayout,
    base: i16,
    count: u32,
    ranges: RangeListEncoder,
    /// The postings of the tier that is encoded; values are what is missing to its max impact.
    tier: Postings,
    values: Vec<u32>,
    blocks: Vec<u8>,
    table: Vec<SparseBlockEntry>,
    tiers: Vec<u8>,
}

impl SparseListEncoder {
    /// Encodes lists of a segment of `count` documents with this base exponent.
    pub fn new(layout: SparseLayout, base: i16, count: u32) -> Self {
        Self {
            layout,
            base,
            count,
            ranges: RangeListEncoder::default(),
            tier: Postings::default(),
            values: Vec::new(),
            blocks: Vec::new(),
            table: Vec::new(),
            tiers: Vec::new(),
        }
    }

    /// Appends the postings of a term to `out` and returns its dictionary entry.
    ///
    /// Documents rise, values are impacts, [packed](super::impact::pack) with the segment's base
    /// exponent, `offset` is where `out` ends in the section.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`] when a list takes more than `MAX_LIST_BYTES`.
    pub fn encode(
        &mut self,
        postings: &Postings,
        offset: u64,
        out: &mut Vec<u8>,
    ) -> Result<TermEntry> {
        let (documents, impacts) = (&postings.documents[..], &postings.values[..]);
        let document_frequency = count32("postings of a term", documents.len())?;
        if let (&[document], &[impact]) = (documents, impacts) {
            // The exponent stays where it is packed, the steps become what is missing to the most.
            let value = (impact | 0xFF) - (impact & 0xFF);
            return Ok(TermEntry {
                document_frequency,
                postings: TermPostings::Single { document, value },
                positions: TermPositions::None,
            });
        }
        let start = out.len();
        if impacts.iter().all(|impact| *impact <= u32::from(u8::MAX)) {
            self.encode_list(postings, out)?;
        } else {
            self.encode_parts(postings, out)?;
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

    /// Appends a list of impacts of 1 to 255.
    fn encode_list(&mut self, postings: &Postings, out: &mut Vec<u8>) -> Result<()> {
        let (documents, impacts) = (&postings.documents[..], &postings.values[..]);
        let count = count32("postings of a list", documents.len())?;
        if documents.len() <= BLOCK_POSTINGS {
            let max = impacts.iter().copied().max().unwrap_or(0);
            self.values.clear();
            self.values.extend(impacts.iter().map(|i| max - i));
            out.push(impact8(max)?);
            encode_blocks(documents, &self.values, out, |_, _, _| {});
            Ok(())
        } else if self.layout == SparseLayout::Tiers {
            self.encode_tiers(choose_tiers(impacts), postings, out)
        } else if count / MIN_IN_GROUP >= groups_of(self.count) {
            out.push(RANGES);
            self.ranges.encode(documents, impacts, self.count, out)
        } else {
            self.encode_tiers(one_tier(impacts), postings, out)
        }
    }

    /// Appends a list for each exponent that occurs, behind a table that says which they are.
    fn encode_parts(&mut self, postings: &Postings, out: &mut Vec<u8>) -> Result<()> {
        let mut parts: BTreeMap<i16, Postings> = BTreeMap::new();
        for (document, packed) in postings.iter() {
            let Impact { exponent, steps } = unpack(packed, self.base);
            let part = parts.entry(exponent).or_default();
            part.push(document, u32::from(steps));
        }
        let mut table = Vec::with_capacity(parts.len());
        let mut lists = Vec::new();
        for (exponent, part) in parts.into_iter().rev() {
            let before = lists.len();
            self.encode_list(&part, &mut lists)?;
            let length = wide(lists.len() - before);
            let length = list_length("bytes of a term's postings", length)?;
            table.push(PartRecord {
                exponent: I16::new(exponent),
                postings: U32::new(count32("postings of a part", part.len())?),
                length: U32::new(length),
            });
        }
        out.push(PARTS);
        let (found, limit) = (wide(table.len()), u64::from(u16::MAX));
        let count = u16::try_from(table.len());
        let count = count.map_err(|_| Error::limit("parts of a term", found, limit))?;
        out.extend_from_slice(&count.to_le_bytes());
        out.extend_from_slice(table.as_bytes());
        out.append(&mut lists);
        Ok(())
    }

    fn encode_tiers(
        &mut self,
        ranges: Vec<RangeInclusive<u32>>,
        postings: &Postings,
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let (found, limit) = (wide(ranges.len()), wide(MAX_TIERS));
        let count = u8::try_from(ranges.len());
        out.push(count.map_err(|_| Error::limit("tiers of a list", found, limit))?);
        self.tiers.clear();
        for range in ranges {
            let before = self.tiers.len();
            self.encode_tier(postings, &range)?;
            let length = wide(self.tiers.len() - before);
            let length = list_length("bytes of a term's postings", length)?;
            let record = TierRecord {
                postings: U32::new(count32("postings of a tier", self.tier.len())?),
                length: U32::new(length),
                max: impact8(*range.end())?,
                min: impact8(*range.start())?,
                reserved: [0; 2],
            };
            out.extend_from_slice(record.as_bytes());
        }
        out.extend_from_slice(&self.tiers);
        Ok(())
    }

    /// Appends to `self.tiers` the postings whose impact lies in `range`.
    fn encode_tier(&mut self, postings: &Postings, range: &RangeInclusive<u32>) -> Result<()> {
        let max = impact8(*range.end())?;
        self.tier.clear();
        for (document, impact) in postings.iter() {
            if range.contains(&impact) {
                self.tier.push(document, range.end() - impact);
            }
        }
        let Postings {
            documents, values, ..
        } = &self.tier;
        if documents.len() <= BLOCK_POSTINGS {
            encode_blocks(documents, values, &mut self.tiers, |_, _, _| {});
            return Ok(());
        }
        self.blocks.clear();
        self.table.clear();
        let table = &mut self.table;
        encode_blocks(
            documents,
            values,
            &mut self.blocks,
            |last, end, postings| {
                let min = values
                    .get(postings)
                    .and_then(|values| values.iter().min())
                    .copied()
                    .unwrap_or(0);
                table.push(SparseBlockEntry {
                    last_document: U32::new(last),
                    // The limit of a list is checked with the whole tier.
                    end: U32::new(index32(end)),
                    // Values are less than the max impact, which fits a byte.
                    max_impact: max - min.to_le_bytes()[0],
                });
            },
        );
        self.tiers.extend_from_slice(self.table.as_bytes());
        self.tiers.extend_from_slice(&self.blocks);
        Ok(())
    }
}

/// An impact as a list holds it.
fn impact8(impact: u32) -> Result<u8> {
    let limit = u64::from(u8::MAX);
    u8::try_from(impact).map_err(|_| Error::limit("an impact", u64::from(impact), limit))
}

/// All impacts in one tier.
fn one_tier(impacts: &[u32]) -> Vec<RangeInclusive<u32>> {
    let min = impacts.iter().copied().min().unwrap_or(0);
    let max = impacts.iter().copied().max().unwrap_or(0);
    vec![min..=max]
}

/// The impact ranges of the tiers of a list, max first; each range's ends occur in the list.
fn choose_tiers(impacts: &[u32]) -> Vec<RangeInclusive<u32>> {
    let mut counts = [0usize; 256];
    for impact in impacts {
        if let Some(count) = counts.get_mut(*impact as usize) {
            *count += 1;
        }
    }
    let mut tiers = Vec::with_capacity(CUTS.len() + 1);
    let mut cuts = CUTS.iter().map(|share| impacts.len() / share).peekable();
    let (mut from_top, mut in_tier, mut max) = (0, 0, None);
    let mut min = 0;
    for (count, impact) in counts.iter().zip(0u32..256).rev() {
        if *count == 0 {
            continue;
        }
        max.get_or_insert(impact);
        min = impact;
        from_top += count;
        in_tier += count;
        let passed = cuts.peek().is_some_and(|cut| from_top >= *cut);
        let enough = in_tier >= BLOCK_POSTINGS && impacts.len() - from_top >= BLOCK_POSTINGS;
        if passed && enough {
            while cuts.next_if(|cut| from_top >= *cut).is_some() {}
            tiers.extend(max.take().map(|max| impact..=max));
            in_tier = 0;
        }
    }
    tiers.extend(max.map(|max| min..=max));
    tiers
}

#[cfg(test)]
mod tests;
