//! From the gaps between numbers to the numbers.

/// Makes rising numbers of the gaps between them: each is the one before, the gap and 1, wrapping;
/// the first follows `previous`. Returns the bits that any of the gaps has.
#[inline]
pub fn add_gaps(previous: u32, gaps: &mut [u32]) -> u32 {
    #[cfg(target_arch = "x86_64")]
    let (fours, rest) = gaps.as_chunks_mut::<4>();
    #[cfg(target_arch = "x86_64")]
    let (previous, all) = x86::add_fours(previous, fours);
    #[cfg(not(target_arch = "x86_64"))]
    let (rest, all) = (gaps, 0);
    all | add_scalar(previous, rest)
}

fn add_scalar(previous: u32, gaps: &mut [u32]) -> u32 {
    let (mut last, mut all) = (previous, 0);
    for gap in gaps {
        all |= *gap;
        last = last.wrapping_add(*gap).wrapping_add(1);
        *gap = last;
    }
    all
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    /// As [`add_gaps`](super::add_gaps), and the last number. Every CPU of the architecture has SSE2.
    #[inline]
    pub fn add_fours(previous: u32, fours: &mut [[u32; 4]]) -> (u32, u32) {
        // SAFETY: SSE2 is there, and each array of four has 16 bytes.
        unsafe {
            let ones = _mm_set1_epi32(1);
            let mut last = _mm_set1_epi32(previous as i32);
            let mut all = _mm_setzero_si128();
            for four in fours {
                let at: *mut __m128i = four.as_mut_ptr().cast();
                let gaps = _mm_loadu_si128(at);
                all = _mm_or_si128(all, gaps);
                let steps = _mm_add_epi32(gaps, ones);
                let pairs = _mm_add_epi32(steps, _mm_slli_si128::<4>(steps));
                let sums = _mm_add_epi32(pairs, _mm_slli_si128::<8>(pairs));
                _mm_storeu_si128(at, _mm_add_epi32(last, sums));
                // Only this addition waits for the four before.
                last = _mm_add_epi32(last, _mm_shuffle_epi32::<0xFF>(sums));
            }
            let all = _mm_or_si128(all, _mm_shuffle_epi32::<0b01_00_11_10>(all));
            let all = _mm_or_si128(all, _mm_shuffle_epi32::<0b10_11_00_01>(all));
            (
                _mm_cvtsi128_si32(last) as u32,
                _mm_cvtsi128_si32(all) as u32,
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn gaps_are_added_up(
            previous in any::<u32>(),
            gaps in prop::collection::vec(prop_oneof![9 => 0u32..9, 1 => any::<u32>()], 0..131),
        ) {
            let (mut expected, mut found) = (gaps.clone(), gaps);
            let bits = add_scalar(previous, &mut expected);
            prop_assert_eq!(add_gaps(previous, &mut found), bits);
            prop_assert_eq!(found, expected);
        }
    }
}
