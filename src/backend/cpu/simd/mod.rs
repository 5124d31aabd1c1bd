//! The SIMD kernels of the CPU backend.
//!
//! The instruction set is detected at run time. Each kernel multiplies a few rows of one matrix
//! with 32 columns of another into a [`Tile`]. What happens to the products is scalar code
//! elsewhere, which [`Level::run`] compiles for each instruction set so that the compiler
//! vectorizes it.
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
mod scalar;

/// Columns of a tile, and of a panel of packed weights.
pub(super) const WIDTH: usize = 32;
/// The maximum number of rows of a tile.
pub(super) const MAX_TILE_ROWS: usize = 32;
/// Values along the depth (the summed dimension) of one block of bf16 weights or rows.
pub(super) const DEPTH: usize = 32;
/// Rows, or columns, of one bf16 block.
pub(super) const BLOCK: usize = 16;

/// Products of a few rows with [`WIDTH`] columns, row after row.
#[repr(align(64))]
pub(super) struct Tile(pub [f32; WIDTH * MAX_TILE_ROWS]);

impl Tile {
    /// A tile of zeros.
    pub fn new() -> Self {
        Self([0.0; WIDTH * MAX_TILE_ROWS])
    }

    /// The products of one row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[f32; WIDTH] {
        let (rows, _) = self.0.as_chunks::<WIDTH>();
        &rows[row]
    }
}

/// The instruction sets that kernels are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// No assumptions.
    Scalar,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 with F, BW, DQ and VL.
    Avx512,
}

/// Instructions that multiply bf16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bf16Unit {
    /// AVX-512 BF16: pairwise dot products.
    Avx512,
    /// AMX tiles.
    Amx,
}

impl Level {
    /// The best level of this CPU.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let has_avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vl");
            match (has_avx2, has_avx512) {
                (true, true) => Self::Avx512,
                (true, false) => Self::Avx2,
                _ => Self::Scalar,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::Scalar
    }

    /// Every level of this CPU.
    #[cfg(test)]
    pub fn all() -> impl Iterator<Item = Self> {
        let best = Self::detect();
        [Self::Scalar, Self::Avx2, Self::Avx512]
            .into_iter()
            .filter(move |level| *level <= best)
    }

    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// The maximum number of rows of a tile of f32 products.
    pub fn rows(self) -> usize {
        match self {
            Self::Scalar => 4,
            Self::Avx2 => 6,
            Self::Avx512 => 14,
        }
    }

    /// Multiplies `rows` rows of `depth` values, the first starting at `a[0]` and each `stride`
    /// after the previous one, with a panel of `depth` × [`WIDTH`] values.
    ///
    /// # Panics
    ///
    /// If `a` or `panel` is too short, or there are more rows than [`Level::rows`].
    #[inline]
    pub fn multiply(
        self,
        a: &[f32],
        stride: usize,
        rows: usize,
        depth: usize,
        panel: &[f32],
        tile: &mut Tile,
    ) {
        assert!(rows <= self.rows() && depth <= panel.len() / WIDTH);
        assert!(has_rows(a, stride, rows, depth));
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the CPU has what the level says; the lengths were checked above.
            Self::Avx512 => unsafe { avx512::multiply(a, stride, rows, depth, panel, tile) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx2 => unsafe { avx2::multiply(a, stride, rows, depth, panel, tile) },
            _ => scalar::multiply(a, stride, rows, depth, panel, tile),
        }
    }

    /// Transposes rows into a panel: the value at `row`, `column` goes to `column` · [`WIDTH`] +
    /// `row`; `rows` is at most [`WIDTH`].
    ///
    /// # Panics
    ///
    /// If `a` or `panel` is too short.
    #[inline]
    pub fn transpose(
        self,
        a: &[f32],
        stride: usize,
        rows: usize,
        columns: usize,
        panel: &mut [f32],
    ) {
        assert!(rows <= WIDTH && columns <= panel.len() / WIDTH);
        assert!(has_rows(a, stride, rows, columns));
        let mut full = (0, 0);
        #[cfg(target_arch = "x86_64")]
        if self == Self::Avx512 {
            full = (rows / BLOCK * BLOCK, columns / BLOCK * BLOCK);
            for row in (0..full.0).step_by(BLOCK) {
                for column in (0..full.1).step_by(BLOCK) {
                    let (from, to) = (row * stride + column, column * WIDTH + row);
                    // SAFETY: the CPU has what the level says; 16 rows from `row` and 16 columns
                    // from `column` are in bounds, as checked above.
                    unsafe { avx512::transpose(&a[from..], stride, &mut panel[to..]) };
                }
            }
        }
        for row in 0..rows {
            let first = if row < full.0 { full.1 } else { 0 };
            for column in first..columns {
                panel[column * WIDTH + row] = a[row * stride + column];
            }
        }
    }

    /// Runs a task compiled for this level.
    #[inline]
    pub fn run<T: Task>(self, task: T) -> T::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the CPU has what the level says.
            Self::Avx512 => unsafe { run_avx512(task) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the CPU has what the level says.
            Self::Avx2 => unsafe { run_avx2(task) },
            _ => task.run::<false>(),
        }
    }
}

/// Scalar code that is compiled for every level; `run` must be `#[inline(always)]`. `FUSED` says
/// whether fused multiply-add is an instruction.
pub(super) trait Task {
    type Output;

    fn run<const FUSED: bool>(self) -> Self::Output;
}

/// Whether a matrix has `rows` rows of `columns` numbers, `stride` apart.
fn has_rows(a: &[f32], stride: usize, rows: usize, columns: usize) -> bool {
    if rows == 0 || columns == 0 {
        return true;
    }
    let end = (rows - 1).checked_mul(stride);
    let end = end.and_then(|start| start.checked_add(columns));
    end.is_some_and(|end| end <= a.len())
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
fn run_avx512<T: Task>(task: T) -> T::Output {
    task.run::<true>()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<T: Task>(task: T) -> T::Output {
    task.run::<true>()
}

impl Bf16Unit {
    /// The best unit that this CPU has and the system permits, if any.
    pub fn detect() -> Option<Self> {
        #[cfg(target_arch = "x86_64")]
        {
            if Level::detect() == Level::Avx512 && is_x86_feature_detected!("avx512bf16") {
                return Some(if amx::is_permitted() {
                    Self::Amx
                } else {
                    Self::Avx512
                });
            }
        }
        None
    }

    /// Every unit of this CPU.
    #[cfg(test)]
    pub fn all() -> Vec<Self> {
        match Self::detect() {
            None => Vec::new(),
            Some(Self::Avx512) => vec![Self::Avx512],
            Some(Self::Amx) => vec![Self::Avx512, Self::Amx],
        }
    }

    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512-bf16",
            Self::Amx => "amx-bf16",
        }
    }

    /// The number of blocks of [`BLOCK`] rows that a tile should have.
    pub fn row_blocks(self) -> usize {
        2
    }

    /// Multiplies one or two blocks of [`BLOCK`] rows, each of `steps` times [`BLOCK`] × [`DEPTH`]
    /// bf16 values and one after the other in `a`, with a panel of `steps` times two blocks of
    /// pairs ([`DEPTH`] / 2 × [`BLOCK`] columns × 2).
    ///
    /// # Panics
    ///
    /// If there are no blocks or more than [`Bf16Unit::row_blocks`], or if `a` or `panel` has
    /// another length.
    #[inline]
    pub fn multiply(self, a: &[u16], blocks: usize, steps: usize, panel: &[u16], tile: &mut Tile) {
        assert!((1..=self.row_blocks()).contains(&blocks));
        assert!(a.len() == blocks * steps * BLOCK * DEPTH && panel.len() == steps * WIDTH * DEPTH);
        #[cfg(target_arch = "x86_64")]
        match self {
            // SAFETY: only `detect` returns a unit; the lengths were checked above.
            Self::Amx => unsafe { amx::multiply(a, blocks, steps, panel, tile) },
            // SAFETY: as above.
            Self::Avx512 => unsafe { avx512_bf16::multiply(a, blocks, steps, panel, tile) },
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!(
            "no bf16 unit is detected on this CPU: {tile:p}",
            tile = tile
        );
    }

    /// Configures the thread for [`multiply`](Self::multiply); dropping the result releases it.
    pub fn prepare(self) -> Prepared {
        #[cfg(target_arch = "x86_64")]
        if self == Self::Amx {
            // SAFETY: the unit exists and is permitted.
            unsafe { amx::configure() };
        }
        Prepared { unit: self }
    }

    /// Rounds to bf16, to nearest, ties to even.
    #[inline]
    pub fn round(self, values: &[f32], rounded: &mut [u16]) {
        assert_eq!(values.len(), rounded.len());
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every unit comes with AVX-512 BF16.
        unsafe {
            avx512_bf16::round(values, rounded);
        }
    }
}

#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(unused_variables, reason = "no unit")
)]
impl Bf16Unit {
    /// Rounds rows of [`DEPTH`] values to bf16: the results of two rows are [`BLOCK`] · [`DEPTH`]
    /// values apart, as those of the steps of a block are.
    #[inline]
    pub fn round_apart(self, values: &[f32], rounded: &mut [u16]) {
        const APART: usize = BLOCK * DEPTH;
        let (steps, rest) = values.as_chunks::<DEPTH>();
        assert!(rest.is_empty());
        assert!(steps.is_empty() || rounded.len() >= (steps.len() - 1) * APART + DEPTH);
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every unit comes with AVX-512 BF16; the lengths were checked above.
        unsafe {
            avx512_bf16::round_apart::<APART>(steps, rounded);
        }
    }

    /// Rounds the values of two rows to bf16, pair by pair: a value of the first, one of the second.
    #[cfg(feature = "train")]
    #[inline]
    pub fn interleave(self, rows: [&[f32; BLOCK]; 2], rounded: &mut [u16; 2 * BLOCK]) {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every unit comes with AVX-512 BF16.
        unsafe {
            avx512_bf16::interleave(rows, rounded);
        }
    }
}

/// A thread that is configured for bf16 products.
pub(super) struct Prepared {
    unit: Bf16Unit,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.unit == Bf16Unit::Amx {
            // SAFETY: the unit exists; the thread no longer needs what its tiles hold.
            unsafe { amx::release() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_turn_into_columns_at_every_level() {
        for level in Level::all() {
            for (rows, columns) in [(32, 64), (31, 40), (16, 16), (17, 15), (1, 33)] {
                let stride = columns + 3;
                let a: Vec<f32> = (0..rows * stride).map(|number| number as f32).collect();
                let mut panel = vec![-1.0; columns * WIDTH];
                level.transpose(&a, stride, rows, columns, &mut panel);
                for (place, found) in panel.iter().enumerate() {
                    let (column, row) = (place / WIDTH, place % WIDTH);
                    let expected = if row < rows {
                        a[row * stride + column]
                    } else {
                        -1.0
                    };
                    assert_eq!(
                        *found, expected,
                        "{level:?}, {rows} × {columns}: {row}, {column}"
                    );
                }
            }
        }
    }
}
