//! From a query to its leaf: the one place that knows all kinds of queries.

use std::sync::Arc;

use super::accept::Filter;
use super::conditions::ConditionLeaf;
use super::dense::DenseLeaf;
use super::explanation::{Explain, Explanation};
use super::leaf::{Leaf, SearchContext};
use super::matching::Matcher;
use super::options::SearchOptions;
use super::request::{Query, QueryKind};
use super::result::{Hits, SearchResult};
use super::run::search_all;
use super::sparse::SparseLeaf;
use super::text::TextLeaf;
use super::tree::TreeLeaf;
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::DocId;
use crate::index::{DocAddress, Snapshot};

/// Prepares a query for a snapshot: finds its terms in every segment and weighs them. Its filters
/// are another matter.
pub(super) fn prepare<'a>(
    snapshot: &'a Snapshot,
    query: &Query,
    options: &SearchOptions,
) -> Result<Box<dyn Prepared + 'a>> {
    if query.is_condition() {
        let matcher = Matcher::without_filters(snapshot, query, options)?;
        let leaf = ConditionLeaf::new(snapshot, matcher, query.boost);
        return Ok(Box::new(leaf));
    }
    prepare_scored(snapshot, query, options)
}

/// As [`prepare`], for a query that has scores of its own.
pub(super) fn prepare_scored<'a>(
    snapshot: &'a Snapshot,
    query: &Query,
    options: &SearchOptions,
) -> Result<Box<dyn Prepared + 'a>> {
    if query.is_tree() {
        return Ok(Box::new(TreeLeaf::new(snapshot, query, options)?));
    }
    Ok(match &query.kind {
        QueryKind::Text(text) => Box::new(TextLeaf::new(snapshot, query, text, options)?),
        QueryKind::Analyzed(terms) => {
            Box::new(TextLeaf::of_terms(snapshot, query, terms, options)?)
        }
        QueryKind::Sparse(vector) => Box::new(SparseLeaf::new(snapshot, query, vector, options)?),
        QueryKind::SparseNumbered(vector) => {
            Box::new(SparseLeaf::new(snapshot, query, vector, options)?)
        }
        QueryKind::Dense(vector) => Box::new(DenseLeaf::new(snapshot, &query.field, vector)?),
        QueryKind::Fields(..)
        | QueryKind::Phrase(_)
        | QueryKind::Bool(_)
        | QueryKind::Best(..)
        | QueryKind::Condition(_) => {
            return Err(Error::invalid("expected a query of words or of a vector"));
        }
    })
}

/// A leaf of any kind. There is one dynamic call for each query; everything below is generic.
pub(super) trait Prepared: Send + Sync {
    /// The best documents that the filter accepts, and what it took to find them.
    fn search(
        &self,
        snapshot: &Snapshot,
        options: &SearchOptions,
        filter: Option<&Filter>,
    ) -> Result<SearchResult>;

    /// As [`Leaf::skipped_terms`].
    fn skipped_terms(&self) -> u64;

    /// As [`Leaf::matching`].
    fn matching(&self, ordinal: usize) -> Result<Arc<DocSet>>;

    /// As [`Leaf::min_count`].
    fn min_count(&self, ordinal: usize) -> u32;

    /// As [`Leaf::max_count`].
    fn max_count(&self, ordinal: usize) -> u32;

    /// As [`Leaf::count`].
    fn count(&self, ordinal: usize) -> Result<Option<u32>>;

    /// As [`Leaf::listed`].
    fn listed(&self, ordinal: usize) -> Result<Option<Vec<DocId>>>;

    /// As [`Leaf::retain`].
    fn retain(&self, ordinal: usize, documents: &mut Vec<DocId>, are_kept: bool) -> Result<bool>;

    /// As [`Explain::explain`].
    fn explain(&self, address: DocAddress, k: usize, explanation: &mut Explanation) -> Result<()>;
}

impl<L: Leaf + Explain + Send> Prepared for L {
    fn search(
        &self,
        snapshot: &Snapshot,
        options: &SearchOptions,
        filter: Option<&Filter>,
    ) -> Result<SearchResult> {
        let context = SearchContext::new(snapshot, options, filter)?;
        let found = search_all(self, &context)?;
        let (scored, mut statistics) = found.into_scored(self.unit());
        statistics.terms_skipped = Leaf::skipped_terms(self);
        Ok(SearchResult::new(
            Hits::new(snapshot.clone(), scored),
            statistics,
        ))
    }

    fn skipped_terms(&self) -> u64 {
        Leaf::skipped_terms(self)
    }

    fn matching(&self, ordinal: usize) -> Result<Arc<DocSet>> {
        Leaf::matching(self, ordinal)
    }

    fn min_count(&self, ordinal: usize) -> u32 {
        Leaf::min_count(self, ordinal)
    }

    fn max_count(&self, ordinal: usize) -> u32 {
        Leaf::max_count(self, ordinal)
    }

    fn count(&self, ordinal: usize) -> Result<Option<u32>> {
        Leaf::count(self, ordinal)
    }

    fn listed(&self, ordinal: usize) -> Result<Option<Vec<DocId>>> {
        Leaf::listed(self, ordinal)
    }

    fn retain(&self, ordinal: usize, documents: &mut Vec<DocId>, are_kept: bool) -> Result<bool> {
        Leaf::retain(self, ordinal, documents, are_kept)
    }

    fn explain(&self, address: DocAddress, k: usize, explanation: &mut Explanation) -> Result<()> {
        Explain::explain(self, address, k, explanation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Document, Error, Index, Schema, Sparse, Text};

    /// 5,000 documents with one word and one sparse term each, of which the words with high numbers
    /// are rare.
    fn many_terms() -> Snapshot {
        let schema = Schema::builder()
            .text("text", Text::new())
            .sparse("sparse", Sparse::new())
            .build()
            .unwrap();
        let index = Index::in_memory(schema).unwrap();
        let mut writer = index.writer().unwrap();
        for number in 0..5_000 {
            let common = if number < 1_000 { "w0 w1 w2 w3" } else { "" };
            let document = Document::new(format!("d{number}"))
                .with_text("text", format!("w{number} {common}"))
                .with_sparse("sparse", [(format!("t{number}"), 1.0)]);
            writer.add(document).unwrap();
        }
        writer.commit().unwrap();
        index.snapshot().unwrap()
    }

    #[test]
    fn a_query_above_the_limit_of_terms_keeps_those_with_the_highest_weights() {
        let snapshot = many_terms();
        let words = |count| (0..count).map(|n| format!("w{n}")).collect::<Vec<_>>();
        let weights = |count: u32| (0..count).map(|n| (format!("t{n}"), 1.0 + n as f32 / 1e3));
        let options = SearchOptions::new(5_000);
        let search = |query: &Query| {
            let found = snapshot.search_with(query, &options).unwrap();
            let ids = found.hits.ids().unwrap();
            (ids, found.statistics.terms_skipped)
        };
        // Words that no document has do not count.
        let text = words(4_096).join(" ") + " unknown words";
        assert_eq!(search(&Query::text("text", text)).1, 0);
        let (ids, skipped) = search(&Query::text("text", words(4_200).join(" ")));
        assert_eq!(skipped, 104);
        // The four words of many documents have the lowest idf.
        assert!(!ids.contains(&"d0".to_owned()) && ids.contains(&"d4".to_owned()));

        let (ids, skipped) = search(&Query::sparse("sparse", weights(4_200)));
        assert_eq!((ids.len(), skipped), (4_096, 104));
        assert!(!ids.contains(&"d103".to_owned()) && ids.contains(&"d104".to_owned()));
        assert_eq!(search(&Query::sparse("sparse", weights(4_096))).1, 0);
    }

    #[test]
    fn a_query_for_all_terms_above_the_limit_is_an_error() {
        let snapshot = many_terms();
        let weights = (0..4_097).map(|n| (format!("t{n}"), 1.0));
        let words: Vec<String> = (0..4_097).map(|n| format!("w{n}")).collect();
        for query in [
            Query::sparse("sparse", weights),
            Query::text("text", words.join(" ")),
        ] {
            let refused = snapshot.search(&query.with_all_terms(), 10);
            assert!(matches!(refused, Err(Error::Limit { found: 4_097, .. })));
        }
    }
}
