//! Memory and transfers: what a backend stores, and how values get there and back.

use crate::error::Result;

/// Where tensors and parameters live.
///
/// A tensor is rows × columns values, row after row. Parameters are opaque: a backend stores them
/// in whatever packed form its kernels read fastest (panels of f32 or bf16 on the CPU, strided bf16
/// rows on a GPU), so nothing outside may depend on their layout.
///
/// # Errors
///
/// CPU backends fail only when shapes do not fit ([`Error::Model`](crate::Error::Model)); a GPU may
/// also fail with [`Error::Device`](crate::Error::Device).
pub trait Device: Clone + Send + Sync + Sized {
    /// Activations.
    type Tensor: Send + Sync;
    /// The weight of a linear layer, packed for matrix products.
    type Matrix: Send + Sync;
    /// An embedding table, whose rows are looked up by id.
    type Table: Send + Sync;
    /// Biases, norm weights and other short parameter rows.
    type Vector: Send + Sync;

    /// What it runs on, for people, such as `cpu, avx512, f32, 2 threads`.
    fn name(&self) -> String;

    /// Independent execution streams over the same parameters, one for each batch in flight: single
    /// threads of a CPU, CUDA streams of a GPU. Throughput is highest with one batch per stream;
    /// the latency of a single text is lowest on the backend itself.
    fn streams(&self) -> Vec<Self>;

    /// The batch size, in packed tokens, at which one stream is most efficient.
    fn batch_tokens(&self) -> usize;

    /// True for asynchronous devices: the CPU can prepare the next batch meanwhile.
    fn is_async(&self) -> bool {
        false
    }

    /// Packs the weight of a linear layer: `outputs` × `inputs` values, as published files have it.
    fn matrix(&self, outputs: usize, inputs: usize, values: &[f32]) -> Result<Self::Matrix>;

    /// Loads an embedding table of `rows` × `columns` values.
    fn table(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Self::Table>;

    /// Loads a parameter row.
    fn vector(&self, values: &[f32]) -> Result<Self::Vector>;

    /// As [`matrix`](Device::matrix), of tensors of a model's files, stacked in order, as many outputs
    /// of each. A backend that trains keeps their names; the others need not know them.
    fn named_matrix(
        &self,
        tensors: &[String],
        outputs: usize,
        inputs: usize,
        values: &[f32],
    ) -> Result<Self::Matrix> {
        let _ = tensors;
        self.matrix(outputs, inputs, values)
    }

    /// As [`table`](Device::table), of a tensor of a model's files.
    fn named_table(
        &self,
        tensor: &str,
        rows: usize,
        columns: usize,
        values: &[f32],
    ) -> Result<Self::Table> {
        let _ = tensor;
        self.table(rows, columns, values)
    }

    /// As [`vector`](Device::vector), of tensors of a model's files, one after another, as many values
    /// of each.
    fn named_vector(&self, tensors: &[String], values: &[f32]) -> Result<Self::Vector> {
        let _ = tensors;
        self.vector(values)
    }

    /// As [`tensor`](Device::tensor), of a tensor of a model's files.
    fn named_tensor(
        &self,
        tensor: &str,
        rows: usize,
        columns: usize,
        values: &[f32],
    ) -> Result<Self::Tensor> {
        let _ = tensor;
        self.tensor(rows, columns, values)
    }

    /// Copies `rows` × `columns` values to the device.
    fn tensor(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Self::Tensor>;

    /// Copies the values of a tensor back, row after row.
    fn values(&self, tensor: &Self::Tensor) -> Result<Vec<f32>>;

    /// Rows and columns of a tensor.
    fn shape(&self, tensor: &Self::Tensor) -> (usize, usize);
}
