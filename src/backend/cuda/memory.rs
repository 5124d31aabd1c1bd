//! GPU memory, and the pool of free buffers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::device::{Address, GpuDevice};
use crate::error::Result;

/// A buffer serves requests of at least 1 / `WASTE` of its size, or of any size below `SMALL`.
const WASTE: usize = 2;
const SMALL: usize = 64 * 1024;

/// The memory of a GPU; counts what a backend has allocated.
pub(super) struct Heap {
    pub(super) device: Arc<dyn GpuDevice>,
    taken: AtomicUsize,
    max: AtomicUsize,
}

impl Heap {
    pub(super) fn new(device: &Arc<dyn GpuDevice>) -> Arc<Self> {
        Arc::new(Self {
            device: Arc::clone(device),
            taken: AtomicUsize::new(0),
            max: AtomicUsize::new(0),
        })
    }

    /// Allocated bytes, and their peak.
    pub(super) fn usage(&self) -> (usize, usize) {
        let taken = self.taken.load(Ordering::Relaxed);
        (taken, self.max.load(Ordering::Relaxed))
    }
}

/// Memory that is freed on drop.
pub(super) struct Memory {
    heap: Arc<Heap>,
    address: Address,
    bytes: usize,
}

impl Memory {
    pub(super) fn allocate(heap: &Arc<Heap>, bytes: usize) -> Result<Self> {
        let bytes = bytes.max(1).next_multiple_of(heap.device.granularity());
        let address = heap.device.allocate(bytes)?;
        let taken = heap.taken.fetch_add(bytes, Ordering::Relaxed) + bytes;
        heap.max.fetch_max(taken, Ordering::Relaxed);
        Ok(Self {
            address,
            heap: Arc::clone(heap),
            bytes,
        })
    }

    pub(super) fn address(&self) -> Address {
        self.address
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {:#x}", self.bytes, self.address)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.heap.device.free(self.address);
        self.heap.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A caching allocator: free memory of one stream. After the first batches operations find all
/// their buffers here, and nothing is allocated.
///
/// Reusing memory that the GPU may still be reading is correct because a stream runs in order: the
/// new owner writes it after all earlier reads.
pub(super) struct BufferPool {
    heap: Arc<Heap>,
    free: Mutex<BTreeMap<usize, Vec<Memory>>>,
}

impl BufferPool {
    pub(super) fn new(heap: &Arc<Heap>) -> Self {
        Self {
            heap: Arc::clone(heap),
            free: Mutex::default(),
        }
    }

    /// Memory of at least this many bytes.
    pub(super) fn take(&self, bytes: usize) -> Result<Memory> {
        match self.fitting(bytes) {
            Some(memory) => Ok(memory),
            None => Memory::allocate(&self.heap, bytes),
        }
    }

    /// Returns memory to the pool.
    pub(super) fn put(&self, memory: Memory) {
        if self.heap.device.reuses_buffers() {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.entry(memory.bytes).or_default().push(memory);
        }
    }

    fn fitting(&self, bytes: usize) -> Option<Memory> {
        let max = bytes.saturating_mul(WASTE).max(SMALL);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (&size, memories) = free.range_mut(bytes..=max).next()?;
        let memory = memories.pop();
        if memories.is_empty() {
            free.remove(&size);
        }
        memory
    }

    /// Frees the whole pool.
    pub(super) fn release_unused(&self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.clear();
    }
}
