//! Bi-encoders in training: queries and documents as dense vectors.

use std::sync::Arc;

use super::{BatchOutcome, BatchSettings, Task};
use crate::backend::BackwardOps;
use crate::error::{Error, Result};
use crate::neural::{Encoder, ModelFolder, PooledHead, Tokens};
use crate::train::data::{Text, TrainingBatch};
use crate::train::model::Passes;
use crate::train::objective::Objective;
use crate::train::recorder::Recorder;
use crate::train::similarity::DenseVectors;

/// A bi-encoder in training.
pub struct DenseTask<B: BackwardOps> {
    recorder: Recorder<B>,
    encoder: Encoder<Recorder<B>>,
    head: PooledHead<Recorder<B>>,
    folder: Arc<ModelFolder>,
    prompts: [String; 2],
    limits: [usize; 2],
    tape_tokens: usize,
    objective: Objective,
}

impl<B: BackwardOps> DenseTask<B> {
    /// Loads a model onto a backend. `limits` are the max tokens of queries and of documents.
    ///
    /// # Errors
    ///
    /// As the loading of a model: [`Error::Model`](crate::Error::Model).
    pub fn load(
        backend: B,
        folder: Arc<ModelFolder>,
        limits: [usize; 2],
        tape_tokens: usize,
        objective: Objective,
    ) -> Result<Self> {
        let recorder = Recorder::new(backend);
        let encoder = Encoder::load(&recorder, &folder.config, &folder.weights)?;
        let (head, pools_prompt) = PooledHead::of_folder(&recorder, &folder)?;
        if !pools_prompt {
            return Err(Error::model(
                &folder.path,
                "expected pooling that includes the prompt, which alone can be trained, found one that leaves it out",
            ));
        }
        Ok(Self {
            prompts: [
                folder.prompts.query().to_owned(),
                folder.prompts.document().to_owned(),
            ],
            recorder,
            encoder,
            head,
            folder,
            limits,
            tape_tokens,
            objective,
        })
    }

    fn tokens(&self, texts: &[Text], role: usize) -> Result<Vec<Tokens>> {
        let (prompt, limit) = (&self.prompts[role], self.limits[role]);
        let of = |text: &Text| {
            self.folder
                .tokenizer
                .truncated(&format!("{prompt}{}", text.text), limit)
        };
        texts.iter().map(of).collect()
    }
}

impl<B: BackwardOps> Task<B> for DenseTask<B> {
    fn recorder(&self) -> &Recorder<B> {
        &self.recorder
    }

    fn batch(&mut self, batch: &TrainingBatch, settings: &BatchSettings) -> Result<BatchOutcome> {
        let mut sequences = self.tokens(&batch.queries, 0)?;
        sequences.extend(self.tokens(&batch.documents, 1)?);
        let passes = Passes {
            recorder: &self.recorder,
            encoder: &self.encoder,
            head: &self.head,
            tape_tokens: self.tape_tokens,
        };
        let mut outcome = BatchOutcome {
            tokens: sequences.iter().map(Tokens::len).sum::<usize>() as u64,
            ..BatchOutcome::default()
        };
        let columns = self.head.dimensions();
        let sequences: Vec<&Tokens> = sequences.iter().collect();
        passes.step(&sequences, settings.dropout, |mut rows| {
            let documents =
                DenseVectors::new(columns, rows.split_off(batch.queries.len()).concat())?;
            let queries = DenseVectors::new(columns, rows.concat())?;
            let cost = self.objective.of_vectors(&queries, &documents, batch)?;
            (outcome.loss, outcome.ranking) = (cost.outcome.loss, cost.outcome);
            let mut gradients = cost.of_queries;
            gradients.extend(cost.of_documents);
            Ok(gradients)
        })?;
        Ok(outcome)
    }
}
