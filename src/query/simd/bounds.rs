//! Upper bounds of the scores in all ranges of a segment, 16 bits each.

use super::Level;
use crate::format::range_list::RangeGroup;

/// Ranges of a group.
const GROUP: usize = 64;

/// Adds a list's part to the bounds of ranges: in every range that has postings of the list, its
/// max impact times `weight`, over 256, plus one.
///
/// `max_impacts` has a byte for each bit set in the groups, `bounds` 64 elements for each group.
/// Sums saturate at 65,535.
pub(in crate::query) fn add_bounds(
    level: Level,
    groups: &[RangeGroup],
    max_impacts: &[u8],
    weight: u16,
    bounds: &mut [u16],
) {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx512 => unsafe { x86::add_avx512(groups, max_impacts, weight, bounds) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx2 => unsafe { x86::add_avx2(groups, max_impacts, weight, bounds) },
        _ => add_scalar(groups, max_impacts, weight, bounds),
    }
}

fn add_scalar(groups: &[RangeGroup], max_impacts: &[u8], weight: u16, bounds: &mut [u16]) {
    for (group, bounds) in groups.iter().zip(bounds.as_chunks_mut::<GROUP>().0) {
        let mut max_impacts = max_impacts.get(group.first()..).unwrap_or_default().iter();
        let mut present = group.present();
        while present != 0 {
            let bound = &mut bounds[present.trailing_zeros() as usize];
            let impact = max_impacts.next().copied().unwrap_or(0);
            *bound = bound.saturating_add(share(impact, weight));
            present &= present - 1;
        }
    }
}

/// An impact times a weight, over 256, rounded up.
#[inline]
pub(in crate::query) fn share(impact: u8, weight: u16) -> u16 {
    // At most 255 · 65,535 / 256 + 1, which fits.
    (u32::from(impact) * u32::from(weight) / 256 + 1) as u16
}

/// Collects the places of all bounds from `min` up to `below`, exclusive, in order.
pub(in crate::query) fn at_least(
    level: Level,
    bounds: &[u16],
    min: u16,
    below: u32,
    places: &mut Vec<u32>,
) {
    places.clear();
    let max = u16::try_from(below.saturating_sub(1)).unwrap_or(u16::MAX);
    if below == 0 {
        return;
    }
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx512 => unsafe { x86::at_least_avx512(bounds, min, max, places) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx2 => unsafe { x86::at_least_avx2(bounds, min, max, places) },
        _ => at_least_scalar(bounds, min, max, places),
    }
}

/// Lane by lane within eight at a time, which mostly have none.
#[inline(always)]
fn at_least_scalar(bounds: &[u16], min: u16, max: u16, places: &mut Vec<u32>) {
    let is_in = |bound: u16| min <= bound && bound <= max;
    for (bounds, base) in bounds.chunks(32).zip((0u32..).step_by(32)) {
        if bounds.iter().fold(false, |any, bound| any | is_in(*bound)) {
            let found = bounds
                .iter()
                .zip(base..)
                .filter(|(bound, _)| is_in(**bound));
            places.extend(found.map(|(_, place)| place));
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::expand::x86::{expand_avx2, expand_avx512};
    use super::{GROUP, RangeGroup, at_least_scalar};

    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi2")]
    pub fn add_avx512(groups: &[RangeGroup], max_impacts: &[u8], weight: u16, bounds: &mut [u16]) {
        let (weights, one) = (
            _mm512_set1_epi16(weight.cast_signed()),
            _mm512_set1_epi16(1),
        );
        for (group, bounds) in groups.iter().zip(bounds.as_chunks_mut::<GROUP>().0) {
            let present = group.present();
            if present == 0 {
                continue;
            }
            let of_group = max_impacts.get(group.first()..).unwrap_or_default();
            let impacts = expand_avx512(present, of_group);
            let low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(impacts));
            let high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(impacts));
            for (half, impacts) in [low, high].into_iter().enumerate() {
                let shares = _mm512_mulhi_epu16(_mm512_slli_epi16::<8>(impacts), weights);
                let there = (present >> (32 * half)) as u32;
                let shares = _mm512_mask_add_epi16(shares, there, shares, one);
                let at = bounds[32 * half..].as_mut_ptr();
                // SAFETY: `at` points to 32 bounds: the first or second half of 64.
                unsafe {
                    let sums = _mm512_adds_epu16(_mm512_loadu_si512(at.cast()), shares);
                    _mm512_storeu_si512(at.cast(), sums);
                }
            }
        }
    }

    #[target_feature(enable = "avx2,bmi2")]
    pub fn add_avx2(groups: &[RangeGroup], max_impacts: &[u8], weight: u16, bounds: &mut [u16]) {
        let weights = _mm256_set1_epi16(weight.cast_signed());
        let bits = _mm256_setr_epi16(
            1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, -32768,
        );
        for (group, bounds) in groups.iter().zip(bounds.as_chunks_mut::<GROUP>().0) {
            let present = group.present();
            if present == 0 {
                continue;
            }
            let of_group = max_impacts.get(group.first()..).unwrap_or_default();
            let impacts = expand_avx2(present, of_group);
            let (pairs, _) = impacts.as_chunks::<2>();
            let sixteens = pairs.iter().zip(bounds.as_chunks_mut::<16>().0);
            for ((pair, bounds), number) in sixteens.zip(0..) {
                let bytes = _mm_set_epi64x(pair[1].cast_signed(), pair[0].cast_signed());
                let impacts = _mm256_slli_epi16::<8>(_mm256_cvtepu8_epi16(bytes));
                let shares = _mm256_mulhi_epu16(impacts, weights);
                // All bits of a lane, which is -1, where its range is there.
                let there = _mm256_set1_epi16((present >> (16 * number)) as i16);
                let there = _mm256_cmpeq_epi16(_mm256_and_si256(there, bits), bits);
                let shares = _mm256_sub_epi16(shares, there);
                let at = bounds.as_mut_ptr();
                // SAFETY: `at` points to 16 bounds.
                unsafe {
                    let sums = _mm256_adds_epu16(_mm256_loadu_si256(at.cast()), shares);
                    _mm256_storeu_si256(at.cast(), sums);
                }
            }
        }
    }

    /// The scalar code, compiled for this level.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi2")]
    pub fn at_least_avx512(bounds: &[u16], min: u16, max: u16, places: &mut Vec<u32>) {
        at_least_scalar(bounds, min, max, places);
    }

    /// The scalar code, compiled for this level.
    #[target_feature(enable = "avx2,bmi2")]
    pub fn at_least_avx2(bounds: &[u16], min: u16, max: u16, places: &mut Vec<u32>) {
        at_least_scalar(bounds, min, max, places);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Section;
    use crate::format::range_list::{RangeList, RangeListEncoder};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_level_equals_the_scalar_one(
            postings in prop::collection::btree_map(0u32..70_000, 1u32..=255, 1..600),
            weight in any::<u16>(),
            min in any::<u16>(),
            below in 0u32..=65_536,
        ) {
            let documents: Vec<u32> = postings.keys().copied().collect();
            let impacts: Vec<u32> = postings.values().copied().collect();
            let mut bytes = Vec::new();
            RangeListEncoder::default().encode(&documents, &impacts, 70_000, &mut bytes).unwrap();
            let length = bytes.len() as u64;
            let section = Section::from_bytes("impacts", bytes);
            let list = RangeList::open(&section, 70_000, documents.len() as u32, 0, length).unwrap();
            let before: Vec<u16> = (0..list.groups().len() * GROUP).map(|i| (i * 977) as u16).collect();
            let mut expected = before.clone();
            for (range, bound) in expected.iter_mut().enumerate() {
                let of_range = postings.range(range as u32 * 64..(range as u32 + 1) * 64);
                if let Some(max) = of_range.map(|(_, impact)| *impact).max() {
                    *bound = bound.saturating_add((max * u32::from(weight) / 256 + 1) as u16);
                }
            }
            let is_in = |bound: &u16| *bound >= min && u32::from(*bound) < below;
            let noted: Vec<u32> = (0..).zip(&expected).filter(|(_, b)| is_in(b)).map(|(p, _)| p).collect();
            for level in Level::all() {
                let mut bounds = before.clone();
                add_bounds(level, list.groups(), list.max_impacts(), weight, &mut bounds);
                prop_assert_eq!(&bounds, &expected);
                let mut places = vec![7];
                at_least(level, &bounds, min, below, &mut places);
                prop_assert_eq!(&places, &noted);
            }
        }
    }
}
