//! Training data: examples streamed from files, shuffled, and put together as batches.
//!
//! | file | concept |
//! | --- | --- |
//! | `example` | a query with its documents and their targets |

mod example;

pub use example::{Candidate, Example, Source, Text};
