//! Self-attention.

use std::ops::Range;
use std::sync::Arc;

use super::parameters::{ABSENT, AttentionOf, Heads, Product};
use super::rows::ROWS_OF_BLOCK;
use super::stream::{Buffer, CachedTable};
use super::tensor::{DType, Tensor, stride_of};
use super::{Cuda, sources, to_i32};
use crate::backend::{Attention, Distances, Positions};
use crate::error::{Error, Result};

/// Queries per block.
const QUERIES: usize = 64;
/// Head sizes that kernels are compiled for; other sizes are padded to the next.
pub(super) const HEAD_SIZES: [usize; 6] = [16, 32, 64, 96, 128, 256];
/// Bytes of the position tables that exist at the same time, unless one sequence needs more. For 12
/// heads and 512 buckets a table has 24 KB per token: those of a whole batch would take most of a
/// small GPU. The tests have small batches.
const MAX_POSITION_BYTES: usize = if cfg!(test) { 1 << 13 } else { 128 << 20 };

/// The position terms as kernels take them.
#[derive(Default)]
pub(super) struct Terms {
    pub(super) bias: Option<Arc<Buffer>>,
    pub(super) content_to_position: Option<Buffer>,
    pub(super) position_to_content: Option<Buffer>,
    pub(super) bucket_of: Option<Arc<Buffer>>,
    pub(super) reach: usize,
    pub(super) buckets: usize,
}

pub(super) fn address_of(buffer: Option<&Buffer>) -> u64 {
    buffer.map_or(ABSENT, Buffer::address)
}

impl Cuda {
    pub(super) fn attend(&self, attention: &Attention<'_, Self>) -> Result<Tensor> {
        let mut read = vec![attention.projections];
        if let Positions::Disentangled { keys, queries, .. } = &attention.positions {
            read.extend([*keys, *queries].into_iter().flatten());
        }
        self.with_inputs(&read, || self.attend_here(attention))
    }

    fn attend_here(&self, attention: &Attention<'_, Self>) -> Result<Tensor> {
        let projections = self.as_bf16(attention.projections)?;
        let (heads, head_size) = (attention.heads, attention.head_size);
        let out = self.empty(projections.rows, heads * head_size, DType::Bf16)?;
        let tiles = tiles(attention.starts);
        if tiles.is_empty() || heads == 0 {
            return Ok(out);
        }
        let padded = padded(head_size)?;
        let kernels = const {
            [
                [
                    sources::kernel("attention_16"),
                    sources::kernel("attention_16_bias"),
                    sources::kernel("attention_16_disentangled"),
                ],
                [
                    sources::kernel("attention_32"),
                    sources::kernel("attention_32_bias"),
                    sources::kernel("attention_32_disentangled"),
                ],
                [
                    sources::kernel("attention_64"),
                    sources::kernel("attention_64_bias"),
                    sources::kernel("attention_64_disentangled"),
                ],
                [
                    sources::kernel("attention_96"),
                    sources::kernel("attention_96_bias"),
                    sources::kernel("attention_96_disentangled"),
                ],
                [
                    sources::kernel("attention_128"),
                    sources::kernel("attention_128_bias"),
                    sources::kernel("attention_128_disentangled"),
                ],
                [
                    sources::kernel("attention_256"),
                    sources::kernel("attention_256_bias"),
                    sources::kernel("attention_256_disentangled"),
                ],
            ]
        };
        let form = form(&attention.positions);
        // All layers of a batch share these tables, so only the first layer uploads them.
        let starts = self.stream.cached(CachedTable::Starts, attention.starts)?;
        let tile_table = self.stream.cached(CachedTable::Tiles, &tiles)?;
        let shared_bytes = shared_bytes(HEAD_SIZES[padded], form > 0);
        for piece in pieces(attention.starts, position_bytes(attention)) {
            let terms = self.terms(attention, &projections, &piece.tokens)?;
            let first_tile =
                tile_table.address() + (piece.tiles.start * 2 * size_of::<u32>()) as u64;
            let parameters = AttentionOf {
                projections: projections.address(),
                out: out.address(),
                starts: starts.address(),
                tiles: first_tile,
                bias: address_of(terms.bias.as_deref()),
                content_to_position: address_of(terms.content_to_position.as_ref()),
                position_to_content: address_of(terms.position_to_content.as_ref()),
                bucket_of: address_of(terms.bucket_of.as_deref()),
                first_token: to_i32(piece.tokens.start)?,
                tokens: to_i32(piece.tokens.len())?,
                heads: to_i32(heads)?,
                head_size: to_i32(head_size)?,
                stride: to_i32(projections.stride())?,
                out_stride: to_i32(out.stride())?,
                reach: to_i32(terms.reach)?,
                buckets: to_i32(terms.buckets)?,
                scale: attention.scale,
                padding: 0,
            };
            let grid = [piece.tiles.len(), heads, 1];
            self.stream
                .launch(kernels[padded][form], grid, shared_bytes, &parameters)?;
        }
        Ok(out)
    }

    /// The position terms, with tables for these tokens.
    pub(super) fn terms(
        &self,
        attention: &Attention<'_, Self>,
        projections: &Tensor,
        tokens: &Range<usize>,
    ) -> Result<Terms> {
        match &attention.positions {
            Positions::Absolute => Ok(Terms::default()),
            Positions::Bias { table, distances } => {
                let bias = by_distance(&self.host_values(table)?, distances, attention.heads);
                Ok(Terms {
                    bias: Some(self.stream.cached(CachedTable::Bias, &bias)?),
                    reach: distances.reach(),
                    ..Terms::default()
                })
            }
            Positions::Disentangled {
                keys,
                queries,
                distances,
            } => {
                // Content to position: the query of the token times the key of the bucket. Position
                // to content: the key of the token times the query of the bucket.
                let inner = attention.heads * attention.head_size;
                let buckets = buckets([*keys, *queries]);
                let content = |vectors: &Option<&Tensor>, column| match vectors {
                    Some(vectors) => {
                        let content = self.split_heads(projections, tokens, column, attention)?;
                        self.by_bucket(attention, &content, tokens.len(), vectors, buckets)
                            .map(Some)
                    }
                    None => Ok(None),
                };
                let reach = distances.reach();
                Ok(Terms {
                    content_to_position: content(keys, 0)?,
                    position_to_content: content(queries, inner)?,
                    bucket_of: Some(self.stream.cached(
                        CachedTable::Buckets,
                        distances.of_query(reach, 2 * reach + 1),
                    )?),
                    reach,
                    buckets,
                    ..Terms::default()
                })
            }
        }
    }

    /// The products of each head of `a`, the queries or keys of some tokens, with that head of the
    /// bucket vectors: heads × tokens × buckets in f32.
    fn by_bucket(
        &self,
        attention: &Attention<'_, Self>,
        a: &SplitHeads,
        tokens: usize,
        vectors: &Tensor,
        buckets: usize,
    ) -> Result<Buffer> {
        let vectors = self.as_bf16(vectors)?;
        let (heads, head_size) = (attention.heads, attention.head_size);
        let out = self
            .stream
            .allocate(heads * tokens * buckets * size_of::<f32>())?;
        let b = self.split_heads(&vectors, &(0..vectors.rows), 0, attention)?;
        let parameters = Product {
            a: a.address(),
            b: b.address(),
            out: out.address(),
            a_batch: a.batch,
            b_batch: b.batch,
            out_batch: i64::from(to_i32(tokens)?) * i64::from(to_i32(buckets)?),
            m: to_i32(tokens)?,
            n: to_i32(buckets)?,
            k: to_i32(head_size)?,
            a_stride: to_i32(a.stride)?,
            b_stride: to_i32(b.stride)?,
            out_stride: to_i32(buckets)?,
            ..Product::NONE
        };
        self.launch_product(&parameters, DType::F32, heads)?;
        Ok(out)
    }
}

/// The columns of each head of a tensor, as the operand of a batched product over heads.
pub(super) struct SplitHeads {
    address: u64,
    /// Elements from head to head, and from row to row.
    pub(super) batch: i64,
    pub(super) stride: usize,
    _copy: Option<Buffer>,
}

impl SplitHeads {
    pub(super) fn address(&self) -> u64 {
        self.address
    }
}

impl Cuda {
    /// The heads of some rows, starting at `column`: in place if every head starts at a multiple of
    /// 16 bytes, otherwise a copy.
    pub(super) fn split_heads(
        &self,
        x: &Tensor,
        rows: &Range<usize>,
        column: usize,
        attention: &Attention<'_, Self>,
    ) -> Result<SplitHeads> {
        let (heads, head_size) = (attention.heads, attention.head_size);
        let first_row = x.address() + (2 * rows.start * x.stride()) as u64;
        if column.is_multiple_of(8) && head_size.is_multiple_of(8) {
            return Ok(SplitHeads {
                address: first_row + 2 * column as u64,
                batch: i64::from(to_i32(head_size)?),
                stride: x.stride(),
                _copy: None,
            });
        }
        let stride = stride_of(head_size);
        let copy = self.stream.allocate(heads * rows.len() * stride * 2)?;
        let parameters = Heads {
            x: first_row,
            out: copy.address(),
            rows: to_i32(rows.len())?,
            heads: to_i32(heads)?,
            head_size: to_i32(head_size)?,
            column: to_i32(column)?,
            stride: to_i32(x.stride())?,
            padding: 0,
        };
        let kernel = const { sources::kernel("split_heads") };
        let grid = [rows.len().div_ceil(ROWS_OF_BLOCK), heads, 1];
        self.stream.launch(kernel, grid, 0, &parameters)?;
        Ok(SplitHeads {
            address: copy.address(),
            batch: i64::from(to_i32(rows.len() * stride)?),
            stride,
            _copy: Some(copy),
        })
    }
}

/// The place of the kernels of a head size among those of all.
pub(super) fn padded(head_size: usize) -> Result<usize> {
    let padded = HEAD_SIZES.into_iter().position(|size| size >= head_size);
    padded.ok_or_else(|| {
        Error::model(
            "",
            format!(
                "expected at most {} dimensions per head, found {head_size}; run this model on the CPU",
                HEAD_SIZES[5]
            ),
        )
    })
}

/// The place of the kernels of a kind of positions among those of a head size.
pub(super) fn form(positions: &Positions<'_, Cuda>) -> usize {
    match positions {
        Positions::Absolute => 0,
        Positions::Bias { .. } => 1,
        Positions::Disentangled { .. } => 2,
    }
}

/// The number of buckets that have vectors.
pub(super) fn buckets(vectors: [Option<&Tensor>; 2]) -> usize {
    let rows = vectors.into_iter().flatten().map(|vectors| vectors.rows);
    rows.min().unwrap_or(0)
}

/// The bytes of the position tables for each token.
pub(super) fn position_bytes(attention: &Attention<'_, Cuda>) -> usize {
    match attention.positions {
        Positions::Disentangled { keys, queries, .. } => {
            let tables = [keys, queries].into_iter().flatten().count();
            tables * attention.heads * buckets([keys, queries]) * size_of::<f32>()
        }
        Positions::Absolute | Positions::Bias { .. } => 0,
    }
}

/// Sequences that are attended to by one launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) tokens: Range<usize>,
    /// Their blocks of queries.
    pub(super) tiles: Range<usize>,
}

/// All sequences, in as few pieces as [`MAX_POSITION_BYTES`] allows.
pub(super) fn pieces(starts: &[u32], bytes_per_token: usize) -> Vec<Piece> {
    let max_tokens = MAX_POSITION_BYTES
        .checked_div(bytes_per_token)
        .unwrap_or(usize::MAX);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut next_tile = 0;
    for pair in starts.windows(2) {
        let tokens = pair[0] as usize..pair[1] as usize;
        let tiles = next_tile..next_tile + tokens.len().div_ceil(QUERIES);
        next_tile = tiles.end;
        match pieces.last_mut() {
            Some(piece) if tokens.end - piece.tokens.start <= max_tokens => {
                piece.tokens.end = tokens.end;
                piece.tiles.end = tiles.end;
            }
            _ if tokens.is_empty() => {}
            _ => pieces.push(Piece { tokens, tiles }),
        }
    }
    pieces
}

/// The sequence and the first query of each block of queries.
pub(super) fn tiles(starts: &[u32]) -> Vec<u32> {
    let mut tiles = Vec::new();
    for (sequence, pair) in (0_u32..).zip(starts.windows(2)) {
        for first in (0..pair[1] - pair[0]).step_by(QUERIES) {
            tiles.extend([sequence, first]);
        }
    }
    tiles
}

/// The bias of each distance for each head, as bits of f32: heads × distances.
fn by_distance(table: &[f32], distances: &Distances, heads: usize) -> Vec<u32> {
    let reach = distances.reach();
    let buckets = distances.of_query(reach, 2 * reach + 1);
    let of_head = |head: usize| {
        let numbers = buckets
            .iter()
            .map(move |bucket| *bucket as usize * heads + head);
        numbers.map(|number| table.get(number).map_or(0, |bias| bias.to_bits()))
    };
    (0..heads).flat_map(of_head).collect()
}

/// Shared memory per block of the attention kernels: two stages of keys and values, and the
/// distance tables.
fn shared_bytes(head: usize, has_terms: bool) -> usize {
    let tiles = match head {
        256 => 384 * head,
        128 => 256 * head,
        _ => 512 * head,
    };
    tiles + if has_terms { 1_024 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::Device;
    use crate::backend::cuda::emulator::Emulator;

    #[test]
    fn tiles_are_blocks_of_queries_of_one_sequence() {
        assert_eq!(tiles(&[0, 3, 3, 132]), [0, 0, 2, 0, 2, 64, 2, 128]);
        assert!(tiles(&[0]).is_empty());
    }

    #[test]
    fn pieces_are_whole_sequences_within_the_bytes() {
        let piece = |tokens: Range<usize>, tiles: Range<usize>| Piece { tokens, tiles };
        let starts = [0, 3, 3, 132, 140, 150];
        assert_eq!(pieces(&starts, 0), [piece(0..150, 0..6)]);
        // 150 tokens fit exactly, 149 do not.
        assert_eq!(pieces(&starts, MAX_POSITION_BYTES / 150).len(), 1);
        let found = pieces(&starts, MAX_POSITION_BYTES / 149 + 1);
        assert_eq!(found, [piece(0..140, 0..5), piece(140..150, 5..6)]);
        // A long sequence exceeds the bytes alone.
        let found = pieces(&starts, MAX_POSITION_BYTES / 9);
        let expected = [
            piece(0..3, 0..1),
            piece(3..132, 1..4),
            piece(132..140, 4..5),
            piece(140..150, 5..6),
        ];
        assert_eq!(found, expected);
        assert!(pieces(&[0, 0], 1).is_empty() && pieces(&[0], 1).is_empty());
    }

    #[test]
    fn position_tables_of_all_sequences_never_exist_together() {
        let Some(gpu) = Emulator::new(80, 0) else {
            return;
        };
        let cuda = Cuda::on(Arc::new(gpu), false).unwrap();
        let (heads, head_size, buckets, sequences, length) = (2, 8, 16, 40, 10);
        let inner = heads * head_size;
        let tokens = sequences * length;
        let values = |count: usize| vec![0.5_f32; count];
        let projections = cuda
            .tensor(tokens, 3 * inner, &values(tokens * 3 * inner))
            .unwrap();
        let vectors = cuda
            .tensor(buckets, inner, &values(buckets * inner))
            .unwrap();
        let starts: Vec<u32> = (0..=sequences)
            .map(|sequence| (sequence * length) as u32)
            .collect();
        let attention = Attention {
            projections: &projections,
            starts: &starts,
            heads,
            head_size,
            scale: 1.0,
            positions: Positions::Disentangled {
                keys: Some(&vectors),
                queries: Some(&vectors),
                distances: &Distances::new(7, |distance| (distance + 7) as u32),
            },
        };
        let before = cuda.memory_in_use().0;
        let out = cuda.attend(&attention).unwrap();
        let max = cuda.memory_in_use().1 - before;
        let of_all = tokens * position_bytes(&attention);
        assert!(of_all > 10 * MAX_POSITION_BYTES);
        // The rest are the output and the tables of sequences, tiles and buckets.
        let bound = MAX_POSITION_BYTES + 2 * tokens * inner + 8 * tokens;
        assert!(max <= bound, "{max} bytes, expected at most {bound}");
        drop(out);
    }

    #[test]
    fn biases_are_looked_up_by_distance() {
        let distances = Distances::new(1, |distance| (distance + 1) as u32);
        let table = [1.0, 10.0, 2.0, 20.0, 3.0, 30.0];
        let found = by_distance(&table, &distances, 2);
        let found: Vec<_> = found.into_iter().map(f32::from_bits).collect();
        assert_eq!(found, [1.0, 2.0, 3.0, 10.0, 20.0, 30.0]);
    }
}
