//! Learning rates over the steps of a training run.

use crate::error::{Error, Result};

/// What the learning rate does after warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Decay {
    /// It stays.
    Constant,
    /// It falls to 0 at the last step, in a line.
    #[default]
    Linear,
    /// It falls to 0 at the last step, along half a period of a cosine.
    Cosine,
}

/// The factor of the learning rate at each step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    warm_up: u64,
    steps: u64,
    decay: Decay,
}

impl Schedule {
    /// A schedule of `steps` steps, of which the first `warm_up` rise from 0 in a line.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when warm-up is longer than the run.
    pub fn new(steps: u64, warm_up: u64, decay: Decay) -> Result<Self> {
        if warm_up > steps {
            return Err(Error::invalid(format!(
                "expected a warm-up of at most the {steps} steps of the run, found {warm_up} steps"
            )));
        }
        Ok(Self {
            warm_up,
            steps,
            decay,
        })
    }

    /// The factor at a step, counted from 1. The first step of a warm-up of n has 1/n; the last step
    /// of a decay is above 0.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return step as f64 / self.warm_up as f64;
        }
        let (done, rest) = (step - self.warm_up, self.steps - self.warm_up);
        let share = done as f64 / (rest + 1) as f64;
        match self.decay {
            Decay::Constant => 1.0,
            Decay::Linear => (1.0 - share).max(0.0),
            Decay::Cosine => (1.0 + (std::f64::consts::PI * share.min(1.0)).cos()) / 2.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warm_up_rises_and_decay_falls() {
        for (decay, middle) in [
            (Decay::Constant, 1.0),
            (Decay::Linear, 0.5),
            (Decay::Cosine, 0.5),
        ] {
            let schedule = Schedule::new(109, 10, decay).unwrap();
            assert_eq!(schedule.factor(1), 0.1);
            assert_eq!(schedule.factor(10), 1.0);
            assert!((schedule.factor(60) - middle).abs() < 1e-9, "{decay:?}");
            let factors: Vec<f64> = (10..=109).map(|step| schedule.factor(step)).collect();
            assert!(factors.windows(2).all(|pair| pair[0] >= pair[1]));
            assert!(factors.iter().all(|factor| *factor > 0.0));
        }
    }

    #[test]
    fn a_warm_up_longer_than_the_run_is_refused() {
        assert!(Schedule::new(5, 6, Decay::Linear).is_err());
        assert_eq!(Schedule::new(5, 0, Decay::Constant).unwrap().factor(1), 1.0);
    }
}
