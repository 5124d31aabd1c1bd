//! The public face of search.

use std::sync::Arc;

use super::accept::Filter;
use super::matching::Matcher;
use super::options::SearchOptions;
use super::prepare::prepare;
use super::request::Query;
use super::result::{Hits, MatchCount, SearchResult};
use super::sort;
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::format::{FieldKind, Value};
use crate::index::{DocAddress, Snapshot};

impl Snapshot {
    /// A filter that accepts the documents of these sets, one for each segment, in order.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when there are more or fewer sets than
    /// segments, or a set is of another size than its segment.
    #[doc(hidden)]
    pub fn filter(&self, sets: Vec<DocSet>) -> Result<Filter> {
        Filter::new(self.segments(), sets.into_iter().map(Arc::new).collect())
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
        let mut result = self.find_hits(query, options)?;
        if options.min_score.is_some() {
            self.count_high_scores(query, options, &mut result)?;
            return Ok(result);
        }
        if !options.facets.is_empty() {
            result.facets = self.count_facets(query, &options.facets, options)?;
        }
        if let Some(limit) = options.count_up_to {
            result.count = Some(self.count_up_to(query, limit, options)?);
        }
        Ok(result)
    }

    pub(super) fn find_hits(&self, query: &Query, options: &SearchOptions) -> Result<SearchResult> {
        if options.offset > 0 {
            let mut all = options.clone();
            (all.k, all.offset) = (options.k.saturating_add(options.offset), 0);
            let mut result = self.find_hits(query, &all)?;
            result.hits.skip(options.offset);
            return Ok(result);
        }
        if !options.sorts.is_empty() {
            return sort::search(self, query, options);
        }
        let prepared = prepare(self, query, options)?;
        let mut result = match self.filter_of(query, options)? {
            None => prepared.search(self, options, options.filter.as_ref()),
            Some(filter) => prepared.search(self, options, Some(&filter)),
        }?;
        if let Some(score) = options.min_score {
            result.hits.keep_at_least(score);
        }
        Ok(result)
    }

    /// The values of a document in a column, in order; none when it has no value.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when the index has no such column or the
    /// snapshot no such address, [`Error::Corrupt`](crate::Error::Corrupt) when bytes that must be
    /// read are damaged.
    pub fn values(&self, column: &str, address: DocAddress) -> Result<Vec<Value>> {
        let field = self.schema().expect(column, FieldKind::Column)?.number;
        let segment = self.segment(address)?;
        match segment.reader.column(field) {
            Some(column) => column.values(address.document),
            None => Ok(Vec::new()),
        }
    }

    /// How many documents match a query, with its filters.
    ///
    /// ```
    /// use esparsa::{Column, Document, Index, Query, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("text", Text::new().analyzer("en"))
    ///     .column("year", Column::i64())
    ///     .build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("a").with_text("text", "a volcano").with("year", 1998))?;
    /// writer.add(Document::new("b").with_text("text", "two volcanoes").with("year", 2004))?;
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// let volcanoes = Query::text("text", "volcano");
    /// assert_eq!(snapshot.count(&volcanoes)?, 2);
    /// assert_eq!(snapshot.count(&volcanoes.with_filter(Query::range("year", 2000..)))?, 1);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`search`](Self::search).
    pub fn count(&self, query: &Query) -> Result<u64> {
        let options = SearchOptions::new(1);
        self.check_query(query, &options)?;
        match self.count_up_to(query, u64::MAX, &options)? {
            MatchCount::Exact(count) | MatchCount::AtLeast(count) => Ok(count),
        }
    }

    /// Counts documents until there are `limit`.
    fn count_up_to(
        &self,
        query: &Query,
        limit: u64,
        options: &SearchOptions,
    ) -> Result<MatchCount> {
        let matcher = Matcher::new(self, query, options)?;
        let filter = options.filter.as_ref();
        if let Some(filter) = filter {
            filter.check(self.segments())?;
        }
        let segments = 0..self.segments().len();
        if filter.is_none() {
            let known = segments.clone().map(|ordinal| matcher.min_count(ordinal));
            let known = known.map(u64::from).sum();
            if known >= limit {
                return Ok(MatchCount::AtLeast(known));
            }
        }
        let mut count = 0;
        for ordinal in segments.clone() {
            options.check_cancelled()?;
            count += u64::from(matcher.count(ordinal, filter)?);
            if count >= limit && ordinal + 1 < segments.end {
                return Ok(MatchCount::AtLeast(count));
            }
        }
        Ok(MatchCount::Exact(count))
    }

    /// The documents that the query's filters, and that of the options, accept; `None` when the
    /// query has no filter.
    pub(super) fn filter_of(
        &self,
        query: &Query,
        options: &SearchOptions,
    ) -> Result<Option<Filter>> {
        let Some(matcher) = Matcher::of_filters(self, query, options)? else {
            return Ok(None);
        };
        let mut sets = Vec::with_capacity(self.segments().len());
        for ordinal in 0..self.segments().len() {
            options.check_cancelled()?;
            sets.push(matcher.documents(ordinal)?);
        }
        let filter = Filter::new(self.segments(), sets)?;
        Ok(Some(match &options.filter {
            Some(other) => {
                other.check(self.segments())?;
                filter.and(other)
            }
            None => filter,
        }))
    }
}
