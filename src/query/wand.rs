//! WAND: document at a time, skipping to the first document whose bounds exceed the threshold.
//!
//! Broder, Carmel, Herscovici, Soffer and Zien, "Efficient query evaluation using a two-level
//! retrieval process", CIKM 2003.
//!
//! Invariant: cursors are sorted by their documents. The *pivot* is the first document at which the
//! sum of the bounds of all cursors up to it exceeds the threshold. No document before it can be
//! kept: only cursors whose bounds do not suffice may still have it.
//!
//! The planner never picks it: MaxScore was faster on every workload that was measured
//! (`benches/README.md`). It is a baseline, for
//! [`SearchOptions::algorithm`](crate::SearchOptions::algorithm).

use super::cursor::Cursor;
use super::leaf::SegmentTask;
use super::score::Score;
use super::top_k::TopK;
use crate::error::Result;
use crate::format::{DocId, NO_MORE_DOCUMENTS};

/// Documents between two checks for cancellation.
const CHECK_EVERY: u32 = 4_096;

/// Checks for cancellation once for each window of documents.
pub(super) struct CancelCheck {
    next: DocId,
}

impl CancelCheck {
    pub fn new() -> Self {
        Self { next: 0 }
    }

    /// Fails when the search was cancelled; `document` never falls.
    #[inline]
    pub fn at(&mut self, document: DocId, task: &SegmentTask<'_>) -> Result<()> {
        if document < self.next {
            return Ok(());
        }
        self.next = document.saturating_add(CHECK_EVERY);
        task.check_cancelled()
    }
}

/// Offers every accepted document of the segment that can exceed the threshold.
pub(super) fn search<C: Cursor>(
    cursors: &mut [C],
    task: &SegmentTask<'_>,
    top: &mut TopK<C::Score>,
) -> Result<()> {
    let mut cancelled = CancelCheck::new();
    let mut order = DocumentOrder::new(cursors);
    while let Some(pivot) = order.pivot(cursors, top.threshold()) {
        cancelled.at(pivot.document, task)?;
        if order.first_document(cursors) == pivot.document {
            let sum = score_document(cursors, pivot.document);
            if task.accept.contains(pivot.document) {
                top.offer(pivot.document, sum);
            }
        } else {
            order.seek_before(cursors, &pivot, pivot.document);
        }
        order.sort(cursors);
        top.exchange();
    }
    Ok(())
}

/// Sums the contributions of a document in the query's term order, and moves its cursors on.
#[inline]
pub(super) fn score_document<C: Cursor>(cursors: &mut [C], document: DocId) -> C::Score {
    let mut sum = C::Score::default();
    for cursor in cursors {
        if cursor.document() == document {
            sum = sum.plus(cursor.score());
            cursor.advance();
        }
    }
    sum
}

/// Where the bounds first suffice.
pub(super) struct Pivot {
    pub document: DocId,
    /// How many cursors, in document order, stand at or before it.
    pub cursors: usize,
}

/// The cursors in the order of their documents.
pub(super) struct DocumentOrder<S> {
    order: Vec<usize>,
    /// The largest bound counted for each term; tiers of a term share no document.
    counted: Vec<S>,
    terms: usize,
}

impl<S: Score> DocumentOrder<S> {
    /// Moves every cursor to its first document.
    pub fn new<C: Cursor<Score = S>>(cursors: &mut [C]) -> Self {
        for cursor in cursors.iter_mut() {
            cursor.seek(0);
        }
        let terms = cursors.iter().map(|c| c.term() + 1).max().unwrap_or(0);
        let mut order = Self {
            order: (0..cursors.len()).collect(),
            counted: vec![S::default(); terms],
            terms,
        };
        order.sort(cursors);
        order
    }

    pub fn sort<C: Cursor<Score = S>>(&mut self, cursors: &[C]) {
        // Nearly sorted already: insertion is cheap.
        for place in 1..self.order.len() {
            let mut at = place;
            while at > 0
                && cursors[self.order[at - 1]].document() > cursors[self.order[at]].document()
            {
                self.order.swap(at - 1, at);
                at -= 1;
            }
        }
        while self
            .order
            .last()
            .is_some_and(|last| cursors[*last].document() == NO_MORE_DOCUMENTS)
        {
            self.order.pop();
        }
    }

    pub fn first_document<C: Cursor<Score = S>>(&self, cursors: &[C]) -> DocId {
        let first = self.order.first();
        first.map_or(NO_MORE_DOCUMENTS, |first| cursors[*first].document())
    }

    /// The first document that may exceed the threshold; `None` when none can.
    pub fn pivot<C: Cursor<Score = S>>(
        &mut self,
        cursors: &[C],
        threshold: Option<S>,
    ) -> Option<Pivot> {
        let Some(threshold) = threshold else {
            return self.pivot_at(cursors, 0);
        };
        let cut = S::cut(threshold, S::default(), self.terms);
        self.counted.fill(S::default());
        let mut sum = S::default();
        for (place, cursor) in self.order.iter().enumerate() {
            let cursor = &cursors[*cursor];
            let counted = &mut self.counted[cursor.term()];
            let more = cursor.bound();
            if more > *counted {
                sum = sum.plus(more.minus(*counted));
                *counted = more;
            }
            if sum > cut {
                return self.pivot_at(cursors, place);
            }
        }
        None
    }

    fn pivot_at<C: Cursor<Score = S>>(&self, cursors: &[C], place: usize) -> Option<Pivot> {
        let document = cursors[*self.order.get(place)?].document();
        let at_or_before = |cursor: &&usize| cursors[**cursor].document() <= document;
        Some(Pivot {
            document,
            cursors: self.order.iter().take_while(at_or_before).count(),
        })
    }

    /// The places of the cursors at or before a pivot.
    pub fn up_to(&self, pivot: &Pivot) -> &[usize] {
        &self.order[..pivot.cursors]
    }

    /// The first document after the pivot that a cursor stands on.
    pub fn document_after<C: Cursor<Score = S>>(&self, cursors: &[C], pivot: &Pivot) -> DocId {
        let next = self.order.get(pivot.cursors);
        next.map_or(NO_MORE_DOCUMENTS, |next| cursors[*next].document())
    }

    /// Moves the cursors before `target`, of those at or before the pivot, to it.
    pub fn seek_before<C: Cursor<Score = S>>(
        &self,
        cursors: &mut [C],
        pivot: &Pivot,
        target: DocId,
    ) {
        for cursor in self.up_to(pivot) {
            if cursors[*cursor].document() < target {
                cursors[*cursor].seek(target);
            }
        }
    }
}
