//! Pseudo-random numbers that are the same on every machine.

/// SplitMix64: one multiplication chain per number, and any seed is as good as any other.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// An independent sequence for each seed, purpose and number.
    pub fn new(seed: u64, purpose: u64, number: u64) -> Self {
        let mut mixed = Self(seed);
        mixed.0 ^= mixed.next() ^ purpose;
        mixed.0 ^= mixed.next() ^ number;
        mixed.next();
        mixed
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 (inclusive) to 1 (exclusive).
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From 0 (inclusive) to `end` (exclusive).
    pub fn below(&mut self, end: usize) -> usize {
        // The rounding bias is far below anything measured here.
        (self.share() * end as f64) as usize
    }

    /// A rank below `end`, rank r with a probability of about 1 / (r + offset) ^ exponent.
    pub fn rank(&mut self, end: usize, offset: f64, exponent: f64) -> usize {
        let power = 1.0 - exponent;
        let (low, high) = (offset.powf(power), (offset + end as f64).powf(power));
        let drawn = (low + self.share() * (high - low)).powf(1.0 / power) - offset;
        (drawn as usize).min(end - 1)
    }
}
