//! One list: blocks whose bounds do not exceed the threshold are skipped.
//!
//! Nothing is added up, so a document needs no accumulator, and a block's bound is compared with the
//! threshold as it is.
//!
//! It is what [`max_score`](super::max_score) does with a single cursor.

use super::cursor::{Collected, Cursor};
use super::leaf::SegmentTask;
use super::max_score::WINDOW;
use super::top_k::TopK;
use crate::error::Result;

/// Offers every accepted document of the part that can exceed the threshold.
pub(super) fn search<C: Cursor>(
    cursor: &mut C,
    task: &SegmentTask<'_>,
    top: &mut TopK<C::Score>,
) -> Result<()> {
    let part = task.doc_range();
    let mut collected = Collected::default();
    let (mut start, mut checked) = (part.start, part.start);
    while start < part.end {
        if start >= checked {
            task.check_cancelled()?;
            top.exchange();
            checked = start.saturating_add(WINDOW);
        }
        let cut = top.threshold().unwrap_or_default();
        let (bound, last) = cursor.block_bound(start);
        // No table makes it stand still.
        let end = last.max(start).saturating_add(1).min(part.end);
        if bound > cut && task.accept.any_near(start..end) {
            collected.documents.clear();
            collected.contributions.clear();
            cursor.collect(start, end, &mut collected);
            let scores = collected.contributions.iter();
            for (document, score) in collected.documents.iter().zip(scores) {
                if *score > cut && task.accept.contains(*document) {
                    top.offer(*document, *score);
                }
            }
        }
        start = end;
    }
    Ok(())
}
