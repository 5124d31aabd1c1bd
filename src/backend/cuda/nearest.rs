//! Exact dense search: products with all vectors, a tile of them at a time, and the best kept for each query.

use super::parameters::{Nearest, Product};
use super::sparse::numbers;
use super::tensor::{self, Numbers, Tensor};
use super::{Cuda, sources, whole};
use crate::error::{Error, Result};

/// Vectors whose products exist at the same time.
const TILE: usize = 16_384;
/// The greatest number of nearest vectors.
const MOST: usize = 1_024;
/// Shared memory of a block.
const SHARED_BYTES: usize = 24_596;
/// What stands in a list for a vector that there is not.
const NONE: u32 = u32::MAX;

impl Cuda {
    pub(super) fn nearest_of(
        &self,
        queries: &Tensor,
        vectors: &Tensor,
        k: usize,
    ) -> Result<Vec<Vec<(u32, f32)>>> {
        let k = k.min(vectors.rows);
        if k > MOST {
            return Err(Error::device(format!(
                "expected {MOST} nearest vectors at most, found {k}"
            )));
        }
        if queries.rows == 0 || k == 0 {
            return Ok(vec![Vec::new(); queries.rows]);
        }
        let (queries, vectors) = (self.narrowed(queries)?, self.narrowed(vectors)?);
        let cells = queries.rows * k;
        let (best_scores, best_numbers) = (self.lane.take(cells * 4)?, self.lane.take(cells * 4)?);
        for first in (0..vectors.rows).step_by(TILE) {
            let count = TILE.min(vectors.rows - first);
            let scores = self.scores(&queries, &vectors, first, count)?;
            let parameters = Nearest {
                scores: scores.address(),
                best_scores: best_scores.address(),
                best_numbers: best_numbers.address(),
                queries: whole(queries.rows)?,
                count: whole(count)?,
                first: whole(first)?,
                k: whole(k)?,
                is_empty: i32::from(first == 0),
                unused: 0,
            };
            let kernel = const { sources::kernel("nearest_merge") };
            let grid = [queries.rows, 1, 1];
            self.lane.launch(kernel, grid, SHARED_BYTES, &parameters)?;
        }
        let scores = tensor::wide(&self.lane.download(&best_scores, cells * 4)?);
        let found = numbers(&self.lane.download(&best_numbers, cells * 4)?);
        let lists = found.chunks_exact(k).zip(scores.chunks_exact(k));
        Ok(lists
            .map(|(numbers, scores)| {
                let pairs = numbers.iter().copied().zip(scores.iter().copied());
                pairs.filter(|(number, _)| *number != NONE).collect()
            })
            .collect())
    }

    /// The products of all queries with `count` vectors from `first` on: queries × count in f32.
    fn scores(
        &self,
        queries: &Tensor,
        vectors: &Tensor,
        first: usize,
        count: usize,
    ) -> Result<Tensor> {
        let out = self.empty(queries.rows, count, Numbers::Wide)?;
        let before = first * vectors.stride() * size_of::<u16>();
        let parameters = Product {
            a: queries.address(),
            b: vectors.address() + before as u64,
            out: out.address(),
            m: whole(queries.rows)?,
            n: whole(count)?,
            k: whole(queries.columns)?,
            a_stride: whole(queries.stride())?,
            b_stride: whole(vectors.stride())?,
            out_stride: whole(count)?,
            ..Product::NONE
        };
        self.launch_product(&parameters, Numbers::Wide, 1)?;
        Ok(out)
    }
}
