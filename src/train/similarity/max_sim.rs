//! MaxSim: for each token of a query the max inner product with a token of a document, summed; and
//! gradients back to both, through the tokens that were best.

use super::Scores;
use crate::error::{Error, Result};

/// Accumulators of an inner product, so that the additions do not wait for one another.
const LANES: usize = 8;

/// The vectors of the tokens of texts.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenVectors {
    columns: usize,
    /// The values of each text, token after token.
    texts: Vec<Vec<f32>>,
    /// For each text the tokens that count.
    kept: Vec<Vec<u32>>,
}

/// Scores, and for each pair the document's best token for each token of the query that counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Matches {
    /// As [`scores`](super::scores) has them.
    pub scores: Scores,
    best: Vec<Vec<Vec<u32>>>,
}

impl TokenVectors {
    /// Vectors of `columns` dimensions.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when values are left over, or a token that counts is none.
    pub fn new(columns: usize, texts: Vec<Vec<f32>>, kept: Vec<Vec<u32>>) -> Result<Self> {
        let is_whole = |(text, kept): (&Vec<f32>, &Vec<u32>)| {
            let tokens = text.len() / columns.max(1);
            text.len() == tokens * columns && kept.iter().all(|token| (*token as usize) < tokens)
        };
        if columns == 0 || texts.len() != kept.len() || !texts.iter().zip(&kept).all(is_whole) {
            return Err(Error::invalid(format!(
                "expected whole vectors of {columns} dimensions for the tokens of {} texts, found others",
                kept.len()
            )));
        }
        Ok(Self {
            columns,
            texts,
            kept,
        })
    }

    fn row(&self, text: usize, token: u32) -> &[f32] {
        let token = token as usize;
        &self.texts[text][token * self.columns..(token + 1) * self.columns]
    }

    fn zeros(&self) -> Vec<Vec<f32>> {
        self.texts
            .iter()
            .map(|text| vec![0.0; text.len()])
            .collect()
    }

    /// The best token of another text for a token of this one, of equal ones the first.
    fn best(&self, text: usize, token: u32, others: &Self, other: usize) -> Option<(u32, f32)> {
        let row = self.row(text, token);
        let mut best: Option<(u32, f32)> = None;
        for candidate in &others.kept[other] {
            let product = dot(row, others.row(other, *candidate));
            if best.is_none_or(|(_, max)| product > max) {
                best = Some((*candidate, product));
            }
        }
        best
    }
}

/// The scores of each query's documents, times `scale`.
pub fn max_sim(
    queries: &TokenVectors,
    documents: &TokenVectors,
    pairs: &[Vec<usize>],
    scale: f64,
) -> Matches {
    let mut found = Matches {
        scores: Scores::with_capacity(pairs.len()),
        best: Vec::with_capacity(pairs.len()),
    };
    for (query, places) in pairs.iter().enumerate() {
        let of_document = |document: &usize| {
            let tokens = queries.kept[query].iter();
            let best = tokens.filter_map(|token| queries.best(query, *token, documents, *document));
            let (tokens, products): (Vec<u32>, Vec<f32>) = best.unzip();
            let sum: f64 = products.into_iter().map(f64::from).sum();
            (scale * sum, tokens)
        };
        let (scores, best) = places.iter().map(of_document).unzip();
        found.scores.push(scores);
        found.best.push(best);
    }
    found
}

/// The gradients of the queries' and of the documents' values from those of their scores.
pub fn max_sim_backward(
    queries: &TokenVectors,
    documents: &TokenVectors,
    pairs: &[Vec<usize>],
    scale: f64,
    matches: &Matches,
    slopes: &Scores,
) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let (mut of_queries, mut of_documents) = (queries.zeros(), documents.zeros());
    let columns = queries.columns;
    for (query, (places, slopes)) in pairs.iter().zip(slopes).enumerate() {
        for (place, (document, slope)) in places.iter().zip(slopes).enumerate() {
            let slope = (slope * scale) as f32;
            if slope == 0.0 {
                continue;
            }
            let best = &matches.best[query][place];
            for (token, other) in queries.kept[query].iter().zip(best) {
                let (row, of_other) =
                    (queries.row(query, *token), documents.row(*document, *other));
                let place = *token as usize * columns;
                add(
                    &mut of_queries[query][place..place + columns],
                    of_other,
                    slope,
                );
                let place = *other as usize * columns;
                add(
                    &mut of_documents[*document][place..place + columns],
                    row,
                    slope,
                );
            }
        }
    }
    (of_queries, of_documents)
}

fn add(sums: &mut [f32], values: &[f32], factor: f32) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += factor * value;
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a
        .remainder()
        .iter()
        .zip(b.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors(columns: usize, tokens: &[usize], kept: &[&[u32]], seed: u32) -> TokenVectors {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) as f32 / 32_768.0 - 1.0
        };
        let texts = tokens
            .iter()
            .map(|tokens| (0..tokens * columns).map(|_| next()).collect());
        let kept = kept.iter().map(|kept| kept.to_vec()).collect();
        TokenVectors::new(columns, texts.collect(), kept).unwrap()
    }

    #[test]
    fn scores_equal_hand_computed_ones() {
        let queries = TokenVectors::new(2, vec![vec![1.0, 0.0, 0.0, 1.0]], vec![vec![0, 1]]);
        let documents = TokenVectors::new(
            2,
            vec![
                vec![0.5, 0.0, 2.0, 3.0, 9.0, 9.0],
                vec![-1.0, -2.0],
                vec![7.0, 7.0],
            ],
            // The last token of the first document is skipped, and the only one of the last.
            vec![vec![0, 1], vec![0], vec![]],
        );
        let found = max_sim(
            &queries.unwrap(),
            &documents.unwrap(),
            &[vec![0, 1, 2]],
            2.0,
        );
        assert_eq!(found.scores, [vec![10.0, -6.0, 0.0]]);
        assert_eq!(found.best[0], [vec![1, 1], vec![0, 0], vec![]]);
    }

    #[test]
    fn gradients_are_the_slopes_of_scores() {
        let queries = vectors(11, &[3, 2], &[&[0, 1, 2], &[1]], 1);
        let documents = vectors(11, &[4, 1, 5], &[&[0, 1, 3], &[0], &[1, 2, 4]], 2);
        let pairs = vec![vec![0, 2], vec![1, 2, 0]];
        let slopes: Scores = vec![vec![1.0, -2.0], vec![0.5, 3.0, -1.0]];
        let total = |queries: &TokenVectors, documents: &TokenVectors| -> f64 {
            let found = max_sim(queries, documents, &pairs, 0.5).scores;
            let products = found.iter().flatten().zip(slopes.iter().flatten());
            products.map(|(score, slope)| score * slope).sum()
        };
        let matches = max_sim(&queries, &documents, &pairs, 0.5);
        let (of_queries, of_documents) =
            max_sim_backward(&queries, &documents, &pairs, 0.5, &matches, &slopes);
        for (is_query, gradients) in [(true, of_queries), (false, of_documents)] {
            for (text, gradient) in gradients.iter().enumerate() {
                for (place, found) in gradient.iter().enumerate() {
                    let at = |step: f32| {
                        let (mut queries, mut documents) = (queries.clone(), documents.clone());
                        let side = if is_query {
                            &mut queries
                        } else {
                            &mut documents
                        };
                        side.texts[text][place] += step;
                        total(&queries, &documents)
                    };
                    let expected = (at(1e-3) - at(-1e-3)) / 2e-3;
                    assert!(
                        (f64::from(*found) - expected).abs() < 1e-3,
                        "{is_query} {text} {place}: {expected} {found}"
                    );
                }
            }
        }
    }

    #[test]
    fn vectors_must_be_whole() {
        assert!(TokenVectors::new(2, vec![vec![0.0; 3]], vec![vec![0]]).is_err());
        assert!(TokenVectors::new(2, vec![vec![0.0; 4]], vec![vec![2]]).is_err());
        assert!(TokenVectors::new(0, vec![vec![]], vec![vec![]]).is_err());
    }
}
