//! Counts of requests.

use std::sync::atomic::{AtomicU64, Ordering};

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Get,
    Head,
    List,
    Put,
    Delete,
}

/// Requests that a directory sent, attempts counted one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestCounts {
    /// Reads of an object or a part of it.
    pub gets: u64,
    /// Lookups of an object.
    pub heads: u64,
    /// Listings of the folder.
    pub lists: u64,
    /// Objects that were sent, or copied inside the store.
    pub puts: u64,
    /// Objects that were removed.
    pub deletes: u64,
    /// Bytes that arrived.
    pub bytes_read: u64,
    /// Bytes that were sent.
    pub bytes_written: u64,
}

impl RequestCounts {
    /// Requests of every kind.
    pub fn total(&self) -> u64 {
        self.gets + self.heads + self.lists + self.puts + self.deletes
    }

    /// What was added since an earlier count.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            gets: self.gets - earlier.gets,
            heads: self.heads - earlier.heads,
            lists: self.lists - earlier.lists,
            puts: self.puts - earlier.puts,
            deletes: self.deletes - earlier.deletes,
            bytes_read: self.bytes_read - earlier.bytes_read,
            bytes_written: self.bytes_written - earlier.bytes_written,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Requests {
    /// By [`Kind`].
    sent: [AtomicU64; 5],
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
}

impl Requests {
    pub fn sent(&self, kind: Kind) {
        self.sent[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub fn read(&self, bytes: usize) {
        self.bytes_read.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn wrote(&self, bytes: usize) {
        self.bytes_written
            .fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn counts(&self) -> RequestCounts {
        let of = |kind: Kind| self.sent[kind as usize].load(Ordering::Relaxed);
        RequestCounts {
            gets: of(Kind::Get),
            heads: of(Kind::Head),
            lists: of(Kind::List),
            puts: of(Kind::Put),
            deletes: of(Kind::Delete),
            bytes_read: self.bytes_read.load(Ordering::Relaxed),
            bytes_written: self.bytes_written.load(Ordering::Relaxed),
        }
    }
}
