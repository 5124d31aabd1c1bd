//! Self-attention over packed sequences, head by head and sequence by sequence.
//!
//! The keys and values of a head are packed into panels as weights are, so that scores and outputs
//! are products with panels. Scores exist for only one block of queries at a time.

use std::cell::RefCell;
use std::ops::Range;

use super::math::{LANES, exp_nonpositive, fold_lanes};
use super::matrix::{Aligned, pack_f32_columns, pack_f32_rows};
use super::multiply::first_even_chunk;
use super::simd::{Level, MAX_TILE_ROWS, Task, Tile, WIDTH};
use super::{Cpu, SEQUENCES, Tensor};
use crate::backend::{Attention, Positions};

/// Scratch buffers of one thread.
#[derive(Default)]
struct Scratch {
    keys: Aligned<f32>,
    values: Aligned<f32>,
    /// Scores of a block of queries, then their softmax numerators.
    scores: Vec<f32>,
    position_keys: Aligned<f32>,
    position_queries: Aligned<f32>,
    /// Products of a block of queries with the key of each bucket.
    content_to_position: Vec<f32>,
    /// Products of all keys with the query of each bucket.
    position_to_content: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Cpu {
    /// Attention. Threads take some of the sequences, or some of the heads if there are few sequences
    /// or if all of them read the vectors of positions. Shapes have been checked.
    pub(super) fn attend(&self, attention: &Attention<'_, Self>) -> Tensor {
        let (rows, _) = attention.projections.shape();
        let width = attention.heads * attention.head_size;
        let mut out = self.buffers.tensor(rows, width);
        let heads = |heads, starts: &[u32], out: &mut [f32]| {
            self.level.run(Heads {
                level: self.level,
                attention,
                heads,
                starts,
                out,
            });
        };
        let shares_positions = matches!(attention.positions, Positions::Disentangled { .. });
        let sequences = attention.starts.len().saturating_sub(1);
        if self.threads() == 1 {
            heads(0..attention.heads, attention.starts, out.values_mut());
        } else if sequences >= SEQUENCES * self.threads() && !shares_positions {
            self.par_sequences(attention.starts, out.values_mut(), width, |starts, out| {
                heads(0..attention.heads, starts, out);
            });
        } else {
            let parts = self.par_ranges(attention.heads, |range| {
                let mut part = self.buffers.take(rows * range.len() * attention.head_size);
                heads(range.clone(), attention.starts, &mut part);
                (range, part)
            });
            for (heads, part) in parts {
                let columns = heads.start * attention.head_size..heads.end * attention.head_size;
                let rows = part.chunks_exact(columns.len().max(1));
                for (out, values) in out.values_mut().chunks_exact_mut(width.max(1)).zip(rows) {
                    out[columns.clone()].copy_from_slice(values);
                }
            }
        }
        out
    }
}

/// Some heads of some sequences; `out` has the rows of these sequences, with the columns of these
/// heads.
struct Heads<'a, 'b> {
    level: Level,
    attention: &'a Attention<'b, Cpu>,
    heads: Range<usize>,
    starts: &'a [u32],
    out: &'a mut [f32],
}

impl Task for Heads<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(mut self) {
        // Taken rather than borrowed in a closure: closures do not inherit the target features.
        let mut scratch = SCRATCH.take();
        for head in self.heads.clone() {
            self.pack_positions(head, &mut scratch);
            for pair in self.starts.windows(2) {
                self.sequence::<FUSED>(head, pair[0] as usize..pair[1] as usize, &mut scratch);
            }
        }
        SCRATCH.set(scratch);
    }
}

impl Heads<'_, '_> {
    /// Packs the vectors of disentangled positions, which all sequences share.
    #[inline(always)]
    fn pack_positions(&self, head: usize, scratch: &mut Scratch) {
        if let Positions::Disentangled { keys, queries, .. } = &self.attention.positions {
            let size = self.attention.head_size;
            for (vectors, packed) in [
                (keys, &mut scratch.position_keys),
                (queries, &mut scratch.position_queries),
            ] {
                if let Some(vectors) = vectors {
                    let (buckets, stride) = vectors.shape();
                    let values = &vectors.values()[head * size..];
                    pack_f32_rows(self.level, values, size, stride, buckets, packed);
                }
            }
        }
    }

    /// One head of the sequence whose tokens are `rows`.
    #[inline(always)]
    fn sequence<const FUSED: bool>(
        &mut self,
        head: usize,
        rows: Range<usize>,
        scratch: &mut Scratch,
    ) {
        let (size, length) = (self.attention.head_size, rows.len());
        if length == 0 {
            return;
        }
        let (all, stride) = {
            let projections = self.attention.projections;
            (projections.values(), projections.columns())
        };
        let inner = self.attention.heads * size;
        let first = rows.start * stride + head * size;
        let queries = &all[first..];
        let keys = &all[first + inner..];
        let values = &all[first + 2 * inner..];
        // Packing costs one pass over the keys and values; every block of queries then reads them
        // without strides.
        pack_f32_rows(self.level, keys, size, stride, length, &mut scratch.keys);
        pack_f32_columns(values, size, stride, length, &mut scratch.values);
        self.products_of_keys(keys, stride, length, scratch);

        let padded = length.next_multiple_of(WIDTH);
        scratch.scores.resize(self.level.rows() * padded, 0.0);
        let out_stride = self.heads.len() * size;
        let out_column = (head - self.heads.start) * size;
        let first_row = rows.start - self.starts[0] as usize;
        let mut tile = Tile::new();
        let mut query = 0;
        while query < length {
            // Equal blocks rather than full ones and a small rest, which would waste registers.
            let block = first_even_chunk(query..length, self.level.rows());
            self.scores(
                &queries[block.start * stride..],
                stride,
                &block,
                length,
                scratch,
                &mut tile,
            );
            let mut factors = [0.0; MAX_TILE_ROWS];
            for (index, scores) in scratch
                .scores
                .chunks_exact_mut(padded)
                .take(block.len())
                .enumerate()
            {
                self.add_positions(
                    head,
                    block.start + index,
                    index,
                    &mut scores[..length],
                    &scratch.content_to_position,
                    &scratch.position_to_content,
                );
                factors[index] = exp_scores::<FUSED>(&mut scores[..length]);
            }
            for (panel, panel_values) in scratch
                .values
                .as_ref()
                .chunks_exact(length * WIDTH)
                .enumerate()
            {
                self.level.multiply(
                    &scratch.scores,
                    padded,
                    block.len(),
                    length,
                    panel_values,
                    &mut tile,
                );
                let columns = WIDTH.min(size - panel * WIDTH);
                for (index, factor) in factors[..block.len()].iter().enumerate() {
                    let place =
                        (first_row + block.start + index) * out_stride + out_column + panel * WIDTH;
                    let sums = tile.row(index);
                    let values: [f32; WIDTH] = std::array::from_fn(|column| sums[column] * factor);
                    let out = &mut self.out[place..][..columns];
                    match <&mut [f32; WIDTH]>::try_from(&mut *out) {
                        Ok(full) => *full = values,
                        Err(_) => out.copy_from_slice(&values[..columns]),
                    }
                }
            }
            query = block.end;
        }
    }

    /// Scaled products of a block of queries with all keys.
    #[inline(always)]
    fn scores(
        &self,
        queries: &[f32],
        stride: usize,
        block: &Range<usize>,
        length: usize,
        scratch: &mut Scratch,
        tile: &mut Tile,
    ) {
        let size = self.attention.head_size;
        let padded = length.next_multiple_of(WIDTH);
        let scale = self.attention.scale;
        for (panel, panel_values) in scratch.keys.as_ref().chunks_exact(size * WIDTH).enumerate() {
            self.level
                .multiply(queries, stride, block.len(), size, panel_values, tile);
            for (index, scores) in scratch
                .scores
                .chunks_exact_mut(padded)
                .take(block.len())
                .enumerate()
            {
                let (scores, _) = scores[panel * WIDTH..].as_chunks_mut::<WIDTH>();
                let products = tile.row(index);
                scores[0] = std::array::from_fn(|key| products[key] * scale);
            }
        }
        if let Positions::Disentangled {
            keys: Some(keys), ..
        } = &self.attention.positions
        {
            let buckets = keys.rows().next_multiple_of(WIDTH);
            scratch
                .content_to_position
                .resize(self.level.rows() * buckets, 0.0);
            for (panel, panel_values) in scratch
                .position_keys
                .as_ref()
                .chunks_exact(size * WIDTH)
                .enumerate()
            {
                self.level
                    .multiply(queries, stride, block.len(), size, panel_values, tile);
                for (index, out) in scratch
                    .content_to_position
                    .chunks_exact_mut(buckets)
                    .take(block.len())
                    .enumerate()
                {
                    out[panel * WIDTH..][..WIDTH].copy_from_slice(tile.row(index));
                }
            }
        }
    }

    /// Products of all keys with the queries of all buckets, for disentangled positions.
    #[inline(always)]
    fn products_of_keys(&self, keys: &[f32], stride: usize, length: usize, scratch: &mut Scratch) {
        let Positions::Disentangled {
            queries: Some(vectors),
            ..
        } = &self.attention.positions
        else {
            return;
        };
        let size = self.attention.head_size;
        let buckets = vectors.rows().next_multiple_of(WIDTH);
        scratch.position_to_content.resize(length * buckets, 0.0);
        let mut tile = Tile::new();
        let mut key = 0;
        while key < length {
            let block = first_even_chunk(key..length, self.level.rows());
            for (panel, panel_values) in scratch
                .position_queries
                .as_ref()
                .chunks_exact(size * WIDTH)
                .enumerate()
            {
                self.level.multiply(
                    &keys[block.start * stride..],
                    stride,
                    block.len(),
                    size,
                    panel_values,
                    &mut tile,
                );
                for (index, key) in block.clone().enumerate() {
                    scratch.position_to_content[key * buckets + panel * WIDTH..][..WIDTH]
                        .copy_from_slice(tile.row(index));
                }
            }
            key = block.end;
        }
    }

    /// Adds the position terms to the scores of the query at `position`, row `index` of its block.
    #[inline(always)]
    fn add_positions(
        &self,
        head: usize,
        position: usize,
        index: usize,
        scores: &mut [f32],
        content_to_position: &[f32],
        position_to_content: &[f32],
    ) {
        let length = scores.len();
        match &self.attention.positions {
            Positions::Absolute => {}
            Positions::Bias { table, distances } => {
                let heads = self.attention.heads;
                for (score, bucket) in scores.iter_mut().zip(distances.of_query(position, length)) {
                    *score += table[*bucket as usize * heads + head];
                }
            }
            Positions::Disentangled {
                keys,
                queries,
                distances,
            } => {
                let scale = self.attention.scale;
                let buckets = distances.of_query(position, length);
                if let Some(keys) = keys {
                    let products =
                        &content_to_position[index * keys.rows().next_multiple_of(WIDTH)..];
                    for (score, bucket) in scores.iter_mut().zip(buckets) {
                        *score += scale * products[*bucket as usize];
                    }
                }
                if let Some(queries) = queries {
                    let width = queries.rows().next_multiple_of(WIDTH);
                    for ((score, bucket), products) in scores
                        .iter_mut()
                        .zip(buckets)
                        .zip(position_to_content.chunks_exact(width))
                    {
                        *score += scale * products[*bucket as usize];
                    }
                }
            }
        }
    }
}

/// Replaces scores by exp(score - max) and returns one over their sum. The caller scales the
/// outputs, which are shorter than the rows of scores.
#[inline(always)]
pub(super) fn exp_scores<const FUSED: bool>(scores: &mut [f32]) -> f32 {
    let (chunks, rest) = scores.as_chunks_mut::<LANES>();
    let mut max = [f32::MIN; LANES];
    for chunk in chunks.iter() {
        for (max, score) in max.iter_mut().zip(chunk) {
            *max = if *score > *max { *score } else { *max };
        }
    }
    for (max, score) in max.iter_mut().zip(rest.iter()) {
        *max = if *score > *max { *score } else { *max };
    }
    let max = fold_lanes(max, |a, b| if a > b { a } else { b });
    let mut sums = [0.0; LANES];
    for chunk in chunks.iter_mut() {
        for (sum, score) in sums.iter_mut().zip(chunk) {
            *score = exp_nonpositive::<FUSED>(*score - max);
            *sum += *score;
        }
    }
    for (sum, score) in sums.iter_mut().zip(rest) {
        *score = exp_nonpositive::<FUSED>(*score - max);
        *sum += *score;
    }
    1.0 / fold_lanes(sums, |a, b| a + b)
}
