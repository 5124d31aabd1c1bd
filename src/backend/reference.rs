//! Every operation of a backend in scalar Rust, one thread, one loop per index: the specification
//! in code.
//!
//! Values are stored as f32; each sum is accumulated in f64 and rounded once, so that any deviation
//! of another backend is that backend's own error. It is deliberately simple rather than fast: read
//! it to learn what an operation does, and run it to test other backends.

mod activation;
mod attention;
mod embed;
mod linear;
mod pool;
mod rows;
mod sparse;

#[cfg(feature = "cuda")]
pub(in crate::backend) use activation::apply as activate;
pub use rows::Rows;

use super::{
    Activation, Attention, Device, ForwardOps, Linear, Norm, Pooling, SparseVector,
    SpladeActivation, SpladePooling, top_terms,
};
use crate::error::Result;

/// The backend that defines each operation: scalar f32 on one thread.
///
/// ```
/// use esparsa::internals::backend::{Activation, Device, ForwardOps, Linear, Reference};
///
/// let backend = Reference;
/// let x = backend.tensor(1, 2, &[1.0, 2.0])?;
/// let weight = backend.matrix(3, 2, &[1.0, 0.0, 0.0, 1.0, -1.0, -1.0])?;
/// let layer = Linear { weight: &weight, bias: None };
/// let y = backend.linear(&x, &layer, Activation::Relu)?;
/// assert_eq!(backend.values(&y)?, [1.0, 2.0, 0.0]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

impl Device for Reference {
    type Tensor = Rows;
    type Matrix = Rows;
    type Table = Rows;
    type Vector = Vec<f32>;

    fn name(&self) -> String {
        "reference, f32, 1 thread".to_string()
    }

    fn streams(&self) -> Vec<Self> {
        vec![*self]
    }

    fn batch_tokens(&self) -> usize {
        512
    }

    fn matrix(&self, outputs: usize, inputs: usize, values: &[f32]) -> Result<Rows> {
        Rows::new(outputs, inputs, values.to_vec())
    }

    fn table(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Rows> {
        Rows::new(rows, columns, values.to_vec())
    }

    fn vector(&self, values: &[f32]) -> Result<Vec<f32>> {
        Ok(values.to_vec())
    }

    fn tensor(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Rows> {
        Rows::new(rows, columns, values.to_vec())
    }

    fn values(&self, tensor: &Rows) -> Result<Vec<f32>> {
        Ok(tensor.values().to_vec())
    }

    fn shape(&self, tensor: &Rows) -> (usize, usize) {
        (tensor.rows(), tensor.columns())
    }
}

impl ForwardOps for Reference {
    fn embed(&self, parts: &[(&Rows, &[u32])], norm: Option<&Norm<'_, Self>>) -> Result<Rows> {
        embed::embed(parts, norm)
    }

    fn linear(&self, x: &Rows, layer: &Linear<'_, Self>, activation: Activation) -> Result<Rows> {
        linear::linear(x, layer, activation)
    }

    fn gated(
        &self,
        x: &Rows,
        gate: &Linear<'_, Self>,
        up: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Rows> {
        linear::gated(x, gate, up, activation)
    }

    fn linear_add(
        &self,
        x: &Rows,
        layer: &Linear<'_, Self>,
        residual: &Rows,
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Rows> {
        let y = linear::linear(x, layer, Activation::Identity)?;
        embed::add(&y, residual, norm)
    }

    fn add(&self, x: &Rows, y: &Rows, norm: Option<&Norm<'_, Self>>) -> Result<Rows> {
        embed::add(x, y, norm)
    }

    fn norm(&self, x: &Rows, norm: &Norm<'_, Self>) -> Result<Rows> {
        embed::normalized(x.clone(), norm)
    }

    fn attention(&self, attention: &Attention<'_, Self>) -> Result<Rows> {
        attention::attention(attention)
    }

    fn im2col(&self, x: &Rows, starts: &[u32], width: usize) -> Result<Rows> {
        pool::im2col(x, starts, width)
    }

    fn pool(&self, x: &Rows, starts: &[u32], pooling: Pooling) -> Result<Rows> {
        pool::pool(x, starts, pooling)
    }

    fn l2_normalize(&self, x: &Rows) -> Result<Rows> {
        Ok(pool::l2_normalize(x))
    }

    fn splade(
        &self,
        x: &Rows,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        max_terms: usize,
    ) -> Result<Vec<SparseVector>> {
        let vectors = sparse::splade(x, starts, decoder, activation, pooling)?;
        let cut = vectors
            .into_iter()
            .map(|vector| top_terms(vector, max_terms));
        Ok(cut.collect())
    }

    fn max_sim(&self, query: &Rows, documents: &Rows, starts: &[u32]) -> Result<Vec<f32>> {
        sparse::max_sim(query, documents, starts)
    }
}
