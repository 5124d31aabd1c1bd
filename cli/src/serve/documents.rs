//! `/api/indexes/{name}/documents/{id}` and `/api/indexes/{name}/explain`: a document, and where its
//! score comes from.

use serde::Serialize;

use super::app::Work;
use super::error::ApiError;
use super::indexes::ServedIndex;
use super::plan::PlanRequest;
use super::reply::to_json;
use super::stored::{Document, Parts};
use super::system::System;
use crate::search::report::ExplanationReport;

/// The k of the search whose plan is explained, unless another is given.
const DEFAULT_K: usize = 10;

#[derive(Serialize)]
struct DocumentReport<'a> {
    index: &'a str,
    commit: u64,
    id: &'a str,
    /// `null` when nothing is stored.
    document: Option<Document>,
}

#[derive(Serialize)]
struct ExplainReport<'a> {
    index: &'a str,
    commit: u64,
    explanation: ExplanationReport<'a>,
}

/// A document by its id.
///
/// # Errors
///
/// 404 when there is none, 400 for unknown parameters.
pub fn answer(work: &mut Work, index: &ServedIndex, id: &str) -> Result<Vec<u8>, ApiError> {
    let parts = Parts::take(&mut work.parameters)?;
    work.finish_parameters()?;
    let snapshot = index.snapshot();
    let address = snapshot.find(id)?;
    let address = address.ok_or_else(|| no_document(id, index))?;
    let stored = snapshot.stored(address)?;
    to_json(&DocumentReport {
        index: &index.name,
        commit: snapshot.commit(),
        id,
        document: parts.of(&snapshot, address, &stored)?,
    })
}

/// Where the score of a document comes from.
///
/// # Errors
///
/// 404 when there is no such document, 400 for mistakes in the parameters.
pub fn explain(work: &mut Work, index: &ServedIndex) -> Result<Vec<u8>, ApiError> {
    let snapshot = index.snapshot();
    let id = work.parameters.text("id")?;
    let request = PlanRequest::take(&mut work.parameters, &snapshot)?;
    let k = work.parameters.size("k", DEFAULT_K)?;
    work.finish_parameters()?;
    let id = id.ok_or_else(|| {
        ApiError::invalid("expected `id`, the id of a document, found none; add it")
    })?;
    let max_k = work.app.limits.max_k;
    if !(1..=max_k).contains(&k) {
        return Err(ApiError::invalid(format!(
            "expected `k` from 1 to {max_k}, found {k}; correct it or leave it out"
        )));
    }
    if request.system == System::Fused {
        return Err(ApiError::invalid(
            "expected a system that is one search, found `fused`, whose hits have their ranks in its searches; explain \
             `bm25`, `sparse` or `dense`",
        ));
    }
    let app = work.app.clone();
    let rankings = request.rankings(&app.models, &snapshot, None, &work.cancel)?;
    let ranking = rankings.first();
    let ranking = ranking.ok_or_else(|| ApiError::internal("a query without a ranking"))?;
    // The library cannot stop an explanation, which reads the postings of one document only.
    work.cancel.check("explaining")?;
    let explanation = snapshot.explain(&ranking.query, &id, k)?;
    let explanation = explanation.ok_or_else(|| no_document(&id, index))?;
    to_json(&ExplainReport {
        index: &index.name,
        commit: snapshot.commit(),
        explanation: ExplanationReport::new(&explanation),
    })
}

fn no_document(id: &str, index: &ServedIndex) -> ApiError {
    ApiError::not_found(format!(
        "expected the id of a document of the index `{}`, found `{id}`, which none has; search for it",
        index.name
    ))
}
