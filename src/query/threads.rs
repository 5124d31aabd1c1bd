//! One query on several threads.
//!
//! The work is cut into tasks: segments, and parts of those that have many of the query's postings.
//! The threads of the index's executor take tasks in their order from one counter; each keeps its
//! own best documents, and they share a threshold (`shared_threshold`). In the end the best of what
//! all have kept are taken.
//!
//! Invariant: tasks are in the order of segments, and where an algorithm goes through documents in
//! order, its parts are in document order too. So every thread meets documents as it would alone,
//! with gaps.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::leaf::{Found, Leaf, SearchContext};
use super::options::SearchOptions;
use super::part::{Part, UNIT_DOCUMENTS};
use super::plan::Algorithm;
use super::result::SearchStatistics;
use super::score::Ranked;
use super::shared_threshold::SharedThreshold;
use super::top_k::Scored;
use crate::error::{Error, Result};
use crate::executor::run_each;

/// Postings that are worth a thread: starting one takes 20 to 50 µs, in which one thread gets
/// through about half of these.
const POSTINGS_PER_THREAD: u64 = 100_000;

/// A part of a segment to be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Task {
    /// Place of the segment in the snapshot.
    ordinal: usize,
    part: Part,
}

/// What the threads have to do.
#[derive(Debug)]
pub(super) struct Plan {
    threads: usize,
    tasks: Vec<Task>,
}

impl Plan {
    /// Cuts the work into tasks for up to `threads` threads; `None` when one is enough. `segments`
    /// are the snapshot's: documents of each, and postings of the query's terms there. `parts_per_thread` is as in
    /// [`Leaf`].
    pub fn new(
        options: &SearchOptions,
        threads: usize,
        parts_per_thread: u64,
        segments: &[(u32, u64)],
    ) -> Option<Self> {
        let postings: u64 = segments.iter().map(|(_, postings)| postings).sum();
        let worth = match options.part_documents {
            None => usize::try_from(postings / POSTINGS_PER_THREAD).unwrap_or(usize::MAX),
            Some(_) => usize::MAX,
        };
        let threads = threads.min(worth);
        if threads <= 1 {
            return None;
        }
        let postings_per_part = postings.div_ceil(threads as u64 * parts_per_thread).max(1);
        let mut tasks = Vec::new();
        for (ordinal, (documents, postings)) in segments.iter().enumerate() {
            if *postings > 0 {
                let parts = parts(options, *documents, postings.div_ceil(postings_per_part));
                tasks.extend(parts.map(|part| Task { ordinal, part }));
            }
        }
        let threads = threads.min(tasks.len());
        (threads > 1).then_some(Self { threads, tasks })
    }
}

/// The parts of a segment, about `count` of them.
fn parts(options: &SearchOptions, documents: u32, count: u64) -> impl Iterator<Item = Part> {
    let unit = options.part_documents.unwrap_or(UNIT_DOCUMENTS);
    let units = documents.div_ceil(unit).max(1);
    let count = match (options.algorithm, options.part_documents) {
        // They skip from document to document and cannot stop at the end of a part.
        (Some(Algorithm::Wand | Algorithm::BlockMaxWand), _) => 1,
        (_, Some(_)) => units,
        (_, None) => u32::try_from(count).unwrap_or(u32::MAX).min(units),
    };
    Part::all(count, unit)
}

/// What one thread has done.
struct Work<S> {
    found: Found<S>,
    /// By task.
    statistics: Vec<(usize, SearchStatistics)>,
    /// The task that failed.
    failure: Option<(usize, Error)>,
}

/// Searches all segments as planned; `found` is empty before and has the best documents afterwards.
pub(super) fn search<L: Leaf>(
    leaf: &L,
    plan: &Plan,
    context: &SearchContext<'_>,
    after: Option<Scored<L::Score>>,
    found: &mut Found<L::Score>,
) -> Result<()> {
    let lists = open_all(leaf, plan, context)?;
    let lowest = context.lowest_score(leaf);
    let shared = Arc::new(SharedThreshold::new(plan.threads, lowest));
    let next = AtomicUsize::new(0);
    let work = |thread: usize| {
        let mut work = Work {
            found: Found::with(
                context
                    .top_k(leaf, after)
                    .share(Arc::clone(&shared), thread),
            ),
            statistics: Vec::new(),
            failure: None,
        };
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some((Task { ordinal, part }, lists)) =
                plan.tasks.get(number).zip(lists.get(number))
            else {
                return work;
            };
            let task = context.task(*ordinal, *part);
            if let Err(error) = work.found.search(leaf, lists, &task) {
                // Tasks before this one were taken already and will be done, so the first error is
                // the same every time.
                next.fetch_max(plan.tasks.len(), Ordering::Relaxed);
                work.failure = Some((number, error));
                return work;
            }
            let statistics = std::mem::take(&mut work.found.statistics);
            work.statistics.push((number, statistics));
        }
    };
    let executor = &**context.snapshot.executor();
    merge(run_each(executor, plan.threads, plan.threads, work), found)
}

/// The lists of each task's segment, opened once a segment.
fn open_all<L: Leaf>(
    leaf: &L,
    plan: &Plan,
    context: &SearchContext<'_>,
) -> Result<Vec<Arc<L::Lists>>> {
    let mut lists: Vec<Arc<L::Lists>> = Vec::with_capacity(plan.tasks.len());
    for task in &plan.tasks {
        let opened = match lists.last() {
            Some(last) if !task.part.is_first() => Arc::clone(last),
            _ => {
                context.options.check_cancelled()?;
                Arc::new(leaf.open(task.ordinal)?)
            }
        };
        lists.push(opened);
    }
    Ok(lists)
}

fn merge<S: Ranked>(works: Vec<Work<S>>, found: &mut Found<S>) -> Result<()> {
    let mut statistics = Vec::new();
    let mut first_failure: Option<(usize, Error)> = None;
    for work in works {
        found.top.absorb(work.found.top);
        statistics.extend(work.statistics);
        if let Some((number, error)) = work.failure
            && first_failure
                .as_ref()
                .is_none_or(|(first, _)| number < *first)
        {
            first_failure = Some((number, error));
        }
    }
    if let Some((_, error)) = first_failure {
        return Err(error);
    }
    statistics.sort_unstable_by_key(|(number, _)| *number);
    for (_, of_task) in statistics {
        found.statistics.postings += of_task.postings;
        found.statistics.postings_scored += of_task.postings_scored;
        found.statistics.algorithms.extend(of_task.algorithms);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doc_set::DocSet;
    use crate::index::{DocAddress, Snapshot};
    use crate::query::leaf::SegmentTask;
    use crate::{Document, Index, MergePolicy, Schema, WriterOptions};

    /// Documents of every segment.
    const DOCUMENTS: u32 = 100;
    const SEGMENTS: usize = 3;

    /// Offers every document, with scores of which many are equal, and fails at some.
    #[derive(Default)]
    struct Fake {
        fails_at: Vec<(usize, u32)>,
        panics_at: Option<(usize, u32)>,
    }

    fn score(ordinal: usize, document: u32) -> u32 {
        (ordinal as u32 * 31 + document * 17) % 13
    }

    impl Leaf for Fake {
        type Score = u32;
        type Lists = usize;

        fn score_of(&self, _: DocAddress) -> Result<Option<u32>> {
            Ok(None)
        }

        fn parts_per_thread(&self) -> u64 {
            4
        }

        fn postings(&self, _: usize) -> u64 {
            u64::from(DOCUMENTS)
        }

        fn open(&self, ordinal: usize) -> Result<usize> {
            Ok(ordinal)
        }

        fn matching(&self, _: usize) -> Result<Arc<DocSet>> {
            Ok(Arc::new(DocSet::full(DOCUMENTS)))
        }

        fn search(
            &self,
            lists: &usize,
            task: &SegmentTask<'_>,
            found: &mut Found<u32>,
        ) -> Result<()> {
            let ordinal = task.ordinal;
            assert_eq!(*lists, ordinal);
            for document in task.doc_range() {
                if self.fails_at.contains(&(ordinal, document)) {
                    return Err(Error::invalid(format!("failed at {ordinal}, {document}")));
                }
                assert_ne!(self.panics_at, Some((ordinal, document)), "met by a thread");
                found.top.exchange();
                let score = score(ordinal, document);
                if found.top.threshold().is_none_or(|min| score > min) {
                    found.top.offer(document, score);
                }
                std::thread::yield_now();
            }
            found.statistics.postings += u64::from(task.part.is_first());
            found.statistics.postings_scored += 1;
            Ok(())
        }
    }

    fn snapshot() -> Snapshot {
        let index = Index::in_memory(Schema::builder().build().unwrap()).unwrap();
        let options = WriterOptions::new().merge_policy(MergePolicy::never());
        let mut writer = index.writer_with(options).unwrap();
        for segment in 0..SEGMENTS {
            for document in 0..DOCUMENTS {
                writer
                    .add(Document::new(format!("{segment}-{document}")))
                    .unwrap();
            }
            writer.commit().unwrap();
        }
        index.snapshot().unwrap()
    }

    fn plan(threads: usize, part_documents: u32) -> Plan {
        let options = SearchOptions::new(1)
            .threads(threads)
            .part_documents(part_documents);
        Plan::new(&options, threads, 4, &[(DOCUMENTS, 1_000); SEGMENTS]).unwrap()
    }

    fn run(fake: &Fake, k: usize, plan: &Plan) -> Result<Found<u32>> {
        let (snapshot, options) = (snapshot(), SearchOptions::new(k));
        let context = SearchContext::new(&snapshot, &options, None).unwrap();
        let mut found = Found::with(context.top_k(fake, None));
        search(fake, plan, &context, None, &mut found)?;
        Ok(found)
    }

    #[test]
    fn the_best_of_all_threads_are_the_best() {
        let all = (0..SEGMENTS).flat_map(|ordinal| (0..DOCUMENTS).map(move |d| (ordinal, d)));
        let mut best: Vec<_> = all.collect();
        best.sort_by_key(|(ordinal, document)| std::cmp::Reverse(score(*ordinal, *document)));
        for (k, threads, part) in [(1, 2, 30), (7, 3, 7), (80, 2, 1), (80, 4, 33), (500, 3, 50)] {
            let found = run(&Fake::default(), k, &plan(threads, part)).unwrap();
            let addresses = found.top.into_sorted().into_iter().map(|hit| hit.address);
            let expected = best.iter().take(k).map(|(ordinal, document)| DocAddress {
                segment: *ordinal as u32,
                document: *document,
            });
            assert!(addresses.eq(expected), "k = {k}, {threads} threads");
            let parts = u64::from(DOCUMENTS.div_ceil(part)) * SEGMENTS as u64;
            let statistics = found.statistics;
            assert_eq!(
                (statistics.postings, statistics.postings_scored),
                (3, parts)
            );
        }
    }

    #[test]
    fn the_first_error_is_returned() {
        let fake = Fake {
            fails_at: vec![(2, 50), (1, 40), (1, 90)],
            ..Fake::default()
        };
        for threads in [2, 5] {
            let failed = run(&fake, 3, &plan(threads, 10));
            let error = failed.err().map(|error| error.to_string()).unwrap();
            assert!(error.contains("failed at 1, 40"), "{error}");
        }
    }

    #[test]
    #[should_panic(expected = "met by a thread")]
    fn a_panic_of_a_thread_is_that_of_the_search() {
        let fake = Fake {
            panics_at: Some((1, 77)),
            ..Fake::default()
        };
        let _ = run(&fake, 3, &plan(4, 10));
    }

    #[test]
    fn threads_are_as_many_as_is_worth_it() {
        let threads = |options: &SearchOptions, segments: &[(u32, u64)]| {
            Plan::new(options, options.threads, 4, segments).map_or(1, |plan| plan.threads)
        };
        let eight = SearchOptions::new(10).threads(8);
        let large = 1_000_000;
        assert_eq!(threads(&eight, &[]), 1);
        assert_eq!(threads(&eight, &[(large, 2 * POSTINGS_PER_THREAD - 1)]), 1);
        assert_eq!(threads(&eight, &[(large, 2 * POSTINGS_PER_THREAD)]), 2);
        assert_eq!(threads(&eight, &[(large, POSTINGS_PER_THREAD); 3]), 3);
        assert_eq!(threads(&eight, &[(large, 1 << 40)]), 8);
        assert_eq!(threads(&SearchOptions::new(10), &[(large, 1 << 40)]), 1);
        // No more than there are tasks.
        let wand = eight.clone().algorithm(Algorithm::Wand);
        assert_eq!(threads(&wand, &[(large, 1 << 40), (9, 1), (9, 0)]), 2);
        assert_eq!(threads(&eight, &[(UNIT_DOCUMENTS * 5, 1 << 40)]), 5);
    }

    #[test]
    fn parts_are_as_large_as_their_segments_postings_say() {
        let options = SearchOptions::new(10).threads(2);
        let segments = [
            (1_000_000, 700_000),
            (1_000, 0),
            (100, 50),
            (1_000_000, 100_000),
        ];
        let plan = Plan::new(&options, 2, 4, &segments).unwrap();
        let parts_of = |ordinal| {
            plan.tasks
                .iter()
                .filter(|task| task.ordinal == ordinal)
                .count()
        };
        assert_eq!([0, 1, 2, 3].map(parts_of), [7, 0, 1, 1]);
        assert!(plan.tasks.is_sorted_by_key(|task| task.ordinal));
    }
}
