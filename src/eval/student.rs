//! Tail probabilities of Student's t distribution, by the incomplete beta function.

/// Probability of a value at least as far from 0 as `t`, on either side.
///
/// `degrees_of_freedom` is at least 1. With `n` degrees of freedom this is the regularized
/// incomplete beta function at `n / (n + t^2)` with parameters `n / 2` and `1 / 2`.
pub(super) fn two_sided_p(t: f64, degrees_of_freedom: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    let scale = degrees_of_freedom + t * t;
    // Both x and 1 - x are computed directly: either may be too small to survive a subtraction.
    let x = degrees_of_freedom / scale;
    let rest = t * t / scale;
    regularized_beta(x, rest, degrees_of_freedom / 2.0, 0.5)
}

/// The regularized incomplete beta function I_x(a, b), where `rest` is 1 - x.
fn regularized_beta(x: f64, rest: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if rest <= 0.0 {
        return 1.0;
    }
    // The continued fraction converges fast below the mean of the distribution; above it the
    // symmetry I_x(a, b) = 1 - I_(1-x)(b, a) leads back there.
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - regularized_beta(rest, x, b, a);
    }
    let ln_x = if x > 0.5 { (-rest).ln_1p() } else { x.ln() };
    let ln_rest = if rest > 0.5 { (-x).ln_1p() } else { rest.ln() };
    let ln_beta = ln_gamma(a) + ln_gamma(b) - ln_gamma(a + b);
    (a * ln_x + b * ln_rest - ln_beta).exp() / (a * beta_fraction(x, a, b))
}

/// The continued fraction 1 + d1 / (1 + d2 / (1 + ...)) of the incomplete beta function.
///
/// Lentz's method: the quotients of successive numerators and of successive denominators are
/// carried along, and their product is the step from one convergent to the next.
fn beta_fraction(x: f64, a: f64, b: f64) -> f64 {
    const STEPS_MAX: u32 = 100_000;
    const TINY: f64 = 1e-300;
    let away_from_zero = |value: f64| if value.abs() < TINY { TINY } else { value };

    let mut value = 1.0;
    let mut numerators = 1.0;
    let mut denominators = 0.0;
    for step in 1..=STEPS_MAX {
        let m = f64::from(step / 2);
        let place = a + 2.0 * m;
        let coefficient = if step % 2 == 1 {
            -(a + m) * (a + b + m) * x / (place * (place + 1.0))
        } else {
            m * (b - m) * x / ((place - 1.0) * place)
        };
        denominators = 1.0 / away_from_zero(1.0 + coefficient * denominators);
        numerators = away_from_zero(1.0 + coefficient / numerators);
        let change = numerators * denominators;
        value *= change;
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    value
}

/// Natural logarithm of the gamma function, for x above 0.
///
/// Stirling's series, after raising x to where its terms fall below the precision of `f64` by
/// gamma(x) = gamma(x + 1) / x.
fn ln_gamma(x: f64) -> f64 {
    const START: f64 = 12.0;
    let mut raised = x;
    let mut product = 1.0;
    while raised < START {
        product *= raised;
        raised += 1.0;
    }
    // Coefficients B_2k / (2k (2k - 1)) for k = 6 down to 1, of powers 1 / x^(2k - 1).
    let coefficients = [
        -691.0 / 360_360.0,
        1.0 / 1188.0,
        -1.0 / 1680.0,
        1.0 / 1260.0,
        -1.0 / 360.0,
        1.0 / 12.0,
    ];
    let inverse_square = 1.0 / (raised * raised);
    let horner = |sum: f64, coefficient: &f64| sum * inverse_square + coefficient;
    let series = coefficients.iter().fold(0.0, horner) / raised;
    let half_ln_two_pi = 0.5 * (2.0 * std::f64::consts::PI).ln();
    (raised - 0.5) * raised.ln() - raised + half_ln_two_pi + series - product.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        let difference = (found - expected).abs();
        assert!(
            difference <= 1e-12 * expected.abs().max(1e-300),
            "{found} {expected}"
        );
    }

    #[test]
    fn ln_gamma_follows_factorials_and_halves() {
        let mut factorial = 1.0_f64;
        for n in 1..=20 {
            let found = ln_gamma(f64::from(n));
            assert!(
                (found - factorial.ln()).abs() < 1e-13 * factorial.ln().max(1.0),
                "{n}"
            );
            factorial *= f64::from(n);
        }
        let mut half = std::f64::consts::PI.sqrt();
        for n in 0..20 {
            let x = f64::from(n) + 0.5;
            assert!((ln_gamma(x) - half.ln()).abs() < 1e-12, "{x}");
            half *= x;
        }
    }

    #[test]
    fn one_and_two_degrees_of_freedom_have_closed_forms() {
        for t in [1e-6_f64, 0.01, 0.5, 1.0, 1.7, 3.0, 12.0, 1e3, 1e6] {
            let one = 2.0 / std::f64::consts::PI * (1.0 / t).atan();
            close(two_sided_p(t, 1.0), one);
            let root = (t * t + 2.0).sqrt();
            close(two_sided_p(t, 2.0), 2.0 / (root * (root + t)));
            close(two_sided_p(-t, 2.0), 2.0 / (root * (root + t)));
        }
    }

    /// The tail by Simpson's rule on the density, in the variable atan(t / sqrt(n)).
    fn tail_by_integration(t: f64, n: f64) -> f64 {
        let density = |angle: f64| angle.cos().powf(n - 1.0);
        let simpson = |from: f64, to: f64| {
            let steps = 200_000;
            let width = (to - from) / f64::from(steps);
            let weight = |i| match i {
                0 => 1.0,
                i if i == steps => 1.0,
                i => 2.0 + 2.0 * f64::from(i % 2),
            };
            let term = |i: i32| weight(i) * density(from + width * f64::from(i));
            (0..=steps).map(term).sum::<f64>() * width / 3.0
        };
        let quarter = std::f64::consts::FRAC_PI_2;
        simpson((t / n.sqrt()).atan(), quarter) / simpson(0.0, quarter)
    }

    #[test]
    fn tails_equal_the_integral_of_the_density() {
        for n in [3.0, 7.0, 49.0, 400.0] {
            for t in [0.1, 1.0, 2.0, 5.0] {
                let expected = tail_by_integration(t, n);
                assert!((two_sided_p(t, n) / expected - 1.0).abs() < 1e-9, "{t} {n}");
            }
        }
    }

    #[test]
    fn the_ends_are_exact() {
        assert_eq!(two_sided_p(0.0, 5.0), 1.0);
        assert_eq!(two_sided_p(f64::INFINITY, 5.0), 0.0);
        assert_eq!(two_sided_p(f64::NEG_INFINITY, 5.0), 0.0);
    }
}
