//! The one place of this room where vector instructions are written out.
//!
//! The processor is asked at run time what it can do. Each kernel multiplies a few rows of one matrix with 32 columns of another into a
//! [`Tile`]; what happens to the products then is plain code elsewhere, compiled for each level by [`Level::run`].
#![allow(unsafe_code)]

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
mod plain;

/// Columns of a tile, and of a panel of packed weights.
pub(super) const WIDTH: usize = 32;
/// Most rows of a tile.
pub(super) const HEIGHT: usize = 32;
/// Numbers that one block of bf16 weights or rows has in the direction of the sum.
pub(super) const DEPTH: usize = 32;
/// Rows, or columns, of one block of bf16 numbers.
pub(super) const BLOCK: usize = 16;

/// Products of a few rows with [`WIDTH`] columns, row after row.
#[repr(align(64))]
pub(super) struct Tile(pub [f32; WIDTH * HEIGHT]);

impl Tile {
    /// A tile of zeros.
    pub fn new() -> Self {
        Self([0.0; WIDTH * HEIGHT])
    }

    /// The products of one row.
    #[inline(always)]
    pub fn row(&self, row: usize) -> &[f32; WIDTH] {
        let (rows, _) = self.0.as_chunks::<WIDTH>();
        &rows[row]
    }
}

/// What the processor can do, of what is used here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// Nothing is assumed.
    Plain,
    /// AVX2 and fused multiplication.
    Avx2,
    /// AVX-512 with F, BW, DQ and VL.
    Avx512,
}

/// What multiplies bf16 numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bf16Unit {
    /// AVX-512's pairwise products.
    Avx512,
    /// Tiles (AMX).
    Amx,
}

impl Level {
    /// The best that this processor has.
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
                _ => Self::Plain,
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        Self::Plain
    }

    /// Every level that this processor has.
    #[cfg(test)]
    pub fn all() -> impl Iterator<Item = Self> {
        let best = Self::detect();
        [Self::Plain, Self::Avx2, Self::Avx512]
            .into_iter()
            .filter(move |level| *level <= best)
    }

    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }

    /// Most rows that a tile of f32 products should have.
    pub fn rows(self) -> usize {
        match self {
            Self::Plain => 4,
            Self::Avx2 => 6,
            Self::Avx512 => 14,
        }
    }

    /// Multiplies `rows` rows of `depth` numbers, the first beginning at `a[0]` and each `stride` after the one before, with a panel of `depth` × [`WIDTH`] numbers.
    ///
    /// # Panics
    ///
    /// When `a` or `panel` is too short, or there are more rows than [`Level::rows`].
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
        assert!(rows <= self.rows() && panel.len() >= depth * WIDTH);
        assert!(rows == 0 || depth == 0 || a.len() >= (rows - 1) * stride + depth);
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has what the level says; lengths were checked above.
            Self::Avx512 => unsafe { avx512::multiply(a, stride, rows, depth, panel, tile) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Self::Avx2 => unsafe { avx2::multiply(a, stride, rows, depth, panel, tile) },
            _ => plain::multiply(a, stride, rows, depth, panel, tile),
        }
    }

    /// Turns rows into columns of a panel: the number at `row`, `column` goes to `column` · [`WIDTH`] + `row` of it; `rows` is at most [`WIDTH`].
    ///
    /// # Panics
    ///
    /// When `a` or `panel` is too short.
    #[inline]
    pub fn turn(self, a: &[f32], stride: usize, rows: usize, columns: usize, panel: &mut [f32]) {
        assert!(rows <= WIDTH && panel.len() >= columns * WIDTH);
        assert!(rows == 0 || columns == 0 || a.len() >= (rows - 1) * stride + columns);
        let mut whole = (0, 0);
        #[cfg(target_arch = "x86_64")]
        if self == Self::Avx512 {
            whole = (rows / BLOCK * BLOCK, columns / BLOCK * BLOCK);
            for row in (0..whole.0).step_by(BLOCK) {
                for column in (0..whole.1).step_by(BLOCK) {
                    let (from, to) = (row * stride + column, column * WIDTH + row);
                    // SAFETY: the processor has what the level says; 16 rows from `row` and 16 columns from `column` are in bounds, as was checked above.
                    unsafe { avx512::turn(&a[from..], stride, &mut panel[to..]) };
                }
            }
        }
        for row in 0..rows {
            let first = if row < whole.0 { whole.1 } else { 0 };
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
            // SAFETY: the processor has what the level says.
            Self::Avx512 => unsafe { run_avx512(task) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has what the level says.
            Self::Avx2 => unsafe { run_avx2(task) },
            _ => task.run::<false>(),
        }
    }
}

/// Work in plain code that is worth compiling for every level; `run` must be `#[inline(always)]`. `FUSED` says whether
/// fused multiplication is an instruction.
pub(super) trait Task {
    type Output;

    fn run<const FUSED: bool>(self) -> Self::Output;
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
    /// The best that this processor, and the system's permission, has; none without any.
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

    /// Every unit that this processor has.
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

    /// Blocks of [`BLOCK`] rows that a tile should have.
    pub fn row_blocks(self) -> usize {
        2
    }

    /// Multiplies one or two blocks of [`BLOCK`] rows, each of `steps` times [`BLOCK`] × [`DEPTH`] bf16 numbers and one after the other in `a`, with a panel of
    /// `steps` times two blocks of pairs ([`DEPTH`] / 2 × [`BLOCK`] columns × 2).
    ///
    /// # Panics
    ///
    /// When there are more blocks than [`Bf16Unit::row_blocks`] or none, or `a` or `panel` is not as long.
    #[inline]
    pub fn multiply(self, a: &[u16], blocks: usize, steps: usize, panel: &[u16], tile: &mut Tile) {
        assert!((1..=self.row_blocks()).contains(&blocks));
        assert!(a.len() == blocks * steps * BLOCK * DEPTH && panel.len() == steps * WIDTH * DEPTH);
        #[cfg(target_arch = "x86_64")]
        match self {
            // SAFETY: a unit is only made by `detect`; lengths were checked above.
            Self::Amx => unsafe { amx::multiply(a, blocks, steps, panel, tile) },
            // SAFETY: as above.
            Self::Avx512 => unsafe { avx512_bf16::multiply(a, blocks, steps, panel, tile) },
        }
        #[cfg(not(target_arch = "x86_64"))]
        unreachable!(
            "no unit is detected on this processor: {tile:p}",
            tile = tile
        );
    }

    /// Readies the thread for [`multiply`](Self::multiply); what is returned undoes it when dropped.
    pub fn prepare(self) -> Prepared {
        #[cfg(target_arch = "x86_64")]
        if self == Self::Amx {
            // SAFETY: the unit is there and permitted.
            unsafe { amx::configure() };
        }
        Prepared { unit: self }
    }

    /// Rounds to bf16, nearest, ties to even.
    #[inline]
    pub fn round(self, values: &[f32], rounded: &mut [u16]) {
        assert_eq!(values.len(), rounded.len());
        #[cfg(target_arch = "x86_64")]
        // SAFETY: every unit comes with AVX-512 and its bf16 instructions.
        unsafe {
            avx512_bf16::round(values, rounded);
        }
    }
}

/// A thread readied for bf16 products.
pub(super) struct Prepared {
    unit: Bf16Unit,
}

impl Drop for Prepared {
    fn drop(&mut self) {
        #[cfg(target_arch = "x86_64")]
        if self.unit == Bf16Unit::Amx {
            // SAFETY: the unit is there; the thread's tiles hold nothing of worth any more.
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
                level.turn(&a, stride, rows, columns, &mut panel);
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
