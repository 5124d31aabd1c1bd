//! One threshold for all threads of a query.
//!
//! Invariant: at least k accepted documents of the snapshot have the shared score or a higher one,
//! or the search asks for no lower one. It only rises, and no document with a lower score is among
//! the best k that are asked for. No document is scored by two threads, so the shared score is the
//! largest of
//!
//! - the lowest score that the search asks for;
//! - the highest k-th score of any thread;
//! - with n threads, the minimum of their scores at rank k/n, rounded up: together they have k
//!   documents that reach it. Where good documents are spread evenly over the threads, this is
//!   nearly the k-th score of all.
//!
//! Which documents may be dropped follows from the invariant:
//!
//! - By its own threshold a thread drops documents with that very score too, as it does on its own:
//!   it goes through documents in ascending order, so those that it keeps have lower addresses, and
//!   ties go to the lower address. (Ranges are not visited in that order, so there a document with
//!   the threshold's score is kept by the thread that visits it.)
//! - By the shared threshold only documents with a *lower* score may be dropped: those that other
//!   threads keep may have higher addresses. Algorithms drop what does not exceed a threshold, so
//!   they are given the score just [`below`](Score::below) the shared one.
//!
//! So no thread drops a document that is among the best k, and the best k of what all threads keep
//! are the best k, bit for bit, in any interleaving.
//!
//! Relaxed atomics are enough: no other memory depends on the values, and each stays a valid bound.
//! A thread that reads an old one only skips less.

use std::collections::BinaryHeap;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::score::Ranked;
use super::top_k::Scored;

/// When many documents are gathered, the score at the thread's share of k is computed this many
/// times for each k documents that come.
const UPDATES_PER_K: usize = 4;

/// What the threads of a query share.
pub(super) struct SharedThreshold<S> {
    /// Bits of the score, which are in the order of scores; 0 for none.
    bits: AtomicU32,
    /// The score of each thread at its share of k, in the same form.
    shares: Box<[Slot]>,
    score: PhantomData<fn() -> S>,
}

/// Alone in its cache lines: one thread writes to it.
#[repr(align(128))]
struct Slot(AtomicU32);

fn bits_of<S: Ranked>(score: Option<S>) -> u32 {
    let score = score.filter(|score| *score > S::default());
    score.map_or(0, S::to_bits)
}

impl<S: Ranked> SharedThreshold<S> {
    /// For this number of threads, which have no documents yet. Documents with lower scores than
    /// `lowest` are not asked for.
    pub fn new(threads: usize, lowest: Option<S>) -> Self {
        Self {
            bits: AtomicU32::new(bits_of(lowest)),
            shares: (0..threads).map(|_| Slot(AtomicU32::new(0))).collect(),
            score: PhantomData,
        }
    }

    /// Publishes this thread's k-th score and its score at its share of k, and returns what
    /// documents must exceed for all threads together; `None` while every document may be kept.
    #[inline]
    fn exchange(&self, thread: usize, own: Option<S>, share: Option<S>) -> Option<S> {
        let mut best = self.bits.load(Ordering::Relaxed);
        let known = bits_of(own).max(self.min_share(thread, bits_of(share)));
        if known > best {
            best = known.max(self.bits.fetch_max(known, Ordering::Relaxed));
        }
        (best > 0).then(|| S::from_bits(best).below())
    }

    /// The minimum of the shares when this thread's has risen; else 0.
    #[inline]
    fn min_share(&self, thread: usize, share: u32) -> u32 {
        match self.shares.get(thread) {
            Some(slot) if share > slot.0.load(Ordering::Relaxed) => {
                slot.0.store(share, Ordering::Relaxed);
                let shares = self.shares.iter();
                let shares = shares.map(|slot| slot.0.load(Ordering::Relaxed));
                shares.min().unwrap_or(0)
            }
            _ => 0,
        }
    }
}

/// One thread's view of a shared threshold.
pub(super) struct Sharing<S> {
    shared: Arc<SharedThreshold<S>>,
    thread: usize,
    /// This thread's share of k.
    rank: usize,
    /// A score that this many of the thread's documents reach.
    reached: Option<S>,
    /// The best documents, as many as the rank, when they are kept one by one.
    best: BinaryHeap<Scored<S>>,
    /// Documents that came since `reached` was computed.
    since: usize,
    step: usize,
}

impl<S: Ranked> Sharing<S> {
    /// For the thread of this number, which keeps `k` documents.
    pub fn new(shared: Arc<SharedThreshold<S>>, thread: usize, k: usize) -> Self {
        let rank = k.div_ceil(shared.shares.len().max(1));
        Self {
            shared,
            thread,
            rank,
            reached: None,
            best: BinaryHeap::new(),
            since: 0,
            step: rank.max(k / UPDATES_PER_K),
        }
    }

    /// Counts a document that is kept in a heap.
    pub fn note(&mut self, kept: Scored<S>) {
        if self.best.len() < self.rank {
            self.best.push(kept);
        } else if let Some(mut worst) = self.best.peek_mut()
            && kept < *worst
        {
            *worst = kept;
        }
        if self.best.len() == self.rank {
            self.reached = self.best.peek().map(|worst| worst.score);
        }
    }

    /// Counts a document that was gathered, and recomputes `reached` now and then.
    pub fn note_one_of(&mut self, gathered: &mut [Scored<S>]) {
        self.since += 1;
        if self.since >= self.step && gathered.len() >= self.rank {
            self.since = 0;
            let (_, worst, _) = gathered.select_nth_unstable(self.rank - 1);
            self.reached = Some(worst.score);
        }
    }

    /// Publishes this thread's scores, and returns what documents must exceed.
    #[inline]
    pub fn exchange(&self, own: Option<S>) -> Option<S> {
        self.shared.exchange(self.thread, own, self.reached)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_maximum_of_all_is_shared_and_never_falls(scores in prop::collection::vec(0u32..50, 1..40)) {
            let (whole, real) = (SharedThreshold::<u32>::new(2, None), SharedThreshold::<f32>::new(2, None));
            let mut max = 0;
            for score in scores {
                max = max.max(score);
                let must_exceed = whole.exchange(0, Some(score), None);
                prop_assert_eq!(must_exceed, max.checked_sub(1));
                prop_assert_eq!(whole.exchange(1, None, None), must_exceed);

                let real = real.exchange(1, Some(score as f32 / 8.0), None);
                let expected = (max > 0).then(|| (max as f32 / 8.0).next_down());
                prop_assert_eq!(real, expected);
            }
        }

        #[test]
        fn a_score_that_equals_the_shared_one_exceeds_what_is_shared(score in 0f32..1e6) {
            let shared = SharedThreshold::new(4, None);
            let must_exceed = shared.exchange(0, Some(score), None);
            prop_assert!(must_exceed.is_none_or(|below| score > below));
            if let Some(below) = must_exceed {
                // Nothing is between the two.
                prop_assert_eq!(below.next_up(), score);
            }
        }
    }

    #[test]
    fn nothing_is_shared_before_a_thread_has_k_documents() {
        let shared = SharedThreshold::<f32>::new(4, None);
        assert_eq!(shared.exchange(0, None, None), None);
        assert_eq!(shared.exchange(0, Some(0.0), Some(0.0)), None);
        assert_eq!(shared.exchange(0, Some(-0.0), None), None);
        let smallest = f32::from_bits(1);
        assert_eq!(shared.exchange(0, Some(smallest), None), Some(0.0));
    }

    #[test]
    fn the_lowest_score_that_is_asked_for_is_shared_from_the_start() {
        let shared = SharedThreshold::<u32>::new(2, Some(5));
        assert_eq!(shared.exchange(0, None, None), Some(4));
        assert_eq!(shared.exchange(1, Some(3), Some(4)), Some(4));
        assert_eq!(shared.exchange(0, Some(8), Some(9)), Some(7));
        let of_all = SharedThreshold::<u32>::new(2, Some(0));
        assert_eq!(of_all.exchange(0, None, None), None);
    }

    #[test]
    fn of_many_threads_the_highest_score_stays() {
        let shared = SharedThreshold::<u32>::new(4, None);
        std::thread::scope(|scope| {
            for thread in 0..4u32 {
                let shared = &shared;
                scope.spawn(move || {
                    let mut last = None;
                    for step in 1..2_000 {
                        let own = Some(step * 4 + thread);
                        let shared_score = shared.exchange(thread as usize, own, own);
                        assert!(
                            shared_score >= last && shared_score >= Some(step * 4 + thread - 1)
                        );
                        last = shared_score;
                    }
                });
            }
        });
        assert_eq!(shared.exchange(0, None, None), Some(1_999 * 4 + 3 - 1));
    }

    #[test]
    fn what_all_threads_reach_at_their_shares_counts() {
        let shared = SharedThreshold::<u32>::new(3, None);
        assert_eq!(shared.exchange(0, None, Some(7)), None);
        assert_eq!(shared.exchange(1, None, Some(5)), None);
        assert_eq!(shared.exchange(2, None, Some(9)), Some(4));
        assert_eq!(shared.exchange(1, None, Some(8)), Some(6));
        assert_eq!(shared.exchange(0, Some(6), Some(7)), Some(6));
        assert_eq!(shared.exchange(2, Some(11), None), Some(10));
    }
}
