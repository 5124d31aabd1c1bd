//! The best documents so far.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::score::Ranked;
use super::shared_threshold::{SharedThreshold, Sharing};
use crate::format::DocId;
use crate::index::DocAddress;

/// A document with its score; the *worse* one is greater, so that a heap has the worst on top.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scored<S> {
    pub score: S,
    pub address: DocAddress,
}

impl<S: Ranked> Eq for Scored<S> {}

impl<S: Ranked> Scored<S> {
    /// Larger for a worse document: one number, so that comparing is branch-free. A branch would be
    /// mispredicted half of the time.
    #[inline]
    fn badness(&self) -> u128 {
        let score = u128::from(!self.score.to_bits()) << 64;
        score | u128::from(self.address.segment) << 32 | u128::from(self.address.document)
    }
}

impl<S: Ranked> Ord for Scored<S> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        self.badness().cmp(&other.badness())
    }
}

impl<S: Ranked> PartialOrd for Scored<S> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }

    // Sorting calls this: one comparison of numbers, where the default compares orderings.
    #[inline]
    fn lt(&self, other: &Self) -> bool {
        self.badness() < other.badness()
    }
}

/// From this k on, documents are gathered in a vector instead of a heap.
const GATHER_FROM_K: usize = 64;
/// This many documents more than k are gathered before the worst are dropped, as a divisor of k.
const GATHERED_SHARE: usize = 2;

/// Keeps the best `k` of the documents offered, in any order.
///
/// For a small k they are a heap, whose worst document is known at any time. For a large k, moving
/// every document through a heap costs more than a threshold that lags behind: documents are
/// gathered, and from time to time all but the best k are dropped.
pub(super) struct TopK<S> {
    k: usize,
    segment: u32,
    kept: Kept<S>,
    /// Only documents behind this one are kept.
    after: Option<Scored<S>>,
    /// The threshold shared with the other threads of the query.
    sharing: Option<Sharing<S>>,
    /// What documents must exceed whatever is kept here: the shared threshold at the last exchange,
    /// or the score just below the lowest that is asked for.
    foreign: Option<S>,
}

enum Kept<S> {
    Heap(BinaryHeap<Scored<S>>),
    Gathered {
        documents: Vec<Scored<S>>,
        threshold: Option<S>,
    },
}

impl<S: Ranked> TopK<S> {
    /// Keeps `k` of at max `documents` documents.
    pub fn new(k: usize, documents: u64) -> Self {
        let max = usize::try_from(documents).unwrap_or(usize::MAX);
        let kept = if k < GATHER_FROM_K {
            Kept::Heap(BinaryHeap::with_capacity(k.min(max) + 1))
        } else {
            Kept::Gathered {
                documents: Vec::with_capacity(k.min(max) + k.min(max) / GATHERED_SHARE),
                threshold: None,
            }
        };
        Self {
            k,
            segment: 0,
            kept,
            after: None,
            sharing: None,
            foreign: None,
        }
    }

    /// Keeps only documents behind this one.
    pub fn after(mut self, document: Option<Scored<S>>) -> Self {
        self.after = document;
        self
    }

    /// Keeps only documents with this score or a higher one.
    pub fn at_least(mut self, lowest: Option<S>) -> Self {
        let lowest = lowest.filter(|lowest| *lowest > S::default());
        self.foreign = lowest.map(S::below);
        self
    }

    /// Whether documents are kept however good they are: a threshold may then be known before any is
    /// offered.
    pub fn keeps_the_best(&self) -> bool {
        self.after.is_none()
    }

    /// Shares a threshold, as the thread of this number.
    pub fn share(mut self, shared: Arc<SharedThreshold<S>>, thread: usize) -> Self {
        self.sharing = Some(Sharing::new(shared, thread, self.k));
        self
    }

    /// Shares the threshold with the other threads and reads theirs; does nothing on a single
    /// thread.
    #[inline]
    pub fn exchange(&mut self) {
        if let Some(sharing) = &self.sharing {
            self.foreign = sharing.exchange(self.own_threshold());
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

    /// A document must exceed this score to be kept, or reach it if its address is lower than those
    /// kept; `None` while every document is kept. The threshold of other threads counts as of the
    /// last [`exchange`](Self::exchange), and the lowest score that is asked for from the start.
    #[inline]
    pub fn threshold(&self) -> Option<S> {
        let own = self.own_threshold();
        if self.foreign > own {
            self.foreign
        } else {
            own
        }
    }

    /// The same for the documents kept here.
    #[inline]
    fn own_threshold(&self) -> Option<S> {
        match &self.kept {
            Kept::Heap(heap) if heap.len() < self.k => None,
            Kept::Heap(heap) => heap.peek().map(|worst| worst.score),
            Kept::Gathered { threshold, .. } => *threshold,
        }
    }

    /// Keeps the document if it is among the best k so far.
    #[inline]
    pub fn offer(&mut self, document: DocId, score: S) {
        let address = DocAddress {
            segment: self.segment,
            document,
        };
        self.keep(Scored { score, address });
    }

    /// Takes over what another thread has kept.
    pub fn absorb(&mut self, other: Self) {
        match other.kept {
            Kept::Heap(heap) => heap.into_iter().for_each(|scored| self.keep(scored)),
            Kept::Gathered { documents, .. } => {
                documents.into_iter().for_each(|scored| self.keep(scored));
            }
        }
    }

    #[inline(always)]
    fn keep(&mut self, offered: Scored<S>) {
        let threshold = self.own_threshold();
        if threshold.is_some_and(|threshold| offered.score < threshold) {
            return;
        }
        if self
            .foreign
            .is_some_and(|must_exceed| offered.score <= must_exceed)
        {
            return;
        }
        if self.after.is_some_and(|after| offered <= after) {
            return;
        }
        match &mut self.kept {
            Kept::Heap(heap) if heap.len() < self.k => {
                heap.push(offered);
                if let Some(sharing) = &mut self.sharing {
                    sharing.note(offered);
                }
            }
            Kept::Heap(heap) => {
                if let Some(mut worst) = heap.peek_mut()
                    && offered < *worst
                {
                    *worst = offered;
                    if let Some(sharing) = &mut self.sharing {
                        sharing.note(offered);
                    }
                }
            }
            Kept::Gathered {
                documents,
                threshold,
            } => {
                documents.push(offered);
                if let Some(sharing) = &mut self.sharing {
                    sharing.note_one_of(documents);
                }
                let is_first = threshold.is_none() && documents.len() == self.k;
                if is_first || documents.len() >= self.k + self.k / GATHERED_SHARE {
                    *threshold = Some(keep_best(documents, self.k));
                }
            }
        }
    }

    /// The documents kept, the best first.
    pub fn into_sorted(self) -> Vec<Scored<S>> {
        match self.kept {
            Kept::Heap(heap) => heap.into_sorted_vec(),
            Kept::Gathered { mut documents, .. } => {
                if documents.len() > self.k {
                    keep_best(&mut documents, self.k);
                }
                documents.sort_unstable();
                documents
            }
        }
    }
}

/// Drops all but the best `k` of the documents, of which there are at least `k`, and returns the
/// score of the worst one kept.
fn keep_best<S: Ranked>(documents: &mut Vec<Scored<S>>, k: usize) -> S {
    let (_, worst, _) = documents.select_nth_unstable(k - 1);
    let score = worst.score;
    documents.truncate(k);
    score
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_best_k_are_kept_and_ties_go_to_the_lower_address(
            scores in prop::collection::vec(0u32..20, 0..400),
            k in prop_oneof![1usize..12, 64usize..150],
            turn in 0usize..400,
            lowest in prop::option::of(0u32..21),
        ) {
            let mut top = TopK::new(k, 400).at_least(lowest);
            let half = scores.len() / 2;
            let mut offered: Vec<(usize, u32)> = scores.iter().copied().enumerate().collect();
            offered.rotate_left(turn.min(scores.len()));
            for (index, score) in &offered {
                let index = *index;
                top.enter(u32::from(index >= half));
                top.offer(index as u32, *score);
            }
            let mut expected: Vec<(u32, u32)> = scores.iter().copied().zip(0..).collect();
            expected.retain(|(score, _)| lowest.is_none_or(|lowest| *score >= lowest));
            expected.sort_by_key(|(score, index)| (std::cmp::Reverse(*score), *index));
            expected.truncate(k);
            let found: Vec<(u32, u32)> = top
                .into_sorted()
                .iter()
                .map(|hit| (hit.score, hit.address.document))
                .collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn threads_that_share_a_threshold_keep_the_best_together(
            met in prop::collection::vec((0u32..300, 0usize..3), 0..900),
            k in prop_oneof![1usize..12, 64usize..150],
            every in 1usize..9,
            lowest in prop::option::of(0u32..301),
        ) {
            let shared = Arc::new(SharedThreshold::new(3, lowest));
            let new = || TopK::new(k, 900).at_least(lowest);
            let mut threads = [0, 1, 2].map(|thread| new().share(Arc::clone(&shared), thread));
            for (document, (score, thread)) in met.iter().enumerate() {
                let top = &mut threads[*thread];
                if document % every == 0 {
                    top.exchange();
                }
                // As algorithms do that go through documents in order.
                if top.threshold().is_none_or(|threshold| *score > threshold) {
                    top.offer(document as u32, *score);
                }
            }
            let mut top = new();
            threads.into_iter().for_each(|thread| top.absorb(thread));
            let mut expected: Vec<(u32, u32)> = met.iter().map(|(score, _)| *score).zip(0..).collect();
            expected.retain(|(score, _)| lowest.is_none_or(|lowest| *score >= lowest));
            expected.sort_by_key(|(score, document)| (std::cmp::Reverse(*score), *document));
            expected.truncate(k);
            let found = top.into_sorted().into_iter();
            let found: Vec<_> = found.map(|hit| (hit.score, hit.address.document)).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
