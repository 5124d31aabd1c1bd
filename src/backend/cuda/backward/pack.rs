//! From masters to the forms that products read, in place where the shape stays.
//!
//! Work of this stream reads the new form at once. Other streams, such as those of an encoder, have
//! finished with the old form before it is overwritten, and wait until the new one is there.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::super::device::Address;
use super::super::parameters::Convert;
use super::super::rows::grid_of;
use super::super::tensor::stride_of;
use super::super::{Cuda, Matrix, Vector, sources, to_i32};
use super::TrainingBuffer;
use super::parameters::{CopyValues, Transpose};
use crate::backend::Orientation;
use crate::error::Result;

/// Values per block of kernels that take four at a time.
pub(super) const BLOCK_VALUES: usize = 1_024;
/// Rows and columns per block of the transposing kernel, and its shared memory.
const TRANSPOSED: [usize; 2] = [64, 32];
const TRANSPOSED_BYTES: usize = 64 * 33 * 4;

impl Cuda {
    /// Packs masters of these numbers of outputs × `inputs` values.
    pub(super) fn pack(
        &self,
        matrix: &mut Matrix,
        masters: &[(&TrainingBuffer, usize)],
        inputs: usize,
        orientation: Orientation,
    ) -> Result<()> {
        let outputs = masters.iter().map(|(_, outputs)| outputs).sum();
        let (rows, columns) = match orientation {
            Orientation::Forward => (outputs, inputs),
            Orientation::Transposed => (inputs, outputs),
        };
        if (matrix.rows, matrix.columns) != (rows, columns) {
            *matrix = self.empty_matrix(rows, columns)?;
        }
        self.exclusively(|| {
            let (mut first, stride) = (0, matrix.stride());
            for (master, outputs) in masters {
                let master = self.address_of(master)?;
                let to = |element: usize| matrix.memory.address() + 2 * element as u64;
                match orientation {
                    Orientation::Forward => {
                        self.round(master, to(first * stride), *outputs, inputs)?;
                    }
                    Orientation::Transposed => {
                        self.transpose(master, to(first), [*outputs, inputs], stride)?;
                    }
                }
                first += outputs;
            }
            Ok(())
        })
    }

    /// An uninitialized matrix.
    fn empty_matrix(&self, rows: usize, columns: usize) -> Result<Matrix> {
        to_i32(rows)?;
        to_i32(columns)?;
        Ok(Matrix {
            memory: self.stream.permanent(2 * rows * stride_of(columns))?,
            rows,
            columns,
            maps: Default::default(),
        })
    }

    /// Rounds rows of f32 to rows of bf16.
    fn round(&self, from: Address, to: Address, rows: usize, columns: usize) -> Result<()> {
        let parameters = Convert {
            bf16_rows: to,
            f32_rows: from,
            rows: to_i32(rows)?,
            columns: to_i32(columns)?,
            stride: to_i32(stride_of(columns))?,
            padding: 0,
        };
        let kernel = const { sources::kernel("f32_to_bf16") };
        self.stream.launch(kernel, grid_of(rows), 0, &parameters)
    }

    /// Rounds rows of f32 to columns of bf16, in rows of this stride.
    fn transpose(
        &self,
        from: Address,
        to: Address,
        [rows, columns]: [usize; 2],
        stride: usize,
    ) -> Result<()> {
        let parameters = Transpose {
            f32_rows: from,
            bf16_rows: to,
            rows: to_i32(rows)?,
            columns: to_i32(columns)?,
            stride: to_i32(stride)?,
            padding: 0,
        };
        let kernel = const { sources::kernel("transpose_to_bf16") };
        let grid = [
            columns.div_ceil(TRANSPOSED[1]),
            rows.div_ceil(TRANSPOSED[0]),
            1,
        ];
        self.stream
            .launch(kernel, grid, TRANSPOSED_BYTES, &parameters)
    }

    /// Packs masters, one after another, as a parameter row.
    pub(super) fn pack_row(&self, vector: &mut Vector, masters: &[&TrainingBuffer]) -> Result<()> {
        let len = masters.iter().map(|master| master.len).sum();
        if vector.len != len {
            let memory = self.stream.permanent(len * size_of::<f32>())?;
            *vector = Vector::new(memory, len);
        }
        let is_read = vector.is_read.load(Ordering::Relaxed);
        vector.host = OnceLock::new();
        self.exclusively(|| {
            let mut to = vector.memory.address();
            for master in masters {
                let parameters = CopyValues {
                    from: self.address_of(master)?,
                    to,
                    count: master.len as u64,
                };
                let kernel = const { sources::kernel("copy_values") };
                let grid = [master.len.div_ceil(BLOCK_VALUES), 1, 1];
                self.stream.launch(kernel, grid, 0, &parameters)?;
                to += (master.len * size_of::<f32>()) as u64;
            }
            Ok(())
        })?;
        // What was read will be read again, perhaps while a graph is captured.
        if is_read {
            self.host_values(vector)?;
        }
        Ok(())
    }

    /// Runs work that overwrites what other streams may read.
    fn exclusively(&self, run: impl FnOnce() -> Result<()>) -> Result<()> {
        let others = self.gpu.heap.other_streams(&self.stream);
        for other in &others {
            other.synchronize()?;
        }
        run()?;
        match others.is_empty() {
            true => Ok(()),
            false => self.synchronize(),
        }
    }
}
