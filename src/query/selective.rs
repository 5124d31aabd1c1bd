//! Selective filters: the documents that are accepted are looked up in the lists.
//!
//! Where few documents are accepted, thresholds rise late and other algorithms read most of the
//! postings. Here a list is read only in the blocks that have an accepted document.
//!
//! Invariant: contributions are added in the query's term order, as in exhaustive search.
//!
//! The planner picks it when the filter accepts few documents.

use super::cursor::{Cursor, Matches};
use super::leaf::SegmentTask;
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
    let mut sought = Sought::default();
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
#[derive(Default)]
struct Sought<S> {
    documents: Vec<DocId>,
    sums: Vec<S>,
    matches: Matches<S>,
}

impl<S: Score> Sought<S> {
    fn look_up<C: Cursor<Score = S>>(&mut self, cursors: &mut [C], top: &mut TopK<S>) {
        self.sums.clear();
        self.sums.resize(self.documents.len(), S::default());
        for cursor in cursors {
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
}
