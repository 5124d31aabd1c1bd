//! Every posting of every term: the oracle that the other algorithms are compared with.
//!
//! Term at a time, with one accumulator for each document of the part, mostly the whole segment.
//! Nothing is skipped and no bound is used, so there is little to get wrong.
//!
//! The planner picks it when most of the documents are asked for, and for queries of many lists
//! when k is large: then bounds cost more than they save.

use std::sync::Arc;

use super::conjunction::postings_of_terms;
use super::cursor::Cursor;
use super::leaf::SegmentTask;
use super::top_k::TopK;
use super::window::Window;
use crate::doc_set::DocSet;
use crate::error::Result;

/// Offers every accepted document of the part that has all terms of the cursors.
pub(super) fn search_for_all_terms<C: Cursor>(
    cursors: &mut [C],
    task: &SegmentTask<'_>,
    top: &mut TopK<C::Score>,
) -> Result<()> {
    let (part, accept) = (task.doc_range(), task.accept);
    let terms = postings_of_terms(cursors).len();
    let mut sums = Window::at(part.clone());
    let mut found = vec![0; part.len()];
    for cursor in cursors {
        task.check_cancelled()?;
        cursor.seek(part.start);
        while cursor.document() < part.end {
            let document = cursor.document();
            sums.add(document, cursor.score());
            // Cursors of one term share no document.
            found[(document - part.start) as usize] += 1;
            cursor.advance();
        }
    }
    for (document, found) in part.zip(found) {
        let sum = sums.sum(document);
        if found == terms && sum > C::Score::default() && accept.contains(document) {
            top.offer(document, sum);
        }
    }
    Ok(())
}

/// Offers every accepted document of the part that has a term of the query.
pub(super) fn search<C: Cursor>(
    cursors: &mut [C],
    task: &SegmentTask<'_>,
    top: &mut TopK<C::Score>,
) -> Result<()> {
    let (part, accept) = (task.doc_range(), task.accept);
    let mut sums = Window::at(part.clone());
    for cursor in cursors {
        task.check_cancelled()?;
        cursor.add_window(part.start, part.end, &mut sums);
    }
    for document in part {
        let sum = sums.sum(document);
        if sum > C::Score::default() && accept.contains(document) {
            top.offer(document, sum);
        }
    }
    Ok(())
}

/// Documents that are matched at a time.
const WINDOW: u32 = 1 << 16;

/// The documents of a segment of `documents` documents that a search without limits finds.
pub(super) fn matching<C: Cursor>(
    mut cursors: Vec<C>,
    documents: u32,
    all_terms: bool,
) -> Result<Arc<DocSet>> {
    let mut set = DocSet::empty(documents);
    let terms = postings_of_terms(&cursors).len();
    let mut found = vec![0; WINDOW as usize];
    for start in (0..documents).step_by(WINDOW as usize) {
        let end = documents.min(start.saturating_add(WINDOW));
        let mut sums = Window::at(start..end);
        found.fill(0);
        for cursor in &mut cursors {
            if !all_terms {
                cursor.add_window(start, end, &mut sums);
                continue;
            }
            cursor.seek(start);
            while cursor.document() < end {
                sums.add(cursor.document(), cursor.score());
                found[(cursor.document() - start) as usize] += 1;
                cursor.advance();
            }
        }
        for document in start..end {
            let has_all = !all_terms || found[(document - start) as usize] == terms;
            if has_all && sums.sum(document) > C::Score::default() {
                set.insert(document);
            }
        }
    }
    let mut errors = cursors.iter_mut().filter_map(Cursor::take_error);
    match errors.next() {
        Some(error) => Err(error),
        None => Ok(Arc::new(set)),
    }
}
