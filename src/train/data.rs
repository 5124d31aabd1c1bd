//! Training data: examples streamed from files, shuffled, and put together as batches.
//!
//! | file | concept |
//! | --- | --- |
//! | `example` | a query with its documents and their targets |
//! | `texts` | documents or queries by id, whose texts stay on disk |
//! | `permutation` | shuffling without memory: a keyed bijection |
//! | `batches` | examples of a shuffled epoch, with the documents that are no negatives |
//! | `random_file` | positioned reads of lines |

mod batches;
mod example;
mod permutation;
mod random_file;
mod texts;

pub use batches::{Batches, Labelled, TrainingBatch};
pub use example::{Candidate, Example, Source, Text};
pub use permutation::Permutation;
pub use texts::Texts;
