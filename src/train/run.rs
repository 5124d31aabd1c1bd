//! The training loop: batches, steps, evaluations, checkpoints.
//!
//! | file | concept |
//! | --- | --- |
//! | `plan` | how many steps there are, and what happens after which |
//! | `data` | what a run learns from, and what it is evaluated on |
//! | `prepare` | the model and its objective, from the options |
//! | `teacher` | the model that an alignment aims at |
//! | `mining` | negatives that the model in training finds |
//! | `start` | what is opened and checked before the first step |
//! | `session` | from the first step to the last |
//! | `timer` | how long steps take |
//! | `store` | models and checkpoints |

mod data;
mod mining;
mod plan;
mod prepare;
mod session;
mod start;
mod store;
mod teacher;
mod timer;

pub use plan::Plan;
#[cfg(any(test, feature = "internals"))]
pub use prepare::{DocumentFrequencies, objective, prepare_model, sparse_options};
pub use session::Summary;
pub use start::train;

use serde::{Deserialize, Serialize};

/// What is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainKind {
    /// A model of sparse vectors.
    Splade,
    /// A cross-encoder.
    Cross,
    /// A bi-encoder.
    Bi,
    /// A masked language model, from which the others start.
    Mlm,
    /// A model of sparse vectors that aligns its vectors of texts in one language with those that a
    /// teacher has of the same texts in another.
    Align,
}

impl TrainKind {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Splade => "splade",
            Self::Cross => "cross",
            Self::Bi => "bi",
            Self::Mlm => "mlm",
            Self::Align => "align",
        }
    }
}

#[cfg(test)]
mod tests;
