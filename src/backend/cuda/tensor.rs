//! Rows of numbers on the card.

use std::sync::{Arc, OnceLock};

use half::bf16;

use super::device::{Address, TensorMap};
use super::lane::Buffer;
use super::memory::Memory;

/// Rows begin at multiples of so many bf16 numbers, 16 bytes.
const ALIGNED: usize = 8;

/// bf16 numbers from row to row.
pub(super) fn stride_of(columns: usize) -> usize {
    columns.next_multiple_of(ALIGNED)
}

/// What a tensor's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    /// bf16, rows of a stride of [`stride_of`] the columns: what passes from layer to layer.
    Narrow,
    /// f32 without gaps: pooled vectors and what is made of them.
    Wide,
}

/// Activations on the card: rows × columns.
pub struct Tensor {
    pub(super) buffer: Buffer,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) numbers: Numbers,
}

impl Tensor {
    pub(super) fn address(&self) -> Address {
        self.buffer.address()
    }

    pub(in crate::backend) fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Numbers from row to row.
    pub(super) fn stride(&self) -> usize {
        stride(self.columns, self.numbers)
    }
}

/// Numbers from row to row.
pub(super) fn stride(columns: usize, numbers: Numbers) -> usize {
    match numbers {
        Numbers::Narrow => stride_of(columns),
        Numbers::Wide => columns,
    }
}

/// Bytes of so many rows.
pub(super) fn bytes(rows: usize, columns: usize, numbers: Numbers) -> usize {
    let size = match numbers {
        Numbers::Narrow => size_of::<u16>(),
        Numbers::Wide => size_of::<f32>(),
    };
    rows * stride(columns, numbers) * size
}

/// Weights of a linear layer, or rows that are looked up: bf16, for good.
pub struct Matrix {
    pub(super) memory: Memory,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// How tensor copies see it, for boxes of so many rows; made when first asked for.
    pub(super) maps: [OnceLock<TensorMap>; 3],
}

impl Matrix {
    pub(super) fn stride(&self) -> usize {
        stride_of(self.columns)
    }
}

/// A row of parameters, f32, for good.
pub struct Vector {
    pub(super) memory: Memory,
    /// The same numbers here, of which some operations make tables.
    pub(super) values: Arc<[f32]>,
}

/// The bytes of bf16 rows with their gaps, which are zeros.
pub(super) fn narrow(values: &[f32], columns: usize) -> Vec<u8> {
    let stride = stride_of(columns);
    let rows = values.len().checked_div(columns).unwrap_or(0);
    let mut bytes = vec![0; rows * stride * 2];
    let all = values
        .chunks_exact(columns.max(1))
        .zip(bytes.chunks_exact_mut((stride * 2).max(1)));
    for (row, out) in all {
        for (value, out) in row.iter().zip(out.chunks_exact_mut(2)) {
            out.copy_from_slice(&bf16::from_f32(*value).to_le_bytes());
        }
    }
    bytes
}

/// f32 numbers of bf16 rows with gaps.
pub(super) fn widen(bytes: &[u8], columns: usize) -> Vec<f32> {
    let stride = stride_of(columns).max(1) * 2;
    let rows = bytes.chunks_exact(stride);
    rows.flat_map(|row| {
        let numbers = row.chunks_exact(2).take(columns);
        numbers.map(|number| bf16::from_le_bytes([number[0], number[1]]).to_f32())
    })
    .collect()
}

/// f32 numbers from their bytes.
pub(super) fn wide(bytes: &[u8]) -> Vec<f32> {
    let numbers = bytes.chunks_exact(4);
    numbers
        .map(|number| f32::from_le_bytes([number[0], number[1], number[2], number[3]]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_numbers_through_gaps() {
        let values: Vec<f32> = (0..15).map(|number| number as f32 - 7.0).collect();
        for columns in [1, 3, 5, 15] {
            let bytes = narrow(&values, columns);
            assert_eq!(bytes.len(), 15 / columns * stride_of(columns) * 2);
            assert_eq!(widen(&bytes, columns), values);
        }
        assert!(narrow(&[], 3).is_empty() && widen(&[], 3).is_empty());
    }
}
