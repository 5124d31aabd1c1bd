//! Snapshots of what a writer holds, committed or not (near-real-time search).
//!
//! The buffer becomes a segment in memory: no file, no fsync, no manifest. The next commit writes
//! the file, so a snapshot costs what inverting the new documents costs. A merge reads segments in
//! memory like others, and writes a file as always. Therefore small refreshes without a commit do not
//! leave many segments behind.
//!
//! Such segments hold at most [`UNSAVED_SHARE`] of the writer's memory together. More documents at a
//! time are written to a file at once, where an fsync is a small part of the cost.

use std::sync::Arc;

use super::{IndexWriter, SegmentPlace};
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::index::snapshot::{Snapshot, State};

/// Share of the memory for segments that have no file yet. It comes on top of the other shares.
const UNSAVED_SHARE: f64 = 0.05;

impl IndexWriter {
    /// A snapshot of the index with all additions and deletes so far, before they are committed.
    ///
    /// It takes a small part of the time of a commit: nothing is made durable, and no new commit is
    /// published. Other snapshots do not see the changes before [`commit`](Self::commit). The
    /// snapshot stays as it is and can be searched after later changes and commits, after a
    /// rollback, and after the writer was dropped; only the index then lacks what was not
    /// committed.
    ///
    /// What refreshes have written stays in memory until the next commit, up to 5 % of
    /// [`WriterOptions::memory`](crate::WriterOptions::memory); beyond that, and when many documents
    /// were added at once, it goes to files, which takes an fsync.
    ///
    /// Under [`OnDuplicate::Reject`](crate::OnDuplicate::Reject), duplicates among the documents so
    /// far are found now, and [`take_errors`](Self::take_errors) returns them.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder().text("text", Text::new()).build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("etna").with_text("text", "lava and ash"))?;
    ///
    /// let lava = Query::text("text", "lava");
    /// let fresh = writer.refresh()?;
    /// assert_eq!(fresh.search(&lava, 10)?.ids()?, ["etna"]);
    /// assert_eq!(index.snapshot()?.count(&lava)?, 0);
    ///
    /// writer.commit()?;
    /// assert_eq!(index.snapshot()?.count(&lava)?, 1);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit): the writer refuses further work after an error.
    pub fn refresh(&mut self) -> Result<Snapshot> {
        self.check_poison()?;
        let refreshed = self.try_refresh();
        self.guard(refreshed)
    }

    fn try_refresh(&mut self) -> Result<Snapshot> {
        self.invert_everything()?;
        let place = self.place_of_refresh()?;
        self.write_everything(place)?;
        while let Some(done) = self.pool.try_next() {
            self.receive(done)?;
        }
        self.segments.drop_empty();
        Ok(Snapshot::new(State {
            directory: &self.directory,
            commit: self.manifest.commit,
            is_committed: !self.changed,
            schema: self.schema.clone(),
            segments: self.snapshot_segments(),
            calibrations: self.calibrations.clone(),
            options: &self.index_options,
        }))
    }

    /// Where the buffer goes: to memory if it fits, after what is there was saved if need be.
    fn place_of_refresh(&mut self) -> Result<SegmentPlace> {
        // Rounding does not matter.
        let max = (self.options.memory as f64 * UNSAVED_SHARE) as u64;
        let buffered = self.buffer.memory() as u64;
        if buffered > max {
            return Ok(SegmentPlace::File);
        }
        let segments = self.segments.all().into_iter();
        let unsaved = segments.filter(|segment| segment.is_unsaved);
        let unsaved: u64 = unsaved.map(|segment| segment.stamp.length).sum();
        if unsaved.saturating_add(buffered) > max {
            self.save_segments()?;
        }
        Ok(SegmentPlace::Memory)
    }

    /// Deletes the documents of the sets that `find` returns for a snapshot of what the writer
    /// holds, one for each segment, and returns how many were live.
    pub(crate) fn delete_found(
        &mut self,
        find: impl FnOnce(&Snapshot) -> Result<Vec<Arc<DocSet>>>,
    ) -> Result<u64> {
        let sets = find(&self.refresh()?)?;
        let count = self.segments.delete_sets(&sets);
        self.changed |= count > 0;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::store::{Directory, Fault, Faulty, Memory};
    use crate::{
        Document, Index, IndexOptions, IndexWriter, MergePolicy, OnDuplicate, Query, Schema,
        Snapshot, Text, WriterOptions,
    };

    fn schema() -> Schema {
        let builder = Schema::builder().text("text", Text::new());
        builder.stored("source").build().unwrap()
    }

    fn document(id: impl ToString, text: &str) -> Document {
        Document::new(id.to_string()).with_text("text", text)
    }

    fn count(snapshot: &Snapshot, word: &str) -> u64 {
        snapshot.count(&Query::text("text", word)).unwrap()
    }

    fn without_merges() -> WriterOptions {
        WriterOptions::new().merge_policy(MergePolicy::never())
    }

    #[test]
    fn a_refresh_touches_no_file_and_the_commit_takes_it_over() {
        let directory = Arc::new(Faulty::new(Fault::None));
        let index = Index::create_in(directory.clone(), schema(), IndexOptions::new()).unwrap();
        let mut writer = index.writer_with(without_merges()).unwrap();
        writer.add(document("a", "lava")).unwrap();
        writer.commit().unwrap();
        writer.add(document("b", "ash")).unwrap();
        writer.add(document("a", "new lava")).unwrap();
        let (before, files) = (directory.operations(), directory.list().unwrap());
        let first = writer.refresh().unwrap();
        writer.delete("b").unwrap();
        writer.add(document("c", "ash lava")).unwrap();
        let second = writer.refresh().unwrap();
        assert_eq!(directory.operations(), before + 1, "the listing alone");
        assert_eq!(directory.list().unwrap(), files);
        assert_eq!((count(&first, "lava"), count(&first, "ash")), (1, 1));
        assert_eq!((count(&second, "lava"), count(&second, "ash")), (2, 1));
        assert_eq!((second.documents(), second.commit()), (2, 2));
        assert!(!second.is_committed());
        assert_eq!(index.snapshot().unwrap().documents(), 1);

        writer.commit().unwrap();
        assert!(writer.refresh().unwrap().is_committed());
        drop(writer);
        let found = directory.after_crash(false, false);
        let found = Index::open_in(Arc::new(found), IndexOptions::new()).unwrap();
        for index in [&index, &found] {
            let snapshot = index.snapshot().unwrap();
            assert_eq!((count(&snapshot, "lava"), count(&snapshot, "ash")), (2, 1));
            assert!(snapshot.is_committed());
        }
        assert_eq!((count(&first, "ash"), first.documents()), (1, 2));
    }

    #[test]
    fn nothing_is_left_of_a_writer_that_is_dropped_but_its_snapshots() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::create(folder.path(), schema()).unwrap();
        let options = || without_merges().memory(WriterOptions::MIN_MEMORY);
        let mut writer = index.writer_with(options()).unwrap();
        writer.add(document("kept", "kept")).unwrap();
        writer.commit().unwrap();
        let files = || {
            let mut names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
            names.sort_by_key(|name| name.as_ref().unwrap().file_name());
            let names = names.into_iter().map(|name| name.unwrap().file_name());
            names.collect::<Vec<_>>()
        };
        let before = files();
        writer.delete("kept").unwrap();
        writer.add(document("small", "small")).unwrap();
        let small = writer.refresh().unwrap();
        assert_eq!(files(), before);
        // More than what is held in memory.
        let text: String = (0..3_000).map(|word| format!("w{word} ")).collect();
        (0..300).for_each(|id| writer.add(document(id, &text)).unwrap());
        let large = writer.refresh().unwrap();
        assert_eq!(files().len(), before.len() + 1);
        drop(writer);
        assert_eq!(files(), before);
        assert_eq!(index.snapshot().unwrap().documents(), 1);
        assert_eq!((count(&small, "small"), count(&small, "kept")), (1, 0));
        assert_eq!((count(&large, "w2999"), large.documents()), (300, 301));
        // Numbers of the dropped writer's segments are free again for one of another process.
        let mut writer = Index::open(folder.path()).unwrap().writer().unwrap();
        writer.add(document("other", "other")).unwrap();
        writer.commit().unwrap();
        assert_eq!(count(&large, "w2999"), 300);
    }

    /// Many refreshes without a commit leave few segments, and bounded memory.
    #[test]
    fn segments_in_memory_are_merged_and_saved() {
        let index = Index::in_memory(schema()).unwrap();
        let options = WriterOptions::new()
            .merge_threads(0)
            .memory(WriterOptions::MIN_MEMORY);
        let mut writer = index.writer_with(options).unwrap();
        let text = |id: u32| {
            (0..3_000)
                .map(|w| format!("x{} ", w * id))
                .collect::<String>()
        };
        for id in 0..120 {
            writer.add(document(id, &text(id))).unwrap();
            assert_eq!(writer.refresh().unwrap().documents(), u64::from(id) + 1);
            let segments = writer.segments.all();
            let unsaved = segments.iter().filter(|segment| segment.is_unsaved);
            let bytes: u64 = unsaved.map(|segment| segment.stamp.length).sum();
            assert!(bytes < (WriterOptions::MIN_MEMORY / 10) as u64, "{bytes}");
        }
        let saved = writer.segments.all();
        assert!(saved.iter().any(|segment| !segment.is_unsaved));
        writer.wait_for_merges().unwrap();
        assert!(writer.segments.all().len() < 30);
        assert_eq!(writer.refresh().unwrap().documents(), 120);
        assert_eq!(writer.commit().unwrap().documents, 120);
    }

    #[test]
    fn duplicates_of_a_load_are_found_across_refreshes() {
        let index = Index::in_memory(schema()).unwrap();
        let options = without_merges().on_duplicate(OnDuplicate::Reject);
        let mut writer: IndexWriter = index.writer_with(options).unwrap();
        writer.add(document("a", "one")).unwrap();
        writer.refresh().unwrap();
        writer.add(document("a", "two")).unwrap();
        let snapshot = writer.refresh().unwrap();
        assert_eq!(writer.take_errors().len(), 1);
        assert_eq!((count(&snapshot, "one"), count(&snapshot, "two")), (1, 0));
        writer.rollback().unwrap();
        assert_eq!(writer.refresh().unwrap().documents(), 0);
        assert_eq!(count(&snapshot, "one"), 1);
        assert_eq!(index.snapshot().unwrap().documents(), 0);
    }

    #[test]
    fn a_segment_in_memory_can_be_in_a_merge_when_it_is_committed() {
        let index = Index::create_in(Arc::new(Memory::new()), schema(), IndexOptions::new());
        let index = index.unwrap();
        let policy = MergePolicy::new().segments_per_tier(2);
        let options = WriterOptions::new().merge_threads(0).merge_policy(policy);
        let mut writer = index.writer_with(options).unwrap();
        for id in 0..20 {
            writer.add(document(id, "lava")).unwrap();
            writer.refresh().unwrap();
        }
        // The merges are planned, and run only when the writer waits for them.
        assert_eq!(writer.commit().unwrap().documents, 20);
        assert_eq!(count(&index.snapshot().unwrap(), "lava"), 20);
        writer.delete("3").unwrap();
        writer.wait_for_merges().unwrap();
        assert_eq!(writer.commit().unwrap().documents, 19);
        assert_eq!(count(&index.snapshot().unwrap(), "lava"), 19);
    }
}
