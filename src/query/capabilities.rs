//! What a field can do for a query. An option that it cannot honour is refused, never ignored.

use std::ops::RangeInclusive;

use super::options::SearchOptions;
use super::phrase_places::check_slop;
use super::plan::Algorithm;
use super::request::{Query, QueryKind};
use crate::error::{Error, Result};
use crate::format::{FieldKind, FieldOptions, SparseLayout};
use crate::index::Snapshot;

impl Snapshot {
    /// The algorithms that can search with this query, which are those that
    /// [`SearchOptions::algorithm`] may name for it.
    ///
    /// ```
    /// use esparsa::{Algorithm, Index, Query, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("text", Text::new().analyzer("en"))
    ///     .build()?)?;
    /// let query = Query::text("text", "volcanoes of Sicily");
    /// let algorithms = index.snapshot()?.algorithms(&query)?;
    /// assert!(algorithms.contains(&Algorithm::BlockMaxWand));
    /// assert!(!algorithms.contains(&Algorithm::Ranges));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the index has no field of the query's name and kind.
    pub fn algorithms(&self, query: &Query) -> Result<Vec<Algorithm>> {
        if query.is_condition() {
            return Ok(vec![Algorithm::Exhaustive]);
        }
        let kind = match query.kind.field() {
            Some(kind) if !query.is_tree() => kind,
            _ => {
                let mut algorithms = vec![Algorithm::Exhaustive, Algorithm::MaxScore];
                algorithms.extend(query.has_filters().then_some(Algorithm::Selective));
                return Ok(algorithms);
            }
        };
        let field = self.schema().expect(&query.field, kind)?;
        let mut algorithms = Algorithm::ALL.to_vec();
        algorithms.retain(|algorithm| can_search(*algorithm, query, &field.options));
        Ok(algorithms)
    }

    /// Refuses what the query and the options ask of a field that cannot do it.
    pub(super) fn check_query(&self, query: &Query, options: &SearchOptions) -> Result<()> {
        options.check()?;
        check_parameters(query)?;
        let is_approximate = options.recall < 1.0 || options.effort.is_some();
        let is_sparse = matches!(query.kind.field(), Some(FieldKind::Sparse));
        if is_approximate && (!is_sparse || query.all_terms || query.is_tree()) {
            let message = format!(
                "expected a recall of 1, found {}: only sparse fields can be searched approximately, and only for \
                 any of the terms; leave the recall as it is",
                options.recall
            );
            return Err(Error::invalid(message).in_field(&query.field));
        }
        if let Some(algorithm) = options.algorithm {
            let able = self.algorithms(query)?;
            if !able.contains(&algorithm) {
                let able = able.into_iter();
                let message = format!(
                    "expected an algorithm that can search this field with this query ({}), found {algorithm}",
                    able.map(Algorithm::name).collect::<Vec<_>>().join(", ")
                );
                return Err(Error::invalid(message).in_field(&query.field));
            }
        }
        Ok(())
    }
}

/// With others, scores would soon be beyond single precision.
pub(super) const BOOSTS: RangeInclusive<f32> = 1e-9..=1e9;

/// Refuses parameters of scoring and matching that the query's kind does not have.
pub(super) fn check_parameters(query: &Query) -> Result<()> {
    check_numbers(query).map_err(|error| error.in_field(&query.field))?;
    let has_minimum = query.minimum_terms.is_some();
    let is_dense = matches!(query.kind, QueryKind::Dense(_));
    let has_terms = matches!(
        query.kind,
        QueryKind::Text(_) | QueryKind::Analyzed(_) | QueryKind::Fields(..)
    );
    let is_phrase = matches!(query.kind, QueryKind::Phrase(_));
    let is_sparse = matches!(
        query.kind,
        QueryKind::Sparse(_) | QueryKind::SparseNumbered(_)
    );
    let message = match query.kind {
        _ if query.all_terms && has_minimum => {
            "expected either all terms or a minimum of them, found both; leave one of them out"
        }
        _ if has_terms => return Ok(()),
        _ if is_phrase && (query.all_terms || has_minimum) => {
            "a phrase has all of its terms, so there is no number of them to ask for; leave it out"
        }
        _ if is_phrase => return Ok(()),
        QueryKind::Condition(_) if query.bm25.is_some() || query.all_terms || has_minimum => {
            "k1, b, all terms and a minimum of terms are for words and weights, and this query is a condition; leave \
             them out"
        }
        _ if query.bm25.is_some() => {
            "k1 and b are for words on a text field, and this query is a vector or made of other queries; leave them \
             out"
        }
        _ if is_dense && query.all_terms => {
            "a vector for a dense field has no terms that documents could be asked to have; do not ask for all terms"
        }
        _ if is_dense && query.boost != 1.0 && !query.is_constant => {
            "a vector for a dense field has no boost, because its scores may be negative; leave it out"
        }
        _ if has_minimum => {
            "a minimum of terms is for words on text fields; leave it out, or set the minimum of `should` queries"
        }
        _ if query.all_terms && !is_sparse => {
            "expected a query of words or weights where all terms are asked for, found one of other queries; ask for \
             all terms in those"
        }
        _ => return Ok(()),
    };
    Err(Error::invalid(message).in_field(&query.field))
}

fn check_numbers(query: &Query) -> Result<()> {
    if !BOOSTS.contains(&query.boost) {
        let message = format!(
            "expected a boost or a constant score above 0, from {:e} to {:e}, found {}",
            BOOSTS.start(),
            BOOSTS.end(),
            query.boost
        );
        return Err(Error::invalid(message));
    }
    if query.minimum_terms == Some(0) {
        return Err(Error::invalid(
            "expected a minimum of at least 1 term, found 0; leave it out to search for any term",
        ));
    }
    if let QueryKind::Phrase(phrase) = &query.kind {
        check_slop(phrase)?;
    }
    if let QueryKind::Best(_, tie_breaker) = query.kind
        && !(0.0..=1.0).contains(&tie_breaker)
    {
        let message = format!("expected a tie breaker from 0 to 1, found {tie_breaker}");
        return Err(Error::invalid(message));
    }
    Ok(())
}

fn can_search(algorithm: Algorithm, query: &Query, field: &FieldOptions) -> bool {
    match algorithm {
        Algorithm::Exhaustive => true,
        _ if matches!(query.kind, QueryKind::Dense(_)) => false,
        Algorithm::Conjunction => query.all_terms,
        _ if query.all_terms => false,
        Algorithm::Wand | Algorithm::BlockMaxWand | Algorithm::MaxScore => true,
        Algorithm::Selective => query.has_filters(),
        Algorithm::Ranges => {
            let ranges = SparseLayout::Ranges;
            matches!(field, FieldOptions::Sparse(sparse) if sparse.layout == ranges)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bm25, Dense, Document, Index, Schema, Sparse, Text};

    fn snapshot() -> Snapshot {
        let schema = Schema::builder()
            .text("text", Text::new().analyzer("english"))
            .sparse("ranges", Sparse::new())
            .sparse("tiers", Sparse::new().layout(SparseLayout::Tiers))
            .dense("dense", Dense::new(2))
            .build()
            .unwrap();
        let index = Index::in_memory(schema).unwrap();
        let mut writer = index.writer().unwrap();
        let document = Document::new("etna").with_text("text", "lava");
        let document = document.with_sparse("ranges", [("lava", 1.0)]);
        let document = document.with_sparse("tiers", [("lava", 1.0)]);
        writer
            .add(document.with_dense("dense", [1.0, 0.0]))
            .unwrap();
        writer.commit().unwrap();
        index.snapshot().unwrap()
    }

    fn queries() -> [Query; 4] {
        [
            Query::text("text", "lava"),
            Query::sparse("ranges", [("lava", 1.0)]),
            Query::sparse("tiers", [("lava", 1.0)]),
            Query::dense("dense", [1.0, 0.0]),
        ]
    }

    fn refusal(query: &Query, options: &SearchOptions) -> String {
        let snapshot = snapshot();
        let refused = snapshot.search_with(query, options).unwrap_err();
        assert!(refused.is_input(), "{refused}");
        refused.to_string()
    }

    #[test]
    fn an_algorithm_that_a_field_cannot_do_is_refused() {
        use Algorithm::{BlockMaxWand, Exhaustive, MaxScore, Ranges, Wand};
        let cursors = [Exhaustive, Wand, BlockMaxWand, MaxScore];
        let ranges = [Exhaustive, Wand, BlockMaxWand, MaxScore, Ranges];
        let able: [&[Algorithm]; 4] = [&cursors, &ranges, &cursors, &[Exhaustive]];
        let snapshot = snapshot();
        for (query, able) in queries().iter().zip(able) {
            assert_eq!(snapshot.algorithms(query).unwrap(), able);
            let filtered = query.clone().with_filter(Query::all());
            let with_filter = snapshot.algorithms(&filtered).unwrap();
            let looks_up = with_filter.contains(&Algorithm::Selective);
            assert_eq!(looks_up, able.len() > 1);
            for algorithm in Algorithm::ALL {
                let options = SearchOptions::new(10).algorithm(algorithm);
                let found = snapshot.search_with(query, &options);
                assert_eq!(found.is_ok(), able.contains(&algorithm), "{algorithm}");
            }
        }
        let message = refusal(&queries()[0], &SearchOptions::new(10).algorithm(Ranges));
        assert!(
            message.contains("field `text`") && message.ends_with("found ranges"),
            "{message}"
        );
        assert!(snapshot.algorithms(&Query::text("tiers", "lava")).is_err());
    }

    #[test]
    fn a_recall_below_one_is_refused_where_search_is_exact() {
        let [text, ranges, tiers, dense] = queries();
        let options = SearchOptions::new(10).recall(0.9);
        for query in [&text, &dense, &ranges.clone().with_all_terms()] {
            assert!(refusal(query, &options).contains("expected a recall of 1, found 0.9"));
        }
        for query in [&ranges, &tiers] {
            assert_eq!(
                snapshot().search_with(query, &options).unwrap().hits.len(),
                1
            );
        }
    }

    #[test]
    fn parameters_that_a_query_does_not_have_are_refused() {
        let [text, sparse, _, dense] = queries();
        let (options, bm25) = (SearchOptions::new(10), Bm25 { k1: 1.2, b: 0.75 });
        for query in [&sparse, &dense] {
            let query = query.clone().with_bm25(bm25);
            assert!(refusal(&query, &options).contains("k1 and b"));
            assert!(snapshot().explain(&query, "etna", 10).is_err());
        }
        assert!(refusal(&dense.with_all_terms(), &options).contains("no terms"));
        assert!(snapshot().search(&text.with_bm25(bm25), 10).is_ok());
    }
}
