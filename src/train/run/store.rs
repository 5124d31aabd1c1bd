//! What a run writes: models and checkpoints.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::TensorView;

use super::TrainKind;
use super::session::Progress;
use crate::backend::BackwardOps;
use crate::error::{Error, Result};
use crate::neural::ModelFolder;
use crate::train::optimizer::Optimizer;
use crate::train::options::TrainOptions;
use crate::train::recorder::Recorder;
use crate::train::task::Task;
use crate::train::watch::EvaluationRecord;

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

pub(super) fn newest(_output: &Path) -> Result<Option<PathBuf>> {
    Ok(None)
}

pub(super) fn save<B: BackwardOps>(
    output: &Path,
    _recorder: &Recorder<B>,
    _optimizer: &Optimizer<B>,
    _progress: &Progress,
    _keep: usize,
) -> Result<PathBuf> {
    Ok(output.join("checkpoint"))
}

pub(super) fn export<B: BackwardOps, T: Task<B>>(
    path: &Path,
    kind: TrainKind,
    _options: &TrainOptions,
    folder: &ModelFolder,
    task: &T,
    _best: Option<&EvaluationRecord>,
) -> Result<()> {
    let io = |error| Error::io(path, "write", error);
    fs::create_dir_all(path).map_err(io)?;
    for entry in fs::read_dir(&folder.path).map_err(io)? {
        let entry = entry.map_err(io)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if entry.path().is_file() && !name.ends_with("safetensors") && name != "modules.json" {
            fs::copy(entry.path(), path.join(&*name)).map_err(io)?;
        }
    }
    if kind == TrainKind::Cross {
        let text = fs::read_to_string(path.join("config.json")).map_err(io)?;
        let mut config: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        config["architectures"] = serde_json::json!(["BertForSequenceClassification"]);
        config["id2label"] = serde_json::json!({"0": "LABEL_0"});
        fs::write(path.join("config.json"), config.to_string()).map_err(io)?;
        let _ = fs::remove_file(path.join("config_sentence_transformers.json"));
    }
    let recorder = task.recorder();
    let parameters = recorder.parameters();
    let mut tensors = Vec::new();
    for master in parameters.masters() {
        let values = recorder.backend().read(&master.value)?;
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        let shape = folder.weights.shape(&master.name).map(<[usize]>::to_vec);
        let shape = shape.unwrap_or_else(|| vec![values.len()]);
        tensors.push((master.name.clone(), shape, Cow::from(bytes)));
    }
    let views = tensors.iter().map(|(name, shape, bytes)| {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes);
        (name.clone(), view.expect("whole tensors"))
    });
    safetensors::serialize_to_file(
        views.collect::<Vec<_>>(),
        None,
        &path.join("model.safetensors"),
    )
    .map_err(|error| Error::model(path, error.to_string()))
}
