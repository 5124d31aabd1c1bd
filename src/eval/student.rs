//! Tail probabilities of Student's t distribution.

use special::Beta;

/// Probability of an absolute value of at least `|t|`.
///
/// `degrees_of_freedom` is at least 1. With `n` degrees of freedom this is the regularized
/// incomplete beta function at `n / (n + t^2)` with parameters `n / 2` and `1 / 2`.
pub(super) fn two_sided_p(t: f64, degrees_of_freedom: f64) -> f64 {
    if t.is_infinite() {
        return 0.0;
    }
    let scale = degrees_of_freedom + t * t;
    let x = degrees_of_freedom / scale;
    let complement = t * t / scale;
    let (a, b) = (degrees_of_freedom / 2.0, 0.5_f64);
    let ln_beta = a.ln_beta(b);
    // For small t, x rounds to 1 and 1 - x loses all digits: above the mean of the distribution
    // we use I_x(a, b) = 1 - I_(1-x)(b, a) with 1 - x computed directly.
    if x > a / (a + b) {
        1.0 - complement.inc_beta(b, a, ln_beta)
    } else {
        x.inc_beta(a, b, ln_beta)
    }
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
    fn tails_equal_figures_computed_with_forty_digits() {
        for (t, n, expected) in [
            (1e-09, 3.0, 0.9999999992648948),
            (0.1, 7.0, 0.9231480596047924),
            (1.0, 49.0, 0.3222234059506756),
            (1.96, 224.0, 0.05123576901295352),
            (2.5, 49.0, 0.015815788847180087),
            (5.0, 400.0, 8.594825129118688e-07),
            (12.0, 49.0, 3.3808104947973984e-16),
            (40.0, 224.0, 5.591287207920603e-104),
        ] {
            close(two_sided_p(t, n), expected);
        }
    }

    #[test]
    fn the_ends_are_exact() {
        assert_eq!(two_sided_p(0.0, 5.0), 1.0);
        assert_eq!(two_sided_p(f64::INFINITY, 5.0), 0.0);
        assert_eq!(two_sided_p(f64::NEG_INFINITY, 5.0), 0.0);
        // The square of t overflows.
        assert_eq!(two_sided_p(1e200, 5.0), 0.0);
    }
}
