//! Products of f32 rows with a panel, AVX-512: up to 14 rows, two accumulator registers each.

use std::arch::x86_64::{
    __m512, _MM_HINT_T0, _mm_prefetch, _mm512_castpd_ps, _mm512_castps_pd, _mm512_fmadd_ps,
    _mm512_loadu_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_store_ps,
    _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
    _mm512_unpacklo_ps,
};

use super::{Tile, WIDTH};

/// Prefetch distance in rows of the panel. For a few tokens the panel comes from the L3 cache,
/// whose latency this hides.
const PREFETCH_ROWS: usize = 32;

/// # Safety
///
/// - The CPU has AVX-512 F.
/// - `rows` is at most 14; `a` has `rows` rows of `depth` values, `stride` apart, and `panel`
///   `depth` times [`WIDTH`] values.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn multiply(
    a: &[f32],
    stride: usize,
    rows: usize,
    depth: usize,
    panel: &[f32],
    tile: &mut Tile,
) {
    macro_rules! by_rows {
        ($($rows:literal)*) => {
            match rows {
                // SAFETY: guaranteed by the caller, for this number of rows.
                $($rows => unsafe { multiply_rows::<$rows>(a, stride, depth, panel, tile) },)*
                _ => {}
            }
        };
    }
    by_rows!(1 2 3 4 5 6 7 8 9 10 11 12 13 14);
}

/// # Safety
///
/// As [`multiply`], with `ROWS` rows.
#[target_feature(enable = "avx512f")]
unsafe fn multiply_rows<const ROWS: usize>(
    a: &[f32],
    stride: usize,
    depth: usize,
    panel: &[f32],
    tile: &mut Tile,
) {
    let mut sums: [[__m512; 2]; ROWS] = [[_mm512_setzero_ps(); 2]; ROWS];
    let (mut a, mut panel) = (a.as_ptr(), panel.as_ptr());
    for _ in 0..depth {
        // SAFETY: `panel` and `a` advance by what one step reads and stay in bounds, as the caller
        // guarantees.
        unsafe {
            let columns = [_mm512_loadu_ps(panel), _mm512_loadu_ps(panel.add(16))];
            let later = panel.wrapping_add(PREFETCH_ROWS * WIDTH);
            _mm_prefetch::<_MM_HINT_T0>(later.cast());
            _mm_prefetch::<_MM_HINT_T0>(later.wrapping_add(16).cast());
            for (row, sums) in sums.iter_mut().enumerate() {
                let x = _mm512_set1_ps(*a.add(row * stride));
                sums[0] = _mm512_fmadd_ps(x, columns[0], sums[0]);
                sums[1] = _mm512_fmadd_ps(x, columns[1], sums[1]);
            }
            panel = panel.add(WIDTH);
            a = a.add(1);
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let out = tile.0[row * WIDTH..][..WIDTH].as_mut_ptr();
        // SAFETY: the row has 32 values, and tiles and their rows start at multiples of 64 bytes.
        unsafe {
            _mm512_store_ps(out, sums[0]);
            _mm512_store_ps(out.add(16), sums[1]);
        }
    }
}

/// Transposes 16 × 16 values: first the 4 × 4 blocks in place, then the blocks.
///
/// # Safety
///
/// - The CPU has AVX-512 F.
/// - `a` has 16 values at each of 0, `stride`, …, 15 · `stride`; `out` at each of 0, [`WIDTH`], …,
///   15 · [`WIDTH`].
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn transpose(a: &[f32], stride: usize, out: &mut [f32]) {
    let (a, out) = (a.as_ptr(), out.as_mut_ptr());
    // SAFETY: the rows are in bounds, as the caller guarantees.
    let rows: [__m512; 16] =
        std::array::from_fn(|row| unsafe { _mm512_loadu_ps(a.add(row * stride)) });
    let mut quarters = [_mm512_setzero_ps(); 16];
    for four in 0..4 {
        let [a, b, c, d] = [
            rows[4 * four],
            rows[4 * four + 1],
            rows[4 * four + 2],
            rows[4 * four + 3],
        ];
        let (ab_low, ab_high) = (_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        let (cd_low, cd_high) = (_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
        let low = |ab, cd| {
            _mm512_castpd_ps(_mm512_unpacklo_pd(
                _mm512_castps_pd(ab),
                _mm512_castps_pd(cd),
            ))
        };
        let high = |ab, cd| {
            _mm512_castpd_ps(_mm512_unpackhi_pd(
                _mm512_castps_pd(ab),
                _mm512_castps_pd(cd),
            ))
        };
        // Column 4 q + i of these rows is quarter q of `quarters[4 i + four]`.
        quarters[four] = low(ab_low, cd_low);
        quarters[4 + four] = high(ab_low, cd_low);
        quarters[8 + four] = low(ab_high, cd_high);
        quarters[12 + four] = high(ab_high, cd_high);
    }
    for i in 0..4 {
        let [a, b, c, d] = [
            quarters[4 * i],
            quarters[4 * i + 1],
            quarters[4 * i + 2],
            quarters[4 * i + 3],
        ];
        let (ab_even, ab_odd) = (
            _mm512_shuffle_f32x4::<0x88>(a, b),
            _mm512_shuffle_f32x4::<0xdd>(a, b),
        );
        let (cd_even, cd_odd) = (
            _mm512_shuffle_f32x4::<0x88>(c, d),
            _mm512_shuffle_f32x4::<0xdd>(c, d),
        );
        let columns = [
            _mm512_shuffle_f32x4::<0x88>(ab_even, cd_even),
            _mm512_shuffle_f32x4::<0x88>(ab_odd, cd_odd),
            _mm512_shuffle_f32x4::<0xdd>(ab_even, cd_even),
            _mm512_shuffle_f32x4::<0xdd>(ab_odd, cd_odd),
        ];
        for (quarter, column) in columns.into_iter().enumerate() {
            // SAFETY: the columns are in bounds, as the caller guarantees.
            unsafe { _mm512_storeu_ps(out.add((4 * quarter + i) * WIDTH), column) };
        }
    }
}
