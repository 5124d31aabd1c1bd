//! The best documents so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::score::Score;
use crate::format::DocId;
use crate::index::DocAddress;

/// A document with its score; the *worse* one is greater, so that a heap has the worst on top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scored<S> {
    pub score: S,
    pub address: DocAddress,
}

impl<S: Score> Eq for Scored<S> {}

impl<S: Score> Ord for Scored<S> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = other.score.partial_cmp(&self.score);
        // Scores are never NaN: weights are checked.
        by_score
            .unwrap_or(Ordering::Equal)
            .then(self.address.cmp(&other.address))
    }
}

impl<S: Score> PartialOrd for Scored<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Keeps the best `k` of the documents offered, in whatever order they come.
pub(super) struct TopK<S> {
    k: usize,
    segment: u32,
    heap: BinaryHeap<Scored<S>>,
}

impl<S: Score> TopK<S> {
    /// Keeps `k` of at most `documents` documents.
    pub fn new(k: usize, documents: u64) -> Self {
        let most = usize::try_from(documents).unwrap_or(usize::MAX);
        Self {
            k,
            segment: 0,
            heap: BinaryHeap::with_capacity(k.min(most) + 1),
        }
    }

    /// Says which segment the documents offered next are of.
    pub fn enter(&mut self, segment: u32) {
        self.segment = segment;
    }

    /// How many documents are kept.
    pub fn k(&self) -> usize {
        self.k
    }

    /// The score that a document must exceed to be kept, or reach if its address is lower than those kept; `None` while every
    /// document is.
    #[inline]
    pub fn threshold(&self) -> Option<S> {
        if self.heap.len() < self.k {
            return None;
        }
        self.heap.peek().map(|worst| worst.score)
    }

    /// Keeps the document if it is good enough.
    #[inline]
    pub fn offer(&mut self, document: DocId, score: S) {
        if self.threshold().is_some_and(|threshold| score < threshold) {
            return;
        }
        let address = DocAddress {
            segment: self.segment,
            document,
        };
        let offered = Scored { score, address };
        if self.heap.len() < self.k {
            self.heap.push(offered);
        } else if let Some(mut worst) = self.heap.peek_mut()
            && offered < *worst
        {
            *worst = offered;
        }
    }

    /// The documents kept, the best first.
    pub fn into_sorted(self) -> Vec<Scored<S>> {
        self.heap.into_sorted_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_k_are_kept_and_ties_go_to_the_lower_address(
            scores in prop::collection::vec(0u32..20, 0..60),
            k in 1usize..12,
            turn in 0usize..60,
        ) {
            let mut top = TopK::new(k, 60);
            let half = scores.len() / 2;
            let mut offered: Vec<(usize, u32)> = scores.iter().copied().enumerate().collect();
            offered.rotate_left(turn.min(scores.len()));
            for (index, score) in &offered {
                let index = *index;
                top.enter(u32::from(index >= half));
                top.offer(index as u32, *score);
            }
            let mut expected: Vec<(u32, u32)> = scores.iter().copied().zip(0..).collect();
            expected.sort_by_key(|(score, index)| (std::cmp::Reverse(*score), *index));
            expected.truncate(k);
            let found: Vec<(u32, u32)> = top
                .into_sorted()
                .iter()
                .map(|hit| (hit.score, hit.address.document))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
