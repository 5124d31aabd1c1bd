//! Gradients, dropout, packing and the optimizer.
//!
//! Where rounding decides which row has a max, the reference takes the backend's row, after its logit
//! was compared with the max.

mod head;
mod layers;
mod optimizer;
mod rows;

use super::report::{FirstFailure, Observer};
use super::{Case, Tolerance};
use crate::backend::{BackwardOps, Device, Pooling, Reference};
use crate::error::Result;

/// Operations of training that are tested together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrainingOperation {
    /// Activations, their slopes, products, dropout.
    Elements,
    /// Norms and L2 normalization.
    Norms,
    /// Every kind of pooling, and im2col.
    Sequences,
    /// Tables of embeddings.
    Tables,
    /// Sparse vectors with the rows of maxima, and the SPLADE head.
    Splade,
    /// Masters as matrices, tables and parameter rows.
    Packing,
    /// AdamW, norms of gradients, buffers.
    Optimizer,
    /// Weights of linear layers.
    Weights,
    /// Attention with every kind of positions.
    Attention,
}

/// All operations of training.
pub const TRAINING_OPERATIONS: [TrainingOperation; 9] = [
    TrainingOperation::Elements,
    TrainingOperation::Norms,
    TrainingOperation::Sequences,
    TrainingOperation::Tables,
    TrainingOperation::Splade,
    TrainingOperation::Packing,
    TrainingOperation::Optimizer,
    TrainingOperation::Weights,
    TrainingOperation::Attention,
];

/// Runs one operation of training with values drawn from `seed` and `round`, until a case fails.
///
/// # Errors
///
/// As [`check`](super::check).
pub fn check_training<B: BackwardOps>(
    backend: &B,
    tolerance: Tolerance,
    seed: u64,
    round: u64,
    operation: TrainingOperation,
) -> Result<()> {
    let observer = &mut FirstFailure;
    observe_training(backend, tolerance, seed, round, operation, observer)
}

/// Runs one operation of training with values drawn from `seed` and `round`, and reports each case
/// and each failure to `observer`. An error of the backend ends the operation.
///
/// # Errors
///
/// Those of the observer.
pub fn observe_training<B: BackwardOps>(
    backend: &B,
    tolerance: Tolerance,
    seed: u64,
    round: u64,
    operation: TrainingOperation,
    observer: &mut dyn Observer,
) -> Result<()> {
    let name = format!("{operation:?}");
    let mut case = Case::drawn(
        backend,
        tolerance,
        [seed, round, operation as u64],
        observer,
        name,
    );
    let result = match operation {
        TrainingOperation::Elements => case.elements(),
        TrainingOperation::Norms => case.norm_gradients(),
        TrainingOperation::Sequences => case.sequence_gradients(),
        TrainingOperation::Tables => case.table_gradients(),
        TrainingOperation::Splade => case.splade_gradients(),
        TrainingOperation::Packing => case.packing(),
        TrainingOperation::Optimizer => case.optimizer(),
        TrainingOperation::Weights => case.weight_gradients(),
        TrainingOperation::Attention => case.attention_gradients(),
    };
    case.reporter.finish(result)
}

/// The same values for the backend and for the reference.
struct Pair<B: Device> {
    ours: B::Tensor,
    reference: <Reference as Device>::Tensor,
}

/// A gradient of the backend and of the reference, to which is added.
struct Gradient<B: BackwardOps> {
    ours: B::Buffer,
    reference: Vec<f32>,
}

impl<B: BackwardOps> Case<'_, B> {
    /// Values in the dtype of activations.
    fn pair(&mut self, rows: usize, columns: usize) -> Result<Pair<B>> {
        let values = self.stored(rows * columns);
        Ok(Pair {
            ours: self.backend.tensor(rows, columns, &values)?,
            reference: Reference.tensor(rows, columns, &values)?,
        })
    }

    /// Values in the dtype of pooled vectors: each row is a sequence.
    fn pooled_pair(&mut self, rows: usize, columns: usize) -> Result<Pair<B>> {
        let pair = self.pair(rows, columns)?;
        let starts: Vec<u32> = (0..=rows as u32).collect();
        let ours = self.backend.pool(&pair.ours, &starts, Pooling::First)?;
        Ok(Pair { ours, ..pair })
    }

    /// A gradient that is not 0 before something is added.
    fn gradient(&mut self, len: usize) -> Result<Gradient<B>> {
        let reference = self.random.values(len);
        Ok(Gradient {
            ours: self.backend.buffer(&reference)?,
            reference,
        })
    }

    fn same_gradient(&mut self, found: &Gradient<B>) -> Result<()> {
        self.same_gradient_within(found, self.tolerance.max_error)
    }

    /// Compares with another bound than the backend's.
    fn same_gradient_within(&mut self, found: &Gradient<B>, max_error: f32) -> Result<()> {
        let ours = self.backend.read(&found.ours)?;
        self.compare_within(&ours, &found.reference, max_error)
    }
}
