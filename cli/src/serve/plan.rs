//! How a query is searched: the rankings that a system is made of, each with its own query, and
//! what becomes of them.

use esparsa::executor::CancelToken;
use esparsa::neural::Role;
use esparsa::rank::{Scorer, rerank};
use esparsa::{FieldKind, Query, SearchOptions, SearchResult, Snapshot};

use super::app::Work;
use super::error::ApiError;
use super::fusion::FusionRequest;
use super::models::{Models, ServedReranker};
use super::parameters::Parameters;
use super::query::Asked;
use super::system::System;
use super::vector::{Content, MAX_TEXT, Term, Vector};
use crate::records::stored_contents;

/// Pairs that a re-ranker scores before it is looked whether anybody still waits.
const PAIRS: usize = 8;

/// What the parameters say about the system.
pub struct PlanRequest {
    /// The system.
    pub system: System,
    /// The query.
    pub asked: Asked,
    field: Option<String>,
}

/// One ranking, as it is searched.
pub struct Ranking<'a> {
    /// The system that it is of.
    pub system: System,
    /// The query with its filters.
    pub query: Query,
    /// The vector of the query, of a model.
    pub vector: Option<Vector<'a>>,
}

/// Re-ranking of the first hits.
pub struct RerankRequest {
    name: String,
    /// Hits that are re-ranked.
    pub depth: usize,
}

impl PlanRequest {
    /// Takes `system`, `field` and the query.
    ///
    /// # Errors
    ///
    /// 400 for mistakes in them.
    pub fn take(parameters: &mut Parameters, snapshot: &Snapshot) -> Result<Self, ApiError> {
        let system = System::take(parameters)?.unwrap_or(System::Bm25);
        let field = parameters.text("field")?;
        if field.is_some() && !matches!(system, System::Sparse | System::Dense) {
            return Err(ApiError::invalid(format!(
                "expected `field` with the system `sparse` or `dense`, found it with `{}`; leave it out, and name fields of \
                 words in `search_fields`",
                system.name()
            )));
        }
        Ok(Self {
            asked: Asked::take(parameters, snapshot, system)?,
            system,
            field,
        })
    }

    /// The rankings of the system; of a fusion, those that weigh anything.
    ///
    /// # Errors
    ///
    /// 400 when the index lacks a field or the server a model; what encoding gives.
    pub fn rankings<'a>(
        &self,
        models: &'a Models,
        snapshot: &'a Snapshot,
        fusion: Option<&FusionRequest>,
        cancel: &CancelToken,
    ) -> Result<Vec<Ranking<'a>>, ApiError> {
        let Some(fusion) = fusion else {
            return Ok(vec![self.ranking(self.system, models, snapshot)?]);
        };
        let mut rankings = Vec::new();
        for (system, kind) in [
            (System::Bm25, None),
            (System::Sparse, Some(FieldKind::Sparse)),
            (System::Dense, Some(FieldKind::Dense)),
        ] {
            let is_there = match kind {
                None => self.asked.words.is_some(),
                Some(kind) => models.fields(snapshot, kind).next().is_some(),
            };
            if is_there && fusion.weight(system) > 0.0 {
                cancel.check("encoding")?;
                rankings.push(self.ranking(system, models, snapshot)?);
            }
        }
        match rankings.is_empty() {
            false => Ok(rankings),
            true => Err(ApiError::invalid(
                "expected a system with a weight above 0 to fuse, found none; raise a weight",
            )),
        }
    }

    fn ranking<'a>(
        &self,
        system: System,
        models: &'a Models,
        snapshot: &'a Snapshot,
    ) -> Result<Ranking<'a>, ApiError> {
        let kind = match system {
            System::Sparse => FieldKind::Sparse,
            System::Dense => FieldKind::Dense,
            System::Bm25 | System::Fused => {
                let words = self.asked.words.clone();
                let words = words.ok_or_else(|| ApiError::internal("a query without words"))?;
                return Ok(Ranking {
                    system,
                    query: self.asked.filtered(words),
                    vector: None,
                });
            }
        };
        let (field, encoder) = models.field(snapshot, kind, self.field.as_deref())?;
        let text = self.asked.text.as_deref().unwrap_or_default();
        let vector = Vector::of(encoder, field, text, Role::Query)?;
        Ok(Ranking {
            system,
            query: self.asked.filtered(vector.query()),
            vector: Some(vector),
        })
    }
}

impl Ranking<'_> {
    /// Searches.
    ///
    /// # Errors
    ///
    /// What searching gives.
    pub fn search(
        &self,
        snapshot: &Snapshot,
        options: &SearchOptions,
    ) -> Result<SearchResult, ApiError> {
        Ok(snapshot.search_with(&self.query, options)?)
    }

    /// The dimensions of a dense vector.
    pub fn dimensions(&self) -> Option<usize> {
        match &self.vector.as_ref()?.content {
            Content::Dense(components) => Some(components.len()),
            Content::Sparse(_) => None,
        }
    }

    /// The terms of a sparse vector, the heaviest first.
    pub fn vector_terms(&self) -> Option<&[Term]> {
        match &self.vector.as_ref()?.content {
            Content::Sparse(terms) => Some(terms),
            Content::Dense(_) => None,
        }
    }
}

/// Hits that are re-ranked where a request does not say how many.
const DEFAULT_RERANK: usize = 20;

impl RerankRequest {
    /// Takes `rerank` and `rerank_k`; `None` unless a model is named.
    ///
    /// # Errors
    ///
    /// 400 for an unknown model, for a number out of range, and without a text for the model.
    pub fn take(work: &mut Work, snapshot: &Snapshot) -> Result<Option<Self>, ApiError> {
        let max = work.app.models.max_rerank.min(work.app.limits.max_k);
        let name = work.parameters.text("rerank")?;
        let depth = work.parameters.size("rerank_k", 0)?;
        let Some(name) = name else {
            return match depth {
                0 => Ok(None),
                _ => Err(ApiError::invalid(
                    "expected `rerank_k` with `rerank`, the name of a model, found it alone; add that or leave it out",
                )),
            };
        };
        work.app.models.reranker(&name)?;
        if snapshot.schema().stored_field().is_none() {
            return Err(ApiError::invalid(
                "expected `rerank` for an index that stores documents, which the model reads, found one that stores none; \
                 leave it out",
            ));
        }
        if depth > max {
            return Err(ApiError::invalid(format!(
                "expected `rerank_k` from 1 to {max}, found {depth}; correct it or leave it out"
            )));
        }
        let depth = if depth == 0 {
            max.min(DEFAULT_RERANK)
        } else {
            depth
        };
        Ok(Some(Self { name, depth }))
    }

    /// The model.
    ///
    /// # Errors
    ///
    /// None: the name was checked.
    pub fn model<'a>(&self, models: &'a Models) -> Result<&'a ServedReranker, ApiError> {
        models.reranker(&self.name)
    }

    /// Puts the hits of a search into the order of the model's scores.
    ///
    /// # Errors
    ///
    /// 400 without a text, 504 when the time is up, what reading and scoring give.
    pub fn rerank(
        &self,
        work: &Work,
        snapshot: &Snapshot,
        text: Option<&str>,
        result: &mut SearchResult,
    ) -> Result<(), ApiError> {
        let text = text.ok_or_else(no_text)?;
        let scorer = Patient {
            scorer: &*self.model(&work.app.models)?.scorer,
            cancel: &work.cancel,
        };
        let mut read = Vec::with_capacity(result.hits.len());
        for hit in &result.hits {
            work.cancel.check("reading documents")?;
            read.push((hit, stored_contents(&snapshot.stored(hit.address)?)));
        }
        let reranked = rerank(&scorer, text, read)?;
        result.hits = reranked;
        Ok(())
    }
}

/// As much of a document as a model reads at most.
fn beginning(text: &str) -> &str {
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Models of re-ranking read a text.
pub fn no_text() -> ApiError {
    ApiError::invalid(
        "expected `q`, a text that the model of `rerank` reads, found none; add it, or leave `rerank` out",
    )
}

/// A scorer that stops when nobody waits for its scores any more.
struct Patient<'a, S: ?Sized> {
    scorer: &'a S,
    cancel: &'a CancelToken,
}

impl<S: Scorer + ?Sized> Scorer for Patient<'_, S> {
    fn scores(&self, query: &str, documents: &[&str]) -> esparsa::Result<Vec<f32>> {
        let mut scores = Vec::with_capacity(documents.len());
        for some in documents.chunks(PAIRS) {
            self.cancel.check("re-ranking")?;
            let some = some.iter().map(|text| beginning(text));
            scores.extend(self.scorer.scores(query, &some.collect::<Vec<_>>())?);
        }
        Ok(scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores by length, and cancels after some calls.
    struct Lengths<'a>(&'a CancelToken, usize);

    impl Scorer for Lengths<'_> {
        fn scores(&self, _: &str, documents: &[&str]) -> esparsa::Result<Vec<f32>> {
            if documents.len() < self.1 {
                self.0.cancel();
            }
            Ok(documents.iter().map(|text| text.len() as f32).collect())
        }
    }

    #[test]
    fn a_scorer_stops_when_it_is_cancelled() {
        let cancel = CancelToken::new();
        let texts: Vec<String> = (0..20).map(|length| "a".repeat(length)).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let scorer = Patient {
            scorer: &Lengths(&cancel, 0),
            cancel: &cancel,
        };
        let scores = scorer.scores("", &texts).unwrap();
        assert!(scores.into_iter().eq((0..20).map(|length| length as f32)));
        let scorer = Patient {
            scorer: &Lengths(&cancel, PAIRS + 1),
            cancel: &cancel,
        };
        assert!(scorer.scores("", &texts).is_err());
    }
}
