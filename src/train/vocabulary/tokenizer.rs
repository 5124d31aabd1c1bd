//! `tokenizer.json` with fewer pieces.

use std::path::Path;

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

use super::pieces::Kept;

/// The class of a tokenizer's model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    WordPiece,
    Bpe,
    Unigram,
}

impl Class {
    pub(super) fn of(json: &Value, path: &Path) -> Result<Self> {
        // Old files do not name it: lists of scores and merges tell.
        let model = &json["model"];
        match model["type"].as_str() {
            Some("WordPiece") => Ok(Self::WordPiece),
            Some("BPE") => Ok(Self::Bpe),
            Some("Unigram") => Ok(Self::Unigram),
            None if model["vocab"].is_array() => Ok(Self::Unigram),
            None if model["merges"].is_array() => Ok(Self::Bpe),
            None if model["max_input_chars_per_word"].is_number() => Ok(Self::WordPiece),
            other => Err(Error::model(
                path,
                format!(
                    "a cut of the vocabulary: expected a tokenizer of the class WordPiece, BPE or Unigram, found {}",
                    other.unwrap_or("none")
                ),
            )),
        }
    }
}

fn malformed(path: &Path, what: &str) -> Error {
    Error::model(path, format!("expected {what}, found something else"))
}

/// The pieces of the model with their ids.
pub(super) fn pieces<'a>(
    json: &'a Value,
    path: &Path,
    class: Class,
) -> Result<Vec<(&'a str, u32)>> {
    let vocab = &json["model"]["vocab"];
    let found: Option<Vec<_>> = match class {
        Class::Unigram => vocab.as_array().and_then(|list| {
            let pieces = list.iter().zip(0..);
            pieces
                .map(|(piece, id)| Some((piece[0].as_str()?, id)))
                .collect()
        }),
        _ => vocab.as_object().and_then(|map| {
            let pieces = map.iter();
            pieces
                .map(|(piece, id)| Some((piece.as_str(), id_of(id)?)))
                .collect()
        }),
    };
    found.ok_or_else(|| malformed(path, "the pieces of `model.vocab` with their ids or scores"))
}

fn id_of(value: &Value) -> Option<u32> {
    value.as_u64().and_then(|id| u32::try_from(id).ok())
}

/// The added tokens with their ids.
pub(super) fn added(json: &Value) -> Vec<(u32, &str)> {
    let list = json["added_tokens"].as_array().into_iter().flatten();
    let tokens = list.filter_map(|token| Some((id_of(&token["id"])?, token["content"].as_str()?)));
    tokens.collect()
}

/// The piece of a Unigram model with the lowest score, from which the score of unknown characters
/// is computed.
pub(super) fn worst(json: &Value) -> Option<u32> {
    let list = json["model"]["vocab"].as_array()?;
    let scores = list
        .iter()
        .zip(0..)
        .filter_map(|(piece, id)| Some((piece[1].as_f64()?, id)));
    scores.min_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, id)| id)
}

/// The merges of a BPE model in the order of their ranks.
pub(super) fn merges<'a>(json: &'a Value, path: &Path) -> Result<Vec<(&'a str, &'a str)>> {
    let list = json["model"]["merges"].as_array();
    let merges = list.and_then(|list| list.iter().map(merge).collect::<Option<Vec<_>>>());
    merges.ok_or_else(|| malformed(path, "the pairs of `model.merges`"))
}

/// A merge, which is written as a pair or as one string.
fn merge(value: &Value) -> Option<(&str, &str)> {
    match value {
        Value::String(text) => text.split_once(' '),
        pair => Some((pair[0].as_str()?, pair[1].as_str()?)),
    }
}

/// The piece that two become.
pub(super) fn merged(first: &str, second: &str, prefix: &str) -> String {
    let second = second.strip_prefix(prefix).unwrap_or(second);
    format!("{first}{second}")
}

/// Removes all pieces but those that stay, and gives these their new ids.
pub(super) fn cut(json: &mut Value, path: &Path, kept: &Kept) -> Result<()> {
    let class = Class::of(json, path)?;
    let model = &mut json["model"];
    match class {
        Class::Unigram => {
            let list = model["vocab"].as_array().cloned().unwrap_or_default();
            let stay = list.into_iter().zip(0..);
            let stay = stay.filter(|(_, id)| kept.new_id(*id).is_some());
            model["vocab"] = stay.map(|(piece, _)| same_score(piece)).collect();
            renumber(&mut model["unk_id"], kept);
        }
        Class::WordPiece | Class::Bpe => {
            let map = model["vocab"].as_object().cloned().unwrap_or_default();
            let stay = map.into_iter().filter_map(|(piece, id)| {
                let id = kept.new_id(id_of(&id)?)?;
                Some((piece, json!(id)))
            });
            model["vocab"] = Value::Object(stay.collect());
        }
    }
    if class == Class::Bpe {
        cut_merges(model);
    }
    if let Some(list) = json["added_tokens"].as_array_mut() {
        for token in list {
            renumber(&mut token["id"], kept);
        }
    }
    renumber_specials(&mut json["post_processor"], kept);
    if json["padding"].is_object() {
        renumber(&mut json["padding"]["pad_id"], kept);
    }
    Ok(())
}

/// Keeps the merges of kept pieces to kept pieces.
fn cut_merges(model: &mut Value) {
    let prefix = model["continuing_subword_prefix"]
        .as_str()
        .unwrap_or_default();
    let has = |piece: &str| model["vocab"].get(piece).is_some();
    let list = model["merges"].as_array().cloned().unwrap_or_default();
    let stay = list.into_iter().filter(|value| {
        merge(value).is_some_and(|(first, second)| {
            has(first) && has(second) && has(&merged(first, second, prefix))
        })
    });
    let merges: Value = stay.collect();
    model["merges"] = merges;
}

fn renumber(id: &mut Value, kept: &Kept) {
    if let Some(old) = id_of(id) {
        *id = json!(kept.new_id(old));
    }
}

/// The special tokens of a post-processor: `sep` and `cls` with an id, or a template's tokens with
/// their lists of ids; those of a sequence of post-processors too.
fn renumber_specials(processor: &mut Value, kept: &Kept) {
    for key in ["sep", "cls"] {
        if let Some(Value::Array(pair)) = processor.get_mut(key)
            && let Some(id) = pair.get_mut(1)
        {
            renumber(id, kept);
        }
    }
    if let Some(Value::Object(tokens)) = processor.get_mut("special_tokens") {
        let tokens: &mut Map<String, Value> = tokens;
        for token in tokens.values_mut() {
            let ids = token.get_mut("ids").and_then(Value::as_array_mut);
            ids.into_iter().flatten().for_each(|id| renumber(id, kept));
        }
    }
    if let Some(Value::Array(list)) = processor.get_mut("processors") {
        list.iter_mut()
            .for_each(|processor| renumber_specials(processor, kept));
    }
}

/// A piece whose score reads back as the same float: the reader of JSON may be off by the last bit,
/// and then the digits of a neighbour are written.
fn same_score(mut piece: Value) -> Value {
    let Some(score) = piece[1].as_f64() else {
        return piece;
    };
    let reads = |float: f64| {
        let read = serde_json::from_str::<f64>(&json!(float).to_string());
        read.is_ok_and(|read| read.to_bits() == score.to_bits())
    };
    let near = [score, score.next_up(), score.next_down()];
    let far = [near[1].next_up(), near[2].next_down()];
    if let Some(float) = near.into_iter().chain(far).find(|float| reads(*float)) {
        piece[1] = json!(float);
    }
    piece
}
