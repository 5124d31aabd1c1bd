//! How much of a query is worked on: what a wished recall comes down to.
//!
//! An approximate sparse search leaves out the terms of the query that weigh least, and looks only into ranges of documents
//! whose bound, lowered by the slack, is still high enough. How much may be left out is read from the field's
//! [`Calibration`], or from what was measured on generated vectors of SPLADE's shape while a field has none.

use super::request::SearchOptions;
use crate::format::{Calibration, CalibrationPoint, FieldNumber};
use crate::index::Snapshot;

/// What is worked on of a query.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Effort {
    /// Share of the query's weight in the terms that are kept, the weightiest first.
    pub share: f32,
    /// Bounds of ranges count for so much of themselves.
    pub slack: f32,
}

impl Effort {
    /// Everything: the results are exact.
    pub const EXACT: Self = Self {
        share: 1.0,
        slack: 1.0,
    };

    /// What the options ask of a sparse field.
    pub fn of(snapshot: &Snapshot, field: FieldNumber, options: &SearchOptions) -> Self {
        if let Some(effort) = options.effort {
            return effort;
        }
        if options.recall >= 1.0 {
            return Self::EXACT;
        }
        let point = match snapshot.calibration(field) {
            Some(calibration) => calibration.point(options.k, options.recall).copied(),
            None => choose(&unmeasured(), options.k, options.recall).copied(),
        };
        point.map_or(Self::EXACT, |point| Self {
            share: point.share,
            slack: point.slack,
        })
    }

    /// How many of the terms are kept, given their weights, which fall.
    pub fn kept(self, weights: impl Iterator<Item = u32> + Clone) -> usize {
        let total: f64 = weights.clone().map(f64::from).sum();
        // As a decimal fraction says it, not by what its binary form is above or below.
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

/// The cheapest way that was measured with this recall; of the numbers k measured, the greatest that is no greater than
/// the one asked for counts, or else the least: fewer documents are harder to find all of. `None` when there is none such.
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
        // Less is cheaper; how much does not matter.
        microseconds: share,
    };
    let of_both = |(share, ten, thousand)| [point(10, share, ten), point(1_000, share, thousand)];
    UNMEASURED.into_iter().flat_map(of_both).collect()
}

impl Calibration {
    /// What a search for `k` documents with this recall does: the point that is chosen, or `None` when no point has the
    /// recall, and the search is exact.
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
