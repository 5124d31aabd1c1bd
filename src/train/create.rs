//! New models: a vocabulary learned from texts, and random weights.
//!
//! What is written is a folder as published models have it, from which training starts.

mod vocabulary;

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::files::{NewFolder, TensorSource, write_tensors};
use crate::error::{Error, Result};
use crate::neural::{Cpu, CpuOptions, Encoder, ModelConfig, Weights};

pub use vocabulary::VocabularyKind;

/// The family of a new model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NewFamily {
    /// BERT: absolute positions, norms after each part of a layer.
    #[default]
    Bert,
    /// The encoder of T5 1.1: relative positions, gated layers, norms before each part.
    T5,
}

/// The size of a new model, and how its vocabulary is learned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct NewModel {
    /// Its family. Default `bert`.
    pub family: NewFamily,
    /// How the vocabulary is learned. Default `word-piece`.
    pub vocabulary: VocabularyKind,
    /// Max tokens of the vocabulary. Default 8,192: small vocabularies learn from little data.
    pub tokens: usize,
    /// Layers. Default 2.
    pub layers: usize,
    /// Dimensions of a hidden state. Default 128.
    pub hidden: usize,
    /// Attention heads; `hidden` is a multiple. Default 2.
    pub heads: usize,
    /// Dimensions within the feed-forward part of a layer. Default 512.
    pub intermediate: usize,
    /// Max tokens of a text. Default 512.
    pub max_tokens: usize,
    /// Decides the weights. Default 1.
    pub seed: u64,
}

impl Default for NewModel {
    fn default() -> Self {
        Self {
            family: NewFamily::default(),
            vocabulary: VocabularyKind::default(),
            tokens: 8_192,
            layers: 2,
            hidden: 128,
            heads: 2,
            intermediate: 512,
            max_tokens: 512,
            seed: 1,
        }
    }
}

impl NewModel {
    /// Learns the vocabulary from `texts`, and writes the model to the folder `output`.
    ///
    /// ```
    /// use esparsa::neural::{ModelFolder, ModelKind};
    /// use esparsa::train::NewModel;
    ///
    /// let folder = tempfile::tempdir()?;
    /// let output = folder.path().join("tiny");
    /// let mut model = NewModel::default();
    /// (model.tokens, model.hidden, model.intermediate) = (60, 32, 64);
    /// model.write(&["Lava flows from the volcano.", "Bees make honey."], &output)?;
    /// let opened = ModelFolder::open_as(&output, Some(ModelKind::BiEncoder))?;
    /// assert_eq!(opened.config.hidden, 32);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for sizes that do not fit together, or texts from which no vocabulary
    /// can be learned; [`Error::Io`].
    pub fn write(&self, texts: &[&str], output: &Path) -> Result<()> {
        self.check()?;
        let tokenizer = self.vocabulary.learn(texts, self.tokens)?;
        let learned: Value = serde_json::from_str(&tokenizer)
            .map_err(|error| Error::invalid(format!("a vocabulary that is no JSON: {error}")))?;
        let tokens = match &learned["model"]["vocab"] {
            Value::Array(pieces) => pieces.len(),
            Value::Object(pieces) => pieces.len(),
            _ => 0,
        };
        let folder = NewFolder::create(output)?;
        folder.write("tokenizer.json", tokenizer.as_bytes())?;
        let settings = json!({
            "model_max_length": self.max_tokens, "pad_token": "[PAD]", "unk_token": "[UNK]",
            "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]",
            "tokenizer_class": "PreTrainedTokenizerFast"
        });
        folder.write("tokenizer_config.json", settings.to_string().as_bytes())?;
        let config = self.config(tokens);
        folder.write("config.json", config.to_string().as_bytes())?;
        self.write_weights(&folder)?;
        folder.publish()
    }

    fn check(&self) -> Result<()> {
        let sizes = [
            ("layers", self.layers),
            ("hidden", self.hidden),
            ("heads", self.heads),
            ("intermediate", self.intermediate),
        ];
        for (name, size) in sizes {
            if size == 0 {
                return Err(Error::invalid(format!(
                    "{name}: expected at least 1, found 0"
                )));
            }
        }
        if !self.hidden.is_multiple_of(self.heads) {
            return Err(Error::invalid(format!(
                "hidden: expected a multiple of the {} heads, found {}",
                self.heads, self.hidden
            )));
        }
        if self.max_tokens < 8 {
            return Err(Error::invalid(format!(
                "max-tokens: expected at least 8, found {}",
                self.max_tokens
            )));
        }
        Ok(())
    }

    fn config(&self, tokens: usize) -> Value {
        match self.family {
            NewFamily::Bert => json!({
                "model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": tokens,
                "hidden_size": self.hidden, "num_hidden_layers": self.layers,
                "num_attention_heads": self.heads, "intermediate_size": self.intermediate,
                "max_position_embeddings": self.max_tokens, "type_vocab_size": 2,
                "hidden_act": "gelu", "layer_norm_eps": 1e-12, "pad_token_id": 0,
                "tie_word_embeddings": true
            }),
            NewFamily::T5 => json!({
                "model_type": "t5", "architectures": ["T5EncoderModel"], "vocab_size": tokens,
                "d_model": self.hidden, "num_layers": self.layers, "num_heads": self.heads,
                "d_kv": self.hidden / self.heads, "d_ff": self.intermediate,
                "feed_forward_proj": "gated-gelu", "relative_attention_num_buckets": 32,
                "relative_attention_max_distance": 128, "layer_norm_epsilon": 1e-6,
                "pad_token_id": 0, "eos_token_id": 3, "is_encoder_decoder": false,
                "tie_word_embeddings": true
            }),
        }
    }

    /// Writes every tensor that an encoder of these settings reads.
    fn write_weights(&self, folder: &NewFolder) -> Result<()> {
        let config = ModelConfig::open(folder.path())?;
        let weights = Weights::random(folder.path(), self.seed);
        let cpu = Cpu::new(CpuOptions::default())?;
        Encoder::load(&cpu, &config, &weights)?;
        let mut tensors = Vec::new();
        for (name, shape) in weights.generated_shapes() {
            let values = weights.tensor(&name, &shape)?;
            tensors.push((name, shape, values));
        }
        let sources = tensors
            .iter()
            .map(|(name, shape, values)| TensorSource::of_values(name, shape.clone(), values));
        write_tensors(folder.file("model.safetensors")?, sources.collect())?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::neural::{ModelFolder, ModelKind};

    const TEXTS: [&str; 4] = [
        "Lava flows from the volcano, and the volcano is quiet.",
        "Bees make honey in the hive; bees dance.",
        "A informação foi publicada em Sicília.",
        "한글은 세종대왕이 만들었다.",
    ];

    #[test]
    fn models_of_every_family_and_vocabulary_can_be_opened() {
        for family in [NewFamily::Bert, NewFamily::T5] {
            for vocabulary in [
                VocabularyKind::WordPiece,
                VocabularyKind::Bpe,
                VocabularyKind::Unigram,
            ] {
                let folder = tempfile::tempdir().unwrap();
                let output = folder.path().join("new");
                let model = NewModel {
                    family,
                    vocabulary,
                    tokens: 400,
                    hidden: 32,
                    intermediate: 64,
                    ..NewModel::default()
                };
                model.write(&TEXTS, &output).unwrap();
                let opened = ModelFolder::open_as(&output, Some(ModelKind::BiEncoder)).unwrap();
                assert!(opened.config.vocabulary <= 400, "{vocabulary:?}");
                let tokens = opened.tokenizer.encode("Bees make honey.").unwrap();
                assert!(tokens.len() > 4, "{vocabulary:?}: {:?}", tokens.ids);
                let cpu = Cpu::new(CpuOptions::default()).unwrap();
                Encoder::load(&cpu, &opened.config, &opened.weights).unwrap();
            }
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("new");
        let refused = |change: &dyn Fn(&mut NewModel), texts: &[&str]| {
            let mut model = NewModel::default();
            change(&mut model);
            assert!(model.write(texts, &output).is_err());
            assert!(!output.exists());
        };
        refused(&|model| model.heads = 3, &TEXTS);
        refused(&|model| model.layers = 0, &TEXTS);
        refused(&|model| model.max_tokens = 2, &TEXTS);
        refused(&|model| model.tokens = 3, &TEXTS);
        refused(&|_| (), &["", " "]);
    }
}
