//! How results of two kernels, and single values, are compared.

use crate::backend::Activation;
use crate::backend::cuda::Combination;
use crate::backend::reference::activate;

/// The share of the largest absolute value by which two results may differ, beside the rounding.
const SHARE_OF_LARGEST: f32 = 0.01;
/// The bound on the difference of two results as a whole, relative to their size: half a unit in
/// the last place of bf16.
const MAX_RELATIVE_DIFFERENCE: f64 = 1.0 / 256.0;
/// The bound on a value's error, relative to the size that a sum of its terms has if their signs are
/// random.
const MAX_SUM_ERROR: f64 = 0.003;
/// Bits of the significand of bf16.
const BF16_BITS: i32 = 8;

/// The distance to the next bf16 value.
fn ulp(x: f32) -> f32 {
    let exponent = (x.abs().max(f32::MIN_POSITIVE).to_bits() >> 23) as i32 - 127;
    2.0_f32.powi(exponent - BF16_BITS + 1)
}

/// An error, saying where they are, unless two results of rows × columns are equal but for rounding.
pub(super) fn close(found: &[f32], expected: &[f32], columns: usize) -> Result<(), String> {
    if found.len() != expected.len() {
        let (found, expected) = (found.len(), expected.len());
        return Err(format!("expected {expected} values, found {found}"));
    }
    let largest = expected.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
    let is_wrong = |(found, expected): (&f32, &f32)| {
        let bound = ulp(found.abs().max(expected.abs())) + SHARE_OF_LARGEST * largest;
        let difference = (found - expected).abs();
        difference.is_nan() || difference > bound
    };
    let pairs = || found.iter().zip(expected);
    let wrong: Vec<usize> = pairs()
        .enumerate()
        .filter(|(_, pair)| is_wrong(*pair))
        .map(|(place, _)| place)
        .collect();
    if let Some(first) = wrong.first() {
        let rows = wrong.iter().map(|place| place / columns);
        let across = wrong.iter().map(|place| place % columns);
        return Err(format!(
            "row {}, column {}: expected {}, found {}; {} of {} values differ, in rows {:?} to {:?}, columns {:?} to {:?}",
            first / columns,
            first % columns,
            expected[*first],
            found[*first],
            wrong.len(),
            found.len(),
            rows.clone().min().unwrap_or(0),
            rows.max().unwrap_or(0),
            across.clone().min().unwrap_or(0),
            across.max().unwrap_or(0),
        ));
    }
    let square = |x: f32| f64::from(x) * f64::from(x);
    let difference: f64 = pairs()
        .map(|(found, expected)| square(found - expected))
        .sum();
    let size: f64 = expected.iter().map(|x| square(*x)).sum();
    let relative = (difference / size.max(f64::MIN_POSITIVE)).sqrt();
    match relative <= MAX_RELATIVE_DIFFERENCE {
        true => Ok(()),
        false => Err(format!(
            "expected a relative difference of at most {MAX_RELATIVE_DIFFERENCE}, found {relative}"
        )),
    }
}

/// An error unless this is activation(sum of products + bias), combined with `other`, computed in
/// f64, but for rounding to bf16.
pub(super) fn exact(
    found: f32,
    factors: impl Iterator<Item = (f32, f32)>,
    bias: f32,
    activation: Activation,
    other: Option<(Combination, f32)>,
) -> Result<(), String> {
    let (mut sum, mut squares) = (f64::from(bias), 0.0_f64);
    for (a, b) in factors {
        let product = f64::from(a) * f64::from(b);
        sum += product;
        squares += product * product;
    }
    let activated = f64::from(activate(activation, sum as f32));
    let (expected, scale) = match other {
        None => (activated, 1.0),
        Some((Combination::Add, other)) => (activated + f64::from(other), 1.0),
        Some((Combination::Multiply, other)) => {
            (activated * f64::from(other), f64::from(other).abs())
        }
    };
    let bound = f64::from(ulp(expected as f32)) + MAX_SUM_ERROR * squares.sqrt() * scale.max(1e-3);
    match (f64::from(found) - expected).abs() <= bound {
        true => Ok(()),
        false => Err(format!(
            "expected {expected} within {bound}, computed in f64, found {found}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_in_the_last_place_is_that_of_bf16() {
        assert_eq!(ulp(1.0), 2.0_f32.powi(-7));
        assert_eq!(ulp(-1.9), 2.0_f32.powi(-7));
        assert_eq!(ulp(256.0), 2.0);
        assert!(ulp(0.0) > 0.0);
    }

    #[test]
    fn differences_are_found_one_by_one_and_in_sum() {
        let expected: Vec<f32> = (0..600).map(|i| (i % 7) as f32 - 3.0).collect();
        assert_eq!(close(&expected, &expected, 20), Ok(()));
        let mut found = expected.clone();
        found[123] = f32::NAN;
        let error = close(&found, &expected, 20).unwrap_err();
        assert!(
            error.starts_with("row 6, column 3: ") && error.contains("1 of 600"),
            "{error}"
        );
        // All values a little too large.
        let found: Vec<f32> = expected.iter().map(|x| x + 0.02).collect();
        let error = close(&found, &expected, 20).unwrap_err();
        assert!(error.contains("relative difference"), "{error}");
        assert!(close(&found[1..], &expected, 20).is_err());
    }

    #[test]
    fn single_values_are_those_of_f64() {
        let check = |found, other| {
            let factors = [(1.0, 3.0), (-2.0, 1.0), (0.5, 4.0)].into_iter();
            exact(found, factors, 0.25, Activation::Relu, other)
        };
        assert_eq!(check(3.25, None), Ok(()));
        assert!(check(3.0, None).is_err());
        assert_eq!(check(1.25, Some((Combination::Add, -2.0))), Ok(()));
        assert_eq!(check(-6.5, Some((Combination::Multiply, -2.0))), Ok(()));
        assert!(check(f32::NAN, None).is_err());
    }
}
