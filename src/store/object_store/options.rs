//! How an object store is used.

use std::path::PathBuf;
use std::time::Duration;

/// Options of an [`ObjectStore`](super::ObjectStore): its local cache, how soon new commits are
/// seen, how long removed files stay, and what requests may cost.
///
/// ```
/// use std::time::Duration;
///
/// use esparsa::store::ObjectStoreOptions;
///
/// let options = ObjectStoreOptions::new()
///     .cache("/var/cache/search")
///     .cache_bytes(100 << 30)
///     .refresh(Duration::from_secs(10));
/// ```
#[derive(Clone, Debug)]
pub struct ObjectStoreOptions {
    pub(super) cache: Option<PathBuf>,
    pub(super) cache_bytes: u64,
    pub(super) refresh: Duration,
    pub(super) keep_removed: Duration,
    pub(super) attempts: u32,
    pub(super) timeout: Duration,
    pub(super) max_requests: usize,
}

impl ObjectStoreOptions {
    /// A temporary cache of at most 8 GiB, commits seen after at most a second, removed files kept
    /// for ten minutes, five attempts of 30 seconds a request, and 64 requests at once.
    pub fn new() -> Self {
        Self {
            cache: None,
            cache_bytes: 8 << 30,
            refresh: Duration::from_secs(1),
            keep_removed: Duration::from_secs(600),
            attempts: 5,
            timeout: Duration::from_secs(30),
            max_requests: 64,
        }
    }

    /// The folder of the cache, which later processes use too and other indexes may share. Without it
    /// the cache is a temporary folder, removed at the end. Whoever can write to the folder can
    /// change what searches find.
    #[must_use]
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// The bytes that the cache may hold.
    ///
    /// Where the cache is full, files that nobody has open are dropped first, then the segments that
    /// were opened first: the next snapshot opens them anew, and the space is free when older
    /// snapshots are gone. So a cache should be at least as large as the part of the index that
    /// queries touch.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> Self {
        self.cache_bytes = bytes;
        self
    }

    /// How long a lookup of the newest commit counts: taking a snapshot more often sends no request.
    #[must_use]
    pub fn refresh(mut self, time: Duration) -> Self {
        self.refresh = time;
        self
    }

    /// How long a writer keeps files that the newest commit does not need. A snapshot in another
    /// process that is older than this may meet a missing file, which is an error.
    #[must_use]
    pub fn keep_removed(mut self, time: Duration) -> Self {
        self.keep_removed = time;
        self
    }

    /// How often a request is tried when the store or the network fails, at least once.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How long an attempt to read may take. Uploads may take as long as the store allows.
    #[must_use]
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    /// How many reads may run at once, at least one.
    #[must_use]
    pub fn max_requests(mut self, requests: usize) -> Self {
        self.max_requests = requests.max(1);
        self
    }
}

impl Default for ObjectStoreOptions {
    fn default() -> Self {
        Self::new()
    }
}
