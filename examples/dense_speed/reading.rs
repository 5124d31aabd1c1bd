//! Reads bytes once, in a few ways, of which the fastest counts.
//!
//! Every inner product must read its rows, so the time of a search is compared with summing the
//! same bytes. The widest loads of the CPU need intrinsics, which is why there is `unsafe` here.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};

/// A way to read, and its name.
pub struct Way {
    pub name: &'static str,
    sum: fn(&[u8]) -> u64,
}

impl Way {
    /// Every way that this CPU supports.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self {
            name: "words",
            sum: words,
        }];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") {
                all.push(Self {
                    name: "32 bytes",
                    // SAFETY: the CPU has the target feature.
                    sum: |bytes| unsafe { x86::sum_avx2(bytes) },
                });
            }
            if is_x86_feature_detected!("avx512f") {
                all.push(Self {
                    name: "64 bytes",
                    // SAFETY: the CPU has the target feature.
                    sum: |bytes| unsafe { x86::sum_avx512::<0>(bytes) },
                });
                all.push(Self {
                    name: "64 bytes, prefetch distance 4 KiB",
                    // SAFETY: the CPU has the target feature.
                    sum: |bytes| unsafe { x86::sum_avx512::<4_096>(bytes) },
                });
                all.push(Self {
                    name: "64 bytes, prefetch distance 16 KiB",
                    // SAFETY: the CPU has the target feature.
                    sum: |bytes| unsafe { x86::sum_avx512::<16_384>(bytes) },
                });
                all.push(Self {
                    name: "64 bytes, eight stretches of 1.5 KiB side by side",
                    // SAFETY: the CPU has the target feature.
                    sum: |bytes| unsafe { x86::sum_side_by_side(bytes) },
                });
            }
        }
        all
    }

    /// Reads once.
    pub fn time(&self, bytes: &[u8]) -> Duration {
        let start = Instant::now();
        black_box((self.sum)(black_box(bytes)));
        start.elapsed()
    }
}

fn words(bytes: &[u8]) -> u64 {
    let mut sums = [0u64; 8];
    for line in bytes.as_chunks::<64>().0 {
        for (sum, word) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
            *sum = sum.wrapping_add(u64::from_le_bytes(*word));
        }
    }
    sums.iter().fold(0, |all, sum| all.wrapping_add(*sum))
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx2")]
    pub fn sum_avx2(bytes: &[u8]) -> u64 {
        let mut sums = [_mm256_setzero_si256(); 4];
        for piece in bytes.as_chunks::<128>().0 {
            for (sum, piece) in sums.iter_mut().zip(piece.as_chunks::<32>().0) {
                // SAFETY: the chunk has 32 bytes.
                let words = unsafe { _mm256_loadu_si256(piece.as_ptr().cast()) };
                *sum = _mm256_add_epi64(*sum, words);
            }
        }
        let all = sums.into_iter().reduce(|a, b| _mm256_add_epi64(a, b));
        all.map_or(0, |all| _mm256_extract_epi64::<0>(all).cast_unsigned())
    }

    fn prefetch(line: *const u8) {
        // SAFETY: a prefetch changes nothing and never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.cast()) };
    }

    /// Prefetches at this distance in bytes, if any.
    #[target_feature(enable = "avx512f")]
    pub fn sum_avx512<const DISTANCE: usize>(bytes: &[u8]) -> u64 {
        let mut sums = [_mm512_setzero_si512(); 8];
        for piece in bytes.as_chunks::<512>().0 {
            for (sum, piece) in sums.iter_mut().zip(piece.as_chunks::<64>().0) {
                if DISTANCE > 0 {
                    prefetch(piece.as_ptr().wrapping_add(DISTANCE));
                }
                // SAFETY: the chunk has 64 bytes.
                let words = unsafe { _mm512_loadu_si512(piece.as_ptr().cast()) };
                *sum = _mm512_add_epi64(*sum, words);
            }
        }
        let all = sums.into_iter().reduce(|a, b| _mm512_add_epi64(a, b));
        all.map_or(0, |all| _mm512_reduce_add_epi64(all).cast_unsigned())
    }

    #[target_feature(enable = "avx512f")]
    pub fn sum_side_by_side(bytes: &[u8]) -> u64 {
        const STRETCH: usize = 1_536;
        let mut sums = [_mm512_setzero_si512(); 8];
        for eight in bytes.as_chunks::<{ 8 * STRETCH }>().0 {
            for place in (0..STRETCH).step_by(64) {
                for (sum, stretch) in sums.iter_mut().zip(eight.as_chunks::<STRETCH>().0) {
                    // SAFETY: 64 bytes are in bounds at this place.
                    let words = unsafe { _mm512_loadu_si512(stretch.as_ptr().add(place).cast()) };
                    *sum = _mm512_add_epi64(*sum, words);
                }
            }
        }
        let all = sums.into_iter().reduce(|a, b| _mm512_add_epi64(a, b));
        all.map_or(0, |all| _mm512_reduce_add_epi64(all).cast_unsigned())
    }
}
