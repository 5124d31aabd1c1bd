//! What models make of hidden states: sparse vectors, dense vectors, scores, vectors of tokens.
//!
//! Comes in: the last hidden states of packed sequences, a row for each token, of an
//! [encoder](super::encoder). Goes out: one sparse vector ([`SpladeHead`]), dense vector
//! ([`PooledHead`]) or row of logits ([`CrossHead`], [`DecoderHead`]) for each sequence, or one
//! vector for each token and the scores between two sets of them ([`LateHead`]). [`StaticWeights`]
//! is a head without an encoder: it looks the weight of each query token up in a table.
//!
//! Invariant: a head reads its tensors by the names of published checkpoints, and tokenizes
//! nothing.

mod cross;
mod decoder;
mod late;
mod pooled;
mod splade;
mod static_weights;

pub use cross::CrossHead;
pub use decoder::DecoderHead;
pub use late::LateHead;
#[cfg(feature = "internals")]
pub use pooled::DenseWeights;
pub use pooled::PooledHead;
pub use splade::SpladeHead;
#[cfg(feature = "train")]
pub(crate) use static_weights::Places;
pub use static_weights::StaticWeights;
pub(crate) use static_weights::add_vectors;
