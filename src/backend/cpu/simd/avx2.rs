//! Products of f32 rows with a panel, AVX2: up to 6 rows, 16 columns at a time.

use std::arch::x86_64::{
    __m256, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_setzero_ps,
    _mm256_store_ps,
};

use super::{Tile, WIDTH};

/// # Safety
///
/// - The CPU has AVX2 and FMA.
/// - `rows` is at most 6; `a` has `rows` rows of `depth` values, `stride` apart, and `panel`
///   `depth` times [`WIDTH`] values.
#[target_feature(enable = "avx2,fma")]
pub(super) unsafe fn multiply(
    a: &[f32],
    stride: usize,
    rows: usize,
    depth: usize,
    panel: &[f32],
    tile: &mut Tile,
) {
    for half in [0, WIDTH / 2] {
        macro_rules! by_rows {
            ($($rows:literal)*) => {
                match rows {
                    // SAFETY: guaranteed by the caller, for this number of rows.
                    $($rows => unsafe { multiply_rows::<$rows>(a, stride, depth, panel, half, tile) },)*
                    _ => {}
                }
            };
        }
        by_rows!(1 2 3 4 5 6);
    }
}

/// # Safety
///
/// As [`multiply`], with `ROWS` rows; `half` is 0 or 16, the first column.
#[target_feature(enable = "avx2,fma")]
unsafe fn multiply_rows<const ROWS: usize>(
    a: &[f32],
    stride: usize,
    depth: usize,
    panel: &[f32],
    half: usize,
    tile: &mut Tile,
) {
    let mut sums: [[__m256; 2]; ROWS] = [[_mm256_setzero_ps(); 2]; ROWS];
    let (a, panel) = (a.as_ptr(), panel.as_ptr());
    for step in 0..depth {
        // SAFETY: both pointers stay in bounds, as the caller guarantees.
        unsafe {
            let columns = panel.add(step * WIDTH + half);
            let columns = [_mm256_loadu_ps(columns), _mm256_loadu_ps(columns.add(8))];
            for (row, sums) in sums.iter_mut().enumerate() {
                let x = _mm256_broadcast_ss(&*a.add(row * stride + step));
                sums[0] = _mm256_fmadd_ps(x, columns[0], sums[0]);
                sums[1] = _mm256_fmadd_ps(x, columns[1], sums[1]);
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let out = tile.0[row * WIDTH + half..][..WIDTH / 2].as_mut_ptr();
        // SAFETY: half a row has 16 values and starts at a multiple of 64 bytes.
        unsafe {
            _mm256_store_ps(out, sums[0]);
            _mm256_store_ps(out.add(8), sums[1]);
        }
    }
}
