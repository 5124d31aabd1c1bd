//! Training data: examples streamed from files, shuffled, and put together as batches.
//!
//! | file | concept |
//! | --- | --- |
//! | `example` | a query with its documents and their targets; sources of examples |
//! | `texts` | documents or queries by id, whose texts stay on disk |
//! | `corpus` | texts alone |
//! | `triplets` | triplets as texts or as ids, streamed from disk |
//! | `collection` | BEIR folders with qrels |
//! | `negatives` | negatives of their queries: mined with BM25, or from runs |
//! | `teacher` | scores of a teacher |
//! | `parallel` | texts with their translations |
//! | `permutation` | shuffling without memory: a keyed bijection |
//! | `batches` | examples of a shuffled epoch, with the documents that are no negatives |
//! | `random_file`, `rows` | positioned reads of lines, and of numbers in a scratch file |
//! | `ids` | files of ids that are allowed |
//! | `unknown` | ids that no text has |

mod batches;
mod collection;
mod corpus;
mod example;
mod ids;
mod negatives;
mod parallel;
mod permutation;
mod random_file;
mod rows;
mod teacher;
mod texts;
mod triplets;
mod unknown;

pub use batches::{Batches, TrainingBatch};
pub use collection::{Collection, CollectionExamples, ExampleOptions};
pub use corpus::CorpusExamples;
pub use example::{Source, Text};
pub use ids::read_ids;
pub use negatives::{Bm25Mining, Margin, Negatives, Ranks, mine_bm25};
pub use parallel::ParallelTexts;
pub use teacher::TeacherScores;
pub use texts::Texts;
pub use triplets::{IdTriplets, TextTriplets};
#[cfg(any(test, feature = "internals"))]
pub use {
    batches::Labelled,
    example::{Candidate, Example},
    permutation::Permutation,
};
