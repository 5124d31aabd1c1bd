//! The gradient of a linear layer's weight, as a product.

use rayon::prelude::*;

use super::super::linear::Epilogue;
use super::super::matrix::Panels;
use super::super::{Cpu, Matrix, Tensor};
use crate::backend::{Activation, LinearPart};

/// Values of a block that is transposed at once, so that both sides stay in the L1 cache.
const BLOCK: usize = 16;

impl Panels for Cpu {
    fn each<T: Send>(&self, packed: &mut [T], len: usize, pack: impl Fn(usize, &mut [T]) + Sync) {
        let len = len.max(1);
        let Some(pool) = &self.pool else {
            let panels = packed.chunks_mut(len).enumerate();
            return panels.for_each(|(panel, values)| pack(panel, values));
        };
        pool.install(|| {
            let panels = packed.par_chunks_mut(len).enumerate();
            panels.for_each(|(panel, values)| pack(panel, values));
        });
    }
}

impl Cpu {
    /// A weight of which `values` is the transpose, `inputs` × `outputs` values.
    pub(super) fn packed_transposed(
        &self,
        outputs: usize,
        inputs: usize,
        values: &[f32],
    ) -> Matrix {
        Matrix::pack_transposed(outputs, inputs, values, self.unit, self)
    }

    /// The transpose, columns × rows.
    fn transposed(&self, x: &Tensor) -> Tensor {
        let (rows, columns) = x.shape();
        let mut out = self.buffers.tensor(columns, rows);
        self.par_rows(out.values_mut(), rows, |of_out, out| {
            for first in (0..of_out.len()).step_by(BLOCK) {
                for first_row in (0..rows).step_by(BLOCK) {
                    for column in first..of_out.len().min(first + BLOCK) {
                        for row in first_row..rows.min(first_row + BLOCK) {
                            out[column * rows + row] =
                                x.values()[row * columns + of_out.start + column];
                        }
                    }
                }
            }
        });
        out
    }

    /// Adds dyᵀ · x and the sums of the columns of dy. Shapes have been checked.
    pub(super) fn add_weight_gradients(
        &self,
        x: &Tensor,
        dy: &Tensor,
        parts: &mut [LinearPart<'_, Self>],
    ) {
        let (rows, inputs) = x.shape();
        let packed = self.packed_transposed(inputs, rows, x.values());
        let columns = self.transposed(dy);
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
