//! Jobs shared by workers, such as the streams of a backend, each on a thread of its own.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::Result;

/// Runs the jobs `0..count`, each on the worker that is free next, and returns their results in
/// order.
///
/// The caller's thread is one of the workers; with one worker or one job no thread is started.
///
/// # Errors
///
/// The error of the failed job with the lowest number; jobs that have not started by then are not
/// run.
pub(super) fn on_workers<W: Sync, R: Send>(
    workers: &[W],
    count: usize,
    job: impl Fn(&W, usize) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let take = |worker: &W| {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return done;
            }
            let result = job(worker, number);
            if result.is_err() {
                // The counter is beyond the last job, so that no worker takes another one.
                next.fetch_max(count, Ordering::Relaxed);
            }
            done.push((number, result));
        }
    };
    let mut done = Vec::with_capacity(count);
    if let Some((own, others)) = workers.split_first() {
        let others = &others[..others.len().min(count.saturating_sub(1))];
        thread::scope(|scope| {
            let take = &take;
            let others: Vec<_> = others
                .iter()
                .map(|worker| scope.spawn(move || take(worker)))
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
    fn results_are_in_the_order_of_jobs_for_any_number_of_workers() {
        for workers in 1..5 {
            let workers = vec![(); workers];
            let squares = on_workers(&workers, 50, |(), number| Ok(number * number)).unwrap();
            let expected: Vec<usize> = (0..50).map(|number| number * number).collect();
            assert_eq!(squares, expected);
        }
    }

    #[test]
    fn every_worker_has_its_own_thread_and_the_caller_is_one() {
        let barrier = Barrier::new(3);
        let threads = Mutex::new(HashSet::new());
        on_workers(&[(); 3], 3, |(), _| {
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
    fn one_worker_or_one_job_starts_no_thread() {
        let own = thread::current().id();
        for (workers, jobs) in [(1, 9), (4, 1)] {
            let ids = on_workers(&vec![(); workers], jobs, |(), _| Ok(thread::current().id()));
            assert!(ids.unwrap().iter().all(|id| *id == own));
        }
    }

    #[test]
    fn the_first_error_comes_back_and_ends_the_work() {
        let begun = AtomicUsize::new(0);
        let error = on_workers(&[(); 2], 10_000, |(), number| {
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
