//! Scores of queries and documents from their vectors, and gradients back to the vectors; those of
//! several vectors for each text are in `max_sim`.

mod max_sim;

use crate::backend::SparseVector;
use crate::error::{Error, Result};

#[cfg(any(test, feature = "internals"))]
pub use max_sim::Matches;
pub use max_sim::{TokenVectors, max_sim, max_sim_backward};

/// Scores of pairs: `scores[query][place]` is that of the document `documents[query][place]`.
pub type Scores = Vec<Vec<f64>>;

/// Vectors whose inner product is a score.
pub trait Vectors {
    /// The inner product of one of these and one of the others.
    fn dot(&self, place: usize, others: &Self, other: usize) -> f64;

    /// Zeros in the shape of these vectors' values.
    fn zeros(&self) -> Vec<Vec<f32>>;

    /// Adds to the gradient of vector `place` the slope times vector `other` of the others, where this
    /// one has values.
    fn add_slope(
        &self,
        place: usize,
        others: &Self,
        other: usize,
        slope: f64,
        gradient: &mut [Vec<f32>],
    );
}

impl Vectors for [SparseVector] {
    fn dot(&self, place: usize, others: &Self, other: usize) -> f64 {
        let products = common(&self[place], &others[other]);
        products.map(|(_, a, b)| f64::from(a) * f64::from(b)).sum()
    }

    fn zeros(&self) -> Vec<Vec<f32>> {
        self.iter().map(|vector| vec![0.0; vector.len()]).collect()
    }

    /// A term that a vector lacks has a weight of 0 whose logit is not above 0: it has no gradient.
    fn add_slope(
        &self,
        place: usize,
        others: &Self,
        other: usize,
        slope: f64,
        gradient: &mut [Vec<f32>],
    ) {
        for (at, _, weight) in common(&self[place], &others[other]) {
            gradient[place][at] += (slope * f64::from(weight)) as f32;
        }
    }
}

/// The terms that both vectors have: the place in the first, and both weights.
fn common<'a>(
    one: &'a SparseVector,
    other: &'a SparseVector,
) -> impl Iterator<Item = (usize, f32, f32)> + 'a {
    let mut rest = &other[..];
    one.iter()
        .enumerate()
        .filter_map(move |(place, (term, weight))| {
            let skipped = rest.partition_point(|(other, _)| other < term);
            rest = &rest[skipped..];
            match rest.first() {
                Some((other, of_other)) if other == term => Some((place, *weight, *of_other)),
                _ => None,
            }
        })
}

/// Dense vectors, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct DenseVectors {
    columns: usize,
    values: Vec<f32>,
}

impl DenseVectors {
    /// Vectors of `columns` dimensions.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when values are left over.
    pub fn new(columns: usize, values: Vec<f32>) -> Result<Self> {
        if columns == 0 || !values.len().is_multiple_of(columns) {
            return Err(Error::invalid(format!(
                "expected whole vectors of {columns} dimensions, found {} values",
                values.len()
            )));
        }
        Ok(Self { columns, values })
    }

    fn row(&self, place: usize) -> &[f32] {
        &self.values[place * self.columns..(place + 1) * self.columns]
    }
}

impl Vectors for DenseVectors {
    fn dot(&self, place: usize, others: &Self, other: usize) -> f64 {
        let pairs = self.row(place).iter().zip(others.row(other));
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    }

    fn zeros(&self) -> Vec<Vec<f32>> {
        vec![vec![0.0; self.columns]; self.values.len() / self.columns]
    }

    fn add_slope(
        &self,
        place: usize,
        others: &Self,
        other: usize,
        slope: f64,
        gradient: &mut [Vec<f32>],
    ) {
        for (sum, value) in gradient[place].iter_mut().zip(others.row(other)) {
            *sum += (slope * f64::from(*value)) as f32;
        }
    }
}

/// The scores of each query's documents, times `scale`.
pub fn scores<V: Vectors + ?Sized>(
    queries: &V,
    documents: &V,
    pairs: &[Vec<usize>],
    scale: f64,
) -> Scores {
    let of_query = |(query, places): (usize, &Vec<usize>)| {
        let score = |document: &usize| scale * queries.dot(query, documents, *document);
        places.iter().map(score).collect()
    };
    pairs.iter().enumerate().map(of_query).collect()
}

/// The gradients of the queries' and of the documents' values from those of their scores.
pub fn backward<V: Vectors + ?Sized>(
    queries: &V,
    documents: &V,
    pairs: &[Vec<usize>],
    scale: f64,
    slopes: &[Vec<f64>],
) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let (mut of_queries, mut of_documents) = (queries.zeros(), documents.zeros());
    for (query, (places, slopes)) in pairs.iter().zip(slopes).enumerate() {
        for (document, slope) in places.iter().zip(slopes) {
            let slope = slope * scale;
            queries.add_slope(query, documents, *document, slope, &mut of_queries);
            documents.add_slope(*document, queries, query, slope, &mut of_documents);
        }
    }
    (of_queries, of_documents)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIRS: [&[usize]; 2] = [&[0, 2], &[1, 2, 0]];

    fn pairs() -> Vec<Vec<usize>> {
        PAIRS.map(<[usize]>::to_vec).to_vec()
    }

    /// Compares gradients with differences of the weighted sum of the scores.
    fn check<V: Vectors + ?Sized>(
        queries: &V,
        documents: &V,
        moved: impl Fn(bool, usize, usize, f32) -> f64,
    ) {
        let slopes = vec![vec![1.0, -2.0], vec![0.5, 3.0, -1.0]];
        let (of_queries, of_documents) = backward(queries, documents, &pairs(), 0.5, &slopes);
        for (is_query, gradients) in [(true, &of_queries), (false, &of_documents)] {
            for (row, gradient) in gradients.iter().enumerate() {
                for (place, found) in gradient.iter().enumerate() {
                    let at = |step| moved(is_query, row, place, step);
                    let expected = at(0.25) - at(-0.25);
                    assert!(
                        (f64::from(*found) - expected / 0.5).abs() < 1e-5,
                        "{is_query} {row} {place}"
                    );
                }
            }
        }
    }

    fn total(scores: &Scores) -> f64 {
        let slopes = [vec![1.0, -2.0], vec![0.5, 3.0, -1.0]];
        let products = scores.iter().flatten().zip(slopes.iter().flatten());
        products.map(|(score, slope)| score * slope).sum()
    }

    #[test]
    fn sparse_scores_and_their_gradients() {
        let queries: Vec<SparseVector> = vec![vec![(1, 1.0), (4, 2.0)], vec![(0, 0.5)]];
        let documents: Vec<SparseVector> = vec![
            vec![(0, 3.0), (4, 1.0)],
            vec![],
            vec![(0, 1.0), (1, 2.0), (9, 7.0)],
        ];
        let found = scores(&queries[..], &documents[..], &pairs(), 0.5);
        assert_eq!(found, [vec![1.0, 1.0], vec![0.0, 0.25, 0.75]]);
        check(
            &queries[..],
            &documents[..],
            |is_query, row, place, step| {
                let (mut queries, mut documents) = (queries.clone(), documents.clone());
                let vectors = if is_query {
                    &mut queries
                } else {
                    &mut documents
                };
                vectors[row][place].1 += step;
                total(&scores(&queries[..], &documents[..], &pairs(), 0.5))
            },
        );
    }

    #[test]
    fn dense_scores_and_their_gradients() {
        let queries = DenseVectors::new(2, vec![1.0, 2.0, -1.0, 0.5]).unwrap();
        let documents = DenseVectors::new(2, vec![3.0, 1.0, 0.0, 1.0, 2.0, 2.0]).unwrap();
        let found = scores(&queries, &documents, &pairs(), 1.0);
        assert_eq!(found, [vec![5.0, 6.0], vec![0.5, -1.0, -2.5]]);
        check(&queries, &documents, |is_query, row, place, step| {
            let (mut queries, mut documents) = (queries.clone(), documents.clone());
            let vectors = if is_query {
                &mut queries
            } else {
                &mut documents
            };
            vectors.values[row * 2 + place] += step;
            total(&scores(&queries, &documents, &pairs(), 0.5))
        });
    }

    #[test]
    fn vectors_must_be_whole() {
        assert!(DenseVectors::new(2, vec![0.0; 3]).is_err());
        assert!(DenseVectors::new(0, Vec::new()).is_err());
    }
}
