//! Ranges of documents in descending order of their bounds.
//!
//! Mallia, Suel and Tonellotto, "Faster learned sparse retrieval with block-max pruning", SIGIR
//! 2024.
//!
//! A first pass adds up, for every range of 64 documents, the max impact of each of the query's
//! lists there times its weight: an upper bound of all scores in the range. Ranges are then scored
//! in descending order of these bounds, all documents of a range at once, until no bound reaches
//! the threshold. A range is left early when even its best document so far cannot reach the
//! threshold with the bounds of the remaining lists.
//!
//! Bounds are kept in 16 bits: weights are scaled so that no sum overflows, and everything is
//! rounded up. Ties go to the lower document, so ranges that can only reach the threshold itself
//! are scored too.
//!
//! The planner picks it for every sparse query on lists that are cut at ranges, unless all terms
//! are asked for.

mod sparse;

use std::cmp::Reverse;

use super::simd::{self, Level, Task};
use crate::error::Result;

pub(super) use sparse::SparseRanges;

/// Ranges of the first batch, for small k.
const FIRST_BATCH: usize = 64;
/// One in this many ranges of the first batch has a document among the best k.
const FIRST_BATCH_SHARE: usize = 4;
/// Each batch is this many times as large as the one before.
const BATCH_GROWTH: usize = 4;

/// Scores ranges, which are named by the places of their bounds.
trait ScoreRanges {
    /// No range with a lower bound has a document that can be kept.
    fn min_bound(&self) -> u16;

    /// Prefetches the postings of a range.
    fn prefetch(&self, range: u32);

    /// Offers the documents of a range, which has this bound.
    fn score_range(&mut self, range: u32, bound: u16) -> Result<()>;
}

/// Scores ranges in descending order of their bounds, while these reach the threshold.
struct Visit<'a, S> {
    level: Level,
    bounds: &'a [u16],
    k: usize,
    scorer: &'a mut S,
}

impl<S: ScoreRanges> Task for Visit<'_, S> {
    type Output = Result<()>;

    #[inline(always)]
    fn run(self) -> Result<()> {
        let mut batches = Batches::new(self.bounds, self.k);
        let mut places = Vec::new();
        let mut upper = u32::from(u16::MAX) + 1;
        loop {
            let min = self.scorer.min_bound();
            if u32::from(min) >= upper {
                return Ok(());
            }
            let lower = batches.next_lower().max(min);
            batches.collect(self.level, lower, upper, &mut places);
            for (at, range) in places.iter().enumerate() {
                let bound = self.bounds[*range as usize];
                if bound < self.scorer.min_bound() {
                    break;
                }
                if let Some(next) = places.get(at + 1) {
                    self.scorer.prefetch(*next);
                }
                self.scorer.score_range(*range, bound)?;
            }
            upper = u32::from(lower);
        }
    }
}

/// How far down the bounds each batch of ranges goes.
struct Batches<'a> {
    bounds: &'a [u16],
    /// Ranges whose bounds have these upper ten bits.
    counts: Vec<u32>,
    next: usize,
    reached: usize,
    size: usize,
}

impl<'a> Batches<'a> {
    const SHIFT: u32 = 6;

    fn new(bounds: &'a [u16], k: usize) -> Self {
        let mut counts = vec![0u32; 1 << (16 - Self::SHIFT)];
        for bound in bounds {
            counts[usize::from(bound >> Self::SHIFT)] += 1;
        }
        Self {
            bounds,
            next: counts.len(),
            counts,
            reached: 0,
            size: FIRST_BATCH.max(k / FIRST_BATCH_SHARE),
        }
    }

    /// The lowest bound of the next batch.
    fn next_lower(&mut self) -> u16 {
        while self.next > 0 && self.reached < self.size {
            self.next -= 1;
            self.reached += self.counts[self.next] as usize;
        }
        self.size *= BATCH_GROWTH;
        (self.next << Self::SHIFT) as u16
    }

    /// The ranges with bounds from `lower` up to `upper`, exclusive, the largest bounds first.
    fn collect(&self, level: Level, lower: u16, upper: u32, places: &mut Vec<u32>) {
        simd::at_least(level, self.bounds, lower, upper, places);
        places.sort_unstable_by_key(|place| (Reverse(self.bounds[*place as usize]), *place));
    }
}

/// How scores become bounds of 16 bits. A list's part of a score is a weight times an impact of at
/// most 255.
struct Scale {
    factor: f64,
}

impl Scale {
    /// For lists with these weights and max impacts.
    fn new(lists: impl Iterator<Item = (f64, u8)>) -> Self {
        let (mut sum, mut impacts, mut count, mut max_weight) = (0.0, 0.0, 0.0, 0.0);
        for (weight, max_impact) in lists {
            sum += weight * f64::from(max_impact);
            impacts += f64::from(max_impact);
            count += 1.0;
            max_weight = f64::max(max_weight, weight);
        }
        // Weights are rounded up, and each share is larger by one at most.
        let room = f64::from(u16::MAX) * 256.0 - impacts - 256.0 * count;
        let factor = f64::min(room / sum, f64::from(u16::MAX) / max_weight);
        let is_usable = factor.is_finite() && factor > 0.0;
        Self {
            factor: if is_usable { factor } else { 1.0 },
        }
    }

    /// A weight, rounded up, for [`simd::share`].
    fn weight(&self, weight: f64) -> u16 {
        (weight * self.factor).ceil() as u16
    }

    /// No document of a range with this bound has a higher score.
    fn score(&self, bound: u16) -> f64 {
        f64::from(bound) * 256.0 / self.factor
    }

    /// No range with a document of this score has a lower bound. At least 1, which is the bound of
    /// every range in which any list has postings.
    fn min_bound(&self, score: f64) -> u16 {
        ((score * self.factor / 256.0) as u16).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bounds_are_never_below_scores(
            lists in prop::collection::vec((1u32..5_000, 1u8..=255, any::<u8>()), 1..80),
            divisor in prop::sample::select(vec![1.0f64, 3.0, 700.0]),
        ) {
            let weights: Vec<f64> = lists.iter().map(|(weight, ..)| f64::from(*weight) / divisor).collect();
            let max_impacts = lists.iter().map(|(_, max, _)| *max);
            let scale = Scale::new(weights.iter().copied().zip(max_impacts));
            let (mut score, mut bound) = (0.0, 0u64);
            for (weight, (_, max, steps)) in weights.iter().zip(&lists) {
                let steps = (*steps).min(*max);
                score += weight * f64::from(steps);
                bound += u64::from(simd::share(steps, scale.weight(*weight)));
            }
            prop_assert!(bound <= 65_535, "{bound}");
            let bound = bound as u16;
            prop_assert!(scale.min_bound(score) <= bound);
            prop_assert!(scale.score(bound) >= score);
        }

        #[test]
        fn batches_hold_every_range_once_and_fall(
            bounds in prop::collection::vec(any::<u16>(), 0..600),
            k in 1usize..2_000,
            min in 1u16..9_000,
        ) {
            let mut batches = Batches::new(&bounds, k);
            let (mut seen, mut places) = (Vec::new(), Vec::new());
            let mut upper = 65_536;
            while u32::from(min) < upper {
                let lower = batches.next_lower().max(min);
                batches.collect(Level::detect(), lower, upper, &mut places);
                seen.extend(places.iter().map(|place| bounds[*place as usize]));
                upper = u32::from(lower);
            }
            let mut expected: Vec<u16> = bounds.iter().copied().filter(|b| *b >= min).collect();
            expected.sort_unstable_by_key(|bound| Reverse(*bound));
            prop_assert_eq!(seen, expected);
        }
    }
}
