//! Activations of the kernels, for every bf16 value.

use super::*;
use crate::backend::Activation;

/// The probability that a standard normal variable is below x: the series of erf without
/// alternating signs.
fn normal_distribution(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    if z > 6.0 {
        return if x < 0.0 { 0.0 } else { 1.0 };
    }
    let (mut term, mut sum, mut n) = (z, z, 1.0);
    while term > 1e-18 * sum {
        term *= 2.0 * z * z / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    let erf = 2.0 / std::f64::consts::PI.sqrt() * (-z * z).exp() * sum;
    (1.0 + erf.copysign(x)) / 2.0
}

#[test]
fn activations_are_more_precise_than_bf16() {
    let Some(cuda) = cuda(80, 0) else { return };
    // All bf16 values but infinities and NaN, times 1.
    let x: Vec<f32> = (0..=u16::MAX)
        .map(|bits| f32::from_bits(u32::from(bits) << 16))
        .filter(|x| x.is_finite())
        .collect();
    let input = cuda.convert(&cuda.tensor(x.len(), 1, &x).unwrap(), DType::F32);
    let (input, one) = (input.unwrap(), cuda.matrix(1, 1, &[1.0]).unwrap());
    let layer = crate::backend::Linear {
        weight: &one,
        bias: None,
    };
    let cubic = |x: f64| 0.797_884_560_802_865_4 * (x + 0.044_715 * x * x * x);
    let gelu: fn(f64) -> f64 = |x| x * normal_distribution(x);
    type Exact<'a> = &'a dyn Fn(f64) -> f64;
    let cases: [(Activation, Exact, f64); 3] = [
        // Below -3, where the result is above -0.0041, only the absolute error is bounded.
        (Activation::Gelu, &gelu, -3.0),
        (
            Activation::GeluTanh,
            &|x| x / (1.0 + (-2.0 * cubic(x)).exp()),
            -3.0,
        ),
        (Activation::Silu, &|x| x / (1.0 + (-x).exp()), -30.0),
    ];
    for (activation, exact, relative_from) in cases {
        let found = cuda.product(&input, &layer, activation, None).unwrap();
        let found = cuda.values(&found).unwrap();
        for (x, found) in x.iter().zip(found) {
            let expected = exact(f64::from(*x));
            let error = (f64::from(found) - expected).abs();
            // Half of the rounding of bf16, 2^-9.
            let bound = match f64::from(*x) >= relative_from {
                true => expected.abs() / 1024.0,
                false => 1.2e-5,
            };
            assert!(
                error <= bound + 1e-30,
                "{activation:?}({x}): {found} instead of {expected}"
            );
        }
    }
}
