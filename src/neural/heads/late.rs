//! Late interaction (ColBERT: Khattab and Zaharia, 2020): a vector for each token; query and
//! document are encoded separately.

use crate::backend::{Activation, Backend};
use crate::error::{Error, Result};
use crate::neural::encoder::parts::{Bias, Dense, Loader};
use crate::neural::folder::{ModelFolder, Module};
use crate::neural::weights::Weights;

/// Makes a unit vector of each token's hidden state.
///
/// ```
/// # use esparsa::internals::backend::{Device, ForwardOps, Reference};
/// use esparsa::neural::LateHead;
///
/// let backend = Reference;
/// let head = LateHead::without_projection(2);
/// let query = backend.tensor(1, 2, &[3.0, 4.0])?;
/// let documents = backend.tensor(3, 2, &[0.0, 2.0, 5.0, 0.0, -1.0, 0.0])?;
/// let query = head.token_vectors(&backend, &query)?;
/// let documents = head.token_vectors(&backend, &documents)?;
/// // The first document has two tokens, the second one.
/// let scores = backend.max_sim(&query, &documents, &[0, 2, 3])?;
/// assert_eq!(scores, [0.8, -0.6]);
/// # Ok::<(), esparsa::Error>(())
/// ```
pub struct LateHead<B: Backend> {
    projection: Option<Dense<B>>,
    size: usize,
}

impl<B: Backend> LateHead<B> {
    /// Loads the projection `linear.weight`, which has no bias, for hidden states of `hidden`
    /// dimensions. It is among the encoder's tensors (ColBERT) or in a file of its own (the Dense
    /// module of sentence-transformers).
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if there is none, or one for hidden states of another size.
    pub fn load(backend: &B, weights: &Weights, hidden: usize) -> Result<Self> {
        let size = match weights.shape("linear.weight") {
            Some(&[outputs, _]) => outputs,
            Some(other) => {
                return Err(Error::model(
                    "",
                    format!("linear.weight: expected two dimensions, found the shape {other:?}"),
                ));
            }
            // Loading it below fails with an error that lists the names that exist.
            None => hidden,
        };
        let loader = Loader::new(backend, weights);
        Ok(Self {
            projection: Some(loader.dense("linear", size, hidden, Bias::None)?),
            size,
        })
    }

    /// The linear layer and the normalization that a folder lists.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] for other modules, and for tensors that are missing or of other shapes.
    pub(crate) fn of_folder(backend: &B, folder: &ModelFolder) -> Result<Self> {
        let hidden = folder.config.hidden;
        match &folder.modules[..] {
            [Module::Normalize { .. }] => Ok(Self::without_projection(hidden)),
            [Module::Dense(dense), Module::Normalize { .. }]
                if !dense.has_bias
                    && !dense.has_residual
                    && dense.activation == Activation::Identity =>
            {
                Self::load(backend, &dense.weights, hidden)
            }
            modules => {
                let names: Vec<&str> = modules.iter().map(Module::name).collect();
                let message = format!(
                    "expected at most one Dense without bias, then Normalize after the transformer of late interaction, found {}, \
                     which is not supported",
                    names.join(", ")
                );
                Err(Error::model(&folder.path, message))
            }
        }
    }

    /// A head without a projection, for hidden states of `hidden` dimensions.
    pub fn without_projection(hidden: usize) -> Self {
        Self {
            projection: None,
            size: hidden,
        }
    }

    /// A unit row for each row of `hidden`; [`max_sim`](crate::backend::ForwardOps::max_sim)
    /// compares them.
    ///
    /// # Errors
    ///
    /// [`Error::Model`] if `hidden` is another model's, [`Error::Device`] if the backend's device
    /// fails.
    pub fn token_vectors(&self, backend: &B, hidden: &B::Tensor) -> Result<B::Tensor> {
        match &self.projection {
            Some(projection) => {
                let layer = projection.layer();
                let vectors = backend.linear(hidden, &layer, Activation::Identity)?;
                backend.l2_normalize(&vectors)
            }
            None => backend.l2_normalize(hidden),
        }
    }

    /// Dimensions of a vector.
    pub fn dimensions(&self) -> usize {
        self.size
    }
}
