//! Heads in training: each makes a row of values of a sequence, and takes the gradient of a loss with
//! respect to these values.

use crate::backend::{BackwardOps, Device, SparseVector};
use crate::error::Result;
use crate::neural::{CrossHead, LateHead, PooledHead, SpladeHead};
use crate::train::recorder::{Recorder, Seed, Var};

/// What a sequence's hidden states become.
pub trait Head<B: BackwardOps> {
    /// The values of one sequence.
    type Row: Clone + Send;

    /// The values of each sequence of a packed batch; one output of the recorder's step.
    ///
    /// # Errors
    ///
    /// As the backend's operations.
    fn rows(
        &self,
        recorder: &Recorder<B>,
        hidden: &Var<B>,
        starts: &[u32],
    ) -> Result<Vec<Self::Row>>;

    /// The gradient of the output from the gradients of its rows, a value for each value of a row.
    fn seed(gradients: Vec<Vec<f32>>) -> Seed;
}

impl<B: BackwardOps> Head<B> for SpladeHead<Recorder<B>> {
    type Row = SparseVector;

    fn rows(
        &self,
        recorder: &Recorder<B>,
        hidden: &Var<B>,
        starts: &[u32],
    ) -> Result<Vec<SparseVector>> {
        self.forward(recorder, hidden, starts)
    }

    fn seed(gradients: Vec<Vec<f32>>) -> Seed {
        Seed::Sparse(gradients)
    }
}

impl<B: BackwardOps> Head<B> for PooledHead<Recorder<B>> {
    type Row = Vec<f32>;

    fn rows(
        &self,
        recorder: &Recorder<B>,
        hidden: &Var<B>,
        starts: &[u32],
    ) -> Result<Vec<Vec<f32>>> {
        let vectors = self.forward(recorder, hidden, starts)?;
        let values = recorder.values(&vectors)?;
        Ok(rows_of(&values, self.dimensions()))
    }

    fn seed(gradients: Vec<Vec<f32>>) -> Seed {
        Seed::Dense(gradients.concat())
    }
}

impl<B: BackwardOps> Head<B> for CrossHead<Recorder<B>> {
    /// A logit for each label.
    type Row = Vec<f32>;

    fn rows(
        &self,
        recorder: &Recorder<B>,
        hidden: &Var<B>,
        starts: &[u32],
    ) -> Result<Vec<Vec<f32>>> {
        let logits = self.forward(recorder, hidden, starts)?;
        Ok(rows_of(&logits, self.labels()))
    }

    fn seed(gradients: Vec<Vec<f32>>) -> Seed {
        Seed::Dense(gradients.concat())
    }
}

impl<B: BackwardOps> Head<B> for LateHead<Recorder<B>> {
    /// The vectors of all tokens, one after another.
    type Row = Vec<f32>;

    fn rows(
        &self,
        recorder: &Recorder<B>,
        hidden: &Var<B>,
        starts: &[u32],
    ) -> Result<Vec<Vec<f32>>> {
        let vectors = self.token_vectors(recorder, hidden)?;
        let values = recorder.values(&vectors)?;
        let size = self.dimensions();
        let sequences = starts.windows(2);
        let rows = sequences.map(|pair| &values[pair[0] as usize * size..pair[1] as usize * size]);
        Ok(rows.map(<[f32]>::to_vec).collect())
    }

    fn seed(gradients: Vec<Vec<f32>>) -> Seed {
        Seed::Dense(gradients.concat())
    }
}

fn rows_of(values: &[f32], columns: usize) -> Vec<Vec<f32>> {
    let rows = values.chunks_exact(columns.max(1));
    rows.map(<[f32]>::to_vec).collect()
}
