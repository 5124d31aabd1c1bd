//! `/api/indexes/{name}/search`: hits, snippets, facets, and what the engine did.

use std::time::Instant;

use esparsa::{FacetResult, MatchCount, Query, SearchOptions, SearchResult, Snapshot, Sort};
use serde::Serialize;

use super::app::Work;
use super::error::ApiError;
use super::indexes::ServedIndex;
use super::passages::{Passages, Wanted};
use super::query::Asked;
use super::reply::to_json;
use super::stored::{Document, Parts};
use crate::search::facets::{self, FacetArgument, FacetReport};
use crate::search::{batch, report, sort_parser};

/// Hits that are returned unless another number is asked for.
const DEFAULT_K: usize = 10;
/// Facets of one search.
const MAX_FACETS: usize = 64;
/// Columns that hits are ordered by.
const MAX_SORTS: usize = 16;
/// Values or intervals of one facet.
const MAX_VALUES: usize = 10_000;
/// Bytes of stored documents and passages of one answer.
const MAX_BYTES: usize = 16 << 20;

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
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<CountReport>,
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

#[derive(Serialize)]
struct HitReport {
    rank: usize,
    id: String,
    /// 0 when the hits are in the order of columns.
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Document>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippets: Option<Passages>,
}

/// How the query is searched, and what is returned.
struct Options {
    search: SearchOptions,
    offset: usize,
    facets: Vec<FacetArgument>,
    snippets: Option<Wanted>,
    parts: Parts,
}

/// Searches.
///
/// # Errors
///
/// 400 for mistakes in the parameters, 504 when the time is up.
pub fn answer(work: &mut Work, index: &ServedIndex) -> Result<Vec<u8>, ApiError> {
    let started = Instant::now();
    let snapshot = index.snapshot();
    let asked = Asked::take(&mut work.parameters, &snapshot)?;
    let options = Options::take(work)?;
    work.finish_parameters()?;
    let result = snapshot.search_with(&asked.query, &options.search)?;
    let took_ms = started.elapsed().as_secs_f64() * 1e3;
    check_facets(&result)?;
    let hits = options.hits(work, &snapshot, &asked.unfiltered, &result)?;
    let mut notes = asked.notes;
    notes.extend(batch::terms_skipped(&result));
    to_json(&Report {
        index: &index.name,
        commit: snapshot.commit(),
        documents: snapshot.documents(),
        took_ms,
        algorithms: report::names(&result.statistics.algorithms),
        postings: result.statistics.postings,
        postings_scored: result.statistics.postings_scored,
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
        notes,
        hits,
        facets: FacetReport::of(&result.facets, &options.facets),
    })
}

impl Options {
    fn take(work: &mut Work) -> Result<Self, ApiError> {
        let max_k = work.app.limits.max_k;
        let parameters = &mut work.parameters;
        let k = parameters.size("k", DEFAULT_K.min(max_k))?;
        let offset = parameters.size("offset", 0)?;
        if k == 0 || k.saturating_add(offset) > max_k {
            return Err(ApiError::invalid(format!(
                "expected `k` from 1, and `k` and `offset` together up to {max_k}; found {k} and {offset}; ask for fewer \
                 hits, or narrow the search by filters"
            )));
        }
        let mut search = SearchOptions::new(k)
            .offset(offset)
            .cancel(work.cancel.clone());
        for sort in parameters.texts("sort", MAX_SORTS)?.unwrap_or_default() {
            search = search.sort(sort_of(&sort)?);
        }
        let facets = parameters.texts("facets", MAX_FACETS)?.unwrap_or_default();
        let facets = facets.iter().map(|text| facets::parser(text));
        let facets = facets.collect::<Result<Vec<_>, String>>();
        let facets = facets.map_err(|error| ApiError::invalid(format!("`facets`: {error}")))?;
        search = search.facets(facets.iter().map(FacetArgument::facet));
        let count = parameters.number("count", 0)?;
        if count > 0 {
            search = search.count_up_to(count);
        }
        Ok(Self {
            search,
            offset,
            facets,
            snippets: Wanted::take(parameters)?,
            parts: Parts::take(parameters)?,
        })
    }

    /// The hits with what is wanted of their documents.
    fn hits(
        &self,
        work: &Work,
        snapshot: &Snapshot,
        query: &Query,
        result: &SearchResult,
    ) -> Result<Vec<HitReport>, ApiError> {
        let needs_stored = self.snippets.is_some() || !self.parts.is_empty();
        let mut hits = Vec::with_capacity(result.hits.len());
        let mut bytes = 0;
        for (rank, hit) in (self.offset + 1..).zip(&result.hits) {
            work.cancel.check("reading documents")?;
            let stored = match needs_stored {
                true => hit.stored()?,
                false => Vec::new(),
            };
            let document = self.parts.of(snapshot, hit.address, &stored)?;
            let snippets = self.snippets.as_ref();
            let snippets = snippets.map(|wanted| wanted.of(snapshot, query, &stored));
            let snippets = snippets.transpose()?;
            bytes += snippets.as_ref().map_or(0, Passages::bytes);
            bytes += document.as_ref().map_or(0, |_| stored.len());
            if bytes > MAX_BYTES {
                return Err(ApiError::invalid(format!(
                    "expected documents and passages of at most {MAX_BYTES} bytes together, found more; ask for fewer hits, \
                     or for none of their documents by an empty `fields`"
                )));
            }
            hits.push(HitReport {
                rank,
                id: hit.id()?,
                score: hit.score,
                document,
                snippets,
            });
        }
        Ok(hits)
    }
}

/// Checks that the counts are not too many to send.
fn check_facets(result: &SearchResult) -> Result<(), ApiError> {
    let counts = result.facets.iter().map(|facet| match facet {
        FacetResult::Values(counts) | FacetResult::Histogram(counts) => counts.len(),
        _ => 0,
    });
    match counts.max().unwrap_or(0) {
        0..=MAX_VALUES => Ok(()),
        count => Err(ApiError::invalid(format!(
            "expected facets of at most {MAX_VALUES} values or intervals, found {count}; ask for fewer values, or for wider \
             intervals"
        ))),
    }
}

fn sort_of(text: &str) -> Result<Sort, ApiError> {
    sort_parser(text).map_err(|error| ApiError::invalid(format!("`sort`: {error}")))
}
