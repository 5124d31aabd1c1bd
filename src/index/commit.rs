//! The newest manifest of a folder, and the writing of the next.
//!
//! `format-spec/manifest.md` says why the order of steps is right.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::format::manifest::{Manifest, deletes_file, file_number, manifest_file, segment_file};
use crate::format::{Container, FileKind, Verify};
use crate::store::{Directory, is_missing};

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
) -> Result<Option<Manifest>> {
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

fn newest_once(directory: &dyn Directory, damaged: DamagedCommit) -> Result<Option<Manifest>> {
    let commits = commits(directory)?;
    let mut first_error = None;
    let mut newest_first = commits.iter().rev().peekable();
    while let Some(commit) = newest_first.next() {
        match read(directory, *commit) {
            Ok(manifest) => return Ok(Some(manifest)),
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
    let last = commits(directory)?.last().copied();
    Ok(last.unwrap_or(0).max(manifest.commit))
}

/// Numbers of the manifests in a folder, rising.
fn commits(directory: &dyn Directory) -> Result<Vec<u64>> {
    let names = directory.list()?;
    let numbers = names
        .iter()
        .filter_map(|name| file_number(name, "manifest"));
    let mut numbers: Vec<u64> = numbers.collect();
    numbers.sort_unstable();
    Ok(numbers)
}

fn read(directory: &dyn Directory, commit: u64) -> Result<Manifest> {
    let name = manifest_file(commit);
    let bytes = directory.open(&name)?;
    let container = Container::open(bytes, &name, FileKind::Manifest, Verify::default())?;
    Manifest::read(&container, commit)
}

/// The newest manifest of a folder that must hold an index.
pub(super) fn expect_newest(directory: &dyn Directory, damaged: DamagedCommit) -> Result<Manifest> {
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
    let temporary = format!("{name}.tmp");
    let failed = |e| Error::io(directory.path().join(&temporary), "write", e);
    directory.sync()?;
    let file = directory.create(&temporary)?;
    let (mut file, _) = manifest.write(file).map_err(failed)?;
    file.sync().map_err(failed)?;
    drop(file);
    directory.rename(&temporary, &name)?;
    directory.sync()
}

/// Removes what a commit that did not finish left of its manifest, if it left anything.
pub(super) fn remove_unfinished(directory: &dyn Directory, commit: u64) -> Result<()> {
    match directory.remove(&format!("{}.tmp", manifest_file(commit))) {
        Err(error) if !is_missing(&error) => Err(error),
        _ => Ok(()),
    }
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
    for name in directory.list().unwrap_or_default() {
        let bare = name.strip_suffix(".tmp").unwrap_or(&name);
        let number = ["manifest", "segment", "deletes"]
            .iter()
            .find_map(|prefix| file_number(bare, prefix));
        // Files with other names are not ours.
        let Some(number) = number else { continue };
        let is_data = !bare.starts_with("manifest");
        let is_needed = used.contains(&name) || (is_data && keep.contains(&number));
        if !is_needed {
            let _ = directory.remove(&name);
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
