//! The first hidden states: the sum of the embeddings of the word, its position and its type.

use crate::backend::{Activation, Backend};
use crate::error::{Error, Result};
use crate::neural::config::{Family, ModelConfig};
use crate::neural::packing::Batch;

use super::names;
use super::parts::{Bias, Dense, Loader, RowNorm};

/// The embeddings of a post-norm encoder.
///
/// Embeddings of ELECTRA and DeBERTa may have fewer dimensions than the hidden states; their sum is
/// then projected, by ELECTRA after the norm, by DeBERTa before it.
pub(super) struct Embeddings<B: Backend> {
    words: B::Table,
    positions: Option<Positions<B>>,
    types: Option<Types<B>>,
    norm_before: Option<RowNorm<B>>,
    projection: Option<Dense<B>>,
    norm_after: Option<RowNorm<B>>,
}

struct Positions<B: Backend> {
    table: B::Table,
    /// The index of a sequence's first position.
    first: u32,
    /// A token without a position of its own. RoBERTa treats padding so, even where a text spells
    /// it out: it gets the index before the first, and the tokens after it are counted as if it
    /// were not there.
    skipped: Option<u32>,
}

struct Types<B: Backend> {
    table: B::Table,
    count: usize,
}

impl<B: Backend> Embeddings<B> {
    pub(super) fn load(loader: &Loader<'_, B>, config: &ModelConfig) -> Result<Self> {
        let columns = config.embedding_size;
        let words = names::word_embeddings(config.family);
        let types = if config.types > 0 {
            let name = "embeddings.token_type_embeddings.weight";
            Some(Types {
                table: loader.table(name, config.types, columns)?,
                count: config.types,
            })
        } else {
            None
        };
        let mut embeddings = Self {
            words: loader.table(words, config.vocabulary, columns)?,
            positions: Positions::load(loader, config)?,
            types,
            norm_before: None,
            projection: None,
            norm_after: None,
        };
        let norm =
            |columns| loader.layer_norm("embeddings.LayerNorm", columns, config.norm_epsilon);
        if columns == config.hidden {
            embeddings.norm_before = Some(norm(columns)?);
            return Ok(embeddings);
        }
        let project = |name, bias| loader.dense(name, config.hidden, columns, bias).map(Some);
        if config.family == Family::DebertaV2 {
            embeddings.projection = project("embeddings.embed_proj", Bias::None)?;
            embeddings.norm_after = Some(norm(config.hidden)?);
        } else {
            embeddings.norm_before = Some(norm(columns)?);
            embeddings.projection = project("embeddings_project", Bias::Has)?;
        }
        Ok(embeddings)
    }

    /// Tokens × hidden.
    pub(super) fn forward(&self, backend: &B, batch: &Batch) -> Result<B::Tensor> {
        let indices = self
            .positions
            .as_ref()
            .map(|positions| positions.indices(batch));
        // In a model with one type every token has it, even if its tokenizer gives others.
        let first_type = vec![0; batch.ids.len()];
        let types = match &self.types {
            Some(types) if types.count == 1 => &first_type,
            _ => &batch.types,
        };
        let mut parts = vec![(&self.words, &batch.ids[..])];
        if let (Some(positions), Some(indices)) = (&self.positions, &indices) {
            parts.push((&positions.table, indices));
        }
        if let Some(kinds) = &self.types {
            parts.push((&kinds.table, types));
        }
        let norm = self.norm_before.as_ref().map(RowNorm::norm);
        let mut hidden = backend.embed(&parts, norm.as_ref())?;
        if let Some(projection) = &self.projection {
            hidden = backend.linear(&hidden, &projection.layer(), Activation::Identity)?;
        }
        match &self.norm_after {
            Some(norm) => backend.norm(&hidden, &norm.norm()),
            None => Ok(hidden),
        }
    }
}

impl<B: Backend> Positions<B> {
    fn load(loader: &Loader<'_, B>, config: &ModelConfig) -> Result<Option<Self>> {
        if !config.has_positions {
            return Ok(None);
        }
        let Some(tokens) = config.max_positions else {
            return Err(Error::model(
                "",
                "the model adds embeddings of positions: expected `max_position_embeddings` in config.json, found none",
            ));
        };
        let rows = tokens + config.first_position as usize;
        let name = "embeddings.position_embeddings.weight";
        Ok(Some(Self {
            table: loader.table(name, rows, config.embedding_size)?,
            first: config.first_position,
            skipped: (config.first_position > 0).then_some(config.pad),
        }))
    }

    /// The row of the position table for each token of a batch.
    fn indices(&self, batch: &Batch) -> Vec<u32> {
        let mut indices = Vec::with_capacity(batch.ids.len());
        for pair in batch.starts.windows(2) {
            let mut next = self.first;
            for &id in &batch.ids[pair[0] as usize..pair[1] as usize] {
                if self.skipped == Some(id) {
                    indices.push(self.first - 1);
                } else {
                    indices.push(next);
                    next += 1;
                }
            }
        }
        indices
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::{Device, Reference};

    fn indices(first: u32, skipped: Option<u32>, ids: &[u32], starts: &[u32]) -> Vec<u32> {
        let positions = Positions::<Reference> {
            table: Reference.table(1, 1, &[0.0]).unwrap(),
            first,
            skipped,
        };
        positions.indices(&Batch {
            ids: ids.to_vec(),
            types: vec![0; ids.len()],
            starts: starts.to_vec(),
        })
    }

    #[test]
    fn positions_restart_with_each_sequence() {
        let ids = [9, 9, 9, 9, 9];
        assert_eq!(indices(0, None, &ids, &[0, 3, 3, 5]), [0, 1, 2, 0, 1]);
        assert_eq!(indices(2, Some(1), &ids, &[0, 3, 5]), [2, 3, 4, 2, 3]);
    }

    #[test]
    fn padding_spelled_out_in_a_text_takes_no_position() {
        assert_eq!(indices(2, Some(1), &[0, 1, 7, 5], &[0, 4]), [2, 1, 3, 4]);
    }
}
