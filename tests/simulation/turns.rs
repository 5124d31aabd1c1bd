//! Threads that run one at a time, in an order that a seed decides.
//!
//! Every thread of a simulated process is a thread of the operating system that waits for its turn.
//! At each step (an operation on the directory) the one whose turn it is goes on or passes the turn,
//! by a random number. So a run is the same each time, although the code under test is the real one.
//! A thread can also sleep for some steps of the others: readers come back later, and an operation
//! takes long, as the upload of an object does.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::random::Random;

/// More steps than any run takes: behind them, a run hangs.
const MAX_STEPS: u64 = 400_000;
/// More time than any run takes, also on a machine that does other work.
const MAX_TIME: Duration = Duration::from_secs(120);
/// Max numbers of steps for which a process sleeps before it goes on.
pub const PAUSES: [u64; 3] = [1, 20, 200];
/// One operation in 64 is slow, and one upload in 4.
const SLOW_ONES: u64 = 64;
const SLOW_UPLOADS: u64 = 4;
/// The max number of steps of other threads during a slow operation.
const SLOW: u64 = 200;
/// The max patience before an operation whose effect others see at once.
const PATIENCE_WHEN_CRITICAL: u64 = 3;

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
    /// The steps, and those that passed while all slept.
    now: u64,
    /// What the first thread that panicked said.
    panic: Option<String>,
}

#[derive(Debug)]
struct Thread {
    has_ended: bool,
    /// It gets no turn before this time. If all sleep, the time moves on to the first that wakes.
    sleeps_until: u64,
    wake: Arc<Condvar>,
}

impl State {
    fn running(&self) -> Vec<usize> {
        let threads = self.threads.iter().enumerate();
        let running = threads.filter(|(_, thread)| !thread.has_ended);
        running.map(|(number, _)| number).collect()
    }

    /// A thread that can go on now, other than `without`; if all sleep, the first to wake.
    fn pick(&mut self, without: Option<usize>) -> Option<usize> {
        let mut running = self.running();
        running.retain(|thread| Some(*thread) != without);
        let is_awake = |thread: &usize| self.threads[*thread].sleeps_until <= self.now;
        let awake: Vec<usize> = running.iter().copied().filter(is_awake).collect();
        if !awake.is_empty() {
            return Some(self.random.pick(&awake));
        }
        let first = running
            .into_iter()
            .min_by_key(|thread| self.threads[*thread].sleeps_until)?;
        self.now = self.now.max(self.threads[first].sleeps_until);
        Some(first)
    }

    fn count_step(&mut self) {
        self.steps += 1;
        self.now += 1;
        assert!(self.steps < MAX_STEPS, "the run does not end");
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
            now: 0,
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
            sleeps_until: 0,
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
        let first = state.pick(None);
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

    /// The time of the simulation, in steps.
    pub fn now(&self) -> u64 {
        self.lock().now
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
        let next = state.pick(None);
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

    fn step(&self, number: usize, is_critical: bool) {
        let mut state = self.lock();
        state.count_step();
        let mut patience = state.patience;
        if is_critical {
            patience = patience.min(PATIENCE_WHEN_CRITICAL);
        }
        if state.random.chance(SLOW_ONES) {
            self.sleep(state, number, SLOW);
        } else if state.random.chance(patience)
            && let Some(to) = state.pick(None)
        {
            self.pass(state, number, to);
        }
    }

    /// Lets the others go on, for a random number of steps below `end`.
    fn sleep(&self, mut state: MutexGuard<'_, State>, number: usize, end: u64) {
        let until = state.now + state.random.below(end);
        state.threads[number].sleeps_until = until;
        if let Some(to) = state.pick(None) {
            self.pass(state, number, to);
        }
    }

    fn let_others_run(&self, number: usize) {
        let mut state = self.lock();
        state.count_step();
        let to = state.pick(Some(number));
        let to = to.expect("a thread waits for one that has ended");
        self.pass(state, number, to);
    }
}

fn current() -> Option<(Arc<Turns>, usize)> {
    CURRENT.with(|current| current.borrow().clone())
}

/// Counts an operation, before which the turn may pass to another thread. Does nothing on a thread
/// that is not simulated. Others see at once what a critical operation does, so the turn passes
/// more often.
pub fn step(is_critical: bool) {
    if let Some((turns, number)) = current() {
        turns.step(number, is_critical);
    }
}

/// Sleeps for a random number of steps below `end`.
pub fn sleep(end: u64) {
    if let Some((turns, number)) = current() {
        turns.sleep(turns.lock(), number, end);
    }
}

/// Waits while an object is sent.
pub fn upload() {
    if let Some((turns, number)) = current() {
        let mut state = turns.lock();
        if state.random.chance(SLOW_UPLOADS) {
            turns.sleep(state, number, SLOW);
        }
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
