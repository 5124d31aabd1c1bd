//! Numbers that scores are made of: `f32` for BM25, `u32` for impacts; and the scores of vectors.

use std::fmt::Debug;

use super::simd::{self, Level};
use crate::format::DocId;

/// What documents are kept by.
pub(crate) trait Ranked:
    Copy + PartialOrd + Default + Debug + Send + Sync + 'static
{
    /// Bits that are in the order of the scores.
    fn to_bits(self) -> u32;

    /// The score with these bits.
    fn from_bits(bits: u32) -> Self;

    /// The largest score below this one, which is not the default.
    fn below(self) -> Self;

    /// For comparison across fields and for people.
    fn to_f32(self) -> f32;

    /// The lowest score that, as a number of these units, is at least `min`, which is finite; `None`
    /// when every score may be, or none is known to be the lowest. The highest score of all stands
    /// for those that no document reaches.
    fn lowest(min: f32, unit: f32) -> Option<Self>;
}

/// A score as a number of units; at most the largest number, as products of large weights may be
/// larger. A higher score is never a lower number.
pub(super) fn in_units<S: Ranked>(score: S, unit: f32) -> f32 {
    (score.to_f32() * unit).min(f32::MAX)
}

/// A contribution, a sum of contributions, or a bound of either; never negative.
pub(crate) trait Score: Ranked {
    /// The sum. Contributions are always added in the query's term order, so rounding is the same
    /// in every algorithm.
    fn plus(self, other: Self) -> Self;

    /// The difference, not below zero.
    fn minus(self, other: Self) -> Self;

    /// The largest sum so far with which a document cannot exceed `threshold`, when the rest of its
    /// contributions is bounded by `rest`. `terms` is the number of terms of the query.
    ///
    /// Bounds are summed in another order than contributions, so for floating point this leaves
    /// room for the rounding of both sums: n additions err by less than n units in the last place.
    fn cut(threshold: Self, rest: Self, terms: usize) -> Self;

    /// Writes the documents (`base` plus the index) of all sums above `cut` to `documents`, in
    /// order, and returns how many there are. `documents` must be longer than `sums` by
    /// [`SLACK`](super::simd::SLACK).
    fn above(level: Level, sums: &[Self], cut: Self, base: DocId, documents: &mut [DocId])
    -> usize;

    /// Keeps those of `documents` whose sum is above `cut`, in order, at the front, and returns how
    /// many they are.
    fn keep(level: Level, sums: &[Self], cut: Self, base: DocId, documents: &mut [DocId]) -> usize;

    /// The score, at most the largest number.
    fn clamped(self) -> Self {
        self
    }

    fn larger(self, other: Self) -> Self {
        if other > self { other } else { self }
    }
}

impl Ranked for f32 {
    #[inline]
    fn to_bits(self) -> u32 {
        // In the order of the scores, as they are not negative.
        f32::to_bits(self)
    }

    #[inline]
    fn from_bits(bits: u32) -> Self {
        f32::from_bits(bits)
    }

    #[inline]
    fn below(self) -> Self {
        self.next_down()
    }

    fn to_f32(self) -> f32 {
        self
    }

    fn lowest(min: f32, unit: f32) -> Option<Self> {
        (min > 0.0 && unit == 1.0).then_some(min)
    }
}

impl Score for f32 {
    fn clamped(self) -> Self {
        self.min(f32::MAX)
    }

    #[inline]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        (self - other).max(0.0)
    }

    #[inline]
    fn cut(threshold: Self, rest: Self, terms: usize) -> Self {
        let slack = (terms + 2) as f32 * 4.0 * f32::EPSILON;
        (threshold - rest - slack * (threshold + rest)).max(0.0)
    }

    fn above(
        level: Level,
        sums: &[Self],
        cut: Self,
        base: DocId,
        documents: &mut [DocId],
    ) -> usize {
        simd::above_f32(level, sums, cut, base, documents)
    }

    fn keep(level: Level, sums: &[Self], cut: Self, base: DocId, documents: &mut [DocId]) -> usize {
        simd::keep_f32(level, sums, cut, base, documents)
    }
}

impl Ranked for u32 {
    #[inline]
    fn to_bits(self) -> u32 {
        self
    }

    #[inline]
    fn from_bits(bits: u32) -> Self {
        bits
    }

    #[inline]
    fn below(self) -> Self {
        self.saturating_sub(1)
    }

    fn to_f32(self) -> f32 {
        self as f32
    }

    /// By bisection: both the conversion and the product are rounded, so that a quotient may be off
    /// by many.
    fn lowest(min: f32, unit: f32) -> Option<Self> {
        let (mut low, mut high) = (0, Self::MAX);
        while low < high {
            let middle = low + (high - low) / 2;
            match in_units(middle, unit) >= min {
                true => high = middle,
                false => low = middle + 1,
            }
        }
        (low > 0).then_some(low)
    }
}

impl Score for u32 {
    #[inline]
    fn plus(self, other: Self) -> Self {
        // Preparing a query makes sure that no sum is larger than a `u32`.
        self.wrapping_add(other)
    }

    #[inline]
    fn minus(self, other: Self) -> Self {
        self.saturating_sub(other)
    }

    #[inline]
    fn cut(threshold: Self, rest: Self, _: usize) -> Self {
        threshold.saturating_sub(rest)
    }

    fn above(
        level: Level,
        sums: &[Self],
        cut: Self,
        base: DocId,
        documents: &mut [DocId],
    ) -> usize {
        simd::above_u32(level, sums, cut, base, documents)
    }

    fn keep(level: Level, sums: &[Self], cut: Self, base: DocId, documents: &mut [DocId]) -> usize {
        simd::keep_u32(level, sums, cut, base, documents)
    }
}

/// The score of a vector, which may be negative, as an integer in the order of scores; the smallest
/// stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Similarity(u32);

impl Similarity {
    /// The score with this [rank](simd::rank).
    #[inline]
    pub fn new(rank: u32) -> Self {
        Self(rank)
    }

    /// The number in the order of scores.
    #[inline]
    pub fn rank(self) -> u32 {
        self.0
    }
}

impl Ranked for Similarity {
    #[inline]
    fn to_bits(self) -> u32 {
        self.0
    }

    #[inline]
    fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    #[inline]
    fn below(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    fn to_f32(self) -> f32 {
        simd::score_of(self.0)
    }

    fn lowest(min: f32, unit: f32) -> Option<Self> {
        (unit == 1.0).then(|| Self(simd::rank(min)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The score is returned as at least `min`, and the next lower one is not.
    fn is_lowest<S: Ranked>(min: f32, unit: f32) -> bool {
        let Some(lowest) = S::lowest(min, unit) else {
            return in_units(S::default(), unit) >= min;
        };
        let reaches = in_units(lowest, unit) >= min || lowest.to_bits() == u32::MAX;
        reaches && in_units(lowest.below(), unit) < min
    }

    proptest! {
        #[test]
        fn the_lowest_score_reaches_the_min_and_the_one_below_does_not(
            score in any::<u32>(),
            shift in 0u32..32,
            unit in prop_oneof![1e-30f32..1e-20, 1e-9f32..1e9, Just(1.0), Just(0.1)],
            other in -1e9f32..1e9,
        ) {
            let score = score >> shift;
            let own = in_units(score, unit);
            for min in [own, own.next_up(), other] {
                prop_assert!(is_lowest::<u32>(min, unit), "{min} in units of {unit}");
            }
            // A score's own number is reached by no lower score than those equal to it.
            prop_assert!(u32::lowest(own, unit).unwrap_or(0) <= score);
            prop_assert!(is_lowest::<Similarity>(other, 1.0));
            prop_assert!(is_lowest::<f32>(other.abs() + 1e-20, 1.0));
            prop_assert_eq!(f32::lowest(-other.abs(), 1.0), None);
        }
    }

    #[test]
    fn a_min_beyond_all_scores_leaves_the_highest() {
        assert_eq!(u32::lowest(f32::MAX, 1.0), Some(u32::MAX));
        assert_eq!(u32::lowest(-1.0, 1.0), None);
        assert_eq!(u32::lowest(0.0, 1.0), None);
        assert_eq!(Similarity::lowest(-0.0, 1.0), Similarity::lowest(0.0, 1.0));
    }
}
