//! MaxScore with block maxima, window by window.
//!
//! Turtle and Flood, "Query evaluation: strategies and optimizations", 1995; block maxima as in
//! Chakrabarti, Chaudhuri and Ganti, "Interval-based pruning for top-k processing over compressed
//! lists", ICDE 2011.
//!
//! The documents are cut into windows. In each, the bounds of every cursor's blocks are looked up.
//! The cursors at the end of the query's term order whose bounds together do not exceed the
//! threshold are *not essential*: a document that only they have cannot be kept. The essential ones
//! add their contributions to one accumulator for each document of the window, term at a time. The
//! documents whose sum can still exceed the threshold, given the bounds of the other cursors, are
//! then looked up in those, and dropped as soon as they cannot.
//!
//! Invariant: the essential cursors come first in the term order, so every sum is taken in that
//! order, and equals the exhaustive one bit for bit.
//!
//! The planner picks it for cursors (text, and sparse lists that are not cut at ranges) unless
//! little can be skipped, where it picks the exhaustive search.

use std::ops::Range;

use super::accept::Accept;
use super::cursor::{Cursor, Matches};
use super::leaf::SegmentTask;
use super::score::Score;
use super::top_k::TopK;
use super::window::Window;
use crate::error::Result;
use crate::format::DocId;

/// Documents of a window: one accumulator each, small enough together for the L1 cache.
pub(super) const WINDOW: u32 = 4_096;
/// Documents of the first window: while there is no threshold, every document is looked up in all
/// lists.
pub(super) const FIRST_WINDOW: u32 = 512;
/// A list with at most this many postings in an average window has windows without any.
pub(super) const RARE: u64 = 1;
/// Looking up a document costs about as much as adding the contributions of this many consecutive
/// postings.
const SEEK_COST: u64 = 14;

/// Offers every accepted document of the part that can exceed the threshold.
pub(super) fn search<C: Cursor>(
    cursors: &mut [C],
    task: &SegmentTask<'_>,
    top: &mut TopK<C::Score>,
) -> Result<()> {
    let mut windows = Windows::new(cursors, task.documents());
    let part = task.doc_range();
    let mut start = part.start;
    while start < part.end {
        task.check_cancelled()?;
        top.exchange();
        let threshold = top.threshold();
        let width = if threshold.is_none() {
            FIRST_WINDOW
        } else {
            WINDOW
        };
        let end = start.saturating_add(width).min(part.end);
        let essential = windows.split(cursors, start..end, threshold);
        if essential > 0 && task.accept.any_near(start..end) {
            windows.collect(&mut cursors[..essential], start..end);
            windows.pick(essential, threshold, task.accept);
            windows.complete(cursors, essential, start..end, threshold);
            windows.offer(top);
        }
        start = windows.next(cursors, end, top.threshold());
    }
    Ok(())
}

/// Sets `rest[i]` to a bound of what the cursors from place `i` on add to any document. `counted` is
/// scratch space for a bound of each term; tiers of a term share no document, so only the largest
/// counts.
pub(super) fn bound_rest<C: Cursor>(
    cursors: &mut [C],
    counted: &mut [C::Score],
    rest: &mut [C::Score],
    mut bound_of: impl FnMut(&mut C) -> C::Score,
) {
    counted.fill(C::Score::default());
    let mut sum = C::Score::default();
    for (cursor, rest) in cursors.iter_mut().zip(rest).rev() {
        let bound = bound_of(cursor);
        let counted = &mut counted[cursor.term()];
        if bound > *counted {
            sum = sum.plus(bound.minus(*counted));
            *counted = bound;
        }
        *rest = sum;
    }
}

/// What is needed for one window after another.
pub(super) struct Windows<S> {
    terms: usize,
    /// Documents of the segment.
    documents: u32,
    /// One sum for each document of the window.
    sums: Window<S>,
    /// `rest[i]` bounds what the cursors from place `i` on add to any document of the window.
    rest: Vec<S>,
    /// The same for any document of all.
    rest_of_all: Vec<S>,
    /// Postings of each cursor in a window, on average.
    expected: Vec<u64>,
    /// The largest bound counted for each term; tiers of a term share no document.
    counted: Vec<S>,
    /// Documents that may be kept: the first `found` of these.
    candidates: Vec<DocId>,
    found: usize,
}

impl<S: Score> Windows<S> {
    /// Windows of a segment of `documents` documents.
    pub fn new<C: Cursor<Score = S>>(cursors: &mut [C], documents: u32) -> Self {
        let terms = cursors.iter().map(|c| c.term() + 1).max().unwrap_or(0);
        let sums = Window::new(WINDOW);
        let candidates = sums.room();
        let expected =
            |cursor: &C| u64::from(cursor.len()) * u64::from(WINDOW) / u64::from(documents.max(1));
        let mut windows = Self {
            terms,
            expected: cursors.iter().map(expected).collect(),
            rest_of_all: Vec::new(),
            documents,
            sums,
            rest: vec![S::default(); cursors.len() + 1],
            counted: vec![S::default(); terms],
            candidates,
            found: 0,
        };
        windows.bound_rest(cursors, |cursor: &mut C| cursor.bound());
        windows.rest_of_all = windows.rest.clone();
        windows
    }

    /// No document has a higher sum.
    pub fn bound(&self) -> S {
        self.rest_of_all.first().copied().unwrap_or_default()
    }

    /// No document of a window has a higher sum.
    pub fn window_bound<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        window: &Range<DocId>,
    ) -> S {
        self.bound_rest(cursors, |cursor| {
            cursor.window_bound(window.start, window.end)
        });
        self.rest.first().copied().unwrap_or_default()
    }

    /// Calls `visit` with the documents of a window whose sums are above `cut`, in order; without a
    /// cut with all whose sums are above 0.
    pub fn each_above<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        window: &Range<DocId>,
        cut: Option<S>,
        mut visit: impl FnMut(DocId, S),
    ) {
        let essential = self.split(cursors, window.clone(), cut);
        if essential == 0 {
            return;
        }
        self.collect(&mut cursors[..essential], window.clone());
        self.pick(essential, cut, Accept::All);
        self.complete(cursors, essential, window.clone(), cut);
        let cut = cut.unwrap_or_default();
        for document in &self.candidates[..self.found] {
            let sum = self.sums.sum(*document);
            if sum > cut {
                visit(*document, sum);
            }
        }
    }

    /// Finds which of some documents of one window have a sum above 0.
    pub fn find<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        documents: &[DocId],
        found: &mut Matches<S>,
    ) {
        let Some(first) = documents.first() else {
            return;
        };
        self.sums.move_to(*first);
        for cursor in cursors {
            cursor.add_documents(documents, &mut self.sums);
        }
        for (place, document) in documents.iter().enumerate() {
            let sum = self.sums.sum(*document);
            if sum > S::default() {
                found.places.push(place);
                found.contributions.push(sum);
            }
        }
    }

    /// Sets `rest` by bounds of the cursors.
    fn bound_rest<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        bound_of: impl FnMut(&mut C) -> S,
    ) {
        bound_rest(cursors, &mut self.counted, &mut self.rest, bound_of);
    }

    /// Bounds the window and says how many cursors are essential; 0 when no document can be kept.
    fn split<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        window: Range<DocId>,
        threshold: Option<S>,
    ) -> usize {
        self.bound_rest(cursors, |cursor| {
            cursor.window_bound(window.start, window.end)
        });
        self.essential(&self.rest, threshold)
    }

    /// Number of cursors without which a document cannot be kept, when the others together add no
    /// more than `rest`.
    fn essential(&self, rest: &[S], threshold: Option<S>) -> usize {
        // The rest's bounds stand against the whole threshold: nothing of the sum is known yet.
        let cut = threshold.map_or(S::default(), |t| S::cut(t, S::default(), self.terms));
        let last = rest.iter().rposition(|rest| *rest > cut);
        last.map_or(0, |place| place + 1)
    }

    /// Where the next window begins. Rare words leave long gaps without a document that can be
    /// kept. Frequent ones leave none, and looking for them would only cost time.
    fn next<C: Cursor<Score = S>>(
        &self,
        cursors: &mut [C],
        end: DocId,
        threshold: Option<S>,
    ) -> DocId {
        let essential = self.essential(&self.rest_of_all, threshold);
        if self.expected[..essential]
            .iter()
            .any(|expected| *expected > RARE)
        {
            return end;
        }
        let next = cursors[..essential].iter_mut().map(|cursor| {
            cursor.seek(end);
            cursor.document()
        });
        next.min().unwrap_or(self.documents)
    }

    /// Sums the essential cursors' contributions.
    fn collect<C: Cursor<Score = S>>(&mut self, essential: &mut [C], window: Range<DocId>) {
        self.sums.move_to(window.start);
        for cursor in essential {
            cursor.add_window(window.start, window.end, &mut self.sums);
        }
    }

    /// Collects the accepted documents that may be kept.
    fn pick(&mut self, essential: usize, threshold: Option<S>, accept: Accept<'_>) {
        let cut = threshold.map_or(S::default(), |t| {
            S::cut(t, self.rest[essential], self.terms)
        });
        self.found = self.sums.above(cut, &mut self.candidates);
        self.found = accept.keep(&mut self.candidates, self.found);
    }

    /// Adds the contributions of the cursors that are not essential, in order, and drops documents
    /// that can no longer be kept.
    fn complete<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        essential: usize,
        window: Range<DocId>,
        threshold: Option<S>,
    ) {
        for (place, cursor) in cursors.iter_mut().enumerate().skip(essential) {
            // Picking has looked at the sums of the essential ones.
            if let Some(threshold) = threshold
                && place > essential
            {
                let cut = S::cut(threshold, self.rest[place], self.terms);
                let candidates = &mut self.candidates[..self.found];
                self.found = self.sums.keep_above(cut, candidates);
            }
            if self.found as u64 * SEEK_COST > self.expected[place] {
                cursor.add_window(window.start, window.end, &mut self.sums);
            } else {
                cursor.add_documents(&self.candidates[..self.found], &mut self.sums);
            }
        }
    }

    /// Offers the documents that are left.
    fn offer(&self, top: &mut TopK<S>) {
        for document in &self.candidates[..self.found] {
            top.offer(*document, self.sums.sum(*document));
        }
    }
}
