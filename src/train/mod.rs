//! Training of the models that [`neural`](crate::neural) runs.
//!
//! Comes in: a published encoder and pairs of texts. Goes out: the same files with other weights.
//! Models are defined once, over a [`Backend`](crate::neural::Backend): training runs that definition
//! on a recorder, which notes every operation and then goes through them backward.
//!
//! | file | concept |
//! | --- | --- |
//! | `checkpoint` | what a run needs to go on |
//! | `create` | new models, with a vocabulary of their own and random weights |
//! | `vocabulary` | a model with the pieces alone that a corpus uses |
//! | `export` | the folder of the trained model |
//! | `files` | folders that appear complete or not at all |
//! | `data` | examples from files, shuffled and batched |
//! | `evaluation` | a model in training, measured by this engine |
//! | `health` | checks of a run: not finite, explosion, collapse |
//! | `lambda` | the factor of a regularizer, fixed or steered to a number of active terms |
//! | `exact` | floats in saved state |
//! | `watch` | what a run tells while it goes on: events, a log, a page of curves |
//! | `parameters` | master weights and gradients by the names of a model's tensors, and their packed forms |
//! | `model` | texts to values with gradients, in bounded memory |
//! | `options` | the options of a run |
//! | `optimizer` | AdamW with clipping |
//! | `schedule` | learning rates over steps |
//! | `rates` | learning rates of the groups of tensors |
//! | `run` | the loop |
//! | `recorder` | a backend that notes what it computes |
//! | `loss` | losses of scores and of sparsity, with their gradients |
//! | `objective` | what the vectors of a batch cost |
//! | `similarity` | scores of vectors, and gradients back to the vectors |
//! | `task` | what is trained: batches to gradients |
//! | `tape` | the operations that were noted, forward and backward |

mod checkpoint;
mod create;
mod data;
mod evaluation;
mod exact;
mod export;
mod files;
mod health;
mod lambda;
mod loss;
mod model;
mod objective;
mod optimizer;
mod options;
mod parameters;
mod rates;
mod recorder;
mod run;
mod schedule;
mod similarity;
mod tape;
mod task;
mod vocabulary;
mod watch;

pub use create::{NewFamily, NewModel, VocabularyKind};
pub use objective::Scope;
pub use options::{
    OptionKey, Overfit, Regularizer, SparsePooling, TrainDevice, TrainOptions, TrainPrecision,
};
pub use run::{Summary, TrainKind, train};
pub use schedule::Decay;
pub use vocabulary::{CutReport, VocabularyCut};
pub use watch::{
    Entry, EvaluationRecord, Event, LOG_FILE, PAGE_FILE, RunRecord, ShownText, SparsityRecord,
    StepRecord, Watcher, read_log,
};

#[cfg(any(test, feature = "internals"))]
pub use {
    data::{
        Batches, Bm25Mining, Candidate, Collection, CollectionExamples, CorpusExamples, Example,
        ExampleOptions, IdTriplets, Labelled, Margin, Negatives, ParallelTexts, Permutation, Ranks,
        Source, TeacherScores, Text, TextTriplets, Texts, TrainingBatch, mine_bm25,
    },
    evaluation::{Development, NamedText, choose},
    export::{Card, Export, ExportKind, ExportedTensor},
    health::{Health, HealthKind, HealthOptions, HealthState, ScoreSpread, Verdict},
    lambda::{Lambda, LambdaOptions, LambdaState},
    loss::{ListLoss, Loss, Norm, Sparsity, alignment, grade_loss, lambda_at},
    model::{
        Dropout, Head, Passes, TokenTable, add_classifier, add_projection, add_sparse_head,
        limit_of, open_base,
    },
    objective::{Objective, RankingOutcome, RankingTerm, graded},
    optimizer::{Optimizer, OptimizerOptions},
    parameters::{Master, Parameters},
    rates::Rates,
    recorder::{Recorder, Seed, Var},
    run::{DocumentFrequencies, Plan, objective, prepare_model, sparse_options},
    schedule::Schedule,
    similarity::{
        DenseVectors, Matches, Scores, TokenVectors, Vectors, backward, max_sim, max_sim_backward,
        scores,
    },
    task::{
        BatchOutcome, BatchSettings, DenseTask, LateTask, MaskedTask, PairTask, SparseTask,
        SparseTaskOptions, Task,
    },
    watch::{FolderWatcher, History, Log, Page},
};

#[cfg(test)]
mod tests;
