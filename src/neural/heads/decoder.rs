//! The decoder of T5, run for one step: the logits of two answers, by which monoT5 re-ranks.

use crate::backend::{Activation, Backend, CrossAttention, Pooling};
use crate::error::{Error, Result};
use crate::neural::config::{ModelConfig, T5Decoder};
use crate::neural::encoder::feed_forward::FeedForward;
use crate::neural::encoder::parts::{Bias, Dense, Loader, RowNorm};
use crate::neural::encoder::word_embeddings;
use crate::neural::weights::Weights;

/// The first step of a T5 decoder over the hidden states of its encoder, and the rows of the
/// language model's head for a few tokens.
///
/// There is one position, that of the start token. Its self-attention sees nothing but itself, so
/// that its weight is 1 and the result is the projection of its value; keys, queries and relative
/// positions have no effect and are not loaded. Its cross-attention has no positions in T5.
pub struct DecoderHead<B: Backend> {
    /// The embedding of the start token, alone.
    start: B::Table,
    layers: Vec<Layer<B>>,
    final_norm: RowNorm<B>,
    answers: Dense<B>,
    labels: usize,
    heads: usize,
    head_size: usize,
}

struct Layer<B: Backend> {
    self_norm: RowNorm<B>,
    value: Dense<B>,
    self_output: Dense<B>,
    cross_norm: RowNorm<B>,
    query: Dense<B>,
    /// Keys and values of the encoder's outputs.
    memory: Dense<B>,
    cross_output: Dense<B>,
    feed_forward: FeedForward<B>,
}

impl<B: Backend> DecoderHead<B> {
    /// Loads the decoder, and of the language model's head the rows of `answers`, which are tokens of
    /// the vocabulary.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if the model has no decoder, for a tensor that is missing or of another shape
    /// than the configuration says, and for an answer outside of the vocabulary.
    pub fn load(
        backend: &B,
        config: &ModelConfig,
        weights: &Weights,
        answers: &[u32],
    ) -> Result<Self> {
        let Some(T5Decoder {
            layers,
            start,
            scales_outputs,
        }) = config.decoder
        else {
            return Err(Error::model(
                weights.folder(),
                "a re-ranker with a decoder: expected an architecture such as T5ForConditionalGeneration in config.json, found none",
            ));
        };
        let loader = Loader::new(backend, weights);
        // Some files have a head of their own although their configuration says that it is tied.
        let own = "lm_head.weight";
        let is_tied = config.ties_embeddings && !weights.has(own);
        let words = Rows::read(weights, word_embeddings(config.family), config)?;
        let start = backend.table(1, config.hidden, &words.of(&[start])?)?;
        let tied = is_tied.then(|| words.of(answers)).transpose()?;
        // Tables of many languages are large: one at a time is in memory.
        drop(words);
        let mut rows = match tied {
            Some(rows) => rows,
            None => Rows::read(weights, own, config)?.of(answers)?,
        };
        if scales_outputs {
            let scale = (config.hidden as f32).sqrt().recip();
            rows.iter_mut().for_each(|value| *value *= scale);
        }
        let layers = (0..layers).map(|index| Layer::load(&loader, config, index));
        Ok(Self {
            start,
            layers: layers.collect::<Result<_>>()?,
            final_norm: loader.rms_norm(
                "decoder.final_layer_norm",
                config.hidden,
                config.norm_epsilon,
            )?,
            answers: loader.dense_of(answers.len(), config.hidden, &rows, None)?,
            labels: answers.len(),
            heads: config.heads,
            head_size: config.head_size,
        })
    }

    /// The logits of each sequence, [`labels`](Self::labels) per sequence, from the last hidden
    /// states of the encoder.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if `hidden` is another model's, [`Error::Device`] if the backend's device
    /// fails.
    pub fn forward(&self, backend: &B, hidden: &B::Tensor, starts: &[u32]) -> Result<Vec<f32>> {
        let ids = vec![0; starts.len().saturating_sub(1)];
        let mut x = backend.embed(&[(&self.start, &ids)], None)?;
        for layer in &self.layers {
            let normalized = backend.norm(&x, &layer.self_norm.norm())?;
            let value = backend.linear(&normalized, &layer.value.layer(), Activation::Identity)?;
            x = backend.linear_add(&value, &layer.self_output.layer(), &x, None)?;

            let normalized = backend.norm(&x, &layer.cross_norm.norm())?;
            let query = layer.query.layer();
            let attended = backend.cross_attention(&CrossAttention {
                queries: &backend.linear(&normalized, &query, Activation::Identity)?,
                memory: &backend.linear(hidden, &layer.memory.layer(), Activation::Identity)?,
                starts,
                heads: self.heads,
                head_size: self.head_size,
                scale: 1.0,
            })?;
            x = backend.linear_add(&attended, &layer.cross_output.layer(), &x, None)?;
            x = layer.feed_forward.forward(backend, &x)?;
        }
        let x = backend.norm(&x, &self.final_norm.norm())?;
        // Pooled values are f32 on every backend: in bf16, scores of large logits would be tied.
        let rows: Vec<u32> = (0..starts.len() as u32).collect();
        let x = backend.pool(&x, &rows, Pooling::First)?;
        let logits = backend.linear(&x, &self.answers.layer(), Activation::Identity)?;
        backend.values(&logits)
    }

    /// Logits per sequence, one for each answer.
    pub fn labels(&self) -> usize {
        self.labels
    }
}

impl<B: Backend> Layer<B> {
    fn load(loader: &Loader<'_, B>, config: &ModelConfig, index: usize) -> Result<Self> {
        let (hidden, width) = (config.hidden, config.heads * config.head_size);
        let part = |layer: usize, name: &str| format!("decoder.block.{index}.layer.{layer}.{name}");
        let norm = |layer| loader.rms_norm(&part(layer, "layer_norm"), hidden, config.norm_epsilon);
        let dense = |layer, name: &str, outputs, inputs| {
            loader.dense(&part(layer, name), outputs, inputs, Bias::None)
        };
        let memory = ["k", "v"].map(|name| part(1, &format!("EncDecAttention.{name}")));
        let feed_forward = format!("decoder.block.{index}.layer.2");
        Ok(Self {
            self_norm: norm(0)?,
            value: dense(0, "SelfAttention.v", width, hidden)?,
            self_output: dense(0, "SelfAttention.o", hidden, width)?,
            cross_norm: norm(1)?,
            query: dense(1, "EncDecAttention.q", width, hidden)?,
            memory: loader.stacked(&memory, width, hidden, Bias::None)?,
            cross_output: dense(1, "EncDecAttention.o", hidden, width)?,
            feed_forward: FeedForward::load(loader, config, &feed_forward)?,
        })
    }
}

/// A tensor with a row for each token of the vocabulary, of which a few are needed.
struct Rows<'a> {
    weights: &'a Weights,
    name: &'a str,
    columns: usize,
    values: Vec<f32>,
}

impl<'a> Rows<'a> {
    fn read(weights: &'a Weights, name: &'a str, config: &ModelConfig) -> Result<Self> {
        let columns = config.hidden;
        Ok(Self {
            weights,
            name,
            columns,
            values: weights.tensor(name, &[config.vocabulary, columns])?,
        })
    }

    /// The rows of tokens, one after another.
    fn of(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        let mut rows = Vec::with_capacity(tokens.len() * self.columns);
        for &token in tokens {
            let first = token as usize * self.columns;
            let row = self.values.get(first..first + self.columns);
            rows.extend_from_slice(row.ok_or_else(|| {
                let rows = self.values.len() / self.columns.max(1);
                Error::model(
                    self.weights.folder(),
                    format!(
                        "tensor `{}`: expected a row for each answer, found {rows} rows and the token {token}; the tokenizer is another model's",
                        self.name
                    ),
                )
            })?);
        }
        Ok(rows)
    }
}
