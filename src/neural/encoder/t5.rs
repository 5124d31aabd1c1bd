//! The encoder of T5 (Raffel and others, 2020) and of its relatives mT5 and PTT5: pre-norm, no
//! biases, positions as a bias on the attention scores.

use crate::backend::{Activation, Attention, Backend, Positions};
use crate::error::{Error, Result};
use crate::neural::config::{ModelConfig, T5Positions};
use crate::neural::packing::Batch;

use super::distances::{RelativeDistances, Rule};
use super::feed_forward::FeedForward;
use super::longest;
use super::names;
use super::parts::{Bias, Dense, Loader, RowNorm};

/// Embeddings and layers of a T5 encoder.
pub(super) struct T5<B: Backend> {
    words: B::Table,
    /// The bias of each bucket and head. Only the first layer has it in the file, and all layers
    /// use it.
    bias: B::Vector,
    distances: RelativeDistances,
    layers: Vec<Layer<B>>,
    final_norm: RowNorm<B>,
    heads: usize,
    head_size: usize,
}

struct Layer<B: Backend> {
    attention_norm: RowNorm<B>,
    projections: Dense<B>,
    attention_output: Dense<B>,
    feed_forward: FeedForward<B>,
}

impl<B: Backend> T5<B> {
    pub(super) fn load(loader: &Loader<'_, B>, config: &ModelConfig) -> Result<Self> {
        let positions = checked(config.t5.as_ref())?;
        let words = names::word_embeddings(config.family);
        let bias_name = "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight";
        let shape = [positions.buckets, config.heads];
        let bias = loader.weights().tensor(bias_name, &shape)?;
        let mut layers = Vec::with_capacity(config.layers);
        for index in 0..config.layers {
            layers.push(Layer::load(loader, config, index)?);
        }
        Ok(Self {
            words: loader.table(words, config.vocabulary, config.hidden)?,
            bias: loader
                .backend()
                .named_vector(&[bias_name.to_owned()], &bias)?,
            distances: RelativeDistances::new(Rule::T5 {
                buckets: positions.buckets,
                max_distance: positions.max_distance,
            }),
            layers,
            final_norm: loader.rms_norm(
                "encoder.final_layer_norm",
                config.hidden,
                config.norm_epsilon,
            )?,
            heads: config.heads,
            head_size: config.head_size,
        })
    }

    pub(super) fn forward(&self, backend: &B, batch: &Batch) -> Result<B::Tensor> {
        let distances = self.distances.covering(longest(batch));
        let mut hidden = backend.embed(&[(&self.words, &batch.ids)], None)?;
        for layer in &self.layers {
            let normalized = backend.norm(&hidden, &layer.attention_norm.norm())?;
            let projections = layer.projections.layer();
            let attended = backend.attention(&Attention {
                projections: &backend.linear(&normalized, &projections, Activation::Identity)?,
                starts: &batch.starts,
                heads: self.heads,
                head_size: self.head_size,
                // T5 does not scale scores: training put the scale into the weights of the queries.
                scale: 1.0,
                positions: Positions::Bias {
                    table: &self.bias,
                    distances: &distances,
                },
            })?;
            let output = layer.attention_output.layer();
            hidden = backend.linear_add(&attended, &output, &hidden, None)?;
            hidden = layer.feed_forward.forward(backend, &hidden)?;
        }
        backend.norm(&hidden, &self.final_norm.norm())
    }
}

/// The buckets of distances, as the configuration defines them.
fn checked(positions: Option<&T5Positions>) -> Result<&T5Positions> {
    let Some(positions) = positions else {
        return Err(Error::model(
            "",
            "a T5 model: expected relative_attention_num_buckets in config.json, found none",
        ));
    };
    if positions.buckets < 4 || positions.max_distance <= positions.buckets / 4 {
        return Err(Error::model(
            "",
            format!(
                "T5's relative positions: expected at least 4 buckets and a max distance above a quarter of them, found {} buckets and a max distance of {}",
                positions.buckets, positions.max_distance
            ),
        ));
    }
    Ok(positions)
}

impl<B: Backend> Layer<B> {
    fn load(loader: &Loader<'_, B>, config: &ModelConfig, index: usize) -> Result<Self> {
        let hidden = config.hidden;
        let width = config.heads * config.head_size;
        let attention = format!("encoder.block.{index}.layer.0");
        let projections = ["q", "k", "v"].map(|name| format!("{attention}.SelfAttention.{name}"));
        let norm = format!("{attention}.layer_norm");
        let output = format!("{attention}.SelfAttention.o");
        Ok(Self {
            attention_norm: loader.rms_norm(&norm, hidden, config.norm_epsilon)?,
            projections: loader.stacked(&projections, width, hidden, Bias::None)?,
            attention_output: loader.dense(&output, hidden, width, Bias::None)?,
            feed_forward: FeedForward::load(
                loader,
                config,
                &format!("encoder.block.{index}.layer.1"),
            )?,
        })
    }
}
