//! Gradients, packing and the optimizer, at the widths of published models.

use super::{Scale, starts_of};
use crate::backend::Cuda;
use crate::backend::conformance::Case;
use crate::error::Result;

impl Case<'_, Cuda> {
    pub(super) fn wide_training(&mut self, scale: Scale) -> Result<()> {
        let rows = scale.choose(1_000, 70);
        for columns in scale.choose([768, 1_025], [264, 33]) {
            self.attempt(|case| case.elements_of(rows, columns))?;
            self.attempt(|case| case.norm_gradients_of(rows, columns))?;
        }
        let starts = starts_of(scale.choose(&[1, 0, 64, 512, 129], &[1, 0, 40, 9]));
        for columns in scale.choose([768, 1_025], [264, 33]) {
            self.attempt(|case| case.sequence_gradients_of(&starts, columns))?;
        }
        // The rows of a frequent id are summed in parts.
        let rows = scale.choose(5_000, 600);
        self.attempt(|case| case.table_gradients_of(rows, scale.choose(384, 9)))?;
        let outputs = scale.choose([768, 3_072], [70, 130]);
        self.attempt(|case| case.packing_of(scale.choose(768, 33), outputs))?;
        self.attempt(|case| case.optimizer_of(scale.choose(3_000_001, 33_001)))?;
        // So many terms that the maxima of a row are summed in parts, too.
        let starts = starts_of(scale.choose(&[3, 0, 129, 60], &[2, 0, 5]));
        let (columns, terms) = scale.choose((128, 2_000), (8, 1_500));
        self.attempt(|case| case.splade_gradients_of(starts, columns, terms))
    }

    /// Weights whose rows are summed at once and in parts, and attention of every head size.
    pub(super) fn wide_layers(&mut self, scale: Scale) -> Result<()> {
        for rows in scale.choose([2_000, 200], [200, 20]) {
            let outputs = scale.choose([300, 131], [130, 9]);
            let inputs = scale.choose(257, 33);
            self.attempt(|case| case.weight_gradients_of(rows, inputs, &outputs))?;
        }
        let starts = starts_of(scale.choose(&[1, 63, 64, 65, 129, 200], &[1, 33, 0, 17]));
        for head_size in [16, 32, 64, 96, 128, 256] {
            self.attempt(|case| case.attention_gradients_of(&starts, 2, head_size))?;
        }
        // Heads that begin between multiples of 16 bytes are copied.
        self.attempt(|case| case.attention_gradients_of(&[0, 5, 70], 3, 12))
    }
}
