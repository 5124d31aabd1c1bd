//! The time that one round of queries takes.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use esparsa::{Query, Result, SearchOptions, Snapshot};

/// TextTable of one round; times are those of single queries.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// Mean in milliseconds.
    pub mean_ms: f64,
    /// Half of the queries take no longer.
    pub p50_ms: f64,
    /// 95 of 100 queries take no longer.
    pub p95_ms: f64,
    /// 99 of 100 queries take no longer.
    pub p99_ms: f64,
    /// Queries of all threads, by the time from the start of the first to the end of the last.
    pub queries_per_second: f64,
}

/// Searches with every query once, on `threads` threads that take queries from one list.
///
/// # Errors
///
/// That of a query that fails.
pub fn time_round(
    snapshot: &Snapshot,
    queries: &[Query],
    options: &SearchOptions,
    threads: usize,
) -> Result<Timing> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<f64>> {
        let mut times_ms = Vec::with_capacity(queries.len() / threads + 1);
        while let Some(query) = queries.get(next.fetch_add(1, Ordering::Relaxed)) {
            let started = Instant::now();
            let found = snapshot.search_with(black_box(query), options)?;
            // Ids count: who searches wants them.
            black_box(found.hits.ids()?);
            times_ms.push(started.elapsed().as_secs_f64() * 1e3);
        }
        Ok(times_ms)
    };
    let started = Instant::now();
    let times_ms = if threads <= 1 {
        work()?
    } else {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let mut all = Vec::with_capacity(queries.len());
            for worker in workers {
                match worker.join() {
                    Ok(times) => all.extend(times?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok::<_, esparsa::Error>(all)
        })?
    };
    Ok(figures(times_ms, started.elapsed().as_secs_f64()))
}

fn figures(mut times_ms: Vec<f64>, seconds: f64) -> Timing {
    times_ms.sort_unstable_by(f64::total_cmp);
    let count = times_ms.len() as f64;
    Timing {
        mean_ms: times_ms.iter().sum::<f64>() / count,
        p50_ms: percentile(&times_ms, 50),
        p95_ms: percentile(&times_ms, 95),
        p99_ms: percentile(&times_ms, 99),
        queries_per_second: count / seconds,
    }
}

/// The smallest of the sorted values that at least `percent` of 100 values do not exceed; 0 when
/// there is none.
fn percentile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
}

/// The middle value, or the mean of the two in the middle; 0 when there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle)) {
        (_, None) => 0.0,
        (1, Some(value)) => *value,
        (_, Some(value)) => (values[middle - 1] + value) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let hundred: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(
            [50, 95, 99].map(|p| percentile(&hundred, p)),
            [50.0, 95.0, 99.0]
        );
        assert_eq!(
            [50, 95, 99].map(|p| percentile(&[1.0, 2.0, 3.0], p)),
            [2.0, 3.0, 3.0]
        );
        assert_eq!(percentile(&[7.0], 50), 7.0);
        assert_eq!(percentile(&[], 50), 0.0);
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), 3.0);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn figures_come_from_unsorted_times() {
        let timing = figures(vec![4.0, 1.0, 1.0, 2.0], 0.5);
        let expected = Timing {
            mean_ms: 2.0,
            p50_ms: 1.0,
            p95_ms: 4.0,
            p99_ms: 4.0,
            queries_per_second: 8.0,
        };
        assert_eq!(timing, expected);
    }
}
