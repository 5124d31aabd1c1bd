//! Every operation of a backend in scalar Rust, one thread, one loop per index: the specification
//! in code.
//!
//! Values are stored as f32; each sum is accumulated in f64 and rounded once, so that any deviation
//! of another backend is that backend's own error. It is deliberately simple rather than fast: read
//! it to learn what an operation does, and run it to test other backends.

mod activation;
mod attention;
#[cfg(feature = "train")]
mod backward;
mod cross;
mod embed;
mod linear;
mod pool;
mod rows;
mod sparse;

#[cfg(feature = "cuda")]
pub(in crate::backend) use activation::apply as activate;
pub use rows::{Rows, Value};

use std::marker::PhantomData;

use super::{
    Activation, Attention, CrossAttention, Device, ForwardOps, Linear, Norm, Pooling, SparseVector,
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
pub type Reference = Scalar<f32>;

/// The value of the type of the same name.
#[expect(
    non_upper_case_globals,
    reason = "the backend has no state: its type and its one value are named alike"
)]
pub const Reference: Reference = Scalar(PhantomData);

/// The reference for values of a type: [`Reference`] for f32; for f64 the same operations without
/// rounding, from which derivatives can be taken by differences.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scalar<T>(PhantomData<T>);

impl<T: Value> Device for Scalar<T> {
    type Tensor = Rows<T>;
    type Matrix = Rows<T>;
    type Table = Rows<T>;
    type Vector = Vec<T>;

    fn name(&self) -> String {
        format!("reference, {}, 1 thread", std::any::type_name::<T>())
    }

    fn streams(&self) -> Vec<Self> {
        vec![*self]
    }

    fn batch_tokens(&self) -> usize {
        512
    }

    fn matrix(&self, outputs: usize, inputs: usize, values: &[f32]) -> Result<Rows<T>> {
        Rows::new(outputs, inputs, narrow(values))
    }

    fn table(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Rows<T>> {
        Rows::new(rows, columns, narrow(values))
    }

    fn vector(&self, values: &[f32]) -> Result<Vec<T>> {
        Ok(narrow(values))
    }

    fn tensor(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Rows<T>> {
        Rows::new(rows, columns, narrow(values))
    }

    fn values(&self, tensor: &Rows<T>) -> Result<Vec<f32>> {
        Ok(tensor
            .values()
            .iter()
            .map(|value| value.wide() as f32)
            .collect())
    }

    fn shape(&self, tensor: &Rows<T>) -> (usize, usize) {
        (tensor.rows(), tensor.columns())
    }
}

impl<T: Value> ForwardOps for Scalar<T> {
    fn embed(
        &self,
        parts: &[(&Rows<T>, &[u32])],
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Rows<T>> {
        embed::embed(parts, norm)
    }

    fn linear(
        &self,
        x: &Rows<T>,
        layer: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Rows<T>> {
        linear::linear(x, layer, activation)
    }

    fn gated(
        &self,
        x: &Rows<T>,
        gate: &Linear<'_, Self>,
        up: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Rows<T>> {
        linear::gated(x, gate, up, activation)
    }

    fn linear_add(
        &self,
        x: &Rows<T>,
        layer: &Linear<'_, Self>,
        residual: &Rows<T>,
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Rows<T>> {
        let y = linear::linear(x, layer, Activation::Identity)?;
        embed::add(&y, residual, norm)
    }

    fn add(&self, x: &Rows<T>, y: &Rows<T>, norm: Option<&Norm<'_, Self>>) -> Result<Rows<T>> {
        embed::add(x, y, norm)
    }

    fn norm(&self, x: &Rows<T>, norm: &Norm<'_, Self>) -> Result<Rows<T>> {
        embed::normalized(x.clone(), norm)
    }

    fn attention(&self, attention: &Attention<'_, Self>) -> Result<Rows<T>> {
        attention::attention(attention)
    }

    fn cross_attention(&self, attention: &CrossAttention<'_, Self>) -> Result<Rows<T>> {
        cross::cross_attention(attention)
    }

    fn im2col(&self, x: &Rows<T>, starts: &[u32], width: usize) -> Result<Rows<T>> {
        pool::im2col(x, starts, width)
    }

    fn pool(&self, x: &Rows<T>, starts: &[u32], pooling: Pooling) -> Result<Rows<T>> {
        pool::pool(x, starts, pooling)
    }

    fn l2_normalize(&self, x: &Rows<T>) -> Result<Rows<T>> {
        Ok(pool::l2_normalize(x))
    }

    fn splade(
        &self,
        x: &Rows<T>,
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

    fn max_sim(&self, query: &Rows<T>, documents: &Rows<T>, starts: &[u32]) -> Result<Vec<f32>> {
        sparse::max_sim(query, documents, starts)
    }
}

fn narrow<T: Value>(values: &[f32]) -> Vec<T> {
    values
        .iter()
        .map(|value| T::narrow(f64::from(*value)))
        .collect()
}
