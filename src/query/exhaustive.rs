//! Every posting of every term: the oracle that the other algorithms are held against.
//!
//! Term at a time, with one sum for each document of the segment. Nothing is skipped and nothing is
//! bounded, so there is little to get wrong. The planner picks it when nearly every document is asked for.

use super::cursor::Cursor;
use super::top_k::TopK;
use super::window::Window;
use crate::format::DocId;

/// Offers every live document that has a term of the query.
pub(super) fn search<C: Cursor>(
    cursors: &mut [C],
    documents: u32,
    is_live: impl Fn(DocId) -> bool,
    top: &mut TopK<C::Score>,
) {
    let mut sums = Window::new(documents);
    for cursor in cursors {
        cursor.add_window(0, documents, &mut sums);
    }
    for document in 0..documents {
        let sum = sums.sum(document);
        if sum > C::Score::default() && is_live(document) {
            top.offer(document, sum);
        }
    }
}
