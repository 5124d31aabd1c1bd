//! Results as JSON objects.

use esparsa::{
    Algorithm, ClauseExplanation, Error, Explanation, Hit, MatchCount, Result, SearchResult,
    Snapshot,
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::facets::FacetReport;
use crate::escape::escaped;
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
    terms_skipped: u64,
    algorithms: Vec<&'static str>,
    /// How many documents match, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
    hits: Vec<HitReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    facets: Vec<FacetReport>,
}

/// What is printed for one query of a file.
#[derive(Serialize)]
pub struct QueryReport<'a> {
    query_id: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    terms_skipped: u64,
    hits: Vec<HitReport>,
}

#[derive(Serialize)]
struct HitReport {
    rank: usize,
    id: String,
    score: f32,
    /// The stored document; omitted if nothing readable is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<StoredDocument>,
}

/// A stored document within a report.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum StoredDocument {
    /// JSON, as it was loaded: parsing and printing it again would lose keys that occur twice, and
    /// numbers that no machine type holds.
    Json(Box<RawValue>),
    /// Other text, shown as a JSON string.
    Text(String),
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
    /// The queries that the query is made of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    clauses: Vec<ClauseReport<'a>>,
    /// Terms that the document lacks, if all are required.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    missing: &'a [String],
    /// Whether a filter rejects the document.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    is_filtered_out: bool,
}

/// What one query of several adds.
#[derive(Serialize)]
struct ClauseReport<'a> {
    query: &'a str,
    /// `null` when the document does not match.
    score: Option<f32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    clauses: Vec<ClauseReport<'a>>,
}

impl<'a> ClauseReport<'a> {
    fn all(clauses: &'a [ClauseExplanation]) -> Vec<Self> {
        let clauses = clauses.iter().map(|clause| Self {
            query: &clause.query,
            score: clause.score,
            clauses: Self::all(&clause.clauses),
        });
        clauses.collect()
    }
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
        offset: usize,
        took_ms: f64,
    ) -> Result<Self> {
        let mut hits = hit_reports(result, offset)?;
        for (report, hit) in hits.iter_mut().zip(&result.hits) {
            report.document = StoredDocument::of(&snapshot.stored(hit.address)?);
        }
        Ok(Self {
            query,
            field,
            documents: snapshot.documents(),
            took_ms,
            postings: result.statistics.postings,
            postings_scored: result.statistics.postings_scored,
            terms_skipped: result.statistics.terms_skipped,
            algorithms: names(&result.statistics.algorithms),
            count: result.count.map(|count| match count {
                MatchCount::Exact(count) | MatchCount::AtLeast(count) => count,
            }),
            hits,
            facets: Vec::new(),
        })
    }

    /// Adds counts of columns.
    pub fn with_facets(mut self, facets: Vec<FacetReport>) -> Self {
        self.facets = facets;
        self
    }
}

impl<'a> QueryReport<'a> {
    /// Ids and scores only.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when an id cannot be read.
    pub fn new(query_id: &'a str, result: &SearchResult) -> Result<Self> {
        Ok(Self {
            query_id,
            terms_skipped: result.statistics.terms_skipped,
            hits: hit_reports(result, 0)?,
        })
    }
}

impl<'a> ExplanationReport<'a> {
    /// An explanation without the document's address.
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
            clauses: ClauseReport::all(&explanation.clauses),
            is_filtered_out: explanation.is_filtered_out,
            missing: &explanation.missing,
        }
    }
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn hit_reports(result: &SearchResult, offset: usize) -> Result<Vec<HitReport>> {
    let report = |(hit, rank): (Hit<'_>, usize)| {
        Ok(HitReport {
            rank,
            id: hit.id()?,
            score: hit.score,
            document: None,
        })
    };
    result.hits.iter().zip(offset + 1..).map(report).collect()
}

impl StoredDocument {
    /// What is stored; `None` if that is nothing or is not UTF-8.
    pub fn of(stored: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(stored).ok()?;
        if text.is_empty() {
            return None;
        }
        let json = serde_json::from_str::<&RawValue>(text)
            .and_then(|json| RawValue::from_string(without_white_space(json.get())));
        Some(match json {
            Ok(json) => Self::Json(json),
            Err(_) => Self::Text(text.to_owned()),
        })
    }
}

/// `json`, which is valid, without the white space between its tokens, so that it fits on a line.
fn without_white_space(json: &str) -> String {
    let (mut in_string, mut is_escaped) = (false, false);
    let is_kept = |character: &char| {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = in_string,
            '"' => in_string = !in_string,
            _ => {}
        }
        in_string || !character.is_ascii_whitespace()
    };
    json.chars().filter(is_kept).collect()
}

/// The names of the algorithms used in a snapshot's segments, each once.
pub fn names(algorithms: &[Algorithm]) -> Vec<&'static str> {
    let mut sorted = algorithms.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.into_iter().map(Algorithm::name).collect()
}

/// A report as one line of JSON, with control characters escaped.
pub fn line(report: &impl Serialize) -> Result<String> {
    match serde_json::to_string(report) {
        Ok(json) => Ok(escaped(&json).into_owned()),
        Err(error) => Err(Error::invalid(format!(
            "cannot be written as JSON: {error}"
        ))),
    }
}

/// Prints a report as one line.
pub fn print_line(report: &impl Serialize) -> Result<()> {
    output::print(line(report)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(stored: &str) -> Option<String> {
        let document = StoredDocument::of(stored.as_bytes());
        document.map(|document| line(&document).unwrap())
    }

    #[test]
    fn stored_json_is_shown_as_it_was_loaded() {
        for json in [
            r#"{"n":1e999,"a":-0.10,"n":2}"#,
            r#"{"half a pair":"\ud800","s":"a \" b\\"}"#,
            "[1]",
        ] {
            assert_eq!(shown(json).unwrap(), json);
        }
        let spaced = "\t{ \"a b\":\r\n[1, 2] }\n";
        assert_eq!(shown(spaced).unwrap(), r#"{"a b":[1,2]}"#);
        assert_eq!(shown("{\"a\":\"\u{9b}\"}").unwrap(), r#"{"a":"\u009b"}"#);
    }

    #[test]
    fn other_stored_text_is_a_string() {
        assert_eq!(shown("lava {1").unwrap(), r#""lava {1""#);
        assert_eq!(shown(""), None);
        assert!(StoredDocument::of(b"\xff").is_none());
    }
}
