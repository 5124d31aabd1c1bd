//! Selective filters: the documents that are accepted are looked up in the lists.
//!
//! Where few documents are accepted, thresholds rise late and other algorithms read most of the
//! postings. Here a list is read only in the blocks that have an accepted document which can still
//! exceed the threshold, given the bounds of the lists that it was not looked up in.
//!
//! Invariant: contributions are added in the query's term order, as in exhaustive search.
//!
//! The planner picks it when the filter accepts few documents.

use super::cursor::{Cursor, Matches};
use super::leaf::SegmentTask;
use super::max_score::bound_rest;
use super::score::Score;
use super::top_k::TopK;
use crate::error::Result;
use crate::format::DocId;

/// Documents that are looked up at a time.
const AT_ONCE: usize = 1_024;

/// Offers every accepted document of the part that has a term of the query.
pub(super) fn search<C: Cursor>(
    cursors: &mut [C],
    task: &SegmentTask<'_>,
    top: &mut TopK<C::Score>,
) -> Result<()> {
    let part = task.doc_range();
    for cursor in &mut *cursors {
        cursor.seek(part.start);
    }
    let mut sought = Sought::new(cursors);
    for document in task.accept.documents(part) {
        sought.documents.push(document);
        if sought.documents.len() == AT_ONCE {
            task.check_cancelled()?;
            sought.look_up(cursors, top);
        }
    }
    sought.look_up(cursors, top);
    Ok(())
}

/// Documents that are sought in the lists.
struct Sought<S> {
    documents: Vec<DocId>,
    sums: Vec<S>,
    matches: Matches<S>,
    /// `rest[i]` bounds what the lists from place `i` on add to any document.
    rest: Vec<S>,
    terms: usize,
}

impl<S: Score> Sought<S> {
    fn new<C: Cursor<Score = S>>(cursors: &mut [C]) -> Self {
        let terms = cursors.iter().map(|c| c.term() + 1).max().unwrap_or(0);
        let mut rest = vec![S::default(); cursors.len()];
        let mut counted = vec![S::default(); terms];
        bound_rest(cursors, &mut counted, &mut rest, |cursor| cursor.bound());
        Self {
            documents: Vec::with_capacity(AT_ONCE),
            sums: Vec::with_capacity(AT_ONCE),
            matches: Matches::default(),
            rest,
            terms,
        }
    }

    fn look_up<C: Cursor<Score = S>>(&mut self, cursors: &mut [C], top: &mut TopK<S>) {
        self.sums.clear();
        self.sums.resize(self.documents.len(), S::default());
        top.exchange();
        let threshold = top.threshold();
        for (place, cursor) in cursors.iter_mut().enumerate() {
            if let Some(threshold) = threshold {
                self.keep_above(S::cut(threshold, self.rest[place], self.terms));
            }
            self.matches.places.clear();
            self.matches.contributions.clear();
            cursor.find(&self.documents, &mut self.matches);
            let found = self.matches.places.iter().zip(&self.matches.contributions);
            for (place, contribution) in found {
                let sum = &mut self.sums[*place];
                *sum = sum.plus(*contribution);
            }
        }
        for (document, sum) in self.documents.iter().zip(&self.sums) {
            if *sum > S::default() {
                top.offer(*document, *sum);
            }
        }
        self.documents.clear();
    }

    /// Drops the documents whose sums are up to `cut`. When it is 0, nothing is dropped.
    fn keep_above(&mut self, cut: S) {
        if cut <= S::default() {
            return;
        }
        let mut kept = 0;
        for place in 0..self.documents.len() {
            let (document, sum) = (self.documents[place], self.sums[place]);
            (self.documents[kept], self.sums[kept]) = (document, sum);
            kept += usize::from(sum > cut);
        }
        self.documents.truncate(kept);
        self.sums.truncate(kept);
    }
}
