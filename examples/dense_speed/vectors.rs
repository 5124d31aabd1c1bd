//! Generated vectors of norm 1: uniformly distributed, or in clusters like those of texts.

use crate::random::Random;

pub const DIMENSIONS: usize = 384;
const CLUSTERS: usize = 300;
/// The distance of vectors from the center of their cluster, whose norm is 1.
const SPREAD: f64 = 0.7;

/// The distribution of vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    Random,
    Clustered,
}

fn normal(random: &mut Random) -> f64 {
    let radius = (-2.0 * (1.0 - random.share()).ln()).sqrt();
    radius * (std::f64::consts::TAU * random.share()).cos()
}

fn direction(random: &mut Random) -> Vec<f64> {
    let vector: Vec<f64> = (0..DIMENSIONS).map(|_| normal(random)).collect();
    normalized(vector)
}

fn normalized(mut vector: Vec<f64>) -> Vec<f64> {
    let norm = vector.iter().map(|n| n * n).sum::<f64>().sqrt();
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

/// `count` vectors; another purpose gives other vectors in the same clusters.
pub fn vectors(spread: Spread, purpose: u64, count: usize) -> Vec<Vec<f32>> {
    let middles: Vec<Vec<f64>> = (0..CLUSTERS)
        .map(|cluster| direction(&mut Random::new(7, 1, cluster as u64)))
        .collect();
    let vector = |number: usize| {
        let mut random = Random::new(7, 2 + purpose, number as u64);
        let mut vector = direction(&mut random);
        if spread == Spread::Clustered {
            let middle = &middles[random.below(CLUSTERS)];
            for (x, middle) in vector.iter_mut().zip(middle) {
                *x = *x * SPREAD + middle;
            }
        }
        let vector = normalized(vector).into_iter();
        vector.map(|x| x as f32).collect()
    };
    (0..count).map(vector).collect()
}
