//! SPLADE (Formal, Lassance, Piwowarski and Clinchant, 2021): the logits of a masked language
//! model, pooled into one sparse vector of terms.

use crate::backend::{Activation, Backend, SparseVector, SpladeActivation, SpladePooling};
use crate::error::{Error, Result};
use crate::neural::config::{Family, ModelConfig};
use crate::neural::encoder::parts::{Bias, Dense, Loader, RowNorm};
use crate::neural::encoder::word_embeddings;
use crate::neural::weights::Weights;

/// The head of a masked language model, and how its logits become term weights.
///
/// The head is a linear layer, a norm, and a decoder with a row for each term of the vocabulary.
/// The decoder shares the word embeddings, unless the checkpoint has one of its own.
pub struct SpladeHead<B: Backend> {
    transform: Dense<B>,
    transform_activation: Activation,
    norm: RowNorm<B>,
    decoder: Dense<B>,
    activation: SpladeActivation,
    pooling: SpladePooling,
    max_terms: usize,
    vocabulary: usize,
}

impl<B: Backend> SpladeHead<B> {
    /// Loads the head of a masked language model.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if the checkpoint has no such head (it was saved as a bare encoder, or its
    /// family has none), or one of other shapes.
    pub fn load(
        backend: &B,
        config: &ModelConfig,
        weights: &Weights,
        activation: SpladeActivation,
        pooling: SpladePooling,
    ) -> Result<Self> {
        let loader = Loader::new(backend, weights);
        let names = Names::of(config, weights)?;
        let inner = names.inner;
        Ok(Self {
            transform: loader.dense(names.transform, inner, config.hidden, Bias::Has)?,
            transform_activation: names.activation,
            norm: loader.layer_norm(names.norm, inner, config.norm_epsilon)?,
            decoder: names.decoder(&loader, config)?,
            activation,
            pooling,
            max_terms: usize::MAX,
            vocabulary: config.vocabulary,
        })
    }

    /// Keeps the `max_terms` highest weights of each vector.
    #[must_use]
    pub fn with_max_terms(mut self, max_terms: usize) -> Self {
        self.max_terms = max_terms;
        self
    }

    /// The sparse vector of each sequence.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if `hidden` is another model's, [`Error::Device`] if the backend's device
    /// fails.
    pub fn forward(
        &self,
        backend: &B,
        hidden: &B::Tensor,
        starts: &[u32],
    ) -> Result<Vec<SparseVector>> {
        let transform = self.transform.layer();
        let x = backend.linear(hidden, &transform, self.transform_activation)?;
        let x = backend.norm(&x, &self.norm.norm())?;
        let decoder = self.decoder.layer();
        let (activation, pooling) = (self.activation, self.pooling);
        backend.splade(&x, starts, &decoder, activation, pooling, self.max_terms)
    }

    /// The number of terms.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }
}

/// The names of the tensors of a family's masked language model head.
struct Names {
    transform: &'static str,
    norm: &'static str,
    activation: Activation,
    /// Dimensions between the transform and the decoder.
    inner: usize,
    /// The decoder's own weights; `None` if the family always shares the word embeddings.
    decoder: Option<&'static str>,
    /// The decoder's own bias, and the one that replaces it where the weights are tied.
    biases: [&'static str; 2],
}

impl Names {
    fn of(config: &ModelConfig, weights: &Weights) -> Result<Self> {
        let bert = Self {
            transform: "cls.predictions.transform.dense",
            norm: "cls.predictions.transform.LayerNorm",
            activation: config.activation,
            inner: config.embedding_size,
            decoder: Some("cls.predictions.decoder.weight"),
            biases: ["cls.predictions.decoder.bias", "cls.predictions.bias"],
        };
        match config.family {
            Family::Bert => Ok(bert),
            Family::DebertaV2 if weights.has("cls.predictions.transform.dense.weight") => Ok(bert),
            Family::DebertaV2 => Ok(Self {
                transform: "lm_predictions.lm_head.dense",
                norm: "lm_predictions.lm_head.LayerNorm",
                activation: config.activation,
                inner: config.hidden,
                decoder: None,
                biases: ["lm_predictions.lm_head.bias"; 2],
            }),
            Family::DistilBert => Ok(Self {
                transform: "vocab_transform",
                norm: "vocab_layer_norm",
                activation: config.activation,
                inner: config.hidden,
                decoder: Some("vocab_projector.weight"),
                biases: ["vocab_projector.bias"; 2],
            }),
            Family::Roberta | Family::XlmRoberta => Ok(Self {
                transform: "lm_head.dense",
                norm: "lm_head.layer_norm",
                activation: Activation::Gelu,
                inner: config.hidden,
                decoder: Some("lm_head.decoder.weight"),
                biases: ["lm_head.decoder.bias", "lm_head.bias"],
            }),
            Family::Electra => Ok(Self {
                transform: "generator_predictions.dense",
                norm: "generator_predictions.LayerNorm",
                activation: Activation::Gelu,
                inner: config.embedding_size,
                decoder: Some("generator_lm_head.weight"),
                biases: ["generator_lm_head.bias"; 2],
            }),
            Family::T5 => Err(Error::model(
                "",
                "SPLADE needs the head of a masked language model, which T5 does not have; take a model of another family",
            )),
        }
    }

    fn decoder<B: Backend>(
        &self,
        loader: &Loader<'_, B>,
        config: &ModelConfig,
    ) -> Result<Dense<B>> {
        let weights = loader.weights();
        // A decoder in the file is used even if the settings call it tied: `transformers` ties only
        // weights that are equal or missing.
        let own = self
            .decoder
            .filter(|name| weights.has(name) || !config.ties_embeddings);
        let name = own.unwrap_or_else(|| word_embeddings(config.family));
        let [of_decoder, of_head] = self.biases;
        let bias = if weights.has(of_decoder) {
            of_decoder
        } else {
            of_head
        };
        let (name, bias) = ([name.to_owned()], [bias.to_owned()]);
        loader.dense_named(&name, &bias, config.vocabulary, self.inner)
    }
}
