//! Random numbers from a seed: the same on every machine, but for the last bits of logarithms and powers.

/// SplitMix64: one multiplication chain a number, and any seed is as good as any other.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each seed, purpose and number.
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

    /// From 0 until 1.
    pub fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// From 0 until `end`.
    pub fn below(&mut self, end: usize) -> usize {
        // The rounding bias is far below anything measured here.
        (self.share() * end as f64) as usize
    }

    /// From the normal distribution of mean 0 and deviation 1 (Box and Muller).
    pub fn normal(&mut self) -> f64 {
        let (a, b) = (1.0 - self.share(), self.share());
        (-2.0 * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }
}

/// Draws ranks below `end`, rank r with a probability of about 1 / (r + offset) ^ exponent.
///
/// The inverse of the distribution is tabulated at equal steps of probability, and straight in between: as exact
/// as the 16 thousand steps are narrow, and much faster than two powers a draw.
#[derive(Clone, Debug)]
pub struct Ranks {
    /// The rank below which each share of the draws is, and how far it is to the next.
    steps: Vec<(f32, f32)>,
}

const STEPS_BITS: u32 = 14;

impl Ranks {
    pub fn new(end: usize, offset: f64, exponent: f64) -> Self {
        let power = 1.0 - exponent;
        let (low, high) = (offset.powf(power), (offset + end as f64).powf(power));
        let rank = |step: u32| {
            let share = f64::from(step) / f64::from(1 << STEPS_BITS);
            (low + share * (high - low)).powf(1.0 / power) - offset
        };
        let steps = (0..1 << STEPS_BITS).map(|step| {
            // A little less than the end, so that no draw rounds up to it.
            let (from, to) = (rank(step), rank(step + 1).min(end as f64 - 0.01));
            (from as f32, (to - from) as f32)
        });
        Self {
            steps: steps.collect(),
        }
    }

    pub fn draw(&self, random: &mut Random) -> usize {
        let drawn = random.next();
        let (from, width) = self.steps[(drawn >> (64 - STEPS_BITS)) as usize];
        let share = (drawn & 0x00FF_FFFF) as f32 / (1 << 24) as f32;
        (from + share * width) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_have_the_probabilities_asked_for() {
        const DRAWS: usize = 1_000_000;
        for (end, offset, exponent) in [(1_000, 10.0, 1.05), (1_000, 500.0, 0.5), (30, 8.0, 0.9)] {
            let ranks = Ranks::new(end, offset, exponent);
            let mut random = Random::new(1, 0, 0);
            let mut counts = vec![0usize; end];
            for _ in 0..DRAWS {
                counts[ranks.draw(&mut random)] += 1;
            }
            let integral = |to: usize| (offset + to as f64).powf(1.0 - exponent);
            let total = integral(end) - integral(0);
            for from in (0..end).step_by(end / 10) {
                let to = (from + end / 10).min(end);
                let expected = (integral(to) - integral(from)) / total;
                let found = counts[from..to].iter().sum::<usize>() as f64 / DRAWS as f64;
                assert!(
                    (found - expected).abs() < 0.002,
                    "{from}: {found} {expected}"
                );
            }
        }
    }
}
