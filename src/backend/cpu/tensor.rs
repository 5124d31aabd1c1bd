//! Activations, and the pool of their buffers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows × columns values, row after row.
pub struct Tensor {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
    buffers: Buffers,
}

impl Tensor {
    /// Rows and columns.
    pub(in crate::backend) fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(super) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.columns..][..self.columns]
    }
}

impl Drop for Tensor {
    fn drop(&mut self) {
        self.buffers.recycle(std::mem::take(&mut self.values));
    }
}

/// A pool of buffers. Fresh memory costs a page fault per 4 KiB, which fast products would wait
/// for.
#[derive(Clone, Default)]
pub(super) struct Buffers {
    free: Arc<Mutex<Vec<Vec<f32>>>>,
    /// The maximum number of free buffers, if it is above [`MAX_FREE`](Self::MAX_FREE).
    more: Arc<AtomicUsize>,
}

impl Buffers {
    /// The maximum number of free buffers.
    const MAX_FREE: usize = 8;

    /// Keeps up to `count` free buffers: a step of training holds hundreds of tensors at once.
    #[cfg(feature = "train")]
    pub fn keep(&self, count: usize) {
        self.more.store(count, Ordering::Relaxed);
    }

    /// A tensor with unspecified values, for callers that write all of them.
    pub fn tensor(&self, rows: usize, columns: usize) -> Tensor {
        Tensor {
            rows,
            columns,
            values: self.take(rows * columns),
            buffers: self.clone(),
        }
    }

    /// A buffer of `len` unspecified values.
    pub fn take(&self, len: usize) -> Vec<f32> {
        let mut free = self.free();
        // The smallest buffer that is large enough; otherwise the largest, which grows.
        let best = (0..free.len()).min_by_key(|&place| {
            let capacity = free[place].capacity();
            (capacity < len, capacity.abs_diff(len))
        });
        let mut values = best.map_or_else(Vec::new, |place| free.swap_remove(place));
        drop(free);
        values.resize(len, 0.0);
        values
    }

    /// Returns a buffer to the pool.
    pub fn recycle(&self, values: Vec<f32>) {
        if values.capacity() == 0 {
            return;
        }
        let mut free = self.free();
        if free.len() >= Self::MAX_FREE.max(self.more.load(Ordering::Relaxed)) {
            // Evict the smallest buffer; large ones are expensive to reallocate.
            let smallest = (0..free.len()).min_by_key(|&place| free[place].capacity());
            if let Some(place) = smallest
                && free[place].capacity() < values.capacity()
            {
                free[place] = values;
            }
            return;
        }
        free.push(values);
    }

    fn free(&self) -> MutexGuard<'_, Vec<Vec<f32>>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_used_again() {
        let buffers = Buffers::default();
        let first = buffers.tensor(8, 8).values().as_ptr();
        assert_eq!(buffers.tensor(4, 16).values().as_ptr(), first);
    }

    #[test]
    fn few_free_buffers_are_kept_and_these_are_the_large_ones() {
        let buffers = Buffers::default();
        let tensors: Vec<_> = (1..=20).map(|rows| buffers.tensor(rows, 100)).collect();
        drop(tensors);
        let free = buffers.free();
        assert_eq!(free.len(), Buffers::MAX_FREE);
        assert!(free.iter().all(|values| values.capacity() >= 1_300));
    }
}
