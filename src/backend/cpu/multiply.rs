//! Products of activations with packed weights, tile by tile; a [`Sink`] consumes the tiles.
//!
//! A panel of weights is read from the L3 cache once per chunk of rows, and the chunk from the L2
//! cache once per panel: see "Anatomy of high-performance matrix multiplication" (Goto and van de
//! Geijn, 2008).

use std::cell::RefCell;
use std::ops::Range;

#[cfg(feature = "train")]
use super::matrix::pack_columns;
use super::matrix::{Aligned, Form, Matrix, pack_rows};
use super::simd::{BLOCK, Bf16Unit, DEPTH, Level, Task, Tile, WIDTH};

/// Bytes of activations that stay in the L2 cache while panels stream by.
const CHUNK_BYTES: usize = 512 << 10;

thread_local! {
    /// Rows rounded to bf16.
    static ROUNDED: RefCell<Aligned<u16>> = RefCell::default();
}

/// Consumes tiles.
pub(super) trait Sink {
    /// Takes the products of `rows` with `columns`, which start at the first row and column of the
    /// tile. Must be `#[inline(always)]`.
    fn take<const FUSED: bool>(&mut self, rows: Range<usize>, columns: Range<usize>, tile: &Tile);
}

/// How the activations of a product lie in memory.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// Row after row.
    Rows,
    /// Transposed: the rows of the product are columns of rows of this many values.
    #[cfg(feature = "train")]
    Columns(usize),
}

/// A product of activations with panels of weights.
pub(super) struct Multiply<'a, S> {
    pub level: Level,
    /// All rows, `columns` values each, or their transpose.
    pub values: &'a [f32],
    /// Columns for bf16 weights only.
    pub layout: Layout,
    pub columns: usize,
    /// The rows to multiply.
    pub rows: Range<usize>,
    pub matrix: &'a Matrix,
    /// The panels to multiply with.
    pub panels: Range<usize>,
    pub sink: &'a mut S,
}

impl<S: Sink> Multiply<'_, S> {
    /// Runs the product at its SIMD level.
    pub fn run(self) {
        self.level.run(self);
    }

    #[inline(always)]
    fn f32<const FUSED: bool>(self, weights: &[f32]) {
        debug_assert!(matches!(self.layout, Layout::Rows));
        let (depth, outputs) = (self.columns, self.matrix.outputs());
        let chunk_rows = (CHUNK_BYTES / (4 * depth.max(1))).max(2 * self.level.rows());
        let mut tile = Tile::new();
        let mut first = self.rows.start;
        while first < self.rows.end {
            let chunk = first_even_chunk(first..self.rows.end, chunk_rows);
            // Panels inside chunks: the chunk stays in the L2 cache, each panel streams through.
            for panel in self.panels.clone() {
                let panel_values = &weights[panel * depth * WIDTH..][..depth * WIDTH];
                let columns = panel * WIDTH..outputs.min((panel + 1) * WIDTH);
                let mut row = chunk.start;
                while row < chunk.end {
                    let block = first_even_chunk(row..chunk.end, self.level.rows());
                    let values = &self.values[block.start * depth..block.end * depth];
                    self.level
                        .multiply(values, depth, block.len(), depth, panel_values, &mut tile);
                    self.sink
                        .take::<FUSED>(block.clone(), columns.clone(), &tile);
                    row = block.end;
                }
            }
            first = chunk.end;
        }
    }

    #[inline(always)]
    fn bf16<const FUSED: bool>(self, unit: Bf16Unit, weights: &[u16], rounded: &mut Aligned<u16>) {
        let (depth, outputs) = (self.columns, self.matrix.outputs());
        let steps = depth.div_ceil(DEPTH);
        let panel_len = steps * WIDTH * DEPTH;
        let tile_rows = unit.row_blocks() * BLOCK;
        let chunk_rows = (CHUNK_BYTES / (2 * depth.max(1)) / tile_rows).max(1) * tile_rows;
        let _prepared = unit.prepare();
        let mut tile = Tile::new();
        #[cfg(feature = "train")]
        if let Layout::Columns(stride) = self.layout {
            // All at once: each row of `values` is read once, from its first column to its last.
            let values = &self.values[self.rows.start..];
            pack_columns(
                unit,
                self.level,
                values,
                (depth, stride),
                self.rows.len(),
                rounded,
            );
        }
        for first in self.rows.clone().step_by(chunk_rows) {
            let chunk = first..self.rows.end.min(first + chunk_rows);
            let begin = match self.layout {
                Layout::Rows => {
                    let values = &self.values[chunk.start * depth..chunk.end * depth];
                    pack_rows(unit, values, depth, depth, chunk.len(), rounded);
                    0
                }
                #[cfg(feature = "train")]
                Layout::Columns(_) => (first - self.rows.start) * steps * DEPTH,
            };
            let len = chunk.len().next_multiple_of(BLOCK) * steps * DEPTH;
            let rounded = &rounded.as_ref()[begin..begin + len];
            for panel in self.panels.clone() {
                let panel_values = &weights[panel * panel_len..][..panel_len];
                let columns = panel * WIDTH..outputs.min((panel + 1) * WIDTH);
                for (index, blocks) in rounded.chunks(tile_rows * steps * DEPTH).enumerate() {
                    let count = blocks.len() / (BLOCK * steps * DEPTH);
                    unit.multiply(blocks, count, steps, panel_values, &mut tile);
                    let row = chunk.start + index * tile_rows;
                    let rows = row..chunk.end.min(row + tile_rows);
                    self.sink.take::<FUSED>(rows, columns.clone(), &tile);
                }
            }
        }
    }
}

impl<S: Sink> Task for Multiply<'_, S> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        if self.columns == 0 || self.rows.is_empty() {
            return;
        }
        match self.matrix.form() {
            Form::F32(weights) => self.f32::<FUSED>(weights.as_ref()),
            Form::Bf16(unit, weights) => {
                // Taken rather than borrowed in a closure: closures do not inherit the target
                // features.
                let mut rounded = ROUNDED.take();
                self.bf16::<FUSED>(*unit, weights.as_ref(), &mut rounded);
                ROUNDED.set(rounded);
            }
        }
    }
}

/// The first of the fewest nearly equal ranges of at most `most` that make up `range`.
#[inline(always)]
pub(super) fn first_even_chunk(range: Range<usize>, most: usize) -> Range<usize> {
    let pieces = range.len().div_ceil(most).max(1);
    range.start..range.start + range.len().div_ceil(pieces)
}
