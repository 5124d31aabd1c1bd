//! Losses of scores: what a list of documents' scores for one query costs, and the gradient.
//!
//! Everything here is on the host in f64: a batch has some thousands of scores at most.

mod alignment;
mod grades;
mod list;
mod sparsity;

pub use alignment::alignment;
pub use grades::grade_loss;
pub use list::ListLoss;
pub use sparsity::{Norm, Sparsity, lambda_at};

/// A loss and its gradient with respect to each input.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    /// The loss.
    pub value: f64,
    /// One value for each input, in order.
    pub gradient: Vec<f64>,
}
