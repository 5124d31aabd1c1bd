//! What re-ranking needs of a model, apart from any model: a leaf, so that `neural` implements the
//! trait and `rank` uses it without knowing each other.

use crate::error::Result;

/// Scores documents for a query by reading both, such as a cross-encoder does.
pub trait Scorer {
    /// A score for each document, the higher the better; scores of different queries need not be
    /// comparable.
    ///
    /// # Errors
    ///
    /// What scoring gives; every score that comes back is finite.
    fn scores(&self, query: &str, documents: &[&str]) -> Result<Vec<f32>>;
}
