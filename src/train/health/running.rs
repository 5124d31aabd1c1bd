//! The running median of a value, which outliers do not enter.

use serde::{Deserialize, Serialize};

use super::MIN_RECORDS;

/// The last values that were not far above the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Running {
    /// The oldest first.
    #[serde(with = "crate::train::exact")]
    values: Vec<f64>,
    /// The median of the first [`MIN_RECORDS`] values of the run; 0 before.
    #[serde(with = "crate::train::exact")]
    start: f64,
}

impl Running {
    /// Takes a value, and returns the median if the value is above `limit` of the median.
    pub fn observe(
        &mut self,
        value: f64,
        window: usize,
        limit: impl Fn(f64) -> f64,
    ) -> Option<f64> {
        if self.values.len() >= MIN_RECORDS.min(window.max(1)) {
            let median = median(&self.values);
            if value > limit(median) {
                return Some(median);
            }
        }
        self.values.push(value);
        if self.start == 0.0 && self.values.len() == MIN_RECORDS.min(window.max(1)) {
            self.start = median(&self.values);
        }
        let surplus = self.values.len().saturating_sub(window.max(1));
        self.values.drain(..surplus);
        None
    }

    /// The median of the first values of the run.
    pub fn start(&self) -> f64 {
        self.start
    }
}

/// The upper median of at least one value.
fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
