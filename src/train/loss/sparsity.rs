//! What keeps sparse vectors sparse: FLOPS and L1.

use crate::backend::SparseVector;

/// How the weights of a batch are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// Σ over terms of (mean weight of the term in the batch)²: the expected number of products of two
    /// vectors (FLOPS: Paria and others, 2020; Formal and others, 2021).
    Flops,
    /// The mean over vectors of the sum of their weights.
    L1,
}

/// A regularizer of the sparse vectors of a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Sparsity {
    /// How weights are counted.
    pub norm: Norm,
    /// A factor for each term, such as its document frequency, for which frequent terms cost more;
    /// empty for 1.
    pub term_factors: Vec<f32>,
}

impl Sparsity {
    /// The loss, and the gradient of each weight of each vector. The mean is over the whole batch:
    /// vectors of all parts that a batch was split into must be given together.
    pub fn of(&self, vectors: &[SparseVector]) -> (f64, Vec<Vec<f64>>) {
        let count = vectors.len().max(1) as f64;
        let factor = |term: u32| {
            let factor = self.term_factors.get(term as usize);
            factor.map_or(1.0, |factor| f64::from(*factor))
        };
        let terms = vectors.iter().flatten().map(|(term, _)| *term as usize + 1);
        let mut means = vec![0.0; terms.max().unwrap_or(0)];
        for (term, weight) in vectors.iter().flatten() {
            means[*term as usize] += f64::from(*weight) / count;
        }
        let of_terms = (0u32..).zip(&means);
        let value = of_terms.map(|(term, mean)| match self.norm {
            Norm::Flops => factor(term) * mean * mean,
            Norm::L1 => factor(term) * mean,
        });
        let slope = |term: u32| match self.norm {
            Norm::Flops => 2.0 * factor(term) * means[term as usize] / count,
            Norm::L1 => factor(term) / count,
        };
        let gradient =
            |vector: &SparseVector| vector.iter().map(|(term, _)| slope(*term)).collect();
        (value.sum(), vectors.iter().map(gradient).collect())
    }
}

/// λ at a step: it rises quadratically over the first `ramp` steps, so that vectors learn what to keep
/// before they must drop it (Formal and others, 2021).
pub fn lambda_at(lambda: f64, step: u64, ramp: u64) -> f64 {
    let share = match ramp {
        0 => 1.0,
        ramp => (step as f64 / ramp as f64).min(1.0),
    };
    lambda * share * share
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vectors() -> Vec<SparseVector> {
        vec![vec![(0, 1.0), (2, 3.0)], vec![(2, 1.0)]]
    }

    #[test]
    fn flops_and_l1_equal_hand_computed_figures() {
        // Means are 0.5, 0 and 2.
        let flops = Sparsity {
            norm: Norm::Flops,
            term_factors: Vec::new(),
        };
        let (value, gradient) = flops.of(&vectors());
        assert_eq!(value, 0.25 + 4.0);
        assert_eq!(gradient, [vec![0.5, 2.0], vec![2.0]]);
        let l1 = Sparsity {
            norm: Norm::L1,
            term_factors: vec![1.0, 1.0, 10.0],
        };
        let (value, gradient) = l1.of(&vectors());
        assert_eq!(value, 0.5 + 20.0);
        assert_eq!(gradient, [vec![0.5, 5.0], vec![5.0]]);
        assert_eq!(l1.of(&[]).0, 0.0);
    }

    #[test]
    fn the_gradient_is_the_slope() {
        let flops = Sparsity {
            norm: Norm::Flops,
            term_factors: vec![0.5, 1.0, 2.0],
        };
        let gradient = flops.of(&vectors()).1;
        let at = |step: f32| {
            let mut moved = vectors();
            moved[0][1].1 += step;
            flops.of(&moved).0
        };
        let expected = (at(0.25) - at(-0.25)) / 0.5;
        assert!((gradient[0][1] - expected).abs() < 1e-9);
    }

    #[test]
    fn lambda_rises_quadratically() {
        assert_eq!(lambda_at(8.0, 0, 100), 0.0);
        assert_eq!(lambda_at(8.0, 50, 100), 2.0);
        assert_eq!(lambda_at(8.0, 100, 100), 8.0);
        assert_eq!(lambda_at(8.0, 1_000, 100), 8.0);
        assert_eq!(lambda_at(8.0, 0, 0), 8.0);
    }
}
