//! Any of some terms of one field: the leaves of a tree.

use std::ops::Range;

use super::scorer::{Scorer, is_rare, keep_above, keep_scored};
use crate::error::Error;
use crate::format::DocId;
use crate::query::cursor::{Collected, Cursor, Matches};
use crate::query::max_score::Windows;

/// Cursors of a query's terms, in term order. A document's score is the sum of their contributions;
/// a document whose score is 0 is not found.
pub(in crate::query) struct Terms<C: Cursor> {
    cursors: Vec<C>,
    documents: u32,
    bound: C::Score,
    postings: u64,
    /// `None` for a single cursor, which needs no accumulators.
    windows: Option<Windows<C::Score>>,
}

impl<C: Cursor> Terms<C> {
    /// Cursors on lists of a segment of `documents` documents.
    pub fn new(mut cursors: Vec<C>, documents: u32) -> Self {
        let windows = (cursors.len() > 1).then(|| Windows::new(&mut cursors, documents));
        let bound = match (&windows, cursors.first()) {
            (Some(windows), _) => windows.bound(),
            (None, Some(cursor)) => cursor.bound(),
            (None, None) => C::Score::default(),
        };
        Self {
            postings: cursors.iter().map(|cursor| u64::from(cursor.len())).sum(),
            cursors,
            documents,
            bound,
            windows,
        }
    }

    /// One node for each term, in term order.
    pub fn each(mut cursors: Vec<C>, documents: u32) -> Vec<Self> {
        cursors.sort_by_key(Cursor::term);
        let mut terms: Vec<Self> = Vec::new();
        let mut of_term: Vec<C> = Vec::new();
        for cursor in cursors {
            if of_term
                .last()
                .is_some_and(|last| last.term() != cursor.term())
            {
                terms.push(Self::new(std::mem::take(&mut of_term), documents));
            }
            of_term.push(cursor);
        }
        if !of_term.is_empty() {
            terms.push(Self::new(of_term, documents));
        }
        terms
    }
}

impl<C: Cursor> Scorer for Terms<C> {
    type Score = C::Score;

    fn cost(&self) -> u64 {
        self.postings
    }

    fn bound(&self) -> C::Score {
        self.bound
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> C::Score {
        match (&mut self.windows, &mut self.cursors[..]) {
            (Some(windows), cursors) => windows.window_bound(cursors, window),
            (None, [cursor, ..]) => cursor.window_bound(window.start, window.end),
            (None, []) => C::Score::default(),
        }
    }

    fn next(&mut self, start: DocId) -> DocId {
        if !is_rare(self.postings, self.documents) {
            return start;
        }
        let first = self.cursors.iter_mut().map(|cursor| {
            cursor.seek(start);
            cursor.document()
        });
        first.min().unwrap_or(self.documents).max(start)
    }

    fn collect(
        &mut self,
        window: &Range<DocId>,
        cut: Option<C::Score>,
        found: &mut Collected<C::Score>,
    ) {
        match &mut self.windows {
            Some(windows) => {
                windows.each_above(&mut self.cursors, window, cut, |document, score| {
                    found.documents.push(document);
                    found.contributions.push(score);
                })
            }
            None => {
                let from = found.documents.len();
                for cursor in &mut self.cursors {
                    match cut {
                        Some(cut) => cursor.collect_above(window.start, window.end, cut, found),
                        None => cursor.collect(window.start, window.end, found),
                    }
                }
                keep_above(found, from, Some(cut.unwrap_or_default()));
            }
        }
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<C::Score>) {
        match &mut self.windows {
            Some(windows) => windows.find(&mut self.cursors, documents, found),
            None => {
                let from = found.places.len();
                for cursor in &mut self.cursors {
                    cursor.find(documents, found);
                }
                // A contribution is rounded to 0 hardly ever.
                if found.contributions[from..].contains(&C::Score::default()) {
                    keep_scored(found, from);
                }
            }
        }
    }

    fn scored(&self) -> u64 {
        self.cursors.iter().map(Cursor::scored).sum()
    }

    fn take_error(&mut self) -> Option<Error> {
        self.cursors.iter_mut().find_map(Cursor::take_error)
    }
}
