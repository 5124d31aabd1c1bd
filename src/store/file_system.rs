//! A directory on the local file system.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::publish::{WAYS, Way, is_same_file, is_unsupported, temporary_name};
use super::{Bytes, Directory, FileHandle, FileSink, FileVersion, Lock, Scratch};
use crate::error::{Error, Result};

const LOCK_FILE: &str = "lock";

/// A folder of the local file system. Files are read through memory maps.
#[derive(Clone, Debug)]
pub struct FileSystem {
    root: PathBuf,
}

impl FileSystem {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it does not exist or is not a folder.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let root = path.as_ref().to_path_buf();
        let metadata = fs::metadata(&root).map_err(|e| Error::io(&root, "open", e))?;
        if !metadata.is_dir() {
            let error = io::Error::new(io::ErrorKind::NotADirectory, "it is not a folder");
            return Err(Error::io(&root, "open", error));
        }
        Ok(Self { root })
    }

    /// Opens the folder at `path`; creates it and its parents if they do not exist. The names of
    /// the created folders are made durable, so a power loss does not lose the index with its
    /// folder.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it cannot be created.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let root = path.as_ref();
        create_folders(root, sync_folder)?;
        Self::open(root)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes the file under a temporary name and gives it its final one in the first of `ways`
    /// that the file system supports: see [`publish`](super::publish).
    fn publish_by(&self, ways: &[Way], name: &str, bytes: &[u8]) -> Result<bool> {
        let temporary = temporary_name(name);
        let (from, to) = (self.at(&temporary), self.at(name));
        let named = self.write_whole(&temporary, bytes).and_then(|()| {
            for way in ways {
                match way(&from, &to) {
                    Ok(()) => return Ok(true),
                    // A network file system may carry out a link, lose the answer and repeat it.
                    Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                        return Ok(is_same_file(&from, &to));
                    }
                    Err(e) if is_unsupported(&e) => {}
                    Err(e) => return Err(Error::io(&to, "publish", e)),
                }
            }
            self.publish_in_place(name, bytes)
        });
        // It is a second name of the same file, or an unused file: no reason to fail.
        let _ = self.remove(&temporary);
        if named? {
            self.sync()?;
            return Ok(true);
        }
        Ok(false)
    }

    /// The last way to publish: for file systems that cannot give a finished file a free name.
    fn publish_in_place(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        match self.create(name) {
            Ok(file) => {
                let written = self.finish(file, name, bytes);
                if written.is_err() {
                    // This attempt has created the file, so it is not another writer's.
                    let _ = self.remove(name);
                }
                written.map(|()| true)
            }
            Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    fn write_whole(&self, name: &str, bytes: &[u8]) -> Result<()> {
        self.finish(self.create(name)?, name, bytes)
    }

    fn finish(&self, mut file: Box<dyn FileSink>, name: &str, bytes: &[u8]) -> Result<()> {
        let written = file.write_all(bytes).and_then(|()| file.sync());
        written.map_err(|e| Error::io(self.at(name), "write", e))
    }
}

impl Directory for FileSystem {
    fn create(&self, name: &str) -> Result<Box<dyn FileSink>> {
        let path = self.at(name);
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(|e| Error::io(&path, "create", e))?;
        Ok(Box::new(BufferedFile {
            file,
            buffer: Vec::with_capacity(BUFFER_BYTES),
        }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn FileHandle>> {
        let path = self.at(name);
        let file = regular(&path, true).map_err(|e| Error::io(&path, "open", e))?;
        let mapped = map(&file).map_err(|e| Error::io(&path, "map", e))?;
        Ok(Arc::new(Bytes::from_owner(mapped)))
    }

    fn version(&self, name: &str) -> Result<Option<FileVersion>> {
        let path = self.at(name);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(version_of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io(&path, "look up", error)),
        }
    }

    fn publish(&self, name: &str, bytes: &[u8]) -> Result<bool> {
        self.publish_by(&WAYS, name, bytes)
    }

    fn remove(&self, name: &str) -> Result<()> {
        fs::remove_file(self.at(name)).map_err(|e| Error::io(self.at(name), "remove", e))
    }

    fn list(&self) -> Result<Vec<String>> {
        let failed = |e| Error::io(&self.root, "list", e);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // File names of an index are UTF-8, so others are foreign files.
            names.extend(entry.file_name().into_string().ok());
        }
        names.sort();
        Ok(names)
    }

    fn sync(&self) -> Result<()> {
        sync_folder(&self.root)
    }

    fn lock(&self) -> Result<Box<dyn Lock>> {
        let path = self.at(LOCK_FILE);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let file = without_waiting(&mut options, true).open(&path);
        let file = file.and_then(expect_regular);
        let file = file.map_err(|e| Error::io(&path, "open", e))?;
        match file.try_lock() {
            Ok(()) => Ok(Box::new(FileLock {
                file,
                process: std::process::id(),
            })),
            Err(TryLockError::WouldBlock) => Err(Error::Locked {
                path: self.root.clone(),
            }),
            Err(TryLockError::Error(e)) => Err(Error::io(&path, "lock", e)),
        }
    }

    fn scratch(&self) -> Result<Box<dyn Scratch>> {
        let file = tempfile::tempfile_in(&self.root);
        let file = file.map_err(|e| Error::io(&self.root, "create a scratch file in", e))?;
        Ok(Box::new(file))
    }

    fn path(&self) -> PathBuf {
        self.root.clone()
    }

    fn local_path(&self, name: &str) -> Option<PathBuf> {
        Some(self.at(name))
    }

    fn import(&self, source: &dyn Directory, source_name: &str, name: &str) -> Result<()> {
        let path = self.at(name);
        let local = source.local_path(source_name);
        if local.is_none_or(|local| fs::hard_link(local, &path).is_err()) {
            return super::copy(source, source_name, self, name);
        }
        OpenOptions::new()
            .read(true)
            .open(&path)
            .and_then(|file| file.sync_all())
            .map_err(|e| Error::io(&path, "fsync", e))
    }
}

#[cfg(unix)]
fn version_of(metadata: &fs::Metadata) -> FileVersion {
    use std::os::unix::fs::MetadataExt;
    let time = |seconds: i64, nanoseconds: i64| {
        let seconds = seconds.cast_unsigned().wrapping_mul(1_000_000_000);
        seconds.wrapping_add(nanoseconds.cast_unsigned())
    };
    let changed = time(metadata.ctime(), metadata.ctime_nsec());
    let modified = time(metadata.mtime(), metadata.mtime_nsec());
    FileVersion([
        metadata.ino() ^ metadata.dev().rotate_left(32),
        metadata.len(),
        modified,
        changed,
    ])
}

#[cfg(not(unix))]
fn version_of(metadata: &fs::Metadata) -> FileVersion {
    let nanoseconds = |time: io::Result<std::time::SystemTime>| {
        let since = time
            .ok()
            .and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
        since.map_or(0, |since| since.as_nanos() as u64)
    };
    let (created, modified) = (metadata.created(), metadata.modified());
    FileVersion([
        0,
        metadata.len(),
        nanoseconds(modified),
        nanoseconds(created),
    ])
}

/// Creates a folder and its missing parents, and calls `sync` with each folder that got a new
/// entry, the deepest first.
fn create_folders(root: &Path, sync: impl Fn(&Path) -> Result<()>) -> Result<()> {
    let missing: Vec<&Path> = root
        .ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .collect();
    fs::create_dir_all(root).map_err(|e| Error::io(root, "create", e))?;
    for folder in missing {
        // The parent of a relative path with one component is the working directory.
        let parent = folder.parent().filter(|p| !p.as_os_str().is_empty());
        sync(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Makes the entries of a folder durable.
fn sync_folder(folder: &Path) -> Result<()> {
    // Windows makes renames durable and cannot open folders as files.
    if cfg!(unix) {
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(|e| Error::io(folder, "fsync", e))?;
    }
    Ok(())
}

/// The operating system releases the lock when the file is closed, also when the process dies.
#[derive(Debug)]
struct FileLock {
    file: File,
    /// The process that acquired it.
    process: u32,
}

impl Lock for FileLock {
    fn is_held(&self) -> bool {
        std::process::id() == self.process
    }
}

impl Drop for FileLock {
    /// Unlocks explicitly. Closing alone is not enough while a child process, just forked by
    /// another thread, still holds a copy of the file descriptor until it calls `exec`. A child that
    /// drops its copy must not unlock: the lock is that of the open file, which both share.
    fn drop(&mut self) {
        if self.is_held() {
            // If this fails, closing the file releases the lock.
            let _ = self.file.unlock();
        }
    }
}

const BUFFER_BYTES: usize = 256 << 10;

/// A `BufWriter` that does not write on drop: a file that was not synced is useless.
struct BufferedFile {
    file: File,
    buffer: Vec<u8>,
}

impl Write for BufferedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER_BYTES {
            self.flush()?;
        }
        if bytes.len() >= BUFFER_BYTES {
            self.file.write_all(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl FileSink for BufferedFile {
    fn sync(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()
    }
}

/// Opens a regular file, and nothing else: opening a pipe would wait for its writer. Without
/// `follows_links`, a symbolic link is none.
pub(super) fn regular(path: &Path, follows_links: bool) -> io::Result<File> {
    let link = || {
        let message = "expected a regular file, found a symbolic link";
        io::Error::new(io::ErrorKind::InvalidInput, message)
    };
    if cfg!(not(unix)) && !follows_links && fs::symlink_metadata(path)?.is_symlink() {
        return Err(link());
    }
    let mut options = OpenOptions::new();
    match without_waiting(options.read(true), follows_links).open(path) {
        Ok(file) => expect_regular(file),
        Err(_) if !follows_links && path.is_symlink() => Err(link()),
        // Another program holds a lease of the file, which it gives back if one waits.
        Err(error) if error.kind() == io::ErrorKind::WouldBlock && path.is_file() => {
            expect_regular(File::open(path)?)
        }
        Err(error) => Err(error),
    }
}

#[cfg(unix)]
fn without_waiting(options: &mut OpenOptions, follows_links: bool) -> &mut OpenOptions {
    use rustix::fs::OFlags;
    use std::os::unix::fs::OpenOptionsExt;
    let mut flags = OFlags::NONBLOCK;
    flags.set(OFlags::NOFOLLOW, !follows_links);
    options.custom_flags(flags.bits().cast_signed())
}

#[cfg(not(unix))]
fn without_waiting(options: &mut OpenOptions, _follows_links: bool) -> &mut OpenOptions {
    options
}

fn expect_regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    let message = "expected a regular file, found a folder, a pipe or a device";
    Err(io::Error::new(io::ErrorKind::InvalidInput, message))
}

/// Maps a whole file. An empty file cannot be mapped and becomes an empty vector.
#[allow(unsafe_code)]
pub(super) fn map(file: &File) -> io::Result<Arc<dyn AsRef<[u8]> + Send + Sync>> {
    if file.metadata()?.len() == 0 {
        return Ok(Arc::new(Vec::new()));
    }
    // SAFETY: the mapping is read-only, and this crate never changes a finished file: segments,
    // deletes and manifests are written once, as new files, and removed, never truncated. Another
    // program that changes or truncates a mapped file of the index breaks the contract that
    // SECURITY.md states. Two kinds of file are written while they are mapped, and nothing in them is
    // used before its checksum was found right: a manifest that a file system without links and
    // renames creates in place, and the copy of a remote file, whose chunks are written when they are
    // first read, and again if they were damaged. Bytes that change in between make a checksum wrong
    // or a result, never a length or an index: those are compared after they were loaded.
    let mapped = unsafe { memmap2::Mmap::map(file)? };
    Ok(Arc::new(mapped))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_read_as_written_and_created_once() {
        let folder = tempfile::tempdir().unwrap();
        let directory = FileSystem::create(folder.path().join("a/b")).unwrap();
        let mut file = Directory::create(&directory, "x").unwrap();
        file.write_all(&vec![7; 600_000]).unwrap();
        file.write_all(b"end").unwrap();
        file.sync().unwrap();
        let bytes = Directory::open(&directory, "x").unwrap();
        assert_eq!(bytes.len(), 600_003);
        assert_eq!(&bytes.read(600_000..600_003).unwrap()[..], b"end");
        assert!(bytes.read(600_000..600_004).is_err());
        assert!(Directory::create(&directory, "x").is_err());
        directory.remove("x").unwrap();
        assert!(super::super::is_missing(
            &Directory::open(&directory, "x").err().unwrap()
        ));
    }

    #[test]
    fn a_name_is_published_once_and_other_temporary_files_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let directory = FileSystem::open(folder.path()).unwrap();
        fs::write(folder.path().join("a.tmp"), "of another writer").unwrap();
        assert_eq!(directory.version("a").unwrap(), None);
        assert!(directory.publish("a", b"first").unwrap());
        let first = directory.version("a").unwrap();
        assert!(first.is_some());
        assert!(!directory.publish("a", b"second").unwrap());
        assert_eq!(directory.version("a").unwrap(), first);
        assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"first");
        // What another writer is writing is its own.
        assert_eq!(directory.list().unwrap(), ["a", "a.tmp"]);
        directory.remove("a").unwrap();
        assert!(directory.publish("a", b"third").unwrap());
        assert_ne!(directory.version("a").unwrap(), first);
    }

    fn no_links(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(1)) // EPERM, or ERROR_INVALID_FUNCTION
    }

    fn no_renames(_: &Path, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    #[test]
    fn without_hard_links_a_name_is_still_published_once() {
        let ways: [&[Way]; 2] = [&[no_links, WAYS[1]], &[no_links, no_renames]];
        for ways in ways {
            let folder = tempfile::tempdir().unwrap();
            let directory = FileSystem::open(folder.path()).unwrap();
            assert!(directory.publish_by(ways, "a", b"first").unwrap());
            assert!(!directory.publish_by(ways, "a", b"second").unwrap());
            assert_eq!(fs::read(folder.path().join("a")).unwrap(), b"first");
            assert_eq!(directory.list().unwrap(), ["a"]);
        }
    }

    #[test]
    fn of_many_writers_at_once_one_publishes_its_own_content() {
        let ways: [&[Way]; 3] = [&WAYS, &[no_links, WAYS[1]], &[no_links, no_renames]];
        for (ways, round) in ways
            .into_iter()
            .flat_map(|ways| (0..20).map(move |r| (ways, r)))
        {
            let folder = tempfile::tempdir().unwrap();
            let directory = FileSystem::open(folder.path()).unwrap();
            let content = |writer: u8| vec![writer; 10_000 + round];
            let won: Vec<u8> = std::thread::scope(|scope| {
                let publish = |writer| {
                    let directory = &directory;
                    move || directory.publish_by(ways, "a", &content(writer)).unwrap()
                };
                let started: Vec<_> = (0..4).map(|w| (w, scope.spawn(publish(w)))).collect();
                let ended = started
                    .into_iter()
                    .map(|(w, thread)| (w, thread.join().unwrap()));
                ended.filter_map(|(w, won)| won.then_some(w)).collect()
            });
            assert_eq!(won.len(), 1);
            assert_eq!(fs::read(folder.path().join("a")).unwrap(), content(won[0]));
            assert_eq!(directory.list().unwrap(), ["a"]);
        }
    }

    /// Another error says nothing about what is published, so no other way is tried.
    #[test]
    fn an_error_of_a_link_overwrites_nothing() {
        fn appears(_: &Path, to: &Path) -> io::Result<()> {
            fs::write(to, "of another writer")?;
            Err(io::Error::other("injected"))
        }
        let folder = tempfile::tempdir().unwrap();
        let directory = FileSystem::open(folder.path()).unwrap();
        let ways: [Way; 2] = [appears, |from, to| fs::rename(from, to)];
        assert!(directory.publish_by(&ways, "a", b"mine").is_err());
        let found = fs::read_to_string(folder.path().join("a")).unwrap();
        assert_eq!(found, "of another writer");
        assert_eq!(directory.list().unwrap(), ["a"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_that_was_repeated_after_its_success_is_a_success() {
        fn repeated(from: &Path, to: &Path) -> io::Result<()> {
            fs::hard_link(from, to)?;
            fs::hard_link(from, to)
        }
        let folder = tempfile::tempdir().unwrap();
        let directory = FileSystem::open(folder.path()).unwrap();
        assert!(directory.publish_by(&[repeated], "a", b"mine").unwrap());
        assert!(!directory.publish_by(&[repeated], "a", b"other").unwrap());
    }

    #[test]
    fn the_folders_above_a_new_index_are_made_durable() {
        let folder = tempfile::tempdir().unwrap();
        let synced = std::cell::RefCell::new(Vec::new());
        let note = |folder: &Path| {
            synced.borrow_mut().push(folder.to_path_buf());
            sync_folder(folder)
        };
        let index = folder.path().join("a/b");
        create_folders(&index, note).unwrap();
        let expected = [folder.path().join("a"), folder.path().to_path_buf()];
        assert_eq!(*synced.borrow(), expected);
        create_folders(&index, note).unwrap();
        assert_eq!(synced.borrow().len(), 2);
    }

    #[test]
    fn a_copy_never_overwrites_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        let directory = FileSystem::open(folder.path()).unwrap();
        assert!(super::super::copy(&directory, "from", &directory, "to").is_err());
        assert!(directory.import(&directory, "from", "to").is_err());
        assert_eq!(fs::read_to_string(&to).unwrap(), "old");
        super::super::copy(&directory, "from", &directory, "other").unwrap();
        assert_eq!(
            fs::read_to_string(folder.path().join("other")).unwrap(),
            "new"
        );
    }

    #[test]
    fn a_scratch_file_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let directory = FileSystem::open(folder.path()).unwrap();
        let mut scratch = directory.scratch().unwrap();
        scratch.write_all(b"x").unwrap();
        drop(scratch);
        assert!(directory.list().unwrap().is_empty());
    }

    #[test]
    fn a_second_lock_is_refused_until_the_first_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let directory = FileSystem::open(folder.path()).unwrap();
        let lock = directory.lock().unwrap();
        assert!(matches!(directory.lock(), Err(Error::Locked { .. })));
        drop(lock);
        assert!(directory.lock().is_ok());
    }
}
