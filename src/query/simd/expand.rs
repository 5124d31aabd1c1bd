//! Bytes of the bits set in a word, moved to the places of their bits.
//!
//! Lists keep one byte for each range or document that is there, and a bit for each that could be.
//! To process all at once, the bytes are expanded, with a zero for each bit that is not set.

/// The definition: byte i of the result is the next of `bytes` if bit i of `bits` is set, and else
/// zero. Missing bytes are zero.
#[cfg(test)]
pub(super) fn scalar(bits: u64, bytes: &[u8]) -> [u8; 64] {
    let mut bytes = bytes.iter();
    std::array::from_fn(|place| {
        if bits >> place & 1 == 1 {
            bytes.next().copied().unwrap_or(0)
        } else {
            0
        }
    })
}

#[cfg(target_arch = "x86_64")]
pub(super) mod x86 {
    use std::arch::x86_64::*;

    /// The first 64 bytes, with zeros where there are fewer.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,bmi2")]
    pub fn load_avx512(bytes: &[u8]) -> __m512i {
        let there = _bzhi_u64(u64::MAX, bytes.len().min(64) as u32);
        // SAFETY: only bytes that are there are read.
        unsafe { _mm512_maskz_loadu_epi8(there, bytes.as_ptr().cast()) }
    }

    /// As [`scalar`](super::scalar), with one instruction.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,bmi2")]
    pub fn expand_avx512(bits: u64, bytes: &[u8]) -> __m512i {
        let packed = load_avx512(bytes);
        _mm512_maskz_expand_epi8(bits, packed)
    }

    /// As [`scalar`](super::scalar), eight bytes at a time.
    #[inline]
    #[target_feature(enable = "avx2,bmi2")]
    pub fn expand_avx2(bits: u64, bytes: &[u8]) -> [u64; 8] {
        const EACH: u64 = 0x0101_0101_0101_0101;
        let mut rest = bytes;
        bits.to_le_bytes().map(|bits| {
            let next = match rest.first_chunk::<8>() {
                Some(eight) => u64::from_le_bytes(*eight),
                None => {
                    let mut eight = [0; 8];
                    eight[..rest.len()].copy_from_slice(rest);
                    u64::from_le_bytes(eight)
                }
            };
            rest = rest.get(bits.count_ones() as usize..).unwrap_or_default();
            let places = _pdep_u64(u64::from(bits), EACH) * 0xFF;
            _pdep_u64(next, places)
        })
    }

    #[cfg(test)]
    mod tests {
        use super::super::scalar;
        use super::*;
        use crate::query::simd::Level;
        use proptest::prelude::*;

        proptest! {
            #[test]
            fn every_level_equals_the_scalar_one(
                bits in any::<u64>(),
                bytes in prop::collection::vec(any::<u8>(), 0..90),
            ) {
                let expected = scalar(bits, &bytes);
                if Level::detect() >= Level::Avx2 {
                    // SAFETY: the features were checked.
                    let found = unsafe { expand_avx2(bits, &bytes) }.map(u64::to_le_bytes);
                    prop_assert_eq!(found.as_flattened(), &expected[..]);
                }
                if Level::detect() == Level::Avx512 {
                    let mut found = [0u8; 64];
                    // SAFETY: the features were checked, and there is room for 64 bytes.
                    unsafe {
                        _mm512_storeu_si512(found.as_mut_ptr().cast(), expand_avx512(bits, &bytes));
                    }
                    prop_assert_eq!(&found[..], &expected[..]);
                }
            }
        }
    }
}
