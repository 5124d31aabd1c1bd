//! Bytes as the settings of a model, separated by zero bytes, in a folder with a small tokenizer and
//! small weights: `config.json` and then the other files in the order of a list. An empty one is not
//! there.

use std::fs;
use std::path::Path;

use esparsa::Error;
use esparsa::neural::{ModelConfig, ModelFolder, ModelKind};

const FILES: [&str; 8] = [
    "config.json",
    "modules.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "1_Pooling/config.json",
    "2_Dense/config.json",
];
const TOKENIZER: &str = include_str!("../../neural/models/bert-f16/tokenizer.json");
const WEIGHTS: &[u8] = include_bytes!("../../neural/models/bert-f16/model.safetensors");

pub fn run(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (name, bytes) in FILES.iter().zip(bytes.split(|byte| *byte == 0)) {
        if !bytes.is_empty() {
            let file = path.join(name);
            fs::create_dir_all(file.parent().expect("a folder")).unwrap();
            fs::write(file, bytes).unwrap();
        }
    }
    if let Err(error) = ModelConfig::open(path) {
        refused(&error);
        return;
    }
    fs::write(path.join("tokenizer.json"), TOKENIZER).unwrap();
    fs::write(path.join("model.safetensors"), WEIGHTS).unwrap();
    open(path);
}

fn open(path: &Path) {
    let kinds = [
        None,
        Some(ModelKind::SparseEncoder),
        Some(ModelKind::CrossEncoder),
    ];
    for kind in kinds {
        match ModelFolder::open_as(path, kind) {
            Ok(folder) => drop((folder.document_tokens(), folder.fingerprint())),
            Err(error) => refused(&error),
        }
    }
}

/// A file that is not there is an error of reading, everything else one of the model.
fn refused(error: &Error) {
    assert!(
        matches!(error, Error::Model { .. } | Error::Io { .. }),
        "{error}"
    );
}
