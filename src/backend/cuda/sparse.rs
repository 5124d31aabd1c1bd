//! Pooling over tokens: SPLADE's vectors and ColBERT's scores.

use super::device::Kernel;
use super::parameters::{
    ABSENT, Late, Sparsify, Splade, SpladeHopper, TopK, splade_activation as number_of,
};
use super::stream::{Buffer, CachedTable};
use super::tensor::{self, Matrix, Tensor};
use super::{Cuda, sources, to_i32};
use crate::backend::{Linear, SparseVector, SpladeActivation, SpladePooling, top_terms};
use crate::error::Result;

/// Rows and terms of a tile of the sm_80 kernels, and the shared memory per block.
const TILE: usize = 128;
const TILE_BYTES: usize = 49_152;
/// Rows and terms of a Hopper tile.
const HOPPER_ROWS: usize = 128;
const HOPPER_TERMS: usize = 256;
const HOPPER_BYTES: usize = 229_584;
/// Shared memory per block of the kernels that count and write, and of the one that computes
/// offsets.
const SPARSE_BYTES: usize = 128;
const OFFSETS_BYTES: usize = 256;
const LIMIT_BYTES: usize = 8_336;
/// A term and its weight.
const PAIR_BYTES: usize = 8;
/// The codes of the kinds of tables: `TableKind` of `parameters.cuh`.
pub(super) const MAX_TABLE: i32 = 0;
pub(super) const ARGMAX_TABLE: i32 = 1;
pub(super) const SUM_TABLE: i32 = 2;
/// Shared memory per block of the MaxSim kernel.
const LATE_BYTES: usize = 27_680;

impl Cuda {
    pub(super) fn sparse_vectors(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        max_terms: usize,
    ) -> Result<Vec<SparseVector>> {
        let x = self.as_bf16(x)?;
        let (sequences, terms) = (starts.len() - 1, decoder.weight.rows);
        let kind = match pooling {
            SpladePooling::Max => MAX_TABLE,
            SpladePooling::Sum => SUM_TABLE,
        };
        let Some(table) = self.pooled_logits(&x, starts, decoder, activation, kind)? else {
            return Ok(vec![SparseVector::new(); sequences]);
        };
        if pooling == SpladePooling::Max && max_terms < terms {
            self.keep_top_k(&table, sequences, terms, max_terms)?;
        }
        let (vectors, _) = self.compact(&table, sequences, terms, kind, activation)?;
        // The GPU has cut maxima already; this cuts sums.
        let cut = vectors
            .into_iter()
            .map(|vector| top_terms(vector, max_terms));
        Ok(cut.collect())
    }

    /// The table of this kind: the logits of all tokens of `x`, which is bf16, pooled for each
    /// sequence and term. None if there is no cell or no token.
    pub(super) fn pooled_logits(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        kind: i32,
    ) -> Result<Option<Buffer>> {
        let cells = (starts.len() - 1) * decoder.weight.rows;
        if cells == 0 || x.rows == 0 {
            return Ok(None);
        }
        let bytes = match kind {
            MAX_TABLE => cells * size_of::<u32>(),
            _ => cells * size_of::<u64>(),
        };
        let table = self.stream.allocate(bytes)?;
        // Kernels update cells atomically (maximum or sum), so the table must start at 0.
        self.stream.zero(&table, bytes)?;
        self.fold_logits(x, starts, decoder, activation, kind, &table)?;
        Ok(Some(table))
    }

    /// Keeps the `max_terms` largest cells of each sequence.
    pub(super) fn keep_top_k(
        &self,
        table: &Buffer,
        sequences: usize,
        terms: usize,
        max_terms: usize,
    ) -> Result<()> {
        let parameters = TopK {
            table: table.address(),
            sequences: to_i32(sequences)?,
            terms: to_i32(terms)?,
            k: to_i32(max_terms)?,
            padding: 0,
        };
        let kernel = const { sources::kernel("sparse_top_k") };
        self.stream
            .launch(kernel, [sequences, 1, 1], LIMIT_BYTES, &parameters)
    }

    /// Pools the logits of all tokens into the table: the maximum or the sum for each sequence and
    /// term.
    fn fold_logits(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        kind: i32,
        table: &Buffer,
    ) -> Result<()> {
        let weight = decoder.weight;
        let sequence_of = self
            .stream
            .cached(CachedTable::SequenceOfRow, &sequence_of_rows(starts))?;
        let splade = splade_parameters(x, decoder, &sequence_of, activation, table)?;
        let hopper_tiles = x.rows.div_ceil(HOPPER_ROWS) * weight.rows.div_ceil(HOPPER_TERMS);
        let is_hopper = self.gpu.is_hopper && 2 * hopper_tiles >= self.gpu.multiprocessors;
        let kernel = match (kind, is_hopper) {
            (MAX_TABLE, true) => const { sources::kernel("splade_hopper_max") },
            (ARGMAX_TABLE, true) => const { sources::kernel("splade_hopper_argmax") },
            (_, true) => const { sources::kernel("splade_hopper_sum") },
            (MAX_TABLE, false) => const { sources::kernel("splade_max") },
            (ARGMAX_TABLE, false) => const { sources::kernel("splade_argmax") },
            (_, false) => const { sources::kernel("splade_sum") },
        };
        self.launch_splade(kernel, x, weight, splade)
    }

    /// Launches a kernel of `splade.cu` or `splade_hopper.cu`.
    pub(super) fn launch_splade(
        &self,
        kernel: &'static Kernel,
        x: &Tensor,
        decoder: &Matrix,
        splade: Splade,
    ) -> Result<()> {
        if kernel.hopper {
            return self.launch_splade_on_hopper(kernel, x, decoder, splade);
        }
        let grid = [x.rows.div_ceil(TILE) * decoder.rows.div_ceil(TILE), 1, 1];
        self.stream.launch(kernel, grid, TILE_BYTES, &splade)
    }

    /// Launches a kernel of `splade_hopper.cu`.
    pub(super) fn launch_splade_on_hopper(
        &self,
        kernel: &'static Kernel,
        x: &Tensor,
        decoder: &Matrix,
        splade: Splade,
    ) -> Result<()> {
        let parameters = SpladeHopper {
            x: self.activation_map(x, HOPPER_ROWS)?,
            decoder: self.weight_map(decoder, HOPPER_TERMS)?,
            splade,
            taken: self.stream.tiles_taken()?,
            padding: [0; 56],
        };
        let tiles = x.rows.div_ceil(HOPPER_ROWS) * decoder.rows.div_ceil(HOPPER_TERMS);
        let grid = [self.gpu.multiprocessors.min(tiles), 1, 1];
        self.stream.launch(kernel, grid, HOPPER_BYTES, &parameters)
    }

    /// Compacts the non-zero cells of the table into sparse vectors: only these cross the bus, in
    /// one download of offsets and pairs unless there are more pairs than expected. Of an argmax
    /// table the rows of all weights come too, otherwise none.
    pub(super) fn compact(
        &self,
        table: &Buffer,
        sequences: usize,
        terms: usize,
        kind: i32,
        activation: SpladeActivation,
    ) -> Result<(Vec<SparseVector>, Vec<u32>)> {
        // Pairs are aligned to their size.
        let offset_bytes = ((sequences + 1) * size_of::<u32>()).next_multiple_of(PAIR_BYTES);
        let row_bytes = match kind {
            ARGMAX_TABLE => size_of::<u32>(),
            _ => 0,
        };
        let bytes = |count: usize| count * (PAIR_BYTES + row_bytes);
        let rows_behind = |pairs: u64, count: usize| match kind {
            ARGMAX_TABLE => pairs + (count * PAIR_BYTES) as u64,
            _ => ABSENT,
        };
        let cells = sequences * terms;
        let expected = self.stream.expected_pairs(sequences).min(cells);
        let packed = self.stream.allocate(offset_bytes + bytes(expected))?;
        let pairs = packed.address() + offset_bytes as u64;
        let mut parameters = Sparsify {
            table: table.address(),
            offsets: packed.address(),
            found: pairs,
            found_rows: rows_behind(pairs, expected),
            sequences: to_i32(sequences)?,
            terms: to_i32(terms)?,
            kind,
            activation: number_of(activation),
            threshold: 0.0,
            capacity: u32::try_from(expected).unwrap_or(u32::MAX),
        };
        let per_sequence = [sequences, 1, 1];
        let (count, run, write) = (
            const { sources::kernel("sparse_count") },
            const { sources::kernel("sparse_offsets") },
            const { sources::kernel("sparse_write") },
        );
        self.stream
            .launch(count, per_sequence, SPARSE_BYTES, &parameters)?;
        self.stream
            .launch(run, [1, 1, 1], OFFSETS_BYTES, &parameters)?;
        self.stream
            .launch(write, per_sequence, SPARSE_BYTES, &parameters)?;
        let mut found = self
            .stream
            .download(&packed, offset_bytes + bytes(expected))?;
        let lists = found.split_off(offset_bytes);
        let bounds = decode_u32(&found[..(sequences + 1) * size_of::<u32>()]);
        let count = bounds[sequences] as usize;
        self.stream.expect_pairs(count, sequences);
        if count <= expected {
            return Ok(lists_of(&lists, expected, &bounds));
        }
        let all = self.stream.allocate(bytes(count))?;
        parameters.found = all.address();
        parameters.found_rows = rows_behind(all.address(), count);
        parameters.capacity = bounds[sequences];
        self.stream
            .launch(write, per_sequence, SPARSE_BYTES, &parameters)?;
        let lists = self.stream.download(&all, bytes(count))?;
        Ok(lists_of(&lists, count, &bounds))
    }

    pub(super) fn max_sim_scores(
        &self,
        query: &Tensor,
        documents: &Tensor,
        starts: &[u32],
    ) -> Result<Vec<f32>> {
        let (query, documents) = (self.as_f32(query)?, self.as_f32(documents)?);
        let sequences = starts.len() - 1;
        if sequences == 0 {
            return Ok(Vec::new());
        }
        let out = self.stream.allocate(sequences * size_of::<f32>())?;
        let starts = self.stream.cached(CachedTable::Starts, starts)?;
        let parameters = Late {
            query: query.address(),
            documents: documents.address(),
            starts: starts.address(),
            out: out.address(),
            query_rows: to_i32(query.rows)?,
            columns: to_i32(query.columns)?,
            sequences: to_i32(sequences)?,
            padding: 0,
        };
        let kernel = const { sources::kernel("max_sim") };
        self.stream
            .launch(kernel, [sequences, 1, 1], LATE_BYTES, &parameters)?;
        let scores = self.stream.download(&out, sequences * size_of::<f32>())?;
        Ok(tensor::decode_f32(&scores))
    }
}

/// The vectors from pairs of a term and a weight, cut at `bounds`, and the rows behind `capacity`
/// pairs, if there are any.
fn lists_of(bytes: &[u8], capacity: usize, bounds: &[u32]) -> (Vec<SparseVector>, Vec<u32>) {
    let (pairs, rows) = bytes.split_at(capacity * PAIR_BYTES);
    let pair = |pair: &[u8]| {
        let word = |at: usize| [pair[at], pair[at + 1], pair[at + 2], pair[at + 3]];
        (u32::from_le_bytes(word(0)), f32::from_le_bytes(word(4)))
    };
    let ranges = bounds
        .windows(2)
        .map(|bounds| bounds[0] as usize * PAIR_BYTES..bounds[1] as usize * PAIR_BYTES);
    let vectors = ranges.map(|range| pairs[range].chunks_exact(PAIR_BYTES).map(pair).collect());
    let mut rows = decode_u32(rows);
    rows.truncate(bounds[bounds.len() - 1] as usize);
    (vectors.collect(), rows)
}

/// The parameters of the kernels that pool logits into a table.
pub(super) fn splade_parameters(
    x: &Tensor,
    decoder: &Linear<'_, Cuda>,
    sequence_of: &Buffer,
    activation: SpladeActivation,
    table: &Buffer,
) -> Result<Splade> {
    let weight = decoder.weight;
    Ok(Splade {
        x: x.address(),
        decoder: weight.memory.address(),
        bias: decoder.bias.map_or(ABSENT, |bias| bias.memory.address()),
        sequence_of: sequence_of.address(),
        table: table.address(),
        rows: to_i32(x.rows)?,
        columns: to_i32(x.columns)?,
        terms: to_i32(weight.rows)?,
        x_stride: to_i32(x.stride())?,
        decoder_stride: to_i32(weight.stride())?,
        activation: number_of(activation),
    })
}

/// Decodes u32 values.
pub(super) fn decode_u32(bytes: &[u8]) -> Vec<u32> {
    let words = bytes.chunks_exact(4);
    words
        .map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]))
        .collect()
}

/// The sequence of each row.
pub(super) fn sequence_of_rows(starts: &[u32]) -> Vec<u32> {
    let sequences = (0_u32..).zip(starts.windows(2));
    sequences
        .flat_map(|(sequence, pair)| (pair[0]..pair[1]).map(move |_| sequence))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_cut_at_their_bounds() {
        let words = [3, 1.0_f32.to_bits(), 9, 0.5_f32.to_bits()];
        let bytes = |words: &[u32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        };
        let expected = vec![vec![(3, 1.0)], Vec::new(), vec![(9, 0.5)]];
        let found = lists_of(&bytes(&words), 2, &[0, 1, 1, 2]);
        assert_eq!(found, (expected.clone(), Vec::new()));
        // Room for a third pair, and rows.
        let with_rows = [&words[..], &[0, 0, 5, 6, 0]].concat();
        let found = lists_of(&bytes(&with_rows), 3, &[0, 1, 1, 2]);
        assert_eq!(found, (expected, vec![5, 6]));
    }

    #[test]
    fn every_row_knows_its_sequence() {
        assert_eq!(sequence_of_rows(&[0, 2, 2, 3]), [0, 0, 2]);
        assert!(sequence_of_rows(&[0]).is_empty());
    }
}
