//! Measuring what approximate searches lose and take.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::effort::Effort;
use super::options::SearchOptions;
use super::request::Query;
use crate::error::{Error, Result};
use crate::format::{Calibration, CalibrationPoint, FieldKind};
use crate::index::{DocAddress, Snapshot};

/// The k that are measured, up to the number of documents of the index.
const MEASURED_K: [u32; 3] = [10, 100, 1_000];
/// Shares of the query's weight that are measured.
const SHARES: [f32; 14] = [
    1.0, 0.99, 0.98, 0.97, 0.96, 0.95, 0.94, 0.92, 0.90, 0.88, 0.85, 0.80, 0.75, 0.70,
];
/// Slacks that are measured.
const SLACKS: [f32; 4] = [1.0, 0.95, 0.9, 0.8];
/// Each query is timed this often, and its fastest time counts.
const ROUNDS: usize = 2;

impl Snapshot {
    /// Searches a sparse field with these queries, exactly and with 56 settings of how much is
    /// skipped (see [`CalibrationPoint`]), and returns the recall and the time of each setting worth
    /// using. [`SearchOptions::recall`] chooses among them. A hundred typical queries are enough.
    ///
    /// It takes about 170 times as long as the exact searches of the queries.
    /// [`IndexWriter::keep_calibration`](crate::IndexWriter::keep_calibration) keeps the result
    /// with the index.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, SearchOptions, Sparse};
    ///
    /// let index = Index::in_memory(Schema::builder().sparse("splade", Sparse::new()).build()?)?;
    /// let mut writer = index.writer()?;
    /// for number in 0..20 {
    ///     let vector = [("lava", 0.1 * number as f32), ("bee", 2.0 - 0.1 * number as f32)];
    ///     writer.add(Document::new(number.to_string()).with_sparse("splade", vector))?;
    /// }
    /// writer.commit()?;
    ///
    /// let queries = [Query::sparse("splade", [("lava", 2.0), ("bee", 0.1)])];
    /// let calibration = index.snapshot()?.calibrate(&queries)?;
    /// writer.keep_calibration(calibration)?;
    /// writer.commit()?;
    ///
    /// let options = SearchOptions::new(10).recall(0.9);
    /// assert_eq!(index.snapshot()?.search_with(&queries[0], &options)?.hits.ids()?[0], "19");
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is no query, the index has fewer than 10 documents, or
    /// the queries are not all of one sparse field or ask for all terms; else as
    /// [`search`](Self::search).
    pub fn calibrate(&self, queries: &[Query]) -> Result<Calibration> {
        let Some(first) = queries.first() else {
            return Err(Error::invalid(
                "expected queries to calibrate with, found none",
            ));
        };
        let field = self
            .schema()
            .expect(first.field(), FieldKind::Sparse)?
            .number;
        if let Some(other) = queries.iter().find(|query| query.field() != first.field()) {
            let message = format!(
                "expected queries of one field, found `{}` and `{}`; calibrate one field at a time",
                first.field(),
                other.field()
            );
            return Err(Error::invalid(message));
        }
        if queries.iter().any(|query| query.all_terms) {
            let message = "expected queries of which any term will do: those that ask for all terms are always \
                           searched exactly";
            return Err(Error::invalid(message).in_field(first.field()));
        }
        let mut points = Vec::new();
        for k in MEASURED_K {
            if u64::from(k) <= self.documents() {
                points.extend(self.measure(queries, k)?);
            }
        }
        if points.is_empty() {
            let message = format!(
                "expected an index of at least {} documents, found {}",
                MEASURED_K[0],
                self.documents()
            );
            return Err(Error::invalid(message));
        }
        Ok(Calibration {
            field,
            documents: self.documents(),
            queries: queries.len() as u64,
            points,
        })
    }

    /// The efforts of which no cheaper one has as good a recall, the cheapest first.
    fn measure(&self, queries: &[Query], k: u32) -> Result<Vec<CalibrationPoint>> {
        let options = SearchOptions::new(k as usize);
        let exact = queries.iter().map(|query| self.addresses(query, &options));
        let exact: Vec<HashSet<DocAddress>> = exact.collect::<Result<_>>()?;
        let mut points = Vec::new();
        for share in SHARES {
            for slack in SLACKS {
                let options = options.clone().with_effort(Effort { share, slack });
                points.push(self.measure_point(queries, &exact, &options, k)?);
            }
        }
        points.sort_by(|a, b| a.microseconds.total_cmp(&b.microseconds));
        let mut best = -1.0;
        points.retain(|point| {
            let is_better = point.recall > best;
            best = best.max(point.recall);
            is_better
        });
        Ok(points)
    }

    fn measure_point(
        &self,
        queries: &[Query],
        exact: &[HashSet<DocAddress>],
        options: &SearchOptions,
        k: u32,
    ) -> Result<CalibrationPoint> {
        let (mut time, mut recall) = (Duration::ZERO, 0.0);
        for (query, exact) in queries.iter().zip(exact) {
            let mut fastest = Duration::MAX;
            for _ in 0..ROUNDS {
                let start = Instant::now();
                self.search_with(query, options)?;
                fastest = fastest.min(start.elapsed());
            }
            time += fastest;
            let found = self.addresses(query, options)?;
            recall += match exact.len() {
                0 => 1.0,
                all => found.intersection(exact).count() as f64 / all as f64,
            };
        }
        let queries = queries.len() as f64;
        let effort = options.effort.unwrap_or(Effort::EXACT);
        Ok(CalibrationPoint {
            k,
            share: effort.share,
            slack: effort.slack,
            recall: (recall / queries) as f32,
            microseconds: (time.as_secs_f64() * 1e6 / queries) as f32,
        })
    }

    fn addresses(&self, query: &Query, options: &SearchOptions) -> Result<HashSet<DocAddress>> {
        let found = self.search_with(query, options)?.hits;
        Ok(found.iter().map(|hit| hit.address).collect())
    }
}
