//! A folder that appears complete under its name, or not at all.
//!
//! It is written under a temporary name beside its final place. When all files are durable it is
//! renamed; a folder that had the name changes places with it in one step, and is removed then.
//! Where the file system cannot exchange names, the old folder is moved away first: a crash between
//! the two renames leaves both under names that begin with a dot. A crash before leaves what was
//! there, and a folder with a temporary name, which the next one for the same place removes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::store::temporary_name;

use super::faults;

/// What the name of a temporary folder begins with.
const TEMPORARY_PREFIX: &str = ".";
const TEMPORARY_SUFFIX: &str = ".tmp";

/// A folder in the making. Dropped before it is published, it is removed.
#[derive(Debug)]
pub(in crate::train) struct NewFolder {
    output: PathBuf,
    temporary: PathBuf,
    is_published: bool,
}

/// A file of a [`NewFolder`].
#[derive(Debug)]
pub(in crate::train) struct NewFile {
    path: PathBuf,
    writer: BufWriter<File>,
    crc: u32,
}

impl NewFolder {
    /// Begins the folder that will be at `output`; its parent is created if it is missing.
    pub(in crate::train) fn create(output: &Path) -> Result<Self> {
        let name = output.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| {
            Error::invalid(format!(
                "expected the path of a new folder, found `{}`",
                output.display()
            ))
        })?;
        let parent = parent(output);
        operation(parent, "create", || fs::create_dir_all(parent))?;
        remove_abandoned(parent, name);
        let temporary = parent.join(format!("{TEMPORARY_PREFIX}{}", temporary_name(name)));
        operation(&temporary, "create", || fs::create_dir(&temporary))?;
        Ok(Self {
            output: output.to_path_buf(),
            temporary,
            is_published: false,
        })
    }

    /// Where its files are until it is published.
    pub(in crate::train) fn path(&self) -> &Path {
        &self.temporary
    }

    /// Begins a file; its name may have folders before it.
    pub(in crate::train) fn file(&self, name: &str) -> Result<NewFile> {
        let path = self.temporary.join(name);
        let folder = parent(&path);
        operation(folder, "create", || fs::create_dir_all(folder))?;
        let file = operation(&path, "create", || File::create_new(&path))?;
        Ok(NewFile {
            path,
            writer: BufWriter::with_capacity(1 << 18, file),
            crc: 0,
        })
    }

    /// Writes a whole file; returns its CRC32C.
    pub(in crate::train) fn write(&self, name: &str, bytes: &[u8]) -> Result<u32> {
        let mut file = self.file(name)?;
        file.write(bytes)?;
        file.finish()
    }

    /// Copies a file of another folder.
    pub(in crate::train) fn copy(&self, from: &Path, name: &str) -> Result<()> {
        let bytes = fs::read(from).map_err(|error| Error::io(from, "read", error))?;
        self.write(name, &bytes).map(|_| ())
    }

    /// Makes everything durable and gives the folder its name, in the place of what had it.
    pub(in crate::train) fn publish(mut self) -> Result<()> {
        sync_all_folders(&self.temporary)?;
        let parent = parent(&self.output);
        let replaces = fs::symlink_metadata(&self.output).is_ok();
        operation(&self.output, "publish", || match replaces {
            true => exchange(&self.temporary, &self.output),
            false => fs::rename(&self.temporary, &self.output),
        })?;
        self.is_published = true;
        sync_folder(parent)?;
        if replaces && faults::check().is_ok() {
            // The new folder is durable: that the old one could not be removed is not its failure.
            let _ = fs::remove_dir_all(&self.temporary);
        }
        Ok(())
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.is_published && !faults::is_killed() {
            let _ = fs::remove_dir_all(&self.temporary);
        }
    }
}

impl NewFile {
    /// Appends bytes.
    pub(in crate::train) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        let writer = &mut self.writer;
        operation(&self.path, "write", || writer.write_all(bytes))
    }

    /// Makes the file durable; returns the CRC32C of its bytes.
    pub(in crate::train) fn finish(mut self) -> Result<u32> {
        let writer = &mut self.writer;
        operation(&self.path, "write", || writer.flush())?;
        operation(&self.path, "fsync", || self.writer.get_ref().sync_all())?;
        Ok(self.crc)
    }
}

/// Makes the entries of a folder durable. Windows makes renames durable and cannot open folders as
/// files.
fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(unix) {
        operation(folder, "fsync", || File::open(folder)?.sync_all())?;
    }
    Ok(())
}

fn sync_all_folders(folder: &Path) -> Result<()> {
    let failed = |error| Error::io(folder, "list", error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            sync_all_folders(&path)?;
        }
    }
    sync_folder(folder)
}

/// The folder that holds `path`; of a relative path with one part it is the working directory.
fn parent(path: &Path) -> &Path {
    let parent = path.parent().filter(|path| !path.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// Removes what processes left that died while they wrote a folder for the same place.
fn remove_abandoned(parent: &Path, name: &str) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    let own = format!("{TEMPORARY_PREFIX}{name}.");
    for entry in entries.flatten() {
        let file = entry.file_name();
        let is_abandoned = file.to_str().is_some_and(|file| {
            file.starts_with(&own) && file.ends_with(TEMPORARY_SUFFIX) && !is_running(file, &own)
        });
        if is_abandoned {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// True if the process in a temporary name may still be writing: only on Linux can it be told.
fn is_running(file: &str, own: &str) -> bool {
    let process = file
        .strip_prefix(own)
        .and_then(|rest| rest.split('-').next());
    match process {
        Some(process) if cfg!(target_os = "linux") => {
            process != std::process::id().to_string() && Path::new("/proc").join(process).exists()
        }
        _ => true,
    }
}

/// Exchanges the names of two folders in one step, or in two where the file system cannot.
fn exchange(new: &Path, old: &Path) -> io::Result<()> {
    match exchange_at_once(new, old) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            let aside = new.with_extension("old");
            fs::rename(old, &aside)?;
            if let Err(error) = fs::rename(new, old) {
                fs::rename(&aside, old)?;
                return Err(error);
            }
            fs::rename(&aside, new)
        }
        outcome => outcome,
    }
}

#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn exchange_at_once(one: &Path, other: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    let exchanged = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
    exchanged.map_err(|error| match error {
        // What file systems and kernels say that know no flags of a rename.
        Errno::INVAL | Errno::NOSYS | Errno::NOTSUP => io::ErrorKind::Unsupported.into(),
        error => error.into(),
    })
}

/// The other systems cannot.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn exchange_at_once(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// An operation on files, with the error of this crate.
fn operation<T>(
    path: &Path,
    action: &'static str,
    work: impl FnOnce() -> io::Result<T>,
) -> Result<T> {
    let done = faults::check().and_then(|()| work());
    done.map_err(|error| Error::io(path, action, error))
}
