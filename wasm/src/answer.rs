//! The answer to a search, in the shape that `esparsa serve` gives.

use esparsa::{FacetResult, Hit, MatchCount, Result, Value};
use serde::Serialize;
use serde_json::Value as Json;

use crate::document::StoredDocument;
use crate::passages::Passages;
use crate::request::CountedColumn;

/// The answer. JavaScript adds how long it took, because there is no clock here.
#[derive(Serialize)]
pub struct Answer {
    /// Documents of the index.
    pub documents: u64,
    /// Documents that match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<CountReport>,
    /// What was not searched as it was written.
    pub notes: Vec<String>,
    /// The best documents, best first.
    pub hits: Vec<HitReport>,
    /// What was counted.
    pub facets: Vec<FacetReport>,
}

/// How many documents match.
#[derive(Serialize)]
pub struct CountReport {
    value: u64,
    is_exact: bool,
}

/// A document that was found.
#[derive(Serialize)]
pub struct HitReport {
    rank: usize,
    id: String,
    /// 0 when the hits are in the order of columns.
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<StoredDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snippets: Option<Passages>,
}

/// How many documents have which values.
#[derive(Serialize)]
pub struct FacetReport {
    column: String,
    values: Vec<(Json, u64)>,
}

impl From<MatchCount> for CountReport {
    fn from(count: MatchCount) -> Self {
        let (value, is_exact) = match count {
            MatchCount::Exact(value) => (value, true),
            MatchCount::AtLeast(value) => (value, false),
        };
        Self { value, is_exact }
    }
}

impl HitReport {
    /// Describes a hit with its stored bytes and passages.
    ///
    /// # Errors
    ///
    /// When its id is damaged.
    pub fn new(
        rank: usize,
        hit: &Hit<'_>,
        stored: &[u8],
        snippets: Option<Passages>,
    ) -> Result<Self> {
        Ok(Self {
            rank,
            id: hit.id()?,
            score: hit.score,
            document: StoredDocument::of(stored),
            snippets,
        })
    }
}

impl FacetReport {
    /// What was counted for each column.
    pub fn of(counted: Vec<FacetResult>, columns: &[CountedColumn]) -> Vec<Self> {
        let reports = counted
            .into_iter()
            .zip(columns)
            .filter_map(|(counted, column)| {
                let FacetResult::Values(values) = counted else {
                    return None;
                };
                let values = values
                    .into_iter()
                    .map(|(value, count)| (json(value), count));
                Some(Self {
                    column: column.name.clone(),
                    values: values.collect(),
                })
            });
        reports.collect()
    }
}

/// Numbers and flags as such, dates and keywords as strings.
fn json(value: Value) -> Json {
    match value {
        Value::I64(number) => number.into(),
        Value::U64(number) => number.into(),
        Value::F64(number) => number.into(),
        Value::Bool(flag) => flag.into(),
        value => value.to_string().into(),
    }
}
