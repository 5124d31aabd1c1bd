//! The SPLADE head, without materializing tokens × terms logits.
//!
//! The products of a few tokens with 32 terms form a tile, which is pooled into the weights of its
//! terms and sequences at once. For max pooling, bias and activation are applied after pooling:
//! both are monotonic, so the order does not matter.

use std::ops::Range;

use super::math::multiply_add;
use super::multiply::{Layout, Multiply, Sink};
use super::simd::{Level, Task, Tile, WIDTH};
use super::{Cpu, Tensor};
use crate::backend::{Linear, SparseVector, SpladeActivation, SpladePooling};

/// Panels that are pooled before their terms are read out, which bounds the number of weights in
/// memory.
const PANELS: usize = 32;

impl Cpu {
    /// The sparse vector of each sequence. Shapes have been checked.
    pub(super) fn sparse_vectors(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
    ) -> Vec<SparseVector> {
        let sequences = starts.len() - 1;
        let sequence_of_row = sequences_of_rows(starts, x.rows());
        let head = Head {
            x,
            decoder,
            activation,
            pooling,
            sequence_of_row: &sequence_of_row,
            sequences,
        };
        let parts = self.par_ranges(decoder.weight.panels(), |panels| {
            let mut vectors = vec![SparseVector::new(); sequences];
            for first in panels.clone().step_by(PANELS) {
                head.fold(
                    self.level,
                    first..panels.end.min(first + PANELS),
                    &mut vectors,
                );
            }
            vectors
        });
        joined(parts, sequences)
    }
}

/// The number of the sequence of each row.
pub(super) fn sequences_of_rows(starts: &[u32], rows: usize) -> Vec<usize> {
    let mut sequence_of_row = vec![0; rows];
    for (sequence, pair) in starts.windows(2).enumerate() {
        sequence_of_row[pair[0] as usize..pair[1] as usize].fill(sequence);
    }
    sequence_of_row
}

/// The vectors of all sequences, from those of parts of the vocabulary in order.
pub(super) fn joined<T>(parts: Vec<Vec<Vec<T>>>, sequences: usize) -> Vec<Vec<T>> {
    let mut parts = parts.into_iter();
    let mut vectors = parts.next().unwrap_or_default();
    vectors.resize_with(sequences, Vec::new);
    for part in parts {
        for (vector, more) in vectors.iter_mut().zip(part) {
            vector.extend(more);
        }
    }
    vectors
}

/// What all panels share.
struct Head<'a> {
    x: &'a Tensor,
    decoder: &'a Linear<'a, Cpu>,
    activation: SpladeActivation,
    pooling: SpladePooling,
    sequence_of_row: &'a [usize],
    sequences: usize,
}

impl Head<'_> {
    /// Appends the terms of some panels to the vectors of all sequences.
    fn fold(&self, level: Level, panels: Range<usize>, vectors: &mut [SparseVector]) {
        let terms = panels.start * WIDTH..self.decoder.weight.outputs().min(panels.end * WIDTH);
        let stride = panels.len() * WIDTH;
        let initial = match self.pooling {
            SpladePooling::Max => f32::NEG_INFINITY,
            SpladePooling::Sum => 0.0,
        };
        let mut bias = vec![0.0; stride];
        if let Some(all) = self.decoder.bias {
            bias[..terms.len()].copy_from_slice(&all[terms.clone()]);
        }
        let mut fold = Fold {
            head: self,
            bias: &bias,
            first: terms.start,
            stride,
            pooled: vec![initial; self.sequences * stride],
        };
        Multiply {
            level,
            values: self.x.values(),
            layout: Layout::Rows,
            columns: self.x.columns(),
            rows: 0..self.x.rows(),
            matrix: self.decoder.weight,
            panels,
            sink: &mut fold,
        }
        .run();
        let mut pooled = fold.pooled;
        if self.pooling == SpladePooling::Max {
            level.run(Activate {
                activation: self.activation,
                bias: &bias,
                pooled: &mut pooled,
            });
        }
        for (vector, weights) in vectors.iter_mut().zip(pooled.chunks_exact(stride)) {
            for (term, weight) in terms.clone().zip(weights) {
                if *weight > 0.0 {
                    // Vocabularies are far below 2³² terms: their rows fit in memory.
                    vector.push((u32::try_from(term).unwrap_or(u32::MAX), *weight));
                }
            }
        }
    }
}

/// Pools tiles into the weights of sequences.
struct Fold<'a> {
    head: &'a Head<'a>,
    bias: &'a [f32],
    /// The first term.
    first: usize,
    /// Terms per sequence.
    stride: usize,
    pooled: Vec<f32>,
}

impl Sink for Fold<'_> {
    #[inline(always)]
    fn take<const FUSED: bool>(&mut self, rows: Range<usize>, columns: Range<usize>, tile: &Tile) {
        let column = columns.start - self.first;
        let mut bias = [0.0; WIDTH];
        bias.copy_from_slice(&self.bias[column..][..WIDTH]);
        for (index, row) in rows.enumerate() {
            let place = self.head.sequence_of_row[row] * self.stride + column;
            let (pooled, _) = self.pooled[place..].as_chunks_mut::<WIDTH>();
            let (pooled, logits) = (&mut pooled[0], tile.row(index));
            match self.head.pooling {
                SpladePooling::Max => {
                    for (max, logit) in pooled.iter_mut().zip(logits) {
                        *max = max.max(*logit);
                    }
                }
                SpladePooling::Sum => {
                    for ((sum, logit), bias) in pooled.iter_mut().zip(logits).zip(&bias) {
                        *sum += activate::<FUSED>(self.head.activation, logit + bias);
                    }
                }
            }
        }
    }
}

/// Adds the bias to the maximum logits and activates them.
struct Activate<'a> {
    activation: SpladeActivation,
    bias: &'a [f32],
    pooled: &'a mut [f32],
}

impl Task for Activate<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        for weights in self.pooled.chunks_exact_mut(self.bias.len()) {
            for (weight, bias) in weights.iter_mut().zip(self.bias) {
                *weight = activate::<FUSED>(self.activation, *weight + bias);
            }
        }
    }
}

#[inline(always)]
fn activate<const FUSED: bool>(activation: SpladeActivation, logit: f32) -> f32 {
    let once = ln_1p::<FUSED>(logit.max(0.0));
    match activation {
        SpladeActivation::Log1pRelu => once,
        SpladeActivation::Log1pLog1pRelu => ln_1p::<FUSED>(once),
    }
}

/// ln(1 + x) for x ≥ 0, with a relative error within 2e-7.
#[inline(always)]
fn ln_1p<const FUSED: bool>(x: f32) -> f32 {
    let full = 1.0 + x;
    // The rounding error of 1 + x, by which the logarithm is corrected below.
    let lost = x - (full - 1.0);
    // 1 + x, which is at least 1, = 2^power · m, with m from √½ to √2.
    let bits = full.to_bits().wrapping_sub(0x3f35_04f3);
    let power = (bits >> 23) as f32;
    let m = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    // ln m = 2 artanh(s) with s = (m - 1) / (m + 1), up to 0.172.
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut sum = 0.222_222_2;
    sum = multiply_add::<FUSED>(sum, square, 0.285_714_3);
    sum = multiply_add::<FUSED>(sum, square, 0.4);
    sum = multiply_add::<FUSED>(sum, square, 0.666_666_7);
    let ln_m = multiply_add::<FUSED>(sum * square, s, 2.0 * s);
    multiply_add::<FUSED>(power, std::f32::consts::LN_2, ln_m) + lost / full
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logarithm_is_close() {
        for step in 0..200_000 {
            let x = (step as f32 * 0.000_37).powi(3);
            let expected = f64::from(x).ln_1p();
            for found in [ln_1p::<true>(x), ln_1p::<false>(x)] {
                let error = (f64::from(found) - expected).abs();
                assert!(
                    error <= 3e-7 * expected.max(1e-30),
                    "{x}: {found}, {expected}"
                );
            }
        }
        assert_eq!(ln_1p::<true>(0.0), 0.0);
    }
}
