//! The contents of a model's folder: the transformer, the modules after it, and how texts are
//! prepared.
//!
//! Three kinds of folders are read: those of `transformers` (one model, with or without a head),
//! those of sentence-transformers, versions 2 to 6 (a list of modules in `modules.json`, prompts,
//! limits), and those of PyLate (the same for late interaction).

mod answers;
mod echo;
mod fingerprint;
mod kind;
mod late;
mod layout;
mod modules;
mod prompts;
mod static_queries;
mod task;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::backend::{Pooling, SpladeActivation, SpladePooling};
use crate::error::{Error, Result};

use super::config::{MAX_POSITIONS, MAX_VOCABULARY, MAX_WIDTH, ModelConfig};
use super::settings::Settings;
use super::tokenizer::Tokenizer;
use super::weights::Weights;
use fingerprint::Identity;
use layout::{Layout, Step};

pub use kind::{ModelKind, Similarity};
#[cfg(feature = "train")]
pub(crate) use late::PUNCTUATION;
pub use late::{Expansion, LateInteraction};
pub use modules::{DenseModule, Module};
pub use prompts::Prompts;
pub use static_queries::StaticQueries;
#[cfg(feature = "train")]
pub(crate) use task::EXPECTED_GRADE;
pub(crate) use task::OWN_SETTINGS;
pub use task::ScoreActivation;

pub(crate) use answers::Answers;
pub(crate) use echo::Echo;
#[cfg(feature = "train")]
pub(crate) use echo::{ECHO_FOLDER, ECHO_TENSORS};
#[cfg(feature = "train")]
pub(crate) use layout::transformer_settings;

/// Max tokens of a text where neither the model nor its folder has a limit, as with some T5.
pub const DEFAULT_MAX_TOKENS: usize = 512;

/// An opened model folder: all but the values of the transformer's weights is read and checked.
///
/// ```no_run
/// use esparsa::neural::{ModelFolder, ModelKind};
///
/// let model = ModelFolder::open("models/splade".as_ref())?;
/// assert_eq!(model.kind, ModelKind::SparseEncoder);
/// let tokens = model.tokenizer.truncated("Etna is a volcano.", model.max_tokens)?;
/// assert!(tokens.len() <= model.max_tokens);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct ModelFolder {
    /// The folder.
    pub path: PathBuf,
    /// What the model makes of texts.
    pub kind: ModelKind,
    /// The transformer, which encodes documents, and queries unless there is a table for these.
    pub config: ModelConfig,
    /// Its weights, and those of its head.
    pub weights: Weights,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    /// Max tokens of a text or a pair, special tokens included.
    pub max_tokens: usize,
    /// The modules after the transformer, in order.
    pub modules: Vec<Module>,
    /// The prompts that are put before texts.
    pub prompts: Prompts,
    /// How vectors are compared, if the folder says so.
    pub similarity: Option<Similarity>,
    /// Sparse vectors keep this many of their highest weights, if not all.
    pub max_terms: Option<usize>,
    /// Dense vectors are truncated to this many dimensions, if they are.
    pub kept_dimensions: Option<usize>,
    /// The table that encodes queries without the transformer, if there is one.
    pub static_queries: Option<StaticQueries>,
    /// What a text's own tokens add to its sparse vector, if they do.
    pub(crate) echo: Option<Echo>,
    /// Lengths, prefixes and skipped tokens of late interaction.
    pub late: Option<LateInteraction>,
    /// The words that a re-ranker with a decoder answers with, if it is one.
    pub(crate) answers: Option<Answers>,
    identity: Identity,
}

impl ModelFolder {
    /// Opens a folder and detects the kind of its model.
    ///
    /// A folder of sentence-transformers says so itself. In a folder without `modules.json`, a
    /// model with a language-model head is a sparse encoder (SPLADE with max pooling), one with a
    /// classification head or with a decoder (monoT5) a cross-encoder, any other a bi-encoder with
    /// mean pooling.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if a file is missing, damaged, contradicts another, or needs a feature that
    /// is not supported; [`Error::Io`] if one cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_as(path, None)
    }

    /// The same; a folder without `modules.json` is opened as a model of this `kind`, if one is
    /// given.
    ///
    /// # Errors
    ///
    /// As [`ModelFolder::open`], and if the folder says that it is of another kind.
    pub fn open_as(path: &Path, kind: Option<ModelKind>) -> Result<Self> {
        Self::open_with(path, kind, None)
    }

    /// The same with random weights, whatever weights the folder has or lacks.
    #[cfg(feature = "train")]
    pub(crate) fn open_random(path: &Path, kind: ModelKind, seed: u64) -> Result<Self> {
        let weights = Weights::random(path, seed);
        Self::open_with(path, Some(kind), Some(weights))
    }

    fn open_with(path: &Path, kind: Option<ModelKind>, weights: Option<Weights>) -> Result<Self> {
        if !path.is_dir() {
            return Err(Error::model(
                path,
                "expected the folder of a model, found none",
            ));
        }
        let about = Settings::read_if_there(&path.join("config_sentence_transformers.json"))?;
        let layout = layout::read(path)?;
        let transformer = layout
            .as_ref()
            .map(|layout| layout.transformer())
            .transpose()?;
        let folder = transformer.map_or(path, |step| step.folder.as_path());
        let opened = Transformer::open(folder, weights)?;
        let saved = kind::saved_kind(
            layout.as_ref(),
            &opened.config,
            opened.settings.as_ref(),
            about.as_ref(),
        )?;
        let kind = match (kind, &layout) {
            (Some(kind), Some(_)) if kind != saved => {
                return Err(Error::model(
                    path,
                    format!("expected a model of kind {kind:?}, found {saved:?}"),
                ));
            }
            (Some(kind), None) => kind,
            _ => saved,
        };
        opened.finish(path, kind, layout, about)
    }

    /// The max tokens of a sequence when documents are encoded: with late interaction documents
    /// have their own limit.
    pub fn document_tokens(&self) -> usize {
        let late = self.late.as_ref();
        late.map_or(self.max_tokens, |late| late.document_tokens)
    }

    /// A hash (XXH3, 128 bits) of everything that changes the output of the model: settings,
    /// tokenizer, prompts, weights.
    ///
    /// Settings that only name the program that wrote a file and its version are skipped. Loaded
    /// tensors are not read again; see `Weights::fingerprint`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the weights cannot be read.
    pub fn fingerprint(&self) -> Result<u128> {
        let mut identity = self.identity.clone();
        identity.add_number(self.weights.fingerprint()?);
        for module in &self.modules {
            if let Some(weights) = module.weights() {
                identity.add_number(weights.fingerprint()?);
            }
        }
        Ok(identity.hash())
    }
}

/// An opened transformer folder, with its settings for texts.
struct Transformer {
    config: ModelConfig,
    weights: Weights,
    tokenizer: Tokenizer,
    /// `sentence_bert_config.json`, if there is one.
    settings: Option<Settings>,
    identity: Identity,
}

impl Transformer {
    fn open(folder: &Path, weights: Option<Weights>) -> Result<Self> {
        let keys = Settings::read(&folder.join("config.json"))?;
        let config = ModelConfig::from_settings(&keys)?;
        let settings = layout::transformer_settings(folder)?;
        let lowercases = match &settings {
            Some(settings) => settings.flag("do_lower_case")?.unwrap_or(false),
            None => false,
        };
        let tokenizer = Tokenizer::open_with(folder, &config, lowercases)?;
        let mut identity = Identity::new();
        identity.add_settings(&keys);
        identity.add_number(tokenizer.fingerprint());
        if let Some(settings) = &settings {
            identity.add_settings(settings);
        }
        Ok(Self {
            config,
            weights: match weights {
                Some(weights) => weights,
                None => Weights::open(folder)?,
            },
            tokenizer,
            settings,
            identity,
        })
    }

    /// The min of the limits of the folder, the tokenizer and the table of positions.
    fn max_tokens(&self) -> Result<usize> {
        let max = match &self.settings {
            Some(settings) => settings.size("max_seq_length", 1, MAX_POSITIONS)?,
            None => None,
        };
        let max = max.or(self.tokenizer.max_tokens());
        let tokens = [max, self.config.max_positions].into_iter().flatten().min();
        let tokens = tokens.unwrap_or(DEFAULT_MAX_TOKENS);
        let specials = self.tokenizer.special_tokens();
        if tokens <= specials {
            return Err(Error::model(
                self.weights.folder(),
                format!(
                    "expected a text to have more than its {specials} special tokens, found a limit of {tokens}"
                ),
            ));
        }
        Ok(tokens)
    }

    fn finish(
        mut self,
        path: &Path,
        kind: ModelKind,
        layout: Option<Layout>,
        about: Option<Settings>,
    ) -> Result<ModelFolder> {
        let about = match about {
            None if kind == ModelKind::LateInteraction => late::stanford_settings(path)?,
            about => about,
        };
        let about = about.unwrap_or_else(|| Settings::new(path, serde_json::Map::new()));
        self.identity.add_text(&format!("{kind:?}"));
        self.identity.add_settings(&about);
        let answers = self.answers(kind)?;
        let max_tokens = self.max_tokens()?;
        self.identity.add_number(max_tokens as u128);
        let (steps, queries) = match layout {
            Some(layout) => (Some(layout.steps), layout.queries),
            None => (None, None),
        };
        let modules = match &steps {
            Some(steps) => modules::read(&steps[1..], &self.config, kind, &mut self.identity)?,
            None => self.default_modules(path, kind)?,
        };
        let modules = self.with_scores(modules, kind, &about)?;
        let static_queries = match queries {
            Some(steps) => Some(StaticQueries::open(
                path,
                &steps,
                &self.config,
                &mut self.identity,
            )?),
            None if kind == ModelKind::SparseEncoder && steps.is_none() => {
                StaticQueries::beside(path, &self.config, &mut self.identity)?
            }
            None => None,
        };
        let echo = match kind {
            ModelKind::SparseEncoder => Echo::beside(path, &self.config, &mut self.identity)?,
            _ => None,
        };
        let mut prompts = Prompts::read(&about)?;
        let late = match kind {
            ModelKind::LateInteraction => Some(late::read(
                &about,
                self.settings.as_ref(),
                steps.as_deref(),
                &self.tokenizer,
                max_tokens.min(self.config.max_positions.unwrap_or(max_tokens)),
                &mut prompts,
            )?),
            _ => None,
        };
        kind::check_order(path, kind, &modules)?;
        Ok(ModelFolder {
            path: path.to_path_buf(),
            kind,
            config: self.config,
            weights: self.weights,
            tokenizer: self.tokenizer,
            max_tokens,
            modules,
            prompts,
            similarity: kind::similarity(&about, kind)?,
            max_terms: about.size("max_active_dims", 1, MAX_VOCABULARY)?,
            kept_dimensions: about.size("truncate_dim", 1, MAX_WIDTH)?,
            static_queries,
            echo,
            late,
            answers,
            identity: self.identity,
        })
    }

    /// The answers of a cross-encoder with a decoder.
    fn answers(&mut self, kind: ModelKind) -> Result<Option<Answers>> {
        if kind != ModelKind::CrossEncoder || self.config.decoder.is_none() {
            return Ok(None);
        }
        let keys = Settings::read(&self.weights.folder().join("config.json"))?;
        answers::read(&keys, &mut self.tokenizer, &mut self.identity).map(Some)
    }

    /// The modules after the transformer where no file lists them.
    fn default_modules(&self, path: &Path, kind: ModelKind) -> Result<Vec<Module>> {
        Ok(match kind {
            ModelKind::BiEncoder => vec![Module::Pooling {
                poolings: vec![Pooling::Mean],
                has_prompt: true,
            }],
            ModelKind::SparseEncoder => vec![Module::SpladePooling {
                pooling: SpladePooling::Max,
                activation: SpladeActivation::Log1pRelu,
            }],
            ModelKind::CrossEncoder => Vec::new(),
            ModelKind::LateInteraction => modules::stanford(path, &self.config)?,
        })
    }

    /// A cross-encoder's classifier, which no list of modules names.
    fn with_scores(
        &self,
        mut modules: Vec<Module>,
        kind: ModelKind,
        about: &Settings,
    ) -> Result<Vec<Module>> {
        if kind == ModelKind::CrossEncoder && self.config.decoder.is_some() {
            modules.push(Module::Classifier {
                labels: 2,
                scored: 1,
                activation: ScoreActivation::LogSoftmax,
            });
        } else if kind == ModelKind::CrossEncoder {
            let keys = Settings::read(&self.weights.folder().join("config.json"))?;
            modules.push(Module::Classifier {
                labels: self.config.labels,
                scored: task::scored_label(&keys, self.config.labels)?,
                activation: task::score_activation(&keys, about, self.config.labels)?,
            });
        }
        Ok(modules)
    }
}
