//! Parameters of the kernels of training: the structures of `kernels/parameters.cuh`, field by
//! field.

use zerocopy::{Immutable, IntoBytes};

use super::super::device::Address;
use super::super::parameters::{NormParameters, Parameters, parameters};

parameters! {
    Elements = "ElementsParameters" {
        x: Address, y: Address, out: Address, seed: u64, below: u64,
        factor: f32, operation: i32, activation: i32, is_f32: i32,
        rows: i32, columns: i32, stride: i32, padding: i32,
    }
    NormBackward = "NormBackwardParameters" {
        x: Address, dy: Address, out: Address, statistics: Address, norm: NormParameters,
        rows: i32, columns: i32, stride: i32, padding: i32,
    }
    ColumnSums = "ColumnSumsParameters" {
        x: Address, dy: Address, statistics: Address, products: Address, sums: Address,
        rows: i32, columns: i32, stride: i32, part: i32,
    }
    SumParts = "SumPartsParameters" {
        parts: Address, out: Address, part_size: i64, out_batch: i64,
        count: i32, rows: i32, columns: i32, stride: i32, out_stride: i32, out_column: i32,
    }
    L2NormalizeBackward = "L2NormalizeBackwardParameters" {
        x: Address, dy: Address, out: Address, rows: i32, columns: i32,
    }
    PoolBackward = "PoolBackwardParameters" {
        x: Address, dy: Address, starts: Address, out: Address,
        sequences: i32, columns: i32, stride: i32, pooling: i32,
    }
    Im2colBackward = "Im2colBackwardParameters" {
        dy: Address, starts: Address, out: Address,
        sequences: i32, rows: i32, columns: i32, stride: i32, out_stride: i32, width: i32,
    }
    Gather = "GatherParameters" {
        source: Address, segments: Address, indices: Address, factors: Address,
        parts: Address, sums: Address, out: Address,
        count: i32, columns: i32, stride: i32, out_stride: i32,
    }
    Transpose = "TransposeParameters" {
        f32_rows: Address, bf16_rows: Address, rows: i32, columns: i32, stride: i32, padding: i32,
    }
    CopyValues = "CopyValuesParameters" { from: Address, to: Address, count: u64 }
    AdamWStep = "AdamWParameters" {
        master: Address, gradient: Address, mean: Address, mean_square: Address, count: u64,
        rate: f32, decay: f32, beta1: f32, beta2: f32,
        epsilon: f32, root_correction: f32, gradient_scale: f32, padding: f32,
    }
    SumOfSquares = "SumOfSquaresParameters" { values: Address, sums: Address, count: u64 }
    SpladeSlopes = "SpladeSlopesParameters" {
        logits: Address, dy: Address, sequence_of: Address, out: Address,
        rows: i32, terms: i32, stride: i32, activation: i32,
    }
    WeightGradient = "WeightGradientParameters" {
        dy: Address, x: Address, out: Address, sums: Address,
        dy_batch: i64, x_batch: i64, out_batch: i64,
        rows: i32, outputs: i32, inputs: i32, skipped: i32, part: i32, parts: i32,
        dy_stride: i32, x_stride: i32, out_stride: i32, sums_stride: i32,
    }
    AttentionBackward = "AttentionBackwardParameters" {
        projections: Address, dy: Address, out: Address, statistics: Address, slopes: Address,
        starts: Address, tiles: Address, bias: Address, content_to_position: Address,
        position_to_content: Address, bucket_of: Address,
        first_token: i32, tokens: i32, heads: i32, head_size: i32,
        stride: i32, dy_stride: i32, out_stride: i32, slopes_stride: i32,
        reach: i32, buckets: i32, scale: f32, padding: i32,
    }
    BucketSlopes = "BucketSlopesParameters" {
        slopes: Address, out: Address, totals: Address, starts: Address, sequence_of: Address,
        bucket_starts: Address, distances: Address,
        first_token: i32, tokens: i32, buckets: i32, slopes_stride: i32, out_stride: i32,
        is_keys: i32, factor: f32, part: i32,
    }
    AddToRows = "AddToRowsParameters" {
        out: Address, x: Address, rows: i32, columns: i32, stride: i32, padding: i32,
    }
}
