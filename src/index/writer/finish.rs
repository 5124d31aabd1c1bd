//! Merging, attaching, committing, rolling back.

use std::path::Path;

use super::{CommitReport, IndexWriter, write_segment};
use crate::error::{Error, Result};
use crate::format::manifest::{DeletesEntry, Manifest, SegmentEntry, deletes_file, segment_file};
use crate::index::buffer::Buffer;
use crate::index::commit::{remove_unused, write_manifest};
use crate::index::pool::{Job, Task};
use crate::index::segments::{LiveSegment, MergePlan};
use crate::index::snapshot::Snapshot;
use crate::segment::{Reorder, SegmentReader, Source};

impl IndexWriter {
    pub(super) fn plan_merges(&mut self) -> Result<()> {
        loop {
            let places = self
                .options
                .merge_policy
                .choose(&self.segments.candidates());
            if places.is_empty() {
                return Ok(());
            }
            if places.iter().any(|place| self.segments.is_merging(*place)) {
                // Its turn depends on what was added, not on when the merge ends, so wait.
                self.finish_merges()?;
            }
            self.begin_merge(&places);
        }
    }

    pub(super) fn begin_merge(&mut self, places: &[usize]) {
        let number = self.take_number();
        let Some(plan) = self.segments.begin_merge(places, number) else {
            return;
        };
        let (directory, schema) = (self.directory.clone(), self.schema.clone());
        let verify = self.index_options.verify;
        let reorder = self.reorder(&plan);
        let task: Task = Box::new(move || {
            let sources: Vec<Source<'_>> = plan
                .sources
                .iter()
                .map(|(reader, deleted)| Source::Segment(reader, deleted.as_deref()))
                .collect();
            write_segment(&*directory, &schema, number, &sources, reorder, verify)
        });
        self.merging += 1;
        self.pool.submit(Job::Merge(task));
    }

    /// How the documents of a merge are put in order, if they are enough to be worth it.
    fn reorder(&self, plan: &MergePlan) -> Option<Reorder> {
        let least = self.options.reorder_from?;
        let documents = plan.sources.iter().map(|(reader, _)| reader.documents());
        (documents.map(u64::from).sum::<u64>() >= u64::from(least)).then_some(Reorder {
            threads: self.options.threads,
            memory: self.options.memory,
        })
    }

    pub(super) fn try_merge_to(&mut self, segments: usize) -> Result<()> {
        self.write_everything()?;
        self.finish_merges()?;
        self.segments.drop_empty();
        let candidates = self.segments.candidates();
        let mut places: Vec<usize> = (0..candidates.len()).collect();
        if candidates.len() > segments {
            // The smallest ones: the least work.
            places.sort_by_key(|place| candidates.get(*place).map_or(0, |c| c.bytes));
            places.truncate(candidates.len() - segments + 1);
            places.sort_unstable();
        } else {
            let deleted = candidates.iter().any(|c| c.deleted > 0);
            let unordered = self.options.reorder_from.is_some_and(|least| {
                let mut infos = self.segments.iter().map(|s| s.reader.info());
                infos.any(|info| !info.reordered && info.documents >= least)
            });
            if segments > 1 || !(deleted || unordered) {
                return Ok(());
            }
        }
        self.begin_merge(&places);
        self.finish_merges()
    }

    pub(super) fn try_attach(&mut self, path: &Path, snapshot: &Snapshot) -> Result<()> {
        self.write_everything()?;
        for segment in snapshot.segments() {
            let number = self.take_number();
            let name = segment_file(number);
            let source = path.join(segment_file(segment.entry.number));
            self.directory.import(&source, &name)?;
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
            let reader = SegmentReader::open(
                self.directory.open(&name)?,
                &name,
                &self.schema,
                self.index_options.verify,
            )?;
            self.segments.push(LiveSegment {
                number,
                stamp: segment.entry.stamp,
                reader,
                deleted: segment.deleted.clone(),
                deletes_file: None,
                is_new: true,
            });
        }
        self.changed = true;
        Ok(())
    }

    pub(super) fn try_commit(&mut self) -> Result<CommitReport> {
        self.write_everything()?;
        self.plan_merges()?;
        while let Some(done) = self.pool.try_next() {
            self.receive(done)?;
        }
        self.segments.drop_empty();
        if self.changed {
            self.write_deletes()?;
            let manifest = Manifest {
                commit: self.manifest.commit + 1,
                next_file: self.next_file,
                schema: (*self.schema).clone(),
                segments: self.segments.iter().map(entry_of).collect(),
                calibrations: self.calibrations.clone(),
            };
            write_manifest(&*self.directory, &manifest)?;
            self.manifest = manifest;
            self.changed = false;
            for segment in self.segments.iter_mut() {
                segment.is_new = false;
            }
            let merging = self.segments.merging();
            remove_unused(&*self.directory, &self.manifest, &merging)?;
        }
        let segments = self.manifest.segments.iter();
        Ok(CommitReport {
            commit: self.manifest.commit,
            segments: self.manifest.segments.len(),
            documents: segments.map(|s| u64::from(s.live_documents())).sum(),
        })
    }

    /// Writes the deletes files that are not written yet.
    pub(super) fn write_deletes(&mut self) -> Result<()> {
        let mut next_file = self.next_file;
        for segment in self.segments.iter_mut() {
            let Some(deleted) = &segment.deleted else {
                continue;
            };
            if segment.deletes_file.is_some() || deleted.count() == 0 {
                continue;
            }
            let number = next_file;
            next_file += 1;
            let name = deletes_file(number);
            let failed = |e| Error::io(self.directory.path().join(&name), "write", e);
            let file = self.directory.create(&name)?;
            let (mut file, stamp) = deleted.write(file).map_err(failed)?;
            file.sync().map_err(failed)?;
            segment.deletes_file = Some(DeletesEntry {
                number,
                stamp,
                deleted: deleted.count(),
            });
        }
        self.next_file = next_file;
        Ok(())
    }

    pub(super) fn try_rollback(&mut self) -> Result<()> {
        self.queue.clear();
        self.queue_bytes = 0;
        while self.batches_in_flight > 0 || self.writing || self.merging > 0 {
            let done = self.pool.next()?;
            self.receive(done)?;
        }
        self.arrived.clear();
        self.next_to_accept = self.next_sequence;
        self.buffer = Buffer::default();
        self.errors.clear();
        self.load_committed()
    }
}

fn entry_of(segment: &LiveSegment) -> SegmentEntry {
    SegmentEntry {
        number: segment.number,
        stamp: segment.stamp,
        documents: segment.reader.documents(),
        deletes: segment.deletes_file.clone(),
    }
}
