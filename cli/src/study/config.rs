//! What a configuration says.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use esparsa::train::{TrainKind, TrainOptions};
use esparsa::{Error, Result};
use serde::Deserialize;
use toml::Spanned;

/// A configuration, and where it comes from.
#[derive(Debug)]
pub(super) struct Config {
    pub study: StudyConfig,
    path: PathBuf,
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct StudyConfig {
    #[serde(default)]
    pub title: Option<String>,
    /// The first is the one by which parameters are chosen.
    pub metrics: Spanned<Vec<Spanned<String>>>,
    /// The system that others are tested against; the first by default.
    #[serde(default)]
    pub baseline: Option<Spanned<String>>,
    /// Results of each query.
    #[serde(default = "default_depth")]
    pub depth: Spanned<usize>,
    /// The dtype of products of models, `f32` or `bf16`, as `--precision` takes it.
    #[serde(default)]
    pub precision: Option<Spanned<String>>,
    /// Models that the study makes.
    #[serde(default)]
    pub models: Vec<ModelConfig>,
    /// The first is the one on whose development queries parameters are chosen, and on whose
    /// training queries models are trained.
    pub collections: Spanned<Vec<Collection>>,
    pub systems: Spanned<Vec<System>>,
}

fn default_depth() -> Spanned<usize> {
    Spanned::new(0..0, 1_000)
}

/// A folder in BEIR's layout.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Collection {
    pub name: Spanned<String>,
    pub path: Spanned<String>,
    /// The analyzer of its texts, as `esparsa index --language` takes it.
    #[serde(default)]
    pub language: Option<Spanned<String>>,
    /// Judgements of the queries that systems are compared with.
    #[serde(default = "default_test")]
    pub test: Spanned<String>,
    /// Judgements of the queries by which parameters are chosen.
    #[serde(default = "default_dev")]
    pub dev: Spanned<String>,
    /// At most this many test queries, a random sample; all by default.
    #[serde(default)]
    pub test_queries: Option<Spanned<usize>>,
    /// The same of development queries.
    #[serde(default)]
    pub dev_queries: Option<Spanned<usize>>,
}

fn default_test() -> Spanned<String> {
    Spanned::new(0..0, "qrels/test.tsv".into())
}

fn default_dev() -> Spanned<String> {
    Spanned::new(0..0, "qrels/dev.tsv".into())
}

/// How a model is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ModelMethod {
    /// The pieces that the documents of all collections use stay in its vocabulary.
    Cut,
    /// Training of sparse vectors.
    Splade,
    /// Training of dense vectors.
    Bi,
    /// Training of scores of pairs.
    Cross,
    /// Training towards the sparse vectors of a teacher in another language.
    Align,
    /// Training of a masked language model.
    Mlm,
}

impl ModelMethod {
    /// The name in a configuration, and of the subcommand of `esparsa train`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cut => "cut",
            Self::Splade => "splade",
            Self::Bi => "bi",
            Self::Cross => "cross",
            Self::Align => "align",
            Self::Mlm => "mlm",
        }
    }

    /// What is trained, if it is.
    pub fn training(self) -> Option<TrainKind> {
        match self {
            Self::Cut => None,
            Self::Splade => Some(TrainKind::Splade),
            Self::Bi => Some(TrainKind::Bi),
            Self::Cross => Some(TrainKind::Cross),
            Self::Align => Some(TrainKind::Align),
            Self::Mlm => Some(TrainKind::Mlm),
        }
    }
}

/// A model that the study makes from another.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ModelConfig {
    pub name: Spanned<String>,
    pub kind: ModelMethod,
    /// The model that it is made from: the name of another one of the study, or a folder.
    pub base: Spanned<String>,
    /// Options of `esparsa train`.
    #[serde(default)]
    pub train: Option<Spanned<TrainOptions>>,
    /// Candidates for some of the options. A model of each combination is trained, and the one with
    /// the highest metric of its own evaluations is taken.
    #[serde(default)]
    pub grid: Option<Spanned<BTreeMap<String, Vec<toml::Value>>>>,
    /// The system whose results for training queries are the negatives.
    #[serde(default)]
    pub negatives: Option<Spanned<String>>,
    /// The system whose scores of training queries are the targets of distillation.
    #[serde(default)]
    pub scores: Option<Spanned<String>>,
    /// The teacher of an alignment: the name of another model of the study, or a folder.
    #[serde(default)]
    pub teacher: Option<Spanned<String>>,
}

/// What a system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// Words.
    Bm25,
    /// Sparse vectors of a model.
    Sparse,
    /// Dense vectors of a model.
    Dense,
    /// Sparse vectors as texts, in which each term is repeated by its weight: what can be done with
    /// an engine that has an index of words alone.
    Repeated,
    /// The first results of another system, scored by a cross-encoder or by late interaction.
    Rerank,
    /// Several systems.
    Fuse,
    /// The results of another system in random order.
    Shuffled,
    /// The results of another system in the order of their names.
    Constant,
    /// Random documents of the results of all queries of another system.
    Random,
}

impl Kind {
    pub fn is_floor(self) -> bool {
        matches!(self, Self::Shuffled | Self::Constant | Self::Random)
    }

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bm25 => "bm25",
            Self::Sparse => "sparse",
            Self::Dense => "dense",
            Self::Repeated => "repeated",
            Self::Rerank => "rerank",
            Self::Fuse => "fuse",
            Self::Shuffled => "shuffled",
            Self::Constant => "constant",
            Self::Random => "random",
        }
    }
}

/// A system. Lists of parameters are candidates, of which the best on the development queries is
/// taken.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct System {
    pub name: Spanned<String>,
    pub kind: Kind,
    /// BM25's saturation of term frequencies.
    #[serde(default)]
    pub k1: Option<Spanned<Vec<f32>>>,
    /// BM25's normalization by length.
    #[serde(default)]
    pub b: Option<Spanned<Vec<f32>>>,
    /// The name of a model of the study, or the folder of one.
    #[serde(default)]
    pub model: Option<Spanned<String>>,
    /// What becomes of texts that are longer than the model takes, as `--long` takes it: `truncate`
    /// or `windows`.
    #[serde(default)]
    pub long: Option<Spanned<String>>,
    /// How often a term of weight 1 is repeated; 10 by default.
    #[serde(default)]
    pub repeats: Option<Spanned<f32>>,
    /// The systems whose results are re-ranked, fused or disarranged.
    #[serde(default)]
    pub of: Option<Spanned<Vec<Spanned<String>>>>,
    /// How many results are re-ranked.
    #[serde(default)]
    pub top: Option<Spanned<usize>>,
    /// How results are fused: `rrf` or `weighted-sum`.
    #[serde(default)]
    pub method: Option<Spanned<String>>,
    /// Normalizations of scores before they are added.
    #[serde(default)]
    pub normalization: Option<Spanned<Vec<Spanned<String>>>>,
    /// Weights of the systems, for each candidate a list.
    #[serde(default)]
    pub weights: Option<Spanned<Vec<Vec<f64>>>>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file cannot be read, and [`Error::InvalidInput`], with the line, when
    /// it is not TOML, or has a key that is not known or a value of another type.
    pub fn read(path: &Path) -> Result<Self> {
        let text =
            std::fs::read_to_string(path).map_err(|source| Error::io(path, "read", source))?;
        Self::parse(path, text)
    }

    /// As [`read`](Self::read), of what a file holds.
    pub fn parse(path: &Path, text: String) -> Result<Self> {
        match toml::from_str(&text) {
            Ok(study) => Ok(Self {
                study,
                path: path.to_owned(),
                text,
            }),
            Err(error) => {
                let line = error.span().map_or(0, |span| line_of(&text, span.start));
                let error = Error::invalid(error.message().to_owned());
                Err(error.at_line(path.display().to_string(), line))
            }
        }
    }

    /// An error at a place of the file.
    pub fn wrong(&self, span: Range<usize>, message: impl Into<String>) -> Error {
        let line = line_of(&self.text, span.start);
        Error::invalid(message).at_line(self.path.display().to_string(), line)
    }

    /// A path, relative to the configuration, in which `${NAME}` is a variable of the environment.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when a variable is not set.
    pub fn resolve(&self, path: &Spanned<String>) -> Result<PathBuf> {
        self.resolve_text(path.get_ref(), path.span())
    }

    /// As [`resolve`](Self::resolve), of a path at a place of the file.
    pub fn resolve_text(&self, path: &str, span: Range<usize>) -> Result<PathBuf> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let resolved = folder.join(self.with_variables(path, span)?);
        // A relative path may begin as an option does.
        std::path::absolute(resolved).map_err(|source| Error::io(&self.path, "find", source))
    }

    /// The judgements of a part of a collection's queries, relative to its folder.
    ///
    /// # Errors
    ///
    /// As [`resolve`](Self::resolve).
    pub fn judgements(&self, collection: &Collection, file: &Spanned<String>) -> Result<PathBuf> {
        let file = self.with_variables(file.get_ref(), file.span())?;
        Ok(self.resolve(&collection.path)?.join(file))
    }

    /// The place of a model of the study.
    pub fn model(&self, name: &str) -> Option<usize> {
        let models = &self.study.models;
        models.iter().position(|model| model.name.get_ref() == name)
    }

    /// The place of a system.
    pub fn system(&self, name: &str) -> Option<usize> {
        let systems = self.study.systems.get_ref();
        systems
            .iter()
            .position(|system| system.name.get_ref() == name)
    }

    /// A text in which `${NAME}` is replaced by a variable of the environment.
    fn with_variables(&self, path: &str, span: Range<usize>) -> Result<String> {
        let mut resolved = String::new();
        let mut rest = path;
        while let Some((before, behind)) = rest.split_once("${") {
            let Some((name, after)) = behind.split_once('}') else {
                return Err(self.wrong(span, "expected `}` behind the name of a variable"));
            };
            let value = std::env::var(name).map_err(|_| {
                let message = format!("expected the environment variable {name} to be set");
                self.wrong(span.clone(), message)
            })?;
            resolved = resolved + before + &value;
            rest = after;
        }
        Ok(resolved + rest)
    }
}

/// The line of a place, from 1.
fn line_of(text: &str, place: usize) -> u64 {
    let before = text.as_bytes().get(..place).unwrap_or_default();
    1 + before.iter().filter(|byte| **byte == b'\n').count() as u64
}
