//! The feed-forward layer of T5, which its encoder and its decoder share: pre-norm, gated or not.

use crate::backend::{Activation, Backend};
use crate::error::Result;
use crate::neural::config::ModelConfig;

use super::parts::{Bias, Dense, Loader, RowNorm};

/// h + down(up(norm(h))).
pub(in crate::neural) struct FeedForward<B: Backend> {
    norm: RowNorm<B>,
    up: Up<B>,
    down: Dense<B>,
    activation: Activation,
}

/// The first half of the feed-forward layer.
enum Up<B: Backend> {
    /// T5 1.0: activation(x · upᵀ).
    Plain(Dense<B>),
    /// T5 1.1 and mT5: activation(x · gateᵀ) ∘ (x · upᵀ).
    Gated { gate: Dense<B>, up: Dense<B> },
}

impl<B: Backend> FeedForward<B> {
    /// Loads the layer whose tensors' names begin with `name`, such as `encoder.block.0.layer.1`.
    pub(in crate::neural) fn load(
        loader: &Loader<'_, B>,
        config: &ModelConfig,
        name: &str,
    ) -> Result<Self> {
        let (hidden, wide) = (config.hidden, config.intermediate);
        let dense = |part: &str, outputs, inputs| {
            let name = format!("{name}.DenseReluDense.{part}");
            loader.dense(&name, outputs, inputs, Bias::None)
        };
        let up = if config.is_gated {
            Up::Gated {
                gate: dense("wi_0", wide, hidden)?,
                up: dense("wi_1", wide, hidden)?,
            }
        } else {
            Up::Plain(dense("wi", wide, hidden)?)
        };
        let norm = format!("{name}.layer_norm");
        Ok(Self {
            norm: loader.rms_norm(&norm, hidden, config.norm_epsilon)?,
            up,
            down: dense("wo", hidden, wide)?,
            activation: config.activation,
        })
    }

    /// The hidden states after the layer.
    pub(in crate::neural) fn forward(&self, backend: &B, hidden: &B::Tensor) -> Result<B::Tensor> {
        let x = backend.norm(hidden, &self.norm.norm())?;
        let wide = match &self.up {
            Up::Plain(up) => backend.linear(&x, &up.layer(), self.activation)?,
            Up::Gated { gate, up } => {
                backend.gated(&x, &gate.layer(), &up.layer(), self.activation)?
            }
        };
        backend.linear_add(&wide, &self.down.layer(), hidden, None)
    }
}
