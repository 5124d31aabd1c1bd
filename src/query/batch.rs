//! Many queries on several threads.

use super::options::SearchOptions;
use super::request::Query;
use super::result::SearchResult;
use crate::error::{Error, Result};
use crate::executor::run_each;
use crate::index::Snapshot;

impl Snapshot {
    /// Searches with each query, on up to `threads` threads, and returns results in the order of the
    /// queries.
    ///
    /// With 1 thread everything runs on the caller's; with more, on that many of the index's
    /// [executor](crate::IndexOptions::executor), or on all that it has.
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
        let executor = &**self.executor();
        let threads = threads.min(executor.threads());
        Ok(run_each(executor, threads, queries.len(), |number| {
            // Once cancelled, queries are not even begun.
            options.check_cancelled()?;
            self.search_with(&queries[number], options)
        }))
    }
}
