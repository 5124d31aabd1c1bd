//! The layers that encoders and heads are made of, loaded by name.

use crate::backend::{Backend, Linear, Norm};
use crate::error::Result;
use crate::neural::weights::Weights;

/// A linear layer on a backend.
pub(in crate::neural) struct Dense<B: Backend> {
    weight: B::Matrix,
    bias: Option<B::Vector>,
}

impl<B: Backend> Dense<B> {
    /// The argument of [`linear`](crate::backend::ForwardOps::linear).
    pub(in crate::neural) fn layer(&self) -> Linear<'_, B> {
        Linear {
            weight: &self.weight,
            bias: self.bias.as_ref(),
        }
    }
}

/// The parameters of a norm on a backend.
pub(in crate::neural) struct RowNorm<B: Backend> {
    weight: B::Vector,
    /// Layer norms have one, RMS norms have none.
    bias: Option<B::Vector>,
    epsilon: f32,
}

impl<B: Backend> RowNorm<B> {
    /// The argument of [`norm`](crate::backend::ForwardOps::norm).
    pub(in crate::neural) fn norm(&self) -> Norm<'_, B> {
        match &self.bias {
            Some(bias) => Norm::Layer {
                weight: &self.weight,
                bias,
                epsilon: self.epsilon,
            },
            None => Norm::RootMeanSquare {
                weight: &self.weight,
                epsilon: self.epsilon,
            },
        }
    }
}

/// Whether a linear layer adds a bias to its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::neural) enum Bias {
    /// NAME.weight and NAME.bias.
    Has,
    /// NAME.weight alone.
    None,
}

/// Loads tensors from a model's files onto a backend.
pub(in crate::neural) struct Loader<'a, B: Backend> {
    backend: &'a B,
    weights: &'a Weights,
}

impl<'a, B: Backend> Loader<'a, B> {
    pub(in crate::neural) fn new(backend: &'a B, weights: &'a Weights) -> Self {
        Self { backend, weights }
    }

    /// The backend that tensors are loaded onto.
    pub(in crate::neural) fn backend(&self) -> &'a B {
        self.backend
    }

    /// The files that tensors come from.
    pub(in crate::neural) fn weights(&self) -> &'a Weights {
        self.weights
    }

    /// The linear layer `name`.
    pub(in crate::neural) fn dense(
        &self,
        name: &str,
        outputs: usize,
        inputs: usize,
        bias: Bias,
    ) -> Result<Dense<B>> {
        self.stacked(&[name.to_string()], outputs, inputs, bias)
    }

    /// Linear layers of the same inputs as one layer with their outputs concatenated, `outputs`
    /// each: one matrix product instead of several.
    pub(in crate::neural) fn stacked(
        &self,
        names: &[String],
        outputs: usize,
        inputs: usize,
        bias: Bias,
    ) -> Result<Dense<B>> {
        let of = |part: &str| names.iter().map(|name| format!("{name}.{part}")).collect();
        let weights: Vec<String> = of("weight");
        let biases: Vec<String> = match bias {
            Bias::Has => of("bias"),
            Bias::None => Vec::new(),
        };
        self.dense_named(&weights, &biases, outputs, inputs)
    }

    /// A linear layer of tensors with these names, stacked, `outputs` each.
    pub(in crate::neural) fn dense_named(
        &self,
        weights: &[String],
        biases: &[String],
        outputs: usize,
        inputs: usize,
    ) -> Result<Dense<B>> {
        let mut weight = Vec::new();
        for name in weights {
            weight.extend(self.weights.tensor(name, &[outputs, inputs])?);
        }
        let mut bias = Vec::new();
        for name in biases {
            bias.extend(self.weights.tensor(name, &[outputs])?);
        }
        let (backend, all) = (self.backend, weights.len() * outputs);
        let has_bias = !biases.is_empty();
        Ok(Dense {
            weight: backend.named_matrix(weights, all, inputs, &weight)?,
            bias: has_bias
                .then(|| backend.named_vector(biases, &bias))
                .transpose()?,
        })
    }

    /// A linear layer of values in memory.
    pub(in crate::neural) fn dense_of(
        &self,
        outputs: usize,
        inputs: usize,
        weight: &[f32],
        bias: Option<&[f32]>,
    ) -> Result<Dense<B>> {
        Ok(Dense {
            weight: self.backend.matrix(outputs, inputs, weight)?,
            bias: bias.map(|bias| self.backend.vector(bias)).transpose()?,
        })
    }

    /// The layer norm `name`.
    pub(in crate::neural) fn layer_norm(
        &self,
        name: &str,
        columns: usize,
        epsilon: f32,
    ) -> Result<RowNorm<B>> {
        Ok(RowNorm {
            weight: self.vector(&format!("{name}.weight"), columns)?,
            bias: Some(self.vector(&format!("{name}.bias"), columns)?),
            epsilon,
        })
    }

    /// The RMS norm `name`.
    pub(in crate::neural) fn rms_norm(
        &self,
        name: &str,
        columns: usize,
        epsilon: f32,
    ) -> Result<RowNorm<B>> {
        Ok(RowNorm {
            weight: self.vector(&format!("{name}.weight"), columns)?,
            bias: None,
            epsilon,
        })
    }

    /// The tensor `name` as a table.
    pub(in crate::neural) fn table(
        &self,
        name: &str,
        rows: usize,
        columns: usize,
    ) -> Result<B::Table> {
        let values = self.weights.tensor(name, &[rows, columns])?;
        self.backend.named_table(name, rows, columns, &values)
    }

    fn vector(&self, name: &str, length: usize) -> Result<B::Vector> {
        let values = self.weights.tensor(name, &[length])?;
        self.backend.named_vector(&[name.to_owned()], &values)
    }
}
