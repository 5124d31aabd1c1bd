//! Fixed cases for the CUDA backend that reach every kernel, at the sizes of published models.
//!
//! Most kernels are too slow to check against the scalar reference at these sizes. Products and
//! SPLADE tables are therefore computed by every kernel that can, from the same buffers, and
//! compared with each other; 64 values of each are computed in f64. Selections from tables are
//! compared exactly. Row-wise operations, attention and nearest neighbors are cheap enough for the
//! reference.
//!
//! The tests run the same cases on the emulated GPU at reduced sizes.

mod compare;
mod products;
mod sparse;
#[cfg(feature = "train")]
mod training;

use super::report::{Observer, Reporter};
use super::rows::NormKind;
use super::{Case, Random, Tolerance};
use crate::backend::{Activation, Backend, Cuda, Device, ForwardOps, Linear, Pooling, Reference};
use crate::error::Result;

/// The sizes of cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Sizes of published models, for a GPU.
    Full,
    /// The smallest sizes that reach the same code, for an emulated GPU.
    Reduced,
}

impl Scale {
    fn choose<T>(self, full: T, reduced: T) -> T {
        match self {
            Self::Full => full,
            Self::Reduced => reduced,
        }
    }
}

/// Cases that run together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Products of models' layers by every kernel.
    Products,
    /// Products whose k is next to a multiple of a ring's stages.
    Rings,
    /// Every activation and epilogue of every product.
    Epilogues,
    /// Products of the layouts that gradients need.
    Layouts,
    /// SPLADE tables by every kernel.
    Splade,
    /// Sparse vectors from tables as wide as a vocabulary.
    Sparse,
    /// Attention for every head size.
    Attention,
    /// Embeddings and norms of every width.
    Norms,
    /// Pooling, MaxSim, and layers behind pooling.
    Pooling,
    /// Nearest neighbors among more vectors than one tile.
    Nearest,
    /// Gradients and the optimizer.
    #[cfg(feature = "train")]
    Training,
    /// Gradients of linear layers and of attention.
    #[cfg(feature = "train")]
    Layers,
}

/// All groups, those of the kernels with the most time in a model first.
pub const GROUPS: &[Group] = &[
    Group::Products,
    Group::Rings,
    Group::Epilogues,
    Group::Attention,
    Group::Norms,
    Group::Splade,
    Group::Sparse,
    Group::Pooling,
    Group::Nearest,
    Group::Layouts,
    #[cfg(feature = "train")]
    Group::Training,
    #[cfg(feature = "train")]
    Group::Layers,
];

/// Runs the cases of a group, and reports each case and each failure to `observer`.
///
/// # Errors
///
/// Those of the observer.
pub fn check(
    cuda: &Cuda,
    tolerance: Tolerance,
    scale: Scale,
    group: Group,
    observer: &mut dyn Observer,
) -> Result<()> {
    let about = format!("{scale:?}");
    let mut case = Case {
        backend: cuda,
        tolerance,
        random: Random(group as u64),
        reporter: Reporter::new(observer, format!("{group:?}"), about),
    };
    match group {
        Group::Products => case.wide_products(scale),
        Group::Rings => case.rings(scale),
        Group::Epilogues => case.epilogues(),
        Group::Layouts => case.layouts(scale),
        Group::Splade => case.splade_tables(scale),
        Group::Sparse => case.sparse_tables(scale),
        Group::Attention => case.wide_attention(scale),
        Group::Norms => case.wide_norms(scale),
        Group::Pooling => case.wide_pooling(scale),
        Group::Nearest => case.wide_nearest(scale),
        #[cfg(feature = "train")]
        Group::Training => case.wide_training(scale),
        #[cfg(feature = "train")]
        Group::Layers => case.wide_layers(scale),
    }
}

/// The starts of sequences of these lengths.
fn starts_of(lengths: &[u32]) -> Vec<u32> {
    let mut starts = vec![0];
    for length in lengths {
        starts.push(starts[starts.len() - 1] + length);
    }
    starts
}

impl<B: Backend> Case<'_, B> {
    /// Runs one case: an error of the backend ends it, not the group.
    fn attempt(&mut self, run: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        let result = run(self);
        self.reporter.finish(result)
    }

    /// Normally distributed values that bf16 represents exactly.
    fn bf16_values(&mut self, count: usize, scale: f32) -> Vec<f32> {
        let mut values = Vec::with_capacity(count);
        while values.len() < count {
            let bits = self.random.next();
            // The sum of four uniform values has variance 1/3.
            let sum: u32 = (0..4)
                .map(|part| (bits >> (16 * part) & 0xffff) as u32)
                .sum();
            let value = (sum as f32 / 65_536.0 - 2.0) * 3.0_f32.sqrt() * scale;
            values.push(half::bf16::from_f32(value).to_f32());
        }
        values
    }
}

impl Case<'_, Cuda> {
    fn wide_attention(&mut self, scale: Scale) -> Result<()> {
        let starts = starts_of(scale.choose(&[1, 63, 64, 65, 129, 512], &[1, 63, 0, 65]));
        let sizes: &[usize] =
            scale.choose(&[96, 128, 256, 64, 32, 16, 80], &[96, 128, 256, 64, 32, 16]);
        for head_size in sizes {
            self.attempt(|case| case.attention_of(&starts, 2, *head_size))?;
            self.attempt(|case| case.cross_attention_of(&starts, 2, *head_size))?;
        }
        // Heads that begin between multiples of 16 bytes are copied.
        self.attempt(|case| case.attention_of(&[0, 5, 70], 3, 12))?;
        self.attempt(|case| case.cross_attention_of(&[0, 5, 5, 70], 3, 12))
    }

    fn wide_norms(&mut self, scale: Scale) -> Result<()> {
        let starts = starts_of(scale.choose(&[1, 0, 130], &[1, 0, 9]));
        let rows = starts[starts.len() - 1] as usize;
        for columns in [256, 257, 384, 768, 1_024, 1_025, 4_096] {
            self.attempt(|case| case.rows_of(&starts, columns))?;
            for (count, norm) in [
                (1, NormKind::None),
                (2, NormKind::RootMeanSquare),
                (3, NormKind::Layer),
            ] {
                self.attempt(|case| case.embed_of(rows, columns, count, norm))?;
            }
        }
        Ok(())
    }

    fn wide_pooling(&mut self, scale: Scale) -> Result<()> {
        let starts = starts_of(scale.choose(&[1, 0, 64, 512, 129], &[1, 0, 40, 9]));
        for columns in scale.choose([768, 1_025], [264, 33]) {
            self.attempt(|case| case.pooling_of(&starts, columns))?;
            self.attempt(|case| case.dense_of(&starts, columns))?;
        }
        for columns in scale.choose([128, 130], [36, 37]) {
            self.attempt(|case| case.max_sim_of(&starts, columns, 33))?;
        }
        Ok(())
    }

    /// A layer behind pooling, whose rows are f32.
    fn dense_of(&mut self, starts: &[u32], columns: usize) -> Result<()> {
        let rows = starts[starts.len() - 1] as usize;
        let outputs = columns / 2 + 1;
        let x = self.stored(rows * columns);
        let weight = self.bf16_values(outputs * columns, 1.0 / (columns as f32).sqrt());
        let shape = format!("starts {starts:?}, {columns} columns, {outputs} outputs");
        self.begin("linear behind pooling", &shape);
        let pooled = self.backend.tensor(rows, columns, &x)?;
        let pooled = self.backend.pool(&pooled, starts, Pooling::First)?;
        let layer = Linear {
            weight: &self.backend.matrix(outputs, columns, &weight)?,
            bias: None,
        };
        let found = self.backend.linear(&pooled, &layer, Activation::Tanh)?;
        let pooled = Reference.tensor(rows, columns, &x)?;
        let pooled = Reference.pool(&pooled, starts, Pooling::First)?;
        let layer = Linear {
            weight: &Reference.matrix(outputs, columns, &weight)?,
            bias: None,
        };
        let expected = Reference.linear(&pooled, &layer, Activation::Tanh)?;
        self.same(&found, &expected)
    }

    fn wide_nearest(&mut self, scale: Scale) -> Result<()> {
        let shape = scale.choose([5, 384, 40_000], [2, 8, 16_500]);
        self.attempt(|case| case.nearest_of(shape, 1_000, Cuda::nearest))?;
        self.attempt(|case| case.nearest_of(shape, 10, Cuda::nearest))?;
        // Other numbers of vectors at a time.
        let tile = shape[2] / 3;
        self.attempt(|case| {
            case.nearest_of(shape, 100, |cuda, x, y, k| {
                cuda.nearest_by_tiles(x, y, k, tile)
            })
        })
    }
}
