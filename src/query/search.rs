//! The public face of search.

use super::accept::Filter;
use super::prepare::prepare;
use super::request::{Query, SearchOptions};
use super::result::{Hits, SearchResult};
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::index::Snapshot;

impl Snapshot {
    /// A filter that accepts the documents of these sets, one for each segment, in order.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when there are more or fewer sets than
    /// segments, or a set is of another size than its segment.
    #[doc(hidden)]
    pub fn filter(&self, sets: Vec<DocSet>) -> Result<Filter> {
        Filter::new(self.segments(), sets)
    }

    /// The best `k` documents of a query, best first; fewer when fewer match. A query without terms
    /// finds nothing.
    ///
    /// Of a query with more than 4,096 terms that documents have, the 4,096 with the highest
    /// weights are searched; the weight of a word is idf times its frequency in the query.
    /// [`SearchStatistics::terms_skipped`](crate::SearchStatistics::terms_skipped) counts the
    /// others. A query that asks for [all terms](Query::with_all_terms) cannot leave any out, so
    /// there that is an error.
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
    /// assert_eq!(snapshot.search(&Query::text("text", "volcanoes"), 10)?.ids()?, ["etna"]);
    /// assert_eq!(snapshot.search(&Query::sparse("splade", [("lava", 2.0)]), 10)?.ids()?, ["etna"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when the query does not fit the schema,
    /// when the query or the options ask for what the field cannot do, or when `k` is 0;
    /// [`Error::Limit`](crate::Error::Limit) when `k` or the number of terms that all must be there
    /// is too large; [`Error::Corrupt`](crate::Error::Corrupt) when bytes that must be read are
    /// damaged; [`Error::Cancelled`](crate::Error::Cancelled) when the options' token was
    /// cancelled.
    pub fn search(&self, query: &Query, k: usize) -> Result<Hits> {
        Ok(self.search_with(query, &SearchOptions::new(k))?.hits)
    }

    /// As [`search`](Self::search), with options, and with statistics of the search.
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search).
    pub fn search_with(&self, query: &Query, options: &SearchOptions) -> Result<SearchResult> {
        self.check_query(query, options)?;
        prepare(self, query, options)?.search(self, options)
    }
}
