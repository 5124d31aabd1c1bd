//! One threshold for all threads of a query.
//!
//! Invariant: at least k live documents of the snapshot have the shared score or a greater one. It is the greatest k-th
//! score that any thread has, so it only rises, and no document of a lower score is among the best k.
//!
//! Which documents may be dropped follows from that:
//!
//! - By its own threshold a thread drops documents of that very score too, as it does when it is alone: it goes through
//!   documents in rising order, so those that it keeps have lower addresses, and ties go to the lower address. (Ranges are
//!   not visited in that order, so there a document of the threshold's score is kept by whoever visits it.)
//! - By another thread's threshold only documents of a *lower* score may be dropped: what the other thread keeps may have
//!   higher addresses. Algorithms drop what does not exceed a threshold, so they are given the number just
//!   [`below`](Score::below) the shared one.
//!
//! A document among the best k is thus dropped by no thread, and is in the top k of the one that met it: the best k of
//! what all threads keep are the best k, bit for bit, whatever the interleaving.
//!
//! The number alone is the message, and what it says stays true: no order with other memory is needed, and a thread that
//! reads an old one skips less.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};

use super::score::Score;

/// The greatest k-th score that any thread has.
pub(super) struct SharedThreshold<S> {
    /// Of the score; scores are not negative, so their bits are in their order. 0 for none.
    bits: AtomicU32,
    score: PhantomData<fn() -> S>,
}

impl<S: Score> SharedThreshold<S> {
    /// No thread has k documents yet.
    pub fn new() -> Self {
        Self {
            bits: AtomicU32::new(0),
            score: PhantomData,
        }
    }

    /// Tells the other threads the k-th score of this one, and returns what documents must exceed for all of them
    /// together; `None` while every document may be kept.
    #[inline]
    pub fn exchange(&self, own: Option<S>) -> Option<S> {
        let mut bits = self.bits.load(Ordering::Relaxed);
        let own = own.filter(|own| *own > S::default()).map_or(0, S::to_bits);
        if own > bits {
            bits = own.max(self.bits.fetch_max(own, Ordering::Relaxed));
        }
        (bits > 0).then(|| S::from_bits(bits).below())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_greatest_of_all_is_heard_and_never_falls(scores in prop::collection::vec(0u32..50, 1..40)) {
            let (whole, real) = (SharedThreshold::<u32>::new(), SharedThreshold::<f32>::new());
            let mut greatest = 0;
            for score in scores {
                greatest = greatest.max(score);
                let must_exceed = whole.exchange(Some(score));
                prop_assert_eq!(must_exceed, greatest.checked_sub(1));
                prop_assert_eq!(whole.exchange(None), must_exceed);

                let real = real.exchange(Some(score as f32 / 8.0));
                let expected = (greatest > 0).then(|| (greatest as f32 / 8.0).next_down());
                prop_assert_eq!(real, expected);
            }
        }

        #[test]
        fn a_score_that_equals_the_shared_one_exceeds_what_is_heard(score in 0f32..1e6) {
            let shared = SharedThreshold::new();
            let must_exceed = shared.exchange(Some(score));
            prop_assert!(must_exceed.is_none_or(|below| score > below));
            if let Some(below) = must_exceed {
                // Nothing is between the two.
                prop_assert_eq!(below.next_up(), score);
            }
        }
    }

    #[test]
    fn nothing_is_heard_before_a_thread_has_k_documents() {
        let shared = SharedThreshold::<f32>::new();
        assert_eq!(shared.exchange(None), None);
        assert_eq!(shared.exchange(Some(0.0)), None);
        assert_eq!(shared.exchange(Some(-0.0)), None);
        let least = f32::from_bits(1);
        assert_eq!(shared.exchange(Some(least)), Some(0.0));
    }

    #[test]
    fn of_many_threads_the_greatest_score_stays() {
        let shared = SharedThreshold::<u32>::new();
        std::thread::scope(|scope| {
            for thread in 0..4u32 {
                let shared = &shared;
                scope.spawn(move || {
                    let mut last = None;
                    for step in 1..2_000 {
                        let heard = shared.exchange(Some(step * 4 + thread));
                        assert!(heard >= last && heard >= Some(step * 4 + thread - 1));
                        last = heard;
                    }
                });
            }
        });
        assert_eq!(shared.exchange(None), Some(1_999 * 4 + 3 - 1));
    }
}
