//! Models as they are used: text goes in, vectors or scores come out.
//!
//! Comes in: the folder of a model and a backend, then texts. Goes out: a sparse vector ([`SparseEncoder`]) or a dense one ([`DenseEncoder`]) for
//! each text, a score for a query and each document ([`CrossEncoder`]), or vectors of tokens and the scores between them ([`LateEncoder`]).
//! Each puts a tokenizer, an [encoder](super::encoder) and a [head](super::heads) together as the folder says.
//!
//! [`TextEncoder`] is what models that make vectors have in common, [`PairScorer`] what models that score have.
//!
//! Invariant: what a model makes of a text depends on the text, the model and [`LongText`](super::LongText) alone; the precision of the backend
//! changes it by rounding.

mod cross;
mod dense;
mod late;
mod sparse;
mod transformer;

use crate::error::Result;

use super::bulk::{Encoded, WindowSize};

pub use cross::CrossEncoder;
pub use dense::DenseEncoder;
pub use late::{LateEncoder, TokenVectors};
pub use sparse::SparseEncoder;

/// What a text is to a search; some models encode queries and documents differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// What is searched for.
    Query,
    /// What is found.
    Document,
}

/// A model that makes a vector of a text.
pub trait TextEncoder: Sync {
    /// The vector.
    type Vector: Send;

    /// The vector of each text, or why it has none.
    ///
    /// Memory grows with the texts given together: have [`for_each_window`](super::for_each_window) give a bounded number of them, of
    /// [`window_size`](Self::window_size).
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) if the backend's device fails; whatever else goes wrong is the result of one text.
    fn encode(&self, texts: &[&str], role: Role) -> Result<Encoded<Self::Vector>>;

    /// How many texts are best given together.
    fn window_size(&self) -> WindowSize;

    /// True if texts are encoded on more threads than the caller's.
    fn is_threaded(&self) -> bool;

    /// The most tokens that the model reads at once.
    fn max_tokens(&self) -> usize;

    /// The name of the model's folder.
    fn name(&self) -> &str;

    /// A hash of weights, tokenizer and settings; models with the same are the same.
    fn fingerprint(&self) -> u128;
}

/// A model that scores documents for queries.
pub trait PairScorer: crate::scorer::Scorer + Sync {
    /// The score of each pair of query and document, or why it has none.
    ///
    /// # Errors
    ///
    /// As [`TextEncoder::encode`].
    fn score_pairs(&self, pairs: &[(&str, &str)]) -> Result<Encoded<f32>>;

    /// How many pairs are best given together.
    fn window_size(&self) -> WindowSize;

    /// True if pairs are scored on more threads than the caller's.
    fn is_threaded(&self) -> bool;

    /// The name of the model's folder.
    fn name(&self) -> &str;
}
