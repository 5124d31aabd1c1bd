//! Forward operations, at the grain of fused kernels.

use super::{
    Activation, Attention, CrossAttention, Device, Linear, Norm, Pooling, SparseVector,
    SpladeActivation, SpladePooling, nearest, shapes,
};
use crate::error::Result;

/// The operations that transformers run when they encode.
///
/// An operation takes parameters by reference and returns a new tensor, so that a training pass can
/// keep every activation that its backward pass needs.
///
/// # Errors
///
/// As for [`Device`]: shapes that do not fit, and on a GPU failures of the device.
pub trait ForwardOps: Device {
    /// Runs `run`, which computes a tensor from a batch of `tokens` tokens. An asynchronous backend
    /// may capture its launches as a CUDA graph and launch that graph when it sees `key` again.
    ///
    /// What `run` launches must depend on `key` alone, except for the values that it copies to the
    /// device (ids given to [`embed`](ForwardOps::embed), values given to
    /// [`tensor`](Device::tensor)); it must read nothing back.
    fn run_graphed(
        &self,
        key: &[u32],
        tokens: usize,
        run: impl Fn() -> Result<Self::Tensor>,
    ) -> Result<Self::Tensor> {
        let _ = (key, tokens);
        run()
    }

    /// For each row the sum of one row of each table, then the norm if there is one. Every list of
    /// ids has one id per row of the result, each below the number of rows of its table.
    fn embed(
        &self,
        parts: &[(&Self::Table, &[u32])],
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Self::Tensor>;

    /// activation(x · weightᵀ + bias).
    fn linear(
        &self,
        x: &Self::Tensor,
        layer: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Self::Tensor>;

    /// activation(x · gateᵀ) ∘ (x · upᵀ), the first half of the feed-forward layers of T5 1.1.
    fn gated(
        &self,
        x: &Self::Tensor,
        gate: &Linear<'_, Self>,
        up: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Self::Tensor>;

    /// x · weightᵀ + bias + residual, then the norm if there is one.
    fn linear_add(
        &self,
        x: &Self::Tensor,
        layer: &Linear<'_, Self>,
        residual: &Self::Tensor,
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Self::Tensor>;

    /// x + y, then the norm if there is one.
    fn add(
        &self,
        x: &Self::Tensor,
        y: &Self::Tensor,
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Self::Tensor>;

    /// Normalizes every row.
    fn norm(&self, x: &Self::Tensor, norm: &Norm<'_, Self>) -> Result<Self::Tensor>;

    /// softmax(scale · (queries · keysᵀ + positions)) · values for each sequence and head:
    /// tokens × (heads · head size). The learned bias of
    /// [`Positions::Bias`](super::Positions::Bias) is added after scaling.
    fn attention(&self, attention: &Attention<'_, Self>) -> Result<Self::Tensor>;

    /// softmax(scale · queries · keysᵀ) · values for each sequence, which has one query, and each
    /// head: sequences × (heads · head size), zeros for a sequence without tokens.
    fn cross_attention(&self, attention: &CrossAttention<'_, Self>) -> Result<Self::Tensor>;

    /// im2col for a convolution over tokens: for each row the row itself and its neighbors in the
    /// same sequence side by side, `width` (odd) rows in all, zeros beyond the ends of the
    /// sequence.
    fn im2col(&self, x: &Self::Tensor, starts: &[u32], width: usize) -> Result<Self::Tensor>;

    /// One row for each sequence, zeros for an empty one.
    fn pool(&self, x: &Self::Tensor, starts: &[u32], pooling: Pooling) -> Result<Self::Tensor>;

    /// Divides every row by its Euclidean norm, or by 1e-12 if the norm is smaller.
    fn l2_normalize(&self, x: &Self::Tensor) -> Result<Self::Tensor>;

    /// The sparse vector of each sequence: logits x · decoderᵀ + bias of each token and term,
    /// activated and pooled over the tokens. Only the `max_terms` largest weights are kept; the
    /// lower term wins a tie. The tokens × terms logits are never materialized.
    fn splade(
        &self,
        x: &Self::Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        max_terms: usize,
    ) -> Result<Vec<SparseVector>>;

    /// For each sequence of `documents` the sum, over the rows of the query, of the maximum inner
    /// product with any row of the document (ColBERT's MaxSim: Khattab and Zaharia, 2020). A
    /// document without rows scores 0.
    fn max_sim(
        &self,
        query: &Self::Tensor,
        documents: &Self::Tensor,
        starts: &[u32],
    ) -> Result<Vec<f32>>;

    /// Exact top-k search: for each row of `queries` the `k` rows of `vectors` with the largest
    /// inner products, as (row, product) pairs in descending order; the lower row wins a tie.
    /// Products are computed from the values as the backend stores them.
    fn nearest(
        &self,
        queries: &Self::Tensor,
        vectors: &Self::Tensor,
        k: usize,
    ) -> Result<Vec<Vec<(u32, f32)>>> {
        let (_, columns) = self.shape(queries);
        shapes::expect("columns of vectors", self.shape(vectors).1, columns)?;
        let (queries, vectors) = (self.values(queries)?, self.values(vectors)?);
        Ok(nearest::nearest(&queries, &vectors, columns, k))
    }
}
