//! MaxScore with block maxima, window by window.
//!
//! Turtle and Flood, "Query evaluation: strategies and optimizations", 1995; block maxima as in Chakrabarti, Chaudhuri and
//! Ganti, "Interval-based pruning for top-k processing over compressed lists", ICDE 2011.
//!
//! The documents are cut into windows. In each, the bounds of every cursor's blocks are looked up. The
//! cursors at the end of the query's term order whose bounds together do not exceed the threshold are
//! *not essential*: a document that only they have cannot be kept. The essential ones add their contributions to
//! one sum a document of the window, term at a time; the documents whose sum can still exceed the threshold with the rest's
//! bounds are then looked up in the cursors that are not essential, and dropped as soon as they cannot.
//!
//! Invariant: the essential cursors come first in the term order, so every sum is taken in that order, and
//! equals the exhaustive one bit for bit.

use super::cursor::Cursor;
use super::score::Score;
use super::top_k::TopK;
use crate::format::DocId;

/// Documents of a window: one sum each, small enough for the first-level cache.
const WINDOW: u32 = 2_048;
/// Documents of the first window: while there is no threshold every document is looked up everywhere.
const FIRST_WINDOW: u32 = 512;
/// Sums that are compared with the threshold together.
const SCANNED: usize = 16;

/// Offers every live document that can exceed the threshold.
pub(super) fn search<C: Cursor>(
    cursors: &mut [C],
    documents: u32,
    is_live: impl Fn(DocId) -> bool,
    top: &mut TopK<C::Score>,
) {
    let mut windows = Windows::new(cursors);
    let mut start = 0;
    while start < documents {
        let width = if top.threshold().is_none() { FIRST_WINDOW } else { WINDOW };
        let end = start.saturating_add(width).min(documents);
        let essential = windows.split(cursors, start, end, top.threshold());
        if essential > 0 {
            windows.collect(cursors, essential, start, end, top.threshold());
            windows.keep(|document, _| is_live(document));
            windows.complete(cursors, essential, top.threshold());
            for (document, sum) in &windows.candidates[..windows.found] {
                top.offer(*document, *sum);
            }
        }
        start = end;
    }
}

/// What is needed for one window after another.
struct Windows<S> {
    terms: usize,
    /// One sum for each document of the window; all zero between windows.
    sums: Vec<S>,
    /// `rest[i]` bounds what the cursors from place `i` on add to any document of the window.
    rest: Vec<S>,
    /// The greatest bound counted for each term; tiers of a term share no document.
    counted: Vec<S>,
    /// Documents that may be kept, with their sums so far: the first `found` of these.
    candidates: Vec<(DocId, S)>,
    found: usize,
}

impl<S: Score> Windows<S> {
    fn new<C: Cursor<Score = S>>(cursors: &[C]) -> Self {
        let terms = cursors.iter().map(|c| c.term() + 1).max().unwrap_or(0);
        Self {
            terms,
            sums: vec![S::default(); WINDOW as usize],
            rest: vec![S::default(); cursors.len() + 1],
            counted: vec![S::default(); terms],
            candidates: vec![(0, S::default()); WINDOW as usize + SCANNED],
            found: 0,
        }
    }

    /// Bounds the window and says how many cursors are essential; 0 when no document can be kept.
    fn split<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        start: DocId,
        end: DocId,
        threshold: Option<S>,
    ) -> usize {
        self.counted.fill(S::default());
        let mut sum = S::default();
        let mut essential = 0;
        // The rest's bounds stand against the whole threshold: nothing of the sum is known yet.
        let cut = threshold.map(|t| S::cut(t, S::default(), self.terms));
        for (place, cursor) in cursors.iter_mut().enumerate().rev() {
            let bound = cursor.window_bound(start, end);
            let counted = &mut self.counted[cursor.term()];
            if bound > *counted {
                sum = sum.plus(bound.minus(*counted));
                *counted = bound;
            }
            self.rest[place] = sum;
            if essential == 0 && cut.is_none_or(|cut| sum > cut) && sum > S::default() {
                essential = place + 1;
            }
        }
        essential
    }

    /// Sums the essential cursors' contributions and notes the documents that may be kept.
    fn collect<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        essential: usize,
        start: DocId,
        end: DocId,
        threshold: Option<S>,
    ) {
        let sums = &mut self.sums[..(end - start) as usize];
        for cursor in &mut cursors[..essential] {
            cursor.add_window(start, end, sums);
        }
        let cut = threshold.map_or(S::default(), |t| {
            S::cut(t, self.rest[essential], self.terms)
        });
        // Sixteen at a time and without a branch for each, because most documents are not good enough.
        let mut found = 0;
        // Sums past the end of the window are zero, and the cut is not below: they are not good.
        let (chunks, _) = self.sums.as_chunks::<SCANNED>();
        for (chunk, base) in chunks.iter().zip((start..).step_by(SCANNED)) {
            let good: u32 = chunk.iter().map(|sum| u32::from(*sum > cut)).sum();
            if good == 0 {
                continue;
            }
            // Which of them is good cannot be foretold either: each is noted, and kept by moving on.
            let room = &mut self.candidates[found..found + SCANNED];
            let mut kept = 0;
            for (sum, document) in chunk.iter().zip(base..) {
                room[kept] = (document, *sum);
                kept += usize::from(*sum > cut);
            }
            found += kept;
        }
        self.found = found;
        self.sums.fill(S::default());
    }

    /// Adds the contributions of the cursors that are not essential, in order, dropping documents that
    /// cannot be kept any more.
    fn complete<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        essential: usize,
        threshold: Option<S>,
    ) {
        for (place, cursor) in cursors.iter_mut().enumerate().skip(essential) {
            let cut = threshold.map(|t| S::cut(t, self.rest[place], self.terms));
            self.keep(|document, sum| {
                if cut.is_some_and(|cut| *sum <= cut) {
                    return false;
                }
                cursor.seek(document);
                if cursor.document() == document {
                    *sum = sum.plus(cursor.score());
                }
                true
            });
        }
    }

    /// Keeps the candidates for which `good` says so, in order.
    #[inline]
    fn keep(&mut self, mut good: impl FnMut(DocId, &mut S) -> bool) {
        let mut kept = 0;
        for place in 0..self.found {
            let (document, mut sum) = self.candidates[place];
            let is_good = good(document, &mut sum);
            self.candidates[kept] = (document, sum);
            kept += usize::from(is_good);
        }
        self.found = kept;
    }
}
