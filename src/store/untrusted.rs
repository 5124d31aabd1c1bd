//! A directory whose files may be changed by others while they are read.
//!
//! A mapped file changes under its reader, and ends the process when it is truncated. Here each
//! file is read once, into memory of this process, and what was verified is what is used. Nothing
//! can be written.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::file_system::regular;
use super::{Bytes, Directory, FileHandle, FileSink, FileVersion, Lock};
use crate::error::{Error, Result};

/// The files of another directory, in memory while they are open.
#[derive(Debug)]
pub(crate) struct Untrusted {
    inner: Arc<dyn Directory>,
    budget: Arc<Budget>,
}

/// How many bytes the open files may have together, and have.
#[derive(Debug)]
struct Budget {
    max_bytes: u64,
    used: AtomicU64,
}

/// A part of the budget, which is free again when this is dropped.
struct Reserved {
    bytes: u64,
    budget: Arc<Budget>,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The bytes of an open file.
struct Owned {
    bytes: Vec<u8>,
    _reserved: Reserved,
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Untrusted {
    /// Open files have at most `max_bytes` together.
    pub fn new(inner: Arc<dyn Directory>, max_bytes: u64) -> Self {
        let used = AtomicU64::new(0);
        Self {
            inner,
            budget: Arc::new(Budget { max_bytes, used }),
        }
    }

    fn reserve(&self, bytes: u64) -> Result<Reserved> {
        let Budget { max_bytes, used } = &*self.budget;
        let more = |used: u64| used.checked_add(bytes).filter(|sum| sum <= max_bytes);
        let order = Ordering::Relaxed;
        if let Err(used) = used.fetch_update(order, order, more) {
            let what = format!(
                "bytes of the open files of {}, which is opened as untrusted",
                self.inner.path().display()
            );
            return Err(Error::limit(what, used.saturating_add(bytes), *max_bytes));
        }
        Ok(Reserved {
            bytes,
            budget: self.budget.clone(),
        })
    }

    /// Reads a file of a length by `read`, which fills what it is given.
    fn read_whole(
        &self,
        path: &Path,
        length: u64,
        read: impl FnOnce(&mut Vec<u8>) -> Result<()>,
    ) -> Result<Arc<dyn FileHandle>> {
        let reserved = self.reserve(length)?;
        let failed = |kind: io::ErrorKind| Error::io(path, "read", kind.into());
        let size = usize::try_from(length).map_err(|_| failed(io::ErrorKind::OutOfMemory))?;
        let mut bytes = Vec::new();
        let room = bytes.try_reserve_exact(size);
        room.map_err(|_| failed(io::ErrorKind::OutOfMemory))?;
        read(&mut bytes)?;
        if bytes.len() != size {
            return Err(failed(io::ErrorKind::UnexpectedEof));
        }
        let owned = Owned {
            bytes,
            _reserved: reserved,
        };
        Ok(Arc::new(Bytes::from_owner(Arc::new(owned))))
    }

    fn open_local(&self, path: &Path) -> Result<Arc<dyn FileHandle>> {
        let opened = regular(path, false).and_then(|file| {
            let length = file.metadata()?.len();
            Ok((file, length))
        });
        let (file, length) = opened.map_err(|error| Error::io(path, "open", error))?;
        self.read_whole(path, length, |bytes| {
            let mut file: io::Take<File> = file.take(length);
            let read = file.read_to_end(bytes);
            read.map(drop)
                .map_err(|error| Error::io(path, "read", error))
        })
    }

    /// Copies a file that a directory of another kind has opened: what it reads may be mapped.
    fn open_other(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        const PART_BYTES: u64 = 8 << 20;
        let file = self.inner.open(name)?;
        let length = file.len();
        self.read_whole(&self.inner.path().join(name), length, |bytes| {
            let mut start = 0;
            while start < length {
                let end = length.min(start + PART_BYTES);
                bytes.extend_from_slice(&file.read(start..end)?);
                start = end;
            }
            Ok(())
        })
    }

    fn read_only<T>(&self) -> Result<T> {
        let path = self.inner.path();
        Err(Error::invalid(format!(
            "expected an index that may be written, found {}, which is opened as untrusted; copy \
             its snapshot to a folder of your own, and open that",
            path.display()
        )))
    }
}

impl Directory for Untrusted {
    fn create(&self, _name: &str) -> Result<Box<dyn FileSink>> {
        self.read_only()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        match self.inner.local_path(name) {
            Some(path) => self.open_local(&path),
            None => self.open_other(name),
        }
    }

    fn version(&self, name: &str) -> Result<Option<FileVersion>> {
        self.inner.version(name)
    }

    fn publish(&self, _name: &str, _bytes: &[u8]) -> Result<bool> {
        self.read_only()
    }

    fn remove(&self, _name: &str) -> Result<()> {
        self.read_only()
    }

    fn list(&self) -> Result<Vec<String>> {
        self.inner.list()
    }

    fn sync(&self) -> Result<()> {
        self.read_only()
    }

    fn lock(&self) -> Result<Box<dyn Lock>> {
        self.read_only()
    }

    fn path(&self) -> PathBuf {
        self.inner.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::FileSystem;

    fn untrusted(path: &Path, limit: u64) -> Untrusted {
        Untrusted::new(Arc::new(FileSystem::open(path).unwrap()), limit)
    }

    #[test]
    fn what_was_read_stays_when_the_file_changes_or_becomes_shorter() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, vec![7; 100_000]).unwrap();
        let file = untrusted(folder.path(), 1 << 20).open("x").unwrap();
        std::fs::write(&path, b"short").unwrap();
        assert_eq!(file.len(), 100_000);
        assert!(file.read(0..100_000).unwrap().iter().all(|byte| *byte == 7));
    }

    #[test]
    fn open_files_take_at_most_the_limit_together() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["x", "y"] {
            std::fs::write(folder.path().join(name), vec![7; 600]).unwrap();
        }
        let directory = untrusted(folder.path(), 1_000);
        let x = directory.open("x").unwrap();
        let error = directory.open("y").err().unwrap();
        assert!(
            matches!(
                error,
                Error::Limit {
                    found: 1_200,
                    limit: 1_000,
                    ..
                }
            ),
            "{error}"
        );
        drop(x);
        directory.open("y").unwrap();
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn links_pipes_and_devices_are_refused_without_waiting_for_them() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), b"abc").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", at("device")).unwrap();
        let mode = rustix::fs::Mode::RWXU;
        rustix::fs::mkfifoat(rustix::fs::CWD, at("pipe"), mode).unwrap();
        let directory = untrusted(folder.path(), 1 << 20);
        assert_eq!(directory.open("file").unwrap().len(), 3);
        for (name, found) in [("link", "link"), ("device", "link"), ("pipe", "pipe")] {
            let error = directory.open(name).err().unwrap().to_string();
            assert!(error.contains("expected a regular file"), "{error}");
            assert!(error.contains(found), "{error}");
        }
        // A folder that is trusted may have links, but nobody waits for a pipe there either.
        let directory = FileSystem::open(folder.path()).unwrap();
        assert_eq!(Directory::open(&directory, "link").unwrap().len(), 3);
        for name in ["device", "pipe"] {
            let error = Directory::open(&directory, name).err().unwrap();
            assert!(error.to_string().contains("regular file"), "{error}");
        }
        rustix::fs::mkfifoat(rustix::fs::CWD, at("lock"), mode).unwrap();
        assert!(Directory::lock(&directory).is_err());
    }
}
