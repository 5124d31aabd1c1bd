//! The one place with vector instructions.
//!
//! The CPU's features are detected at run time. Every level gives the same result as the scalar
//! one, bit for bit, and the scalar code is the definition.
#![allow(unsafe_code)]

mod above;
mod bounds;
mod contributions;
mod dense;
mod expand;
mod look_up;
mod postings;

pub(super) use above::{SLACK, above_f32, above_u32, keep_f32, keep_u32};
pub(super) use bounds::{add_bounds, at_least, share};
pub(super) use contributions::{Bm25Term, Contributions, add_contributions};
pub(super) use dense::{products_f16, products_f32, products_i8, rank, rank_scores, score_of};
pub(super) use look_up::{Found, LOOKED_UP, LookUp};
pub(super) use postings::{MAX_WEIGHT, RangeSums, add_parts, add_scalar};

/// The instruction sets that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// No vector instructions.
    Scalar,
    /// AVX2 with FMA and F16C, and the counting and moving of bits.
    Avx2,
    /// The same and AVX-512 with F, BW and VBMI2.
    Avx512,
}

impl Level {
    /// The best level of this CPU.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2")
                && is_x86_feature_detected!("popcnt")
                && is_x86_feature_detected!("lzcnt")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c");
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vbmi2");
            match (has_avx2, has_avx512) {
                (true, true) => Self::Avx512,
                (true, false) => Self::Avx2,
                _ => Self::Scalar,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::Scalar
    }

    /// Runs a task compiled for this level: what [`Task::run`] does, and what the compiler inlines
    /// into it, uses the level's instructions, popcnt among them.
    #[inline]
    pub fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the CPU has the instructions of the level.
            Self::Avx512 => unsafe { run_avx512(task) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the CPU has the instructions of the level.
            Self::Avx2 => unsafe { run_avx2(task) },
            _ => task.run(),
        }
    }

    /// Every level of this CPU.
    #[cfg(test)]
    pub fn all() -> impl Iterator<Item = Self> {
        let best = Self::detect();
        [Self::Scalar, Self::Avx2, Self::Avx512]
            .into_iter()
            .filter(move |level| *level <= best)
    }
}

/// Work in scalar code that is worth compiling for every level; `run` must be `#[inline(always)]`.
pub(super) trait Task {
    type Output;

    fn run(self) -> Self::Output;
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi2,avx2,bmi1,bmi2,popcnt,lzcnt")]
fn run_avx512<T: Task>(task: T) -> T::Output {
    task.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt,lzcnt")]
fn run_avx2<T: Task>(task: T) -> T::Output {
    task.run()
}

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
