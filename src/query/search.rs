//! Searching a snapshot: its segments one after another, with one threshold.

use super::cursor::Cursor;
use super::plan::{Algorithm, Workload, choose};
use super::prepare::{Prepared, PreparedSparse, PreparedText};
use super::request::{Query, SearchOptions};
use super::score::Score;
use super::sparse_cursor::SparseCursor;
use super::text_cursor::TextCursor;
use super::top_k::{Scored, TopK};
use super::{block_max_wand, exhaustive, max_score, wand};
use crate::error::Result;
use crate::index::{DocAddress, Snapshot, SnapshotSegment};

/// A document that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The external id.
    pub id: String,
    /// BM25, or the dot product of weights.
    pub score: f32,
    /// Where the document is in the snapshot that was searched.
    pub address: DocAddress,
}

/// What a search did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchStatistics {
    /// Postings of the query's terms in all segments.
    pub postings: u64,
    /// Postings whose contribution was computed.
    pub postings_scored: u64,
    /// The algorithm used in each segment that has a term of the query.
    pub algorithms: Vec<Algorithm>,
}

/// Hits, and what it took to find them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchResult {
    /// The best documents, best first.
    pub hits: Vec<Hit>,
    /// What the search did.
    pub statistics: SearchStatistics,
}

impl Snapshot {
    /// The best `k` documents of a query, best first; fewer when fewer match. A query without terms finds
    /// nothing.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema};
    ///
    /// let index = Index::in_memory(Schema::new().text("text", "en")?.sparse("splade", 3.0)?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("etna").with_text("text", "a volcano in Sicily").with_sparse("splade", [("lava", 1.2)]))?;
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// assert_eq!(snapshot.search(&Query::text("text", "volcanoes"), 10)?[0].id, "etna");
    /// assert_eq!(snapshot.search(&Query::sparse("splade", [("lava", 2.0)]), 10)?[0].id, "etna");
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when the query does not fit the schema or `k` is 0,
    /// [`Error::Limit`](crate::Error::Limit) when `k` or the number of terms is too great,
    /// [`Error::Corrupt`](crate::Error::Corrupt) when bytes that must be read are damaged.
    pub fn search(&self, query: &Query, k: usize) -> Result<Vec<Hit>> {
        Ok(self.search_with(query, &SearchOptions::new(k))?.hits)
    }

    /// As [`search`](Self::search), with options, and with what it took.
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search).
    pub fn search_with(&self, query: &Query, options: &SearchOptions) -> Result<SearchResult> {
        options.check()?;
        match Prepared::new(self, query)? {
            Prepared::Text(text) => self.search_prepared(options, 1.0, |segment, place| {
                text_cursors(&text, segment, place)
            }),
            Prepared::Sparse(sparse) => {
                self.search_prepared(options, sparse.unit, |segment, place| {
                    sparse_cursors(&sparse, segment, place)
                })
            }
        }
    }

    fn search_prepared<'a, C: Cursor>(
        &'a self,
        options: &SearchOptions,
        unit: f32,
        cursors_of: impl Fn(&'a SnapshotSegment, usize) -> Result<Vec<C>>,
    ) -> Result<SearchResult> {
        let mut top = TopK::new(options.k, self.documents());
        let mut statistics = SearchStatistics::default();
        for (place, segment) in self.segments().iter().enumerate() {
            let mut cursors = cursors_of(segment, place)?;
            if cursors.is_empty() {
                continue;
            }
            top.enter(u32::try_from(place).unwrap_or(u32::MAX));
            let workload = workload(&cursors, options.k, segment);
            let algorithm = options.algorithm.unwrap_or_else(|| choose(workload).0);
            run(algorithm, &mut cursors, segment, &mut top);
            statistics.algorithms.push(algorithm);
            statistics.postings += workload.postings;
            for cursor in &mut cursors {
                statistics.postings_scored += cursor.scored();
                if let Some(error) = cursor.take_error() {
                    return Err(error);
                }
            }
        }
        let hits = self.name_hits(top.into_sorted(), unit)?;
        Ok(SearchResult { hits, statistics })
    }

    fn name_hits<S: Score>(&self, scored: Vec<Scored<S>>, unit: f32) -> Result<Vec<Hit>> {
        let name = |hit: Scored<S>| {
            Ok(Hit {
                id: self.id(hit.address)?,
                score: hit.score.to_f32() * unit,
                address: hit.address,
            })
        };
        scored.into_iter().map(name).collect()
    }
}

pub(super) fn workload<C: Cursor>(cursors: &[C], k: usize, segment: &SnapshotSegment) -> Workload {
    Workload {
        cursors: cursors.len(),
        postings: cursors.iter().map(|c| u64::from(c.len())).sum(),
        k,
        documents: segment.reader.documents(),
    }
}

fn run<C: Cursor>(
    algorithm: Algorithm,
    cursors: &mut [C],
    segment: &SnapshotSegment,
    top: &mut TopK<C::Score>,
) {
    let documents = segment.reader.documents();
    let is_live = |document| segment.is_live(document);
    match algorithm {
        Algorithm::Exhaustive => exhaustive::search(cursors, documents, is_live, top),
        Algorithm::Wand => wand::search(cursors, is_live, top),
        Algorithm::BlockMaxWand => block_max_wand::search(cursors, is_live, top),
        Algorithm::MaxScore => max_score::search(cursors, documents, is_live, top),
    }
}

/// The cursors of a text query on the `place`-th segment, in term order.
pub(super) fn text_cursors<'a>(
    text: &'a PreparedText,
    segment: &'a SnapshotSegment,
    place: usize,
) -> Result<Vec<TextCursor<'a>>> {
    let Some(field) = segment.reader.text(text.field) else {
        return Ok(Vec::new());
    };
    let lengths = field.lengths.all()?;
    let mut cursors = Vec::with_capacity(text.terms.len());
    for (number, term) in text.terms.iter().enumerate() {
        if let Some(Some(entry)) = term.entries.get(place) {
            let list = field.list(segment.reader.documents(), entry)?;
            cursors.push(TextCursor::new(
                &list,
                number,
                term.weight,
                &text.norms,
                lengths,
            )?);
        }
    }
    Ok(cursors)
}

/// The cursors of a sparse query on the `place`-th segment, one for each tier, greatest bounds first.
pub(super) fn sparse_cursors<'a>(
    sparse: &PreparedSparse,
    segment: &'a SnapshotSegment,
    place: usize,
) -> Result<Vec<SparseCursor<'a>>> {
    let Some(field) = segment.reader.sparse(sparse.field) else {
        return Ok(Vec::new());
    };
    let mut cursors = Vec::new();
    for (number, term) in sparse.terms.iter().enumerate() {
        if let Some(Some(entry)) = term.entries.get(place) {
            for tier in field.tiers(segment.reader.documents(), entry)? {
                cursors.push(SparseCursor::new(&tier, number, term.weight));
            }
        }
    }
    // Sums of integers are the same in any order.
    cursors.sort_by_key(|cursor| std::cmp::Reverse(cursor.bound()));
    Ok(cursors)
}
