//! The files that a tokenizer may be in.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tokenizers::normalizers::{Lowercase, NormalizerWrapper, Sequence};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use xxhash_rust::xxh3::Xxh3;

use crate::error::{Error, Result};

use super::super::config::{Family, ModelConfig};
use super::super::settings::{Settings, read_bytes};
use super::class::{self, Vocabulary};
use super::door::{check_merges, guarded};
use super::pieces::cuts;
use super::settings::TokenizerSettings;
use super::template::{PairTemplate, Template};
use super::{Tokenizer, has_types, id_of};

/// Max bytes of a tokenizer file; the largest published ones have some 30 MB.
const MAX_FILE_BYTES: u64 = 1 << 30;
/// The names of SentencePiece files.
const SENTENCE_PIECE: [&str; 4] = [
    "spiece.model",
    "sentencepiece.bpe.model",
    "spm.model",
    "tokenizer.model",
];

pub(super) fn open(folder: &Path, config: &ModelConfig, lowercases: bool) -> Result<Tokenizer> {
    let settings = TokenizerSettings::read(folder)?;
    let mut hash = Xxh3::new();
    let (mut inner, path) = read(folder, config.family, &settings, &mut hash)?;
    let broken = |message: String| Error::model(&path, message);
    guarded(|| inner.with_truncation(None).map(drop)).map_err(broken)?;
    inner.with_padding(None);
    if lowercases {
        guarded(|| lowercase(&mut inner)).map_err(broken)?;
    }
    let single = Template::of(&inner).map_err(broken)?;
    let pair = PairTemplate::of(&inner).map_err(broken)?;
    let max_id = inner
        .get_vocab(true)
        .into_values()
        .chain(single.ids())
        .chain(pair.ids())
        .max()
        .ok_or_else(|| broken("expected a vocabulary, found no token".to_owned()))?;
    let has_types = has_types(config) && settings.gives_types;
    hash.update(&[
        u8::from(lowercases),
        u8::from(settings.keeps_end),
        u8::from(has_types),
    ]);
    Ok(Tokenizer {
        cuts: cuts(&inner),
        inner,
        single,
        pair,
        has_types,
        keeps_end: settings.keeps_end,
        vocabulary: max_id as usize + 1,
        fingerprint: hash.digest128(),
        settings,
    })
}

/// Reads the first kind of file that exists; returns its path too, for errors.
fn read(
    folder: &Path,
    family: Family,
    settings: &TokenizerSettings,
    hash: &mut Xxh3,
) -> Result<(tokenizers::Tokenizer, PathBuf)> {
    let whole = folder.join("tokenizer.json");
    let words = folder.join("vocab.txt");
    let (pairs, merges) = (folder.join("vocab.json"), folder.join("merges.txt"));
    let (path, bytes) = if whole.is_file() {
        let bytes = read_bytes(&whole, MAX_FILE_BYTES)?;
        (whole, bytes)
    } else if words.is_file() {
        class::check(folder, Vocabulary::Words, family)?;
        let json = word_piece(&words, &added_tokens(folder)?, settings)?;
        (words, json.to_string().into_bytes())
    } else if pairs.is_file() && merges.is_file() {
        class::check(folder, Vocabulary::Merges, family)?;
        let json = byte_pairs(&pairs, &merges, settings)?;
        (pairs, json.to_string().into_bytes())
    } else {
        return Err(Error::model(folder, no_tokenizer(folder)));
    };
    hash.update(&bytes);
    check_merges(&path, &bytes)?;
    let mut inner = guarded(|| tokenizers::Tokenizer::from_bytes(&bytes))
        .map_err(|message| Error::model(&path, format!("expected a tokenizer: {message}")))?;
    if settings.is_of_bert() {
        guarded(|| set_bert_normalizer(&mut inner, settings, hash))
            .map_err(|message| Error::model(&path, message))?;
    }
    if settings.is_of_roberta() {
        guarded(|| set_byte_level_space(&mut inner, settings, hash))
            .map_err(|message| Error::model(&path, message))?;
    }
    Ok((inner, path))
}

fn no_tokenizer(folder: &Path) -> String {
    let found = SENTENCE_PIECE
        .iter()
        .find(|name| folder.join(name).is_file());
    match found {
        Some(name) => format!(
            "expected tokenizer.json, found only {name}; make it once in Python, with `transformers` and `sentencepiece` \
             installed: `AutoTokenizer.from_pretrained(folder).save_pretrained(folder)`"
        ),
        None => "expected a tokenizer (tokenizer.json, vocab.txt, or vocab.json with merges.txt), found none".to_owned(),
    }
}

/// In the Python classes of BERT tokenizer_config.json overrides tokenizer.json.
fn set_bert_normalizer(
    inner: &mut tokenizers::Tokenizer,
    settings: &TokenizerSettings,
    hash: &mut Xxh3,
) -> tokenizers::Result<()> {
    let Some(NormalizerWrapper::BertNormalizer(mut bert)) = inner.get_normalizer().cloned() else {
        return Ok(());
    };
    if let Some(lowercases) = settings.lowercases {
        bert.lowercase = lowercases;
    }
    if let Some(splits) = settings.splits_chinese {
        bert.handle_chinese_chars = splits;
    }
    if settings.strips_accents.is_some() {
        bert.strip_accents = settings.strips_accents;
    }
    hash.update(&[
        u8::from(bert.lowercase),
        u8::from(bert.handle_chinese_chars),
        bert.strip_accents.map_or(2, u8::from),
    ]);
    inner.with_normalizer(Some(bert))?;
    Ok(())
}

/// Those of RoBERTa do the same with the space before a text.
fn set_byte_level_space(
    inner: &mut tokenizers::Tokenizer,
    settings: &TokenizerSettings,
    hash: &mut Xxh3,
) -> tokenizers::Result<()> {
    let split = inner.get_pre_tokenizer().cloned();
    let (Some(PreTokenizerWrapper::ByteLevel(mut bytes)), Some(adds_space)) =
        (split, settings.adds_space)
    else {
        return Ok(());
    };
    bytes.add_prefix_space = adds_space;
    hash.update(&[u8::from(adds_space)]);
    inner.with_pre_tokenizer(Some(bytes));
    Ok(())
}

/// Puts lowercasing before all other normalization, unless it exists.
fn lowercase(inner: &mut tokenizers::Tokenizer) -> tokenizers::Result<()> {
    let normalizer = inner.get_normalizer().cloned();
    if normalizer.as_ref().is_some_and(lowercases) {
        return Ok(());
    }
    let parts: Vec<NormalizerWrapper> = std::iter::once(NormalizerWrapper::Lowercase(Lowercase))
        .chain(normalizer)
        .collect();
    inner.with_normalizer(Some(Sequence::new(parts)))?;
    Ok(())
}

fn lowercases(normalizer: &NormalizerWrapper) -> bool {
    match normalizer {
        NormalizerWrapper::Lowercase(_) => true,
        NormalizerWrapper::BertNormalizer(bert) => bert.lowercase,
        NormalizerWrapper::Sequence(parts) => parts.as_ref().iter().any(lowercases),
        _ => false,
    }
}

/// A WordPiece tokenizer as tokenizer.json would have it.
fn word_piece(path: &Path, added: &[(u32, String)], settings: &TokenizerSettings) -> Result<Value> {
    let bytes = read_bytes(path, MAX_FILE_BYTES)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| Error::model(path, format!("expected UTF-8: {error}")))?;
    // One token per line; its id is the line number from 0.
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines = text.strip_suffix('\n').unwrap_or(&text);
    let vocabulary: Map<String, Value> = lines
        .split('\n')
        .enumerate()
        .map(|(index, token)| (token.to_owned(), id_of(index).into()))
        .collect();
    let special =
        |set: &Option<String>, usual: &str| set.clone().unwrap_or_else(|| usual.to_owned());
    let unknown = special(&settings.unknown, "[UNK]");
    let classifier = special(&settings.classifier, "[CLS]");
    let separator = special(&settings.separator, "[SEP]");
    let of = |token: &str| {
        vocabulary.get(token).cloned().ok_or_else(|| {
            Error::model(
                path,
                format!("expected the special token `{token}` on a line of its own, found none"),
            )
        })
    };
    of(&unknown)?;
    let (cls, sep) = (of(&classifier)?, of(&separator)?);
    let others = [
        special(&settings.padding, "[PAD]"),
        special(&settings.mask, "[MASK]"),
    ];
    let specials = [&unknown, &classifier, &separator, &others[0], &others[1]];
    let added = added_json(&vocabulary, &specials, added);
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": true,
            "handle_chinese_chars": settings.splits_chinese.unwrap_or(true),
            "strip_accents": settings.strips_accents,
            "lowercase": settings.lowercases.unwrap_or(true),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": [separator, sep], "cls": [classifier, cls]},
        "decoder": null,
        "model": {
            "type": "WordPiece",
            "unk_token": unknown,
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }))
}

/// Special tokens of the vocabulary and tokens added after it, as tokenizer.json lists them:
/// ascending by id.
fn added_json(
    vocabulary: &Map<String, Value>,
    specials: &[&String],
    added: &[(u32, String)],
) -> Vec<Value> {
    let in_vocabulary = specials.iter().filter_map(|token| {
        let id = vocabulary.get(*token)?.as_u64()?;
        Some((id, (*token).clone(), true))
    });
    let behind = added
        .iter()
        .filter(|(_, token)| !vocabulary.contains_key(token))
        .map(|(id, token)| (u64::from(*id), token.clone(), specials.contains(&token)));
    let mut all: Vec<_> = in_vocabulary.chain(behind).collect();
    all.sort();
    all.dedup();
    all.into_iter()
        .map(|(id, token, is_special)| added_token(id, &token, is_special, false))
        .collect()
}

fn added_token(id: u64, token: &str, is_special: bool, takes_spaces: bool) -> Value {
    json!({
        "id": id,
        "content": token,
        "single_word": false,
        "lstrip": takes_spaces,
        "rstrip": false,
        "normalized": !is_special,
        "special": is_special,
    })
}

/// The tokens that old folders list in added_tokens.json.
fn added_tokens(folder: &Path) -> Result<Vec<(u32, String)>> {
    let path = folder.join("added_tokens.json");
    let Some(found) = Settings::read_if_there(&path)? else {
        return Ok(Vec::new());
    };
    found
        .keys()
        .iter()
        .map(|(token, id)| {
            let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
            id.map(|id| (id, token.clone()))
                .ok_or_else(|| found.wrong(token, "the id of a token", "something else"))
        })
        .collect()
}

/// A byte-level BPE tokenizer of RoBERTa as tokenizer.json would have it.
fn byte_pairs(vocabulary: &Path, merges: &Path, settings: &TokenizerSettings) -> Result<Value> {
    let found = Settings::read(vocabulary)?;
    let bytes = read_bytes(merges, MAX_FILE_BYTES)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|error| Error::model(merges, format!("expected UTF-8: {error}")))?;
    let rules = text
        .lines()
        .filter(|line| !line.starts_with("#version") && !line.is_empty())
        .map(|line| match line.split_once(' ') {
            Some((left, right)) if !right.contains(' ') => Ok(json!([left, right])),
            _ => Err(Error::model(
                merges,
                format!("expected two tokens on a line, found `{line}`"),
            )),
        })
        .collect::<Result<Vec<Value>>>()?;
    let special =
        |set: &Option<String>, usual: &str| set.clone().unwrap_or_else(|| usual.to_owned());
    let of = |token: String| match found.value(&token).and_then(Value::as_u64) {
        Some(id) => Ok((id, token)),
        None => Err(found.error(format!("expected the special token `{token}`, found none"))),
    };
    let classifier = of(special(&settings.classifier, "<s>"))?;
    let separator = of(special(&settings.separator, "</s>"))?;
    let unknown = of(special(&settings.unknown, "<unk>"))?;
    let padding = of(special(&settings.padding, "<pad>"))?;
    let mask = of(special(&settings.mask, "<mask>"))?;
    let takes_spaces = settings.mask_takes_spaces.unwrap_or(true);
    let mut specials = [&classifier, &separator, &unknown, &padding, &mask];
    specials.sort();
    let added: Vec<Value> = specials
        .iter()
        .map(|(id, token)| added_token(*id, token, true, takes_spaces && *token == mask.1))
        .collect();
    let adds_space = settings.adds_space.unwrap_or(false);
    Ok(json!({
        "version": "1.0",
        "added_tokens": added,
        "normalizer": null,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": adds_space, "trim_offsets": true, "use_regex": true},
        "post_processor": {
            "type": "RobertaProcessing",
            "sep": [separator.1, separator.0],
            "cls": [classifier.1, classifier.0],
            "trim_offsets": true,
            "add_prefix_space": adds_space,
        },
        "decoder": null,
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": "",
            "end_of_word_suffix": "",
            "fuse_unk": false,
            "byte_fallback": false,
            "vocab": found.keys(),
            "merges": rules,
        },
    }))
}
