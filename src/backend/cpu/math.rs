//! Elementary functions in a form that compilers vectorize: no branches, tables or calls.
//!
//! `FUSED` says whether fused multiply-add is an instruction; without one it would be a slow call.

/// SIMD lanes of a reduction. The number is fixed, so that sums have the same order at every level.
pub(super) const LANES: usize = 16;

/// Reduces the lanes to one value, halving their number at each step.
#[inline(always)]
pub(super) fn fold_lanes(mut lanes: [f32; LANES], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] = join(lanes[lane], lanes[lane + width]);
        }
        width /= 2;
    }
    lanes[0]
}

/// a · b + c.
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// 1.5 · 2²³: adding it rounds a float to an integer, which is then in the low bits.
const ROUNDING: f32 = 12_582_912.0;

/// eˣ, within 2 units in the last place; 0 below -87.3 (so that no result is subnormal), e^88.3
/// above 88.3.
#[inline(always)]
pub(super) fn exp<const FUSED: bool>(x: f32) -> f32 {
    let value = exp_in_range::<FUSED>(x.clamp(-87.3, 88.3));
    if x < -87.3 { 0.0 } else { value }
}

/// eˣ for x up to 0; e^-87.3, which is close to 0, below -87.3.
#[inline(always)]
pub(super) fn exp_nonpositive<const FUSED: bool>(x: f32) -> f32 {
    // In this order NaN stays NaN.
    exp_in_range::<FUSED>(if x < -87.3 { -87.3 } else { x })
}

/// eˣ for x from -87.3 to 88.3.
#[inline(always)]
fn exp_in_range<const FUSED: bool>(x: f32) -> f32 {
    const LN2_HIGH: f32 = 0.693_359_4;
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let shifted = multiply_add::<FUSED>(x, std::f32::consts::LOG2_E, ROUNDING);
    let power = shifted - ROUNDING;
    let rest = multiply_add::<FUSED>(power, -LN2_HIGH, x);
    let rest = multiply_add::<FUSED>(power, -LN2_LOW, rest);
    // (eʳ - 1 - r) / r² for |r| up to ln 2 / 2, with the coefficients of Cephes.
    let mut sum = 1.987_569_1e-4;
    sum = multiply_add::<FUSED>(sum, rest, 1.398_199_9e-3);
    sum = multiply_add::<FUSED>(sum, rest, 8.333_452e-3);
    sum = multiply_add::<FUSED>(sum, rest, 4.166_579_6e-2);
    sum = multiply_add::<FUSED>(sum, rest, 1.666_666_5e-1);
    sum = multiply_add::<FUSED>(sum, rest, 0.5);
    let value = multiply_add::<FUSED>(sum, rest * rest, rest) + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUNDING.to_bits());
    value * f32::from_bits(exponent.wrapping_add(127) << 23)
}

/// The hyperbolic tangent, within 2e-7.
#[inline(always)]
pub(super) fn tanh<const FUSED: bool>(x: f32) -> f32 {
    1.0 - 2.0 / (exp::<FUSED>(2.0 * x) + 1.0)
}

/// The error function, within 6e-7: formula 7.1.26 of Abramowitz and Stegun.
#[inline(always)]
pub(super) fn erf<const FUSED: bool>(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / multiply_add::<FUSED>(0.327_591_1, size, 1.0);
    let mut sum = 1.061_405_4;
    sum = multiply_add::<FUSED>(sum, t, -1.453_152_1);
    sum = multiply_add::<FUSED>(sum, t, 1.421_413_8);
    sum = multiply_add::<FUSED>(sum, t, -0.284_496_72);
    sum = multiply_add::<FUSED>(sum, t, 0.254_829_6);
    let rest = sum * t * exp_nonpositive::<FUSED>(-size * size);
    (1.0 - rest).copysign(x)
}

/// x · Φ(x).
#[inline(always)]
pub(super) fn gelu<const FUSED: bool>(x: f32) -> f32 {
    0.5 * x * (1.0 + erf::<FUSED>(x * std::f32::consts::FRAC_1_SQRT_2))
}

/// x · Φ(x) with Φ approximated by a hyperbolic tangent.
#[inline(always)]
pub(super) fn gelu_tanh<const FUSED: bool>(x: f32) -> f32 {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    let inner = SQRT_2_OVER_PI * multiply_add::<FUSED>(0.044_715 * x * x, x, x);
    0.5 * x * (1.0 + tanh::<FUSED>(inner))
}

/// x / (1 + e⁻ˣ).
#[inline(always)]
pub(super) fn silu<const FUSED: bool>(x: f32) -> f32 {
    x / (1.0 + exp::<FUSED>(-x))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error function by its series whose terms all have the same sign.
    fn slow_erf(x: f64) -> f64 {
        let (mut term, mut sum) = (x, x);
        for n in 1..400 {
            term *= 2.0 * x * x / (2.0 * f64::from(n) + 1.0);
            sum += term;
        }
        if x.abs() > 6.0 {
            return x.signum();
        }
        sum * (-x * x).exp() * std::f64::consts::FRAC_2_SQRT_PI
    }

    fn points() -> impl Iterator<Item = f32> {
        (-40_000..=40_000).map(|step| step as f32 * 0.002_37)
    }

    #[test]
    fn exp_is_close() {
        for x in points() {
            let expected = f64::from(x).exp();
            for found in [exp::<true>(x), exp::<false>(x)] {
                let error = (f64::from(found) - expected).abs();
                let bound = if x < -87.3 { 1.3e-38 } else { expected * 3e-7 };
                assert!(x > 88.3 || error <= bound, "{x}: {found}, {expected}");
            }
        }
        assert_eq!(exp::<true>(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp::<true>(0.0), 1.0);
    }

    #[test]
    fn erf_and_tanh_are_close() {
        for x in points() {
            for found in [erf::<true>(x), erf::<false>(x)] {
                assert!(
                    (f64::from(found) - slow_erf(f64::from(x))).abs() < 6e-7,
                    "{x}: {found}"
                );
            }
            for found in [tanh::<true>(x), tanh::<false>(x)] {
                assert!(
                    (f64::from(found) - f64::from(x).tanh()).abs() < 4e-7,
                    "{x}: {found}"
                );
            }
        }
    }

    #[test]
    fn gated_functions_are_close() {
        for x in points().map(|x| x / 8.0) {
            let wide = f64::from(x);
            let expected = wide * 0.5 * (1.0 + slow_erf(wide * std::f64::consts::FRAC_1_SQRT_2));
            assert!((f64::from(gelu::<true>(x)) - expected).abs() < 4e-6, "{x}");
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044715 * wide.powi(3));
            let expected = 0.5 * wide * (1.0 + inner.tanh());
            assert!(
                (f64::from(gelu_tanh::<true>(x)) - expected).abs() < 4e-6,
                "{x}"
            );
            let expected = wide / (1.0 + (-wide).exp());
            assert!((f64::from(silu::<false>(x)) - expected).abs() < 4e-6, "{x}");
        }
    }
}
