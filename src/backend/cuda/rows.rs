//! What is done to rows one by one: embedding, norms, pooling, conversion.

use super::lane::Kept;
use super::parameters::{
    ABSENT, Convert, Embed, Neighbours, NormParameters, Pool, RowsOf, Unit, pooling as number_of,
};
use super::tensor::{Matrix, Numbers, Tensor, stride_of};
use super::{Cuda, sources, whole};
use crate::backend::Pooling;
use crate::error::{Error, Result};

/// Rows of a block of the kernels of `rows.cu`.
pub(super) const ROWS_OF_BLOCK: usize = 8;
/// Columns of a block of the pooling kernel.
const POOLED_COLUMNS: usize = 256;
/// Tables that one embedding adds up.
const MOST_TABLES: usize = 3;

/// One warp a row.
fn grid_of(rows: usize) -> [usize; 3] {
    [rows.div_ceil(ROWS_OF_BLOCK), 1, 1]
}

/// A tensor that was there, or was made of it.
pub(super) enum Seen<'a> {
    Itself(&'a Tensor),
    Made(Tensor),
}

impl std::ops::Deref for Seen<'_> {
    type Target = Tensor;

    fn deref(&self) -> &Tensor {
        match self {
            Self::Itself(tensor) => tensor,
            Self::Made(tensor) => tensor,
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
        if parts.len() > MOST_TABLES {
            return Err(Error::model(
                "",
                format!(
                    "expected {MOST_TABLES} tables at most, found {}",
                    parts.len()
                ),
            ));
        }
        let (mut tables, mut ids, mut held) = ([ABSENT; 3], [ABSENT; 3], Vec::new());
        for (part, (table, numbers)) in parts.iter().enumerate() {
            let buffer = self.lane.upload(zerocopy::IntoBytes::as_bytes(*numbers))?;
            tables[part] = table.memory.address();
            ids[part] = buffer.address();
            held.push(buffer);
        }
        let out = self.empty(rows, columns, Numbers::Narrow)?;
        let parameters = Embed {
            tables,
            ids,
            out: out.address(),
            norm,
            parts: whole(parts.len())?,
            rows: whole(rows)?,
            columns: whole(columns)?,
            stride: whole(stride_of(columns))?,
        };
        let kernel = const { sources::kernel("embed") };
        self.lane.launch(kernel, grid_of(rows), 0, &parameters)?;
        Ok(out)
    }

    /// norm(x + y).
    pub(super) fn sum_of(
        &self,
        x: &Tensor,
        y: Option<&Tensor>,
        norm: NormParameters,
    ) -> Result<Tensor> {
        let (x, y) = (self.narrowed(x)?, y.map(|y| self.narrowed(y)).transpose()?);
        let out = self.empty(x.rows, x.columns, Numbers::Narrow)?;
        let parameters = RowsOf {
            x: x.address(),
            y: y.as_ref().map_or(ABSENT, |y| y.address()),
            out: out.address(),
            norm,
            rows: whole(x.rows)?,
            columns: whole(x.columns)?,
            stride: whole(x.stride())?,
            unused: 0,
        };
        let kernel = const { sources::kernel("add_norm") };
        self.lane.launch(kernel, grid_of(x.rows), 0, &parameters)?;
        Ok(out)
    }

    /// The numbers as bf16.
    pub(super) fn narrowed<'a>(&self, x: &'a Tensor) -> Result<Seen<'a>> {
        self.as_numbers(x, Numbers::Narrow)
    }

    /// The numbers as f32.
    pub(super) fn widened<'a>(&self, x: &'a Tensor) -> Result<Seen<'a>> {
        self.as_numbers(x, Numbers::Wide)
    }

    fn as_numbers<'a>(&self, x: &'a Tensor, numbers: Numbers) -> Result<Seen<'a>> {
        if x.numbers == numbers {
            return Ok(Seen::Itself(x));
        }
        self.converted(x, numbers).map(Seen::Made)
    }

    fn converted(&self, x: &Tensor, numbers: Numbers) -> Result<Tensor> {
        let out = self.empty(x.rows, x.columns, numbers)?;
        let (kernel, narrow, wide) = match numbers {
            Numbers::Narrow => (
                const { sources::kernel("narrow") },
                out.address(),
                x.address(),
            ),
            Numbers::Wide => (
                const { sources::kernel("widen") },
                x.address(),
                out.address(),
            ),
        };
        let parameters = Convert {
            narrow,
            wide,
            rows: whole(x.rows)?,
            columns: whole(x.columns)?,
            stride: whole(stride_of(x.columns))?,
            unused: 0,
        };
        self.lane.launch(kernel, grid_of(x.rows), 0, &parameters)?;
        Ok(out)
    }

    pub(super) fn neighbours_of(&self, x: &Tensor, starts: &[u32], width: usize) -> Result<Tensor> {
        let x = self.narrowed(x)?;
        let columns = x.columns.checked_mul(width);
        let columns = columns.ok_or_else(|| Error::device("too many neighbours"))?;
        let out = self.empty(x.rows, columns, Numbers::Narrow)?;
        let sequences = starts.len() - 1;
        let starts = self.lane.keep(Kept::Starts, starts)?;
        let parameters = Neighbours {
            x: x.address(),
            starts: starts.address(),
            out: out.address(),
            sequences: whole(sequences)?,
            rows: whole(x.rows)?,
            columns: whole(x.columns)?,
            stride: whole(x.stride())?,
            out_stride: whole(out.stride())?,
            width: whole(width)?,
        };
        let kernel = const { sources::kernel("neighbours") };
        self.lane.launch(kernel, grid_of(x.rows), 0, &parameters)?;
        Ok(out)
    }

    pub(super) fn pooled(&self, x: &Tensor, starts: &[u32], pooling: Pooling) -> Result<Tensor> {
        let x = self.narrowed(x)?;
        let sequences = starts.len() - 1;
        let out = self.empty(sequences, x.columns, Numbers::Wide)?;
        let starts = self.lane.keep(Kept::Starts, starts)?;
        let parameters = Pool {
            x: x.address(),
            starts: starts.address(),
            out: out.address(),
            sequences: whole(sequences)?,
            columns: whole(x.columns)?,
            stride: whole(x.stride())?,
            pooling: number_of(pooling),
        };
        let kernel = const { sources::kernel("pool") };
        let grid = [sequences, x.columns.div_ceil(POOLED_COLUMNS), 1];
        self.lane.launch(kernel, grid, 0, &parameters)?;
        Ok(out)
    }

    pub(super) fn unit_rows_of(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.widened(x)?;
        let out = self.empty(x.rows, x.columns, Numbers::Wide)?;
        let parameters = Unit {
            x: x.address(),
            out: out.address(),
            rows: whole(x.rows)?,
            columns: whole(x.columns)?,
        };
        let kernel = const { sources::kernel("unit_rows") };
        self.lane.launch(kernel, grid_of(x.rows), 0, &parameters)?;
        Ok(out)
    }
}
