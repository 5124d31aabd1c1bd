//! Cross-attention with one query for each sequence.

use super::attend::padded;
use super::parameters::CrossAttentionOf;
use super::stream::CachedTable;
use super::tensor::{DType, Tensor};
use super::{Cuda, sources, to_i32};
use crate::backend::CrossAttention;
use crate::error::Result;

impl Cuda {
    /// Cross-attention; shapes have been checked.
    pub(super) fn cross_attend(&self, attention: &CrossAttention<'_, Self>) -> Result<Tensor> {
        let read = [attention.queries, attention.memory];
        self.with_inputs(&read, || self.cross_attend_here(attention))
    }

    fn cross_attend_here(&self, attention: &CrossAttention<'_, Self>) -> Result<Tensor> {
        let (heads, head_size) = (attention.heads, attention.head_size);
        // The kernel has room for heads of the sizes that self-attention takes.
        padded(head_size)?;
        let queries = self.as_bf16(attention.queries)?;
        let memory = self.as_bf16(attention.memory)?;
        let out = self.empty(queries.rows, heads * head_size, DType::Bf16)?;
        if queries.rows == 0 || heads == 0 {
            return Ok(out);
        }
        let starts = self.stream.cached(CachedTable::Starts, attention.starts)?;
        let parameters = CrossAttentionOf {
            queries: queries.address(),
            memory: memory.address(),
            starts: starts.address(),
            out: out.address(),
            sequences: to_i32(queries.rows)?,
            heads: to_i32(heads)?,
            head_size: to_i32(head_size)?,
            query_stride: to_i32(queries.stride())?,
            memory_stride: to_i32(memory.stride())?,
            out_stride: to_i32(out.stride())?,
            scale: attention.scale,
            padding: 0,
        };
        let kernel = const { sources::kernel("cross_attention") };
        let grid = [queries.rows, heads, 1];
        self.stream.launch(kernel, grid, 0, &parameters)?;
        Ok(out)
    }
}
