//! Whether a vocabulary file alone defines the tokenizer that a folder names.
//!
//! `tokenizer.json` says everything. A `vocab.txt` says which pieces there are, not how text is cut
//! into words before: Japanese models run a morphological analyzer, others need a second file of
//! merges. Read as WordPiece, such a vocabulary gives plausible tokens and wrong vectors.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};

use super::super::config::Family;
use super::super::settings::Settings;

/// What tokenizers need that `vocab.txt` alone does not define.
const COMPANIONS: [&str; 2] = [".codes", ".model"];

/// A vocabulary that is no `tokenizer.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vocabulary {
    /// `vocab.txt`: the WordPiece of BERT.
    Words,
    /// `vocab.json` with `merges.txt`: the byte-level BPE of RoBERTa.
    Merges,
}

impl Vocabulary {
    fn name(self) -> &'static str {
        match self {
            Self::Words => "vocab.txt",
            Self::Merges => "vocab.json with merges.txt",
        }
    }

    /// The classes in Python that it defines, without `Fast`.
    fn classes(self) -> &'static [&'static str] {
        match self {
            Self::Words => &[
                "BertTokenizer",
                "ConvBertTokenizer",
                "DistilBertTokenizer",
                "DPRContextEncoderTokenizer",
                "DPRQuestionEncoderTokenizer",
                "DPRReaderTokenizer",
                "ElectraTokenizer",
                "LayoutLMTokenizer",
                "LxmertTokenizer",
                "MobileBertTokenizer",
                "RealmTokenizer",
                "RetriBertTokenizer",
                "SqueezeBertTokenizer",
            ],
            Self::Merges => &["BartTokenizer", "LongformerTokenizer", "RobertaTokenizer"],
        }
    }

    /// The families whose models have such a vocabulary where no class is named.
    fn families(self) -> &'static [Family] {
        match self {
            Self::Words => &[Family::Bert, Family::DistilBert, Family::Electra],
            Self::Merges => &[Family::Roberta],
        }
    }
}

/// Refuses a folder whose tokenizer is not the one that the vocabulary defines.
///
/// # Errors
///
/// [`Error::Model`], which names the class.
pub(super) fn check(folder: &Path, vocabulary: Vocabulary, family: Family) -> Result<()> {
    let named = named_classes(folder)?;
    for class in &named {
        let known = class.strip_suffix("Fast").unwrap_or(class);
        if !vocabulary.classes().contains(&known) {
            return Err(refused(folder, vocabulary, &format!("a `{class}`")));
        }
    }
    if !named.is_empty() {
        return Ok(());
    }
    if !vocabulary.families().contains(&family) {
        let tokenizer = format!("the tokenizer of a model of the family {family:?}");
        return Err(refused(folder, vocabulary, &tokenizer));
    }
    match companion(folder) {
        Some(file) if vocabulary == Vocabulary::Words => {
            let tokenizer = format!("the tokenizer that {file} belongs to");
            Err(refused(folder, vocabulary, &tokenizer))
        }
        _ => Ok(()),
    }
}

fn refused(folder: &Path, vocabulary: Vocabulary, tokenizer: &str) -> Error {
    Error::model(
        folder,
        format!(
            "expected tokenizer.json, because {} alone does not define {tokenizer}; make it once in Python: \
             `AutoTokenizer.from_pretrained(folder, use_fast=True).save_pretrained(folder)`. Where the class has no fast version, \
             the model cannot be read here",
            vocabulary.name()
        ),
    )
}

/// The classes that the folder names: as in `AutoTokenizer`, `config.json` counts only where
/// `tokenizer_config.json` names none.
fn named_classes(folder: &Path) -> Result<Vec<String>> {
    for file in ["tokenizer_config.json", "config.json"] {
        let Some(settings) = Settings::read_if_there(&folder.join(file))? else {
            continue;
        };
        let class = settings.text("tokenizer_class")?.map(str::to_owned);
        let own = settings.value("auto_map").map(own_classes);
        let named: Vec<String> = class.into_iter().chain(own.into_iter().flatten()).collect();
        if !named.is_empty() {
            return Ok(named);
        }
    }
    Ok(Vec::new())
}

/// The tokenizer's classes in the model's own code, such as `KoBertTokenizer` of
/// `"tokenization_kobert.KoBertTokenizer"`.
fn own_classes(map: &Value) -> Vec<String> {
    let names = match map {
        Value::Object(map) => map.get("AutoTokenizer"),
        // Old folders list the tokenizer's alone.
        other => Some(other),
    };
    let names = match names {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(name)) => vec![name.as_str()],
        _ => Vec::new(),
    };
    let class = |name: &str| name.rsplit('.').next().unwrap_or(name).to_owned();
    names.into_iter().map(class).collect()
}

/// A file of another kind of tokenizer; of several, the first by name.
fn companion(folder: &Path) -> Option<String> {
    let entries = fs::read_dir(folder).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    names
        .filter(|name| COMPANIONS.iter().any(|ending| name.ends_with(ending)))
        .min()
}
