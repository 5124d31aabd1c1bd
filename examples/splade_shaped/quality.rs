//! The effect of rounding weights to 8 bits.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::generator::{Draft, Generator, TERMS, Vector};

/// Documents that count as relevant: the top ten by unrounded weights.
pub const DEPTH: usize = 10;

/// A score with its document; higher is better, ties go to the lower document.
type Scored = (OrderedScore, Reverse<usize>);

#[derive(Clone, Copy, PartialEq)]
struct OrderedScore(f32);

impl Eq for OrderedScore {}

impl PartialOrd for OrderedScore {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedScore {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The top ten documents of each query by the dot product of unrounded weights, found by scoring
/// every document.
pub fn exact(generator: &Generator, documents: usize, queries: &[Vector]) -> Vec<Vec<usize>> {
    let mut of_term: Vec<Vec<(usize, f32)>> = vec![Vec::new(); TERMS];
    for (query, vector) in queries.iter().enumerate() {
        for (term, weight) in vector {
            of_term[*term as usize].push((query, *weight));
        }
    }
    let mut best: Vec<BinaryHeap<Reverse<Scored>>> = vec![BinaryHeap::new(); queries.len()];
    let mut scores = vec![0.0f32; queries.len()];
    let mut draft = Draft::new();
    for document in 0..documents {
        scores.fill(0.0);
        for (term, weight) in generator.document(document, &mut draft) {
            for (query, query_weight) in &of_term[term as usize] {
                scores[*query] += weight * query_weight;
            }
        }
        for (heap, score) in best.iter_mut().zip(&scores) {
            let scored = (OrderedScore(*score), Reverse(document));
            if heap.len() < DEPTH {
                heap.push(Reverse(scored));
            } else if heap.peek().is_some_and(|worst| scored > worst.0) {
                heap.pop();
                heap.push(Reverse(scored));
            }
        }
    }
    // Sorted by `Reverse`, so the best is first.
    let documents = |heap: BinaryHeap<Reverse<Scored>>| {
        let sorted = heap.into_sorted_vec();
        sorted.into_iter().map(|Reverse((_, document))| document.0)
    };
    best.into_iter().map(|h| documents(h).collect()).collect()
}

/// Recall@10 and nDCG@10 of the results: the document at exact rank r has the grade 11 - r, all
/// others 0, and a hit at rank i gains its grade / log2(i + 1).
pub fn judge(exact: &[usize], found: &[usize]) -> (f64, f64) {
    let grade = |document: &usize| {
        let place = exact.iter().position(|other| other == document);
        place.map_or(0.0, |place| (DEPTH - place) as f64)
    };
    let gain = |documents: &[usize]| -> f64 {
        let gains = documents.iter().take(DEPTH).zip(2..);
        gains
            .map(|(document, i)| grade(document) / f64::from(i).log2())
            .sum()
    };
    let shared = found
        .iter()
        .take(DEPTH)
        .filter(|d| exact.contains(d))
        .count();
    (
        shared as f64 / exact.len() as f64,
        gain(found) / gain(exact),
    )
}
