//! A shuffled order that takes no memory: a keyed bijection of 0..n.
//!
//! A Feistel network permutes the numbers of an even count of bits, the least that holds n; numbers
//! of n or above are permuted again until one is below it (cycle walking: Black and Rogaway, 2002).
//! The place of any example is known at once, so a run can be resumed at any step.

/// Rounds of the network; four make it pseudo-random (Luby and Rackoff, 1988), two more are cheap.
const ROUNDS: u64 = 6;

/// A shuffled order of the numbers below `len`.
#[derive(Clone, Copy, Debug)]
pub struct Permutation {
    len: u64,
    half_bits: u32,
    key: u64,
}

impl Permutation {
    /// The order of an epoch; other seeds and epochs have other orders.
    pub fn new(len: u64, seed: u64, epoch: u64) -> Self {
        let bits = 64 - len.saturating_sub(1).leading_zeros();
        Self {
            len,
            half_bits: bits.div_ceil(2).max(1),
            key: mix(seed ^ mix(epoch.wrapping_add(0x5851_f42d_4c95_7f2d))),
        }
    }

    /// The number at a place of the order. `place` must be below the length.
    pub fn at(&self, place: u64) -> u64 {
        debug_assert!(place < self.len);
        let mut number = place;
        loop {
            number = self.permuted(number);
            if number < self.len {
                return number;
            }
        }
    }

    fn permuted(&self, number: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (number >> self.half_bits, number & mask);
        for round in 0..ROUNDS {
            let mixed = mix(right
                ^ self
                    .key
                    .wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            (left, right) = (right, left ^ (mixed & mask));
        }
        left << self.half_bits | right
    }
}

/// A bijection of 64 bits in which every bit of the input changes about half of the output's.
pub(super) fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_comes_once(len in 1u64..3_000, seed: u64, epoch in 0u64..5) {
            let permutation = Permutation::new(len, seed, epoch);
            let mut seen: Vec<u64> = (0..len).map(|place| permutation.at(place)).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn orders_differ_and_are_mixed() {
        let order = |seed, epoch| {
            let permutation = Permutation::new(10_000, seed, epoch);
            (0..10_000)
                .map(|place| permutation.at(place))
                .collect::<Vec<u64>>()
        };
        let one = order(1, 0);
        assert_ne!(one, order(2, 0));
        assert_ne!(one, order(1, 1));
        assert_eq!(one, order(1, 0));
        // Of a random order: the mean distance from a number's own place is a third of the length,
        // and neighbors follow each other about once.
        let distance: u64 = (0u64..)
            .zip(&one)
            .map(|(place, n)| place.abs_diff(*n))
            .sum();
        let mean = distance as f64 / 10_000.0;
        assert!((3_200.0..3_470.0).contains(&mean), "{mean}");
        let neighbors = one.windows(2).filter(|pair| pair[0] + 1 == pair[1]).count();
        assert!(neighbors < 10, "{neighbors}");
        // Rank correlation with the places.
        let correlation: f64 = (0u64..)
            .zip(&one)
            .map(|(place, n)| (place as f64 - 4999.5) * (*n as f64 - 4999.5))
            .sum::<f64>()
            / (10_000f64.powi(3) / 12.0);
        assert!(correlation.abs() < 0.05, "{correlation}");
    }

    #[test]
    fn large_orders_are_known_at_any_place() {
        let permutation = Permutation::new(40_000_000, 3, 7);
        for place in [0, 1, 39_999_999] {
            assert!(permutation.at(place) < 40_000_000);
        }
        assert_eq!(Permutation::new(1, 0, 0).at(0), 0);
    }
}
