//! Random numbers from a seed, and tests that repeat with many seeds.

mod generator;

pub use generator::Random;

/// Calls `check` with consecutive seeds on all cores. `ESPARSA_ORACLE_CASES` sets their number
/// instead of `cases`, `ESPARSA_ORACLE_SEED` the first of them, which is 1 by default.
pub fn check_seeds(cases: u64, check: impl Fn(u64) + Sync) {
    let number = |name: &str, default| std::env::var(name).map_or(default, |v| v.parse().unwrap());
    let cases = number("ESPARSA_ORACLE_CASES", cases);
    let first = number("ESPARSA_ORACLE_SEED", 1);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let check = &check;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || {
                (first + thread..first + cases)
                    .step_by(threads as usize)
                    .for_each(check)
            });
        }
    });
    println!("{cases} cases, seeds from {first}");
}
