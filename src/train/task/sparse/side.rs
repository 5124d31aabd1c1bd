//! The vectors of one side of a batch, queries or documents: what the transformer makes of the texts,
//! and weights of their own tokens from a table.

use crate::backend::SparseVector;
use crate::neural::{Places, Tokens, add_vectors};
use crate::train::model::TokenTable;

/// What is known of the texts of a side before the transformer runs.
pub(super) struct Prepared {
    /// The tokens that the transformer reads; none if it does not encode this side.
    pub sequences: Vec<Tokens>,
    /// The vectors of the texts' own tokens, or vectors that are given.
    pub own: Option<Vec<SparseVector>>,
}

/// The vectors of a side, and where their weights come from.
pub(super) struct Side {
    pub vectors: Vec<SparseVector>,
    /// Terms of each vector of the transformer.
    encoded: Vec<usize>,
    /// The vectors of own tokens with, for each text, the places of each term in both.
    own: Option<(Vec<SparseVector>, Vec<Vec<Places>>)>,
}

impl Side {
    /// The sums of the transformer's vectors, of which there are none if it does not encode this
    /// side, and those of own tokens.
    pub(super) fn of(encoded: Vec<SparseVector>, own: Option<Vec<SparseVector>>) -> Self {
        let lengths = encoded.iter().map(Vec::len).collect();
        let Some(own) = own else {
            return Self {
                vectors: encoded,
                encoded: lengths,
                own: None,
            };
        };
        let none = SparseVector::new();
        let sums = own.iter().enumerate().map(|(text, vector)| {
            let encoded = encoded.get(text).unwrap_or(&none);
            add_vectors(encoded, vector)
        });
        let (vectors, places) = sums.unzip();
        Self {
            vectors,
            encoded: lengths,
            own: Some((own, places)),
        }
    }

    /// The gradients of the transformer's vectors from those of the sums; those of own tokens go to
    /// the table, if there is one.
    pub(super) fn backward(
        &self,
        gradients: Vec<Vec<f32>>,
        table: Option<&mut TokenTable>,
    ) -> Vec<Vec<f32>> {
        let Some((own, places)) = &self.own else {
            return gradients;
        };
        if let Some(table) = table {
            for ((vector, places), gradient) in own.iter().zip(places).zip(&gradients) {
                let of_own = picked(gradient, places, vector.len(), |places| places.1);
                table.add(vector, &of_own);
            }
        }
        let each = self.encoded.iter().zip(places).zip(&gradients);
        each.map(|((len, places), gradient)| picked(gradient, places, *len, |places| places.0))
            .collect()
    }
}

/// The gradients of the weights of one of the two terms of a sum, which has `len` weights.
fn picked(
    gradient: &[f32],
    places: &[Places],
    len: usize,
    place: impl Fn(&Places) -> Option<usize>,
) -> Vec<f32> {
    let mut of_one = vec![0.0; len];
    for (slope, places) in gradient.iter().zip(places) {
        if let Some(place) = place(places) {
            of_one[place] = *slope;
        }
    }
    of_one
}
