//! A directory whose files may be changed by others while they are read.
//!
//! A mapped file changes under its reader, and ends the process when it is truncated. Here each file
//! is read once, into memory of this process, and what was verified is what is used. Nothing can be
//! written.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::file_system::regular;
use super::{Bytes, Directory, FileHandle, FileSink, FileVersion, Lock};
use crate::error::{Error, Result};

/// The files of another directory, in memory when they are open.
#[derive(Debug)]
pub(crate) struct Untrusted {
    inner: Arc<dyn Directory>,
    memory: Arc<Memory>,
}

/// How much the open files may take together, and take.
#[derive(Debug)]
struct Memory {
    limit: u64,
    used: AtomicU64,
}

/// The bytes of an open file. Dropping them makes room for others.
struct Owned {
    bytes: Bytes,
    room: u64,
    memory: Arc<Memory>,
}

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        self.memory.used.fetch_sub(self.room, Ordering::Relaxed);
    }
}

impl Untrusted {
    /// Open files take at most `limit` bytes together.
    pub fn new(inner: Arc<dyn Directory>, limit: u64) -> Self {
        let used = AtomicU64::new(0);
        Self {
            inner,
            memory: Arc::new(Memory { limit, used }),
        }
    }

    /// Takes room for a file of this length.
    fn take(&self, length: u64) -> Result<Owned> {
        let Memory { limit, used } = &*self.memory;
        let more = |used: u64| used.checked_add(length).filter(|sum| sum <= limit);
        let order = Ordering::Relaxed;
        if let Err(used) = used.fetch_update(order, order, more) {
            let what = format!(
                "bytes of the open files of {}, which is opened as untrusted",
                self.inner.path().display()
            );
            return Err(Error::limit(what, used.saturating_add(length), *limit));
        }
        Ok(Owned {
            bytes: Bytes::from(Vec::new()),
            room: length,
            memory: self.memory.clone(),
        })
    }

    fn read_only<T>(&self) -> Result<T> {
        let path = self.inner.path();
        Err(Error::invalid(format!(
            "expected an index that may be written, found {}, which is opened as untrusted; copy its \
             snapshot to a folder of your own, and open the copy",
            path.display()
        )))
    }
}

/// Reads exactly `length` bytes, whatever happens to the file.
fn read_whole(path: &Path, mut file: File, length: u64) -> Result<Vec<u8>> {
    let failed = |error| Error::io(path, "read", error);
    let size = usize::try_from(length).map_err(|_| failed(io::ErrorKind::OutOfMemory.into()))?;
    let mut bytes = Vec::new();
    let reserved = bytes.try_reserve_exact(size);
    reserved.map_err(|_| failed(io::ErrorKind::OutOfMemory.into()))?;
    (&mut file)
        .take(length)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() != size {
        let message = format!(
            "expected {size} bytes, found {}: it became shorter",
            bytes.len()
        );
        return Err(failed(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            message,
        )));
    }
    Ok(bytes)
}

impl Directory for Untrusted {
    fn create(&self, _name: &str) -> Result<Box<dyn FileSink>> {
        self.read_only()
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        let Some(path) = self.inner.local_path(name) else {
            let file = self.inner.open(name)?;
            let mut owned = self.take(file.len())?;
            owned.bytes = file.read(0..file.len())?;
            return Ok(Arc::new(Bytes::from_owner(Arc::new(owned))));
        };
        let failed = |error| Error::io(&path, "open", error);
        let file = regular(&path, false).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let mut owned = self.take(length)?;
        owned.bytes = Bytes::from(read_whole(&path, file, length)?);
        Ok(Arc::new(Bytes::from_owner(Arc::new(owned))))
    }

    fn will_open(&self, names: &[String]) {
        self.inner.will_open(names);
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

    #[cfg(unix)]
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
        for name in ["link", "device", "pipe"] {
            assert!(directory.open(name).is_err(), "{name}");
        }
        // A folder that is trusted may have links, but nobody waits for a pipe there either.
        let directory = FileSystem::open(folder.path()).unwrap();
        assert_eq!(Directory::open(&directory, "link").unwrap().len(), 3);
        for name in ["device", "pipe"] {
            let error = Directory::open(&directory, name).err().unwrap();
            assert!(error.to_string().contains("regular file"), "{error}");
        }
    }
}
