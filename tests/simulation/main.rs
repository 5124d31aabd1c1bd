//! A machine, its disk, and processes that use one index, simulated from a seed.
//!
//! Writers do random things, readers look at what is there, background jobs run when a random number
//! says so, operations fail, processes are killed, and the machine loses power. A model in memory
//! says what must be found: what was committed, or what is being committed, and nothing else. The
//! engine is the real one, with its threads; only the directory and the executor are simulated. So a
//! run is the same for the same seed, and a failure is repeated by it:
//!
//! ```sh
//! cargo test --release --test simulation                                   # all of it, briefly
//! cargo test --release --test simulation -- --runs 1000000                 # more runs
//! cargo test --release --test simulation -- --runs 0 --ways 64             # the fixed work alone
//! cargo test --release --test simulation -- --first 4711 --runs 1 --trace  # one seed
//! ```

mod backup;
mod directory;
mod disk;
mod documents;
mod executor;
mod exhaustive;
mod files;
mod model;
mod planted;
#[path = "../it/random/generator.rs"]
mod random;
mod reader;
mod run;
mod session;
mod turns;
mod world;
mod writer;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use exhaustive::Cases;
use planted::Planted;
use run::Summary;
use world::Medium;

/// Runs without an argument.
const RUNS: u64 = 2_000;
/// Ways to lose power at each operation without an argument.
const WAYS: u64 = 2;
/// Runs in which a planted fault must be found.
const RUNS_FOR_PLANTED: u64 = 2_000;

#[derive(Clone, Copy, Debug)]
struct Options {
    first: u64,
    runs: u64,
    /// Ways to lose power at each operation of the fixed work.
    ways: u64,
    /// Also look for planted faults.
    plants: bool,
}

fn options() -> Result<Options, String> {
    let mut options = Options {
        first: 1,
        runs: RUNS,
        ways: WAYS,
        plants: true,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = |value: Option<String>| {
            let value = value.unwrap_or_default();
            let parsed = value.replace('_', "").parse::<u64>();
            parsed.map_err(|_| format!("expected a number after {argument}, found `{value}`"))
        };
        match argument.as_str() {
            "--first" => options.first = number(arguments.next())?,
            "--runs" => {
                options.runs = number(arguments.next())?;
                (options.plants, options.ways) = (false, 0);
            }
            "--ways" => options.ways = number(arguments.next())?,
            "--trace" => world::IS_TRACED.store(true, Ordering::Relaxed),
            // What `cargo test` passes to the harness of other tests means nothing here.
            _ => {}
        }
    }
    Ok(options)
}

/// Runs seeds on all cores until one fails; returns it with its message, or what all did together.
fn run_seeds(first: u64, runs: u64, planted: Option<Planted>) -> Result<Summary, (u64, String)> {
    let next = AtomicU64::new(first);
    let total = Mutex::new(Summary::default());
    let failure: Mutex<Option<(u64, String)>> = Mutex::default();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + runs || failure.lock().expect("no panic").is_some() {
                return;
            }
            match run_one(seed, planted) {
                Ok(summary) => {
                    let mut total = total.lock().expect("no panic");
                    total.steps += summary.steps;
                    total.commits += summary.commits;
                    total.power_losses += summary.power_losses;
                }
                Err(message) => {
                    let mut failure = failure.lock().expect("no panic");
                    if failure.as_ref().is_none_or(|(other, _)| seed < *other) {
                        *failure = Some((seed, message));
                    }
                }
            }
        }
    };
    on_all_cores(work);
    match failure.into_inner().expect("no panic") {
        Some(failure) => Err(failure),
        None => Ok(total.into_inner().expect("no panic")),
    }
}

fn run_one(seed: u64, planted: Option<Planted>) -> Result<Summary, String> {
    let outcome = catch_unwind(AssertUnwindSafe(|| run::run(seed, planted)));
    outcome.unwrap_or_else(|panic| Err(turns::message_of(&*panic)))
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let start = Instant::now();
    match run_seeds(options.first, options.runs, None) {
        Ok(total) => println!(
            "simulation: {} runs from seed {}, {} operations, {} commits, {} power losses, {:.1} s",
            options.runs,
            options.first,
            total.steps,
            total.commits,
            total.power_losses,
            start.elapsed().as_secs_f64()
        ),
        Err((seed, message)) => {
            eprintln!("seed {seed}: {message}");
            eprintln!(
                "repeat it: cargo test --release --test simulation -- --first {seed} --runs 1"
            );
            return ExitCode::FAILURE;
        }
    }
    if let Err(message) = check_every_fault(options.ways) {
        eprintln!("{message}");
        return ExitCode::FAILURE;
    }
    if options.plants && !finds_planted_faults() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Every fault at every operation of a fixed piece of work.
fn check_every_fault(ways: u64) -> Result<(), String> {
    let (start, cases) = (Instant::now(), Cases::default());
    for medium in [Medium::Links, Medium::Renames, Medium::Objects] {
        if ways > 0 {
            count_up(|at| exhaustive::check(medium, at, ways, &cases))?;
            count_up(|room| exhaustive::fill_disk(medium, room, &cases))?;
        }
    }
    if ways > 0 {
        println!(
            "simulation: {cases:?} of a fixed work, {:.1} s",
            start.elapsed().as_secs_f64()
        );
    }
    Ok(())
}

/// Calls `check` on all cores with 0, 1, 2 and so on until it returns false.
fn count_up(check: impl Fn(u64) -> bool + Sync) -> Result<(), String> {
    let next = AtomicU64::new(0);
    let failure: Mutex<Option<String>> = Mutex::default();
    on_all_cores(|| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let outcome = catch_unwind(AssertUnwindSafe(|| check(number)));
            match outcome {
                Ok(true) if failure.lock().expect("no panic").is_none() => {}
                Ok(_) => return,
                Err(panic) => {
                    let message = format!("case {number}: {}", turns::message_of(&*panic));
                    *failure.lock().expect("no panic") = Some(message);
                    return;
                }
            }
        }
    });
    failure.into_inner().expect("no panic").map_or(Ok(()), Err)
}

fn on_all_cores(work: impl Fn() + Sync) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(&work);
        }
    });
}

/// Each planted fault must be found, or the simulation is blind to the like.
fn finds_planted_faults() -> bool {
    // The panics are what is looked for.
    std::panic::set_hook(Box::new(|_| {}));
    let mut finds_all = true;
    for planted in Planted::ALL {
        match run_seeds(1, RUNS_FOR_PLANTED, Some(planted)) {
            Err((seed, message)) => {
                let message = message.lines().next().unwrap_or_default();
                println!("simulation: {planted:?} found by seed {seed}: {message:.120}");
            }
            Ok(_) => {
                eprintln!("simulation: {planted:?} was not found in {RUNS_FOR_PLANTED} runs");
                finds_all = false;
            }
        }
    }
    finds_all
}
