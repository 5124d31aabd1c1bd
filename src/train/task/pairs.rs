//! Cross-encoders in training: a query and each of its documents read together.

use std::sync::Arc;

use super::{BatchOutcome, BatchSettings, Task};
use crate::backend::BackwardOps;
use crate::error::{Error, Result};
use crate::neural::{CrossHead, Encoder, ModelFolder, Tokens};
use crate::train::data::TrainingBatch;
use crate::train::model::Passes;
use crate::train::objective::{Objective, graded};
use crate::train::recorder::Recorder;
use crate::train::similarity::Scores;

/// A cross-encoder in training: with one label, whose logit is the score of a pair, or with a label for
/// each grade.
pub struct PairTask<B: BackwardOps> {
    recorder: Recorder<B>,
    encoder: Encoder<Recorder<B>>,
    head: CrossHead<Recorder<B>>,
    folder: Arc<ModelFolder>,
    max_tokens: usize,
    tape_tokens: usize,
    objective: Objective,
}

impl<B: BackwardOps> PairTask<B> {
    /// Loads a model with some labels onto a backend; `max_tokens` are those of a pair. With more than
    /// one label the objective is the cross-entropy of grades instead of `objective`.
    ///
    /// # Errors
    ///
    /// As the loading of a model: [`Error::Model`]; and for a head of other labels.
    pub fn load(
        backend: B,
        folder: Arc<ModelFolder>,
        labels: usize,
        max_tokens: usize,
        tape_tokens: usize,
        objective: Objective,
    ) -> Result<Self> {
        let recorder = Recorder::new(backend);
        let (config, weights) = (&folder.config, &folder.weights);
        let encoder = Encoder::load(&recorder, config, weights)?;
        let head = CrossHead::load(&recorder, config, weights)?;
        if head.labels() != labels {
            return Err(Error::model(
                &folder.path,
                format!(
                    "expected a classifier with {labels} labels, found {}; set `labels` to train grades",
                    head.labels()
                ),
            ));
        }
        Ok(Self {
            recorder,
            encoder,
            head,
            folder,
            max_tokens,
            tape_tokens,
            objective,
        })
    }
}

impl<B: BackwardOps> Task<B> for PairTask<B> {
    fn recorder(&self) -> &Recorder<B> {
        &self.recorder
    }

    fn batch(&mut self, batch: &TrainingBatch, settings: &BatchSettings) -> Result<BatchOutcome> {
        let mut pairs = Vec::new();
        for (query, list) in batch.queries.iter().zip(&batch.lists) {
            for labelled in list {
                let document = &batch.documents[labelled.document];
                let tokens = self.folder.tokenizer.encode_pair(
                    &query.text,
                    &document.text,
                    self.max_tokens,
                )?;
                pairs.push(tokens);
            }
        }
        let passes = Passes {
            recorder: &self.recorder,
            encoder: &self.encoder,
            head: &self.head,
            tape_tokens: self.tape_tokens,
        };
        let mut outcome = BatchOutcome {
            tokens: pairs.iter().map(Tokens::len).sum::<usize>() as u64,
            ..BatchOutcome::default()
        };
        let pairs: Vec<&Tokens> = pairs.iter().collect();
        let is_graded = self.head.labels() > 1;
        passes.step(&pairs, settings.dropout, |rows| {
            if is_graded {
                let (ranking, gradients) = graded(batch, &rows)?;
                (outcome.loss, outcome.ranking) = (ranking.loss, ranking);
                return Ok(gradients);
            }
            let mut logits = rows.iter().flatten().map(|logit| f64::from(*logit));
            let of_list = |list: &Vec<_>| logits.by_ref().take(list.len()).collect();
            let scores: Scores = batch.lists.iter().map(of_list).collect();
            let (ranking, slopes) = self.objective.of_scores(batch, &scores)?;
            (outcome.loss, outcome.ranking) = (ranking.loss, ranking);
            let slopes = slopes.into_iter().flatten();
            Ok(slopes.map(|slope| vec![slope as f32]).collect())
        })?;
        Ok(outcome)
    }
}
