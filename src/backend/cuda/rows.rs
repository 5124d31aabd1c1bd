//! Row-wise operations: embedding, norms, pooling, conversion.

use super::parameters::{
    ABSENT, Convert, Embed, Im2col, L2Normalize, NormParameters, Pool, RowsOf, pooling as number_of,
};
use super::stream::CachedTable;
use super::tensor::{DType, Matrix, Tensor, stride_of};
use super::{Cuda, sources, to_i32};
use crate::backend::Pooling;
use crate::error::{Error, Result};

/// Rows per block of the kernels of `rows.cu`.
pub(super) const ROWS_OF_BLOCK: usize = 8;
/// Columns per block of the pooling kernel.
pub(super) const POOLED_COLUMNS: usize = 256;
/// The maximum number of tables in one embedding.
const MAX_TABLES: usize = 3;

/// One warp per row.
pub(super) fn grid_of(rows: usize) -> [usize; 3] {
    [rows.div_ceil(ROWS_OF_BLOCK), 1, 1]
}

/// A tensor, or a converted copy of it.
pub(super) enum Converted<'a> {
    Borrowed(&'a Tensor),
    Owned(Tensor),
}

impl std::ops::Deref for Converted<'_> {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        match self {
            Self::Borrowed(tensor) => tensor,
            Self::Owned(tensor) => tensor,
        }
    }
}

impl Cuda {
    pub(super) fn embed_rows(
        &self,
        parts: &[(&Matrix, &[u32])],
        norm: NormParameters,
        rows: usize,
        columns: usize,
    ) -> Result<Tensor> {
        if parts.len() > MAX_TABLES {
            return Err(Error::model(
                "",
                format!(
                    "expected at most {MAX_TABLES} tables, found {}",
                    parts.len()
                ),
            ));
        }
        let (mut tables, mut ids, mut held) = ([ABSENT; 3], [ABSENT; 3], Vec::new());
        for (part, (table, part_ids)) in parts.iter().enumerate() {
            let buffer = self
                .stream
                .upload(zerocopy::IntoBytes::as_bytes(*part_ids))?;
            tables[part] = table.memory.address();
            ids[part] = buffer.address();
            held.push(buffer);
        }
        let out = self.empty(rows, columns, DType::Bf16)?;
        let parameters = Embed {
            tables,
            ids,
            out: out.address(),
            norm,
            parts: to_i32(parts.len())?,
            rows: to_i32(rows)?,
            columns: to_i32(columns)?,
            stride: to_i32(stride_of(columns))?,
        };
        let kernel = const { sources::kernel("embed") };
        self.stream.launch(kernel, grid_of(rows), 0, &parameters)?;
        Ok(out)
    }

    /// norm(x + y).
    pub(super) fn sum_of(
        &self,
        x: &Tensor,
        y: Option<&Tensor>,
        norm: NormParameters,
    ) -> Result<Tensor> {
        let (x, y) = (self.as_bf16(x)?, y.map(|y| self.as_bf16(y)).transpose()?);
        let out = self.empty(x.rows, x.columns, DType::Bf16)?;
        let parameters = RowsOf {
            x: x.address(),
            y: y.as_ref().map_or(ABSENT, |y| y.address()),
            out: out.address(),
            norm,
            rows: to_i32(x.rows)?,
            columns: to_i32(x.columns)?,
            stride: to_i32(x.stride())?,
            padding: 0,
        };
        let kernel = const { sources::kernel("add_norm") };
        self.stream
            .launch(kernel, grid_of(x.rows), 0, &parameters)?;
        Ok(out)
    }

    /// The tensor as bf16.
    pub(super) fn as_bf16<'a>(&self, x: &'a Tensor) -> Result<Converted<'a>> {
        self.as_dtype(x, DType::Bf16)
    }

    /// The tensor as f32.
    pub(super) fn as_f32<'a>(&self, x: &'a Tensor) -> Result<Converted<'a>> {
        self.as_dtype(x, DType::F32)
    }

    /// The tensor in this dtype.
    pub(super) fn as_dtype<'a>(&self, x: &'a Tensor, dtype: DType) -> Result<Converted<'a>> {
        if x.dtype == dtype {
            return Ok(Converted::Borrowed(x));
        }
        self.convert(x, dtype).map(Converted::Owned)
    }

    pub(super) fn convert(&self, x: &Tensor, dtype: DType) -> Result<Tensor> {
        let out = self.empty(x.rows, x.columns, dtype)?;
        let (kernel, bf16_rows, f32_rows) = match dtype {
            DType::Bf16 => (
                const { sources::kernel("f32_to_bf16") },
                out.address(),
                x.address(),
            ),
            DType::F32 => (
                const { sources::kernel("bf16_to_f32") },
                x.address(),
                out.address(),
            ),
        };
        let parameters = Convert {
            bf16_rows,
            f32_rows,
            rows: to_i32(x.rows)?,
            columns: to_i32(x.columns)?,
            stride: to_i32(stride_of(x.columns))?,
            padding: 0,
        };
        self.stream
            .launch(kernel, grid_of(x.rows), 0, &parameters)?;
        Ok(out)
    }

    pub(super) fn im2col_of(&self, x: &Tensor, starts: &[u32], width: usize) -> Result<Tensor> {
        let x = self.as_bf16(x)?;
        let columns = x.columns.checked_mul(width);
        let columns = columns.ok_or_else(|| Error::device("im2col: too many columns"))?;
        let out = self.empty(x.rows, columns, DType::Bf16)?;
        let sequences = starts.len() - 1;
        let starts = self.stream.cached(CachedTable::Starts, starts)?;
        let parameters = Im2col {
            x: x.address(),
            starts: starts.address(),
            out: out.address(),
            sequences: to_i32(sequences)?,
            rows: to_i32(x.rows)?,
            columns: to_i32(x.columns)?,
            stride: to_i32(x.stride())?,
            out_stride: to_i32(out.stride())?,
            width: to_i32(width)?,
        };
        let kernel = const { sources::kernel("im2col") };
        self.stream
            .launch(kernel, grid_of(x.rows), 0, &parameters)?;
        Ok(out)
    }

    pub(super) fn pooled(&self, x: &Tensor, starts: &[u32], pooling: Pooling) -> Result<Tensor> {
        let x = self.as_bf16(x)?;
        let sequences = starts.len() - 1;
        let out = self.empty(sequences, x.columns, DType::F32)?;
        let starts = self.stream.cached(CachedTable::Starts, starts)?;
        let parameters = Pool {
            x: x.address(),
            starts: starts.address(),
            out: out.address(),
            sequences: to_i32(sequences)?,
            columns: to_i32(x.columns)?,
            stride: to_i32(x.stride())?,
            pooling: number_of(pooling),
        };
        let kernel = const { sources::kernel("pool") };
        let grid = [sequences, x.columns.div_ceil(POOLED_COLUMNS), 1];
        self.stream.launch(kernel, grid, 0, &parameters)?;
        Ok(out)
    }

    pub(super) fn l2_normalize_of(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.as_f32(x)?;
        let out = self.empty(x.rows, x.columns, DType::F32)?;
        let parameters = L2Normalize {
            x: x.address(),
            out: out.address(),
            rows: to_i32(x.rows)?,
            columns: to_i32(x.columns)?,
        };
        let kernel = const { sources::kernel("l2_normalize") };
        self.stream
            .launch(kernel, grid_of(x.rows), 0, &parameters)?;
        Ok(out)
    }
}
