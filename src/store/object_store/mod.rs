//! A directory in an object store: S3, Google Cloud Storage, Azure, plain HTTP, or any other store
//! of the crate [`object_store`].
//!
//! - Files are created by conditional puts, so of two writers that commit at once one fails.
//! - Segments are read by ranges: a query fetches the chunks that it needs, and a bounded local
//!   cache keeps them, for later processes too.
//! - Files that no commit needs any more are removed after a delay, because readers in other
//!   processes may still fetch parts of them.

mod cache;
mod create;
mod file_list;
mod known;
mod options;
mod read;
mod remote_file;
mod requests;
mod upload;
#[cfg(feature = "cloud")]
mod url;

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ::object_store as api;
use api::path::Path;
use api::{ObjectMeta, ObjectStoreExt, PutPayload};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use self::cache::Cache;
use self::known::Known;
pub use self::options::ObjectStoreOptions;
use self::remote_file::RemoteFile;
pub use self::requests::RequestCounts;
use self::requests::{Kind, Requests};
use super::{
    Bytes, Directory, FileHandle, FileSink, FileVersion, Lock, Removal, Scratch, is_missing,
};
use crate::error::{Error, Result};

/// Files up to this size are read whole when they are opened; of longer ones, this much of the end.
const TAIL_BYTES: u64 = 256 << 10;

/// The folder of an index in an object store. Clones share it.
///
/// A writer does not lock out writers of other processes: of two that commit at once, one gets an
/// error, and its documents must be added again. Readers see a commit at most
/// [`refresh`](ObjectStoreOptions::refresh) after it was made.
///
/// ```
/// use std::sync::Arc;
///
/// use esparsa::store::{ObjectStore, ObjectStoreOptions};
/// use esparsa::{Document, Index, IndexOptions, Schema, Text};
///
/// let store = Arc::new(object_store::memory::InMemory::new());
/// let directory = ObjectStore::new(store, "indexes/volcanoes", ObjectStoreOptions::new())?;
/// let schema = Schema::builder().text("text", Text::new()).build()?;
/// let index = Index::create_in(Arc::new(directory), schema, IndexOptions::new())?;
/// let mut writer = index.writer()?;
/// writer.add(Document::new("etna").with_text("text", "lava"))?;
/// writer.commit()?;
/// assert_eq!(index.snapshot()?.documents(), 1);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone)]
pub struct ObjectStore {
    shared: Arc<Shared>,
}

/// What the clones of a directory, its files and its requests share.
struct Shared {
    store: Arc<dyn api::ObjectStore>,
    prefix: Path,
    /// For messages and names in the cache; without credentials.
    address: String,
    /// The same for folders that objects can be copied between, if it is known.
    store_identity: Option<String>,
    options: ObjectStoreOptions,
    /// True if the host lists nothing, as a plain HTTP server: a file does.
    has_file_list: bool,
    runtime: Option<Runtime>,
    permits: Semaphore,
    cache: Cache,
    requests: Requests,
    known: Mutex<Known>,
    locked: AtomicBool,
    /// The process that has the threads for requests.
    process: u32,
}

impl fmt::Debug for ObjectStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ObjectStore({})", self.shared.address)
    }
}

impl ObjectStore {
    /// The folder `prefix` of a store. The folder need not exist: object stores have none.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when `prefix` is no path of an object store; [`Error::Io`] when the
    /// folder of the cache cannot be created.
    pub fn new(
        store: Arc<dyn api::ObjectStore>,
        prefix: &str,
        options: ObjectStoreOptions,
    ) -> Result<Self> {
        let address = format!("{store}/{prefix}");
        let prefix = Path::parse(prefix).map_err(|error| {
            Error::invalid(format!("expected a path of an object store: {error}"))
        })?;
        Self::with_address((store, prefix), address, options, (None, false))
    }

    fn with_address(
        (store, prefix): (Arc<dyn api::ObjectStore>, Path),
        address: String,
        options: ObjectStoreOptions,
        (store_identity, has_file_list): (Option<String>, bool),
    ) -> Result<Self> {
        let failed = |error| Error::io(&address, "start threads for requests to", error);
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("esparsa-requests")
            .enable_all()
            .build()
            .map_err(failed)?;
        let cache = Cache::open(&options, &address)?;
        Ok(Self {
            shared: Arc::new(Shared {
                store,
                prefix,
                permits: Semaphore::new(options.max_requests),
                address,
                store_identity,
                options,
                has_file_list,
                runtime: Some(runtime),
                cache,
                requests: Requests::default(),
                known: Mutex::default(),
                locked: AtomicBool::new(false),
                process: std::process::id(),
            }),
        })
    }

    /// The requests since the directory was opened, and their bytes. Requests that a store repeats
    /// by itself are not counted.
    pub fn requests(&self) -> RequestCounts {
        self.shared.requests.counts()
    }
}

impl Shared {
    /// False in a child made by `fork`.
    fn is_own_process(&self) -> bool {
        std::process::id() == self.process
    }

    fn location(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    fn path(&self, name: &str) -> PathBuf {
        PathBuf::from(&self.address).join(name)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // Every change is complete at any time, so the state is consistent after a panic.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, name: &str, action: &'static str, error: api::Error) -> Error {
        let kind = match &error {
            // What was listed was replaced: the file that was asked for is gone.
            api::Error::NotFound { .. } | api::Error::Precondition { .. } => ErrorKind::NotFound,
            api::Error::AlreadyExists { .. } => ErrorKind::AlreadyExists,
            api::Error::PermissionDenied { .. } | api::Error::Unauthenticated { .. } => {
                ErrorKind::PermissionDenied
            }
            _ => ErrorKind::Other,
        };
        Error::io(self.path(name), action, std::io::Error::new(kind, error))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The last user may be a request, whose thread must not wait for itself.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn version_of(meta: &ObjectMeta) -> FileVersion {
    let tag = meta.e_tag.as_deref().or(meta.version.as_deref());
    let modified = meta.last_modified.timestamp_nanos_opt().unwrap_or(0);
    // Without a tag, the time of the last change has to do.
    let modified = if tag.is_some() { 0 } else { modified };
    FileVersion([
        cache::hash(tag.unwrap_or_default()),
        meta.size,
        modified.cast_unsigned(),
        0,
    ])
}

impl Directory for ObjectStore {
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>> {
        let file = upload::Upload::new(self.shared.clone(), name)?;
        Ok(Box::new(file))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        let known = self.shared.known().objects.get(name).cloned();
        let meta = match known {
            Some(meta) => Some(meta),
            None => self.shared.look_up(name)?,
        };
        let Some(meta) = meta else {
            let missing = ErrorKind::NotFound.into();
            return Err(Error::io(self.shared.path(name), "open", missing));
        };
        let opened = RemoteFile::open(&self.shared, name, &meta);
        if opened.as_ref().is_err_and(is_missing) {
            self.shared.forget(name);
        }
        opened
    }

    fn will_open(&self, names: &[String]) {
        let mut known = self.shared.known();
        // What was not opened the last time is not wanted.
        known.read.clear();
        let files = names.iter().filter_map(|name| {
            let meta = known.objects.get(name)?;
            Some((name.clone(), meta.clone()))
        });
        let files: Vec<_> = files.collect();
        drop(known);
        // One file is opened as soon without this.
        if files.len() > 1 {
            RemoteFile::will_open(&self.shared, files);
        }
    }

    fn version(&self, name: &str) -> Result<Option<FileVersion>> {
        Ok(self.shared.look_up(name)?.as_ref().map(version_of))
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        self.shared.put(name, &PutPayload::from(bytes.to_vec()))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let location = self.shared.location(name);
        let removed = self.shared.wait(Kind::Delete, |shared| {
            let location = location.clone();
            async move { shared.store.delete(&location).await }
        });
        match removed {
            Ok(()) => {
                self.shared.removed(name);
                Ok(())
            }
            Err(error) => {
                self.shared.forget(name);
                Err(self.shared.error(name, "remove", error))
            }
        }
    }

    fn list(&self) -> Result<Vec<String>> {
        self.shared.list()
    }

    fn sync(&self) -> Result<()> {
        // A request that was answered is durable.
        Ok(())
    }

    fn removal(&self, has_published: bool) -> Result<Removal> {
        let delay = self.shared.options.keep_removed;
        // Another writer may be about to commit what it wrote, unless this one's commit has made
        // that impossible.
        if !has_published {
            return Ok(Removal::NotNow);
        }
        {
            let mut known = self.shared.known();
            let often = delay.min(Duration::from_secs(60));
            if known
                .cleaned
                .is_some_and(|cleaned| cleaned.elapsed() < often)
            {
                return Ok(Removal::NotNow);
            }
            known.cleaned = Some(Instant::now());
        }
        self.list()?;
        let known = self.shared.known();
        // By the clock of the store, except for what this process has just created.
        let times = known.objects.values().map(|meta| meta.last_modified);
        let now = times.max().unwrap_or_default();
        let ages = known.objects.iter().map(|(name, meta)| {
            let age = (now - meta.last_modified).to_std();
            (name.clone(), age.unwrap_or_default())
        });
        let ages = ages.collect();
        Ok(Removal::After { delay, ages })
    }

    fn lock(&self) -> Result<Box<dyn Lock>> {
        if self.shared.locked.swap(true, Ordering::AcqRel) {
            return Err(Error::Locked { path: self.path() });
        }
        Ok(Box::new(ProcessLock(self.shared.clone())))
    }

    fn scratch(&self) -> Result<Box<dyn Scratch>> {
        Ok(Box::new(self.shared.cache.scratch()?))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(&self.shared.address)
    }

    fn import(&self, source: &dyn Directory, source_name: &str, name: &str) -> Result<()> {
        if let Some(source) = source.as_object_store()
            && self.copy_inside(source, source_name, name)?
        {
            return Ok(());
        }
        super::copy(source, source_name, self, name)
    }

    fn as_object_store(&self) -> Option<&ObjectStore> {
        Some(self)
    }
}

/// Excludes the writers of this process alone.
struct ProcessLock(Arc<Shared>);

impl fmt::Debug for ProcessLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ProcessLock({})", self.0.address)
    }
}

impl Lock for ProcessLock {
    fn is_held(&self) -> bool {
        self.0.is_own_process()
    }
}

impl Drop for ProcessLock {
    fn drop(&mut self) {
        self.0.locked.store(false, Ordering::Release);
    }
}

/// The bytes of an object, without a copy.
fn bytes_of(bytes: bytes::Bytes) -> Bytes {
    Bytes::from_owner(Arc::new(bytes))
}
