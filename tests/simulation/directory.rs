//! The directory of a simulated process: each operation is a step, and may meet a fault.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use esparsa::store::{Bytes, Directory, FileHandle, FileSink, FileVersion, Lock, Removal};
use esparsa::{Error, Result};

use crate::disk::content;
use crate::files::{Object, SimulatedFile};
use crate::planted::Planted;
use crate::turns;
use crate::world::{Fault, FaultKind, Medium, State, World};

/// A folder as a process sees it.
#[derive(Clone, Debug)]
pub struct SimulatedDirectory {
    pub world: Arc<World>,
    pub process: usize,
    /// Which of the disks it is.
    pub disk: usize,
}

/// Whether another thread may get the turn before the operation. Creating a file is done under a
/// lock of the writer, for which a thread without the turn would wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    MayPass,
    Stays,
}

/// What the fault of an operation leaves to do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Happens,
    /// It happens, but its caller learns of an error.
    HappensUnseen,
}

pub type Step<'a> = (MutexGuard<'a, State>, Outcome);

impl SimulatedDirectory {
    pub fn new(world: &Arc<World>, process: usize, disk: usize) -> Self {
        Self {
            world: world.clone(),
            process,
            disk,
        }
    }

    fn failed(&self, name: &str, action: &'static str, message: &str) -> Error {
        let path = self.path().join(name);
        Error::io(path, action, io::Error::other(message.to_owned()))
    }

    pub fn kind_of_error(&self, name: &str, action: &'static str, kind: io::ErrorKind) -> Error {
        Error::io(self.path().join(name), action, kind.into())
    }

    pub fn step(&self, name: &str, action: &'static str, turn: Turn) -> Result<Step<'_>> {
        if turn == Turn::MayPass && !self.world.is_dead(self.process) {
            let is_critical = ["remove", "publish", "put", "link", "lock"].contains(&action);
            turns::step(is_critical);
        }
        let mut state = self.world.state();
        if state.has_lost_power || state.processes[self.process].is_dead {
            return Err(self.failed(name, action, "the process has ended"));
        }
        let process = &mut state.processes[self.process];
        let now = process.operations;
        process.operations += 1;
        let is_held = action == "remove" && now < process.removals_fail_before;
        if process.fails || is_held {
            return Err(self.failed(name, action, "injected fault"));
        }
        let is_now = |fault: &&Fault| fault.process == self.process && fault.at == now;
        let fault = state.faults.iter().find(is_now).copied();
        self.world.say(|| {
            let kind = fault.map(|fault| format!(" {:?}", fault.kind));
            let (process, disk) = (self.process, self.disk);
            format!(
                "process {process} disk {disk}: {action} {name}{}",
                kind.unwrap_or_default()
            )
        });
        let Some(fault) = fault else {
            return Ok((state, Outcome::Happens));
        };
        state.failed_action = action;
        match fault.kind {
            FaultKind::DiskFull => {
                let room = state.random.below(600);
                state.processes[self.process].room = Some(room);
                return Ok((state, Outcome::Happens));
            }
            FaultKind::RemovalsFail => {
                let end = now + 1 + state.random.below(120);
                state.processes[self.process].removals_fail_before = end;
                return Ok((state, Outcome::Happens));
            }
            FaultKind::Kill => state.kill(self.process),
            FaultKind::LosePower => state.has_lost_power = true,
            FaultKind::FailForEver => state.processes[self.process].fails = true,
            FaultKind::FailOnce => {}
        }
        let is_unseen = state.random.chance(2);
        if fault.is_unseen.unwrap_or(is_unseen) {
            return Ok((state, Outcome::HappensUnseen));
        }
        Err(self.failed(name, action, "injected fault"))
    }

    /// The result of an operation that has happened, or the error that hides it.
    pub fn seen<T>(
        &self,
        outcome: Outcome,
        name: &str,
        action: &'static str,
        value: T,
    ) -> Result<T> {
        match outcome {
            Outcome::Happens => Ok(value),
            Outcome::HappensUnseen => Err(self.failed(name, action, "injected fault, answer lost")),
        }
    }

    pub fn plants(&self, planted: Planted) -> bool {
        self.world.planted == Some(planted)
    }

    pub fn is_store(&self) -> bool {
        self.world.medium == Medium::Objects
    }

    pub fn look_up(&self, name: &str, turn: Turn) -> Result<Option<FileVersion>> {
        let (state, outcome) = self.step(name, "look up", turn)?;
        let version = state.disks[self.disk].find(name).map(|file| {
            let content = content(&file);
            FileVersion([content.version, content.bytes.len() as u64, 0, 0])
        });
        drop(state);
        self.seen(outcome, name, "look up", version)
    }

    fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let mut file = self.create(name)?;
        let written = file.write_all(bytes).and_then(|()| file.sync());
        written.map_err(|e| Error::io(self.path().join(name), "write", e))
    }

    /// By a link or a rename, as [`esparsa::store::FileSystem`] does it.
    fn publish_in_folder(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let number = self.world.state().disks[self.disk].new_number();
        let temporary = format!("{name}.{}-{number:016x}.tmp", self.process);
        let named = self.write_whole(&temporary, bytes).and_then(|()| {
            let (mut state, outcome) = self.step(name, "publish", Turn::MayPass)?;
            let now = self.world.turns.now();
            let disk = &mut state.disks[self.disk];
            let Some(file) = disk.find(&temporary) else {
                return Err(self.kind_of_error(&temporary, "publish", io::ErrorKind::NotFound));
            };
            if self.plants(Planted::PublishReplaces) {
                disk.unlink(name);
            }
            let is_named = disk.link(name, &file, now);
            if is_named && self.world.medium == Medium::Renames {
                disk.unlink(&temporary);
            }
            drop(state);
            self.seen(outcome, name, "publish", is_named)
        });
        let _ = self.remove(&temporary);
        if named? {
            self.sync()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// By a put that requires that the name is free.
    fn put(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        let (mut state, outcome) = self.step(name, "put", Turn::MayPass)?;
        let now = self.world.turns.now();
        let disk = &mut state.disks[self.disk];
        let file = disk.new_file();
        content(&file).bytes = bytes.to_vec();
        content(&file).durable = bytes.len();
        if self.plants(Planted::PublishReplaces) {
            disk.unlink(name);
        }
        let is_named = disk.link(name, &file, now);
        disk.sync();
        drop(state);
        self.seen(outcome, name, "put", is_named)
    }
}

impl Directory for SimulatedDirectory {
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>> {
        let (mut state, outcome) = self.step(name, "create", Turn::Stays)?;
        let now = self.world.turns.now();
        let disk = &mut state.disks[self.disk];
        let file = disk.new_file();
        if !self.is_store() && !disk.link(name, &file, now) {
            return Err(self.kind_of_error(name, "create", io::ErrorKind::AlreadyExists));
        }
        drop(state);
        let sink = SimulatedFile {
            directory: self.clone(),
            name: name.to_owned(),
            file,
        };
        self.seen(outcome, name, "create", Box::new(sink))
            .map(|sink| sink as Box<dyn FileSink>)
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        let (state, outcome) = self.step(name, "open", Turn::MayPass)?;
        let Some(file) = state.disks[self.disk].find(name) else {
            return Err(self.kind_of_error(name, "open", io::ErrorKind::NotFound));
        };
        drop(state);
        let bytes = Bytes::from(content(&file).bytes.clone());
        let handle: Arc<dyn FileHandle> = match self.world.medium {
            Medium::Objects => Arc::new(Object {
                directory: self.clone(),
                name: name.to_owned(),
                version: content(&file).version,
                bytes,
            }),
            _ => Arc::new(bytes),
        };
        self.seen(outcome, name, "open", handle)
    }

    fn version(&self, name: &str) -> Result<Option<FileVersion>> {
        self.look_up(name, Turn::MayPass)
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        match self.world.medium {
            Medium::Objects => self.put(name, bytes),
            Medium::Links | Medium::Renames => self.publish_in_folder(name, bytes),
        }
    }

    fn remove(&self, name: &str) -> Result<()> {
        let (mut state, outcome) = self.step(name, "remove", Turn::MayPass)?;
        let disk = &mut state.disks[self.disk];
        if !disk.unlink(name) {
            return Err(self.kind_of_error(name, "remove", io::ErrorKind::NotFound));
        }
        if self.is_store() {
            disk.sync();
        }
        drop(state);
        self.seen(outcome, name, "remove", ())
    }

    fn list(&self) -> Result<Vec<String>> {
        let (state, outcome) = self.step("", "list", Turn::MayPass)?;
        let mut names = state.disks[self.disk].names();
        drop(state);
        if self.plants(Planted::ListLacksTheNewest) {
            let manifests = |name: &String| name.starts_with("manifest-") && name.len() == 19;
            if let Some(newest) = names.iter().rposition(manifests) {
                names.remove(newest);
            }
        }
        self.seen(outcome, "", "list", names)
    }

    fn sync(&self) -> Result<()> {
        let (mut state, outcome) = self.step("", "fsync", Turn::MayPass)?;
        if !self.plants(Planted::FolderWithoutSync) {
            state.disks[self.disk].sync();
        }
        drop(state);
        self.seen(outcome, "", "fsync", ())
    }

    fn removal(&self, has_published: bool) -> Result<Removal> {
        if !self.is_store() {
            return Ok(Removal::AtOnce);
        }
        if !has_published {
            return Ok(Removal::NotNow);
        }
        if self.plants(Planted::RemovedAtOnce) {
            return Ok(Removal::AtOnce);
        }
        let (state, outcome) = self.step("", "list", Turn::MayPass)?;
        let ages = state.disks[self.disk].ages(self.world.turns.now());
        drop(state);
        let ages: BTreeMap<String, Duration> = ages
            .into_iter()
            .map(|(name, steps)| (name, Duration::from_secs(steps)))
            .collect();
        let delay = Duration::from_secs(self.world.delay);
        self.seen(outcome, "", "list", Removal::After { delay, ages })
    }

    fn lock(&self) -> Result<Box<dyn Lock>> {
        let (mut state, outcome) = self.step("lock", "lock", Turn::MayPass)?;
        let disk = &mut state.disks[self.disk];
        if !self.is_store() && !self.plants(Planted::LockExcludesNobody) {
            if disk.lock.is_some() {
                return Err(Error::locked(self.path()));
            }
            // A call that fails has not acquired it.
            disk.lock = (outcome == Outcome::Happens).then_some(self.process);
        }
        drop(state);
        let held = Held {
            directory: self.clone(),
        };
        self.seen(outcome, "lock", "lock", Box::new(held) as Box<dyn Lock>)
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("simulated-{}", self.disk))
    }

    fn local_path(&self, name: &str) -> Option<PathBuf> {
        (!self.is_store()).then(|| self.path().join(name))
    }

    /// By a hard link, as [`esparsa::store::FileSystem`] does it, or a copy inside the store.
    fn import(&self, source: &dyn Directory, source_name: &str, name: &str) -> Result<()> {
        let from = usize::from(source.path() != self.path());
        let from = if from == 0 { self.disk } else { 1 - self.disk };
        let (mut state, outcome) = self.step(name, "link", Turn::MayPass)?;
        let now = self.world.turns.now();
        let Some(file) = state.disks[from].find(source_name) else {
            return Err(self.kind_of_error(source_name, "open", io::ErrorKind::NotFound));
        };
        let disk = &mut state.disks[self.disk];
        if !disk.link(name, &file, now) {
            return Err(self.kind_of_error(name, "link", io::ErrorKind::AlreadyExists));
        }
        if self.is_store() {
            disk.sync();
        }
        drop(state);
        self.seen(outcome, name, "link", ())?;
        let (state, outcome) = self.step(name, "fsync", Turn::MayPass)?;
        drop(state);
        let mut content = content(&file);
        if !content.lost {
            content.durable = content.bytes.len();
        }
        drop(content);
        self.seen(outcome, name, "fsync", ())
    }
}

/// The lock of a writer. A dead process has lost it already.
#[derive(Debug)]
struct Held {
    directory: SimulatedDirectory,
}

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        let SimulatedDirectory { process, disk, .. } = self.directory;
        let mut state = self.directory.world.state();
        let lock = &mut state.disks[disk].lock;
        *lock = lock.filter(|holder| *holder != process);
    }
}

/// Whether an error says that a process has ended or met a fault, and not that something is wrong.
pub fn is_injected(error: &Error) -> bool {
    let text = error.to_string();
    let mut reasons = [
        "injected fault",
        "the process has ended",
        "no storage space",
    ]
    .iter();
    let is_full =
        matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull);
    is_full || reasons.any(|reason| text.contains(reason))
}

/// Whether an error says that another process has taken a name.
pub fn is_taken(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. } if source.kind() == io::ErrorKind::AlreadyExists)
}
