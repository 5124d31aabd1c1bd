//! Attach, commit, rollback.

use std::sync::Arc;

use super::{CommitReport, IndexWriter, SegmentPlace};
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::manifest::{DeletesEntry, Manifest, SegmentEntry, deletes_file, segment_file};
use crate::format::{Schema, deletes};
use crate::index::added::Added;
use crate::index::buffer::Buffer;
use crate::index::commit::{remove_unused, write_manifest};
use crate::index::segment_cache::SegmentCache;
use crate::index::segments::LiveSegment;
use crate::index::snapshot::{Snapshot, SnapshotSegment};
use crate::store::{Directory, write_copy};

impl IndexWriter {
    pub(super) fn try_attach(&mut self, source: &dyn Directory, snapshot: &Snapshot) -> Result<()> {
        self.write_everything(SegmentPlace::File)?;
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
            if reader.container().stamp() != segment.entry.stamp {
                let message = "the copy is not the file that the other index names";
                return Err(Error::corrupt(name, "trailer", 0, message));
            }
            self.segments.push(LiveSegment {
                number,
                stamp: segment.entry.stamp,
                reader,
                deleted: segment.deleted.clone(),
                deletes_file: None,
                added: Added::Everything,
                is_unsaved: false,
            });
        }
        self.changed = true;
        Ok(())
    }

    pub(super) fn try_commit(&mut self) -> Result<CommitReport> {
        self.write_everything(SegmentPlace::File)?;
        self.plan_merges();
        while let Some(done) = self.pool.try_next() {
            self.receive(done)?;
        }
        self.segments.drop_empty();
        if self.changed {
            self.save_segments()?;
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
            self.cache
                .keep(self.snapshot_segments(), &self.schema, None);
            remove_unused(&*self.directory, &self.manifest, &self.merging, true);
        }
        Ok(CommitReport::of(&self.manifest))
    }

    /// Writes the files of the segments that are in memory alone, and opens them from there.
    pub(super) fn save_segments(&mut self) -> Result<()> {
        let (cache, schema) = (self.cache.clone(), self.schema.clone());
        let mut result = Ok(());
        self.segments.for_each_mut(|segment| {
            if result.is_ok() && segment.is_unsaved {
                result = save(segment, &cache, &schema);
            }
        });
        result
    }

    /// The segments as they are now, in order.
    pub(super) fn snapshot_segments(&self) -> Vec<SnapshotSegment> {
        let segments = self.segments.all().into_iter();
        segments
            .map(|segment| SnapshotSegment {
                reader: segment.reader.clone(),
                deleted: segment.deleted.clone(),
                entry: entry_of(segment),
            })
            .collect()
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

fn save(segment: &mut LiveSegment, cache: &SegmentCache, schema: &Arc<Schema>) -> Result<()> {
    let name = segment_file(segment.number);
    write_copy(segment.reader.source(), &**cache.directory(), &name)?;
    segment.reader = cache.open_segment(segment.number, None, schema)?;
    segment.is_unsaved = false;
    Ok(())
}

pub(in crate::index) fn write_deletes_file(
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
