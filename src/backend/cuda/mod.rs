//! The backend for NVIDIA cards of compute capability 8.0 and later, on kernels of its own (`kernels/*.cu`).
//!
//! Nothing of CUDA is needed to build it. At run time the driver must be there, and NVRTC, which compiles the kernels for the card at hand when they are first
//! used; compiled kernels are kept in a cache folder. Numbers are bf16 with sums in f32; vectors and scores that leave the card are f32.
//!
//! | file | concept |
//! | --- | --- |
//! | `device` | what is asked of a card: memory, queues, kernels by name |
//! | `driver` | the card itself, through cudarc |
//! | `sources`, `compile`, `cache` | kernels from source to cubin |
//! | `parameters` | what kernels take |
//! | `memory`, `lane`, `replay` | memory that is used again; a queue with its memory; doing again what a short batch launched |
//! | `tensor` | rows of numbers on the card |
//! | `rows`, `products`, `attend`, `sparse`, `nearest` | the operations |
//!
//! The same operations run on an emulated card in the tests: `kernels/emulate` compiles the kernels for the processor, and the emulator takes the driver's place.

mod attend;
mod cache;
mod compile;
mod cubin;
mod device;
mod driver;
#[cfg(test)]
mod emulator;
mod lane;
mod memory;
mod nearest;
mod parameters;
mod products;
mod replay;
mod rows;
mod sources;
mod sparse;
mod tensor;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use tensor::{Matrix, Tensor, Vector};

use self::device::Device;
use self::driver::Driver;
use self::lane::Lane;
use self::memory::{Heap, Memory};
use self::parameters::NormParameters;
use self::tensor::Numbers;
use super::shapes::{self, expect};
use super::{
    Activation, Attention, Backend, Linear, Norm, Pooling, SparseVector, SpladeActivation,
    SpladePooling,
};
use crate::error::{Error, Result};

/// Batches under way at the same time: while one is calculated, another is copied or counted.
const LANES: usize = 2;

/// Tokens of a batch that fill the card: some hundred tiles of 128 rows for each of its multiprocessors' turns.
const BATCH_TOKENS: usize = 16_384;

/// Batches of so few tokens are replayed: for longer ones the launches take less time than the work.
const REPLAYED_TOKENS: usize = 64;

/// The architecture with tensor copies and wgmma, times ten. Later ones have other instructions in their place.
const HOPPER: u32 = 90;

/// A card.
struct Card {
    device: Arc<dyn Device>,
    heap: Arc<Heap>,
    /// Tensor copies and matrix products of sm_90 are used.
    is_hopper: bool,
    multiprocessors: usize,
}

/// The backend for a card.
///
/// Clones share the card, its weights and the queue of work; [`lanes`](Backend::lanes) have queues of their own.
///
/// ```no_run
/// use esparsa::backend::Cuda;
/// use esparsa::neural::SparseEncoder;
///
/// let encoder = SparseEncoder::open("models/splade", Cuda::new(0)?)?;
/// let vectors = encoder.encode_documents(&["Lava flows from the volcano."])?;
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone)]
pub struct Cuda {
    card: Arc<Card>,
    lane: Arc<Lane>,
}

impl fmt::Debug for Cuda {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl Cuda {
    /// The card of this number, from 0.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] with advice when there is no driver, no such card, no NVRTC, or when the card is older than compute capability 8.0.
    pub fn new(number: usize) -> Result<Self> {
        let device: Arc<dyn Device> = Arc::new(Driver::open(number)?);
        let is_hopper = device.architecture() == HOPPER;
        let cuda = Self::on(device, is_hopper)?;
        cuda.prove()?;
        Ok(cuda)
    }

    /// One small operation, so that a card for which no kernels can be made is found out here.
    fn prove(&self) -> Result<()> {
        let row = self.tensor(1, 2, &[1.5, -2.0])?;
        let found = self.values(&self.pool(&row, &[0, 1], Pooling::First)?)?;
        match found[..] == [1.5, -2.0] {
            true => Ok(()),
            false => Err(Error::device(format!(
                "{}: a first operation gave {found:?} instead of [1.5, -2.0]; use the processor",
                self.name()
            ))),
        }
    }

    /// The same card as if it had so many multiprocessors: small products then take the kernels that large ones take. For tests.
    #[doc(hidden)]
    #[must_use]
    pub fn with_multiprocessors(self, count: usize) -> Self {
        let card = Card {
            device: Arc::clone(&self.card.device),
            heap: Arc::clone(&self.card.heap),
            is_hopper: self.card.is_hopper,
            multiprocessors: count.max(1),
        };
        Self {
            card: Arc::new(card),
            lane: self.lane,
        }
    }

    /// How many cards there are.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] with advice when there is no driver.
    pub fn count() -> Result<usize> {
        Driver::count()
    }

    /// Waits until all work of this lane is done.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] for work that failed.
    pub fn synchronize(&self) -> Result<()> {
        self.lane.synchronize()
    }

    /// Bytes of the card's memory that this backend and its lanes have, and the most that they ever had: weights, and what passes between operations.
    pub fn memory_in_use(&self) -> (usize, usize) {
        self.card.heap.usage()
    }

    fn on(device: Arc<dyn Device>, is_hopper: bool) -> Result<Self> {
        let architecture = device.architecture();
        if architecture < 80 {
            return Err(Error::device(format!(
                "{}: expected compute capability 8.0 or later, found {}.{}; use the processor",
                device.name(),
                architecture / 10,
                architecture % 10
            )));
        }
        let heap = Heap::new(&device);
        Ok(Self {
            lane: Lane::new(&device, &heap)?,
            card: Arc::new(Card {
                heap,
                multiprocessors: device.multiprocessors() as usize,
                device,
                is_hopper,
            }),
        })
    }

    /// Memory for good with these bytes, which all lanes may read from now on.
    fn load(&self, bytes: &[u8]) -> Result<Memory> {
        let memory = Memory::allocate(&self.card.heap, bytes.len())?;
        self.lane.load(memory.address(), bytes)?;
        Ok(memory)
    }

    /// A tensor with anything in it.
    fn empty(&self, rows: usize, columns: usize, numbers: Numbers) -> Result<Tensor> {
        whole(rows)?;
        whole(tensor::stride(columns, numbers))?;
        Ok(Tensor {
            buffer: self.lane.take(tensor::bytes(rows, columns, numbers))?,
            rows,
            columns,
            numbers,
        })
    }

    /// Does `run`, which reads tensors, some of which may be another lane's.
    fn reading<T>(&self, tensors: &[&Tensor], run: impl FnOnce() -> Result<T>) -> Result<T> {
        for tensor in tensors {
            self.lane.read(&tensor.buffer)?;
        }
        run()
    }

    fn matrix_of(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Matrix> {
        whole(rows)?;
        whole(columns)?;
        Ok(Matrix {
            memory: self.load(&tensor::narrow(values, columns))?,
            rows,
            columns,
            maps: Default::default(),
        })
    }
}

/// A size as kernels count.
fn whole(size: usize) -> Result<i32> {
    i32::try_from(size).map_err(|_| {
        Error::device(format!(
            "expected a size below 2^31, found {size}; take smaller batches"
        ))
    })
}

/// A norm as kernels take it.
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
        expect("columns of a norm", vector.values.len(), columns)?;
    }
    Ok(NormParameters {
        weight: weight.memory.address(),
        bias: bias.map_or(parameters::ABSENT, |bias| bias.memory.address()),
        epsilon,
        kind,
    })
}

/// An error unless the layer fits x.
fn check_layer(x: &Tensor, layer: &Linear<'_, Cuda>) -> Result<()> {
    expect(
        "columns of what a linear layer takes",
        x.columns,
        layer.weight.columns,
    )?;
    match layer.bias {
        Some(bias) => expect("numbers of a bias", bias.values.len(), layer.weight.rows),
        None => Ok(()),
    }
}

impl Backend for Cuda {
    type Tensor = Tensor;
    type Matrix = Matrix;
    type Table = Matrix;
    type Vector = Vector;

    fn name(&self) -> String {
        let kind = if self.card.is_hopper { "wgmma" } else { "mma" };
        format!("cuda, {}, bf16, {kind}", self.card.device.name())
    }

    fn lanes(&self) -> Vec<Self> {
        let first = self.clone();
        let others = (1..LANES).filter_map(|_| {
            // A card that is too full for another queue still has the first one.
            let lane = Lane::new(&self.card.device, &self.card.heap).ok()?;
            let card = Arc::clone(&self.card);
            Some(Self { card, lane })
        });
        std::iter::once(first).chain(others).collect()
    }

    fn batch_tokens(&self) -> usize {
        BATCH_TOKENS
    }

    fn matrix(&self, outputs: usize, inputs: usize, values: &[f32]) -> Result<Matrix> {
        shapes::numbers("a matrix", outputs, inputs, values.len())?;
        self.matrix_of(outputs, inputs, values)
    }

    fn table(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Matrix> {
        shapes::numbers("a table", rows, columns, values.len())?;
        self.matrix_of(rows, columns, values)
    }

    fn vector(&self, values: &[f32]) -> Result<Vector> {
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        Ok(Vector {
            memory: self.load(&bytes)?,
            values: values.into(),
        })
    }

    fn tensor(&self, rows: usize, columns: usize, values: &[f32]) -> Result<Tensor> {
        shapes::numbers("a tensor", rows, columns, values.len())?;
        whole(rows)?;
        whole(columns)?;
        Ok(Tensor {
            buffer: self.lane.upload(&tensor::narrow(values, columns))?,
            rows,
            columns,
            numbers: Numbers::Narrow,
        })
    }

    fn values(&self, tensor: &Tensor) -> Result<Vec<f32>> {
        let bytes = tensor::bytes(tensor.rows, tensor.columns, tensor.numbers);
        let bytes = self.reading(&[tensor], || self.lane.download(&tensor.buffer, bytes))?;
        Ok(match tensor.numbers {
            Numbers::Narrow => tensor::widen(&bytes, tensor.columns),
            Numbers::Wide => tensor::wide(&bytes),
        })
    }

    fn shape(&self, tensor: &Tensor) -> (usize, usize) {
        tensor.shape()
    }

    fn is_apart(&self) -> bool {
        true
    }

    fn replayable(
        &self,
        key: &[u32],
        tokens: usize,
        run: impl Fn() -> Result<Tensor>,
    ) -> Result<Tensor> {
        match tokens <= REPLAYED_TOKENS {
            true => self.lane.replayable(key.to_vec(), run),
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
        self.reading(&[x], || self.product(x, layer, activation, None))
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
        self.reading(&[x], || {
            let gate = self.product(x, gate, activation, None)?;
            let factor = Some((parameters::Then::Times, &gate));
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
        self.reading(&[x, residual], || {
            let summand = Some((parameters::Then::Add, residual));
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
        self.reading(&[x, y], || self.sum_of(x, Some(y), norm))
    }

    fn norm(&self, x: &Tensor, norm: &Norm<'_, Self>) -> Result<Tensor> {
        let norm = norm_parameters(Some(norm), x.columns)?;
        self.reading(&[x], || self.sum_of(x, None, norm))
    }

    fn attention(&self, attention: &Attention<'_, Self>) -> Result<Tensor> {
        shapes::attention(self, attention, |vector| vector.values.len())?;
        self.attend(attention)
    }

    fn neighbours(&self, x: &Tensor, starts: &[u32], width: usize) -> Result<Tensor> {
        shapes::starts(starts, x.rows)?;
        shapes::odd(width)?;
        self.reading(&[x], || self.neighbours_of(x, starts, width))
    }

    fn pool(&self, x: &Tensor, starts: &[u32], pooling: Pooling) -> Result<Tensor> {
        shapes::starts(starts, x.rows)?;
        self.reading(&[x], || self.pooled(x, starts, pooling))
    }

    fn unit_rows(&self, x: &Tensor) -> Result<Tensor> {
        self.reading(&[x], || self.unit_rows_of(x))
    }

    fn splade(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        most: usize,
    ) -> Result<Vec<SparseVector>> {
        check_layer(x, decoder)?;
        shapes::starts(starts, x.rows)?;
        self.reading(&[x], || {
            self.sparse_vectors(x, starts, decoder, activation, pooling, most)
        })
    }

    fn max_sim(&self, query: &Tensor, documents: &Tensor, starts: &[u32]) -> Result<Vec<f32>> {
        expect("columns of documents", documents.columns, query.columns)?;
        shapes::starts(starts, documents.rows)?;
        self.reading(&[query, documents], || {
            self.late_scores(query, documents, starts)
        })
    }

    fn nearest(
        &self,
        queries: &Tensor,
        vectors: &Tensor,
        k: usize,
    ) -> Result<Vec<Vec<(u32, f32)>>> {
        expect("columns of vectors", vectors.columns, queries.columns)?;
        self.reading(&[queries, vectors], || self.nearest_of(queries, vectors, k))
    }
}
