//! The backend for NVIDIA GPUs of compute capability 8.0 and later, with its own kernels
//! (`kernels/*.cu`).
//!
//! Building it needs nothing of CUDA. At run time it needs the driver, and NVRTC to compile the
//! kernels for the GPU when they are first used; compiled kernels are kept in a cache folder.
//! Activations and weights are bf16 with f32 accumulators; vectors and scores that leave the GPU
//! are f32.
//!
//! | file | concept |
//! | --- | --- |
//! | `device` | the interface of a GPU: memory, streams, kernels by name |
//! | `driver` | a real GPU, through cudarc |
//! | `sources`, `compile`, `cache` | kernels from source to cubin |
//! | `parameters` | kernel parameters |
//! | `memory`, `stream`, `graph` | the caching allocator; a stream with its memory; CUDA graphs of short batches |
//! | `tensor` | tensors and parameters in GPU memory |
//! | `rows`, `products`, `split`, `attend`, `sparse`, `nearest` | the operations |
//! | `backward` | gradients and the optimizer |
//! | `kernel_choice`, `guard` | the variables that choose kernels and guard their waits |
//! | `inspect`, `coverage`, `by_kernel` | for tests: launches that are recorded, and kernels by name |
//!
//! The tests run the same operations on an emulated GPU: `kernels/emulate` compiles the kernels for
//! the CPU, and the emulator replaces the driver.

mod attend;
#[cfg(feature = "train")]
mod backward;
#[cfg(any(test, feature = "internals"))]
mod by_kernel;
mod cache;
mod compile;
#[cfg(any(test, feature = "internals"))]
mod coverage;
mod cross;
mod device;
mod driver;
#[cfg(test)]
mod emulator;
mod graph;
mod guard;
#[cfg(any(test, feature = "internals"))]
mod inspect;
mod kernel_choice;
mod memory;
mod nearest;
mod parameters;
mod products;
mod rows;
mod sources;
mod sparse;
mod split;
mod stream;
mod tensor;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[cfg(any(test, feature = "internals"))]
pub(in crate::backend) use by_kernel::{Combination, ProductOperands, TableKind};
pub use compile::{CompiledModule, KernelUsage};
#[cfg(any(test, feature = "internals"))]
pub(in crate::backend) use coverage::hopper_stages;
#[cfg(any(test, feature = "internals"))]
pub use inspect::LaunchLog;
pub use tensor::{Matrix, Tensor, Vector};

use self::device::GpuDevice;
use self::driver::Driver;
use self::memory::{Heap, Memory};
use self::parameters::NormParameters;
use self::stream::Stream;
use self::tensor::DType;
use super::shapes::{self, expect};
use super::{
    Activation, Attention, CrossAttention, Device, ForwardOps, Linear, Norm, Pooling, SparseVector,
    SpladeActivation, SpladePooling,
};
use crate::error::{Error, Result};

/// Batches in flight: while one is computed, another is copied or read back.
const STREAMS: usize = 2;

/// Tokens of a batch that fill the GPU: for typical layers several hundred tiles of 128 rows, a few
/// for each multiprocessor.
const BATCH_TOKENS: usize = 16_384;

/// Batches of up to this many tokens use CUDA graphs; for longer ones launching takes less time
/// than the work.
const MAX_GRAPH_TOKENS: usize = 64;

/// The architecture with TMA and wgmma, times ten. Later ones have other instructions instead.
const HOPPER: u32 = 90;

/// A GPU.
struct Gpu {
    device: Arc<dyn GpuDevice>,
    heap: Arc<Heap>,
    /// Whether kernels for sm_90 (TMA, wgmma) are used.
    is_hopper: bool,
    multiprocessors: usize,
}

/// The backend for a GPU.
///
/// Clones share the GPU, its parameters and the CUDA stream; its streams have CUDA
/// streams of their own.
///
/// ```no_run
/// use esparsa::neural::Cuda;
/// use esparsa::neural::SparseEncoder;
///
/// let encoder = SparseEncoder::open("models/splade", Cuda::new(0)?)?;
/// let vectors = encoder.encode_documents(&["Lava flows from the volcano."])?;
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone)]
pub struct Cuda {
    gpu: Arc<Gpu>,
    stream: Arc<Stream>,
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Cuda {
    /// Opens the GPU with this number, from 0.
    ///
    /// On compute capability 9.0 products run by wgmma; `ESPARSA_CUDA_KERNELS=mma` in the
    /// environment makes them run by mma, as on other GPUs, and `wgmma` demands wgmma.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], saying what to do, if there is no driver, no such GPU, no NVRTC, if the
    /// GPU has a compute capability below 8.0, or none of 9.0 for `ESPARSA_CUDA_KERNELS=wgmma`.
    pub fn new(number: usize) -> Result<Self> {
        let device: Arc<dyn GpuDevice> = Arc::new(Driver::open(number)?);
        Self::opened(device)
    }

    /// Opens the GPU with this number for tests: launches are recorded and waited for one by one,
    /// an error names its kernel, and memory that no kernel wrote is NaN.
    ///
    /// # Errors
    ///
    /// As [`Cuda::new`].
    #[cfg(any(test, feature = "internals"))]
    #[doc(hidden)]
    pub fn inspected(number: usize) -> Result<(Self, LaunchLog)> {
        let (device, log) = inspect::Inspector::new(Arc::new(Driver::open(number)?))?;
        Ok((Self::opened(Arc::new(device))?, log))
    }

    fn opened(device: Arc<dyn GpuDevice>) -> Result<Self> {
        let is_hopper = kernel_choice::uses_wgmma(&*device)?;
        let cuda = Self::on(device, is_hopper)?;
        cuda.self_test()?;
        Ok(cuda)
    }

    /// Runs one small operation, so that a GPU for which kernels cannot be compiled fails here.
    fn self_test(&self) -> Result<()> {
        let row = self.tensor(1, 2, &[1.5, -2.0])?;
        let found = self.values(&self.pool(&row, &[0, 1], Pooling::First)?)?;
        match found[..] == [1.5, -2.0] {
            true => Ok(()),
            false => Err(Error::device(format!(
                "{}: self-test: expected [1.5, -2.0], found {found:?}; run models on the CPU",
                self.name()
            ))),
        }
    }

    /// Pretends that the GPU has `count` multiprocessors, so that small products use the kernels of
    /// large ones. For tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_multiprocessors(self, count: usize) -> Self {
        let gpu = Gpu {
            device: Arc::clone(&self.gpu.device),
            heap: Arc::clone(&self.gpu.heap),
            is_hopper: self.gpu.is_hopper,
            multiprocessors: count.max(1),
        };
        Self {
            gpu: Arc::new(gpu),
            stream: self.stream,
        }
    }

    /// The number of GPUs.
    ///
    /// # Errors
    ///
    /// [`Error::Device`], saying what to install if there is no driver.
    pub fn count() -> Result<usize> {
        Driver::count()
    }

    /// Compiles all kernels for the GPUs of an architecture (`sm_80`, `sm_86`, `sm_89`, `sm_90` or
    /// `sm_90a`, `sm_100`, `sm_120`) into a folder, on this number of threads, and returns what was
    /// compiled in the order of the sources. It needs NVRTC, but neither a GPU nor a driver.
    ///
    /// A process with the environment variable `ESPARSA_CACHE` set to this folder finds the kernels
    /// if its NVRTC has the same version or it has none; with `ESPARSA_CACHE_ANY=1` it takes them
    /// in any case.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if there is no such architecture or no NVRTC, or with the compiler's
    /// messages; [`Error::Io`] if the folder cannot be written.
    pub fn compile_kernels(
        architecture: &str,
        folder: &Path,
        threads: usize,
    ) -> Result<Vec<CompiledModule>> {
        compile::ahead(architecture, folder, threads)
    }

    /// Waits until all work of this stream has finished.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] for work that failed.
    pub fn synchronize(&self) -> Result<()> {
        self.stream.synchronize()
    }

    /// Bytes of GPU memory that this backend and its streams have allocated, and their peak:
    /// parameters and activations.
    pub fn memory_in_use(&self) -> (usize, usize) {
        self.gpu.heap.usage()
    }

    /// A backend on an emulated GPU; none on a machine without a compiler to build it.
    #[cfg(test)]
    pub(crate) fn emulated(architecture: u32, schedule: u64) -> Option<Self> {
        let gpu = emulator::Emulator::new(architecture, schedule)?;
        Some(Self::on(Arc::new(gpu), architecture == HOPPER).unwrap())
    }

    fn on(device: Arc<dyn GpuDevice>, is_hopper: bool) -> Result<Self> {
        let architecture = device.architecture();
        if architecture < 80 {
            return Err(Error::device(format!(
                "{}: expected compute capability 8.0 or later, found {}.{}; run models on the CPU",
                device.name(),
                architecture / 10,
                architecture % 10
            )));
        }
        let heap = Heap::new(&device);
        Ok(Self {
            stream: Stream::new(&device, &heap)?,
            gpu: Arc::new(Gpu {
                heap,
                multiprocessors: device.multiprocessors() as usize,
                device,
                is_hopper,
            }),
        })
    }

    /// Permanent memory with these bytes, readable by all streams.
    fn load(&self, bytes: &[u8]) -> Result<Memory> {
        self.stream.load(bytes)
    }

    /// An uninitialized tensor.
    fn empty(&self, rows: usize, columns: usize, dtype: DType) -> Result<Tensor> {
        to_i32(rows)?;
        to_i32(tensor::stride(columns, dtype))?;
        Ok(Tensor {
            buffer: self.stream.allocate(tensor::bytes(rows, columns, dtype))?,
            rows,
            columns,
            dtype,
        })
    }

    /// Runs `run`, which reads these tensors; they may belong to other streams.
    fn with_inputs<T>(&self, tensors: &[&Tensor], run: impl FnOnce() -> Result<T>) -> Result<T> {
        for tensor in tensors {
            self.stream.wait_for_writer(&tensor.buffer)?;
        }
        run()
    }

    fn matrix_of(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Matrix> {
        to_i32(rows)?;
        to_i32(columns)?;
        Ok(Matrix {
            memory: self.load(&tensor::encode_bf16(values, columns))?,
            rows,
            columns,
            maps: Default::default(),
        })
    }
}

impl Cuda {
    /// The values of a parameter row, from which operations compute tables.
    fn host_values(&self, vector: &Vector) -> Result<Arc<[f32]>> {
        vector.is_read.store(true, Ordering::Relaxed);
        if let Some(values) = vector.host.get() {
            return Ok(Arc::clone(values));
        }
        let bytes = vector.len * size_of::<f32>();
        let bytes = self.stream.download_from(vector.memory.address(), bytes)?;
        let values = || tensor::decode_f32(&bytes).into();
        Ok(Arc::clone(vector.host.get_or_init(values)))
    }
}

/// A size in the type that kernels use.
fn to_i32(size: usize) -> Result<i32> {
    i32::try_from(size).map_err(|_| {
        Error::device(format!(
            "expected a size below 2^31, found {size}; take smaller batches"
        ))
    })
}

/// A norm in the form that kernels take.
fn norm_parameters(norm: Option<&Norm<'_, Cuda>>, columns: usize) -> Result<NormParameters> {
    let Some(norm) = norm else {
        return Ok(NormParameters::NONE);
    };
    let (weight, bias, epsilon, kind) = match norm {
        Norm::Layer {
            weight,
            bias,
            epsilon,
        } => (*weight, Some(*bias), *epsilon, NormParameters::LAYER),
        Norm::RootMeanSquare { weight, epsilon } => {
            (*weight, None, *epsilon, NormParameters::ROOT_MEAN_SQUARE)
        }
    };
    for vector in [Some(weight), bias].into_iter().flatten() {
        expect("columns of a norm", vector.len, columns)?;
    }
    Ok(NormParameters {
        weight: weight.memory.address(),
        bias: bias.map_or(parameters::ABSENT, |bias| bias.memory.address()),
        epsilon,
        kind,
    })
}

/// An error unless the shape of the layer matches `x`.
fn check_layer(x: &Tensor, layer: &Linear<'_, Cuda>) -> Result<()> {
    expect("inputs of a linear layer", x.columns, layer.weight.columns)?;
    match layer.bias {
        Some(bias) => expect("values of a bias", bias.len, layer.weight.rows),
        None => Ok(()),
    }
}

impl Device for Cuda {
    type Tensor = Tensor;
    type Matrix = Matrix;
    type Table = Matrix;
    type Vector = Vector;

    fn name(&self) -> String {
        let kind = if self.gpu.is_hopper { "wgmma" } else { "mma" };
        format!("cuda, {}, bf16, {kind}", self.gpu.device.name())
    }

    fn streams(&self) -> Vec<Self> {
        let first = self.clone();
        // The others read what this one may still be packing. An error of its work is that of its
        // next call.
        drop(self.stream.synchronize());
        let others = (1..STREAMS).filter_map(|_| {
            // A GPU without memory for another stream still has the first one.
            let stream = Stream::new(&self.gpu.device, &self.gpu.heap).ok()?;
            let gpu = Arc::clone(&self.gpu);
            Some(Self { gpu, stream })
        });
        std::iter::once(first).chain(others).collect()
    }

    fn batch_tokens(&self) -> usize {
        BATCH_TOKENS
    }

    fn matrix(&self, outputs: usize, inputs: usize, values: &[f32]) -> Result<Matrix> {
        shapes::count("a matrix", outputs, inputs, values.len())?;
        self.matrix_of(outputs, inputs, values)
    }

    fn table(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Matrix> {
        shapes::count("a table", rows, columns, values.len())?;
        self.matrix_of(rows, columns, values)
    }

    fn vector(&self, values: &[f32]) -> Result<Vector> {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let vector = Vector::new(self.load(&bytes)?, values.len());
        vector.host.get_or_init(|| values.into());
        Ok(vector)
    }

    fn tensor(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Tensor> {
        shapes::count("a tensor", rows, columns, values.len())?;
        to_i32(rows)?;
        to_i32(columns)?;
        Ok(Tensor {
            buffer: self.stream.upload(&tensor::encode_bf16(values, columns))?,
            rows,
            columns,
            dtype: DType::Bf16,
        })
    }

    fn values(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        let bytes = tensor::bytes(tensor.rows, tensor.columns, tensor.dtype);
        let bytes = self.with_inputs(&[tensor], || self.stream.download(&tensor.buffer, bytes))?;
        Ok(match tensor.dtype {
            DType::Bf16 => tensor::decode_bf16(&bytes, tensor.columns),
            DType::F32 => tensor::decode_f32(&bytes),
        })
    }

    fn shape(&self, tensor: &Tensor) -> (usize, usize) {
        tensor.shape()
    }

    fn is_async(&self) -> bool {
        true
    }
}

impl ForwardOps for Cuda {
    fn run_graphed(
        &self,
        key: &[u32],
        tokens: usize,
        run: impl Fn() -> Result<Tensor>,
    ) -> Result<Tensor> {
        match tokens <= MAX_GRAPH_TOKENS {
            true => self.stream.run_graphed(key.to_vec(), run),
            false => run(),
        }
    }

    fn embed(&self, parts: &[(&Matrix, &[u32])], norm: Option<&Norm<'_, Self>>) -> Result<Tensor> {
        let tables: Vec<_> = parts
            .iter()
            .map(|(table, ids)| ((table.rows, table.columns), *ids))
            .collect();
        let (rows, columns) = shapes::embed(&tables)?;
        self.embed_rows(parts, norm_parameters(norm, columns)?, rows, columns)
    }

    fn linear(
        &self,
        x: &Tensor,
        layer: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Tensor> {
        check_layer(x, layer)?;
        self.with_inputs(&[x], || self.product(x, layer, activation, None))
    }

    fn gated(
        &self,
        x: &Tensor,
        gate: &Linear<'_, Self>,
        up: &Linear<'_, Self>,
        activation: Activation,
    ) -> Result<Tensor> {
        check_layer(x, gate)?;
        check_layer(x, up)?;
        expect("outputs of the gate", up.weight.rows, gate.weight.rows)?;
        self.with_inputs(&[x], || {
            let gate = self.product(x, gate, activation, None)?;
            let factor = Some((parameters::Epilogue::Multiply, &gate));
            self.product(x, up, Activation::Identity, factor)
        })
    }

    fn linear_add(
        &self,
        x: &Tensor,
        layer: &Linear<'_, Self>,
        residual: &Tensor,
        norm: Option<&Norm<'_, Self>>,
    ) -> Result<Tensor> {
        check_layer(x, layer)?;
        let outputs = layer.weight.rows;
        shapes::same("a residual", residual.shape(), (x.rows, outputs))?;
        let parameters = norm_parameters(norm, outputs)?;
        self.with_inputs(&[x, residual], || {
            let summand = Some((parameters::Epilogue::Add, residual));
            let sum = self.product(x, layer, Activation::Identity, summand)?;
            match norm {
                Some(_) => self.sum_of(&sum, None, parameters),
                None => Ok(sum),
            }
        })
    }

    fn add(&self, x: &Tensor, y: &Tensor, norm: Option<&Norm<'_, Self>>) -> Result<Tensor> {
        shapes::same("a sum", y.shape(), x.shape())?;
        let norm = norm_parameters(norm, x.columns)?;
        self.with_inputs(&[x, y], || self.sum_of(x, Some(y), norm))
    }

    fn norm(&self, x: &Tensor, norm: &Norm<'_, Self>) -> Result<Tensor> {
        let norm = norm_parameters(Some(norm), x.columns)?;
        self.with_inputs(&[x], || self.sum_of(x, None, norm))
    }

    fn attention(&self, attention: &Attention<'_, Self>) -> Result<Tensor> {
        shapes::attention(self, attention, |vector| vector.len)?;
        self.attend(attention)
    }

    fn cross_attention(&self, attention: &CrossAttention<'_, Self>) -> Result<Tensor> {
        shapes::cross_attention(self, attention)?;
        self.cross_attend(attention)
    }

    fn im2col(&self, x: &Tensor, starts: &[u32], width: usize) -> Result<Tensor> {
        shapes::starts(starts, x.rows)?;
        shapes::odd(width)?;
        self.with_inputs(&[x], || self.im2col_of(x, starts, width))
    }

    fn pool(&self, x: &Tensor, starts: &[u32], pooling: Pooling) -> Result<Tensor> {
        shapes::starts(starts, x.rows)?;
        self.with_inputs(&[x], || self.pooled(x, starts, pooling))
    }

    fn l2_normalize(&self, x: &Tensor) -> Result<Tensor> {
        self.with_inputs(&[x], || self.l2_normalize_of(x))
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
        check_layer(x, decoder)?;
        shapes::starts(starts, x.rows)?;
        self.with_inputs(&[x], || {
            self.sparse_vectors(x, starts, decoder, activation, pooling, max_terms)
        })
    }

    fn max_sim(&self, query: &Tensor, documents: &Tensor, starts: &[u32]) -> Result<Vec<f32>> {
        expect("columns of documents", documents.columns, query.columns)?;
        shapes::starts(starts, documents.rows)?;
        self.with_inputs(&[query, documents], || {
            self.max_sim_scores(query, documents, starts)
        })
    }

    fn nearest(
        &self,
        queries: &Tensor,
        vectors: &Tensor,
        k: usize,
    ) -> Result<Vec<Vec<(u32, f32)>>> {
        expect("columns of vectors", vectors.columns, queries.columns)?;
        self.with_inputs(&[queries, vectors], || self.nearest_of(queries, vectors, k))
    }
}
