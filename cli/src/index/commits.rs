//! The commits of a load: when one is due, and the checkpoint that is saved with it.

use std::path::PathBuf;

use esparsa::{CommitReport, Result};

use super::checkpoint::{Checkpoint, Done, Inputs};
use super::commit_every::{CommitEvery, SinceCommit};

/// When to commit, and the commits so far.
pub struct Commits {
    folder: PathBuf,
    every: Option<CommitEvery>,
    /// What is read, if the load can be resumed.
    inputs: Option<Inputs>,
    since: SinceCommit,
    last: Option<Done>,
}

impl Commits {
    /// No commits yet to the index in `folder`; `inputs`, if given, are saved after each.
    pub fn new(folder: PathBuf, every: Option<CommitEvery>, inputs: Option<Inputs>) -> Self {
        Self {
            folder,
            every,
            inputs,
            since: SinceCommit::new(),
            last: None,
        }
    }

    /// Adds what was read.
    pub fn add(&mut self, documents: u64, bytes: u64) {
        self.since.add(documents, bytes);
    }

    /// True if it is time to commit.
    pub fn are_due(&self) -> bool {
        self.every.is_some_and(|every| self.since.is_due(every))
    }

    /// Records a commit, durably if the load can be resumed; `is_last` if the load ended with it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](esparsa::Error::Io).
    pub fn note(&mut self, commit: CommitReport, done: Done, is_last: bool) -> Result<()> {
        self.since = SinceCommit::new();
        self.last = Some(done);
        match &self.inputs {
            Some(inputs) => Checkpoint {
                commit: commit.commit,
                done,
                inputs: inputs.clone(),
                is_complete: is_last,
            }
            .write(&self.folder),
            // A checkpoint of an earlier load no longer describes the index.
            None => Checkpoint::remove(&self.folder),
        }
    }

    /// What the last commit has, if there was one.
    pub fn last(&self) -> Option<Done> {
        self.last
    }

    /// True if the load can be resumed after its last commit.
    pub fn can_be_resumed(&self) -> bool {
        self.inputs.is_some()
    }
}
