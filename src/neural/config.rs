//! What a model is: the settings of `config.json`, under one name each whatever the family calls them.

mod activation;
mod deberta;
mod families;

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::backend::Activation;
use crate::error::Result;

use super::settings::Settings;

/// The most tokens a vocabulary may have.
pub const MAX_VOCABULARY: usize = 1 << 24;
/// The most numbers a hidden state, an embedding or an intermediate layer may have.
pub const MAX_WIDTH: usize = 1 << 20;
/// The most layers a model may have.
pub const MAX_LAYERS: usize = 1 << 12;
/// The most heads a layer may have.
pub const MAX_HEADS: usize = 1 << 12;
/// The most positions, token types, labels or buckets a model may have.
pub const MAX_POSITIONS: usize = 1 << 20;

/// A kind of transformer: which layers there are, how they are named, and what positions do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// BERT (Devlin and others, 2019), and all that were trained with its code: BERTimbau, MiniLM, TinyBERT.
    Bert,
    /// DistilBERT (Sanh and others, 2019).
    DistilBert,
    /// RoBERTa (Liu and others, 2019), CamemBERT.
    Roberta,
    /// XLM-RoBERTa (Conneau and others, 2020).
    XlmRoberta,
    /// ELECTRA (Clark and others, 2020).
    Electra,
    /// The encoder of T5, T5 1.1 and mT5 (Raffel and others, 2020; Xue and others, 2021).
    T5,
    /// DeBERTa version 2 and 3 (He and others, 2021).
    DebertaV2,
}

/// How T5 turns distances into buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct T5Positions {
    /// The number of buckets, for both directions together.
    pub buckets: usize,
    /// The distance from which on all share the last bucket.
    pub max_distance: usize,
}

/// How DeBERTa turns distances into scores.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DebertaPositions {
    /// Half the rows of the table of distances: `buckets`, or else `max_relative`.
    pub span: usize,
    /// The number of logarithmic buckets in each direction; 0: every distance has its own row.
    pub buckets: usize,
    /// The greatest distance told apart.
    pub max_relative: usize,
    /// Scores have the product of content with the distance's key.
    pub is_content_to_position: bool,
    /// Scores have the product of the distance's query with content.
    pub is_position_to_content: bool,
    /// Distances are projected by the layers that project content.
    pub shares_keys: bool,
    /// The table of distances is layer-normalized before use.
    pub has_norm: bool,
    /// A convolution beside the first layer, if there is one.
    pub convolution: Option<Convolution>,
}

/// A convolution over neighbouring tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Convolution {
    /// How many tokens it sees, an odd number.
    pub width: usize,
    /// Into how many groups channels are divided.
    pub groups: usize,
    /// What is applied to its outputs.
    pub activation: Activation,
}

/// The settings of a transformer.
///
/// Names are the same for all families. What `config.json` leaves out has the default that the library `transformers` gives
/// it for the family.
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
    /// Rows of the word embeddings.
    pub vocabulary: usize,
    /// Numbers of a hidden state.
    pub hidden: usize,
    /// Layers of the encoder.
    pub layers: usize,
    /// Heads of each layer's attention.
    pub heads: usize,
    /// Numbers a head. With T5 and some DeBERTa, `heads · head_size` may differ from `hidden`.
    pub head_size: usize,
    /// Numbers between the two linear layers of the feed-forward network.
    pub intermediate: usize,
    /// What the feed-forward network applies between them.
    pub activation: Activation,
    /// The feed-forward network begins with a gated layer (T5 1.1, mT5).
    pub is_gated: bool,
    /// What norms add to the variance.
    pub norm_epsilon: f32,
    /// Numbers of a word embedding. With ELECTRA and DeBERTa it may differ from `hidden`.
    pub embedding_size: usize,
    /// The most tokens a sequence may have; `None`: the model has no limit of its own (T5).
    pub max_positions: Option<usize>,
    /// The position of the first token: one after the padding's id with RoBERTa and XLM-R, otherwise 0.
    pub first_position: u32,
    /// Embeddings of absolute positions are added to those of words.
    pub has_positions: bool,
    /// Rows of the token type embeddings; 0: there are none.
    pub types: usize,
    /// The token that pads.
    pub pad: u32,
    /// How distances become buckets, with T5.
    pub t5: Option<T5Positions>,
    /// How distances become scores, with DeBERTa whose attention is relative.
    pub deberta: Option<DebertaPositions>,
    /// Outputs of a classification head.
    pub labels: usize,
    /// What the pooler of a classification head applies (`pooler_hidden_act` of DeBERTa; a hyperbolic tangent with the others).
    pub pooler_activation: Activation,
    /// The decoder of a language-model head has the word embeddings for weights.
    pub ties_embeddings: bool,
    /// The class names that the folder was saved from, such as `BertForMaskedLM`.
    pub architectures: Vec<String>,
}

impl ModelConfig {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) if there is none. [`Error::Model`](crate::Error::Model) if it is not JSON, if the model is of a family that is
    /// not supported or has a feature that is not, and if a size is missing, zero, beyond its limit, or does not fit another.
    pub fn open(folder: &Path) -> Result<Self> {
        Self::from_settings(&Settings::read(&folder.join("config.json"))?)
    }

    pub(crate) fn from_settings(settings: &Settings) -> Result<Self> {
        families::read(settings)
    }

    /// True if the model was saved with a head of the kind that `suffix` names, such as `ForMaskedLM`.
    pub fn is_saved_as(&self, suffix: &str) -> bool {
        self.architectures.iter().any(|name| name.ends_with(suffix))
    }
}
