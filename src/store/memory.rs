//! A folder in memory.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Directory, FileSink, Lock};
use crate::error::{Error, Result};
use crate::format::SharedBytes;

type Files = BTreeMap<String, Arc<Vec<u8>>>;

/// A folder in memory; clones share it.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    files: Arc<Mutex<Files>>,
    locked: Arc<AtomicBool>,
}

impl Memory {
    /// An empty folder.
    pub fn new() -> Self {
        Self::default()
    }

    pub(super) fn with_files(files: Files) -> Self {
        Self {
            files: Arc::new(Mutex::new(files)),
            locked: Arc::default(),
        }
    }

    /// Replaces the bytes of a file, for tests that damage one.
    pub fn overwrite(&self, name: &str, bytes: Vec<u8>) {
        self.files().insert(name.to_owned(), Arc::new(bytes));
    }

    /// The bytes of a file, if it is there.
    pub fn bytes(&self, name: &str) -> Option<Arc<Vec<u8>>> {
        self.files().get(name).cloned()
    }

    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        // A map of finished files is whole even if another thread panicked.
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
        files.insert(name.to_owned(), Arc::default());
        Ok(Box::new(MemoryFile {
            directory: self.clone(),
            name: name.to_owned(),
            bytes: Vec::new(),
        }))
    }

    fn open(&self, name: &str) -> Result<SharedBytes> {
        let bytes = self.bytes(name).ok_or_else(|| missing(name, "open"))?;
        Ok(bytes)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut files = self.files();
        let bytes = files.remove(from).ok_or_else(|| missing(from, "rename"))?;
        files.insert(to.to_owned(), bytes);
        Ok(())
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

struct MemoryFile {
    directory: Memory,
    name: String,
    bytes: Vec<u8>,
}

impl Write for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileSink for MemoryFile {
    fn sync(&mut self) -> io::Result<()> {
        self.directory.overwrite(&self.name, self.bytes.clone());
        Ok(())
    }
}
