//! Copies of an index: to another directory, from memory to disk and back, beside a working writer.
//!
//! The files of a snapshot never change, so a copy needs no lock on the index. Files that a writer
//! has removed in the meantime are copied from the open snapshot. The manifest comes last: until it
//! is published, the directory of the copy holds no index.

use std::path::Path;
use std::sync::Arc;

use super::open::{Index, already_holds_an_index};
use super::snapshot::{Snapshot, SnapshotSegment};
use super::writer::write_deletes_file;
use crate::error::{Error, Result};
use crate::format::Verify;
use crate::format::manifest::{Manifest, SegmentEntry, deletes_file, file_number, segment_file};
use crate::index::commit::write_manifest;
use crate::segment::SegmentReader;
use crate::store::{Directory, Removal, create_directory, is_missing, write_copy};

impl Index {
    /// Copies the newest commit to another directory and opens the copy with the same options; see
    /// [`Snapshot::copy_to`].
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use esparsa::store::FileSystem;
    /// use esparsa::{Document, Index, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder().text("text", Text::new()).build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("etna").with_text("text", "lava"))?;
    /// writer.commit()?;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let on_disk = index.copy_to(Arc::new(FileSystem::open(folder.path())?))?;
    /// assert_eq!(on_disk.snapshot()?.documents(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Index::snapshot`] and [`Snapshot::copy_to`].
    pub fn copy_to(&self, directory: Arc<dyn Directory>) -> Result<Self> {
        self.snapshot()?.copy_to(&*directory)?;
        Self::open_in(directory, (*self.options).clone())
    }
}

impl Snapshot {
    /// Copies this snapshot to a folder, which is created if it does not exist, while a writer goes
    /// on with the index; see [`copy_to`](Self::copy_to).
    ///
    /// On the same file system the backup shares the files with the index as hard links: it takes
    /// almost no time and space, and the space of a file is freed when both have removed it. It
    /// protects from lost and overwritten documents, not from a damaged disk; for that, back up to
    /// another disk.
    ///
    /// ```
    /// use esparsa::{Document, Index, Schema, Text};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let schema = Schema::builder().text("text", Text::new()).build()?;
    /// let index = Index::create(folder.path().join("index"), schema)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("etna").with_text("text", "lava"))?;
    /// writer.commit()?;
    ///
    /// let backup = folder.path().join("backup");
    /// index.snapshot()?.backup(&backup)?;
    /// writer.delete("etna")?;
    /// writer.commit()?;
    /// assert_eq!(Index::open(&backup)?.snapshot()?.documents(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`copy_to`](Self::copy_to), and [`Error::Io`] when the folder cannot be created.
    pub fn backup(&self, path: impl AsRef<Path>) -> Result<()> {
        self.copy_to(&*create_directory(path)?)
    }

    /// Copies this snapshot to a directory, in which it becomes an index of its own with the same
    /// commit number: by hard links where both are on one file system, else file by file. The copy
    /// is durable when this returns. It also holds the changes of a snapshot that a writer has not
    /// committed.
    ///
    /// The index is not locked: a writer may commit and merge meanwhile. What is broken off, by an
    /// error or because the process ends, leaves nothing that opens as an index; after an error
    /// nothing else is left either, unless removing it fails too.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the directory holds an index, or files of one that was not
    /// finished, and for a [joined](Self::joined) snapshot; [`Error::Locked`] when an index is being
    /// created there; [`Error::Io`] and [`Error::Corrupt`] when files cannot be read or written.
    pub fn copy_to(&self, directory: &dyn Directory) -> Result<()> {
        if self.is_joined() {
            return Err(Error::invalid(
                "expected a snapshot of one index, found one of several, which may have the same \
                 ids; copy each of them, or copy one and attach the others",
            ));
        }
        refuse_files(directory)?;
        let _lock = directory.lock()?;
        // Another program may have begun one before the lock was acquired.
        refuse_files(directory)?;
        let mut created = Vec::new();
        match self.copy_files(directory, &mut created) {
            // After an error here the manifest may be there, so its files must stay.
            Ok(manifest) => write_manifest(directory, &manifest),
            Err(error) => {
                // Where the lock does not exclude another copy, they may be that one's too.
                if matches!(directory.removal(false), Ok(Removal::AtOnce)) {
                    for name in created {
                        let _ = directory.remove(&name);
                    }
                }
                Err(error)
            }
        }
    }

    /// Copies the files of all segments, adds their names to `created`, and returns the manifest.
    fn copy_files(&self, directory: &dyn Directory, created: &mut Vec<String>) -> Result<Manifest> {
        let mut manifest = Manifest {
            commit: self.commit(),
            next_file: self.next_file(),
            schema: self.schema().clone(),
            segments: Vec::with_capacity(self.segments().len()),
            calibrations: self.calibrations().to_vec(),
        };
        for segment in self.segments() {
            let name = segment_file(segment.entry.number);
            created.push(name.clone());
            self.copy_segment(segment, directory, &name)?;
            let mut deletes = None;
            if let Some(deleted) = segment.deleted.as_ref().filter(|set| !set.is_empty()) {
                let kept = segment.entry.deletes.as_ref();
                let number = kept.map_or(manifest.next_file, |entry| entry.number);
                manifest.next_file = manifest.next_file.max(number + 1);
                created.push(deletes_file(number));
                deletes = Some(write_deletes_file(directory, number, deleted)?);
            }
            manifest.segments.push(SegmentEntry {
                deletes,
                ..segment.entry.clone()
            });
        }
        Ok(manifest)
    }

    /// A number above those of all its files.
    fn next_file(&self) -> u64 {
        let entries = self.segments().iter().map(|segment| &segment.entry);
        let numbers = entries.map(|entry| {
            let deletes = entry.deletes.as_ref().map_or(0, |deletes| deletes.number);
            entry.number.max(deletes)
        });
        numbers.max().unwrap_or(0) + 1
    }

    fn copy_segment(
        &self,
        segment: &SnapshotSegment,
        directory: &dyn Directory,
        name: &str,
    ) -> Result<()> {
        // A number that was not committed may name another file by now.
        let imported = match self.can_reopen_files() {
            true => directory
                .import(self.directory(), name, name)
                .map(|()| true),
            false => Ok(false),
        };
        match imported {
            Ok(true) => {}
            Err(error) if !is_missing(&error) => return Err(error),
            // It has no file, or a writer has removed it.
            _ => write_copy(segment.reader.source(), directory, name)?,
        }
        let file = directory.open(name)?;
        let copy = SegmentReader::open(file, name, self.schema(), Verify::default())?;
        if copy.container().stamp() != segment.entry.stamp {
            let message = "the copy is not the file that the snapshot has open";
            return Err(Error::corrupt(name, "trailer", 0, message));
        }
        Ok(())
    }
}

/// Refuses a directory with files of an index.
fn refuse_files(directory: &dyn Directory) -> Result<()> {
    if Index::exists_in(directory)? {
        return Err(already_holds_an_index(directory));
    }
    let names = directory.list()?;
    let is_of_index = |name: &str| {
        let mut prefixes = ["segment", "deletes"].iter();
        prefixes.any(|prefix| file_number(name, prefix).is_some())
    };
    match names.iter().find(|name| is_of_index(name)) {
        None => Ok(()),
        Some(name) => Err(Error::invalid(format!(
            "expected a directory without files of an index, found {} in {}, which a copy that was \
             broken off may have left; empty it, or choose another",
            name,
            directory.path().display()
        ))),
    }
}
