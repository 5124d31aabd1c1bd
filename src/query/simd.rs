//! The one place where vector instructions are written out: picking the good sums of a window.
//!
//! The processor is asked at run time what it can do; every path gives the same result as the plain one,
//! [`plain`], which is the definition. A path with vectors compares 8 or 16 sums at once and, because good ones are rare,
//! mostly moves on after one test.
#![allow(unsafe_code)]

use crate::format::DocId;

/// Room that must be left behind the results: a vector is stored whole, whatever part of it counts.
pub(super) const SLACK: usize = 16;

/// Notes the places (`base` plus the index) of all sums greater than `cut`, in order, at the front of
/// `documents`, and returns how many there are.
///
/// # Panics
///
/// When `documents` has no room for as many as there are sums, plus [`SLACK`].
pub(super) fn above_f32(sums: &[f32], cut: f32, base: DocId, documents: &mut [DocId]) -> usize {
    assert!(documents.len() >= sums.len() + SLACK);
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY:
            // - the processor has AVX-512F, as was just asked;
            // - the outputs have room for every sum and one vector more, as was just asserted.
            return unsafe { x86::above_f32_avx512(sums, cut, base, documents) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, as was just asked; all accesses are checked.
            return unsafe { x86::above_f32_avx2(sums, cut, base, documents) };
        }
    }
    plain(sums, cut, base, documents)
}

/// As [`above_f32`], for integers.
///
/// # Panics
///
/// As [`above_f32`].
pub(super) fn above_u32(sums: &[u32], cut: u32, base: DocId, documents: &mut [DocId]) -> usize {
    assert!(documents.len() >= sums.len() + SLACK);
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY:
            // - the processor has AVX-512F, as was just asked;
            // - the outputs have room for every sum and one vector more, as was just asserted.
            return unsafe { x86::above_u32_avx512(sums, cut, base, documents) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has AVX2, as was just asked; all accesses are checked.
            return unsafe { x86::above_u32_avx2(sums, cut, base, documents) };
        }
    }
    plain(sums, cut, base, documents)
}

/// The definition.
fn plain<S: PartialOrd + Copy>(sums: &[S], cut: S, base: DocId, documents: &mut [DocId]) -> usize {
    let mut found = 0;
    for (sum, document) in sums.iter().zip(base..) {
        // Noted in any case, and kept by moving on: which are good cannot be foretold.
        documents[found] = document;
        found += usize::from(*sum > cut);
    }
    found
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::plain;
    use crate::format::DocId;

    /// The numbers of the lanes, for the documents of a vector.
    #[target_feature(enable = "avx512f")]
    fn lanes() -> __m512i {
        _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)
    }

    /// # Safety
    ///
    /// - The processor has AVX-512F.
    /// - `documents` is at least 16 longer than `sums`.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn above_f32_avx512(
        sums: &[f32],
        cut: f32,
        base: DocId,
        documents: &mut [DocId],
    ) -> usize {
        let (chunks, rest) = sums.as_chunks::<16>();
        let (cuts, lanes) = (_mm512_set1_ps(cut), lanes());
        let (mut found, mut at) = (0, base);
        for chunk in chunks {
            // SAFETY: the chunk has 16 numbers.
            let vector = unsafe { _mm512_loadu_ps(chunk.as_ptr()) };
            let good = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(vector, cuts);
            if good != 0 {
                let numbers = _mm512_add_epi32(_mm512_set1_epi32(at.cast_signed()), lanes);
                let numbers = _mm512_maskz_compress_epi32(good, numbers);
                // SAFETY: `found` is at most the number of sums so far, and there is room for 16 more.
                unsafe {
                    _mm512_storeu_si512(documents.as_mut_ptr().add(found).cast(), numbers);
                }
                found += good.count_ones() as usize;
            }
            at = at.wrapping_add(16);
        }
        found + plain(rest, cut, at, &mut documents[found..])
    }

    /// # Safety
    ///
    /// - The processor has AVX-512F.
    /// - `documents` is at least 16 longer than `sums`.
    #[target_feature(enable = "avx512f")]
    pub unsafe fn above_u32_avx512(
        sums: &[u32],
        cut: u32,
        base: DocId,
        documents: &mut [DocId],
    ) -> usize {
        let (chunks, rest) = sums.as_chunks::<16>();
        let (cuts, lanes) = (_mm512_set1_epi32(cut.cast_signed()), lanes());
        let (mut found, mut at) = (0, base);
        for chunk in chunks {
            // SAFETY: the chunk has 16 numbers.
            let vector = unsafe { _mm512_loadu_si512(chunk.as_ptr().cast()) };
            let good = _mm512_cmpgt_epu32_mask(vector, cuts);
            if good != 0 {
                let numbers = _mm512_add_epi32(_mm512_set1_epi32(at.cast_signed()), lanes);
                let numbers = _mm512_maskz_compress_epi32(good, numbers);
                // SAFETY: `found` is at most the number of sums so far, and there is room for 16 more.
                unsafe {
                    _mm512_storeu_si512(documents.as_mut_ptr().add(found).cast(), numbers);
                }
                found += good.count_ones() as usize;
            }
            at = at.wrapping_add(16);
        }
        found + plain(rest, cut, at, &mut documents[found..])
    }

    /// Notes the lanes that `good` has a bit for.
    #[inline]
    fn note(mut good: u32, at: DocId, found: &mut usize, documents: &mut [DocId]) {
        while good != 0 {
            let lane = good.trailing_zeros();
            documents[*found] = at + lane;
            *found += 1;
            good &= good - 1;
        }
    }

    /// # Safety
    ///
    /// The processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub unsafe fn above_f32_avx2(
        sums: &[f32],
        cut: f32,
        base: DocId,
        documents: &mut [DocId],
    ) -> usize {
        let (chunks, rest) = sums.as_chunks::<8>();
        let cuts = _mm256_set1_ps(cut);
        let (mut found, mut at) = (0, base);
        for chunk in chunks {
            // SAFETY: the chunk has 8 numbers.
            let vector = unsafe { _mm256_loadu_ps(chunk.as_ptr()) };
            let good = _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(vector, cuts));
            note(good.cast_unsigned(), at, &mut found, documents);
            at = at.wrapping_add(8);
        }
        found + plain(rest, cut, at, &mut documents[found..])
    }

    /// # Safety
    ///
    /// The processor has AVX2.
    #[target_feature(enable = "avx2")]
    pub unsafe fn above_u32_avx2(
        sums: &[u32],
        cut: u32,
        base: DocId,
        documents: &mut [DocId],
    ) -> usize {
        let (chunks, rest) = sums.as_chunks::<8>();
        // There is no unsigned comparison: flipping the highest bit makes it signed.
        let flip = _mm256_set1_epi32(i32::MIN);
        let cuts = _mm256_xor_si256(_mm256_set1_epi32(cut.cast_signed()), flip);
        let (mut found, mut at) = (0, base);
        for chunk in chunks {
            // SAFETY: the chunk has 8 numbers.
            let vector = unsafe { _mm256_loadu_si256(chunk.as_ptr().cast()) };
            let greater = _mm256_cmpgt_epi32(_mm256_xor_si256(vector, flip), cuts);
            let good = _mm256_movemask_ps(_mm256_castsi256_ps(greater));
            note(good.cast_unsigned(), at, &mut found, documents);
            at = at.wrapping_add(8);
        }
        found + plain(rest, cut, at, &mut documents[found..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Above<S> = fn(&[S], S, DocId, &mut [DocId]) -> usize;

    /// Every path that this processor has.
    fn paths<S>(all: [Option<Above<S>>; 3]) -> Vec<Above<S>> {
        all.into_iter().flatten().collect()
    }

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
            let expected = run(plain, &integers, cut + raise);
            #[cfg(target_arch = "x86_64")]
            let of_integers = paths::<u32>([
                Some(above_u32),
                // SAFETY: asked for first; `run` leaves room.
                is_x86_feature_detected!("avx2").then_some(|s, c, b, d| unsafe {
                    x86::above_u32_avx2(s, c, b, d)
                }),
                is_x86_feature_detected!("avx512f").then_some(|s, c, b, d| unsafe {
                    x86::above_u32_avx512(s, c, b, d)
                }),
            ]);
            #[cfg(not(target_arch = "x86_64"))]
            let of_integers = paths::<u32>([Some(above_u32), None, None]);
            for path in of_integers {
                prop_assert_eq!(&run(path, &integers, cut + raise), &expected);
            }

            let floats: Vec<f32> = sums.iter().map(|sum| *sum as f32 / 3.0).collect();
            let cut = cut as f32 / 3.0;
            let expected = run(plain, &floats, cut);
            #[cfg(target_arch = "x86_64")]
            let of_floats = paths::<f32>([
                Some(above_f32),
                // SAFETY: asked for first; `run` leaves room.
                is_x86_feature_detected!("avx2").then_some(|s, c, b, d| unsafe {
                    x86::above_f32_avx2(s, c, b, d)
                }),
                is_x86_feature_detected!("avx512f").then_some(|s, c, b, d| unsafe {
                    x86::above_f32_avx512(s, c, b, d)
                }),
            ]);
            #[cfg(not(target_arch = "x86_64"))]
            let of_floats = paths::<f32>([Some(above_f32), None, None]);
            for path in of_floats {
                prop_assert_eq!(&run(path, &floats, cut), &expected);
            }
        }
    }
}
