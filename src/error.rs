//! The one error type of the crate.
//!
//! Every variant says what was expected, what was found, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

/// A result whose error is [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// The errors of this crate.
///
/// ```
/// use esparsa::Error;
///
/// let error = Error::invalid("k must be at least 1").at_line("queries.tsv", 3);
/// assert_eq!(error.to_string(), "queries.tsv:3: k must be at least 1");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Bytes on disk differ from what was written.
    #[non_exhaustive]
    Corrupt {
        /// File name inside the index folder.
        file: String,
        /// Section of the file, named as in `format-spec/`.
        section: String,
        /// Offset in bytes, from the start of the section.
        offset: u64,
        /// What was expected and what was found.
        message: String,
        /// If the file is the newest commit's manifest, the newest of the older commits that are
        /// still there: an index opened with
        /// [`IndexOptions::accept_older_commit`](crate::IndexOptions::accept_older_commit)
        /// returns to it.
        older_commit: Option<u64>,
    },
    /// A newer version of the format wrote the file.
    #[non_exhaustive]
    TooNew {
        /// File name inside the index folder.
        file: String,
        /// The version, capability or section that this build does not support.
        found: String,
        /// What this build supports.
        supported: String,
    },
    /// A version of the format that is no longer supported wrote the file.
    #[non_exhaustive]
    TooOld {
        /// File name inside the index folder.
        file: String,
        /// The version found.
        found: String,
        /// What this build supports.
        supported: String,
    },
    /// Another writer holds the lock of the index.
    #[non_exhaustive]
    Locked {
        /// The index folder.
        path: PathBuf,
    },
    /// There is no index here, and one is needed: [`Index::create`](crate::Index::create) makes one,
    /// and [`Index::open_or_create`](crate::Index::open_or_create) does where there is none.
    #[non_exhaustive]
    NoIndex {
        /// The folder that was expected to hold an index.
        path: PathBuf,
        /// What is there instead, such as `no such folder`.
        found: &'static str,
    },
    /// An operation of the operating system failed.
    #[non_exhaustive]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The operation, such as `open` or `fsync`.
        action: &'static str,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A documented limit was exceeded; `format-spec/limits.md` lists them.
    #[non_exhaustive]
    Limit {
        /// What is limited, such as `length of the id in bytes`.
        what: String,
        /// The size found.
        found: u64,
        /// The largest size allowed.
        limit: u64,
        /// Position of the input, if it came from a file.
        origin: Option<Origin>,
    },
    /// An argument or the content of an input file is invalid.
    #[non_exhaustive]
    InvalidInput {
        /// Position of the input, if it came from a file.
        origin: Option<Origin>,
        /// The field of the document or the argument with the error, if there is one.
        field: Option<String>,
        /// What was expected and what was found.
        message: String,
    },
    /// The files of a model are invalid or inconsistent.
    #[non_exhaustive]
    Model {
        /// The file or folder; empty if the error is not about one.
        path: PathBuf,
        /// What was expected, what was found, and what to do.
        message: String,
    },
    /// A device that models run on is missing or failed.
    #[non_exhaustive]
    Device {
        /// What was expected, what was found, and what to do.
        message: String,
        /// True if the device ran out of memory: a smaller batch may succeed.
        out_of_memory: bool,
    },
    /// The work was cancelled.
    #[non_exhaustive]
    Cancelled {
        /// The work, such as `merging`.
        work: &'static str,
    },
    /// The writer had an earlier error, after which the state on disk is unknown.
    #[non_exhaustive]
    Poisoned {
        /// The earlier error.
        message: String,
    },
}

/// A line of an input file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Origin {
    /// Path of the file, or `<stdin>`.
    pub file: String,
    /// Line number, from 1; 0 for the whole file.
    pub line: u64,
}

impl Origin {
    /// A line of a file, from 1; 0 for the whole file.
    pub fn new(file: impl Into<String>, line: u64) -> Self {
        Self {
            file: file.into(),
            line,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            write!(f, "{}", self.file)
        } else {
            write!(f, "{}:{}", self.file, self.line)
        }
    }
}

impl Error {
    /// An [`Error::InvalidInput`] without a position; see [`at_line`](Error::at_line).
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidInput {
            origin: None,
            field: None,
            message: message.into(),
        }
    }

    /// An [`Error::Limit`] without a position; see [`at_line`](Error::at_line).
    pub fn limit(what: impl Into<String>, found: u64, limit: u64) -> Self {
        Self::Limit {
            what: what.into(),
            found,
            limit,
            origin: None,
        }
    }

    /// An [`Error::Io`] for `path`; `action` is a verb such as `open`.
    pub fn io(path: impl AsRef<Path>, action: &'static str, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_path_buf(),
            action,
            source,
        }
    }

    /// An [`Error::Locked`], for implementations of [`Directory`](crate::store::Directory).
    pub fn locked(path: impl Into<PathBuf>) -> Self {
        Self::Locked { path: path.into() }
    }

    /// An [`Error::NoIndex`].
    pub(crate) fn no_index(path: impl Into<PathBuf>, found: &'static str) -> Self {
        Self::NoIndex {
            path: path.into(),
            found,
        }
    }

    /// An [`Error::Corrupt`]; `offset` counts bytes from the start of the section.
    pub fn corrupt(
        file: impl Into<String>,
        section: impl Into<String>,
        offset: u64,
        message: impl Into<String>,
    ) -> Self {
        Self::Corrupt {
            file: file.into(),
            section: section.into(),
            offset,
            message: message.into(),
            older_commit: None,
        }
    }

    /// An [`Error::Model`]; `path` is the file or folder, or empty if the error is not about one.
    pub fn model(path: impl AsRef<Path>, message: impl Into<String>) -> Self {
        Self::Model {
            path: path.as_ref().to_path_buf(),
            message: message.into(),
        }
    }

    /// An [`Error::Device`].
    pub fn device(message: impl Into<String>) -> Self {
        Self::Device {
            message: message.into(),
            out_of_memory: false,
        }
    }

    /// An [`Error::Device`]: the device lacks memory for `bytes` more, and has `free` bytes free.
    pub fn device_memory(bytes: u64, free: u64) -> Self {
        Self::Device {
            message: format!(
                "out of device memory: {bytes} bytes more are needed, {free} bytes are free; use smaller \
                 batches, or stop other programs that use the device"
            ),
            out_of_memory: true,
        }
    }

    /// An [`Error::Device`]: the machine lacks pinned memory for `bytes` more. As when the device's
    /// own memory runs out, smaller batches may succeed.
    #[cfg(feature = "cuda")]
    pub(crate) fn pinned_memory(bytes: u64) -> Self {
        Self::Device {
            message: format!(
                "out of pinned memory: {bytes} bytes more are needed to copy to and from the device; use smaller \
                 batches, or raise the limit of locked memory (`ulimit -l`)"
            ),
            out_of_memory: true,
        }
    }

    /// Adds the file and the line (from 1; 0 for the whole file) of the invalid input.
    ///
    /// Errors that are not about input, or already have a position, do not change.
    #[must_use]
    pub fn at_line(mut self, file: impl Into<String>, line: u64) -> Self {
        if let Self::InvalidInput { origin, .. } | Self::Limit { origin, .. } = &mut self
            && origin.is_none()
        {
            *origin = Some(Origin::new(file, line));
        }
        self
    }

    /// Adds the field of the document or the argument with the error.
    #[must_use]
    pub fn in_field(mut self, name: impl Into<String>) -> Self {
        let name = name.into();
        // A query of several queries is on no field.
        if let Self::InvalidInput { field, .. } = &mut self
            && field.is_none()
            && !name.is_empty()
        {
            *field = Some(name);
        }
        self
    }

    /// Adds to an [`Error::Corrupt`] the older commit that is still there.
    pub(crate) fn with_older_commit(mut self, commit: u64) -> Self {
        if let Self::Corrupt { older_commit, .. } = &mut self {
            *older_commit = Some(commit);
        }
        self
    }

    /// True for errors that a bulk load may skip: invalid input, as opposed to a broken disk or
    /// index.
    pub fn is_input(&self) -> bool {
        matches!(self, Self::InvalidInput { .. } | Self::Limit { .. })
    }

    /// True if a device ran out of memory: a smaller batch may succeed.
    pub fn is_device_memory(&self) -> bool {
        matches!(
            self,
            Self::Device {
                out_of_memory: true,
                ..
            }
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt {
                file,
                section,
                offset,
                message,
                older_commit,
            } => {
                write!(f, "{file}: section {section}, offset {offset}: {message}; ")?;
                if let Some(older) = older_commit {
                    write!(
                        f,
                        "commit {older} is still there: to return to it, and lose what was \
                         committed since, open the index with `IndexOptions::accept_older_commit`; \
                         otherwise "
                    )?;
                }
                f.write_str("restore the file or rebuild the index")
            }
            Self::TooNew {
                file,
                found,
                supported,
            } => write!(
                f,
                "{file}: written by a newer version ({found}); this build reads {supported}; \
                 upgrade esparsa to open it"
            ),
            Self::TooOld {
                file,
                found,
                supported,
            } => write!(
                f,
                "{file}: written by an older version ({found}); this build reads {supported}; \
                 rebuild the index"
            ),
            Self::Locked { path } => write!(
                f,
                "{}: another writer holds this index; close it, or wait for it to finish",
                path.display()
            ),
            Self::NoIndex { path, found } => write!(
                f,
                "{} is not an index: expected a folder with a file `manifest-…`, found {found}; \
                 check the path, or create an index there first",
                path.display()
            ),
            Self::Io {
                path,
                action,
                source,
            } => write!(f, "{}: cannot {action}: {source}", path.display()),
            Self::Limit {
                what,
                found,
                limit,
                origin,
            } => {
                write_origin(f, origin.as_ref())?;
                write!(f, "{what} is {found}, more than the limit of {limit}")
            }
            Self::InvalidInput {
                origin,
                field,
                message,
            } => {
                write_origin(f, origin.as_ref())?;
                if let Some(field) = field {
                    write!(f, "field `{field}`: ")?;
                }
                f.write_str(message)
            }
            Self::Model { path, message } => match path.as_os_str().is_empty() {
                true => f.write_str(message),
                false => write!(f, "{}: {message}", path.display()),
            },
            Self::Device { message, .. } => f.write_str(message),
            Self::Cancelled { work } => write!(f, "{work} was cancelled"),
            Self::Poisoned { message } => write!(
                f,
                "this writer stopped after an earlier error ({message}); \
                 open a new writer, which starts from the last commit"
            ),
        }
    }
}

fn write_origin(f: &mut fmt::Formatter<'_>, origin: Option<&Origin>) -> fmt::Result {
    match origin {
        Some(origin) => write!(f, "{origin}: "),
        None => Ok(()),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_file_and_line() {
        let error = Error::invalid("weight is NaN")
            .in_field("vector")
            .at_line("a.jsonl", 7);
        assert_eq!(
            error.to_string(),
            "a.jsonl:7: field `vector`: weight is NaN"
        );
    }

    #[test]
    fn the_first_position_is_kept() {
        let error = Error::limit("document", 9, 8)
            .at_line("a", 1)
            .at_line("b", 2);
        assert!(error.to_string().starts_with("a:1: "));
    }
}
