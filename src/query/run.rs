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
    let after = context.after(leaf)?;
    let mut found = Found::with(context.top_k(leaf, after));
    let threads = context.options.threads_on(&**context.snapshot.executor());
    if threads > 1 {
        let size = |ordinal: usize| match segments[ordinal].live_documents() {
            0 => (0, 0),
            _ => (segments[ordinal].reader.documents(), leaf.postings(ordinal)),
        };
        let sizes: Vec<_> = (0..segments.len()).map(size).collect();
        if let Some(plan) = Plan::new(context.options, threads, leaf.parts_per_thread(), &sizes) {
            threads::search(leaf, &plan, context, after, &mut found)?;
            return Ok(found);
        }
    }
    for (ordinal, segment) in segments.iter().enumerate() {
        if segment.live_documents() == 0 {
            continue;
        }
        let task = context.task(ordinal, Part::WHOLE);
        task.check_cancelled()?;
        let lists = leaf.open(ordinal)?;
        found.search(leaf, &lists, &task)?;
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::CancelToken;
    use crate::query::dense::DenseLeaf;
    use crate::query::sparse::SparseLeaf;
    use crate::query::text::TextLeaf;
    use crate::{
        Dense, Document, Error, Index, Query, Schema, SearchOptions, Snapshot, Sparse,
        SparseLayout, Text,
    };

    fn snapshot() -> Snapshot {
        let schema = Schema::builder()
            .text("text", Text::new())
            .sparse("ranges", Sparse::new())
            .sparse("tiers", Sparse::new().layout(SparseLayout::Tiers))
            .dense("dense", Dense::new(2))
            .build()
            .unwrap();
        let index = Index::in_memory(schema).unwrap();
        let mut writer = index.writer().unwrap();
        for number in 0..1_000 {
            let document = Document::new(format!("d{number}"))
                .with_text("text", "lava ash")
                .with_sparse("ranges", [("lava", 1.0), ("ash", 2.0)])
                .with_sparse("tiers", [("lava", 1.0), ("ash", 2.0)])
                .with_dense("dense", [1.0, 0.5]);
            writer.add(document).unwrap();
        }
        writer.commit().unwrap();
        index.snapshot().unwrap()
    }

    fn is_cancelled<T>(result: Result<T>) -> bool {
        matches!(result, Err(Error::Cancelled { work: "searching" }))
    }

    /// True when the leaf itself looks at the token, not only the loop over segments.
    fn stops<L: Leaf>(leaf: &L, snapshot: &Snapshot, options: &SearchOptions) -> bool {
        let context = SearchContext::new(snapshot, options, None).unwrap();
        let mut found = Found::with(context.top_k(leaf, None));
        let lists = leaf.open(0).unwrap();
        is_cancelled(found.search(leaf, &lists, &context.task(0, Part::WHOLE)))
    }

    #[test]
    fn every_algorithm_looks_at_the_token() {
        let snapshot = snapshot();
        let vector = [("lava".to_owned(), 1.0), ("ash".to_owned(), 1.0)];
        let mut queries = vec![Query::dense("dense", [1.0, 1.0])];
        for query in [
            Query::text("text", "lava ash"),
            Query::sparse("ranges", vector.clone()),
            Query::sparse("tiers", vector.clone()),
        ] {
            queries.extend([query.clone(), query.with_all_terms()]);
        }
        let token = CancelToken::new();
        token.cancel();
        for query in &queries {
            for algorithm in snapshot.algorithms(query).unwrap() {
                let options = SearchOptions::new(5).algorithm(algorithm);
                assert_eq!(snapshot.search_with(query, &options).unwrap().hits.len(), 5);
                // Prepared before the cancellation, which preparing would notice.
                let prepared = options.clone();
                let options = options.cancel(token.clone());
                let stops = match query.field() {
                    "text" => {
                        let leaf = TextLeaf::new(&snapshot, query, "lava ash", &prepared).unwrap();
                        stops(&leaf, &snapshot, &options)
                    }
                    "dense" => {
                        let leaf = DenseLeaf::new(&snapshot, "dense", &[1.0, 1.0]).unwrap();
                        stops(&leaf, &snapshot, &options)
                    }
                    _ => {
                        let leaf = SparseLeaf::new(&snapshot, query, &vector, &prepared);
                        stops(&leaf.unwrap(), &snapshot, &options)
                    }
                };
                assert!(stops, "{query:?} with {algorithm}");
                let several = options.clone().threads(3).part_documents(100);
                for options in [options, several] {
                    assert!(is_cancelled(snapshot.search_with(query, &options)));
                }
            }
        }
    }
}
