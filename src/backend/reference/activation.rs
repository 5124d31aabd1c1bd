//! The activations of linear layers, and the error function.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

use super::rows::Value;
use crate::backend::Activation;

/// The activation of one number, computed in f64.
pub(in crate::backend) fn apply<T: Value>(activation: Activation, x: T) -> T {
    let wide = x.wide();
    let y = match activation {
        Activation::Identity => return x,
        Activation::Relu => wide.max(0.0),
        Activation::Gelu => wide * 0.5 * (1.0 + erf(wide * FRAC_1_SQRT_2)),
        Activation::GeluTanh => {
            let inner = (2.0 / PI).sqrt() * (wide + 0.044_715 * wide.powi(3));
            wide * 0.5 * (1.0 + inner.tanh())
        }
        Activation::Silu => wide / (1.0 + (-wide).exp()),
        Activation::Tanh => wide.tanh(),
    };
    T::narrow(y)
}

/// The derivative of an activation. That of max(x, 0) is 0 at 0.
#[cfg(feature = "train")]
pub(super) fn slope(activation: Activation, x: f64) -> f64 {
    match activation {
        Activation::Identity => 1.0,
        Activation::Relu => f64::from(u8::from(x > 0.0)),
        Activation::Gelu => {
            let density = (-x * x / 2.0).exp() / (2.0 * PI).sqrt();
            0.5 * (1.0 + erf(x * FRAC_1_SQRT_2)) + x * density
        }
        Activation::GeluTanh => {
            let factor = (2.0 / PI).sqrt();
            let tanh = (factor * (x + 0.044_715 * x.powi(3))).tanh();
            let inner = factor * (1.0 + 3.0 * 0.044_715 * x * x);
            0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * inner
        }
        Activation::Silu => {
            let sigmoid = 1.0 / (1.0 + (-x).exp());
            sigmoid * (1.0 + x * (1.0 - sigmoid))
        }
        Activation::Tanh => 1.0 - x.tanh().powi(2),
    }
}

/// The error function, 2/√π · ∫₀ˣ e^(-t²) dt, to 1e-13 or better.
///
/// The series 2/√π · e^(-x²) · Σ 2ⁿ x²ⁿ⁺¹ / (1 · 3 · … · (2n + 1)) has terms of one sign only, so
/// nothing cancels. Beyond 6 the function is ±1 to the last bit of an f64.
pub(super) fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if x.abs() >= 6.0 {
        return x.signum();
    }
    let mut term = x;
    let mut sum = x;
    let mut odd = 1.0;
    while term.abs() > f64::EPSILON * 0.01 * sum.abs() {
        odd += 2.0;
        term *= 2.0 * x * x / odd;
        sum += term;
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erf_equals_published_figures() {
        // Abramowitz and Stegun, table 7.1.
        for (x, expected) in [
            (0.0, 0.0),
            (0.02, 0.022_564_574_7),
            (0.5, 0.520_499_877_8),
            (1.0, 0.842_700_792_9),
            (1.5, 0.966_105_146_5),
            (2.0, 0.995_322_265_0),
        ] {
            assert!((erf(x) - expected).abs() < 1e-10, "{x}: {}", erf(x));
            assert_eq!(erf(-x), -erf(x));
        }
    }

    #[test]
    fn erf_rises_to_one_without_a_step() {
        let mut before = erf(0.0);
        for step in 1..=700 {
            let here = erf(f64::from(step) * 0.01);
            assert!(here >= before - 1e-13 && here <= 1.0 + 1e-13);
            before = here;
        }
        assert_eq!(erf(f64::INFINITY), 1.0);
        assert!(erf(f64::NAN).is_nan());
    }

    #[test]
    fn erf_has_the_gaussian_as_its_slope() {
        for step in -50..50 {
            let x = f64::from(step) * 0.11;
            let slope = (erf(x + 1e-5) - erf(x - 1e-5)) / 2e-5;
            let expected = FRAC_2_SQRT_PI * (-x * x).exp();
            assert!((slope - expected).abs() < 1e-9, "{x}");
        }
    }

    #[test]
    fn activations_equal_hand_computed_figures() {
        for (activation, x, expected) in [
            (Activation::Identity, -1.5f32, -1.5),
            (Activation::Relu, -1.5, 0.0),
            (Activation::Relu, 1.5, 1.5),
            // x · Φ(x) with Φ(1) = 0.841344746, Φ(-2) = 0.022750132
            (Activation::Gelu, 1.0, 0.841_344_7),
            (Activation::Gelu, -2.0, -0.045_500_264),
            // 0.5 · (1 + tanh(0.797884561 · 1.044715)) = 0.5 · (1 + 0.682383984)
            (Activation::GeluTanh, 1.0, 0.841_192),
            // 1 / (1 + e⁻¹)
            (Activation::Silu, 1.0, 0.731_058_6),
            (Activation::Tanh, 0.5, 0.462_117_16),
        ] {
            let found = apply(activation, x);
            assert!((found - expected).abs() < 1e-6, "{activation:?}: {found}");
        }
    }

    #[test]
    fn far_from_zero_activations_neither_overflow_nor_become_nan() {
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::Silu] {
            assert_eq!(apply(activation, 1e30f32), 1e30);
            assert_eq!(apply(activation, -1e4f32).abs(), 0.0);
        }
    }
}
