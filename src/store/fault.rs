//! A directory with injected faults, which simulates crashes.
//!
//! Tests count the operations of a run without faults, then repeat the run once for each operation
//! and each kind of fault: enumerated, not sampled. [`Faulty::after_crash`] returns the directory
//! as it would be found after a crash: content without fsync is lost or truncated, and names that
//! were not durable are lost or kept, as the test chooses.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::publish::temporary_name;
use super::{Bytes, Directory, FileHandle, FileSink, FileVersion, Lock, Memory, Scratch};
use crate::error::{Error, Result};

/// A fault and the operation at which it happens, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No fault; operations are counted.
    None,
    /// The operation fails; later ones succeed.
    FailOnce(u64),
    /// The operation and all later ones fail, as after a kill of the process or a lost disk.
    StopAt(u64),
}

/// How a file system gives a finished file a free name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Publishing {
    /// By a hard link.
    #[default]
    Link,
    /// By a rename that does not replace.
    Rename,
    /// It cannot: the file is written under its final name.
    InPlace,
}

#[derive(Debug)]
struct FileState {
    /// A number that is unique among files.
    version: u64,
    /// Everything written so far.
    written: Vec<u8>,
    /// Number of bytes that an fsync made durable.
    synced: usize,
}

impl FileState {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            version: NEXT.fetch_add(1, Ordering::Relaxed),
            written: Vec::new(),
            synced: 0,
        }
    }
}

#[derive(Debug, Default)]
struct State {
    operations: u64,
    /// Names as running processes see them.
    names: BTreeMap<String, Arc<Mutex<FileState>>>,
    /// Names on disk.
    durable_names: BTreeMap<String, Arc<Mutex<FileState>>>,
}

/// A directory in memory with an injected fault. Clones share it.
#[derive(Clone, Debug)]
pub struct Faulty {
    state: Arc<Mutex<State>>,
    fault: Fault,
    publishing: Publishing,
    lock: Memory,
}

impl Faulty {
    /// An empty directory with a fault.
    pub fn new(fault: Fault) -> Self {
        Self {
            state: Arc::default(),
            fault,
            publishing: Publishing::default(),
            lock: Memory::new(),
        }
    }

    /// A directory with a fault that holds the files of another, durably.
    ///
    /// # Errors
    ///
    /// What reading the other directory gives.
    pub fn with_files(fault: Fault, other: &dyn Directory) -> Result<Self> {
        let directory = Self::new(fault);
        for name in other.list()? {
            let file = other.open(&name)?;
            let mut written = FileState::new();
            written.written = file.read(0..file.len())?.to_vec();
            written.synced = written.written.len();
            let file = Arc::new(Mutex::new(written));
            locked(&directory.state).names.insert(name, file);
        }
        let mut state = locked(&directory.state);
        state.durable_names = state.names.clone();
        drop(state);
        Ok(directory)
    }

    /// Number of operations so far, failed ones included.
    pub fn operations(&self) -> u64 {
        locked(&self.state).operations
    }

    /// The directory as the machine would find it after a power loss now.
    ///
    /// With `names_reach_disk`, names that were not synced reached the disk anyway;
    /// `content_reaches_disk` is the same for content. After a real crash either may be the case.
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

    /// The same directory, as on a file system that publishes in another way.
    #[must_use]
    pub fn with_publishing(mut self, publishing: Publishing) -> Self {
        self.publishing = publishing;
        self
    }

    fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.create(name)?;
        let written = file.write_all(bytes).and_then(|()| file.sync());
        written.map_err(|e| Error::io(self.path().join(name), "write", e))
    }

    fn publish_in_place(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        if locked(&self.state).names.contains_key(name) {
            return Ok(false);
        }
        let written = self.write_whole(name, bytes);
        if written.is_err() {
            let _ = self.remove(name);
        }
        written.map(|()| true)
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
        let file = Arc::new(Mutex::new(FileState::new()));
        state.names.insert(name.to_owned(), file.clone());
        Ok(Box::new(FaultyFile {
            directory: self.clone(),
            file,
        }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        let state = self.step(name, "open")?;
        let Some(file) = state.names.get(name) else {
            let path = self.path().join(name);
            return Err(Error::io(path, "open", io::ErrorKind::NotFound.into()));
        };
        let written = locked(file).written.clone();
        Ok(Arc::new(Bytes::from(written)))
    }

    fn version(&self, name: &str) -> Result<Option<FileVersion>> {
        let state = self.step(name, "look up")?;
        let file = state.names.get(name);
        Ok(file.map(|file| FileVersion([locked(file).version, 0, 0, 0])))
    }

    /// Takes the same steps as [`FileSystem`](super::FileSystem), each of which may fail.
    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let temporary = temporary_name(name);
        let named = self.write_whole(&temporary, bytes).and_then(|()| {
            if self.publishing == Publishing::InPlace {
                return self.publish_in_place(name, bytes);
            }
            let mut state = self.step(name, "link")?;
            if state.names.contains_key(name) {
                return Ok(false);
            }
            let file = match self.publishing {
                Publishing::Rename => state.names.remove(&temporary),
                _ => state.names.get(&temporary).cloned(),
            };
            state.names.extend(file.map(|file| (name.to_owned(), file)));
            Ok(true)
        });
        let _ = self.remove(&temporary);
        if named? {
            self.sync()?;
            return Ok(true);
        }
        Ok(false)
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

    fn scratch(&self) -> Result<Box<dyn Scratch>> {
        drop(self.step("scratch file", "create")?);
        Ok(Box::new(FaultyScratch {
            directory: self.clone(),
            content: Cursor::new(Vec::new()),
        }))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("faulty")
    }
}

struct FaultyScratch {
    directory: Faulty,
    content: Cursor<Vec<u8>>,
}

impl FaultyScratch {
    fn step(&self, action: &'static str) -> io::Result<()> {
        let state = self.directory.step("scratch file", action);
        state.map(drop).map_err(io::Error::other)
    }
}

impl Read for FaultyScratch {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.step("read")?;
        self.content.read(bytes)
    }
}

impl Write for FaultyScratch {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.step("write")?;
        self.content.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for FaultyScratch {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.step("seek")?;
        self.content.seek(to)
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
    fn a_crash_loses_what_was_not_synced() {
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

    /// Every fault at every step: what was published stays, and what appears is whole unless the
    /// file system can only write in place.
    #[test]
    fn a_fault_while_publishing_loses_no_published_file() {
        for publishing in [Publishing::Link, Publishing::Rename, Publishing::InPlace] {
            let steps = publish_with(Fault::None, publishing).0.operations();
            let faults = (0..steps).flat_map(|at| [Fault::FailOnce(at), Fault::StopAt(at)]);
            for fault in faults.chain([Fault::None]) {
                let (directory, published) = publish_with(fault, publishing);
                for (names, content) in [(false, false), (true, false), (false, true), (true, true)]
                {
                    let found = directory.after_crash(names, content).bytes("a");
                    if matches!(published, Ok(true)) {
                        assert_eq!(*found.unwrap(), b"content", "{publishing:?} {fault:?}");
                    } else if let Some(found) = found.filter(|_| publishing != Publishing::InPlace)
                    {
                        assert_eq!(*found, b"content", "{publishing:?} {fault:?}");
                    }
                }
            }
            let (directory, _) = publish_with(Fault::None, publishing);
            assert!(!directory.publish("a", b"other").unwrap());
            let found = directory.after_crash(true, true).bytes("a").unwrap();
            assert_eq!(*found, b"content");
            assert_eq!(directory.list().unwrap(), ["a"]);
        }
    }

    fn publish_with(fault: Fault, publishing: Publishing) -> (Faulty, Result<bool>) {
        let directory = Faulty::new(fault).with_publishing(publishing);
        let published = directory.publish("a", b"content");
        (directory, published)
    }

    #[test]
    fn scratch_files_fail_too() {
        let directory = Faulty::new(Fault::StopAt(2));
        let mut scratch = directory.scratch().unwrap();
        scratch.write_all(b"x").unwrap();
        assert!(scratch.write_all(b"y").is_err());
        assert!(scratch.rewind().is_err());
        assert!(scratch.read(&mut [0]).is_err());
        assert!(directory.scratch().is_err());
    }

    #[test]
    fn faults_happen_at_their_operation() {
        let once = Faulty::new(Fault::FailOnce(1));
        assert!(once.list().is_ok() && once.list().is_err() && once.list().is_ok());
        let stop = Faulty::new(Fault::StopAt(1));
        assert!(stop.list().is_ok() && stop.list().is_err() && stop.list().is_err());
    }
}
