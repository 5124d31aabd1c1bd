//! The SPLADE head in training: the row of each max, and gradients without tokens × terms logits.

use std::ops::Range;

use super::super::parameters::{ABSENT, Product, splade_activation as number_of};
use super::super::rows::grid_of;
use super::super::sparse::{ARGMAX_TABLE, SUM_TABLE, sequence_of_rows};
use super::super::stream::{Buffer, CachedTable};
use super::super::tensor::{DType, Tensor};
use super::super::{Cuda, sources, to_i32};
use super::gather::{Groups, Target};
use super::parameters::SpladeSlopes;
use super::weights::WeightProduct;
use crate::backend::{Linear, LinearPart, SpladeActivation, SpladePooling, TermWeight};
use crate::error::Result;

/// Logits in f32 that exist at once for the gradient of sums, unless one row of tiles needs more.
/// The tests have small batches.
const MAX_LOGITS: usize = if cfg!(test) { 1 << 14 } else { 1 << 24 };
/// Terms are taken in multiples of a tile's columns.
const TILE_TERMS: usize = 128;

/// The slope of a weight at its logit, from the weight: with w = ln(1 + x), 1 / (1 + x) = e^-w.
fn slope_of_weight(weight: f32, activation: SpladeActivation) -> f32 {
    match activation {
        SpladeActivation::Log1pRelu => (-weight).exp(),
        SpladeActivation::Log1pLog1pRelu => (-weight - weight.exp_m1()).exp(),
    }
}

impl Cuda {
    /// The terms of each sequence. Shapes have been checked.
    pub(super) fn terms_of(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
    ) -> Result<Vec<Vec<TermWeight>>> {
        let x = self.as_bf16(x)?;
        let kind = match pooling {
            SpladePooling::Max => ARGMAX_TABLE,
            SpladePooling::Sum => SUM_TABLE,
        };
        let (sequences, terms) = (starts.len() - 1, decoder.weight.rows);
        let Some(table) = self.pooled_logits(&x, starts, decoder, activation, kind)? else {
            return Ok(vec![Vec::new(); sequences]);
        };
        let (vectors, rows) = self.compact(&table, sequences, terms, kind, activation)?;
        // Sums have no rows.
        let mut rows = rows.into_iter().chain(std::iter::repeat(0));
        let mut of_pair = |(term, weight)| TermWeight {
            term,
            weight,
            row: rows.next().unwrap_or(0),
        };
        let of_vector = |vector: Vec<(u32, f32)>| vector.into_iter().map(&mut of_pair).collect();
        Ok(vectors.into_iter().map(of_vector).collect())
    }
}

/// The gradient of the head. Shapes have been checked.
pub(super) struct HeadGradient<'a> {
    pub(super) cuda: &'a Cuda,
    /// bf16.
    pub(super) x: &'a Tensor,
    pub(super) starts: &'a [u32],
    pub(super) decoder: &'a Linear<'a, Cuda>,
    pub(super) activation: SpladeActivation,
    pub(super) terms: &'a [Vec<TermWeight>],
    /// Of each weight.
    pub(super) dy: &'a [Vec<f32>],
}

impl HeadGradient<'_> {
    /// Only the logit of each max has a gradient: dx is a sum of rows of the decoder, its gradient a
    /// sum of rows of x.
    pub(super) fn of_max(&self, gradients: LinearPart<'_, Cuda>) -> Result<Tensor> {
        let (cuda, x, weight) = (self.cuda, self.x, self.decoder.weight);
        let (mut entries, mut slopes) = (Vec::new(), Vec::new());
        let pairs = self.terms.iter().flatten().zip(self.dy.iter().flatten());
        for (term, dy) in pairs {
            let slope = dy * slope_of_weight(term.weight, self.activation);
            if slope != 0.0 {
                entries.push((term.row, term.term));
                slopes.push(slope);
            }
        }
        let dx = cuda.empty(x.rows, x.columns, DType::Bf16)?;
        let bytes = 2 * x.rows * dx.stride();
        cuda.stream.zero(&dx.buffer, bytes)?;
        let by_row = Groups::new(x.rows, entries.iter().copied(), &slopes)?;
        let source = (weight.memory.address(), weight.stride());
        let target = Target::Bf16(dx.address(), dx.stride());
        cuda.gather(&by_row, source, target, x.columns)?;
        let of_terms = entries.iter().map(|(row, term)| (*term, *row));
        let by_term = Groups::new(weight.rows, of_terms, &slopes)?;
        let target = Target::F32(cuda.address_of(gradients.weight)?);
        cuda.gather(&by_term, (x.address(), x.stride()), target, x.columns)?;
        if let Some(bias) = gradients.bias {
            let mut sums = vec![0.0; weight.rows];
            for ((_, term), slope) in entries.iter().zip(&slopes) {
                sums[*term as usize] += slope;
            }
            let sums = cuda.buffer_of(&sums)?;
            let (parts, out) = (sums.memory.address(), cuda.address_of(bias)?);
            cuda.add_parts(parts, out, [1, weight.rows])?;
        }
        Ok(dx)
    }

    /// Every logit above 0 has a gradient: logits are computed again, some terms at a time.
    pub(super) fn of_sum(&self, gradients: LinearPart<'_, Cuda>) -> Result<Tensor> {
        let (cuda, x) = (self.cuda, self.x);
        let dx = cuda.zeroed(x.rows * x.columns)?;
        let sequence_of = cuda
            .stream
            .cached(CachedTable::SequenceOfRow, &sequence_of_rows(self.starts))?;
        let tiles = (MAX_LOGITS / x.rows.max(1) / TILE_TERMS).max(1);
        let (chunk, count) = (tiles * TILE_TERMS, self.decoder.weight.rows);
        let mut next = vec![0; self.terms.len()];
        for first in (0..count).step_by(chunk) {
            let terms = first..count.min(first + chunk);
            let dy = self.gradients_of(&terms, &mut next);
            // A vocabulary has terms that no vector of the batch has, but seldom so many.
            if dy.iter().all(|dy| *dy == 0.0) {
                continue;
            }
            let slopes = self.slopes(&terms, &dy, &sequence_of)?;
            self.pass(&terms, &slopes, &dx.memory, &gradients)?;
        }
        let dx = Tensor {
            buffer: dx.memory,
            rows: x.rows,
            columns: x.columns,
            dtype: DType::F32,
        };
        cuda.convert(&dx, DType::Bf16)
    }

    /// The gradients of the weights of some terms: sequences × terms.
    fn gradients_of(&self, terms: &Range<usize>, next: &mut [usize]) -> Vec<f32> {
        let mut gradients = vec![0.0; self.terms.len() * terms.len()];
        let of_sequences = gradients.chunks_exact_mut(terms.len());
        for (sequence, (gradients, next)) in of_sequences.zip(next).enumerate() {
            let (terms_left, dy_left) =
                (&self.terms[sequence][*next..], &self.dy[sequence][*next..]);
            for (term, dy) in terms_left.iter().zip(dy_left) {
                let place = (term.term as usize).wrapping_sub(terms.start);
                let Some(gradient) = gradients.get_mut(place) else {
                    break;
                };
                *gradient = *dy;
                *next += 1;
            }
        }
        gradients
    }

    /// The gradients of the logits of some terms: rows × terms in bf16.
    fn slopes(&self, terms: &Range<usize>, dy: &[f32], sequence_of: &Buffer) -> Result<Tensor> {
        let (cuda, x) = (self.cuda, self.x);
        let logits = cuda.empty(x.rows, terms.len(), DType::F32)?;
        let bias = self.decoder.bias.map(|bias| bias.memory.address());
        let product = Product {
            a: x.address(),
            b: self.decoder_row(terms.start),
            out: logits.address(),
            bias: bias.map_or(ABSENT, |bias| bias + 4 * terms.start as u64),
            m: to_i32(x.rows)?,
            n: to_i32(terms.len())?,
            k: to_i32(x.columns)?,
            a_stride: to_i32(x.stride())?,
            b_stride: to_i32(self.decoder.weight.stride())?,
            out_stride: to_i32(logits.stride())?,
            ..Product::NONE
        };
        cuda.launch_product(&product, DType::F32, 1)?;
        let out = cuda.empty(x.rows, terms.len(), DType::Bf16)?;
        let dy = cuda.buffer_of(dy)?;
        let parameters = SpladeSlopes {
            logits: logits.address(),
            dy: dy.memory.address(),
            sequence_of: sequence_of.address(),
            out: out.address(),
            rows: to_i32(x.rows)?,
            terms: to_i32(terms.len())?,
            stride: to_i32(out.stride())?,
            activation: number_of(self.activation),
        };
        let kernel = const { sources::kernel("splade_slopes") };
        cuda.stream
            .launch(kernel, grid_of(x.rows), 0, &parameters)?;
        Ok(out)
    }

    /// Passes the gradients of the logits of some terms on, to x and to the decoder.
    fn pass(
        &self,
        terms: &Range<usize>,
        slopes: &Tensor,
        dx: &Buffer,
        gradients: &LinearPart<'_, Cuda>,
    ) -> Result<()> {
        let (cuda, x) = (self.cuda, self.x);
        let out = cuda.empty(x.rows, x.columns, DType::F32)?;
        let to_x = Product {
            a: slopes.address(),
            b: self.decoder_row(terms.start),
            out: out.address(),
            m: to_i32(x.rows)?,
            n: to_i32(x.columns)?,
            k: to_i32(terms.len())?,
            a_stride: to_i32(slopes.stride())?,
            b_stride: to_i32(self.decoder.weight.stride())?,
            out_stride: to_i32(x.columns)?,
            ..Product::NONE
        };
        let kernel = const { sources::kernel("product_nn_f32") };
        cuda.launch_tiles(kernel, false, &to_x, 1)?;
        cuda.add_parts(out.address(), dx.address(), [1, x.rows * x.columns])?;
        let first = cuda.address_of(gradients.weight)? + 4 * (terms.start * x.columns) as u64;
        cuda.add_weight_product(&WeightProduct {
            dy: (slopes.address(), slopes.stride(), 0),
            x: (x.address(), x.stride(), 0),
            out: (first, x.columns, 0),
            rows: x.rows,
            outputs: terms.len(),
            skipped: 0,
            inputs: x.columns,
            batch: 1,
        })?;
        if let Some(bias) = &gradients.bias {
            let sums = cuda.column_sums(slopes)?;
            let first = cuda.address_of(bias)? + 4 * terms.start as u64;
            cuda.add_parts(sums.address(), first, [sums.rows, terms.len()])?;
        }
        Ok(())
    }

    /// Where a row of the decoder is.
    fn decoder_row(&self, row: usize) -> u64 {
        let weight = self.decoder.weight;
        weight.memory.address() + 2 * (row * weight.stride()) as u64
    }
}
