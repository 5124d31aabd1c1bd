//! What the vectors or scores of a batch cost: ranking losses and regularizers, with the gradient of
//! every value.

use serde::{Deserialize, Serialize};

use super::data::TrainingBatch;
use super::health::ScoreSpread;
use super::loss::ListLoss;
use super::similarity::{Scores, Vectors, backward, scores};
use crate::error::Result;

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
        let needs_batch = self.terms.iter().any(|term| term.scope == Scope::Batch);
        let lists: Vec<List> = (0..batch.queries.len())
            .map(|query| List::of(batch, query, needs_batch))
            .collect();
        let pairs: Vec<Vec<usize>> = lists.iter().map(|list| list.documents.clone()).collect();
        let scores = scores(queries, documents, &pairs, self.scale);
        let (outcome, slopes) = self.of_lists(batch, &lists, &scores)?;
        let (of_queries, of_documents) = backward(queries, documents, &pairs, self.scale, &slopes);
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
        let (outcome, mut slopes) = self.of_lists(batch, &lists, &scaled)?;
        let slopes_of_all = slopes.iter_mut().flatten();
        slopes_of_all.for_each(|slope| *slope *= self.scale);
        Ok((outcome, slopes))
    }

    fn of_lists(
        &self,
        batch: &TrainingBatch,
        lists: &[List],
        scores: &Scores,
    ) -> Result<(RankingOutcome, Scores)> {
        let count = lists.len().max(1) as f64;
        let mut outcome = RankingOutcome {
            spread: ScoreSpread::of(scores),
            ..RankingOutcome::default()
        };
        let mut slopes = Scores::new();
        for (query, (list, scores)) in lists.iter().zip(scores).enumerate() {
            let own = batch.lists[query].len();
            let mut of_query = vec![0.0; scores.len()];
            for term in &self.terms {
                let len = match term.scope {
                    Scope::Batch => scores.len(),
                    Scope::Own => own,
                };
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
            slopes.push(of_query);
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
mod tests {
    use super::*;
    use crate::backend::SparseVector;
    use crate::train::data::{Labelled, Text};

    fn labelled(document: usize, target: f64) -> Labelled {
        Labelled {
            document,
            target,
            is_relevant: target > 0.0,
        }
    }

    /// Two queries; the document 2 is relevant to both, though the second query did not bring it.
    fn batch() -> TrainingBatch {
        TrainingBatch {
            queries: ["q0", "q1"].map(Text::new).to_vec(),
            documents: ["d0", "d1", "d2", "d3"].map(Text::new).to_vec(),
            lists: vec![
                vec![labelled(2, 1.0), labelled(0, 0.0)],
                vec![labelled(1, 1.0), labelled(3, 0.0)],
            ],
            forbidden: vec![vec![], vec![2]],
        }
    }

    fn vectors() -> (Vec<SparseVector>, Vec<SparseVector>) {
        let queries = vec![vec![(0, 1.0), (1, 0.5)], vec![(1, 1.0), (2, 2.0)]];
        let documents = vec![
            vec![(0, 0.5)],
            vec![(1, 1.0), (2, 1.0)],
            vec![(0, 2.0), (2, 1.0)],
            vec![(2, 0.25)],
        ];
        (queries, documents)
    }

    fn objective(terms: &[(ListLoss, Scope)]) -> Objective {
        let term = |(loss, scope): &(ListLoss, Scope)| RankingTerm {
            loss: *loss,
            scope: *scope,
            weight: 1.5,
        };
        Objective {
            terms: terms.iter().map(term).collect(),
            scale: 0.5,
        }
    }

    #[test]
    fn in_batch_negatives_leave_out_what_is_relevant() {
        let batch = batch();
        let list = List::of(&batch, 1, true);
        assert_eq!(list.documents, [1, 3, 0]);
        assert_eq!(list.targets, [1.0, 0.0, 0.0]);
        assert_eq!(List::of(&batch, 0, true).documents, [2, 0, 1, 3]);
        assert_eq!(List::of(&batch, 0, false).documents, [2, 0]);
    }

    #[test]
    fn gradients_are_the_slopes_of_the_loss() {
        let objective = objective(&[
            (ListLoss::Softmax, Scope::Batch),
            (ListLoss::MarginMse, Scope::Own),
        ]);
        let (queries, documents) = vectors();
        let loss = |queries: &[SparseVector], documents: &[SparseVector]| {
            let found = objective.of_vectors(queries, documents, &batch());
            found.unwrap().outcome.loss
        };
        let VectorCost {
            outcome,
            of_queries,
            of_documents,
        } = objective
            .of_vectors(&queries[..], &documents[..], &batch())
            .unwrap();
        assert_eq!(outcome.accuracy, 1.0);
        assert!(outcome.spread.within > 0.0);
        for (is_query, gradients) in [(true, of_queries), (false, of_documents)] {
            for (row, gradient) in gradients.iter().enumerate() {
                for (place, found) in gradient.iter().enumerate() {
                    let at = |step: f32| {
                        let (mut queries, mut documents) = vectors();
                        match is_query {
                            true => queries[row][place].1 += step,
                            false => documents[row][place].1 += step,
                        }
                        loss(&queries, &documents)
                    };
                    let expected = (at(1e-2) - at(-1e-2)) / 2e-2;
                    let error = (f64::from(*found) - expected).abs();
                    assert!(error < 1e-4, "{is_query} {row} {place}: {expected} {found}");
                }
            }
        }
    }

    #[test]
    fn scores_of_pairs_are_compared_within_their_lists() {
        let objective = objective(&[(ListLoss::Softmax, Scope::Own)]);
        let scores = vec![vec![2.0, 1.0], vec![0.0, 0.0]];
        let (outcome, slopes) = objective.of_scores(&batch(), &scores).unwrap();
        assert_eq!(outcome.accuracy, 0.5);
        let share = 1.0 / (1.0 + 0.5f64.exp());
        assert!((slopes[0][1] - 1.5 * 0.5 * share / 2.0).abs() < 1e-12);
        assert!((slopes[0][0] + slopes[0][1]).abs() < 1e-12);
        assert!(
            objective
                .of_scores(&batch(), &vec![vec![f64::NAN, 0.0]; 2])
                .is_err()
        );
    }
}
