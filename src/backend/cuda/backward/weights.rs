//! Gradients of the weights of linear layers.

use super::super::parameters::ABSENT;
use super::super::tensor::Tensor;
use super::super::{Cuda, sources, to_i32};
use super::parameters::{SumParts, WeightGradient};
use crate::backend::LinearPart;
use crate::error::Result;

/// Outputs and inputs of a tile, and the shared memory per block.
const TILE: usize = 128;
const TILE_BYTES: usize = 49_152;
/// Rows of dy and x that are loaded together.
const SLICE: usize = 32;
/// The minimum number of rows of a part: shorter ones cost more to add up than they save. The tests
/// have few rows.
const MIN_PART: usize = if cfg!(test) { SLICE } else { 8 * SLICE };
/// Blocks that fit on a multiprocessor.
const BLOCKS: usize = 2;
/// Rows start at multiples of this many bf16 values.
const ALIGNED: usize = 8;

/// A batch of products dyᵀ · x, which are added to f32 values.
pub(super) struct WeightProduct {
    /// Rows of bf16: an address, the values from row to row, and from product to product.
    pub(super) dy: (u64, usize, i64),
    pub(super) x: (u64, usize, i64),
    /// The same for the f32 results, outputs × inputs.
    pub(super) out: (u64, usize, i64),
    pub(super) rows: usize,
    /// Columns of dy, of which the first `skipped` have no result.
    pub(super) outputs: usize,
    pub(super) skipped: usize,
    pub(super) inputs: usize,
    pub(super) batch: usize,
}

impl Cuda {
    /// Adds dyᵀ · x to the gradients of the weights, and the sum of the rows of dy to those of the
    /// biases. Shapes have been checked.
    pub(super) fn add_weight_gradients(
        &self,
        x: &Tensor,
        dy: &Tensor,
        parts: &mut [LinearPart<'_, Self>],
    ) -> Result<()> {
        if x.rows == 0 {
            return Ok(());
        }
        let (x, dy) = (self.as_bf16(x)?, self.as_bf16(dy)?);
        let has_bias = parts.iter().any(|part| part.bias.is_some());
        let sums = has_bias.then(|| self.column_sums(&dy)).transpose()?;
        let mut first = 0;
        for part in parts {
            // Rows of the operand start at multiples of 16 bytes.
            let skipped = first % ALIGNED;
            self.add_weight_product(&WeightProduct {
                dy: (
                    dy.address() + (2 * (first - skipped)) as u64,
                    dy.stride(),
                    0,
                ),
                x: (x.address(), x.stride(), 0),
                out: (self.address_of(part.weight)?, x.columns, 0),
                rows: x.rows,
                outputs: skipped + part.outputs,
                skipped,
                inputs: x.columns,
                batch: 1,
            })?;
            if let (Some(bias), Some(sums)) = (&part.bias, &sums) {
                self.sum_parts(
                    &SumParts {
                        parts: sums.address() + (size_of::<f32>() * first) as u64,
                        out: self.address_of(bias)?,
                        part_size: sums.columns as i64,
                        out_batch: 0,
                        count: to_i32(sums.rows)?,
                        rows: 1,
                        columns: to_i32(part.outputs)?,
                        stride: 0,
                        out_stride: 0,
                        out_column: 1,
                    },
                    1,
                )?;
            }
            first += part.outputs;
        }
        Ok(())
    }

    /// Adds products; the rows are cut into parts if there are too few tiles for the GPU.
    pub(super) fn add_weight_product(&self, product: &WeightProduct) -> Result<()> {
        let WeightProduct {
            dy,
            x,
            out,
            rows,
            outputs,
            skipped,
            inputs,
            batch,
        } = *product;
        let tiles = outputs.div_ceil(TILE) * inputs.div_ceil(TILE);
        if rows == 0 || outputs == skipped || inputs == 0 || batch == 0 {
            return Ok(());
        }
        let part = part_of(rows, tiles * batch, BLOCKS * self.gpu.multiprocessors);
        let parts = rows.div_ceil(part);
        let sums_stride = inputs.next_multiple_of(ALIGNED);
        let part_size = outputs * sums_stride;
        let sums = match parts {
            1 => None,
            _ => Some(
                self.stream
                    .allocate(batch * parts * part_size * size_of::<f32>())?,
            ),
        };
        let parameters = WeightGradient {
            dy: dy.0,
            x: x.0,
            out: out.0,
            sums: sums.as_ref().map_or(ABSENT, |sums| sums.address()),
            dy_batch: dy.2,
            x_batch: x.2,
            out_batch: out.2,
            rows: to_i32(rows)?,
            outputs: to_i32(outputs)?,
            inputs: to_i32(inputs)?,
            skipped: to_i32(skipped)?,
            part: to_i32(part)?,
            parts: to_i32(parts)?,
            dy_stride: to_i32(dy.1)?,
            x_stride: to_i32(x.1)?,
            out_stride: to_i32(out.1)?,
            sums_stride: to_i32(sums_stride)?,
        };
        let kernel = const { sources::kernel("weight_gradient") };
        let grid = [tiles, 1, batch * parts];
        self.stream.launch(kernel, grid, TILE_BYTES, &parameters)?;
        let Some(sums) = sums else {
            return Ok(());
        };
        self.sum_parts(
            &SumParts {
                parts: sums.address() + (size_of::<f32>() * skipped * sums_stride) as u64,
                out: out.0,
                part_size: part_size as i64,
                out_batch: out.2,
                count: to_i32(parts)?,
                rows: to_i32(outputs - skipped)?,
                columns: to_i32(inputs)?,
                stride: to_i32(sums_stride)?,
                out_stride: to_i32(out.1)?,
                out_column: 1,
            },
            batch,
        )
    }
}

/// The rows of a part: all, or a multiple of a slice, so that about `blocks` blocks have work.
fn part_of(rows: usize, tiles: usize, blocks: usize) -> usize {
    let parts = (blocks / tiles.max(1)).clamp(1, rows.div_ceil(MIN_PART).max(1));
    rows.div_ceil(parts).next_multiple_of(SLICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_when_there_are_few_tiles() {
        assert_eq!(part_of(16_384, 36, 264), 2_368, "7 parts");
        assert_eq!(part_of(16_384, 144, 264), 16_384, "one part");
        assert_eq!(part_of(100, 1, 264), SLICE, "parts have a minimum");
        assert_eq!(part_of(1, 1, 6), SLICE);
    }
}
