//! SPLADE in training: siamese, or with queries from a table, or with an echo of a document's tokens.

use std::sync::Arc;

use super::{BatchOutcome, BatchSettings, Task};
use crate::backend::{BackwardOps, SparseVector, SpladeActivation, SpladePooling};
use crate::error::Result;
use crate::neural::{Encoder, ModelFolder, SpladeHead, Tokens};
use crate::train::data::{Text, TrainingBatch};
use crate::train::loss::Sparsity;
use crate::train::model::{Passes, Places, TokenTable, sum};
use crate::train::objective::{Objective, VectorCost};
use crate::train::recorder::Recorder;
use crate::train::watch::SparsityRecord;

/// What a [`SparseTask`] trains.
#[derive(Clone, Debug)]
pub struct SparseTaskOptions {
    /// How tokens' logits become weights.
    pub pooling: SpladePooling,
    /// The same.
    pub activation: SpladeActivation,
    /// The weights of query tokens at the start; queries are encoded by the transformer without.
    pub query_table: Option<Vec<f32>>,
    /// The weights of a document's own tokens at the start; there is no echo without.
    pub echo: Option<Vec<f32>>,
    /// Max tokens of a query.
    pub query_tokens: usize,
    /// Max tokens of a document.
    pub document_tokens: usize,
    /// Max tokens of a tape.
    pub tape_tokens: usize,
    /// The ranking losses.
    pub objective: Objective,
    /// The regularizer of queries.
    pub of_queries: Sparsity,
    /// The regularizer of documents.
    pub of_documents: Sparsity,
}

/// A SPLADE model in training.
pub struct SparseTask<B: BackwardOps> {
    recorder: Recorder<B>,
    encoder: Encoder<Recorder<B>>,
    head: SpladeHead<Recorder<B>>,
    query_table: Option<TokenTable>,
    echo: Option<TokenTable>,
    folder: Arc<ModelFolder>,
    query_prompt: String,
    document_prompt: String,
    options: SparseTaskOptions,
}

impl<B: BackwardOps> SparseTask<B> {
    /// Loads a model onto a backend.
    ///
    /// # Errors
    ///
    /// As the loading of a model: [`Error::Model`](crate::Error::Model).
    pub fn load(
        backend: B,
        folder: Arc<ModelFolder>,
        mut options: SparseTaskOptions,
    ) -> Result<Self> {
        let recorder = Recorder::new(backend);
        let (config, weights) = (&folder.config, &folder.weights);
        let encoder = Encoder::load(&recorder, config, weights)?;
        let (activation, pooling) = (options.activation, options.pooling);
        let head = SpladeHead::load(&recorder, config, weights, activation, pooling)?;
        let table = |name: &str, values: Option<Vec<f32>>| {
            values
                .map(|values| TokenTable::new(&recorder, name, values))
                .transpose()
        };
        Ok(Self {
            query_table: table("tables.query", options.query_table.take())?,
            echo: table("tables.echo", options.echo.take())?,
            query_prompt: folder.prompts.query().to_owned(),
            document_prompt: folder.prompts.document().to_owned(),
            recorder,
            encoder,
            head,
            options,
            folder,
        })
    }

    fn tokens(&self, texts: &[Text], prompt: &str, limit: usize) -> Result<Vec<Tokens>> {
        let of = |text: &Text| match prompt.is_empty() {
            true => self.folder.tokenizer.truncated(&text.text, limit),
            false => self
                .folder
                .tokenizer
                .truncated(&format!("{prompt}{}", text.text), limit),
        };
        texts.iter().map(of).collect()
    }

    /// The ids of texts without special tokens, for look-ups.
    fn own_tokens(&self, texts: &[Text], limit: usize) -> Result<Vec<Vec<u32>>> {
        let room = limit.saturating_sub(self.folder.tokenizer.special_tokens());
        let of = |text: &Text| {
            let mut ids = self
                .folder
                .tokenizer
                .encode_without_special_tokens(&text.text)?;
            ids.truncate(room);
            Ok(ids)
        };
        texts.iter().map(of).collect()
    }
}

/// What a batch's vectors cost, and the gradients.
struct Cost {
    outcome: BatchOutcome,
    of_queries: Vec<Vec<f32>>,
    of_documents: Vec<Vec<f32>>,
}

impl SparseTaskOptions {
    fn cost(
        &self,
        queries: &[SparseVector],
        documents: &[SparseVector],
        batch: &TrainingBatch,
        settings: &BatchSettings,
    ) -> Result<Cost> {
        let VectorCost {
            outcome: ranking,
            mut of_queries,
            mut of_documents,
        } = self.objective.of_vectors(queries, documents, batch)?;
        let mut loss = ranking.loss;
        let mut regularize =
            |sparsity: &Sparsity, lambda: f64, vectors: &[SparseVector], sums: &mut [Vec<f32>]| {
                let (value, gradients) = sparsity.of(vectors);
                loss += lambda * value;
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
        Ok(Cost {
            outcome: BatchOutcome {
                loss,
                ranking,
                queries: Some(of_query),
                documents: Some(of_document),
                tokens: 0,
            },
            of_queries,
            of_documents,
        })
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

impl<B: BackwardOps> Task<B> for SparseTask<B> {
    fn recorder(&self) -> &Recorder<B> {
        &self.recorder
    }

    fn batch(&mut self, batch: &TrainingBatch, settings: &BatchSettings) -> Result<BatchOutcome> {
        let options = &self.options;
        let mut sequences = match &self.query_table {
            None => self.tokens(&batch.queries, &self.query_prompt, options.query_tokens)?,
            Some(_) => Vec::new(),
        };
        let encoded_queries = sequences.len();
        sequences.extend(self.tokens(
            &batch.documents,
            &self.document_prompt,
            options.document_tokens,
        )?);
        let tokens: usize = sequences.iter().map(Tokens::len).sum();
        let looked_up: Option<Vec<SparseVector>> = match &self.query_table {
            Some(table) => {
                let ids = self.own_tokens(&batch.queries, options.query_tokens)?;
                Some(ids.iter().map(|ids| table.vector(ids)).collect())
            }
            None => None,
        };
        let echoes: Option<Vec<SparseVector>> = match &self.echo {
            Some(table) => {
                let ids = self.own_tokens(&batch.documents, options.document_tokens)?;
                Some(ids.iter().map(|ids| table.vector(ids)).collect())
            }
            None => None,
        };
        let passes = Passes {
            recorder: &self.recorder,
            encoder: &self.encoder,
            head: &self.head,
            tape_tokens: options.tape_tokens,
        };
        let mut outcome = BatchOutcome::default();
        let (query_table, echo) = (&mut self.query_table, &mut self.echo);
        let sequences: Vec<&Tokens> = sequences.iter().collect();
        passes.step(&sequences, settings.dropout, |mut rows| {
            let documents = rows.split_off(encoded_queries);
            let queries = looked_up.as_ref().unwrap_or(&rows);
            let sums = echoes.as_ref().map(|echoes| {
                let both = documents.iter().zip(echoes);
                both.map(|(vector, echo)| sum(vector, echo)).unzip()
            });
            let (documents_with_echo, places): (Vec<SparseVector>, Vec<_>) =
                sums.unwrap_or_else(|| (documents.clone(), Vec::new()));
            let cost = options.cost(queries, &documents_with_echo, batch, settings)?;
            outcome = cost.outcome;
            let mut gradients = match (query_table, &looked_up) {
                (Some(table), Some(vectors)) => {
                    for (vector, gradient) in vectors.iter().zip(&cost.of_queries) {
                        table.add(vector, gradient);
                    }
                    Vec::new()
                }
                _ => cost.of_queries,
            };
            let (Some(table), Some(echoes)) = (echo, &echoes) else {
                gradients.extend(cost.of_documents);
                return Ok(gradients);
            };
            for (number, gradient) in cost.of_documents.iter().enumerate() {
                let (of_vector, of_echo) = split(
                    gradient,
                    &places[number],
                    documents[number].len(),
                    echoes[number].len(),
                );
                table.add(&echoes[number], &of_echo);
                gradients.push(of_vector);
            }
            Ok(gradients)
        })?;
        outcome.tokens = tokens as u64;
        Ok(outcome)
    }

    fn before_step(&mut self) -> Result<()> {
        let tables = [&mut self.query_table, &mut self.echo];
        let mut tables = tables.into_iter().flatten();
        tables.try_for_each(|table| table.flush(&self.recorder))
    }

    fn after_step(&mut self) -> Result<()> {
        let tables = [&mut self.query_table, &mut self.echo];
        let mut tables = tables.into_iter().flatten();
        tables.try_for_each(|table| table.refresh(&self.recorder))
    }
}

/// The gradients of both terms of a [`sum`] from that of the sum.
fn split(
    gradient: &[f32],
    places: &[Places],
    of_one: usize,
    of_other: usize,
) -> (Vec<f32>, Vec<f32>) {
    let (mut one, mut other) = (vec![0.0; of_one], vec![0.0; of_other]);
    for (slope, (in_one, in_other)) in gradient.iter().zip(places) {
        if let Some(place) = in_one {
            one[*place] = *slope;
        }
        if let Some(place) = in_other {
            other[*place] = *slope;
        }
    }
    (one, other)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::backend::Scalar;
    use crate::train::data::Labelled;
    use crate::train::loss::{ListLoss, Norm};
    use crate::train::objective::{RankingTerm, Scope};

    fn batch() -> TrainingBatch {
        let labelled = |document, target| Labelled {
            document,
            target,
            is_relevant: target > 0.0,
        };
        TrainingBatch {
            queries: ["Lava flows.", "honey"].map(Text::new).to_vec(),
            documents: [
                "Lava flows from the volcano.",
                "Bees make honey.",
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

    /// The gradients of tables are the slopes of the loss, with the transformer's vectors beside
    /// them.
    #[test]
    fn tables_learn() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models/splade-max");
        let folder = Arc::new(ModelFolder::open(&folder).unwrap());
        let vocabulary = folder.config.vocabulary;
        let values = |factor: usize| {
            let value = move |place: usize| 0.5 + (place * factor % 7) as f32 / 7.0;
            (0..vocabulary).map(value).collect::<Vec<f32>>()
        };
        let flops = Sparsity {
            norm: Norm::Flops,
            term_factors: Vec::new(),
        };
        let load = |query_table: Vec<f32>, echo: Vec<f32>| {
            let options = SparseTaskOptions {
                pooling: SpladePooling::Max,
                activation: SpladeActivation::Log1pRelu,
                query_table: Some(query_table),
                echo: Some(echo),
                query_tokens: 16,
                document_tokens: 16,
                tape_tokens: 1_000,
                objective: Objective {
                    terms: vec![RankingTerm {
                        loss: ListLoss::Softmax,
                        scope: Scope::Batch,
                        weight: 1.0,
                    }],
                    scale: 0.2,
                },
                of_queries: flops.clone(),
                of_documents: flops.clone(),
            };
            SparseTask::load(Scalar::<f64>::default(), Arc::clone(&folder), options).unwrap()
        };
        let settings = BatchSettings {
            lambda_queries: 0.01,
            lambda_documents: 0.02,
            ..BatchSettings::default()
        };
        let loss = |query_table, echo| {
            let mut task = load(query_table, echo);
            task.batch(&batch(), &settings).unwrap().loss
        };
        let mut task = load(values(3), values(5));
        task.batch(&batch(), &settings).unwrap();
        task.before_step().unwrap();
        let parameters = task.recorder().parameters();
        for (name, factor) in [("tables.query", 3), ("tables.echo", 5)] {
            let gradient = parameters.find(name).unwrap().gradient.lock().unwrap();
            let places = (0..vocabulary).filter(|place| gradient[*place] != 0.0);
            let places: Vec<usize> = places.collect();
            assert!(places.len() > 2, "{name}");
            for place in places {
                let at = |step: f32| {
                    let mut moved = values(factor);
                    moved[place] += step;
                    match name {
                        "tables.query" => loss(moved, values(5)),
                        _ => loss(values(3), moved),
                    }
                };
                let expected = (at(1e-2) - at(-1e-2)) / 2e-2;
                let error = (gradient[place] - expected).abs();
                assert!(
                    error < 1e-4,
                    "{name} {place}: {expected} {}",
                    gradient[place]
                );
            }
        }
    }
}
