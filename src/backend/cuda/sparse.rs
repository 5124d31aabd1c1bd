//! What is folded over tokens: SPLADE's vectors and ColBERT's scores.

use super::device::Kernel;
use super::lane::{Buffer, Kept};
use super::parameters::{
    ABSENT, Late, Limit, Sparsify, Splade, SpladeHopper, splade_activation as number_of,
};
use super::tensor::{self, Matrix, Tensor};
use super::{Cuda, sources, whole};
use crate::backend::{Linear, SparseVector, SpladeActivation, SpladePooling, greatest};
use crate::error::Result;

/// Rows and terms of a tile of the kernels for 8.0, and the shared memory of a block.
const TILE: usize = 128;
const TILE_BYTES: usize = 49_152;
/// Rows and terms of a tile on Hopper.
const HOPPER_ROWS: usize = 128;
const HOPPER_TERMS: usize = 256;
const HOPPER_BYTES: usize = 221_264;
/// Shared memory of a block of the kernels that count and write, and of those that make offsets.
const SPARSE_BYTES: usize = 128;
const OFFSETS_BYTES: usize = 256;
const LIMIT_BYTES: usize = 8_336;
/// Shared memory of a block of the late scores.
const LATE_BYTES: usize = 27_680;

impl Cuda {
    pub(super) fn sparse_vectors(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        most: usize,
    ) -> Result<Vec<SparseVector>> {
        let x = self.narrowed(x)?;
        let (sequences, terms) = (starts.len() - 1, decoder.weight.rows);
        if sequences == 0 || terms == 0 || x.rows == 0 {
            return Ok(vec![SparseVector::new(); sequences]);
        }
        let (cell, kind) = match pooling {
            SpladePooling::Max => (size_of::<u32>(), 0),
            SpladePooling::Sum => (size_of::<u64>(), 2),
        };
        let table = self.lane.take(sequences * terms * cell)?;
        self.lane.clear(&table, sequences * terms * cell)?;
        self.fold_logits(&x, starts, decoder, activation, pooling, &table)?;
        if pooling == SpladePooling::Max && most < terms {
            self.limit(&table, sequences, terms, most)?;
        }
        let vectors = self.non_zeros(&table, sequences, terms, kind, activation)?;
        // Maxima were cut on the card; this is for sums.
        let cut = vectors.into_iter().map(|vector| greatest(vector, most));
        Ok(cut.collect())
    }

    /// Leaves the `most` greatest cells of each sequence.
    fn limit(&self, table: &Buffer, sequences: usize, terms: usize, most: usize) -> Result<()> {
        let parameters = Limit {
            table: table.address(),
            sequences: whole(sequences)?,
            terms: whole(terms)?,
            k: whole(most)?,
            unused: 0,
        };
        let kernel = const { sources::kernel("sparse_limit") };
        self.lane
            .launch(kernel, [sequences, 1, 1], LIMIT_BYTES, &parameters)
    }

    /// Logits of all tokens, folded into the table: the greatest or the sum for each sequence and term.
    fn fold_logits(
        &self,
        x: &Tensor,
        starts: &[u32],
        decoder: &Linear<'_, Self>,
        activation: SpladeActivation,
        pooling: SpladePooling,
        table: &Buffer,
    ) -> Result<()> {
        let weight = decoder.weight;
        let sequence_of = self
            .lane
            .keep(Kept::SequenceOfRow, &sequence_of_rows(starts))?;
        let splade = Splade {
            x: x.address(),
            decoder: weight.memory.address(),
            bias: decoder.bias.map_or(ABSENT, |bias| bias.memory.address()),
            sequence_of: sequence_of.address(),
            table: table.address(),
            rows: whole(x.rows)?,
            columns: whole(x.columns)?,
            terms: whole(weight.rows)?,
            x_stride: whole(x.stride())?,
            decoder_stride: whole(weight.stride())?,
            activation: number_of(activation),
        };
        let hopper_tiles = x.rows.div_ceil(HOPPER_ROWS) * weight.rows.div_ceil(HOPPER_TERMS);
        if self.card.is_hopper && 2 * hopper_tiles >= self.card.multiprocessors {
            let kernel = match pooling {
                SpladePooling::Max => const { sources::kernel("splade_hopper_max") },
                SpladePooling::Sum => const { sources::kernel("splade_hopper_sum") },
            };
            return self.launch_splade_on_hopper(kernel, x, weight, splade);
        }
        let kernel = match pooling {
            SpladePooling::Max => const { sources::kernel("splade_max") },
            SpladePooling::Sum => const { sources::kernel("splade_sum") },
        };
        let grid = [x.rows.div_ceil(TILE) * weight.rows.div_ceil(TILE), 1, 1];
        self.lane.launch(kernel, grid, TILE_BYTES, &splade)
    }

    /// A kernel of `splade_hopper.cu`.
    pub(super) fn launch_splade_on_hopper(
        &self,
        kernel: &'static Kernel,
        x: &Tensor,
        decoder: &Matrix,
        splade: Splade,
    ) -> Result<()> {
        let device = &self.card.device;
        let parameters = SpladeHopper {
            x: device.tensor_map(x.address(), x.rows, x.columns, x.stride(), HOPPER_ROWS)?,
            decoder: self.weight_map(decoder, HOPPER_TERMS)?,
            splade,
        };
        let tiles = x.rows.div_ceil(HOPPER_ROWS) * decoder.rows.div_ceil(HOPPER_TERMS);
        let grid = [self.card.multiprocessors.min(tiles), 1, 1];
        self.lane.launch(kernel, grid, HOPPER_BYTES, &parameters)
    }

    /// The cells of the table that hold something, as vectors: only these cross the bus.
    fn non_zeros(
        &self,
        table: &Buffer,
        sequences: usize,
        terms: usize,
        kind: i32,
        activation: SpladeActivation,
    ) -> Result<Vec<SparseVector>> {
        let offset_bytes = (sequences + 1) * size_of::<u32>();
        let offsets = self.lane.take(offset_bytes)?;
        let mut parameters = Sparsify {
            table: table.address(),
            offsets: offsets.address(),
            found_terms: ABSENT,
            found_weights: ABSENT,
            found_rows: ABSENT,
            sequences: whole(sequences)?,
            terms: whole(terms)?,
            kind,
            activation: number_of(activation),
            threshold: 0.0,
            unused: 0,
        };
        let per_sequence = [sequences, 1, 1];
        let (count, run, write) = (
            const { sources::kernel("sparse_count") },
            const { sources::kernel("sparse_offsets") },
            const { sources::kernel("sparse_write") },
        );
        self.lane
            .launch(count, per_sequence, SPARSE_BYTES, &parameters)?;
        self.lane
            .launch(run, [1, 1, 1], OFFSETS_BYTES, &parameters)?;
        let found = self.lane.download(&offsets, offset_bytes)?;
        let bounds = numbers(&found);
        let count = bounds[sequences] as usize;
        if count == 0 {
            return Ok(vec![SparseVector::new(); sequences]);
        }
        let (found_terms, found_weights) = (self.lane.take(count * 4)?, self.lane.take(count * 4)?);
        parameters.found_terms = found_terms.address();
        parameters.found_weights = found_weights.address();
        self.lane
            .launch(write, per_sequence, SPARSE_BYTES, &parameters)?;
        let terms = numbers(&self.lane.download(&found_terms, count * 4)?);
        let weights = tensor::wide(&self.lane.download(&found_weights, count * 4)?);
        let pairs = bounds
            .windows(2)
            .map(|pair| pair[0] as usize..pair[1] as usize);
        Ok(pairs
            .map(|range| {
                let terms = terms[range.clone()].iter().copied();
                terms.zip(weights[range].iter().copied()).collect()
            })
            .collect())
    }

    pub(super) fn late_scores(
        &self,
        query: &Tensor,
        documents: &Tensor,
        starts: &[u32],
    ) -> Result<Vec<f32>> {
        let (query, documents) = (self.widened(query)?, self.widened(documents)?);
        let sequences = starts.len() - 1;
        if sequences == 0 {
            return Ok(Vec::new());
        }
        let out = self.lane.take(sequences * size_of::<f32>())?;
        let starts = self.lane.keep(Kept::Starts, starts)?;
        let parameters = Late {
            query: query.address(),
            documents: documents.address(),
            starts: starts.address(),
            out: out.address(),
            query_rows: whole(query.rows)?,
            columns: whole(query.columns)?,
            sequences: whole(sequences)?,
            unused: 0,
        };
        let kernel = const { sources::kernel("max_sim") };
        self.lane
            .launch(kernel, [sequences, 1, 1], LATE_BYTES, &parameters)?;
        let scores = self.lane.download(&out, sequences * size_of::<f32>())?;
        Ok(tensor::wide(&scores))
    }
}

/// u32 numbers from their bytes.
pub(super) fn numbers(bytes: &[u8]) -> Vec<u32> {
    let numbers = bytes.chunks_exact(4);
    numbers
        .map(|number| u32::from_le_bytes([number[0], number[1], number[2], number[3]]))
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
    fn every_row_knows_its_sequence() {
        assert_eq!(sequence_of_rows(&[0, 2, 2, 3]), [0, 0, 2]);
        assert!(sequence_of_rows(&[0]).is_empty());
    }
}
