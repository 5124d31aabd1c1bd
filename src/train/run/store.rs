//! What a run writes: models and checkpoints.

use std::fs;
use std::path::{Path, PathBuf};

use super::TrainKind;
use super::prepare::splade_activation;
use super::session::Progress;
use crate::backend::BackwardOps;
use crate::error::{Error, Result};
use crate::neural::{ModelFolder, ScoreActivation};
use crate::train::checkpoint::Checkpoint;
use crate::train::export::{Card, Export, ExportKind, ExportedTensor};
use crate::train::model::limit_of;
use crate::train::optimizer::Optimizer;
use crate::train::options::TrainOptions;
use crate::train::recorder::Recorder;
use crate::train::task::Task;
use crate::train::watch::EvaluationRecord;

/// What the names of tables of token weights begin with.
const TABLES: &str = "tables.";
const QUERY_TABLE: &str = "tables.query";
/// For documents and for queries.
const ECHO: [&str; 2] = ["tables.echo", "tables.query-echo"];

/// The folder of the best model.
pub(super) fn model_folder(output: &Path) -> PathBuf {
    output.join("model")
}

/// The folder of a model that is being evaluated.
pub(super) fn evaluated_folder(output: &Path) -> PathBuf {
    output.join(".evaluated")
}

/// Removes a folder, if there is one.
pub(super) fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(folder, "remove", error))
        }
        _ => Ok(()),
    }
}

/// Writes a checkpoint.
pub(super) fn save<B: BackwardOps>(
    output: &Path,
    recorder: &Recorder<B>,
    optimizer: &Optimizer<B>,
    progress: &Progress,
    keep: usize,
) -> Result<PathBuf> {
    let backend = recorder.backend();
    let parameters = recorder.parameters();
    let tensors = parameters
        .masters()
        .iter()
        .map(|master| Ok((master.name.clone(), backend.read(&master.value)?)));
    Checkpoint {
        step: progress.step,
        tensors: tensors.collect::<Result<_>>()?,
        moments: optimizer.moments(backend)?,
        state: serde_json::to_value(progress)
            .map_err(|error| Error::invalid(format!("a checkpoint cannot be written: {error}")))?,
    }
    .write(output, keep)
}

/// Puts the state of a checkpoint into a model and its optimizer; returns what else it has.
pub(super) fn restore<B: BackwardOps>(
    path: &Path,
    recorder: &Recorder<B>,
    optimizer: &mut Optimizer<B>,
) -> Result<Progress> {
    let checkpoint = Checkpoint::read(path)?;
    let backend = recorder.backend();
    let progress: Progress = serde_json::from_value(checkpoint.state).map_err(|error| {
        Error::model(
            path,
            format!(
                "the checkpoint has no state of a run: {error}; was it written by another version?"
            ),
        )
    })?;
    let mut parameters = recorder.parameters_mut();
    let mut values = checkpoint.tensors.iter();
    for master in parameters.masters_mut() {
        match values.next() {
            Some((name, values)) if *name == master.name => {
                backend.write(&mut master.value, values)?;
            }
            found => {
                return Err(Error::model(
                    path,
                    format!(
                        "expected the tensor `{}`, found {}; the checkpoint is another model's",
                        master.name,
                        found.map_or("none", |(name, _)| name)
                    ),
                ));
            }
        }
    }
    parameters.pack(backend)?;
    optimizer.restore(backend, checkpoint.step, &checkpoint.moments)?;
    Ok(progress)
}

/// Writes the model to a folder; `evaluations` are for its card.
pub(super) fn export<B: BackwardOps, T: Task<B>>(
    path: &Path,
    kind: TrainKind,
    options: &TrainOptions,
    folder: &ModelFolder,
    task: &T,
    evaluations: &[EvaluationRecord],
) -> Result<()> {
    let recorder = task.recorder();
    let tensors = ExportedTensor::of(&recorder.parameters(), recorder.backend())?;
    let (tables, tensors): (Vec<_>, Vec<_>) = tensors
        .into_iter()
        .partition(|tensor| tensor.name.starts_with(TABLES));
    let table = |name: &str| {
        let table = tables.iter().find(|table| table.name == name)?;
        // What is below 0 counts as 0 in training too.
        let weights = table.values.iter().map(|weight| weight.max(0.0));
        Some(weights.collect::<Vec<f32>>())
    };
    let query_table = table(QUERY_TABLE);
    let echo = ECHO.map(table);
    let echo = [0, 1].map(|place| echo[place].as_deref());
    let has_table = match kind {
        // An alignment changes no queries: those of an inference-free base keep its table.
        TrainKind::Align => folder.static_queries.is_some(),
        _ => query_table.is_some(),
    };
    let described = described(options);
    let versions = [("device".to_owned(), recorder.backend().name())];
    Export {
        base: &options.base,
        kind: export_kind(kind, options, folder, has_table),
        tensors: &tensors,
        query_table: query_table.as_deref(),
        echo,
        max_tokens: match &folder.late {
            // A base of late interaction has its own lengths.
            Some(_) => None,
            None => Some(limit_of(folder, options.max_tokens, "max-tokens")?),
        },
        max_terms: None,
        prompts: None,
        card: Card {
            options: &described,
            evaluations,
            versions: &versions,
            ..Card::default()
        },
    }
    .write(path)
}

fn export_kind(
    kind: TrainKind,
    options: &TrainOptions,
    folder: &ModelFolder,
    has_table: bool,
) -> ExportKind {
    let pooling = options.splade_pooling();
    let activation = splade_activation(folder);
    match (kind, has_table) {
        (TrainKind::Splade | TrainKind::Align, false) | (TrainKind::Mlm, _) => ExportKind::Splade {
            pooling,
            activation,
        },
        (TrainKind::Splade | TrainKind::Align, true) => ExportKind::InferenceFree {
            pooling,
            activation,
        },
        (TrainKind::Bi, _) if options.late_interaction => ExportKind::LateInteraction {
            query_tokens: options.max_query_tokens,
            document_tokens: options.max_tokens,
        },
        (TrainKind::Bi, _) => ExportKind::BiEncoder {
            pooling: None,
            is_normalized: None,
            similarity: None,
        },
        (TrainKind::Cross, _) => ExportKind::CrossEncoder {
            labels: match options.labels {
                1 => vec!["LABEL_0".to_owned()],
                grades => (0..grades).map(|grade| grade.to_string()).collect(),
            },
            activation: match options.labels {
                1 => ScoreActivation::Identity,
                _ => ScoreActivation::ExpectedGrade,
            },
        },
    }
}

/// The options that differ from their defaults, for the model card.
fn described(options: &TrainOptions) -> Vec<(String, String)> {
    let values = |options: &TrainOptions| serde_json::to_value(options).unwrap_or_default();
    let (given, defaults) = (values(options), values(&TrainOptions::default()));
    let given = given.as_object().cloned().unwrap_or_default();
    let differ = given
        .into_iter()
        .filter(|(name, value)| name != "output" && defaults.get(name) != Some(value));
    differ
        .map(|(name, value)| match value {
            serde_json::Value::String(text) => (name, text),
            value => (name, value.to_string()),
        })
        .collect()
}
