//! The queries of a file, batch by batch: results in the order of the file, progress, and queries
//! that fail alone.

use std::time::{Duration, Instant};

use esparsa::limits::MAX_QUERY_TERMS;
use esparsa::{Error, Result, SearchOptions, SearchResult, Snapshot};

use super::progress::QueryProgress;
use crate::queries::QuerySet;
use crate::size::{counted, grouped};

/// Number of queries of the first batch.
const FIRST_BATCH: usize = 64;
/// Max number of queries of a batch, which bounds the memory of results.
const MAX_BATCH: usize = 1_024;
/// Target duration of a batch: short enough to show progress, long enough to amortize starting
/// threads.
const BATCH_TIME: Duration = Duration::from_millis(500);
/// Number of messages about single queries that are printed; more are only counted.
const NOTES_SHOWN: u64 = 20;

/// How the queries of a file are searched.
pub struct Batch<'a> {
    pub snapshot: &'a Snapshot,
    pub options: SearchOptions,
    pub threads: usize,
    pub progress: QueryProgress,
    /// Messages about single queries so far.
    pub notes: u64,
}

/// The outcome of a batch of queries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub queries: u64,
    /// Queries that could not be searched.
    pub failed: u64,
}

impl Batch<'_> {
    /// Searches with all queries and passes each result to `take` with the query's position, in the
    /// order of the file. A query that cannot be searched is reported and skipped.
    ///
    /// # Errors
    ///
    /// Damage, what `take` gives, and the error of the first query if every query of the first
    /// batch fails: then the options are wrong, not the queries.
    pub fn search(
        mut self,
        set: &QuerySet,
        mut take: impl FnMut(usize, SearchResult) -> Result<()>,
    ) -> Result<Outcome> {
        let mut outcome = Outcome::default();
        let (mut start, mut size) = (0, FIRST_BATCH);
        while start < set.queries.len() {
            let end = set.queries.len().min(start + size);
            let started = Instant::now();
            let queries = &set.queries[start..end];
            let results = self
                .snapshot
                .search_each(queries, &self.options, self.threads)?;
            let took = started.elapsed();
            let mut results: Vec<(usize, Result<SearchResult>)> = (start..).zip(results).collect();
            if start == 0 && results.iter().all(|(_, result)| result.is_err()) {
                let (place, result) = results.swap_remove(0);
                if let Err(error) = result {
                    return Err(of_query(error, &set.ids[place]));
                }
            }
            for (place, result) in results {
                outcome.queries += 1;
                match result {
                    Ok(result) => {
                        if let Some(note) = terms_skipped(&result) {
                            self.note(|| format!("query `{}`: {note}", set.ids[place]));
                        }
                        take(place, result)?;
                    }
                    Err(error) if error.is_input() => {
                        outcome.failed += 1;
                        self.note(|| format!("skipped: {}", of_query(error, &set.ids[place])));
                    }
                    Err(error) => return Err(of_query(error, &set.ids[place])),
                }
                self.progress.update(outcome.queries);
            }
            start = end;
            size = match took {
                _ if took < BATCH_TIME / 2 => (size * 2).min(MAX_BATCH),
                _ if took > BATCH_TIME * 2 => (size / 2).max(self.threads).min(MAX_BATCH),
                _ => size,
            };
        }
        if self.notes > NOTES_SHOWN {
            let more = counted(self.notes - NOTES_SHOWN, "query");
            let message = format!("… and the same kind of message for {more} more");
            self.progress.message(&message);
        }
        Ok(outcome)
    }

    /// Prints a message about a query, unless many were printed already.
    fn note(&mut self, text: impl FnOnce() -> String) {
        self.notes += 1;
        if self.notes <= NOTES_SHOWN {
            self.progress.message(&text());
        }
    }
}

impl Outcome {
    /// An error if any query failed, so that the command does.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] then.
    pub fn check(self) -> Result<()> {
        if self.failed == 0 {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "{} of {} could not be searched and are skipped; the results of the others are written",
            self.failed,
            counted(self.queries, "query")
        )))
    }
}

/// The error with the query's id before it.
fn of_query(error: Error, id: &str) -> Error {
    match error.is_input() {
        true => Error::invalid(format!("query `{id}`: {error}")),
        false => error,
    }
}

/// The message for a query with more terms than the limit.
pub fn terms_skipped(result: &SearchResult) -> Option<String> {
    let skipped = result.statistics.terms_skipped;
    (skipped > 0).then(|| {
        format!(
            "searched with the {} weightiest of its terms; {} skipped",
            grouped(MAX_QUERY_TERMS as u64),
            counted(skipped, "term")
        )
    })
}
