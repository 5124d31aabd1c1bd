//! A folder that fails, and forgets what a crash would make it forget.
//!
//! Tests count the operations of a run without faults, then repeat the run once for each operation
//! and each kind of fault: enumerated, not sampled. After a crash, [`Faulty::after_crash`] gives the folder as
//! it would be found: content that was not fsynced is lost or cut short, and names that were not made
//! durable are lost or kept, as the test asks.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Directory, FileSink, Lock, Memory};
use crate::error::{Error, Result};
use crate::format::SharedBytes;

/// What goes wrong, at which operation (counted from 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing; operations are counted.
    None,
    /// The operation fails, the ones after it work.
    FailOnce(u64),
    /// The operation and every later one fail, as when the process was killed or the disk went away.
    StopAt(u64),
}

#[derive(Debug, Default)]
struct FileState {
    /// Everything written so far.
    written: Vec<u8>,
    /// How many bytes of it an fsync has made durable.
    synced: usize,
}

#[derive(Debug, Default)]
struct State {
    operations: u64,
    /// Names as running programs see them.
    names: BTreeMap<String, Arc<Mutex<FileState>>>,
    /// Names as the disk holds them.
    durable_names: BTreeMap<String, Arc<Mutex<FileState>>>,
}

/// A folder in memory that fails on demand; clones share it.
#[derive(Clone, Debug)]
pub struct Faulty {
    state: Arc<Mutex<State>>,
    fault: Fault,
    lock: Memory,
}

impl Faulty {
    /// An empty folder with a fault to come.
    pub fn new(fault: Fault) -> Self {
        Self {
            state: Arc::default(),
            fault,
            lock: Memory::new(),
        }
    }

    /// How many operations have been asked for.
    pub fn operations(&self) -> u64 {
        locked(&self.state).operations
    }

    /// The folder as a machine would find it after losing power now.
    ///
    /// `names_reach_disk` says whether names that were not synced happened to reach the disk, and
    /// `content_reaches_disk` the same of content; a crash may do either.
    pub fn after_crash(&self, names_reach_disk: bool, content_reaches_disk: bool) -> Memory {
        let state = locked(&self.state);
        let names = if names_reach_disk {
            &state.names
        } else {
            &state.durable_names
        };
        let files = names.iter().map(|(name, file)| {
            let file = locked(file);
            let length = if content_reaches_disk {
                file.written.len()
            } else {
                file.synced
            };
            let bytes = file.written.get(..length).unwrap_or_default().to_vec();
            (name.clone(), Arc::new(bytes))
        });
        Memory::with_files(files.collect())
    }

    fn step(&self, name: &str, action: &'static str) -> Result<MutexGuard<'_, State>> {
        let mut state = locked(&self.state);
        let now = state.operations;
        state.operations += 1;
        if fails(self.fault, now) {
            let error = io::Error::other(format!("injected fault at operation {now}"));
            return Err(Error::io(self.path().join(name), action, error));
        }
        Ok(state)
    }
}

fn fails(fault: Fault, now: u64) -> bool {
    match fault {
        Fault::None => false,
        Fault::FailOnce(at) => now == at,
        Fault::StopAt(at) => now >= at,
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Directory for Faulty {
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>> {
        let mut state = self.step(name, "create")?;
        if state.names.contains_key(name) {
            let path = self.path().join(name);
            return Err(Error::io(
                path,
                "create",
                io::ErrorKind::AlreadyExists.into(),
            ));
        }
        let file = Arc::new(Mutex::new(FileState::default()));
        state.names.insert(name.to_owned(), file.clone());
        Ok(Box::new(FaultyFile {
            directory: self.clone(),
            file,
        }))
    }

    fn open(&self, name: &str) -> Result<SharedBytes> {
        let state = self.step(name, "open")?;
        let Some(file) = state.names.get(name) else {
            let path = self.path().join(name);
            return Err(Error::io(path, "open", io::ErrorKind::NotFound.into()));
        };
        Ok(Arc::new(locked(file).written.clone()))
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut state = self.step(from, "rename")?;
        let Some(file) = state.names.remove(from) else {
            let path = self.path().join(from);
            return Err(Error::io(path, "rename", io::ErrorKind::NotFound.into()));
        };
        state.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut state = self.step(name, "remove")?;
        if state.names.remove(name).is_none() {
            let path = self.path().join(name);
            return Err(Error::io(path, "remove", io::ErrorKind::NotFound.into()));
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>> {
        Ok(self.step("", "list")?.names.keys().cloned().collect())
    }

    fn sync(&self) -> Result<()> {
        let mut state = self.step("", "fsync")?;
        state.durable_names = state.names.clone();
        Ok(())
    }

    fn lock(&self) -> Result<Box<dyn Lock>> {
        self.lock.lock()
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("faulty")
    }
}

struct FaultyFile {
    directory: Faulty,
    file: Arc<Mutex<FileState>>,
}

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let state = self.directory.step("", "write").map_err(io::Error::other)?;
        drop(state);
        locked(&self.file).written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FileSink for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        let state = self.directory.step("", "fsync").map_err(io::Error::other)?;
        drop(state);
        let mut file = locked(&self.file);
        file.synced = file.written.len();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_forgets_what_was_not_synced() {
        let directory = Faulty::new(Fault::None);
        let mut file = directory.create("a").unwrap();
        file.write_all(b"kept").unwrap();
        file.sync().unwrap();
        file.write_all(b" lost").unwrap();
        assert!(directory.after_crash(false, false).bytes("a").is_none());
        directory.sync().unwrap();
        assert_eq!(
            *directory.after_crash(false, false).bytes("a").unwrap(),
            b"kept"
        );
        assert_eq!(
            *directory.after_crash(true, true).bytes("a").unwrap(),
            b"kept lost"
        );
    }

    #[test]
    fn faults_strike_where_they_are_told_to() {
        let once = Faulty::new(Fault::FailOnce(1));
        assert!(once.list().is_ok() && once.list().is_err() && once.list().is_ok());
        let stop = Faulty::new(Fault::StopAt(1));
        assert!(stop.list().is_ok() && stop.list().is_err() && stop.list().is_err());
    }
}
