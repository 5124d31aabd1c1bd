//! The only place that touches files.
//!
//! A [`Directory`] is a flat folder of named files that are written once, front to back, and then
//! read as shared bytes. Three are here: [`FileSystem`] (memory-mapped reads, real fsync),
//! [`Memory`] for tests and indexes that need no disk, and [`Faulty`], which fails or loses what a
//! crash would lose. Nothing here knows what the bytes mean.

mod fault;
mod file_system;
mod memory;

use std::fmt::Debug;
use std::io::{Cursor, Read, Seek, Write};
use std::path::PathBuf;

pub use fault::{Fault, Faulty};
pub use file_system::FileSystem;
pub use memory::Memory;

use crate::error::Result;
use crate::format::SharedBytes;

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
pub trait Lock: Send + Debug {}

/// A flat folder of files.
pub trait Directory: Send + Sync + Debug {
    /// Creates a file, which must not exist.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io), here and in every other function.
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>>;

    /// Opens a finished file for reading.
    ///
    /// # Errors
    ///
    /// As [`Directory::create`]; see [`is_missing`] for a file that is not there.
    fn open(&self, name: &str) -> Result<SharedBytes>;

    /// Gives a file another name, atomically replacing a file of that name.
    ///
    /// # Errors
    ///
    /// As [`Directory::create`].
    fn rename(&self, from: &str, to: &str) -> Result<()>;

    /// Removes a file. Readers that have it open keep it.
    ///
    /// # Errors
    ///
    /// As [`Directory::create`].
    fn remove(&self, name: &str) -> Result<()>;

    /// The names of all files, sorted.
    ///
    /// # Errors
    ///
    /// As [`Directory::create`].
    fn list(&self) -> Result<Vec<String>>;

    /// Makes created names, renames and removals durable.
    ///
    /// # Errors
    ///
    /// As [`Directory::create`].
    fn sync(&self) -> Result<()>;

    /// Takes the writer's lock.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`](crate::Error::Locked) when another writer, in this process or another, holds it.
    fn lock(&self) -> Result<Box<dyn Lock>>;

    /// An empty scratch file that has no name and is never durable; in memory unless the directory
    /// has a better place.
    ///
    /// # Errors
    ///
    /// As [`Directory::create`].
    fn scratch(&self) -> Result<Box<dyn Scratch>> {
        Ok(Box::new(Cursor::new(Vec::new())))
    }

    /// Where the folder is, for messages.
    fn path(&self) -> PathBuf;

    /// Brings in the finished file `source` from outside under a new name, by hard link where the
    /// file system can, else by copy, and makes its content durable. A file of this name is never
    /// overwritten.
    ///
    /// # Errors
    ///
    /// As [`Directory::create`].
    fn import(&self, source: &std::path::Path, name: &str) -> Result<()> {
        let bytes = std::fs::read(source)
            .map_err(|error| crate::error::Error::io(source, "read", error))?;
        let mut file = self.create(name)?;
        file.write_all(&bytes)
            .and_then(|()| file.sync())
            .map_err(|error| crate::error::Error::io(self.path().join(name), "write", error))
    }
}

/// Whether an error says that a file is not there.
pub fn is_missing(error: &crate::error::Error) -> bool {
    matches!(error, crate::error::Error::Io { source, .. }
        if source.kind() == std::io::ErrorKind::NotFound)
}
