//! What the jobs of a writer may still do after the writer was dropped: nothing.
//!
//! A writer that is dropped waits for no job. Its lock is free at once, and the next writer may give
//! out the same file numbers again. So a job creates files only through the [`JobScope`] of its
//! writer: before the lock is let go the scope is closed, and no file is created after that. A file
//! that a job has open then was removed by its name: what is written to it is lost, and touches no
//! newer file of the same name ([`Directory::create`] asks this of every directory).

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
    /// Tells the jobs to stop, and waits for those that are just creating a file.
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
