//! The vocabulary of a model.
//!
//! | file | concept |
//! | --- | --- |
//! | `cut` | a model with the pieces alone that a corpus uses |
//! | `pieces` | which pieces stay |
//! | `tokenizer` | `tokenizer.json` with these pieces |
//! | `rows` | tensors with the rows of these pieces |

mod cut;
mod pieces;
mod rows;
mod tokenizer;

#[cfg(test)]
mod tests;

pub use cut::{CutReport, VocabularyCut};
