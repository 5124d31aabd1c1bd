//! Confidence intervals of means, by the bootstrap.
//!
//! Efron, "Bootstrap methods: another look at the jackknife", 1979; the percentile interval.

/// Resamples: the ends of an interval then vary by a few percent of its width.
const RESAMPLES: usize = 2_000;

/// The interval that holds the mean of the queries of which these are a sample, in 95 of 100
/// studies; `None` without values.
pub(super) fn interval(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len();
    if count == 0 {
        return None;
    }
    // A fixed seed: the same values always give the same interval.
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        // SplitMix64.
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    };
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let sum: f64 = (0..count)
                .map(|_| values[((u128::from(next()) * count as u128) >> 64) as usize])
                .sum();
            sum / count as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((RESAMPLES - 1) as f64 * share).round() as usize];
    Some((at(0.025), at(0.975)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_about_two_standard_errors_to_each_side() {
        // 0 and 1 in equal shares: the standard error of the mean of 400 is 0.025.
        let values: Vec<f64> = (0..400).map(|place| f64::from(place % 2)).collect();
        let (low, high) = interval(&values).unwrap();
        assert!(
            (low - 0.451).abs() < 0.006 && (high - 0.549).abs() < 0.006,
            "{low} {high}"
        );
        let (low, high) = interval(&[0.25; 8]).unwrap();
        assert_eq!((low, high), (0.25, 0.25));
        assert_eq!(interval(&[]), None);
    }
}
