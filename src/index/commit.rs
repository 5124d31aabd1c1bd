//! Reads the newest manifest of a directory and writes the next one.
//!
//! `format-spec/manifest.md` argues why this order of steps is crash-safe.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::format::limits::MAX_FILE_NUMBER;
use crate::format::manifest::{Manifest, deletes_file, file_number, manifest_file, segment_file};
use crate::format::{Container, FileKind};
use crate::store::{Directory, FileVersion, Removal, is_missing, name_of_temporary};

/// What to do when the newest manifest is damaged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DamagedCommit {
    /// Return an error.
    #[default]
    Refuse,
    /// Fall back to the newest intact commit.
    FallBack,
}

/// The newest intact manifest of a directory.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Newest {
    pub manifest: Manifest,
    /// The version of its file.
    pub version: FileVersion,
    /// The number of the newest commit, intact or damaged, in the listing in which the manifest was
    /// found. A commit that is based on the manifest takes the next number. If another writer has
    /// published one since, that number is taken: it must not be looked for later.
    pub last_commit: u64,
}

/// The newest manifest, if the directory holds an index.
///
/// # Errors
///
/// [`Error::Corrupt`] when it is damaged, unless `damaged` allows an older one and there is one.
pub(super) fn newest(directory: &dyn Directory, damaged: DamagedCommit) -> Result<Option<Newest>> {
    // A writer may remove the manifest after it was listed and before it is opened; then there is a
    // newer one. A listing made during a commit may even show neither, so a directory with other
    // files is listed again.
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

fn newest_once(directory: &dyn Directory, damaged: DamagedCommit) -> Result<Option<Newest>> {
    let names = directory.list()?;
    let commits = commits_in(&names);
    let newest = |(manifest, version)| Newest {
        manifest,
        version,
        last_commit: commits.last().copied().unwrap_or(0),
    };
    let mut first_error = None;
    let mut newest_first = commits.iter().rev().peekable();
    while let Some(commit) = newest_first.next() {
        match read(directory, *commit) {
            Ok(read) if damaged == DamagedCommit::FallBack => {
                // The files of an older commit may be gone: a writer removes the manifest first,
                // and a crash may undo that removal but not those of the files.
                match missing_file(&read.0, &names) {
                    None => return Ok(Some(newest(read))),
                    Some(name) => {
                        let missing = ErrorKind::NotFound.into();
                        let missing = Error::io(directory.path().join(name), "open", missing);
                        first_error = first_error.or(Some(missing));
                    }
                }
            }
            Ok(read) => return Ok(Some(newest(read))),
            // Only a damaged manifest may be skipped, not one in a newer format version.
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

/// A file that a manifest names and the directory lacks.
fn missing_file(manifest: &Manifest, names: &[String]) -> Option<String> {
    let deletes = manifest.segments.iter().flat_map(|s| &s.deletes);
    let deletes = deletes.map(|deletes| deletes_file(deletes.number));
    let segments = manifest.segments.iter().map(|s| segment_file(s.number));
    // `Directory::list` returns the names sorted.
    let mut files = segments.chain(deletes);
    files.find(|file| names.binary_search(file).is_err())
}

/// Numbers of the manifests among the names, ascending.
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
    // The version is taken before the content: if the file is replaced in between, the version is
    // that of the older file, so the manifest is read again next time.
    let version = directory.version(&name)?;
    let file = directory.open(&name)?;
    let container = Container::open_whole(file, &name, FileKind::Manifest)?;
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

/// The newest manifest of a directory that must hold an index.
pub(super) fn expect_newest(directory: &dyn Directory, damaged: DamagedCommit) -> Result<Newest> {
    newest(directory, damaged)?
        .ok_or_else(|| Error::no_index(directory.path(), "a folder without one"))
}

/// Publishes a manifest durably as the newest. Every file that it names must be durable already.
pub(super) fn write_manifest(directory: &dyn Directory, manifest: &Manifest) -> Result<()> {
    // Readers refuse higher numbers, so that nobody would see the commit.
    for (what, number) in [
        ("number of a commit", manifest.commit),
        ("number of a file", manifest.next_file),
    ] {
        if number > MAX_FILE_NUMBER {
            return Err(Error::limit(what, number, MAX_FILE_NUMBER));
        }
    }
    let name = manifest_file(manifest.commit);
    let path = || directory.path().join(&name);
    let (bytes, _) = manifest
        .write(Vec::new())
        .map_err(|e| Error::io(path(), "write", e))?;
    directory.sync()?;
    // The lock excludes other writers, so none of this happens where locks work. In an object store
    // and on some network file systems it is what decides which of two writers wins.
    let taken = |message: String| {
        let taken = std::io::Error::new(ErrorKind::AlreadyExists, message);
        Err(Error::io(path(), "publish", taken))
    };
    if !directory.publish(&name, &bytes)? {
        return taken("another writer has published this commit number".into());
    }
    // The number may have been free because another writer, which had published it and others after
    // it, has removed it.
    if was_free_again(&commits_in(&directory.list()?), manifest.commit) {
        let _ = directory.remove(&name);
        return taken("another writer has published commits after it".into());
    }
    Ok(())
}

/// Whether the number of a commit that was just published, among those that are there, had been used
/// and removed before: there are later ones, and none beside it. Manifests are removed in order, so
/// one before it says that its number was not removed; a later writer may simply have been fast.
fn was_free_again(commits: &[u64], commit: u64) -> bool {
    let has = |commit: u64| commits.binary_search(&commit).is_ok();
    if commits.last().is_none_or(|newest| *newest <= commit) {
        return false;
    }
    // The first commit has none before it, but then the second is there.
    match commit {
        1 => !has(2),
        _ => !has(commit - 1),
    }
}

/// Removes the files that `manifest`, which was just published or read, does not name; `keep` are
/// numbers of files that are being written. Files that cannot be removed are left for the next call:
/// the commit is durable, and an unused file does no harm.
pub(super) fn remove_unused(
    directory: &dyn Directory,
    manifest: &Manifest,
    keep: &BTreeSet<u64>,
    was_published: bool,
) {
    match directory.removal(was_published) {
        Ok(Removal::AtOnce) => remove_all_unused(directory, manifest, keep),
        Ok(Removal::After { delay, ages }) => {
            remove_expired(directory, manifest, keep, delay, &ages);
        }
        Ok(Removal::NotNow) | Err(_) => {}
    }
}

/// Removes the manifests that were replaced longer than `delay` ago, and the files as old that no
/// other manifest names.
fn remove_expired(
    directory: &dyn Directory,
    manifest: &Manifest,
    keep: &BTreeSet<u64>,
    delay: Duration,
    ages: &BTreeMap<String, Duration>,
) {
    let names: Vec<String> = ages.keys().cloned().collect();
    // From the commit that was just published on, by the clock of the store, not by this machine's.
    let Some(now) = ages.get(&manifest_file(manifest.commit)) else {
        return;
    };
    let is_old = |name: &str| ages.get(name).is_some_and(|age| *age >= *now + delay);
    let mut commits = commits_in(&names);
    commits.retain(|commit| *commit < manifest.commit);
    let successors = commits.iter().copied().skip(1).chain([manifest.commit]);
    let expired = commits.iter().zip(successors);
    let expired = expired.take_while(|(_, next)| is_old(&manifest_file(*next)));
    let expired = expired.count();
    let mut used = files_of(manifest);
    for (place, commit) in commits.iter().enumerate() {
        if place >= expired {
            // What it names cannot be told if it cannot be read, so nothing is removed.
            let Ok((kept, _)) = read(directory, *commit) else {
                return;
            };
            used.extend(files_of(&kept));
        } else if directory.remove(&manifest_file(*commit)).is_err() {
            return;
        }
    }
    for name in names {
        let number = number_of_file(&name);
        // What another writer began after this commit has a number from `next_file` on.
        let is_unused = number.is_some_and(|number| {
            !used.contains(&name) && !keep.contains(&number) && number < manifest.next_file
        });
        if is_unused && is_old(&name) {
            let _ = directory.remove(&name);
        }
    }
}

/// The names of the segments and deletes files that a manifest names, and its own.
fn files_of(manifest: &Manifest) -> BTreeSet<String> {
    let mut names = BTreeSet::from([manifest_file(manifest.commit)]);
    for segment in &manifest.segments {
        names.insert(segment_file(segment.number));
        names.extend(segment.deletes.as_ref().map(|d| deletes_file(d.number)));
    }
    names
}

/// The number of a segment or deletes file, or of one that was not finished.
fn number_of_file(name: &str) -> Option<u64> {
    let finished = name_of_temporary(name).unwrap_or(name);
    let mut prefixes = ["segment", "deletes"].iter();
    prefixes.find_map(|prefix| file_number(finished, prefix))
}

fn remove_all_unused(directory: &dyn Directory, manifest: &Manifest, keep: &BTreeSet<u64>) {
    let used = files_of(manifest);
    let names = directory.list().unwrap_or_default();
    let number_of_manifest =
        |name: &str| file_number(name_of_temporary(name).unwrap_or(name), "manifest");
    // Manifests are removed first, oldest first, and a failure stops the removal. So no manifest
    // remains whose files or whose successors are gone (`segment_cache` depends on it).
    let mut manifests: Vec<(u64, &String)> = names
        .iter()
        .filter(|name| !used.contains(*name))
        .filter_map(|name| Some((number_of_manifest(name)?, name)))
        .collect();
    manifests.sort_unstable();
    for (_, name) in manifests {
        match directory.remove(name) {
            Err(error) if !is_missing(&error) => return,
            _ => {}
        }
    }
    for name in &names {
        // Files with other names do not belong to the index.
        let number = number_of_file(name);
        if number.is_some_and(|number| !used.contains(name) && !keep.contains(&number)) {
            let _ = directory.remove(name);
        }
    }
}

/// A number greater than that of every segment and deletes file in the directory.
pub(super) fn free_number(directory: &dyn Directory, manifest: &Manifest) -> Result<u64> {
    let names = directory.list()?;
    let used = names
        .iter()
        .filter_map(|n| file_number(n, "segment").or_else(|| file_number(n, "deletes")));
    Ok(used.map(|n| n + 1).fold(manifest.next_file, u64::max))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::store::{Directory, Memory};
    use crate::{Index, IndexOptions, Schema, Text};

    #[test]
    fn a_writer_removes_what_unfinished_commits_left_and_nothing_else() {
        let memory = Arc::new(Memory::new());
        let schema = Schema::builder().text("text", Text::new()).build().unwrap();
        let index = Index::create_in(memory.clone(), schema, IndexOptions::new()).unwrap();
        let left = [
            "manifest-0000000002.tmp",
            "manifest-0000000001.77-0123456789abcdef.tmp",
            "manifest-0000000002.77-0123456789abcdef.tmp",
        ];
        let foreign = [
            "manifest-0000000002.notes.tmp",
            "notes.77-0123456789abcdef.tmp",
        ];
        for name in left.into_iter().chain(foreign) {
            memory.overwrite(name, b"unfinished".to_vec());
        }
        drop(index.writer().unwrap());
        let names = memory.list().unwrap();
        assert_eq!(names, ["manifest-0000000001", foreign[0], foreign[1]]);
    }
}
