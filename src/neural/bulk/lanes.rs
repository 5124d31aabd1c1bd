//! Jobs shared by the lanes of a backend, each lane on a thread of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::Result;

/// Does the jobs `0..count`, each on the lane that is free next, and returns what they gave in order.
///
/// The caller's thread is one of the lanes; with one lane or one job no thread is started.
///
/// # Errors
///
/// The error of the first job that failed; jobs that were not begun by then are left undone.
pub(super) fn on_lanes<L: Sync, R: Send>(
    lanes: &[L],
    count: usize,
    job: impl Fn(&L, usize) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let take = |lane: &L| {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return done;
            }
            let result = job(lane, number);
            if result.is_err() {
                // Nobody takes another one.
                next.fetch_max(count, Ordering::Relaxed);
            }
            done.push((number, result));
        }
    };
    let mut done = Vec::with_capacity(count);
    if let Some((own, others)) = lanes.split_first() {
        let others = &others[..others.len().min(count.saturating_sub(1))];
        thread::scope(|scope| {
            let take = &take;
            let others: Vec<_> = others
                .iter()
                .map(|lane| scope.spawn(move || take(lane)))
                .collect();
            done.extend(take(own));
            for other in others {
                match other.join() {
                    Ok(results) => done.extend(results),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
    }
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::{Barrier, Mutex};

    use super::*;
    use crate::error::Error;

    #[test]
    fn results_are_in_the_order_of_jobs_whatever_the_lanes() {
        for lanes in 1..5 {
            let lanes = vec![(); lanes];
            let squares = on_lanes(&lanes, 50, |(), number| Ok(number * number)).unwrap();
            let expected: Vec<usize> = (0..50).map(|number| number * number).collect();
            assert_eq!(squares, expected);
        }
    }

    #[test]
    fn every_lane_has_its_own_thread_and_the_caller_is_one() {
        let barrier = Barrier::new(3);
        let threads = Mutex::new(HashSet::new());
        on_lanes(&[(); 3], 3, |(), _| {
            // Three jobs that wait for each other need three threads.
            barrier.wait();
            threads.lock().unwrap().insert(thread::current().id());
            Ok(())
        })
        .unwrap();
        let threads = threads.into_inner().unwrap();
        assert_eq!(threads.len(), 3);
        assert!(threads.contains(&thread::current().id()));
    }

    #[test]
    fn one_lane_or_one_job_starts_no_thread() {
        let own = thread::current().id();
        for (lanes, jobs) in [(1, 9), (4, 1)] {
            let ids = on_lanes(&vec![(); lanes], jobs, |(), _| Ok(thread::current().id()));
            assert!(ids.unwrap().iter().all(|id| *id == own));
        }
    }

    #[test]
    fn the_first_error_comes_back_and_ends_the_work() {
        let begun = AtomicUsize::new(0);
        let error = on_lanes(&[(); 2], 10_000, |(), number| {
            begun.fetch_add(1, Ordering::Relaxed);
            match number {
                3.. => Err(Error::invalid(format!("job {number}"))),
                _ => Ok(()),
            }
        });
        assert_eq!(error.unwrap_err().to_string(), "job 3");
        assert!(begun.into_inner() < 10_000);
    }
}
