//! Vector instructions of queries.
//!
//! Every level gives the same result as the scalar one, bit for bit, and the scalar code is the
//! definition.
#![allow(unsafe_code)]

mod above;
mod bounds;
mod contributions;
mod dense;
mod expand;
mod look_up;
mod postings;

pub(super) use crate::simd::{Level, Task};
pub(super) use above::{SLACK, above_f32, above_u32, keep_f32, keep_u32};
pub(super) use bounds::{add_bounds, at_least, share};
pub(super) use contributions::{Bm25Term, Contributions, add_contributions};
pub(super) use dense::{products_f16, products_f32, products_i8, rank, rank_scores, score_of};
pub(super) use look_up::{Found, LOOKED_UP, find_in_block, keep_in_block};
pub(super) use postings::{MAX_WEIGHT, RangeSums, add_parts, add_scalar};

/// Prefetches the first bytes of `bytes`.
#[inline]
pub(super) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if !bytes.is_empty() {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch changes nothing and never faults, at any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}
