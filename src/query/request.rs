//! Query types: what to search for, and how.

use super::accept::Filter;
use super::effort::Effort;
use super::plan::Algorithm;
use crate::error::{Error, Result};
use crate::executor::{CancelToken, Executor};
use crate::format::limits::{MAX_K, MAX_QUERY_TERMS};
use crate::format::{Bm25, Calibration, FieldKind};

/// The most threads that a query can be given.
const MAX_THREADS: usize = 1_024;

/// A query on one field.
///
/// ```
/// use esparsa::{Bm25, Query};
///
/// let words = Query::text("text", "volcanoes of Sicily").with_bm25(Bm25 { k1: 0.82, b: 0.68 });
/// let weights = Query::sparse("splade", [("volcano", 2.5), ("sicily", 1.9)]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    pub(super) field: String,
    pub(super) kind: QueryKind,
    /// `None`: the field's.
    pub(super) bm25: Option<Bm25>,
    pub(super) all_terms: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum QueryKind {
    Text(String),
    Sparse(Vec<(String, f32)>),
    SparseNumbered(Vec<(u32, f32)>),
    Dense(Vec<f32>),
}

impl QueryKind {
    /// The kind of field that is searched.
    pub fn field(&self) -> FieldKind {
        match self {
            Self::Text(_) => FieldKind::Text,
            Self::Sparse(_) | Self::SparseNumbered(_) => FieldKind::Sparse,
            Self::Dense(_) => FieldKind::Dense,
        }
    }
}

impl Query {
    /// Words for a text field, analyzed as its documents were. Documents with any of the words
    /// match, unless [all are asked for](Self::with_all_terms); a word given twice counts twice.
    pub fn text(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(field.into(), QueryKind::Text(text.into()))
    }

    fn new(field: String, kind: QueryKind) -> Self {
        Self {
            field,
            kind,
            bm25: None,
            all_terms: false,
        }
    }

    /// Terms and weights for a sparse field whose terms are strings; weights are finite and not
    /// negative, and their sum is within `f32`. The weights of a term that is given more than once
    /// are added.
    pub fn sparse<T: Into<String>>(
        field: impl Into<String>,
        vector: impl IntoIterator<Item = (T, f32)>,
    ) -> Self {
        let vector = vector
            .into_iter()
            .map(|(term, weight)| (term.into(), weight));
        Self::new(field.into(), QueryKind::Sparse(vector.collect()))
    }

    /// Terms and weights for a sparse field whose terms are numbers.
    pub fn sparse_numbered(
        field: impl Into<String>,
        vector: impl IntoIterator<Item = (u32, f32)>,
    ) -> Self {
        let kind = QueryKind::SparseNumbered(vector.into_iter().collect());
        Self::new(field.into(), kind)
    }

    /// A vector for a dense field. Every document that has a vector matches, and all of them are
    /// scored: nothing is approximated.
    ///
    /// ```
    /// use esparsa::{Dense, Document, Index, Query, Schema};
    ///
    /// let index = Index::in_memory(Schema::builder().dense("passage", Dense::new(3)).build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("etna").with_dense("passage", [0.9, 0.1, 0.0]))?;
    /// writer.add(Document::new("bees").with_dense("passage", [0.0, 0.2, 0.8]))?;
    /// writer.commit()?;
    ///
    /// let hits = index.snapshot()?.search(&Query::dense("passage", [0.0, 0.0, 1.0]), 10)?;
    /// assert_eq!((hits.ids()?[0].as_str(), hits.scored()[0].1), ("bees", 0.8));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn dense(field: impl Into<String>, vector: impl Into<Vec<f32>>) -> Self {
        Self::new(field.into(), QueryKind::Dense(vector.into()))
    }

    /// Sets k1 and b, which are the field's otherwise. Only queries of words have them: with
    /// vectors a search is refused.
    #[must_use]
    pub fn with_bm25(mut self, parameters: Bm25) -> Self {
        self.bm25 = Some(parameters);
        self
    }

    /// Asks for documents that have every term; scores stay what they are.
    ///
    /// What the field's analyzer drops, such as a stop word, is no term and need not be there;
    /// neither need a term of a sparse query whose weight is 0. With a term that no document has,
    /// or with none at all, nothing is found; a word that is too long for an index is a term that
    /// no document has. Such queries are searched exactly: a [recall](SearchOptions::recall) below
    /// 1 is refused, and so is a vector for a dense field, which has no terms.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("text", Text::new().analyzer("english"))
    ///     .build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("etna").with_text("text", "Etna is an active volcano in Sicily."))?;
    /// writer.add(Document::new("ararat").with_text("text", "Ararat is a dormant volcano."))?;
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// let query = Query::text("text", "the volcanoes of Sicily");
    /// assert_eq!(snapshot.search(&query, 10)?.len(), 2);
    /// let hits = snapshot.search(&query.with_all_terms(), 10)?;
    /// assert_eq!(hits.ids()?, ["etna"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    #[must_use]
    pub fn with_all_terms(mut self) -> Self {
        self.all_terms = true;
        self
    }

    /// The field searched.
    pub fn field(&self) -> &str {
        &self.field
    }
}

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
    /// fields, and queries that ask for [all terms](Query::with_all_terms), are searched exactly:
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
        if self.k > MAX_K {
            return Err(Error::limit("k", self.k as u64, MAX_K as u64));
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

/// How many of a query's terms are above the limit. Where documents must have all terms none can be
/// skipped, so that is an error.
pub(super) fn excess(terms: usize, all_terms: bool) -> Result<u64> {
    let excess = terms.saturating_sub(MAX_QUERY_TERMS) as u64;
    if excess > 0 && all_terms {
        let (found, limit) = (terms as u64, MAX_QUERY_TERMS as u64);
        let what = "number of distinct terms of a query that asks for all of them";
        return Err(Error::limit(what, found, limit));
    }
    Ok(excess)
}
