//! A directory in memory.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Bytes, Directory, FileHandle, FileSink, FileVersion, Lock};
use crate::error::{Error, Result};

/// A file, with a version number that is unique in the process.
#[derive(Clone, Debug)]
struct MemoryFile {
    bytes: Arc<Vec<u8>>,
    version: u64,
}

impl MemoryFile {
    fn new(bytes: Arc<Vec<u8>>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            bytes,
            version: NEXT.fetch_add(1, Ordering::Relaxed),
        }
    }
}

/// A directory in memory. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: Arc<Mutex<BTreeMap<String, MemoryFile>>>,
    locked: Arc<AtomicBool>,
}

impl Memory {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    #[cfg(any(test, feature = "internals"))]
    pub(super) fn with_files(files: BTreeMap<String, Arc<Vec<u8>>>) -> Self {
        let files = files.into_iter();
        let files = files.map(|(name, bytes)| (name, MemoryFile::new(bytes)));
        Self {
            files: Arc::new(Mutex::new(files.collect())),
            locked: Arc::default(),
        }
    }

    /// Replaces the bytes of a file; for tests of damaged files.
    pub fn overwrite(&self, name: &str, bytes: Vec<u8>) {
        let file = MemoryFile::new(Arc::new(bytes));
        self.files().insert(name.to_owned(), file);
    }

    /// The bytes of a file, if it exists.
    pub fn bytes(&self, name: &str) -> Option<Arc<Vec<u8>>> {
        self.files().get(name).map(|file| file.bytes.clone())
    }

    fn files(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, MemoryFile>> {
        // Every change is a single insertion or removal, so the map is consistent after a panic.
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn missing(name: &str, action: &'static str) -> Error {
    Error::io(
        Path::new("memory").join(name),
        action,
        io::ErrorKind::NotFound.into(),
    )
}

impl Directory for Memory {
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>> {
        let mut files = self.files();
        if files.contains_key(name) {
            let path = Path::new("memory").join(name);
            return Err(Error::io(
                path,
                "create",
                io::ErrorKind::AlreadyExists.into(),
            ));
        }
        let file = MemoryFile::new(Arc::default());
        let version = file.version;
        files.insert(name.to_owned(), file);
        Ok(Box::new(Sink {
            directory: self.clone(),
            name: name.to_owned(),
            version,
            bytes: Vec::new(),
        }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        let bytes = self.bytes(name).ok_or_else(|| missing(name, "open"))?;
        Ok(Arc::new(Bytes::from_owner(bytes)))
    }

    fn version(&self, name: &str) -> Result<Option<FileVersion>> {
        let files = self.files();
        let file = files.get(name);
        Ok(file.map(|file| FileVersion([file.version, 0, 0, 0])))
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let mut files = self.files();
        if files.contains_key(name) {
            return Ok(false);
        }
        let file = MemoryFile::new(Arc::new(bytes.to_vec()));
        files.insert(name.to_owned(), file);
        Ok(true)
    }

    fn remove(&self, name: &str) -> Result<()> {
        let removed = self.files().remove(name);
        removed.map(|_| ()).ok_or_else(|| missing(name, "remove"))
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.files().keys().cloned().collect())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn lock(&self) -> Result<Box<dyn Lock>> {
        if self.locked.swap(true, Ordering::AcqRel) {
            return Err(Error::Locked { path: self.path() });
        }
        Ok(Box::new(MemoryLock(self.locked.clone())))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("memory")
    }
}

#[derive(Debug)]
struct MemoryLock(Arc<AtomicBool>);

impl Lock for MemoryLock {}

impl Drop for MemoryLock {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

struct Sink {
    directory: Memory,
    name: String,
    /// Version of the file that was created: a newer file may have the same name later.
    version: u64,
    bytes: Vec<u8>,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileSink for Sink {
    fn sync(&mut self) -> io::Result<()> {
        let mut files = self.directory.files();
        let file = files.get_mut(&self.name);
        if let Some(file) = file.filter(|file| file.version == self.version) {
            file.bytes = Arc::new(self.bytes.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removed_file_does_not_touch_the_next_one_of_its_name() {
        let memory = Memory::new();
        let mut removed = memory.create("a").unwrap();
        removed.write_all(b"old").unwrap();
        memory.remove("a").unwrap();
        let mut file = memory.create("a").unwrap();
        file.write_all(b"new").unwrap();
        file.sync().unwrap();
        removed.sync().unwrap();
        assert_eq!(*memory.bytes("a").unwrap(), b"new");
        assert!(!memory.publish("a", b"newer").unwrap());
        memory.remove("a").unwrap();
        removed.sync().unwrap();
        assert!(memory.bytes("a").is_none());
    }
}
