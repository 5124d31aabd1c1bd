//! What the vectors or scores of a batch cost: ranking losses and regularizers, with the gradient of
//! every value.
//!
//! | file | concept |
//! | --- | --- |
//! | `margins` | margins that the documents' own vectors set |
//! | `grades` | logits of a cross-encoder whose labels are grades |

mod grades;
mod margins;

use serde::{Deserialize, Serialize};

use super::data::TrainingBatch;
use super::health::ScoreSpread;
use super::loss::ListLoss;
use super::similarity::{
    Scores, TokenVectors, Vectors, backward, max_sim, max_sim_backward, scores,
};
use crate::error::{Error, Result};
use margins::Margins;

pub use grades::graded;

/// Which documents of a batch a loss compares for a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Its own documents and those of all other queries, but for those that are known to be relevant
    /// to it: in-batch negatives.
    Batch,
    /// Its own documents.
    Own,
}

/// A ranking loss as a part of an objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RankingTerm {
    /// The loss of each query's list.
    pub loss: ListLoss,
    /// The documents of the list.
    pub scope: Scope,
    /// A factor.
    pub weight: f64,
}

/// What scores are trained for: the sum of ranking losses, each the mean over the queries.
#[derive(Clone, Debug, PartialEq)]
pub struct Objective {
    /// The losses.
    pub terms: Vec<RankingTerm>,
    /// Scores are inner products times this; the inverse of a temperature.
    pub scale: f64,
}

/// What a batch's scores show.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RankingOutcome {
    /// The loss.
    pub loss: f64,
    /// The share of queries whose best document of the batch is a relevant one.
    pub accuracy: f64,
    /// How far the scores are apart.
    pub spread: ScoreSpread,
}

/// What a batch's vectors cost.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorCost {
    /// What the scores show.
    pub outcome: RankingOutcome,
    /// The gradient of each value of the queries' vectors.
    pub of_queries: Vec<Vec<f32>>,
    /// The same of the documents'.
    pub of_documents: Vec<Vec<f32>>,
}

/// The documents that a query is compared with, and what is known of them.
#[derive(Clone, Debug, Default, PartialEq)]
struct List {
    documents: Vec<usize>,
    targets: Vec<f64>,
    is_relevant: Vec<bool>,
}

/// The gradients of the scores of lists, and of the cosines of their documents and the first one.
#[derive(Debug, Default)]
struct Slopes {
    of_scores: Scores,
    of_cosines: Scores,
}

impl Objective {
    /// What a batch's vectors cost.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when a score is not finite.
    pub fn of_vectors<V: Vectors + ?Sized>(
        &self,
        queries: &V,
        documents: &V,
        batch: &TrainingBatch,
    ) -> Result<VectorCost> {
        let lists = self.lists(batch);
        let pairs: Vec<Vec<usize>> = lists.iter().map(|list| list.documents.clone()).collect();
        let scores = scores(queries, documents, &pairs, self.scale);
        let cosines = match self.has_adaptive_margins() {
            true => Some(margins::cosines(documents, &pairs)),
            false => None,
        };
        let (outcome, slopes) = self.of_lists(batch, &lists, &scores, cosines.as_ref())?;
        let (of_queries, mut of_documents) =
            backward(queries, documents, &pairs, self.scale, &slopes.of_scores);
        if let Some(cosines) = &cosines {
            let slopes = &slopes.of_cosines;
            margins::backward(documents, &pairs, cosines, slopes, &mut of_documents);
        }
        Ok(VectorCost {
            outcome,
            of_queries,
            of_documents,
        })
    }

    /// What a batch's vectors of tokens cost, compared by MaxSim.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when a score is not finite, and for a loss that needs one vector of
    /// each document.
    pub fn of_token_vectors(
        &self,
        queries: &TokenVectors,
        documents: &TokenVectors,
        batch: &TrainingBatch,
    ) -> Result<VectorCost> {
        let lists = self.lists(batch);
        let pairs: Vec<Vec<usize>> = lists.iter().map(|list| list.documents.clone()).collect();
        let matches = max_sim(queries, documents, &pairs, self.scale);
        let (outcome, slopes) = self.of_lists(batch, &lists, &matches.scores, None)?;
        let slopes = &slopes.of_scores;
        let (of_queries, of_documents) =
            max_sim_backward(queries, documents, &pairs, self.scale, &matches, slopes);
        Ok(VectorCost {
            outcome,
            of_queries,
            of_documents,
        })
    }

    /// The outcome of scores of each query's own documents, and their gradients.
    ///
    /// # Errors
    ///
    /// As [`of_vectors`](Self::of_vectors).
    pub fn of_scores(
        &self,
        batch: &TrainingBatch,
        scores: &Scores,
    ) -> Result<(RankingOutcome, Scores)> {
        let lists: Vec<List> = (0..batch.queries.len())
            .map(|query| List::of(batch, query, false))
            .collect();
        let scaled: Scores = scores
            .iter()
            .map(|scores| scores.iter().map(|score| score * self.scale).collect())
            .collect();
        let (outcome, slopes) = self.of_lists(batch, &lists, &scaled, None)?;
        let mut slopes = slopes.of_scores;
        let slopes_of_all = slopes.iter_mut().flatten();
        slopes_of_all.for_each(|slope| *slope *= self.scale);
        Ok((outcome, slopes))
    }

    /// True if a loss compares documents with one another, for which it needs their vectors.
    pub fn has_adaptive_margins(&self) -> bool {
        let is_adaptive = |term: &RankingTerm| matches!(term.loss, ListLoss::AdaptiveMargin { .. });
        self.terms.iter().any(is_adaptive)
    }

    /// What each query of a batch is compared with.
    fn lists(&self, batch: &TrainingBatch) -> Vec<List> {
        let needs_batch = self.terms.iter().any(|term| term.scope == Scope::Batch);
        let queries = 0..batch.queries.len();
        queries
            .map(|query| List::of(batch, query, needs_batch))
            .collect()
    }

    /// `cosines` are those of each list's documents and its first one.
    fn of_lists(
        &self,
        batch: &TrainingBatch,
        lists: &[List],
        scores: &Scores,
        cosines: Option<&Scores>,
    ) -> Result<(RankingOutcome, Slopes)> {
        let count = lists.len().max(1) as f64;
        let mut outcome = RankingOutcome {
            spread: ScoreSpread::of(scores),
            ..RankingOutcome::default()
        };
        let mut slopes = Slopes::default();
        for (query, (list, scores)) in lists.iter().zip(scores).enumerate() {
            let own = batch.lists[query].len();
            let mut of_query = vec![0.0; scores.len()];
            let mut of_cosines = vec![0.0; scores.len()];
            for term in &self.terms {
                let len = match term.scope {
                    Scope::Batch => scores.len(),
                    Scope::Own => own,
                };
                if let ListLoss::AdaptiveMargin { margin } = term.loss {
                    let Some(cosines) = cosines.map(|cosines| &cosines[query][..len]) else {
                        return Err(Error::invalid(
                            "adaptive-margin: expected vectors of documents, found scores alone",
                        ));
                    };
                    let found =
                        Margins::of(term, margin, list, &scores[..len], cosines, self.scale)?;
                    outcome.loss += found.value / count;
                    for (sums, gradient) in [
                        (&mut of_query, found.of_scores),
                        (&mut of_cosines, found.of_cosines),
                    ] {
                        let sums = sums.iter_mut().zip(gradient);
                        sums.for_each(|(sum, slope)| *sum += slope / count);
                    }
                    continue;
                }
                let loss = match term.loss {
                    // What is relevant counts, not a teacher's scores.
                    ListLoss::Softmax => term.loss.of(&scores[..len], &list.relevance()[..len])?,
                    loss => loss.of(&scores[..len], &list.targets[..len])?,
                };
                outcome.loss += term.weight * loss.value / count;
                for (sum, slope) in of_query.iter_mut().zip(&loss.gradient) {
                    *sum += term.weight * slope / count;
                }
            }
            slopes.of_scores.push(of_query);
            slopes.of_cosines.push(of_cosines);
            outcome.accuracy += f64::from(u8::from(list.is_best_relevant(scores))) / count;
        }
        Ok((outcome, slopes))
    }
}

impl List {
    /// The query's own documents first, then those of the others.
    fn of(batch: &TrainingBatch, query: usize, needs_batch: bool) -> Self {
        let mut list = Self::default();
        for labelled in &batch.lists[query] {
            list.documents.push(labelled.document);
            list.targets.push(labelled.target);
            list.is_relevant.push(labelled.is_relevant);
        }
        if needs_batch {
            let is_taken = |document: &usize| {
                list.documents.contains(document) || batch.forbidden[query].contains(document)
            };
            let others: Vec<usize> = (0..batch.documents.len())
                .filter(|document| !is_taken(document))
                .collect();
            list.targets.extend(others.iter().map(|_| 0.0));
            list.is_relevant.extend(others.iter().map(|_| false));
            list.documents.extend(others);
        }
        list
    }

    fn relevance(&self) -> Vec<f64> {
        let of = |is_relevant: &bool| f64::from(u8::from(*is_relevant));
        self.is_relevant.iter().map(of).collect()
    }

    /// Ties are not counted: constant scores rank nothing.
    fn is_best_relevant(&self, scores: &[f64]) -> bool {
        let max_of = |is_relevant: bool| {
            let found = scores.iter().zip(&self.is_relevant);
            let found = found.filter(|(_, relevant)| **relevant == is_relevant);
            found.fold(f64::NEG_INFINITY, |max, (score, _)| max.max(*score))
        };
        max_of(true) > max_of(false)
    }
}

#[cfg(test)]
mod tests;
