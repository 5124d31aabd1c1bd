//! Transformer encoders, written once over a [`Backend`].
//!
//! Comes in: a model's configuration and weights, then batches of token ids ([`Batch`]). Goes out:
//! the last hidden states, one row for each token. [Heads](super::heads) make vectors and scores of
//! them.
//!
//! Two shapes of encoder cover all families. *Post-norm* (BERT, DistilBERT, RoBERTa, XLM-R,
//! ELECTRA, DeBERTa-v2) adds and then normalizes: each layer is h ← norm(h + attention(h)), then h
//! ← norm(h + feed-forward(h)). *Pre-norm* (T5) normalizes first and adds the result to the input
//! before the norm: h ← h + attention(norm(h)), then h ← h + feed-forward(norm(h)), and a final
//! norm.
//!
//! Invariant: nothing here names a backend or reads a file but through [`Weights`], and a
//! sequence's hidden states do not depend on the batch it is in.

mod distances;
mod embeddings;
pub(super) mod feed_forward;
mod names;
pub(super) mod parts;
mod post_norm;
mod relative;
mod t5;

use std::sync::atomic::{AtomicU32, Ordering};

use crate::backend::Backend;
use crate::error::{Error, Result};
use crate::neural::config::{Family, ModelConfig};
use crate::neural::packing::Batch;
use crate::neural::weights::Weights;

use parts::Loader;
use post_norm::PostNorm;
use t5::T5;

pub(super) use names::word_embeddings;

static NEXT_ID: AtomicU32 = AtomicU32::new(0);

/// A transformer encoder, loaded onto a backend.
///
/// ```
/// # use std::path::Path;
/// use esparsa::internals::backend::{Device, Reference};
/// use esparsa::neural::{Batch, Encoder, ModelConfig, Weights};
///
/// # fn main() -> esparsa::Result<()> {
/// let folder = Path::new("tests/neural/models/bert");
/// let config = ModelConfig::open(folder)?;
/// let weights = Weights::open(folder)?;
///
/// let backend = Reference;
/// let encoder = Encoder::load(&backend, &config, &weights)?;
/// let batch = Batch {
///     ids: vec![2, 7, 3, 2, 3], // two texts, of 3 and 2 tokens
///     types: vec![0; 5],
///     starts: vec![0, 3, 5],
/// };
/// let hidden = encoder.forward(&backend, &batch)?;
/// assert_eq!(backend.shape(&hidden), (5, config.hidden));
/// # Ok(())
/// # }
/// ```
pub struct Encoder<B: Backend> {
    stack: Stack<B>,
    limits: Limits,
    hidden: usize,
    /// Unique in the process: the key of this encoder's CUDA graphs.
    id: u32,
}

enum Stack<B: Backend> {
    PostNorm(PostNorm<B>),
    T5(T5<B>),
}

/// The limits of a batch.
struct Limits {
    vocabulary: usize,
    types: usize,
    max_positions: Option<usize>,
}

impl<B: Backend> Encoder<B> {
    /// Loads the encoder that `config` describes.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] for a tensor that is missing, of another shape than `config` says, or not
    /// of finite values; [`Error::Device`] if the backend's device fails.
    pub fn load(backend: &B, config: &ModelConfig, weights: &Weights) -> Result<Self> {
        let loader = Loader::new(backend, weights);
        let stack = match config.family {
            Family::T5 => Stack::T5(T5::load(&loader, config)?),
            Family::Bert
            | Family::DistilBert
            | Family::Roberta
            | Family::XlmRoberta
            | Family::Electra
            | Family::DebertaV2 => Stack::PostNorm(PostNorm::load(&loader, config)?),
        };
        Ok(Self {
            stack,
            limits: Limits {
                vocabulary: config.vocabulary,
                types: config.types,
                max_positions: config.max_positions,
            },
            hidden: config.hidden,
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
        })
    }

    /// The last hidden states of a batch: a row of [`hidden`](Self::hidden) dimensions for each
    /// token.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a sequence of more tokens than the model has positions for,
    /// [`Error::Model`] for ids outside of the model's vocabulary, [`Error::Device`] if the
    /// backend's device fails.
    pub fn forward(&self, backend: &B, batch: &Batch) -> Result<B::Tensor> {
        self.limits.check(batch)?;
        let mut key = vec![self.id];
        key.extend(&batch.starts);
        backend.run_graphed(&key, batch.tokens(), || match &self.stack {
            Stack::PostNorm(stack) => stack.forward(backend, batch),
            Stack::T5(stack) => stack.forward(backend, batch),
        })
    }

    /// Dimensions of a hidden state.
    pub fn hidden(&self) -> usize {
        self.hidden
    }
}

impl Limits {
    fn check(&self, batch: &Batch) -> Result<()> {
        check_starts(batch)?;
        for pair in batch.starts.windows(2) {
            let length = (pair[1] - pair[0]) as usize;
            if let Some(limit) = self.max_positions.filter(|&limit| length > limit) {
                return Err(Error::invalid(format!(
                    "expected a sequence of at most {limit} tokens, the positions of the model, found {length} tokens; truncate it or split it into windows"
                )));
            }
        }
        if let Some(id) = batch.ids.iter().find(|&&id| id as usize >= self.vocabulary) {
            return Err(Error::model(
                "",
                format!(
                    "expected token ids below {}, the size of the model's vocabulary, found {id}; the tokenizer is another model's",
                    self.vocabulary
                ),
            ));
        }
        // Models with one type or none ignore the types of a batch.
        if self.types < 2 {
            return Ok(());
        }
        if let Some(kind) = batch
            .types
            .iter()
            .find(|&&kind| kind as usize >= self.types)
        {
            return Err(Error::model(
                "",
                format!(
                    "expected token types below {}, found {kind}; the tokenizer is another model's",
                    self.types
                ),
            ));
        }
        Ok(())
    }
}

fn check_starts(batch: &Batch) -> Result<()> {
    let tokens = batch.ids.len();
    let ends_well = batch.starts.first() == Some(&0)
        && batch.starts.last().map(|&last| last as usize) == Some(tokens)
        && batch.starts.windows(2).all(|pair| pair[0] <= pair[1]);
    if ends_well && batch.types.len() == tokens {
        return Ok(());
    }
    Err(Error::model(
        "",
        format!(
            "a batch of {tokens} token ids: expected as many types, and starts that ascend from 0 to {tokens}, found {} types and the starts {:?}",
            batch.types.len(),
            batch.starts
        ),
    ))
}

/// The length of the longest sequence, in tokens.
fn longest(batch: &Batch) -> usize {
    let lengths = batch.starts.windows(2).map(|pair| pair[1] - pair[0]);
    lengths.max().unwrap_or(0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A model of 10 tokens, 2 types and 3 positions.
    fn check(ids: &[u32], types: &[u32], starts: &[u32]) -> Result<()> {
        let limits = Limits {
            vocabulary: 10,
            types: 2,
            max_positions: Some(3),
        };
        limits.check(&Batch {
            ids: ids.to_vec(),
            types: types.to_vec(),
            starts: starts.to_vec(),
        })
    }

    #[test]
    fn a_sequence_may_be_as_long_as_the_model_has_positions() {
        check(&[1, 2, 3, 4], &[0, 0, 1, 1], &[0, 3, 3, 4]).unwrap();
        check(&[], &[], &[0]).unwrap();
        let error = check(&[1, 2, 3, 4], &[0; 4], &[0, 4]).unwrap_err();
        assert!(error.is_input());
        let error = error.to_string();
        assert!(error.contains("4 tokens") && error.contains('3'), "{error}");
    }

    #[test]
    fn ids_and_types_that_the_model_lacks_are_named() {
        let error = check(&[1, 10], &[0, 0], &[0, 2]).unwrap_err().to_string();
        assert!(
            error.contains("below 10") && error.contains("found 10"),
            "{error}"
        );
        let error = check(&[1, 9], &[0, 2], &[0, 2]).unwrap_err().to_string();
        assert!(
            error.contains("below 2") && error.contains("found 2"),
            "{error}"
        );
    }

    #[test]
    fn a_batch_must_fit_together() {
        for (types, starts) in [
            (&[0][..], &[0, 2][..]),
            (&[0, 0], &[0, 1]),
            (&[0, 0], &[1, 2]),
            (&[0, 0], &[0, 2, 1, 2]),
            (&[0, 0], &[]),
        ] {
            assert!(
                check(&[1, 2], types, starts).is_err(),
                "{types:?} {starts:?}"
            );
        }
    }
}
