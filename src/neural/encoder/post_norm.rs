//! Encoders that add and then normalize: BERT and its descendants.

use crate::backend::{Activation, Attention, Backend, Positions};
use crate::error::Result;
use crate::neural::config::ModelConfig;
use crate::neural::packing::Batch;

use super::embeddings::Embeddings;
use super::longest;
use super::names;
use super::parts::{Bias, Dense, Loader, RowNorm};
use super::relative::{Convolution, Relative, RelativeLayer};

/// Embeddings and layers of a post-norm encoder.
pub(super) struct PostNorm<B: Backend> {
    embeddings: Embeddings<B>,
    layers: Vec<Layer<B>>,
    /// DeBERTa's relative positions.
    relative: Option<Relative>,
    /// DeBERTa's convolution of the embeddings, which joins after the first layer.
    convolution: Option<Convolution<B>>,
    heads: usize,
    head_size: usize,
    scale: f32,
    activation: Activation,
}

struct Layer<B: Backend> {
    projections: Dense<B>,
    relative: Option<RelativeLayer<B>>,
    attention_output: Dense<B>,
    attention_norm: RowNorm<B>,
    up: Dense<B>,
    down: Dense<B>,
    output_norm: RowNorm<B>,
}

impl<B: Backend> PostNorm<B> {
    pub(super) fn load(loader: &Loader<'_, B>, config: &ModelConfig) -> Result<Self> {
        let embeddings = Embeddings::load(loader, config)?;
        let (relative, rows) = match &config.deberta {
            Some(positions) => {
                let (relative, rows) = Relative::load(loader, config, positions)?;
                (Some(relative), Some(rows))
            }
            None => (None, None),
        };
        let mut layers = Vec::with_capacity(config.layers);
        for index in 0..config.layers {
            layers.push(Layer::load(loader, config, index, rows.as_ref())?);
        }
        let convolution = match config
            .deberta
            .as_ref()
            .and_then(|it| it.convolution.as_ref())
        {
            Some(settings) => Some(Convolution::load(loader, config, settings)?),
            None => None,
        };
        // DeBERTa adds up several score terms: dividing by the root of their number too keeps the
        // variance.
        let kinds = relative.as_ref().map_or(1, Relative::kinds_of_scores);
        Ok(Self {
            embeddings,
            layers,
            relative,
            convolution,
            heads: config.heads,
            head_size: config.head_size,
            scale: 1.0 / ((config.head_size * kinds) as f32).sqrt(),
            activation: config.activation,
        })
    }

    pub(super) fn forward(&self, backend: &B, batch: &Batch) -> Result<B::Tensor> {
        let embedded = self.embeddings.forward(backend, batch)?;
        let distances = self
            .relative
            .as_ref()
            .map(|it| it.distances(longest(batch)));
        let mut hidden = None;
        for (index, layer) in self.layers.iter().enumerate() {
            let positions = match (&layer.relative, &distances) {
                (Some(relative), Some(distances)) => relative.positions(distances),
                _ => Positions::Absolute,
            };
            let x = hidden.as_ref().unwrap_or(&embedded);
            let mut y = self.layer(backend, layer, x, &batch.starts, positions)?;
            if let Some(convolution) = self.convolution.as_ref().filter(|_| index == 0) {
                y = convolution.add_to(backend, &y, &embedded, &batch.starts)?;
            }
            hidden = Some(y);
        }
        Ok(hidden.unwrap_or(embedded))
    }

    fn layer(
        &self,
        backend: &B,
        layer: &Layer<B>,
        x: &B::Tensor,
        starts: &[u32],
        positions: Positions<'_, B>,
    ) -> Result<B::Tensor> {
        let projections = layer.projections.layer();
        let projections = backend.linear(x, &projections, Activation::Identity)?;
        let attended = backend.attention(&Attention {
            projections: &projections,
            starts,
            heads: self.heads,
            head_size: self.head_size,
            scale: self.scale,
            positions,
        })?;
        let output = layer.attention_output.layer();
        let norm = layer.attention_norm.norm();
        let x = backend.linear_add(&attended, &output, x, Some(&norm))?;

        let wide = backend.linear(&x, &layer.up.layer(), self.activation)?;
        let norm = layer.output_norm.norm();
        backend.linear_add(&wide, &layer.down.layer(), &x, Some(&norm))
    }
}

impl<B: Backend> Layer<B> {
    fn load(
        loader: &Loader<'_, B>,
        config: &ModelConfig,
        index: usize,
        relative_rows: Option<&B::Tensor>,
    ) -> Result<Self> {
        let names = names::layer(config.family, index);
        let width = config.heads * config.head_size;
        let (hidden, wide) = (config.hidden, config.intermediate);
        let relative = match (&config.deberta, relative_rows) {
            (Some(positions), Some(rows)) => {
                Some(RelativeLayer::load(loader, config, positions, index, rows)?)
            }
            _ => None,
        };
        let norm = |name| loader.layer_norm(name, hidden, config.norm_epsilon);
        let dense = |name, outputs, inputs| loader.dense(name, outputs, inputs, Bias::Has);
        Ok(Self {
            projections: loader.stacked(&names.projections, width, hidden, Bias::Has)?,
            relative,
            attention_output: dense(&names.attention_output, hidden, width)?,
            attention_norm: norm(&names.attention_norm)?,
            up: dense(&names.up, wide, hidden)?,
            down: dense(&names.down, hidden, wide)?,
            output_norm: norm(&names.output_norm)?,
        })
    }
}
