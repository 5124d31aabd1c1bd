//! Kernel parameters: the structures of `kernels/parameters.cuh`, field by field.

use zerocopy::{Immutable, IntoBytes};

use super::device::{Address, TensorMap};
use crate::backend::{Activation, Pooling, SpladeActivation};

/// The null pointer.
pub(super) const ABSENT: Address = 0;

/// A parameter structure.
pub(super) trait Parameters: IntoBytes + Immutable {}

macro_rules! parameters {
    ($($(#[$about:meta])* $name:ident = $cuda:literal { $($field:ident: $kind:ty),* $(,)? })*) => {
        $(
            $(#[$about])*
            #[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
            #[repr(C)]
            pub(in crate::backend::cuda) struct $name {
                $(pub(in crate::backend::cuda) $field: $kind,)*
            }

            impl Parameters for $name {}
        )*

        /// Names and sizes of these structures.
        #[cfg(test)]
        pub(in crate::backend::cuda) fn sizes() -> Vec<(&'static str, usize)> {
            vec![$(($cuda, size_of::<$name>())),*]
        }
    };
}
#[cfg(feature = "train")]
pub(super) use parameters;

/// How rows are normalized.
#[derive(Clone, Copy, Debug, IntoBytes, Immutable)]
#[repr(C)]
pub(super) struct NormParameters {
    pub(super) weight: Address,
    pub(super) bias: Address,
    pub(super) epsilon: f32,
    pub(super) kind: i32,
}

impl NormParameters {
    /// No norm.
    pub(super) const NONE: Self = Self {
        weight: ABSENT,
        bias: ABSENT,
        epsilon: 0.0,
        kind: 0,
    };
    pub(super) const LAYER: i32 = 1;
    pub(super) const ROOT_MEAN_SQUARE: i32 = 2;
}

parameters! {
    Embed = "EmbedParameters" {
        tables: [Address; 3], ids: [Address; 3], out: Address, norm: NormParameters,
        parts: i32, rows: i32, columns: i32, stride: i32,
    }
    RowsOf = "RowsParameters" {
        x: Address, y: Address, out: Address, norm: NormParameters,
        rows: i32, columns: i32, stride: i32, padding: i32,
    }
    Convert = "ConvertParameters" {
        bf16_rows: Address, f32_rows: Address, rows: i32, columns: i32, stride: i32, padding: i32,
    }
    L2Normalize = "L2NormalizeParameters" { x: Address, out: Address, rows: i32, columns: i32 }
    Pool = "PoolParameters" {
        x: Address, starts: Address, out: Address,
        sequences: i32, columns: i32, stride: i32, pooling: i32,
    }
    Im2col = "Im2colParameters" {
        x: Address, starts: Address, out: Address,
        sequences: i32, rows: i32, columns: i32, stride: i32, out_stride: i32, width: i32,
    }
    Product = "ProductParameters" {
        a: Address, b: Address, out: Address, bias: Address, other: Address,
        a_batch: i64, b_batch: i64, out_batch: i64,
        m: i32, n: i32, k: i32,
        a_stride: i32, b_stride: i32, out_stride: i32, other_stride: i32,
        epilogue: i32, activation: i32, padding: i32,
    }
    AttentionOf = "AttentionParameters" {
        projections: Address, out: Address, starts: Address, tiles: Address,
        bias: Address, content_to_position: Address, position_to_content: Address, bucket_of: Address,
        first_token: i32, tokens: i32, heads: i32, head_size: i32, stride: i32, out_stride: i32,
        reach: i32, buckets: i32, scale: f32, padding: i32,
    }
    Heads = "HeadsParameters" {
        x: Address, out: Address,
        rows: i32, heads: i32, head_size: i32, column: i32, stride: i32, padding: i32,
    }
    CrossAttentionOf = "CrossAttentionParameters" {
        queries: Address, memory: Address, starts: Address, out: Address,
        sequences: i32, heads: i32, head_size: i32,
        query_stride: i32, memory_stride: i32, out_stride: i32, scale: f32, padding: i32,
    }
    Late = "LateParameters" {
        query: Address, documents: Address, starts: Address, out: Address,
        query_rows: i32, columns: i32, sequences: i32, padding: i32,
    }
    Splade = "SpladeParameters" {
        x: Address, decoder: Address, bias: Address, sequence_of: Address, table: Address,
        rows: i32, columns: i32, terms: i32, x_stride: i32, decoder_stride: i32, activation: i32,
    }
    Sparsify = "SparsifyParameters" {
        table: Address, offsets: Address, found: Address, found_rows: Address,
        sequences: i32, terms: i32, kind: i32, activation: i32, threshold: f32, capacity: u32,
    }
    TopK = "TopKParameters" { table: Address, sequences: i32, terms: i32, k: i32, padding: i32 }
    Nearest = "NearestParameters" {
        scores: Address, best_scores: Address, best_ids: Address,
        queries: i32, count: i32, first: i32, k: i32, is_empty: i32, padding: i32,
    }
    /// A product whose operands are loaded by tensor copies.
    ProductHopper = "ProductHopperParameters" {
        a: TensorMap, b: TensorMap, other: TensorMap, out: TensorMap, product: Product, taken: Address,
        padding: [u8; 16],
    }
    /// A product in parts, whose operands are loaded by tensor copies.
    ProductSplit = "ProductSplitParameters" {
        a: TensorMap, b: TensorMap, sums: Address, taken: Address,
        m: i32, n: i32, k: i32, part: i32, stride: i32, padding: [i32; 23],
    }
    ProductSum = "ProductSumParameters" { product: Product, sums: Address, parts: i32, stride: i32 }
    /// A SPLADE head whose operands are loaded by tensor copies.
    SpladeHopper = "SpladeHopperParameters" {
        x: TensorMap, decoder: TensorMap, splade: Splade, taken: Address, padding: [u8; 56],
    }
}

impl Product {
    /// All zeros: no operands, no bias, no epilogue.
    pub(super) const NONE: Self = Self {
        a: ABSENT,
        b: ABSENT,
        out: ABSENT,
        bias: ABSENT,
        other: ABSENT,
        a_batch: 0,
        b_batch: 0,
        out_batch: 0,
        m: 0,
        n: 0,
        k: 0,
        a_stride: 0,
        b_stride: 0,
        out_stride: 0,
        other_stride: 0,
        epilogue: Epilogue::Nothing as i32,
        activation: 0,
        padding: 0,
    };
}

/// The epilogue of a product: applied to its outputs before they are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Epilogue {
    Nothing = 0,
    Add = 1,
    Multiply = 2,
}

/// The code of an activation.
pub(super) fn activation(activation: Activation) -> i32 {
    match activation {
        Activation::Identity => 0,
        Activation::Gelu => 1,
        Activation::GeluTanh => 2,
        Activation::Relu => 3,
        Activation::Silu => 4,
        Activation::Tanh => 5,
    }
}

/// The code of a pooling.
pub(super) fn pooling(pooling: Pooling) -> i32 {
    match pooling {
        Pooling::First => 0,
        Pooling::Last => 1,
        Pooling::Mean => 2,
        Pooling::MeanSqrt => 3,
        Pooling::Max => 4,
        Pooling::WeightedMean => 5,
    }
}

/// The code of a SPLADE activation.
pub(super) fn splade_activation(activation: SpladeActivation) -> i32 {
    match activation {
        SpladeActivation::Log1pRelu => 0,
        SpladeActivation::Log1pLog1pRelu => 1,
    }
}
