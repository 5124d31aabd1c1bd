//! A stream of items in bounded memory: one window of them at a time.

use std::thread;

use crate::error::Result;

/// The max size of a window. A window has at least one item, even a larger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowSize {
    /// Items.
    pub items: usize,
    /// Bytes of all items.
    pub bytes: usize,
}

/// Works on items window by window and hands each window on with its result, in order.
///
/// With `is_beside`, `work` runs on a thread of its own: while it works on one window, `done` gets
/// the window before and the next is read, so that work overlaps with reading and writing.
/// Otherwise everything runs on the caller's thread. At most two windows are in memory.
///
/// ```
/// use esparsa::neural::{WindowSize, for_each_window};
///
/// let size = WindowSize { items: 2, bytes: 100 };
/// let mut lines = Vec::new();
/// for_each_window(
///     ["a", "bb", "ccc"].into_iter(),
///     |word| word.len(),
///     size,
///     true,
///     |window| window.len(),
///     |window, length| {
///         lines.push(format!("{length}: {}", window.join(" ")));
///         Ok(())
///     },
/// )?;
/// assert_eq!(lines, ["2: a bb", "1: ccc"]);
/// # Ok::<(), esparsa::Error>(())
/// ```
///
/// # Errors
///
/// The first error of `done`; no window is worked on after it.
pub fn for_each_window<T: Send + Sync, R: Send>(
    items: impl Iterator<Item = T>,
    bytes: impl Fn(&T) -> usize,
    size: WindowSize,
    is_beside: bool,
    work: impl Fn(&[T]) -> R + Sync,
    mut done: impl FnMut(Vec<T>, R) -> Result<()>,
) -> Result<()> {
    let mut windows = Windows {
        items: items.peekable(),
        bytes,
        size,
    };
    if !is_beside {
        for window in windows {
            let result = work(&window);
            done(window, result)?;
        }
        return Ok(());
    }
    let mut next = windows.next();
    let mut worked: Option<(Vec<T>, R)> = None;
    while let Some(window) = next.take() {
        let (result, outcome) = thread::scope(|scope| {
            let worker = scope.spawn(|| work(&window));
            let outcome = worked.take().map_or(Ok(()), |(w, r)| done(w, r));
            if outcome.is_ok() {
                next = windows.next();
            }
            match worker.join() {
                Ok(result) => (result, outcome),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        });
        outcome?;
        worked = Some((window, result));
    }
    worked.map_or(Ok(()), |(window, result)| done(window, result))
}

struct Windows<I: Iterator, F> {
    items: std::iter::Peekable<I>,
    bytes: F,
    size: WindowSize,
}

impl<I: Iterator, F: Fn(&I::Item) -> usize> Iterator for Windows<I, F> {
    type Item = Vec<I::Item>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.items.next()?;
        let mut bytes = (self.bytes)(&first);
        let mut window = vec![first];
        while window.len() < self.size.items {
            let room = self.size.bytes.saturating_sub(bytes);
            let Some(item) = self.items.next_if(|item| (self.bytes)(item) <= room) else {
                break;
            };
            bytes += (self.bytes)(&item);
            window.push(item);
        }
        Some(window)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::Error;

    /// The windows of items that are their own sizes in bytes.
    fn windows(numbers: &[usize], size: WindowSize, is_beside: bool) -> Vec<Vec<usize>> {
        let mut windows = Vec::new();
        for_each_window(
            numbers.iter().copied(),
            |number| *number,
            size,
            is_beside,
            |window| window.to_vec(),
            |window, copy| {
                assert_eq!(window, copy);
                windows.push(window);
                Ok(())
            },
        )
        .unwrap();
        windows
    }

    #[test]
    fn windows_are_bounded_in_items_and_bytes_and_keep_the_order() {
        let size = WindowSize {
            items: 3,
            bytes: 10,
        };
        for is_beside in [false, true] {
            let found = windows(&[1, 2, 3, 4, 5, 6, 50, 1, 9], size, is_beside);
            let expected: [&[usize]; 5] = [&[1, 2, 3], &[4, 5], &[6], &[50], &[1, 9]];
            assert_eq!(found, expected);
            assert!(windows(&[], size, is_beside).is_empty());
        }
    }

    #[test]
    fn no_more_than_two_windows_are_read_ahead_of_what_is_done() {
        let (read, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let items = (0..100).inspect(|_| {
            let read = read.fetch_add(1, Ordering::SeqCst) + 1;
            // Two windows of four, and the next item, which is read to see that a window is full.
            assert!(read - done.load(Ordering::SeqCst) <= 9, "{read}");
        });
        let size = WindowSize { items: 4, bytes: 9 };
        for_each_window(
            items,
            |_| 1,
            size,
            true,
            |_| (),
            |window, ()| {
                done.fetch_add(window.len(), Ordering::SeqCst);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(done.into_inner(), 100);
    }

    #[test]
    fn an_error_ends_the_work() {
        for is_beside in [false, true] {
            let worked = AtomicUsize::new(0);
            let size = WindowSize { items: 1, bytes: 9 };
            let result = for_each_window(
                0..1_000,
                |_| 1,
                size,
                is_beside,
                |_| worked.fetch_add(1, Ordering::Relaxed),
                |window, _| match window[0] {
                    2 => Err(Error::invalid("full")),
                    _ => Ok(()),
                },
            );
            assert_eq!(result.unwrap_err().to_string(), "full");
            assert!(worked.into_inner() <= 4);
        }
    }
}
