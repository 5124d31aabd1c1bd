//! Jobs of one kind that wait for the executor, a few at a time.
//!
//! A lane asks the executor for no more threads than it may use. Each runs jobs until none waits.
//! The executor may begin late, or never: whoever waits for a result runs a job of the lane itself
//! ([`Lane::run_one`]) unless enough are running already.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::executor::{Executor, Job};

/// Runs jobs in the order in which they were submitted.
pub(super) struct Lane {
    executor: Arc<dyn Executor>,
    /// How many jobs may run at the same time; with 0 they run only when somebody waits.
    max: usize,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Job>,
    /// Jobs that run.
    running: usize,
    /// Calls of [`drain`] that the executor was given and that have not ended.
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

    /// Runs a job that waits on the calling thread, unless enough run already. False when there is
    /// none to be run here: those that were submitted run or have run.
    pub fn run_one(&self) -> bool {
        let mut state = lock(&self.state);
        if state.running >= self.max.max(1) {
            return false;
        }
        let Some(job) = state.waiting.pop_front() else {
            return false;
        };
        state.running += 1;
        drop(state);
        job();
        lock(&self.state).running -= 1;
        true
    }

    /// Throws the jobs away that did not begin.
    pub fn clear(&self) {
        let waiting = std::mem::take(&mut lock(&self.state).waiting);
        // Outside the lock, because a job may own much.
        drop(waiting);
    }
}

/// A call of the executor; it counts until it is dropped, run or not.
struct Drain {
    state: Arc<Mutex<State>>,
    has_ended: bool,
}

impl Drain {
    fn run(mut self) {
        loop {
            let mut state = lock(&self.state);
            let Some(job) = state.waiting.pop_front() else {
                // Under the same lock: a job that is submitted next finds that nobody will run it.
                state.drains -= 1;
                drop(state);
                self.has_ended = true;
                return;
            };
            state.running += 1;
            drop(state);
            // Jobs turn panics into results.
            job();
            lock(&self.state).running -= 1;
        }
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
    // Nothing that may panic runs while it is locked.
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
    fn every_job_runs_once_whatever_the_executor_does() {
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
    fn jobs_that_did_not_begin_are_thrown_away() {
        let lane = Lane::new(Arc::new(Never), 1);
        lane.submit(Box::new(|| panic!("this job was thrown away")));
        lane.clear();
        assert!(!lane.run_one());
    }
}
