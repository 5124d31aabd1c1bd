//! How much of a query is worked on, to reach a recall.
//!
//! An approximate sparse search skips the terms of the query with the lowest weights, and the ranges
//! of documents whose bound, lowered by the slack, does not reach the threshold. How much may be
//! skipped is read from the field's [`Calibration`], or from measurements on generated vectors of
//! SPLADE's shape if the field has none.

use crate::format::{Calibration, CalibrationPoint};

/// How much of a query is worked on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Effort {
    /// Share of the query's weight in the terms that are kept, the highest weights first.
    pub share: f32,
    /// Bounds of ranges are multiplied by this.
    pub slack: f32,
}

impl Effort {
    /// Everything: the results are exact.
    pub const EXACT: Self = Self {
        share: 1.0,
        slack: 1.0,
    };

    /// The effort that reaches a recall, by a field's calibration if it has one.
    pub fn with_recall(calibration: Option<&Calibration>, k: usize, recall: f32) -> Self {
        if recall >= 1.0 {
            return Self::EXACT;
        }
        let point = match calibration {
            Some(calibration) => calibration.point(k, recall).copied(),
            None => choose(&unmeasured(), k, recall).copied(),
        };
        point.map_or(Self::EXACT, |point| Self {
            share: point.share,
            slack: point.slack,
        })
    }

    /// How many of the terms are kept, given their weights, which fall.
    pub fn kept(self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let total: f64 = weights.clone().map(f64::from).sum();
        // Rounded to `f32` first, so that a share such as 0.8 counts as the decimal fraction.
        let enough = f64::from(total as f32 * self.share);
        let mut sum = 0.0;
        let kept = weights.take_while(|weight| {
            let is_missed = sum < enough;
            sum += f64::from(*weight);
            is_missed
        });
        kept.count()
    }
}

/// The cheapest measured point with this recall. Of the measured k, the largest that is at most the
/// given one counts, or else the smallest: a recall is harder to reach for a smaller k. `None` when
/// no point has the recall.
fn choose(points: &[CalibrationPoint], k: usize, recall: f32) -> Option<&CalibrationPoint> {
    let measured = points.iter().map(|point| point.k);
    let fitting = measured.clone().filter(|measured| *measured as usize <= k);
    let measured = fitting.max().or(measured.min())?;
    let good = points
        .iter()
        .filter(|point| point.k == measured && point.recall >= recall);
    good.min_by(|a, b| a.microseconds.total_cmp(&b.microseconds))
}

/// Share, and recall of the best 10 and 1,000, of 200 queries on a million generated vectors of SPLADE's shape.
const UNMEASURED: [(f32, f32, f32); 6] = [
    (0.97, 0.992, 0.996),
    (0.95, 0.983, 0.994),
    (0.90, 0.955, 0.985),
    (0.85, 0.921, 0.973),
    (0.80, 0.876, 0.959),
    (0.70, 0.793, 0.921),
];

fn unmeasured() -> Vec<CalibrationPoint> {
    let point = |k, share, recall| CalibrationPoint {
        k,
        share,
        slack: 1.0,
        recall,
        // A smaller share is cheaper; only the order matters.
        microseconds: share,
    };
    let of_both = |(share, ten, thousand)| [point(10, share, ten), point(1_000, share, thousand)];
    UNMEASURED.into_iter().flat_map(of_both).collect()
}

impl Calibration {
    /// The point by which a search for `k` documents with this recall skips terms and ranges; `None`
    /// when no point has the recall, and the search is exact.
    pub fn point(&self, k: usize, recall: f32) -> Option<&CalibrationPoint> {
        choose(&self.points, k, recall)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cheapest_way_with_the_recall_is_chosen() {
        let point = |k, share, recall, microseconds| CalibrationPoint {
            k,
            share,
            slack: 1.0,
            recall,
            microseconds,
        };
        let points = [
            point(10, 0.9, 0.95, 50.0),
            point(10, 0.95, 0.98, 70.0),
            point(10, 0.96, 0.985, 60.0),
            point(1_000, 0.8, 0.97, 300.0),
        ];
        let share = |k, recall| choose(&points, k, recall).map_or(1.0, |point| point.share);
        assert_eq!(share(10, 0.95), 0.9);
        assert_eq!(share(10, 0.97), 0.96);
        assert_eq!(share(10, 0.99), 1.0);
        assert_eq!(share(999, 0.97), 0.96);
        assert_eq!(share(5_000, 0.97), 0.8);
        assert_eq!(share(1, 0.95), 0.9);
        assert_eq!(choose(&[], 10, 0.5), None);
    }

    #[test]
    fn terms_are_kept_until_their_weight_is_enough() {
        let kept = |share, weights: &[u32]| {
            let effort = Effort { share, slack: 1.0 };
            effort.kept(weights.iter().copied())
        };
        assert_eq!(kept(1.0, &[5, 3, 2]), 3);
        assert_eq!(kept(0.8, &[5, 3, 2]), 2);
        assert_eq!(kept(0.81, &[5, 3, 2]), 3);
        assert_eq!(kept(0.01, &[5, 3, 2]), 1);
        assert_eq!(kept(0.5, &[]), 0);
    }
}
