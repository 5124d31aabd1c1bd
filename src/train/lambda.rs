//! The factor λ of a regularizer over the steps of a run: fixed, or steered to a target number of
//! active terms.
//!
//! How many terms a given λ leaves active depends on the model, the data, the loss and the scale of
//! the head; finding it by hand costs several runs. With a target, a controller finds it within the
//! first third of a run. It works on logarithms, in which the response of a model is close to a line:
//! with a the active terms (smoothed), t the target and e = ln(a / t), each step does
//!
//! ```text
//! ln λ += share · 2 · Δ ln a + bounded(e) / 50
//! ```
//!
//! The second summand, an integral, removes the error. Alone it would overshoot: the vectors follow λ
//! with a lag of tens to hundreds of steps, in which λ goes on rising. The first, a proportional
//! summand, takes λ back while the active terms fall. With a lag of L steps and a response of
//! a ~ λ^-s, this loop does not oscillate for any s if L is at most 100 (50 steps times the factor 2),
//! and its oscillation decays quickly for lags several times as long; the tests simulate s from 0.2 to
//! 2 and lags from 3 to 300 steps.
//!
//! Too few active terms are worse than too many, because a term that is inactive everywhere has no
//! gradient and does not return. Hence an error below the target counts up to e³, one above up to e,
//! and while the ramp goes on (`share` below 1, see [`lambda_at`]) λ rises in proportion to it, but
//! falls at full speed.

use serde::{Deserialize, Serialize};

use super::loss::lambda_at;
use crate::error::{Error, Result};

/// Steps of the mean of the active terms that the controller sees: a batch has a noise of 5 to 20 %.
const SMOOTHED_STEPS: f64 = 20.0;
/// Change of ln λ for a change of the logarithm of the active terms.
const PROPORTIONAL: f64 = 2.0;
/// Steps in which an error of 1 changes ln λ by 1.
const INTEGRAL_STEPS: f64 = 50.0;
/// The error that counts at most, above and below the target.
const MAX_ERROR: f64 = 1.0;
const MIN_ERROR: f64 = -3.0;
/// Fewer active terms count as this many.
const MIN_ACTIVE: f64 = 0.1;

/// How λ develops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LambdaOptions {
    /// λ after the ramp; with a target, where the search begins. 1e-3: with in-batch negatives and
    /// FLOPS, published recipes have 1e-4 to 5e-2.
    pub lambda: f64,
    /// Steps in which λ rises quadratically from 0, so that vectors learn what to keep before they
    /// must drop it. 0, none; a third of the run is usual.
    pub ramp: u64,
    /// Active terms of a mean vector that λ is steered to; `None`, the default, for a fixed λ.
    pub target: Option<f64>,
    /// How many times smaller or larger than `lambda` a steered λ may become. 10,000: it is there for
    /// targets that no λ reaches.
    pub max_factor: f64,
}

impl Default for LambdaOptions {
    fn default() -> Self {
        Self {
            lambda: 1e-3,
            ramp: 0,
            target: None,
            max_factor: 1e4,
        }
    }
}

/// What [`Lambda`] remembers between steps, for checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LambdaState {
    /// The logarithm of what λ was multiplied by.
    #[serde(with = "super::exact")]
    factor: f64,
    /// The smoothed logarithm of the active terms.
    #[serde(with = "super::exact")]
    active: f64,
    /// How many steps were observed.
    observed: u64,
}

/// λ of one side, queries or documents.
///
/// ```
/// use esparsa::internals::train::{Lambda, LambdaOptions};
///
/// let target = Some(100.0);
/// let mut lambda = Lambda::new(LambdaOptions { lambda: 0.01, target, ..LambdaOptions::default() })?;
/// assert_eq!(lambda.at(1), 0.01);
/// for step in 1..=20 {
///     // Twice as many terms are active as wanted: λ rises.
///     lambda.observe(step, 200.0);
/// }
/// assert!(lambda.at(21) > 0.01);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Lambda {
    options: LambdaOptions,
    state: LambdaState,
}

impl Lambda {
    /// Begins at the first step.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a λ that is negative or not finite, a target that is not above 0, a
    /// target with a λ of 0, and a max factor below 1.
    pub fn new(options: LambdaOptions) -> Result<Self> {
        let LambdaOptions {
            lambda,
            target,
            max_factor,
            ..
        } = options;
        if !(lambda.is_finite() && lambda >= 0.0) {
            return Err(Error::invalid(format!(
                "expected a λ of at least 0, found {lambda}"
            )));
        }
        if let Some(target) = target {
            if !(target.is_finite() && target > 0.0) {
                return Err(Error::invalid(format!(
                    "expected a target above 0 active terms, found {target}"
                )));
            }
            if lambda == 0.0 {
                return Err(Error::invalid(
                    "expected a λ above 0 with a target of active terms, found 0: steering multiplies \
                     λ; choose one such as 0.001",
                ));
            }
            if !(max_factor.is_finite() && max_factor >= 1.0) {
                return Err(Error::invalid(format!(
                    "expected a max factor of at least 1 for λ, found {max_factor}"
                )));
            }
        }
        Ok(Self {
            options,
            state: LambdaState::default(),
        })
    }

    /// Goes on from a checkpoint.
    ///
    /// # Errors
    ///
    /// Those of [`Lambda::new`].
    pub fn resume(options: LambdaOptions, state: LambdaState) -> Result<Self> {
        let begun = Self::new(options)?;
        Ok(Self { state, ..begun })
    }

    /// What a checkpoint must keep.
    pub fn state(&self) -> LambdaState {
        self.state
    }

    /// λ at a step, counted from 1.
    pub fn at(&self, step: u64) -> f64 {
        let LambdaOptions { lambda, ramp, .. } = self.options;
        lambda_at(lambda * self.state.factor.exp(), step, ramp)
    }

    /// Takes the mean number of active terms of a step's vectors; call it once a step, after
    /// [`Lambda::at`] of the same step. What is not finite is ignored.
    pub fn observe(&mut self, step: u64, active_terms: f64) {
        let Some(target) = self.options.target else {
            return;
        };
        if !active_terms.is_finite() {
            return;
        }
        let seen = active_terms.max(MIN_ACTIVE).ln();
        let state = &mut self.state;
        state.observed += 1;
        // A mean of all steps until there are enough: the first step alone counts too much otherwise.
        let share_of_new = (1.0 / SMOOTHED_STEPS).max(1.0 / state.observed as f64);
        let change = match state.observed {
            1 => 0.0,
            _ => share_of_new * (seen - state.active),
        };
        state.active = match state.observed {
            1 => seen,
            _ => state.active + change,
        };
        let error = (state.active - target.ln()).clamp(MIN_ERROR, MAX_ERROR);
        let share = lambda_at(1.0, step, self.options.ramp);
        let integral = if error > 0.0 { share * error } else { error };
        let bound = self.options.max_factor.ln();
        let moved = state.factor + share * PROPORTIONAL * change + integral / INTEGRAL_STEPS;
        state.factor = moved.clamp(-bound, bound);
    }
}

#[cfg(test)]
mod tests;
