//! A directory in memory whose operations are steps of loom, and what a writer does to one.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};

use esparsa::store::{Bytes, Directory, FileHandle, FileSink, FileVersion, Lock, Memory};
use esparsa::{Error, Result};
use loom::sync::Mutex;

/// A change of a directory.
#[derive(Clone, Debug)]
pub enum Change {
    Put(String, Arc<Vec<u8>>),
    Remove(String),
}

/// Names with versions and bytes.
pub type Files = BTreeMap<String, (u64, Arc<Vec<u8>>)>;

pub fn apply(files: &mut Files, change: &Change) {
    match change {
        Change::Put(name, bytes) => {
            let version = 1 + files
                .values()
                .map(|(version, _)| *version)
                .max()
                .unwrap_or(0);
            files.insert(name.clone(), (version, bytes.clone()));
        }
        Change::Remove(name) => {
            files.remove(name);
        }
    }
}

/// The directory of a model.
#[derive(Debug)]
pub struct Stepwise {
    files: Mutex<Files>,
}

impl Stepwise {
    pub fn new(files: Files) -> Self {
        Self {
            files: Mutex::new(files),
        }
    }

    pub fn change(&self, change: &Change) {
        apply(&mut self.files.lock().unwrap(), change);
    }

    fn find(&self, name: &str) -> Option<(u64, Arc<Vec<u8>>)> {
        self.files.lock().unwrap().get(name).cloned()
    }
}

fn failed(name: &str, kind: io::ErrorKind) -> Error {
    Error::io(name, "open", kind.into())
}

/// A file that is put when it is finished.
struct Unfinished {
    directory: Arc<dyn Fn(Change) + Send + Sync>,
    name: String,
    bytes: Vec<u8>,
}

impl Write for Unfinished {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileSink for Unfinished {
    fn sync(&mut self) -> io::Result<()> {
        let bytes = Arc::new(std::mem::take(&mut self.bytes));
        (self.directory)(Change::Put(self.name.clone(), bytes));
        Ok(())
    }
}

#[derive(Debug)]
struct Free;

impl Lock for Free {}

/// A directory of the models. It is shared, because files that are written refer to it.
#[derive(Clone, Debug)]
pub struct Shared(pub Arc<Stepwise>);

impl Directory for Shared {
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>> {
        let directory = self.0.clone();
        Ok(Box::new(Unfinished {
            directory: Arc::new(move |change| directory.change(&change)),
            name: name.to_owned(),
            bytes: Vec::new(),
        }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        let found = self.0.find(name);
        let (_, bytes) = found.ok_or_else(|| failed(name, io::ErrorKind::NotFound))?;
        Ok(Arc::new(Bytes::from_owner(bytes)))
    }

    fn version(&self, name: &str) -> Result<Option<FileVersion>> {
        Ok(self
            .0
            .find(name)
            .map(|(version, _)| FileVersion([version, 0, 0, 0])))
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let mut files = self.0.files.lock().unwrap();
        let is_free = !files.contains_key(name);
        if is_free {
            apply(
                &mut files,
                &Change::Put(name.to_owned(), Arc::new(bytes.to_vec())),
            );
        }
        Ok(is_free)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.0.change(&Change::Remove(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.0.files.lock().unwrap().keys().cloned().collect())
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn lock(&self) -> Result<Box<dyn Lock>> {
        Ok(Box::new(Free))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("model")
    }
}

/// Notes what a writer does to a directory, outside of the models.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    memory: Memory,
    /// Nothing can be removed.
    keeps_all: Arc<AtomicBool>,
    changes: Arc<StdMutex<Vec<Change>>>,
}

impl Recorder {
    /// The changes since the last call.
    pub fn take(&self) -> Vec<Change> {
        std::mem::take(&mut *self.changes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on, nothing can be removed, or all can.
    pub fn keep_all(&self, keeps_all: bool) {
        self.keeps_all.store(keeps_all, Ordering::SeqCst);
    }

    fn note(&self, change: Change) {
        self.changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(change);
    }
}

impl Directory for Recorder {
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>> {
        let recorder = self.clone();
        Ok(Box::new(Unfinished {
            directory: Arc::new(move |change| {
                if let Change::Put(name, bytes) = &change {
                    recorder.memory.overwrite(name, bytes.to_vec());
                }
                recorder.note(change);
            }),
            name: name.to_owned(),
            bytes: Vec::new(),
        }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        self.memory.open(name)
    }

    fn version(&self, name: &str) -> Result<Option<FileVersion>> {
        self.memory.version(name)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let is_new = self.memory.publish(name, bytes)?;
        if is_new {
            self.note(Change::Put(name.to_owned(), Arc::new(bytes.to_vec())));
        }
        Ok(is_new)
    }

    fn remove(&self, name: &str) -> Result<()> {
        if self.keeps_all.load(Ordering::SeqCst) {
            return Err(failed(name, io::ErrorKind::PermissionDenied));
        }
        self.memory.remove(name)?;
        self.note(Change::Remove(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>> {
        self.memory.list()
    }

    fn sync(&self) -> Result<()> {
        Ok(())
    }

    fn lock(&self) -> Result<Box<dyn Lock>> {
        Ok(Box::new(Free))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("recorder")
    }
}
