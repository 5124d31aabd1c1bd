//! `/api/indexes/{name}/encode`: what the model of a field makes of a text.

use esparsa::FieldKind;
use esparsa::neural::Role;
use serde::Serialize;

use super::app::Work;
use super::error::ApiError;
use super::indexes::ServedIndex;
use super::reply::to_json;
use super::system::System;
use super::vector::{Content, Term, Vector};

#[derive(Serialize)]
struct Report<'a> {
    index: &'a str,
    field: &'a str,
    model: &'a str,
    took_ms: f64,
    /// Tokens that the model reads at most.
    max_tokens: usize,
    /// The terms of a sparse vector, the heaviest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    terms: Option<&'a [Term]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dimensions: Option<usize>,
    /// The components of a dense vector.
    #[serde(skip_serializing_if = "Option::is_none")]
    vector: Option<&'a [f32]>,
}

/// Encodes a text.
///
/// # Errors
///
/// 400 for mistakes in the parameters, and when the server lacks the model.
pub fn answer(work: &mut Work, index: &ServedIndex) -> Result<Vec<u8>, ApiError> {
    let parameters = &mut work.parameters;
    let text = parameters.text("text")?;
    let system = System::take(parameters)?;
    let field = parameters.text("field")?;
    let role = parameters.text("role")?;
    work.finish_parameters()?;
    let text =
        text.ok_or_else(|| ApiError::invalid("expected `text`, a text, found none; add it"))?;
    let role = match role.as_deref() {
        None | Some("query") => Role::Query,
        Some("document") => Role::Document,
        Some(other) => {
            return Err(ApiError::invalid(format!(
                "expected `query` or `document` for `role`, found `{other}`; correct it or leave it out"
            )));
        }
    };
    let snapshot = index.snapshot();
    let models = &work.app.models;
    let kind = match (system, &field) {
        (Some(System::Sparse), _) => FieldKind::Sparse,
        (Some(System::Dense), _) => FieldKind::Dense,
        (Some(other), _) => {
            return Err(ApiError::invalid(format!(
                "expected `sparse` or `dense` for `system`, found `{}`; correct it or leave it out",
                other.name()
            )));
        }
        (None, Some(name)) => match snapshot.schema().expect(name, FieldKind::Dense) {
            Ok(_) => FieldKind::Dense,
            Err(_) => FieldKind::Sparse,
        },
        (None, None) => match models.fields(&snapshot, FieldKind::Sparse).next() {
            Some(_) => FieldKind::Sparse,
            None => FieldKind::Dense,
        },
    };
    let (field, encoder) = models.field(&snapshot, kind, field.as_deref())?;
    let vector = Vector::of(encoder, field, &text, role)?;
    let (terms, components) = match &vector.content {
        Content::Sparse(terms) => (Some(&**terms), None),
        Content::Dense(components) => (None, Some(&**components)),
    };
    to_json(&Report {
        index: &index.name,
        field: vector.field,
        model: vector.model,
        took_ms: vector.took_ms,
        max_tokens: encoder.max_tokens(),
        terms,
        dimensions: components.map(<[f32]>::len),
        vector: components,
    })
}
