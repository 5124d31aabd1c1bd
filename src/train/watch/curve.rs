//! A value over the steps of a run, in bounded memory.
//!
//! Values are kept in buckets of equal length, each with its min and max. When there are too many,
//! neighbours are merged: a curve of ten million steps takes as much memory, and as many points on a
//! page, as one of two thousand, and no outlier disappears.

/// Buckets beyond which neighbours are merged.
const MAX_BUCKETS: usize = 1_000;

/// Consecutive values.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// The step of the first value.
    pub first: u64,
    /// The step of the last value.
    pub last: u64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// The smoothed value at the last step.
    pub smooth: f64,
}

impl Bucket {
    fn merged(self, next: Self) -> Self {
        Self {
            first: self.first,
            last: next.last,
            min: self.min.min(next.min),
            max: self.max.max(next.max),
            smooth: next.smooth,
        }
    }
}

/// A value over steps. What is not finite is left out.
#[derive(Clone, Debug)]
pub struct Curve {
    buckets: Vec<Bucket>,
    /// Values of a bucket, and of the last one.
    width: usize,
    filled: usize,
    /// The share of a new value in the smoothed one.
    share: f64,
    /// The exponential sum of values, and of weights.
    sum: f64,
    weight: f64,
}

impl Curve {
    /// An empty curve. The smoothed value is an exponential mean over about `smoothed` values.
    pub fn new(smoothed: f64) -> Self {
        Self {
            buckets: Vec::new(),
            width: 1,
            filled: 1,
            share: 1.0 / smoothed.max(1.0),
            sum: 0.0,
            weight: 0.0,
        }
    }

    /// Takes the value of a step; steps rise.
    pub fn push(&mut self, step: u64, value: f64) {
        if !value.is_finite() {
            return;
        }
        // Divided by the sum of weights, the mean of a few values is not drawn towards 0.
        self.sum += self.share * (value - self.sum);
        self.weight += self.share * (1.0 - self.weight);
        let new = Bucket {
            first: step,
            last: step,
            min: value,
            max: value,
            smooth: self.sum / self.weight,
        };
        if self.filled < self.width
            && let Some(last) = self.buckets.last_mut()
        {
            *last = last.merged(new);
            self.filled += 1;
            return;
        }
        if self.buckets.len() == MAX_BUCKETS {
            let pairs = self.buckets.chunks(2);
            let merged = pairs.filter_map(|pair| pair.iter().copied().reduce(Bucket::merged));
            self.buckets = merged.collect();
            self.width *= 2;
        }
        self.buckets.push(new);
        self.filled = 1;
    }

    /// The last smoothed value.
    pub fn latest(&self) -> Option<f64> {
        self.buckets.last().map(|bucket| bucket.smooth)
    }

    /// The buckets, in order of steps.
    pub fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    /// Steps and values; of a bucket with several, the smallest and the largest.
    pub fn points(&self) -> Vec<(f64, f64)> {
        let mut points = Vec::with_capacity(2 * self.buckets.len());
        for bucket in &self.buckets {
            points.push((bucket.first as f64, bucket.min));
            if bucket.last > bucket.first {
                points.push((bucket.last as f64, bucket.max));
            }
        }
        points
    }

    /// Steps and smoothed values.
    pub fn smooth(&self) -> Vec<(f64, f64)> {
        let of_bucket = |bucket: &Bucket| (bucket.last as f64, bucket.smooth);
        self.buckets.iter().map(of_bucket).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_curves_are_bounded_and_keep_their_outliers() {
        let mut curve = Curve::new(10.0);
        for step in 1..=100_000 {
            curve.push(step, if step == 54_321 { 99.0 } else { 1.0 });
        }
        assert!((MAX_BUCKETS / 2..=MAX_BUCKETS).contains(&curve.buckets().len()));
        assert!(curve.points().contains(&(54_400.0, 99.0)));
        let (step, last) = curve.smooth()[curve.buckets().len() - 1];
        assert!(step == 100_000.0 && (last - 1.0).abs() < 1e-9);
    }

    #[test]
    fn the_smoothed_value_is_a_mean_from_the_start() {
        let mut curve = Curve::new(100.0);
        curve.push(1, 6.0);
        curve.push(2, f64::NAN);
        curve.push(3, f64::INFINITY);
        assert!((curve.latest().unwrap() - 6.0).abs() < 1e-12);
        curve.push(4, 3.0);
        assert!((curve.latest().unwrap() - 4.5).abs() < 0.01);
        assert_eq!(curve.points(), [(1.0, 6.0), (4.0, 3.0)]);
    }

    proptest! {
        #[test]
        fn buckets_cover_all_values_in_order(count in 1u64..20_000) {
            let mut curve = Curve::new(5.0);
            let value = |step: u64| (step as f64 * 0.7).sin();
            (1..=count).for_each(|step| curve.push(step, value(step)));
            let buckets = curve.buckets();
            prop_assert!(buckets.len() <= MAX_BUCKETS);
            prop_assert_eq!(buckets[0].first, 1);
            prop_assert_eq!(buckets[buckets.len() - 1].last, count);
            prop_assert!(buckets.windows(2).all(|pair| pair[0].last + 1 == pair[1].first));
            for bucket in buckets {
                let values = (bucket.first..=bucket.last).map(value);
                prop_assert_eq!(bucket.min, values.clone().fold(f64::INFINITY, f64::min));
                prop_assert_eq!(bucket.max, values.fold(f64::NEG_INFINITY, f64::max));
            }
        }
    }
}
