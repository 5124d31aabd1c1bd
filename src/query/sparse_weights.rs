//! The weights of a sparse query, made integers, so that scores are sums of integers: the same in
//! any order.
//!
//! A posting of a term contributes the term's weight, times 2 to the power of the impact's
//! exponent, times the impact's steps. The first two are one integer, for each exponent of a term;
//! the unit is chosen for the whole snapshot, so scores and thresholds of all segments compare. It
//! depends on the query and on which exponents the snapshot has of its terms, and not on which
//! segments they are in.

use crate::format::impact::{power_of_two, step};
use crate::format::limits::MAX_TIERS;

/// The max integer weight where all impacts have one exponent: twelve bits lose nothing that
/// impacts of eight bits keep.
const MAX_WEIGHT: u32 = 4_095;
/// The max integer weight otherwise, as long as the smallest exponent keeps [`MIN_FINE`] for the
/// term with the highest weight.
const MAX_MIXED_WEIGHT: u32 = i16::MAX as u32;
/// What the term with the highest weight should have at its smallest exponent.
const MIN_FINE: u32 = 4;

/// A term's weight in the query, as it was given, and the exponents of its impacts.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueryWeight {
    pub weight: f32,
    /// The smallest and the largest exponent; `None` when no document has the term.
    pub exponents: Option<(i16, i16)>,
}

/// How weights become integers.
#[derive(Clone, Copy, Debug)]
pub(super) struct IntegerWeights {
    /// The smallest exponent of all.
    base: i16,
    /// The weight at the base that is 1.
    step: f64,
}

impl IntegerWeights {
    /// For the terms of a query; of those that no document has only the weight counts, as if they
    /// had the exponents of others.
    pub fn new(weights: &[QueryWeight]) -> Self {
        let exponents = || weights.iter().filter_map(|weight| weight.exponents);
        let base = exponents().map(|(min, _)| min).min().unwrap_or(0);
        let top = exponents().map(|(_, max)| max).max().unwrap_or(0);
        let at_most = |weight: &QueryWeight| {
            let exponent = weight.exponents.map_or(base, |(_, max)| max);
            f64::from(weight.weight) * power_of_two(exponent - base)
        };
        let max = weights.iter().map(at_most).fold(0.0, f64::max);
        let max_weight = max_weight(weights.len(), u32::from(base.abs_diff(top)));
        let whole = weights.iter().all(|weight| weight.weight.fract() == 0.0);
        let step = if max == 0.0 || (whole && max <= f64::from(max_weight.min(MAX_WEIGHT))) {
            1.0
        } else {
            max / f64::from(max_weight)
        };
        Self { base, step }
    }

    /// The integer weight of a term for impacts with an exponent. A weight above 0 does not become
    /// 0, however small: its documents are found.
    pub fn integer(&self, weight: f32, exponent: i16) -> u32 {
        let exact = f64::from(weight) * power_of_two(exponent.saturating_sub(self.base));
        // Casts saturate; no weight is above the max weight.
        ((exact / self.step).round() as u32).max(u32::from(weight > 0.0))
    }

    /// What one unit of a score stands for, in a field of this scale.
    pub fn unit(&self, scale: f32) -> f32 {
        let unit = step(scale, self.base) * self.step;
        (unit as f32).clamp(f32::MIN_POSITIVE, f32::MAX)
    }
}

/// The max integer weight of a query of `terms` terms in `exponents` exponents.
///
/// No score and no sum of bounds is above `u32::MAX`: a term has up to [`MAX_TIERS`] tiers, each
/// with a bound, and for each exponent, with weights that halve at least from one to the next.
fn max_weight(terms: usize, exponents: u32) -> u32 {
    let for_each = u32::MAX / 255 / MAX_TIERS as u32 / terms.max(1) as u32;
    if exponents == 0 {
        return for_each.min(MAX_WEIGHT);
    }
    let wanted = MIN_FINE.checked_shl(exponents).filter(|_| exponents < 29);
    let wanted = wanted.unwrap_or(u32::MAX).max(MAX_MIXED_WEIGHT);
    // Rounding and the weights that are rounded up to 1 take what the halving leaves.
    (for_each / 4).max(1).min(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(weights: &[(f32, i16, i16)]) -> Vec<QueryWeight> {
        let weights = weights.iter().map(|(weight, min, max)| QueryWeight {
            weight: *weight,
            exponents: Some((*min, *max)),
        });
        weights.collect()
    }

    #[test]
    fn small_whole_weights_stay_as_they_are() {
        let weights = IntegerWeights::new(&of(&[(3.0, 0, 0), (250.0, 0, 0)]));
        assert_eq!((weights.integer(3.0, 0), weights.unit(0.5)), (3, 0.5));
        let weights = IntegerWeights::new(&of(&[(3.0, -2, 1)]));
        assert_eq!((weights.integer(3.0, -2), weights.integer(3.0, 1)), (3, 24));
        assert_eq!(weights.unit(0.5), 0.125);
        let weights = IntegerWeights::new(&of(&[(0.5, 0, 0), (2.0, 0, 0)]));
        assert_eq!(
            (weights.integer(2.0, 0), weights.integer(0.5, 0)),
            (4_095, 1_024)
        );
    }

    #[test]
    fn exponents_far_apart_keep_their_order() {
        let weights = IntegerWeights::new(&of(&[(1.0, -16, 0)]));
        assert!(weights.integer(1.0, -16) >= MIN_FINE);
    }

    proptest! {
        #[test]
        fn no_sum_of_bounds_overflows_and_no_weight_vanishes(
            terms in prop::collection::vec((1e-6f32..1e6, -40i16..40, 0i16..30), 1..60),
            copies in 1usize..60,
        ) {
            let terms: Vec<_> = terms.iter().map(|(w, min, more)| (*w, *min, min + more)).collect();
            let all = of(&terms.repeat(copies));
            let weights = IntegerWeights::new(&all);
            let mut bounds = 0;
            for QueryWeight { weight, exponents } in &all {
                let (min, max) = exponents.unwrap();
                for exponent in min..=max {
                    let integer = weights.integer(*weight, exponent);
                    prop_assert!(integer > 0);
                    bounds += u64::from(integer) * 255 * MAX_TIERS as u64;
                }
            }
            prop_assert!(bounds <= u64::from(u32::MAX), "{bounds}");
        }
    }
}
