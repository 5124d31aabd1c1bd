//! Picking the good sums of a window.
//!
//! [`plain`] is the definition. A path with vectors compares 8 or 16 sums at once and, because good ones are rare,
//! mostly moves on after one test.

use crate::format::DocId;

/// Room that must be left behind the results: a vector is stored whole, whatever part of it counts.
pub(in crate::query) const SLACK: usize = 16;

/// The definition: notes the places (`base` plus the index) of all sums greater than `cut`, in order, at the front of
/// `documents`, and returns how many there are.
fn plain<S: PartialOrd + Copy>(sums: &[S], cut: S, base: DocId, documents: &mut [DocId]) -> usize {
    let mut found = 0;
    for (sum, document) in sums.iter().zip(base..) {
        // Noted in any case, and kept by moving on: which are good cannot be foretold.
        documents[found] = document;
        found += usize::from(*sum > cut);
    }
    found
}

/// Writes out the paths for one type of sums: the name of the whole, then how 16 and 8 of them are compared.
macro_rules! paths {
    ($above:ident, $module:ident, $sum:ty, |$cut:ident, $sixteen:ident| $wide:expr, |$cut8:ident, $eight:ident| $narrow:expr) => {
        /// As [`plain`], with the best that the processor has.
        ///
        /// # Panics
        ///
        /// When `documents` has no room for as many as there are sums, plus [`SLACK`].
        #[inline]
        pub(in crate::query) fn $above(
            sums: &[$sum],
            cut: $sum,
            base: DocId,
            documents: &mut [DocId],
        ) -> usize {
            assert!(documents.len() >= sums.len() + SLACK);
            #[cfg(target_arch = "x86_64")]
            {
                if is_x86_feature_detected!("avx512f") {
                    // SAFETY:
                    // - the processor has AVX-512F, as was just asked;
                    // - the output has room for every sum and one vector more, as was just asserted.
                    return unsafe { $module::avx512(sums, cut, base, documents) };
                }
                if is_x86_feature_detected!("avx2") {
                    // SAFETY: the processor has AVX2, as was just asked.
                    return unsafe { $module::avx2(sums, cut, base, documents) };
                }
            }
            plain(sums, cut, base, documents)
        }

        #[cfg(target_arch = "x86_64")]
        mod $module {
            use std::arch::x86_64::*;

            use super::plain;
            use crate::format::DocId;

            /// # Safety
            ///
            /// - The processor has AVX-512F.
            /// - `documents` is at least 16 longer than `sums`.
            #[target_feature(enable = "avx512f")]
            pub unsafe fn avx512(
                sums: &[$sum],
                $cut: $sum,
                base: DocId,
                documents: &mut [DocId],
            ) -> usize {
                let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
                let (blocks, rest) = sums.as_chunks::<16>();
                let (mut found, mut at) = (0, base);
                for $sixteen in blocks {
                    let good: u16 = $wide;
                    if good != 0 {
                        let first = _mm512_set1_epi32(at.cast_signed());
                        let numbers =
                            _mm512_maskz_compress_epi32(good, _mm512_add_epi32(first, lanes));
                        // SAFETY: `found` is at most the number of sums so far, and there is room for 16 more.
                        unsafe {
                            _mm512_storeu_si512(documents.as_mut_ptr().add(found).cast(), numbers);
                        }
                        found += good.count_ones() as usize;
                    }
                    at = at.wrapping_add(16);
                }
                found + plain(rest, $cut, at, &mut documents[found..])
            }

            #[target_feature(enable = "avx2")]
            pub fn avx2(sums: &[$sum], $cut8: $sum, base: DocId, documents: &mut [DocId]) -> usize {
                let (blocks, rest) = sums.as_chunks::<8>();
                let (mut found, mut at) = (0, base);
                for $eight in blocks {
                    let mut good: u32 = $narrow;
                    while good != 0 {
                        documents[found] = at + good.trailing_zeros();
                        found += 1;
                        good &= good - 1;
                    }
                    at = at.wrapping_add(8);
                }
                found + plain(rest, $cut8, at, &mut documents[found..])
            }
        }
    };
}

paths!(
    above_f32,
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
        let good = _mm256_cmp_ps::<_CMP_GT_OQ>(sums, _mm256_set1_ps(cut));
        _mm256_movemask_ps(good).cast_unsigned()
    }
);

paths!(
    above_u32,
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
        let good = _mm256_cmpgt_epi32(_mm256_xor_si256(sums, flip), cut);
        _mm256_movemask_ps(_mm256_castsi256_ps(good)).cast_unsigned()
    }
);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Above<S> = fn(&[S], S, DocId, &mut [DocId]) -> usize;

    fn run<S>(above: Above<S>, sums: &[S], cut: S) -> Vec<DocId> {
        let mut documents = vec![7; sums.len() + SLACK];
        let found = above(sums, cut, 1_000, &mut documents);
        documents.truncate(found);
        documents
    }

    proptest! {
        #[test]
        fn every_path_equals_the_plain_one(
            sums in prop::collection::vec(0u32..9, 0..100),
            high in any::<bool>(),
            cut in 0u32..9,
        ) {
            let raise = if high { u32::MAX - 9 } else { 0 };
            let integers: Vec<u32> = sums.iter().map(|sum| sum + raise).collect();
            let places = (1_000u32..).zip(&sums).filter(|(_, sum)| **sum > cut);
            let expected: Vec<u32> = places.map(|(place, _)| place).collect();
            let floats: Vec<f32> = sums.iter().map(|sum| *sum as f32 / 3.0).collect();
            let mut of_integers: Vec<Above<u32>> = vec![above_u32, plain];
            let mut of_floats: Vec<Above<f32>> = vec![above_f32, plain];
            #[cfg(target_arch = "x86_64")]
            if is_x86_feature_detected!("avx2") {
                // SAFETY: asked for first.
                of_integers.push(|s, c, b, d| unsafe { of_u32::avx2(s, c, b, d) });
                // SAFETY: asked for first.
                of_floats.push(|s, c, b, d| unsafe { of_f32::avx2(s, c, b, d) });
            }
            for path in of_integers {
                prop_assert_eq!(&run(path, &integers, cut + raise), &expected);
            }
            for path in of_floats {
                prop_assert_eq!(&run(path, &floats, cut as f32 / 3.0), &expected);
            }
        }
    }
}
