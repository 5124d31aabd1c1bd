//! Searching a snapshot: its segments one after another, with one threshold; or on several threads, by `threads`.

use super::dense::{DenseSearch, PreparedDense};
use super::part::Part;
use super::plan::Algorithm;
use super::prepare::{Prepared, PreparedSparse, PreparedText};
use super::request::{Query, SearchOptions};
use super::score::{Ranked, Similarity};
use super::segment_search::{Found, Searched, SparseSearch, TextSearch, in_units};
use super::threads::{self, Plan};
use super::top_k::{Scored, TopK};
use crate::error::Result;
use crate::index::{DocAddress, Snapshot, SnapshotSegment};

/// A document that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The external id.
    pub id: String,
    /// BM25, the dot product of weights, or the inner product or cosine of vectors.
    pub score: f32,
    /// Where the document is in the snapshot that was searched.
    pub address: DocAddress,
}

/// What a search did.
///
/// On several threads ([`SearchOptions::threads`]) what can be skipped depends on which thread was where when, so there
/// `postings_scored` may differ from search to search; results do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchStatistics {
    /// Postings of the query's terms in all segments; of a dense field, its vectors.
    pub postings: u64,
    /// Those whose contribution, or score, was computed.
    pub postings_scored: u64,
    /// The algorithm used in each segment that has a term of the query.
    pub algorithms: Vec<Algorithm>,
    /// Terms that were not searched, because the query has more than 4,096: the weightiest are
    /// kept. Without any, as almost always, this is 0.
    pub terms_left_out: u64,
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
    /// Of a query with more than 4,096 terms that documents have, the weightiest 4,096 are
    /// searched: of words, those with the highest idf times frequency in the query.
    /// [`SearchStatistics::terms_left_out`] counts the others. A query that asks for [all
    /// terms](Query::with_all_terms) cannot leave any out, so there that is an error.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, Sparse, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("text", Text::new().analyzer("en"))
    ///     .sparse("splade", Sparse::new())
    ///     .build()?)?;
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
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when the query does not fit the schema,
    /// when the query or the options ask for what the field cannot do, or when `k` is 0;
    /// [`Error::Limit`](crate::Error::Limit) when `k` or the number of terms that all must be there
    /// is too great; [`Error::Corrupt`](crate::Error::Corrupt) when bytes that must be read are
    /// damaged.
    pub fn search(&self, query: &Query, k: usize) -> Result<Vec<Hit>> {
        Ok(self.search_with(query, &SearchOptions::new(k))?.hits)
    }

    /// As [`search`](Self::search), with options, and with what it took.
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search).
    pub fn search_with(&self, query: &Query, options: &SearchOptions) -> Result<SearchResult> {
        self.check_query(query, options)?;
        match Prepared::new(self, query, options)? {
            Prepared::Text(text) => {
                let mut found = self.search_text(options, &text)?;
                found.statistics.terms_left_out = text.left_out;
                self.name_all(found, 1.0)
            }
            Prepared::Sparse(sparse) => {
                let mut found = self.search_sparse(options, &sparse)?;
                found.statistics.terms_left_out = sparse.left_out;
                self.name_all(found, sparse.unit)
            }
            Prepared::Dense(dense) => self.name_all(self.search_dense(options, &dense)?, 1.0),
        }
    }

    /// As [`search_with`](Self::search_with), without the documents' ids: addresses and scores. Saves their
    /// lookup when only few of many hits are to be named.
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search).
    pub fn search_unnamed(
        &self,
        query: &Query,
        options: &SearchOptions,
    ) -> Result<Vec<(DocAddress, f32)>> {
        self.check_query(query, options)?;
        Ok(match Prepared::new(self, query, options)? {
            Prepared::Text(text) => self.search_text(options, &text)?.into_unnamed(1.0),
            Prepared::Sparse(sparse) => self
                .search_sparse(options, &sparse)?
                .into_unnamed(sparse.unit),
            Prepared::Dense(dense) => self.search_dense(options, &dense)?.into_unnamed(1.0),
        })
    }

    fn name_all<S: Ranked>(&self, found: Found<S>, unit: f32) -> Result<SearchResult> {
        Ok(SearchResult {
            hits: self.name_hits(found.top.into_sorted(), unit)?,
            statistics: found.statistics,
        })
    }

    fn search_text(&self, options: &SearchOptions, text: &PreparedText) -> Result<Found<f32>> {
        let segments = self.segments();
        let query = TextSearch {
            segments,
            options,
            text,
        };
        search_all(&query, segments, options, self.documents())
    }

    fn search_sparse(
        &self,
        options: &SearchOptions,
        sparse: &PreparedSparse,
    ) -> Result<Found<u32>> {
        let segments = self.segments();
        let query = SparseSearch {
            segments,
            options,
            sparse,
        };
        search_all(&query, segments, options, self.documents())
    }

    fn search_dense(
        &self,
        options: &SearchOptions,
        dense: &PreparedDense,
    ) -> Result<Found<Similarity>> {
        let segments = self.segments();
        let query = DenseSearch { segments, dense };
        search_all(&query, segments, options, self.documents())
    }

    fn name_hits<S: Ranked>(&self, scored: Vec<Scored<S>>, unit: f32) -> Result<Vec<Hit>> {
        let name = |hit: Scored<S>| {
            Ok(Hit {
                id: self.id(hit.address)?,
                score: in_units(hit.score, unit),
                address: hit.address,
            })
        };
        scored.into_iter().map(name).collect()
    }
}

/// Searches all segments, on as many threads as is allowed and worth it.
fn search_all<Q: Searched>(
    query: &Q,
    segments: &[SnapshotSegment],
    options: &SearchOptions,
    documents: u64,
) -> Result<Found<Q::Score>> {
    let mut found = Found::with(TopK::new(options.k, documents));
    if options.threads > 1 {
        let size = |(place, segment): (usize, &SnapshotSegment)| {
            (segment.reader.documents(), query.postings(place))
        };
        let sizes: Vec<_> = segments.iter().enumerate().map(size).collect();
        if let Some(plan) = Plan::new(options, query.parts_per_thread(), &sizes) {
            threads::search(query, &plan, documents, &mut found)?;
            return Ok(found);
        }
    }
    for place in 0..segments.len() {
        let lists = query.open(place)?;
        query.search(&lists, place, Part::WHOLE, &mut found)?;
    }
    Ok(found)
}
