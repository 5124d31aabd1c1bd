//! The gradient of attention.

use super::add;
use crate::backend::reference::Scalar;
use crate::backend::reference::attention::{keys, of_head, queries, values, weights};
use crate::backend::reference::rows::{Rows, Value, dot, sequences};
use crate::backend::{Attention, AttentionGradients, PositionGradients, Positions, shapes};
use crate::error::{Error, Result};

/// For each query with weights p over the keys and the gradient dy of its output: dp = values · dy,
/// the gradient of the scores is ds = p ∘ (dp - p · dp), and each part of a score gets its share.
pub(super) fn backward<T: Value>(
    attention: &Attention<'_, Scalar<T>>,
    dy: &Rows<T>,
    positions: PositionGradients<'_, Scalar<T>>,
) -> Result<AttentionGradients<Scalar<T>>> {
    shapes::attention(&Scalar::<T>::default(), attention, Vec::len)?;
    let width = attention.heads * attention.head_size;
    let tokens = attention.projections.rows();
    shapes::same("a gradient", (dy.rows(), dy.columns()), (tokens, width))?;
    let mut sums = Sums::new(attention, positions)?;
    for sequence in sequences(attention.starts, tokens)? {
        for head in 0..attention.heads {
            for query in 0..sequence.len() {
                let weights = weights(attention, &sequence, head, query);
                let token = sequence.start + query;
                let dy = of_head(attention, dy.row(token), head);
                let slopes: Vec<f64> = (0..sequence.len())
                    .map(|key| dot(dy, values(attention, sequence.start + key, head)))
                    .collect();
                let mean: f64 = weights.iter().zip(&slopes).map(|(p, dp)| p * dp).sum();
                for (key, (weight, slope)) in weights.iter().zip(&slopes).enumerate() {
                    let pair = Pair {
                        head,
                        query: token,
                        key: sequence.start + key,
                        bucket: bucket(attention, query, key, sequence.len()),
                    };
                    sums.add_value(&pair, *weight, dy);
                    sums.add_score(&pair, weight * (slope - mean));
                }
            }
        }
    }
    Ok(AttentionGradients {
        projections: sums.projections,
        position_keys: sums.position_keys,
        position_queries: sums.position_queries,
    })
}

fn bucket<T: Value>(
    attention: &Attention<'_, Scalar<T>>,
    query: usize,
    key: usize,
    length: usize,
) -> usize {
    match &attention.positions {
        Positions::Absolute => 0,
        Positions::Bias { distances, .. } | Positions::Disentangled { distances, .. } => {
            distances.of_query(query, length)[key] as usize
        }
    }
}

/// A score: a query and a key, as rows of the batch, in one head.
struct Pair {
    head: usize,
    query: usize,
    key: usize,
    bucket: usize,
}

/// The gradients, as they are summed.
struct Sums<'a, 'b, T: Value> {
    attention: &'a Attention<'a, Scalar<T>>,
    projections: Rows<T>,
    bias: Option<&'b mut Vec<T>>,
    position_keys: Option<Rows<T>>,
    position_queries: Option<Rows<T>>,
}

impl<'a, 'b, T: Value> Sums<'a, 'b, T> {
    fn new(
        attention: &'a Attention<'a, Scalar<T>>,
        gradients: PositionGradients<'b, Scalar<T>>,
    ) -> Result<Self> {
        let projections = attention.projections;
        let mut sums = Self {
            attention,
            projections: Rows::zeros(projections.rows(), projections.columns()),
            bias: None,
            position_keys: None,
            position_queries: None,
        };
        let zeros = |rows: &&Rows<T>| Rows::zeros(rows.rows(), rows.columns());
        match (&attention.positions, gradients) {
            (Positions::Absolute, PositionGradients::Absolute) => {}
            (Positions::Bias { table, .. }, PositionGradients::Bias(bias)) => {
                shapes::expect("gradients of position biases", bias.len(), table.len())?;
                sums.bias = Some(bias);
            }
            (Positions::Disentangled { keys, queries, .. }, PositionGradients::Disentangled) => {
                sums.position_keys = keys.as_ref().map(zeros);
                sums.position_queries = queries.as_ref().map(zeros);
            }
            _ => {
                return Err(Error::model(
                    "",
                    "gradients of attention: expected the kind of positions that the attention has, found another",
                ));
            }
        }
        Ok(sums)
    }

    /// The output is the sum of the values times their weights.
    fn add_value(&mut self, pair: &Pair, weight: f64, dy: &[T]) {
        let values = 2 * self.attention.heads + pair.head;
        let scaled = dy.iter().map(|dy| weight * dy.wide());
        add_row(&mut self.projections, pair.key, values, scaled);
    }

    /// A score is scale · (query · key + positions) + bias.
    fn add_score(&mut self, pair: &Pair, slope: f64) {
        let (attention, head) = (self.attention, pair.head);
        if let (Some(bias), Positions::Bias { .. }) = (&mut self.bias, &attention.positions) {
            add(&mut bias[pair.bucket * attention.heads + head], slope);
        }
        let slope = slope * f64::from(attention.scale);
        let scaled = |row: &'a [T]| row.iter().map(move |value| slope * value.wide());
        let query = queries(attention, pair.query, head);
        let key = keys(attention, pair.key, head);
        add_row(&mut self.projections, pair.query, head, scaled(key));
        let key_part = attention.heads + head;
        add_row(&mut self.projections, pair.key, key_part, scaled(query));
        let Positions::Disentangled { keys, queries, .. } = &attention.positions else {
            return;
        };
        if let (Some(keys), Some(sums)) = (keys, &mut self.position_keys) {
            let bucket_key = of_head(attention, keys.row(pair.bucket), head);
            add_row(&mut self.projections, pair.query, head, scaled(bucket_key));
            add_row(sums, pair.bucket, head, scaled(query));
        }
        if let (Some(queries), Some(sums)) = (queries, &mut self.position_queries) {
            let bucket_query = of_head(attention, queries.row(pair.bucket), head);
            add_row(
                &mut self.projections,
                pair.key,
                key_part,
                scaled(bucket_query),
            );
            add_row(sums, pair.bucket, head, scaled(key));
        }
    }
}

/// Adds values to part `part` of a row that is cut into parts of that many values.
fn add_row<T: Value>(
    rows: &mut Rows<T>,
    row: usize,
    part: usize,
    values: impl ExactSizeIterator<Item = f64>,
) {
    let first = part * values.len();
    for (sum, value) in rows.row_mut(row)[first..].iter_mut().zip(values) {
        add(sum, value);
    }
}
