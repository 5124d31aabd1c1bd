//! The scalar definition of a product of f32 rows with a panel.

use super::{Tile, WIDTH};

/// Row by row, value by value.
pub(super) fn multiply(
    a: &[f32],
    stride: usize,
    rows: usize,
    depth: usize,
    panel: &[f32],
    tile: &mut Tile,
) {
    let (panel, _) = panel.as_chunks::<WIDTH>();
    let (out, _) = tile.0.as_chunks_mut::<WIDTH>();
    for (row, out) in out.iter_mut().enumerate().take(rows) {
        let mut sums = [0.0; WIDTH];
        for (x, columns) in a[row * stride..][..depth].iter().zip(panel) {
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum += x * column;
            }
        }
        *out = sums;
    }
}
