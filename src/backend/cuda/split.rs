//! Products of few rows on Hopper: the depth is cut into parts, which are tiles of their own, and a
//! second kernel adds them up, always in the same order.

use super::parameters::{Product, ProductSplit, ProductSum};
use super::products::{HOPPER_ROWS, HOPPER_TILES};
use super::tensor::{DType, Matrix, Tensor};
use super::{Cuda, sources, to_i32};
use crate::error::Result;

/// Columns of a tile, and the shared memory per block.
const TILE: (usize, usize) = HOPPER_TILES[0];
/// Columns of a and b that are loaded together.
const SLICE: usize = 64;
/// The maximum number of parts: their sums are written and read once each.
const MAX_PARTS: usize = 8;
/// Threads per block of the kernel that adds up, and columns per thread.
const SUM_THREADS: usize = 256;
const SUM_COLUMNS: usize = 8;
/// Rows up to which the small tiles of the sm_80 kernels always suffice.
const FEW_ROWS: usize = 64;

impl Cuda {
    /// The depth of a part, if the product should be cut.
    pub(super) fn part_of(&self, parameters: &Product, dtype: DType) -> Option<usize> {
        if !self.gpu.is_hopper || dtype == DType::F32 {
            return None;
        }
        let shape = [parameters.m, parameters.n, parameters.k].map(|size| size as usize);
        best_part(shape, self.gpu.multiprocessors)
    }

    /// Launches one product with bf16 outputs whose depth is cut into parts of `part`, a multiple of
    /// 64.
    pub(super) fn launch_split(
        &self,
        part: usize,
        parameters: &Product,
        x: &Tensor,
        weight: &Matrix,
    ) -> Result<()> {
        let (rows, columns) = x.shape();
        let parts = columns.div_ceil(part);
        let stride = weight.rows.next_multiple_of(SUM_COLUMNS);
        let sums = self
            .stream
            .allocate(parts * rows * stride * size_of::<f32>())?;
        let split = ProductSplit {
            a: self.activation_map(x, HOPPER_ROWS)?,
            b: self.weight_map(weight, TILE.0)?,
            sums: sums.address(),
            taken: self.stream.tiles_taken()?,
            m: parameters.m,
            n: parameters.n,
            k: parameters.k,
            part: to_i32(part)?,
            stride: to_i32(stride)?,
            padding: [0; 23],
        };
        let tiles = rows.div_ceil(HOPPER_ROWS) * weight.rows.div_ceil(TILE.0) * parts;
        let grid = [self.gpu.multiprocessors.min(tiles), 1, 1];
        let kernel = const { sources::kernel("product_split_hopper") };
        self.stream.launch(kernel, grid, TILE.1, &split)?;

        let sum = ProductSum {
            product: *parameters,
            sums: sums.address(),
            parts: to_i32(parts)?,
            stride: to_i32(stride)?,
        };
        let threads = rows * (stride / SUM_COLUMNS);
        let kernel = const { sources::kernel("product_sum") };
        self.stream
            .launch(kernel, [threads.div_ceil(SUM_THREADS), 1, 1], 0, &sum)
    }
}

/// The depth of a part with the lowest estimated number of cycles, if that is lower than the small
/// tiles of the sm_80 kernels need. (Estimated, not measured.)
fn best_part([rows, columns, depth]: [usize; 3], multiprocessors: usize) -> Option<usize> {
    if rows <= FEW_ROWS || depth == 0 {
        return None;
    }
    let slices = depth.div_ceil(SLICE);
    let tiles = rows.div_ceil(HOPPER_ROWS) * columns.div_ceil(TILE.0);
    let cycles = |part: usize| {
        let parts = slices.div_ceil(part);
        let rounds = (tiles * parts).div_ceil(multiprocessors);
        // 640 for a slice (see products), two short kernels, and sums that are written and read
        // through the L2 cache with 32 bytes per cycle and multiprocessor.
        let sum_bytes = parts * rows * columns * 8;
        640 * part * rounds + 4_000 + sum_bytes / (32 * multiprocessors)
    };
    // Each block of 32 × 32 reads its rows of both matrices from the L2 cache.
    let blocks = rows.div_ceil(32) * columns.div_ceil(32);
    let small = 2_000 + blocks * 64 * depth * 2 / (40 * multiprocessors);
    let part = (slices.div_ceil(MAX_PARTS)..slices).min_by_key(|part| cycles(*part))?;
    (cycles(part) < small).then_some(part * SLICE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deep_products_of_few_rows_are_cut() {
        // 24 tiles of 48 slices: 5 parts of 10 occupy 120 of 132 multiprocessors.
        assert_eq!(best_part([512, 768, 3_072], 132), Some(640));
        assert_eq!(best_part([512, 384, 384], 132), None, "too shallow");
        assert_eq!(best_part([64, 768, 3_072], 132), None, "too few rows");
        assert_eq!(best_part([512, 768, 64], 132), None, "one slice");
    }
}
