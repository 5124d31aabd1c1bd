//! Weights of single tokens, outside of the encoder: the weights of query tokens of an inference-free
//! model, and the echo of a document's own tokens.

use crate::backend::{BackwardOps, Device, SparseVector};
use crate::error::{Error, Result};
use crate::train::parameters::lock;
use crate::train::recorder::Recorder;

/// A learned weight for each token of the vocabulary. A weight below 0 counts as 0.
///
/// The values are a tensor of the model's parameters, so that the optimizer and checkpoints treat
/// them as any other; look-ups and their gradients are on the host.
pub struct TokenTable {
    name: String,
    values: Vec<f32>,
    gradient: Vec<f32>,
}

impl TokenTable {
    /// Adds a table to the parameters. `name` begins with `tables.`: such tensors do not decay.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device fails.
    pub fn new<B: BackwardOps>(
        recorder: &Recorder<B>,
        name: &str,
        values: Vec<f32>,
    ) -> Result<Self> {
        recorder.named_vector(&[name.to_owned()], &values)?;
        Ok(Self {
            name: name.to_owned(),
            gradient: vec![0.0; values.len()],
            values,
        })
    }

    /// The vector of these tokens: each distinct one with its weight, if that is above 0.
    pub fn vector(&self, ids: &[u32]) -> SparseVector {
        let mut distinct = ids.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let weight = |id: u32| (id, self.values.get(id as usize).copied().unwrap_or(0.0));
        let weights = distinct.into_iter().map(weight);
        weights.filter(|(_, weight)| *weight > 0.0).collect()
    }

    /// Adds the gradients of the weights of a [`vector`](Self::vector).
    pub fn add(&mut self, vector: &SparseVector, gradient: &[f32]) {
        for ((term, _), slope) in vector.iter().zip(gradient) {
            self.gradient[*term as usize] += slope;
        }
    }

    /// Moves the gradients to the parameters, before a step of the optimizer.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device fails.
    pub fn flush<B: BackwardOps>(&mut self, recorder: &Recorder<B>) -> Result<()> {
        let parameters = recorder.parameters();
        let master = parameters.find(&self.name).ok_or_else(|| self.missing())?;
        let mut gradient = lock(&master.gradient);
        recorder.backend().write(&mut gradient, &self.gradient)?;
        self.gradient.fill(0.0);
        Ok(())
    }

    /// Reads the weights, after a step of the optimizer.
    ///
    /// # Errors
    ///
    /// [`Error::Device`] if the device fails.
    pub fn refresh<B: BackwardOps>(&mut self, recorder: &Recorder<B>) -> Result<()> {
        let parameters = recorder.parameters();
        let master = parameters.find(&self.name).ok_or_else(|| self.missing())?;
        self.values = recorder.backend().read(&master.value)?;
        Ok(())
    }

    fn missing(&self) -> Error {
        Error::model("", format!("expected a tensor `{}`, found none", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Scalar;

    #[test]
    fn tokens_are_looked_up_and_learn() {
        let recorder = Recorder::new(Scalar::<f64>::default());
        let values = vec![0.0, 1.5, -2.0, 0.5];
        let mut table = TokenTable::new(&recorder, "tables.query", values).unwrap();
        let vector = table.vector(&[3, 1, 2, 3, 0]);
        assert_eq!(vector, [(1, 1.5), (3, 0.5)]);
        table.add(&vector, &[0.25, -1.0]);
        table.add(&vector, &[0.25, 0.0]);
        table.flush(&recorder).unwrap();
        {
            let parameters = recorder.parameters();
            let master = parameters.find("tables.query").unwrap();
            assert_eq!(*master.gradient.lock().unwrap(), [0.0, 0.5, 0.0, -1.0]);
        }
        let mut parameters = recorder.parameters_mut();
        parameters.masters_mut()[0].value = vec![9.0, 8.0, 7.0, 6.0];
        drop(parameters);
        table.refresh(&recorder).unwrap();
        assert_eq!(table.values, [9.0, 8.0, 7.0, 6.0]);
    }
}
