//! Holds a backend against the [`Reference`], operation by operation, on random shapes and numbers.
//!
//! Shapes reach every tail: rows, columns and lengths are drawn around the sizes that kernels work in. For a backend that multiplies
//! rounded numbers, what goes into products is rounded for the reference too, so that only the order of sums and the rounding of sums differ.

mod products;
mod rows;
mod sequences;

use super::{Backend, Reference};
use crate::error::{Error, Result};

/// How close a backend must be.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// Largest difference, as a part of the greatest number of the result or of 1.
    pub difference: f32,
    /// Numbers that go into products of linear layers are rounded to bf16 first.
    pub is_bf16: bool,
    /// Every tensor and table is of bf16 numbers: only such are drawn, and what comes out is rounded.
    pub stores_bf16: bool,
}

/// Operations that are drawn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Rows of tables, summed.
    Embed,
    /// Linear layers with activations, residuals, norms.
    Linear,
    /// Gated layers.
    Gated,
    /// Norms, sums, unit rows, neighbours.
    Rows,
    /// Attention with all kinds of positions.
    Attention,
    /// Pooling of all kinds.
    Pooling,
    /// Sparse vectors.
    Splade,
    /// Late interaction.
    MaxSim,
    /// The nearest vectors.
    Nearest,
}

/// All operations.
pub const OPERATIONS: [Operation; 9] = [
    Operation::Embed,
    Operation::Linear,
    Operation::Gated,
    Operation::Rows,
    Operation::Attention,
    Operation::Pooling,
    Operation::Splade,
    Operation::MaxSim,
    Operation::Nearest,
];

/// Runs `rounds` of every operation with numbers drawn from `seed`.
///
/// # Errors
///
/// [`Error::Device`] naming the operation, the shape and the numbers that differ; errors of the backend.
pub fn check<B: Backend>(backend: &B, tolerance: Tolerance, seed: u64, rounds: u64) -> Result<()> {
    for round in 0..rounds {
        for operation in OPERATIONS {
            check_one(backend, tolerance, seed, round, operation)?;
        }
    }
    Ok(())
}

/// Runs one operation with numbers drawn from `seed` and `round`.
///
/// # Errors
///
/// As [`check`].
pub fn check_one<B: Backend>(
    backend: &B,
    tolerance: Tolerance,
    seed: u64,
    round: u64,
    operation: Operation,
) -> Result<()> {
    let start = seed.wrapping_mul(0x9e37_79b9).wrapping_add(round + 1);
    let mut case = Case {
        backend,
        tolerance,
        random: Random(start ^ (operation as u64) << 56),
        about: format!("seed {seed}, round {round}"),
    };
    match operation {
        Operation::Embed => case.embed(),
        Operation::Linear => case.linear(),
        Operation::Gated => case.gated(),
        Operation::Rows => case.rows(),
        Operation::Attention => case.attention(),
        Operation::Pooling => case.pooling(),
        Operation::Splade => case.splade(),
        Operation::MaxSim => case.max_sim(),
        Operation::Nearest => case.nearest(),
    }
}

/// A stream of random numbers (SplitMix64: Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or(0)
    }

    fn choose<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// About normal, of variance 1.
    fn number(&mut self) -> f32 {
        let sum: f32 = (0..4)
            .map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32)
            .sum();
        (sum - 2.0) * 3.0_f32.sqrt()
    }

    fn numbers(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.number()).collect()
    }

    /// A size near those that kernels work in.
    fn size(&mut self) -> usize {
        let near = self.choose(&[1, 6, 14, 16, 32, 64, 96, 128]);
        (near + self.below(5)).saturating_sub(2).max(1)
    }

    fn starts(&mut self, allows_empty: bool) -> Vec<u32> {
        let mut starts = vec![0_u32];
        for _ in 0..=self.below(4) {
            let length = if allows_empty && self.below(6) == 0 {
                0
            } else {
                self.size()
            };
            let last = starts.last().copied().unwrap_or(0);
            starts.push(last + length as u32);
        }
        starts
    }
}

struct Case<'a, B: Backend> {
    backend: &'a B,
    tolerance: Tolerance,
    random: Random,
    about: String,
}

impl<B: Backend> Case<'_, B> {
    fn compare(&self, what: &str, found: &[f32], expected: &[f32]) -> Result<()> {
        let size = expected
            .iter()
            .fold(1.0_f32, |size, value| size.max(value.abs()));
        let bound = self.tolerance.difference * size;
        let fits = found.len() == expected.len();
        let worst = found.iter().zip(expected).position(|(found, expected)| {
            let difference = (found - expected).abs();
            difference.is_nan() || difference > bound
        });
        let message = match worst {
            None if fits => return Ok(()),
            None => format!("expected {} numbers, found {}", expected.len(), found.len()),
            Some(place) => format!(
                "number {place} of {}: expected {} within {bound}, found {}",
                found.len(),
                expected[place],
                found[place]
            ),
        };
        let name = self.backend.name();
        let message = format!("{name}: {what} ({}): {message}", self.about);
        Err(Error::device(message))
    }

    fn same(
        &self,
        what: &str,
        found: &B::Tensor,
        expected: &<Reference as Backend>::Tensor,
    ) -> Result<()> {
        let (found_shape, expected_shape) = (self.backend.shape(found), Reference.shape(expected));
        let what = format!("{what}, {expected_shape:?}");
        if found_shape != expected_shape {
            return Err(Error::device(format!(
                "{what}: found shape {found_shape:?}"
            )));
        }
        self.compare(
            &what,
            &self.backend.values(found)?,
            &Reference.values(expected)?,
        )
    }

    /// Numbers for tensors and tables.
    fn stored(&mut self, count: usize) -> Vec<f32> {
        let mut numbers = self.random.numbers(count);
        if self.tolerance.stores_bf16 {
            for number in &mut numbers {
                *number = half::bf16::from_f32(*number).to_f32();
            }
        }
        numbers
    }

    /// Numbers for a linear layer: those that the backend gets, and what its products see of them.
    fn factors(&mut self, count: usize, scale: f32) -> (Vec<f32>, Vec<f32>) {
        let given: Vec<f32> = self
            .random
            .numbers(count)
            .iter()
            .map(|x| x * scale)
            .collect();
        let seen = match self.tolerance.is_bf16 {
            true => given
                .iter()
                .map(|x| half::bf16::from_f32(*x).to_f32())
                .collect(),
            false => given.clone(),
        };
        (given, seen)
    }
}
