//! How long single queries take, as applications ask them: one after another.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use esparsa::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::output_file::OutputFile;

/// The times of some queries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timings {
    pub queries: usize,
    pub mean_ms: f64,
    pub p50_ms: f64,
    /// The time that at most 1 % of the queries exceed.
    pub p99_ms: f64,
    /// Mean number of terms of the queries' vectors, if they have such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub query_terms: Option<f64>,
    /// In the order of the file.
    pub each_ms: Vec<f64>,
}

impl Timings {
    /// What can be said of these times.
    pub fn new(times: &[Duration], query_terms: Option<f64>) -> Self {
        let each_ms: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        let mut sorted = each_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (sorted.len() as f64 * share).ceil() as usize;
            sorted.get(rank.max(1) - 1).copied().unwrap_or_default()
        };
        Self {
            queries: sorted.len(),
            mean_ms: sorted.iter().sum::<f64>() / sorted.len().max(1) as f64,
            p50_ms: at(0.5),
            p99_ms: at(0.99),
            query_terms,
            each_ms,
        }
    }

    /// Writes them to a file, in JSON.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], and what [`OutputFile::create`] gives.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut output = OutputFile::create(Some(path))?;
        let failed = |source| Error::io(path, "write", source);
        let text = serde_json::to_string(self).map_err(|error| failed(error.into()))?;
        writeln!(output, "{text}").map_err(failed)?;
        output.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times: Vec<Duration> = (1..=200).rev().map(Duration::from_millis).collect();
        let timings = Timings::new(&times, None);
        assert_eq!((timings.queries, timings.mean_ms), (200, 100.5));
        assert_eq!((timings.p50_ms, timings.p99_ms), (100.0, 198.0));
        assert_eq!(timings.each_ms[0], 200.0);
        let one = Timings::new(&times[..1], Some(3.0));
        assert_eq!((one.p50_ms, one.p99_ms), (200.0, 200.0));
        assert_eq!(Timings::new(&[], None).mean_ms, 0.0);
    }
}
