//! The gradient of one head of one sequence, as six products of blocks.
//!
//! With scores S = scale · Q · Kᵀ + bias and weights P = softmax(S), the gradients are
//!
//! - dV = Pᵀ · dY,
//! - dP = dY · Vᵀ and dS = P ∘ (dP - Σ P ∘ dP),
//! - dQ = scale · dS · K and dK = scale · dSᵀ · Q.
//!
//! P and dS of one head and sequence are in memory, length × length values each.

use super::super::super::Tensor;
use super::super::super::math::exp_nonpositive;
use super::super::super::matrix::{Aligned, pack_f32_columns, pack_f32_rows};
use super::super::super::multiply::first_even_chunk;
use super::super::super::rows::sum;
use super::super::super::simd::{Level, Tile, WIDTH};
use crate::backend::{Attention, Positions};

/// Scratch buffers of one thread.
#[derive(Default)]
pub(super) struct Scratch {
    packed: Aligned<f32>,
    weights: Vec<f32>,
    slopes: Vec<f32>,
    transposed: Vec<f32>,
}

/// One head of one sequence: where its rows are.
pub(super) struct Head<'a, 'b> {
    pub level: Level,
    pub attention: &'a Attention<'b, super::super::super::Cpu>,
    pub dy: &'a Tensor,
    /// The first row of the sequence.
    pub first: usize,
    pub length: usize,
    pub head: usize,
}

/// Rows of a matrix on the left of a product.
#[derive(Clone, Copy)]
struct Left<'a> {
    values: &'a [f32],
    stride: usize,
    depth: usize,
}

#[inline(always)]
fn left(values: &[f32], stride: usize, depth: usize) -> Left<'_> {
    Left {
        values,
        stride,
        depth,
    }
}

/// Where a product is written.
struct Right<'a> {
    out: &'a mut [f32],
    stride: usize,
    columns: usize,
    factor: f32,
}

impl Head<'_, '_> {
    /// True if attention of this kind can be done by blocks.
    pub fn is_supported(positions: &Positions<'_, super::super::super::Cpu>) -> bool {
        matches!(positions, Positions::Absolute | Positions::Bias { .. })
    }

    /// Writes the gradients of the head's queries, keys and values to their columns of `out`, the rows
    /// of the sequence, and adds those of the biases to `bias`, buckets × heads.
    #[inline(always)]
    pub fn run<const FUSED: bool>(&self, scratch: &mut Scratch, out: &mut [f32], bias: &mut [f32]) {
        let (length, size) = (self.length, self.attention.head_size);
        if length == 0 {
            return;
        }
        let padded = length.next_multiple_of(WIDTH);
        let Scratch {
            packed,
            weights,
            slopes,
            transposed,
        } = scratch;
        for buffer in [&mut *weights, &mut *slopes, &mut *transposed] {
            buffer.clear();
            buffer.resize(length * padded, 0.0);
        }
        let (queries, stride) = self.part(0);
        let (keys, _) = self.part(1);
        let (values, _) = self.part(2);
        let (dy, dy_stride) = self.dy_rows();
        let scale = self.attention.scale;
        let mut tile = Tile::new();

        // S, then P.
        pack_f32_rows(self.level, keys, size, stride, length, packed);
        self.product(
            left(queries, stride, size),
            packed.as_ref(),
            Right {
                out: weights,
                stride: padded,
                columns: padded,
                factor: scale,
            },
            &mut tile,
        );
        self.add_bias(weights, padded);
        softmax::<FUSED>(weights, padded, length);

        // dP, then dS.
        pack_f32_rows(self.level, values, size, stride, length, packed);
        self.product(
            left(dy, dy_stride, size),
            packed.as_ref(),
            Right {
                out: slopes,
                stride: padded,
                columns: padded,
                factor: 1.0,
            },
            &mut tile,
        );
        slopes_of_scores(weights, slopes, padded, length);
        self.add_bias_slopes(slopes, padded, bias);

        // dQ = dS · K.
        pack_f32_columns(keys, size, stride, length, packed);
        self.product(
            left(slopes, padded, length),
            packed.as_ref(),
            self.gradient(out, 0, scale),
            &mut tile,
        );
        // dK = dSᵀ · Q.
        transpose(slopes, padded, length, transposed);
        pack_f32_columns(queries, size, stride, length, packed);
        self.product(
            left(transposed, padded, length),
            packed.as_ref(),
            self.gradient(out, 1, scale),
            &mut tile,
        );
        // dV = Pᵀ · dY.
        transpose(weights, padded, length, transposed);
        pack_f32_columns(dy, size, dy_stride, length, packed);
        self.product(
            left(transposed, padded, length),
            packed.as_ref(),
            self.gradient(out, 2, 1.0),
            &mut tile,
        );
    }

    /// The head's queries, keys or values: rows of the projections from its first column on.
    #[inline(always)]
    fn part(&self, part: usize) -> (&[f32], usize) {
        let stride = self.attention.projections.columns();
        let column = (part * self.attention.heads + self.head) * self.attention.head_size;
        let values = self.attention.projections.values();
        (&values[self.first * stride + column..], stride)
    }

    /// Where the gradient of the head's queries, keys or values is written.
    #[inline(always)]
    fn gradient<'c>(&self, out: &'c mut [f32], part: usize, factor: f32) -> Right<'c> {
        let column = (part * self.attention.heads + self.head) * self.attention.head_size;
        Right {
            out: &mut out[column..],
            stride: self.attention.projections.columns(),
            columns: self.attention.head_size,
            factor,
        }
    }

    #[inline(always)]
    fn dy_rows(&self) -> (&[f32], usize) {
        let stride = self.dy.columns();
        let first = self.first * stride + self.head * self.attention.head_size;
        (&self.dy.values()[first..], stride)
    }

    /// The product of all rows with packed panels of `left.depth` × [`WIDTH`] values.
    #[inline(always)]
    fn product(&self, left: Left<'_>, packed: &[f32], right: Right<'_>, tile: &mut Tile) {
        let Right {
            out,
            stride,
            columns,
            factor,
        } = right;
        let mut row = 0;
        while row < self.length {
            let block = first_even_chunk(row..self.length, self.level.rows());
            let rows = &left.values[block.start * left.stride..];
            let panels = packed.chunks_exact(left.depth * WIDTH);
            for (panel, values) in panels.enumerate() {
                self.level
                    .multiply(rows, left.stride, block.len(), left.depth, values, tile);
                let first = panel * WIDTH;
                let there = WIDTH.min(columns - first);
                for (index, row) in block.clone().enumerate() {
                    let out = &mut out[row * stride + first..][..there];
                    for (out, value) in out.iter_mut().zip(tile.row(index)) {
                        *out = value * factor;
                    }
                }
            }
            row = block.end;
        }
    }

    #[inline(always)]
    fn add_bias(&self, weights: &mut [f32], padded: usize) {
        let Positions::Bias { table, distances } = &self.attention.positions else {
            return;
        };
        for (query, scores) in weights.chunks_exact_mut(padded).enumerate() {
            let buckets = distances.of_query(query, self.length);
            for (score, bucket) in scores.iter_mut().zip(buckets) {
                *score += table[*bucket as usize * self.attention.heads + self.head];
            }
        }
    }

    #[inline(always)]
    fn add_bias_slopes(&self, slopes: &[f32], padded: usize, bias: &mut [f32]) {
        let Positions::Bias { distances, .. } = &self.attention.positions else {
            return;
        };
        for (query, slopes) in slopes.chunks_exact(padded).enumerate() {
            let buckets = distances.of_query(query, self.length);
            for (slope, bucket) in slopes.iter().zip(buckets) {
                bias[*bucket as usize * self.attention.heads + self.head] += slope;
            }
        }
    }
}

/// Scores become weights, row by row; what pads a row becomes 0.
#[inline(always)]
fn softmax<const FUSED: bool>(weights: &mut [f32], padded: usize, length: usize) {
    for row in weights.chunks_exact_mut(padded) {
        let (scores, rest) = row.split_at_mut(length);
        let mut max = f32::NEG_INFINITY;
        for score in scores.iter() {
            max = max.max(*score);
        }
        for score in scores.iter_mut() {
            *score = exp_nonpositive::<FUSED>(*score - max);
        }
        let factor = 1.0 / sum(scores, |value| value);
        for score in scores.iter_mut() {
            *score *= factor;
        }
        rest.fill(0.0);
    }
}

/// dP becomes dS.
#[inline(always)]
fn slopes_of_scores(weights: &[f32], slopes: &mut [f32], padded: usize, length: usize) {
    let rows = slopes
        .chunks_exact_mut(padded)
        .zip(weights.chunks_exact(padded));
    for (slopes, weights) in rows {
        let mut lanes = [0.0f32; WIDTH];
        let (of_slopes, _) = slopes.as_chunks::<WIDTH>();
        let (of_weights, _) = weights.as_chunks::<WIDTH>();
        for (slopes, weights) in of_slopes.iter().zip(of_weights) {
            for lane in 0..WIDTH {
                lanes[lane] += slopes[lane] * weights[lane];
            }
        }
        let mean = sum(&lanes, |value| value);
        for (slope, weight) in slopes[..length].iter_mut().zip(weights) {
            *slope = weight * (*slope - mean);
        }
        slopes[length..].fill(0.0);
    }
}

/// The transpose of a square of `length` rows, `padded` apart; both have the same strides.
#[inline(always)]
fn transpose(values: &[f32], padded: usize, length: usize, out: &mut [f32]) {
    const BLOCK: usize = 16;
    for first_row in (0..length).step_by(BLOCK) {
        for first_column in (0..length).step_by(BLOCK) {
            for column in first_column..length.min(first_column + BLOCK) {
                let out = &mut out[column * padded..][..length];
                for row in first_row..length.min(first_row + BLOCK) {
                    out[row] = values[row * padded + column];
                }
            }
        }
    }
}
