//! Planning, running and ending merges.

use super::IndexWriter;
use super::scope::JobScope;

use crate::error::{Error, Result};
use crate::format::limits::{MAX_DICTIONARY_BYTES, MAX_SEGMENT_DOCUMENTS};
use crate::index::merge_policy::MergeLimits;
use crate::index::pool::{Done, ReadySegment, Task};
use crate::index::segments::MergePlan;
use crate::segment::{MERGE_BYTES_PER_DOCUMENT, Reorder, Source};

/// Share of the memory that the merges of the policy may take together.
const MERGE_SHARE: f64 = 0.4;
/// With more segments than this for each of a tier, adding waits for a merge to end: searches would
/// become slow and manifests long.
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

    /// What one merge may take: all of the share, whatever the number of threads, because which
    /// segments are merged must not depend on it.
    pub(super) fn merge_limits(&self) -> MergeLimits {
        // Rounding does not matter here, only that it is always the same.
        let memory = self.options.memory as f64 * MERGE_SHARE;
        let documents = memory as u64 / MERGE_BYTES_PER_DOCUMENT;
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
        // The merges that run may take no more memory together than one alone.
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
        let job = self.segment_job(plan.number, self.reorder(&plan));
        Box::new(move || {
            let sources: Vec<Source<'_>> = plan
                .sources
                .iter()
                .map(|(reader, deleted)| Source::Segment(reader, deleted.as_deref()))
                .collect();
            job.run(&sources)
        })
    }

    /// How the documents of a merge are put in order, if they are enough to be worth it.
    fn reorder(&self, plan: &MergePlan) -> Option<Reorder> {
        let min = self.options.reorder_from?;
        (plan.documents() >= u64::from(min)).then_some(Reorder {
            threads: self.options.threads,
            memory: self.options.memory,
        })
    }

    /// Takes the result of a merge. One that failed is given up: its sources stay as they are, and
    /// nothing is lost. What it has written is removed after the next commit.
    pub(super) fn end_merge(&mut self, number: u64, result: Result<ReadySegment>) {
        if !self.merging.remove(&number) {
            // It was cancelled.
            return;
        }
        self.running_merges.remove(&number);
        match result {
            Ok(ready) => self.changed |= self.segments.end_merge(ready),
            Err(error) => {
                // The policy would begin the same merge again and again. One that was asked for is
                // no reason against others.
                let is_kept_out = self.wanted_merge != Some(number);
                self.segments.abandon_merge(number, is_kept_out);
                if is_kept_out {
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

    /// The next result, of a merge that is run now if none runs it.
    fn next_done(&mut self) -> Result<Done> {
        if let Some(done) = self.pool.try_next() {
            return Ok(done);
        }
        self.pool.run_merge();
        self.pool.next()
    }

    /// Waits for merges while there are far too many segments.
    pub(super) fn wait_for_room(&mut self) -> Result<()> {
        let per_tier = self.options.merge_policy.segments_per_tier;
        let max = per_tier
            .max(2)
            .saturating_mul(MAX_SEGMENTS_PER_TIER_SEGMENT);
        while !self.merging.is_empty() && self.segments.all().len() > max {
            self.finish_a_merge()?;
        }
        Ok(())
    }

    /// Merges until there are at most `segments` segments. Returns why the merge failed, if it did.
    pub(super) fn try_merge_to(&mut self, segments: usize) -> Result<Option<Error>> {
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
            let unordered = self.options.reorder_from.is_some_and(|min| {
                let segments = self.segments.all();
                let mut readers = segments.iter().map(|segment| &segment.reader);
                readers.any(|reader| !reader.is_reordered() && reader.documents() >= min)
            });
            if segments > 1 || !(deleted || unordered) {
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

    /// Stops every merge and forgets it, without waiting.
    pub(super) fn cancel_merges(&mut self) {
        self.scope.close();
        self.scope = JobScope::default();
        self.pool.clear_merges();
        self.merging.clear();
        self.pending_merges.clear();
        self.running_merges.clear();
    }
}
