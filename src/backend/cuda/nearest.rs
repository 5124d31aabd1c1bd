//! Exact dense search: products with all vectors, tile by tile, keeping the top k of each query.

use super::parameters::{Nearest, Product};
use super::sparse::decode_u32;
use super::tensor::{self, DType, Tensor};
use super::{Cuda, sources, to_i32};
use crate::error::{Error, Result};

/// Scores that exist at the same time, unless `MIN_TILE` vectors have more.
const SCORES: usize = 1 << 22;
/// Vectors whose products exist at the same time: `SCORES` / queries, within these bounds.
const MIN_TILE: usize = 1 << 14;
const MAX_TILE: usize = 1 << 20;
/// The maximum number of blocks per query, and of their results.
const MAX_PARTS: usize = 64;
const MAX_PART_RESULTS: usize = 1 << 15;
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
        let tile = (SCORES / queries.rows.max(1)).clamp(MIN_TILE, MAX_TILE);
        self.nearest_by_tiles(queries, vectors, k, tile)
    }

    /// The same with `tile` vectors at a time.
    pub(in crate::backend) fn nearest_by_tiles(
        &self,
        queries: &Tensor,
        vectors: &Tensor,
        k: usize,
        tile: usize,
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
        // With few queries several blocks share a query, so that all multiprocessors work.
        let parts = self.gpu.multiprocessors.div_ceil(queries.rows);
        let parts = parts.clamp(1, MAX_PARTS.min(MAX_PART_RESULTS / k));
        let cells = queries.rows * parts * k;
        let (best_scores, best_ids) = (
            self.stream.allocate(cells * 4)?,
            self.stream.allocate(cells * 4)?,
        );
        // Tile by tile, so that memory does not grow with queries × vectors.
        for first in (0..vectors.rows).step_by(tile) {
            let count = tile.min(vectors.rows - first);
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
            let grid = [queries.rows, parts, 1];
            self.stream
                .launch(kernel, grid, SHARED_BYTES, &parameters)?;
        }
        let scores = tensor::decode_f32(&self.stream.download(&best_scores, cells * 4)?);
        let ids = decode_u32(&self.stream.download(&best_ids, cells * 4)?);
        let lists = ids
            .chunks_exact(parts * k)
            .zip(scores.chunks_exact(parts * k));
        Ok(lists
            .map(|(ids, scores)| {
                let pairs = ids.iter().copied().zip(scores.iter().copied());
                top_k(pairs.filter(|(id, _)| *id != NONE).collect(), k)
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

/// The k pairs of an id and a score with the highest scores, descending; the lower id wins a tie.
fn top_k(mut pairs: Vec<(u32, f32)>, k: usize) -> Vec<(u32, f32)> {
    let order = |x: &(u32, f32), y: &(u32, f32)| y.1.total_cmp(&x.1).then(x.0.cmp(&y.0));
    if pairs.len() > k {
        pairs.select_nth_unstable_by(k, order);
        pairs.truncate(k);
    }
    pairs.sort_unstable_by(order);
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_parts_are_merged() {
        let pairs = vec![(4, 2.0), (9, 1.0), (2, 2.0), (7, f32::NEG_INFINITY)];
        assert_eq!(top_k(pairs.clone(), 2), [(2, 2.0), (4, 2.0)]);
        assert_eq!(top_k(pairs, 9).last(), Some(&(7, f32::NEG_INFINITY)));
        assert!(top_k(Vec::new(), 1).is_empty());
    }
}
