//! Shuffling without memory: a keyed bijection of `0..n`.

use std::mem::swap;

/// Rounds of the network. Four are indistinguishable from random in theory, for large domains; small
/// domains need more.
const ROUNDS: usize = 10;
/// Smallest domain of the network, in bits: below it too few bits are mixed in a round.
const MIN_BITS: u32 = 10;

/// A permutation of `0..n` that is computed, not stored, so that an epoch of any length is shuffled
/// without memory, and any of its positions is known at once.
///
/// It is a Feistel network over the smallest even number of bits that holds `n`. Values of `n` or
/// more are permuted again until one is below `n` (cycle walking), which keeps it a bijection.
///
/// ```
/// # use esparsa::internals::train::Permutation;
/// let shuffled = Permutation::new(5, 7, 0);
/// let mut order: Vec<u64> = (0..5).map(|position| shuffled.at(position)).collect();
/// order.sort_unstable();
/// assert_eq!(order, [0, 1, 2, 3, 4]);
/// ```
#[derive(Clone, Debug)]
pub struct Permutation {
    len: u64,
    half_bits: u32,
    keys: [u64; ROUNDS],
}

impl Permutation {
    /// The permutation of `0..len` of an epoch; another seed or epoch gives another one.
    pub fn new(len: u64, seed: u64, epoch: u64) -> Self {
        let bits = (u64::BITS - len.saturating_sub(1).leading_zeros()).max(MIN_BITS);
        let mut state = mix(mix(seed) ^ epoch.wrapping_add(GOLDEN));
        let keys = std::array::from_fn(|_| {
            state = state.wrapping_add(GOLDEN);
            mix(state)
        });
        Self {
            len,
            half_bits: bits.div_ceil(2),
            keys,
        }
    }

    /// What comes at a position.
    ///
    /// # Panics
    ///
    /// If `position` is not below the length.
    pub fn at(&self, position: u64) -> u64 {
        assert!(
            position < self.len,
            "position {position} of a permutation of {}",
            self.len
        );
        let mut value = self.permute(position);
        while value >= self.len {
            value = self.permute(value);
        }
        value
    }

    /// One pass through the network: a bijection of the values of `2 * half_bits` bits.
    fn permute(&self, value: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            left ^= mix(right ^ key) & mask;
            swap(&mut left, &mut right);
        }
        (left << self.half_bits) | right
    }
}

/// The indices of `count` of `len` items, without repeats, for an example of an epoch: each epoch has
/// the next `count` of the items, in an order that follows from the seed and the number of the example.
pub(super) fn sample(
    len: usize,
    count: usize,
    number: u64,
    epoch: u64,
    seed: u64,
) -> impl Iterator<Item = usize> {
    let (len, count) = (len as u64, count.min(len) as u64);
    let order = Permutation::new(len, seed, mix(number.wrapping_add(GOLDEN)));
    let first = u128::from(epoch) * u128::from(count) % u128::from(len.max(1));
    // The remainder is below `len`, and so is what a position holds.
    (0..count).map(move |place| order.at((first as u64 + place) % len) as usize)
}

/// 2^64 divided by the golden ratio, the step of SplitMix64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finalizer of SplitMix64: a bijection in which every bit of the input affects every bit of the
/// output.
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn order(len: u64, seed: u64, epoch: u64) -> Vec<u64> {
        let permutation = Permutation::new(len, seed, epoch);
        (0..len).map(|position| permutation.at(position)).collect()
    }

    fn is_bijection(order: &[u64]) -> bool {
        let mut sorted = order.to_vec();
        sorted.sort_unstable();
        sorted
            .iter()
            .enumerate()
            .all(|(index, value)| index as u64 == *value)
    }

    #[test]
    fn small_lengths_are_bijections() {
        for len in 0..300 {
            assert!(is_bijection(&order(len, 42, len)), "{len}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn any_length_is_a_bijection(len in 1u64..70_000, seed: u64, epoch: u64) {
            prop_assert!(is_bijection(&order(len, seed, epoch)));
        }

        #[test]
        fn seeds_and_epochs_give_other_orders(len in 50u64..5_000, seed: u64, epoch in 0u64..1_000) {
            let first = order(len, seed, epoch);
            for other in [order(len, seed ^ 1, epoch), order(len, seed, epoch + 1)] {
                let fixed = first.iter().zip(&other).filter(|(a, b)| a == b).count();
                // One position in `len` agrees by chance, so 12 positions have a probability of 1e-9.
                prop_assert!(fixed < 12, "{} of {} positions agree", fixed, len);
            }
        }
    }

    #[test]
    fn a_long_permutation_stays_in_its_range() {
        for len in [u64::MAX, 1 << 63, (1 << 40) + 1] {
            let permutation = Permutation::new(len, 1, 2);
            for position in [0, 1, len / 2, len - 1] {
                assert!(permutation.at(position) < len);
            }
        }
    }

    /// Each of `len` values at each of `len` positions over many seeds: the chi-square statistic of
    /// the counts is within five standard deviations of its mean.
    #[test]
    fn every_value_is_as_frequent_at_every_position() {
        for len in [2u64, 3, 5, 16, 33] {
            let trials = 4_000u64;
            let mut counts = vec![0u64; (len * len) as usize];
            for seed in 0..trials {
                for (position, value) in order(len, seed, 3).into_iter().enumerate() {
                    counts[position * len as usize + value as usize] += 1;
                }
            }
            let expected = trials as f64 / len as f64;
            let chi_square: f64 = counts
                .iter()
                .map(|&count| (count as f64 - expected).powi(2) / expected)
                .sum();
            let freedom = ((len - 1) * (len - 1)) as f64;
            let limit = freedom + 5.0 * (2.0 * freedom).sqrt() + 5.0;
            assert!(
                chi_square < limit,
                "{len}: chi-square {chi_square}, {freedom} degrees"
            );
        }
    }

    #[test]
    fn samples_go_through_all_items_in_turn() {
        let of = |epoch| sample(7, 3, 5, epoch, 9).collect::<Vec<usize>>();
        let all: Vec<usize> = (0..7).flat_map(of).collect();
        for round in all.chunks(7) {
            assert!(is_bijection(
                &round.iter().map(|&index| index as u64).collect::<Vec<_>>()
            ));
        }
        assert_eq!(of(7), of(0));
        assert_ne!(of(0), sample(7, 3, 6, 0, 9).collect::<Vec<_>>());
        assert_eq!(sample(2, 5, 0, u64::MAX, 9).count(), 2);
        assert_eq!(sample(0, 5, 0, 1, 9).count(), 0);
        assert_eq!(sample(3, 0, 0, 1, 9).count(), 0);
    }

    /// Neighbours of the data are not neighbours of the order, and positions do not correlate with
    /// values: what a reader of sorted data would see of a weak shuffle.
    #[test]
    fn neighbours_are_separated() {
        for len in [1_000u64, 12_345, 65_536] {
            let order = order(len, 9, 0);
            let adjacent = order
                .windows(2)
                .filter(|pair| pair[0].abs_diff(pair[1]) == 1)
                .count();
            assert!(adjacent < 15, "{len}: {adjacent} pairs stayed together");
            let mean = (len - 1) as f64 / 2.0;
            let covariance: f64 = order
                .iter()
                .enumerate()
                .map(|(position, &value)| (position as f64 - mean) * (value as f64 - mean))
                .sum();
            let variance: f64 = (0..len).map(|value| (value as f64 - mean).powi(2)).sum();
            let correlation = covariance / variance;
            assert!(
                correlation.abs() < 5.0 / (len as f64).sqrt(),
                "{len}: correlation {correlation}"
            );
        }
    }
}
