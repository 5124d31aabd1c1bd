//! A disk and the operating system's memory before it: what processes see, and what a power loss
//! leaves of it.
//!
//! The model is what POSIX promises and no more. An fsync of a file makes its bytes durable, not its
//! name; one of the folder makes its names durable. Without, after a power loss, any subset of the
//! changes of names may have happened, and any part of the bytes may be there, lost, or something
//! else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::random::Random;

/// What a device writes at once.
const SECTOR_BYTES: usize = 512;

/// The content of a file, whatever its names are.
#[derive(Debug, Default)]
pub struct Content {
    /// Distinguishes files that had one name at different times.
    pub version: u64,
    pub bytes: Vec<u8>,
    /// How many of the bytes an fsync has made durable.
    pub durable: usize,
    /// An fsync failed: the system believes that these bytes are durable, and never writes them.
    pub lost: bool,
}

pub type File = Arc<Mutex<Content>>;

#[derive(Clone, Debug)]
enum Change {
    Link(String, File),
    Unlink(String),
}

/// The files of one folder. Clones share the contents, which [`lose_power`](Disk::lose_power) replaces.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// Names as running processes see them, with the time when each appeared.
    names: BTreeMap<String, (File, u64)>,
    durable: BTreeMap<String, (File, u64)>,
    /// Changes of names since the folder was made durable.
    pending: Vec<Change>,
    /// Versions are unique among all disks, since files can be linked from one to another.
    last_version: u64,
    /// The process that holds the lock.
    pub lock: Option<usize>,
}

pub fn content(file: &File) -> MutexGuard<'_, Content> {
    file.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Number of disks.
pub const DISKS: u64 = 2;

impl Disk {
    /// An empty disk, of the number `number` below [`DISKS`].
    pub fn new(number: u64) -> Self {
        Self {
            last_version: number,
            ..Self::default()
        }
    }

    /// A number that is used once.
    pub fn new_number(&mut self) -> u64 {
        self.last_version += DISKS;
        self.last_version
    }

    pub fn new_file(&mut self) -> File {
        Arc::new(Mutex::new(Content {
            version: self.new_number(),
            ..Content::default()
        }))
    }

    pub fn find(&self, name: &str) -> Option<File> {
        self.names.get(name).map(|(file, _)| file.clone())
    }

    pub fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    /// The time since each name appeared.
    pub fn ages(&self, now: u64) -> BTreeMap<String, u64> {
        let ages = self.names.iter();
        ages.map(|(name, (_, time))| (name.clone(), now.saturating_sub(*time)))
            .collect()
    }

    /// Gives a file a name, which must be free.
    pub fn link(&mut self, name: &str, file: &File, now: u64) -> bool {
        if self.names.contains_key(name) {
            return false;
        }
        self.pending
            .push(Change::Link(name.to_owned(), file.clone()));
        self.names.insert(name.to_owned(), (file.clone(), now));
        true
    }

    /// Removes a name; false if there is none.
    pub fn unlink(&mut self, name: &str) -> bool {
        self.pending.push(Change::Unlink(name.to_owned()));
        self.names.remove(name).is_some()
    }

    /// Makes the names durable.
    pub fn sync(&mut self) {
        self.pending.clear();
        self.durable.clone_from(&self.names);
    }

    /// Loses power: what was not durable is there, or in part, or not.
    pub fn lose_power(&mut self, random: &mut Random) {
        // All, nothing, or each change by itself.
        let share = random.pick(&[0, 1, 2, 3, 4]);
        let mut names = std::mem::take(&mut self.durable);
        for change in std::mem::take(&mut self.pending) {
            if random.below(4) >= share {
                continue;
            }
            match change {
                Change::Link(name, file) => {
                    names.insert(name, (file, 0));
                }
                Change::Unlink(name) => {
                    names.remove(&name);
                }
            }
        }
        // Hard links share their content.
        let mut after: BTreeMap<u64, File> = BTreeMap::new();
        for (file, _) in names.values_mut() {
            let version = content(file).version;
            let torn = after.entry(version).or_insert_with(|| {
                let torn = torn(&content(file), random);
                Arc::new(Mutex::new(torn))
            });
            *file = torn.clone();
        }
        self.names.clone_from(&names);
        self.durable = names;
    }
}

/// The content after a power loss.
fn torn(before: &Content, random: &mut Random) -> Content {
    let mut bytes = before.bytes.clone();
    let unsure = bytes.len() - before.durable;
    let kept = match random.below(4) {
        0 => 0,
        1 => unsure,
        _ => random.below(unsure as u64 + 1) as usize,
    };
    bytes.truncate(before.durable + kept);
    let loses_sectors = random.chance(2);
    let mut start = before.durable;
    while loses_sectors && start < bytes.len() {
        let end = bytes.len().min((start / SECTOR_BYTES + 1) * SECTOR_BYTES);
        match random.below(6) {
            0 => bytes[start..end].fill(0),
            1 => bytes[start..end]
                .iter_mut()
                .for_each(|byte| *byte = random.next().to_le_bytes()[0]),
            _ => {}
        }
        start = end;
    }
    Content {
        version: before.version,
        durable: bytes.len(),
        bytes,
        lost: false,
    }
}
