//! `/api/indexes/{name}/search`: hits, snippets, facets, and what the engine did.

use std::time::Instant;

use esparsa::{FacetResult, MatchCount, Query, SearchOptions, SearchResult, Snapshot, Value};
use serde::Serialize;

use super::app::Work;
use super::engine::{RankingReport, RerankReport};
use super::error::ApiError;
use super::hits::{HitReport, MAX_BYTES, Places, Wanted};
use super::indexes::ServedIndex;
use super::options::Options;
use super::plan::{PlanRequest, Ranking};
use super::reply::{escaped_bytes, to_json};
use crate::search::batch;
use crate::search::facets::FacetReport;

/// Values or intervals of one facet.
const MAX_VALUES: usize = 10_000;

/// The body of the response.
#[derive(Serialize)]
struct Report<'a> {
    index: &'a str,
    commit: u64,
    documents: u64,
    took_ms: f64,
    algorithms: Vec<&'static str>,
    postings: u64,
    postings_scored: u64,
    /// What the engine did for each ranking.
    rankings: Vec<RankingReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rerank: Option<RerankReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<CountReport>,
    /// The judgements for the text, if it is a judged query.
    #[serde(skip_serializing_if = "Option::is_none")]
    judged: Option<JudgedReport<'a>>,
    notes: Vec<String>,
    hits: Vec<HitReport>,
    facets: Vec<FacetReport>,
}

/// How many documents match.
#[derive(Serialize)]
struct CountReport {
    value: u64,
    is_exact: bool,
}

/// What is known of a query's relevant documents.
#[derive(Serialize)]
struct JudgedReport<'a> {
    query: &'a str,
    /// Documents whose grade is above 0.
    relevant: u64,
    /// How many of them are among the hits.
    found: usize,
}

/// What the rankings gave.
struct Searched {
    result: SearchResult,
    rankings: Vec<RankingReport>,
    rerank: Option<RerankReport>,
    places: Places,
}

/// Searches.
///
/// # Errors
///
/// 400 for mistakes in the parameters and models that the server lacks, 504 when the time is up.
pub fn answer(work: &mut Work, index: &ServedIndex) -> Result<Vec<u8>, ApiError> {
    let started = Instant::now();
    let snapshot = index.snapshot();
    let request = PlanRequest::take(&mut work.parameters, &snapshot)?;
    let options = Options::take(work, &snapshot, request.system)?;
    work.finish_parameters()?;
    if options.rerank.is_some() && request.asked.text.is_none() {
        return Err(super::plan::no_text());
    }
    let app = work.app.clone();
    let rankings = request.rankings(
        &app.models,
        &snapshot,
        options.fusion.as_ref(),
        &work.cancel,
    )?;
    let text = request.asked.text.as_deref();
    let searched = search(work, &snapshot, text, &rankings, &options)?;
    let took_ms = started.elapsed().as_secs_f64() * 1e3;
    let result = &searched.result;
    check_facets(result)?;
    let judged = app.judgements.of(&index.name);
    let judged = judged.zip(text).and_then(|(all, text)| all.find(text));
    let marked = marked(&request, &rankings);
    let wanted = Wanted {
        query: marked.as_ref(),
        options: &options,
        places: &searched.places,
        judged,
    };
    let hits = wanted.hits(work, &snapshot, result)?;
    let mut notes = request.asked.notes;
    notes.extend(batch::terms_skipped(result));
    let (postings, postings_scored) = RankingReport::postings(&searched.rankings);
    to_json(&Report {
        index: &index.name,
        commit: snapshot.commit(),
        documents: snapshot.documents(),
        took_ms,
        algorithms: RankingReport::algorithms(&searched.rankings),
        postings,
        postings_scored,
        rankings: searched.rankings,
        rerank: searched.rerank,
        count: result.count.map(|count| match count {
            MatchCount::Exact(value) => CountReport {
                value,
                is_exact: true,
            },
            MatchCount::AtLeast(value) => CountReport {
                value,
                is_exact: false,
            },
        }),
        judged: judged.map(|query| JudgedReport {
            query: &query.id,
            relevant: query.relevant,
            found: hits.iter().filter(|hit| hit.is_relevant()).count(),
        }),
        notes,
        hits,
        facets: FacetReport::of(&result.facets, &options.facets),
    })
}

/// What snippets mark: the words of the query, or the terms of its vector in an index without text.
fn marked(request: &PlanRequest, rankings: &[Ranking<'_>]) -> Option<Query> {
    let words = request.asked.words.clone();
    words.or_else(|| Some(rankings.first()?.vector.as_ref()?.query()))
}

/// Searches the rankings, fuses them if there are several, and re-ranks what they give.
fn search(
    work: &Work,
    snapshot: &Snapshot,
    text: Option<&str>,
    rankings: &[Ranking<'_>],
    options: &Options,
) -> Result<Searched, ApiError> {
    let mut reports = Vec::with_capacity(rankings.len());
    let mut results = Vec::with_capacity(rankings.len());
    let search_options = match (&options.fusion, &options.rerank) {
        (Some(fusion), rerank) => {
            let depth = rerank.as_ref().map_or(0, |rerank| rerank.depth);
            let depth = depth.max(fusion.depth).max(options.end());
            SearchOptions::new(depth).cancel(work.cancel.clone())
        }
        (None, _) => options.search.clone(),
    };
    for ranking in rankings {
        let started = Instant::now();
        let result = ranking.search(snapshot, &search_options)?;
        let search_ms = started.elapsed().as_secs_f64() * 1e3;
        let terms = options.query_terms;
        reports.push(RankingReport::new(
            ranking, snapshot, &result, search_ms, terms,
        )?);
        results.push(result);
    }
    let mut places = Places::default();
    let mut result = match &options.fusion {
        None => results.pop(),
        Some(fusion) => {
            let systems: Vec<_> = rankings.iter().map(|ranking| ranking.system).collect();
            let lists: Vec<_> = results.iter().map(|result| result.hits.clone()).collect();
            places.add_rankings(&systems, &lists);
            let depth = options.rerank.as_ref().map(|rerank| rerank.depth);
            let fused = fusion.of(&systems).k(depth.unwrap_or(options.end()));
            let fused = fused.fuse_hits(&lists)?;
            let mut result = results.pop();
            if let Some(result) = &mut result {
                result.hits = fused;
            }
            result
        }
    }
    .ok_or_else(|| ApiError::internal("a search without rankings"))?;
    let rerank = match &options.rerank {
        None => None,
        Some(rerank) => {
            let started = Instant::now();
            places.add_first_stage(&result.hits);
            let documents = result.hits.len();
            rerank.rerank(work, snapshot, text, &mut result)?;
            Some(RerankReport {
                model: rerank.model(&work.app.models)?.name.clone(),
                documents,
                took_ms: started.elapsed().as_secs_f64() * 1e3,
            })
        }
    };
    Ok(Searched {
        result,
        rankings: reports,
        rerank,
        places,
    })
}

/// Checks that the counts are not too many, nor too large, to send.
fn check_facets(result: &SearchResult) -> Result<(), ApiError> {
    let counts = result.facets.iter().map(|facet| match facet {
        FacetResult::Values(counts) | FacetResult::Histogram(counts) => &**counts,
        _ => &[],
    });
    let counts: Vec<&[(Value, u64)]> = counts.collect();
    let max = counts.iter().map(|counts| counts.len()).max().unwrap_or(0);
    if max > MAX_VALUES {
        return Err(ApiError::invalid(format!(
            "expected facets of at most {MAX_VALUES} values or intervals, found {max}; ask for fewer values, or for wider \
             intervals"
        )));
    }
    let keywords = counts.into_iter().flatten().map(|(value, _)| match value {
        Value::Keyword(keyword) => escaped_bytes(keyword),
        _ => 0,
    });
    match keywords.sum::<usize>() {
        0..=MAX_BYTES => Ok(()),
        bytes => Err(ApiError::invalid(format!(
            "expected facets whose values have at most {MAX_BYTES} bytes together, found {bytes}; ask for fewer values"
        ))),
    }
}
