//! The newest manifest of a folder, and the writing of the next.
//!
//! `format-spec/manifest.md` says why the order of steps is right.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::format::manifest::{Manifest, deletes_file, file_number, manifest_file, segment_file};
use crate::format::{Container, FileKind, Verify};
use crate::store::{Directory, is_missing};

/// The newest valid manifest, if the folder holds an index.
pub(super) fn newest(directory: &dyn Directory) -> Result<Option<Manifest>> {
    // A writer may remove the manifest between the listing and the opening; then there is a newer one. A
    // listing made during a commit may even show neither, so a folder with other files is listed again.
    const TRIES: usize = 20;
    let mut missing = None;
    for _ in 0..TRIES {
        match newest_once(directory) {
            Err(error) if is_missing(&error) => missing = Some(error),
            Ok(None) if !directory.list()?.is_empty() => missing = None,
            result => return result,
        }
    }
    missing.map_or(Ok(None), Err)
}

fn newest_once(directory: &dyn Directory) -> Result<Option<Manifest>> {
    let names = directory.list()?;
    let mut commits: Vec<u64> = names
        .iter()
        .filter_map(|name| file_number(name, "manifest"))
        .collect();
    commits.sort_unstable();
    let mut damaged = None;
    for commit in commits.into_iter().rev() {
        match read(directory, commit) {
            Ok(manifest) => return Ok(Some(manifest)),
            // A damaged manifest is passed over; one of a newer version is not.
            Err(error @ Error::Corrupt { .. }) => damaged = damaged.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    damaged.map_or(Ok(None), Err)
}

fn read(directory: &dyn Directory, commit: u64) -> Result<Manifest> {
    let name = manifest_file(commit);
    let bytes = directory.open(&name)?;
    let container = Container::open(bytes, &name, FileKind::Manifest, Verify::default())?;
    Manifest::read(&container, commit)
}

/// The newest valid manifest of a folder that must hold an index.
pub(super) fn expect_newest(directory: &dyn Directory) -> Result<Manifest> {
    newest(directory)?.ok_or_else(|| {
        let message = format!(
            "{} is no index: expected a file `manifest-…` in it; create one with `esparsa index` or \
             `Index::create`",
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

/// Removes what `manifest`, which is in force, does not name; `keep` are numbers of files that are being
/// written.
pub(super) fn remove_unused(
    directory: &dyn Directory,
    manifest: &Manifest,
    keep: &BTreeSet<u64>,
) -> Result<()> {
    let mut used: BTreeSet<String> = BTreeSet::from([manifest_file(manifest.commit)]);
    for segment in &manifest.segments {
        used.insert(segment_file(segment.number));
        used.extend(segment.deletes.as_ref().map(|d| deletes_file(d.number)));
    }
    for name in directory.list()? {
        let bare = name.strip_suffix(".tmp").unwrap_or(&name);
        let number = ["manifest", "segment", "deletes"]
            .iter()
            .find_map(|prefix| file_number(bare, prefix));
        // Files with other names are not ours.
        let Some(number) = number else { continue };
        let is_data = !bare.starts_with("manifest");
        if used.contains(&name) || (is_data && keep.contains(&number)) {
            continue;
        }
        directory.remove(&name)?;
    }
    Ok(())
}

/// A number greater than that of every segment and deletes file in the folder.
pub(super) fn free_number(directory: &dyn Directory, manifest: &Manifest) -> Result<u64> {
    let names = directory.list()?;
    let used = names
        .iter()
        .filter_map(|n| file_number(n, "segment").or_else(|| file_number(n, "deletes")));
    Ok(used.map(|n| n + 1).fold(manifest.next_file, u64::max))
}
