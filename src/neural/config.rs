//! What a model is: the settings of `config.json`, under one name for all families.

mod activation;
mod deberta;
mod families;
mod t5;

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::backend::Activation;
use crate::error::Result;

use super::settings::Settings;

/// Max tokens of a vocabulary.
pub const MAX_VOCABULARY: usize = 1 << 24;
/// Max dimensions of a hidden state, an embedding or an intermediate layer.
pub const MAX_WIDTH: usize = 1 << 20;
/// Max layers of a model.
pub const MAX_LAYERS: usize = 1 << 12;
/// Max heads of a layer.
pub const MAX_HEADS: usize = 1 << 12;
/// Max positions, token types, labels or buckets of a model.
pub const MAX_POSITIONS: usize = 1 << 20;

/// A kind of transformer: its layers, their names, and how positions are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// BERT (Devlin and others, 2019), and models trained with its code: BERTimbau, MiniLM,
    /// TinyBERT.
    Bert,
    /// DistilBERT (Sanh and others, 2019).
    DistilBert,
    /// RoBERTa (Liu and others, 2019), CamemBERT.
    Roberta,
    /// XLM-RoBERTa (Conneau and others, 2020).
    XlmRoberta,
    /// ELECTRA (Clark and others, 2020).
    Electra,
    /// T5, T5 1.1 and mT5 (Raffel and others, 2020; Xue and others, 2021): the encoder, and one step
    /// of the decoder.
    T5,
    /// DeBERTa version 2 and 3 (He and others, 2021).
    DebertaV2,
}

/// How T5 sorts distances into buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct T5Positions {
    /// The number of buckets, for both directions together.
    pub buckets: usize,
    /// Distances from this one on share the last bucket.
    pub max_distance: usize,
}

/// The decoder of T5, which re-rankers run for one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct T5Decoder {
    /// The number of its layers.
    pub layers: usize,
    /// The token that it starts with.
    pub start: u32,
    /// Its outputs are scaled by 1 / √hidden before they become logits: T5 1.0, whose logits are
    /// products with the word embeddings.
    pub scales_outputs: bool,
}

/// How DeBERTa turns distances into scores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DebertaPositions {
    /// Half the rows of the table of distances: `buckets`, or else `max_relative`.
    pub span: usize,
    /// The number of logarithmic buckets in each direction; 0: every distance has its own row.
    pub buckets: usize,
    /// The max distance that has a bucket of its own.
    pub max_relative: usize,
    /// Scores have the product of content with the distance's key.
    pub is_content_to_position: bool,
    /// Scores have the product of the distance's query with content.
    pub is_position_to_content: bool,
    /// Distances are projected by the layers that project content.
    pub shares_keys: bool,
    /// The table of distances is layer-normalized before use.
    pub has_norm: bool,
    /// A convolution parallel to the first layer, if there is one.
    pub convolution: Option<Convolution>,
}

/// A convolution over neighbouring tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Convolution {
    /// The width of its kernel in tokens, an odd number.
    pub width: usize,
    /// The number of groups of channels.
    pub groups: usize,
    /// The activation of its outputs.
    pub activation: Activation,
}

/// The settings of a transformer.
///
/// Names are the same for all families. A setting that `config.json` does not have gets the default
/// of the library `transformers` for the family.
///
/// ```
/// use esparsa::neural::{Family, ModelConfig};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("config.json"), r#"{"model_type": "distilbert", "dim": 384}"#)?;
/// let config = ModelConfig::open(folder.path())?;
/// assert_eq!(config.family, Family::DistilBert);
/// assert_eq!((config.hidden, config.heads, config.head_size), (384, 12, 32));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ModelConfig {
    /// The kind of transformer.
    pub family: Family,
    /// Tokens of the vocabulary: rows of the word embeddings.
    pub vocabulary: usize,
    /// Dimensions of a hidden state.
    pub hidden: usize,
    /// The number of layers of the encoder.
    pub layers: usize,
    /// The number of attention heads of each layer.
    pub heads: usize,
    /// Dimensions per head. With T5 and some DeBERTa, `heads · head_size` may differ from `hidden`.
    pub head_size: usize,
    /// Dimensions between the two linear layers of the feed-forward network.
    pub intermediate: usize,
    /// The activation between them.
    pub activation: Activation,
    /// The feed-forward network begins with a gated layer (T5 1.1, mT5).
    pub is_gated: bool,
    /// The epsilon that norms add to the variance.
    pub norm_epsilon: f32,
    /// Dimensions of a word embedding. With ELECTRA and DeBERTa it may differ from `hidden`.
    pub embedding_size: usize,
    /// Max tokens of a sequence; `None`: the model has no limit of its own (T5).
    pub max_positions: Option<usize>,
    /// The position of the first token: one after the padding's id with RoBERTa and XLM-R,
    /// otherwise 0.
    pub first_position: u32,
    /// Embeddings of absolute positions are added to those of words.
    pub has_positions: bool,
    /// Rows of the token type embeddings; 0 if the model has none.
    pub types: usize,
    /// The padding token.
    pub pad: u32,
    /// How distances become buckets, with T5.
    pub t5: Option<T5Positions>,
    /// The decoder, if the folder was saved with it (`T5ForConditionalGeneration`).
    pub decoder: Option<T5Decoder>,
    /// How distances become scores, with DeBERTa whose attention is relative.
    pub deberta: Option<DebertaPositions>,
    /// The number of labels of a classification head.
    pub labels: usize,
    /// The activation of a classification head's pooler (`pooler_hidden_act` of DeBERTa; a
    /// hyperbolic tangent with the others).
    pub pooler_activation: Activation,
    /// The decoder of a language-model head shares its weights with the word embeddings.
    pub ties_embeddings: bool,
    /// The class names that the folder was saved from, such as `BertForMaskedLM`.
    pub architectures: Vec<String>,
}

impl ModelConfig {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) if there is none. [`Error::Model`](crate::Error::Model) if
    /// it is not JSON, if the family or a feature of the model is not supported, and if a size is
    /// missing, zero, over its limit, or contradicts another.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::from_settings(&Settings::read(&folder.join("config.json"))?)
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self> {
        families::read(settings)
    }

    /// True if the model was saved with a head of the kind that `suffix` names, such as
    /// `ForMaskedLM`.
    pub fn is_saved_as(&self, suffix: &str) -> bool {
        self.architectures.iter().any(|name| name.ends_with(suffix))
    }
}
