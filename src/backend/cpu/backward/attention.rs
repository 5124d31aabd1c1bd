//! The gradient of attention. The softmax of each query is computed again, and nothing is added by two
//! threads. For absolute positions and biases, threads take some sequences, which go by [`blocks`]; for
//! disentangled positions, whose gradients all sequences share, some heads, query by query.

mod blocks;

use std::cell::RefCell;
use std::ops::Range;

use blocks::{Head, Scratch};

use super::super::math::{exp_nonpositive, multiply_add};
use super::super::rows::sum;
use super::super::simd::{Level, Task};
use super::super::{Cpu, Tensor};
use crate::backend::{Attention, AttentionGradients, PositionGradients, Positions, shapes};
use crate::error::Result;

/// The gradients of some heads. Rows have the columns of these heads alone.
struct HeadGradients {
    heads: Range<usize>,
    queries: Vec<f32>,
    keys: Vec<f32>,
    values: Vec<f32>,
    /// Buckets × columns.
    position_keys: Vec<f32>,
    position_queries: Vec<f32>,
}

impl Cpu {
    pub(super) fn attention_gradient(
        &self,
        attention: &Attention<'_, Self>,
        dy: &Tensor,
        positions: PositionGradients<'_, Self>,
    ) -> Result<AttentionGradients<Self>> {
        shapes::position_gradients(
            &attention.positions,
            &positions,
            |table| table.len(),
            |gradient| gradient.len(),
        )?;
        if Head::is_supported(&attention.positions) {
            return Ok(self.attention_by_blocks(attention, dy, positions));
        }
        let parts = self.par_ranges(attention.heads, |heads| {
            let mut part = HeadGradients::zeros(attention, heads);
            self.level.run(Heads {
                attention,
                dy,
                out: &mut part,
            });
            part
        });
        let (rows, columns) = attention.projections.shape();
        let mut projections = self.buffers.tensor(rows, columns);
        let width = attention.heads * attention.head_size;
        for part in &parts {
            for (place, values) in [&part.queries, &part.keys, &part.values]
                .into_iter()
                .enumerate()
            {
                let first = place * width + part.heads.start * attention.head_size;
                copy_columns(
                    values,
                    part.columns(attention),
                    projections.values_mut(),
                    columns,
                    first,
                );
            }
        }
        let position_tensor = |vectors: Option<&Tensor>, of: fn(&HeadGradients) -> &Vec<f32>| {
            vectors.map(|vectors| {
                let (rows, columns) = vectors.shape();
                let mut out = self.buffers.tensor(rows, columns);
                for part in &parts {
                    let first = part.heads.start * attention.head_size;
                    copy_columns(
                        of(part),
                        part.columns(attention),
                        out.values_mut(),
                        columns,
                        first,
                    );
                }
                out
            })
        };
        let (keys, queries) = match &attention.positions {
            Positions::Disentangled { keys, queries, .. } => (*keys, *queries),
            _ => (None, None),
        };
        let position_keys = position_tensor(keys, |part| &part.position_keys);
        let position_queries = position_tensor(queries, |part| &part.position_queries);
        Ok(AttentionGradients {
            projections,
            position_keys,
            position_queries,
        })
    }

    /// Each thread takes a few sequences with all their heads, and writes to their rows. Gradients of
    /// biases are summed for each few sequences, then in order.
    fn attention_by_blocks(
        &self,
        attention: &Attention<'_, Self>,
        dy: &Tensor,
        positions: PositionGradients<'_, Self>,
    ) -> AttentionGradients<Self> {
        let (rows, columns) = attention.projections.shape();
        let mut projections = self.buffers.tensor(rows, columns);
        let biases = match &attention.positions {
            Positions::Bias { table, .. } => table.len(),
            _ => 0,
        };
        let out = projections.values_mut();
        let parts = self.par_sequences(attention.starts, out, columns, |starts, out| {
            let mut bias = vec![0.0; biases];
            self.level.run(Sequences {
                level: self.level,
                attention,
                dy,
                starts,
                out,
                bias: &mut bias,
            });
            bias
        });
        if let PositionGradients::Bias(table) = positions {
            for part in parts {
                for (sum, value) in table.iter_mut().zip(part) {
                    *sum += value;
                }
            }
        }
        AttentionGradients {
            projections,
            position_keys: None,
            position_queries: None,
        }
    }
}

/// A few sequences: `out` has the rows of their projections' gradients, `bias` a value for each bucket
/// and head.
struct Sequences<'a, 'b> {
    level: Level,
    attention: &'a Attention<'b, Cpu>,
    dy: &'a Tensor,
    starts: &'a [u32],
    out: &'a mut [f32],
    bias: &'a mut [f32],
}

impl Task for Sequences<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let mut scratch = SCRATCH.take();
        let stride = self.attention.projections.columns();
        for pair in self.starts.windows(2) {
            let (first, length) = (pair[0] as usize, (pair[1] - pair[0]) as usize);
            let begin = (first - self.starts[0] as usize) * stride;
            let out = &mut self.out[begin..begin + length * stride];
            for head in 0..self.attention.heads {
                Head {
                    level: self.level,
                    attention: self.attention,
                    dy: self.dy,
                    first,
                    length,
                    head,
                }
                .run::<FUSED>(&mut scratch, out, self.bias);
            }
        }
        SCRATCH.set(scratch);
    }
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Copies rows of `width` values to columns of wider rows.
fn copy_columns(values: &[f32], width: usize, out: &mut [f32], stride: usize, first: usize) {
    let rows = out.chunks_exact_mut(stride.max(1));
    for (out, values) in rows.zip(values.chunks_exact(width.max(1))) {
        out[first..first + width].copy_from_slice(values);
    }
}

impl HeadGradients {
    fn zeros(attention: &Attention<'_, Cpu>, heads: Range<usize>) -> Self {
        let rows = attention.projections.rows();
        let width = heads.len() * attention.head_size;
        let buckets = |vectors: Option<&Tensor>| vectors.map_or(0, Tensor::rows);
        let (keys, queries) = match &attention.positions {
            Positions::Disentangled { keys, queries, .. } => (buckets(*keys), buckets(*queries)),
            Positions::Absolute | Positions::Bias { .. } => (0, 0),
        };
        Self {
            queries: vec![0.0; rows * width],
            keys: vec![0.0; rows * width],
            values: vec![0.0; rows * width],
            position_keys: vec![0.0; keys * width],
            position_queries: vec![0.0; queries * width],
            heads,
        }
    }

    fn columns(&self, attention: &Attention<'_, Cpu>) -> usize {
        self.heads.len() * attention.head_size
    }
}

struct Heads<'a, 'b> {
    attention: &'a Attention<'b, Cpu>,
    dy: &'a Tensor,
    out: &'a mut HeadGradients,
}

impl Task for Heads<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(mut self) {
        let (mut weights, mut slopes) = (Vec::new(), Vec::new());
        for head in 0..self.out.heads.len() {
            for pair in self.attention.starts.windows(2) {
                let rows = pair[0] as usize..pair[1] as usize;
                for query in 0..rows.len() {
                    self.weights::<FUSED>(head, &rows, query, &mut weights);
                    self.slopes::<FUSED>(head, &rows, query, &weights, &mut slopes);
                    self.pass::<FUSED>(head, &rows, query, &weights, &slopes);
                }
            }
        }
    }
}

/// The inner product, in lanes.
#[inline(always)]
fn dot<const FUSED: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    let (a_chunks, a_rest) = a.as_chunks::<16>();
    let (b_chunks, b_rest) = b.as_chunks::<16>();
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..16 {
            sums[lane] = multiply_add::<FUSED>(a[lane], b[lane], sums[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sum(&sums, |value| value) + rest
}

/// sums += factor · values.
#[inline(always)]
fn add_scaled<const FUSED: bool>(sums: &mut [f32], factor: f32, values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum = multiply_add::<FUSED>(factor, *value, *sum);
    }
}

impl<'b> Heads<'_, 'b> {
    /// A part of a row of projections: 0 for queries, 1 for keys, 2 for values.
    #[inline(always)]
    fn projection(&self, part: usize, row: usize, head: usize) -> &'b [f32] {
        let head = part * self.attention.heads + self.out.heads.start + head;
        let size = self.attention.head_size;
        &self.attention.projections.row(row)[head * size..][..size]
    }

    #[inline(always)]
    fn of_head(&self, vectors: &'b Tensor, bucket: usize, head: usize) -> &'b [f32] {
        let size = self.attention.head_size;
        &vectors.row(bucket)[(self.out.heads.start + head) * size..][..size]
    }

    /// The softmax of a query's scores.
    #[inline(always)]
    fn weights<const FUSED: bool>(
        &self,
        head: usize,
        rows: &Range<usize>,
        query: usize,
        weights: &mut Vec<f32>,
    ) {
        weights.clear();
        let attention = self.attention;
        let query_row = self.projection(0, rows.start + query, head);
        for key in 0..rows.len() {
            let key_row = self.projection(1, rows.start + key, head);
            let mut score = dot::<FUSED>(query_row, key_row);
            if let Positions::Disentangled {
                keys,
                queries,
                distances,
            } = &attention.positions
            {
                let bucket = distances.of_query(query, rows.len())[key] as usize;
                if let Some(keys) = keys {
                    score += dot::<FUSED>(query_row, self.of_head(keys, bucket, head));
                }
                if let Some(queries) = queries {
                    score += dot::<FUSED>(self.of_head(queries, bucket, head), key_row);
                }
            }
            weights.push(attention.scale * score);
        }
        let max = weights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for weight in weights.iter_mut() {
            *weight = exp_nonpositive::<FUSED>(*weight - max);
        }
        let total = sum(weights, |weight| weight);
        weights.iter_mut().for_each(|weight| *weight /= total);
    }

    /// The gradients of a query's scores.
    #[inline(always)]
    fn slopes<const FUSED: bool>(
        &self,
        head: usize,
        rows: &Range<usize>,
        query: usize,
        weights: &[f32],
        slopes: &mut Vec<f32>,
    ) {
        slopes.clear();
        let dy = self.dy_of(head, rows.start + query);
        // A loop: closures do not inherit the target features.
        for key in rows.clone() {
            slopes.push(dot::<FUSED>(dy, self.projection(2, key, head)));
        }
        let mean = dot::<FUSED>(weights, slopes);
        for (slope, weight) in slopes.iter_mut().zip(weights) {
            *slope = weight * (*slope - mean);
        }
    }

    #[inline(always)]
    fn dy_of(&self, head: usize, row: usize) -> &[f32] {
        let size = self.attention.head_size;
        &self.dy.row(row)[(self.out.heads.start + head) * size..][..size]
    }

    /// Passes the gradients of a query's scores on.
    #[inline(always)]
    fn pass<const FUSED: bool>(
        &mut self,
        head: usize,
        rows: &Range<usize>,
        query: usize,
        weights: &[f32],
        slopes: &[f32],
    ) {
        let (attention, size) = (self.attention, self.attention.head_size);
        let width = self.out.heads.len() * size;
        let place = |row: usize| row * width + head * size;
        let query_at = place(rows.start + query);
        let query_row = self.projection(0, rows.start + query, head);
        let dy_row = (self.out.heads.start + head) * size;
        for key in 0..rows.len() {
            let key_at = place(rows.start + key);
            let dy = &self.dy.row(rows.start + query)[dy_row..][..size];
            add_scaled::<FUSED>(&mut self.out.values[key_at..][..size], weights[key], dy);
            let slope = slopes[key] * attention.scale;
            let key_row = self.projection(1, rows.start + key, head);
            add_scaled::<FUSED>(&mut self.out.queries[query_at..][..size], slope, key_row);
            add_scaled::<FUSED>(&mut self.out.keys[key_at..][..size], slope, query_row);
            let Positions::Disentangled {
                keys,
                queries,
                distances,
            } = &attention.positions
            else {
                continue;
            };
            let bucket = distances.of_query(query, rows.len())[key] as usize;
            let bucket_at = place(bucket);
            if let Some(keys) = keys {
                let bucket_key = self.of_head(keys, bucket, head);
                let sums = &mut self.out.queries[query_at..][..size];
                add_scaled::<FUSED>(sums, slope, bucket_key);
                let sums = &mut self.out.position_keys[bucket_at..][..size];
                add_scaled::<FUSED>(sums, slope, query_row);
            }
            if let Some(queries) = queries {
                let bucket_query = self.of_head(queries, bucket, head);
                let sums = &mut self.out.keys[key_at..][..size];
                add_scaled::<FUSED>(sums, slope, bucket_query);
                let sums = &mut self.out.position_queries[bucket_at..][..size];
                add_scaled::<FUSED>(sums, slope, key_row);
            }
        }
    }
}
