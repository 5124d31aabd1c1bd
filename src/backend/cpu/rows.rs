//! Row-wise operations: norms, sums, pooling.

use std::ops::Range;

use super::math::{LANES, fold_lanes, multiply_add};
use super::simd::{Level, Task};
use super::{Cpu, Tensor};
use crate::backend::{Norm, Pooling};

/// A norm with its parameters.
#[derive(Clone, Copy)]
pub(super) struct RowNorm<'a> {
    weight: &'a [f32],
    /// Absent for RMSNorm.
    bias: Option<&'a [f32]>,
    epsilon: f32,
}

impl<'a> RowNorm<'a> {
    pub fn new(norm: &Norm<'a, Cpu>) -> Self {
        match *norm {
            Norm::Layer {
                weight,
                bias,
                epsilon,
            } => Self {
                weight,
                bias: Some(bias),
                epsilon,
            },
            Norm::RootMeanSquare { weight, epsilon } => Self {
                weight,
                bias: None,
                epsilon,
            },
        }
    }

    /// The number of normalized columns.
    pub fn columns(&self) -> usize {
        self.weight.len()
    }

    /// Normalizes rows of `columns` values in place.
    pub fn apply(self, level: Level, values: &mut [f32], columns: usize) {
        level.run(ApplyNorm {
            norm: self,
            values,
            columns,
        });
    }
}

struct ApplyNorm<'a> {
    norm: RowNorm<'a>,
    values: &'a mut [f32],
    columns: usize,
}

impl Task for ApplyNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let columns = self.columns as f32;
        for row in self.values.chunks_exact_mut(self.columns.max(1)) {
            match self.norm.bias {
                Some(bias) => {
                    let mean = sum(row, |value| value) / columns;
                    let variance = sum(row, |value| (value - mean) * (value - mean)) / columns;
                    let factor = 1.0 / (variance + self.norm.epsilon).sqrt();
                    for ((value, weight), bias) in row.iter_mut().zip(self.norm.weight).zip(bias) {
                        *value = multiply_add::<FUSED>((*value - mean) * factor, *weight, *bias);
                    }
                }
                None => {
                    let square = sum(row, |value| value * value) / columns;
                    let factor = 1.0 / (square + self.norm.epsilon).sqrt();
                    for (value, weight) in row.iter_mut().zip(self.norm.weight) {
                        *value *= factor * weight;
                    }
                }
            }
        }
    }
}

/// The sum of a function of the values, in [`LANES`] partial sums.
#[inline(always)]
pub(super) fn sum(values: &[f32], function: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in chunks {
        for (sum, value) in sums.iter_mut().zip(chunk) {
            *sum += function(*value);
        }
    }
    for (sum, value) in sums.iter_mut().zip(rest) {
        *sum += function(*value);
    }
    fold_lanes(sums, |a, b| a + b)
}

/// The sum of one row of each of several tables.
struct Embed<'a> {
    parts: &'a [(&'a Tensor, &'a [u32])],
    rows: Range<usize>,
    out: &'a mut [f32],
}

impl Task for Embed<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let Some(((first, ids), others)) = self.parts.split_first() else {
            return self.out.fill(0.0);
        };
        let columns = first.columns().max(1);
        for (row, out) in self.rows.zip(self.out.chunks_exact_mut(columns)) {
            out.copy_from_slice(first.row(ids[row] as usize));
            for (table, ids) in others {
                for (out, value) in out.iter_mut().zip(table.row(ids[row] as usize)) {
                    *out += value;
                }
            }
        }
    }
}

impl Cpu {
    /// Normalizes rows in place.
    pub(super) fn norm_rows(&self, norm: RowNorm<'_>, values: &mut [f32], columns: usize) {
        self.par_rows(values, columns, |_, values| {
            norm.apply(self.level, values, columns);
        });
    }

    /// The norms of rows.
    pub(super) fn normalized(&self, x: &Tensor, norm: RowNorm<'_>) -> Tensor {
        let columns = x.columns();
        let mut out = self.buffers.tensor(x.rows(), columns);
        self.par_rows(out.values_mut(), columns, |rows, values| {
            values.copy_from_slice(&x.values()[rows.start * columns..rows.end * columns]);
            norm.apply(self.level, values, columns);
        });
        out
    }

    /// Sums table rows and normalizes the sums. Shapes and ids have been checked.
    pub(super) fn embed_rows(
        &self,
        parts: &[(&Tensor, &[u32])],
        norm: Option<RowNorm<'_>>,
        rows: usize,
        columns: usize,
    ) -> Tensor {
        let mut out = self.buffers.tensor(rows, columns);
        self.par_rows(out.values_mut(), columns, |rows, values| {
            self.level.run(Embed {
                parts,
                rows,
                out: values,
            });
            if let Some(norm) = norm {
                norm.apply(self.level, values, columns);
            }
        });
        out
    }

    /// x + y, then the norm if there is one. Shapes have been checked.
    pub(super) fn sum_of(&self, x: &Tensor, y: &Tensor, norm: Option<RowNorm<'_>>) -> Tensor {
        let columns = x.columns();
        let mut out = self.buffers.tensor(x.rows(), columns);
        self.par_rows(out.values_mut(), columns, |rows, values| {
            let range = rows.start * columns..rows.end * columns;
            let (x, y) = (&x.values()[range.clone()], &y.values()[range]);
            for ((out, x), y) in values.iter_mut().zip(x).zip(y) {
                *out = x + y;
            }
            if let Some(norm) = norm {
                norm.apply(self.level, values, columns);
            }
        });
        out
    }

    /// One row for each sequence.
    pub(super) fn pooled(&self, x: &Tensor, starts: &[u32], pooling: Pooling) -> Tensor {
        let columns = x.columns();
        let mut out = self.buffers.tensor(starts.len() - 1, columns);
        for (pair, out) in starts
            .windows(2)
            .zip(out.values_mut().chunks_exact_mut(columns.max(1)))
        {
            let rows = pair[0] as usize..pair[1] as usize;
            self.level.run(Pool {
                x,
                rows,
                pooling,
                out,
            });
        }
        out
    }
}

struct Pool<'a> {
    x: &'a Tensor,
    rows: Range<usize>,
    pooling: Pooling,
    out: &'a mut [f32],
}

impl Pool<'_> {
    #[inline(always)]
    fn weighted_sum<const FUSED: bool>(self, weight: impl Fn(usize) -> f32) {
        self.out.fill(0.0);
        for (place, row) in self.rows.enumerate() {
            let weight = weight(place);
            for (out, value) in self.out.iter_mut().zip(self.x.row(row)) {
                *out = multiply_add::<FUSED>(weight, *value, *out);
            }
        }
    }
}

impl Task for Pool<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        if self.rows.is_empty() {
            return self.out.fill(0.0);
        }
        let count = self.rows.len() as f32;
        match self.pooling {
            Pooling::First => self.out.copy_from_slice(self.x.row(self.rows.start)),
            Pooling::Last => self.out.copy_from_slice(self.x.row(self.rows.end - 1)),
            Pooling::Mean => self.weighted_sum::<FUSED>(|_| 1.0 / count),
            Pooling::MeanSqrt => self.weighted_sum::<FUSED>(|_| 1.0 / count.sqrt()),
            Pooling::WeightedMean => {
                let all = count * (count + 1.0) / 2.0;
                self.weighted_sum::<FUSED>(|place| (place as f32 + 1.0) / all);
            }
            Pooling::Max => {
                self.out.copy_from_slice(self.x.row(self.rows.start));
                for row in self.rows.skip(1) {
                    for (out, value) in self.out.iter_mut().zip(self.x.row(row)) {
                        *out = out.max(*value);
                    }
                }
            }
        }
    }
}
