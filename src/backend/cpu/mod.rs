//! The fast CPU backend: packed weights, SIMD chosen at run time, threads.
//!
//! Weights are packed at load time into panels of 32 outputs. Every product consists of tiles of a
//! few rows and one panel, and the epilogue of a layer (bias, activation, residual, pooling of
//! SPLADE's logits) runs on a tile while it is in the L1 cache. Nothing is padded.

mod attention;
#[cfg(feature = "train")]
mod backward;
mod cross;
mod late;
mod linear;
mod math;
mod matrix;
mod multiply;
mod rows;
mod simd;
mod splade;
mod tensor;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

pub use matrix::Matrix;
pub use tensor::Tensor;

use self::linear::Epilogue;
use self::rows::RowNorm;
use self::simd::{Bf16Unit, Level};
use self::tensor::Buffers;
use super::shapes::{self, expect};
use super::{
    Activation, Attention, CrossAttention, Device, ForwardOps, Linear, Norm, Pooling, SparseVector,
    SpladeActivation, SpladePooling, top_terms,
};
use crate::error::{Error, Result};

/// The dtype of matrix products; everything else is f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// f32.
    #[default]
    F32,
    /// bf16 with f32 accumulators where the CPU has instructions for it (AMX, AVX-512 BF16), f32
    /// elsewhere.
    Bf16,
}

/// Options of a [`Cpu`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuOptions {
    /// The number of threads, the caller's included; at least 1.
    pub threads: usize,
    /// The dtype of matrix products.
    pub precision: Precision,
}

impl Default for CpuOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            precision: Precision::F32,
        }
    }
}

/// The fast CPU backend.
///
/// ```
/// use esparsa::internals::backend::{Activation, Cpu, CpuOptions, Device, ForwardOps, Linear};
///
/// let cpu = Cpu::new(CpuOptions::default())?;
/// let x = cpu.tensor(1, 2, &[1.0, -2.0])?;
/// let weight = cpu.matrix(3, 2, &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0])?;
/// let layer = Linear { weight: &weight, bias: None };
/// let y = cpu.linear(&x, &layer, Activation::Relu)?;
/// assert_eq!(cpu.values(&y)?, [1.0, 0.0, 0.0]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone)]
pub struct Cpu {
    level: Level,
    unit: Option<Bf16Unit>,
    pool: Option<Arc<rayon::ThreadPool>>,
    buffers: Buffers,
}

impl fmt::Debug for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Cpu {
    /// Detects what the CPU supports, and starts the threads if there is more than one.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for 0 threads; [`Error::Device`] if the system cannot start them.
    pub fn new(options: CpuOptions) -> Result<Self> {
        if options.threads == 0 {
            return Err(Error::invalid("expected at least 1 thread, found 0"));
        }
        let unit = match options.precision {
            Precision::F32 => None,
            Precision::Bf16 => Bf16Unit::detect(),
        };
        let pool = (options.threads > 1).then(|| start_threads(options.threads));
        Ok(Self {
            level: Level::detect(),
            unit,
            pool: pool.transpose()?.map(Arc::new),
            buffers: Buffers::default(),
        })
    }

    /// The number of threads.
    pub fn threads(&self) -> usize {
        self.pool
            .as_ref()
            .map_or(1, |pool| pool.current_num_threads())
    }

    /// Splits `0..count` into one range of nearly equal length per thread, calls `part` with each,
    /// and returns the results in order.
    fn par_ranges<T: Send>(&self, count: usize, part: impl Fn(Range<usize>) -> T + Sync) -> Vec<T> {
        let Some(pool) = &self.pool else {
            return vec![part(0..count)];
        };
        let threads = self.threads().min(count.max(1));
        let bound = |thread: usize| count * thread / threads;
        pool.install(|| {
            (0..threads)
                .into_par_iter()
                .with_max_len(1)
                .map(|thread| part(bound(thread)..bound(thread + 1)))
                .collect()
        })
    }

    /// Splits the rows of `out` into nearly equal parts, one per thread, and calls `part` with the
    /// row range and the rows of each.
    fn par_rows(
        &self,
        out: &mut [f32],
        columns: usize,
        part: impl Fn(Range<usize>, &mut [f32]) + Sync,
    ) {
        let rows = out.len().checked_div(columns).unwrap_or(0);
        let Some(pool) = &self.pool else {
            return part(0..rows, out);
        };
        let par_ranges = rows.div_ceil(self.threads()).max(1);
        pool.install(|| {
            out.par_chunks_mut((par_ranges * columns).max(1))
                .with_max_len(1)
                .enumerate()
                .for_each(|(number, out)| {
                    let first = number * par_ranges;
                    part(first..rows.min(first + par_ranges), out);
                });
        });
    }
}

/// Sequences that a thread takes at once. The number is fixed, so that sums over sequences do not
/// depend on the number of threads.
const SEQUENCES: usize = 4;

impl Cpu {
    /// Calls `part` with the starts of a few sequences and their rows of `out`, for all sequences, and
    /// returns the results in order.
    fn par_sequences<T: Send>(
        &self,
        starts: &[u32],
        out: &mut [f32],
        columns: usize,
        part: impl Fn(&[u32], &mut [f32]) -> T + Sync,
    ) -> Vec<T> {
        let sequences = starts.len().saturating_sub(1);
        let mut rest = out;
        let mut parts = Vec::with_capacity(sequences.div_ceil(SEQUENCES));
        for first in (0..sequences).step_by(SEQUENCES) {
            let starts = &starts[first..=sequences.min(first + SEQUENCES)];
            let rows = (starts[starts.len() - 1] - starts[0]) as usize;
            let (rows, others) = std::mem::take(&mut rest).split_at_mut(rows * columns);
            rest = others;
            parts.push((starts, rows));
        }
        let Some(pool) = &self.pool else {
            let each = parts.into_iter().map(|(starts, rows)| part(starts, rows));
            return each.collect();
        };
        pool.install(|| {
            let each = parts.into_par_iter().with_max_len(1);
            each.map(|(starts, rows)| part(starts, rows)).collect()
        })
    }
}

fn start_threads(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|number| format!("esparsa-cpu-{number}"))
        .build()
        .map_err(|error| Error::device(format!("cannot start {threads} threads: {error}")))
}

impl Device for Cpu {
    type Tensor = Tensor;
    type Matrix = Matrix;
    type Table = Tensor;
    type Vector = Vec<f32>;

    fn name(&self) -> String {
        let dtype = self.unit.map_or("f32", Bf16Unit::name);
        let (level, threads) = (self.level.name(), self.threads());
        let s = if threads == 1 { "" } else { "s" };
        format!("cpu, {level}, {dtype}, {threads} thread{s}")
    }

    fn streams(&self) -> Vec<Self> {
        let stream = || Self {
            pool: None,
            buffers: Buffers::default(),
            ..self.clone()
        };
        (0..self.threads()).map(|_| stream()).collect()
    }

    fn batch_tokens(&self) -> usize {
        512
    }

    fn matrix(&self, outputs: usize, inputs: usize, values: &[f32]) -> Result<Matrix> {
        shapes::count("a matrix", outputs, inputs, values.len())?;
        Ok(Matrix::pack(outputs, inputs, values, self.unit))
    }

    fn table(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Tensor> {
        self.tensor(rows, columns, values)
    }

    fn vector(&self, values: &[f32]) -> Result<Vec<f32>> {
        Ok(values.to_vec())
    }

    fn tensor(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Tensor> {
        shapes::count("a tensor", rows, columns, values.len())?;
        let mut tensor = self.buffers.tensor(rows, columns);
        tensor.values_mut().copy_from_slice(values);
        Ok(tensor)
    }

    fn values(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        Ok(tensor.values().to_vec())
    }

    fn shape(&self, tensor: &Tensor) -> (usize, usize) {
        tensor.shape()
    }
}

impl ForwardOps for Cpu {
    fn embed(&self, parts: &[(&Tensor, &[u32])], norm: Option<&Norm<'_, Self>>) -> Result<Tensor> {
        let tables: Vec<_> = parts
            .iter()
            .map(|(table, ids)| (table.shape(), *ids))
            .collect();
        let (rows, columns) = shapes::embed(&tables)?;
        let norm = checked_norm(norm, columns)?;
        Ok(self.embed_rows(parts, norm, rows, columns))
    }

    fn linear(
        &self,
        x: &Tensor,
        layer: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Tensor> {
        let bias = checked_layer(x, layer)?;
        let epilogue = Epilogue::Activate(activation);
        Ok(self.products(x, layer.weight, bias, epilogue, None))
    }

    fn gated(
        &self,
        x: &Tensor,
        gate: &Linear<'_, Self>,
        up: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Tensor> {
        let gate = self.linear(x, gate, activation)?;
        let bias = checked_layer(x, up)?;
        expect("outputs of the gate", up.weight.outputs(), gate.columns())?;
        Ok(self.products(x, up.weight, bias, Epilogue::Times(&gate), None))
    }

    fn linear_add(
        &self,
        x: &Tensor,
        layer: &Linear<'_, Self>,
        residual: &Tensor,
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Tensor> {
        let bias = checked_layer(x, layer)?;
        shapes::same(
            "a residual",
            residual.shape(),
            (x.rows(), layer.weight.outputs()),
        )?;
        let norm = checked_norm(norm, layer.weight.outputs())?;
        Ok(self.products(x, layer.weight, bias, Epilogue::Add(residual), norm))
    }

    fn add(&self, x: &Tensor, y: &Tensor, norm: Option<&Norm<'_, Self>>) -> Result<Tensor> {
        shapes::same("a sum", y.shape(), x.shape())?;
        let norm = checked_norm(norm, x.columns())?;
        Ok(self.sum_of(x, y, norm))
    }

    fn norm(&self, x: &Tensor, norm: &Norm<'_, Self>) -> Result<Tensor> {
        let norm = RowNorm::new(norm);
        expect("columns of a norm", norm.columns(), x.columns())?;
        Ok(self.normalized(x, norm))
    }

    fn attention(&self, attention: &Attention<'_, Self>) -> Result<Tensor> {
        shapes::attention(self, attention, Vec::len)?;
        Ok(self.attend(attention))
    }

    fn cross_attention(&self, attention: &CrossAttention<'_, Self>) -> Result<Tensor> {
        shapes::cross_attention(self, attention)?;
        Ok(self.cross_attend(attention))
    }

    fn im2col(&self, x: &Tensor, starts: &[u32], width: usize) -> Result<Tensor> {
        shapes::starts(starts, x.rows())?;
        shapes::odd(width)?;
        Ok(self.im2col_of(x, starts, width))
    }

    fn pool(&self, x: &Tensor, starts: &[u32], pooling: Pooling) -> Result<Tensor> {
        shapes::starts(starts, x.rows())?;
        Ok(self.pooled(x, starts, pooling))
    }

    fn l2_normalize(&self, x: &Tensor) -> Result<Tensor> {
        let mut out = self.tensor(x.rows(), x.columns(), x.values())?;
        for row in out.values_mut().chunks_exact_mut(x.columns().max(1)) {
            let length = rows::sum(row, |value| value * value).sqrt().max(1e-12);
            row.iter_mut().for_each(|value| *value /= length);
        }
        Ok(out)
    }

    fn splade(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        max_terms: usize,
    ) -> Result<Vec<SparseVector>> {
        checked_layer(x, decoder)?;
        shapes::starts(starts, x.rows())?;
        let vectors = self.sparse_vectors(x, starts, decoder, activation, pooling);
        let cut = vectors
            .into_iter()
            .map(|vector| top_terms(vector, max_terms));
        Ok(cut.collect())
    }

    fn max_sim(&self, query: &Tensor, documents: &Tensor, starts: &[u32]) -> Result<Vec<f32>> {
        expect("columns of documents", documents.columns(), query.columns())?;
        shapes::starts(starts, documents.rows())?;
        Ok(self.max_sim_scores(query, documents, starts))
    }
}

/// The bias of a layer whose shape matches `x`.
fn checked_layer<'a>(x: &Tensor, layer: &Linear<'a, Cpu>) -> Result<Option<&'a [f32]>> {
    expect(
        "inputs of a linear layer",
        x.columns(),
        layer.weight.inputs(),
    )?;
    if let Some(bias) = layer.bias {
        expect("values of a bias", bias.len(), layer.weight.outputs())?;
    }
    Ok(layer.bias.map(Vec::as_slice))
}

/// A norm whose parameters have `columns` values.
fn checked_norm<'a>(norm: Option<&Norm<'a, Cpu>>, columns: usize) -> Result<Option<RowNorm<'a>>> {
    let norm = norm.map(RowNorm::new);
    if let Some(norm) = &norm {
        expect("columns of a norm", norm.columns(), columns)?;
    }
    Ok(norm)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::conformance::{Tolerance, check};

    fn with(level: Level, unit: Option<Bf16Unit>, threads: usize) -> Cpu {
        let cpu = Cpu::new(CpuOptions {
            threads,
            ..CpuOptions::default()
        });
        Cpu {
            level,
            unit,
            ..cpu.unwrap()
        }
    }

    #[test]
    fn every_level_equals_the_reference() {
        let tolerance = Tolerance {
            max_error: 1e-5,
            rounds_products: false,
            rounds_storage: false,
        };
        for level in Level::all() {
            for threads in [1, 3] {
                check(&with(level, None, threads), tolerance, 7, 12).unwrap();
            }
        }
    }

    #[test]
    fn bf16_products_equal_those_of_rounded_numbers() {
        let tolerance = Tolerance {
            max_error: 1e-5,
            rounds_products: true,
            rounds_storage: false,
        };
        for unit in Bf16Unit::all() {
            check(&with(Level::detect(), Some(unit), 2), tolerance, 11, 24).unwrap();
        }
    }

    #[test]
    fn streams_are_single_threaded_and_share_no_mutable_state() {
        let cpu = with(Level::detect(), None, 3);
        let streams = cpu.streams();
        assert_eq!(streams.len(), 3);
        assert!(streams.iter().all(|stream| stream.threads() == 1));
    }

    #[test]
    fn shapes_that_do_not_fit_are_named() {
        let cpu = with(Level::detect(), None, 1);
        let x = cpu.tensor(2, 3, &[0.0; 6]).unwrap();
        let weight = cpu.matrix(4, 5, &[0.0; 20]).unwrap();
        let layer = Linear {
            weight: &weight,
            bias: None,
        };
        let error = cpu.linear(&x, &layer, Activation::Identity).err().unwrap();
        assert_eq!(
            error.to_string(),
            "inputs of a linear layer: expected 5, found 3"
        );
    }
}
