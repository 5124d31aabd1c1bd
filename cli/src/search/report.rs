//! Results for machines: one JSON object each.

use esparsa::{Algorithm, Error, Explanation, Result, SearchResult, Snapshot};
use serde::Serialize;
use serde_json::Value;

use crate::harmless::harmless;
use crate::output;

/// What is printed for one query of the command line.
#[derive(Serialize)]
pub struct SingleReport<'a> {
    query: &'a str,
    field: &'a str,
    documents: u64,
    took_ms: f64,
    postings: u64,
    postings_scored: u64,
    /// Terms of the query above the limit, which were not searched.
    #[serde(skip_serializing_if = "is_zero")]
    terms_left_out: u64,
    algorithms: Vec<&'static str>,
    hits: Vec<HitReport<'a>>,
}

/// What is printed for one query of a file.
#[derive(Serialize)]
pub struct QueryReport<'a> {
    query_id: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    terms_left_out: u64,
    hits: Vec<HitReport<'a>>,
}

#[derive(Serialize)]
struct HitReport<'a> {
    rank: usize,
    id: &'a str,
    score: f32,
    /// The stored document: its JSON, or a string if it is other text; left out if nothing readable is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<Value>,
}

/// What is printed for an explanation.
#[derive(Serialize)]
pub struct ExplanationReport<'a> {
    id: &'a str,
    score: f32,
    length: Option<u32>,
    average_length: Option<f32>,
    algorithm: &'static str,
    why: &'a str,
    terms: Vec<TermReport<'a>>,
    /// Terms that the document lacks, where all are asked for.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    missing: &'a [String],
}

#[derive(Serialize)]
struct TermReport<'a> {
    term: &'a str,
    document_frequency: u64,
    query_weight: f32,
    value: u32,
    contribution: f32,
    block_bound: f32,
    list_bound: f32,
}

impl<'a> SingleReport<'a> {
    /// Reads the stored documents of the hits.
    pub fn new(
        snapshot: &Snapshot,
        query: &'a str,
        field: &'a str,
        result: &'a SearchResult,
        took_ms: f64,
    ) -> Result<Self> {
        let mut hits = hit_reports(result);
        for (report, hit) in hits.iter_mut().zip(&result.hits) {
            report.document = as_json(&snapshot.stored(hit.address)?);
        }
        Ok(Self {
            query,
            field,
            documents: snapshot.documents(),
            took_ms,
            postings: result.statistics.postings,
            postings_scored: result.statistics.postings_scored,
            terms_left_out: result.statistics.terms_left_out,
            algorithms: names(&result.statistics.algorithms),
            hits,
        })
    }
}

impl<'a> QueryReport<'a> {
    /// Ids and scores only.
    pub fn new(query_id: &'a str, result: &'a SearchResult) -> Self {
        Self {
            query_id,
            terms_left_out: result.statistics.terms_left_out,
            hits: hit_reports(result),
        }
    }
}

impl<'a> ExplanationReport<'a> {
    /// All of an explanation but the document's place.
    pub fn new(explanation: &'a Explanation) -> Self {
        let terms = explanation.terms.iter().map(|term| TermReport {
            term: &term.term,
            document_frequency: term.document_frequency,
            query_weight: term.query_weight,
            value: term.value,
            contribution: term.contribution,
            block_bound: term.block_bound,
            list_bound: term.list_bound,
        });
        Self {
            id: &explanation.id,
            score: explanation.score,
            length: explanation.lengths.map(|(length, _)| length),
            average_length: explanation.lengths.map(|(_, average)| average),
            algorithm: explanation.algorithm.name(),
            why: &explanation.why,
            terms: terms.collect(),
            missing: &explanation.missing,
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn hit_reports(result: &SearchResult) -> Vec<HitReport<'_>> {
    let hits = result.hits.iter().zip(1..);
    hits.map(|(hit, rank)| HitReport {
        rank,
        id: &hit.id,
        score: hit.score,
        document: None,
    })
    .collect()
}

fn as_json(stored: &[u8]) -> Option<Value> {
    if stored.is_empty() {
        return None;
    }
    let json = serde_json::from_slice(stored).ok();
    json.or_else(|| std::str::from_utf8(stored).ok().map(Value::from))
}

/// The names of the algorithms used in a snapshot's segments, each once.
pub fn names(algorithms: &[Algorithm]) -> Vec<&'static str> {
    let mut sorted = algorithms.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.into_iter().map(Algorithm::name).collect()
}

/// A report as one line of JSON, with escapes for what a terminal would obey.
pub fn line(report: &impl Serialize) -> Result<String> {
    match serde_json::to_string(report) {
        Ok(json) => Ok(harmless(&json).into_owned()),
        Err(error) => Err(Error::invalid(format!(
            "cannot be written as JSON: {error}"
        ))),
    }
}

/// Prints a report as one line.
pub fn print_line(report: &impl Serialize) -> Result<()> {
    output::print(line(report)?)
}
