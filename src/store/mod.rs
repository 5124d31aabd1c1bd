//! All file I/O of the index.
//!
//! A [`Directory`] is a flat set of named files. A file is written once, sequentially, and then
//! read by ranges. There are three implementations: [`FileSystem`] (memory-mapped reads, real
//! fsync), [`Memory`] for tests and indexes that need no disk, and with the feature `object-store`
//! `ObjectStore`. Invariant: nothing here interprets
//! the bytes.
//!
//! The trait requires no more than an object store can do: files appear atomically, a commit is
//! published by create-if-absent, and nothing is renamed.

// For tests: `Faulty` injects errors and loses what a crash would lose, and `Gate` holds background
// jobs up.
#[cfg(any(test, feature = "internals"))]
mod fault;
mod file_system;
#[cfg(any(test, feature = "internals"))]
mod gate;
mod location;
mod memory;
#[cfg(feature = "object-store")]
mod object_store;
mod publish;
mod untrusted;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{Cursor, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

#[cfg(any(test, feature = "internals"))]
pub use fault::{Fault, Faulty, Publishing};
pub use file_system::FileSystem;
#[cfg(any(test, feature = "internals"))]
pub use gate::{Gate, GateState};
pub use location::{create_directory, open_directory};
pub use memory::Memory;
#[cfg(feature = "object-store")]
pub use object_store::{ObjectStore, ObjectStoreOptions, RequestCounts};
pub(crate) use publish::name_of_temporary;
#[cfg(feature = "train")]
pub(crate) use publish::temporary_name;

pub(crate) use untrusted::Untrusted;

pub use crate::bytes::{Bytes, FileHandle, OnBytes, OnDemand};
use crate::error::{Error, Result};

/// A file being written.
pub trait FileSink: Write + Send {
    /// Makes the content durable. [`Directory::sync`] makes the name durable.
    ///
    /// # Errors
    ///
    /// The error of the system; the content on disk is undefined then.
    fn sync(&mut self) -> std::io::Result<()>;
}

/// A temporary file for data that does not fit in memory. Dropping it deletes it.
pub trait Scratch: Read + Write + Seek + Send {}

impl<T: Read + Write + Seek + Send> Scratch for T {}

/// The lock of a writer. It is released when this is dropped or the process dies.
pub trait Lock: Send + Sync + Debug {
    /// Whether this process acquired it. A copy of it in a child that was made by `fork` is not the
    /// child's: dropping it releases nothing.
    fn is_held(&self) -> bool {
        true
    }
}

/// Distinguishes two files that had the same name at different times: an inode with its times, an
/// ETag, or a number that is never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion(pub [u64; 4]);

/// Which of the files that no commit needs any more a writer may remove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removal {
    /// All of them: readers that have them open can still read them, and the lock excludes other
    /// writers.
    AtOnce,
    /// None this time.
    NotNow,
    /// After a commit, those that were not needed for longer than `delay`.
    After {
        /// How long a reader may still need a file.
        delay: Duration,
        /// For each file, the time since it was written.
        ages: BTreeMap<String, Duration>,
    },
}

/// A flat set of named files.
///
/// Every function returns [`Error::Io`] when the system refuses the operation.
pub trait Directory: Send + Sync + Debug {
    /// Creates a file, which must not exist. A file may be removed while it is being written: later
    /// writes to it are lost and must not affect a newer file of the same name.
    ///
    /// Where a file gets its name only when it is finished, as in an object store, the
    /// [`FileSink::sync`] that gives it the name must be a create-if-absent too (a conditional put)
    /// and fail when the name is taken. A writer that died or was dropped may have such a request
    /// on its way, and the next writer may use the name: whichever is second must fail, not replace
    /// the other.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>>;

    /// Opens a finished file for reading.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`is_missing`] recognizes the error for a file that does not exist.
    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>>;

    /// Says that files with these names will be opened next, so that a directory to which requests
    /// take long can read what opening needs of all of them at once. Errors come back when a file is
    /// opened.
    fn will_open(&self, _names: &[String]) {}

    /// The version of the file with this name; `None` when there is no such file. Much cheaper than
    /// opening the file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn version(&self, name: &str) -> Result<Option<FileVersion>>;

    /// Creates a file with these bytes, atomically and durably (compare-and-set). Returns false and
    /// changes nothing when the name is taken, also where [`Directory::lock`] excludes nobody. On a
    /// file system this is a hard link to a finished file, in an object store a conditional put.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; the file may or may not exist then.
    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool>;

    /// Removes a file. Readers that have it open can still read it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn remove(&self, name: &str) -> Result<()>;

    /// The names of all files, sorted.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn list(&self) -> Result<Vec<String>>;

    /// Makes created names and removals durable.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn sync(&self) -> Result<()>;

    /// Which files a writer may remove now; `has_published` says whether it has just published a
    /// commit, so that no other writer can publish what it wrote before.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn removal(&self, _has_published: bool) -> Result<Removal> {
        Ok(Removal::AtOnce)
    }

    /// Acquires the lock of the writer, without waiting. Where it does not exclude the writers of
    /// other processes, [`removal`](Self::removal) must not be [`Removal::AtOnce`].
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] when another writer, in this process or another, holds it.
    fn lock(&self) -> Result<Box<dyn Lock>>;

    /// Creates an empty scratch file without a name. The default implementation keeps it in memory.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn scratch(&self) -> Result<Box<dyn Scratch>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    /// Location of the directory, for messages.
    fn path(&self) -> PathBuf;

    /// The path of a file, if the directory is a folder of the local file system.
    fn local_path(&self, _name: &str) -> Option<PathBuf> {
        None
    }

    /// This directory as one of an object store, if it is one: such directories copy files among
    /// themselves without fetching them.
    #[cfg(feature = "object-store")]
    fn as_object_store(&self) -> Option<&ObjectStore> {
        None
    }

    /// Imports the finished file `source_name` of another directory under a new name, by hard link
    /// where possible, else by copy, and makes its content durable. Never overwrites a file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn import(&self, source: &dyn Directory, source_name: &str, name: &str) -> Result<()> {
        copy(source, source_name, self, name)
    }
}

/// Copies a file to a new name and makes its content durable. Never overwrites a file.
fn copy<D: Directory + ?Sized>(
    source: &dyn Directory,
    source_name: &str,
    directory: &D,
    name: &str,
) -> Result<()> {
    write_copy(&*source.open(source_name)?, directory, name)
}

/// Writes the content of an open file to a new one and makes it durable. Never overwrites a file.
pub(crate) fn write_copy<D: Directory + ?Sized>(
    from: &dyn FileHandle,
    directory: &D,
    name: &str,
) -> Result<()> {
    const COPY_BYTES: u64 = 8 << 20;
    let mut file = directory.create(name)?;
    let failed = |error| Error::io(directory.path().join(name), "write", error);
    let mut start = 0;
    while start < from.len() {
        let end = from.len().min(start + COPY_BYTES);
        file.write_all(&from.read(start..end)?).map_err(failed)?;
        start = end;
    }
    file.sync().map_err(failed)
}

/// True if the error says that a file does not exist.
pub fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. }
        if source.kind() == std::io::ErrorKind::NotFound)
}
