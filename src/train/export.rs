//! The folder of a trained model, in the layout that `transformers` and sentence-transformers load.
//!
//! Comes in: the folder that training started from, and the trained values by the names of
//! [`Parameters`]. Goes out: a folder with the same tokenizer, the settings of the trained kind, all
//! tensors under their published names, and a model card. The names of modules are those of
//! sentence-transformers 5, which version 6 loads as well.
//!
//! | file | concept |
//! | --- | --- |
//! | `tensors` | which values each published tensor gets |
//! | `names` | the names that `transformers` expects |
//! | `config` | `config.json` |
//! | `modules` | modules, prompts and limits of sentence-transformers |
//! | `echo` | weights of a text's own tokens, which only this library reads |
//! | `late` | modules and settings of late interaction |
//! | `card` | the model card |
//!
//! Invariant: the output appears complete under its name, or what was there before stays.

mod card;
mod config;
mod echo;
mod late;
mod modules;
mod names;
mod tensors;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::path::Path;

use crate::backend::{BackwardOps, Pooling, SpladeActivation, SpladePooling};
use crate::error::{Error, Result};
use crate::neural::{ECHO_FOLDER, ModelFolder, Prompts, ScoreActivation, Similarity};

use super::files::NewFolder;
use super::model::open_any;
use super::parameters::Parameters;

pub use card::Card;

pub(super) use echo::{of as echo_of, write_echo};
pub(super) use names::is_of_vocabulary;

/// What the trained model makes of texts.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportKind {
    /// Sparse vectors of queries and documents.
    Splade {
        /// How tokens become one vector.
        pooling: SpladePooling,
        /// How logits become weights.
        activation: SpladeActivation,
    },
    /// Sparse vectors of documents; those of queries come from a table.
    InferenceFree {
        /// How tokens become one vector.
        pooling: SpladePooling,
        /// How logits become weights.
        activation: SpladeActivation,
    },
    /// Dense vectors.
    BiEncoder {
        /// The pooling; `None`: that of the base with the modules after it, or the mean if the base
        /// is no bi-encoder.
        pooling: Option<Pooling>,
        /// Whether vectors are normalized; `None`: as the base does.
        is_normalized: Option<bool>,
        /// How vectors are compared; `None`: as the base says, or else by cosine.
        similarity: Option<Similarity>,
    },
    /// A vector of each token. A base of this kind keeps its layout and lengths; to another one the
    /// trained tensor `linear.weight`, a projection, is added.
    LateInteraction {
        /// Max tokens of a query, for a base of another kind.
        query_tokens: usize,
        /// Max tokens of a document, for a base of another kind.
        document_tokens: usize,
    },
    /// Scores of pairs.
    CrossEncoder {
        /// The name of each label; one for a model that gives one score.
        labels: Vec<String>,
        /// The activation of scores.
        activation: ScoreActivation,
    },
}

/// The trained values of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedTensor<'a> {
    /// Its name as [`Parameters`] have it.
    pub name: Cow<'a, str>,
    /// Its values, row after row.
    pub values: Cow<'a, [f32]>,
}

impl ExportedTensor<'static> {
    /// The values of all masters.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if they cannot be read from the device.
    pub fn of<B: BackwardOps>(parameters: &Parameters<B>, backend: &B) -> Result<Vec<Self>> {
        let masters = parameters.masters().iter();
        let tensors = masters.map(|master| {
            Ok(Self {
                name: Cow::Owned(master.name.clone()),
                values: Cow::Owned(backend.read(&master.value)?),
            })
        });
        tensors.collect()
    }
}

/// A trained model that is to be written.
///
/// ```
/// use esparsa::internals::backend::{SpladeActivation, SpladePooling};
/// use esparsa::internals::train::{Card, Export, ExportKind};
/// use esparsa::neural::ModelFolder;
///
/// let folder = tempfile::tempdir()?;
/// let output = folder.path().join("trained");
/// Export {
///     base: "tests/neural/models/bert-masked".as_ref(),
///     kind: ExportKind::Splade {
///         pooling: SpladePooling::Max,
///         activation: SpladeActivation::Log1pRelu,
///     },
///     tensors: &[],
///     query_table: None,
///     echo: [None, None],
///     max_tokens: Some(32),
///     max_terms: None,
///     prompts: None,
///     card: Card::default(),
/// }
/// .write(&output)?;
/// assert_eq!(ModelFolder::open(&output)?.max_tokens, 32);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Export<'a> {
    /// The folder that training started from.
    pub base: &'a Path,
    /// What the model makes of texts.
    pub kind: ExportKind,
    /// What was trained. Tensors of the base that are not here stay byte for byte as they are.
    pub tensors: &'a [ExportedTensor<'a>],
    /// For [`ExportKind::InferenceFree`] the weight of each token in queries; `None`: that of the
    /// base.
    pub query_table: Option<&'a [f32]>,
    /// For sparse vectors what the tokens of documents and of queries add to them (a lexical echo), a
    /// weight for each token of the vocabulary; `None`: that of the base.
    pub echo: [Option<&'a [f32]>; 2],
    /// Max tokens of a text or pair; `None`: as the base.
    pub max_tokens: Option<usize>,
    /// Sparse vectors keep this many of their highest weights; `None`: as the base.
    pub max_terms: Option<usize>,
    /// What is put before texts; `None`: as the base.
    pub prompts: Option<Prompts>,
    /// What the model card says.
    pub card: Card<'a>,
}

impl Export<'_> {
    /// Writes the folder `output`. A model that is there is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if the base cannot be read, or has no tensor of a trained name and that name
    /// is of no head; [`Error::InvalidInput`] for values that are not finite or do not fit, for a
    /// limit that the model cannot take, and if there is something else than a model at `output`;
    /// [`Error::Io`]. What was at `output` then stays.
    pub fn write(&self, output: &Path) -> Result<()> {
        let base = open_any(self.base)?;
        let max_tokens = self.checked_max_tokens(&base)?;
        refuse_other_contents(output)?;
        let plan = tensors::Plan::new(&base, &self.kind, self.tensors)?;
        let folder = NewFolder::create(output)?;
        let layout = modules::Layout::of(&self.kind);
        plan.write(&folder, layout.transformer)?;
        config::write(&folder, &layout, &base, &self.kind, &plan)?;
        modules::write(&folder, &layout, &base, self, max_tokens)?;
        plan.write_modules(&folder)?;
        echo::write(&folder, &base, self)?;
        let card = self.card.text(self, &base, max_tokens);
        folder.write("README.md", card.as_bytes())?;
        // What this crate cannot open is not published.
        ModelFolder::open(folder.path())?;
        folder.publish()
    }

    /// True if the written model has a lexical echo.
    fn has_echo(&self, base: &ModelFolder) -> bool {
        let is_sparse = matches!(
            self.kind,
            ExportKind::Splade { .. } | ExportKind::InferenceFree { .. }
        );
        let tables = self.echo.into_iter().chain(echo::of(base));
        is_sparse && tables.flatten().next().is_some()
    }

    fn checked_max_tokens(&self, base: &ModelFolder) -> Result<usize> {
        let max_tokens = self.max_tokens.unwrap_or(base.max_tokens);
        let positions = base.config.max_positions.unwrap_or(usize::MAX);
        let specials = match self.kind {
            ExportKind::CrossEncoder { .. } => base.tokenizer.special_tokens_of_pair(),
            _ => base.tokenizer.special_tokens(),
        };
        if (specials + 1..=positions).contains(&max_tokens) {
            return Ok(max_tokens);
        }
        Err(Error::invalid(format!(
            "expected max tokens above {specials}, the special tokens alone, and at most {positions}, the positions of the \
             model, found {max_tokens}"
        )))
    }
}

/// Refuses an output that holds something else than a model, which replacing it would remove.
fn refuse_other_contents(output: &Path) -> Result<()> {
    let metadata = match std::fs::symlink_metadata(output) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io(output, "open", error)),
    };
    let refused = |what: &str| {
        Err(Error::invalid(format!(
            "expected no folder at {}, or the folder of a model, which is replaced; found {what}; choose another output",
            output.display()
        )))
    };
    if !metadata.is_dir() {
        return refused("a file or a link");
    }
    let failed = |error| Error::io(output, "list", error);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(output).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_of_module = name == ECHO_FOLDER
            || name.starts_with(|first: char| first.is_ascii_digit())
            || name.starts_with("query_")
            || name.starts_with("document_");
        if entry.path().is_dir() && !is_of_module {
            return refused(&format!("the folder `{name}` in it"));
        }
        names.push(name);
    }
    let is_model = names
        .iter()
        .any(|name| matches!(name.as_str(), "modules.json" | "config.json"));
    match names.first() {
        Some(name) if !is_model => refused(&format!("`{name}` and no model in it")),
        _ => Ok(()),
    }
}
