//! Keeps the jobs of a dropped writer from creating files.
//!
//! Dropping a writer does not wait for its jobs. Its lock is free at once, and the next writer may
//! use the same file numbers. So a job creates files only through the [`JobScope`] of its writer,
//! which is closed before the lock is released: no file is created after that. A file that a job is
//! still writing is removed before its number is used again, so its data is lost and does not reach
//! the newer file of the same name ([`Directory::create`] requires this of every directory).

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::Result;
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
}
