//! Queries of many forms: what they are to tantivy, and what is done with them.

use std::ops::Bound;

use peers::Result;
use peers::forms::{Form, Task, keyword_number};
use tantivy::aggregation::AggregationCollector;
use tantivy::aggregation::agg_req::Aggregations;
use tantivy::aggregation::agg_result::{AggregationResult, AggregationResults, BucketResult};
use tantivy::aggregation::{AggContextParams, Key};
use tantivy::collector::{Count, TopDocs};
use tantivy::query::{
    BooleanQuery, ConstScoreQuery, FuzzyTermQuery, Occur, PhrasePrefixQuery, PhraseQuery, Query,
    RangeQuery, TermQuery,
};
use tantivy::schema::Field;
use tantivy::{DocAddress, Order, Score, Searcher, Term};

use crate::{INDEXED, VALUE};

/// Keywords that are counted, as a request for the buckets of a column.
const FACETS: &str = r#"{"keywords": {"terms": {"field": "keyword", "size": 10}}}"#;

/// The name of the buckets in [`FACETS`].
const KEYWORDS: &str = "keywords";

/// What a search found, by its task.
pub enum Found {
    Hits(Vec<(Score, DocAddress)>),
    Sorted(Vec<(Option<u64>, DocAddress)>),
    Count(usize),
    Facets(Box<AggregationResults>),
}

/// What is done with queries: made once, as a program would.
pub enum Search {
    Top(usize),
    Sort(usize),
    Count,
    Facets(Box<Aggregations>),
}

impl Search {
    pub fn new(task: Task, k: usize) -> Result<Self> {
        Ok(match task {
            Task::Top => Self::Top(k),
            Task::Sort => Self::Sort(k),
            Task::Count => Self::Count,
            Task::Facets => Self::Facets(serde_json::from_str(FACETS)?),
        })
    }

    pub fn run(&self, searcher: &Searcher, query: &dyn Query) -> Result<Found> {
        Ok(match self {
            Self::Top(k) => {
                let top = TopDocs::with_limit(*k).order_by_score();
                Found::Hits(searcher.search(query, &top)?)
            }
            Self::Sort(k) => {
                let sorted = TopDocs::with_limit(*k);
                let sorted = sorted.order_by_fast_field::<u64>(VALUE, Order::Asc);
                Found::Sorted(searcher.search(query, &sorted)?)
            }
            Self::Count => Found::Count(searcher.search(query, &Count)?),
            Self::Facets(request) => {
                let context = AggContextParams::default();
                let collector = AggregationCollector::from_aggs((**request).clone(), context);
                Found::Facets(Box::new(searcher.search(query, &collector)?))
            }
        })
    }
}

/// The fields that queries are on.
#[derive(Clone, Copy)]
pub struct Fields {
    pub text: Field,
    /// Only an index of forms has it.
    pub value: Option<Field>,
}

/// A disjunction; a term that is there twice counts twice.
pub fn union(text: Field, terms: &[String]) -> BooleanQuery {
    let clauses = terms.iter().map(|term| (Occur::Should, scored(text, term)));
    BooleanQuery::new(clauses.collect())
}

fn scored(text: Field, term: &str) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(text, term), INDEXED))
}

pub fn query(fields: Fields, form: &Form) -> Result<Box<dyn Query>> {
    let term = |term: &str| Term::from_field_text(fields.text, term);
    if !form.phrase.is_empty() {
        let terms = form.phrase.iter().map(|word| term(word));
        return Ok(Box::new(PhraseQuery::new(terms.collect())));
    }
    if let Some(prefix) = &form.prefix {
        let mut prefix = PhrasePrefixQuery::new(vec![term(prefix)]);
        // All terms, as other engines take.
        prefix.set_max_expansions(u32::MAX);
        return Ok(Box::new(prefix));
    }
    if let Some((word, distance)) = &form.fuzzy {
        return Ok(Box::new(FuzzyTermQuery::new(term(word), *distance, true)));
    }
    let of = |occur: Occur, terms: &[String]| {
        let clauses = terms
            .iter()
            .map(move |term| (occur, scored(fields.text, term)));
        clauses.collect::<Vec<_>>()
    };
    let mut clauses = of(Occur::Must, &form.must);
    clauses.extend(of(Occur::Should, &form.should));
    clauses.extend(of(Occur::MustNot, &form.must_not));
    let query = BooleanQuery::new(clauses);
    let Some((low, high)) = form.range else {
        return Ok(Box::new(query));
    };
    let value = fields
        .value
        .ok_or("expected an index with a column of numbers")?;
    let bound = |number: u32| Bound::Included(Term::from_field_u64(value, u64::from(number)));
    let range = Box::new(RangeQuery::new(bound(low), bound(high)));
    let query: Box<dyn Query> = Box::new(query);
    // A range has a score of 1, which is not to count.
    let filter: Box<dyn Query> = Box::new(ConstScoreQuery::new(range, 0.0));
    Ok(Box::new(BooleanQuery::new(vec![
        (Occur::Must, query),
        (Occur::Must, filter),
    ])))
}

/// The numbers of keywords and their counts.
pub fn facets(results: AggregationResults) -> Result<Vec<(u32, f32)>> {
    let Some(AggregationResult::BucketResult(BucketResult::Terms { buckets, .. })) =
        results.0.get(KEYWORDS)
    else {
        return Err("expected the buckets of a column".into());
    };
    let buckets = buckets.iter().map(|bucket| match &bucket.key {
        Key::Str(keyword) => Ok((keyword_number(keyword)?, bucket.doc_count as f32)),
        _ => Err("expected keywords".into()),
    });
    buckets.collect()
}
