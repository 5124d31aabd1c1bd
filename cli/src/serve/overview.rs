//! Whether the server works, and what it serves.

use esparsa::{FieldOptions, Snapshot};
use serde::Serialize;
use serde_json::json;

use super::app::App;
use super::error::ApiError;
use super::indexes::{Indexes, ServedIndex};
use super::judged::JudgedQueries;
use super::reply::to_json;
use super::system::{SystemReport, systems_of};

/// An index, for people and programs that choose one.
#[derive(Serialize)]
struct IndexReport<'a> {
    name: &'a str,
    commit: u64,
    documents: u64,
    stores_documents: bool,
    fields: Vec<FieldReport>,
    /// How it can be searched.
    systems: Vec<SystemReport>,
    /// Queries with relevance judgements.
    judged_queries: usize,
}

#[derive(Serialize)]
struct FieldReport {
    name: String,
    kind: &'static str,
    /// The analyzer of a text field.
    #[serde(skip_serializing_if = "Option::is_none")]
    analyzer: Option<String>,
    /// The type of a column's values.
    #[serde(skip_serializing_if = "Option::is_none")]
    column_type: Option<&'static str>,
    /// The model that made the vectors, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
}

/// A short answer for whoever watches the server.
///
/// # Errors
///
/// None that can happen.
pub fn health(indexes: &Indexes) -> Result<Vec<u8>, ApiError> {
    to_json(&json!({ "status": "ok", "indexes": indexes.iter().count() }))
}

/// The indexes with their fields, and the limits of requests.
///
/// # Errors
///
/// None that can happen.
pub fn indexes(app: &App) -> Result<Vec<u8>, ApiError> {
    let snapshots = app.indexes.iter().map(|index| (index, index.snapshot()));
    let held: Vec<(&ServedIndex, Snapshot)> = snapshots.collect();
    let reports = held.iter().map(|(index, snapshot)| IndexReport {
        name: &index.name,
        commit: snapshot.commit(),
        documents: snapshot.documents(),
        stores_documents: snapshot.schema().stored_field().is_some(),
        fields: fields(snapshot),
        systems: systems_of(snapshot, &app.models),
        judged_queries: app.judgements.of(&index.name).map_or(0, JudgedQueries::len),
    });
    to_json(&json!({
        "version": env!("CARGO_PKG_VERSION"),
        "indexes": reports.collect::<Vec<_>>(),
        "rerankers": app.models.rerankers().collect::<Vec<_>>(),
        "limits": {
            "max_k": app.limits.max_k,
            "timeout_ms": app.limits.timeout.as_millis() as u64,
            "max_body_bytes": app.limits.max_body,
            "max_requests": app.limits.max_requests,
            "max_rerank": app.models.max_rerank,
            "max_query_bytes": super::query::MAX_QUERY_BYTES,
        },
    }))
}

fn fields(snapshot: &Snapshot) -> Vec<FieldReport> {
    let fields = snapshot.schema().fields().iter();
    let reports = fields.map(|field| FieldReport {
        name: field.name.clone(),
        kind: field.options.kind().name(),
        analyzer: match &field.options {
            FieldOptions::Text(text) => Some(text.analyzer.clone()),
            _ => None,
        },
        column_type: match &field.options {
            FieldOptions::Column(column) => Some(column.column_type.name()),
            _ => None,
        },
        model: field.options.model().map(|model| model.name.clone()),
    });
    reports.collect()
}
