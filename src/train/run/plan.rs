//! How many steps a run has, and what happens after which.

use crate::error::{Error, Result};
use crate::train::options::TrainOptions;
use crate::train::schedule::Schedule;

/// Steps of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plan {
    /// All steps.
    pub steps: u64,
    /// Steps between evaluations.
    pub evaluate_every: u64,
    /// Steps between checkpoints.
    pub save_every: u64,
    /// Steps over which the factors of regularizers rise.
    pub lambda_steps: u64,
    /// The learning rate over the steps.
    pub schedule: Schedule,
    /// Seconds after which the run ends.
    pub seconds: Option<f64>,
}

impl Plan {
    /// The plan of a run over `examples` examples.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a run without a step.
    pub fn new(options: &TrainOptions, examples: u64) -> Result<Self> {
        let of_step = options.batch as u64 * options.accumulate;
        let steps = options.steps.unwrap_or_else(|| {
            (options.epochs * examples as f64 / of_step.max(1) as f64).ceil() as u64
        });
        if steps == 0 {
            return Err(Error::invalid(format!(
                "expected a run of at least one step, found none: there are {examples} examples"
            )));
        }
        let or = |given: u64, default: u64| if given == 0 { default.max(1) } else { given };
        let evaluate_every = or(options.evaluate_every, steps / 10);
        let warm_up = ((steps as f64 * options.warm_up) as u64).min(steps);
        Ok(Self {
            steps,
            evaluate_every,
            save_every: or(options.save_every, evaluate_every),
            lambda_steps: or(options.lambda_steps, steps / 3),
            schedule: Schedule::new(steps, warm_up, options.schedule)?,
            seconds: options.seconds,
        })
    }

    /// The share of the run that is done after `step` steps and some seconds: that of the steps or of
    /// the time, whichever is more.
    pub fn share(&self, step: u64, seconds: f64) -> f64 {
        let of_steps = step as f64 / self.steps as f64;
        let of_time = self.seconds.map_or(0.0, |limit| seconds / limit.max(1e-9));
        of_steps.max(of_time).min(1.0)
    }

    /// The step whose learning rate a step has: a run that is limited by time decays by time.
    pub fn scheduled_step(&self, step: u64, seconds: f64) -> u64 {
        let share = self.share(step.saturating_sub(1), seconds);
        step.max((share * self.steps as f64) as u64)
            .clamp(1, self.steps)
    }

    /// True after the last step.
    pub fn is_done(&self, step: u64, seconds: f64) -> bool {
        step >= self.steps || self.seconds.is_some_and(|limit| seconds >= limit)
    }

    /// True if the model is evaluated after a step.
    pub fn evaluates_after(&self, step: u64) -> bool {
        step.is_multiple_of(self.evaluate_every)
    }

    /// True if a checkpoint is written after a step.
    pub fn saves_after(&self, step: u64) -> bool {
        step.is_multiple_of(self.save_every)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> TrainOptions {
        TrainOptions {
            batch: 10,
            accumulate: 2,
            epochs: 1.5,
            ..TrainOptions::default()
        }
    }

    #[test]
    fn steps_follow_from_epochs_or_are_given() {
        let plan = Plan::new(&options(), 2_001).unwrap();
        assert_eq!(plan.steps, 151);
        assert_eq!((plan.evaluate_every, plan.save_every), (15, 15));
        assert_eq!(plan.lambda_steps, 50);
        assert!(plan.evaluates_after(30) && !plan.evaluates_after(31));
        let mut given = options();
        given.steps = Some(3);
        let plan = Plan::new(&given, 2_001).unwrap();
        assert_eq!((plan.steps, plan.evaluate_every), (3, 1));
        assert!(Plan::new(&options(), 0).is_err());
    }

    #[test]
    fn a_run_that_is_limited_by_time_decays_by_time() {
        let mut limited = options();
        (limited.steps, limited.seconds) = (Some(1_000), Some(60.0));
        let plan = Plan::new(&limited, 10).unwrap();
        assert_eq!(plan.scheduled_step(1, 0.0), 1);
        assert_eq!(plan.scheduled_step(10, 30.0), 500);
        assert_eq!(plan.scheduled_step(600, 30.0), 600);
        assert!(!plan.is_done(10, 59.0));
        assert!(plan.is_done(10, 60.0) && plan.is_done(1_000, 1.0));
    }
}
