//! Attention of one query for each sequence.

use super::Scalar;
use super::attention::softmax;
use super::rows::{Rows, Value, dot, sequences};
use crate::backend::{CrossAttention, shapes};
use crate::error::Result;

/// softmax(scale · queries · keysᵀ) · values for each sequence and head.
pub(super) fn cross_attention<T: Value>(
    attention: &CrossAttention<'_, Scalar<T>>,
) -> Result<Rows<T>> {
    shapes::cross_attention(&Scalar::<T>::default(), attention)?;
    let (size, memory) = (attention.head_size, attention.memory);
    let inner = attention.heads * size;
    let sequences = sequences(attention.starts, memory.rows())?;
    let mut output = Rows::zeros(sequences.len(), inner);
    for (index, sequence) in sequences.into_iter().enumerate() {
        for head in 0..attention.heads {
            let columns = head * size..(head + 1) * size;
            let query = &attention.queries.row(index)[columns.clone()];
            let scores = sequence.clone().map(|token| {
                let key = &memory.row(token)[columns.clone()];
                f64::from(attention.scale) * dot(query, key)
            });
            let mut weights: Vec<f64> = scores.collect();
            softmax(&mut weights);
            for column in columns {
                let terms = sequence
                    .clone()
                    .zip(&weights)
                    .map(|(token, weight)| weight * memory.row(token)[inner + column].wide());
                output.row_mut(index)[column] = T::narrow(terms.sum());
            }
        }
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Device, ForwardOps, Reference};

    /// One head of one dimension over sequences of 2, 0 and 1 tokens.
    fn attended(queries: &[f32], memory: &[f32]) -> Rows {
        let queries = Reference.tensor(3, 1, queries).unwrap();
        let memory = Reference.tensor(3, 2, memory).unwrap();
        let attention = CrossAttention {
            queries: &queries,
            memory: &memory,
            starts: &[0, 2, 2, 3],
            heads: 1,
            head_size: 1,
            scale: 0.5,
        };
        Reference.cross_attention(&attention).unwrap()
    }

    #[test]
    fn weights_are_the_softmax_of_scaled_products() {
        // The scores of the first sequence are 0 and ln 3, so that its weights are 1/4 and 3/4.
        let key = 3.0_f32.ln();
        let found = attended(&[2.0, 5.0, 7.0], &[0.0, 8.0, key, 16.0, -1.0, 9.0]);
        assert!((found.row(0)[0] - 14.0).abs() < 1e-5);
        assert_eq!(found.row(1), [0.0], "a sequence without tokens");
        assert_eq!(found.row(2), [9.0], "one token has the weight 1");
    }

    #[test]
    fn scores_that_overflow_an_exponential_still_have_weights() {
        let found = attended(&[1e4, 0.0, 0.0], &[1.0, 3.0, -1.0, 4.0, 0.0, 0.0]);
        assert_eq!(found.row(0), [3.0]);
    }

    #[test]
    fn there_must_be_a_query_for_each_sequence() {
        let queries = Reference.tensor(2, 4, &[0.0; 8]).unwrap();
        let memory = Reference.tensor(3, 8, &[0.0; 24]).unwrap();
        let mut attention = CrossAttention {
            queries: &queries,
            memory: &memory,
            starts: &[0, 1, 3],
            heads: 2,
            head_size: 2,
            scale: 1.0,
        };
        assert!(Reference.cross_attention(&attention).is_ok());
        attention.starts = &[0, 3];
        let error = Reference
            .cross_attention(&attention)
            .unwrap_err()
            .to_string();
        assert!(error.contains("expected 1 × 4"), "{error}");
        attention.head_size = 3;
        let error = Reference
            .cross_attention(&attention)
            .unwrap_err()
            .to_string();
        assert!(error.contains("expected 12, found 8"), "{error}");
    }
}
