//! An order of documents in which those that share terms are close: recursive graph bisection.
//!
//! Dhulipala et al., "Compressing graphs and indexes with recursive graph bisection", KDD 2016; the
//! form without sorting, and the partition by the median of the gains, as in Mackenzie et al.,
//! "Faster index reordering with bipartite graph partitioning", SIGIR 2021.
//!
//! The documents are cut in halves; documents change sides as long as that brings the postings of
//! terms closer together; then each half is cut in the same way, down to [`LEAF`] documents. The
//! cost of a term with d postings among n documents is estimated as d · log2(n / (d + 1)) bits.
//! Every node works on a copy of its documents' terms, under numbers of its own and without those
//! that all or only one of its documents have: the copies of deep nodes fit the caches. The result
//! depends on the documents alone, not on the number of threads.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::executor::{CancelToken, Executor, run_each};
use crate::format::DocId;

/// Nodes of at most this many documents stay as they are.
const LEAF: usize = 16;
/// Rounds of moving documents, unless one moves less than one document in [`SETTLED_SHARE`].
const ROUNDS: usize = 12;
const SETTLED_SHARE: usize = 200;
/// Nodes of fewer documents are not worth a thread.
const MIN_FOR_THREADS: usize = 4_096;

/// Terms of documents, by numbers: those of a document lie together.
#[derive(Default)]
pub(super) struct Forward {
    /// Where the terms of each document end.
    pub ends: Vec<usize>,
    /// The terms, in no order.
    pub terms: Vec<u32>,
    /// All numbers of terms are below.
    pub term_count: usize,
}

impl Forward {
    fn terms_of(&self, place: u32) -> &[u32] {
        let place = place as usize;
        let start = place.checked_sub(1).and_then(|p| self.ends.get(p));
        let start = start.copied().unwrap_or(0);
        let end = self.ends.get(place).copied().unwrap_or(0);
        self.terms.get(start..end).unwrap_or_default()
    }

    /// The terms of some of the documents under new numbers, without those that no cut can tell
    /// apart.
    fn part(&self, places: &[u32]) -> Self {
        let mut numbers = vec![0u32; self.term_count];
        for place in places {
            for term in self.terms_of(*place) {
                if let Some(count) = numbers.get_mut(*term as usize) {
                    *count += 1;
                }
            }
        }
        let mut next = 0;
        for number in &mut numbers {
            let tells = *number > 1 && (*number as usize) < places.len();
            *number = if tells { next } else { u32::MAX };
            next += u32::from(tells);
        }
        let mut part = Self {
            ends: Vec::with_capacity(places.len()),
            terms: Vec::new(),
            term_count: next as usize,
        };
        for place in places {
            let known = self.terms_of(*place).iter().filter_map(|term| {
                let number = numbers.get(*term as usize).copied();
                number.filter(|number| *number != u32::MAX)
            });
            part.terms.extend(known);
            part.ends.push(part.terms.len());
        }
        part
    }
}

/// The threads that cut nodes.
#[derive(Clone, Copy)]
pub(super) struct OnThreads<'a> {
    pub executor: &'a dyn Executor,
    pub threads: usize,
}

/// The documents in their new order; `None` when `cancel` was set meanwhile.
///
/// The first cuts are made one after another, each on all threads; once there are enough nodes,
/// every thread takes whole ones.
pub(super) fn order(
    forward: Forward,
    on: OnThreads<'_>,
    cancel: &CancelToken,
) -> Option<Vec<DocId>> {
    let documents: Vec<DocId> = (0..).take(forward.ends.len()).collect();
    let mut out = documents.clone();
    let forward = {
        let root = forward.part(&documents);
        drop(forward);
        root
    };
    let mut nodes = vec![Node {
        forward,
        documents,
        out: &mut out,
    }];
    while on.threads > 1
        && nodes.len() < on.threads * NODES_PER_THREAD
        && nodes
            .iter()
            .any(|node| node.documents.len() >= MIN_FOR_THREADS)
    {
        let halves = nodes
            .into_iter()
            .flat_map(|node| match node.cut(Some(on), cancel) {
                Some([left, right]) => vec![left, right],
                None => Vec::new(),
            });
        nodes = halves.collect();
    }
    let nodes: Vec<_> = nodes
        .into_iter()
        .map(|node| Mutex::new(Some(node)))
        .collect();
    run_each(on.executor, on.threads, nodes.len(), |number| {
        let node = nodes.get(number).and_then(|node| lock(node).take());
        if let Some(node) = node {
            node.bisect(cancel);
        }
    });
    (!cancel.is_cancelled()).then_some(out)
}

/// Nodes for each thread: with more, threads end more nearly at the same time.
const NODES_PER_THREAD: usize = 4;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Documents that are cut in halves.
struct Node<'a> {
    forward: Forward,
    documents: Vec<DocId>,
    /// Where they go in their new order.
    out: &'a mut [DocId],
}

impl<'a> Node<'a> {
    /// Cuts down to leaves.
    fn bisect(self, cancel: &CancelToken) {
        if let Some([left, right]) = self.cut(None, cancel) {
            left.bisect(cancel);
            right.bisect(cancel);
        }
    }

    /// The halves; none of a leaf, whose documents stay in their order.
    fn cut(self, on: Option<OnThreads<'_>>, cancel: &CancelToken) -> Option<[Self; 2]> {
        let Self {
            forward,
            documents,
            out,
        } = self;
        // The order of cancelled work is not used.
        if documents.len() <= LEAF || cancel.is_cancelled() {
            out.copy_from_slice(&documents);
            return None;
        }
        // Whole leaves on the left, so that they stand at multiples of their size.
        let half = (documents.len().div_ceil(2)).next_multiple_of(LEAF);
        let half = half.min((documents.len() - 1) / LEAF * LEAF);
        let places = Split::new(&forward, half, on).settle(cancel);
        let (left, right) = places.split_at(half);
        let of = |places: &[u32]| -> Vec<DocId> {
            let documents = places.iter().map(|p| documents.get(*p as usize));
            documents.flatten().copied().collect()
        };
        let (left_out, right_out) = out.split_at_mut(half);
        let node = |places: &[u32], out| Node {
            forward: forward.part(places),
            documents: of(places),
            out,
        };
        Some([node(left, left_out), node(right, right_out)])
    }
}

/// One cut: the places in `places[..half]` are on the left.
struct Split<'a> {
    forward: &'a Forward,
    half: usize,
    /// `None` for one thread.
    on: Option<OnThreads<'a>>,
    places: Vec<u32>,
    is_right: Vec<bool>,
    /// For each term, its documents on the left and on the right.
    degrees: Vec<[u32; 2]>,
    /// For each term, the bits won when a document that has it is on the right instead of the left,
    /// as seen by a document on the left and by one on the right.
    pulls: Vec<[f32; 2]>,
    /// log2(i + 1).
    logarithms: Vec<f32>,
}

impl<'a> Split<'a> {
    fn new(forward: &'a Forward, half: usize, on: Option<OnThreads<'a>>) -> Self {
        let count = forward.ends.len();
        let mut split = Self {
            forward,
            half,
            on,
            places: (0..).take(count).collect(),
            is_right: (0..count).map(|place| place >= half).collect(),
            degrees: vec![[0; 2]; forward.term_count],
            pulls: vec![[0.0; 2]; forward.term_count],
            logarithms: (0..count + 2).map(|i| (i as f32 + 1.0).log2()).collect(),
        };
        for place in (0u32..).take(count) {
            let is_right = place as usize >= half;
            for term in forward.terms_of(place) {
                if let Some([left, right]) = split.degrees.get_mut(*term as usize) {
                    *(if is_right { right } else { left }) += 1;
                }
            }
        }
        split
    }

    /// Moves documents until few move, and returns the places.
    fn settle(mut self, cancel: &CancelToken) -> Vec<u32> {
        let mut keys = vec![(0.0f32, 0u32); self.places.len()];
        for _ in 0..ROUNDS {
            if cancel.is_cancelled() {
                break;
            }
            self.update_pulls();
            self.weigh_all(&mut keys);
            // The half with the smallest pull to the right stays on the left.
            let by_pull = |a: &(f32, u32), b: &(f32, u32)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
            keys.select_nth_unstable_by(self.half, by_pull);
            let moved = self.apply(&keys);
            if moved * SETTLED_SHARE < self.places.len() {
                break;
            }
        }
        self.places
    }

    fn update_pulls(&mut self) {
        let count = self.places.len();
        let left_size = (self.half as f32).log2();
        let right_size = ((count - self.half) as f32).log2();
        let logarithms = &self.logarithms;
        let cost = |size: f32, degree: u32| {
            let logarithm = logarithms.get(degree as usize).copied().unwrap_or(0.0);
            degree as f32 * (size - logarithm)
        };
        let both = |left, right| cost(left_size, left) + cost(right_size, right);
        for (&[left, right], pulls) in self.degrees.iter().zip(&mut self.pulls) {
            let now = both(left, right);
            let of_left = left
                .checked_sub(1)
                .map(|fewer| now - both(fewer, right + 1));
            let of_right = right
                .checked_sub(1)
                .map(|fewer| both(left + 1, fewer) - now);
            *pulls = [of_left.unwrap_or(0.0), of_right.unwrap_or(0.0)];
        }
    }

    fn weigh_all(&self, keys: &mut [(f32, u32)]) {
        let Some(on) = self.on.filter(|_| keys.len() >= MIN_FOR_THREADS) else {
            return self.weigh(0, keys);
        };
        let share = keys.len().div_ceil(on.threads);
        let shares: Vec<_> = keys.chunks_mut(share).map(Mutex::new).collect();
        run_each(on.executor, on.threads, shares.len(), |number| {
            if let Some(keys) = shares.get(number) {
                self.weigh(number * share, &mut lock(keys));
            }
        });
    }

    /// Sums the pulls on the documents at `places[from..]`.
    fn weigh(&self, from: usize, keys: &mut [(f32, u32)]) {
        let places = self.places.get(from..).unwrap_or_default();
        for (index, (key, place)) in keys.iter_mut().zip(places).enumerate() {
            let is_right = from + index >= self.half;
            let pull = |term: &u32| match self.pulls.get(*term as usize) {
                Some([_, of_right]) if is_right => *of_right,
                Some([of_left, _]) => *of_left,
                None => 0.0,
            };
            *key = (self.forward.terms_of(*place).iter().map(pull).sum(), *place);
        }
    }

    /// Takes over the places of `keys` and says how many changed sides.
    fn apply(&mut self, keys: &[(f32, u32)]) -> usize {
        let mut moved = 0;
        for (index, ((_, place), slot)) in keys.iter().zip(&mut self.places).enumerate() {
            *slot = *place;
            let is_right = index >= self.half;
            let Some(was_right) = self.is_right.get_mut(*place as usize) else {
                continue;
            };
            if std::mem::replace(was_right, is_right) == is_right {
                continue;
            }
            moved += 1;
            for term in self.forward.terms_of(*place) {
                if let Some([left, right]) = self.degrees.get_mut(*term as usize) {
                    let (gains, loses) = if is_right {
                        (right, left)
                    } else {
                        (left, right)
                    };
                    *gains += 1;
                    *loses -= 1;
                }
            }
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::{Inline, Threads};
    use proptest::prelude::*;

    fn forward(documents: &[Vec<u32>], term_count: usize) -> Forward {
        let mut all = Forward {
            term_count,
            ..Forward::default()
        };
        for terms in documents {
            all.terms.extend(terms);
            all.ends.push(all.terms.len());
        }
        all
    }

    fn order_of(forward: Forward, threads: usize) -> Vec<DocId> {
        let on = OnThreads {
            executor: &Threads::new(),
            threads,
        };
        order(forward, on, &CancelToken::new()).unwrap()
    }

    proptest! {
        #[test]
        fn an_order_has_every_document_once_whatever_the_threads(
            documents in prop::collection::vec(prop::collection::vec(0u32..30, 0..6), 0..300),
        ) {
            let one = order_of(forward(&documents, 30), 1);
            prop_assert_eq!(&order_of(forward(&documents, 30), 3), &one);
            let mut sorted = one;
            sorted.sort_unstable();
            prop_assert!(sorted.into_iter().eq(0..documents.len() as u32));
        }
    }

    #[test]
    fn cancelled_work_gives_no_order() {
        let cancelled = CancelToken::new();
        cancelled.cancel();
        let documents = vec![vec![1, 2]; 100];
        let on = OnThreads {
            executor: &Inline,
            threads: 1,
        };
        assert_eq!(order(forward(&documents, 3), on, &cancelled), None);
    }

    /// Counts the tasks it is given.
    #[derive(Debug, Default)]
    struct Counting(std::sync::atomic::AtomicUsize);

    impl Executor for Counting {
        fn threads(&self) -> usize {
            2
        }

        fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
            self.0
                .fetch_add(count, std::sync::atomic::Ordering::Relaxed);
            (0..count).for_each(task);
        }

        fn spawn(&self, _: crate::executor::Job) {}
    }

    #[test]
    fn threads_are_the_executors() {
        let executor = Counting::default();
        let documents: Vec<Vec<u32>> = (0..10_000).map(|d| vec![d % 7, 7 + d % 11]).collect();
        let on = OnThreads {
            executor: &executor,
            threads: 2,
        };
        let found = order(forward(&documents, 18), on, &CancelToken::new()).unwrap();
        assert!(executor.0.into_inner() > 2);
        assert_eq!(found, order_of(forward(&documents, 18), 1));
    }

    #[test]
    fn documents_that_share_terms_come_together() {
        // Eight topics, their documents dealt out in turn.
        let documents: Vec<Vec<u32>> = (0u32..10_000)
            .map(|d| (0..5).map(|i| d % 8 * 10 + (d / 8 + i) % 10).collect())
            .collect();
        let order = order_of(forward(&documents, 80), 1);
        let changes = order.windows(2).filter(|w| w[0] % 8 != w[1] % 8).count();
        assert!(changes < 100, "{changes} changes of topic");
        for threads in [2, 3, 8] {
            assert_eq!(order_of(forward(&documents, 80), threads), order);
        }
    }
}
