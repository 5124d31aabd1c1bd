//! A model in training: texts to vectors or scores, and gradients back to its parameters.
//!
//! | file | concept |
//! | --- | --- |
//! | `added` | the classifier that an encoder lacks |
//! | `fitted` | the head of sparse vectors that an encoder lacks |
//! | `ridge` | the regression that it is fitted by |
//! | `base` | the folder that training starts from |
//! | `head` | what a sequence's hidden states become: a row of values with a gradient |
//! | `passes` | forward and backward passes over sequences whose tapes need not fit in memory |
//! | `tables` | weights of single tokens, outside of the encoder |

mod added;
mod base;
mod fitted;
mod head;
mod passes;
mod ridge;
mod tables;

pub use added::{add_classifier, add_projection};
pub use base::{limit_of, open_any, open_base};
pub use fitted::add_sparse_head;
#[cfg(any(test, feature = "internals"))]
pub use head::Head;
pub use passes::{Dropout, Passes};
pub use tables::TokenTable;
