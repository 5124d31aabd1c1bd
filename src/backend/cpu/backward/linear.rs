//! The gradient of a linear layer's weight, as a product.

use super::super::linear::Epilogue;
use super::super::{Cpu, Matrix, Tensor};
use crate::backend::{Activation, LinearPart};

/// Values of a block that is transposed at once, so that both sides stay in the L1 cache.
const BLOCK: usize = 16;

/// The transpose of rows × columns values.
pub(super) fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for first_row in (0..rows).step_by(BLOCK) {
        for first_column in (0..columns).step_by(BLOCK) {
            for row in first_row..rows.min(first_row + BLOCK) {
                for column in first_column..columns.min(first_column + BLOCK) {
                    out[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    out
}

impl Cpu {
    /// Adds dyᵀ · x and the sums of the columns of dy. Shapes have been checked.
    pub(super) fn add_weight_gradients(
        &self,
        x: &Tensor,
        dy: &Tensor,
        parts: &mut [LinearPart<'_, Self>],
    ) {
        let (rows, inputs) = x.shape();
        let packed = Matrix::pack(
            inputs,
            rows,
            &transposed(x.values(), rows, inputs),
            self.unit,
        );
        let mut columns = self.buffers.tensor(dy.columns(), rows);
        columns
            .values_mut()
            .copy_from_slice(&transposed(dy.values(), rows, dy.columns()));
        let identity = Epilogue::Activate(Activation::Identity);
        let product = self.products(&columns, &packed, None, identity, None);
        let mut first = 0;
        for part in parts {
            let range = first * inputs..(first + part.outputs) * inputs;
            for (sum, value) in part.weight.iter_mut().zip(&product.values()[range]) {
                *sum += value;
            }
            if let Some(bias) = &mut part.bias {
                for (output, sum) in bias.iter_mut().enumerate() {
                    *sum += super::super::rows::sum(columns.row(first + output), |value| value);
                }
            }
            first += part.outputs;
        }
    }
}
