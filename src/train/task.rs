//! What is trained: how the texts of a batch become a loss, and how its gradient goes back.
//!
//! | file | concept |
//! | --- | --- |
//! | `sparse` | SPLADE: queries and documents as sparse vectors |
//! | `pairs` | cross-encoders: a score for a query and a document |
//! | `masked` | masked language models |
//! | `dense` | bi-encoders: queries and documents as dense vectors |
//! | `late` | late interaction: a dense vector for each token |

mod dense;
mod late;
mod masked;
mod pairs;
mod sparse;

pub use dense::DenseTask;
pub use late::LateTask;
pub use masked::MaskedTask;
pub use pairs::PairTask;
pub use sparse::{SparseTask, SparseTaskOptions};

use super::data::TrainingBatch;
use super::model::Dropout;
use super::objective::RankingOutcome;
use super::recorder::Recorder;
use super::watch::SparsityRecord;
use crate::backend::BackwardOps;
use crate::error::Result;

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchOutcome {
    /// The loss, regularizers included.
    pub loss: f64,
    /// Of ranking alone.
    pub ranking: RankingOutcome,
    /// Queries' vectors, for sparse models.
    pub queries: Option<SparsityRecord>,
    /// Documents' vectors, for sparse models.
    pub documents: Option<SparsityRecord>,
    /// Tokens that went through the model.
    pub tokens: u64,
}

impl BatchOutcome {
    /// Adds one of `count` batches that are accumulated; means are means over them.
    pub fn add(&mut self, other: &Self, count: u64) {
        let share = 1.0 / count.max(1) as f64;
        self.loss += other.loss * share;
        self.ranking.loss += other.ranking.loss * share;
        self.ranking.accuracy += other.ranking.accuracy * share;
        self.ranking.spread.within = self.ranking.spread.within.max(other.ranking.spread.within);
        self.ranking.spread.max = self.ranking.spread.max.max(other.ranking.spread.max);
        self.tokens += other.tokens;
        for (sum, side) in [
            (&mut self.queries, other.queries),
            (&mut self.documents, other.documents),
        ] {
            if let Some(side) = side {
                let sum = sum.get_or_insert_default();
                sum.active_terms += side.active_terms * share;
                sum.regularizer += side.regularizer * share;
                sum.lambda = side.lambda;
                sum.max_weight = sum.max_weight.max(side.max_weight);
            }
        }
    }
}

/// What differs from batch to batch beside the texts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BatchSettings {
    /// Dropout.
    pub dropout: Dropout,
    /// The factor of the regularizer of queries.
    pub lambda_queries: f64,
    /// The factor of the regularizer of documents.
    pub lambda_documents: f64,
}

/// A model and its objective.
pub trait Task<B: BackwardOps> {
    /// The recorder that the model was loaded on.
    fn recorder(&self) -> &Recorder<B>;

    /// Adds the gradients of a batch to those of the parameters.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) for values that are not finite;
    /// [`Error::Device`](crate::Error::Device) if the device fails.
    fn batch(&mut self, batch: &TrainingBatch, settings: &BatchSettings) -> Result<BatchOutcome>;

    /// Prepares the gradients of what the recorder does not know, before the optimizer steps.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) if the device fails.
    fn before_step(&mut self) -> Result<()> {
        Ok(())
    }

    /// Reads what the optimizer changed, if anything of it is kept elsewhere.
    ///
    /// # Errors
    ///
    /// [`Error::Device`](crate::Error::Device) if the device fails.
    fn after_step(&mut self) -> Result<()> {
        Ok(())
    }
}
