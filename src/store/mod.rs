//! The only place that touches files.
//!
//! A [`Directory`] is a flat folder of named files that are written once, front to back, and read
//! by ranges afterwards. Three are here: [`FileSystem`] (memory-mapped reads, real fsync),
//! [`Memory`] for tests and indexes that need no disk, and [`Faulty`], which fails or loses what a
//! crash would lose. Nothing here knows what the bytes mean.
//!
//! The trait asks for no more than an object store can do: files appear whole, a commit is
//! published under a name that must be free, and nothing is renamed.

#[cfg(any(test, feature = "internals"))]
mod fault;
mod file_system;
mod memory;

use std::fmt::Debug;
use std::io::{Cursor, Read, Seek, Write};
use std::path::PathBuf;
use std::sync::Arc;

#[cfg(any(test, feature = "internals"))]
pub use fault::{Fault, Faulty};
pub use file_system::FileSystem;
pub use memory::Memory;

pub use crate::bytes::{Bytes, FileHandle};
use crate::error::{Error, Result};

/// A file being written.
pub trait FileSink: Write + Send {
    /// Makes everything written durable. The file's name becomes durable with
    /// [`Directory::sync`].
    ///
    /// # Errors
    ///
    /// What the system reports; afterwards nobody knows what is on disk.
    fn sync(&mut self) -> std::io::Result<()>;
}

/// Bytes that did not fit in memory, written and read again by one owner, and gone with it.
pub trait Scratch: Read + Write + Seek + Send {}

impl<T: Read + Write + Seek + Send> Scratch for T {}

/// Held by a writer; another writer can have the lock when this is dropped or its process dies.
pub trait Lock: Send + Sync + Debug {}

/// Tells two files that had the same name at different times apart: an inode with its times, an
/// ETag, or a number that is never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileVersion(pub [u64; 4]);

/// A flat folder of files.
///
/// Every function returns [`Error::Io`] when the system refuses the operation.
pub trait Directory: Send + Sync + Debug {
    /// Creates a file, which must not exist. Removing a file that is still being written is
    /// allowed: whatever is written to it later is lost, and must not touch a newer file of the
    /// same name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>>;

    /// Opens a finished file for reading.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; see [`is_missing`] for a file that is not there.
    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>>;

    /// What tells the file of this name from others that had or will have the name; `None` when
    /// there is no such file. It costs much less than opening the file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn version(&self, name: &str) -> Result<Option<FileVersion>>;

    /// Makes a file of these bytes appear, whole and durable, under a name that must be free.
    /// Returns false, and changes nothing, when there is a file of this name already. On a file
    /// system this is a new name for a finished file, in an object store a conditional put.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; the file may have appeared then or not.
    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool>;

    /// Removes a file. Readers that have it open keep it.
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

    /// Takes the writer's lock.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] when another writer, in this process or another, holds it.
    fn lock(&self) -> Result<Box<dyn Lock>>;

    /// An empty scratch file that has no name and is never durable; in memory unless the directory
    /// has a better place.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn scratch(&self) -> Result<Box<dyn Scratch>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    /// Where the folder is, for messages.
    fn path(&self) -> PathBuf;

    /// The path of a file, for directories that are folders of the local file system.
    fn local_path(&self, _name: &str) -> Option<PathBuf> {
        None
    }

    /// Brings in the finished file `source_name` of another directory under a new name, by hard
    /// link where the file system can, else by copy, and makes its content durable. A file of this
    /// name is never overwritten.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    fn import(&self, source: &dyn Directory, source_name: &str, name: &str) -> Result<()> {
        copy(source, source_name, self, name)
    }
}

/// Copies a file to a name where there must be none, and makes its content durable.
fn copy<D: Directory + ?Sized>(
    source: &dyn Directory,
    source_name: &str,
    directory: &D,
    name: &str,
) -> Result<()> {
    const COPY_BYTES: u64 = 8 << 20;
    let from = source.open(source_name)?;
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

/// Whether an error says that a file is not there.
pub fn is_missing(error: &Error) -> bool {
    matches!(error, Error::Io { source, .. }
        if source.kind() == std::io::ErrorKind::NotFound)
}
