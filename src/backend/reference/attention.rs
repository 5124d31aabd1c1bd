//! Self-attention within each sequence.

use std::ops::Range;

use super::Scalar;
use super::rows::{Rows, Value, dot, sequences};
use crate::backend::{Attention, Positions, shapes};
use crate::error::Result;

/// softmax(scale · (queries · keysᵀ + positions)) · values for each sequence and head.
pub(super) fn attention<T: Value>(attention: &Attention<'_, Scalar<T>>) -> Result<Rows<T>> {
    let width = attention.heads * attention.head_size;
    let tokens = attention.projections.rows();
    shapes::attention(&Scalar::<T>::default(), attention, Vec::len)?;

    let mut output = Rows::zeros(tokens, width);
    for sequence in sequences(attention.starts, tokens)? {
        for head in 0..attention.heads {
            for query in 0..sequence.len() {
                let weights = weights(attention, &sequence, head, query);
                let columns = head * attention.head_size..(head + 1) * attention.head_size;
                let row = &mut output.row_mut(sequence.start + query)[columns];
                for (column, value) in row.iter_mut().enumerate() {
                    let terms = weights.iter().enumerate().map(|(key, weight)| {
                        let values = values(attention, sequence.start + key, head);
                        weight * values[column].wide()
                    });
                    *value = T::narrow(terms.sum::<f64>());
                }
            }
        }
    }
    Ok(output)
}

/// The attention weights of one query of a sequence in one head: positive, with sum 1.
pub(super) fn weights<T: Value>(
    attention: &Attention<'_, Scalar<T>>,
    sequence: &Range<usize>,
    head: usize,
    query: usize,
) -> Vec<f64> {
    let query_row = queries(attention, sequence.start + query, head);
    let mut scores = Vec::with_capacity(sequence.len());
    for key in 0..sequence.len() {
        let key_row = keys(attention, sequence.start + key, head);
        let mut score = dot(query_row, key_row);
        let mut added = 0.0;
        match &attention.positions {
            Positions::Absolute => {}
            Positions::Bias { table, distances } => {
                let bucket = distances.of_query(query, sequence.len())[key] as usize;
                added = table[bucket * attention.heads + head].wide();
            }
            Positions::Disentangled {
                keys,
                queries,
                distances,
            } => {
                let bucket = distances.of_query(query, sequence.len())[key] as usize;
                if let Some(keys) = keys {
                    score += dot(query_row, of_head(attention, keys.row(bucket), head));
                }
                if let Some(queries) = queries {
                    score += dot(of_head(attention, queries.row(bucket), head), key_row);
                }
            }
        }
        scores.push(f64::from(attention.scale) * score + added);
    }
    softmax(&mut scores);
    scores
}

/// The softmax; subtracting the maximum first avoids overflow.
pub(super) fn softmax(scores: &mut [f64]) {
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for score in scores.iter_mut() {
        *score = (*score - max).exp();
    }
    let sum: f64 = scores.iter().sum();
    for score in scores.iter_mut() {
        *score /= sum;
    }
}

/// The columns of one head in a row of heads · head size values.
pub(super) fn of_head<'a, T: Value>(
    attention: &Attention<'_, Scalar<T>>,
    row: &'a [T],
    head: usize,
) -> &'a [T] {
    &row[head * attention.head_size..(head + 1) * attention.head_size]
}

pub(super) fn queries<'a, T: Value>(
    attention: &Attention<'a, Scalar<T>>,
    token: usize,
    head: usize,
) -> &'a [T] {
    of_head(attention, attention.projections.row(token), head)
}

pub(super) fn keys<'a, T: Value>(
    attention: &Attention<'a, Scalar<T>>,
    token: usize,
    head: usize,
) -> &'a [T] {
    let row = attention.projections.row(token);
    of_head(attention, row, attention.heads + head)
}

pub(super) fn values<'a, T: Value>(
    attention: &Attention<'a, Scalar<T>>,
    token: usize,
    head: usize,
) -> &'a [T] {
    let row = attention.projections.row(token);
    of_head(attention, row, 2 * attention.heads + head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Reference;
    use crate::backend::{Distances, ForwardOps};

    /// Two tokens, one head of size 1: queries 1 and 2, keys 3 and 5, values 10 and 20.
    fn projections() -> Rows {
        Rows::new(2, 3, vec![1.0, 3.0, 10.0, 2.0, 5.0, 20.0]).unwrap()
    }

    fn run(projections: &Rows, starts: &[u32], positions: Positions<'_, Reference>) -> Vec<f32> {
        let attention = Attention {
            projections,
            starts,
            heads: 1,
            head_size: 1,
            scale: 0.5,
            positions,
        };
        let output = Reference.attention(&attention).unwrap();
        output.values().to_vec()
    }

    /// The mean of 10 and 20 when the second key's score is `advantage` above the first's.
    fn mixed(advantage: f32) -> f32 {
        10.0 + 10.0 / (1.0 + (-advantage).exp())
    }

    fn assert_close(found: &[f32], expected: &[f32]) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} {expected}");
        }
    }

    #[test]
    fn scores_are_scaled_products_of_queries_and_keys() {
        let found = run(&projections(), &[0, 2], Positions::Absolute);
        // Scores 1.5 and 2.5 of the first query, 3 and 5 of the second.
        assert_close(&found, &[mixed(1.0), mixed(2.0)]);
    }

    #[test]
    fn a_sequence_sees_no_other() {
        let found = run(&projections(), &[0, 1, 1, 2], Positions::Absolute);
        assert_close(&found, &[10.0, 20.0]);
    }

    #[test]
    fn biases_are_added_after_scaling() {
        let distances = Distances::new(1, |distance| (distance + 1) as u32);
        let positions = Positions::Bias {
            table: &vec![7.0, 0.5, 0.25],
            distances: &distances,
        };
        // First query: bucket 1 for itself, 2 for the key after it; second: bucket 0 for the key
        // before it, 1 for itself.
        let found = run(&projections(), &[0, 2], positions);
        assert_close(&found, &[mixed(1.0 - 0.25), mixed(2.0 + 0.5 - 7.0)]);
    }

    #[test]
    fn disentangled_positions_are_products_scaled_with_the_rest() {
        let distances = Distances::new(1, |distance| (distance + 1) as u32);
        let bucket_keys = Rows::new(3, 1, vec![1.0, 2.0, 4.0]).unwrap();
        let bucket_queries = Rows::new(3, 1, vec![0.5, 0.0, -1.0]).unwrap();
        let positions = |keys, queries| Positions::Disentangled {
            keys,
            queries,
            distances: &distances,
        };
        // Content to position adds query · key of the bucket: 1 · 2 and 1 · 4, then 2 · 1 and
        // 2 · 2.
        let found = run(&projections(), &[0, 2], positions(Some(&bucket_keys), None));
        assert_close(&found, &[mixed(1.0 + 0.5 * 2.0), mixed(2.0 + 0.5 * 2.0)]);
        // Position to content adds query of the bucket · key: 0 · 3 and -1 · 5, then 0.5 · 3 and
        // 0 · 5.
        let found = run(
            &projections(),
            &[0, 2],
            positions(None, Some(&bucket_queries)),
        );
        assert_close(&found, &[mixed(1.0 - 0.5 * 5.0), mixed(2.0 - 0.5 * 1.5)]);
    }

    #[test]
    fn heads_are_independent() {
        // Two heads of size 1; the second has the queries of the first, with keys and values
        // exchanged between the tokens.
        let rows = vec![
            1.0, 1.0, 3.0, 5.0, 10.0, 20.0, // first token
            2.0, 2.0, 5.0, 3.0, 20.0, 10.0, // second token
        ];
        let projections = Rows::new(2, 6, rows).unwrap();
        let attention = Attention {
            projections: &projections,
            starts: &[0, 2],
            heads: 2,
            head_size: 1,
            scale: 0.5,
            positions: Positions::Absolute,
        };
        let found = Reference.attention(&attention).unwrap();
        let expected = [mixed(1.0), mixed(1.0), mixed(2.0), mixed(2.0)];
        assert_close(found.values(), &expected);
    }

    #[test]
    fn large_scores_do_not_overflow() {
        let mut scores = vec![1000.0, 999.0, -1000.0];
        softmax(&mut scores);
        assert!((scores[0] / scores[1] - 1f64.exp()).abs() < 1e-9);
        assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    #[test]
    fn distances_must_reach_the_longest_sequence_and_buckets_exist() {
        let refused = |reach, buckets: Vec<f32>| {
            let distances = Distances::new(reach, |distance| (distance + reach as i64) as u32);
            let projections = projections();
            let attention = Attention {
                projections: &projections,
                starts: &[0, 2],
                heads: 1,
                head_size: 1,
                scale: 1.0,
                positions: Positions::Bias {
                    table: &buckets,
                    distances: &distances,
                },
            };
            Reference.attention(&attention).unwrap_err().to_string()
        };
        let error = refused(0, vec![0.0; 3]);
        assert!(error.contains("expected at most 1, found 2"), "{error}");
        let error = refused(1, vec![0.0; 2]);
        assert!(error.contains("found 2"), "{error}");
    }

    #[test]
    fn projections_of_the_wrong_width_are_refused() {
        let attention = Attention {
            projections: &Rows::zeros(2, 4),
            starts: &[0, 2],
            heads: 1,
            head_size: 1,
            scale: 1.0,
            positions: Positions::Absolute,
        };
        let error = Reference.attention(&attention).unwrap_err();
        assert!(error.to_string().contains("expected 3, found 4"), "{error}");
    }
}
