//! Attach, commit, rollback.

use super::{CommitReport, IndexWriter};
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::deletes;
use crate::format::manifest::{DeletesEntry, Manifest, SegmentEntry, deletes_file, segment_file};
use crate::index::added::Added;
use crate::index::buffer::Buffer;
use crate::index::commit::{remove_unused, write_manifest};
use crate::index::segments::LiveSegment;
use crate::index::snapshot::{Snapshot, SnapshotSegment};
use crate::store::Directory;

impl IndexWriter {
    pub(super) fn try_attach(&mut self, source: &dyn Directory, snapshot: &Snapshot) -> Result<()> {
        self.write_everything()?;
        for segment in snapshot.segments() {
            let number = self.take_number();
            let name = segment_file(number);
            let source_name = segment_file(segment.entry.number);
            self.directory.import(source, &source_name, &name)?;
            let mut ids = Vec::new();
            let mut iter = segment.reader.ids().dictionary().iter();
            while iter.advance()? {
                let document = segment.reader.ids().document_of(iter.ordinal())?;
                if segment.is_live(document) {
                    ids.push(iter.key().to_vec());
                }
            }
            let ids: Vec<&[u8]> = ids.iter().map(Vec::as_slice).collect();
            self.segments.delete_ids(&ids, |_| false)?;
            let reader = self.cache.open_segment(number, None, &self.schema)?;
            self.segments.push(LiveSegment {
                number,
                stamp: segment.entry.stamp,
                reader,
                deleted: segment.deleted.clone(),
                deletes_file: None,
                added: Added::Everything,
            });
        }
        self.changed = true;
        Ok(())
    }

    pub(super) fn try_commit(&mut self) -> Result<CommitReport> {
        self.write_everything()?;
        self.plan_merges();
        while let Some(done) = self.pool.try_next() {
            self.receive(done)?;
        }
        self.segments.drop_empty();
        if self.changed {
            self.write_deletes()?;
            let manifest = Manifest {
                commit: self.last_commit + 1,
                next_file: self.next_file,
                schema: (*self.schema).clone(),
                segments: self.segments.all().into_iter().map(entry_of).collect(),
                calibrations: self.calibrations.clone(),
            };
            write_manifest(&*self.directory, &manifest)?;
            self.last_commit = manifest.commit;
            self.manifest = manifest;
            self.changed = false;
            self.segments
                .for_each_mut(|segment| segment.added = Added::Nothing);
            let segments = self
                .segments
                .all()
                .into_iter()
                .map(|segment| SnapshotSegment {
                    reader: segment.reader.clone(),
                    deleted: segment.deleted.clone(),
                    entry: entry_of(segment),
                });
            self.cache.keep(segments.collect(), None);
            remove_unused(&*self.directory, &self.manifest, &self.merging);
        }
        let segments = self.manifest.segments.iter();
        Ok(CommitReport {
            commit: self.manifest.commit,
            segments: self.manifest.segments.len(),
            documents: segments.map(|s| u64::from(s.live_documents())).sum(),
        })
    }

    /// Writes the deletes files that are not yet written.
    pub(super) fn write_deletes(&mut self) -> Result<()> {
        let mut next_file = self.next_file;
        let directory = &*self.directory;
        let mut result = Ok(());
        self.segments.for_each_mut(|segment| {
            let Some(deleted) = &segment.deleted else {
                return;
            };
            if result.is_err() || segment.deletes_file.is_some() || deleted.count() == 0 {
                return;
            }
            match write_deletes_file(directory, next_file, deleted) {
                Ok(entry) => segment.deletes_file = Some(entry),
                Err(error) => result = Err(error),
            }
            next_file += 1;
        });
        self.next_file = next_file;
        self.cache.number_used(next_file);
        result
    }

    pub(super) fn try_rollback(&mut self) -> Result<()> {
        self.queue.clear();
        self.queue_bytes = 0;
        while self.batches_in_flight > 0 || self.writing {
            let done = self.pool.next()?;
            self.receive(done)?;
        }
        self.cancel_merges();
        self.arrived.clear();
        self.next_to_accept = self.next_sequence;
        self.buffer = Buffer::default();
        self.take_errors();
        self.load_committed()
    }
}

fn write_deletes_file(
    directory: &dyn Directory,
    number: u64,
    deleted: &DocSet,
) -> Result<DeletesEntry> {
    let name = deletes_file(number);
    let failed = |e| Error::io(directory.path().join(&name), "write", e);
    let file = directory.create(&name)?;
    let (mut file, stamp) = deletes::write(deleted, file).map_err(failed)?;
    file.sync().map_err(failed)?;
    Ok(DeletesEntry {
        number,
        stamp,
        deleted: deleted.count(),
    })
}

fn entry_of(segment: &LiveSegment) -> SegmentEntry {
    SegmentEntry {
        number: segment.number,
        stamp: segment.stamp,
        documents: segment.reader.documents(),
        deletes: segment.deletes_file.clone(),
    }
}
