//! What happens in a training run, as data: programs show it, logs keep it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Result;

/// JSON has no NaN and no infinity: they are written as `null`, and read as NaN.
fn or_nan<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

fn each_or_nan<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<BTreeMap<String, f64>, D::Error> {
    let values = BTreeMap::<String, Option<f64>>::deserialize(deserializer)?;
    let or_nan = |(name, value): (String, Option<f64>)| (name, value.unwrap_or(f64::NAN));
    Ok(values.into_iter().map(or_nan).collect())
}

fn pair_or_nan<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Option<(f64, f64)>, D::Error> {
    let pair = Option::<(Option<f64>, Option<f64>)>::deserialize(deserializer)?;
    Ok(pair.map(|(first, second)| (first.unwrap_or(f64::NAN), second.unwrap_or(f64::NAN))))
}

fn terms_or_nan<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> std::result::Result<Vec<(String, f32)>, D::Error> {
    let terms = Vec::<(String, Option<f32>)>::deserialize(deserializer)?;
    let or_nan = |(term, weight): (String, Option<f32>)| (term, weight.unwrap_or(f32::NAN));
    Ok(terms.into_iter().map(or_nan).collect())
}

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
    #[serde(deserialize_with = "or_nan")]
    pub active_terms: f64,
    /// The regularizer before its factor λ (FLOPS or L1).
    #[serde(deserialize_with = "or_nan")]
    pub regularizer: f64,
    /// The factor.
    #[serde(deserialize_with = "or_nan")]
    pub lambda: f64,
    /// The max weight.
    #[serde(deserialize_with = "or_nan")]
    pub max_weight: f64,
}

/// What a step did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The number of the step, from 1.
    pub step: u64,
    /// Epochs that were gone through, as a fraction.
    #[serde(deserialize_with = "or_nan")]
    pub epoch: f64,
    /// The loss, regularizers included.
    #[serde(deserialize_with = "or_nan")]
    pub loss: f64,
    /// The loss of ranking alone.
    #[serde(deserialize_with = "or_nan")]
    pub ranking_loss: f64,
    /// The share of queries whose best document in the batch is a relevant one.
    #[serde(deserialize_with = "or_nan")]
    pub accuracy: f64,
    /// Queries' vectors, for sparse models.
    pub queries: Option<SparsityRecord>,
    /// Documents' vectors, for sparse models.
    pub documents: Option<SparsityRecord>,
    /// The learning rate of the encoder.
    #[serde(deserialize_with = "or_nan")]
    pub learning_rate: f64,
    /// The norm of all gradients before clipping.
    #[serde(deserialize_with = "or_nan")]
    pub gradient_norm: f64,
    /// Tokens of the step.
    pub tokens: u64,
    /// Tokens a second, of the steps since the last record.
    #[serde(deserialize_with = "or_nan")]
    pub tokens_per_second: f64,
    /// Queries a second, of the same.
    #[serde(deserialize_with = "or_nan")]
    pub queries_per_second: f64,
    /// Seconds since the run began (of all its parts, if it was resumed).
    #[serde(deserialize_with = "or_nan")]
    pub seconds: f64,
    /// Estimated seconds to the end.
    #[serde(deserialize_with = "or_nan")]
    pub seconds_left: f64,
}

/// A text and its terms of the highest weights.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShownText {
    /// The start of the text.
    pub text: String,
    /// Terms and weights, the highest first.
    #[serde(deserialize_with = "terms_or_nan")]
    pub terms: Vec<(String, f32)>,
}

/// What an evaluation found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// The step after which it was done; 0 before the first.
    pub step: u64,
    /// The development metric that chooses the best checkpoint.
    #[serde(deserialize_with = "or_nan")]
    pub value: f64,
    /// All metrics by name.
    #[serde(deserialize_with = "each_or_nan")]
    pub metrics: BTreeMap<String, f64>,
    /// True if it is the best so far.
    pub is_best: bool,
    /// Mean terms of a query's and of a document's vector, for sparse models.
    #[serde(deserialize_with = "pair_or_nan")]
    pub active_terms: Option<(f64, f64)>,
    /// Some documents, for sparse models.
    pub shown: Vec<ShownText>,
    /// Seconds that it took.
    #[serde(deserialize_with = "or_nan")]
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
