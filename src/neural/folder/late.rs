//! How late interaction prepares texts: lengths, prefixes, query expansion, skipped tokens.

use std::path::Path;

use serde_json::{Map, Value};

use crate::error::Result;

use super::super::config::MAX_POSITIONS;
use super::super::models::Role;
use super::super::settings::Settings;
use super::super::tokenizer::{Tokenizer, Tokens};
use super::{Prompts, Step};

/// The default max tokens of queries, in ColBERT and its successors.
const QUERY_TOKENS: usize = 32;
/// The default max tokens of documents.
const DOCUMENT_TOKENS: usize = 180;
/// The ASCII punctuation that Python's `string.punctuation` has.
pub(crate) const PUNCTUATION: &str = r##"!"#$%&'()*+,-./:;<=>?@[\]^_`{|}~"##;

/// How a model of token vectors (ColBERT: Khattab and Zaharia, 2020) processes texts before and
/// after the transformer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LateInteraction {
    /// Max tokens of a query, special tokens and prefix included.
    pub query_tokens: usize,
    /// Max tokens of a document, special tokens and prefix included.
    pub document_tokens: usize,
    /// A token that is inserted after the first token of each query.
    pub query_prefix: Option<u32>,
    /// A token that is inserted after the first token of each document.
    pub document_prefix: Option<u32>,
    /// How queries are expanded, if they are.
    pub expansion: Option<Expansion>,
    /// Ids of the tokens whose vectors are skipped, ascending.
    pub skipped: Vec<u32>,
    /// They are skipped in queries too, not only in documents.
    pub skips_in_queries: bool,
}

/// Query expansion: queries are filled up with one token, whose vectors count like those of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expansion {
    /// The token.
    pub token: u32,
    /// The number of tokens up to which queries are filled.
    pub tokens: usize,
    /// Other tokens attend to these. If not, these attend to the others only.
    pub is_attended: bool,
}

impl LateInteraction {
    /// Late interaction without prefixes and without query expansion, which skips the punctuation of
    /// documents: what training adds to an encoder.
    #[cfg(feature = "train")]
    pub(crate) fn added(
        tokenizer: &Tokenizer,
        query_tokens: usize,
        document_tokens: usize,
    ) -> Self {
        let words: Vec<String> = PUNCTUATION.chars().map(String::from).collect();
        Self {
            query_tokens,
            document_tokens,
            query_prefix: None,
            document_prefix: None,
            expansion: None,
            skipped: skipped(&words, tokenizer),
            skips_in_queries: false,
        }
    }

    /// The tokens of a query with its prompt: those of the text, truncated, with the prefix and with
    /// expansion tokens that others attend to.
    pub(crate) fn tokens_of_query(&self, tokenizer: &Tokenizer, text: &str) -> Result<Tokens> {
        let room = room_beside(self.query_prefix, self.query_tokens);
        let mut tokens = tokenizer.truncated(text, room)?;
        insert_prefix(&mut tokens, self.query_prefix);
        if let Some(filler) = self.expansion.filter(|filler| filler.is_attended) {
            let length = tokens.len().max(filler.tokens);
            tokens.ids.resize(length, filler.token);
            tokens.types.resize(length, 0);
        }
        Ok(tokens)
    }

    /// The max tokens of a document beside its prefix.
    pub(crate) fn document_room(&self) -> usize {
        room_beside(self.document_prefix, self.document_tokens)
    }

    /// Puts the prefix of documents before the tokens of one.
    pub(crate) fn prefix_document(&self, tokens: &mut Tokens) {
        insert_prefix(tokens, self.document_prefix);
    }

    /// Ids of the tokens whose vectors are skipped in texts of a role, ascending.
    pub(crate) fn skipped_of(&self, role: Role) -> &[u32] {
        match role {
            Role::Query if !self.skips_in_queries => &[],
            Role::Query | Role::Document => &self.skipped,
        }
    }
}

/// The max tokens of a text with its special tokens beside a prefix.
fn room_beside(prefix: Option<u32>, limit: usize) -> usize {
    limit - usize::from(prefix.is_some() && limit > 0)
}

/// Inserts a token after the first.
fn insert_prefix(tokens: &mut Tokens, prefix: Option<u32>) {
    if let Some(prefix) = prefix {
        let place = tokens.len().min(1);
        tokens.ids.insert(place, prefix);
        tokens.types.insert(place, 0);
    }
}

/// Reads what `config_sentence_transformers.json` (PyLate), the transformer's settings or the
/// module MultiVectorMask (sentence-transformers) say.
pub(super) fn read(
    about: &Settings,
    transformer: Option<&Settings>,
    steps: Option<&[Step]>,
    tokenizer: &Tokenizer,
    max_tokens: usize,
    prompts: &mut Prompts,
) -> Result<LateInteraction> {
    let mask =
        match steps.and_then(|steps| steps.iter().find(|step| step.kind == "MultiVectorMask")) {
            Some(step) => Some(Settings::read(&step.folder.join("config.json"))?),
            None => None,
        };
    let mut late = match (&mask, transformer) {
        (Some(mask), transformer) => {
            of_sentence_transformers(mask, transformer, tokenizer, max_tokens)?
        }
        (None, _) => of_pylate(about, tokenizer)?,
    };
    for (key, name, place) in [
        ("query_prefix", "query", &mut late.query_prefix),
        ("document_prefix", "document", &mut late.document_prefix),
    ] {
        let default = if mask.is_some() {
            ""
        } else {
            default_prefix(about, name)
        };
        let prefix = about.text(key)?.unwrap_or(default);
        *place = prefix_token(prefix, tokenizer);
        if place.is_none() {
            prompts.prepend(name, prefix);
        }
    }
    late.query_tokens = late.query_tokens.min(max_tokens);
    late.document_tokens = late.document_tokens.min(max_tokens);
    if let Some(expansion) = &mut late.expansion {
        expansion.tokens = expansion.tokens.min(max_tokens);
    }
    Ok(late)
}

/// The settings in `artifact.metadata` of Stanford's code, under PyLate's names; `None` without
/// that file.
pub(super) fn stanford_settings(folder: &Path) -> Result<Option<Settings>> {
    let path = folder.join("artifact.metadata");
    let Some(found) = Settings::read_if_there(&path)? else {
        return Ok(None);
    };
    let mut keys = Map::new();
    for (theirs, ours) in [
        ("query_token_id", "query_prefix"),
        ("doc_token_id", "document_prefix"),
        ("query_maxlen", "query_length"),
        ("doc_maxlen", "document_length"),
        ("attend_to_mask_tokens", "attend_to_expansion_tokens"),
    ] {
        if let Some(value) = found.value(theirs) {
            keys.insert(ours.to_owned(), value.clone());
        }
    }
    if found.flag("mask_punctuation")? == Some(false) {
        keys.insert("skiplist_words".to_owned(), Value::Array(Vec::new()));
    }
    Ok(Some(Settings::new(&path, keys)))
}

/// PyLate has `[Q] ` and `[D] `, Stanford's code the first unused tokens of BERT's vocabulary.
fn default_prefix(about: &Settings, name: &str) -> &'static str {
    match (about.text("model_type"), name) {
        (Ok(Some(_)), "query") => "[Q] ",
        (Ok(Some(_)), _) => "[D] ",
        (_, "query") => "[unused0]",
        _ => "[unused1]",
    }
}

/// The prefix as one token: all of it, or the part before its first space.
fn prefix_token(prefix: &str, tokenizer: &Tokenizer) -> Option<u32> {
    let word = prefix.split_whitespace().next()?;
    tokenizer.id(prefix).or_else(|| tokenizer.id(word))
}

fn of_pylate(about: &Settings, tokenizer: &Tokenizer) -> Result<LateInteraction> {
    let tokens = |key: &str| about.size(key, 1, MAX_POSITIONS);
    let query_tokens = tokens("query_length")?.unwrap_or(QUERY_TOKENS);
    let words = match about.texts("skiplist_words")? {
        Some(words) => words,
        None => PUNCTUATION.chars().map(String::from).collect(),
    };
    let is_expanded = about.flag("do_query_expansion")?.unwrap_or(true);
    let expansion = match is_expanded {
        true => Some(Expansion {
            token: filler(None, about, tokenizer)?,
            tokens: query_tokens,
            is_attended: about.flag("attend_to_expansion_tokens")?.unwrap_or(false),
        }),
        false => None,
    };
    Ok(LateInteraction {
        query_tokens,
        document_tokens: tokens("document_length")?.unwrap_or(DOCUMENT_TOKENS),
        query_prefix: None,
        document_prefix: None,
        expansion,
        skipped: skipped(&words, tokenizer),
        skips_in_queries: false,
    })
}

fn of_sentence_transformers(
    mask: &Settings,
    transformer: Option<&Settings>,
    tokenizer: &Tokenizer,
    max_tokens: usize,
) -> Result<LateInteraction> {
    if mask.value("keep_only_token_ids").is_some() {
        return Err(mask.error("`keep_only_token_ids`, which is for images, is not supported"));
    }
    let words = mask.texts("skiplist_words")?.unwrap_or_default();
    let tasks = match mask.text("skiplist_tasks") {
        Ok(Some(task)) => vec![task.to_owned()],
        _ => mask
            .texts("skiplist_tasks")?
            .unwrap_or_else(|| vec!["document".to_owned()]),
    };
    if !words.is_empty() && !tasks.iter().any(|task| task == "document") {
        return Err(mask.error("`skiplist_tasks`: expected `document` among them, found none"));
    }
    let mut late = LateInteraction {
        query_tokens: max_tokens,
        document_tokens: max_tokens,
        query_prefix: None,
        document_prefix: None,
        expansion: None,
        skipped: skipped(&words, tokenizer),
        skips_in_queries: tasks.iter().any(|task| task == "query"),
    };
    let Some(transformer) = transformer else {
        return Ok(late);
    };
    let tokens = |key: &str| transformer.size(key, 1, MAX_POSITIONS);
    late.query_tokens = tokens("query_length")?.unwrap_or(max_tokens);
    late.document_tokens = tokens("document_length")?.unwrap_or(max_tokens);
    if let Some(settings) = transformer.object("query_expansion")? {
        let length = settings.size("length", 1, MAX_POSITIONS)?.ok_or_else(|| {
            settings.error(
                "`query_expansion`: expected `length`, the tokens of an expanded query, found none",
            )
        })?;
        late.expansion = Some(Expansion {
            token: filler(settings.text("token")?, &settings, tokenizer)?,
            tokens: length,
            is_attended: settings.flag("attend")?.unwrap_or(false),
        });
        match settings.text("strategy")? {
            // With `fixed` the length is both the max and the min.
            Some("fixed") => late.query_tokens = length,
            Some("min") => late.query_tokens = late.query_tokens.max(length),
            other => {
                return Err(settings.error(format!(
                    "`query_expansion`: expected `strategy` to be `fixed` or `min`, found {other:?}"
                )));
            }
        }
    }
    Ok(late)
}

/// The token that queries are expanded with: the one named, or else the mask.
fn filler(named: Option<&str>, settings: &Settings, tokenizer: &Tokenizer) -> Result<u32> {
    let token = match named {
        Some(token) => tokenizer.id(token),
        None => tokenizer.mask(),
    };
    token.ok_or_else(|| {
        settings.error(format!(
            "expected a tokenizer with {}, which expands queries, found one without it",
            named.unwrap_or("the mask token")
        ))
    })
}

/// The ids of the words that are one token; others cannot be skipped.
fn skipped(words: &[String], tokenizer: &Tokenizer) -> Vec<u32> {
    let mut ids: Vec<u32> = words.iter().filter_map(|word| tokenizer.id(word)).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
