//! The arguments of operations: activations, norms, positions, pooling.

use super::Device;

/// The activation that a linear layer applies to its outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Activation {
    /// None.
    #[default]
    Identity,
    /// x · Φ(x) with the Gaussian distribution Φ by the error function (Hendrycks and Gimpel,
    /// 2016).
    Gelu,
    /// GELU with Φ approximated by a hyperbolic tangent.
    GeluTanh,
    /// max(x, 0).
    Relu,
    /// x / (1 + e⁻ˣ).
    Silu,
    /// The hyperbolic tangent.
    Tanh,
}

/// How each row is normalized over its columns.
pub enum Norm<'a, B: Device> {
    /// Layer normalization (Ba, Kiros and Hinton, 2016): subtracts the mean, divides by the
    /// standard deviation, applies weight and bias.
    Layer {
        /// A factor for each column.
        weight: &'a B::Vector,
        /// Added to each column.
        bias: &'a B::Vector,
        /// Added to the variance.
        epsilon: f32,
    },
    /// RMSNorm (Zhang and Sennrich, 2019), as in T5: divides by the root of the mean square.
    RootMeanSquare {
        /// A factor for each column.
        weight: &'a B::Vector,
        /// Added to the mean square.
        epsilon: f32,
    },
}

/// The relative position bucket of every distance between two tokens of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distances {
    reach: usize,
    buckets: Vec<u32>,
}

impl Distances {
    /// The buckets of all distances from `-reach` to `reach`. A distance is the position of the key
    /// minus that of the query.
    pub fn new(reach: usize, bucket: impl Fn(i64) -> u32) -> Self {
        let reach_signed = i64::try_from(reach).unwrap_or(i64::MAX);
        let buckets = (-reach_signed..=reach_signed).map(bucket).collect();
        Self { reach, buckets }
    }

    /// The buckets for the query at `position` and the keys 0 to `length - 1` of its sequence,
    /// which has at most `reach + 1` tokens.
    #[inline]
    pub fn of_query(&self, position: usize, length: usize) -> &[u32] {
        let first = self.reach - position;
        &self.buckets[first..first + length]
    }

    /// The highest bucket of any distance.
    pub fn max_bucket(&self) -> u32 {
        self.buckets.iter().copied().max().unwrap_or(0)
    }

    /// The maximum distance covered.
    pub fn reach(&self) -> usize {
        self.reach
    }
}

/// What positions contribute to attention scores.
pub enum Positions<'a, B: Device> {
    /// Nothing: absolute positions were added to the embeddings.
    Absolute,
    /// A learned bias for each bucket and head (T5: Raffel and others, 2020).
    Bias {
        /// Buckets × heads values, bucket after bucket.
        table: &'a B::Vector,
        /// The bucket of each distance.
        distances: &'a Distances,
    },
    /// Disentangled attention (DeBERTa: He and others, 2021): the query times the bucket's key, and
    /// the bucket's query times the key.
    Disentangled {
        /// A row of heads · head size values for each bucket: content to position.
        keys: Option<&'a B::Tensor>,
        /// A row of heads · head size values for each bucket: position to content.
        queries: Option<&'a B::Tensor>,
        /// The bucket of each distance.
        distances: &'a Distances,
    },
}

/// Self-attention over packed sequences.
pub struct Attention<'a, B: Device> {
    /// Tokens × (3 · heads · head size): queries, then keys, then values, each with its heads side
    /// by side.
    pub projections: &'a B::Tensor,
    /// Where sequences start.
    pub starts: &'a [u32],
    /// The number of heads.
    pub heads: usize,
    /// Dimensions per head.
    pub head_size: usize,
    /// The factor applied to scores before the softmax; it covers disentangled positions but not a
    /// learned bias.
    pub scale: f32,
    /// What positions contribute.
    pub positions: Positions<'a, B>,
}

/// Attention with one query for each packed sequence, as the first position of a decoder has it over
/// the outputs of an encoder.
pub struct CrossAttention<'a, B: Device> {
    /// Sequences × (heads · head size), with the heads side by side.
    pub queries: &'a B::Tensor,
    /// Tokens × (2 · heads · head size): keys, then values, each with its heads side by side.
    pub memory: &'a B::Tensor,
    /// Where sequences start in the memory.
    pub starts: &'a [u32],
    /// The number of heads.
    pub heads: usize,
    /// Dimensions per head.
    pub head_size: usize,
    /// The factor applied to scores before the softmax.
    pub scale: f32,
}

/// How the token vectors of a sequence become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// The first token.
    First,
    /// The last token.
    Last,
    /// The mean of all tokens.
    Mean,
    /// The sum of all tokens, divided by the square root of their number.
    MeanSqrt,
    /// The maximum of each column.
    Max,
    /// The mean of all tokens, each weighted by its position, counted from 1.
    WeightedMean,
}

/// How the term weights of the tokens of a sequence become one sparse vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpladePooling {
    /// The maximum weight of each term (SPLADE v2: Formal and others, 2021).
    Max,
    /// The sum of weights of each term (SPLADE: Formal and others, 2021).
    Sum,
}

/// How logits become term weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpladeActivation {
    /// ln(1 + max(x, 0)).
    Log1pRelu,
    /// ln(1 + ln(1 + max(x, 0))).
    Log1pLog1pRelu,
}

/// A linear layer: outputs = inputs · weightᵀ + bias.
pub struct Linear<'a, B: Device> {
    /// Outputs × inputs.
    pub weight: &'a B::Matrix,
    /// One value for each output.
    pub bias: Option<&'a B::Vector>,
}

/// A sparse vector: (term, weight) pairs with ascending terms and positive weights.
pub type SparseVector = Vec<(u32, f32)>;

/// Keeps the `max_terms` largest weights of a vector; the lower term wins a tie.
pub(crate) fn top_terms(mut vector: SparseVector, max_terms: usize) -> SparseVector {
    if vector.len() > max_terms {
        // Stable: equal weights stay in the order of their terms.
        vector.sort_by(|a, b| b.1.total_cmp(&a.1));
        vector.truncate(max_terms);
        vector.sort_unstable_by_key(|(term, _)| *term);
    }
    vector
}
