//! What a search returns: hits, whose ids are looked up when somebody asks for them, and
//! statistics.

use std::fmt;

use super::facets::FacetResult;
use super::plan::Algorithm;
use crate::error::Result;
use crate::format::Value;
use crate::index::{DocAddress, Snapshot};

/// The best documents of a search, best first.
///
/// Addresses and scores are at hand; an external id is read from the index when
/// [`Hit::id`] or [`Hits::ids`] asks for it, so hits whose ids are not needed cost nothing more. The
/// hits keep their snapshot open.
///
/// ```
/// use esparsa::{Document, Index, Query, Schema, Text};
///
/// let schema = Schema::builder().text("text", Text::new().analyzer("en"));
/// let index = Index::in_memory(schema.build()?)?;
/// let mut writer = index.writer()?;
/// writer.add(Document::new("etna").with_text("text", "a volcano in Sicily"))?;
/// writer.add(Document::new("sicily").with_text("text", "an island"))?;
/// writer.commit()?;
///
/// let hits = index.snapshot()?.search(&Query::text("text", "island or volcano"), 10)?;
/// assert_eq!(hits.len(), 2);
/// for hit in &hits {
///     println!("{} {}", hit.id()?, hit.score);
/// }
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Hits {
    /// `None` for no hits of no search.
    snapshot: Option<Snapshot>,
    scored: Vec<(DocAddress, f32)>,
}

/// A document that was found.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct Hit<'a> {
    /// Where the document is in the snapshot that was searched.
    pub address: DocAddress,
    /// BM25, the dot product of weights, or the inner product or cosine of vectors.
    pub score: f32,
    snapshot: &'a Snapshot,
}

impl<'a> Hit<'a> {
    /// The snapshot that was searched.
    pub(crate) fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// The document's external id.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when bytes that must be read are damaged.
    pub fn id(&self) -> Result<String> {
        self.snapshot.id(self.address)
    }

    /// The bytes stored for the document; empty when none were.
    ///
    /// # Errors
    ///
    /// As [`id`](Self::id).
    pub fn stored(&self) -> Result<Vec<u8>> {
        self.snapshot.stored(self.address)
    }

    /// The document's values of a column, in order; none when it has no value.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when the index has no such column, and as
    /// [`id`](Self::id).
    pub fn values(&self, column: &str) -> Result<Vec<Value>> {
        self.snapshot.values(column, self.address)
    }
}

impl fmt::Debug for Hit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut hit = f.debug_struct("Hit");
        hit.field("address", &self.address);
        hit.field("score", &self.score).finish()
    }
}

/// Hits of the same document with the same score are equal.
impl PartialEq for Hit<'_> {
    fn eq(&self, other: &Self) -> bool {
        (self.address, self.score) == (other.address, other.score)
    }
}

impl Hits {
    /// Hits in a snapshot, best first.
    pub(crate) fn new(snapshot: Snapshot, scored: Vec<(DocAddress, f32)>) -> Self {
        Self {
            snapshot: Some(snapshot),
            scored,
        }
    }

    /// These documents of the same snapshot, best first.
    pub(crate) fn with_scored(&self, scored: Vec<(DocAddress, f32)>) -> Self {
        Self {
            snapshot: self.snapshot.clone(),
            scored,
        }
    }

    /// The snapshot that was searched.
    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// Addresses and scores, best first.
    pub fn scored(&self) -> &[(DocAddress, f32)] {
        &self.scored
    }

    /// Number of hits.
    pub fn len(&self) -> usize {
        self.scored.len()
    }

    /// True when nothing was found.
    pub fn is_empty(&self) -> bool {
        self.scored.is_empty()
    }

    /// The hit at a rank, from 0.
    pub fn get(&self, rank: usize) -> Option<Hit<'_>> {
        let snapshot = self.snapshot.as_ref()?;
        let (address, score) = *self.scored.get(rank)?;
        Some(Hit {
            address,
            score,
            snapshot,
        })
    }

    /// The best hit.
    pub fn first(&self) -> Option<Hit<'_>> {
        self.get(0)
    }

    /// The hits, best first.
    pub fn iter(&self) -> Iter<'_> {
        Iter {
            hits: self,
            next: 0,
        }
    }

    /// The external ids of all hits, best first.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when bytes that must be read are damaged.
    pub fn ids(&self) -> Result<Vec<String>> {
        if let Some(snapshot) = &self.snapshot {
            snapshot.prefetch_ids(self.scored.iter().map(|(address, _)| *address));
        }
        self.iter().map(|hit| hit.id()).collect()
    }

    /// Keeps the best `count` hits.
    pub fn truncate(&mut self, count: usize) {
        self.scored.truncate(count);
    }

    /// Keeps the hits with this score or a higher one.
    pub(super) fn keep_at_least(&mut self, score: f32) {
        let count = self.scored.partition_point(|hit| hit.1 >= score);
        self.scored.truncate(count);
    }

    /// Drops the best `count` hits.
    pub(super) fn skip(&mut self, count: usize) {
        self.scored.drain(..count.min(self.scored.len()));
    }

    /// Drops the hit of a document, if there is one.
    pub fn remove(&mut self, address: DocAddress) {
        self.scored.retain(|(hit, _)| *hit != address);
    }
}

/// Hits with the same documents and scores are equal.
impl PartialEq for Hits {
    fn eq(&self, other: &Self) -> bool {
        self.scored == other.scored
    }
}

impl fmt::Debug for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

impl<'a> IntoIterator for &'a Hits {
    type Item = Hit<'a>;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// Iterates over [`Hits`], best first.
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    hits: &'a Hits,
    next: usize,
}

impl<'a> Iterator for Iter<'a> {
    type Item = Hit<'a>;

    fn next(&mut self) -> Option<Hit<'a>> {
        let hit = self.hits.get(self.next)?;
        self.next += 1;
        Some(hit)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let rest = self.hits.len() - self.next;
        (rest, Some(rest))
    }
}

impl ExactSizeIterator for Iter<'_> {}

/// What a search did.
///
/// On several threads ([`SearchOptions::threads`](crate::SearchOptions::threads)) what can be
/// skipped depends on how the threads interleave, so `postings_scored` may differ from search to
/// search; results do not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchStatistics {
    /// Postings of the query's terms in all segments; of a dense field, its vectors.
    pub postings: u64,
    /// Those whose contribution, or score, was computed.
    pub postings_scored: u64,
    /// The algorithm used in each segment that has a term of the query.
    pub algorithms: Vec<Algorithm>,
    /// Terms that were not searched, because the query has more than 4,096: the ones with the
    /// highest weights are kept. Almost always 0.
    pub terms_skipped: u64,
}

/// How many documents match a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MatchCount {
    /// The number of all of them.
    Exact(u64),
    /// A lower bound, at which counting ended because it reached the limit.
    AtLeast(u64),
}

/// Hits, and what it took to find them.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct SearchResult {
    /// The best documents, best first.
    pub hits: Hits,
    /// What the search did.
    pub statistics: SearchStatistics,
    /// What was counted for each facet that the [options](crate::SearchOptions::facets) ask for.
    pub facets: Vec<FacetResult>,
    /// How many documents match, if the [options](crate::SearchOptions::count_up_to) ask for it.
    pub count: Option<MatchCount>,
}

impl SearchResult {
    pub(super) fn new(hits: Hits, statistics: SearchStatistics) -> Self {
        Self {
            hits,
            statistics,
            facets: Vec::new(),
            count: None,
        }
    }
}
