//! Tensors and parameters in GPU memory.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use half::bf16;

use super::device::{Address, TensorMap};
use super::memory::Memory;
use super::stream::Buffer;

/// Rows start at multiples of this many bf16 values, which are 16 bytes.
const ALIGNED: usize = 8;

/// bf16 elements from row to row.
pub(super) fn stride_of(columns: usize) -> usize {
    columns.next_multiple_of(ALIGNED)
}

/// The dtype of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DType {
    /// bf16 with rows padded to [`stride_of`] the columns: activations between layers.
    Bf16,
    /// f32 without padding: pooled vectors and what follows.
    F32,
}

/// Activations on the GPU: rows × columns.
pub struct Tensor {
    pub(super) buffer: Buffer,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) dtype: DType,
}

impl Tensor {
    pub(super) fn address(&self) -> Address {
        self.buffer.address()
    }

    pub(in crate::backend) fn shape(&self) -> (usize, usize) {
        (self.rows, self.columns)
    }

    /// Elements from row to row.
    pub(super) fn stride(&self) -> usize {
        stride(self.columns, self.dtype)
    }
}

/// Elements from row to row.
pub(super) fn stride(columns: usize, dtype: DType) -> usize {
    match dtype {
        DType::Bf16 => stride_of(columns),
        DType::F32 => columns,
    }
}

/// The size of `rows` rows.
pub(super) fn bytes(rows: usize, columns: usize, dtype: DType) -> usize {
    let size = match dtype {
        DType::Bf16 => size_of::<u16>(),
        DType::F32 => size_of::<f32>(),
    };
    rows * stride(columns, dtype) * size
}

/// The weight of a linear layer, or an embedding table: bf16, permanent.
pub struct Matrix {
    pub(super) memory: Memory,
    pub(super) rows: usize,
    pub(super) columns: usize,
    /// Its tensor maps for boxes of 128, 192 and 256 rows, encoded on first use.
    pub(super) maps: [OnceLock<TensorMap>; 3],
}

impl Matrix {
    pub(super) fn stride(&self) -> usize {
        stride_of(self.columns)
    }
}

/// A parameter row: f32, permanent.
pub struct Vector {
    pub(super) memory: Memory,
    pub(super) len: usize,
    /// A host copy, from which some operations compute tables; none if nothing has read a newly
    /// packed row yet.
    pub(super) host: OnceLock<Arc<[f32]>>,
    /// Some operation has read the host copy.
    pub(super) is_read: AtomicBool,
}

impl Vector {
    /// A row without a host copy.
    pub(super) fn new(memory: Memory, len: usize) -> Self {
        Self {
            memory,
            len,
            host: OnceLock::new(),
            is_read: AtomicBool::new(false),
        }
    }
}

/// Encodes bf16 rows, padded with zeros to their stride.
pub(super) fn encode_bf16(values: &[f32], columns: usize) -> Vec<u8> {
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

/// Decodes bf16 rows with padding.
pub(super) fn decode_bf16(bytes: &[u8], columns: usize) -> Vec<f32> {
    let stride = stride_of(columns).max(1) * 2;
    let rows = bytes.chunks_exact(stride);
    rows.flat_map(|row| {
        let elements = row.chunks_exact(2).take(columns);
        elements.map(|bytes| bf16::from_le_bytes([bytes[0], bytes[1]]).to_f32())
    })
    .collect()
}

/// Decodes f32 values.
pub(super) fn decode_f32(bytes: &[u8]) -> Vec<f32> {
    let elements = bytes.chunks_exact(4);
    elements
        .map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_numbers_through_gaps() {
        let values: Vec<f32> = (0..15).map(|number| number as f32 - 7.0).collect();
        for columns in [1, 3, 5, 15] {
            let bytes = encode_bf16(&values, columns);
            assert_eq!(bytes.len(), 15 / columns * stride_of(columns) * 2);
            assert_eq!(decode_bf16(&bytes, columns), values);
        }
        assert!(encode_bf16(&[], 3).is_empty() && decode_bf16(&[], 3).is_empty());
    }
}
