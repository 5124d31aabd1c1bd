//! Models as they are used: text goes in, vectors or scores come out.
//!
//! Comes in: the folder of a model and a backend, then texts. Goes out: a sparse vector
//! ([`SparseEncoder`]) or a dense one ([`DenseEncoder`]) for each text, a score for a query and
//! each document ([`CrossEncoder`]), or vectors of tokens and the scores between them
//! ([`LateEncoder`]). Each puts a tokenizer, an [encoder](super::encoder) and a
//! [head](super::heads) together as the folder says, and is generic over the backend.
//!
//! Programs that learn the kind of model or the hardware only at run time open a [`Model`], whose
//! parts are objects of these traits:
//!
//! | trait | models |
//! | --- | --- |
//! | [`TextEncoder`] | all that make one vector of a text |
//! | [`SparseTextEncoder`], [`DenseTextEncoder`] | those of one kind of vector |
//! | [`PairScorer`] | all that score documents for a query |
//! | [`TokenEncoder`] | those that make a vector of each token, and score by them |
//!
//! Invariant: what a model makes of a text depends only on the text, the model and
//! [`LongText`](super::LongText), up to the rounding of the backend.

mod cross;
mod dense;
mod late;
mod model;
mod sparse;
mod transformer;

use crate::backend::SparseVector;
use crate::error::Result;
use crate::scorer::Scorer;

use super::bulk::{Encoded, WindowSize};
use super::folder::Similarity;

pub use cross::CrossEncoder;
#[cfg(feature = "train")]
pub(crate) use cross::grade_odds;
pub use dense::DenseEncoder;
pub use late::{LateEncoder, TokenVectors};
pub use model::Model;
pub use sparse::SparseEncoder;

/// The role of a text in a search; some models encode queries and documents differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The text that is searched for.
    Query,
    /// A text that may be found.
    Document,
}

/// A model that makes one vector of a text.
pub trait TextEncoder: Send + Sync {
    /// The vector.
    type Vector: Send;

    /// The vector of each text, or the error of that text.
    ///
    /// Memory grows with the number of texts in a call: let
    /// [`for_each_window`](super::for_each_window) pass on a bounded number of them, of
    /// [`window_size`](Self::window_size).
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) if the device fails; any other error is the result
    /// of one text.
    fn encode(&self, texts: &[&str], role: Role) -> Result<Encoded<Self::Vector>>;

    /// The vector of each query.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for a text that cannot be encoded, named
    /// by its index; [`Error::Device`](crate::Error::Device).
    fn encode_queries(&self, texts: &[&str]) -> Result<Vec<Self::Vector>> {
        self.encode(texts, Role::Query)?.all()
    }

    /// The vector of each document.
    ///
    /// # Errors
    ///
    /// As [`TextEncoder::encode_queries`].
    fn encode_documents(&self, texts: &[&str]) -> Result<Vec<Self::Vector>> {
        self.encode(texts, Role::Document)?.all()
    }

    /// How many texts a call should have.
    fn window_size(&self) -> WindowSize;

    /// True if texts are encoded on more threads than the caller's.
    fn is_threaded(&self) -> bool;

    /// The max tokens of a sequence.
    fn max_tokens(&self) -> usize;

    /// The name of the model's folder.
    fn name(&self) -> &str;

    /// A hash of weights, tokenizer and settings; models with the same are the same.
    fn fingerprint(&self) -> u128;
}

/// A model that makes a sparse vector of a text, over the terms of its vocabulary.
pub trait SparseTextEncoder: TextEncoder<Vector = SparseVector> {
    /// The number of terms.
    fn vocabulary(&self) -> usize;

    /// The name of a term: its token, or `#` and its id where the tokenizer has no such token.
    fn term(&self, term: u32) -> String;

    /// The names of all terms in the order of their ids.
    fn terms(&self) -> Vec<String> {
        // Vocabularies are limited to 2^24 terms.
        (0..self.vocabulary() as u32)
            .map(|term| self.term(term))
            .collect()
    }

    /// True if queries need no transformer.
    fn is_inference_free(&self) -> bool;
}

/// A model that makes a dense vector of a text.
pub trait DenseTextEncoder: TextEncoder<Vector = Vec<f32>> {
    /// Dimensions of a vector.
    fn dimensions(&self) -> usize;

    /// True if all vectors have the Euclidean length 1.
    fn is_unit(&self) -> bool;

    /// How vectors are compared, if the folder says so; the default of sentence-transformers is the
    /// cosine.
    fn similarity(&self) -> Option<Similarity>;
}

/// A model that scores documents for queries.
pub trait PairScorer: Scorer + Send + Sync {
    /// The score of each pair of query and document, or the error of that pair.
    ///
    /// # Errors
    ///
    /// As [`TextEncoder::encode`].
    fn score_pairs(&self, pairs: &[(&str, &str)]) -> Result<Encoded<f32>>;

    /// How many pairs a call should have.
    fn window_size(&self) -> WindowSize;

    /// True if pairs are scored on more threads than the caller's.
    fn is_threaded(&self) -> bool;

    /// The max tokens that the model reads of a pair; with late interaction, of a document.
    fn max_tokens(&self) -> usize;

    /// The name of the model's folder.
    fn name(&self) -> &str;

    /// A hash of weights, tokenizer and settings; models with the same are the same.
    fn fingerprint(&self) -> u128;
}

/// A model that makes a vector of each token of a text, and scores documents by these.
pub trait TokenEncoder: PairScorer {
    /// The vectors of each query's tokens.
    ///
    /// # Errors
    ///
    /// As [`TextEncoder::encode_queries`].
    fn encode_queries(&self, texts: &[&str]) -> Result<Vec<TokenVectors>>;

    /// The vectors of each document's tokens. Those of the windows of a long document follow one
    /// another.
    ///
    /// # Errors
    ///
    /// As [`TextEncoder::encode_queries`].
    fn encode_documents(&self, texts: &[&str]) -> Result<Vec<TokenVectors>>;

    /// Dimensions of a vector.
    fn dimensions(&self) -> usize;
}
