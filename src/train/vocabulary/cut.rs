//! A model with the pieces alone that a corpus uses.
//!
//! Most of a multilingual model is the word embeddings of languages that a corpus does not have,
//! and a SPLADE over a quarter of a million terms is slow to train. Rows of pieces that no text uses
//! are removed, from the embeddings and from the decoder of a head; all others stay as they are.

use std::fs;
use std::path::Path;

use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::neural::{ModelFolder, Settings, Tokenizer};

use super::super::export::{echo_of, write_echo};
use super::super::files::{NewFolder, write_tensors};
use super::super::model::open_any;
use super::pieces::Kept;
use super::{rows, tokenizer};

/// Texts that are tokenized at a time.
const WINDOW: usize = 4_096;
/// Settings that are ids of tokens.
const TOKEN_SETTINGS: [&str; 8] = [
    "pad_token_id",
    "bos_token_id",
    "eos_token_id",
    "sep_token_id",
    "cls_token_id",
    "unk_token_id",
    "mask_token_id",
    "decoder_start_token_id",
];
/// Files of the base that hold its whole vocabulary in another form; `tokenizer.json` suffices.
const OTHER_VOCABULARIES: [&str; 9] = [
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "tokenizer.model",
    "idf.json",
];

const SPLADE_CONFIG: &str = "1_SpladePooling/config.json";

/// How a vocabulary is cut.
#[derive(Clone, Copy, Debug)]
pub struct VocabularyCut<'a> {
    /// The folder of the model.
    pub base: &'a Path,
    /// Pieces that the texts have fewer times are removed; at least 1.
    pub min_count: u64,
}

/// What a cut did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CutReport {
    /// Pieces of the base.
    pub before: usize,
    /// Pieces that stayed.
    pub after: usize,
    /// Texts that were counted.
    pub texts: u64,
    /// Tokens in them, without special tokens.
    pub tokens: u64,
    /// Of these, those whose piece was removed: they are spelled with other pieces now.
    pub respelled: u64,
}

impl VocabularyCut<'_> {
    /// Writes the cut model to the folder `output`.
    ///
    /// Beside the pieces that `texts` use, those that the model's prompts use stay, special and
    /// added tokens, and the single characters (bytes, for byte-level BPE) with which new words are
    /// spelled. Texts of kept pieces alone have the same pieces, and so the same hidden states, as
    /// before; with WordPiece this holds for texts without unknown words.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if the base cannot be read, has no `tokenizer.json`, or one of another class
    /// than WordPiece, BPE and Unigram, or is inference-free; [`Error::InvalidInput`] without
    /// texts; [`Error::Io`]; and an error of `texts`.
    pub fn write<T: AsRef<str>>(
        &self,
        texts: impl IntoIterator<Item = Result<T>>,
        output: &Path,
    ) -> Result<CutReport> {
        let base = open_any(self.base)?;
        let source = base.weights.folder();
        if base.static_queries.is_some() || source != base.path {
            return Err(Error::model(
                self.base,
                "a cut of the vocabulary: expected a model whose queries and documents have the same transformer, found one with \
                 a table for queries; cut the model that it was made from",
            ));
        }
        let path = source.join("tokenizer.json");
        let mut json = Settings::read(&path)
            .map_err(|error| match error {
                Error::Io { .. } => Error::model(
                    &path,
                    "a cut of the vocabulary needs tokenizer.json, found none; make it once in Python: \
                     `AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`",
                ),
                other => other,
            })
            .map(|settings| Value::Object(settings.keys().clone()))?;
        let (counts, texts) = count(&base, texts)?;
        if texts == 0 {
            return Err(Error::invalid(
                "a cut of the vocabulary: expected texts, found none; all pieces would be removed",
            ));
        }
        let kept = Kept::of(&json, &path, &base, &counts, self.min_count.max(1))?;
        tokenizer::cut(&mut json, &path, &kept)?;
        let folder = NewFolder::create(output)?;
        copy_others(&folder, source, source)?;
        folder.write("tokenizer.json", json.to_string().as_bytes())?;
        write_config(&folder, &base, &kept)?;
        write_tokenizer_config(&folder, source, &kept)?;
        write_splade_config(&folder, &base, &kept)?;
        let echo = echo_of(&base).map(|table| Some(rows::of_table(table?, &kept)));
        write_echo(&folder, [0, 1].map(|side| echo[side].as_deref()))?;
        let tensors = rows::sources(&base, &kept);
        write_tensors(folder.file("model.safetensors")?, tensors)?;
        open_any(folder.path())?;
        folder.publish()?;
        let tokens: u64 = counts.iter().sum();
        let used = kept.ids().iter().filter_map(|id| counts.get(*id as usize));
        Ok(CutReport {
            before: base.config.vocabulary,
            after: kept.ids().len(),
            texts,
            tokens,
            respelled: tokens - used.sum::<u64>(),
        })
    }
}

/// How often the texts have each piece, and the number of texts.
fn count<T: AsRef<str>>(
    base: &ModelFolder,
    texts: impl IntoIterator<Item = Result<T>>,
) -> Result<(Vec<u64>, u64)> {
    let mut counts = vec![0; base.config.vocabulary];
    let (mut window, mut number) = (Vec::with_capacity(WINDOW), 0);
    for text in texts {
        window.push(text?.as_ref().to_owned());
        number += 1;
        if window.len() == WINDOW {
            add_counts(&base.tokenizer, &window, &mut counts)?;
            window.clear();
        }
    }
    add_counts(&base.tokenizer, &window, &mut counts)?;
    Ok((counts, number))
}

fn add_counts(tokenizer: &Tokenizer, texts: &[String], counts: &mut [u64]) -> Result<()> {
    let ids: Vec<Vec<u32>> = texts
        .par_iter()
        .map(|text| tokenizer.encode_without_special_tokens(text))
        .collect::<Result<_>>()?;
    for id in ids.into_iter().flatten() {
        if let Some(count) = counts.get_mut(id as usize) {
            *count += 1;
        }
    }
    Ok(())
}

/// Copies the files of a folder and its modules that do not depend on the vocabulary.
fn copy_others(folder: &NewFolder, root: &Path, place: &Path) -> Result<()> {
    let failed = |error| Error::io(place, "list", error);
    for entry in fs::read_dir(place).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.strip_prefix(root).unwrap_or(&path).to_string_lossy();
        let is_module = name.starts_with(|first: char| first.is_ascii_digit());
        if path.is_dir() {
            if is_module {
                copy_others(folder, root, &path)?;
            }
            continue;
        }
        let is_written = matches!(
            &*name,
            "tokenizer.json" | "config.json" | "tokenizer_config.json" | SPLADE_CONFIG
        );
        let is_of_weights = name.starts_with("model") && name.contains(".safetensors");
        let is_small = is_module || name.ends_with(".json");
        let is_other = OTHER_VOCABULARIES.contains(&&*name);
        if is_small && !is_written && !is_other && (is_module || !is_of_weights) {
            folder.copy(&path, &name)?;
        }
    }
    Ok(())
}

fn write_config(folder: &NewFolder, base: &ModelFolder, kept: &Kept) -> Result<()> {
    let settings = Settings::read(&base.weights.folder().join("config.json"))?;
    let mut keys = settings.keys().clone();
    keys.insert("vocab_size".to_owned(), json!(kept.ids().len()));
    for key in TOKEN_SETTINGS {
        let Some(id) = keys.get(key).and_then(Value::as_u64) else {
            continue;
        };
        let id = u32::try_from(id).ok().and_then(|id| kept.new_id(id));
        keys.insert(key.to_owned(), json!(id));
    }
    write_json(folder, "config.json", keys)
}

/// `tokenizer_config.json`, which may list the added tokens by id.
fn write_tokenizer_config(folder: &NewFolder, source: &Path, kept: &Kept) -> Result<()> {
    let Some(settings) = Settings::read_if_there(&source.join("tokenizer_config.json"))? else {
        return Ok(());
    };
    let mut keys = settings.keys().clone();
    if let Some(Value::Object(tokens)) = keys.get_mut("added_tokens_decoder") {
        let by_new_id = tokens.iter().filter_map(|(id, token)| {
            let id = kept.new_id(id.parse().ok()?)?;
            Some((id.to_string(), token.clone()))
        });
        *tokens = by_new_id.collect();
    }
    write_json(folder, "tokenizer_config.json", keys)
}

/// The settings of a SPLADE's pooling may have the number of terms.
fn write_splade_config(folder: &NewFolder, base: &ModelFolder, kept: &Kept) -> Result<()> {
    let Some(settings) = Settings::read_if_there(&base.path.join(SPLADE_CONFIG))? else {
        return Ok(());
    };
    let mut keys = settings.keys().clone();
    for key in ["word_embedding_dimension", "embedding_dimension"] {
        if keys.get(key).is_some_and(Value::is_number) {
            keys.insert(key.to_owned(), json!(kept.ids().len()));
        }
    }
    write_json(folder, SPLADE_CONFIG, keys)
}

fn write_json(folder: &NewFolder, name: &str, keys: Map<String, Value>) -> Result<()> {
    let text = format!("{:#}\n", Value::Object(keys));
    folder.write(name, text.as_bytes()).map(|_| ())
}
