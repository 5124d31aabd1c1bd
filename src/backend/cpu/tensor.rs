//! Activations, and the pool of their buffers.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows × columns values, row after row.
pub struct Tensor {
    rows: usize,
    columns: usize,
    values: Pooled,
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

/// Values in a buffer of the pool, to which the buffer returns when they are dropped.
pub(super) struct Pooled {
    /// At least `len` values. The vector is never shortened: it would be filled with zeros again
    /// when it grows, on one thread.
    buffer: Vec<f32>,
    len: usize,
    buffers: Buffers,
}

impl Deref for Pooled {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.buffer[..self.len]
    }
}

impl DerefMut for Pooled {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.buffer[..self.len]
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        self.buffers.recycle(std::mem::take(&mut self.buffer));
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
        }
    }

    /// `len` unspecified values.
    pub fn take(&self, len: usize) -> Pooled {
        let mut free = self.free();
        // The smallest buffer that is large enough. Without one, the largest makes room for a new
        // one, so that their number does not grow.
        let best = (0..free.len()).min_by_key(|&place| {
            let there = free[place].len();
            (there < len, there.abs_diff(len))
        });
        let found = best.map(|place| free.swap_remove(place));
        drop(free);
        // New memory is zeroed by the system, page by page, on the threads that write to it.
        let buffer = found.filter(|buffer| buffer.len() >= len);
        Pooled {
            buffer: buffer.unwrap_or_else(|| vec![0.0; rounded_up(len)]),
            len,
            buffers: self.clone(),
        }
    }

    /// Returns a buffer to the pool.
    fn recycle(&self, values: Vec<f32>) {
        if values.is_empty() {
            return;
        }
        let mut free = self.free();
        if free.len() >= Self::MAX_FREE.max(self.more.load(Ordering::Relaxed)) {
            // Evict the smallest buffer; large ones are expensive to reallocate.
            let smallest = (0..free.len()).min_by_key(|&place| free[place].len());
            if let Some(place) = smallest
                && free[place].len() < values.len()
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

/// At most an eighth more, so that batches of nearly the same number of tokens share buffers.
fn rounded_up(len: usize) -> usize {
    len.next_multiple_of((len.next_power_of_two() / 16).max(1))
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
        assert!(free.iter().all(|values| values.len() >= 1_300));
    }

    #[test]
    fn batches_of_nearly_the_same_size_share_a_buffer() {
        let buffers = Buffers::default();
        let first = buffers.tensor(1_000, 64).values().as_ptr();
        let second = buffers.tensor(1_020, 64);
        assert_eq!(second.values().as_ptr(), first);
        assert_eq!(second.values().len(), 1_020 * 64);
        for len in [0, 1, 15, 17, 1_000, 4_097] {
            assert!((len..=len + len / 8).contains(&rounded_up(len)), "{len}");
        }
    }
}
