//! Vocabularies learned from texts: WordPiece, BPE and Unigram, by the crate `tokenizers`.

use serde::{Deserialize, Serialize};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::models::unigram::{Unigram, UnigramTrainer};
use tokenizers::models::wordpiece::{WordPiece, WordPieceTrainer};
use tokenizers::normalizers::bert::BertNormalizer;
use tokenizers::normalizers::unicode::NFKC;
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, Tokenizer};

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
            Self::WordPiece => {
                let model = WordPiece::builder().unk_token("[UNK]".into()).build();
                let mut tokenizer = Tokenizer::new(model.map_err(failed)?);
                let normalizer = Some(BertNormalizer::default());
                tokenizer.with_normalizer(normalizer).map_err(failed)?;
                tokenizer.with_pre_tokenizer(Some(BertPreTokenizer));
                tokenizer.with_decoder(Some(tokenizers::decoders::wordpiece::WordPiece::default()));
                let trainer = WordPieceTrainer::builder()
                    .vocab_size(size)
                    .min_frequency(2)
                    .show_progress(false)
                    .special_tokens(specials)
                    .build();
                (tokenizer, TrainerWrapper::from(trainer))
            }
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
                (tokenizer, trainer.into())
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
