//! One dense vector for a text: its tokens pooled, then linear layers and normalization as
//! sentence-transformers stacks them.

use crate::backend::{Activation, Backend, Pooling};
use crate::error::{Error, Result};
use crate::neural::encoder::parts::{Bias, Dense, Loader};
use crate::neural::folder::{ModelFolder, Module};
use crate::neural::weights::Weights;

/// Makes one vector of a sequence's hidden states: pooling, then steps in the order in which they
/// were added.
///
/// ```
/// use esparsa::internals::backend::{Device, Pooling, Reference};
/// use esparsa::neural::PooledHead;
///
/// let backend = Reference;
/// let head = PooledHead::new(&[Pooling::Mean], 2)?.normalized();
/// let hidden = backend.tensor(3, 2, &[3.0, 1.0, 3.0, 7.0, 0.0, 2.0])?;
/// let vectors = head.forward(&backend, &hidden, &[0, 2, 3])?;
/// assert_eq!(backend.values(&vectors)?, [0.6, 0.8, 0.0, 1.0]);
/// # Ok::<(), esparsa::Error>(())
/// ```
pub struct PooledHead<B: Backend> {
    poolings: Vec<Pooling>,
    steps: Vec<Step<B>>,
    size: usize,
}

enum Step<B: Backend> {
    Linear {
        layer: Dense<B>,
        activation: Activation,
    },
    Normalize,
}

/// The shape of a Dense module of sentence-transformers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DenseWeights {
    /// Dimensions of its input.
    pub inputs: usize,
    /// Dimensions of its output.
    pub outputs: usize,
    /// Whether it has a bias.
    pub has_bias: bool,
    /// The activation of its output.
    pub activation: Activation,
}

impl<B: Backend> PooledHead<B> {
    /// Pools hidden states of `hidden` dimensions; the results of several poolings are
    /// concatenated.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] without any pooling.
    pub fn new(poolings: &[Pooling], hidden: usize) -> Result<Self> {
        if poolings.is_empty() {
            return Err(Error::model(
                "",
                "the pooling of a model: expected at least one kind, found none",
            ));
        }
        Ok(Self {
            poolings: poolings.to_vec(),
            steps: Vec::new(),
            size: poolings.len() * hidden,
        })
    }

    /// The pooling of a folder with the modules after it, and whether prompts are pooled with their
    /// texts.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] for modules that are no head of a bi-encoder.
    pub(crate) fn of_folder(backend: &B, folder: &ModelFolder) -> Result<(Self, bool)> {
        let Some((
            Module::Pooling {
                poolings,
                has_prompt,
            },
            rest,
        )) = folder.modules.split_first()
        else {
            let message = "expected pooling as the first module after the transformer, found none";
            return Err(Error::model(&folder.path, message));
        };
        let mut head = Self::new(poolings, folder.config.hidden)?;
        for module in rest {
            head = match module {
                Module::Dense(dense) if !dense.has_residual => {
                    let shape = DenseWeights {
                        inputs: dense.inputs,
                        outputs: dense.outputs,
                        has_bias: dense.has_bias,
                        activation: dense.activation,
                    };
                    head.with_dense(backend, &dense.weights, shape)?
                }
                Module::Normalize { .. } => head.normalized(),
                other => {
                    let message = format!(
                        "expected Dense without residual, or Normalize, after the pooling, found {}, which is not supported there",
                        other.name()
                    );
                    return Err(Error::model(&folder.path, message));
                }
            };
        }
        Ok((head, *has_prompt))
    }

    /// Adds a linear layer, whose weights are `linear.weight` and `linear.bias`.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if its input is not the output of the step before, or its tensors have
    /// other shapes.
    pub fn with_dense(
        mut self,
        backend: &B,
        weights: &Weights,
        dense: DenseWeights,
    ) -> Result<Self> {
        if dense.inputs != self.size {
            return Err(Error::model(
                "",
                format!(
                    "a Dense module: expected in_features of {}, the size of the vectors before it, found {}",
                    self.size, dense.inputs
                ),
            ));
        }
        let bias = if dense.has_bias {
            Bias::Has
        } else {
            Bias::None
        };
        let loader = Loader::new(backend, weights);
        self.steps.push(Step::Linear {
            layer: loader.dense("linear", dense.outputs, dense.inputs, bias)?,
            activation: dense.activation,
        });
        self.size = dense.outputs;
        Ok(self)
    }

    /// Adds L2 normalization.
    #[must_use]
    pub fn normalized(mut self) -> Self {
        self.steps.push(Step::Normalize);
        self
    }

    /// A row for each sequence.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if `hidden` is another model's, [`Error::Device`] if the backend's device
    /// fails.
    pub fn forward(&self, backend: &B, hidden: &B::Tensor, starts: &[u32]) -> Result<B::Tensor> {
        let mut vectors = self.pool(backend, hidden, starts)?;
        for step in &self.steps {
            vectors = match step {
                Step::Linear { layer, activation } => {
                    backend.linear(&vectors, &layer.layer(), *activation)?
                }
                Step::Normalize => backend.l2_normalize(&vectors)?,
            };
        }
        Ok(vectors)
    }

    fn pool(&self, backend: &B, hidden: &B::Tensor, starts: &[u32]) -> Result<B::Tensor> {
        if let [pooling] = self.poolings[..] {
            return backend.pool(hidden, starts, pooling);
        }
        let (_, columns) = backend.shape(hidden);
        let rows = starts.len().saturating_sub(1);
        let width = self.poolings.len() * columns;
        let mut joined = vec![0.0; rows * width];
        for (place, &pooling) in self.poolings.iter().enumerate() {
            let pooled = backend.values(&backend.pool(hidden, starts, pooling)?)?;
            for (row, values) in pooled.chunks_exact(columns.max(1)).enumerate() {
                let first = row * width + place * columns;
                joined[first..first + columns].copy_from_slice(values);
            }
        }
        backend.tensor(rows, width, &joined)
    }

    /// Dimensions of a vector.
    pub fn dimensions(&self) -> usize {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Device, Reference};

    #[test]
    fn several_poolings_are_concatenated() {
        let head = PooledHead::new(&[Pooling::First, Pooling::Max], 2).unwrap();
        let hidden = Reference
            .tensor(3, 2, &[1.0, 2.0, 3.0, -4.0, 5.0, 6.0])
            .unwrap();
        let vectors = head.forward(&Reference, &hidden, &[0, 2, 3]).unwrap();
        assert_eq!(Reference.shape(&vectors), (2, 4));
        let expected = [1.0, 2.0, 3.0, 2.0, 5.0, 6.0, 5.0, 6.0];
        assert_eq!(Reference.values(&vectors).unwrap(), expected);
        assert_eq!(head.dimensions(), 4);
    }

    #[test]
    fn a_head_without_pooling_is_refused() {
        assert!(PooledHead::<Reference>::new(&[], 4).is_err());
    }
}
