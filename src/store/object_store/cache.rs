//! The local cache: one sparse file for each remote file, filled where it was read.
//!
//! A file gets its name after the end of the remote file was written to it, and behind it the
//! checksum of that end. What else of it is there, its readers find out by the checksums of the
//! index, so several processes may share the folder, and neither a crash nor damage does harm.

use std::fs::{self, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use api::ObjectMeta;
use tempfile::{NamedTempFile, TempDir};

use super::{ObjectStoreOptions, TAIL_BYTES, api};
use crate::bytes::{Bytes, FileHandle};
use crate::error::{Error, Result};
use crate::store::file_system;

pub(super) struct Cache {
    folder: PathBuf,
    /// Removes the folder when it is dropped.
    _temporary: Option<TempDir>,
    /// Distinguishes the indexes that share the folder.
    address: u64,
    max_bytes: u64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Bytes of all files of the folder, as far as this process knows.
    used: u64,
    /// Files that somebody may have open, in the order in which they were opened.
    open: Vec<Weak<CachedFile>>,
}

/// The local copy of a remote file.
pub(super) struct CachedFile {
    path: PathBuf,
    file: File,
    mapped: Bytes,
    /// With the checksum of the end.
    whole: Bytes,
    evicted: AtomicBool,
}

impl CachedFile {
    /// Bytes of the remote file.
    pub fn len(&self) -> u64 {
        FileHandle::len(&self.mapped)
    }

    pub fn bytes(&self) -> Bytes {
        self.mapped.clone()
    }

    pub fn is_evicted(&self) -> bool {
        self.evicted.load(Ordering::Relaxed)
    }

    /// Removes the file; whoever has it open keeps it. False if that fails.
    pub fn evict(&self) -> bool {
        self.evicted.store(true, Ordering::Relaxed);
        fs::remove_file(&self.path).is_ok()
    }

    /// Whether the end of the file is as it was written.
    fn has_end(&self) -> bool {
        let end = self.whole.iter().len() - CHECKSUM_BYTES as usize;
        let tail = self
            .mapped
            .get(end.saturating_sub(TAIL_BYTES as usize)..end);
        let checksum = self.whole.get(end..end + CHECKSUM_BYTES as usize);
        tail.zip(checksum)
            .is_some_and(|(tail, checksum)| crc32c::crc32c(tail).to_le_bytes() == *checksum)
    }
}

impl Cache {
    pub fn open(options: &ObjectStoreOptions, address: &str) -> Result<Self> {
        let (folder, temporary) = match &options.cache {
            Some(folder) => {
                fs::create_dir_all(folder).map_err(|e| Error::io(folder, "create", e))?;
                (folder.clone(), None)
            }
            None => {
                let made = tempfile::Builder::new().prefix("esparsa-cache-").tempdir();
                let made = made.map_err(|e| Error::io(std::env::temp_dir(), "create", e))?;
                (made.path().to_path_buf(), Some(made))
            }
        };
        let cache = Self {
            folder,
            _temporary: temporary,
            address: hash(address),
            max_bytes: options.cache_bytes,
            state: Mutex::default(),
        };
        cache.remove_unfinished();
        let used = cache.files()?.iter().map(|file| file.bytes).sum();
        cache.state().used = used;
        Ok(cache)
    }

    /// Removes files of uploads that ended with their process, a day after they were written.
    fn remove_unfinished(&self) {
        const OLD: std::time::Duration = std::time::Duration::from_secs(86_400);
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let is_upload = name.to_str().is_some_and(|name| name.starts_with(UPLOAD));
            let modified = entry.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|modified| modified.elapsed().ok());
            if is_upload && age.is_some_and(|age| age > OLD) {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// An unnamed file for data that does not fit in memory.
    pub fn scratch(&self) -> Result<File> {
        tempfile::tempfile_in(&self.folder).map_err(|e| self.error("create a file in", e))
    }

    /// A file that is removed when it is dropped.
    pub fn temporary(&self) -> Result<NamedTempFile> {
        let made = tempfile::Builder::new()
            .prefix(UPLOAD)
            .tempfile_in(&self.folder);
        made.map_err(|e| self.error("create a file in", e))
    }

    /// The copy of a remote file, if there is one.
    pub fn find(&self, name: &str, meta: &ObjectMeta) -> Result<Option<Arc<CachedFile>>> {
        let path = self.path(name, meta);
        let open = |cached: &Weak<CachedFile>| {
            cached
                .upgrade()
                .filter(|c| c.path == path && !c.is_evicted())
        };
        if let Some(open) = self.state().open.iter().find_map(open) {
            return Ok(Some(open));
        }
        let file = match OpenOptions::new().read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path, "open", error)),
        };
        let length = file.metadata().map_err(|e| Error::io(&path, "open", e))?;
        if length.len() == meta.size + CHECKSUM_BYTES {
            // The files that were used last are kept longest.
            let _ = file.set_modified(SystemTime::now());
            let cached = self.register(path.clone(), file)?;
            if cached.has_end() {
                return Ok(Some(cached));
            }
        }
        let _ = fs::remove_file(&path);
        Ok(None)
    }

    /// Creates the copy of a remote file with its end.
    pub fn create(&self, name: &str, meta: &ObjectMeta, tail: &[u8]) -> Result<Arc<CachedFile>> {
        let file = self.temporary()?;
        let filled = file
            .as_file()
            .set_len(meta.size)
            .and_then(|()| write_at(file.as_file(), tail, meta.size - TAIL_BYTES));
        filled.map_err(|e| self.error("write to", e))?;
        self.adopt(name, meta, file)
    }

    /// Makes a file the copy of a remote one whose end, at least, it holds.
    pub fn adopt(
        &self,
        name: &str,
        meta: &ObjectMeta,
        file: NamedTempFile,
    ) -> Result<Arc<CachedFile>> {
        let path = self.path(name, meta);
        let sealed = seal(file.as_file(), meta.size);
        sealed.map_err(|e| self.error("write to", e))?;
        let named = file.persist(&path);
        let file = named.map_err(|e| Error::io(&path, "create", e.error))?;
        let cached = self.register(path, file)?;
        let stored = cached.file.metadata();
        self.state().used += stored.map_or(0, |metadata| stored_bytes(&metadata));
        self.make_room();
        Ok(cached)
    }

    fn register(&self, path: PathBuf, file: File) -> Result<Arc<CachedFile>> {
        let whole = file_system::map(&file).map_err(|e| Error::io(&path, "map", e))?;
        let whole = Bytes::from_owner(whole);
        let length = whole.iter().len();
        let mapped = whole.slice(0..length.saturating_sub(CHECKSUM_BYTES as usize));
        let cached = Arc::new(CachedFile {
            path,
            file,
            mapped: mapped.unwrap_or_else(|| Bytes::from(Vec::new())),
            whole,
            evicted: AtomicBool::new(false),
        });
        let mut state = self.state();
        state.open.retain(|cached| cached.strong_count() > 0);
        state.open.push(Arc::downgrade(&cached));
        Ok(cached)
    }

    /// Writes bytes to a copy.
    pub fn keep(&self, cached: &CachedFile, start: u64, bytes: &[u8]) -> Result<()> {
        let written = write_at(&cached.file, bytes, start);
        written.map_err(|e| Error::io(&cached.path, "write", e))?;
        let length = bytes.len() as u64;
        if !cached.is_evicted() {
            self.state().used += length;
            self.make_room();
        }
        Ok(())
    }

    /// Removes files until the cache is a tenth below its limit, if it is above.
    fn make_room(&self) {
        if self.state().used <= self.max_bytes {
            return;
        }
        let Ok(mut files) = self.files() else {
            return;
        };
        let open: Vec<Arc<CachedFile>> =
            self.state().open.iter().filter_map(Weak::upgrade).collect();
        let place = |path: &Path| open.iter().position(|cached| cached.path == path);
        // Closed files first, those first that were not used for the longest time.
        files.sort_by_key(|file| (place(&file.path), file.modified));
        let mut used: u64 = files.iter().map(|file| file.bytes).sum();
        for file in files {
            if used <= self.max_bytes - self.max_bytes / 10 {
                break;
            }
            if fs::remove_file(&file.path).is_ok() {
                used -= file.bytes;
                if let Some(place) = place(&file.path) {
                    open[place].evicted.store(true, Ordering::Relaxed);
                }
            }
        }
        self.state().used = used;
    }

    /// The files of the folder that are copies, of any index.
    fn files(&self) -> Result<Vec<Entry>> {
        let failed = |error| self.error("list", error);
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let is_copy = name.to_str().is_some_and(|name| name.starts_with(PREFIX));
            // Another process may have removed it.
            if let (true, Ok(metadata)) = (is_copy, entry.metadata()) {
                files.push(Entry {
                    path: entry.path(),
                    bytes: stored_bytes(&metadata),
                    modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                });
            }
        }
        Ok(files)
    }

    /// The path of the copy of this content of a file.
    fn path(&self, name: &str, meta: &ObjectMeta) -> PathBuf {
        let version = super::version_of(meta).0;
        let content = hash(version);
        let (address, size) = (self.address, meta.size);
        self.folder.join(format!(
            "{PREFIX}{address:016x}-{name}-{size}-{content:016x}"
        ))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn error(&self, action: &'static str, error: io::Error) -> Error {
        Error::io(&self.folder, action, error)
    }
}

const PREFIX: &str = "esparsa-";
const UPLOAD: &str = "upload-";
/// Of the end of the file.
const CHECKSUM_BYTES: u64 = 4;

struct Entry {
    path: PathBuf,
    bytes: u64,
    modified: SystemTime,
}

/// A hash that is the same in every process of one version of this library; if a later version has
/// another, files are fetched again.
pub(super) fn hash(value: impl Hash) -> u64 {
    #[expect(
        deprecated,
        reason = "the other hasher of the standard library has random keys"
    )]
    let mut hasher = std::hash::SipHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Writes the checksum of the end of a file behind it.
fn seal(file: &File, size: u64) -> io::Result<()> {
    let mapped = file_system::map(file)?;
    let bytes: &[u8] = (*mapped).as_ref();
    let end = usize::try_from(size).map_err(io::Error::other)?;
    let tail = bytes.get(end.saturating_sub(TAIL_BYTES as usize)..end);
    let tail = tail.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    write_at(file, &crc32c::crc32c(tail).to_le_bytes(), size)
}

#[cfg(unix)]
fn write_at(file: &File, bytes: &[u8], start: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, start)
}

#[cfg(windows)]
fn write_at(file: &File, mut bytes: &[u8], mut start: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = std::os::windows::fs::FileExt::seek_write(file, bytes, start)?;
        bytes = &bytes[written..];
        start += written as u64;
    }
    Ok(())
}

/// The bytes of a file without its holes.
#[cfg(unix)]
fn stored_bytes(metadata: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(metadata) * 512
}

#[cfg(not(unix))]
fn stored_bytes(metadata: &fs::Metadata) -> u64 {
    metadata.len()
}
