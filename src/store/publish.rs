//! How a finished file gets its final name in a folder, which must be free (compare-and-set).
//!
//! The lock of the writer excludes others where locks work. Publishing must not depend on it: on
//! some network file systems a lock does not lock, and then only this decides who wins.
//!
//! - The content is written under a temporary name of its own for each attempt, so no other writer
//!   can replace the file between its fsync and its publication.
//! - A hard link then fails if the final name is taken. Where the file system has none, a rename
//!   that does not replace does the same.
//! - A file system with neither gets the file created under its final name, which fails too if the
//!   name is taken, and written there. A reader may then see the file unfinished, and a crash may
//!   leave it so: a manifest is checksummed, so it is reported as damaged, never taken for a
//!   commit. Nothing overwrites a file in any of the three ways.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::path::Path;

const TEMPORARY: &str = ".tmp";

/// A name for the unfinished content of `name`, which no other attempt uses: the process tells
/// attempts on one machine apart, and the random number those of several.
pub(super) fn temporary_name(name: &str) -> String {
    let process = std::process::id();
    // Each `RandomState` has other keys, from the random numbers of the system.
    let random = RandomState::new().build_hasher().finish();
    format!("{name}.{process}-{random:016x}{TEMPORARY}")
}

/// The final name of a file with a temporary name: of this pattern, or `name.tmp`.
pub(crate) fn name_of_temporary(temporary: &str) -> Option<&str> {
    let stem = temporary.strip_suffix(TEMPORARY)?;
    let Some((name, attempt)) = stem.rsplit_once('.') else {
        return Some(stem);
    };
    let (process, random) = attempt.split_once('-')?;
    let is_process = !process.is_empty() && process.bytes().all(|b| b.is_ascii_digit());
    let is_random = random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit());
    (is_process && is_random).then_some(name)
}

/// A way to give a finished file its final name; fails with `AlreadyExists` if that is taken.
pub(super) type Way = fn(&Path, &Path) -> io::Result<()>;

/// The atomic ways of this operating system, the most widely supported first.
pub(super) const WAYS: [Way; 2] = [|from, to| std::fs::hard_link(from, to), rename_to_free];

/// Renames a file unless the new name is taken.
#[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
fn rename_to_free(from: &Path, to: &Path) -> io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use rustix::io::Errno;
    renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE).map_err(|error| match error {
        // What file systems say that know no flags of a rename.
        Errno::INVAL => io::ErrorKind::Unsupported.into(),
        error => error.into(),
    })
}

/// The other systems cannot rename without replacing.
#[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
fn rename_to_free(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// True if the error says that the file system has no such operation. Every other error may have
/// any cause, so it says nothing about the next way.
#[cfg(unix)]
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let unsupported = [Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS];
    error.kind() == io::ErrorKind::Unsupported
        || Errno::from_io_error(error).is_some_and(|errno| unsupported.contains(&errno))
}

#[cfg(not(unix))]
pub(super) fn is_unsupported(error: &io::Error) -> bool {
    // ERROR_INVALID_FUNCTION and ERROR_NOT_SUPPORTED, which FAT answers.
    error.kind() == io::ErrorKind::Unsupported || matches!(error.raw_os_error(), Some(1 | 50))
}

/// True if both paths name the same file.
#[cfg(unix)]
pub(super) fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |path| std::fs::metadata(path).map(|file: std::fs::Metadata| (file.dev(), file.ino()));
    matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
}

/// Off Unix the standard library does not say which file a name means.
#[cfg(not(unix))]
pub(super) fn is_same_file(_: &Path, _: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_are_unique_and_recognized() {
        let (a, b) = (temporary_name("manifest-1"), temporary_name("manifest-1"));
        assert_ne!(a, b);
        for name in [&a, &b, "manifest-1.tmp"] {
            assert_eq!(name_of_temporary(name), Some("manifest-1"), "{name}");
        }
        for name in ["manifest-1", "manifest-1.notes.tmp", "a.1-2.tmp", "a.-.tmp"] {
            assert_eq!(name_of_temporary(name), None, "{name}");
        }
    }
}
