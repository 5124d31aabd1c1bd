//! The controller against models whose response to λ is known.

use proptest::prelude::*;

use super::*;

const TARGET: f64 = 100.0;
const RAMP: u64 = 333;

/// A model: the active terms follow a ~ λ^-slope with a lag, at most by `rate` a step, and are seen
/// with noise.
#[derive(Clone, Copy, Debug)]
struct Toy {
    /// The λ at which exactly the target is active.
    right: f64,
    slope: f64,
    lag: f64,
    rate: f64,
    noise: f64,
    /// The logarithm of the active terms.
    active: f64,
    seed: u64,
}

impl Toy {
    fn step(&mut self, lambda: f64) -> f64 {
        let goal = TARGET.ln() - self.slope * (lambda.max(1e-30) / self.right).ln();
        let goal = goal.clamp(0.1f64.ln(), 4_000f64.ln());
        let change = (goal - self.active) / self.lag;
        self.active += change.clamp(-self.rate, self.rate);
        self.active.exp() * (self.noise * self.random()).exp()
    }

    /// About normal, of variance 1: the sum of twelve uniform numbers.
    fn random(&mut self) -> f64 {
        let uniform = |_| {
            self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005);
            self.seed = self.seed.wrapping_add(1_442_695_040_888_963_407);
            (self.seed >> 11) as f64 / (1u64 << 53) as f64
        };
        (0..12).map(uniform).sum::<f64>() - 6.0
    }
}

/// ln(active / target) of each step, each the mean of 50 steps.
fn errors(mut toy: Toy, start: f64, steps: u64) -> Vec<f64> {
    let mut lambda = Lambda::new(LambdaOptions {
        lambda: start,
        ramp: RAMP,
        target: Some(TARGET),
        ..LambdaOptions::default()
    })
    .unwrap();
    let of_step = |step| {
        let seen = toy.step(lambda.at(step));
        lambda.observe(step, seen);
        toy.active - TARGET.ln()
    };
    let errors: Vec<f64> = (1..=steps).map(of_step).collect();
    let mean = |window: &[f64]| window.iter().sum::<f64>() / window.len() as f64;
    errors.windows(50).map(mean).collect()
}

fn settled_after(errors: &[f64]) -> usize {
    let outside = |error: &f64| error.abs() > 1.1f64.ln();
    errors.iter().rposition(outside).map_or(0, |last| last + 1)
}

#[test]
fn active_terms_settle_at_the_target_for_a_wide_range_of_responses() {
    let mut settled = Vec::new();
    for slope in [0.2, 0.5, 1.0, 2.0] {
        for lag in [3.0, 30.0, 100.0, 300.0] {
            for noise in [0.02, 0.1, 0.2] {
                for start in [0.03, 1.0, 30.0] {
                    for rate in [f64::INFINITY, 0.01] {
                        let toy = Toy {
                            right: 0.01,
                            slope,
                            lag,
                            rate,
                            noise,
                            active: 4_000f64.ln(),
                            seed: 7,
                        };
                        let errors = errors(toy, start * toy.right, 3_000);
                        let after = settled_after(&errors);
                        assert!(
                            after < 2_000,
                            "{toy:?} from {start} times the right λ: {after}"
                        );
                        // An oscillation would cross the target again and again.
                        let beyond = |error: &&f64| error.abs() > 0.05;
                        let signs: Vec<bool> = errors[RAMP as usize..]
                            .iter()
                            .filter(beyond)
                            .map(|error| *error > 0.0)
                            .collect();
                        let crossings = signs.windows(2).filter(|pair| pair[0] != pair[1]).count();
                        assert!(
                            crossings <= 4,
                            "{toy:?} from {start}: {crossings} crossings"
                        );
                        settled.push(after);
                    }
                }
            }
        }
    }
    settled.sort_unstable();
    let median = settled[settled.len() / 2];
    assert!(median < 900, "half of the models settle after {median}");
}

#[test]
fn a_fixed_lambda_has_the_ramp_and_nothing_else() {
    let mut lambda = Lambda::new(LambdaOptions {
        lambda: 8.0,
        ramp: 100,
        ..LambdaOptions::default()
    })
    .unwrap();
    for step in 1..=200 {
        assert_eq!(lambda.at(step), lambda_at(8.0, step, 100));
        lambda.observe(step, 1e9);
    }
    assert_eq!(lambda.state(), LambdaState::default());
}

#[test]
fn lambda_stays_within_its_bounds_and_leaves_them_at_once() {
    let options = LambdaOptions {
        lambda: 0.01,
        target: Some(10.0),
        max_factor: 5.0,
        ..LambdaOptions::default()
    };
    let mut lambda = Lambda::new(options).unwrap();
    (1..=2_000).for_each(|step| lambda.observe(step, 1_000.0));
    assert!((lambda.at(2_000) - 0.05).abs() < 1e-12);
    // No error was accumulated beyond the bound.
    (2_001..=2_100).for_each(|step| lambda.observe(step, 1.0));
    assert!(lambda.at(2_101) < 0.05 / 2.0);
    (2_101..=5_000).for_each(|step| lambda.observe(step, 0.0));
    assert!((lambda.at(5_000) - 0.002).abs() < 1e-12);
}

#[test]
fn senseless_options_are_refused() {
    let refused = |lambda, target, max_factor| {
        let options = LambdaOptions {
            lambda,
            target,
            max_factor,
            ..LambdaOptions::default()
        };
        Lambda::new(options).unwrap_err().to_string()
    };
    assert!(refused(-1.0, None, 1.0).contains("found -1"));
    assert!(refused(f64::NAN, None, 1.0).contains("found NaN"));
    assert!(refused(0.1, Some(0.0), 2.0).contains("above 0 active terms"));
    assert!(refused(0.0, Some(9.0), 2.0).contains("found 0"));
    assert!(refused(0.1, Some(9.0), 0.5).contains("at least 1"));
}

proptest! {
    #[test]
    fn a_resumed_run_has_the_same_lambda(
        active in prop::collection::vec(prop_oneof![0.0..5_000.0, Just(f64::NAN)], 2..80),
        at in 0usize..80,
    ) {
        let options = LambdaOptions { ramp: 30, target: Some(50.0), ..LambdaOptions::default() };
        let mut whole = Lambda::new(options).unwrap();
        let mut resumed = whole.clone();
        for (place, active) in active.iter().enumerate() {
            if place == at {
                let saved = serde_json::to_string(&resumed.state()).unwrap();
                resumed = Lambda::resume(options, serde_json::from_str(&saved).unwrap()).unwrap();
            }
            let step = place as u64 + 1;
            whole.observe(step, *active);
            resumed.observe(step, *active);
            prop_assert_eq!(whole.at(step + 1).to_bits(), resumed.at(step + 1).to_bits());
            prop_assert!(whole.at(step + 1).is_finite());
        }
    }
}
