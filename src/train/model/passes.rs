//! Forward and backward passes over many sequences, in bounded memory.
//!
//! A tape keeps the intermediate results of every token. Sequences of more tokens than a tape may
//! hold go through the model twice: first for their values alone, then, when the loss has given the
//! gradient of each value, chunk by chunk with a tape (gradient caching: Gao and others, 2021). So
//! the number of in-batch negatives is not bounded by memory, and the loss and its gradient are those
//! of the whole batch.

use crate::backend::BackwardOps;
use crate::error::Result;
use crate::neural::{Batch, Encoder, Tokens, plan_batches};
use crate::train::recorder::Recorder;

use super::head::Head;

/// Dropout of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Dropout {
    /// The probability that a value is dropped; 0 for none.
    pub rate: f32,
    /// Must differ from step to step.
    pub seed: u64,
}

/// A model, and how much of it may be in memory.
pub struct Passes<'a, B: BackwardOps, H> {
    /// What notes the operations.
    pub recorder: &'a Recorder<B>,
    /// Tokens to hidden states.
    pub encoder: &'a Encoder<Recorder<B>>,
    /// Hidden states to values.
    pub head: &'a H,
    /// Max tokens of a tape; one sequence may have more.
    pub tape_tokens: usize,
}

impl<B: BackwardOps, H: Head<B>> Passes<'_, B, H> {
    /// Adds to the gradients of the parameters those of a loss of the values of all sequences. `loss`
    /// gets a row for each sequence, in order, and returns the gradient of each row.
    ///
    /// # Errors
    ///
    /// Those of `loss`; [`Error::Device`](crate::Error::Device) if the device fails.
    pub fn step(
        &self,
        sequences: &[&Tokens],
        dropout: Dropout,
        loss: impl FnOnce(Vec<H::Row>) -> Result<Vec<Vec<f32>>>,
    ) -> Result<()> {
        let lengths: Vec<usize> = sequences.iter().map(|tokens| tokens.len()).collect();
        let chunks = plan_batches(&lengths, self.tape_tokens);
        let batches = chunks
            .iter()
            .map(|chunk| Batch::of(chunk.iter().map(|place| sequences[*place])))
            .collect::<Result<Vec<_>>>()?;
        let is_one = chunks.len() == 1;
        let mut rows: Vec<Option<H::Row>> = vec![None; sequences.len()];
        for (number, (chunk, batch)) in chunks.iter().zip(&batches).enumerate() {
            self.start(number, dropout, is_one)?;
            let found = self.forward(batch)?;
            for (place, row) in chunk.iter().zip(found) {
                rows[*place] = Some(row);
            }
        }
        let mut gradients = loss(rows.into_iter().flatten().collect())?;
        for (number, (chunk, batch)) in chunks.iter().zip(&batches).enumerate() {
            if !is_one {
                self.start(number, dropout, true)?;
                self.forward(batch)?;
            }
            let gradients = chunk
                .iter()
                .map(|place| std::mem::take(&mut gradients[*place]));
            self.recorder.backward(&[H::seed(gradients.collect())])?;
        }
        Ok(())
    }

    /// Begins the pass of a chunk; both passes of a chunk drop the same values.
    fn start(&self, chunk: usize, dropout: Dropout, is_noting: bool) -> Result<()> {
        let seed = dropout.seed ^ (chunk as u64).wrapping_mul(0xd1b5_4a32_d192_ed03);
        self.recorder.set_dropout(dropout.rate, seed)?;
        match is_noting {
            true => self.recorder.begin(true),
            false => self.recorder.begin_values(),
        }
    }

    fn forward(&self, batch: &Batch) -> Result<Vec<H::Row>> {
        let hidden = self.encoder.forward(self.recorder, batch)?;
        self.head.rows(self.recorder, &hidden, &batch.starts)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::backend::{Scalar, SpladeActivation, SpladePooling};
    use crate::neural::{ModelConfig, SpladeHead, Weights};

    /// The gradients of a batch in chunks are those of the batch at once, with the same dropout.
    #[test]
    fn chunks_have_the_gradients_of_the_whole() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/neural/models/splade-max");
        let config = ModelConfig::open(&folder).unwrap();
        let weights = Weights::open(&folder).unwrap();
        let sequences: Vec<Tokens> = (1..6)
            .map(|length| Tokens {
                ids: (0..length * 2)
                    .map(|place| (place * 7 + length) % 30)
                    .collect(),
                types: vec![0; length as usize * 2],
            })
            .collect();
        let run = |tape_tokens: usize, rate: f32| {
            let recorder = Recorder::new(Scalar::<f64>::default());
            let encoder = Encoder::load(&recorder, &config, &weights).unwrap();
            let (activation, pooling) = (SpladeActivation::Log1pRelu, SpladePooling::Max);
            let head = SpladeHead::load(&recorder, &config, &weights, activation, pooling).unwrap();
            let passes = Passes {
                recorder: &recorder,
                encoder: &encoder,
                head: &head,
                tape_tokens,
            };
            let mut seen = Vec::new();
            let sequences: Vec<&Tokens> = sequences.iter().collect();
            let dropout = Dropout { rate, seed: 7 };
            passes
                .step(&sequences, dropout, |rows| {
                    seen.clone_from(&rows);
                    // Half the sum of squares: the gradient of a weight is the weight.
                    let of_row = |row: &Vec<(u32, f32)>| row.iter().map(|(_, w)| *w).collect();
                    Ok(rows.iter().map(of_row).collect())
                })
                .unwrap();
            let parameters = recorder.parameters();
            let masters = parameters.masters().iter();
            let gradients: Vec<Vec<f64>> = masters
                .map(|master| master.gradient.lock().unwrap().clone())
                .collect();
            (seen, gradients)
        };
        let (rows, whole) = run(1_000, 0.0);
        assert!(rows.iter().any(|row| !row.is_empty()));
        let (in_chunks, gradients) = run(9, 0.0);
        assert_eq!(in_chunks, rows);
        for (one, other) in whole.iter().flatten().zip(gradients.iter().flatten()) {
            assert!((one - other).abs() <= 1e-9 * one.abs().max(1.0));
        }
        // Dropout depends on the chunks, but both passes of a chunk drop the same values: the rows of
        // the first pass are what the second one has, or the gradients would not fit them.
        let (dropped, _) = run(9, 0.3);
        assert_ne!(dropped, rows);
        assert_eq!(run(9, 0.3), run(9, 0.3));
    }
}
