//! Queries one after another, and how long each takes.

use std::path::Path;
use std::time::{Duration, Instant};

use esparsa::{Result, SearchOptions, SearchResult, Snapshot, eval};

use super::batch::Outcome;
use crate::queries::QuerySet;
use crate::timings::Timings;

/// Queries that are searched before, so that files are read and caches are warm.
const WARM_UP: usize = 5;

/// The times of queries.
#[derive(Default)]
pub struct Stopwatch {
    times: Vec<Duration>,
    /// Terms of sparse vectors.
    terms: usize,
    vectors: usize,
}

impl Stopwatch {
    /// Encodes each query on its own.
    ///
    /// # Errors
    ///
    /// What `encode` gives.
    pub fn encode(
        &mut self,
        queries: &mut [eval::Query],
        mut encode: impl FnMut(&mut [eval::Query]) -> Result<()>,
    ) -> Result<()> {
        for query in queries.iter().take(WARM_UP) {
            encode(&mut [query.clone()])?;
        }
        for query in queries {
            let started = Instant::now();
            encode(std::slice::from_mut(query))?;
            self.times.push(started.elapsed());
            if let Some(vector) = &query.vector {
                self.terms += vector.len();
                self.vectors += 1;
            }
        }
        Ok(())
    }

    /// Searches with one query after another, and passes each result to `take` with its place.
    ///
    /// # Errors
    ///
    /// What searching and `take` give.
    pub fn search(
        &mut self,
        snapshot: &Snapshot,
        set: &QuerySet,
        options: &SearchOptions,
        mut take: impl FnMut(usize, SearchResult) -> Result<()>,
    ) -> Result<Outcome> {
        for query in set.queries.iter().take(WARM_UP) {
            snapshot.search_with(query, options)?;
        }
        for (place, (query, time)) in set.queries.iter().zip(&mut self.times).enumerate() {
            let started = Instant::now();
            take(place, snapshot.search_with(query, options)?)?;
            *time += started.elapsed();
        }
        Ok(Outcome {
            queries: set.queries.len() as u64,
            failed: 0,
        })
    }

    /// Writes the times.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](esparsa::Error::Io).
    pub fn write(self, path: &Path) -> Result<()> {
        let terms = self.terms as f64 / self.vectors.max(1) as f64;
        Timings::new(&self.times, (self.vectors > 0).then_some(terms)).write(path)
    }
}
