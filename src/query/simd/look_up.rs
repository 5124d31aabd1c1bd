//! Looking up documents in a decoded block.
//!
//! Branch-free: the number of eight parts' last documents that are below a document says in which
//! part it would be, and which of the part's documents is equal gives its place.

use std::ops::Range;

use super::Level;
use crate::format::DocId;
use crate::format::block::{BLOCK_POSTINGS, DecodedBlock};

/// Documents that can be noted at a time.
pub(in crate::query) const LOOKED_UP: usize = 64;

/// Documents that were found, with their values and their places among those looked up.
pub(in crate::query) struct Found {
    pub count: usize,
    documents: [DocId; LOOKED_UP],
    values: [u32; LOOKED_UP],
    places: [u32; LOOKED_UP],
}

impl Found {
    /// The documents.
    #[inline]
    pub fn documents(&self) -> &[DocId] {
        &self.documents[..self.count]
    }

    /// Their values.
    #[inline]
    pub fn values(&self) -> &[u32] {
        &self.values[..self.count]
    }

    /// Their places.
    #[inline]
    pub fn places(&self) -> impl Iterator<Item = usize> {
        let places = self.places[..self.count].iter();
        places.map(|place| *place as usize)
    }

    /// How many more documents can be looked up before those found must be taken.
    #[inline]
    pub fn room(&self) -> usize {
        LOOKED_UP - self.count
    }
}

impl Default for Found {
    fn default() -> Self {
        Self {
            count: 0,
            documents: [0; LOOKED_UP],
            values: [0; LOOKED_UP],
            places: [0; LOOKED_UP],
        }
    }
}

const PART: usize = 16;
const PARTS: usize = BLOCK_POSTINGS / PART;

/// A block's documents in parts, and the last of each part.
struct Parts<'a> {
    lasts: [DocId; PARTS],
    parts: &'a [[DocId; PART]],
}

impl<'a> Parts<'a> {
    #[inline(always)]
    fn new(block: &'a DecodedBlock) -> Self {
        let (parts, _) = block.documents.as_chunks::<PART>();
        let mut lasts = [DocId::MAX; PARTS];
        for (last, part) in lasts.iter_mut().zip(parts) {
            *last = part[PART - 1];
        }
        Self { lasts, parts }
    }

    /// The part where a document would be, given how many parts end before it.
    #[inline(always)]
    fn part(&self, before: usize) -> (usize, &[DocId; PART]) {
        (before % PARTS, &self.parts[before % PARTS])
    }
}

/// Finds those of `documents` that a block has, and adds them to `found`, which has
/// [room](Found::room) for all. `first` is the place of the first. None of the documents is above the
/// block's last, and behind this the block's array has only larger numbers.
#[inline]
pub(in crate::query) fn find_in_block(
    level: Level,
    block: &DecodedBlock,
    documents: &[DocId],
    first: usize,
    found: &mut Found,
) {
    debug_assert!(documents.len() <= found.room());
    let documents = &documents[..documents.len().min(found.room())];
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx512 => unsafe { x86::find_avx512(block, documents, first, found) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx2 => unsafe { x86::find_avx2(block, documents, first, found) },
        _ => find_scalar(block, documents, first, found),
    }
}

/// Keeps those of the documents of a range that a block has, or those that it does not have, and moves
/// them together from place `to` on, which is not behind the range. Returns where they end.
/// Otherwise as
/// [`find_in_block`].
#[inline]
pub(in crate::query) fn keep_in_block(
    level: Level,
    block: &DecodedBlock,
    documents: &mut [DocId],
    (range, to): (Range<usize>, usize),
    are_kept: bool,
) -> usize {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx512 => unsafe { x86::keep_avx512(block, documents, (range, to), are_kept) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx2 => unsafe { x86::keep_avx2(block, documents, (range, to), are_kept) },
        _ => keep_scalar(block, documents, (range, to), are_kept),
    }
}

/// The loops over documents, around what says where one of them is in the block and whether it is
/// there.
macro_rules! loops {
    ($find:ident, $keep:ident, $place:ident $(, $features:literal)?) => {
        $(#[target_feature(enable = $features)])?
        pub(super) fn $find(
            block: &DecodedBlock,
            documents: &[DocId],
            first: usize,
            found: &mut Found,
        ) {
            let parts = Parts::new(block);
            let mut count = found.count;
            for (place, document) in (first as u32..).zip(documents) {
                let (at, is_here) = $place(&parts, *document);
                // Noted in any case, and kept by moving on.
                let to = count % LOOKED_UP;
                found.documents[to] = *document;
                found.values[to] = block.values[at % BLOCK_POSTINGS];
                found.places[to] = place;
                count += usize::from(is_here);
            }
            found.count = count.min(LOOKED_UP);
        }

        $(#[target_feature(enable = $features)])?
        pub(super) fn $keep(
            block: &DecodedBlock,
            documents: &mut [DocId],
            (range, mut to): (Range<usize>, usize),
            are_kept: bool,
        ) -> usize {
            let parts = Parts::new(block);
            for place in range {
                let document = documents[place];
                let (_, is_here) = $place(&parts, document);
                documents[to] = document;
                to += usize::from(is_here == are_kept);
            }
            to
        }
    };
}

loops!(find_scalar, keep_scalar, place_scalar);

fn place_scalar(parts: &Parts<'_>, document: DocId) -> (usize, bool) {
    let before = parts.lasts.iter().filter(|last| **last < document).count();
    let (part, documents) = parts.part(before);
    match documents.iter().position(|other| *other == document) {
        Some(place) => (part * PART + place, true),
        None => (0, false),
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::*;

    loops!(
        find_avx512,
        keep_avx512,
        place_avx512,
        "avx512f,popcnt,bmi1"
    );
    loops!(find_avx2, keep_avx2, place_avx2, "avx2,popcnt,bmi1");

    #[inline]
    #[target_feature(enable = "avx512f,popcnt,bmi1")]
    fn place_avx512(parts: &Parts<'_>, document: DocId) -> (usize, bool) {
        let all = _mm512_set1_epi32(document as i32);
        // SAFETY: there are 8 lasts.
        let lasts = unsafe { _mm256_loadu_si256(parts.lasts.as_ptr().cast()) };
        let below = _mm512_cmplt_epu32_mask(_mm512_zextsi256_si512(lasts), all);
        let (part, documents) = parts.part((below & 0xFF).count_ones() as usize);
        // SAFETY: a part has 16 documents.
        let documents = unsafe { _mm512_loadu_si512(documents.as_ptr().cast()) };
        let equal = u32::from(_mm512_cmpeq_epi32_mask(documents, all));
        (part * PART + equal.trailing_zeros() as usize, equal != 0)
    }

    #[inline]
    #[target_feature(enable = "avx2,popcnt,bmi1")]
    fn place_avx2(parts: &Parts<'_>, document: DocId) -> (usize, bool) {
        let all = _mm256_set1_epi32(document as i32);
        // SAFETY: there are 8 lasts.
        let lasts = unsafe { _mm256_loadu_si256(parts.lasts.as_ptr().cast()) };
        // A last is not below a document when the larger of both is the last.
        let reaches = _mm256_cmpeq_epi32(_mm256_max_epu32(lasts, all), lasts);
        let reaches = _mm256_movemask_ps(_mm256_castsi256_ps(reaches)) as u32;
        let (part, documents) = parts.part((!reaches & 0xFF).count_ones() as usize);
        // SAFETY: a part has 16 documents.
        let equal = unsafe {
            let at = documents.as_ptr();
            [at, at.add(8)].map(|at| {
                let equal = _mm256_cmpeq_epi32(_mm256_loadu_si256(at.cast()), all);
                _mm256_movemask_ps(_mm256_castsi256_ps(equal)) as u32
            })
        };
        let equal = equal[0] | equal[1] << 8;
        (part * PART + equal.trailing_zeros() as usize, equal != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_there_is_found(
            postings in prop::collection::btree_map(0u32..400, any::<u32>(), 1..=BLOCK_POSTINGS),
            asked in prop::collection::btree_set(0u32..400, 0..LOOKED_UP),
        ) {
            let mut block = DecodedBlock::default();
            block.documents.fill(DocId::MAX);
            for (place, (document, value)) in postings.iter().enumerate() {
                block.documents[place] = *document;
                block.values[place] = *value;
            }
            block.len = postings.len();
            let last = *postings.keys().last().unwrap();
            let asked: Vec<DocId> = asked.into_iter().filter(|document| *document <= last).collect();
            let there = asked.iter().filter_map(|d| postings.get(d).map(|value| (*d, *value)));
            let expected: Vec<(DocId, u32)> = there.collect();
            let are_there = asked.iter().enumerate().filter(|(_, d)| postings.contains_key(d));
            let places: Vec<usize> = are_there.map(|(place, _)| place).collect();
            for level in Level::all() {
                let mut found = Found::default();
                find_in_block(level, &block, &asked, 0, &mut found);
                let pairs = found.documents().iter().copied().zip(found.values().iter().copied());
                prop_assert_eq!(&pairs.collect::<Vec<_>>(), &expected);
                prop_assert_eq!(&found.places().collect::<Vec<_>>(), &places);
                let (room, count) = (found.room(), found.count);
                find_in_block(level, &block, &asked[..asked.len().min(room)], 100, &mut found);
                prop_assert!(found.places().skip(count).all(|place| place >= 100));
                prop_assert!(found.documents().iter().all(|d| postings.contains_key(d)));
                for are_kept in [false, true] {
                    let mut documents = [&[7, 7], &asked[..]].concat();
                    let range = 2..documents.len();
                    let end = keep_in_block(level, &block, &mut documents, (range, 1), are_kept);
                    let kept = asked.iter().filter(|d| postings.contains_key(d) == are_kept);
                    prop_assert_eq!(&documents[1..end], &kept.copied().collect::<Vec<_>>());
                }
            }
        }
    }
}
