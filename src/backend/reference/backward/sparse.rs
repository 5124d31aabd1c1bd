//! The SPLADE head: sparse vectors with the row of each max, and their gradients.

use std::ops::Range;

use super::add;
use crate::backend::reference::Scalar;
use crate::backend::reference::linear;
use crate::backend::reference::rows::{Rows, Value, sequences};
use crate::backend::reference::sparse::weight;
use crate::backend::{Linear, LinearPart, SpladeActivation, SpladePooling, TermWeight, shapes};
use crate::error::Result;

/// The terms of each sequence that have a weight above 0.
pub(super) fn terms<T: Value>(
    x: &Rows<T>,
    starts: &[u32],
    decoder: &Linear<'_, Scalar<T>>,
    activation: SpladeActivation,
    pooling: SpladePooling,
) -> Result<Vec<Vec<TermWeight>>> {
    linear::check(decoder, x.columns())?;
    let of_term = |sequence: Range<usize>, term: usize| {
        let (mut pooled, mut best) = (0.0, 0);
        for row in sequence {
            let weight = weight(linear::output(decoder, x.row(row), term), activation);
            match pooling {
                SpladePooling::Max if weight > pooled => (pooled, best) = (weight, row),
                SpladePooling::Max => {}
                SpladePooling::Sum => pooled += weight,
            }
        }
        (pooled > 0.0).then_some(TermWeight {
            term: term as u32,
            weight: pooled as f32,
            row: best as u32,
        })
    };
    let of_sequence = |sequence: Range<usize>| {
        let terms = 0..decoder.weight.rows();
        terms
            .filter_map(|term| of_term(sequence.clone(), term))
            .collect()
    };
    Ok(sequences(starts, x.rows())?
        .into_iter()
        .map(of_sequence)
        .collect())
}

/// The arguments of the head's forward pass.
pub(super) struct Head<'a, T: Value> {
    pub x: &'a Rows<T>,
    pub decoder: &'a Linear<'a, Scalar<T>>,
    pub activation: SpladeActivation,
    pub pooling: SpladePooling,
}

impl<T: Value> Head<'_, T> {
    /// Every logit that a weight was pooled from passes the gradient on to its token and its term.
    pub(super) fn backward(
        &self,
        starts: &[u32],
        terms: &[Vec<TermWeight>],
        dy: &[Vec<f32>],
        mut gradients: LinearPart<'_, Scalar<T>>,
    ) -> Result<Rows<T>> {
        let sequences = sequences(starts, self.x.rows())?;
        shapes::expect("sparse vectors", terms.len(), sequences.len())?;
        shapes::expect("gradients of sparse vectors", dy.len(), sequences.len())?;
        let mut dx = Rows::zeros(self.x.rows(), self.x.columns());
        for ((sequence, terms), dy) in sequences.into_iter().zip(terms).zip(dy) {
            shapes::expect("gradients of a sparse vector", dy.len(), terms.len())?;
            for (term, dy) in terms.iter().zip(dy) {
                let rows = match self.pooling {
                    SpladePooling::Max => term.row as usize..term.row as usize + 1,
                    SpladePooling::Sum => sequence.clone(),
                };
                for row in rows {
                    let term = term.term as usize;
                    self.pass(row, term, f64::from(*dy), &mut dx, &mut gradients);
                }
            }
        }
        Ok(dx)
    }

    /// Passes the gradient of one token's weight of a term on.
    fn pass(
        &self,
        row: usize,
        term: usize,
        dy: f64,
        dx: &mut Rows<T>,
        gradients: &mut LinearPart<'_, Scalar<T>>,
    ) {
        let logit = linear::output(self.decoder, self.x.row(row), term).wide();
        if logit <= 0.0 {
            return;
        }
        let once = 1.0 / (1.0 + logit);
        let slope = match self.activation {
            SpladeActivation::Log1pRelu => once,
            SpladeActivation::Log1pLog1pRelu => once / (1.0 + logit.ln_1p()),
        };
        let columns = self.x.columns();
        let weight = &mut gradients.weight[term * columns..(term + 1) * columns];
        for (column, weight) in weight.iter_mut().enumerate() {
            let decoder = self.decoder.weight.row(term)[column].wide();
            add(&mut dx.row_mut(row)[column], dy * slope * decoder);
            add(weight, dy * slope * self.x.row(row)[column].wide());
        }
        if let Some(bias) = &mut gradients.bias {
            add(&mut bias[term], dy * slope);
        }
    }
}
