//! What DeBERTa-v2 (He, Liu, Gao and Chen, 2021) adds to a post-norm encoder: disentangled relative
//! positions and a convolution.
//!
//! All layers share one table of distance embeddings, and each layer projects its rows to keys and
//! to queries as it does with tokens. These projections do not depend on the text, so they are
//! computed once, when the model is loaded.

use std::borrow::Cow;

use crate::backend::{Activation, Backend, Distances, Positions};
use crate::error::{Error, Result};
use crate::neural::config::{self, DebertaPositions, ModelConfig};

use super::distances::{RelativeDistances, Rule};
use super::parts::{Bias, Dense, Loader, RowNorm};

/// What all layers share.
pub(super) struct Relative {
    distances: RelativeDistances,
    kinds_of_scores: usize,
}

impl Relative {
    /// The shared part, and the distance embeddings that layers project, a row for each bucket.
    pub(super) fn load<B: Backend>(
        loader: &Loader<'_, B>,
        config: &ModelConfig,
        positions: &DebertaPositions,
    ) -> Result<(Self, B::Tensor)> {
        check(positions)?;
        let rows = 2 * positions.span;
        let name = "encoder.rel_embeddings.weight";
        let values = loader.weights().tensor(name, &[rows, config.hidden])?;
        let mut embeddings = loader
            .backend()
            .named_tensor(name, rows, config.hidden, &values)?;
        if positions.has_norm {
            let name = "encoder.LayerNorm";
            let norm = loader.layer_norm(name, config.hidden, config.norm_epsilon)?;
            embeddings = loader.backend().norm(&embeddings, &norm.norm())?;
        }
        let distances = RelativeDistances::new(Rule::Deberta {
            span: positions.span,
            is_logarithmic: positions.buckets > 0,
            max_relative: positions.max_relative,
        });
        let relative_scores = [
            positions.is_content_to_position,
            positions.is_position_to_content,
        ];
        let relative = Self {
            distances,
            kinds_of_scores: 1 + relative_scores.into_iter().filter(|&has| has).count(),
        };
        Ok((relative, embeddings))
    }

    /// The number of score terms: content to content, and those of the two relative kinds that the
    /// model has.
    pub(super) fn kinds_of_scores(&self) -> usize {
        self.kinds_of_scores
    }

    /// Buckets for sequences of up to `longest` tokens.
    pub(super) fn distances(&self, longest: usize) -> Cow<'_, Distances> {
        self.distances.covering(longest)
    }
}

fn check(positions: &DebertaPositions) -> Result<()> {
    let is_logarithmic = positions.buckets > 0;
    let too_small = positions.span == 0
        || is_logarithmic
            && (positions.span < 2 || positions.max_relative <= positions.span / 2 + 1);
    if too_small {
        return Err(Error::model(
            "",
            format!(
                "DeBERTa's relative positions: expected at least 2 buckets and a max distance above half of them, found {} buckets and a max distance of {}",
                positions.span, positions.max_relative
            ),
        ));
    }
    Ok(())
}

/// One layer's keys and queries of distances.
pub(super) struct RelativeLayer<B: Backend> {
    keys: Option<B::Tensor>,
    queries: Option<B::Tensor>,
}

impl<B: Backend> RelativeLayer<B> {
    /// Projects the embeddings of distances as layer `index` does.
    pub(super) fn load(
        loader: &Loader<'_, B>,
        config: &ModelConfig,
        positions: &DebertaPositions,
        index: usize,
        embeddings: &B::Tensor,
    ) -> Result<Self> {
        let width = config.heads * config.head_size;
        let project = |name: &str| {
            let name = format!("encoder.layer.{index}.attention.self.{name}");
            let dense = loader.dense(&name, width, config.hidden, Bias::Has)?;
            loader
                .backend()
                .linear(embeddings, &dense.layer(), Activation::Identity)
        };
        let (key, query) = if positions.shares_keys {
            ("key_proj", "query_proj")
        } else {
            ("pos_key_proj", "pos_query_proj")
        };
        Ok(Self {
            keys: positions
                .is_content_to_position
                .then(|| project(key))
                .transpose()?,
            queries: positions
                .is_position_to_content
                .then(|| project(query))
                .transpose()?,
        })
    }

    /// The positions argument of attention.
    pub(super) fn positions<'a>(&'a self, distances: &'a Distances) -> Positions<'a, B> {
        Positions::Disentangled {
            keys: self.keys.as_ref(),
            queries: self.queries.as_ref(),
            distances,
        }
    }
}

/// A convolution over the tokens of a sequence, as a linear layer on each token concatenated with
/// its neighbours (im2col).
pub(super) struct Convolution<B: Backend> {
    layer: Dense<B>,
    norm: RowNorm<B>,
    width: usize,
    activation: Activation,
}

impl<B: Backend> Convolution<B> {
    pub(super) fn load(
        loader: &Loader<'_, B>,
        config: &ModelConfig,
        settings: &config::Convolution,
    ) -> Result<Self> {
        let (width, groups, hidden) = (settings.width, settings.groups, config.hidden);
        if width.is_multiple_of(2) || groups == 0 || !hidden.is_multiple_of(groups) {
            return Err(Error::model(
                "",
                format!(
                    "DeBERTa's convolution: expected an odd width and groups that divide the hidden size {hidden}, found the width {width} and {groups} groups"
                ),
            ));
        }
        let name = "encoder.conv.conv";
        let shape = [hidden, hidden / groups, width];
        let kernel = loader.weights().tensor(&format!("{name}.weight"), &shape)?;
        let bias = loader
            .weights()
            .tensor(&format!("{name}.bias"), &[hidden])?;
        let matrix = as_matrix(&kernel, hidden, groups, width);
        Ok(Self {
            layer: loader.dense_of(hidden, width * hidden, &matrix, Some(&bias))?,
            norm: loader.layer_norm("encoder.conv.LayerNorm", hidden, config.norm_epsilon)?,
            width,
            activation: settings.activation,
        })
    }

    /// norm(hidden + activation(convolution of the embeddings)).
    pub(super) fn add_to(
        &self,
        backend: &B,
        hidden: &B::Tensor,
        embedded: &B::Tensor,
        starts: &[u32],
    ) -> Result<B::Tensor> {
        let neighbours = backend.im2col(embedded, starts, self.width)?;
        let convolved = backend.linear(&neighbours, &self.layer.layer(), self.activation)?;
        backend.add(hidden, &convolved, Some(&self.norm.norm()))
    }
}

/// A kernel of outputs × (inputs / groups) × width as outputs × (width · inputs): an output takes
/// the inputs of its own group, and has zeros for the others.
fn as_matrix(kernel: &[f32], hidden: usize, groups: usize, width: usize) -> Vec<f32> {
    let group = hidden / groups;
    let mut matrix = vec![0.0; hidden * width * hidden];
    for output in 0..hidden {
        let first_input = output / group * group;
        for input in 0..group {
            for place in 0..width {
                let column = place * hidden + first_input + input;
                matrix[output * width * hidden + column] =
                    kernel[(output * group + input) * width + place];
            }
        }
    }
    matrix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_in_groups_becomes_a_matrix_with_zeros_between_groups() {
        // 2 outputs, 2 groups of 1 input, width 3.
        let kernel = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let matrix = as_matrix(&kernel, 2, 2, 3);
        assert_eq!(matrix[..6], [1.0, 0.0, 2.0, 0.0, 3.0, 0.0]);
        assert_eq!(matrix[6..], [0.0, 4.0, 0.0, 5.0, 0.0, 6.0]);
        // The same numbers as 1 output group of 2 inputs of which only the first output is looked
        // at: inputs are the slower index.
        let kernel = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        let matrix = as_matrix(&kernel, 2, 1, 3);
        assert_eq!(matrix[..6], [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
    }
}
