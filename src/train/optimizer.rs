//! The optimizer: AdamW with gradient clipping and a learning rate for each tensor.

use super::parameters::{Parameters, lock};
use crate::backend::{AdamW, BackwardOps};
use crate::error::{Error, Result};

/// How an [`Optimizer`] steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerOptions {
    /// Decay of the mean of gradients. 0.9, as everywhere.
    pub beta1: f32,
    /// Decay of the mean of squared gradients. 0.999, as everywhere.
    pub beta2: f32,
    /// Added to the root of the mean square. 1e-8, PyTorch's.
    pub epsilon: f32,
    /// Decoupled weight decay, of matrices alone: biases and norms do not decay. 0.01.
    pub weight_decay: f32,
    /// The norm of all gradients together is at most this; infinite for no clipping. 1.
    pub max_norm: f64,
}

impl Default for OptimizerOptions {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.01,
            max_norm: 1.0,
        }
    }
}

/// AdamW over all parameters of a model.
pub struct Optimizer<B: BackwardOps> {
    options: OptimizerOptions,
    steps: u64,
    /// Mean and mean square of the gradient of each master.
    moments: Vec<(B::Buffer, B::Buffer)>,
}

impl<B: BackwardOps> Optimizer<B> {
    /// An optimizer of these parameters, before its first step.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device fails.
    pub fn new(backend: &B, parameters: &Parameters<B>, options: OptimizerOptions) -> Result<Self> {
        let moments = parameters.masters().iter().map(|master| {
            let zeros = || backend.zeros(master.len);
            Ok((zeros()?, zeros()?))
        });
        Ok(Self {
            options,
            steps: 0,
            moments: moments.collect::<Result<_>>()?,
        })
    }

    /// Steps that were made.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Changes every master by its gradient divided by `batches` (the number of batches that were
    /// accumulated), clears the gradients and packs the forms. `rate` gives the learning rate of a
    /// tensor by its name; 0 freezes it. Returns the norm of the gradients before clipping.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the norm is not finite: nothing is changed then.
    /// [`Error::Device`] if the device fails.
    pub fn step(
        &mut self,
        backend: &B,
        parameters: &mut Parameters<B>,
        batches: u64,
        rate: impl Fn(&str) -> f64,
    ) -> Result<f64> {
        let mut squares = 0.0;
        for master in parameters.masters() {
            if rate(&master.name) != 0.0 {
                squares += backend.sum_of_squares(&lock(&master.gradient))?;
            }
        }
        let mean = 1.0 / batches.max(1) as f64;
        let norm = squares.sqrt() * mean;
        if !norm.is_finite() {
            return Err(Error::invalid(format!(
                "expected finite gradients, found a norm of {norm} at step {}; go back to the last checkpoint with a lower learning rate",
                self.steps + 1
            )));
        }
        let clipping = if norm > self.options.max_norm {
            self.options.max_norm / norm
        } else {
            1.0
        };
        self.steps += 1;
        let options = self.options;
        for (master, (mean_of, mean_square)) in
            parameters.masters_mut().iter_mut().zip(&mut self.moments)
        {
            let learning_rate = rate(&master.name) as f32;
            if learning_rate == 0.0 {
                continue;
            }
            let step = AdamW {
                learning_rate,
                beta1: options.beta1,
                beta2: options.beta2,
                epsilon: options.epsilon,
                weight_decay: match decays(&master.name) {
                    true => options.weight_decay,
                    false => 0.0,
                },
                step: self.steps,
                gradient_scale: (mean * clipping) as f32,
            };
            let gradient = lock(&master.gradient);
            backend.adamw(&step, &mut master.value, &gradient, mean_of, mean_square)?;
        }
        parameters.clear_gradients(backend)?;
        parameters.pack(backend)?;
        Ok(norm)
    }
}

/// Biases and the weights of norms do not decay: they have few values, and 0 is no better than others.
fn decays(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    !name.ends_with("bias") && !name.contains("norm")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Activation, Device, ForwardOps, Linear, Scalar};
    use crate::train::{Recorder, Seed};

    /// Fits y = 2x - 1 by least squares.
    #[test]
    fn a_line_is_learned() {
        let backend = Scalar::<f64>::default();
        let recorder = Recorder::new(backend);
        let names = |name: &str| vec![name.to_owned()];
        let weight = recorder
            .named_matrix(&names("line.weight"), 1, 1, &[0.0])
            .unwrap();
        let bias = recorder.named_vector(&names("line.bias"), &[0.0]).unwrap();
        let options = OptimizerOptions {
            weight_decay: 0.0,
            ..OptimizerOptions::default()
        };
        let mut optimizer = Optimizer::new(&backend, &recorder.parameters(), options).unwrap();
        let xs = [-1.0f32, 0.0, 0.5, 1.0];
        for step in 0..600 {
            recorder.begin(true).unwrap();
            let x = recorder.tensor(4, 1, &xs).unwrap();
            let layer = Linear {
                weight: &weight,
                bias: Some(&bias),
            };
            let y = recorder.linear(&x, &layer, Activation::Identity).unwrap();
            let found = recorder.values(&y).unwrap();
            let errors = found.iter().zip(xs).map(|(y, x)| y - (2.0 * x - 1.0));
            recorder.backward(&[Seed::Dense(errors.collect())]).unwrap();
            let rate = 0.05 * (1.0 - f64::from(step) / 600.0);
            optimizer
                .step(&backend, &mut recorder.parameters_mut(), 1, |_| rate)
                .unwrap();
        }
        assert_eq!(optimizer.steps(), 600);
        let parameters = recorder.parameters();
        let value = |place: usize| parameters.masters()[place].value[0];
        assert!((value(0) - 2.0).abs() < 1e-3 && (value(1) + 1.0).abs() < 1e-3);
    }

    #[test]
    fn gradients_are_clipped_frozen_tensors_stay_and_infinite_ones_are_refused() {
        let backend = Scalar::<f64>::default();
        let recorder = Recorder::new(backend);
        for name in ["a.weight", "b.weight"] {
            recorder.named_table(name, 1, 2, &[1.0, 1.0]).unwrap();
        }
        let options = OptimizerOptions::default();
        let mut optimizer = Optimizer::new(&backend, &recorder.parameters(), options).unwrap();
        let set = |values: [f64; 2]| {
            let parameters = recorder.parameters();
            for master in parameters.masters() {
                *master.gradient.lock().unwrap() = values.to_vec();
            }
        };
        set([3.0, 4.0]);
        let rate = |name: &str| if name.starts_with('a') { 0.1 } else { 0.0 };
        let norm = optimizer
            .step(&backend, &mut recorder.parameters_mut(), 1, rate)
            .unwrap();
        assert!((norm - 5.0).abs() < 1e-9);
        let values = || {
            let parameters = recorder.parameters();
            let values = parameters
                .masters()
                .iter()
                .map(|master| master.value.clone());
            values.collect::<Vec<_>>()
        };
        let after = values();
        assert!(after[0][0] < 1.0 && after[1] == [1.0, 1.0]);
        assert_eq!(
            *recorder.parameters().masters()[0].gradient.lock().unwrap(),
            [0.0, 0.0]
        );
        set([f64::INFINITY, 0.0]);
        let refused = optimizer.step(&backend, &mut recorder.parameters_mut(), 1, |_| 0.1);
        assert!(refused.is_err());
        assert_eq!(values(), after);
        assert_eq!(optimizer.steps(), 1);
    }

    #[test]
    fn matrices_decay_and_biases_do_not() {
        assert!(decays("encoder.layer.0.output.dense.weight"));
        assert!(!decays("encoder.layer.0.output.dense.bias"));
        assert!(!decays("encoder.layer.0.output.LayerNorm.weight"));
        assert!(!decays("encoder.final_layer_norm.weight"));
    }
}
