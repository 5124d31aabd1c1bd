//! What the sparse vectors of a batch cost: ranking or alignment, and regularizers.

use crate::backend::SparseVector;
use crate::error::Result;
use crate::train::data::TrainingBatch;
use crate::train::health::ScoreSpread;
use crate::train::loss::{Sparsity, alignment};
use crate::train::objective::{RankingOutcome, VectorCost};
use crate::train::similarity::scores;
use crate::train::task::{BatchOutcome, BatchSettings};
use crate::train::watch::SparsityRecord;

use super::SparseTaskOptions;

/// What a batch's vectors cost, and the gradients.
pub(super) struct Cost {
    pub outcome: BatchOutcome,
    pub of_queries: Vec<Vec<f32>>,
    pub of_documents: Vec<Vec<f32>>,
}

/// The loss of a batch, with gradients of the documents' vectors, and of the queries' if they learn.
struct Loss {
    ranking: RankingOutcome,
    of_queries: Vec<Vec<f32>>,
    of_documents: Vec<Vec<f32>>,
}

impl SparseTaskOptions {
    /// The cost of ranking documents for queries.
    pub(super) fn ranked(
        &self,
        queries: &[SparseVector],
        documents: &[SparseVector],
        batch: &TrainingBatch,
        settings: &BatchSettings,
    ) -> Result<Cost> {
        let VectorCost {
            outcome: ranking,
            of_queries,
            of_documents,
        } = self.objective.of_vectors(queries, documents, batch)?;
        let loss = Loss {
            ranking,
            of_queries,
            of_documents,
        };
        Ok(self.regularized(loss, queries, documents, settings))
    }

    /// The cost of documents that are not their targets, the vectors that a teacher has of the
    /// queries. The accuracy is the share of targets that are nearest to their own document.
    pub(super) fn aligned(
        &self,
        targets: &[SparseVector],
        documents: &[SparseVector],
        batch: &TrainingBatch,
        settings: &BatchSettings,
    ) -> Cost {
        let all: Vec<usize> = (0..documents.len()).collect();
        let found = scores(targets, documents, &vec![all; targets.len()], 1.0);
        let mut ranking = RankingOutcome {
            spread: ScoreSpread::of(&found),
            ..RankingOutcome::default()
        };
        let count = targets.len().max(1) as f64;
        let zeros = |vectors: &[SparseVector]| -> Vec<Vec<f32>> {
            vectors
                .iter()
                .map(|vector| vec![0.0; vector.len()])
                .collect()
        };
        let mut of_documents = zeros(documents);
        for ((target, list), scores) in targets.iter().zip(&batch.lists).zip(&found) {
            let Some(own) = list.first().map(|labelled| labelled.document) else {
                continue;
            };
            let loss = alignment(&documents[own], target);
            ranking.loss += loss.value / count;
            for (sum, slope) in of_documents[own].iter_mut().zip(&loss.gradient) {
                *sum += (slope / count) as f32;
            }
            let others = scores.iter().enumerate();
            let is_nearest = others
                .filter(|(document, _)| *document != own)
                .all(|(_, score)| *score < scores[own]);
            ranking.accuracy += f64::from(u8::from(is_nearest)) / count;
        }
        let loss = Loss {
            ranking,
            of_queries: zeros(targets),
            of_documents,
        };
        // The teacher's vectors cannot become sparser.
        let settings = BatchSettings {
            lambda_queries: 0.0,
            ..*settings
        };
        self.regularized(loss, targets, documents, &settings)
    }

    /// Adds the regularizers.
    fn regularized(
        &self,
        loss: Loss,
        queries: &[SparseVector],
        documents: &[SparseVector],
        settings: &BatchSettings,
    ) -> Cost {
        let Loss {
            ranking,
            mut of_queries,
            mut of_documents,
        } = loss;
        let mut sum = ranking.loss;
        let mut regularize =
            |sparsity: &Sparsity, lambda: f64, vectors: &[SparseVector], sums: &mut [Vec<f32>]| {
                let (value, gradients) = sparsity.of(vectors);
                sum += lambda * value;
                for (sum, slope) in sums.iter_mut().flatten().zip(gradients.iter().flatten()) {
                    *sum += (lambda * slope) as f32;
                }
                record(vectors, value, lambda)
            };
        let of_query = regularize(
            &self.of_queries,
            settings.lambda_queries,
            queries,
            &mut of_queries,
        );
        let of_document = regularize(
            &self.of_documents,
            settings.lambda_documents,
            documents,
            &mut of_documents,
        );
        Cost {
            outcome: BatchOutcome {
                loss: sum,
                ranking,
                queries: Some(of_query),
                documents: Some(of_document),
                tokens: 0,
            },
            of_queries,
            of_documents,
        }
    }
}

fn record(vectors: &[SparseVector], regularizer: f64, lambda: f64) -> SparsityRecord {
    let weights = vectors.iter().flatten().map(|(_, weight)| *weight);
    SparsityRecord {
        active_terms: vectors.iter().map(Vec::len).sum::<usize>() as f64
            / vectors.len().max(1) as f64,
        regularizer,
        lambda,
        max_weight: f64::from(weights.fold(0.0, f32::max)),
    }
}
