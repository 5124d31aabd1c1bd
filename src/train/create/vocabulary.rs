//! Vocabularies learned from texts: WordPiece, BPE and Unigram, by the crate `tokenizers`.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::normalizers::unicode::NFKC;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    AddedToken, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer, Tokenizer,
};

use crate::error::{Error, Result};

/// How a vocabulary is learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VocabularyKind {
    /// WordPiece (Schuster and Nakajima, 2012), as BERT has it: lowercased, without accents.
    #[default]
    WordPiece,
    /// Byte pair encoding of bytes (Sennrich and others, 2016), as RoBERTa has it: any text has tokens,
    /// and letters keep their case.
    Bpe,
    /// A unigram language model of pieces (Kudo, 2018), as T5 and XLM-RoBERTa have it.
    Unigram,
}

/// Special tokens, in the order of their ids.
pub(super) const SPECIALS: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

impl VocabularyKind {
    /// The `tokenizer.json` of a vocabulary of at most `size` tokens.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a size that has no room for single characters, and texts without
    /// any.
    pub(super) fn learn(self, texts: &[&str], size: usize) -> Result<String> {
        if size <= SPECIALS.len() || texts.iter().all(|text| text.trim().is_empty()) {
            return Err(Error::invalid(format!(
                "a vocabulary: expected texts and more than {} tokens, found {} texts and {size} tokens",
                SPECIALS.len(),
                texts.len()
            )));
        }
        let specials: Vec<AddedToken> = SPECIALS
            .iter()
            .map(|token| AddedToken::from(*token, true))
            .collect();
        let failed = |error: tokenizers::Error| {
            Error::invalid(format!("a vocabulary cannot be learned: {error}"))
        };
        let (mut tokenizer, mut trainer) = match self {
            Self::WordPiece => return word_pieces(texts, size, specials),
            Self::Bpe => {
                let mut tokenizer = Tokenizer::new(BPE::default());
                tokenizer.with_normalizer(Some(NFKC)).map_err(failed)?;
                tokenizer.with_pre_tokenizer(Some(ByteLevel::new(true, true, true)));
                tokenizer.with_decoder(Some(ByteLevel::default()));
                let trainer = BpeTrainer::builder()
                    .vocab_size(size)
                    .min_frequency(2)
                    .show_progress(false)
                    .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
                    .special_tokens(specials)
                    .build();
                (tokenizer, TrainerWrapper::from(trainer))
            }
            Self::Unigram => {
                let mut tokenizer = Tokenizer::new(Unigram::default());
                tokenizer.with_normalizer(Some(NFKC)).map_err(failed)?;
                let spaces = Metaspace::new('▁', PrependScheme::Always, true);
                tokenizer.with_pre_tokenizer(Some(spaces.clone()));
                tokenizer.with_decoder(Some(spaces));
                let trainer = UnigramTrainer::builder()
                    .vocab_size(u32::try_from(size).unwrap_or(u32::MAX))
                    .show_progress(false)
                    .special_tokens(specials)
                    .unk_token(Some("[UNK]".to_owned()))
                    .build()
                    .map_err(|error| Error::invalid(error.to_string()))?;
                (tokenizer, trainer.into())
            }
        };
        tokenizer
            .train(&mut trainer, texts.iter())
            .map_err(failed)?;
        surround(&mut tokenizer)?;
        tokenizer.to_string(false).map_err(failed)
    }
}

/// Max characters of an alphabet of WordPiece; the rest is unknown. Chinese has some thousands.
const MAX_ALPHABET: usize = 8_000;

/// The `tokenizer.json` of WordPiece.
///
/// The trainer numbers pieces inside of words (`##a`) in the order of a hash map, and numbers decide
/// ties between merges. Given to it as special tokens, in order, they have the same numbers in every
/// run; a second tokenizer takes the vocabulary over without them.
fn word_pieces(texts: &[&str], size: usize, specials: Vec<AddedToken>) -> Result<String> {
    let failed = |error: tokenizers::Error| {
        Error::invalid(format!("a vocabulary cannot be learned: {error}"))
    };
    let model = WordPiece::builder().unk_token("[UNK]".into()).build();
    let mut tokenizer = bert(model.map_err(failed)?)?;
    let (alphabet, inside) = characters(&tokenizer, texts).map_err(failed)?;
    let inside = inside.into_iter().filter(|one| alphabet.contains(one));
    let pieces = inside.map(|one| AddedToken::from(format!("##{one}"), true));
    let mut trainer = TrainerWrapper::from(
        WordPieceTrainer::builder()
            .vocab_size(size)
            .min_frequency(2)
            .show_progress(false)
            .limit_alphabet(alphabet.len())
            .initial_alphabet(alphabet.iter().copied().collect())
            .special_tokens(specials.iter().cloned().chain(pieces).collect())
            .build(),
    );
    tokenizer
        .train(&mut trainer, texts.iter())
        .map_err(failed)?;
    let ModelWrapper::WordPiece(model) = tokenizer.get_model() else {
        return Err(Error::invalid(
            "a vocabulary cannot be learned: the trainer of WordPiece returned another model",
        ));
    };
    let mut tokenizer = bert(model.clone())?;
    tokenizer.add_special_tokens(specials).map_err(failed)?;
    surround(&mut tokenizer)?;
    tokenizer.to_string(false).map_err(failed)
}

/// A tokenizer as BERT's.
fn bert(model: WordPiece) -> Result<Tokenizer> {
    let mut tokenizer = Tokenizer::new(model);
    tokenizer
        .with_normalizer(Some(BertNormalizer::default()))
        .map_err(|error| Error::invalid(format!("a vocabulary cannot be learned: {error}")))?;
    tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
    tokenizer.with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()));
    Ok(tokenizer)
}

/// The most frequent characters of words, and those that words have behind their first one.
fn characters(
    tokenizer: &Tokenizer,
    texts: &[&str],
) -> tokenizers::Result<(BTreeSet<char>, BTreeSet<char>)> {
    let mut counts: BTreeMap<char, u64> = BTreeMap::new();
    let mut inside = BTreeSet::new();
    for text in texts {
        let mut text = NormalizedString::from(*text);
        if let Some(normalizer) = tokenizer.get_normalizer() {
            normalizer.normalize(&mut text)?;
        }
        let mut words = PreTokenizedString::from(text);
        if let Some(pre_tokenizer) = tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut words)?;
        }
        for (word, ..) in words.get_splits(OffsetReferential::Normalized, OffsetType::Byte) {
            for one in word.chars() {
                *counts.entry(one).or_default() += 1;
            }
            inside.extend(word.chars().skip(1));
        }
    }
    let mut counts: Vec<(char, u64)> = counts.into_iter().collect();
    // Stable: characters of one count stay in order.
    counts.sort_by_key(|(_, count)| Reverse(*count));
    counts.truncate(MAX_ALPHABET);
    Ok((counts.into_iter().map(|(one, _)| one).collect(), inside))
}

/// Puts `[CLS]` and `[SEP]` around texts.
fn surround(tokenizer: &mut Tokenizer) -> Result<()> {
    let failed =
        |message: String| Error::invalid(format!("a vocabulary cannot be learned: {message}"));
    let id = |token: &str| tokenizer.token_to_id(token).unwrap_or_default();
    let template = TemplateProcessing::builder()
        .try_single("[CLS]:0 $A:0 [SEP]:0")
        .and_then(|template| template.try_pair("[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1"))
        .map_err(failed)?
        .special_tokens(vec![("[CLS]", id("[CLS]")), ("[SEP]", id("[SEP]"))])
        .build()
        .map_err(|error| failed(error.to_string()))?;
    tokenizer.with_post_processor(Some(template));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_texts_give_the_same_vocabulary() {
        let words = [
            "lava flows",
            "bees make honey",
            "the sea is deep",
            "café 火山 honeybee",
        ];
        let texts: Vec<String> = (0..200)
            .map(|number| format!("{} {} {}", words[number % 4], number, words[number * 7 % 3]))
            .collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        for kind in [VocabularyKind::WordPiece, VocabularyKind::Bpe] {
            let first = kind.learn(&texts, 400).unwrap();
            for _ in 0..8 {
                assert!(kind.learn(&texts, 400).unwrap() == first, "{kind:?}");
            }
        }
    }

    #[test]
    fn pieces_inside_of_words_are_no_special_tokens() {
        let texts = ["a banana and a bandana, an urban band"; 3];
        let json = VocabularyKind::WordPiece.learn(&texts, 60).unwrap();
        let tokenizer: Tokenizer = json.parse().unwrap();
        let encoding = tokenizer.encode("banana", true).unwrap();
        let tokens = encoding.get_tokens();
        assert_eq!(tokens[0], "[CLS]");
        assert_eq!(tokens.last().unwrap(), "[SEP]");
        assert!(
            tokens.concat().replace("##", "").contains("banana"),
            "{tokens:?}"
        );
        let text = tokenizer.decode(encoding.get_ids(), true).unwrap();
        assert_eq!(text, "banana");
        assert!(tokenizer.encode("##b", false).unwrap().get_tokens()[0] != "##b");
    }
}
