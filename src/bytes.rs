//! Zero-copy byte ranges, and the files that they are read from.
//!
//! [`FileHandle`] is the interface between `store`, which reads files, and `format`, which
//! interprets the bytes: a file of known length with range reads.

use std::ops::{Deref, Range};
use std::sync::Arc;

use crate::error::{Error, Result};

/// A range of bytes in memory or in a mapped file. Cloning and slicing do not copy the bytes.
///
/// ```
/// use esparsa::store::Bytes;
///
/// let bytes = Bytes::from(b"lava and ash".to_vec());
/// let word = bytes.slice(0..4).unwrap();
/// assert_eq!(&word[..], b"lava");
/// assert!(word.slice(2..5).is_none());
/// ```
#[derive(Clone)]
pub struct Bytes {
    owner: Arc<dyn AsRef<[u8]> + Send + Sync>,
    /// Always inside the owner's bytes.
    range: Range<usize>,
}

impl Bytes {
    /// All bytes of `owner`, whose `as_ref` must always return the same bytes.
    pub fn from_owner(owner: Arc<dyn AsRef<[u8]> + Send + Sync>) -> Self {
        let range = 0..(*owner).as_ref().len();
        Self { owner, range }
    }

    /// A subrange of these bytes; `None` when it is out of bounds.
    pub fn slice(&self, range: Range<usize>) -> Option<Self> {
        let (start, end) = self.place(&range)?;
        Some(Self {
            owner: self.owner.clone(),
            range: start..end,
        })
    }

    /// A borrowed subrange of these bytes; `None` when it is out of bounds.
    #[inline]
    pub fn get(&self, range: Range<usize>) -> Option<&[u8]> {
        let (start, end) = self.place(&range)?;
        (*self.owner).as_ref().get(start..end)
    }

    /// The position of a subrange in the bytes of the owner.
    #[inline]
    fn place(&self, range: &Range<usize>) -> Option<(usize, usize)> {
        let fits = range.start <= range.end && range.end <= self.range.len();
        fits.then_some((self.range.start + range.start, self.range.start + range.end))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let all: &[u8] = (*self.owner).as_ref();
        all.get(self.range.clone()).unwrap_or_default()
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from_owner(Arc::new(bytes))
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bytes({})", self.range.len())
    }
}

/// A finished file, opened for reading.
pub trait FileHandle: Send + Sync {
    /// Length in bytes.
    fn len(&self) -> u64;

    /// True if the file has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads exactly the bytes of `range`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when they cannot be read or are out of bounds.
    fn read(&self, range: Range<u64>) -> Result<Bytes>;

    /// The whole file, if it is memory-mapped or in memory. Otherwise each section is read when it
    /// is first used.
    fn mapped(&self) -> Option<Bytes> {
        None
    }

    /// The file as one that is filled on demand, if it is one; [`mapped`](Self::mapped) is `None`
    /// then.
    fn on_demand(&self) -> Option<Arc<dyn OnDemand>> {
        None
    }

    /// Drops a local copy that turned out to be wrong, so that the file is read anew when it is opened
    /// the next time. False if there is none.
    fn discard(&self) -> bool {
        false
    }

    /// True if whoever opens the file the next time should not share this handle, because what it
    /// holds of a cache is to be freed.
    fn is_evicted(&self) -> bool {
        false
    }
}

/// Called with the bytes of a range, once.
pub type OnBytes = Box<dyn FnOnce(Result<Bytes>) + Send>;

/// A remote file with a local copy that is filled a part at a time.
///
/// The copy shows zeros, or anything, where nothing was kept yet: its user compares it with
/// checksums before use. What is kept at a place must always be the same bytes, because readers may
/// hold a reference to them.
pub trait OnDemand: Send + Sync {
    /// The local copy, as long as the file.
    fn copy(&self) -> Bytes;

    /// Reads a range of the remote file and calls `done` with it, on this thread or another.
    fn request(&self, range: Range<u64>, done: OnBytes);

    /// Writes bytes to the local copy.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the local disk refuses them.
    fn keep(&self, start: u64, bytes: &[u8]) -> Result<()>;
}

/// A file whose bytes are in memory or mapped.
impl FileHandle for Bytes {
    fn len(&self) -> u64 {
        self.range.len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let bytes = in_memory(&range).and_then(|range| self.slice(range));
        bytes.ok_or_else(|| outside(&range, self.range.len()))
    }

    fn mapped(&self) -> Option<Bytes> {
        Some(self.clone())
    }
}

/// A file in memory that returns copies, like a remote store.
impl FileHandle for Vec<u8> {
    fn len(&self) -> u64 {
        Self::len(self) as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let bytes = in_memory(&range).and_then(|range| self.get(range));
        let bytes = bytes.ok_or_else(|| outside(&range, Self::len(self)))?;
        Ok(Bytes::from(bytes.to_vec()))
    }
}

fn in_memory(range: &Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

fn outside(range: &Range<u64>, length: usize) -> Error {
    let message = format!("expected bytes {range:?}, found a file of {length} bytes");
    let error = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, message);
    Error::io("memory", "read", error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_in_bounds_are_read_and_others_refused() {
        let content: Vec<u8> = (0..10).collect();
        let shared = Bytes::from(content.clone());
        let handles: [&dyn FileHandle; 2] = [&content, &shared];
        for handle in handles {
            assert_eq!(handle.len(), 10);
            assert_eq!(&handle.read(2..5).unwrap()[..], [2, 3, 4]);
            assert!(handle.read(10..10).unwrap().is_empty());
            assert!(handle.read(8..11).is_err());
            assert!(handle.read(u64::MAX - 1..u64::MAX).is_err());
        }
        let part = shared.slice(4..8).unwrap();
        assert_eq!(part.get(1..3).unwrap(), [5, 6]);
        assert!(part.get(3..5).is_none() && part.slice(5..5).is_none());
    }
}
