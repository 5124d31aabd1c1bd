//! The buckets of distances between two tokens, as T5 and as DeBERTa define them. A distance is the
//! key's position minus the query's.

use std::borrow::Cow;

use crate::backend::Distances;

/// Sequences up to this length use buckets that are computed once, when the model is loaded.
const PRECOMPUTED: usize = 512;

/// How a family maps distances to buckets.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    /// T5, both directions: one half of the buckets for keys before the query, one for keys after
    /// it. In each half, half of the buckets are for one distance each and the others grow by a
    /// constant factor up to `max_distance`. All longer distances share the last bucket.
    T5 { buckets: usize, max_distance: usize },
    /// DeBERTa: `span` buckets for each direction around bucket `span`, which is distance 0. Small
    /// distances have a bucket each; if `is_logarithmic`, the buckets above half the span grow by a
    /// constant factor up to `max_relative`. Keys after the query have the lower buckets.
    Deberta {
        span: usize,
        is_logarithmic: bool,
        max_relative: usize,
    },
}

impl Rule {
    /// The bucket of a distance.
    fn bucket(&self, distance: i64) -> u32 {
        match *self {
            Self::T5 {
                buckets,
                max_distance,
            } => t5(distance, buckets as i64, max_distance as i64) as u32,
            Self::Deberta {
                span,
                is_logarithmic,
                max_relative,
            } => {
                let span = span as i64;
                let offset = if is_logarithmic {
                    deberta_logarithmic(-distance, span, max_relative as i64)
                } else {
                    -distance
                };
                (offset + span).clamp(0, 2 * span - 1) as u32
            }
        }
    }
}

fn t5(distance: i64, buckets: i64, max_distance: i64) -> i64 {
    let half = buckets / 2;
    let start = if distance > 0 { half } else { 0 };
    let distance = distance.abs();
    let exact = half / 2;
    if distance < exact {
        return start + distance;
    }
    // In f32 where PyTorch computes in f32: another rounding could give another whole part, and so
    // another bucket.
    let ratio = (distance as f32 / exact as f32).ln();
    let scale = (max_distance as f64 / exact as f64).ln() as f32;
    let logarithmic = (ratio / scale * (half - exact) as f32) as i64;
    start + (exact + logarithmic).min(half - 1)
}

/// Offsets up to half the span as they are, larger ones on a logarithmic scale, with their sign.
fn deberta_logarithmic(offset: i64, span: i64, max_relative: i64) -> i64 {
    let middle = span / 2;
    if offset.abs() <= middle {
        return offset;
    }
    // In f32 where PyTorch computes in f32: another rounding could give another `ceil`, and so
    // another bucket.
    let ratio = (offset.abs() as f32 / middle as f32).ln();
    let scale = (((max_relative - 1) as f64 / middle as f64) as f32).ln();
    let logarithmic = (ratio / scale * (middle - 1) as f32).ceil() as i64 + middle;
    logarithmic * offset.signum()
}

/// The buckets of a model, for sequences of any length.
#[derive(Clone, Debug)]
pub(super) struct RelativeDistances {
    rule: Rule,
    precomputed: Distances,
}

impl RelativeDistances {
    pub(super) fn new(rule: Rule) -> Self {
        let precomputed = Distances::new(PRECOMPUTED - 1, |distance| rule.bucket(distance));
        Self { rule, precomputed }
    }

    /// Buckets for sequences of up to `longest` tokens.
    pub(super) fn covering(&self, longest: usize) -> Cow<'_, Distances> {
        if longest <= self.precomputed.reach() + 1 {
            Cow::Borrowed(&self.precomputed)
        } else {
            let bucket = |distance| self.rule.bucket(distance);
            Cow::Owned(Distances::new(longest - 1, bucket))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t5_buckets_equal_published_ones() {
        // 32 buckets up to distance 128: 8 exact ones in each direction, then 8 that grow by
        // 16^(1/8) = 1.414.
        let bucket = |distance| t5(distance, 32, 128);
        for (distance, expected) in [
            (0, 0),
            (-1, 1),
            (-7, 7),
            (-8, 8),
            (-11, 8),
            (-12, 9),
            (-15, 9),
            (-16, 10),
            (-127, 15),
            (-128, 15),
            (-9999, 15),
            (1, 17),
            (7, 23),
            (8, 24),
            (90, 30),
            (91, 31),
            (9999, 31),
        ] {
            assert_eq!(bucket(distance), expected, "{distance}");
        }
    }

    #[test]
    fn deberta_buckets_are_exact_up_to_half_the_span_then_logarithmic() {
        // Span 256, distances up to 512: 128 exact, then 127 that grow to 511.
        let offset = |offset| deberta_logarithmic(offset, 256, 512);
        for exact in [-128, -1, 0, 1, 127, 128] {
            assert_eq!(offset(exact), exact);
        }
        assert_eq!(offset(129), 129);
        assert_eq!(offset(511), 255);
        assert_eq!(offset(-511), -255);
        let mut before = 128;
        for distance in 129..=600 {
            let here = offset(distance);
            assert!(here == before || here == before + 1, "{distance}");
            assert_eq!(offset(-distance), -here);
            before = here;
        }
    }

    #[test]
    fn deberta_keys_after_the_query_have_lower_buckets_and_ends_are_clamped() {
        let rule = Rule::Deberta {
            span: 4,
            is_logarithmic: false,
            max_relative: 4,
        };
        let found: Vec<_> = (-6..=6).map(|distance| rule.bucket(distance)).collect();
        assert_eq!(found, [7, 7, 7, 7, 6, 5, 4, 3, 2, 1, 0, 0, 0]);
    }

    #[test]
    fn long_sequences_get_buckets_of_their_own() {
        let rule = Rule::T5 {
            buckets: 32,
            max_distance: 128,
        };
        let distances = RelativeDistances::new(rule);
        assert!(matches!(distances.covering(PRECOMPUTED), Cow::Borrowed(_)));
        let long = distances.covering(PRECOMPUTED + 100);
        assert_eq!(long.reach(), PRECOMPUTED + 99);
        let near = distances.covering(3);
        assert_eq!(long.of_query(1, 3), near.of_query(1, 3));
    }
}
