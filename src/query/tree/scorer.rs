//! What the nodes of a tree of queries do in a segment.
//!
//! A [`Scorer`] is asked for one window of documents after another. For a window it either
//! *collects* its documents, or *finds* which of some documents, that another node collected, it
//! has too. Both give exact scores: a node's score is computed from the scores of its parts in the
//! order of the query, whichever part led.
//!
//! Bounds are summed in another order than scores, so they are compared by
//! [`Score::cut`](crate::query::score::Score::cut), which leaves room for rounding.

use std::ops::Range;

use crate::error::Error;
use crate::format::DocId;
use crate::query::cursor::{Collected, Matches};
use crate::query::score::Score;

pub(in crate::query) use crate::query::max_score::{FIRST_WINDOW, RARE, WINDOW};

/// A node of a query in a segment. Windows rise from call to call and are at most [`WINDOW`] wide.
pub(in crate::query) trait Scorer {
    type Score: Score;

    /// Postings that must be read to find all of its documents, or other work that takes as long.
    fn cost(&self) -> u64;

    /// No document of the segment has a higher score.
    fn bound(&self) -> Self::Score;

    /// No document of the window has a higher score.
    fn window_bound(&mut self, window: &Range<DocId>) -> Self::Score;

    /// There is no document of the node from `start` until this one, exclusive; `start` when
    /// finding out would take too long.
    fn next(&mut self, start: DocId) -> DocId;

    /// Appends the documents of the window whose scores are above `cut`, and the scores; without a
    /// cut all documents.
    fn collect(
        &mut self,
        window: &Range<DocId>,
        cut: Option<Self::Score>,
        found: &mut Collected<Self::Score>,
    );

    /// Finds which of some documents of one window the node has, and appends their places and
    /// scores. The documents rise, and none is before those of earlier calls.
    fn find(&mut self, documents: &[DocId], found: &mut Matches<Self::Score>);

    /// How many postings had their contribution computed.
    fn scored(&self) -> u64;

    /// The damage that was met, if any.
    fn take_error(&mut self) -> Option<Error>;
}

/// Any node.
pub(in crate::query) type AnyScorer<'a> = Box<dyn Scorer<Score = f32> + 'a>;

impl<S: Scorer + ?Sized> Scorer for Box<S> {
    type Score = S::Score;

    fn cost(&self) -> u64 {
        (**self).cost()
    }

    fn bound(&self) -> S::Score {
        (**self).bound()
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> S::Score {
        (**self).window_bound(window)
    }

    fn next(&mut self, start: DocId) -> DocId {
        (**self).next(start)
    }

    fn collect(
        &mut self,
        window: &Range<DocId>,
        cut: Option<S::Score>,
        found: &mut Collected<S::Score>,
    ) {
        (**self).collect(window, cut, found);
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<S::Score>) {
        (**self).find(documents, found);
    }

    fn scored(&self) -> u64 {
        (**self).scored()
    }

    fn take_error(&mut self) -> Option<Error> {
        (**self).take_error()
    }
}

/// Whether a list of this many postings has windows without any, in a segment of `documents`.
pub(super) fn is_rare(postings: u64, documents: u32) -> bool {
    postings * u64::from(WINDOW) <= RARE * u64::from(documents.max(1))
}

/// Drops what was collected with a score up to `cut`.
pub(super) fn keep_above<S: Score>(found: &mut Collected<S>, from: usize, cut: Option<S>) {
    let Some(cut) = cut else {
        return;
    };
    keep(found, from, |_, score| score > cut);
}

/// Keeps the documents collected from place `from` on for which `is_kept` is true.
pub(super) fn keep<S: Score>(
    found: &mut Collected<S>,
    from: usize,
    mut is_kept: impl FnMut(DocId, S) -> bool,
) {
    let mut kept = from;
    for place in from..found.documents.len() {
        let (document, score) = (found.documents[place], found.contributions[place]);
        found.documents[kept] = document;
        found.contributions[kept] = score;
        kept += usize::from(is_kept(document, score));
    }
    found.documents.truncate(kept);
    found.contributions.truncate(kept);
}

/// Keeps the matches from place `from` on for which `is_kept` is true, given their places.
pub(super) fn keep_matches<S: Score>(
    found: &mut Matches<S>,
    from: usize,
    mut is_kept: impl FnMut(usize) -> bool,
) {
    keep_pairs(found, from, |place, _| is_kept(place));
}

/// Keeps the matches from place `from` on whose score is above 0.
pub(super) fn keep_scored<S: Score>(found: &mut Matches<S>, from: usize) {
    keep_pairs(found, from, |_, score| score > S::default());
}

fn keep_pairs<S: Score>(
    found: &mut Matches<S>,
    from: usize,
    mut is_kept: impl FnMut(usize, S) -> bool,
) {
    let mut kept = from;
    for at in from..found.places.len() {
        let (place, score) = (found.places[at], found.contributions[at]);
        found.places[kept] = place;
        found.contributions[kept] = score;
        kept += usize::from(is_kept(place, score));
    }
    found.places.truncate(kept);
    found.contributions.truncate(kept);
}

/// The first error of several nodes.
pub(super) fn first_error<S: Scorer>(nodes: &mut [S]) -> Option<Error> {
    nodes.iter_mut().find_map(Scorer::take_error)
}
