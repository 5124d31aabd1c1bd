//! The scores of all documents of a range, list after list.

use super::Level;
use crate::format::range_list::RangePostings;

/// One sum for each document of a range.
pub(in crate::query) type RangeSums = [u32; 64];

/// No weight may be larger: products with impacts are of 16 bits each.
pub(in crate::query) const MAX_WEIGHT: u32 = i16::MAX as u32;

/// Adds the impacts of lists times their weights to `sums`, until the lists end, or until no sum
/// can reach `min` any more: then it returns false, and the sums are of no use.
///
/// `rest` bounds what the remaining lists together add to any sum; it is lowered by the max of each
/// list that was added.
#[inline(always)]
pub(in crate::query) fn add_parts<'a>(
    level: Level,
    parts: impl Iterator<Item = (u32, RangePostings<'a>)>,
    rest: &mut u32,
    min: u32,
    sums: &mut RangeSums,
) -> bool {
    match level {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx512 => unsafe { x86::add_parts_avx512(parts, rest, min, sums) },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the CPU has the instructions of the level.
        Level::Avx2 => unsafe { x86::add_parts_avx2(parts, rest, min, sums) },
        _ => add_parts_with(parts, rest, min, sums, add_scalar),
    }
}

/// Lists between two computations of the max sum, each of which takes as long as adding a list.
const LISTS_BETWEEN_CHECKS: usize = 4;

#[inline(always)]
fn add_parts_with<'a>(
    parts: impl Iterator<Item = (u32, RangePostings<'a>)>,
    rest: &mut u32,
    min: u32,
    sums: &mut RangeSums,
    add: impl Fn(u32, RangePostings<'a>, &mut RangeSums),
) -> bool {
    for (number, (weight, postings)) in parts.enumerate() {
        if number % LISTS_BETWEEN_CHECKS == LISTS_BETWEEN_CHECKS - 1 && *rest < min {
            let max = sums.iter().fold(0, |max: u32, sum| max.max(*sum));
            if max < min - *rest {
                return false;
            }
        }
        let impacts = postings.impacts().iter();
        let max = impacts.fold(0, |max: u8, impact| max.max(*impact));
        *rest = rest.saturating_sub(weight * u32::from(max));
        add(weight, postings, sums);
    }
    true
}

/// Adds the impacts of a list times its weight to `sums`, one after another.
#[inline(always)]
pub(in crate::query) fn add_scalar(weight: u32, postings: RangePostings<'_>, sums: &mut RangeSums) {
    postings.for_each(|offset, impact| {
        // Offsets are below 64 in every list that a writer makes.
        let sum = &mut sums[usize::from(offset) % 64];
        *sum = sum.wrapping_add(weight * u32::from(impact));
    });
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::super::expand::x86::{expand_avx2, load_avx512};
    use super::{RangePostings, RangeSums, add_parts_with, add_scalar};

    /// The sums stay in four registers, and every list is added in the same few steps, without a
    /// branch for each posting.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi2")]
    pub fn add_parts_avx512<'a>(
        parts: impl Iterator<Item = (u32, RangePostings<'a>)>,
        rest: &mut u32,
        min: u32,
        sums: &mut RangeSums,
    ) -> bool {
        // SAFETY: 64 sums, four times 16.
        let [mut a, mut b, mut c, mut d] = unsafe {
            let at = sums.as_ptr().cast::<__m512i>();
            [0, 1, 2, 3].map(|quarter| _mm512_loadu_si512(at.add(quarter)))
        };
        for (weight, postings) in parts {
            if *rest < min {
                let missing = _mm512_set1_epi32((min - *rest).cast_signed());
                let reached = _mm512_cmpge_epu32_mask(a, missing)
                    | _mm512_cmpge_epu32_mask(b, missing)
                    | _mm512_cmpge_epu32_mask(c, missing)
                    | _mm512_cmpge_epu32_mask(d, missing);
                if reached == 0 {
                    return false;
                }
            }
            let (bits, impacts) = match postings {
                RangePostings::Bits(bits, impacts) => (bits, impacts),
                RangePostings::Offsets(offsets, impacts) => (bits_of(offsets), impacts),
            };
            let packed = load_avx512(impacts);
            *rest = rest.saturating_sub(weight * max_of(packed, impacts.len()));
            let bytes = _mm512_maskz_expand_epi8(bits, packed);
            // As pairs of 16 bits, of which the upper is zero in every impact: one product each.
            let weights = _mm512_set1_epi32(weight.cast_signed());
            let product = |quarter| _mm512_madd_epi16(_mm512_cvtepu8_epi32(quarter), weights);
            a = _mm512_add_epi32(a, product(_mm512_castsi512_si128(bytes)));
            b = _mm512_add_epi32(b, product(_mm512_extracti32x4_epi32::<1>(bytes)));
            c = _mm512_add_epi32(c, product(_mm512_extracti32x4_epi32::<2>(bytes)));
            d = _mm512_add_epi32(d, product(_mm512_extracti32x4_epi32::<3>(bytes)));
        }
        for (quarter, all) in sums.as_chunks_mut::<16>().0.iter_mut().zip([a, b, c, d]) {
            // SAFETY: room for 16 sums.
            unsafe { _mm512_storeu_si512(quarter.as_mut_ptr().cast(), all) };
        }
        true
    }

    /// The max of the first `count` bytes; behind these there are zeros.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn max_of(bytes: __m512i, count: usize) -> u32 {
        let mut all = _mm512_castsi512_si128(bytes);
        if count > 16 {
            let halves = _mm256_max_epu8(
                _mm512_castsi512_si256(bytes),
                _mm512_extracti64x4_epi64::<1>(bytes),
            );
            all = _mm_max_epu8(
                _mm256_castsi256_si128(halves),
                _mm256_extracti128_si256::<1>(halves),
            );
        }
        all = _mm_max_epu8(all, _mm_srli_si128::<8>(all));
        all = _mm_max_epu8(all, _mm_srli_si128::<4>(all));
        all = _mm_max_epu8(all, _mm_srli_si128::<2>(all));
        all = _mm_max_epu8(all, _mm_srli_si128::<1>(all));
        (_mm_cvtsi128_si32(all).cast_unsigned()) & 0xFF
    }

    /// One bit for each of up to eight offsets.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,bmi2")]
    fn bits_of(offsets: &[u8]) -> u64 {
        let there = _bzhi_u32(0xFF, offsets.len().min(8) as u32);
        // SAFETY: only offsets that are there are read.
        let bytes = unsafe { _mm512_maskz_loadu_epi8(u64::from(there), offsets.as_ptr().cast()) };
        let places = _mm512_cvtepu8_epi64(_mm512_castsi512_si128(bytes));
        let bits = _mm512_maskz_sllv_epi64(there as u8, _mm512_set1_epi64(1), places);
        _mm512_reduce_or_epi64(bits).cast_unsigned()
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    pub fn add_parts_avx2<'a>(
        parts: impl Iterator<Item = (u32, RangePostings<'a>)>,
        rest: &mut u32,
        min: u32,
        sums: &mut RangeSums,
    ) -> bool {
        add_parts_with(
            parts,
            rest,
            min,
            sums,
            |weight, postings, sums| match postings {
                RangePostings::Offsets(..) => add_scalar(weight, postings, sums),
                RangePostings::Bits(bits, impacts) => add_bits_avx2(bits, impacts, weight, sums),
            },
        )
    }

    #[inline]
    #[target_feature(enable = "avx2,bmi2")]
    fn add_bits_avx2(bits: u64, impacts: &[u8], weight: u32, sums: &mut RangeSums) {
        let weights = _mm256_set1_epi32(weight.cast_signed());
        let eights = expand_avx2(bits, impacts);
        for (eight, sums) in eights.into_iter().zip(sums.as_chunks_mut::<8>().0) {
            let bytes = _mm_cvtsi64_si128(eight.cast_signed());
            let products = _mm256_madd_epi16(_mm256_cvtepu8_epi32(bytes), weights);
            let at = sums.as_mut_ptr();
            // SAFETY: `at` points to 8 sums.
            unsafe {
                let added = _mm256_add_epi32(_mm256_loadu_si256(at.cast()), products);
                _mm256_storeu_si256(at.cast(), added);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn postings() -> impl Strategy<Value = Vec<(u8, u8)>> {
        let some = prop::collection::btree_map(0u8..64, 1u8..=255, 1..=64);
        let few = prop::collection::btree_map(0u8..64, 1u8..=255, 1..=8);
        prop_oneof![some, few].prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn every_path_equals_the_sum_of_products(
            lists in prop::collection::vec((postings(), 0..=MAX_WEIGHT), 0..12),
            min_share in 0u64..120,
        ) {
            let mut expected = [0u32; 64];
            let mut bounds = Vec::new();
            let mut held = Vec::new();
            for (postings, weight) in &lists {
                let mut bits = 0u64;
                for (offset, impact) in postings {
                    expected[usize::from(*offset)] += weight * u32::from(*impact);
                    bits |= 1 << offset;
                }
                bounds.push(weight * u32::from(postings.iter().map(|p| p.1).max().unwrap()));
                let (offsets, impacts): (Vec<u8>, Vec<u8>) = postings.iter().copied().unzip();
                held.push((*weight, bits, offsets, impacts));
            }
            let best = *expected.iter().max().unwrap();
            let min = (u64::from(best) * min_share / 100).max(1) as u32;
            for level in Level::all() {
                let mut rest: u32 = bounds.iter().sum();
                let parts = held.iter().map(|(weight, bits, offsets, impacts)| {
                    let postings = if offsets.len() <= 8 {
                        RangePostings::Offsets(offsets, impacts)
                    } else {
                        RangePostings::Bits(*bits, impacts)
                    };
                    (*weight, postings)
                });
                let mut sums = [0; 64];
                if add_parts(level, parts, &mut rest, min, &mut sums) {
                    prop_assert_eq!(sums, expected);
                    prop_assert_eq!(rest, 0);
                } else {
                    prop_assert!(best < min, "left early, although {} reaches {}", best, min);
                }
            }
        }
    }
}
