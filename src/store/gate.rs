//! A directory in memory that holds background jobs up, so that tests decide when merges go on.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use super::{Directory, FileHandle, FileSink, FileVersion, Lock, Memory};
use crate::error::Result;

/// A directory in which background jobs wait until they may write to the files that they created.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    memory: Memory,
    state: Arc<(Mutex<GateState>, Condvar)>,
}

/// Whether files may be written, and how many there are.
#[derive(Debug, Default)]
pub struct GateState {
    is_open: bool,
    /// Files that background jobs created.
    pub created: usize,
    /// Files that background jobs created and closed.
    pub closed: usize,
}

impl Gate {
    /// A closed gate before the files in `memory`.
    pub fn new(memory: Memory) -> Self {
        Self {
            memory,
            state: Arc::default(),
        }
    }

    /// The files behind the gate.
    pub fn memory(&self) -> &Memory {
        &self.memory
    }

    fn change(&self, change: impl FnOnce(&mut GateState)) {
        change(&mut self.state.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.state.1.notify_all();
    }

    /// Waits until the state is as `holds` wants it.
    pub fn wait_until(&self, holds: impl Fn(&GateState) -> bool) {
        let state = self.state.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(
            self.state
                .1
                .wait_while(state, |state| !holds(state))
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    /// Lets background jobs write, from now on.
    pub fn open_gate(&self) {
        self.change(|state| state.is_open = true);
    }
}

struct GatedFile {
    gate: Gate,
    file: Box<dyn FileSink>,
}

impl Write for GatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gate.wait_until(|state| state.is_open);
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl FileSink for GatedFile {
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

impl Drop for GatedFile {
    fn drop(&mut self) {
        self.gate.change(|state| state.closed += 1);
    }
}

impl Directory for Gate {
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>> {
        let file = self.memory.create(name)?;
        let thread = std::thread::current();
        if thread.name() != Some("esparsa-background") {
            return Ok(file);
        }
        self.change(|state| state.created += 1);
        Ok(Box::new(GatedFile {
            gate: self.clone(),
            file,
        }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        self.memory.open(name)
    }

    fn version(&self, name: &str) -> Result<Option<FileVersion>> {
        self.memory.version(name)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        self.memory.publish(name, bytes)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.memory.remove(name)
    }

    fn list(&self) -> Result<Vec<String>> {
        self.memory.list()
    }

    fn sync(&self) -> Result<()> {
        self.memory.sync()
    }

    fn lock(&self) -> Result<Box<dyn Lock>> {
        self.memory.lock()
    }

    fn path(&self) -> PathBuf {
        self.memory.path()
    }
}
