//! The parameters of BM25, which a text field has and a query may set.

use super::lengths;
use crate::error::{Error, Result};

/// The parameters of BM25: term frequency saturates with k1, length counts as much as b says.
///
/// Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bm25 {
    /// At least 0; 0 makes every frequency count as 1.
    pub k1: f32,
    /// From 0 (length does not count) to 1.
    pub b: f32,
}

impl Default for Bm25 {
    /// k1 = 0.9, b = 0.4: what the retrieval literature uses for passages.
    fn default() -> Self {
        Self { k1: 0.9, b: 0.4 }
    }
}

impl Bm25 {
    pub(crate) fn check(self) -> Result<()> {
        if !(self.k1.is_finite() && self.k1 >= 0.0) {
            let message = format!(
                "expected k1 to be a number of at least 0, found {}",
                self.k1
            );
            return Err(Error::invalid(message));
        }
        if !(0.0..=1.0).contains(&self.b) {
            let message = format!("expected b from 0 to 1, found {}", self.b);
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    /// For each length code 1 / (k1 · (1 - b + b · length / average)): what a frequency is
    /// multiplied by.
    pub fn norms(self, average_length: f32) -> [f32; 256] {
        lengths::TABLE.map(|length| {
            // The max length is 31,744, so the conversion is exact.
            let share = length as f32 / average_length;
            1.0 / (self.k1 * (1.0 - self.b + self.b * share))
        })
    }
}
