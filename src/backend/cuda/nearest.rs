//! Exact dense search: products with all vectors, tile by tile, keeping the top k of each query.

use super::parameters::{Nearest, Product};
use super::sparse::decode_u32;
use super::tensor::{self, DType, Tensor};
use super::{Cuda, sources, to_i32};
use crate::error::{Error, Result};

/// Vectors whose products exist at the same time.
const TILE: usize = 16_384;
/// The maximum k.
const MAX_K: usize = 1_024;
/// Shared memory per block.
const SHARED_BYTES: usize = 24_596;
/// The id in a list that has fewer than k vectors.
const NONE: u32 = u32::MAX;

impl Cuda {
    pub(super) fn nearest_of(
        &self,
        queries: &Tensor,
        vectors: &Tensor,
        k: usize,
    ) -> Result<Vec<Vec<(u32, f32)>>> {
        let k = k.min(vectors.rows);
        if k > MAX_K {
            return Err(Error::device(format!(
                "expected at most {MAX_K} nearest vectors, found {k}"
            )));
        }
        if queries.rows == 0 || k == 0 {
            return Ok(vec![Vec::new(); queries.rows]);
        }
        let (queries, vectors) = (self.as_bf16(queries)?, self.as_bf16(vectors)?);
        let cells = queries.rows * k;
        let (best_scores, best_ids) = (
            self.stream.allocate(cells * 4)?,
            self.stream.allocate(cells * 4)?,
        );
        // Tile by tile, so that memory does not grow with queries × vectors.
        for first in (0..vectors.rows).step_by(TILE) {
            let count = TILE.min(vectors.rows - first);
            let scores = self.scores(&queries, &vectors, first, count)?;
            let parameters = Nearest {
                scores: scores.address(),
                best_scores: best_scores.address(),
                best_ids: best_ids.address(),
                queries: to_i32(queries.rows)?,
                count: to_i32(count)?,
                first: to_i32(first)?,
                k: to_i32(k)?,
                is_empty: i32::from(first == 0),
                padding: 0,
            };
            let kernel = const { sources::kernel("nearest_merge") };
            let grid = [queries.rows, 1, 1];
            self.stream
                .launch(kernel, grid, SHARED_BYTES, &parameters)?;
        }
        let scores = tensor::decode_f32(&self.stream.download(&best_scores, cells * 4)?);
        let ids = decode_u32(&self.stream.download(&best_ids, cells * 4)?);
        let lists = ids.chunks_exact(k).zip(scores.chunks_exact(k));
        Ok(lists
            .map(|(ids, scores)| {
                let pairs = ids.iter().copied().zip(scores.iter().copied());
                pairs.filter(|(id, _)| *id != NONE).collect()
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
        let out = self.empty(queries.rows, count, DType::F32)?;
        let before = first * vectors.stride() * size_of::<u16>();
        let parameters = Product {
            a: queries.address(),
            b: vectors.address() + before as u64,
            out: out.address(),
            m: to_i32(queries.rows)?,
            n: to_i32(count)?,
            k: to_i32(queries.columns)?,
            a_stride: to_i32(queries.stride())?,
            b_stride: to_i32(vectors.stride())?,
            out_stride: to_i32(count)?,
            ..Product::NONE
        };
        self.launch_product(&parameters, DType::F32, 1)?;
        Ok(out)
    }
}
