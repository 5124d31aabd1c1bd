//! Threads for merges alone.
//!
//! They are started with the first merge. Jobs that did not begin before the writer is dropped are
//! thrown away.

use std::collections::VecDeque;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::{Done, Task, guarded};

struct MergeJob {
    number: u64,
    task: Task,
}

impl MergeJob {
    fn run(self) -> Done {
        Done::Merged {
            number: self.number,
            result: guarded(self.task),
        }
    }
}

/// Runs merges in the order in which they were submitted.
pub(super) struct MergeLane {
    max_threads: usize,
    jobs: Option<Sender<MergeJob>>,
    next_job: Receiver<MergeJob>,
    results: Sender<Done>,
    threads: Vec<JoinHandle<()>>,
    /// Merges for which there is no thread.
    kept: VecDeque<MergeJob>,
}

impl MergeLane {
    pub fn new(max_threads: usize, results: Sender<Done>) -> Self {
        let (jobs, next_job) = unbounded();
        Self {
            max_threads,
            jobs: Some(jobs),
            next_job,
            results,
            threads: Vec::new(),
            kept: VecDeque::new(),
        }
    }

    pub fn submit(&mut self, number: u64, task: Task) {
        self.start_thread();
        let job = MergeJob { number, task };
        match &self.jobs {
            Some(jobs) if !self.threads.is_empty() => {
                // This struct holds the other end too, so the channel is open.
                let _ = jobs.send(job);
            }
            _ => self.kept.push_back(job),
        }
    }

    pub fn run_kept(&mut self) -> Option<Done> {
        self.kept.pop_front().map(MergeJob::run)
    }

    /// Starts another thread, unless there are enough or the system refuses.
    fn start_thread(&mut self) {
        if self.threads.len() >= self.max_threads {
            return;
        }
        let (next_job, results) = (self.next_job.clone(), self.results.clone());
        let run = move || {
            for job in next_job {
                if results.send(job.run()).is_err() {
                    break;
                }
            }
        };
        let name = format!("esparsa-merge-{}", self.threads.len());
        let started = std::thread::Builder::new().name(name).spawn(run);
        self.threads.extend(started);
    }

    /// Ends the threads after the merges that run; others are thrown away.
    pub fn stop(&mut self) {
        self.jobs = None;
        self.kept.clear();
        while self.next_job.try_recv().is_ok() {}
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to be done.
            let _ = thread.join();
        }
    }
}
