//! Several queries in one request, whose rankings are fused.

use super::fusion::Fusion;
use crate::error::{Error, Result};
use crate::index::Snapshot;
use crate::query::{Hits, Query, SearchOptions};

/// Hits of each query that are fused, by default.
const DEPTH: usize = 100;

/// Queries whose rankings are fused into one: words and a vector, two fields, two models.
///
/// Each query is searched exactly, to a depth; the fusion sees the hits down to there.
///
/// ```
/// use esparsa::rank::{Fusion, Hybrid, Normalization};
/// use esparsa::{Column, Dense, Document, Index, Query, Schema, Text};
///
/// let index = Index::in_memory(Schema::builder()
///     .text("text", Text::new().analyzer("en"))
///     .dense("vector", Dense::new(2))
///     .column("year", Column::i64())
///     .build()?)?;
/// let mut writer = index.writer()?;
/// for (id, text, vector, year) in [
///     ("etna", "A volcano in Sicily", [0.9, 0.1], 1998),
///     ("stromboli", "An island that erupts", [0.8, 0.2], 2003),
///     ("bees", "Bees and flowers", [0.0, 1.0], 2004),
/// ] {
///     let document = Document::new(id).with_text("text", text).with_dense("vector", vector);
///     writer.add(document.with("year", year))?;
/// }
/// writer.commit()?;
///
/// let hybrid = Hybrid::new(Fusion::weighted_sum(Normalization::MinMax))
///     .query(Query::text("text", "volcanoes"), 1.0)
///     .query(Query::dense("vector", [1.0, 0.0]), 0.5)
///     .filter(Query::range("year", ..2004));
/// let hits = hybrid.search(&index.snapshot()?, 10)?;
/// assert_eq!(hits.ids()?, ["etna", "stromboli"]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Hybrid {
    fusion: Fusion,
    queries: Vec<(Query, f64)>,
    filters: Vec<Query>,
    excluded: Vec<Query>,
    depth: usize,
}

impl Hybrid {
    /// No queries yet. The weights of the fusion are those given with the queries.
    pub fn new(fusion: Fusion) -> Self {
        Self {
            fusion,
            queries: Vec::new(),
            filters: Vec::new(),
            excluded: Vec::new(),
            depth: DEPTH,
        }
    }

    /// Adds a query, with its weight in the fusion. It may have filters of its own.
    #[must_use]
    pub fn query(mut self, query: Query, weight: f64) -> Self {
        self.queries.push((query, weight));
        self
    }

    /// Keeps only documents that match this query too, of all rankings.
    #[must_use]
    pub fn filter(mut self, filter: Query) -> Self {
        self.filters.push(filter);
        self
    }

    /// Drops documents that match this query, from all rankings.
    #[must_use]
    pub fn without(mut self, query: Query) -> Self {
        self.excluded.push(query);
        self
    }

    /// How many hits of each query are fused: 100 by default, and at least as many as are asked for.
    #[must_use]
    pub fn depth(mut self, hits: usize) -> Self {
        self.depth = hits;
        self
    }

    /// The best `k` documents of the fused rankings.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] without a query; those of [`Snapshot::search`] and of
    /// [`Fusion::fuse_hits`].
    pub fn search(&self, snapshot: &Snapshot, k: usize) -> Result<Hits> {
        self.search_with(snapshot, k, SearchOptions::new)
    }

    /// As [`search`](Self::search), with options of each query's search, given its depth: for
    /// threads, or to cancel it.
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search).
    pub fn search_with(
        &self,
        snapshot: &Snapshot,
        k: usize,
        options: impl Fn(usize) -> SearchOptions,
    ) -> Result<Hits> {
        if self.queries.is_empty() {
            let message = "expected at least one query to fuse, found none; add some";
            return Err(Error::invalid(message));
        }
        let options = options(self.depth.max(k));
        let lists = self.queries.iter().map(|(query, _)| {
            let query = self
                .filters
                .iter()
                .cloned()
                .fold(query.clone(), Query::with_filter);
            let query = self.excluded.iter().cloned().fold(query, Query::without);
            Ok(snapshot.search_with(&query, &options)?.hits)
        });
        let lists = lists.collect::<Result<Vec<Hits>>>()?;
        let weights = self.queries.iter().map(|(_, weight)| *weight);
        self.fusion.clone().weights(weights).k(k).fuse_hits(&lists)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Column, Document, Index, Schema, Text};

    fn snapshot() -> Snapshot {
        let schema = Schema::builder()
            .text("title", Text::new())
            .text("body", Text::new())
            .column("year", Column::i64());
        let index = Index::in_memory(schema.build().unwrap()).unwrap();
        let mut writer = index.writer().unwrap();
        for number in 0..300 {
            let body = "ash ".repeat(1 + number % 7);
            let document = Document::new(format!("d{number}")).with_text("body", body);
            let document = match number % 3 {
                0 => document.with_text("title", "lava ash"),
                _ => document.with_text("title", "ash"),
            };
            writer.add(document.with("year", number as i64)).unwrap();
        }
        writer.commit().unwrap();
        index.snapshot().unwrap()
    }

    fn hybrid() -> Hybrid {
        Hybrid::new(Fusion::reciprocal_rank())
            .query(Query::text("title", "lava"), 1.0)
            .query(Query::text("body", "ash"), 0.5)
    }

    #[test]
    fn a_hybrid_equals_the_fusion_of_its_searches() {
        let snapshot = snapshot();
        let filter = Query::range("year", 100..);
        let excluded = Query::term("year", 103);
        let lists = ["lava", "ash"].map(|word| {
            let field = if word == "lava" { "title" } else { "body" };
            let query = Query::text(field, word).with_filter(filter.clone());
            snapshot
                .search(&query.without(excluded.clone()), 100)
                .unwrap()
        });
        let fusion = Fusion::reciprocal_rank().weights([1.0, 0.5]).k(20);
        let expected = fusion.fuse_hits(&lists).unwrap();
        let hybrid = hybrid().filter(filter).without(excluded);
        let found = hybrid.search(&snapshot, 20).unwrap();
        assert_eq!(found.scored(), expected.scored());
        assert_eq!(found.len(), 20);
    }

    #[test]
    fn it_is_at_least_as_deep_as_what_is_asked_for() {
        let found = hybrid().depth(3).search(&snapshot(), 250).unwrap();
        assert_eq!(found.len(), 250);
        let shallow = hybrid().depth(3).search(&snapshot(), 2).unwrap();
        assert_eq!(shallow.len(), 2);
    }

    #[test]
    fn without_queries_it_is_refused() {
        let refused = Hybrid::new(Fusion::default()).search(&snapshot(), 10);
        assert!(
            refused
                .unwrap_err()
                .to_string()
                .contains("at least one query")
        );
    }
}
