//! Texts that are longer than the model's max sequence length.

use crate::backend::SparseVector;
use crate::error::{Error, Result};

use super::tokenizer::{Tokenizer, Tokens};

/// What to do with a text that has more tokens than the model's max.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LongText {
    /// Use its beginning, the first passage, as sentence-transformers does.
    #[default]
    Truncate,
    /// Use all of it, in overlapping windows of the max length. The results are combined: of sparse
    /// vectors the max weight of each term, of dense vectors the mean, of scores the max, which is
    /// that of the best passage.
    Windows {
        /// Tokens that a window shares with the one before.
        overlap: usize,
    },
    /// Return an error for it.
    Refuse,
}

impl LongText {
    /// The sequences of at most `limit` tokens that are made of a text.
    pub(super) fn sequences(
        self,
        tokenizer: &Tokenizer,
        text: &str,
        limit: usize,
    ) -> Result<Vec<Tokens>> {
        match self {
            Self::Truncate => Ok(vec![tokenizer.truncated(text, limit)?]),
            Self::Windows { overlap } => tokenizer.windows(text, limit, overlap),
            Self::Refuse => {
                let tokens = tokenizer.truncated(text, limit.saturating_add(1))?;
                refuse_over(limit, tokens.len())?;
                Ok(vec![tokens])
            }
        }
    }

    /// The same for a pair, of which the second text may be long.
    pub(super) fn pairs(
        self,
        tokenizer: &Tokenizer,
        (first, second): (&str, &str),
        limit: usize,
    ) -> Result<Vec<Tokens>> {
        match self {
            Self::Truncate => Ok(vec![tokenizer.encode_pair(first, second, limit)?]),
            Self::Windows { overlap } => tokenizer.pair_windows(first, second, limit, overlap),
            Self::Refuse => {
                let tokens = tokenizer.encode_pair(first, second, limit.saturating_add(1))?;
                refuse_over(limit, tokens.len())?;
                Ok(vec![tokens])
            }
        }
    }
}

fn refuse_over(limit: usize, found: usize) -> Result<()> {
    if found <= limit {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "expected a text of at most {limit} tokens, the max of the model, found more; truncate it or split it into windows"
    )))
}

/// The max weight of each term over all vectors.
pub(super) fn max_weights(mut vectors: Vec<SparseVector>) -> SparseVector {
    if vectors.len() == 1 {
        return vectors.swap_remove(0);
    }
    let mut all: SparseVector = vectors.into_iter().flatten().collect();
    // Entries of one term are adjacent with the max weight first, which is the one that `dedup`
    // keeps.
    all.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    all.dedup_by_key(|(term, _)| *term);
    all
}

/// The mean of vectors, of Euclidean length 1 if `is_unit`.
pub(super) fn mean(mut vectors: Vec<Vec<f32>>, is_unit: bool) -> Vec<f32> {
    if vectors.len() == 1 {
        return vectors.swap_remove(0);
    }
    let columns = vectors.first().map_or(0, Vec::len);
    let mut sums = vec![0.0_f64; columns];
    for vector in &vectors {
        for (sum, number) in sums.iter_mut().zip(vector) {
            *sum += f64::from(*number);
        }
    }
    let divisor = match is_unit {
        true => sums
            .iter()
            .map(|sum| sum * sum)
            .sum::<f64>()
            .sqrt()
            .max(1e-12),
        false => vectors.len() as f64,
    };
    sums.into_iter().map(|sum| (sum / divisor) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_max_weight_of_each_term_stays() {
        let first = vec![(3, 0.5), (7, 2.0)];
        let second = vec![(1, 1.0), (3, 0.75), (7, 0.5)];
        let both = max_weights(vec![first.clone(), second]);
        assert_eq!(both, [(1, 1.0), (3, 0.75), (7, 2.0)]);
        assert_eq!(max_weights(vec![first.clone()]), first);
        assert_eq!(max_weights(vec![Vec::new(), first.clone()]), first);
    }

    #[test]
    fn the_mean_of_unit_vectors_is_a_unit_vector_again() {
        let vectors = vec![vec![1.0, 0.0], vec![0.0, 1.0]];
        assert_eq!(mean(vectors.clone(), false), [0.5, 0.5]);
        let root = 0.5_f32.sqrt();
        assert_eq!(mean(vectors, true), [root, root]);
        assert_eq!(mean(vec![vec![3.0, 4.0]], true), [3.0, 4.0]);
        assert_eq!(mean(vec![vec![1.0], vec![-1.0]], true), [0.0]);
    }
}
