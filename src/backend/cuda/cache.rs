//! A disk cache of compiled kernels, so that each machine compiles them once.
//!
//! ```text
//! offset  bytes
//!      0     16  "esparsa cubin 1\n"
//!     16      8  length of the contents, little-endian
//!     24     16  XXH3 (128 bits) of file name and contents, little-endian
//!     40         contents
//! ```
//!
//! A file that is truncated, changed or renamed counts as missing and is written again. A folder
//! that cannot be read or written is no error; kernels are then compiled in every process.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};

const MAGIC: &[u8; 16] = b"esparsa cubin 1\n";
const HEADER_BYTES: usize = 40;

/// A folder of files that can be rebuilt at any time.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    folder: Option<PathBuf>,
    /// Whether a module of another NVRTC version is taken instead of compiling one.
    pub(super) takes_any_version: bool,
}

impl Cache {
    /// The cache in `$ESPARSA_CACHE` (empty: no cache), or in the user's cache folder. With
    /// `$ESPARSA_CACHE_ANY` it takes modules of any NVRTC version.
    pub(super) fn of_user() -> Self {
        Self::of(|name| env::var_os(name))
    }

    /// The cache that the environment variables name.
    pub(super) fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let any = variable("ESPARSA_CACHE_ANY");
        Self {
            folder: folder(variable),
            takes_any_version: any.is_some_and(|value| !value.is_empty() && value != "0"),
        }
    }

    /// The cache of processes with this `$ESPARSA_CACHE`; it is created on first use.
    pub(super) fn at_root(root: &Path) -> Self {
        Self {
            folder: Some(kernels_in(root)),
            takes_any_version: false,
        }
    }

    /// A cache in this folder, which is created on first use.
    #[cfg(test)]
    pub(super) fn at(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: Some(folder.into()),
            takes_any_version: false,
        }
    }

    /// The contents stored under this name.
    pub(super) fn get(&self, name: &str) -> Option<Vec<u8>> {
        let mut file = fs::read(self.folder.as_ref()?.join(name)).ok()?;
        let contents = file.get(HEADER_BYTES..)?;
        if file[..HEADER_BYTES] != header(name, contents) {
            return None;
        }
        Some(file.split_off(HEADER_BYTES))
    }

    /// Stores `contents` under this name, if possible.
    pub(super) fn put(&self, name: &str, contents: &[u8]) {
        // A failed write costs only time.
        drop(self.write(name, contents));
    }

    /// Stores `contents` under this name. Other processes see all of it or nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] with the folder.
    pub(super) fn write(&self, name: &str, contents: &[u8]) -> Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let scratch = folder.join(format!("{name}.{}-{count}.tmp", process::id()));
        let file = [&header(name, contents), contents].concat();
        let written = fs::create_dir_all(folder)
            .and_then(|()| fs::write(&scratch, file))
            .and_then(|()| fs::rename(&scratch, folder.join(name)));
        written.map_err(|error: io::Error| {
            // Remove the partial file.
            drop(fs::remove_file(&scratch));
            Error::io(folder, "write", error)
        })
    }

    /// The contents of the last valid file, in name order, whose name starts and ends like this.
    pub(super) fn find(&self, begin: &str, end: &str) -> Option<Vec<u8>> {
        let mut names: Vec<String> = fs::read_dir(self.folder.as_ref()?)
            .ok()?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with(begin) && name.ends_with(end))
            .collect();
        names.sort_unstable();
        names.iter().rev().find_map(|name| self.get(name))
    }
}

fn header(name: &str, contents: &[u8]) -> [u8; HEADER_BYTES] {
    let mut hash = Xxh3::new();
    hash.update(name.as_bytes());
    hash.update(contents);
    let mut header = [0; HEADER_BYTES];
    header[..16].copy_from_slice(MAGIC);
    header[16..24].copy_from_slice(&(contents.len() as u64).to_le_bytes());
    header[24..].copy_from_slice(&hash.digest128().to_le_bytes());
    header
}

/// The folder of kernels in what `$ESPARSA_CACHE` names.
fn kernels_in(root: &Path) -> PathBuf {
    root.join("kernels")
}

/// The folder that the environment variables name.
fn folder(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    if let Some(chosen) = variable("ESPARSA_CACHE") {
        return (!chosen.is_empty()).then(|| kernels_in(Path::new(&chosen)));
    }
    // The XDG specification says to ignore relative paths.
    let absolute = |name| {
        variable(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let caches = match cfg!(windows) {
        true => absolute("LOCALAPPDATA"),
        false => absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache"))),
    };
    Some(caches?.join("esparsa").join("kernels"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path().join("made/when/needed"));
        assert_eq!(cache.get("a"), None);
        cache.put("a", b"one");
        cache.put("b", b"");
        assert_eq!(cache.get("a").unwrap(), b"one");
        assert_eq!(cache.get("b").unwrap(), b"");
        cache.put("a", b"two");
        assert_eq!(cache.get("a").unwrap(), b"two");
        let files = fs::read_dir(folder.path().join("made/when/needed")).unwrap();
        assert_eq!(files.count(), 2, "no temporary file is left");
    }

    #[test]
    fn the_last_valid_file_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        cache.put("k-12.9.cubin", b"old");
        cache.put("k-13.0.cubin", b"new");
        cache.put("l-13.1.cubin", b"other");
        assert_eq!(cache.find("k-", ".cubin").unwrap(), b"new");
        fs::write(folder.path().join("k-13.0.cubin"), b"damaged").unwrap();
        assert_eq!(cache.find("k-", ".cubin").unwrap(), b"old");
        assert_eq!(cache.find("m-", ".cubin"), None);
    }

    #[test]
    fn every_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let path = folder.path().join("a");
        cache.put("a", b"some contents");
        let to_i32 = fs::read(&path).unwrap();
        for length in 0..to_i32.len() {
            fs::write(&path, &to_i32[..length]).unwrap();
            assert_eq!(cache.get("a"), None, "cut at {length}");
        }
        for at in 0..to_i32.len() {
            let mut changed = to_i32.clone();
            changed[at] ^= 1;
            fs::write(&path, changed).unwrap();
            assert_eq!(cache.get("a"), None, "changed at {at}");
        }
        fs::write(&path, [&to_i32[..], b"more"].concat()).unwrap();
        assert_eq!(cache.get("a"), None, "longer");
        fs::write(&path, &to_i32).unwrap();
        fs::rename(&path, folder.path().join("b")).unwrap();
        assert_eq!(cache.get("b"), None, "renamed");
        cache.put("b", b"anew");
        assert_eq!(cache.get("b").unwrap(), b"anew");
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_error() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        let cache = Cache::at(file.join("kernels"));
        cache.put("a", b"one");
        assert_eq!(cache.get("a"), None);
        assert_eq!(cache.find("a", ""), None);
    }

    #[test]
    fn other_versions_are_taken_where_the_environment_says_so() {
        for (value, expected) in [
            (None, false),
            (Some(""), false),
            (Some("0"), false),
            (Some("1"), true),
        ] {
            let cache = Cache::of(|name| match name {
                "ESPARSA_CACHE_ANY" => value.map(OsString::from),
                _ => None,
            });
            assert_eq!(cache.takes_any_version, expected, "{value:?}");
        }
    }

    #[test]
    fn a_folder_given_to_write_to_is_one_to_read_from() {
        let root = tempfile::tempdir().unwrap();
        Cache::at_root(root.path()).write("a", b"one").unwrap();
        let variable =
            |name: &str| (name == "ESPARSA_CACHE").then(|| root.path().as_os_str().to_owned());
        assert_eq!(Cache::of(variable).get("a").unwrap(), b"one");
        let file = root.path().join("file");
        fs::write(&file, b"").unwrap();
        let error = Cache::at_root(&file).write("a", b"one").unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
    }

    #[test]
    fn the_folder_follows_the_environment() {
        let with = |set: &[(&str, &str)]| {
            folder(|name| {
                let (_, value) = set.iter().find(|(key, _)| *key == name)?;
                Some(OsString::from(value))
            })
        };
        assert_eq!(with(&[]), None);
        let chosen = with(&[("ESPARSA_CACHE", "here"), ("HOME", "/home/a")]);
        assert_eq!(chosen.unwrap(), Path::new("here/kernels"));
        assert_eq!(with(&[("ESPARSA_CACHE", ""), ("HOME", "/home/a")]), None);
        if cfg!(unix) {
            let home = with(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "relative")]);
            assert_eq!(home.unwrap(), Path::new("/home/a/.cache/esparsa/kernels"));
            let xdg = with(&[("HOME", "/home/a"), ("XDG_CACHE_HOME", "/caches")]);
            assert_eq!(xdg.unwrap(), Path::new("/caches/esparsa/kernels"));
        }
    }
}
