//! Output files that appear complete under their name, or not at all.
//!
//! Output goes to `NAME.partial` in the same folder. A finished file is made durable and renamed.
//! If the work fails it is removed, and an earlier file of that name is still there. A process that
//! is killed leaves its partial file behind: the next one that writes the same output replaces it,
//! or continues it ([`PartialFile::resume`]). While a process writes, it holds a lock on the
//! partial file, so that two processes cannot mix their output.
//!
//! Standard output, pipes and devices have no second name: they are written directly.

mod resume;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use esparsa::{Error, Result};

use crate::output::STANDARD_OUTPUT;

/// Path that means standard output or, of a file that is read, standard input.
pub const STANDARD: &str = "-";
/// Suffix of the name of an unfinished file.
const SUFFIX: &str = ".partial";
const BUFFER_BYTES: usize = 1 << 16;

/// A destination of output, buffered: a file, or standard output.
///
/// Call [`OutputFile::finish`] at the end; without it, the file does not appear.
pub struct OutputFile {
    name: String,
    out: BufWriter<Box<dyn Write>>,
    partial: Option<PartialFile>,
}

impl OutputFile {
    /// Opens `path` for writing; without one, or for `-`, standard output.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be created, and [`Error::InvalidInput`] when another
    /// process is writing it.
    pub fn create(path: Option<&Path>) -> Result<Self> {
        let Some(path) = path.filter(|path| path.as_os_str() != STANDARD) else {
            return Ok(Self::new(STANDARD_OUTPUT.to_owned(), io::stdout().lock()));
        };
        if !is_written_directly(path) {
            return Self::from_partial(PartialFile::create(path)?);
        }
        // Opened again, a redirected `/dev/stdout` begins at offset 0: appending keeps what is
        // there.
        let opened = OpenOptions::new().append(true).open(path);
        let file = opened.map_err(|source| Error::io(path, "open", source))?;
        Ok(Self::new(path.display().to_string(), file))
    }

    /// Continues after the content of a partial file.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn from_partial(partial: PartialFile) -> Result<Self> {
        let name = partial.path.display().to_string();
        let writer = partial.file.try_clone();
        let writer = writer.map_err(|source| Error::io(&partial.partial, "open", source))?;
        Ok(Self {
            partial: Some(partial),
            ..Self::new(name, writer)
        })
    }

    fn new(name: String, out: impl Write + 'static) -> Self {
        Self {
            name,
            out: BufWriter::with_capacity(BUFFER_BYTES, Box::new(out)),
            partial: None,
        }
    }

    /// Name of the destination in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Writes out the buffer, makes a file durable, and gives it its name.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; an earlier file of that name is then still there.
    pub fn finish(mut self) -> Result<()> {
        let flushed = self.out.flush();
        flushed.map_err(|source| Error::io(&self.name, "write", source))?;
        match self.partial {
            Some(partial) => partial.publish(),
            None => Ok(()),
        }
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A file that does not have its name yet. Dropped, it is removed, unless it is
/// [kept](OutputFile::kept) and holds something.
#[derive(Debug)]
pub struct PartialFile {
    /// The name it will have; symbolic links are resolved, so that they stay.
    path: PathBuf,
    partial: PathBuf,
    file: File,
    is_kept: bool,
    is_published: bool,
}

impl PartialFile {
    /// Creates an empty file; one that a killed process left behind is removed.
    ///
    /// # Errors
    ///
    /// As [`OutputFile::create`].
    pub fn create(path: &Path) -> Result<Self> {
        let path = resolved(path)?;
        let partial = partial_path(&path);
        if let Some(_locked) = open_locked(&partial)? {
            let removed = fs::remove_file(&partial);
            removed.map_err(|source| Error::io(&partial, "remove", source))?;
        }
        let created = new_file().create_new(true).open(&partial);
        let file = created.map_err(|source| Error::io(&path, "create", source))?;
        lock(&file, &partial)?;
        // The new file has the permissions of the one that it replaces, if that is allowed.
        if let Ok(before) = fs::metadata(&path) {
            let _ = file.set_permissions(before.permissions());
        }
        Ok(Self::new(path, partial, file))
    }

    fn new(path: PathBuf, partial: PathBuf, file: File) -> Self {
        Self {
            path,
            partial,
            file,
            is_kept: false,
            is_published: false,
        }
    }

    fn publish(mut self) -> Result<()> {
        let synced = self.file.sync_all();
        synced.map_err(|source| Error::io(&self.partial, "fsync", source))?;
        fs::rename(&self.partial, &self.path)
            .map_err(|source| Error::io(&self.path, "rename a file to", source))?;
        self.is_published = true;
        // Windows makes renames durable by itself and cannot open folders.
        if cfg!(unix) {
            let folder = folder_of(&self.path);
            File::open(folder)
                .and_then(|folder| folder.sync_all())
                .map_err(|source| Error::io(folder, "fsync", source))?;
        }
        Ok(())
    }
}

impl Drop for PartialFile {
    fn drop(&mut self) {
        let is_empty = || {
            self.file
                .metadata()
                .is_ok_and(|metadata| metadata.len() == 0)
        };
        if !self.is_published && (!self.is_kept || is_empty()) {
            // The error that led here is the one to report.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Refuses an output that is one of the inputs, which it would replace. The partial file of the
/// output counts as well, because it is written over.
///
/// # Errors
///
/// [`Error::InvalidInput`] that names the input.
pub fn refuse_inputs<'a>(
    output: Option<&Path>,
    inputs: impl IntoIterator<Item = &'a Path>,
) -> Result<()> {
    let Some(output) = output.filter(|path| path.as_os_str() != STANDARD) else {
        return Ok(());
    };
    let output = resolved(output)?;
    let written = [partial_path(&output), output.clone()];
    for input in inputs {
        if written.iter().any(|file| are_one_file(file, input)) {
            let message = format!(
                "expected an output that is none of the inputs, found the input {}, which would be overwritten; choose \
                 another name for the output",
                input.display()
            );
            return Err(Error::invalid(message).at_line(output.display().to_string(), 0));
        }
    }
    Ok(())
}

/// True if both paths lead to the same regular file.
fn are_one_file(written: &Path, read: &Path) -> bool {
    // On systems without this name, what standard input is redirected from stays unknown.
    let read = match read.as_os_str() == STANDARD {
        true => Path::new("/dev/stdin"),
        false => read,
    };
    let (Ok(first), Ok(second)) = (fs::metadata(written), fs::metadata(read)) else {
        return false;
    };
    if !first.is_file() || !second.is_file() {
        return false;
    }
    #[cfg(unix)]
    {
        are_one_inode(&first, &second)
    }
    #[cfg(not(unix))]
    {
        let (first, second) = (fs::canonicalize(written), fs::canonicalize(read));
        matches!((first, second), (Ok(first), Ok(second)) if first == second)
    }
}

#[cfg(unix)]
fn are_one_inode(first: &fs::Metadata, second: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (first.dev(), first.ino()) == (second.dev(), second.ino())
}

/// True for pipes, terminals and devices, and for the names that the system gives to open files.
fn is_written_directly(path: &Path) -> bool {
    let open_files = ["/dev/stdout", "/dev/stderr", "/dev/fd", "/proc"];
    let is_special = |metadata: fs::Metadata| !metadata.is_file() && !metadata.is_dir();
    open_files.iter().any(|name| path.starts_with(name)) || fs::metadata(path).is_ok_and(is_special)
}

/// The file that a symbolic link leads to, or the path itself; a folder is refused.
fn resolved(path: &Path) -> Result<PathBuf> {
    if path.is_dir() {
        let message = "expected the name of a file, found a folder";
        return Err(Error::invalid(message).at_line(path.display().to_string(), 0));
    }
    match fs::canonicalize(path) {
        Ok(target) if path.is_symlink() => Ok(target),
        _ => Ok(path.to_path_buf()),
    }
}

fn partial_path(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(SUFFIX);
    PathBuf::from(name)
}

fn folder_of(path: &Path) -> &Path {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn new_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options
}

/// The partial file of a process that is gone, locked; `None` if there is none.
fn open_locked(partial: &Path) -> Result<Option<File>> {
    let file = match new_file().open(partial) {
        Ok(file) => file,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::io(partial, "open", source)),
    };
    lock(&file, partial)?;
    // Its process may have renamed or removed it between the opening and the lock.
    Ok(is_at(partial, &file).then_some(file))
}

/// True if `path` still is the name of `file`.
fn is_at(path: &Path, file: &File) -> bool {
    let (Ok(named), Ok(opened)) = (fs::metadata(path), file.metadata()) else {
        return false;
    };
    #[cfg(unix)]
    {
        are_one_inode(&named, &opened)
    }
    #[cfg(not(unix))]
    {
        named.len() == opened.len()
    }
}

fn lock(file: &File, partial: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::invalid(
            "another process is writing this file; wait until it has ended, or choose another name",
        )
        .at_line(partial.display().to_string(), 0)),
        // Some network file systems have no locks; there the user must not run two processes at
        // once.
        Err(TryLockError::Error(source)) if source.kind() == ErrorKind::Unsupported => Ok(()),
        Err(TryLockError::Error(source)) => Err(Error::io(partial, "lock", source)),
    }
}
