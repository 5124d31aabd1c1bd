//! Models of late interaction: the modules of sentence-transformers 6, whose MultiVectorEncoder is the
//! first of its classes that reads them; a base of this kind keeps its own files.

use std::fs;

use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::neural::{ModelFolder, ModelKind, PUNCTUATION};

use super::super::files::NewFolder;
use super::config::pretty;
use super::modules::{PROJECTION_FOLDER, write_list};
use super::tensors::PROJECTION;
use super::{Export, ExportKind};

/// The version of sentence-transformers whose layout is written.
const LAYOUT_VERSION: &str = "6.2.0";

const TRANSFORMER: &str = "sentence_transformers.base.modules.transformer.Transformer";
const DENSE: &str = "sentence_transformers.base.modules.dense.Dense";
const MASK: &str =
    "sentence_transformers.multi_vector_encoder.modules.multi_vector_mask.MultiVectorMask";
const NORMALIZE: &str = "sentence_transformers.base.modules.normalize.Normalize";
const MASK_FOLDER: &str = "2_MultiVectorMask";
const NORMALIZE_FOLDER: &str = "3_Normalize";

/// Files of settings of a base of late interaction, in the layouts of sentence-transformers, PyLate and
/// Stanford's code.
const SETTINGS: [&str; 4] = [
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "artifact.metadata",
];

/// Writes all settings but those of the transformer and the tokenizer.
pub(super) fn write(
    folder: &NewFolder,
    base: &ModelFolder,
    export: &Export<'_>,
    lowercases: bool,
) -> Result<()> {
    if base.kind == ModelKind::LateInteraction {
        return copy_settings(folder, base);
    }
    let ExportKind::LateInteraction {
        query_tokens,
        document_tokens,
    } = export.kind
    else {
        return Ok(());
    };
    let trained = export
        .tensors
        .iter()
        .find(|tensor| tensor.name == PROJECTION);
    let dimensions = trained.map_or(0, |tensor| tensor.values.len() / base.config.hidden.max(1));
    let of_tokens = json!({
        "module_input_name": "token_embeddings",
        "module_output_name": "token_embeddings",
    });
    let mut transformer = json!({
        "transformer_task": "feature-extraction",
        "modality_config": {
            "text": {"method": "forward", "method_output_name": "last_hidden_state"}
        },
        "module_output_name": "token_embeddings",
        "query_length": query_tokens,
        "document_length": document_tokens,
    });
    if lowercases {
        transformer["do_lower_case"] = json!(true);
    }
    let mut dense = json!({
        "in_features": base.config.hidden,
        "out_features": dimensions,
        "bias": false,
        "activation_function": "torch.nn.modules.linear.Identity",
    });
    for (key, value) in of_tokens.as_object().into_iter().flatten() {
        dense[key] = value.clone();
    }
    let skipped: Vec<String> = PUNCTUATION.chars().map(String::from).collect();
    let mask = json!({
        "skiplist_words": skipped,
        "skiplist_tasks": ["document"],
        "keep_only_token_ids": null,
    });
    let prompts = export.prompts.as_ref().unwrap_or(&base.prompts);
    let about = json!({
        "__version__": {
            "esparsa": env!("CARGO_PKG_VERSION"), "sentence_transformers": LAYOUT_VERSION
        },
        "model_type": "MultiVectorEncoder",
        "prompts": prompts.named,
        "default_prompt_name": prompts.default,
        "similarity_fn_name": null,
    });
    let files: [(&str, Value); 5] = [
        ("sentence_bert_config.json", transformer),
        (&format!("{PROJECTION_FOLDER}/config.json"), dense),
        (&format!("{MASK_FOLDER}/config.json"), mask),
        (&format!("{NORMALIZE_FOLDER}/config.json"), of_tokens),
        ("config_sentence_transformers.json", about),
    ];
    for (name, value) in files {
        folder.write(name, &pretty(&value))?;
    }
    write_list(
        folder,
        &[
            ("", TRANSFORMER),
            (PROJECTION_FOLDER, DENSE),
            (MASK_FOLDER, MASK),
            (NORMALIZE_FOLDER, NORMALIZE),
        ],
    )
}

/// Copies the settings of a base and of its modules.
fn copy_settings(folder: &NewFolder, base: &ModelFolder) -> Result<()> {
    for name in SETTINGS {
        let from = base.path.join(name);
        if from.is_file() {
            folder.copy(&from, name)?;
        }
    }
    let failed = |error| Error::io(&base.path, "list", error);
    for entry in fs::read_dir(&base.path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let settings = entry.path().join("config.json");
        if name.starts_with(|first: char| first.is_ascii_digit()) && settings.is_file() {
            folder.copy(&settings, &format!("{name}/config.json"))?;
        }
    }
    Ok(())
}
