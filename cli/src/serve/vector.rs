//! Texts made into vectors by the models of the server.

use std::collections::HashSet;
use std::time::Instant;

use esparsa::neural::Role;
use esparsa::{Field, FieldOptions, Query, SparseTerms};
use serde::Serialize;

use super::error::ApiError;
use super::models::ServedEncoder;
use crate::models::AnyEncoder;

/// A text as a vector, for a field.
pub struct Vector<'a> {
    /// The field that it fits.
    pub field: &'a str,
    /// The name of the model.
    pub model: &'a str,
    /// The time that the model took.
    pub took_ms: f64,
    /// Weighted terms or components.
    pub content: Content,
    has_numbers: bool,
}

/// What a vector holds.
pub enum Content {
    /// Terms, the heaviest first.
    Sparse(Vec<Term>),
    /// Components.
    Dense(Vec<f32>),
}

/// A term of a sparse vector.
#[derive(Clone, Serialize)]
pub struct Term {
    /// The term.
    pub term: String,
    /// Its weight.
    pub weight: f32,
    /// Whether the model added it: it is no token of the text.
    pub is_added: bool,
    #[serde(skip)]
    number: u32,
}

/// Bytes of a text that a model reads at most: its work cannot be stopped.
pub const MAX_TEXT: usize = 1 << 16;

impl<'a> Vector<'a> {
    /// The vector of a text.
    ///
    /// # Errors
    ///
    /// 400 for a text that cannot be encoded, 500 when the device fails.
    pub fn of(
        encoder: &'a ServedEncoder,
        field: &'a Field,
        text: &str,
        role: Role,
    ) -> Result<Self, ApiError> {
        if text.len() > MAX_TEXT {
            return Err(ApiError::invalid(format!(
                "expected a text of at most {MAX_TEXT} bytes for a model, found {} bytes; send less",
                text.len()
            )));
        }
        let started = Instant::now();
        let content = match &encoder.encoder {
            AnyEncoder::Dense(model) => Content::Dense(one(model.encode(&[text], role)?.all()?)?),
            AnyEncoder::Sparse(model) => {
                let weights = one(model.encode(&[text], role)?.all()?)?;
                let own = encoder.tokenizer.encode_without_special_tokens(text)?;
                let own: HashSet<u32> = own.into_iter().collect();
                let terms = weights.into_iter().map(|(number, weight)| Term {
                    term: model.term(number),
                    weight,
                    is_added: !own.contains(&number),
                    number,
                });
                let mut terms: Vec<Term> = terms.collect();
                // The sort is stable: equal weights keep the order of the terms' numbers.
                terms.sort_by(|a, b| b.weight.total_cmp(&a.weight));
                Content::Sparse(terms)
            }
        };
        Ok(Self {
            field: &field.name,
            model: &encoder.name,
            took_ms: started.elapsed().as_secs_f64() * 1e3,
            content,
            has_numbers: matches!(
                &field.options,
                FieldOptions::Sparse(sparse) if sparse.terms == SparseTerms::Numbers
            ),
        })
    }

    /// The query for the documents that the vector is nearest to.
    pub fn query(&self) -> Query {
        match &self.content {
            Content::Dense(components) => Query::dense(self.field, components.as_slice()),
            Content::Sparse(terms) if self.has_numbers => {
                let terms = terms.iter().map(|term| (term.number, term.weight));
                Query::sparse_numbered(self.field, terms)
            }
            Content::Sparse(terms) => {
                let terms = terms.iter().map(|term| (&*term.term, term.weight));
                Query::sparse(self.field, terms)
            }
        }
    }
}

/// The vector of the only text.
fn one<V>(vectors: Vec<V>) -> Result<V, ApiError> {
    let one = vectors.into_iter().next();
    one.ok_or_else(|| ApiError::internal("a model gave no vector for a text"))
}
