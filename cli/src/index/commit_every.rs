//! How often a load commits.

use std::str::FromStr;
use std::time::{Duration, Instant};

use esparsa::{Error, Result};

use crate::size::Size;

/// Approximate amount between two commits; a load commits between chunks of input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitEvery {
    /// Number of documents.
    Documents(u64),
    /// Bytes of input, decompressed.
    Bytes(u64),
    /// Time.
    Time(Duration),
}

impl FromStr for CommitEvery {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        let digits = text
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number = number.parse::<u64>().ok();
        let seconds = match unit.trim() {
            "s" | "sec" => Some(1),
            "min" => Some(60),
            "h" => Some(3_600),
            _ => None,
        };
        let every = match (number, seconds) {
            (Some(number), Some(seconds)) => number
                .checked_mul(seconds)
                .map(|seconds| Self::Time(Duration::from_secs(seconds))),
            (Some(number), None) if unit.is_empty() => Some(Self::Documents(number)),
            // `m` could mean megabytes or minutes.
            _ if unit.trim().eq_ignore_ascii_case("m") => None,
            _ => text.parse().ok().map(|size: Size| Self::Bytes(size.0)),
        };
        let is_some = |every: &Self| {
            !matches!(
                every,
                Self::Documents(0) | Self::Bytes(0) | Self::Time(Duration::ZERO)
            )
        };
        every.filter(is_some).ok_or_else(|| {
            Error::invalid(format!(
                "expected a number of documents such as 100000, a size such as 1GB, or a time such as 30s, 5min or 2h, found \
                 `{text}`"
            ))
        })
    }
}

/// What was loaded since the last commit.
#[derive(Clone, Copy, Debug)]
pub struct SinceCommit {
    documents: u64,
    bytes: u64,
    started: Instant,
}

impl SinceCommit {
    /// Nothing.
    pub fn new() -> Self {
        Self {
            documents: 0,
            bytes: 0,
            started: Instant::now(),
        }
    }

    /// Adds documents, and bytes of input.
    pub fn add(&mut self, documents: u64, bytes: u64) {
        self.documents += documents;
        self.bytes += bytes;
    }

    /// True if it is time to commit.
    pub fn is_due(&self, every: CommitEvery) -> bool {
        match every {
            CommitEvery::Documents(documents) => self.documents >= documents,
            CommitEvery::Bytes(bytes) => self.bytes >= bytes,
            CommitEvery::Time(time) => self.started.elapsed() >= time && self.documents > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_sizes_and_times_are_told_by_their_units() {
        let time = |seconds| CommitEvery::Time(Duration::from_secs(seconds));
        for (text, expected) in [
            ("100000", CommitEvery::Documents(100_000)),
            ("1GB", CommitEvery::Bytes(1_000_000_000)),
            ("1.5 GiB", CommitEvery::Bytes(3 << 29)),
            ("30s", time(30)),
            ("5min", time(300)),
            ("2 h", time(7_200)),
        ] {
            assert_eq!(text.parse::<CommitEvery>().unwrap(), expected, "{text}");
        }
        for text in ["", "0", "0s", "0MB", "5m", "5 M", "often", "-1", "1 week"] {
            let message = text.parse::<CommitEvery>().unwrap_err().to_string();
            assert!(message.contains("5min"), "{text}: {message}");
        }
    }

    #[test]
    fn a_commit_is_due_when_enough_was_loaded() {
        let mut since = SinceCommit::new();
        assert!(!since.is_due(CommitEvery::Time(Duration::ZERO)));
        since.add(10, 500);
        assert!(since.is_due(CommitEvery::Documents(10)));
        assert!(!since.is_due(CommitEvery::Documents(11)));
        assert!(since.is_due(CommitEvery::Bytes(500)));
        assert!(!since.is_due(CommitEvery::Bytes(501)));
        assert!(since.is_due(CommitEvery::Time(Duration::ZERO)));
    }
}
