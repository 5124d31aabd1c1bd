//! Products of bf16 rows with a panel, AVX-512 BF16: one pair of values at a time.

use std::arch::x86_64::{
    __m256bh, __m256i, __m512, __m512bh, __m512i, _mm256_storeu_si256, _mm512_cvtne2ps_pbh,
    _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_setzero_ps, _mm512_store_ps, _mm512_storeu_si512,
};
#[cfg(feature = "train")]
use std::arch::x86_64::{_mm512_cvtepu16_epi32, _mm512_or_si512, _mm512_slli_epi32};
use std::mem::transmute;

use super::{BLOCK, DEPTH, Tile, WIDTH};

/// Rows per inner loop: half a block.
const ROWS: usize = 8;

/// # Safety
///
/// - The CPU has AVX-512 F and BF16.
/// - `a` has `blocks` (at most 2) times `steps` blocks of rows, `panel` `steps` pairs of blocks of
///   columns.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn multiply(
    a: &[u16],
    blocks: usize,
    steps: usize,
    panel: &[u16],
    tile: &mut Tile,
) {
    for first in (0..blocks * BLOCK).step_by(ROWS) {
        let rows = &a[first / BLOCK * steps * BLOCK * DEPTH + first % BLOCK * DEPTH..];
        // SAFETY: `rows` starts at a row of a block that has 8 rows left in each block; the rest is
        // guaranteed by the caller.
        unsafe { multiply_rows(rows, steps, panel, &mut tile.0[first * WIDTH..]) };
    }
}

/// # Safety
///
/// - The CPU has AVX-512 F and BF16.
/// - `a` starts at a row of a block that has [`ROWS`] rows left, and `steps` blocks follow; `out`
///   has room for [`ROWS`] rows of products.
#[target_feature(enable = "avx512f,avx512bf16")]
unsafe fn multiply_rows(a: &[u16], steps: usize, panel: &[u16], out: &mut [f32]) {
    let mut sums: [[__m512; 2]; ROWS] = [[_mm512_setzero_ps(); 2]; ROWS];
    let (a, panel) = (a.as_ptr(), panel.as_ptr());
    for step in 0..steps {
        for pair in 0..DEPTH / 2 {
            // SAFETY: a block has 512 values, a pair of columns 32; both pointers stay in bounds,
            // as the caller guarantees.
            unsafe {
                let columns = panel.add(step * WIDTH * DEPTH + pair * 2 * BLOCK);
                let columns = [
                    bits(_mm512_loadu_si512(columns.cast())),
                    bits(_mm512_loadu_si512(columns.add(BLOCK * DEPTH).cast())),
                ];
                let rows = a.add(step * BLOCK * DEPTH + pair * 2);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let two = rows.add(row * DEPTH).cast::<i32>().read_unaligned();
                    let x = bits(_mm512_set1_epi32(two));
                    sums[0] = _mm512_dpbf16_ps(sums[0], x, columns[0]);
                    sums[1] = _mm512_dpbf16_ps(sums[1], x, columns[1]);
                }
            }
        }
    }
    for (row, sums) in sums.iter().enumerate() {
        let out = out[row * WIDTH..][..WIDTH].as_mut_ptr();
        // SAFETY: the row has 32 values, and rows of tiles start at multiples of 64 bytes.
        unsafe {
            _mm512_store_ps(out, sums[0]);
            _mm512_store_ps(out.add(16), sums[1]);
        }
    }
}

/// Reinterprets the bits as 32 bf16 values.
#[target_feature(enable = "avx512f")]
fn bits(register: __m512i) -> __m512bh {
    // SAFETY: both are 512 bits, and every bit pattern is valid in both.
    unsafe { transmute::<__m512i, __m512bh>(register) }
}

/// # Safety
///
/// - The CPU has AVX-512 F and BF16.
/// - Both slices have the same length.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn round(values: &[f32], rounded: &mut [u16]) {
    let (sixteens, rest) = values.as_chunks::<16>();
    let (outs, out_rest) = rounded.as_chunks_mut::<16>();
    for (values, out) in sixteens.iter().zip(outs) {
        // SAFETY: both have 16 values; the rounded ones are 256 bits, and every bit pattern is
        // valid.
        unsafe {
            let values_of_panel = _mm512_cvtneps_pbh(_mm512_loadu_ps(values.as_ptr()));
            let values_of_panel = transmute::<__m256bh, __m256i>(values_of_panel);
            _mm256_storeu_si256(out.as_mut_ptr().cast::<__m256i>(), values_of_panel);
        }
    }
    for (value, out) in rest.iter().zip(out_rest) {
        *out = half::bf16::from_f32(*value).to_bits();
    }
}

/// # Safety
///
/// - The CPU has AVX-512 F and BF16.
/// - `rounded` has `APART` values for each row of `values` but the last, and [`DEPTH`] for that.
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn round_apart<const APART: usize>(values: &[[f32; DEPTH]], rounded: &mut [u16]) {
    let out = rounded.as_mut_ptr();
    for (row, values) in values.iter().enumerate() {
        // SAFETY: a row has 32 values, and so many are left at its place, as the caller guarantees.
        unsafe {
            let low = _mm512_loadu_ps(values.as_ptr());
            let high = _mm512_loadu_ps(values.as_ptr().add(16));
            let both = transmute::<__m512bh, __m512i>(_mm512_cvtne2ps_pbh(high, low));
            _mm512_storeu_si512(out.add(row * APART).cast(), both);
        }
    }
}

/// # Safety
///
/// The CPU has AVX-512 F and BF16.
#[cfg(feature = "train")]
#[target_feature(enable = "avx512f,avx512bf16")]
pub(super) unsafe fn interleave(rows: [&[f32; BLOCK]; 2], rounded: &mut [u16; 2 * BLOCK]) {
    // SAFETY: each row has 16 values, and the result 32 of half their size.
    unsafe {
        let [first, second] = rows.map(|row| {
            let half = _mm512_cvtneps_pbh(_mm512_loadu_ps(row.as_ptr()));
            _mm512_cvtepu16_epi32(transmute::<__m256bh, __m256i>(half))
        });
        let pairs = _mm512_or_si512(first, _mm512_slli_epi32::<16>(second));
        _mm512_storeu_si512(rounded.as_mut_ptr().cast(), pairs);
    }
}
