//! Cross-encoders: a query and a document read together as one sequence, scored by the head of a
//! sequence classifier.

use crate::backend::{Activation, Backend, Pooling};
use crate::error::{Error, Result};
use crate::neural::config::{Family, ModelConfig};
use crate::neural::encoder::parts::{Bias, Dense, Loader};
use crate::neural::weights::Weights;

/// The head of a sequence classifier: a layer on the first token, then a logit for each label.
///
/// It returns raw logits. The caller applies a sigmoid for one label or a softmax for several, as
/// in sentence-transformers.
pub struct CrossHead<B: Backend> {
    first: Dense<B>,
    activation: Activation,
    classifier: Dense<B>,
    labels: usize,
}

impl<B: Backend> CrossHead<B> {
    /// Loads the head of a sequence classifier.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if the checkpoint has no such head, or one whose number of labels differs
    /// from the configuration.
    pub fn load(backend: &B, config: &ModelConfig, weights: &Weights) -> Result<Self> {
        let (first, activation, classifier) = names(config)?;
        if config.labels == 0 {
            return Err(Error::model(
                "",
                "a cross-encoder: expected at least one label in config.json, found none",
            ));
        }
        let loader = Loader::new(backend, weights);
        Ok(Self {
            first: loader.dense(first, config.hidden, config.hidden, Bias::Has)?,
            activation,
            classifier: loader.dense(classifier, config.labels, config.hidden, Bias::Has)?,
            labels: config.labels,
        })
    }

    /// The logits of each sequence, [`labels`](Self::labels) per sequence.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if `hidden` is another model's, [`Error::Device`] if the backend's device
    /// fails.
    pub fn forward(&self, backend: &B, hidden: &B::Tensor, starts: &[u32]) -> Result<Vec<f32>> {
        let first = backend.pool(hidden, starts, Pooling::First)?;
        let x = backend.linear(&first, &self.first.layer(), self.activation)?;
        let classifier = self.classifier.layer();
        let logits = backend.linear(&x, &classifier, Activation::Identity)?;
        backend.values(&logits)
    }

    /// The names of the layer on the first token and of the layer that gives logits, for a head that
    /// is added to an encoder.
    #[cfg(feature = "train")]
    pub(crate) fn names(config: &ModelConfig) -> Result<[&'static str; 2]> {
        names(config).map(|(first, _, classifier)| [first, classifier])
    }

    /// Logits per sequence.
    pub fn labels(&self) -> usize {
        self.labels
    }
}

/// For a family the name of the layer on the first token, its activation, and the name of the layer
/// that gives logits.
fn names(config: &ModelConfig) -> Result<(&'static str, Activation, &'static str)> {
    Ok(match config.family {
        Family::Bert | Family::DebertaV2 => {
            ("pooler.dense", config.pooler_activation, "classifier")
        }
        Family::DistilBert => ("pre_classifier", Activation::Relu, "classifier"),
        Family::Roberta | Family::XlmRoberta => {
            ("classifier.dense", Activation::Tanh, "classifier.out_proj")
        }
        Family::Electra => ("classifier.dense", Activation::Gelu, "classifier.out_proj"),
        Family::T5 => {
            return Err(Error::model(
                "",
                "a cross-encoder: expected a sequence classifier of another family than T5",
            ));
        }
    })
}
