//! The kind of a folder's model, and whether its modules fit that kind.

use std::path::Path;

use crate::error::{Error, Result};

use super::super::config::ModelConfig;
use super::super::settings::Settings;
use super::layout::Layout;
use super::modules::Module;
use super::task::Task;

/// The output of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModelKind {
    /// One dense vector for each text.
    BiEncoder,
    /// One sparse vector over the vocabulary for each text.
    SparseEncoder,
    /// Scores for each pair of texts.
    CrossEncoder,
    /// One dense vector for each token.
    LateInteraction,
}

/// How two dense vectors are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Similarity {
    /// The cosine of the angle between them.
    Cosine,
    /// The inner product.
    Dot,
    /// The negative Euclidean distance.
    Euclidean,
    /// The negative sum of absolute differences.
    Manhattan,
}

/// The kind of model that was saved in a folder.
pub(super) fn saved_kind(
    layout: Option<&Layout>,
    config: &ModelConfig,
    transformer_settings: Option<&Settings>,
    about: Option<&Settings>,
) -> Result<ModelKind> {
    let Some(layout) = layout else {
        let is_scorer = config.is_saved_as("ForSequenceClassification") || config.decoder.is_some();
        return Ok(if is_scorer {
            ModelKind::CrossEncoder
        } else if config.is_saved_as("ForMaskedLM") {
            ModelKind::SparseEncoder
        } else if config.is_saved_as("HF_ColBERT") {
            ModelKind::LateInteraction
        } else {
            ModelKind::BiEncoder
        });
    };
    let transformer = layout.transformer()?;
    let task = Task::of(transformer, transformer_settings)?;
    let named = match about {
        Some(about) => about.text("model_type")?,
        None => None,
    };
    let has = |kind: &str| layout.steps.iter().any(|step| step.kind == kind);
    let kind = if has("SpladePooling") {
        ModelKind::SparseEncoder
    } else if task == Task::Classification {
        ModelKind::CrossEncoder
    } else if has("MultiVectorMask") || matches!(named, Some("ColBERT" | "MultiVectorEncoder")) {
        ModelKind::LateInteraction
    } else {
        ModelKind::BiEncoder
    };
    match (kind, task) {
        (ModelKind::SparseEncoder, Task::FillMask)
        | (ModelKind::CrossEncoder, Task::Classification)
        | (ModelKind::BiEncoder | ModelKind::LateInteraction, Task::Features) => Ok(kind),
        _ => Err(Error::model(
            &transformer.folder,
            format!(
                "expected the transformer of a model of kind {kind:?}, found one whose task is {task:?}"
            ),
        )),
    }
}

/// Refuses modules that cannot follow one another.
pub(super) fn check_order(path: &Path, kind: ModelKind, modules: &[Module]) -> Result<()> {
    let is_fine = match kind {
        ModelKind::BiEncoder => {
            matches!(modules, [Module::Pooling { .. }, rest @ ..] if rest.iter().all(|module| module.is_of_text()))
        }
        ModelKind::SparseEncoder => matches!(modules, [Module::SpladePooling { .. }]),
        ModelKind::CrossEncoder => matches!(modules, [Module::Classifier { .. }]),
        ModelKind::LateInteraction => modules.iter().all(|module| module.is_of_tokens()),
    };
    match is_fine {
        true => Ok(()),
        false => {
            let names: Vec<&str> = modules.iter().map(Module::name).collect();
            Err(Error::model(
                path,
                format!(
                    "expected the modules of a model of kind {kind:?} after the transformer, found {}",
                    names.join(", ")
                ),
            ))
        }
    }
}

pub(super) fn similarity(about: &Settings, kind: ModelKind) -> Result<Option<Similarity>> {
    if kind != ModelKind::BiEncoder {
        return Ok(None);
    }
    match about.text("similarity_fn_name")? {
        None => Ok(None),
        Some("cosine") => Ok(Some(Similarity::Cosine)),
        Some("dot") => Ok(Some(Similarity::Dot)),
        Some("euclidean") => Ok(Some(Similarity::Euclidean)),
        Some("manhattan") => Ok(Some(Similarity::Manhattan)),
        Some(other) => Err(about.wrong(
            "similarity_fn_name",
            "cosine, dot, euclidean or manhattan",
            format!("`{other}`"),
        )),
    }
}
