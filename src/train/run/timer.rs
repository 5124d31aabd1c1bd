//! How long steps take, and how long the rest of a run will.

use std::time::Instant;

/// Times steps, and estimates what is left.
pub(super) struct Timer {
    last: Instant,
    /// Seconds of steps in this part of the run, evaluations left out, and the share of the run at
    /// its begin.
    seconds: f64,
    first_share: Option<f64>,
}

impl Timer {
    pub(super) fn new() -> Self {
        Self {
            last: Instant::now(),
            seconds: 0.0,
            first_share: None,
        }
    }

    /// Seconds since the last lap.
    pub(super) fn lap(&mut self) -> f64 {
        let seconds = self.last.elapsed().as_secs_f64();
        self.last = Instant::now();
        self.seconds += seconds;
        seconds
    }

    /// Leaves out what was not a step.
    pub(super) fn skip(&mut self) {
        self.last = Instant::now();
    }

    /// Seconds to the end, when a share of the run is done.
    pub(super) fn left(&mut self, share: f64, of_step: f64) -> f64 {
        let first = *self.first_share.get_or_insert(share - of_step);
        self.seconds / (share - first).max(1e-12) * (1.0 - share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_was_done() {
        let mut timer = Timer::new();
        timer.seconds = 10.0;
        // A quarter of the run was done before this part, and a half in ten seconds.
        assert!((timer.left(0.5, 0.25) - 20.0).abs() < 1e-9);
        timer.seconds = 20.0;
        assert!((timer.left(0.75, 0.25) - 10.0).abs() < 1e-9);
        assert_eq!(timer.left(1.0, 0.25), 0.0);
    }
}
