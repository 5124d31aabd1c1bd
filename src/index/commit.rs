//! The newest manifest of a folder, and the writing of the next.
//!
//! `format-spec/manifest.md` says why the order of steps is right.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use crate::error::{Error, Result};
use crate::format::manifest::{Manifest, deletes_file, file_number, manifest_file, segment_file};
use crate::format::{Container, FileKind, Verify};
use crate::store::{Directory, FileVersion, is_missing};

/// What to do when the newest manifest is damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DamagedCommit {
    /// Report it.
    #[default]
    Refuse,
    /// Go back to the newest commit that is whole.
    PassOver,
}

/// The newest manifest, if the folder holds an index.
///
/// # Errors
///
/// [`Error::Corrupt`] when it is damaged, unless an older one may take its place and is there.
pub(super) fn newest(
    directory: &dyn Directory,
    damaged: DamagedCommit,
) -> Result<Option<(Manifest, FileVersion)>> {
    // A writer may remove the manifest between the listing and the opening; then there is a newer one. A
    // listing made during a commit may even show neither, so a folder with other files is listed again.
    const TRIES: usize = 20;
    let mut missing = None;
    for _ in 0..TRIES {
        match newest_once(directory, damaged) {
            Err(error) if is_missing(&error) => missing = Some(error),
            Ok(None) if !directory.list()?.is_empty() => missing = None,
            result => return result,
        }
    }
    missing.map_or(Ok(None), Err)
}

fn newest_once(
    directory: &dyn Directory,
    damaged: DamagedCommit,
) -> Result<Option<(Manifest, FileVersion)>> {
    let names = directory.list()?;
    let commits = commits_in(&names);
    let mut first_error = None;
    let mut newest_first = commits.iter().rev().peekable();
    while let Some(commit) = newest_first.next() {
        match read(directory, *commit) {
            Ok(read) if damaged == DamagedCommit::PassOver => {
                // Its files may be gone when it was to be removed and the removal was lost.
                match missing_file(&read.0, &names) {
                    None => return Ok(Some(read)),
                    Some(name) => {
                        let missing = ErrorKind::NotFound.into();
                        let missing = Error::io(directory.path().join(name), "open", missing);
                        first_error = first_error.or(Some(missing));
                    }
                }
            }
            Ok(read) => return Ok(Some(read)),
            // A damaged manifest may be passed over; one of a newer version may not.
            Err(error @ Error::Corrupt { .. }) => {
                if damaged == DamagedCommit::Refuse {
                    return Err(match newest_first.peek() {
                        Some(older) => error.with_older_commit(**older),
                        None => error,
                    });
                }
                first_error = first_error.or(Some(error));
            }
            Err(error) => return Err(error),
        }
    }
    first_error.map_or(Ok(None), Err)
}

/// The number of the newest commit in a folder, whole or damaged.
pub(super) fn last_commit(directory: &dyn Directory, manifest: &Manifest) -> Result<u64> {
    let last = commits_in(&directory.list()?).last().copied();
    Ok(last.unwrap_or(0).max(manifest.commit))
}

/// A file that a manifest names and the folder lacks.
fn missing_file(manifest: &Manifest, names: &[String]) -> Option<String> {
    let deletes = manifest.segments.iter().flat_map(|s| &s.deletes);
    let deletes = deletes.map(|deletes| deletes_file(deletes.number));
    let segments = manifest.segments.iter().map(|s| segment_file(s.number));
    // The names are sorted.
    let mut files = segments.chain(deletes);
    files.find(|file| names.binary_search(file).is_err())
}

/// Numbers of the manifests among the names of a folder, rising.
fn commits_in(names: &[String]) -> Vec<u64> {
    let numbers = names
        .iter()
        .filter_map(|name| file_number(name, "manifest"));
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

/// A manifest and the version of its file.
fn read(directory: &dyn Directory, commit: u64) -> Result<(Manifest, FileVersion)> {
    let name = manifest_file(commit);
    // Looked up before it is read: should another file take the name in between, the version
    // belongs to the older one, and the manifest is read again the next time.
    let version = directory.version(&name)?;
    let file = directory.open(&name)?;
    let container = Container::open(file, &name, FileKind::Manifest, Verify::default())?;
    let manifest = Manifest::read(&container, commit)?;
    let missing = || {
        Error::io(
            directory.path().join(&name),
            "open",
            ErrorKind::NotFound.into(),
        )
    };
    Ok((manifest, version.ok_or_else(missing)?))
}

/// The newest manifest of a folder that must hold an index.
pub(super) fn expect_newest(
    directory: &dyn Directory,
    damaged: DamagedCommit,
) -> Result<(Manifest, FileVersion)> {
    newest(directory, damaged)?.ok_or_else(|| {
        let message = format!(
            "{} is no index: expected a file `manifest-…` in it; create an index first",
            directory.path().display()
        );
        Error::invalid(message)
    })
}

/// Makes a manifest the newest, durably. Every file that it names must be durable already.
pub(super) fn write_manifest(directory: &dyn Directory, manifest: &Manifest) -> Result<()> {
    let name = manifest_file(manifest.commit);
    let path = || directory.path().join(&name);
    let (bytes, _) = manifest
        .write(Vec::new())
        .map_err(|e| Error::io(path(), "write", e))?;
    directory.sync()?;
    if directory.publish(&name, &bytes)? {
        return Ok(());
    }
    // The lock keeps other writers out, unless the directory's lock does not work.
    let message = "another writer has committed under this number";
    let taken = std::io::Error::new(ErrorKind::AlreadyExists, message);
    Err(Error::io(path(), "publish", taken))
}

/// Removes what `manifest`, which is in force, does not name; `keep` are numbers of files that are
/// being written. What cannot be removed, because it is gone already or because the system refuses,
/// waits for the next time: the commit is durable, and a file too many harms nobody.
pub(super) fn remove_unused(directory: &dyn Directory, manifest: &Manifest, keep: &BTreeSet<u64>) {
    let mut used: BTreeSet<String> = BTreeSet::from([manifest_file(manifest.commit)]);
    for segment in &manifest.segments {
        used.insert(segment_file(segment.number));
        used.extend(segment.deletes.as_ref().map(|d| deletes_file(d.number)));
    }
    let names = directory.list().unwrap_or_default();
    let of = |name: &str, prefix| file_number(name.strip_suffix(".tmp").unwrap_or(name), prefix);
    // Manifests first and in their order, up to the first that stays: no manifest is left whose
    // files are gone, and none whose successors are gone (`segment_cache` depends on it).
    let mut manifests: Vec<(u64, &String)> = names
        .iter()
        .filter(|name| !used.contains(*name))
        .filter_map(|name| Some((of(name, "manifest")?, name)))
        .collect();
    manifests.sort_unstable();
    for (_, name) in manifests {
        match directory.remove(name) {
            Err(error) if !is_missing(&error) => return,
            _ => {}
        }
    }
    for name in &names {
        // Files with other names are not ours.
        let number = ["segment", "deletes"]
            .iter()
            .find_map(|prefix| of(name, prefix));
        if number.is_some_and(|number| !used.contains(name) && !keep.contains(&number)) {
            let _ = directory.remove(name);
        }
    }
}

/// A number greater than that of every segment and deletes file in the folder.
pub(super) fn free_number(directory: &dyn Directory, manifest: &Manifest) -> Result<u64> {
    let names = directory.list()?;
    let used = names
        .iter()
        .filter_map(|n| file_number(n, "segment").or_else(|| file_number(n, "deletes")));
    Ok(used.map(|n| n + 1).fold(manifest.next_file, u64::max))
}
