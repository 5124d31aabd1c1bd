//! Threads: an [`Executor`] that an application may supply, and [`CancelToken`] to stop work.
//!
//! The library owns no thread pool. Parallel work (parts of a search, batches of a writer) and
//! background work (merges) goes to the executor of the index: [`Threads`], unless
//! [`IndexOptions::executor`](crate::IndexOptions::executor) sets another.
//!
//! Invariant: correctness never depends on the executor. Results are the same with any number of
//! threads, and no thread waits for a job that the executor has not started: it runs the job
//! itself.

use std::fmt::Debug;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{Builder, available_parallelism, scope};

use crate::error::{Error, Result};

/// Work that runs in the background.
pub type Job = Box<dyn FnOnce() + Send>;

/// Runs tasks on threads. An application implements it to run the library on its own threads, such
/// as a rayon pool or the blocking threads of an asynchronous runtime.
///
/// ```
/// use std::sync::Arc;
/// use esparsa::executor::{Executor, Job};
/// use esparsa::{Index, IndexOptions, Schema, Text, store::Memory};
///
/// /// Runs background jobs on a thread pool and everything else on the calling thread.
/// #[derive(Debug)]
/// struct Background(std::sync::mpsc::Sender<Job>);
///
/// impl Executor for Background {
///     fn threads(&self) -> usize {
///         1
///     }
///
///     fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
///         (0..count).for_each(task);
///     }
///
///     fn spawn(&self, job: Job) {
///         self.0.send(job).expect("the pool outlives the index");
///     }
/// }
///
/// let (jobs, next_job) = std::sync::mpsc::channel::<Job>();
/// let pool = std::thread::spawn(move || next_job.into_iter().for_each(|job| job()));
/// let options = IndexOptions::new().executor(Arc::new(Background(jobs)));
/// let schema = Schema::builder()
///     .text("text", Text::new().analyzer("english"))
///     .build()?;
/// let index = Index::create_in(Arc::new(Memory::new()), schema, options)?;
/// # drop(index);
/// # pool.join().unwrap();
/// # Ok::<(), esparsa::Error>(())
/// ```
pub trait Executor: Send + Sync + Debug {
    /// Number of tasks that can run at the same time, including one on the calling thread; at least
    /// 1. A hint for the number of tasks to split work into.
    fn threads(&self) -> usize;

    /// Calls `task` once with each number below `count` and returns when all calls have returned.
    /// The calls may run in parallel and in any order. A panic of a task propagates to the caller.
    ///
    /// It is called from background jobs too: a merge orders documents on several threads. So it must
    /// not wait for a thread that may be waiting for this call; what no other thread takes, it runs on
    /// the calling thread.
    ///
    /// Callers create about as many tasks as they want threads. The tasks take work items from a
    /// shared counter, so a task that starts late does not delay the others.
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync));

    /// Runs `job` in the background. It may run at any time, at once on the calling thread, or
    /// never: nothing waits for a job that has not started. Jobs do not panic.
    fn spawn(&self, job: Job);

    /// Called by a thread that is about to wait for a job of this executor. An executor that lets
    /// only some of its threads run at a time lets the others go on here and returns true: the
    /// caller looks whether the job has ended, and calls again. By default it returns false, and the
    /// caller waits.
    fn run_others(&self) -> bool {
        false
    }
}

/// Calls `work` with each number below `count` on up to `threads` threads of the executor, and
/// returns the results in order.
///
/// What an executor leaves undone is done on the calling thread: no result may be missing, or the
/// others would take its place.
pub(crate) fn run_each<T: Send>(
    executor: &dyn Executor,
    threads: usize,
    count: usize,
    work: impl Fn(usize) -> T + Sync,
) -> Vec<T> {
    let threads = threads.min(count);
    if threads <= 1 {
        return (0..count).map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<T>>> = (0..count).map(|_| Mutex::default()).collect();
    executor.run(threads, &|_| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(slot) = results.get(number) else {
                return;
            };
            let result = work(number);
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
        }
    });
    let results = results.into_iter().enumerate().map(|(number, slot)| {
        let result = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
        result.unwrap_or_else(|| work(number))
    });
    results.collect()
}

/// The default executor: starts threads for each call and ends them afterwards.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use esparsa::executor::{Executor, Threads};
///
/// let sum = AtomicUsize::new(0);
/// Threads::new().run(4, &|number| {
///     sum.fetch_add(number, Ordering::Relaxed);
/// });
/// assert_eq!(sum.into_inner(), 0 + 1 + 2 + 3);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Threads;

impl Threads {
    /// One thread per core that is available to this process.
    pub fn new() -> Self {
        Self
    }
}

impl Executor for Threads {
    fn threads(&self) -> usize {
        // Asking the operating system reads several files of control groups, which takes longer than
        // opening an index.
        static CORES: OnceLock<usize> = OnceLock::new();
        *CORES.get_or_init(|| available_parallelism().map_or(1, |cores| cores.get()))
    }

    /// Starts a thread for each task but the first, which runs on the calling thread.
    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        scope(|scope| {
            let start = |number| {
                Builder::new()
                    .spawn_scoped(scope, move || task(number))
                    .ok()
            };
            let started: Vec<_> = (1..count).map_while(start).collect();
            // If the system refuses to start more threads, the remaining tasks run here.
            let here = (0..count.min(1)).chain(started.len() + 1..count);
            here.for_each(task);
            for thread in started {
                if let Err(panic) = thread.join() {
                    resume_unwind(panic);
                }
            }
        });
    }

    /// Starts a thread for the job. If the system refuses, the job is dropped.
    fn spawn(&self, job: Job) {
        let thread = Builder::new().name("esparsa-background".into());
        // Nothing waits for a job that has not started, so dropping it is allowed.
        let _ = thread.spawn(job);
    }
}

/// Runs everything immediately on the calling thread, background jobs included.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Executor for Inline {
    fn threads(&self) -> usize {
        1
    }

    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        (0..count).for_each(task);
    }

    fn spawn(&self, job: Job) {
        job();
    }
}

/// Cancels work. Clones share the state. The work checks the token regularly and returns
/// [`Error::Cancelled`].
///
/// ```
/// use esparsa::Error;
/// use esparsa::executor::CancelToken;
///
/// let token = CancelToken::new();
/// let token_of_the_work = token.clone();
/// assert!(token_of_the_work.check("searching").is_ok());
/// token.cancel();
/// let stopped = token_of_the_work.check("searching").unwrap_err();
/// assert!(matches!(stopped, Error::Cancelled { work: "searching", .. }));
/// ```
#[derive(Clone, Debug, Default)]
pub struct CancelToken {
    cancelled: Arc<AtomicBool>,
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Requests the work to stop. This cannot be undone.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
    }

    /// True if the work was cancelled.
    #[inline]
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Acquire)
    }

    /// Returns an error if the work was cancelled; `work` names it, such as `merging`.
    ///
    /// # Errors
    ///
    /// [`Error::Cancelled`].
    #[inline]
    pub fn check(&self, work: &'static str) -> Result<()> {
        match self.is_cancelled() {
            true => Err(Error::Cancelled { work }),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn every_task_runs_once() {
        let executors: [&dyn Executor; 2] = [&Threads::new(), &Inline];
        for executor in executors {
            for count in [0, 1, 2, 9] {
                let seen = Mutex::new(Vec::new());
                executor.run(count, &|number| seen.lock().unwrap().push(number));
                let mut seen = seen.into_inner().unwrap();
                seen.sort_unstable();
                assert_eq!(seen, (0..count).collect::<Vec<_>>());
            }
        }
    }

    /// Runs only the first of several tasks, and swallows its panic.
    #[derive(Debug)]
    struct Careless;

    impl Executor for Careless {
        fn threads(&self) -> usize {
            4
        }

        fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
            let first = || (0..count.min(1)).for_each(task);
            let _ = catch_unwind(AssertUnwindSafe(first));
        }

        fn spawn(&self, _: Job) {}
    }

    #[test]
    fn results_are_complete_and_in_order_with_any_executor() {
        let executors: [&dyn Executor; 3] = [&Threads::new(), &Inline, &Careless];
        for executor in executors {
            for threads in [0, 1, 3, 20] {
                let results = run_each(executor, threads, 10, |number| number * number);
                assert!(
                    results
                        .into_iter()
                        .eq((0..10).map(|number| number * number))
                );
            }
        }
        // The work that panicked is done again on the calling thread.
        let tries = AtomicUsize::new(0);
        let results = run_each(&Careless, 2, 3, |number| {
            assert!(tries.fetch_add(1, Ordering::Relaxed) != 1, "the second try");
            number
        });
        assert_eq!(results, [0, 1, 2]);
    }

    #[test]
    fn tasks_run_at_the_same_time() {
        // Each task waits for the other: a single thread would never end.
        let barrier = std::sync::Barrier::new(2);
        Threads::new().run(2, &|_| {
            barrier.wait();
        });
    }

    #[test]
    fn a_panic_of_a_task_reaches_the_caller() {
        let executors: [&dyn Executor; 2] = [&Threads::new(), &Inline];
        for executor in executors {
            let run = || executor.run(3, &|number| assert_ne!(number, 2));
            assert!(catch_unwind(AssertUnwindSafe(run)).is_err());
        }
    }

    #[test]
    fn background_jobs_run() {
        let executors: [&dyn Executor; 2] = [&Threads::new(), &Inline];
        for executor in executors {
            let (sender, receiver) = channel();
            executor.spawn(Box::new(move || sender.send(7).unwrap()));
            assert_eq!(receiver.recv(), Ok(7));
        }
    }
}
