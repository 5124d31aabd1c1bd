//! Late interaction in training: a vector for each token, compared by MaxSim.

use std::sync::Arc;

use super::{BatchOutcome, BatchSettings, Task};
use crate::backend::BackwardOps;
use crate::error::Result;
use crate::neural::{Encoder, LateHead, LateInteraction, ModelFolder, Role, Tokens};
use crate::train::data::{Text, TrainingBatch};
use crate::train::model::Passes;
use crate::train::objective::Objective;
use crate::train::recorder::Recorder;
use crate::train::similarity::TokenVectors;

/// A model of late interaction in training.
pub struct LateTask<B: BackwardOps> {
    recorder: Recorder<B>,
    encoder: Encoder<Recorder<B>>,
    head: LateHead<Recorder<B>>,
    folder: Arc<ModelFolder>,
    settings: LateInteraction,
    tape_tokens: usize,
    objective: Objective,
}

impl<B: BackwardOps> LateTask<B> {
    /// Loads a model onto a backend: one of late interaction with its own settings, or an encoder with
    /// an added projection. `limits` are the max tokens of queries and of documents for the latter.
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
        let (head, settings) = match &folder.late {
            Some(settings) => (LateHead::of_folder(&recorder, &folder)?, settings.clone()),
            None => (
                LateHead::load(&recorder, &folder.weights, folder.config.hidden)?,
                LateInteraction::added(&folder.tokenizer, limits[0], limits[1]),
            ),
        };
        Ok(Self {
            recorder,
            encoder,
            head,
            folder,
            settings,
            tape_tokens,
            objective,
        })
    }

    /// The tokens of texts, and for each text those whose vectors count.
    fn tokens(&self, texts: &[Text], role: Role) -> Result<(Vec<Tokens>, Vec<Vec<u32>>)> {
        let (folder, settings) = (&self.folder, &self.settings);
        let of = |text: &Text| match role {
            Role::Query => {
                let text = format!("{}{}", folder.prompts.query(), text.text);
                settings.tokens_of_query(&folder.tokenizer, &text)
            }
            Role::Document => {
                let text = format!("{}{}", folder.prompts.document(), text.text);
                let room = settings.document_room();
                let mut tokens = folder.tokenizer.truncated(&text, room)?;
                settings.prefix_document(&mut tokens);
                Ok(tokens)
            }
        };
        let tokens = texts.iter().map(of).collect::<Result<Vec<Tokens>>>()?;
        let skipped = settings.skipped_of(role);
        let kept = tokens.iter().map(|tokens| {
            let places = (0u32..).zip(&tokens.ids);
            let kept = places.filter(|(_, id)| skipped.binary_search(id).is_err());
            kept.map(|(place, _)| place).collect()
        });
        let kept = kept.collect();
        Ok((tokens, kept))
    }
}

impl<B: BackwardOps> Task<B> for LateTask<B> {
    fn recorder(&self) -> &Recorder<B> {
        &self.recorder
    }

    fn batch(&mut self, batch: &TrainingBatch, settings: &BatchSettings) -> Result<BatchOutcome> {
        let (mut sequences, of_queries) = self.tokens(&batch.queries, Role::Query)?;
        let (documents, of_documents) = self.tokens(&batch.documents, Role::Document)?;
        sequences.extend(documents);
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
            let documents = rows.split_off(batch.queries.len());
            let documents = TokenVectors::new(columns, documents, of_documents)?;
            let queries = TokenVectors::new(columns, rows, of_queries)?;
            let cost = self
                .objective
                .of_token_vectors(&queries, &documents, batch)?;
            (outcome.loss, outcome.ranking) = (cost.outcome.loss, cost.outcome);
            let mut gradients = cost.of_queries;
            gradients.extend(cost.of_documents);
            Ok(gradients)
        })?;
        Ok(outcome)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::backend::{Reference, Scalar};
    use crate::neural::LateEncoder;
    use crate::rank::Scorer;
    use crate::train::data::Labelled;
    use crate::train::loss::ListLoss;
    use crate::train::objective::{RankingTerm, Scope};

    fn load(name: &str, tape_tokens: usize) -> LateTask<Scalar<f64>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/neural/models")
            .join(name);
        let folder = Arc::new(ModelFolder::open(&folder).unwrap());
        let objective = Objective {
            terms: vec![RankingTerm {
                loss: ListLoss::Softmax,
                scope: Scope::Batch,
                weight: 1.0,
            }],
            scale: 1.0,
        };
        let backend = Scalar::<f64>::default();
        LateTask::load(backend, folder, [16, 24], tape_tokens, objective).unwrap()
    }

    fn batch() -> TrainingBatch {
        let labelled = |document, target| Labelled {
            document,
            target,
            is_relevant: target > 0.0,
        };
        TrainingBatch {
            queries: ["Lava flows!", "honey"].map(Text::new).to_vec(),
            documents: [
                "Lava flows from the volcano.",
                "Bees, they say, make honey.",
                "The volcano is quiet.",
            ]
            .map(Text::new)
            .to_vec(),
            lists: vec![
                vec![labelled(0, 1.0), labelled(2, 0.0)],
                vec![labelled(1, 1.0)],
            ],
            forbidden: vec![Vec::new(); 2],
        }
    }

    /// The loss is that of the scores which the encoder gives: prefixes, skipped punctuation and all.
    #[test]
    fn scores_in_training_are_those_of_the_encoder() {
        for name in ["colbert", "colbert-pylate"] {
            let mut task = load(name, 1_000);
            let batch = batch();
            let found = task.batch(&batch, &BatchSettings::default()).unwrap();
            let folder = ModelFolder::open(&task.folder.path).unwrap();
            let encoder = LateEncoder::load(folder, Reference).unwrap();
            let texts: Vec<&str> = batch.documents.iter().map(|text| &*text.text).collect();
            let mut expected = 0.0;
            for (query, relevant) in [(0, 0), (1, 1)] {
                let scores = encoder.scores(&batch.queries[query].text, &texts).unwrap();
                let sum: f64 = scores.iter().map(|score| f64::from(*score).exp()).sum();
                expected -= (f64::from(scores[relevant]).exp() / sum).ln() / 2.0;
            }
            assert!(
                (found.loss - expected).abs() < 1e-4,
                "{name}: {} {expected}",
                found.loss
            );
        }
    }

    /// The gradients of the projection are the slopes of the loss, and those in chunks are the same.
    #[test]
    fn gradients_are_the_slopes_of_the_loss() {
        let gradients = |task: &LateTask<Scalar<f64>>| {
            let parameters = task.recorder.parameters();
            let master = parameters.find("linear.weight").unwrap();
            master.gradient.lock().unwrap().clone()
        };
        let settings = BatchSettings::default();
        let mut task = load("colbert", 1_000);
        task.batch(&batch(), &settings).unwrap();
        let found = gradients(&task);
        let mut in_chunks = load("colbert", 10);
        in_chunks.batch(&batch(), &settings).unwrap();
        for (one, other) in found.iter().zip(gradients(&in_chunks)) {
            assert!((one - other).abs() < 1e-9);
        }
        let at = |place: usize, step: f64| {
            let mut task = load("colbert", 1_000);
            let recorder = task.recorder.clone();
            {
                let mut parameters = recorder.parameters_mut();
                let mut masters = parameters.masters_mut().iter_mut();
                let master = masters.find(|master| master.name == "linear.weight");
                master.unwrap().value[place] += step;
                parameters.pack(recorder.backend()).unwrap();
            }
            task.batch(&batch(), &settings).unwrap().loss
        };
        for place in (0..found.len()).step_by(37) {
            let expected = (at(place, 2e-3) - at(place, -2e-3)) / 4e-3;
            assert!(
                (found[place] - expected).abs() < 2e-3,
                "{place}: {expected} {}",
                found[place]
            );
        }
    }
}
