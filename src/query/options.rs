//! How to search.

use super::accept::Filter;
use super::effort::Effort;
use super::facets::Facet;
use super::plan::Algorithm;
use super::sort::Sort;
use crate::error::{Error, Result};
use crate::executor::{CancelToken, Executor};
use crate::format::Calibration;
use crate::format::limits::MAX_K;
use crate::index::DocAddress;

/// The most threads that a query can be given.
const MAX_THREADS: usize = 1_024;

/// How to search.
///
/// ```
/// use esparsa::{Algorithm, SearchOptions};
///
/// let options = SearchOptions::new(10).algorithm(Algorithm::BlockMaxWand);
/// ```
#[derive(Clone, Debug)]
pub struct SearchOptions {
    pub(super) k: usize,
    pub(super) algorithm: Option<Algorithm>,
    pub(super) recall: f32,
    /// Set while calibrating, instead of `recall`.
    pub(super) effort: Option<Effort>,
    pub(super) threads: usize,
    pub(super) part_documents: Option<u32>,
    pub(super) filter: Option<Filter>,
    pub(super) sorts: Vec<Sort>,
    pub(super) offset: usize,
    pub(super) after: Option<DocAddress>,
    pub(super) facets: Vec<Facet>,
    pub(super) count_up_to: Option<u64>,
    pub(super) min_score: Option<f32>,
    pub(super) cancel: Option<CancelToken>,
}

impl SearchOptions {
    /// The best `k` documents, by the algorithm that the query planner chooses: the one with the
    /// lowest expected cost, by the query's number of terms, their postings, and `k`.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            algorithm: None,
            recall: 1.0,
            effort: None,
            threads: 1,
            part_documents: None,
            filter: None,
            sorts: Vec::new(),
            offset: 0,
            after: None,
            facets: Vec::new(),
            count_up_to: None,
            min_score: None,
            cancel: None,
        }
    }

    /// Uses this algorithm instead of the planner's choice. A search with a query or a field that
    /// the algorithm cannot search is refused;
    /// [`Snapshot::algorithms`](crate::Snapshot::algorithms) lists those that can.
    #[must_use]
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// The share of the exact results that should be found, above 0 and up to 1. The default is 1:
    /// the search is exact. With less, the search of a sparse field skips the terms and ranges that
    /// are expected not to matter, and takes less time.
    ///
    /// What is skipped is chosen by measurements with queries on the index
    /// ([`Snapshot::calibrate`](crate::Snapshot::calibrate)), or on generated vectors if there are
    /// none. The recall holds for the mean of many queries like those, not for each of them. A query
    /// may find fewer than `k` documents although more match: those that have none of the remaining
    /// terms, or are in skipped ranges, are not found. Scores lack the skipped terms. Text and dense
    /// fields, and queries that ask for [all terms](crate::Query::with_all_terms), are searched exactly:
    /// with them a recall below 1 is refused.
    #[must_use]
    pub fn recall(mut self, recall: f32) -> Self {
        self.recall = recall;
        self
    }

    /// Searches with this effort instead of a recall.
    pub(super) fn with_effort(mut self, effort: Effort) -> Self {
        self.effort = Some(effort);
        self
    }

    /// Lets one query run on up to `threads` threads of the index's
    /// [executor](crate::IndexOptions::executor) (default 1, at most 1,024): its segments, and
    /// parts of large ones, are searched at the same time. Results are the same, bit for bit; with
    /// a [`recall`](Self::recall) below 1, what is skipped may differ from search to search.
    ///
    /// This reduces the latency of one expensive query, not its cost: threads learn of each other's
    /// best documents only as they go, so together they do more work than one alone. For many
    /// queries at once, one thread for each query is better, as in
    /// [`search_batch`](crate::Snapshot::search_batch); each of its threads runs queries on this
    /// many threads. Queries with few postings run on fewer threads, or on the caller's alone; none
    /// runs on more than the index's executor has.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// The threads of a query on an executor: no more than it has, since cutting the work for more
    /// costs time alone. Tests that set the size of parts get as many as they ask for.
    pub(super) fn threads_on(&self, executor: &dyn Executor) -> usize {
        match self.part_documents {
            Some(_) => self.threads,
            None => self.threads.min(executor.threads()),
        }
    }

    /// The options for what a filter is made with: exactly, whatever the search itself may skip.
    pub(super) fn exact(&self) -> Self {
        Self {
            algorithm: None,
            recall: 1.0,
            effort: None,
            after: None,
            ..self.clone()
        }
    }

    /// Fails when the search was cancelled.
    #[inline(always)]
    pub(super) fn check_cancelled(&self) -> Result<()> {
        match &self.cancel {
            Some(token) => token.check("searching"),
            None => Ok(()),
        }
    }

    /// Cuts segments into parts of this many documents, and uses all threads even for few postings:
    /// for tests, whose indexes are small.
    #[doc(hidden)]
    #[must_use]
    pub fn part_documents(mut self, documents: u32) -> Self {
        self.part_documents = Some(documents.max(1));
        self
    }

    /// Returns only documents that the filter accepts. Statistics, and so scores, are those of all
    /// documents.
    #[doc(hidden)]
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Orders hits by a column instead of by score; called again, ties of the columns so far are
    /// ordered by the next one, and in the end by address. Scores are not computed then: they are
    /// 0. An algorithm or a recall cannot be asked for too. The search runs on one thread.
    #[must_use]
    pub fn sort(mut self, sort: Sort) -> Self {
        self.sorts.push(sort);
        self
    }

    /// Leaves out the first `hits` hits, for pages: the `k` hits behind them are returned. It takes
    /// as long as a search for both together, and both together may be as many as the max of `k`.
    #[must_use]
    pub fn offset(mut self, hits: usize) -> Self {
        self.offset = hits;
        self
    }

    /// Begins behind a document that the same search has found: with the last hit of a page, the next
    /// page is found in the time of the first, however many pages are before it. The snapshot is the
    /// same one, or one of the same segments; `k` hits are returned, and there is no offset.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, SearchOptions, Text};
    ///
    /// let index = Index::in_memory(Schema::builder().text("text", Text::new()).build()?)?;
    /// let mut writer = index.writer()?;
    /// for (id, text) in [("a", "lava"), ("b", "lava lava"), ("c", "lava ash")] {
    ///     writer.add(Document::new(id).with_text("text", text))?;
    /// }
    /// writer.commit()?;
    ///
    /// let (snapshot, query) = (index.snapshot()?, Query::text("text", "lava"));
    /// let first = snapshot.search(&query, 2)?;
    /// let last = first.iter().last().map(|hit| hit.address);
    /// let options = last.map_or(SearchOptions::new(2), |last| SearchOptions::new(2).after(last));
    /// let second = snapshot.search_with(&query, &options)?.hits;
    /// assert_eq!((first.ids()?, second.ids()?), (vec!["b".into(), "a".into()], vec!["c".into()]));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    #[must_use]
    pub fn after(mut self, document: DocAddress) -> Self {
        self.after = Some(document);
        self
    }

    /// Counts columns over all documents that match, whatever `k` and the page are; the counts are in
    /// [`SearchResult::facets`](crate::SearchResult::facets). Called again, it adds others.
    ///
    /// The hits are found as they are without facets, which is faster than scoring every match, and
    /// then all matches are gone over once for all facets.
    ///
    /// ```
    /// use esparsa::{Column, Document, Facet, FacetResult, Index, Query, Schema, SearchOptions, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("name", Text::new())
    ///     .column("color", Column::keyword())
    ///     .build()?)?;
    /// let mut writer = index.writer()?;
    /// for (id, name, color) in [("a", "cup", "red"), ("b", "tea cup", "red"), ("c", "pot", "blue")] {
    ///     writer.add(Document::new(id).with_text("name", name).with("color", color))?;
    /// }
    /// writer.commit()?;
    ///
    /// let options = SearchOptions::new(1).facets([Facet::values("color", 10)]);
    /// let found = index.snapshot()?.search_with(&Query::text("name", "cup"), &options)?;
    /// assert_eq!(found.hits.ids()?, ["a"]);
    /// assert_eq!(found.facets, [FacetResult::Values(vec![("red".into(), 2)])]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    #[must_use]
    pub fn facets(mut self, facets: impl IntoIterator<Item = Facet>) -> Self {
        self.facets.extend(facets);
        self
    }

    /// Counts the documents that match, whatever `k` and the page are, until it is known that there
    /// are at least `limit`; `u64::MAX` counts all. The count is in
    /// [`SearchResult::count`](crate::SearchResult::count), which says which of both it is.
    ///
    /// ```
    /// use esparsa::{Document, Index, MatchCount, Query, Schema, SearchOptions, Text};
    ///
    /// let index = Index::in_memory(Schema::builder().text("text", Text::new()).build()?)?;
    /// let mut writer = index.writer()?;
    /// for number in 0..100 {
    ///     writer.add(Document::new(number.to_string()).with_text("text", "lava"))?;
    /// }
    /// writer.commit()?;
    ///
    /// let (snapshot, query) = (index.snapshot()?, Query::text("text", "lava ash"));
    /// let count = |limit| {
    ///     let options = SearchOptions::new(1).count_up_to(limit);
    ///     Ok::<_, esparsa::Error>(snapshot.search_with(&query, &options)?.count)
    /// };
    /// assert_eq!(count(u64::MAX)?, Some(MatchCount::Exact(100)));
    /// assert!(matches!(count(20)?, Some(MatchCount::AtLeast(20..))));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    #[must_use]
    pub fn count_up_to(mut self, limit: u64) -> Self {
        self.count_up_to = Some(limit);
        self
    }

    /// Returns only documents whose score is at least `score`, a finite number; scores of vectors may
    /// be negative. The others do not match: they are not [counted](Self::count_up_to) either, nor
    /// are their [facets](Self::facets), for which every document that may reach the score is scored
    /// in a second, exact search.
    ///
    /// The hits are those of the same search without it, bit for bit, up to the last one that
    /// reaches the score. They are found in less time, because what cannot reach the score is skipped
    /// from the start. So where the hits of several snapshots are merged, the k-th score of one is a
    /// min score for the next. Where a [`recall`](Self::recall) below 1 skips ranges of documents,
    /// nothing more is skipped. Hits that are [sorted](Self::sort) by a column have no score, so both
    /// together are refused.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, SearchOptions, Sparse};
    ///
    /// let index = Index::in_memory(Schema::builder().sparse("splade", Sparse::new()).build()?)?;
    /// let mut writer = index.writer()?;
    /// for (id, weight) in [("a", 0.5), ("b", 2.0), ("c", 1.0)] {
    ///     writer.add(Document::new(id).with_sparse("splade", [("lava", weight)]))?;
    /// }
    /// writer.commit()?;
    ///
    /// let (snapshot, query) = (index.snapshot()?, Query::sparse("splade", [("lava", 1.0)]));
    /// let found = snapshot.search_with(&query, &SearchOptions::new(10).min_score(0.9))?;
    /// assert_eq!(found.hits.ids()?, ["b", "c"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    #[must_use]
    pub fn min_score(mut self, score: f32) -> Self {
        self.min_score = Some(score);
        self
    }

    /// Lets another thread stop the search: once the token is cancelled, the search returns
    /// [`Error::Cancelled`] before it begins the next few thousand documents.
    ///
    /// ```
    /// use esparsa::executor::CancelToken;
    /// use esparsa::{Document, Error, Index, Query, Schema, SearchOptions, Text};
    ///
    /// let schema = Schema::builder().text("text", Text::new().analyzer("english"));
    /// let index = Index::in_memory(schema.build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("etna").with_text("text", "An active volcano."))?;
    /// writer.commit()?;
    ///
    /// let token = CancelToken::new();
    /// let options = SearchOptions::new(10).cancel(token.clone());
    /// let (snapshot, query) = (index.snapshot()?, Query::text("text", "volcano"));
    /// assert_eq!(snapshot.search_with(&query, &options)?.hits.len(), 1);
    /// token.cancel();
    /// let stopped = snapshot.search_with(&query, &options);
    /// assert!(matches!(stopped, Err(Error::Cancelled { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    #[must_use]
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = Some(token);
        self
    }

    /// How much of a query on a sparse field is worked on, given the field's calibration.
    pub(super) fn effort_for(&self, calibration: Option<&Calibration>) -> Effort {
        self.effort
            .unwrap_or_else(|| Effort::with_recall(calibration, self.k, self.recall))
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.k == 0 {
            return Err(Error::invalid("expected k to be at least 1, found 0"));
        }
        if !(self.recall > 0.0 && self.recall <= 1.0) {
            let message = format!(
                "expected a recall above 0 and up to 1, found {}",
                self.recall
            );
            return Err(Error::invalid(message));
        }
        let hits = self.k.saturating_add(self.offset);
        if hits > MAX_K {
            let what = match self.offset {
                0 => "k",
                _ => "k and offset together",
            };
            return Err(Error::limit(what, hits as u64, MAX_K as u64));
        }
        if self.after.is_some() && (self.offset > 0 || self.recall < 1.0) {
            let message = "expected no offset and a recall of 1 behind a document, found one of them; leave it out";
            return Err(Error::invalid(message));
        }
        let needs_scores =
            self.algorithm.is_some() || self.recall < 1.0 || self.min_score.is_some();
        if !self.sorts.is_empty() && needs_scores {
            let message = "expected no algorithm, a recall of 1 and no min score, because hits are sorted by columns and \
                           not scored; leave them as they are";
            return Err(Error::invalid(message));
        }
        if let Some(score) = self.min_score.filter(|score| !score.is_finite()) {
            let message =
                format!("expected a finite min score, found {score}; leave it out for all hits");
            return Err(Error::invalid(message));
        }
        if self.threads == 0 {
            let message = "expected at least 1 thread for a query, found 0; ask for 1 to search on the caller's thread alone";
            return Err(Error::invalid(message));
        }
        if self.threads > MAX_THREADS {
            let (found, limit) = (self.threads as u64, MAX_THREADS as u64);
            return Err(Error::limit("number of threads of a query", found, limit));
        }
        Ok(())
    }
}
