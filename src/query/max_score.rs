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

use std::ops::Range;

use super::cursor::Cursor;
use super::score::Score;
use super::simd::SLACK;
use super::top_k::TopK;
use crate::format::DocId;

/// Documents of a window: one sum each, small enough for the first-level cache.
const WINDOW: u32 = 2_048;
/// Documents of the first window: while there is no threshold every document is looked up everywhere.
const FIRST_WINDOW: u32 = 512;
/// Looking a document up costs about as much as adding the contributions of so many postings in a row.
const SEEK_COST: u64 = 8;

/// Offers every live document that can exceed the threshold.
pub(super) fn search<C: Cursor>(
    cursors: &mut [C],
    documents: u32,
    is_live: impl Fn(DocId) -> bool,
    top: &mut TopK<C::Score>,
) {
    let mut windows = Windows::new(cursors, documents);
    let mut start = 0;
    while start < documents {
        let threshold = top.threshold();
        let width = if threshold.is_none() {
            FIRST_WINDOW
        } else {
            WINDOW
        };
        let end = start.saturating_add(width).min(documents);
        let essential = windows.split(cursors, start..end, threshold);
        if essential > 0 {
            windows.collect(&mut cursors[..essential], start..end);
            windows.pick(start, essential, threshold, &is_live);
            windows.complete(cursors, essential, start..end, threshold);
            windows.offer(start, top);
        }
        // Rare words leave long stretches without a document.
        let next = cursors.iter().map(|cursor| cursor.document()).min();
        start = end.max(next.unwrap_or(documents));
    }
}

/// What is needed for one window after another.
struct Windows<S> {
    terms: usize,
    /// Documents of the segment.
    documents: u32,
    /// One sum for each document of the window; all zero between windows.
    sums: Vec<S>,
    /// `rest[i]` bounds what the cursors from place `i` on add to any document of the window.
    rest: Vec<S>,
    /// The greatest bound counted for each term; tiers of a term share no document.
    counted: Vec<S>,
    /// Documents that may be kept: the first `found` of these.
    candidates: Vec<DocId>,
    found: usize,
}

impl<S: Score> Windows<S> {
    fn new<C: Cursor<Score = S>>(cursors: &[C], documents: u32) -> Self {
        let terms = cursors.iter().map(|c| c.term() + 1).max().unwrap_or(0);
        Self {
            terms,
            documents,
            sums: vec![S::default(); WINDOW as usize],
            rest: vec![S::default(); cursors.len() + 1],
            counted: vec![S::default(); terms],
            candidates: vec![0; WINDOW as usize + SLACK],
            found: 0,
        }
    }

    /// Bounds the window and says how many cursors are essential; 0 when no document can be kept.
    fn split<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        window: Range<DocId>,
        threshold: Option<S>,
    ) -> usize {
        self.counted.fill(S::default());
        let mut sum = S::default();
        let mut essential = 0;
        // The rest's bounds stand against the whole threshold: nothing of the sum is known yet.
        let cut = threshold.map(|t| S::cut(t, S::default(), self.terms));
        for (place, cursor) in cursors.iter_mut().enumerate().rev() {
            let bound = cursor.window_bound(window.start, window.end);
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

    /// Sums the essential cursors' contributions.
    fn collect<C: Cursor<Score = S>>(&mut self, essential: &mut [C], window: Range<DocId>) {
        let sums = &mut self.sums[..window.len()];
        for cursor in essential {
            cursor.add_window(window.start, window.end, sums);
        }
    }

    /// Notes the live documents that may be kept.
    fn pick(
        &mut self,
        start: DocId,
        essential: usize,
        threshold: Option<S>,
        is_live: &impl Fn(DocId) -> bool,
    ) {
        let cut = threshold.map_or(S::default(), |t| {
            S::cut(t, self.rest[essential], self.terms)
        });
        // Sums past the end of the window are zero, and the cut is not below.
        self.found = S::above(&self.sums, cut, start, &mut self.candidates);
        self.keep(is_live);
    }

    /// Adds the contributions of the cursors that are not essential, in order, dropping documents that
    /// cannot be kept any more.
    fn complete<C: Cursor<Score = S>>(
        &mut self,
        cursors: &mut [C],
        essential: usize,
        window: Range<DocId>,
        threshold: Option<S>,
    ) {
        let start = window.start;
        for (place, cursor) in cursors.iter_mut().enumerate().skip(essential) {
            let mut sums = std::mem::take(&mut self.sums);
            if let Some(threshold) = threshold {
                let cut = S::cut(threshold, self.rest[place], self.terms);
                self.keep(|document| sums[(document - start) as usize] > cut);
            }
            let expected = u64::from(cursor.len()) * u64::from(WINDOW) / u64::from(self.documents);
            if self.found as u64 * SEEK_COST > expected {
                cursor.add_window(start, window.end, &mut sums[..window.len()]);
            } else {
                for document in &self.candidates[..self.found] {
                    cursor.seek(*document);
                    if cursor.document() == *document {
                        let sum = &mut sums[(document - start) as usize];
                        *sum = sum.plus(cursor.score());
                    }
                }
            }
            self.sums = sums;
        }
    }

    /// Offers the documents that are left, and makes ready for the next window.
    fn offer(&mut self, start: DocId, top: &mut TopK<S>) {
        for document in &self.candidates[..self.found] {
            top.offer(*document, self.sums[(document - start) as usize]);
        }
        self.sums.fill(S::default());
    }

    /// Keeps the candidates for which `good` says so, in order.
    #[inline]
    fn keep(&mut self, good: impl Fn(DocId) -> bool) {
        let mut kept = 0;
        for place in 0..self.found {
            let document = self.candidates[place];
            self.candidates[kept] = document;
            kept += usize::from(good(document));
        }
        self.found = kept;
    }
}
