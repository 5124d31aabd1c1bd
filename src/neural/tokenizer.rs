//! Text to token ids, exactly as the model's own tokenizer does it in Python.
//!
//! The crate `tokenizers` maps text to ids; special tokens, truncation and windows are done here,
//! on the ids, so that long texts are tokenized piece by piece and no further than needed.

mod assemble;
mod class;
mod door;
mod load;
mod pairs;
mod pieces;
mod prompt;
mod settings;
mod template;

#[cfg(test)]
mod tests;

use std::path::Path;

use crate::error::{Error, Result};

use super::config::{Family, ModelConfig};
use door::guarded;
use pieces::Cuts;
use template::{PairTemplate, Template};

pub(crate) use settings::TokenizerSettings;

/// The tokens of a text or of a pair of texts, special tokens among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// The vocabulary id of each token.
    pub ids: Vec<u32>,
    /// The type of each token: 0, or 1 in a second text if the model has token types.
    pub types: Vec<u32>,
}

impl Tokens {
    /// The number of tokens.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// True without tokens.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// The tokenizer of one model.
///
/// ```
/// use esparsa::neural::{ModelConfig, Tokenizer};
///
/// let folder = tempfile::tempdir()?;
/// std::fs::write(folder.path().join("config.json"), r#"{"model_type": "bert", "vocab_size": 6}"#)?;
/// std::fs::write(folder.path().join("vocab.txt"), "[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\n##s\n")?;
/// let tokenizer = Tokenizer::open(folder.path(), &ModelConfig::open(folder.path())?)?;
/// assert_eq!(tokenizer.encode("Hello hellos")?.ids, [2, 4, 4, 5, 3]);
/// assert_eq!(tokenizer.truncated("hello hello hello", 4)?.ids, [2, 4, 4, 3]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    single: Template,
    pair: PairTemplate,
    /// The model has token types; if not, all are 0.
    has_types: bool,
    /// Texts that are too long lose their beginning, not their end.
    keeps_end: bool,
    /// Where a text may be cut, to be tokenized in pieces.
    cuts: Cuts,
    vocabulary: usize,
    fingerprint: u128,
    settings: TokenizerSettings,
}

impl std::fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tokenizer")
            .field("vocabulary", &self.vocabulary)
            .field("single", &self.single)
            .field("pair", &self.pair)
            .finish_non_exhaustive()
    }
}

impl Tokenizer {
    /// Reads the tokenizer in `folder`: `tokenizer.json`, or `vocab.txt` (BERT and its like), or
    /// `vocab.json` with `merges.txt` (RoBERTa).
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if there is none of these, if it is damaged, or if it has ids that the
    /// model's embeddings lack.
    pub fn open(folder: &Path, config: &ModelConfig) -> Result<Self> {
        Self::open_with(folder, config, false)
    }

    /// The same; with `lowercases`, text is lowercased first.
    pub(crate) fn open_with(folder: &Path, config: &ModelConfig, lowercases: bool) -> Result<Self> {
        let tokenizer = load::open(folder, config, lowercases)?;
        if tokenizer.vocabulary > config.vocabulary {
            return Err(Error::model(
                folder,
                format!(
                    "expected token ids below {}, the number of the model's word embeddings, found {} (`{}`); \
                     this tokenizer is another model's",
                    config.vocabulary,
                    tokenizer.vocabulary - 1,
                    tokenizer
                        .token(id_of(tokenizer.vocabulary - 1))
                        .unwrap_or_default(),
                ),
            ));
        }
        Ok(tokenizer)
    }

    /// The tokens of a text with special tokens, without a limit. An empty text has special tokens
    /// only.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] if the text cannot be tokenized, as when the vocabulary has no token
    /// for unknown words.
    pub fn encode(&self, text: &str) -> Result<Tokens> {
        let ids = self.body(text, None)?;
        Ok(self.finish(&ids))
    }

    /// The tokens of a text without special tokens.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn encode_without_special_tokens(&self, text: &str) -> Result<Vec<u32>> {
        self.body(text, None)
    }

    /// At most `limit` tokens, special tokens included: the first of the text, or the last if the
    /// model's tokenizer truncates on the left.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`], and if special tokens alone are more than `limit`.
    pub fn truncated(&self, text: &str, limit: usize) -> Result<Tokens> {
        let room = self.room(limit)?;
        let ids = self.body(text, Some(room))?;
        Ok(self.finish(self.kept(&ids, room)))
    }

    /// The tokens of two texts, as a cross-encoder reads them, at most `limit` with special tokens.
    ///
    /// If together they are too long, the longer text is truncated to the length of the other, then
    /// both equally; an odd token stays with the longer. This is `truncation=True` of
    /// `transformers`.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::truncated`].
    pub fn encode_pair(&self, first: &str, second: &str, limit: usize) -> Result<Tokens> {
        let room = room_for(limit, self.pair.specials(), "a pair's")?;
        let enough = Some(room + 1);
        let mut a = self.body(first, enough)?;
        let mut b = self.body(second, enough)?;
        if a.len() > room && b.len() > room && room % 2 == 1 && !self.keeps_end {
            // Both texts must be tokenized to the end: their true lengths decide which of them
            // keeps the odd token.
            a = self.body(first, None)?;
            b = self.body(second, None)?;
        }
        let (a_length, b_length) = assemble::longest_first(a.len(), b.len(), room);
        Ok(self.pair.fill(
            self.kept(&a, a_length),
            self.kept(&b, b_length),
            self.has_types,
        ))
    }

    /// A long text as windows of at most `limit` tokens with special tokens in each; each window
    /// begins with the last `overlap` tokens of the one before. A text that fits has one window.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::truncated`], and if windows would not advance.
    pub fn windows(&self, text: &str, limit: usize, overlap: usize) -> Result<Vec<Tokens>> {
        let room = self.room(limit)?;
        if overlap >= room {
            return Err(Error::invalid(format!(
                "expected windows to overlap by fewer than {room} tokens, which is what {limit} leave beside special tokens, \
                 found {overlap}"
            )));
        }
        let ids = self.body(text, None)?;
        let ranges = assemble::windows(ids.len(), room, overlap);
        Ok(ranges.map(|range| self.finish(&ids[range])).collect())
    }

    /// The number of tokens of `prompt` at the start of a text, a leading special token included.
    /// Pooling without the prompt skips them.
    ///
    /// # Errors
    ///
    /// As [`Tokenizer::encode`].
    pub fn prompt_tokens(&self, prompt: &str) -> Result<usize> {
        Ok(self.single.before.len() + self.body(prompt, None)?.len())
    }

    /// The numbers of special tokens before and after a text.
    #[cfg(feature = "train")]
    pub(crate) fn special_tokens_around(&self) -> (usize, usize) {
        let before = self.single.before.len();
        (before, self.single.specials() - before)
    }

    /// The number of special tokens of a text.
    pub fn special_tokens(&self) -> usize {
        self.single.specials()
    }

    /// The number of special tokens of a pair.
    pub fn special_tokens_of_pair(&self) -> usize {
        self.pair.specials()
    }

    /// The token with this id.
    pub fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// The mask token, if the model has one.
    pub fn mask(&self) -> Option<u32> {
        self.special(self.settings.mask.as_deref(), &["[MASK]", "<mask>"])
    }

    /// The token of unknown words, if the model has one.
    pub fn unknown(&self) -> Option<u32> {
        self.special(self.settings.unknown.as_deref(), &["[UNK]", "<unk>"])
    }

    fn special(&self, set: Option<&str>, usual: &[&str]) -> Option<u32> {
        set.into_iter()
            .chain(usual.iter().copied())
            .find_map(|token| self.id(token))
    }

    /// The max id plus one.
    pub fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// The max tokens of a text in `tokenizer_config.json`, if it has a limit.
    pub fn max_tokens(&self) -> Option<usize> {
        self.settings.max_tokens
    }

    /// A hash of the tokenizer's files and of the settings that change its ids.
    pub(crate) fn fingerprint(&self) -> u128 {
        self.fingerprint
    }

    fn room(&self, limit: usize) -> Result<usize> {
        room_for(limit, self.single.specials(), "a text's")
    }

    fn kept<'a>(&self, ids: &'a [u32], most: usize) -> &'a [u32] {
        let most = most.min(ids.len());
        match self.keeps_end {
            true => &ids[ids.len() - most..],
            false => &ids[..most],
        }
    }

    fn finish(&self, ids: &[u32]) -> Tokens {
        self.single.fill(ids, self.has_types)
    }

    /// The ids of a text without special tokens; with `enough`, tokenizing may stop after that
    /// many.
    fn body(&self, text: &str, enough: Option<usize>) -> Result<Vec<u32>> {
        let enough = enough.filter(|_| !self.keeps_end);
        let mut ids = Vec::new();
        for piece in pieces::pieces(text, self.cuts, enough) {
            let encoding = guarded(|| self.inner.encode_fast(piece, false));
            let encoding = encoding
                .map_err(|message| Error::invalid(format!("cannot be tokenized: {message}")))?;
            ids.extend_from_slice(encoding.get_ids());
            if enough.is_some_and(|enough| ids.len() >= enough) {
                break;
            }
        }
        Ok(ids)
    }
}

/// Token types have an effect only if the model has embeddings for them and was trained with them.
fn has_types(config: &ModelConfig) -> bool {
    config.types > 0 && !matches!(config.family, Family::Roberta | Family::XlmRoberta)
}

fn id_of(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

fn room_for(limit: usize, specials: usize, whose: &str) -> Result<usize> {
    limit.checked_sub(specials).ok_or_else(|| {
        Error::invalid(format!(
            "expected a limit of at least {specials}, {whose} special tokens alone, found {limit} tokens"
        ))
    })
}
