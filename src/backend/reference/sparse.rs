//! Max and sum pooling over tokens: SPLADE's vectors and ColBERT's MaxSim.

use super::Scalar;
use super::linear;
use super::rows::{Rows, Value, dot, sequences};
use crate::backend::{Linear, SparseVector, SpladeActivation, SpladePooling, shapes};
use crate::error::Result;

/// The sparse vector of each sequence.
pub(super) fn splade<T: Value>(
    x: &Rows<T>,
    starts: &[u32],
    decoder: &Linear<'_, Scalar<T>>,
    activation: SpladeActivation,
    pooling: SpladePooling,
) -> Result<Vec<SparseVector>> {
    linear::check(decoder, x.columns())?;
    let mut vectors = Vec::new();
    for sequence in sequences(starts, x.rows())? {
        let mut vector = SparseVector::new();
        for term in 0..decoder.weight.rows() {
            let mut pooled = 0.0_f64;
            for token in sequence.clone() {
                let logit = linear::output(decoder, x.row(token), term);
                let weight = weight(logit, activation);
                pooled = match pooling {
                    SpladePooling::Max => pooled.max(weight),
                    SpladePooling::Sum => pooled + weight,
                };
            }
            if pooled > 0.0 {
                vector.push((term as u32, pooled as f32));
            }
        }
        vectors.push(vector);
    }
    Ok(vectors)
}

/// The weight of a term for one token; 0 for logits of 0 and below.
pub(super) fn weight<T: Value>(logit: T, activation: SpladeActivation) -> f64 {
    let once = logit.wide().max(0.0).ln_1p();
    match activation {
        SpladeActivation::Log1pRelu => once,
        SpladeActivation::Log1pLog1pRelu => once.ln_1p(),
    }
}

/// For each document the sum, over the rows of the query, of the maximum inner product with any row
/// of the document.
pub(super) fn max_sim<T: Value>(
    query: &Rows<T>,
    documents: &Rows<T>,
    starts: &[u32],
) -> Result<Vec<f32>> {
    shapes::expect("columns of documents", documents.columns(), query.columns())?;
    let mut scores = Vec::new();
    for sequence in sequences(starts, documents.rows())? {
        let mut score = 0.0;
        for query_row in (0..query.rows()).map(|row| query.row(row)) {
            let products = sequence
                .clone()
                .map(|row| dot(query_row, documents.row(row)));
            score += products.reduce(f64::max).unwrap_or(0.0);
        }
        scores.push(score as f32);
    }
    Ok(scores)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::ForwardOps;
    use crate::backend::Reference;

    /// e^1 - 1 and e^2 - 1: logits whose weights are 1 and 2.
    const ONE: f32 = 1.718_281_8;
    const TWO: f32 = 6.389_056;

    fn sparse(
        activation: SpladeActivation,
        pooling: SpladePooling,
        max_terms: usize,
    ) -> Vec<SparseVector> {
        // Three tokens, of which the first two form a sequence, then an empty sequence. The decoder
        // copies both columns; the third term gets the bias alone.
        let x = Rows::new(3, 2, vec![ONE, -1.0, TWO, -2.0, 0.0, ONE]).unwrap();
        let weight = Rows::new(3, 2, vec![1.0, 0.0, 0.0, 1.0, 0.0, 0.0]).unwrap();
        let bias = vec![0.0, 0.0, ONE];
        let decoder = Linear {
            weight: &weight,
            bias: Some(&bias),
        };
        Reference
            .splade(&x, &[0, 2, 2, 3], &decoder, activation, pooling, max_terms)
            .unwrap()
    }

    fn assert_vectors(found: &[SparseVector], expected: &[&[(u32, f32)]]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(*expected) {
                assert_eq!(found.0, expected.0);
                assert!((found.1 - expected.1).abs() < 1e-6, "{found:?}");
            }
        }
    }

    #[test]
    fn splade_takes_the_maximum_weight_and_skips_zeros() {
        let found = sparse(SpladeActivation::Log1pRelu, SpladePooling::Max, 9);
        assert_vectors(&found, &[&[(0, 2.0), (2, 1.0)], &[], &[(1, 1.0), (2, 1.0)]]);
    }

    #[test]
    fn top_terms_are_kept_and_ties_go_to_the_lower_term() {
        let found = sparse(SpladeActivation::Log1pRelu, SpladePooling::Max, 1);
        assert_vectors(&found, &[&[(0, 2.0)], &[], &[(1, 1.0)]]);
    }

    #[test]
    fn splade_sums_weights_not_logits() {
        let found = sparse(SpladeActivation::Log1pRelu, SpladePooling::Sum, 9);
        assert_vectors(&found, &[&[(0, 3.0), (2, 2.0)], &[], &[(1, 1.0), (2, 1.0)]]);
    }

    #[test]
    fn the_logarithm_can_be_taken_twice() {
        let found = sparse(SpladeActivation::Log1pLog1pRelu, SpladePooling::Max, 9);
        let (once, twice) = (2f32.ln(), 3f32.ln());
        assert_vectors(
            &found,
            &[&[(0, twice), (2, once)], &[], &[(1, once), (2, once)]],
        );
    }

    #[test]
    fn max_sim_sums_the_best_match_of_each_query_row() {
        let query = Rows::new(2, 2, vec![1.0, 0.0, 0.0, 2.0]).unwrap();
        let documents = Rows::new(3, 2, vec![1.0, 3.0, 4.0, -1.0, -1.0, -5.0]).unwrap();
        let scores = Reference.max_sim(&query, &documents, &[0, 2, 2, 3]);
        // 4 + 6; nothing; -1 - 10, since even a bad match counts.
        assert_eq!(scores.unwrap(), [10.0, 0.0, -11.0]);
        assert!(
            Reference
                .max_sim(&query, &Rows::zeros(1, 3), &[0, 1])
                .is_err()
        );
    }
}
