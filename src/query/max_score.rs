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
use super::simd::SLACK;
use super::top_k::TopK;
use crate::format::DocId;

/// Documents of a window: one sum each, small enough for the first-level cache.
const WINDOW: u32 = 2_048;
/// Documents of the first window: while there is no threshold every document is looked up everywhere.
const FIRST_WINDOW: u32 = 512;

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
        let width = if top.threshold().is_none() {
            FIRST_WINDOW
        } else {
            WINDOW
        };
        let end = start.saturating_add(width).min(documents);
        let essential = windows.split(cursors, start, end, top.threshold());
        if essential > 0 {
            windows.collect(cursors, essential, start, end, top.threshold());
            windows.keep(|document, _| is_live(document));
            windows.complete(cursors, essential, top.threshold());
            for (document, sum) in windows.kept() {
                top.offer(document, sum);
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
    /// Documents that may be kept: the first `found` of these.
    candidates: Vec<DocId>,
    /// Their sums so far.
    candidate_sums: Vec<S>,
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
            candidates: vec![0; WINDOW as usize + SLACK],
            candidate_sums: vec![S::default(); WINDOW as usize + SLACK],
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
        self.found = S::above(
            &self.sums,
            cut,
            start,
            &mut self.candidates,
            &mut self.candidate_sums,
        );
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
            let (document, mut sum) = (self.candidates[place], self.candidate_sums[place]);
            let is_good = good(document, &mut sum);
            self.candidates[kept] = document;
            self.candidate_sums[kept] = sum;
            kept += usize::from(is_good);
        }
        self.found = kept;
    }

    /// The candidates with their sums.
    fn kept(&self) -> impl Iterator<Item = (DocId, S)> {
        let documents = self.candidates[..self.found].iter().copied();
        documents.zip(self.candidate_sums.iter().copied())
    }
}
