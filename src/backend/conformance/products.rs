//! Linear layers and the SPLADE head.

use super::Case;
use crate::backend::{
    Activation, Backend, Device, ForwardOps, Linear, Norm, Reference, SparseVector,
    SpladeActivation, SpladePooling, top_terms,
};
use crate::error::Result;

impl<B: Backend> Case<'_, B> {
    pub(super) fn linear(&mut self) -> Result<()> {
        let (rows, inputs, outputs) = (
            self.random.size() + self.random.below(2) * 300,
            self.random.size(),
            self.random.size(),
        );
        let (x, seen_x) = self.factors(rows * inputs, 1.0);
        let (weight, seen_weight) = self.factors(outputs * inputs, 1.0 / (inputs as f32).sqrt());
        let bias = self.random.values(outputs);
        let residual = self.stored(rows * outputs);
        let scale = self.random.values(outputs);

        let (ours_x, ref_x) = (
            self.backend.tensor(rows, inputs, &x)?,
            Reference.tensor(rows, inputs, &seen_x)?,
        );
        let (ours_w, ref_w) = (
            self.backend.matrix(outputs, inputs, &weight)?,
            Reference.matrix(outputs, inputs, &seen_weight)?,
        );
        let ours_b = self.backend.vector(&bias)?;
        let has_bias = self.random.below(2) == 0;
        let ours = Linear {
            weight: &ours_w,
            bias: has_bias.then_some(&ours_b),
        };
        let reference = Linear {
            weight: &ref_w,
            bias: has_bias.then_some(&bias),
        };
        let shape = format!("{rows} × {outputs} × {inputs}");
        for activation in [
            Activation::Identity,
            Activation::Gelu,
            Activation::GeluTanh,
            Activation::Relu,
            Activation::Silu,
            Activation::Tanh,
        ] {
            self.begin(format!("linear {activation:?}"), &shape);
            let found = self.backend.linear(&ours_x, &ours, activation)?;
            let expected = Reference.linear(&ref_x, &reference, activation)?;
            self.same(&found, &expected)?;
        }
        let (ours_r, ref_r) = (
            self.backend.tensor(rows, outputs, &residual)?,
            Reference.tensor(rows, outputs, &residual)?,
        );
        let ours_s = self.backend.vector(&scale)?;
        let norm = Norm::RootMeanSquare {
            weight: &ours_s,
            epsilon: 1e-4,
        };
        let ref_norm = Norm::RootMeanSquare {
            weight: &scale,
            epsilon: 1e-4,
        };
        let is_normed = self.random.below(2) == 0;
        self.begin("linear_add", &shape);
        let found = self
            .backend
            .linear_add(&ours_x, &ours, &ours_r, is_normed.then_some(&norm))?;
        let expected =
            Reference.linear_add(&ref_x, &reference, &ref_r, is_normed.then_some(&ref_norm))?;
        self.same(&found, &expected)
    }

    pub(super) fn gated(&mut self) -> Result<()> {
        let (rows, inputs, outputs) = (self.random.size(), self.random.size(), self.random.size());
        let (x, seen_x) = self.factors(rows * inputs, 1.0);
        let scale = 1.0 / (inputs as f32).sqrt();
        let (gate, seen_gate) = self.factors(outputs * inputs, scale);
        let (up, seen_up) = self.factors(outputs * inputs, scale);
        let ours = (
            self.backend.tensor(rows, inputs, &x)?,
            self.backend.matrix(outputs, inputs, &gate)?,
            self.backend.matrix(outputs, inputs, &up)?,
        );
        let reference = (
            Reference.tensor(rows, inputs, &seen_x)?,
            Reference.matrix(outputs, inputs, &seen_gate)?,
            Reference.matrix(outputs, inputs, &seen_up)?,
        );
        let activation =
            self.random
                .choose(&[Activation::GeluTanh, Activation::Relu, Activation::Silu]);
        let shape = format!("{rows} × {outputs} × {inputs}");
        self.begin(format!("gated {activation:?}"), &shape);
        let found = self.backend.gated(
            &ours.0,
            &Linear {
                weight: &ours.1,
                bias: None,
            },
            &Linear {
                weight: &ours.2,
                bias: None,
            },
            activation,
        )?;
        let expected = Reference.gated(
            &reference.0,
            &Linear {
                weight: &reference.1,
                bias: None,
            },
            &Linear {
                weight: &reference.2,
                bias: None,
            },
            activation,
        )?;
        self.same(&found, &expected)
    }

    pub(super) fn splade(&mut self) -> Result<()> {
        let starts = self.random.starts(true);
        let rows = starts[starts.len() - 1] as usize;
        let (inputs, terms) = (
            self.random.size(),
            self.random.size() * self.random.choose(&[1, 20]),
        );
        let (x, seen_x) = self.factors(rows * inputs, 1.0);
        let (weight, seen_weight) = self.factors(terms * inputs, 1.0 / (inputs as f32).sqrt());
        let bias = self.random.values(terms);
        let (ours_x, ref_x) = (
            self.backend.tensor(rows, inputs, &x)?,
            Reference.tensor(rows, inputs, &seen_x)?,
        );
        let (ours_w, ref_w) = (
            self.backend.matrix(terms, inputs, &weight)?,
            Reference.matrix(terms, inputs, &seen_weight)?,
        );
        let ours_b = self.backend.vector(&bias)?;
        let has_bias = self.random.below(4) > 0;
        let ours = Linear {
            weight: &ours_w,
            bias: has_bias.then_some(&ours_b),
        };
        let reference = Linear {
            weight: &ref_w,
            bias: has_bias.then_some(&bias),
        };
        for activation in [
            SpladeActivation::Log1pRelu,
            SpladeActivation::Log1pLog1pRelu,
        ] {
            for pooling in [SpladePooling::Max, SpladePooling::Sum] {
                let all = usize::MAX;
                let operation = format!("splade {activation:?} {pooling:?}");
                let shape = format!("starts {starts:?}, {inputs} inputs, {terms} terms");
                self.begin(operation.clone(), &shape);
                let found = self
                    .backend
                    .splade(&ours_x, &starts, &ours, activation, pooling, all)?;
                let expected =
                    Reference.splade(&ref_x, &starts, &reference, activation, pooling, all)?;
                if let Some(vector) = found.iter().find(|vector| {
                    !vector.is_sorted_by(|a, b| a.0 < b.0)
                        || vector.iter().any(|(_, weight)| *weight <= 0.0)
                }) {
                    self.fail(format!(
                        "expected ascending terms with weights above 0, found {vector:?}"
                    ))?;
                }
                self.compare(&dense(&found, terms), &dense(&expected, terms))?;
                let max_terms = self.random.below(terms + 1);
                self.begin(format!("{operation}, {max_terms} terms at most"), &shape);
                let cut = self
                    .backend
                    .splade(&ours_x, &starts, &ours, activation, pooling, max_terms)?;
                for (cut, whole) in cut.iter().zip(found) {
                    // Rounding can make the weights of different logits equal, so which of them are
                    // kept is open.
                    let is_part = cut.iter().all(|pair| whole.contains(pair));
                    if !is_part || falling(cut) != falling(&top_terms(whole, max_terms)) {
                        self.fail(format!(
                            "expected the {max_terms} largest weights, found {cut:?}"
                        ))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// The bits of all weights, which are positive, in descending order.
fn falling(vector: &SparseVector) -> Vec<u32> {
    let mut weights: Vec<u32> = vector.iter().map(|(_, weight)| weight.to_bits()).collect();
    weights.sort_unstable_by(|a, b| b.cmp(a));
    weights
}

/// Sparse vectors as dense rows.
fn dense(vectors: &[SparseVector], terms: usize) -> Vec<f32> {
    let mut values = vec![0.0; vectors.len() * terms];
    for (vector, values) in vectors.iter().zip(values.chunks_exact_mut(terms)) {
        for (term, weight) in vector {
            values[*term as usize] = *weight;
        }
    }
    values
}
