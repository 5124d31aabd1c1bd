//! The documents of a window whose sums are above a threshold, of all or of some documents.
//!
//! [`scalar`] is the definition. With AVX2, 8 sums are compared at once; documents above the
//! threshold are rare, so that mostly one test is enough for 8. With AVX-512 no branch depends on a
//! sum: every 16 sums give a word of bits, then the words that are not zero are listed, and only
//! these are expanded.

use super::Level;
use crate::format::DocId;

/// Room that must be left behind the results: a vector is always stored whole.
pub(in crate::query) const SLACK: usize = 16;

/// The definition: writes the places (`base` plus the index) of all sums above `cut` to the front
/// of `documents`, in order, and returns how many there are.
fn scalar<S: PartialOrd + Copy>(sums: &[S], cut: S, base: DocId, documents: &mut [DocId]) -> usize {
    let mut found = 0;
    for (sum, document) in sums.iter().zip(base..) {
        // Branch-free: written in any case, and kept by moving on.
        documents[found] = document;
        found += usize::from(*sum > cut);
    }
    found
}

/// The definition: keeps those of `documents` whose sum, at the document less `base`, is above
/// `cut`, in order, at the front, and returns how many they are.
fn keep_scalar<S: PartialOrd + Copy>(
    sums: &[S],
    cut: S,
    base: DocId,
    documents: &mut [DocId],
) -> usize {
    let mut kept = 0;
    for place in 0..documents.len() {
        let document = documents[place];
        documents[kept] = document;
        kept += usize::from(sums[(document - base) as usize] > cut);
    }
    kept
}

/// The functions for one type of sums: names for both, then how 16 and 8 sums are compared.
macro_rules! paths {
    ($above:ident, $keep:ident, $module:ident, $sum:ty, |$cut:ident, $sixteen:ident| $wide:expr, |$cut8:ident, $eight:ident| $narrow:expr) => {
        /// As [`scalar`], with the instructions of a level.
        ///
        /// # Panics
        ///
        /// When `documents` has no room for as many as there are sums, plus [`SLACK`].
        #[inline]
        pub(in crate::query) fn $above(
            level: Level,
            sums: &[$sum],
            cut: $sum,
            base: DocId,
            documents: &mut [DocId],
        ) -> usize {
            assert!(documents.len() >= sums.len() + SLACK);
            match level {
                #[cfg(target_arch = "x86_64")]
                // SAFETY:
                // - the CPU has the instructions of the level;
                // - the output has room for every sum and one vector more, as was just asserted.
                Level::Avx512 => unsafe { $module::avx512(sums, cut, base, documents) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the CPU has the instructions of the level.
                Level::Avx2 => unsafe { $module::avx2(sums, cut, base, documents) },
                _ => scalar(sums, cut, base, documents),
            }
        }

        /// As [`keep_scalar`], with the instructions of a level.
        ///
        /// # Panics
        ///
        /// When a document has no sum.
        #[inline]
        pub(in crate::query) fn $keep(
            level: Level,
            sums: &[$sum],
            cut: $sum,
            base: DocId,
            documents: &mut [DocId],
        ) -> usize {
            match level {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: the CPU has the instructions of the level.
                Level::Avx512 => unsafe { $module::keep_avx512(sums, cut, base, documents) },
                _ => keep_scalar(sums, cut, base, documents),
            }
        }

        #[cfg(target_arch = "x86_64")]
        mod $module {
            use std::arch::x86_64::*;

            use super::x86::{WORDS, list_bits};
            use super::{DocId, scalar};

            /// # Safety
            ///
            /// - The CPU has AVX-512F, AVX-512BW and AVX-512VBMI2.
            /// - `documents` is at least 16 longer than `sums`.
            #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
            pub unsafe fn avx512(
                sums: &[$sum],
                $cut: $sum,
                base: DocId,
                documents: &mut [DocId],
            ) -> usize {
                let (blocks, rest) = sums.as_chunks::<16>();
                let (mut found, mut at) = (0, base);
                for blocks in blocks.chunks(WORDS) {
                    let mut words = [0u16; WORDS];
                    for (word, $sixteen) in words.iter_mut().zip(blocks) {
                        *word = $wide;
                    }
                    // SAFETY: each of up to `WORDS` blocks has 16 sums, and there is room for these
                    // and 16 more from `found` on.
                    found += unsafe { list_bits(&words, at, documents.as_mut_ptr().add(found)) };
                    at = at.wrapping_add(16 * blocks.len() as u32);
                }
                found + scalar(rest, $cut, at, &mut documents[found..])
            }

            #[target_feature(enable = "avx512f,bmi2,popcnt")]
            pub fn keep_avx512(
                sums: &[$sum],
                $cut: $sum,
                base: DocId,
                documents: &mut [DocId],
            ) -> usize {
                let end = i32::try_from(sums.len()).unwrap_or(i32::MAX);
                let (end, base) = (
                    _mm512_set1_epi32(end),
                    _mm512_set1_epi32(base.cast_signed()),
                );
                let mut kept = 0;
                for first in (0..documents.len()).step_by(16) {
                    let there = _bzhi_u32(0xFFFF, (documents.len() - first).min(16) as u32);
                    let there = there as __mmask16;
                    // SAFETY: only documents that are there are read.
                    let numbers = unsafe {
                        let at = documents.as_ptr().add(first);
                        _mm512_maskz_loadu_epi32(there, at.cast())
                    };
                    let places = _mm512_sub_epi32(numbers, base);
                    let fit = _mm512_mask_cmplt_epu32_mask(there, places, end);
                    assert!(
                        fit == there,
                        "a document outside of the window was to be kept"
                    );
                    // SAFETY: every place is that of a sum, as was just asserted, and below 2^31.
                    let gathered = unsafe {
                        let zero = _mm512_setzero_si512();
                        let at = sums.as_ptr().cast();
                        _mm512_mask_i32gather_epi32::<4>(zero, there, places, at)
                    };
                    let mut sixteen = [<$sum>::default(); 16];
                    // SAFETY: there is room for 16 numbers of 32 bits.
                    unsafe { _mm512_storeu_si512(sixteen.as_mut_ptr().cast(), gathered) };
                    let $sixteen = &sixteen;
                    let above: u16 = $wide;
                    let above = above & there;
                    // SAFETY: at most as many documents are written as were read, none behind
                    // those.
                    unsafe {
                        let at = documents.as_mut_ptr().add(kept);
                        _mm512_mask_compressstoreu_epi32(at.cast(), above, numbers);
                    }
                    kept += above.count_ones() as usize;
                }
                kept
            }

            #[target_feature(enable = "avx2")]
            pub fn avx2(sums: &[$sum], $cut8: $sum, base: DocId, documents: &mut [DocId]) -> usize {
                let (blocks, rest) = sums.as_chunks::<8>();
                let (mut found, mut at) = (0, base);
                for $eight in blocks {
                    let mut above: u32 = $narrow;
                    while above != 0 {
                        documents[found] = at + above.trailing_zeros();
                        found += 1;
                        above &= above - 1;
                    }
                    at = at.wrapping_add(8);
                }
                found + scalar(rest, $cut8, at, &mut documents[found..])
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use crate::format::DocId;

    /// Words of bits that are worked on together.
    pub(super) const WORDS: usize = 128;

    /// Writes the places of all bits set, counted from `base`, in order, and returns how many there
    /// are.
    ///
    /// # Safety
    ///
    /// - The CPU has AVX-512F, AVX-512BW and AVX-512VBMI2.
    /// - There is room for as many places as bits are set and 16 more.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,popcnt")]
    pub(super) unsafe fn list_bits(words: &[u16; WORDS], base: DocId, places: *mut DocId) -> usize {
        let mut filled = [0u16; WORDS + 32];
        let mut count = 0;
        let mut numbers = _mm512_set_epi16(
            31, 30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10,
            9, 8, 7, 6, 5, 4, 3, 2, 1, 0,
        );
        for words in words.as_chunks::<32>().0 {
            // SAFETY: there are 32 words; `count` is at most the number of words before, with room for 32 more behind.
            unsafe {
                let words = _mm512_loadu_si512(words.as_ptr().cast());
                let set = _mm512_test_epi16_mask(words, words);
                let listed = _mm512_maskz_compress_epi16(set, numbers);
                _mm512_storeu_si512(filled.as_mut_ptr().add(count).cast(), listed);
                count += set.count_ones() as usize;
            }
            numbers = _mm512_add_epi16(numbers, _mm512_set1_epi16(32));
        }
        let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
        let mut found = 0;
        for number in filled.iter().take(count) {
            let word = words[usize::from(*number) % WORDS];
            let first = base.wrapping_add(16 * u32::from(*number));
            let all = _mm512_add_epi32(_mm512_set1_epi32(first.cast_signed()), lanes);
            // SAFETY: the caller left room for all places and 16 more.
            unsafe {
                let listed = _mm512_maskz_compress_epi32(word, all);
                _mm512_storeu_si512(places.add(found).cast(), listed);
            }
            found += word.count_ones() as usize;
        }
        found
    }
}

paths!(
    above_f32,
    keep_f32,
    of_f32,
    f32,
    |cut, sums| {
        // SAFETY: there are 16 sums.
        let sums = unsafe { _mm512_loadu_ps(sums.as_ptr()) };
        _mm512_cmp_ps_mask::<_CMP_GT_OQ>(sums, _mm512_set1_ps(cut))
    },
    |cut, sums| {
        // SAFETY: there are 8 sums.
        let sums = unsafe { _mm256_loadu_ps(sums.as_ptr()) };
        let above = _mm256_cmp_ps::<_CMP_GT_OQ>(sums, _mm256_set1_ps(cut));
        _mm256_movemask_ps(above).cast_unsigned()
    }
);

paths!(
    above_u32,
    keep_u32,
    of_u32,
    u32,
    |cut, sums| {
        // SAFETY: there are 16 sums.
        let sums = unsafe { _mm512_loadu_si512(sums.as_ptr().cast()) };
        _mm512_cmpgt_epu32_mask(sums, _mm512_set1_epi32(cut.cast_signed()))
    },
    |cut, sums| {
        // SAFETY: there are 8 sums.
        let sums = unsafe { _mm256_loadu_si256(sums.as_ptr().cast()) };
        // There is no unsigned comparison: flipping the highest bit makes it signed.
        let flip = _mm256_set1_epi32(i32::MIN);
        let cut = _mm256_xor_si256(_mm256_set1_epi32(cut.cast_signed()), flip);
        let above = _mm256_cmpgt_epi32(_mm256_xor_si256(sums, flip), cut);
        _mm256_movemask_ps(_mm256_castsi256_ps(above)).cast_unsigned()
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Above<S> = fn(Level, &[S], S, DocId, &mut [DocId]) -> usize;

    fn run<S>(above: Above<S>, level: Level, sums: &[S], cut: S) -> Vec<DocId> {
        let mut documents = vec![7; sums.len() + SLACK];
        let found = above(level, sums, cut, 1_000, &mut documents);
        documents.truncate(found);
        documents
    }

    proptest! {
        #[test]
        fn every_level_equals_the_scalar_one(
            sums in prop_oneof![
                prop::collection::vec(0u32..9, 0..100),
                prop::collection::vec(0u32..9, 2_000..5_000),
            ],
            high in any::<bool>(),
            cut in 0u32..9,
            step in 1usize..40,
        ) {
            let raise = if high { u32::MAX - 9 } else { 0 };
            let integers: Vec<u32> = sums.iter().map(|sum| sum + raise).collect();
            let places = (1_000u32..).zip(&sums).filter(|(_, sum)| **sum > cut);
            let expected: Vec<u32> = places.map(|(place, _)| place).collect();
            let floats: Vec<f32> = sums.iter().map(|sum| *sum as f32 / 3.0).collect();
            for level in Level::all() {
                prop_assert_eq!(&run(above_u32, level, &integers, cut + raise), &expected);
                prop_assert_eq!(&run(above_f32, level, &floats, cut as f32 / 3.0), &expected);
                let some: Vec<u32> = (1_000..1_000 + sums.len() as u32).step_by(step).collect();
                let expected: Vec<u32> =
                    expected.iter().copied().filter(|d| some.contains(d)).collect();
                let mut of_integers = some.clone();
                let kept = keep_u32(level, &integers, cut + raise, 1_000, &mut of_integers);
                prop_assert_eq!(&of_integers[..kept], &expected);
                let mut of_floats = some;
                let kept = keep_f32(level, &floats, cut as f32 / 3.0, 1_000, &mut of_floats);
                prop_assert_eq!(&of_floats[..kept], &expected);
            }
        }
    }
}
