//! Fisher's randomization test: the fraction of random signs with a mean as extreme as the observed
//! one.

use super::significance::PairedValues;
use crate::error::{Error, Result};

/// Result of [`randomization_test`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct RandomizationTest {
    /// Mean difference between the runs: positive if the second run is better.
    pub mean_difference: f64,
    /// Two-sided p-value.
    pub p_value: f64,
    /// Number of sign assignments evaluated.
    pub permutations: u64,
    /// True if these were all assignments, so the p-value is exact.
    pub exact: bool,
}

/// Fisher's randomization test for paired values, two-sided, on the mean difference.
///
/// Under the null hypothesis that the runs do not differ, both signs of each difference are equally
/// likely. The p-value is the fraction of sign assignments whose mean is at least as far from 0 as
/// the observed mean. If there are at most `permutations` assignments, all are evaluated. Otherwise
/// `permutations` of them are drawn at random, and the observed one is counted as well, so the
/// p-value is never 0. The same `seed` gives the same p-value. Near 0.05, a p-value from 100,000
/// permutations has a standard error of 0.0007.
///
/// ```
/// use esparsa::eval::{PairedValues, randomization_test};
///
/// let pairs = PairedValues::new(&[0.1, 0.5, 0.2, 0.4], &[0.3, 0.6, 0.5, 0.4])?;
/// let test = randomization_test(&pairs, 100_000, 42)?;
/// assert!(test.exact);
/// assert_eq!(test.p_value, 0.25);
/// # Ok::<(), esparsa::Error>(())
/// ```
///
/// # Errors
///
/// [`Error::InvalidInput`] if `permutations` is 0.
pub fn randomization_test(
    pairs: &PairedValues,
    permutations: u64,
    seed: u64,
) -> Result<RandomizationTest> {
    if permutations == 0 {
        return Err(Error::invalid("expected at least one permutation, found 0"));
    }
    // The sign of a zero difference has no effect, so zeros are skipped.
    let values: Vec<f64> = pairs
        .differences()
        .iter()
        .copied()
        .filter(|&value| value != 0.0)
        .collect();
    let observed = values.iter().sum::<f64>().abs();
    // Mathematically equal sums may differ in their last bits, because rounding depends on the
    // signs.
    let slack = 1e-12 * values.iter().map(|value| value.abs()).sum::<f64>();
    let threshold = observed - slack;
    let all = (values.len() < 64).then(|| 1_u64 << values.len());
    let (p_value, permutations, exact) = match all {
        Some(assignments) if assignments <= permutations => {
            let extreme = count_all_signs(&values, assignments, threshold);
            (extreme as f64 / assignments as f64, assignments, true)
        }
        _ => {
            let extreme = count_random_signs(&values, permutations, threshold, seed);
            let p_value = (extreme + 1) as f64 / (permutations as f64 + 1.0);
            (p_value, permutations, false)
        }
    };
    Ok(RandomizationTest {
        mean_difference: pairs.mean_difference(),
        p_value,
        permutations,
        exact,
    })
}

/// Number of sign assignments, among all, whose absolute sum is at least `threshold`.
fn count_all_signs(values: &[f64], assignments: u64, threshold: f64) -> u64 {
    let extreme = |&signs: &u64| signed_sum(values, signs).abs() >= threshold;
    (0..assignments).filter(extreme).count() as u64
}

/// Number of sign assignments, among random ones, whose absolute sum is at least `threshold`.
fn count_random_signs(values: &[f64], permutations: u64, threshold: f64, seed: u64) -> u64 {
    let mut random = SplitMix64::new(seed);
    let mut extreme = 0;
    for _ in 0..permutations {
        let chunks = values.chunks(64);
        let sum: f64 = chunks.map(|chunk| signed_sum(chunk, random.next())).sum();
        extreme += u64::from(sum.abs() >= threshold);
    }
    extreme
}

/// Sum of at most 64 values, the sign of value i flipped if bit i of `signs` is set.
fn signed_sum(values: &[f64], signs: u64) -> f64 {
    // Branch-free: the bit is XORed into the sign bit, because the branch would be mispredicted
    // half of the time.
    let signed = |(i, value): (usize, &f64)| f64::from_bits(value.to_bits() ^ ((signs >> i) << 63));
    values.iter().enumerate().map(signed).sum()
}

/// The generator of Steele, Lea and Flood (2014): a counter and a mixing function.
pub(super) struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    /// Starts the sequence of a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The next 64 random bits.
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
impl SplitMix64 {
    /// A number from 0 to 1, for tests.
    pub(super) fn uniform(&mut self) -> f64 {
        self.next() as f64 / u64::MAX as f64
    }

    /// An integer below `bound`, for tests.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(differences: &[f64]) -> PairedValues {
        PairedValues::new(&vec![0.0; differences.len()], differences).unwrap()
    }

    /// Every sign assignment, one sign at a time.
    fn all_sums(values: &[f64]) -> Vec<f64> {
        let Some((first, rest)) = values.split_first() else {
            return vec![0.0];
        };
        let sums = all_sums(rest);
        let plus = sums.iter().map(|sum| sum + first);
        plus.chain(sums.iter().map(|sum| sum - first)).collect()
    }

    fn random_differences(count: usize, shift: f64, seed: u64) -> Vec<f64> {
        let mut random = SplitMix64::new(seed);
        let spread = |_| random.uniform() - 0.5 + shift;
        (0..count).map(spread).collect()
    }

    #[test]
    fn few_queries_are_tested_exactly() {
        for seed in 0..20 {
            let mut values = random_differences(9, 0.2, seed);
            values.extend([0.0, 0.25, -0.25]);
            let sums = all_sums(&values);
            let observed = values.iter().sum::<f64>().abs() - 1e-12;
            let extreme = sums.iter().filter(|sum| sum.abs() >= observed).count();
            let test = randomization_test(&pairs(&values), 5000, seed).unwrap();
            assert!(test.exact);
            assert_eq!(test.permutations, 1 << 11);
            assert_eq!(test.p_value, extreme as f64 / sums.len() as f64);
        }
    }

    #[test]
    fn random_signs_approximate_the_exact_value() {
        for seed in 0..5 {
            let pairs = pairs(&random_differences(16, 0.12, seed));
            let exact = randomization_test(&pairs, 1 << 16, 0).unwrap();
            let drawn = randomization_test(&pairs, 40_000, seed).unwrap();
            assert!(exact.exact && !drawn.exact);
            let deviation = (exact.p_value * (1.0 - exact.p_value) / 40_000.0).sqrt();
            let error = (drawn.p_value - exact.p_value).abs();
            assert!(error < 5.0 * deviation + 1e-4, "{exact:?} {drawn:?}");
            assert_eq!(drawn, randomization_test(&pairs, 40_000, seed).unwrap());
        }
    }

    #[test]
    fn many_queries_use_a_sign_each() {
        // 200 equal differences: extreme only if all signs agree, which chance does not bring
        // about.
        let same = randomization_test(&pairs(&[0.5; 200]), 999, 3).unwrap();
        assert_eq!(same.p_value, 0.001);
        // Differences that cancel: every assignment is at least as extreme.
        let opposite: Vec<f64> = (0..200)
            .map(|i| if i % 2 == 0 { 0.5 } else { -0.5 })
            .collect();
        assert_eq!(
            randomization_test(&pairs(&opposite), 999, 3)
                .unwrap()
                .p_value,
            1.0
        );
    }

    #[test]
    fn the_generator_gives_the_published_numbers() {
        let mut random = SplitMix64::new(1_234_567);
        let numbers = [random.next(), random.next(), random.next()];
        let published = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!(numbers, published);
    }

    #[test]
    fn equal_runs_do_not_differ() {
        let test = randomization_test(&pairs(&[0.0; 80]), 100, 1).unwrap();
        assert_eq!(test.p_value, 1.0);
        assert!(test.exact);
    }

    #[test]
    fn no_permutations_are_refused() {
        assert!(randomization_test(&pairs(&[0.5]), 0, 1).is_err());
    }
}
