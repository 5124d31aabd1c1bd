//! The operations that transformers are made of, on the processor or on a graphics card.
//!
//! Comes in: weights and token ids. Goes out: hidden states, vectors, scores. A [`Backend`] knows tensors and fused operations on
//! them; it knows no model, no tokenizer and no file. [`Reference`] is the definition of each operation in plain Rust, [`Cpu`] is the fast
//! one for processors, and each other backend is held against the reference.
//!
//! # Packed sequences
//!
//! There is no padding anywhere: a batch is one tensor with a row for each token, sequence after sequence, and `starts`, the row at which each
//! sequence begins, with the number of all rows at the end. A batch of 3 sequences of 5, 2 and 4 tokens has the starts `[0, 5, 7, 11]`.
//!
//! Invariant: an operation gives every sequence what it would give this sequence alone.

#[doc(hidden)]
pub mod conformance;
mod cpu;
#[cfg(feature = "cuda")]
mod cuda;
mod hardware;
mod nearest;
mod reference;
mod shapes;

pub use cpu::{Cpu, CpuOptions, Precision};
#[cfg(feature = "cuda")]
pub use cuda::Cuda;
pub use hardware::{Hardware, OnBackend};
pub use reference::{Reference, Rows};

use crate::error::Result;

/// What a linear layer applies to its outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    #[default]
    Identity,
    /// x · Φ(x) with the Gaussian distribution Φ by the error function (Hendrycks and Gimpel, 2016).
    Gelu,
    /// The same with Φ approximated by a hyperbolic tangent.
    GeluTanh,
    /// max(x, 0).
    Relu,
    /// x / (1 + e⁻ˣ).
    Silu,
    /// The hyperbolic tangent.
    Tanh,
}

/// How each row is normalized: over its columns, then scaled by a weight for each column.
pub enum Norm<'a, B: Backend> {
    /// Layer normalization (Ba, Kiros and Hinton, 2016): mean and variance taken out, then weight and bias.
    Layer {
        /// A factor for each column.
        weight: &'a B::Vector,
        /// Added to each column.
        bias: &'a B::Vector,
        /// Added to the variance.
        epsilon: f32,
    },
    /// Divided by the root of the mean square (Zhang and Sennrich, 2019), as T5 does.
    RootMeanSquare {
        /// A factor for each column.
        weight: &'a B::Vector,
        /// Added to the mean square.
        epsilon: f32,
    },
}

/// Which position bucket the distance between two tokens of a sequence falls into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distances {
    reach: usize,
    buckets: Vec<u32>,
}

impl Distances {
    /// The bucket of every distance from `-reach` to `reach`, which is the key's position less the query's.
    pub fn new(reach: usize, bucket: impl Fn(i64) -> u32) -> Self {
        let reach_signed = i64::try_from(reach).unwrap_or(i64::MAX);
        let buckets = (-reach_signed..=reach_signed).map(bucket).collect();
        Self { reach, buckets }
    }

    /// The buckets for a query at `position` in its sequence and the keys 0 to `length - 1`; sequences are
    /// at most `reach + 1` tokens long.
    #[inline]
    pub fn of_query(&self, position: usize, length: usize) -> &[u32] {
        let first = self.reach - position;
        &self.buckets[first..first + length]
    }

    /// The greatest bucket of any distance.
    pub fn greatest_bucket(&self) -> u32 {
        self.buckets.iter().copied().max().unwrap_or(0)
    }

    /// The greatest distance known.
    pub fn reach(&self) -> usize {
        self.reach
    }
}

/// What positions add to the scores of attention.
pub enum Positions<'a, B: Backend> {
    /// Nothing: they were added to the embeddings.
    Absolute,
    /// A learned number for each bucket of distances and head (T5: Raffel and others, 2020).
    Bias {
        /// Buckets × heads numbers, bucket after bucket.
        table: &'a B::Vector,
        /// The buckets.
        distances: &'a Distances,
    },
    /// Products with vectors for each bucket of distances (DeBERTa: He and others, 2021): the query with the bucket's key, and the bucket's query with the key.
    Disentangled {
        /// A row of heads · head size for each bucket: content to position.
        keys: Option<&'a B::Tensor>,
        /// A row of heads · head size for each bucket: position to content.
        queries: Option<&'a B::Tensor>,
        /// The buckets.
        distances: &'a Distances,
    },
}

/// Self-attention over packed sequences.
pub struct Attention<'a, B: Backend> {
    /// Tokens × (3 · heads · head size): queries, then keys, then values, each with its heads side by side.
    pub projections: &'a B::Tensor,
    /// Where sequences begin.
    pub starts: &'a [u32],
    /// The number of heads.
    pub heads: usize,
    /// Numbers a head.
    pub head_size: usize,
    /// What scores (with those of disentangled positions, without a bias) are multiplied with before the softmax.
    pub scale: f32,
    /// What positions add.
    pub positions: Positions<'a, B>,
}

/// How the tokens of a sequence become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The first token.
    First,
    /// The last token.
    Last,
    /// The mean of all.
    Mean,
    /// The sum of all over the root of their number.
    MeanSqrt,
    /// The greatest of each column.
    Max,
    /// The mean of all, each weighted by its position from 1.
    WeightedMean,
}

/// How the tokens of a sequence become one sparse vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpladePooling {
    /// The greatest weight of each term (SPLADE v2: Formal and others, 2021).
    Max,
    /// The sum of weights of each term (SPLADE: Formal and others, 2021).
    Sum,
}

/// How logits become the weights of terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpladeActivation {
    /// ln(1 + max(x, 0)).
    Log1pRelu,
    /// ln(1 + ln(1 + max(x, 0))).
    Log1pLog1pRelu,
}

/// A linear layer: outputs = inputs · weightᵀ + bias.
pub struct Linear<'a, B: Backend> {
    /// Outputs × inputs.
    pub weight: &'a B::Matrix,
    /// A number for each output.
    pub bias: Option<&'a B::Vector>,
}

/// A sparse vector: terms ascending, weights above 0.
pub type SparseVector = Vec<(u32, f32)>;

/// The `most` greatest weights of a vector; of equal ones those of the lower terms.
pub(crate) fn greatest(mut vector: SparseVector, most: usize) -> SparseVector {
    if vector.len() > most {
        vector.sort_by(|a, b| b.1.total_cmp(&a.1));
        vector.truncate(most);
        vector.sort_unstable_by_key(|(term, _)| *term);
    }
    vector
}

/// Where transformers run.
///
/// Operations are at the grain of fused kernels. A tensor is rows × columns, row after row; matrices of weights are rows of outputs ×
/// columns of inputs, as published files have them, and are packed once when they are loaded.
///
/// # Errors
///
/// Operations of the processor's backends fail only for shapes that do not fit ([`Error::Model`](crate::Error::Model)); a device
/// may also fail with [`Error::Device`](crate::Error::Device).
pub trait Backend: Clone + Send + Sync + Sized {
    /// Activations.
    type Tensor: Send + Sync;
    /// The weights of a linear layer.
    type Matrix: Send + Sync;
    /// Rows that are looked up by number.
    type Table: Send + Sync;
    /// Biases, weights of norms and other short rows of parameters.
    type Vector: Send + Sync;

    /// What it runs on, for people: such as `cpu, avx512, f32, 2 threads`.
    fn name(&self) -> String;

    /// Backends that work side by side on the same weights, one for each batch under way at the same time: single threads of a processor,
    /// streams of a card. Encoding many texts is fastest with a batch in each; one text alone is, with the whole backend.
    fn lanes(&self) -> Vec<Self>;

    /// The longest packed batch, in tokens, that serves one lane best.
    fn batch_tokens(&self) -> usize;

    /// Whether it calculates elsewhere, so that the processor is free for other work meanwhile.
    fn is_apart(&self) -> bool {
        false
    }

    /// Loads the weights of a linear layer, `outputs` × `inputs` numbers.
    fn matrix(&self, outputs: usize, inputs: usize, values: &[f32]) -> Result<Self::Matrix>;

    /// Loads `rows` × `columns` numbers whose rows are looked up.
    fn table(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Self::Table>;

    /// Loads a row of parameters.
    fn vector(&self, values: &[f32]) -> Result<Self::Vector>;

    /// Brings `rows` × `columns` numbers onto the device.
    fn tensor(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Self::Tensor>;

    /// The numbers of a tensor, row after row.
    fn values(&self, tensor: &Self::Tensor) -> Result<Vec<f32>>;

    /// Rows and columns of a tensor.
    fn shape(&self, tensor: &Self::Tensor) -> (usize, usize);

    /// Does `run`, which makes a tensor of a batch of `tokens` tokens, or does again what it did before under the same `key`: a backend whose operations take less time than
    /// their launching may record them. What `run` does must depend on the key alone but for the numbers that it brings onto the device
    /// ([`embed`](Backend::embed)'s ids, [`tensor`](Backend::tensor)'s values), and it must read nothing back.
    fn replayable(
        &self,
        key: &[u32],
        tokens: usize,
        run: impl Fn() -> Result<Self::Tensor>,
    ) -> Result<Self::Tensor> {
        let _ = (key, tokens);
        run()
    }

    /// For each row the sum of one row of each table, then a norm if there is one. Every list of numbers is as long as the tensor has rows, and each
    /// number below the rows of its table.
    fn embed(
        &self,
        parts: &[(&Self::Table, &[u32])],
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Self::Tensor>;

    /// activation(x · weightᵀ + bias).
    fn linear(
        &self,
        x: &Self::Tensor,
        layer: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Self::Tensor>;

    /// activation(x · gateᵀ) ∘ (x · upᵀ), as the feed-forward layers of T5 1.1 begin.
    fn gated(
        &self,
        x: &Self::Tensor,
        gate: &Linear<'_, Self>,
        up: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Self::Tensor>;

    /// x · weightᵀ + bias + residual, then a norm if there is one.
    fn linear_add(
        &self,
        x: &Self::Tensor,
        layer: &Linear<'_, Self>,
        residual: &Self::Tensor,
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Self::Tensor>;

    /// x + y, then a norm if there is one.
    fn add(
        &self,
        x: &Self::Tensor,
        y: &Self::Tensor,
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Self::Tensor>;

    /// Every row normalized.
    fn norm(&self, x: &Self::Tensor, norm: &Norm<'_, Self>) -> Result<Self::Tensor>;

    /// softmax(scale · (queries · keysᵀ + positions)) · values for each sequence and head: tokens × (heads · head size). (The learned bias of
    /// [`Positions::Bias`] is added after scaling.)
    fn attention(&self, attention: &Attention<'_, Self>) -> Result<Self::Tensor>;

    /// For each row the row itself and its neighbours of the same sequence side by side, `width` (odd) rows in all, zeros where the
    /// sequence ends: what a convolution over tokens multiplies with its weights.
    fn neighbours(&self, x: &Self::Tensor, starts: &[u32], width: usize) -> Result<Self::Tensor>;

    /// One row for each sequence. An empty sequence gives zeros.
    fn pool(&self, x: &Self::Tensor, starts: &[u32], pooling: Pooling) -> Result<Self::Tensor>;

    /// Every row divided by its Euclidean length, which is taken to be 1e-12 at least.
    fn unit_rows(&self, x: &Self::Tensor) -> Result<Self::Tensor>;

    /// The sparse vector of each sequence: logits x · decoderᵀ + bias of each token and term, activated, pooled over the tokens; the `most` greatest weights stay, of equal ones those
    /// of the lower terms. Logits of all tokens and terms never exist at the same time.
    fn splade(
        &self,
        x: &Self::Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        most: usize,
    ) -> Result<Vec<SparseVector>>;

    /// For each sequence of documents the sum, over the query's rows, of the greatest inner product with any row of the document
    /// (ColBERT's MaxSim: Khattab and Zaharia, 2020). A document without rows has 0.
    fn max_sim(
        &self,
        query: &Self::Tensor,
        documents: &Self::Tensor,
        starts: &[u32],
    ) -> Result<Vec<f32>>;

    /// The `k` rows of `vectors` that have the greatest inner products with each row of `queries`: numbers and products, the greatest first, of equal ones the lower
    /// number. Products are of the numbers as the backend stores them.
    fn nearest(
        &self,
        queries: &Self::Tensor,
        vectors: &Self::Tensor,
        k: usize,
    ) -> Result<Vec<Vec<(u32, f32)>>> {
        let (_, columns) = self.shape(queries);
        shapes::expect("columns of vectors", self.shape(vectors).1, columns)?;
        let (queries, vectors) = (self.values(queries)?, self.values(vectors)?);
        Ok(nearest::nearest(&queries, &vectors, columns, k))
    }
}
