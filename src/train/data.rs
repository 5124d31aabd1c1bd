//! Training data: examples from files, shuffled, and put together as batches.
//!
//! | file | concept |
//! | --- | --- |
//! | `example` | a query with its documents and their targets |
//! | `collection` | collections in BEIR's layout, with negatives from rankings |
//! | `corpus` | texts alone |
//! | `triplets` | files of triplets, as texts or ids |
//! | `line_index`, `texts` | lines and texts that stay on disk |
//! | `read_at` | positioned reads |
//! | `permutation` | a shuffled order that takes no memory |
//! | `batches` | the texts of a step, each once |

mod batches;
mod collection;
mod corpus;
mod example;
mod line_index;
mod permutation;
mod read_at;
mod texts;
mod triplets;

#[cfg(any(test, feature = "internals"))]
pub use batches::Labelled;
pub use batches::{Batches, TrainingBatch};
pub use collection::{CollectionSource, NamedTexts, NegativeRanks};
pub use corpus::CorpusSource;
#[cfg(any(test, feature = "internals"))]
pub use example::{Candidate, Example};
pub use example::{Source, Text};
#[cfg(any(test, feature = "internals"))]
pub use permutation::Permutation;
pub use triplets::TripletSource;
