//! Every posting of every term: the oracle that the other algorithms are held against.
//!
//! Term at a time, with one sum for each document of a stretch, mostly the whole segment. Nothing is skipped and nothing is
//! bounded, so there is little to get wrong. The planner picks it when nearly every document is asked for.

use std::ops::Range;

use super::conjunction::postings_of_terms;
use super::cursor::Cursor;
use super::top_k::TopK;
use super::window::Window;
use crate::format::DocId;

/// Offers every live document of a stretch that has all terms of the cursors.
pub(super) fn search_for_all_terms<C: Cursor>(
    cursors: &mut [C],
    stretch: Range<DocId>,
    is_live: impl Fn(DocId) -> bool,
    top: &mut TopK<C::Score>,
) {
    let terms = postings_of_terms(cursors).len();
    let mut sums = Window::at(stretch.clone());
    let mut found = vec![0; stretch.len()];
    for cursor in cursors {
        cursor.seek(stretch.start);
        while cursor.document() < stretch.end {
            let document = cursor.document();
            sums.add(document, cursor.score());
            // Cursors of one term share no document.
            found[(document - stretch.start) as usize] += 1;
            cursor.advance();
        }
    }
    for (document, found) in stretch.zip(found) {
        let sum = sums.sum(document);
        if found == terms && sum > C::Score::default() && is_live(document) {
            top.offer(document, sum);
        }
    }
}

/// Offers every live document of a stretch that has a term of the query.
pub(super) fn search<C: Cursor>(
    cursors: &mut [C],
    stretch: Range<DocId>,
    is_live: impl Fn(DocId) -> bool,
    top: &mut TopK<C::Score>,
) {
    let mut sums = Window::at(stretch.clone());
    for cursor in cursors {
        cursor.add_window(stretch.start, stretch.end, &mut sums);
    }
    for document in stretch {
        let sum = sums.sum(document);
        if sum > C::Score::default() && is_live(document) {
            top.offer(document, sum);
        }
    }
}
