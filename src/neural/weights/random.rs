//! Random weights: what a model that is trained from scratch begins with.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::Weights;

/// The standard deviation of initial weights, that of BERT.
const DEVIATION: f64 = 0.02;

/// A generator of random values (SplitMix64: Steele, Lea and Flood, 2014); the same seed gives the
/// same values on every machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// A generator.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A value of 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A value of at least 0 and less than 1.
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// A value of the standard normal distribution (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Random tensors, made when they are first read.
#[derive(Debug)]
pub(super) struct Generated {
    seed: u64,
    shapes: Mutex<BTreeMap<String, Vec<usize>>>,
}

impl Generated {
    /// The values of a tensor: norms begin with 1, biases with 0, others with small random values.
    pub fn tensor(&self, name: &str, shape: &[usize]) -> Vec<f32> {
        let mut shapes = self
            .shapes
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        shapes.insert(name.to_owned(), shape.to_vec());
        let len = shape.iter().product();
        let lower = name.to_ascii_lowercase();
        if lower.ends_with("bias") && shape.len() == 1 {
            return vec![0.0; len];
        }
        if lower.contains("norm") {
            return vec![1.0; len];
        }
        let mut random = Random::new(xxh3_64_with_seed(name.as_bytes(), self.seed));
        (0..len)
            .map(|_| (DEVIATION * random.normal()) as f32)
            .collect()
    }
}

impl Weights {
    /// Random weights for a model of any shape: each tensor that is read exists. `folder` is that of
    /// the configuration and the tokenizer.
    pub(crate) fn random(folder: &Path, seed: u64) -> Self {
        Self {
            folder: folder.to_path_buf(),
            files: Vec::new(),
            tensors: BTreeMap::new(),
            added: BTreeMap::new(),
            generated: Some(Generated {
                seed,
                shapes: Mutex::default(),
            }),
        }
    }

    /// The shapes of the random tensors that were read.
    pub(crate) fn generated_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let generated = self.generated.as_ref();
        generated.map_or_else(BTreeMap::new, |generated| {
            let shapes = generated.shapes.lock();
            shapes
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_depend_on_their_name_and_the_seed() {
        let weights = Weights::random(Path::new("x"), 5);
        let one = weights.tensor("a.weight", &[40, 50]).unwrap();
        assert_eq!(one, weights.tensor("a.weight", &[40, 50]).unwrap());
        assert_ne!(one, weights.tensor("b.weight", &[40, 50]).unwrap());
        assert_ne!(
            one,
            Weights::random(Path::new("x"), 6)
                .tensor("a.weight", &[40, 50])
                .unwrap()
        );
        let mean: f32 = one.iter().sum::<f32>() / 2_000.0;
        let square: f32 = one.iter().map(|value| value * value).sum::<f32>() / 2_000.0;
        assert!(mean.abs() < 2e-3 && (square.sqrt() - 0.02).abs() < 2e-3);
        assert_eq!(weights.tensor("a.bias", &[2]).unwrap(), [0.0; 2]);
        assert_eq!(
            weights.tensor("a.LayerNorm.weight", &[2]).unwrap(),
            [1.0; 2]
        );
        assert_eq!(weights.generated_shapes()["a.weight"], [40, 50]);
        assert!(!weights.has("a.weight"));
    }
}
