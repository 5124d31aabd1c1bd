//! Latencies of a search driver: one pass to warm, then passes of which each query's fastest counts.

use std::time::Instant;

use serde_json::{Value, json};

use crate::Result;

/// What was measured of a list of queries.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// The least time of each query, in microseconds.
    pub fastest: Vec<f64>,
    /// The mean of each pass, in microseconds.
    pub passes: Vec<f64>,
    /// The first search after opening, in microseconds.
    pub first_query: f64,
}

impl Latencies {
    /// Runs all queries `rounds` + 1 times; `found` gets what the first pass returned.
    ///
    /// # Errors
    ///
    /// The first of the searches, or of `found`.
    pub fn measure<Q, F>(
        queries: &[Q],
        rounds: usize,
        mut search: impl FnMut(&Q) -> Result<F>,
        mut found: impl FnMut(usize, F) -> Result<()>,
    ) -> Result<Self> {
        let mut latencies = Self {
            fastest: vec![f64::INFINITY; queries.len()],
            ..Self::default()
        };
        for round in 0..=rounds {
            let mut sum = 0.0;
            for (place, query) in queries.iter().enumerate() {
                let start = Instant::now();
                let result = search(query)?;
                let time = start.elapsed().as_secs_f64() * 1e6;
                if round == 0 {
                    if place == 0 {
                        latencies.first_query = time;
                    }
                    found(place, result)?;
                } else {
                    sum += time;
                    latencies.fastest[place] = latencies.fastest[place].min(time);
                }
            }
            if round > 0 {
                latencies.passes.push(sum / queries.len() as f64);
            }
        }
        Ok(latencies)
    }

    /// The fields of the report.
    pub fn report(&self) -> Value {
        let mut sorted = self.fastest.clone();
        sorted.sort_by(f64::total_cmp);
        let rounded = |time: f64| (time * 1e3).round() / 1e3;
        let passes: Vec<f64> = self.passes.iter().map(|mean| rounded(*mean)).collect();
        json!({
            "mean_us": rounded(sorted.iter().sum::<f64>() / sorted.len() as f64),
            "p50_us": rounded(quantile(&sorted, 0.50)),
            "p99_us": rounded(quantile(&sorted, 0.99)),
            "passes_us": passes,
            "first_query_us": rounded(self.first_query),
        })
    }
}

/// The least value that a share of the values does not exceed.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = (share * sorted.len() as f64).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

/// The most memory that the process has had, in bytes, where the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_occur() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile(&sorted, 0.5), 2.0);
        assert_eq!(quantile(&sorted, 0.99), 4.0);
        assert_eq!(quantile(&sorted, 0.0), 1.0);
    }

    #[test]
    fn the_first_pass_is_found_and_not_timed() {
        let (mut searches, mut found) = (0, Vec::new());
        let search = |query: &u32| {
            searches += 1;
            Ok(query * 2)
        };
        let keep = |place, result| {
            found.push((place, result));
            Ok(())
        };
        let latencies = Latencies::measure(&[5, 7], 3, search, keep).unwrap();
        assert_eq!((searches, found), (8, vec![(0, 10), (1, 14)]));
        assert_eq!(latencies.passes.len(), 3);
        assert!(latencies.fastest.iter().all(|time| time.is_finite()));
    }

    #[test]
    fn memory_is_told() {
        assert!(peak_memory().is_some_and(|bytes| bytes > 100_000));
    }
}
