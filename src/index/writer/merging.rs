//! Planning, running and ending merges.

use super::scope::JobScope;
use super::{IndexWriter, SegmentPlace};
use crate::error::{Error, Result};
use crate::format::limits::{MAX_DICTIONARY_BYTES, MAX_SEGMENT_DOCUMENTS};
use crate::index::merge_policy::MergeLimits;
use crate::index::pool::{Done, ReadySegment, Task};
use crate::index::segments::MergePlan;
use crate::segment::{Reorder, Source, merge_bytes_per_document};

/// Share of the memory for all background merges together.
const MERGE_SHARE: f64 = 0.4;
/// With more than this many segments per `segments_per_tier`, adding waits for a merge: otherwise
/// searches would become slow and manifests long.
const MAX_SEGMENTS_PER_TIER_SEGMENT: usize = 32;

impl IndexWriter {
    /// Plans the merges that the policy wants, and starts those whose sources are ready. Never
    /// waits.
    pub(super) fn plan_merges(&mut self) {
        let limits = self.merge_limits();
        loop {
            let policy = &self.options.merge_policy;
            let places = policy.choose(&self.segments.candidates(), &limits);
            if places.is_empty() {
                return self.start_merges();
            }
            let number = self.take_number();
            self.segments.plan_merge(&places, number);
        }
    }

    /// Limits of one merge: the whole share of the memory for any number of threads, because the
    /// choice of segments must not depend on the number of threads.
    pub(super) fn merge_limits(&self) -> MergeLimits {
        // Rounding does not matter, as long as it is deterministic.
        let memory = self.options.memory as f64 * MERGE_SHARE;
        let documents = memory as u64 / merge_bytes_per_document(&self.schema);
        MergeLimits {
            max_documents: documents.min(u64::from(MAX_SEGMENT_DOCUMENTS)),
            max_key_bytes: MAX_DICTIONARY_BYTES,
        }
    }

    fn start_merges(&mut self) {
        for plan in self.segments.start_merges() {
            self.merging.insert(plan.number);
            self.pending_merges.push_back(plan);
        }
        // All running merges together stay within the memory of one of maximum size.
        let max = self.merge_limits().max_documents;
        while let Some(plan) = self.pending_merges.front() {
            let running: u64 = self.running_merges.values().sum();
            let documents = plan.documents();
            let fits = running.saturating_add(documents) <= max;
            if !(fits || self.running_merges.is_empty()) {
                return;
            }
            let Some(plan) = self.pending_merges.pop_front() else {
                return;
            };
            let number = plan.number;
            self.running_merges.insert(number, documents);
            let task = self.merge_task(plan);
            self.pool.submit_merge(number, task);
        }
    }

    fn merge_task(&self, plan: MergePlan) -> Task {
        let job = self.segment_job(plan.number, self.reorder(&plan), SegmentPlace::File);
        Box::new(move || {
            let sources: Vec<Source<'_>> = plan
                .sources
                .iter()
                .map(|(reader, deleted)| Source::Segment(reader, deleted.as_deref()))
                .collect();
            job.run(&sources)
        })
    }

    /// Options for reordering the documents of a merge, if there are enough of them.
    fn reorder(&self, plan: &MergePlan) -> Option<Reorder> {
        let min = self.options.reorder_from?;
        (plan.documents() >= u64::from(min)).then_some(Reorder {
            threads: self.options.threads,
            memory: self.options.memory,
        })
    }

    /// Handles the result of a merge. A failed merge is abandoned: its sources stay, and nothing is
    /// lost. Its incomplete file is removed after the next commit.
    pub(super) fn end_merge(&mut self, number: u64, result: Result<ReadySegment>) {
        if !self.merging.remove(&number) {
            // It was cancelled.
            return;
        }
        self.running_merges.remove(&number);
        match result {
            Ok(ready) => self.changed |= self.segments.end_merge(ready),
            Err(error) => {
                // Without the exclusion, the policy would retry the same merge forever. A failed
                // `merge_to` says nothing about the merges of the policy.
                let exclude = self.wanted_merge != Some(number);
                self.segments.abandon_merge(number, exclude);
                if exclude {
                    self.failed_merge.get_or_insert((number, error));
                } else {
                    self.failed_wanted = Some(error);
                }
            }
        }
        self.start_merges();
    }

    /// Waits until every planned merge has ended.
    pub(super) fn finish_merges(&mut self) -> Result<()> {
        while !self.merging.is_empty() {
            self.finish_a_merge()?;
        }
        Ok(())
    }

    fn finish_a_merge(&mut self) -> Result<()> {
        let done = self.next_done()?;
        self.receive(done)
    }

    /// Waits for the next result; runs a waiting merge on this thread if no other thread does.
    fn next_done(&mut self) -> Result<Done> {
        if let Some(done) = self.pool.try_next() {
            return Ok(done);
        }
        self.pool.run_merge();
        self.pool.next()
    }

    /// Waits for merges while there are too many segments.
    pub(super) fn limit_segments(&mut self) -> Result<()> {
        let per_tier = self.options.merge_policy.segments_per_tier;
        let max = per_tier
            .max(2)
            .saturating_mul(MAX_SEGMENTS_PER_TIER_SEGMENT);
        while !self.merging.is_empty() && self.segments.all().len() > max {
            self.finish_a_merge()?;
        }
        Ok(())
    }

    /// Merges until there are at most `segments` segments. Returns the error of the merge if it
    /// failed.
    pub(super) fn try_merge_to(&mut self, segments: usize) -> Result<Option<Error>> {
        self.write_everything(SegmentPlace::File)?;
        self.finish_merges()?;
        self.segments.drop_empty();
        let candidates = self.segments.candidates();
        let mut places: Vec<usize> = (0..candidates.len()).collect();
        if candidates.len() > segments {
            // Merging the smallest segments is the least work.
            places.sort_by_key(|place| candidates.get(*place).map_or(0, |c| c.bytes));
            places.truncate(candidates.len() - segments + 1);
            places.sort_unstable();
        } else {
            let deleted = candidates.iter().any(|c| c.deleted > 0);
            let unordered = self.options.reorder_from.is_some_and(|min| {
                let segments = self.segments.all();
                let mut readers = segments.iter().map(|segment| &segment.reader);
                readers.any(|reader| !reader.is_reordered() && reader.documents() >= min)
            });
            let schema = &self.schema;
            let has_dropped = self.segments.all().iter().any(|segment| {
                let fields = &segment.reader.info().fields;
                fields.iter().any(|field| {
                    !schema
                        .fields()
                        .iter()
                        .any(|known| known.number == field.field)
                })
            });
            if segments > 1 || !(deleted || unordered || has_dropped) {
                return Ok(None);
            }
        }
        let number = self.take_number();
        self.segments.plan_merge(&places, number);
        self.wanted_merge = Some(number);
        self.start_merges();
        let finished = self.finish_merges();
        self.wanted_merge = None;
        finished?;
        Ok(self.failed_wanted.take())
    }

    /// Cancels every merge, without waiting for it.
    pub(super) fn cancel_merges(&mut self) {
        self.scope.close();
        self.scope = JobScope::default();
        self.pool.clear_merges();
        self.merging.clear();
        self.pending_merges.clear();
        self.running_merges.clear();
    }
}
