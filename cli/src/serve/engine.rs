//! What the engine did for a search: each ranking's query, work and time.

use esparsa::{SearchResult, Snapshot};
use serde::Serialize;

use super::error::ApiError;
use super::plan::Ranking;
use super::system::System;
use crate::search::report;

/// The most terms of a query that are returned.
const MAX_TERMS: usize = 1_000;

/// One ranking, as it was searched.
#[derive(Serialize)]
pub struct RankingReport {
    /// The system that it is of.
    pub system: System,
    /// The field of a vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    /// The time that the model took.
    #[serde(skip_serializing_if = "Option::is_none")]
    encode_ms: Option<f64>,
    search_ms: f64,
    algorithms: Vec<&'static str>,
    postings: u64,
    postings_scored: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
    /// Terms of the whole query; absent unless terms are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    term_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<Vec<QueryTerm>>,
}

/// A term of a query.
#[derive(Serialize)]
struct QueryTerm {
    term: String,
    /// Of words the inverse document frequency, times what the query says; else the model's weight.
    weight: f32,
    /// How many documents have it, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    document_frequency: Option<u64>,
    /// Whether a model added it.
    is_added: bool,
}

/// The work of a re-ranker.
#[derive(Serialize)]
pub struct RerankReport {
    /// The name of the model.
    pub model: String,
    /// Documents that it scored.
    pub documents: usize,
    /// The time that it took.
    pub took_ms: f64,
}

/// Checks the number of terms that are wanted.
///
/// # Errors
///
/// 400 for too many.
pub fn check_terms(terms: usize) -> Result<(), ApiError> {
    match terms <= MAX_TERMS {
        true => Ok(()),
        false => Err(ApiError::invalid(format!(
            "expected `query_terms` up to {MAX_TERMS}, found {terms}; correct it or leave it out"
        ))),
    }
}

impl RankingReport {
    /// Reports a search, with up to `terms` terms of its query, the heaviest first.
    ///
    /// # Errors
    ///
    /// What explaining gives.
    pub fn new(
        ranking: &Ranking<'_>,
        snapshot: &Snapshot,
        result: &SearchResult,
        search_ms: f64,
        terms: usize,
    ) -> Result<Self, ApiError> {
        let all = match terms {
            0 => None,
            _ => terms_of(ranking, snapshot, result)?,
        };
        let vector = ranking.vector.as_ref();
        let statistics = &result.statistics;
        Ok(Self {
            system: ranking.system,
            field: vector.map(|vector| vector.field.to_owned()),
            model: vector.map(|vector| vector.model.to_owned()),
            encode_ms: vector.map(|vector| vector.took_ms),
            search_ms,
            algorithms: report::names(&statistics.algorithms),
            postings: statistics.postings,
            postings_scored: statistics.postings_scored,
            dimensions: ranking.dimensions(),
            term_count: all.as_ref().map(Vec::len),
            terms: all.map(|mut all| {
                all.truncate(terms);
                all
            }),
        })
    }

    /// The algorithms of some rankings, each once.
    pub fn algorithms(rankings: &[Self]) -> Vec<&'static str> {
        let all = rankings.iter().flat_map(|ranking| &ranking.algorithms);
        let mut all: Vec<&'static str> = all.copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The postings of some rankings, and those that were scored.
    pub fn postings(rankings: &[Self]) -> (u64, u64) {
        let all = rankings.iter().map(|ranking| ranking.postings).sum();
        let scored = rankings.iter().map(|ranking| ranking.postings_scored).sum();
        (all, scored)
    }
}

/// The terms of a query, the heaviest first; `None` for one that has no terms of its own. Those of
/// words are what the explanation of the first hit says, which has them all.
fn terms_of(
    ranking: &Ranking<'_>,
    snapshot: &Snapshot,
    result: &SearchResult,
) -> Result<Option<Vec<QueryTerm>>, ApiError> {
    if let Some(terms) = ranking.vector_terms() {
        let terms = terms.iter().map(|term| QueryTerm {
            term: term.term.clone(),
            weight: term.weight,
            document_frequency: None,
            is_added: term.is_added,
        });
        return Ok(Some(terms.collect()));
    }
    let Some(first) = result.hits.first() else {
        return Ok(None);
    };
    if ranking.vector.is_some() {
        return Ok(None);
    }
    let Some(explanation) = snapshot.explain(&ranking.query, &first.id()?, 1)? else {
        return Ok(None);
    };
    let terms = explanation.terms.into_iter().map(|term| QueryTerm {
        term: term.term,
        weight: term.query_weight,
        document_frequency: Some(term.document_frequency),
        is_added: false,
    });
    let mut terms: Vec<QueryTerm> = terms.collect();
    terms.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    Ok((!terms.is_empty()).then_some(terms))
}
