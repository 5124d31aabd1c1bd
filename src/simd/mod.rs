//! Instruction sets of the CPU, and what sets of documents and columns do with them.
//!
//! The CPU's features are detected at run time. Every level gives the same result as the scalar
//! one, bit for bit, and the scalar code is the definition.
#![allow(unsafe_code)]

mod flags;
mod gaps;
mod packed;

pub use flags::take_flags;
pub use gaps::add_gaps;
pub use packed::select_packed;

/// The instruction sets that are used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
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
pub trait Task {
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
