//! Which pieces of a vocabulary stay.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::neural::{Answers, ModelFolder};

use super::tokenizer::{self, Class};

/// The pieces that stay, in the order of their ids; the new id of a piece is its place.
#[derive(Debug)]
pub(super) struct Kept {
    ids: Vec<u32>,
    new: HashMap<u32, u32>,
}

impl Kept {
    /// The pieces of `json` that occur at least `min_count` times, and those that the tokenizer and
    /// the model need.
    pub(super) fn of(
        json: &Value,
        path: &Path,
        base: &ModelFolder,
        counts: &[u64],
        min_count: u64,
    ) -> Result<Self> {
        let class = Class::of(json, path)?;
        let pieces = tokenizer::pieces(json, path, class)?;
        let mut ids: BTreeSet<u32> = (0..)
            .zip(counts)
            .filter(|(_, count)| **count >= min_count)
            .map(|(id, _)| id)
            .collect();
        ids.extend(needed(json, base)?);
        let pieces = Pieces::new(pieces);
        match class {
            Class::WordPiece => pieces.add_characters(&mut ids, prefix(json)),
            Class::Unigram => {
                pieces.add_characters(&mut ids, "");
                ids.extend(tokenizer::worst(json));
            }
            Class::Bpe => pieces.add_parts(&mut ids, &tokenizer::merges(json, path)?, prefix(json)),
        }
        if json["model"]["byte_fallback"] == Value::Bool(true) {
            ids.extend(pieces.byte_pieces());
        }
        let known: HashSet<u32> = pieces.ids.values().copied().collect();
        let added = tokenizer::added(json).into_iter().map(|(id, _)| id);
        let known: HashSet<u32> = known.into_iter().chain(added).collect();
        let vocabulary = base.config.vocabulary;
        let ids = ids.into_iter().filter(|id| known.contains(id));
        let ids: Vec<u32> = ids.filter(|id| (*id as usize) < vocabulary).collect();
        let kept = Self {
            new: ids.iter().copied().zip(0..).collect(),
            ids,
        };
        kept.check_padding(base)?;
        Ok(kept)
    }

    /// The old ids, ascending.
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The new id of a piece that stays.
    pub(super) fn new_id(&self, old: u32) -> Option<u32> {
        self.new.get(&old).copied()
    }

    /// RoBERTa counts positions from the padding's id.
    fn check_padding(&self, base: &ModelFolder) -> Result<()> {
        let pad = base.config.pad;
        if base.config.first_position > 0 && self.new_id(pad) != Some(pad) {
            return Err(Error::model(
                &base.path,
                format!(
                    "expected the padding {pad} and all tokens before it in the vocabulary, found fewer"
                ),
            ));
        }
        Ok(())
    }
}

/// Special and added tokens, those of the settings, those up to the padding, those of answers and of
/// prompts.
fn needed(json: &Value, base: &ModelFolder) -> Result<Vec<u32>> {
    let mut ids: Vec<u32> = tokenizer::added(json)
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    ids.extend(0..=base.config.pad);
    ids.extend(base.tokenizer.encode("")?.ids);
    ids.extend(base.tokenizer.encode_pair("", "", base.max_tokens)?.ids);
    ids.extend(
        [base.tokenizer.mask(), base.tokenizer.unknown()]
            .into_iter()
            .flatten(),
    );
    let unknown = json["model"]["unk_token"].as_str();
    ids.extend(unknown.and_then(|token| base.tokenizer.id(token)));
    ids.extend(
        json["model"]["unk_id"]
            .as_u64()
            .and_then(|id| u32::try_from(id).ok()),
    );
    if let Some(Answers {
        relevant,
        irrelevant,
    }) = base.answers
    {
        ids.extend([relevant, irrelevant]);
    }
    for prompt in base.prompts.named.values() {
        // Before a text a prompt may have other pieces at its end than alone.
        for text in [prompt.clone(), format!("{prompt}a")] {
            ids.extend(base.tokenizer.encode_without_special_tokens(&text)?);
        }
    }
    Ok(ids)
}

/// What precedes a piece that continues a word.
fn prefix(json: &Value) -> &str {
    json["model"]["continuing_subword_prefix"]
        .as_str()
        .unwrap_or_default()
}

/// Pieces by name and by id.
struct Pieces<'a> {
    ids: HashMap<&'a str, u32>,
    names: HashMap<u32, &'a str>,
}

impl<'a> Pieces<'a> {
    fn new(pieces: Vec<(&'a str, u32)>) -> Self {
        Self {
            names: pieces.iter().map(|(name, id)| (*id, *name)).collect(),
            ids: pieces.into_iter().collect(),
        }
    }

    /// Adds the single characters of all pieces that stay, alone and with the prefix.
    fn add_characters(&self, ids: &mut BTreeSet<u32>, prefix: &str) {
        let names = ids.iter().filter_map(|id| self.names.get(id).copied());
        let names = names.map(|name| name.strip_prefix(prefix).unwrap_or(name));
        let characters: HashSet<char> = names.flat_map(str::chars).collect();
        for character in characters {
            let alone = character.to_string();
            let continued = format!("{prefix}{alone}");
            let found = [alone, continued];
            ids.extend(found.iter().filter_map(|name| self.ids.get(name.as_str())));
        }
    }

    /// Adds what pieces that stay are merged of, and all single characters: for byte-level BPE these
    /// are the bytes.
    fn add_parts(&self, ids: &mut BTreeSet<u32>, merges: &[(&str, &str)], prefix: &str) {
        let single = self
            .names
            .iter()
            .filter(|(_, name)| name.chars().count() == 1);
        ids.extend(single.map(|(id, _)| *id));
        let mut parts: HashMap<String, Vec<[&str; 2]>> = HashMap::new();
        for &(first, second) in merges {
            let whole = tokenizer::merged(first, second, prefix);
            parts.entry(whole).or_default().push([first, second]);
        }
        let mut waiting: Vec<u32> = ids.iter().copied().collect();
        while let Some(id) = waiting.pop() {
            let of_piece = self.names.get(&id).and_then(|name| parts.get(*name));
            for part in of_piece.into_iter().flatten().flatten() {
                if let Some(part) = self.ids.get(*part)
                    && ids.insert(*part)
                {
                    waiting.push(*part);
                }
            }
        }
    }

    /// The pieces of bytes, such as `<0x0A>`.
    fn byte_pieces(&self) -> impl Iterator<Item = u32> {
        let names = (0..=u8::MAX).map(|byte| format!("<0x{byte:02X}>"));
        names.filter_map(move |name| self.ids.get(name.as_str()).copied())
    }
}
