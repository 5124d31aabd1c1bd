//! Running a leaf: over a snapshot's segments one after another, with one threshold, or on several
//! threads, by `threads`.

use super::leaf::{Found, Leaf, SearchContext};
use super::part::Part;
use super::threads::{self, Plan};
use crate::error::Result;

/// Searches all segments, on as many threads as are allowed and worth it.
pub(super) fn search_all<L: Leaf>(
    leaf: &L,
    context: &SearchContext<'_>,
) -> Result<Found<L::Score>> {
    let segments = context.snapshot.segments();
    let mut found = Found::with(context.top_k());
    if context.options.threads > 1 {
        let size = |ordinal: usize| (segments[ordinal].reader.documents(), leaf.postings(ordinal));
        let sizes: Vec<_> = (0..segments.len()).map(size).collect();
        if let Some(plan) = Plan::new(context.options, leaf.parts_per_thread(), &sizes) {
            threads::search(leaf, &plan, context, &mut found)?;
            return Ok(found);
        }
    }
    for ordinal in 0..segments.len() {
        let task = context.task(ordinal, Part::WHOLE);
        task.check_cancelled()?;
        let lists = leaf.open(ordinal)?;
        found.search(leaf, &lists, &task)?;
    }
    Ok(found)
}
