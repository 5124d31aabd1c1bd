//! A model in training: texts to vectors or scores, and gradients back to its parameters.
//!
//! | file | concept |
//! | --- | --- |
//! | `added` | heads that an encoder lacks |
//! | `base` | the folder that training starts from |
//! | `head` | what a sequence's hidden states become: a row of values with a gradient |
//! | `passes` | forward and backward passes over sequences whose tapes need not fit in memory |
//! | `tables` | weights of single tokens, outside of the encoder |

mod added;
mod base;
mod head;
mod passes;
mod tables;

pub use added::{add_classifier, add_projection, add_sparse_head};
pub use base::{limit_of, open_base};
#[cfg(any(test, feature = "internals"))]
pub use head::Head;
pub use passes::{Dropout, Passes};
pub use tables::TokenTable;
