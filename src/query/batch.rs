//! Many queries on several threads.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::request::{Query, SearchOptions};
use super::result::SearchResult;
use crate::error::{Error, Result};
use crate::index::Snapshot;

impl Snapshot {
    /// Searches with each query, on `threads` threads, and returns results in the order of the
    /// queries.
    ///
    /// With 1 thread everything runs on the caller's; with more, on that many of the index's
    /// [executor](crate::IndexOptions::executor).
    ///
    /// # Errors
    ///
    /// The error of the first query, in their order, that fails; see [`Snapshot::search`].
    pub fn search_batch(
        &self,
        queries: &[Query],
        options: &SearchOptions,
        threads: usize,
    ) -> Result<Vec<SearchResult>> {
        self.search_each(queries, options, threads)?
            .into_iter()
            .collect()
    }

    /// As [`search_batch`](Self::search_batch), with a result or an error for each query: one that
    /// cannot be searched does not keep the others from being.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when `threads` is 0.
    pub fn search_each(
        &self,
        queries: &[Query],
        options: &SearchOptions,
        threads: usize,
    ) -> Result<Vec<Result<SearchResult>>> {
        if threads == 0 {
            return Err(Error::invalid("expected at least 1 thread, found 0"));
        }
        let threads = threads.min(queries.len());
        if threads <= 1 {
            let results = queries.iter().map(|query| self.search_with(query, options));
            return Ok(results.collect());
        }
        let next = AtomicUsize::new(0);
        let results: Vec<_> = queries.iter().map(|_| OnceLock::new()).collect();
        self.executor().run(threads, &|_| {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some((query, result)) = queries.get(number).zip(results.get(number)) else {
                    return;
                };
                result.get_or_init(|| self.search_with(query, options));
            }
        });
        // A query that an executor left out is searched here: none may be missing, or the results of
        // the others would take its place.
        let results = results.into_iter().zip(queries);
        Ok(results
            .map(|(result, query)| {
                let search = || self.search_with(query, options);
                result.into_inner().unwrap_or_else(search)
            })
            .collect())
    }
}
