//! `esparsa train new`: a model with random weights.

use std::path::PathBuf;

use esparsa::Result;
use esparsa::train::{NewFamily, NewModel, VocabularyKind};

use super::texts::texts;
use crate::output;

/// Texts that a vocabulary is learned from; more change little.
const MAX_TEXTS: usize = 500_000;

/// Arguments of `esparsa train new`.
#[derive(clap::Args)]
pub struct New {
    /// Texts that the vocabulary is learned from: JSON lines with a `text`, or a text a line.
    #[arg(long, value_name = "FILE")]
    texts: PathBuf,
    /// The folder that is written.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// The family of the model.
    #[arg(long, value_enum, default_value = "bert")]
    family: Family,
    /// How the vocabulary is learned.
    #[arg(long, value_enum, default_value = "word-piece")]
    vocabulary: Vocabulary,
    /// Max tokens of the vocabulary.
    #[arg(long, default_value_t = NewModel::default().tokens)]
    tokens: usize,
    /// Layers.
    #[arg(long, default_value_t = NewModel::default().layers)]
    layers: usize,
    /// Dimensions of a hidden state.
    #[arg(long, default_value_t = NewModel::default().hidden)]
    hidden: usize,
    /// Attention heads; `--hidden` is a multiple.
    #[arg(long, default_value_t = NewModel::default().heads)]
    heads: usize,
    /// Dimensions within the feed-forward part of a layer.
    #[arg(long, default_value_t = NewModel::default().intermediate)]
    intermediate: usize,
    /// Max tokens of a text.
    #[arg(long, default_value_t = NewModel::default().max_tokens)]
    max_tokens: usize,
    /// Decides the weights.
    #[arg(long, default_value_t = NewModel::default().seed)]
    seed: u64,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Family {
    Bert,
    T5,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Vocabulary {
    WordPiece,
    Bpe,
    Unigram,
}

impl New {
    pub(super) fn run(self) -> Result<()> {
        let texts: Vec<String> = texts(&self.texts)?.take(MAX_TEXTS).collect::<Result<_>>()?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut model = NewModel::default();
        model.family = match self.family {
            Family::Bert => NewFamily::Bert,
            Family::T5 => NewFamily::T5,
        };
        model.vocabulary = match self.vocabulary {
            Vocabulary::WordPiece => VocabularyKind::WordPiece,
            Vocabulary::Bpe => VocabularyKind::Bpe,
            Vocabulary::Unigram => VocabularyKind::Unigram,
        };
        (model.tokens, model.layers, model.hidden) = (self.tokens, self.layers, self.hidden);
        (model.heads, model.intermediate) = (self.heads, self.intermediate);
        (model.max_tokens, model.seed) = (self.max_tokens, self.seed);
        model.write(&texts, &self.output)?;
        output::message(&format!("wrote {}", self.output.display()));
        Ok(())
    }
}
