//! Block-max WAND: as WAND, and a pivot is left unscored when the bounds of its blocks do not suffice.
//!
//! Ding and Suel, "Faster top-k document retrieval using block-max indexes", SIGIR 2011.
//!
//! Invariant: as for [`wand`](super::wand). Besides, when the bounds of the blocks that hold the pivot do not exceed
//! the threshold together, no document before the end of the first of these blocks can be kept, nor
//! any before the next cursor's document, so all cursors move past the nearer of the two.
//!
//! The planner never picks it: MaxScore was faster on every workload that was measured
//! (`benches/README.md`). It is a baseline, for
//! [`SearchOptions::algorithm`](crate::SearchOptions::algorithm).

use super::cursor::Cursor;
use super::leaf::SegmentTask;
use super::score::Score;
use super::top_k::TopK;
use super::wand::{CancelCheck, DocumentOrder, Pivot, score_document};
use crate::error::Result;
use crate::format::DocId;

/// Offers every accepted document of the segment that can exceed the threshold.
pub(super) fn search<C: Cursor>(
    cursors: &mut [C],
    task: &SegmentTask<'_>,
    top: &mut TopK<C::Score>,
) -> Result<()> {
    let mut cancelled = CancelCheck::new();
    let terms = cursors.iter().map(|c| c.term() + 1).max().unwrap_or(0);
    let mut counted = vec![C::Score::default(); terms];
    let mut order = DocumentOrder::new(cursors);
    while let Some(pivot) = order.pivot(cursors, top.threshold()) {
        cancelled.at(pivot.document, task)?;
        let blocks = block_bounds(cursors, &order, &pivot, &mut counted);
        let suffices = top
            .threshold()
            .is_none_or(|t| blocks.bound > C::Score::cut(t, C::Score::default(), terms));
        if !suffices {
            let next = order.document_after(cursors, &pivot);
            let target = next.min(blocks.last_document.saturating_add(1));
            order.seek_before(cursors, &pivot, target);
        } else if order.first_document(cursors) == pivot.document {
            let sum = score_document(cursors, pivot.document);
            if task.accept.contains(pivot.document) {
                top.offer(pivot.document, sum);
            }
        } else {
            order.seek_before(cursors, &pivot, pivot.document);
        }
        order.sort(cursors);
        top.exchange();
    }
    Ok(())
}

struct BlockBounds<S> {
    bound: S,
    /// The smallest last document of the blocks.
    last_document: DocId,
}

/// The bounds of the blocks that hold the pivot, summed.
fn block_bounds<C: Cursor>(
    cursors: &mut [C],
    order: &DocumentOrder<C::Score>,
    pivot: &Pivot,
    counted: &mut [C::Score],
) -> BlockBounds<C::Score> {
    counted.fill(C::Score::default());
    let mut blocks = BlockBounds {
        bound: C::Score::default(),
        last_document: DocId::MAX - 1,
    };
    for cursor in order.up_to(pivot) {
        let cursor = &mut cursors[*cursor];
        let (bound, last_document) = cursor.block_bound(pivot.document);
        blocks.last_document = blocks.last_document.min(last_document);
        let counted = &mut counted[cursor.term()];
        if bound > *counted {
            blocks.bound = blocks.bound.plus(bound.minus(*counted));
            *counted = bound;
        }
    }
    blocks
}
