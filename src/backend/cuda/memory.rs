//! Memory of the card, and the buffers that wait to be used again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::device::{Address, Device};
use crate::error::Result;

/// A buffer is handed out for requests of no less than 1 / `WASTE` of it, or of any size below `SMALL`.
const WASTE: usize = 2;
const SMALL: usize = 64 * 1024;

/// The memory of a card, of which a backend knows how much it took.
pub(super) struct Heap {
    device: Arc<dyn Device>,
    taken: AtomicUsize,
    most: AtomicUsize,
}

impl Heap {
    pub(super) fn new(device: &Arc<dyn Device>) -> Arc<Self> {
        Arc::new(Self {
            device: Arc::clone(device),
            taken: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        })
    }

    /// Bytes that are taken, and the most that ever were.
    pub(super) fn usage(&self) -> (usize, usize) {
        let taken = self.taken.load(Ordering::Relaxed);
        (taken, self.most.load(Ordering::Relaxed))
    }
}

/// Memory that is freed when it is dropped.
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
        heap.most.fetch_max(taken, Ordering::Relaxed);
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

/// Memory of a lane that nobody uses at the moment: after the first batches all that operations need is found here, and nothing is allocated.
///
/// Handing memory out again while the card may still read it is right because the work of a lane is done in order: whoever gets it writes
/// it after all that read it before.
pub(super) struct Spare {
    heap: Arc<Heap>,
    free: Mutex<BTreeMap<usize, Vec<Memory>>>,
}

impl Spare {
    pub(super) fn new(heap: &Arc<Heap>) -> Self {
        Self {
            heap: Arc::clone(heap),
            free: Mutex::default(),
        }
    }

    /// Memory of so many bytes at least.
    pub(super) fn take(&self, bytes: usize) -> Result<Memory> {
        match self.fitting(bytes) {
            Some(memory) => Ok(memory),
            None => Memory::allocate(&self.heap, bytes),
        }
    }

    /// Keeps memory for the next taker.
    pub(super) fn put(&self, memory: Memory) {
        if self.heap.device.keeps_buffers() {
            let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.entry(memory.bytes).or_default().push(memory);
        }
    }

    fn fitting(&self, bytes: usize) -> Option<Memory> {
        let most = bytes.saturating_mul(WASTE).max(SMALL);
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let (&size, memories) = free.range_mut(bytes..=most).next()?;
        let memory = memories.pop();
        if memories.is_empty() {
            free.remove(&size);
        }
        memory
    }

    /// Frees all of it.
    pub(super) fn give_up(&self) {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        free.clear();
    }
}
