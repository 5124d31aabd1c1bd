//! Leaves: queries on one field, searched segment by segment.
//!
//! A new kind of query is a new [`Leaf`] in a file of its own, and one line in
//! [`prepare`](super::prepare). It says how much work a segment is, opens its lists there, and
//! searches parts of the segment; `search` and `threads` do the rest, for all kinds alike.

use std::ops::Range;
use std::sync::Arc;

use super::accept::{Accept, Accepted, Filter};
use super::options::SearchOptions;
use super::part::Part;
use super::result::SearchStatistics;
use super::score::{Ranked, in_units};
use super::top_k::{Scored, TopK};
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::DocId;
use crate::index::{DocAddress, Snapshot, SnapshotSegment};

/// Parts for each thread where a part is a range of documents: with more, threads end more nearly
/// at the same time, but every part opens its lists anew.
const PARTS_PER_THREAD: u64 = 2;

/// A query on one field of a snapshot. Segments are named by their ordinals.
pub(super) trait Leaf: Sync {
    type Score: Ranked;
    /// What the query has in a segment, opened once for all parts.
    type Lists: Send + Sync;

    /// What one unit of a score stands for.
    fn unit(&self) -> f32 {
        1.0
    }

    /// The lowest score that is returned as at least `min`; `None` when lower ones must not be
    /// skipped.
    fn lowest_score(&self, min: f32) -> Option<Self::Score> {
        Self::Score::lowest(min, self.unit())
    }

    /// Terms above the limit, which are not searched.
    fn skipped_terms(&self) -> u64 {
        0
    }

    /// Into about how many parts the work is cut for each thread.
    fn parts_per_thread(&self) -> u64 {
        PARTS_PER_THREAD
    }

    /// Postings of the query's terms in a segment that must be read, or other work that takes as
    /// long as this many postings.
    fn postings(&self, ordinal: usize) -> u64;

    /// Opens the query's lists in a segment.
    fn open(&self, ordinal: usize) -> Result<Self::Lists>;

    /// The documents of a segment that a search without limits finds, deleted ones included.
    fn matching(&self, ordinal: usize) -> Result<Arc<DocSet>>;

    /// The score of a document that the query finds; `None` for another.
    fn score_of(&self, address: DocAddress) -> Result<Option<Self::Score>>;

    /// How many documents of a segment [`matching`](Self::matching) has, where that is known without
    /// looking at them.
    fn known_count(&self, _: usize) -> Option<u32> {
        None
    }

    /// How many documents of a segment [`matching`](Self::matching) has at least, as far as that is
    /// known without looking at them.
    fn min_count(&self, ordinal: usize) -> u32 {
        self.known_count(ordinal).unwrap_or(0)
    }

    /// How many documents of a segment [`matching`](Self::matching) has at most, as far as that is
    /// known without looking at them.
    fn max_count(&self, ordinal: usize) -> u32 {
        self.known_count(ordinal).unwrap_or(u32::MAX)
    }

    /// How many documents of a segment [`matching`](Self::matching) has; `None` when counting those
    /// is the fastest way to tell.
    fn count(&self, ordinal: usize) -> Result<Option<u32>> {
        Ok(self.known_count(ordinal))
    }

    /// As [`matching`](Self::matching), as a list that rises, for few documents; `None` when a set is
    /// made first.
    fn listed(&self, _: usize) -> Result<Option<Vec<DocId>>> {
        Ok(None)
    }

    /// Of documents that rise, keeps those that [`matching`](Self::matching) has, or those that it
    /// does not have. Returns false, and changes nothing, when a set is needed for that.
    fn retain(&self, _: usize, _: &mut Vec<DocId>, _are_kept: bool) -> Result<bool> {
        Ok(false)
    }

    /// Searches a part of a segment.
    fn search(
        &self,
        lists: &Self::Lists,
        task: &SegmentTask<'_>,
        found: &mut Found<Self::Score>,
    ) -> Result<()>;
}

/// Everything that one search has in common in all segments.
pub(super) struct SearchContext<'a> {
    pub snapshot: &'a Snapshot,
    pub options: &'a SearchOptions,
    accepted: Accepted<'a>,
}

impl<'a> SearchContext<'a> {
    pub fn new(
        snapshot: &'a Snapshot,
        options: &'a SearchOptions,
        filter: Option<&'a Filter>,
    ) -> Result<Self> {
        Ok(Self {
            snapshot,
            options,
            accepted: Accepted::new(snapshot.segments(), filter)?,
        })
    }

    /// Keeps the best documents of the search, behind this one.
    pub fn top_k<L: Leaf>(&self, leaf: &L, after: Option<Scored<L::Score>>) -> TopK<L::Score> {
        TopK::new(self.options.k, self.snapshot.documents())
            .after(after)
            .at_least(self.lowest_score(leaf))
    }

    /// The lowest score that is asked for, as far as lower ones may be skipped.
    pub fn lowest_score<L: Leaf>(&self, leaf: &L) -> Option<L::Score> {
        self.options
            .min_score
            .and_then(|min| leaf.lowest_score(min))
    }

    /// The document behind which the search begins, with its score.
    pub fn after<L: Leaf>(&self, leaf: &L) -> Result<Option<Scored<L::Score>>> {
        let Some(address) = self.options.after else {
            return Ok(None);
        };
        self.snapshot.segment(address)?;
        match leaf.score_of(address)? {
            Some(score) => Ok(Some(Scored { score, address })),
            None => Err(Error::invalid(
                "expected a document that the query finds, to search behind it, found another one; give the address of \
                 the last hit",
            )),
        }
    }

    /// The work of searching a part of a segment.
    pub fn task(&self, ordinal: usize, part: Part) -> SegmentTask<'_> {
        SegmentTask {
            ordinal,
            segment: &self.snapshot.segments()[ordinal],
            part,
            accept: self.accepted.in_segment(ordinal),
            options: self.options,
        }
    }
}

/// A part of a segment to be searched.
#[derive(Clone, Copy)]
pub(super) struct SegmentTask<'a> {
    /// Place of the segment in the snapshot.
    pub ordinal: usize,
    pub segment: &'a SnapshotSegment,
    pub part: Part,
    /// Which documents may be returned.
    pub accept: Accept<'a>,
    pub options: &'a SearchOptions,
}

impl SegmentTask<'_> {
    /// Documents of the whole segment.
    pub fn documents(&self) -> u32 {
        self.segment.reader.documents()
    }

    /// The documents of the part, where a part is one range of documents.
    pub fn doc_range(&self) -> Range<DocId> {
        self.part.doc_range(self.documents())
    }

    /// Fails when the search was cancelled. Called once for each window or range of documents.
    #[inline(always)]
    pub fn check_cancelled(&self) -> Result<()> {
        self.options.check_cancelled()
    }
}

/// What was found in the segments searched so far.
pub(super) struct Found<S> {
    pub top: TopK<S>,
    pub statistics: SearchStatistics,
}

impl<S: Ranked> Found<S> {
    /// Nothing yet.
    pub fn with(top: TopK<S>) -> Self {
        Self {
            top,
            statistics: SearchStatistics::default(),
        }
    }

    /// Searches a part of a segment.
    pub fn search<L: Leaf<Score = S>>(
        &mut self,
        leaf: &L,
        lists: &L::Lists,
        task: &SegmentTask<'_>,
    ) -> Result<()> {
        self.top
            .enter(u32::try_from(task.ordinal).unwrap_or(u32::MAX));
        leaf.search(lists, task, self)
    }

    /// Addresses and scores, the best first, and the statistics.
    pub fn into_scored(self, unit: f32) -> (Vec<(DocAddress, f32)>, SearchStatistics) {
        let hits = self.top.into_sorted().into_iter();
        let scored = hits.map(|hit| (hit.address, in_units(hit.score, unit)));
        (scored.collect(), self.statistics)
    }
}
