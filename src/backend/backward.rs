//! Backward operations and the optimizer: what training needs beside
//! [`ForwardOps`](super::ForwardOps).
//!
//! For an operation y = f(x, w) and a loss L, a backward operation takes ∂L/∂y and returns ∂L/∂x; it
//! *adds* ∂L/∂w to a buffer, so that several batches and tied weights accumulate. Intermediate
//! results that are cheap to compute again (mean and deviation of a norm, softmax of attention,
//! logits of a SPLADE head) are not kept by the forward pass: each function takes its inputs.
//!
//! # Determinism
//!
//! Every sum has a fixed order, so the same inputs on the same device with the same number of
//! threads or fewer give the same bits. There are no atomic additions of floats.
//!
//! # Master weights
//!
//! A parameter's master values, its gradient and the moments of the optimizer are [`Buffer`]s of
//! f32, whatever the dtype of the products. After an optimizer step the forms that products read
//! ([`Matrix`](Device::Matrix), [`Table`](Device::Table), [`Vector`](Device::Vector)) are packed
//! again from the master.
//!
//! [`Buffer`]: BackwardOps::Buffer

use super::{
    Activation, Attention, Device, ForwardOps, Linear, Norm, Pooling, SpladeActivation,
    SpladePooling,
};
use crate::error::Result;

/// How a master becomes the weight of a matrix product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Orientation {
    /// Outputs × inputs, as the master has it: for y = x · Wᵀ.
    Forward,
    /// Inputs × outputs: for ∂L/∂x = ∂L/∂y · W.
    Transposed,
}

/// Gradients of a norm's parameters, which are added to.
pub struct NormGradients<'a, B: BackwardOps> {
    /// One value for each column.
    pub weight: &'a mut B::Buffer,
    /// One value for each column; none for an RMS norm.
    pub bias: Option<&'a mut B::Buffer>,
}

/// Gradients of consecutive outputs of a linear layer, which are added to. A layer that stacks the
/// weights of several tensors of a model has one part for each.
pub struct LinearPart<'a, B: BackwardOps> {
    /// The number of outputs.
    pub outputs: usize,
    /// Outputs × inputs.
    pub weight: &'a mut B::Buffer,
    /// One value for each output.
    pub bias: Option<&'a mut B::Buffer>,
}

/// Gradients of what positions contribute to attention; the kind is that of
/// [`Positions`](super::Positions).
pub enum PositionGradients<'a, B: BackwardOps> {
    /// There is nothing to learn.
    Absolute,
    /// Buckets × heads values, which are added to.
    Bias(&'a mut B::Buffer),
    /// Asks for the gradients of the bucket vectors that the attention has.
    Disentangled,
}

/// Gradients of attention.
pub struct AttentionGradients<B: Device> {
    /// Tokens × (3 · heads · head size).
    pub projections: B::Tensor,
    /// Of the keys of buckets, if the attention has them.
    pub position_keys: Option<B::Tensor>,
    /// Of the queries of buckets, if the attention has them.
    pub position_queries: Option<B::Tensor>,
}

/// A term of a sparse vector in training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TermWeight {
    /// The number of the term.
    pub term: u32,
    /// Above 0.
    pub weight: f32,
    /// The row of the packed batch whose logit is the max, for max pooling; the first one wins a tie.
    /// Sums have no such row: 0.
    pub row: u32,
}

/// One step of AdamW (Loshchilov and Hutter, 2019).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// The learning rate of this step.
    pub learning_rate: f32,
    /// Decay of the mean of gradients.
    pub beta1: f32,
    /// Decay of the mean of squared gradients.
    pub beta2: f32,
    /// Added to the root of the mean square.
    pub epsilon: f32,
    /// Decoupled weight decay: each step multiplies by 1 - learning rate · decay.
    pub weight_decay: f32,
    /// The number of this step, from 1.
    pub step: u64,
    /// Gradients are multiplied by this first: 1 / accumulated batches, clipping.
    pub gradient_scale: f32,
}

/// A linear layer whose gradient is taken: the layer as the forward pass used it, and its weight
/// packed [`Transposed`](Orientation::Transposed).
pub struct TrainedLinear<'a, B: Device> {
    /// The layer.
    pub layer: Linear<'a, B>,
    /// Inputs × outputs.
    pub transposed: &'a B::Matrix,
}

/// The operations of training.
///
/// `dy` is the gradient with respect to the result of the forward operation of the same name, and
/// has its shape; a returned tensor is the gradient with respect to `x`, and has its shape.
///
/// # Errors
///
/// As for [`ForwardOps`].
pub trait BackwardOps: ForwardOps {
    /// f32 values on the device: a parameter's master, its gradient, moments of the optimizer.
    type Buffer: Send + Sync;

    // Buffers.

    /// Copies values to the device.
    fn buffer(&self, values: &[f32]) -> Result<Self::Buffer>;

    /// `len` zeros.
    fn zeros(&self, len: usize) -> Result<Self::Buffer>;

    /// Copies the values of a buffer back.
    fn read(&self, buffer: &Self::Buffer) -> Result<Vec<f32>>;

    /// Replaces the values of a buffer by as many others.
    fn write(&self, buffer: &mut Self::Buffer, values: &[f32]) -> Result<()>;

    /// Sets all values to 0.
    fn clear(&self, buffer: &mut Self::Buffer) -> Result<()>;

    /// Packs masters of outputs × `inputs` values, stacked in order, as the weight of a linear layer,
    /// in place of what `matrix` held.
    fn pack_matrix(
        &self,
        matrix: &mut Self::Matrix,
        masters: &[&Self::Buffer],
        inputs: usize,
        orientation: Orientation,
    ) -> Result<()>;

    /// Packs a master of `rows` × `columns` values as a table.
    fn pack_table(
        &self,
        table: &mut Self::Table,
        master: &Self::Buffer,
        rows: usize,
        columns: usize,
    ) -> Result<()>;

    /// Packs masters, one after another, as a parameter row.
    fn pack_vector(&self, vector: &mut Self::Vector, masters: &[&Self::Buffer]) -> Result<()>;

    // Forward operations of training alone.

    /// activation(x). The forward pass of training keeps x, so it does not fuse activations into
    /// products.
    fn activate(&self, x: &Self::Tensor, activation: Activation) -> Result<Self::Tensor>;

    /// x ∘ y, value by value.
    fn multiply(&self, x: &Self::Tensor, y: &Self::Tensor) -> Result<Self::Tensor>;

    /// Dropout: a value is 0 with probability `rate`, and else divided by 1 - rate. Which, is decided
    /// by a counter-based generator from `seed` and the value's place, so the backward pass is the
    /// same call on `dy`.
    fn dropout(&self, x: &Self::Tensor, rate: f32, seed: u64) -> Result<Self::Tensor>;

    /// The sparse vectors of [`ForwardOps::splade`] with all terms, and the row of each max.
    fn splade_terms(
        &self,
        x: &Self::Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
    ) -> Result<Vec<Vec<TermWeight>>>;

    // Backward operations.

    /// Adds the rows of `dy` to the gradients of the tables' rows: `parts` has the gradient of each
    /// table (rows × columns of `dy`) and the ids that [`embed`](ForwardOps::embed) was given. The
    /// rows of one id are added in ascending order.
    fn embed_backward(
        &self,
        parts: &mut [(&mut Self::Buffer, &[u32])],
        dy: &Self::Tensor,
    ) -> Result<()>;

    /// The gradient of [`activate`](BackwardOps::activate) at `x`.
    fn activate_backward(
        &self,
        x: &Self::Tensor,
        activation: Activation,
        dy: &Self::Tensor,
    ) -> Result<Self::Tensor>;

    /// The gradient with respect to the input of a linear layer: dy · W.
    fn linear_input_backward(
        &self,
        layer: &TrainedLinear<'_, Self>,
        dy: &Self::Tensor,
    ) -> Result<Self::Tensor> {
        let transposed = Linear {
            weight: layer.transposed,
            bias: None,
        };
        self.linear(dy, &transposed, Activation::Identity)
    }

    /// Adds dyᵀ · x to the gradient of a linear layer's weight, and the sum of the rows of `dy` to
    /// that of its bias; the outputs of the parts are those of the layer.
    fn linear_weight_backward(
        &self,
        x: &Self::Tensor,
        dy: &Self::Tensor,
        parts: &mut [LinearPart<'_, Self>],
    ) -> Result<()>;

    /// The gradient of [`norm`](ForwardOps::norm) at `x`, its input.
    fn norm_backward(
        &self,
        x: &Self::Tensor,
        norm: &Norm<'_, Self>,
        dy: &Self::Tensor,
        gradients: NormGradients<'_, Self>,
    ) -> Result<Self::Tensor>;

    /// The gradient of [`attention`](ForwardOps::attention). Scores are computed again.
    fn attention_backward(
        &self,
        attention: &Attention<'_, Self>,
        dy: &Self::Tensor,
        positions: PositionGradients<'_, Self>,
    ) -> Result<AttentionGradients<Self>>;

    /// The gradient of [`im2col`](ForwardOps::im2col).
    fn im2col_backward(
        &self,
        dy: &Self::Tensor,
        starts: &[u32],
        width: usize,
    ) -> Result<Self::Tensor>;

    /// The gradient of [`pool`](ForwardOps::pool) at `x`. With [`Pooling::Max`] the first row that
    /// has the max of a column gets its gradient.
    fn pool_backward(
        &self,
        x: &Self::Tensor,
        starts: &[u32],
        pooling: Pooling,
        dy: &Self::Tensor,
    ) -> Result<Self::Tensor>;

    /// The gradient of [`l2_normalize`](ForwardOps::l2_normalize) at `x`.
    fn l2_normalize_backward(&self, x: &Self::Tensor, dy: &Self::Tensor) -> Result<Self::Tensor>;

    /// The gradient of the SPLADE head at `x`: `terms` are the vectors that
    /// [`splade_terms`](BackwardOps::splade_terms) returned, and `dy` has the gradient of each of
    /// their weights. Adds to the gradients of the decoder (`master` holds its weight, terms ×
    /// columns of `x`).
    ///
    /// Tokens × terms logits are not materialized: for [`SpladePooling::Max`] only the kept rows
    /// have gradients; for [`SpladePooling::Sum`] tiles of logits are computed again.
    #[expect(
        clippy::too_many_arguments,
        reason = "the head's arguments and its gradients"
    )]
    fn splade_backward(
        &self,
        x: &Self::Tensor,
        starts: &[u32],
        decoder: &TrainedLinear<'_, Self>,
        master: &Self::Buffer,
        activation: SpladeActivation,
        pooling: SpladePooling,
        terms: &[Vec<TermWeight>],
        dy: &[Vec<f32>],
        gradients: LinearPart<'_, Self>,
    ) -> Result<Self::Tensor>;

    // The optimizer.

    /// The sum of the squares of a buffer, in f64.
    fn sum_of_squares(&self, buffer: &Self::Buffer) -> Result<f64>;

    /// One step: updates the master and both moments from the gradient.
    fn adamw(
        &self,
        step: &AdamW,
        master: &mut Self::Buffer,
        gradient: &Self::Buffer,
        mean: &mut Self::Buffer,
        mean_square: &mut Self::Buffer,
    ) -> Result<()>;
}
