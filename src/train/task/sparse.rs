//! SPLADE in training: siamese, or with queries from a table, or with an echo of a text's tokens; for
//! ranking, or towards the vectors that a teacher has of parallel texts.
//!
//! | file | concept |
//! | --- | --- |
//! | `cost` | what the vectors of a batch cost |
//! | `side` | vectors of the transformer and of own tokens, and gradients back to both |

mod cost;
mod side;

use std::sync::Arc;

use super::{BatchOutcome, BatchSettings, Task};
use crate::backend::{BackwardOps, SpladeActivation, SpladePooling};
use crate::error::Result;
use crate::neural::{Encoder, ModelFolder, SparseTextEncoder, SpladeHead, Tokens};
use crate::train::data::{Text, TrainingBatch};
use crate::train::loss::Sparsity;
use crate::train::model::{Passes, TokenTable};
use crate::train::objective::Objective;
use crate::train::recorder::Recorder;
use side::{Prepared, Side};

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
    /// The same for queries, which the transformer encodes then.
    pub query_echo: Option<Vec<f32>>,
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
    query_echo: Option<TokenTable>,
    teacher: Option<Box<dyn SparseTextEncoder>>,
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
            query_echo: table("tables.query-echo", options.query_echo.take())?,
            teacher: None,
            query_prompt: folder.prompts.query().to_owned(),
            document_prompt: folder.prompts.document().to_owned(),
            recorder,
            encoder,
            head,
            options,
            folder,
        })
    }

    /// Aligns instead of ranking: a document's vector is drawn to the one that the teacher has of the
    /// query which the document is the translation of. The teacher reads queries as documents.
    #[must_use]
    pub fn aligned_with(mut self, teacher: Box<dyn SparseTextEncoder>) -> Self {
        self.teacher = Some(teacher);
        self
    }

    fn queries(&self, batch: &TrainingBatch) -> Result<Prepared> {
        let limit = self.options.query_tokens;
        let own = match (&self.teacher, &self.query_table) {
            (Some(teacher), _) => {
                let texts: Vec<&str> = batch.queries.iter().map(|query| &*query.text).collect();
                Some(teacher.encode_documents(&texts)?)
            }
            (None, Some(table)) => {
                let ids = self.own_tokens(&batch.queries, limit)?;
                Some(ids.iter().map(|ids| table.vector(ids)).collect())
            }
            (None, None) => None,
        };
        match own {
            Some(own) => Ok(Prepared {
                sequences: Vec::new(),
                own: Some(own),
            }),
            None => self.prepared(
                &batch.queries,
                &self.query_prompt,
                limit,
                self.query_echo.as_ref(),
            ),
        }
    }

    fn documents(&self, batch: &TrainingBatch) -> Result<Prepared> {
        let limit = self.options.document_tokens;
        self.prepared(
            &batch.documents,
            &self.document_prompt,
            limit,
            self.echo.as_ref(),
        )
    }

    /// The tokens of texts, with their echo. Special tokens have no weight in its table.
    fn prepared(
        &self,
        texts: &[Text],
        prompt: &str,
        limit: usize,
        echo: Option<&TokenTable>,
    ) -> Result<Prepared> {
        let sequences = self.tokens(texts, prompt, limit)?;
        let own = echo.map(|table| {
            let tokens = sequences.iter();
            tokens.map(|tokens| table.vector(&tokens.ids)).collect()
        });
        Ok(Prepared { sequences, own })
    }

    fn tables(&mut self) -> impl Iterator<Item = &mut TokenTable> {
        let tables = [&mut self.query_table, &mut self.echo, &mut self.query_echo];
        tables.into_iter().flatten()
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

impl<B: BackwardOps> Task<B> for SparseTask<B> {
    fn recorder(&self) -> &Recorder<B> {
        &self.recorder
    }

    fn batch(&mut self, batch: &TrainingBatch, settings: &BatchSettings) -> Result<BatchOutcome> {
        let (queries, documents) = (self.queries(batch)?, self.documents(batch)?);
        let options = &self.options;
        let passes = Passes {
            recorder: &self.recorder,
            encoder: &self.encoder,
            head: &self.head,
            tape_tokens: options.tape_tokens,
        };
        let sequences = queries.sequences.iter().chain(&documents.sequences);
        let sequences: Vec<&Tokens> = sequences.collect();
        let tokens: usize = sequences.iter().map(|tokens| tokens.len()).sum();
        let is_aligned = self.teacher.is_some();
        // A query's own tokens have one table: that which encodes them, or that of the echo.
        let of_queries = self.query_table.as_mut().or(self.query_echo.as_mut());
        let of_documents = self.echo.as_mut();
        let mut outcome = BatchOutcome::default();
        passes.step(&sequences, settings.dropout, |mut rows| {
            let encoded = rows.split_off(queries.sequences.len());
            let queries = Side::of(rows, queries.own);
            let documents = Side::of(encoded, documents.own);
            let cost = match is_aligned {
                true => options.aligned(&queries.vectors, &documents.vectors, batch, settings),
                false => options.ranked(&queries.vectors, &documents.vectors, batch, settings)?,
            };
            outcome = cost.outcome;
            let of_queries = of_queries.filter(|_| !is_aligned);
            let mut gradients = queries.backward(cost.of_queries, of_queries);
            gradients.extend(documents.backward(cost.of_documents, of_documents));
            Ok(gradients)
        })?;
        outcome.tokens = tokens as u64;
        Ok(outcome)
    }

    fn before_step(&mut self) -> Result<()> {
        let recorder = self.recorder.clone();
        self.tables().try_for_each(|table| table.flush(&recorder))
    }

    fn after_step(&mut self) -> Result<()> {
        let recorder = self.recorder.clone();
        self.tables().try_for_each(|table| table.refresh(&recorder))
    }
}

#[cfg(test)]
mod tests;
