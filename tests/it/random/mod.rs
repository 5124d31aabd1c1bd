//! Random numbers from a seed, and tests that repeat with many seeds.

mod generator;

use std::sync::atomic::{AtomicU64, Ordering};

pub use generator::Random;

/// Calls `check` with consecutive seeds on all cores. `ESPARSA_ORACLE_CASES` sets their number
/// instead of `cases`, `ESPARSA_ORACLE_SEED` the first of them, which is 1 by default.
pub fn check_seeds(cases: u64, check: impl Fn(u64) + Sync) {
    let number = |name: &str, default| std::env::var(name).map_or(default, |v| v.parse().unwrap());
    let cases = number("ESPARSA_ORACLE_CASES", cases);
    let first = number("ESPARSA_ORACLE_SEED", 1);
    on_all_cores(first..first + cases, check);
    println!("{cases} cases, seeds from {first}");
}

/// Calls `work` with each of the numbers, on all cores.
pub fn on_all_cores(numbers: std::ops::Range<u64>, work: impl Fn(u64) + Sync) {
    let next = AtomicU64::new(numbers.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    match next.fetch_add(1, Ordering::Relaxed) {
                        number if number < numbers.end => work(number),
                        _ => return,
                    }
                }
            });
        }
    });
}
