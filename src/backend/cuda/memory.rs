//! GPU memory, when it is freed, and the pool of free buffers.
//!
//! Work is asynchronous: when a buffer is dropped, a stream may still be using its memory. A pool
//! hands memory to later work of the same stream, which runs after all earlier work. Other memory
//! (weights, the pool of a dropped stream) is freed when all streams have [progressed](Progress)
//! beyond what had been added to them when it was dropped. Since freeing makes the driver wait for
//! the whole GPU, that happens when no stream has work, or when memory has run out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::device::{Address, GpuDevice};
use super::stream::Stream;
use crate::error::Result;

/// A buffer serves requests of at least 1 / `WASTE` of its size, or of any size below `SMALL`.
const WASTE: usize = 2;
const SMALL: usize = 64 * 1024;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How far a stream has come.
#[derive(Default)]
pub(super) struct Progress {
    /// Pieces of work that were added.
    added: AtomicU64,
    /// Of which this many are known to have finished.
    finished: AtomicU64,
}

impl Progress {
    /// Counts a piece of work, before it is added; returns its number.
    pub(super) fn add(&self) -> u64 {
        self.added.fetch_add(1, Ordering::AcqRel) + 1
    }

    pub(super) fn added(&self) -> u64 {
        self.added.load(Ordering::Acquire)
    }

    /// The work up to this number has finished.
    pub(super) fn finish(&self, number: u64) {
        self.finished.fetch_max(number, Ordering::AcqRel);
    }

    fn has_finished(&self, number: u64) -> bool {
        self.finished.load(Ordering::Acquire) >= number
    }
}

/// The memory of a GPU; counts what a backend has allocated.
pub(super) struct Heap {
    pub(super) device: Arc<dyn GpuDevice>,
    taken: AtomicUsize,
    max: AtomicUsize,
    /// The progress of all streams that have not been synchronized for the last time.
    progress: Mutex<Vec<Arc<Progress>>>,
    streams: Mutex<Vec<Weak<Stream>>>,
    dropped: Mutex<Vec<Dropped>>,
}

/// Memory that nobody owns any more, but work may still use.
struct Dropped {
    address: Address,
    bytes: usize,
    /// The work of each stream that must have finished.
    work: Vec<(Arc<Progress>, u64)>,
}

impl Heap {
    pub(super) fn new(device: &Arc<dyn GpuDevice>) -> Arc<Self> {
        Arc::new(Self {
            device: Arc::clone(device),
            taken: AtomicUsize::new(0),
            max: AtomicUsize::new(0),
            progress: Mutex::default(),
            streams: Mutex::default(),
            dropped: Mutex::default(),
        })
    }

    /// Allocated bytes, and their peak.
    pub(super) fn usage(&self) -> (usize, usize) {
        let taken = self.taken.load(Ordering::Relaxed);
        (taken, self.max.load(Ordering::Relaxed))
    }

    /// Adds a stream that uses memory of this heap.
    pub(super) fn add_stream(&self, stream: &Arc<Stream>) {
        locked(&self.progress).push(Arc::clone(stream.progress()));
        locked(&self.streams).push(Arc::downgrade(stream));
    }

    /// Removes a stream whose work has finished.
    pub(super) fn remove_stream(&self, progress: &Arc<Progress>) {
        locked(&self.progress).retain(|other| !Arc::ptr_eq(other, progress));
        locked(&self.streams).retain(|stream| stream.strong_count() > 0);
    }

    /// The streams other than `own`.
    pub(super) fn other_streams(&self, own: &Stream) -> Vec<Arc<Stream>> {
        let streams: Vec<_> = locked(&self.streams)
            .iter()
            .filter_map(Weak::upgrade)
            .collect();
        let others = streams.into_iter();
        others
            .filter(|stream| !std::ptr::eq(&**stream, own))
            .collect()
    }

    /// The last work of each stream that has any.
    fn unfinished(&self) -> Vec<(Arc<Progress>, u64)> {
        let progress = locked(&self.progress);
        let last = progress
            .iter()
            .map(|stream| (Arc::clone(stream), stream.added()));
        last.filter(|(stream, number)| !stream.has_finished(*number))
            .collect()
    }

    /// Frees dropped memory that no work uses any more: if `is_needed` at once, otherwise only if
    /// no stream would have to wait.
    pub(super) fn free_dropped(&self, is_needed: bool) {
        if !is_needed && !self.unfinished().is_empty() {
            return;
        }
        let mut dropped = locked(&self.dropped);
        let (unused, used) = std::mem::take(&mut *dropped)
            .into_iter()
            .partition(|memory| {
                let mut work = memory.work.iter();
                work.all(|(stream, number)| stream.has_finished(*number))
            });
        *dropped = used;
        drop(dropped);
        let unused: Vec<Dropped> = unused;
        unused
            .iter()
            .for_each(|memory| self.free(memory.address, memory.bytes));
    }

    fn free(&self, address: Address, bytes: usize) {
        self.device.free(address);
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        // What a stream may still be using, because it could not be synchronized, is not freed.
        self.free_dropped(true);
    }
}

/// Memory that is freed after it was dropped, when no stream uses it any more.
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

    /// Frees memory of which the caller knows that no work uses it.
    fn free_now(mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        self.heap.free(std::mem::take(&mut self.address), bytes);
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {:#x}", self.bytes, self.address)
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        let (address, bytes) = (self.address, self.bytes);
        if bytes == 0 {
            return; // freed already
        }
        let work = self.heap.unfinished();
        if work.is_empty() {
            self.heap.free(address, bytes);
            return;
        }
        locked(&self.heap.dropped).push(Dropped {
            address,
            bytes,
            work,
        });
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
            locked(&self.free)
                .entry(memory.bytes)
                .or_default()
                .push(memory);
        }
    }

    fn fitting(&self, bytes: usize) -> Option<Memory> {
        let max = bytes.saturating_mul(WASTE).max(SMALL);
        let mut free = locked(&self.free);
        let (&size, memories) = free.range_mut(bytes..=max).next()?;
        let memory = memories.pop();
        if memories.is_empty() {
            free.remove(&size);
        }
        memory
    }

    /// Frees the whole pool. The caller has waited for the stream's work.
    pub(super) fn release_unused(&self) {
        let free = std::mem::take(&mut *locked(&self.free));
        free.into_values().flatten().for_each(Memory::free_now);
    }
}
