//! Training of the models that [`neural`](crate::neural) runs.
//!
//! Comes in: a published encoder and pairs of texts. Goes out: the same files with other weights.
//! Models are defined once, over a [`Backend`](crate::neural::Backend): training runs that definition
//! on a [`Recorder`], which notes every operation and then goes through them backward.
//!
//! | file | concept |
//! | --- | --- |
//! | `vocabulary` | a model with the pieces alone that a corpus uses |
//! | `export` | the folder of the trained model |
//! | `files` | folders that appear complete or not at all |
//! | `data` | examples from files, shuffled and batched |
//! | `watch` | what a run tells while it goes on |
//! | `parameters` | master weights and gradients by the names of a model's tensors, and their packed forms |
//! | `optimizer` | AdamW with clipping |
//! | `schedule` | learning rates over steps |
//! | `recorder` | a backend that notes what it computes |
//! | `loss` | losses of scores and of sparsity, with their gradients |
//! | `similarity` | scores of vectors, and gradients back to the vectors |
//! | `tape` | the operations that were noted, forward and backward |

mod data;
mod export;
mod files;
mod loss;
mod optimizer;
mod parameters;
mod recorder;
mod schedule;
mod similarity;
mod tape;
mod vocabulary;
mod watch;

pub use data::{Candidate, Example, Source, Text};
pub use export::{Card, Export, ExportKind, ExportedTensor};
pub use loss::{ListLoss, Loss, Norm, Sparsity, lambda_at};
pub use optimizer::{Optimizer, OptimizerOptions};
pub use parameters::{Master, Parameters};
pub use recorder::{Recorder, Seed, Var};
pub use schedule::{Decay, Schedule};
pub use similarity::{DenseVectors, Scores, Vectors, backward, scores};
pub use vocabulary::{CutReport, VocabularyCut};
pub use watch::{
    EvaluationRecord, Event, RunRecord, ShownText, SparsityRecord, StepRecord, Watcher,
};

#[cfg(test)]
mod tests;
