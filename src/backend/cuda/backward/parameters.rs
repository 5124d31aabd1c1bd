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
        parts: Address, out: Address, columns: i32, count: i32,
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
}
