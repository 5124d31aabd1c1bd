//! Value-wise operations, and gradients of what works row by row or sequence by sequence.

use super::super::parameters::{
    ABSENT, NormParameters, activation as number_of, pooling as number_of_pooling,
};
use super::super::rows::{POOLED_COLUMNS, grid_of};
use super::super::stream::CachedTable;
use super::super::tensor::{DType, stride_of};
use super::super::{Cuda, Tensor, sources, to_i32};
use super::TrainingBuffer;
use super::parameters::{
    ColumnSums, Elements, Im2colBackward, L2NormalizeBackward, NormBackward, PoolBackward, SumParts,
};
use crate::backend::dropout::Dropout;
use crate::backend::{Activation, Pooling};
use crate::error::Result;

/// Rows whose share of a column's sum is computed at once. The number is fixed, so that sums do not
/// depend on the GPU.
const PART_ROWS: usize = 64;
/// Columns per block of the kernel that adds parts.
const SUMMED_COLUMNS: usize = 256;
/// A grid has fewer than 2^16 rows of blocks; the kernels whose rows they are loop over them.
pub(super) const MAX_GRID_ROWS: usize = 32_768;

/// A value-wise operation; the numbers are those of `ElementOperation` in `parameters.cuh`.
#[derive(Clone, Copy, Debug)]
pub(super) enum Element {
    Activate(Activation),
    ActivateBackward(Activation),
    Multiply,
    Dropout(Dropout),
}

impl Cuda {
    /// The operation on x, and on y where it has two operands, in the dtype of x.
    pub(super) fn elements(
        &self,
        element: Element,
        x: &Tensor,
        y: Option<&Tensor>,
    ) -> Result<Tensor> {
        let y = y.map(|y| self.as_dtype(y, x.dtype)).transpose()?;
        let out = self.empty(x.rows, x.columns, x.dtype)?;
        let (operation, activation) = match element {
            Element::Activate(activation) => (0, number_of(activation)),
            Element::ActivateBackward(activation) => (1, number_of(activation)),
            Element::Multiply => (2, 0),
            Element::Dropout(_) => (3, 0),
        };
        let (seed, below, factor) = match element {
            Element::Dropout(dropout) => dropout.parts(),
            _ => (0, 0, 0.0),
        };
        let parameters = Elements {
            x: x.address(),
            y: y.as_ref().map_or(ABSENT, |y| y.address()),
            out: out.address(),
            seed,
            below,
            factor,
            operation,
            activation,
            is_f32: i32::from(x.dtype == DType::F32),
            rows: to_i32(x.rows)?,
            columns: to_i32(x.columns)?,
            stride: to_i32(x.stride())?,
            padding: 0,
        };
        let kernel = const { sources::kernel("elements") };
        self.stream
            .launch(kernel, grid_of(x.rows), 0, &parameters)?;
        Ok(out)
    }

    /// The gradient of a norm at x; adds those of its weight and bias.
    pub(super) fn norm_gradient(
        &self,
        x: &Tensor,
        norm: NormParameters,
        dy: &Tensor,
        weight: &TrainingBuffer,
        bias: Option<&TrainingBuffer>,
    ) -> Result<Tensor> {
        let (x, dy) = (self.as_bf16(x)?, self.as_bf16(dy)?);
        let out = self.empty(x.rows, x.columns, DType::Bf16)?;
        let statistics = self.empty(x.rows, 2, DType::F32)?;
        let parameters = NormBackward {
            x: x.address(),
            dy: dy.address(),
            out: out.address(),
            statistics: statistics.address(),
            norm,
            rows: to_i32(x.rows)?,
            columns: to_i32(x.columns)?,
            stride: to_i32(x.stride())?,
            padding: 0,
        };
        let kernel = const { sources::kernel("norm_backward") };
        self.stream
            .launch(kernel, grid_of(x.rows), 0, &parameters)?;
        self.add_norm_sums(&x, &statistics, &dy, weight, bias)?;
        Ok(out)
    }

    /// Adds the sums of the columns of dy times the normalized rows of x to the gradient of a norm's
    /// weight, and those of dy to that of its bias: of parts of the rows first, then of the parts in
    /// order.
    fn add_norm_sums(
        &self,
        x: &Tensor,
        statistics: &Tensor,
        dy: &Tensor,
        weight: &TrainingBuffer,
        bias: Option<&TrainingBuffer>,
    ) -> Result<()> {
        let (parts, columns) = (dy.rows.div_ceil(PART_ROWS), dy.columns);
        let products = self.empty(parts, columns, DType::F32)?;
        let sums = match bias {
            Some(_) => Some(self.empty(parts, columns, DType::F32)?),
            None => None,
        };
        self.sum_columns(dy, Some((x, statistics)), Some(&products), sums.as_ref())?;
        let weight = self.address_of(weight)?;
        self.add_parts(products.address(), weight, [parts, columns])?;
        if let (Some(sums), Some(bias)) = (&sums, bias) {
            let bias = self.address_of(bias)?;
            self.add_parts(sums.address(), bias, [parts, columns])?;
        }
        Ok(())
    }

    /// The sums of the columns of dy over parts of the rows, and of the products of dy with the
    /// normalized rows of x, given x with its statistics: parts × columns.
    fn sum_columns(
        &self,
        dy: &Tensor,
        x: Option<(&Tensor, &Tensor)>,
        products: Option<&Tensor>,
        sums: Option<&Tensor>,
    ) -> Result<()> {
        let address = |tensor: Option<&Tensor>| tensor.map_or(ABSENT, Tensor::address);
        let parameters = ColumnSums {
            x: address(x.map(|(x, _)| x)),
            dy: dy.address(),
            statistics: address(x.map(|(_, statistics)| statistics)),
            products: address(products),
            sums: address(sums),
            rows: to_i32(dy.rows)?,
            columns: to_i32(dy.columns)?,
            stride: to_i32(dy.stride())?,
            part: to_i32(PART_ROWS)?,
        };
        let kernel = const { sources::kernel("column_sums") };
        let parts = dy.rows.div_ceil(PART_ROWS);
        let grid = [parts, dy.columns.div_ceil(POOLED_COLUMNS), 1];
        self.stream.launch(kernel, grid, 0, &parameters)
    }

    /// The sums of the columns of dy, which is bf16, over parts of its rows: parts × columns.
    pub(super) fn column_sums(&self, dy: &Tensor) -> Result<Tensor> {
        let parts = dy.rows.div_ceil(PART_ROWS);
        let sums = self.empty(parts, dy.columns, DType::F32)?;
        self.sum_columns(dy, None, None, Some(&sums))?;
        Ok(sums)
    }

    /// Adds parts × columns values to as many columns, in the order of the parts.
    pub(super) fn add_parts(
        &self,
        parts: u64,
        out: u64,
        [count, columns]: [usize; 2],
    ) -> Result<()> {
        let parameters = SumParts {
            parts,
            out,
            part_size: columns as i64,
            out_batch: 0,
            count: to_i32(count)?,
            rows: 1,
            columns: to_i32(columns)?,
            stride: 0,
            out_stride: 0,
            out_column: 1,
        };
        self.sum_parts(&parameters, 1)
    }

    /// Adds parts of `batch` results.
    pub(super) fn sum_parts(&self, parameters: &SumParts, batch: usize) -> Result<()> {
        let (rows, columns) = (parameters.rows as usize, parameters.columns as usize);
        let grid = [
            columns.div_ceil(SUMMED_COLUMNS),
            rows.min(MAX_GRID_ROWS),
            batch,
        ];
        let kernel = const { sources::kernel("sum_parts") };
        self.stream.launch(kernel, grid, 0, parameters)
    }

    pub(super) fn l2_gradient(&self, x: &Tensor, dy: &Tensor) -> Result<Tensor> {
        let (x, dy) = (self.as_f32(x)?, self.as_f32(dy)?);
        let out = self.empty(x.rows, x.columns, DType::F32)?;
        let parameters = L2NormalizeBackward {
            x: x.address(),
            dy: dy.address(),
            out: out.address(),
            rows: to_i32(x.rows)?,
            columns: to_i32(x.columns)?,
        };
        let kernel = const { sources::kernel("l2_normalize_backward") };
        self.stream
            .launch(kernel, grid_of(x.rows), 0, &parameters)?;
        Ok(out)
    }

    pub(super) fn pool_gradient(
        &self,
        x: &Tensor,
        starts: &[u32],
        pooling: Pooling,
        dy: &Tensor,
    ) -> Result<Tensor> {
        let (x, dy) = (self.as_bf16(x)?, self.as_f32(dy)?);
        let out = self.empty(x.rows, x.columns, DType::Bf16)?;
        let sequences = starts.len() - 1;
        let starts = self.stream.cached(CachedTable::Starts, starts)?;
        let parameters = PoolBackward {
            x: x.address(),
            dy: dy.address(),
            starts: starts.address(),
            out: out.address(),
            sequences: to_i32(sequences)?,
            columns: to_i32(x.columns)?,
            stride: to_i32(x.stride())?,
            pooling: number_of_pooling(pooling),
        };
        let kernel = const { sources::kernel("pool_backward") };
        let grid = [sequences, x.columns.div_ceil(POOLED_COLUMNS), 1];
        self.stream.launch(kernel, grid, 0, &parameters)?;
        Ok(out)
    }

    pub(super) fn im2col_gradient(
        &self,
        dy: &Tensor,
        starts: &[u32],
        width: usize,
    ) -> Result<Tensor> {
        let dy = self.as_bf16(dy)?;
        let columns = dy.columns / width;
        let out = self.empty(dy.rows, columns, DType::Bf16)?;
        let sequences = starts.len() - 1;
        let starts = self.stream.cached(CachedTable::Starts, starts)?;
        let parameters = Im2colBackward {
            dy: dy.address(),
            starts: starts.address(),
            out: out.address(),
            sequences: to_i32(sequences)?,
            rows: to_i32(dy.rows)?,
            columns: to_i32(columns)?,
            stride: to_i32(dy.stride())?,
            out_stride: to_i32(stride_of(columns))?,
            width: to_i32(width)?,
        };
        let kernel = const { sources::kernel("im2col_backward") };
        self.stream
            .launch(kernel, grid_of(dy.rows), 0, &parameters)?;
        Ok(out)
    }
}
