//! Which values dropout zeros, by a counter-based generator.
//!
//! The decision for a value depends on the seed and the value's place alone: nothing is kept for the
//! backward pass, and threads share no state.

use crate::error::{Error, Result};

/// Dropout of one tensor.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dropout {
    seed: u64,
    /// Values whose 32 random bits are below this are zeroed.
    below: u64,
    /// What the others are multiplied by: 1 / (1 - rate).
    factor: f32,
}

impl Dropout {
    /// Zeros a value with probability `rate`.
    pub fn new(rate: f32, seed: u64) -> Result<Self> {
        if !(0.0..1.0).contains(&rate) {
            return Err(Error::invalid(format!(
                "the dropout rate: expected a value of at least 0 and less than 1, found {rate}"
            )));
        }
        Ok(Self {
            seed,
            below: (f64::from(rate) * f64::from(u32::MAX)).round() as u64,
            factor: 1.0 / (1.0 - rate),
        })
    }

    /// The seed, the bound of random bits, and the factor, for kernels that do the same.
    #[cfg(feature = "cuda")]
    pub fn parts(&self) -> (u64, u64, f32) {
        (self.seed, self.below, self.factor)
    }

    /// What the value at a place is multiplied by.
    #[inline]
    pub fn factor(&self, place: u64) -> f32 {
        if random_bits(self.seed, place) < self.below {
            0.0
        } else {
            self.factor
        }
    }
}

/// 32 bits that look random: the finalizer of SplitMix64 (Steele, Lea and Flood, 2014) of the
/// place's term in the sequence that the seed begins.
#[inline]
fn random_bits(seed: u64, place: u64) -> u64 {
    let mut x = seed.wrapping_add((place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_rate_is_zeroed_and_the_mean_is_kept() {
        let dropout = Dropout::new(0.1, 7).unwrap();
        let factors: Vec<f32> = (0..100_000).map(|place| dropout.factor(place)).collect();
        let zeros = factors.iter().filter(|factor| **factor == 0.0).count();
        assert!((9_500..10_500).contains(&zeros), "{zeros}");
        let mean = factors.iter().map(|f| f64::from(*f)).sum::<f64>() / 1e5;
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
    }

    #[test]
    fn seeds_differ_and_a_rate_of_zero_keeps_all() {
        let mask = |seed| {
            let dropout = Dropout::new(0.5, seed).unwrap();
            (0..64).map(move |place| dropout.factor(place) == 0.0)
        };
        assert!(mask(1).eq(mask(1)));
        assert!(!mask(1).eq(mask(2)));
        let none = Dropout::new(0.0, 3).unwrap();
        assert!((0..1_000).all(|place| none.factor(place) == 1.0));
    }

    #[test]
    fn rates_outside_of_zero_to_one_are_refused() {
        for rate in [-0.1, 1.0, f32::NAN] {
            assert!(Dropout::new(rate, 0).is_err(), "{rate}");
        }
    }
}
