//! The options of a training run, each with its default and why.

mod check;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::backend::SpladePooling;
use crate::error::{Error, Result};

use super::loss::ListLoss;
use super::objective::Scope;
use super::schedule::Decay;

/// An option by name, for programs that offer all of them.
#[derive(Clone, Copy, Debug)]
pub struct OptionKey {
    /// Its name in a configuration.
    pub name: &'static str,
    /// What it does, its default and why.
    pub help: &'static str,
}

macro_rules! options {
    ($($(#[doc = $help:literal])+ $name:ident: $kind:ty = $default:expr,)+) => {
        /// The options of a training run. Its configuration file has the same keys; a key that is not
        /// here is an error.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
        #[non_exhaustive]
        pub struct TrainOptions {
            $($(#[doc = $help])+ pub $name: $kind,)+
        }

        impl Default for TrainOptions {
            fn default() -> Self {
                Self { $($name: $default,)+ }
            }
        }

        impl TrainOptions {
            /// All options, in the order in which they are documented.
            pub const KEYS: &[OptionKey] = &[
                $(OptionKey { name: stringify!($name), help: concat!($($help),+) },)+
            ];
        }
    };
}

options! {
    /// The folder of the model that training starts from.
    base: PathBuf = PathBuf::new(),
    /// The folder that the run writes: the best model, checkpoints, a log and a page.
    output: PathBuf = PathBuf::new(),

    /// A folder in BEIR's layout with training queries, documents and judgements.
    collection: Option<PathBuf> = None,
    /// The judgements of the collection that are trained on. Default `train`.
    split: String = "train".to_owned(),
    /// A file of triplets: texts or ids, tab-separated, or JSON lines.
    triplets: Option<PathBuf> = None,
    /// The documents that a file of triplets names by id. In an alignment: the documents that the model
    /// in training reads, a file or a folder in BEIR's layout.
    documents: Option<PathBuf> = None,
    /// The queries that a file of triplets names by id.
    queries: Option<PathBuf> = None,
    /// The folder of the sparse model whose vectors an alignment aims at. Its vocabulary must be that
    /// of the base.
    teacher: Option<PathBuf> = None,
    /// Parallel texts of an alignment: on each line a text that the teacher reads, a tab, and its
    /// translation, which the model in training reads.
    parallel: Option<PathBuf> = None,
    /// Parallel texts of an alignment: documents that the teacher reads, a file or a folder in BEIR's
    /// layout. Those with the same id in `documents` are their translations.
    parallel_documents: Option<PathBuf> = None,
    /// The ids of the documents that an alignment may read, so that none of a test part is seen: one
    /// on each line, or judgements, whose documents count. Without it all are read.
    parallel_ids: Option<PathBuf> = None,
    /// A TREC run whose documents are the negatives. Without it, negatives are mined with BM25.
    negatives_run: Option<PathBuf> = None,
    /// A TREC run with a teacher's scores, the targets of distillation.
    teacher_run: Option<PathBuf> = None,
    /// Leaves out negatives whose teacher's score is above that of the relevant document minus this.
    teacher_margin: Option<f64> = None,
    /// The same with a fraction of the relevant document's score instead of a difference.
    teacher_margin_fraction: Option<f64> = None,
    /// Negatives of a query in each step. Default 1; 4 to 8 for a cross-encoder.
    negatives: usize = 1,
    /// Negatives are of this rank on. Default 1: the hardest teach most where relevance is complete.
    negatives_from: usize = 1,
    /// Negatives are of at most this rank. Default 50.
    negatives_to: usize = 50,
    /// Steps after which negatives are mined again: the model in training encodes documents, indexes
    /// them, and the ranks of its own results are the new negatives. Default 0: never, which suits
    /// short runs; 500 or more for long ones, as encoding costs what many steps do.
    mine_every: u64 = 0,
    /// Documents of such an index: those that are relevant to training queries, and others of the
    /// collection; 0 for all. Default 20,000.
    mine_documents: usize = 20_000,
    /// The language of the analyzer that mines negatives, such as `en`. The command line detects it by
    /// default, the library takes `simple`, which suits any language.
    language: Option<String> = None,

    /// Max tokens of a document; of a pair for a cross-encoder. Default 256: at 128 the ends of long
    /// documents are lost, and 256 costs little more.
    max_tokens: usize = 256,
    /// Max tokens of a query. Default 64.
    max_query_tokens: usize = 64,
    /// How a sparse vector is made of the tokens' logits: `max` or `sum`. Default `max`.
    pooling: SparsePooling = SparsePooling::Max,
    /// Queries are encoded without a transformer, by a table of learned token weights that starts as
    /// the inverse document frequencies. Default false.
    inference_free: bool = false,
    /// Adds learned weights of a document's own tokens to its vector, this much at the start: rare
    /// names that word pieces split keep a weight of their own. A base that has them keeps its own. No
    /// default; 0.5 to 1 are usual. Their rate is `table-learning-rate`.
    echo: Option<f32> = None,
    /// The same for queries, with weights of their own.
    query_echo: Option<f32> = None,
    /// Active terms of a document at the start, for a head that training adds. Default 200. Terms
    /// that are not active learn nothing: an alignment from a base without a head takes 1,000.
    initial_terms: usize = 200,

    /// A bi-encoder makes a vector of each token instead of one of a text, and texts are compared by
    /// MaxSim (ColBERT). A base of this kind keeps its own prefixes and lengths. Default false.
    late_interaction: bool = false,
    /// Dimensions of a token's vector, where late interaction is added to an encoder. Default 128, as
    /// in ColBERT.
    dimensions: usize = 128,

    /// Ranking losses, added up: `softmax`, `list-net`, `kl`, `margin-mse`, `rank-net`, `triplet`,
    /// `lambda`, `adaptive-margin` (self-distillation: the margin grows with the resemblance of the
    /// documents' own vectors), `bce`; a factor may follow as in `kl*0.5`. Default `softmax`.
    losses: Vec<String> = vec!["softmax".to_owned()],
    /// Labels of a cross-encoder. Default 1: one score, trained by `losses`. With more, the labels are
    /// the grades of the judgements from 0 on, trained by cross-entropy over all labels instead of
    /// `losses`, and documents are ranked by their expected grade.
    labels: usize = 1,
    /// What a query's documents are compared with: `batch` (in-batch negatives) or `own`. Default
    /// `batch`; a cross-encoder always compares a query's own documents.
    scope: Scope = Scope::Batch,
    /// The margin of `triplet`, and the max margin of `adaptive-margin`. Default 1, which suits
    /// cosines; inner products of sparse vectors are larger and take more.
    margin: f64 = 1.0,
    /// Scores are multiplied by this in the loss. Default 1, and 20 for a bi-encoder with one vector of
    /// a text, whose cosines are at most 1.
    scale: Option<f64> = None,
    /// How sparse vectors are regularized: `flops` or `l1`. Default `flops`.
    regularizer: Regularizer = Regularizer::Flops,
    /// The factor of the regularizer of queries. It belongs to the scale of the loss: about 1e-3
    /// with `softmax`, .1 with `margin-mse`. Default 1e-3.
    lambda_queries: f64 = 1e-3,
    /// The factor of the regularizer of documents. Default 1e-3.
    lambda_documents: f64 = 1e-3,
    /// Steps over which the factors rise quadratically; 0 for a third of the run, the default: terms
    /// are learned before they must be dropped.
    lambda_steps: u64 = 0,
    /// Steers the factor of queries so that they have this many active terms.
    target_query_terms: Option<f64> = None,
    /// Steers the factor of documents so that they have this many active terms.
    target_document_terms: Option<f64> = None,
    /// Terms cost in proportion to their document frequency, so that frequent ones, which make
    /// searches slow, are dropped first. Default false.
    frequency_weighted: bool = false,

    /// The share of the tokens that a masked language model predicts. Default 0.15, BERT's.
    mask_share: f64 = 0.15,

    /// Queries of a step; texts for a masked language model. Default 32.
    batch: usize = 32,
    /// Batches that are accumulated in a step. Default 1.
    accumulate: u64 = 1,
    /// Steps of the run; without it, `epochs` decides.
    steps: Option<u64> = None,
    /// Epochs of the run. Default 1.
    epochs: f64 = 1.0,
    /// Ends the run after this many seconds at the next step; the learning rate falls by the time
    /// that was used, if that is faster than by steps.
    seconds: Option<f64> = None,
    /// The learning rate of the encoder. Default 2e-5, for base models; small ones take 1e-4 to 5e-4.
    learning_rate: f64 = 2e-5,
    /// The learning rate of a head; that of the encoder by default.
    head_learning_rate: Option<f64> = None,
    /// The learning rate of tables of token weights. Default 1e-3.
    table_learning_rate: f64 = 1e-3,
    /// Each layer below another learns at this multiple of its rate. Default 1.
    layer_decay: f64 = 1.0,
    /// The share of the steps in which the learning rate rises. Default 0.06.
    warm_up: f64 = 0.06,
    /// How the learning rate falls: `constant`, `linear` or `cosine`. Default `linear`.
    schedule: Decay = Decay::Linear,
    /// Weight decay of AdamW. Default 0.01.
    weight_decay: f32 = 0.01,
    /// The norm of the gradients is at most this. Default 1.
    max_norm: f64 = 1.0,
    /// The probability that a hidden value is dropped. Default 0: short runs of small models lose
    /// more by it than they gain.
    dropout: f32 = 0.0,
    /// Decides the order of examples, negatives, initial values and dropout. Default 1.
    seed: u64 = 1,
    /// Where the model is trained: `cpu`, `cuda` (the first NVIDIA GPU), `cuda:1` (the second), or
    /// `auto` (the first GPU if there is one, else the CPU). Default `cpu`.
    device: TrainDevice = TrainDevice::Cpu,
    /// Threads; all cores by default.
    threads: Option<usize> = None,
    /// The dtype of products: `bf16` where the CPU has instructions for it, or `f32`. Parameters and
    /// gradients are f32 always. A GPU has products in bf16 alone. Default `bf16`.
    precision: TrainPrecision = TrainPrecision::Bf16,
    /// Max tokens whose intermediate results are in memory at once; a batch of more goes through the
    /// model twice. Default 16,384.
    tape_tokens: usize = 16_384,

    /// The judgements of the collection that choose the best model. Default `dev`.
    development: String = "dev".to_owned(),
    /// Queries of an evaluation, the first of the judgements; 0 for none. Default 300.
    development_queries: usize = 300,
    /// Documents of an evaluation: the relevant ones and others; 0 for all. Default 5,000.
    development_documents: usize = 5_000,
    /// The metric that chooses the best model. Default `ndcg@10`.
    metric: String = "ndcg@10".to_owned(),
    /// Steps between evaluations; 0 for a tenth of the run, the default.
    evaluate_every: u64 = 0,
    /// Evaluations without a better one after which the run ends; 0 for never, the default.
    patience: u64 = 0,
    /// Steps between checkpoints; 0 for with each evaluation, the default.
    save_every: u64 = 0,
    /// Checkpoints that are kept, beside the best. Default 2.
    keep: usize = 2,
    /// Training goes on from the last checkpoint in the output folder. Default false: a folder with
    /// checkpoints is refused.
    resume: bool = false,
    /// Trains on one example alone (`one`) or one batch alone (`batch`): the loss must go to 0, or
    /// something is wrong.
    overfit: Option<Overfit> = None,
    /// Starts from random weights instead of those of the base: a floor. Default false.
    from_scratch: bool = false,
}

/// Pooling of sparse vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SparsePooling {
    /// The max over tokens.
    Max,
    /// The sum over tokens.
    Sum,
}

/// Regularizers of sparse vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Regularizer {
    /// FLOPS.
    Flops,
    /// L1.
    L1,
}

/// Where a model is trained.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum TrainDevice {
    /// The CPU: `cpu`.
    #[default]
    Cpu,
    /// The NVIDIA GPU of this number, from 0: `cuda` for the first, or `cuda:1`.
    Cuda(usize),
    /// The first GPU if there is one, else the CPU: `auto`.
    Auto,
}

impl TryFrom<String> for TrainDevice {
    type Error = String;

    fn try_from(name: String) -> std::result::Result<Self, String> {
        let number = |number: &str| number.parse().ok().map(Self::Cuda);
        let device = match &*name {
            "cpu" => Some(Self::Cpu),
            "auto" => Some(Self::Auto),
            "cuda" => Some(Self::Cuda(0)),
            _ => name.strip_prefix("cuda:").and_then(number),
        };
        device.ok_or_else(|| format!("device: expected cpu, cuda, cuda:N or auto, found `{name}`"))
    }
}

impl From<TrainDevice> for String {
    fn from(device: TrainDevice) -> Self {
        match device {
            TrainDevice::Cpu => "cpu".to_owned(),
            TrainDevice::Cuda(0) => "cuda".to_owned(),
            TrainDevice::Cuda(number) => format!("cuda:{number}"),
            TrainDevice::Auto => "auto".to_owned(),
        }
    }
}

/// The dtype of products in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainPrecision {
    /// f32.
    F32,
    /// bf16 with f32 accumulators.
    Bf16,
}

/// What a check of the trainer is confined to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overfit {
    /// One example.
    One,
    /// One batch.
    Batch,
}

impl TrainOptions {
    /// The ranking losses with their factors.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for a name that is none.
    pub fn ranking_losses(&self) -> Result<Vec<(ListLoss, f64)>> {
        if self.losses.is_empty() {
            return Err(Error::invalid(
                "losses: expected at least one loss, found none",
            ));
        }
        self.losses.iter().map(|loss| self.loss(loss)).collect()
    }

    /// The pooling of sparse vectors.
    pub(super) fn splade_pooling(&self) -> SpladePooling {
        match self.pooling {
            SparsePooling::Max => SpladePooling::Max,
            SparsePooling::Sum => SpladePooling::Sum,
        }
    }

    fn loss(&self, written: &str) -> Result<(ListLoss, f64)> {
        let (name, factor) = written.split_once('*').unwrap_or((written, "1"));
        let factor = factor.trim().parse::<f64>().ok();
        let factor = factor
            .filter(|factor| factor.is_finite() && *factor > 0.0)
            .ok_or_else(|| {
                Error::invalid(format!(
                    "losses: expected a factor above 0 after the *, found `{written}`"
                ))
            })?;
        let loss = match name.trim() {
            "softmax" => ListLoss::Softmax,
            "list-net" => ListLoss::ListNet,
            "kl" => ListLoss::KlDivergence,
            "margin-mse" => ListLoss::MarginMse,
            "rank-net" => ListLoss::RankNet,
            "triplet" => ListLoss::TripletMargin {
                margin: self.margin,
            },
            "lambda" => ListLoss::Lambda,
            "adaptive-margin" => ListLoss::AdaptiveMargin {
                margin: self.margin,
            },
            "bce" => ListLoss::BinaryCrossEntropy,
            other => {
                return Err(Error::invalid(format!(
                    "losses: expected softmax, list-net, kl, margin-mse, rank-net, triplet, lambda, adaptive-margin or bce, found `{other}`"
                )));
            }
        };
        Ok((loss, factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_and_unknown_ones_are_named() {
        let json = r#"{"base": "m", "learning-rate": 1e-3, "losses": ["kl*0.5", "margin-mse"], "scope": "own"}"#;
        let options: TrainOptions = serde_json::from_str(json).unwrap();
        assert_eq!(options.learning_rate, 1e-3);
        assert_eq!(
            options.ranking_losses().unwrap(),
            [(ListLoss::KlDivergence, 0.5), (ListLoss::MarginMse, 1.0)]
        );
        let error = serde_json::from_str::<TrainOptions>(r#"{"learning-rat": 1}"#).unwrap_err();
        assert!(error.to_string().contains("learning-rat"), "{error}");
        let written = serde_json::to_value(TrainOptions::default()).unwrap();
        assert_eq!(written.as_object().unwrap().len(), TrainOptions::KEYS.len());
        for key in TrainOptions::KEYS {
            assert!(!key.help.trim().is_empty(), "{}", key.name);
            assert!(written.get(key.name.replace('_', "-")).is_some());
        }
    }

    #[test]
    fn devices_are_named_as_on_the_command_line() {
        for (name, device) in [
            ("cpu", TrainDevice::Cpu),
            ("cuda", TrainDevice::Cuda(0)),
            ("cuda:3", TrainDevice::Cuda(3)),
            ("auto", TrainDevice::Auto),
        ] {
            let json = format!(r#"{{"device": "{name}"}}"#);
            let options: TrainOptions = serde_json::from_str(&json).unwrap();
            assert_eq!(options.device, device);
            assert_eq!(serde_json::to_value(&options).unwrap()["device"], name);
        }
        let error = serde_json::from_str::<TrainOptions>(r#"{"device": "gpu"}"#).unwrap_err();
        assert!(error.to_string().contains("cuda:N"), "{error}");
    }
}
