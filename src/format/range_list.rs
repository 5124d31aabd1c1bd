//! A sparse list cut at fixed ranges of documents, with the max impact of each
//! (`format-spec/range_list.md`).
//!
//! 64 documents are a *range*, 64 ranges a *group*. A list says for every group which of its ranges
//! have postings, for each of those the max impact, and where its postings are: one byte each for
//! document and impact where they are few, one bit a document where they are many. So the bounds of
//! all ranges are read in one pass, and the postings of any range are found at once, whatever the
//! order in which ranges are visited.

mod encoder;

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub use encoder::RangeListEncoder;

use super::section::{Section, View};
use super::{DocId, Malformed, count32, wide};
use crate::error::{Error, Result};

/// Documents of a range.
pub const RANGE_DOCUMENTS: u32 = 64;
/// Ranges of a group: one bit each in a word.
pub const GROUP_RANGES: u32 = 64;
/// Ranks at which a list records the impact that this many of its postings reach.
pub const NOTED_RANKS: [usize; 4] = [1, 10, 100, 1_000];
/// With more postings in a range than this a bit a document takes less room.
const MAX_OFFSETS: usize = 8;
const BITS_BYTES: usize = 8;
/// Ends of ranges take one byte in a group whose postings take this many bytes at most.
const NARROW_BYTES: usize = u8::MAX as usize;

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct Head {
    noted: [u8; NOTED_RANKS.len()],
    reserved: [u8; 3],
    groups: U32,
    ranges: U32,
}

/// What a list says of a group of ranges.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RangeGroup {
    present: U64,
    first: U32,
    before: U32,
}

impl RangeGroup {
    pub(super) fn new(present: u64, first: usize, before: usize) -> Result<Self> {
        Ok(Self {
            present: U64::new(present),
            first: U32::new(count32("bytes of a term's postings", first)?),
            before: U32::new(count32("ranges of a term's postings", before)?),
        })
    }

    /// One bit for each range that has postings, the first range lowest.
    #[inline]
    pub fn present(&self) -> u64 {
        self.present.get()
    }

    /// How many ranges with postings the groups before have.
    #[inline]
    pub fn first(&self) -> usize {
        self.first.get() as usize
    }

    /// What the groups before have: bytes of postings in a sparse list, postings in the bounds of a
    /// text list.
    #[inline]
    pub fn before(&self) -> usize {
        self.before.get() as usize
    }
}

/// The postings of one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangePostings<'a> {
    /// Places in the range, rising, and as many impacts.
    Offsets(&'a [u8], &'a [u8]),
    /// One bit for each document of the range, and an impact for each that is set.
    Bits(u64, &'a [u8]),
}

impl<'a> RangePostings<'a> {
    /// The impacts, in document order.
    #[inline]
    pub fn impacts(&self) -> &'a [u8] {
        match self {
            Self::Offsets(_, impacts) | Self::Bits(_, impacts) => impacts,
        }
    }

    /// How many there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.impacts().len()
    }

    /// Whether there are none; no range that is present is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `visit` with each posting's place in the range and impact.
    #[inline]
    pub fn for_each(&self, mut visit: impl FnMut(u8, u8)) {
        match self {
            Self::Offsets(offsets, impacts) => {
                for (offset, impact) in offsets.iter().zip(*impacts) {
                    visit(*offset, *impact);
                }
            }
            Self::Bits(bits, impacts) => {
                let mut rest = *bits;
                for impact in *impacts {
                    visit(rest.trailing_zeros().to_le_bytes()[0], *impact);
                    rest &= rest.wrapping_sub(1);
                }
            }
        }
    }
}

/// A range that has postings, and the max impact of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundRange {
    group_start: usize,
    group_end: usize,
    /// Ranges of the group that have postings, and those of them before this one.
    count: usize,
    rank: usize,
    place: usize,
}

/// A view of one list.
#[derive(Clone, Copy, Debug)]
pub struct RangeList<'a> {
    postings: u32,
    documents: u32,
    noted: [u8; NOTED_RANKS.len()],
    /// One for each group, and one more that ends the last.
    groups: &'a [RangeGroup],
    max: &'a [u8],
    payload: View<'a>,
}

impl<'a> RangeList<'a> {
    /// The list of `postings` postings in the `length` bytes at `offset`, in a segment of
    /// `documents` documents.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when there is no room for its tables, or they do not fit the segment.
    pub fn open(
        section: &'a Section,
        documents: u32,
        postings: u32,
        offset: u64,
        length: u64,
    ) -> Result<Self> {
        let malformed = |message| section.malformed(offset, Malformed(message));
        let view = section.view(offset, length)?;
        let head_length = size_of::<Head>();
        let head = Head::read_from_bytes(view.get(0, head_length)?)
            .map_err(|_| malformed("the list ends early"))?;
        if head.groups.get() != groups_of(documents) || postings > documents {
            return Err(malformed("a list does not fit the number of documents"));
        }
        let groups_end = head_length + (head.groups.get() as usize + 1) * size_of::<RangeGroup>();
        let groups = <[RangeGroup]>::ref_from_bytes(view.get(head_length, groups_end)?)
            .map_err(|_| malformed("the list ends early"))?;
        let ranges = head.ranges.get() as usize;
        let max_end = groups_end.saturating_add(ranges);
        let payload_at = wide(max_end);
        let rest = length
            .checked_sub(payload_at)
            .ok_or_else(|| malformed("max impacts run past their list"))?;
        Ok(Self {
            postings,
            documents,
            noted: head.noted,
            groups,
            max: view.get(groups_end, max_end)?,
            payload: section.view(offset + payload_at, rest)?,
        })
    }

    /// Number of postings.
    pub fn len(&self) -> u32 {
        self.postings
    }

    /// Whether there are no postings; no list of an index is empty.
    pub fn is_empty(&self) -> bool {
        self.postings == 0
    }

    /// Number of documents of the segment.
    pub fn documents(&self) -> u32 {
        self.documents
    }

    /// The groups, one for each 4,096 documents.
    #[inline]
    pub fn groups(&self) -> &'a [RangeGroup] {
        let count = self.groups.len().saturating_sub(1);
        self.groups.get(..count).unwrap_or_default()
    }

    /// The max impact of every range that has postings, in order.
    #[inline]
    pub fn max_impacts(&self) -> &'a [u8] {
        self.max
    }

    /// The max impact of all.
    pub fn max_impact(&self) -> u8 {
        self.noted.first().copied().unwrap_or(u8::MAX)
    }

    /// An impact that at least `rank` postings reach; 0 when none is noted.
    pub fn impact_at_rank(&self, rank: usize) -> u8 {
        let mut noted = NOTED_RANKS.iter().zip(self.noted);
        noted
            .find(|(noted_rank, _)| **noted_rank >= rank)
            .map_or(0, |(_, impact)| impact)
    }

    /// Finds a range; `None` when it has no postings.
    #[inline(always)]
    pub fn find(&self, range: u32) -> Option<FoundRange> {
        let number = (range / GROUP_RANGES) as usize;
        let group = self.groups.get(number)?;
        let next = self.groups.get(number + 1)?;
        let (present, bit) = (group.present.get(), range % GROUP_RANGES);
        if present >> bit & 1 == 0 {
            return None;
        }
        let rank = (present & ((1 << bit) - 1)).count_ones() as usize;
        Some(FoundRange {
            group_start: group.before(),
            group_end: next.before(),
            count: present.count_ones() as usize,
            rank,
            place: group.first() + rank,
        })
    }

    /// The max impact of a range that was found.
    #[inline]
    pub fn max_of(&self, found: FoundRange) -> u8 {
        self.max.get(found.place).copied().unwrap_or(u8::MAX)
    }

    /// The postings of a range that was found.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when they are damaged.
    #[inline(always)]
    pub fn postings(&self, found: FoundRange) -> Result<RangePostings<'a>> {
        let group = self.payload.get(found.group_start, found.group_end)?;
        let bytes = if group.len() - found.count.min(group.len()) <= NARROW_BYTES {
            chunk::<1>(group, found)
        } else {
            chunk::<2>(group, found)
        };
        let Some(bytes) = bytes else {
            return Err(self.malformed("ends of ranges do not rise in their group"));
        };
        if bytes.len() <= 2 * MAX_OFFSETS {
            let (offsets, impacts) = bytes.split_at(bytes.len() / 2);
            if offsets.is_empty() || offsets.len() != impacts.len() {
                return Err(self.malformed("a range has another number of offsets than of impacts"));
            }
            return Ok(RangePostings::Offsets(offsets, impacts));
        }
        if let Some((bits, impacts)) = bytes.split_first_chunk::<BITS_BYTES>() {
            let bits = u64::from_le_bytes(*bits);
            if bits.count_ones() as usize == impacts.len() {
                return Ok(RangePostings::Bits(bits, impacts));
            }
        }
        Err(self.malformed("a range has another number of bits than of impacts"))
    }

    /// The bytes that [`postings`](Self::postings) will read, about: to be fetched ahead.
    #[inline]
    pub fn ahead(&self, found: FoundRange) -> [&'a [u8]; 2] {
        let length = found.group_end.saturating_sub(found.group_start);
        let near = found.group_start + found.count + length * found.rank / found.count.max(1);
        [
            self.payload.unverified(found.group_start),
            self.payload.unverified(near),
        ]
    }

    /// Calls `visit` with every posting in order.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when postings are damaged: out of order, or of no document of the
    /// segment.
    pub fn for_each(&self, mut visit: impl FnMut(DocId, u8)) -> Result<()> {
        let mut next = 0;
        let (mut count, mut ranges) = (0u32, 0);
        let mut in_order = true;
        for (group, base) in self
            .groups()
            .iter()
            .zip((0..).step_by(GROUP_RANGES as usize))
        {
            let mut present = group.present();
            in_order &= group.first() == ranges;
            ranges += present.count_ones() as usize;
            while present != 0 {
                let range: u32 = base + present.trailing_zeros();
                present &= present - 1;
                let Some(found) = self.find(range) else {
                    return Err(self.malformed("a range has no max impact"));
                };
                let (first, max) = (range * RANGE_DOCUMENTS, self.max_of(found));
                let postings = self.postings(found)?;
                postings.for_each(|offset, impact| {
                    let document = first + u32::from(offset);
                    in_order &= u32::from(offset) < RANGE_DOCUMENTS && document >= next;
                    in_order &= impact <= max && impact > 0;
                    next = document + 1;
                    count += 1;
                    visit(document, impact);
                });
            }
        }
        in_order &= ranges == self.max.len();
        if in_order && next <= self.documents && count == self.postings {
            return Ok(());
        }
        Err(self.malformed("postings do not rise, exceed their bounds or are too few or many"))
    }

    /// The error for documents of a range that do not rise, or are of another.
    pub fn not_rising(&self) -> Error {
        self.malformed("documents of a range do not rise")
    }

    #[cold]
    fn malformed(&self, message: &'static str) -> Error {
        self.payload.malformed(Malformed(message))
    }
}

/// The postings of a range, from the ends of the group's ranges, `WIDTH` bytes each, and the
/// postings that follow.
#[inline(always)]
fn chunk<const WIDTH: usize>(group: &[u8], found: FoundRange) -> Option<&[u8]> {
    let (ends, chunks) = group.split_at_checked(found.count * WIDTH)?;
    let end_at = |rank: usize| {
        let end = ends.get(rank * WIDTH..(rank + 1) * WIDTH)?;
        Some(
            end.iter()
                .rev()
                .fold(0, |end, byte| end << 8 | usize::from(*byte)),
        )
    };
    let start = match found.rank {
        0 => 0,
        rank => end_at(rank - 1)?,
    };
    chunks.get(start..end_at(found.rank)?)
}

/// Number of groups of a segment.
pub fn groups_of(documents: u32) -> u32 {
    documents.div_ceil(RANGE_DOCUMENTS * GROUP_RANGES)
}

#[cfg(test)]
mod tests;
