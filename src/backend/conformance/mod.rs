//! Tests a backend against the [`Reference`], operation by operation, on random shapes and values.
//!
//! Shapes reach every tail: rows, columns and lengths are drawn around the tile sizes of kernels.
//! For a backend that rounds the factors of products, the reference gets rounded factors too, so
//! that only the order and rounding of sums differ.
//!
//! [`wide`] has fixed cases of the sizes of published models for the CUDA backend, which reach every
//! kernel.

mod products;
mod report;
mod rows;
mod sequences;
#[cfg(feature = "train")]
mod training;
#[cfg(feature = "cuda")]
pub mod wide;

pub use report::{Failure, Observer};
#[cfg(feature = "train")]
pub use training::{TRAINING_OPERATIONS, TrainingOperation, check_training, observe_training};

use self::report::{FirstFailure, Reporter};
use super::{Backend, Device, Reference};
use crate::error::Result;

/// How close to the reference a backend must be.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    /// The maximum error, relative to the larger of 1 and the largest absolute value of the result.
    pub max_error: f32,
    /// The factors of linear layers are rounded to bf16.
    pub rounds_products: bool,
    /// Tensors and tables are stored as bf16: inputs are drawn from bf16 values, results are
    /// rounded.
    pub rounds_storage: bool,
}

/// Operations that are tested together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Embedding sums.
    Embed,
    /// Linear layers with activations, residuals, norms.
    Linear,
    /// Gated layers.
    Gated,
    /// Norms, sums, L2 normalization, im2col.
    Rows,
    /// Attention with every kind of positions.
    Attention,
    /// Attention of one query for each sequence.
    CrossAttention,
    /// Every kind of pooling.
    Pooling,
    /// Sparse vectors.
    Splade,
    /// Late interaction.
    MaxSim,
    /// Exact nearest neighbor search.
    Nearest,
}

/// All operations.
pub const OPERATIONS: [Operation; 10] = [
    Operation::Embed,
    Operation::Linear,
    Operation::Gated,
    Operation::Rows,
    Operation::Attention,
    Operation::CrossAttention,
    Operation::Pooling,
    Operation::Splade,
    Operation::MaxSim,
    Operation::Nearest,
];

/// Runs `rounds` rounds of every operation with values drawn from `seed`, until one fails.
///
/// # Errors
///
/// [`Error::Device`](crate::Error::Device) naming the operation, the shape and the values that
/// differ; errors of the backend.
pub fn check<B: Backend>(backend: &B, tolerance: Tolerance, seed: u64, rounds: u64) -> Result<()> {
    for round in 0..rounds {
        for operation in OPERATIONS {
            check_one(backend, tolerance, seed, round, operation)?;
        }
    }
    Ok(())
}

/// Runs one operation with values drawn from `seed` and `round`, until a case fails.
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
    let observer = &mut FirstFailure;
    observe_one(backend, tolerance, seed, round, operation, observer)
}

/// Runs one operation with values drawn from `seed` and `round`, and reports each case and each
/// failure to `observer`. An error of the backend ends the operation.
///
/// # Errors
///
/// Those of the observer.
pub fn observe_one<B: Backend>(
    backend: &B,
    tolerance: Tolerance,
    seed: u64,
    round: u64,
    operation: Operation,
    observer: &mut dyn Observer,
) -> Result<()> {
    let name = format!("{operation:?}");
    let numbers = [seed, round, operation as u64];
    let mut case = Case::drawn(backend, tolerance, numbers, observer, name);
    let result = match operation {
        Operation::Embed => case.embed(),
        Operation::Linear => case.linear(),
        Operation::Gated => case.gated(),
        Operation::Rows => case.rows(),
        Operation::Attention => case.attention(),
        Operation::CrossAttention => case.cross_attention(),
        Operation::Pooling => case.pooling(),
        Operation::Splade => case.splade(),
        Operation::MaxSim => case.max_sim(),
        Operation::Nearest => case.nearest(),
    };
    case.reporter.finish(result)
}

/// A pseudo-random generator (SplitMix64: Steele, Lea and Flood, 2014).
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

    /// Approximately normal, with variance 1.
    fn value(&mut self) -> f32 {
        let sum: f32 = (0..4)
            .map(|_| (self.next() >> 40) as f32 / (1 << 24) as f32)
            .sum();
        (sum - 2.0) * 3.0_f32.sqrt()
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.value()).collect()
    }

    /// A size near a tile size of some kernel.
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

/// The current case: what runs, and whom differences are reported to.
struct Case<'a, B: Backend> {
    backend: &'a B,
    tolerance: Tolerance,
    random: Random,
    reporter: Reporter<'a>,
}

impl<'a, B: Backend> Case<'a, B> {
    /// A case with values drawn from a seed, a round and the number of an operation.
    fn drawn(
        backend: &'a B,
        tolerance: Tolerance,
        [seed, round, operation]: [u64; 3],
        observer: &'a mut dyn Observer,
        name: String,
    ) -> Self {
        let start = seed.wrapping_mul(0x9e37_79b9).wrapping_add(round + 1);
        let about = format!("seed {seed}, round {round}");
        Self {
            backend,
            tolerance,
            random: Random(start ^ operation << 56),
            reporter: Reporter::new(observer, name, about),
        }
    }
}

impl<B: Backend> Case<'_, B> {
    /// Begins a case, whose kernels are launched next.
    fn begin(&mut self, operation: impl Into<String>, shape: &str) {
        self.reporter.begin(operation, shape);
    }

    fn fail(&mut self, message: impl Into<String>) -> Result<()> {
        self.reporter.fail(message)
    }

    fn compare(&mut self, found: &[f32], expected: &[f32]) -> Result<()> {
        self.compare_within(found, expected, self.tolerance.max_error)
    }

    /// Compares with another bound than the backend's, relative like it.
    fn compare_within(&mut self, found: &[f32], expected: &[f32], max_error: f32) -> Result<()> {
        let size = expected
            .iter()
            .fold(1.0_f32, |size, value| size.max(value.abs()));
        let bound = max_error * size;
        if found.len() != expected.len() {
            let (expected, found) = (expected.len(), found.len());
            return self.fail(format!("expected {expected} values, found {found}"));
        }
        let worst = found.iter().zip(expected).position(|(found, expected)| {
            let max_error = (found - expected).abs();
            max_error.is_nan() || max_error > bound
        });
        let Some(place) = worst else {
            return Ok(());
        };
        let name = self.backend.name();
        self.fail(format!(
            "{name}: value {place} of {}: expected {} within {bound}, found {}",
            found.len(),
            expected[place],
            found[place]
        ))
    }

    fn same(&mut self, found: &B::Tensor, expected: &<Reference as Device>::Tensor) -> Result<()> {
        let (found_shape, expected_shape) = (self.backend.shape(found), Reference.shape(expected));
        if found_shape != expected_shape {
            return self.fail(format!(
                "expected shape {expected_shape:?}, found {found_shape:?}"
            ));
        }
        self.compare(&self.backend.values(found)?, &Reference.values(expected)?)
    }

    /// Values for tensors and tables.
    fn stored(&mut self, count: usize) -> Vec<f32> {
        let mut values = self.random.values(count);
        if self.tolerance.rounds_storage {
            for value in &mut values {
                *value = half::bf16::from_f32(*value).to_f32();
            }
        }
        values
    }

    /// The factors of a linear layer: as the backend gets them, and as its products see them.
    fn factors(&mut self, count: usize, scale: f32) -> (Vec<f32>, Vec<f32>) {
        let given: Vec<f32> = self
            .random
            .values(count)
            .iter()
            .map(|x| x * scale)
            .collect();
        let seen = match self.tolerance.rounds_products {
            true => given
                .iter()
                .map(|x| half::bf16::from_f32(*x).to_f32())
                .collect(),
            false => given.clone(),
        };
        (given, seen)
    }
}
