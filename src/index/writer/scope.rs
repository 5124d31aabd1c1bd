//! Keeps the jobs of a dropped writer from creating files.
//!
//! Dropping a writer does not wait for its jobs. Its lock is free at once, and the next writer, in
//! another process, may use the same file numbers (in this one, the segment cache remembers them).
//!
//! - A job creates files only through the [`JobScope`] of its writer, which is closed before the
//!   lock is released: no file is created after that.
//! - A file that a job is still writing is removed before its number is used again, so its data is
//!   lost and does not reach the newer file of the same name.
//! - A job finishes files through the scope too: none begins to after the scope was closed. One
//!   that had begun goes on, because an fsync or an upload can take long. It replaces nothing:
//!   [`Directory::create`] requires that a file which gets its name late gets a free one.
//!
//! So at worst a late file takes a number that the next writer wanted, whose creation then fails.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};
use crate::executor::CancelToken;
use crate::store::{Directory, FileSink};

/// The jobs of a writer since it was opened or rolled back; clones share it.
#[derive(Clone, Default)]
pub(super) struct JobScope {
    token: CancelToken,
    creating: Arc<Mutex<()>>,
}

impl JobScope {
    /// Cancels the jobs, and waits until none of them is in the middle of creating a file.
    pub fn close(&self) {
        self.token.cancel();
        drop(self.creating.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn token(&self) -> &CancelToken {
        &self.token
    }

    pub fn create(&self, directory: &dyn Directory, name: &str) -> Result<Box<dyn FileSink>> {
        let _creating = self.creating.lock().unwrap_or_else(PoisonError::into_inner);
        self.token.check("merging")?;
        directory.create(name)
    }

    /// Makes the content of a file durable, unless the scope was closed.
    pub fn sync(&self, file: &mut dyn FileSink, path: &Path) -> Result<()> {
        self.token.check("merging")?;
        file.sync().map_err(|e| Error::io(path, "fsync", e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;

    #[test]
    fn a_job_neither_creates_nor_finishes_a_file_after_its_writer_was_dropped() {
        let (scope, memory) = (JobScope::default(), Memory::new());
        let mut file = scope.create(&memory, "a").unwrap();
        file.write_all(b"late").unwrap();
        let path = Path::new("a");
        scope.clone().close();
        assert!(scope.sync(&mut *file, path).is_err());
        assert!(memory.bytes("a").unwrap().is_empty());
        assert!(scope.create(&memory, "b").is_err());
    }
}
