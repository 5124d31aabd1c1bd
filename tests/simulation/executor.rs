//! The executor of a simulated process: its background jobs are threads that take turns with all
//! others.

use std::sync::{Arc, Mutex, PoisonError};

use esparsa::executor::{Executor, Job};

use crate::random::Random;
use crate::turns::{self, Turns};

#[derive(Debug)]
pub struct SimulatedExecutor {
    turns: Arc<Turns>,
    random: Mutex<Random>,
}

impl std::fmt::Debug for Random {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Random({})", self.0)
    }
}

impl SimulatedExecutor {
    pub fn new(turns: &Arc<Turns>, seed: u64) -> Self {
        Self {
            turns: turns.clone(),
            random: Mutex::new(Random(seed)),
        }
    }

    fn below(&self, end: u64) -> u64 {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        random.below(end)
    }
}

impl Executor for SimulatedExecutor {
    fn threads(&self) -> usize {
        2
    }

    fn run(&self, count: usize, task: &(dyn Fn(usize) + Sync)) {
        let first = self.below(count.max(1) as u64) as usize;
        (first..count).chain(0..first).for_each(task);
    }

    /// Starts the job on a thread, runs it at once, or never.
    fn spawn(&self, job: Job) {
        match self.below(8) {
            0 => job(),
            1 => drop(job),
            _ => self.turns.spawn(job),
        }
    }

    fn run_others(&self) -> bool {
        turns::let_others_run();
        true
    }
}
