//! A CUDA stream with its memory, on which operations run.
//!
//! Threads may share a stream: while one captures or launches a graph, the others wait (see
//! [`graph`](super::graph)).

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread::{self, ThreadId};

use zerocopy::IntoBytes;

use super::device::{
    Address, GpuDevice, GpuDownload, GpuGraph, GpuStream, Kernel, MAX_DOWNLOAD_BYTES, TensorMap,
};
use super::graph::{GraphCache, GraphMemory, Mode, graph_mismatch};
use super::memory::{BufferPool, Heap, Memory, Progress};
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
    #[cfg(feature = "train")]
    BucketStarts,
    #[cfg(feature = "train")]
    BucketDistances,
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
    progress: Arc<Progress>,
    pool: BufferPool,
    /// Tensor maps of activations by address, rows, columns, stride and rows of a box.
    maps: Mutex<HashMap<[u64; 5], TensorMap>>,
    /// Non-zeros of a vector on average in the last batch.
    pairs: AtomicUsize,
    /// A counter of 4 bytes from which the blocks of a launch take tiles; 0 between launches.
    tiles_taken: OnceLock<Memory>,
    /// The counter may not be 0, because it is new or a launch has failed.
    must_zero_tiles: AtomicBool,
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
    graph_memory: Option<Arc<GraphMemory>>,
}

impl Buffer {
    pub(super) fn address(&self) -> Address {
        self.address
    }

    /// Keeps the memory of a graph alive as long as the buffer.
    pub(super) fn keep_alive(&mut self, memory: &Arc<GraphMemory>) {
        self.graph_memory = Some(Arc::clone(memory));
    }
}

impl Drop for Buffer {
    /// Waits for other streams that read it, whether its memory is its own, which later work of
    /// its stream will write, or that of a graph, which the next launch will write.
    fn drop(&mut self) {
        let (memory, graph_memory) = (self.memory.take(), self.graph_memory.take());
        let readers = self.readers.get_mut();
        for reader in readers.unwrap_or_else(PoisonError::into_inner) {
            let is_done = reader
                .upgrade()
                .is_none_or(|stream| stream.synchronize().is_ok());
            if !is_done {
                // It may still be read, so leak it rather than reuse it.
                std::mem::forget((memory, graph_memory));
                return;
            }
        }
        if let (Some(memory), Some(stream)) = (memory, self.stream.upgrade()) {
            stream.pool.put(memory);
        }
    }
}

impl Stream {
    pub(super) fn new(device: &Arc<dyn GpuDevice>, heap: &Arc<Heap>) -> Result<Arc<Self>> {
        let stream = Arc::new(Self {
            heap: Arc::clone(heap),
            shared_bytes: device.shared_bytes(),
            raw: device.stream()?,
            progress: Arc::default(),
            pool: BufferPool::new(heap),
            maps: Mutex::default(),
            pairs: AtomicUsize::new(FIRST_PAIRS),
            tiles_taken: OnceLock::new(),
            must_zero_tiles: AtomicBool::new(true),
            state: Mutex::default(),
            released: Condvar::new(),
        });
        heap.add_stream(&stream);
        Ok(stream)
    }

    /// Returns memory that only this stream used to its pool.
    pub(super) fn put_back(&self, memories: Vec<Memory>) {
        memories
            .into_iter()
            .for_each(|memory| self.pool.put(memory));
    }

    /// How far its work has come.
    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Adds work. The caller holds the lock of the state.
    pub(super) fn add<T>(&self, work: impl FnOnce(&dyn GpuStream) -> Result<T>) -> Result<T> {
        let number = self.progress.add();
        let result = work(&*self.raw);
        if self.raw.finishes_at_once() {
            self.progress.finish(number);
        }
        self.noticed(result)
    }

    /// Passes a result on; an error may be that of a launch that has not taken all tiles.
    fn noticed<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.must_zero_tiles.store(true, Ordering::Release);
        }
        result
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
    pub(super) fn tiles_taken(&self) -> Result<Address> {
        if let Some(memory) = self.tiles_taken.get() {
            return Ok(memory.address());
        }
        let mut state = self.state();
        let memory = self.retry(&mut state, || {
            Memory::allocate(&self.heap, size_of::<u32>())
        })?;
        Ok(self.tiles_taken.get_or_init(|| memory).address())
    }

    /// Zeroes the counter of tiles unless the last launch has left it at 0. The caller holds the
    /// lock of the state, and does not capture.
    fn zero_tiles(&self) -> Result<()> {
        if let Some(memory) = self.tiles_taken.get()
            && self.must_zero_tiles.swap(false, Ordering::AcqRel)
        {
            self.add(|raw| raw.fill(memory.address(), 0, size_of::<u32>()))?;
        }
        Ok(())
    }

    /// Launches a captured graph. The caller holds the lock of the state.
    pub(super) fn launch_captured(&self, graph: &dyn GpuGraph) -> Result<()> {
        self.zero_tiles()?;
        self.add(|_| graph.launch())
    }

    /// An uninitialized buffer.
    pub(super) fn allocate(self: &Arc<Self>, bytes: usize) -> Result<Buffer> {
        let mut state = self.state();
        let (address, memory) = match &mut state.mode {
            Mode::Direct => {
                let memory = self.retry(&mut state, || self.pool.take(bytes))?;
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

    /// Permanent memory with these bytes, which all streams may read.
    pub(super) fn load(&self, bytes: &[u8]) -> Result<Memory> {
        let memory = self.permanent(bytes.len())?;
        let mut state = self.state();
        self.retry(&mut state, || {
            self.add(|raw| raw.upload(memory.address(), bytes))
        })?;
        drop(state);
        self.synchronize()?;
        Ok(memory)
    }

    /// Uninitialized permanent memory.
    pub(super) fn permanent(&self, bytes: usize) -> Result<Memory> {
        let mut state = self.state();
        self.retry(&mut state, || Memory::allocate(&self.heap, bytes))
    }

    /// Runs `attempt`; if memory runs out, runs it once more after all streams of the GPU have
    /// given up what they do not need.
    fn retry<T>(&self, state: &mut State, attempt: impl Fn() -> Result<T>) -> Result<T> {
        match attempt() {
            Err(error) if error.is_device_memory() && matches!(state.mode, Mode::Direct) => {
                self.release_unused(state)?;
                for other in self.heap.other_streams(self) {
                    other.try_release_unused();
                }
                self.heap.free_dropped(true);
                attempt()
            }
            result => result,
        }
    }

    /// Frees unused memory, pinned memory and all graphs, which can be captured again.
    fn release_unused(&self, state: &mut State) -> Result<()> {
        let added = self.progress.added();
        self.noticed(self.raw.synchronize())?;
        self.progress.finish(added);
        state.graphs = GraphCache::default();
        self.pool.release_unused();
        self.raw.release_pinned();
        Ok(())
    }

    /// The same for a stream that lacks memory, unless another thread is just using this one:
    /// waiting for it could take forever, because it may be waiting for the other stream.
    fn try_release_unused(&self) {
        if let Ok(mut state) = self.state.try_lock()
            && state.owner.is_none()
        {
            // If its work failed, the next call of this stream says so.
            drop(self.release_unused(&mut state));
        }
    }

    /// A buffer with these bytes.
    pub(super) fn upload(self: &Arc<Self>, bytes: &[u8]) -> Result<Buffer> {
        let buffer = self.allocate(bytes.len())?;
        let mut state = self.state();
        match &mut state.mode {
            Mode::Capturing(_, uploads) => uploads.push((buffer.address, bytes.to_vec())),
            Mode::Direct | Mode::Launching(_) => self.retry(&mut state, || {
                self.add(|raw| raw.upload(buffer.address, bytes))
            })?,
        }
        Ok(buffer)
    }

    /// Whether the memory belongs to this stream.
    #[cfg(feature = "train")]
    pub(super) fn owns(&self, buffer: &Buffer) -> bool {
        std::ptr::eq(buffer.stream.as_ptr(), self)
    }

    /// Replaces the first bytes of a buffer of this stream.
    #[cfg(feature = "train")]
    pub(super) fn write(&self, buffer: &Buffer, bytes: &[u8]) -> Result<()> {
        let mut state = self.state();
        self.retry(&mut state, || {
            self.add(|raw| raw.upload(buffer.address, bytes))
        })
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
        if matches!(state.mode, Mode::Direct) {
            self.zero_tiles()?;
        }
        self.add(|raw| raw.launch(kernel, [x, y, z], shared_bytes, parameters.as_bytes()))
    }

    /// Zeroes a buffer.
    pub(super) fn zero(&self, buffer: &Buffer, bytes: usize) -> Result<()> {
        let state = self.state();
        match state.mode {
            Mode::Launching(_) => Ok(()),
            Mode::Direct | Mode::Capturing(..) => {
                self.add(|raw| raw.fill(buffer.address, 0, bytes))
            }
        }
    }

    /// Reads the first bytes of a buffer back, after all earlier work. Meanwhile other threads may
    /// add work.
    pub(super) fn download(&self, buffer: &Buffer, bytes: usize) -> Result<Vec<u8>> {
        self.download_from(buffer.address, bytes)
    }

    /// The same from an address.
    pub(super) fn download_from(&self, mut from: Address, bytes: usize) -> Result<Vec<u8>> {
        let mut found = vec![0; bytes];
        // While a part is waited for, the next one is on its way.
        let mut before = None;
        for part in found.chunks_mut(MAX_DOWNLOAD_BYTES) {
            let started = self.start_download(from, part.len())?;
            from += part.len() as u64;
            if let Some((download, part)) = before.replace((started, part)) {
                self.finish_download(download, part)?;
            }
        }
        if let Some((download, part)) = before {
            self.finish_download(download, part)?;
        }
        self.heap.free_dropped(false);
        Ok(found)
    }

    fn start_download(&self, from: Address, bytes: usize) -> Result<(Box<dyn GpuDownload>, u64)> {
        let mut state = self.state();
        if !matches!(state.mode, Mode::Direct) {
            return Err(graph_mismatch());
        }
        let start = || self.add(|raw| raw.start_download(from, bytes));
        let download = self.retry(&mut state, start)?;
        Ok((download, self.progress.added()))
    }

    fn finish_download(
        &self,
        (download, number): (Box<dyn GpuDownload>, u64),
        bytes: &mut [u8],
    ) -> Result<()> {
        self.noticed(download.finish(bytes))?;
        self.progress.finish(number);
        Ok(())
    }

    /// Waits for all earlier work. Meanwhile other threads may add work.
    pub(super) fn synchronize(&self) -> Result<()> {
        let state = self.state();
        let (fence, number) = (self.raw.fence()?, self.progress.added());
        drop(state);
        self.noticed(fence.wait())?;
        self.progress.finish(number);
        self.heap.free_dropped(false);
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Otherwise it may still use memory, which is then never freed.
        if self.raw.synchronize().is_ok() {
            self.progress.finish(self.progress.added());
            self.pool.release_unused();
            self.heap.remove_stream(&self.progress);
            self.heap.free_dropped(false);
        }
    }
}

#[cfg(test)]
mod tests;
