//! Late interaction, and im2col.

use std::ops::Range;

use super::multiply::{Layout, Multiply, Sink};
use super::simd::{Tile, WIDTH};
use super::{Cpu, Matrix, Tensor};

impl Cpu {
    /// The MaxSim of a query with each document. Shapes have been checked.
    pub(super) fn max_sim_scores(
        &self,
        query: &Tensor,
        documents: &Tensor,
        starts: &[u32],
    ) -> Vec<f32> {
        // The rows of the query are packed as outputs, so that one panel product covers 32 of them.
        let matrix = Matrix::pack(query.rows(), query.columns(), query.values(), None);
        let parts = self.par_ranges(starts.len() - 1, |sequences| {
            let scores = sequences.map(|sequence| {
                let rows = starts[sequence] as usize..starts[sequence + 1] as usize;
                let initial = if rows.is_empty() {
                    0.0
                } else {
                    f32::NEG_INFINITY
                };
                let mut max = RowMax {
                    products: vec![initial; matrix.panels() * WIDTH],
                };
                Multiply {
                    level: self.level,
                    values: documents.values(),
                    layout: Layout::Rows,
                    columns: documents.columns(),
                    rows,
                    matrix: &matrix,
                    panels: 0..matrix.panels(),
                    sink: &mut max,
                }
                .run();
                max.products[..query.rows()].iter().sum::<f32>()
            });
            scores.collect::<Vec<_>>()
        });
        parts.concat()
    }

    /// Each row side by side with its neighbors in the same sequence. `width` is odd.
    pub(super) fn im2col_of(&self, x: &Tensor, starts: &[u32], width: usize) -> Tensor {
        let columns = x.columns();
        let mut out = self.buffers.tensor(x.rows(), columns * width);
        let mut rows = out.values_mut().chunks_exact_mut((columns * width).max(1));
        for pair in starts.windows(2) {
            let sequence = pair[0] as usize..pair[1] as usize;
            for (row, out) in sequence.clone().zip(&mut rows) {
                for (place, out) in out.chunks_exact_mut(columns.max(1)).enumerate() {
                    match (row + place).checked_sub(width / 2) {
                        Some(neighbour) if sequence.contains(&neighbour) => {
                            out.copy_from_slice(x.row(neighbour));
                        }
                        _ => out.fill(0.0),
                    }
                }
            }
        }
        out
    }
}

/// The maximum product of each row of the query.
struct RowMax {
    products: Vec<f32>,
}

impl Sink for RowMax {
    #[inline(always)]
    fn take<const FUSED: bool>(&mut self, rows: Range<usize>, columns: Range<usize>, tile: &Tile) {
        for index in 0..rows.len() {
            let products = tile.row(index);
            for (max, product) in self.products[columns.clone()].iter_mut().zip(products) {
                *max = max.max(*product);
            }
        }
    }
}
