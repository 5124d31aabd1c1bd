//! The indexes that are served, and the newest commit of each.
//!
//! A thread looks for new commits and opens them; requests take the snapshot that is there, which
//! costs a reference count. So no request waits for a commit to be opened, and those that run keep
//! the snapshot that they began with.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use esparsa::{Error, Index, Result, Snapshot};

use super::error::ApiError;
use super::named::NamedFolder;
use crate::output;

/// An index that is served.
pub struct ServedIndex {
    /// Its name in addresses.
    pub name: String,
    index: Index,
    snapshot: RwLock<Snapshot>,
    /// New commits that could not be opened.
    failed_reloads: AtomicU64,
    /// Whether the last try failed.
    is_failing: AtomicBool,
}

impl ServedIndex {
    fn open(named: NamedFolder) -> Result<Self> {
        let index = Index::open(&named.folder)?;
        let snapshot = index.snapshot()?;
        Ok(Self {
            name: named.name,
            index,
            snapshot: RwLock::new(snapshot),
            failed_reloads: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
        })
    }

    /// The newest commit that is open.
    pub fn snapshot(&self) -> Snapshot {
        let held = self.snapshot.read();
        held.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often a new commit could not be opened.
    pub fn failed_reloads(&self) -> u64 {
        self.failed_reloads.load(Ordering::Relaxed)
    }

    /// Opens the newest commit, if it is not open yet. When that fails the one before stays: an
    /// answer from it is better than none.
    fn reload(&self) {
        match self.index.snapshot() {
            Ok(newest) => {
                self.is_failing.store(false, Ordering::Relaxed);
                let before = {
                    let mut held = self
                        .snapshot
                        .write()
                        .unwrap_or_else(PoisonError::into_inner);
                    std::mem::replace(&mut *held, newest)
                };
                // Closing its files may be slow, and nobody should wait for the lock meanwhile.
                drop(before);
            }
            Err(error) => {
                self.failed_reloads.fetch_add(1, Ordering::Relaxed);
                // One message for all failures in a row: it is tried again several times a second.
                if !self.is_failing.swap(true, Ordering::Relaxed) {
                    output::message(&format!(
                        "error: the newest commit of the index `{}` cannot be opened, the one before is served on: {error}",
                        self.name
                    ));
                }
            }
        }
    }
}

/// All indexes that are served, in the order of their names.
pub struct Indexes {
    all: Vec<ServedIndex>,
}

impl Indexes {
    /// Opens the indexes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when two have the same name, and what opening gives.
    pub fn open(folders: Vec<NamedFolder>) -> Result<Self> {
        let opened = folders.into_iter().map(ServedIndex::open);
        let mut all = opened.collect::<Result<Vec<_>>>()?;
        all.sort_by(|a, b| a.name.cmp(&b.name));
        if let Some(pair) = all.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(Error::invalid(format!(
                "expected indexes with different names, found two that are called `{}`; name one of them by \
                 `--index NAME=DIR`",
                pair[0].name
            )));
        }
        Ok(Self { all })
    }

    /// The indexes.
    pub fn iter(&self) -> impl Iterator<Item = &ServedIndex> {
        self.all.iter()
    }

    /// The index with this name.
    ///
    /// # Errors
    ///
    /// 404 when there is none.
    pub fn get(&self, name: &str) -> std::result::Result<&ServedIndex, ApiError> {
        let found = self.all.iter().find(|index| index.name == name);
        found.ok_or_else(|| {
            ApiError::not_found(format!(
                "expected the name of an index, found `{name}`; `GET /api/indexes` lists them"
            ))
        })
    }

    /// Looks for new commits again and again, until the other end of `stop` is gone.
    pub fn keep_newest(self: &Arc<Self>, every: Duration, stop: &Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(every) {
            self.iter().for_each(ServedIndex::reload);
        }
    }
}
