//! Counts of the documents whose scores are high enough.
//!
//! Counts and facets know which documents match a query, not their scores. With a min score, the
//! documents that reach it are found by a second search, for as many as are to be counted. It is
//! exact, whatever the first one may skip, and goes over all pages.

use std::sync::Arc;

use super::accept::Filter;
use super::options::SearchOptions;
use super::request::Query;
use super::result::{Hits, MatchCount, SearchResult};
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::index::Snapshot;

impl Snapshot {
    /// Adds to a result the count and the facets that the options ask for, of the documents that
    /// reach the options' min score.
    pub(super) fn count_high_scores(
        &self,
        query: &Query,
        options: &SearchOptions,
        result: &mut SearchResult,
    ) -> Result<()> {
        let documents = self.documents();
        let asked = match (options.facets.is_empty(), options.count_up_to) {
            (true, None) => return Ok(()),
            (true, Some(limit)) => limit.clamp(1, documents.max(1)),
            (false, _) => documents.max(1),
        };
        let search = SearchOptions {
            k: usize::try_from(asked).unwrap_or(usize::MAX),
            offset: 0,
            ..options.exact()
        };
        let hits = self.find_hits(query, &search)?.hits;
        let count = hits.len() as u64;
        result.count = options.count_up_to.map(|_| match count < asked {
            true => MatchCount::Exact(count),
            false if asked == documents => MatchCount::Exact(count),
            false => MatchCount::AtLeast(count),
        });
        if !options.facets.is_empty() {
            let options = options.clone().with_filter(self.filter_of_hits(&hits)?);
            result.facets = self.count_facets(&Query::all(), &options.facets, &options)?;
        }
        Ok(())
    }

    /// A filter that accepts these hits of the snapshot.
    fn filter_of_hits(&self, hits: &Hits) -> Result<Filter> {
        let segments = self.segments().iter();
        let sets = segments.map(|segment| DocSet::empty(segment.reader.documents()));
        let mut sets: Vec<DocSet> = sets.collect();
        for (address, _) in hits.scored() {
            if let Some(set) = sets.get_mut(address.segment as usize) {
                set.insert(address.document);
            }
        }
        Filter::new(self.segments(), sets.into_iter().map(Arc::new).collect())
    }
}
