//! A queue of jobs that the executor runs, with a maximum number at the same time.
//!
//! A lane spawns at most that many drains on the executor, and each drain runs jobs until the queue
//! is empty. The executor may start them late, or never: a thread that waits for a result runs jobs
//! of the lane itself ([`Lane::run_one`]) unless the maximum is running.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::executor::{Executor, Job};

/// Runs jobs in the order in which they were submitted.
pub(super) struct Lane {
    executor: Arc<dyn Executor>,
    /// Maximum number of running jobs; with 0 they run only in [`Lane::run_one`].
    max: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Number of running jobs.
    running: usize,
    /// Drains that were spawned and have not ended.
    drains: usize,
}

impl Lane {
    pub fn new(executor: Arc<dyn Executor>, max: usize) -> Self {
        Self {
            executor,
            max,
            state: Arc::default(),
        }
    }

    pub fn submit(&self, job: Job) {
        let mut state = lock(&self.state);
        state.waiting.push_back(job);
        if state.drains < self.max {
            state.drains += 1;
            drop(state);
            let drain = Drain {
                state: self.state.clone(),
                has_ended: false,
            };
            self.executor.spawn(Box::new(move || drain.run()));
        }
    }

    /// Runs a waiting job on the calling thread, unless the maximum is running. False when it ran
    /// none.
    pub fn run_one(&self) -> bool {
        let mut state = lock(&self.state);
        if state.running >= self.max.max(1) {
            return false;
        }
        let Some(job) = state.waiting.pop_front() else {
            return false;
        };
        let running = Running::new(&self.state, state);
        job();
        drop(running);
        true
    }

    /// Drops the jobs that have not started.
    pub fn clear(&self) {
        let waiting = std::mem::take(&mut lock(&self.state).waiting);
        // Dropped outside the lock: a job may own large buffers.
        drop(waiting);
    }
}

/// A job for the executor that runs the jobs of the lane. It is counted until it is dropped,
/// whether it ran or not.
struct Drain {
    state: Arc<Mutex<State>>,
    has_ended: bool,
}

impl Drain {
    fn run(mut self) {
        loop {
            let mut state = lock(&self.state);
            let Some(job) = state.waiting.pop_front() else {
                // Under the same lock: the next `submit` must see that this drain has ended.
                state.drains -= 1;
                drop(state);
                self.has_ended = true;
                return;
            };
            let running = Running::new(&self.state, state);
            job();
            drop(running);
        }
    }
}

/// Counts a job as running until it is dropped: also when the job panics, or the lane would be
/// blocked for ever.
struct Running<'a> {
    state: &'a Mutex<State>,
}

impl<'a> Running<'a> {
    fn new(state: &'a Mutex<State>, mut locked: MutexGuard<'a, State>) -> Self {
        locked.running += 1;
        Self { state }
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(self.state).running -= 1;
    }
}

impl Drop for Drain {
    fn drop(&mut self) {
        if !self.has_ended {
            lock(&self.state).drains -= 1;
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    // Nothing that may panic runs under the lock, so it is never poisoned.
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::executor::{Inline, Threads};

    /// Accepts jobs and never runs them.
    #[derive(Debug)]
    struct Never;

    impl Executor for Never {
        fn threads(&self) -> usize {
            1
        }

        fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
            (0..count).for_each(task);
        }

        fn spawn(&self, job: Job) {
            drop(job);
        }
    }

    #[test]
    fn every_job_runs_once_with_any_executor() {
        let executors: [Arc<dyn Executor>; 3] =
            [Arc::new(Never), Arc::new(Inline), Arc::new(Threads::new())];
        for executor in executors {
            for max in [0, 1, 3] {
                let lane = Lane::new(executor.clone(), max);
                let (sender, receiver) = channel();
                for number in 0..20 {
                    let sender = sender.clone();
                    lane.submit(Box::new(move || sender.send(number).unwrap()));
                }
                drop(sender);
                while lane.run_one() {}
                let mut numbers: Vec<u32> = receiver.iter().collect();
                numbers.sort_unstable();
                assert_eq!(numbers, (0..20).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_job_that_panics_does_not_block_the_lane() {
        for executor in [Arc::new(Never) as Arc<dyn Executor>, Arc::new(Inline)] {
            let lane = Lane::new(executor, 1);
            let run = || {
                lane.submit(Box::new(|| panic!("on purpose")));
                lane.run_one()
            };
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
            let (sender, receiver) = channel();
            lane.submit(Box::new(move || sender.send(7).unwrap()));
            lane.run_one();
            assert_eq!(receiver.try_recv(), Ok(7));
        }
    }

    #[test]
    fn jobs_that_have_not_started_are_dropped_by_clear() {
        let lane = Lane::new(Arc::new(Never), 1);
        lane.submit(Box::new(|| panic!("this job was dropped")));
        lane.clear();
        assert!(!lane.run_one());
    }
}
