//! Gradients of attention.
//!
//! `kernels/attention_backward.cuh` computes those of queries, keys and values. Gradients of
//! positions are sums of the gradients of scores by the bucket of their distance: these are then
//! stored, and summed for each token and bucket. A bias gets the sums over tokens; vectors of
//! buckets, and the queries or keys that were multiplied by them, get products with the sums.

use std::ops::Range;
use std::sync::Arc;

use super::super::attend::{
    HEAD_SIZES, Piece, address_of, buckets, form, padded, pieces, position_bytes, tiles,
};
use super::super::device::Kernel;
use super::super::parameters::{ABSENT, Product};
use super::super::sparse::sequence_of_rows;
use super::super::stream::{Buffer, CachedTable};
use super::super::tensor::{DType, Tensor, stride_of};
use super::super::{Cuda, sources, to_i32};
use super::TrainingBuffer;
use super::parameters::{AddToRows, AttentionBackward, BucketSlopes, SumParts};
use super::rows::MAX_GRID_ROWS;
use super::weights::WeightProduct;
use crate::backend::{
    Attention, AttentionGradients, Distances, PositionGradients, Positions, shapes,
};
use crate::error::Result;

/// Bytes of a query's statistics for a head.
const STATISTICS_BYTES: usize = 8;
/// Parts of the rows per block of the kernel that sums by bucket, and columns per block of the one
/// that adds.
const BUCKET_PARTS: usize = 4;
const ADDED_COLUMNS: usize = 256;
/// Tokens whose gradients of biases are summed at once, in f32: the gradients of a score's row have a
/// sum of 0, so those of biases are small differences of large sums.
const BIAS_ROWS: usize = 8;

/// What the rows of a block of the kernels are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Queries,
    Keys,
}

macro_rules! kernels {
    ($($head:literal),*) => {
        [$([
            [
                sources::kernel(concat!("attention_backward_", $head, "_queries")),
                sources::kernel(concat!("attention_backward_", $head, "_queries_bias")),
                sources::kernel(concat!("attention_backward_", $head, "_queries_disentangled")),
            ],
            [
                sources::kernel(concat!("attention_backward_", $head, "_keys")),
                sources::kernel(concat!("attention_backward_", $head, "_keys_bias")),
                sources::kernel(concat!("attention_backward_", $head, "_keys_disentangled")),
            ],
        ]),*]
    };
}

/// The kernels by head size, side and kind of positions.
const KERNELS: [[[&Kernel; 3]; 2]; 6] = kernels!("16", "32", "64", "96", "128", "256");

/// The bucket vectors of a side, and where their gradient is added: f32, buckets × (heads · head
/// size).
struct Vectors<'a> {
    vectors: &'a Tensor,
    gradient: Tensor,
}

/// What learns from the gradients of scores.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one for each gradient of attention"
)]
enum Learned<'a> {
    Nothing,
    Bias(&'a mut TrainingBuffer),
    /// The keys of buckets, which queries are multiplied by, and the queries of buckets.
    Disentangled([Option<Vectors<'a>>; 2]),
}

impl Learned<'_> {
    /// Whether the gradients of scores of a side are needed.
    fn needs(&self, side: Side) -> bool {
        match self {
            Self::Nothing => false,
            Self::Bias(_) => side == Side::Queries,
            Self::Disentangled(vectors) => vectors[side as usize].is_some(),
        }
    }
}

/// The distances of each bucket, in ascending order: where those of each bucket start, and all.
struct Buckets {
    count: usize,
    starts: Arc<Buffer>,
    distances: Arc<Buffer>,
}

/// The gradient of one attention as it is computed.
struct Gradient<'a> {
    cuda: &'a Cuda,
    attention: &'a Attention<'a, Cuda>,
    projections: &'a Tensor,
    dy: &'a Tensor,
    out: &'a Tensor,
    learned: Learned<'a>,
    /// The gradients of scores of a token and head.
    slopes_stride: usize,
    starts: Arc<Buffer>,
    tiles: Arc<Buffer>,
    sequence_of: Arc<Buffer>,
    buckets: Option<Buckets>,
}

impl Cuda {
    /// The gradient of attention. Shapes have been checked.
    pub(super) fn attention_gradient(
        &self,
        attention: &Attention<'_, Self>,
        dy: &Tensor,
        positions: PositionGradients<'_, Self>,
    ) -> Result<AttentionGradients<Self>> {
        shapes::position_gradients(
            &attention.positions,
            &positions,
            |vector| vector.len,
            |buffer| buffer.len,
        )?;
        let mut read = vec![attention.projections, dy];
        if let Positions::Disentangled { keys, queries, .. } = &attention.positions {
            read.extend([*keys, *queries].into_iter().flatten());
        }
        self.with_inputs(&read, || {
            self.attention_gradient_here(attention, dy, positions)
        })
    }

    fn attention_gradient_here(
        &self,
        attention: &Attention<'_, Self>,
        dy: &Tensor,
        positions: PositionGradients<'_, Self>,
    ) -> Result<AttentionGradients<Self>> {
        let (projections, dy) = (self.as_bf16(attention.projections)?, self.as_bf16(dy)?);
        let out = self.empty(projections.rows, projections.columns, DType::Bf16)?;
        let learned = match (&attention.positions, positions) {
            (Positions::Disentangled { keys, queries, .. }, _) => {
                Learned::Disentangled([self.zero_vectors(*keys)?, self.zero_vectors(*queries)?])
            }
            (_, PositionGradients::Bias(bias)) => Learned::Bias(bias),
            _ => Learned::Nothing,
        };
        let tiles = tiles(attention.starts);
        let sequence_of = sequence_of_rows(attention.starts);
        let lengths = attention.starts.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = lengths.max().unwrap_or(0) as usize;
        let gradient = Gradient {
            cuda: self,
            attention,
            projections: &projections,
            dy: &dy,
            out: &out,
            learned,
            slopes_stride: stride_of(longest),
            starts: self.stream.cached(CachedTable::Starts, attention.starts)?,
            tiles: self.stream.cached(CachedTable::Tiles, &tiles)?,
            sequence_of: self
                .stream
                .cached(CachedTable::SequenceOfRow, &sequence_of)?,
            buckets: self.buckets_of(attention, longest)?,
        };
        if !tiles.is_empty() && out.columns > 0 {
            let bytes = gradient.bytes_per_token();
            for piece in pieces(attention.starts, bytes) {
                gradient.add(&piece)?;
            }
        }
        let [position_keys, position_queries] = match gradient.learned {
            Learned::Disentangled(vectors) => vectors.map(|vectors| {
                let finished = |Vectors { vectors, gradient }: Vectors<'_>| match vectors.dtype {
                    DType::F32 => Ok(gradient),
                    DType::Bf16 => self.convert(&gradient, DType::Bf16),
                };
                vectors.map(finished).transpose()
            }),
            _ => [Ok(None), Ok(None)],
        };
        drop((projections, dy));
        Ok(AttentionGradients {
            projections: out,
            position_keys: position_keys?,
            position_queries: position_queries?,
        })
    }

    /// Bucket vectors with a gradient of zeros.
    fn zero_vectors<'a>(&self, vectors: Option<&'a Tensor>) -> Result<Option<Vectors<'a>>> {
        let Some(vectors) = vectors else {
            return Ok(None);
        };
        let gradient = self.empty(vectors.rows, vectors.columns, DType::F32)?;
        let bytes = vectors.rows * vectors.columns * size_of::<f32>();
        self.stream.zero(&gradient.buffer, bytes)?;
        Ok(Some(Vectors { vectors, gradient }))
    }

    /// The distances of each bucket that sequences of up to `longest` tokens have.
    fn buckets_of(
        &self,
        attention: &Attention<'_, Self>,
        longest: usize,
    ) -> Result<Option<Buckets>> {
        let (distances, count) = match &attention.positions {
            Positions::Absolute => return Ok(None),
            Positions::Bias { table, distances } => (distances, table.len / attention.heads.max(1)),
            Positions::Disentangled {
                keys,
                queries,
                distances,
            } => (distances, buckets([*keys, *queries])),
        };
        let (starts, distances) = by_bucket(distances, count, longest);
        Ok(Some(Buckets {
            count,
            starts: self.stream.cached(CachedTable::BucketStarts, &starts)?,
            distances: self
                .stream
                .cached(CachedTable::BucketDistances, &distances)?,
        }))
    }
}

/// For each of `count` buckets, where its distances start; and the distances of all buckets, below
/// `longest` in absolute value, as bits of i32.
fn by_bucket(distances: &Distances, count: usize, longest: usize) -> (Vec<u32>, Vec<u32>) {
    let mut of_buckets = vec![Vec::new(); count];
    if let Some(last) = longest.checked_sub(1) {
        // Of the last token, then of the first.
        let behind = (-(last as i32)..=0).zip(distances.of_query(last, longest));
        let ahead = (0..=last as i32).zip(distances.of_query(0, longest));
        for (distance, bucket) in behind.chain(ahead.skip(1)) {
            if let Some(of_bucket) = of_buckets.get_mut(*bucket as usize) {
                of_bucket.push(distance as u32);
            }
        }
    }
    let mut starts = vec![0];
    for of_bucket in &of_buckets {
        starts.push(starts[starts.len() - 1] + of_bucket.len() as u32);
    }
    (starts, of_buckets.concat())
}

impl Gradient<'_> {
    /// The bytes that exist at the same time for each token.
    fn bytes_per_token(&self) -> usize {
        let sides = [Side::Queries, Side::Keys].into_iter();
        // The slopes of a side are freed before those of the other are computed.
        let slopes = match sides.filter(|side| self.learned.needs(*side)).count() {
            0 => 0,
            _ => self.attention.heads * self.slopes_stride * 2,
        };
        position_bytes(self.attention) + slopes
    }

    /// Computes the gradients of some sequences.
    fn add(&self, piece: &Piece) -> Result<()> {
        let cuda = self.cuda;
        let (heads, head_size) = (self.attention.heads, self.attention.head_size);
        let terms = cuda.terms(self.attention, self.projections, &piece.tokens)?;
        let tokens = piece.tokens.len();
        let statistics = cuda.stream.allocate(tokens * heads * STATISTICS_BYTES)?;
        let padded = padded(head_size)?;
        for side in [Side::Queries, Side::Keys] {
            let slopes = match self.learned.needs(side) {
                true => Some(
                    cuda.stream
                        .allocate(heads * tokens * self.slopes_stride * 2)?,
                ),
                false => None,
            };
            let first_tile = (piece.tiles.start * 2 * size_of::<u32>()) as u64;
            let parameters = AttentionBackward {
                projections: self.projections.address(),
                dy: self.dy.address(),
                out: self.out.address(),
                statistics: statistics.address(),
                slopes: slopes.as_ref().map_or(ABSENT, Buffer::address),
                starts: self.starts.address(),
                tiles: self.tiles.address() + first_tile,
                bias: address_of(terms.bias.as_deref()),
                content_to_position: address_of(terms.content_to_position.as_ref()),
                position_to_content: address_of(terms.position_to_content.as_ref()),
                bucket_of: address_of(terms.bucket_of.as_deref()),
                first_token: to_i32(piece.tokens.start)?,
                tokens: to_i32(tokens)?,
                heads: to_i32(heads)?,
                head_size: to_i32(head_size)?,
                stride: to_i32(self.projections.stride())?,
                dy_stride: to_i32(self.dy.stride())?,
                out_stride: to_i32(self.out.stride())?,
                slopes_stride: to_i32(self.slopes_stride)?,
                reach: to_i32(terms.reach)?,
                buckets: to_i32(terms.buckets)?,
                scale: self.attention.scale,
                padding: 0,
            };
            let kernel = KERNELS[padded][side as usize][form(&self.attention.positions)];
            let grid = [piece.tiles.len(), heads, 1];
            let bytes = shared_bytes(HEAD_SIZES[padded]);
            cuda.stream.launch(kernel, grid, bytes, &parameters)?;
            if let Some(slopes) = slopes {
                self.learn(side, &slopes, &piece.tokens)?;
            }
        }
        Ok(())
    }

    /// Adds what positions get of the gradients of the scores of some tokens.
    fn learn(&self, side: Side, slopes: &Buffer, tokens: &Range<usize>) -> Result<()> {
        let Some(buckets) = &self.buckets else {
            return Ok(());
        };
        let (cuda, heads) = (self.cuda, self.attention.heads);
        let columns = heads * stride_of(buckets.count);
        match &self.learned {
            Learned::Nothing => Ok(()),
            Learned::Bias(bias) => {
                let parts = tokens.len().div_ceil(BIAS_ROWS);
                let totals = cuda.empty(parts, columns, DType::F32)?;
                self.sum_by_bucket(side, slopes, tokens, buckets, &totals)?;
                add_bias(cuda, heads, buckets.count, &totals, bias)
            }
            Learned::Disentangled(vectors) => match &vectors[side as usize] {
                Some(vectors) => {
                    let sums = cuda.empty(tokens.len(), columns, DType::Bf16)?;
                    self.sum_by_bucket(side, slopes, tokens, buckets, &sums)?;
                    self.add_vectors(side, vectors, &sums, tokens)
                }
                None => Ok(()),
            },
        }
    }

    /// Sums the slopes of each head and bucket: of each token into a row of bf16, or of
    /// [`BIAS_ROWS`] tokens into a row of f32. The buckets of a head are rounded up to a multiple of
    /// 8.
    fn sum_by_bucket(
        &self,
        side: Side,
        slopes: &Buffer,
        tokens: &Range<usize>,
        buckets: &Buckets,
        sums: &Tensor,
    ) -> Result<()> {
        // The scale covers vectors of buckets, but not biases.
        let (out, totals, part, factor) = match sums.dtype {
            DType::Bf16 => (sums.address(), ABSENT, 1, self.attention.scale),
            DType::F32 => (ABSENT, sums.address(), BIAS_ROWS, 1.0),
        };
        let parameters = BucketSlopes {
            slopes: slopes.address(),
            out,
            totals,
            starts: self.starts.address(),
            sequence_of: self.sequence_of.address(),
            bucket_starts: buckets.starts.address(),
            distances: buckets.distances.address(),
            first_token: to_i32(tokens.start)?,
            tokens: to_i32(tokens.len())?,
            buckets: to_i32(buckets.count)?,
            slopes_stride: to_i32(self.slopes_stride)?,
            out_stride: to_i32(stride_of(buckets.count))?,
            is_keys: i32::from(side == Side::Keys),
            factor,
            part: to_i32(part)?,
        };
        let kernel = const { sources::kernel("bucket_slopes") };
        let grid = [sums.rows.div_ceil(BUCKET_PARTS), self.attention.heads, 1];
        self.cuda.stream.launch(kernel, grid, 0, &parameters)
    }

    /// Adds the sums times bucket vectors to the queries (or keys), and the sums times the queries
    /// (or keys) to the gradients of the vectors.
    fn add_vectors(
        &self,
        side: Side,
        Vectors { vectors, gradient }: &Vectors<'_>,
        sums: &Tensor,
        tokens: &Range<usize>,
    ) -> Result<()> {
        let (cuda, attention) = (self.cuda, self.attention);
        let (heads, head_size) = (attention.heads, attention.head_size);
        let Some(Buckets { count, .. }) = self.buckets else {
            return Ok(());
        };
        let inner = heads * head_size;
        let of_head = (sums.columns / heads) as i64;
        let vectors = cuda.as_bf16(vectors)?;
        let b = cuda.split_heads(&vectors, &(0..vectors.rows), 0, attention)?;
        let shares = cuda.empty(tokens.len(), inner, DType::F32)?;
        let parameters = Product {
            a: sums.address(),
            b: b.address(),
            out: shares.address(),
            a_batch: of_head,
            b_batch: b.batch,
            out_batch: head_size as i64,
            m: to_i32(tokens.len())?,
            n: to_i32(head_size)?,
            k: to_i32(count)?,
            a_stride: to_i32(sums.stride())?,
            b_stride: to_i32(b.stride)?,
            out_stride: to_i32(inner)?,
            ..Product::NONE
        };
        let kernel = const { sources::kernel("product_nn_f32") };
        cuda.launch_tiles(kernel, false, &parameters, heads)?;
        let column = side as usize * inner;
        let first = tokens.start * self.out.stride() + column;
        let parameters = AddToRows {
            out: self.out.address() + 2 * first as u64,
            x: shares.address(),
            rows: to_i32(tokens.len())?,
            columns: to_i32(inner)?,
            stride: to_i32(self.out.stride())?,
            padding: 0,
        };
        let kernel = const { sources::kernel("add_to_rows") };
        let blocks = tokens.len().min(MAX_GRID_ROWS);
        let grid = [inner.div_ceil(ADDED_COLUMNS), blocks, 1];
        cuda.stream.launch(kernel, grid, 0, &parameters)?;

        let x = cuda.split_heads(self.projections, tokens, column, attention)?;
        cuda.add_weight_product(&WeightProduct {
            dy: (sums.address(), sums.stride(), of_head),
            x: (x.address(), x.stride, x.batch),
            out: (gradient.address(), inner, head_size as i64),
            rows: tokens.len(),
            outputs: count,
            skipped: 0,
            inputs: head_size,
            batch: heads,
        })
    }
}

/// Adds the sums over tokens to the gradient of a bias, buckets × heads.
fn add_bias(
    cuda: &Cuda,
    heads: usize,
    buckets: usize,
    totals: &Tensor,
    bias: &TrainingBuffer,
) -> Result<()> {
    let parameters = SumParts {
        parts: totals.address(),
        out: cuda.address_of(bias)?,
        part_size: totals.columns as i64,
        out_batch: 0,
        count: to_i32(totals.rows)?,
        rows: to_i32(heads)?,
        columns: to_i32(buckets)?,
        stride: to_i32(totals.columns / heads)?,
        out_stride: 1,
        out_column: to_i32(heads)?,
    };
    cuda.sum_parts(&parameters, 1)
}

/// Shared memory per block of the kernels: the rows, and two stages of columns.
fn shared_bytes(head: usize) -> usize {
    match head {
        96 | 128 | 256 => 384 * head,
        _ => 512 * head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_sorted_into_buckets() {
        let distances = Distances::new(9, |distance| (distance.abs() % 3) as u32);
        let bits = |distance: i32| distance as u32;
        let (starts, found) = by_bucket(&distances, 4, 4);
        assert_eq!(starts, [0, 3, 5, 7, 7]);
        assert_eq!(found, [-3, 0, 3, -1, 1, -2, 2].map(bits));
        assert_eq!(by_bucket(&distances, 1, 0), (vec![0, 0], vec![]));
    }
}
