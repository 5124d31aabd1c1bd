//! The log of a run: JSON Lines, one event a line.
//!
//! Each line is one object with `event` and the fields of its record. A line is written whole and
//! reaches the operating system before the next step, so that after a kill at most the last line is
//! torn. A resumed run cuts what came after its checkpoint and goes on in the same file.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{EvaluationRecord, Event, RunRecord, StepRecord, Watcher};
use crate::error::{Error, Result};

/// A line of a log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Entry {
    /// The run begins or goes on.
    Started(RunRecord),
    /// A step was done.
    Step(StepRecord),
    /// The model was evaluated.
    Evaluated(EvaluationRecord),
    /// A checkpoint was written.
    Saved {
        /// After this step.
        step: u64,
        /// The folder.
        path: PathBuf,
    },
    /// Something that the person who trains should know.
    Warning {
        /// After this step.
        step: u64,
        /// What.
        message: String,
    },
    /// The run ended.
    Finished {
        /// After this step.
        step: u64,
        /// Why.
        reason: String,
    },
}

impl Entry {
    /// The line of an event after `step`.
    pub fn new(event: &Event<'_>, step: u64) -> Self {
        match *event {
            Event::Started(run) => Self::Started(run.clone()),
            Event::Step(record) => Self::Step(record.clone()),
            Event::Evaluated(record) => Self::Evaluated(record.clone()),
            Event::Saved { step, path } => Self::Saved {
                step,
                path: path.to_path_buf(),
            },
            Event::Warning(message) => Self::Warning {
                step,
                message: message.to_owned(),
            },
            Event::Finished { step, reason } => Self::Finished {
                step,
                reason: reason.to_owned(),
            },
        }
    }

    /// The event of this line.
    pub fn event(&self) -> Event<'_> {
        match self {
            Self::Started(run) => Event::Started(run),
            Self::Step(record) => Event::Step(record),
            Self::Evaluated(record) => Event::Evaluated(record),
            Self::Saved { step, path } => Event::Saved { step: *step, path },
            Self::Warning { message, .. } => Event::Warning(message),
            Self::Finished { step, reason } => Event::Finished {
                step: *step,
                reason,
            },
        }
    }

    /// The step after which it happened.
    pub fn step(&self) -> u64 {
        match self {
            Self::Started(run) => run.resumed_at,
            Self::Step(record) => record.step,
            Self::Evaluated(record) => record.step,
            Self::Saved { step, .. } | Self::Warning { step, .. } | Self::Finished { step, .. } => {
                *step
            }
        }
    }
}

/// Writes the log of a run.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    /// The last step that was seen.
    step: u64,
}

impl Log {
    /// Begins an empty log; an earlier file of this name is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).map_err(|source| Error::io(path, "create", source))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            step: 0,
        })
    }

    /// Goes on with a log: what came after `step`, the step of the checkpoint, is cut off, and so is a
    /// torn last line. Without a file, an empty log begins.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and [`Error::InvalidInput`] when a line is no entry of a log.
    pub fn resume(path: &Path, step: u64) -> Result<Self> {
        let mut kept = 0;
        let read = for_each_line(path, |entry, end| {
            let is_kept = entry.step() <= step;
            if is_kept {
                kept = end;
            }
            is_kept
        });
        match read {
            Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Self::create(path);
            }
            read => read?,
        }
        let opened = OpenOptions::new().write(true).open(path);
        let mut file = opened.map_err(|source| Error::io(path, "open", source))?;
        file.set_len(kept)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(|source| Error::io(path, "cut", source))?;
        Ok(Self {
            path: path.to_path_buf(),
            file,
            step,
        })
    }
}

impl Watcher for Log {
    fn on(&mut self, event: &Event<'_>) -> Result<()> {
        let entry = Entry::new(event, self.step);
        self.step = self.step.max(entry.step());
        let serialized = serde_json::to_vec(&entry).map_err(|error| {
            Error::invalid(format!(
                "expected an entry that JSON can hold, found one that it cannot: {error}"
            ))
        });
        let mut line = serialized?;
        line.push(b'\n');
        // Without a buffer of our own, each line reaches the operating system at once.
        let written = self.file.write_all(&line);
        written.map_err(|source| Error::io(&self.path, "write", source))
    }
}

/// Reads a log, one entry after the other. A last line without its line feed is torn, and skipped.
///
/// # Errors
///
/// [`Error::Io`], and [`Error::InvalidInput`] with file and line for a line that is no entry.
pub fn read_log(path: &Path, mut each: impl FnMut(Entry)) -> Result<()> {
    for_each_line(path, |entry, _| {
        each(entry);
        true
    })
}

/// Calls `each` with the entry of each whole line and the offset of its end, until it returns false.
fn for_each_line(path: &Path, mut each: impl FnMut(Entry, u64) -> bool) -> Result<()> {
    let file = File::open(path).map_err(|source| Error::io(path, "open", source))?;
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    let mut end = 0;
    for number in 1.. {
        line.clear();
        let read = lines.read_until(b'\n', &mut line);
        let read = read.map_err(|source| Error::io(path, "read", source))?;
        if !line.ends_with(b"\n") {
            return Ok(());
        }
        end += read as u64;
        let entry = serde_json::from_slice(&line).map_err(|error| {
            let message = format!("expected an entry of a training log, found other JSON: {error}");
            Error::invalid(message).at_line(path.display().to_string(), number)
        })?;
        if !each(entry, end) {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
