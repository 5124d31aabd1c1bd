//! Threads that run one at a time, in an order that a seed decides.
//!
//! Every thread of a simulated process is a thread of the operating system that waits for its turn.
//! At each step (an operation on the directory) the one whose turn it is goes on or passes the turn,
//! by a random number. So a run is the same each time, although the code under test is the real one.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::random::Random;

/// More steps than any run takes: behind them, a run hangs.
const MAX_STEPS: u64 = 400_000;
/// More time than any run takes, also on a machine that does other work.
const MAX_TIME: Duration = Duration::from_secs(120);

thread_local! {
    /// The simulated thread that this one is, if it is one.
    static CURRENT: RefCell<Option<(Arc<Turns>, usize)>> = const { RefCell::new(None) };
}

#[derive(Debug)]
pub struct Turns {
    state: Mutex<State>,
    all_ended: Condvar,
}

#[derive(Debug)]
struct State {
    random: Random,
    /// Mean number of steps of a thread before the turn passes.
    patience: u64,
    threads: Vec<Thread>,
    /// Whose turn it is; nobody's before the start and at the end.
    current: Option<usize>,
    steps: u64,
    /// What the first thread that panicked said.
    panic: Option<String>,
}

#[derive(Debug)]
struct Thread {
    has_ended: bool,
    wake: Arc<Condvar>,
}

impl State {
    fn running(&self) -> Vec<usize> {
        let threads = self.threads.iter().enumerate();
        let running = threads.filter(|(_, thread)| !thread.has_ended);
        running.map(|(number, _)| number).collect()
    }

    fn give_turn(&mut self, to: Option<usize>) {
        self.current = to;
        if let Some(thread) = to.and_then(|to| self.threads.get(to)) {
            thread.wake.notify_one();
        }
    }
}

impl Turns {
    pub fn new(seed: u64, patience: u64) -> Arc<Self> {
        let state = State {
            random: Random(seed),
            patience,
            threads: Vec::new(),
            current: None,
            steps: 0,
            panic: None,
        };
        Arc::new(Self {
            state: Mutex::new(state),
            all_ended: Condvar::new(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a thread, which waits for its turn.
    pub fn spawn(self: &Arc<Self>, run: impl FnOnce() + Send + 'static) {
        let mut state = self.lock();
        let number = state.threads.len();
        state.threads.push(Thread {
            has_ended: false,
            wake: Arc::new(Condvar::new()),
        });
        drop(state);
        let turns = self.clone();
        let body = move || {
            CURRENT.with(|current| *current.borrow_mut() = Some((turns.clone(), number)));
            drop(turns.wait(turns.lock(), number));
            let outcome = catch_unwind(AssertUnwindSafe(run));
            turns.end(number, outcome.err().map(|panic| message_of(&*panic)));
        };
        // Small: a machine may run many simulations at once.
        let thread = std::thread::Builder::new().stack_size(1 << 20);
        thread.spawn(body).expect("a thread");
    }

    /// Gives the threads turns until all of them have ended; returns the message of a panic.
    pub fn run(&self) -> Result<u64, String> {
        let mut state = self.lock();
        let first = state.running();
        let first = (!first.is_empty()).then(|| state.random.pick(&first));
        state.give_turn(first);
        let (mut state, waited) = self
            .all_ended
            .wait_timeout_while(state, MAX_TIME, |state| !state.running().is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        if waited.timed_out() {
            return Err("the run hangs: a thread waits for one that has not the turn".into());
        }
        match state.panic.take() {
            Some(panic) => Err(panic),
            None => Ok(state.steps),
        }
    }

    /// The number of steps so far, which is the time of the simulation.
    pub fn now(&self) -> u64 {
        self.lock().steps
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, number: usize) -> MutexGuard<'a, State> {
        let wake = state.threads[number].wake.clone();
        wake.wait_while(state, |state| state.current != Some(number))
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, number: usize, panic: Option<String>) {
        let mut state = self.lock();
        state.threads[number].has_ended = true;
        if state.panic.is_none() {
            state.panic = panic;
        }
        let running = state.running();
        let next = (!running.is_empty()).then(|| state.random.pick(&running));
        state.give_turn(next);
        drop(state);
        self.all_ended.notify_one();
    }

    fn pass(&self, mut state: MutexGuard<'_, State>, number: usize, to: usize) {
        if to != number {
            state.give_turn(Some(to));
            drop(self.wait(state, number));
        }
    }

    fn step(&self, number: usize) {
        let mut state = self.lock();
        state.steps += 1;
        assert!(state.steps < MAX_STEPS, "the run does not end");
        let patience = state.patience;
        if state.random.chance(patience) {
            let running = state.running();
            let to = state.random.pick(&running);
            self.pass(state, number, to);
        }
    }

    fn let_others_run(&self, number: usize) {
        let mut state = self.lock();
        state.steps += 1;
        assert!(state.steps < MAX_STEPS, "a thread waits for ever");
        let others = state.running();
        let others: Vec<usize> = others.into_iter().filter(|t| *t != number).collect();
        assert!(!others.is_empty(), "a thread waits for one that has ended");
        let to = state.random.pick(&others);
        self.pass(state, number, to);
    }
}

fn current() -> Option<(Arc<Turns>, usize)> {
    CURRENT.with(|current| current.borrow().clone())
}

/// Counts an operation, before which the turn may pass to another thread. Does nothing on a thread
/// that is not simulated.
pub fn step() {
    if let Some((turns, number)) = current() {
        turns.step(number);
    }
}

/// Passes the turn to another thread.
pub fn let_others_run() {
    if let Some((turns, number)) = current() {
        turns.let_others_run(number);
    }
}

pub fn message_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}
