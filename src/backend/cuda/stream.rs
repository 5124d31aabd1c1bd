//! A CUDA stream with its memory, on which operations run.
//!
//! Threads may share a stream: while one captures or launches a graph, the others wait (see
//! [`graph`](super::graph)).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, ThreadId};

use zerocopy::IntoBytes;

use super::device::{Address, GpuDevice, GpuStream, Kernel, TensorMap};
use super::graph::{GraphCache, Mode, graph_mismatch};
use super::memory::{BufferPool, Heap, Memory};
use super::parameters::Parameters;
use crate::error::{Error, Result};

/// Small tables of a batch that are cached from one operation to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum CachedTable {
    Starts,
    Tiles,
    SequenceOfRow,
    Buckets,
    Bias,
}

/// The last table of each kind, with its contents.
pub(super) type TableCache = HashMap<CachedTable, (Vec<u8>, Arc<Buffer>)>;

/// Tensor maps that a stream keeps, 128 bytes each: some for each shape of a batch.
const MAX_MAPS: usize = 4096;
/// Non-zeros that a sparse vector is expected to have before any was seen.
const FIRST_PAIRS: usize = 256;

/// A CUDA stream with its memory.
pub(super) struct Stream {
    heap: Arc<Heap>,
    /// The maximum number of bytes of shared memory per block.
    shared_bytes: u32,
    pub(super) raw: Box<dyn GpuStream>,
    pool: BufferPool,
    /// Tensor maps of activations by address, rows, columns, stride and rows of a box.
    maps: Mutex<HashMap<[u64; 5], TensorMap>>,
    /// Non-zeros of a vector on average in the last batch.
    pairs: AtomicUsize,
    /// A counter of 4 bytes from which the blocks of a launch take tiles; 0 between launches.
    tiles_taken: Memory,
    state: Mutex<State>,
    /// Signalled when a thread ends its exclusive use of the stream.
    released: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) mode: Mode,
    /// The thread that captures or launches a graph, and has exclusive use of the stream.
    pub(super) owner: Option<ThreadId>,
    pub(super) tables: TableCache,
    pub(super) graphs: GraphCache,
}

/// Memory of a stream; returns to the stream's pool on drop.
pub(super) struct Buffer {
    address: Address,
    memory: Option<Memory>,
    stream: Weak<Stream>,
    /// Its writer was synchronized, so that other streams may read it.
    is_synchronized: AtomicBool,
    /// Other streams that read it.
    readers: Mutex<Vec<Weak<Stream>>>,
    /// The memory of the graph that it belongs to.
    graph_memory: Option<Arc<Vec<Memory>>>,
}

impl Buffer {
    pub(super) fn address(&self) -> Address {
        self.address
    }

    /// Keeps the memory of a graph alive as long as the buffer.
    pub(super) fn keep_alive(&mut self, memories: &Arc<Vec<Memory>>) {
        self.graph_memory = Some(Arc::clone(memories));
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let Some(memory) = self.memory.take() else {
            return;
        };
        let readers = self.readers.get_mut();
        for reader in readers.unwrap_or_else(PoisonError::into_inner) {
            let is_done = reader
                .upgrade()
                .is_none_or(|stream| stream.synchronize().is_ok());
            if !is_done {
                // It may still be read, so leak it rather than reuse it.
                std::mem::forget(memory);
                return;
            }
        }
        if let Some(stream) = self.stream.upgrade() {
            stream.pool.put(memory);
        }
    }
}

impl Stream {
    pub(super) fn new(device: &Arc<dyn GpuDevice>, heap: &Arc<Heap>) -> Result<Arc<Self>> {
        let raw = device.stream()?;
        let tiles_taken = Memory::allocate(heap, size_of::<u32>())?;
        raw.fill(tiles_taken.address(), 0, size_of::<u32>())?;
        Ok(Arc::new(Self {
            heap: Arc::clone(heap),
            shared_bytes: device.shared_bytes(),
            raw,
            pool: BufferPool::new(heap),
            maps: Mutex::default(),
            pairs: AtomicUsize::new(FIRST_PAIRS),
            tiles_taken,
            state: Mutex::default(),
            released: Condvar::new(),
        }))
    }

    /// Locks the state when no other thread has exclusive use of the stream. Whoever adds work to
    /// the stream holds this lock.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        let own = thread::current().id();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while state.owner.is_some_and(|owner| owner != own) {
            let waited = self.released.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state
    }

    /// Gives the calling thread exclusive use of the stream. Returns the cached tables, which
    /// belong to the previous mode.
    pub(super) fn begin_exclusive(&self, mode: Mode) -> TableCache {
        let mut state = self.state();
        state.mode = mode;
        state.owner = Some(thread::current().id());
        std::mem::take(&mut state.tables)
    }

    /// Ends what [`begin_exclusive`](Self::begin_exclusive) began, and returns the mode.
    pub(super) fn end_exclusive(&self, before: TableCache) -> Mode {
        let mut state = self.state();
        let of_mode = std::mem::replace(&mut state.tables, before);
        let mode = std::mem::take(&mut state.mode);
        state.owner = None;
        drop(state);
        self.released.notify_all();
        drop(of_mode);
        mode
    }

    /// The tensor map of bf16 rows (see [`GpuDevice::tensor_map`]). Buffers are used again and again,
    /// so it is usually known; it depends on nothing but the arguments.
    pub(super) fn tensor_map(
        &self,
        address: Address,
        [rows, columns, stride]: [usize; 3],
        box_rows: usize,
    ) -> Result<TensorMap> {
        let key = [
            address,
            rows as u64,
            columns as u64,
            stride as u64,
            box_rows as u64,
        ];
        let mut maps = self.maps.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(map) = maps.get(&key) {
            return Ok(*map);
        }
        let device = &self.heap.device;
        let map = device.tensor_map(address, rows, columns, stride, box_rows)?;
        if maps.len() >= MAX_MAPS {
            maps.clear();
        }
        maps.insert(key, map);
        Ok(map)
    }

    /// How many non-zeros to make room for in this many vectors: a quarter more than last time.
    pub(super) fn expected_pairs(&self, vectors: usize) -> usize {
        (self.pairs.load(Ordering::Relaxed) + 1) * vectors * 5 / 4
    }

    /// Remembers how many there were.
    pub(super) fn expect_pairs(&self, count: usize, vectors: usize) {
        let mean = count.div_ceil(vectors.max(1));
        self.pairs.store(mean, Ordering::Relaxed);
    }

    /// The counter of tiles of this stream's launches (`kernels/hopper_product.cuh`): launches of
    /// one stream run in turn, and each leaves it at 0.
    pub(super) fn tiles_taken(&self) -> Address {
        self.tiles_taken.address()
    }

    /// An uninitialized buffer.
    pub(super) fn allocate(self: &Arc<Self>, bytes: usize) -> Result<Buffer> {
        let mut state = self.state();
        let (address, memory) = match &mut state.mode {
            Mode::Direct => {
                let memory = match self.pool.take(bytes) {
                    Err(error) if error.is_device_memory() => {
                        self.release_unused(&mut state)?;
                        self.pool.take(bytes)?
                    }
                    result => result?,
                };
                (memory.address(), Some(memory))
            }
            Mode::Capturing(memories, _) => {
                let memory = self.pool.take(bytes)?;
                let address = memory.address();
                memories.push(memory);
                (address, None)
            }
            Mode::Launching(addresses) => {
                let address = addresses.pop();
                (address.ok_or_else(graph_mismatch)?, None)
            }
        };
        Ok(Buffer {
            address,
            memory,
            stream: Arc::downgrade(self),
            is_synchronized: AtomicBool::new(false),
            readers: Mutex::default(),
            graph_memory: None,
        })
    }

    /// Frees unused memory and all graphs, which can be captured again.
    fn release_unused(&self, state: &mut State) -> Result<()> {
        self.raw.synchronize()?;
        state.graphs = GraphCache::default();
        self.pool.release_unused();
        Ok(())
    }

    /// A buffer with these bytes.
    pub(super) fn upload(self: &Arc<Self>, bytes: &[u8]) -> Result<Buffer> {
        let buffer = self.allocate(bytes.len())?;
        let mut state = self.state();
        match &mut state.mode {
            Mode::Capturing(_, uploads) => uploads.push((buffer.address, bytes.to_vec())),
            Mode::Direct | Mode::Launching(_) => self.raw.upload(buffer.address, bytes)?,
        }
        Ok(buffer)
    }

    /// A buffer with these values, uploaded unless the last one of this kind has the same. Hold it
    /// until the work that reads it is in the stream.
    pub(super) fn cached(
        self: &Arc<Self>,
        kind: CachedTable,
        values: &[u32],
    ) -> Result<Arc<Buffer>> {
        let bytes = values.as_bytes();
        if let Some((known, buffer)) = self.state().tables.get(&kind)
            && known == bytes
        {
            return Ok(Arc::clone(buffer));
        }
        let buffer = Arc::new(self.upload(bytes)?);
        let entry = (bytes.to_vec(), Arc::clone(&buffer));
        let before = self.state().tables.insert(kind, entry);
        drop(before);
        Ok(buffer)
    }

    /// Writes memory that all streams may read when this returns.
    pub(super) fn load(&self, to: Address, bytes: &[u8]) -> Result<()> {
        let _state = self.state();
        self.raw.upload(to, bytes)?;
        self.raw.synchronize()
    }

    /// Lets this stream read a buffer of any stream of the same GPU.
    pub(super) fn wait_for_writer(self: &Arc<Self>, buffer: &Buffer) -> Result<()> {
        if std::ptr::eq(buffer.stream.as_ptr(), Arc::as_ptr(self)) {
            return Ok(());
        }
        let Some(stream) = buffer.stream.upgrade() else {
            // The stream synchronized before it was dropped.
            return Ok(());
        };
        if !Arc::ptr_eq(&stream.heap, &self.heap) {
            return Err(Error::device(
                "expected a tensor of the same GPU, found one of another; copy its values",
            ));
        }
        if !buffer.is_synchronized.load(Ordering::Acquire) {
            stream.synchronize()?;
            buffer.is_synchronized.store(true, Ordering::Release);
        }
        let mut readers = buffer
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let own = Arc::downgrade(self);
        if !readers.iter().any(|reader| reader.ptr_eq(&own)) {
            readers.push(own);
        }
        Ok(())
    }

    /// Launches a kernel.
    pub(super) fn launch<P: Parameters>(
        &self,
        kernel: &'static Kernel,
        grid: [usize; 3],
        shared_bytes: usize,
        parameters: &P,
    ) -> Result<()> {
        let state = self.state();
        if matches!(state.mode, Mode::Launching(_)) {
            return Ok(());
        }
        let [x, y, z] = grid.map(|blocks| u32::try_from(blocks).unwrap_or(u32::MAX));
        let shared_bytes = u32::try_from(shared_bytes).unwrap_or(u32::MAX);
        if shared_bytes > self.shared_bytes {
            return Err(Error::device(format!(
                "kernel {}: expected {shared_bytes} bytes of shared memory per block, found {}; run models on the CPU",
                kernel.name, self.shared_bytes
            )));
        }
        self.raw
            .launch(kernel, [x, y, z], shared_bytes, parameters.as_bytes())
    }

    /// Zeroes a buffer.
    pub(super) fn zero(&self, buffer: &Buffer, bytes: usize) -> Result<()> {
        let state = self.state();
        match state.mode {
            Mode::Launching(_) => Ok(()),
            Mode::Direct | Mode::Capturing(..) => self.raw.fill(buffer.address, 0, bytes),
        }
    }

    /// Reads the first bytes of a buffer back, after all earlier work.
    pub(super) fn download(&self, buffer: &Buffer, bytes: usize) -> Result<Vec<u8>> {
        let state = self.state();
        if !matches!(state.mode, Mode::Direct) {
            return Err(graph_mismatch());
        }
        let mut found = vec![0; bytes];
        self.raw.download(buffer.address, &mut found)?;
        Ok(found)
    }

    pub(super) fn synchronize(&self) -> Result<()> {
        let _state = self.state();
        self.raw.synchronize()
    }
}
