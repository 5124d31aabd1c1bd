//! The gradient of a linear layer's weight, as a product.

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::super::matrix::{Aligned, Panels};
use super::super::multiply::Layout;
use super::super::simd::Task;
use super::super::{Cpu, Matrix, Tensor};
use crate::backend::LinearPart;

/// Values of a block that is transposed at once, so that both sides stay in the L1 cache.
const BLOCK: usize = 16;
/// Rows whose sums are added up first. The number is fixed, so that sums do not depend on the number
/// of threads.
const BLOCK_ROWS: usize = 64;

thread_local! {
    /// What the input of a layer is packed into, for one product.
    static PACKED: RefCell<Aligned<u16>> = RefCell::default();
}

impl Panels for Cpu {
    fn each<T: Send>(&self, packed: &mut [T], len: usize, pack: impl Fn(usize, &mut [T]) + Sync) {
        if len == 0 {
            return;
        }
        let Some(pool) = &self.pool else {
            return pack(0, packed);
        };
        let panels = (packed.len() / len).div_ceil(self.threads()).max(1);
        pool.install(|| {
            let parts = packed.par_chunks_mut(panels * len).enumerate();
            parts.for_each(|(part, values)| pack(part * panels, values));
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
        let memory = Aligned::new();
        Matrix::pack_transposed(outputs, inputs, values, self.unit, self, memory)
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
        let memory = PACKED.take();
        let packed = Matrix::pack_transposed(inputs, rows, x.values(), self.unit, self, memory);
        // Products of bf16 transpose while they round.
        let transposed = self.unit.is_none().then(|| self.transposed(dy));
        let columns = match &transposed {
            Some(transposed) => (transposed.values(), Layout::Rows, rows),
            None => (dy.values(), Layout::Columns(dy.columns()), rows),
        };
        let mut first = 0;
        for part in parts {
            let range = first..first + part.outputs;
            first = range.end;
            self.add_products(columns, range.clone(), &packed, part.weight);
            if let Some(bias) = &mut part.bias {
                self.add_column_sums(dy, range, bias);
            }
        }
        PACKED.set(packed.into_memory());
    }

    /// Adds the sums of some columns.
    fn add_column_sums(&self, x: &Tensor, columns: Range<usize>, sums: &mut [f32]) {
        self.par_rows(sums, 1, |range, sums| {
            self.level.run(ColumnSums {
                x,
                first: columns.start + range.start,
                sums,
            });
        });
    }
}

struct ColumnSums<'a> {
    x: &'a Tensor,
    /// The first column.
    first: usize,
    sums: &'a mut [f32],
}

impl Task for ColumnSums<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let mut block = vec![0.0; self.sums.len()];
        for first in (0..self.x.rows()).step_by(BLOCK_ROWS) {
            block.fill(0.0);
            for row in first..self.x.rows().min(first + BLOCK_ROWS) {
                let values = &self.x.row(row)[self.first..][..block.len()];
                for (sum, value) in block.iter_mut().zip(values) {
                    *sum += value;
                }
            }
            for (sum, block) in self.sums.iter_mut().zip(&block) {
                *sum += block;
            }
        }
    }
}
