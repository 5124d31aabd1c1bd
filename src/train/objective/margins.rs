//! Margins that the model's own vectors set: how much a document resembles the relevant one of its
//! list.

use super::{List, RankingTerm};
use crate::error::Result;
use crate::train::loss::ListLoss;
use crate::train::similarity::{Scores, Vectors};

/// The cosine of each document of a list and the first one.
pub(super) fn cosines<V: Vectors + ?Sized>(documents: &V, pairs: &[Vec<usize>]) -> Scores {
    let of_list = |list: &Vec<usize>| {
        let first = list.first().copied();
        let each = list.iter().map(|document| {
            let first = first.unwrap_or(*document);
            let norms = norms(documents, first, *document);
            match norms > 0.0 {
                true => documents.dot(first, documents, *document) / norms,
                false => 0.0,
            }
        });
        each.collect()
    };
    pairs.iter().map(of_list).collect()
}

fn norms<V: Vectors + ?Sized>(documents: &V, one: usize, other: usize) -> f64 {
    let square = |document: usize| documents.dot(document, documents, document);
    (square(one) * square(other)).sqrt()
}

/// Adds the gradients of documents' values from those of their cosines.
pub(super) fn backward<V: Vectors + ?Sized>(
    documents: &V,
    pairs: &[Vec<usize>],
    cosines: &Scores,
    slopes: &Scores,
    gradients: &mut [Vec<f32>],
) {
    for ((list, cosines), slopes) in pairs.iter().zip(cosines).zip(slopes) {
        let each = list.iter().zip(cosines).zip(slopes);
        for ((document, cosine), slope) in each.filter(|(_, slope)| **slope != 0.0) {
            let first = list[0];
            let norms = norms(documents, first, *document);
            if norms <= 0.0 {
                continue;
            }
            for (one, other) in [(first, *document), (*document, first)] {
                let square = documents.dot(one, documents, one);
                documents.add_slope(one, documents, other, slope / norms, gradients);
                documents.add_slope(one, documents, one, -slope * cosine / square, gradients);
            }
        }
    }
}

/// What a term of adaptive margins makes of a list, of which it sees the first `len` documents.
pub(super) struct Margins {
    pub value: f64,
    /// The gradient of each score.
    pub of_scores: Vec<f64>,
    /// The gradient of each cosine.
    pub of_cosines: Vec<f64>,
}

impl Margins {
    /// `scores` are inner products times `scale`; margins are those of inner products.
    pub(super) fn of(
        term: &RankingTerm,
        margin: f64,
        list: &List,
        scores: &[f64],
        cosines: &[f64],
        scale: f64,
    ) -> Result<Self> {
        let mut found = Self {
            value: 0.0,
            of_scores: vec![0.0; scores.len()],
            of_cosines: vec![0.0; scores.len()],
        };
        if list.is_relevant.first() != Some(&true) {
            return Ok(found);
        }
        // The first document and those that are not relevant.
        let others = (1..scores.len()).filter(|place| !list.is_relevant[*place]);
        let places: Vec<usize> = std::iter::once(0).chain(others).collect();
        let products: Vec<f64> = places.iter().map(|place| scores[*place] / scale).collect();
        let targets = places.iter().map(|place| match place {
            0 => 0.0,
            place => -margin * (1.0 + cosines[*place]) / 2.0,
        });
        let targets: Vec<f64> = targets.collect();
        let loss = ListLoss::AdaptiveMargin { margin }.of(&products, &targets)?;
        found.value = term.weight * loss.value;
        for (place, slope) in places.into_iter().zip(&loss.gradient) {
            let slope = term.weight * slope;
            found.of_scores[place] = slope / scale;
            // A higher margin costs what a lower lead does: a higher score of the other document.
            if place > 0 {
                found.of_cosines[place] = slope * margin / 2.0;
            }
        }
        Ok(found)
    }
}
