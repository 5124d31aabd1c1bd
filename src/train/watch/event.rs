//! What happens in a training run, as data: programs show it, logs keep it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;

/// What a run is about.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// What is trained: `splade`, `cross` or `bi`.
    pub kind: String,
    /// The model that training starts from.
    pub base: String,
    /// The folder that the run writes.
    pub output: String,
    /// The device.
    pub device: String,
    /// Steps of the whole run.
    pub steps: u64,
    /// The step after which the run goes on; 0 unless it was resumed.
    pub resumed_at: u64,
    /// Examples of an epoch.
    pub examples: u64,
    /// Queries of a step.
    pub queries: usize,
    /// Values that are trained.
    pub parameters: u64,
    /// The metric that chooses the best checkpoint, such as `ndcg@10`; empty without evaluation.
    pub metric: String,
}

/// Sparse vectors of one side, queries or documents, of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SparsityRecord {
    /// Mean number of terms above 0.
    pub active_terms: f64,
    /// The regularizer before its factor λ (FLOPS or L1).
    pub regularizer: f64,
    /// The factor.
    pub lambda: f64,
    /// The max weight.
    pub max_weight: f64,
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The number of the step, from 1.
    pub step: u64,
    /// Epochs that were gone through, as a fraction.
    pub epoch: f64,
    /// The loss, regularizers included.
    pub loss: f64,
    /// The loss of ranking alone.
    pub ranking_loss: f64,
    /// The share of queries whose best document in the batch is a relevant one.
    pub accuracy: f64,
    /// Queries' vectors, for sparse models.
    pub queries: Option<SparsityRecord>,
    /// Documents' vectors, for sparse models.
    pub documents: Option<SparsityRecord>,
    /// The learning rate of the encoder.
    pub learning_rate: f64,
    /// The norm of all gradients before clipping.
    pub gradient_norm: f64,
    /// Tokens of the step.
    pub tokens: u64,
    /// Tokens a second, of the steps since the last record.
    pub tokens_per_second: f64,
    /// Queries a second, of the same.
    pub queries_per_second: f64,
    /// Seconds since the run began (of all its parts, if it was resumed).
    pub seconds: f64,
    /// Estimated seconds to the end.
    pub seconds_left: f64,
}

/// A text and its terms of the highest weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShownText {
    /// The start of the text.
    pub text: String,
    /// Terms and weights, the highest first.
    pub terms: Vec<(String, f32)>,
}

/// What an evaluation found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// The step after which it was done; 0 before the first.
    pub step: u64,
    /// The development metric that chooses the best checkpoint.
    pub value: f64,
    /// All metrics by name.
    pub metrics: BTreeMap<String, f64>,
    /// True if it is the best so far.
    pub is_best: bool,
    /// Mean terms of a query's and of a document's vector, for sparse models.
    pub active_terms: Option<(f64, f64)>,
    /// Some documents, for sparse models.
    pub shown: Vec<ShownText>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// Something that happened in a run.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins or goes on.
    Started(&'a RunRecord),
    /// A step was done.
    Step(&'a StepRecord),
    /// The model was evaluated.
    Evaluated(&'a EvaluationRecord),
    /// A checkpoint was written.
    Saved {
        /// After this step.
        step: u64,
        /// The folder.
        path: &'a Path,
    },
    /// Something that the person who trains should know; the run goes on.
    Warning(&'a str),
    /// The run ended: all steps were done, it stopped early, or it was cancelled.
    Finished {
        /// After this step.
        step: u64,
        /// Why it ended.
        reason: &'a str,
    },
}

/// Is told what happens in a run.
pub trait Watcher {
    /// Takes an event; events come in order.
    ///
    /// # Errors
    ///
    /// An error ends the run.
    fn on(&mut self, event: &Event<'_>) -> Result<()>;
}
