//! Linear layers with fused epilogues.

use std::ops::Range;

use super::math::{gelu, gelu_tanh, silu, tanh};
use super::multiply::{Layout, Multiply, Sink};
use super::rows::RowNorm;
use super::simd::{Tile, WIDTH};
use super::{Cpu, Matrix, Tensor};
use crate::backend::Activation;

/// What happens to a product once the bias is added.
#[derive(Clone, Copy)]
pub(super) enum Epilogue<'a> {
    /// Apply an activation.
    Activate(Activation),
    /// Add the same element of this tensor.
    Add(&'a Tensor),
    /// Multiply by the same element of this tensor.
    Times(&'a Tensor),
    /// Add to what is there; there is no bias.
    #[cfg(feature = "train")]
    Accumulate,
}

/// Writes tiles into a tensor, or into some rows or columns of one.
struct Store<'a> {
    out: &'a mut [f32],
    /// Values per row of `out`.
    stride: usize,
    first_row: usize,
    first_column: usize,
    bias: Option<&'a [f32]>,
    epilogue: Epilogue<'a>,
}

/// One row of a tile.
type Row = [f32; WIDTH];

impl Sink for Store<'_> {
    #[inline(always)]
    fn take<const FUSED: bool>(&mut self, rows: Range<usize>, columns: Range<usize>, tile: &Tile) {
        let mut bias = [0.0; WIDTH];
        if let Some(all) = self.bias {
            bias[..columns.len()].copy_from_slice(&all[columns.clone()]);
        }
        // Matched out here, so that every epilogue gets a loop of its own without branches.
        match self.epilogue {
            Epilogue::Activate(Activation::Identity) => {
                self.each(rows, columns, tile, &bias, |x, _| x, None)
            }
            Epilogue::Activate(Activation::Gelu) => {
                self.each(rows, columns, tile, &bias, |x, _| gelu::<FUSED>(x), None)
            }
            Epilogue::Activate(Activation::GeluTanh) => self.each(
                rows,
                columns,
                tile,
                &bias,
                |x, _| gelu_tanh::<FUSED>(x),
                None,
            ),
            Epilogue::Activate(Activation::Relu) => {
                self.each(rows, columns, tile, &bias, |x, _| x.max(0.0), None)
            }
            Epilogue::Activate(Activation::Silu) => {
                self.each(rows, columns, tile, &bias, |x, _| silu::<FUSED>(x), None)
            }
            Epilogue::Activate(Activation::Tanh) => {
                self.each(rows, columns, tile, &bias, |x, _| tanh::<FUSED>(x), None)
            }
            Epilogue::Add(other) => {
                self.each(rows, columns, tile, &bias, |x, y| x + y, Some(other))
            }
            Epilogue::Times(other) => {
                self.each(rows, columns, tile, &bias, |x, y| x * y, Some(other))
            }
            #[cfg(feature = "train")]
            Epilogue::Accumulate => self.accumulate(rows, columns, tile),
        }
    }
}

impl Store<'_> {
    #[cfg(feature = "train")]
    #[inline(always)]
    fn accumulate(&mut self, rows: Range<usize>, columns: Range<usize>, tile: &Tile) {
        for (index, row) in rows.enumerate() {
            let place = (row - self.first_row) * self.stride + columns.start - self.first_column;
            let out = &mut self.out[place..][..columns.len()];
            for (sum, value) in out.iter_mut().zip(tile.row(index)) {
                *sum += value;
            }
        }
    }

    /// Writes `finish(product + bias, other)`; `other` is zero without another tensor.
    #[inline(always)]
    fn each(
        &mut self,
        rows: Range<usize>,
        columns: Range<usize>,
        tile: &Tile,
        bias: &Row,
        finish: impl Fn(f32, f32) -> f32 + Copy,
        other: Option<&Tensor>,
    ) {
        const ZEROS: Row = [0.0; WIDTH];
        for (index, row) in rows.enumerate() {
            let place = (row - self.first_row) * self.stride + columns.start - self.first_column;
            let out = &mut self.out[place..][..columns.len()];
            let others = other.map_or(&ZEROS[..columns.len()], |other| {
                &other.row(row)[columns.clone()]
            });
            match (<&mut Row>::try_from(&mut *out), <&Row>::try_from(others)) {
                (Ok(out), Ok(others)) => finish_row(tile.row(index), bias, others, out, finish),
                // The last panel may have fewer columns.
                _ => {
                    let (mut padded, mut others_padded) = (ZEROS, ZEROS);
                    others_padded[..others.len()].copy_from_slice(others);
                    finish_row(tile.row(index), bias, &others_padded, &mut padded, finish);
                    out.copy_from_slice(&padded[..out.len()]);
                }
            }
        }
    }
}

#[inline(always)]
fn finish_row(
    products: &Row,
    bias: &Row,
    others: &Row,
    out: &mut Row,
    finish: impl Fn(f32, f32) -> f32,
) {
    for column in 0..WIDTH {
        out[column] = finish(products[column] + bias[column], others[column]);
    }
}

impl Cpu {
    /// x · weightᵀ + bias, the epilogue and the norm if there is one, on all threads of the
    /// backend. Shapes have been checked.
    pub(super) fn products(
        &self,
        x: &Tensor,
        weight: &Matrix,
        bias: Option<&[f32]>,
        epilogue: Epilogue<'_>,
        norm: Option<RowNorm<'_>>,
    ) -> Tensor {
        let mut out = self.buffers.tensor(x.rows(), weight.outputs());
        if x.rows() >= self.rows_worth_sharing() {
            self.by_rows(x, weight, bias, epilogue, norm, out.values_mut());
        } else {
            self.by_columns(x, weight, bias, epilogue, out.values_mut());
            if let Some(norm) = norm {
                self.norm_rows(norm, out.values_mut(), weight.outputs());
            }
        }
        out
    }

    /// Adds the products of some rows of `depth` values, which lie as `layout` says, with a weight to
    /// `sums`, rows × outputs of the weight.
    #[cfg(feature = "train")]
    pub(super) fn add_products(
        &self,
        (values, layout, depth): (&[f32], Layout, usize),
        range: Range<usize>,
        weight: &Matrix,
        sums: &mut [f32],
    ) {
        let stride = weight.outputs();
        self.par_rows(sums, stride, |rows, out| {
            let rows = range.start + rows.start..range.start + rows.end;
            let mut store = Store {
                out,
                stride,
                first_row: rows.start,
                first_column: 0,
                bias: None,
                epilogue: Epilogue::Accumulate,
            };
            Multiply {
                level: self.level,
                values,
                layout,
                columns: depth,
                rows,
                matrix: weight,
                panels: 0..weight.panels(),
                sink: &mut store,
            }
            .run();
        });
    }

    /// From this many rows on, threads split the rows; below it they split the columns.
    fn rows_worth_sharing(&self) -> usize {
        const ROWS_A_THREAD: usize = 64;
        match self.threads() {
            1 => 0,
            threads => threads * ROWS_A_THREAD,
        }
    }

    fn by_rows(
        &self,
        x: &Tensor,
        weight: &Matrix,
        bias: Option<&[f32]>,
        epilogue: Epilogue<'_>,
        norm: Option<RowNorm<'_>>,
        out: &mut [f32],
    ) {
        let stride = weight.outputs();
        self.par_rows(out, stride, |rows, out| {
            let mut store = Store {
                out: &mut *out,
                stride,
                first_row: rows.start,
                first_column: 0,
                bias,
                epilogue,
            };
            Multiply {
                level: self.level,
                values: x.values(),
                layout: Layout::Rows,
                columns: x.columns(),
                rows,
                matrix: weight,
                panels: 0..weight.panels(),
                sink: &mut store,
            }
            .run();
            if let Some(norm) = norm {
                norm.apply(self.level, out, stride);
            }
        });
    }

    fn by_columns(
        &self,
        x: &Tensor,
        weight: &Matrix,
        bias: Option<&[f32]>,
        epilogue: Epilogue<'_>,
        out: &mut [f32],
    ) {
        let outputs = weight.outputs();
        let parts = self.par_ranges(weight.panels(), |panels| {
            let columns = panels.start * WIDTH..outputs.min(panels.end * WIDTH);
            let mut part = self.buffers.take(x.rows() * columns.len());
            let mut store = Store {
                out: &mut part,
                stride: columns.len(),
                first_row: 0,
                first_column: columns.start,
                bias,
                epilogue,
            };
            Multiply {
                level: self.level,
                values: x.values(),
                layout: Layout::Rows,
                columns: x.columns(),
                rows: 0..x.rows(),
                matrix: weight,
                panels,
                sink: &mut store,
            }
            .run();
            (columns, part)
        });
        for (columns, part) in parts {
            let width = columns.len().max(1);
            for (row, values) in out.chunks_exact_mut(outputs).zip(part.chunks_exact(width)) {
                row[columns.clone()].copy_from_slice(values);
            }
        }
    }
}
