//! Weights, packed at load time into the order in which products read them.

use super::simd::{BLOCK, Bf16Unit, DEPTH, Level, WIDTH};

/// The weight of a linear layer.
pub struct Matrix {
    outputs: usize,
    inputs: usize,
    form: Form,
}

/// The packed values of a matrix.
///
/// Both forms consist of panels of [`WIDTH`] outputs, the last one padded with zeros.
pub(super) enum Form {
    /// For each input, the values of the panel's outputs.
    F32(Aligned<f32>),
    /// For each [`DEPTH`] inputs (the last step padded with zeros), two blocks of [`BLOCK`]
    /// outputs: for each pair of inputs, the two values of each output.
    Bf16(Bf16Unit, Aligned<u16>),
}

impl Matrix {
    /// Packs `outputs` × `inputs` values, as bf16 if there is a unit that multiplies bf16.
    pub(super) fn pack(
        outputs: usize,
        inputs: usize,
        values: &[f32],
        unit: Option<Bf16Unit>,
    ) -> Self {
        let form = match unit {
            None => {
                let mut packed = Aligned::new();
                pack_f32_rows(
                    Level::detect(),
                    values,
                    inputs,
                    inputs,
                    outputs,
                    &mut packed,
                );
                Form::F32(packed)
            }
            Some(unit) => {
                let len = inputs.div_ceil(DEPTH) * WIDTH * DEPTH;
                let mut packed = Aligned::zeros(outputs.div_ceil(WIDTH) * len);
                pack_bf16(0, inputs, values, unit, packed.as_mut());
                Form::Bf16(unit, packed)
            }
        };
        Self {
            outputs,
            inputs,
            form,
        }
    }

    /// Packs a matrix of which `values` is the transpose, `inputs` × `outputs` values, on the threads
    /// of `threads`, into `memory` if the form is bf16.
    #[cfg(feature = "train")]
    pub(super) fn pack_transposed(
        outputs: usize,
        inputs: usize,
        values: &[f32],
        unit: Option<Bf16Unit>,
        threads: &impl Panels,
        mut memory: Aligned<u16>,
    ) -> Self {
        let panels = outputs.div_ceil(WIDTH);
        let form = match unit {
            None => {
                let mut packed = Aligned::zeros(panels * WIDTH * inputs);
                threads.each(packed.as_mut(), WIDTH * inputs, |first, packed| {
                    let packed = packed.chunks_exact_mut(WIDTH * inputs);
                    for (panel, packed) in packed.enumerate() {
                        pack_f32_panel(values, first + panel, outputs, outputs, packed);
                    }
                });
                Form::F32(packed)
            }
            Some(unit) => {
                let len = inputs.div_ceil(DEPTH) * WIDTH * DEPTH;
                memory.resize(panels * len);
                threads.each(memory.as_mut(), len, |first, packed| {
                    pack_bf16_panels(values, first, (outputs, inputs), unit, packed);
                });
                Form::Bf16(unit, memory)
            }
        };
        Self {
            outputs,
            inputs,
            form,
        }
    }

    /// Packs a matrix on the threads of `threads`; see [`pack`](Self::pack).
    #[cfg(feature = "train")]
    pub(super) fn pack_on(
        outputs: usize,
        inputs: usize,
        values: &[f32],
        unit: Option<Bf16Unit>,
        threads: &impl Panels,
    ) -> Self {
        let Some(unit) = unit else {
            return Self::pack(outputs, inputs, values, None);
        };
        let len = inputs.div_ceil(DEPTH) * WIDTH * DEPTH;
        let mut packed = Aligned::zeros(outputs.div_ceil(WIDTH) * len);
        threads.each(packed.as_mut(), len, |first, packed| {
            pack_bf16(first * WIDTH, inputs, values, unit, packed);
        });
        Self {
            outputs,
            inputs,
            form: Form::Bf16(unit, packed),
        }
    }

    /// The memory of the bf16 form, for another matrix.
    #[cfg(feature = "train")]
    pub(super) fn into_memory(self) -> Aligned<u16> {
        match self.form {
            Form::F32(_) => Aligned::new(),
            Form::Bf16(_, memory) => memory,
        }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(super) fn form(&self) -> &Form {
        &self.form
    }

    /// The number of panels.
    pub(super) fn panels(&self) -> usize {
        self.outputs.div_ceil(WIDTH)
    }
}

/// Packs outputs from `first` on, as many as there are and as `packed`, which holds zeros, has panels
/// for.
fn pack_bf16(first: usize, inputs: usize, values: &[f32], unit: Bf16Unit, packed: &mut [u16]) {
    let steps = inputs.div_ceil(DEPTH);
    let panel_len = (steps * WIDTH * DEPTH).max(1);
    let mut rounded = vec![0; inputs];
    let rows = values.chunks_exact(inputs.max(1)).skip(first);
    for (output, row) in rows.take(packed.len() / panel_len * WIDTH).enumerate() {
        unit.round(row, &mut rounded);
        let (panel, column) = (output / WIDTH, output % WIDTH);
        let first = panel * panel_len + column / BLOCK * BLOCK * DEPTH;
        for (input, value) in rounded.iter().enumerate() {
            let (step, within) = (input / DEPTH, input % DEPTH);
            let place =
                step * WIDTH * DEPTH + within / 2 * 2 * BLOCK + column % BLOCK * 2 + within % 2;
            packed[first + place] = *value;
        }
    }
}

/// What runs a function for the panels of a packed matrix.
#[cfg(feature = "train")]
pub(super) trait Panels {
    /// Calls `pack` with the number of the first of some panels of `len` values, and with them.
    fn each<T: Send>(&self, packed: &mut [T], len: usize, pack: impl Fn(usize, &mut [T]) + Sync);
}

/// Packs panels of the columns of rows of `outputs` values as bf16: two rows are interleaved. Each row
/// is read once, from the first panel to the last.
#[cfg(feature = "train")]
fn pack_bf16_panels(
    values: &[f32],
    first: usize,
    (outputs, inputs): (usize, usize),
    unit: Bf16Unit,
    packed: &mut [u16],
) {
    let panel_len = inputs.div_ceil(DEPTH) * WIDTH * DEPTH;
    let zeros = [0.0; BLOCK];
    for pair in 0..inputs.next_multiple_of(DEPTH) / 2 {
        let row = |row: usize| {
            let row = values.get(row * outputs..(row + 1) * outputs);
            row.unwrap_or(&[])
        };
        let rows = [row(2 * pair), row(2 * pair + 1)];
        let (step, within) = (2 * pair / DEPTH, pair % (DEPTH / 2));
        for (panel, packed) in packed.chunks_exact_mut(panel_len).enumerate() {
            for half in 0..WIDTH / BLOCK {
                let column = (first + panel) * WIDTH + half * BLOCK;
                let begin = step * WIDTH * DEPTH + half * BLOCK * DEPTH + within * 2 * BLOCK;
                let (out, _) = packed[begin..].as_chunks_mut::<{ 2 * BLOCK }>();
                let full = rows.map(|row| {
                    let values = row.get(column..column + BLOCK);
                    values.and_then(|values| <&[f32; BLOCK]>::try_from(values).ok())
                });
                if let [Some(a), Some(b)] = full {
                    unit.interleave([a, b], &mut out[0]);
                    continue;
                }
                let mut padded = [zeros; 2];
                for (padded, row) in padded.iter_mut().zip(rows) {
                    let there = row.len().saturating_sub(column).min(BLOCK);
                    padded[..there].copy_from_slice(&row[column.min(row.len())..][..there]);
                }
                unit.interleave([&padded[0], &padded[1]], &mut out[0]);
            }
        }
    }
}

/// Rounds columns to bf16 blocks as [`pack_rows`] rounds rows: the first `count` columns of `depth`
/// rows, `stride` apart.
#[cfg(feature = "train")]
pub(super) fn pack_columns(
    unit: Bf16Unit,
    level: Level,
    rows: &[f32],
    (depth, stride): (usize, usize),
    count: usize,
    packed: &mut Aligned<u16>,
) {
    let block_len = depth.div_ceil(DEPTH) * BLOCK * DEPTH;
    packed.resize(count.div_ceil(BLOCK) * block_len);
    const { assert!(DEPTH == WIDTH) };
    let mut block_values = [0.0; BLOCK * DEPTH];
    for step in 0..depth.div_ceil(DEPTH) {
        let there = DEPTH.min(depth - step * DEPTH);
        let blocks = packed.as_mut().chunks_exact_mut(block_len);
        for (block, packed) in blocks.enumerate() {
            let columns = BLOCK.min(count - block * BLOCK);
            if there < DEPTH || columns < BLOCK {
                block_values.fill(0.0);
            }
            let values = &rows[step * DEPTH * stride + block * BLOCK..];
            level.transpose(values, stride, there, columns, &mut block_values);
            unit.round(
                &block_values,
                &mut packed[step * BLOCK * DEPTH..][..BLOCK * DEPTH],
            );
        }
    }
}

/// Rounds f32 rows to bf16 blocks: for each [`BLOCK`] rows and each [`DEPTH`] columns (both padded
/// with zeros) the values row after row.
pub(super) fn pack_rows(
    unit: Bf16Unit,
    rows: &[f32],
    columns: usize,
    stride: usize,
    count: usize,
    packed: &mut Aligned<u16>,
) {
    let steps = columns.div_ceil(DEPTH);
    let block_len = steps * BLOCK * DEPTH;
    packed.resize(count.div_ceil(BLOCK) * block_len);
    for (block, panel_values) in packed
        .as_mut()
        .chunks_exact_mut(block_len.max(1))
        .enumerate()
    {
        for within in 0..BLOCK {
            let row = block * BLOCK + within;
            let values = if row < count {
                &rows[row * stride..][..columns]
            } else {
                &[]
            };
            // Whole steps in one call, then what is left of the row.
            let full = values.len() / DEPTH;
            unit.round_apart(&values[..full * DEPTH], &mut panel_values[within * DEPTH..]);
            for step in full..steps {
                let out = &mut panel_values[step * BLOCK * DEPTH + within * DEPTH..][..DEPTH];
                let begin = (step * DEPTH).min(values.len());
                let taken = &values[begin..];
                unit.round(taken, &mut out[..taken.len()]);
                out[taken.len()..].fill(0);
            }
        }
    }
}

/// Packs `count` rows, `stride` apart, as the outputs of a matrix: weights, or the keys of a head.
pub(super) fn pack_f32_rows(
    level: Level,
    rows: &[f32],
    columns: usize,
    stride: usize,
    count: usize,
    packed: &mut Aligned<f32>,
) {
    packed.resize(count.div_ceil(WIDTH) * WIDTH * columns);
    for (panel, panel_values) in packed
        .as_mut()
        .chunks_exact_mut((WIDTH * columns).max(1))
        .enumerate()
    {
        let first = panel * WIDTH;
        let there = WIDTH.min(count - first);
        let rows = &rows[first * stride..][..(there - 1) * stride + columns];
        level.transpose(rows, stride, there, columns, panel_values);
        if there < WIDTH {
            for row in panel_values.chunks_exact_mut(WIDTH) {
                row[there..].fill(0.0);
            }
        }
    }
}

/// Packs `count` rows, `stride` apart, as the inputs of a matrix: the values of a head.
pub(super) fn pack_f32_columns(
    rows: &[f32],
    columns: usize,
    stride: usize,
    count: usize,
    packed: &mut Aligned<f32>,
) {
    packed.resize(columns.div_ceil(WIDTH) * WIDTH * count);
    for (panel, panel_values) in packed
        .as_mut()
        .chunks_exact_mut((WIDTH * count).max(1))
        .enumerate()
    {
        pack_f32_panel(rows, panel, columns, stride, panel_values);
    }
}

fn pack_f32_panel(rows: &[f32], panel: usize, columns: usize, stride: usize, packed: &mut [f32]) {
    let first = panel * WIDTH;
    let there = WIDTH.min(columns - first);
    for (row, out) in packed.chunks_exact_mut(WIDTH).enumerate() {
        out[..there].copy_from_slice(&rows[row * stride + first..][..there]);
        out[there..].fill(0.0);
    }
}

impl<T: Copy + Default> Default for Aligned<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// A buffer that starts at a multiple of 64 bytes, so that no vector load crosses a cache line.
pub(super) struct Aligned<T> {
    values: Vec<T>,
    first: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    const LINE: usize = 64 / size_of::<T>();

    /// An empty buffer.
    pub fn new() -> Self {
        Self {
            values: Vec::new(),
            first: 0,
            len: 0,
        }
    }

    /// A buffer of `len` zeros.
    pub fn zeros(len: usize) -> Self {
        let mut aligned = Self::new();
        aligned.resize(len);
        aligned
    }

    /// Sets the length. The contents are unspecified afterwards.
    pub fn resize(&mut self, len: usize) {
        if self.values.len() < len + Self::LINE {
            self.values = vec![T::default(); len + Self::LINE];
            let address = self.values.as_ptr().addr();
            self.first = (address.next_multiple_of(64) - address) / size_of::<T>();
        }
        self.len = len;
    }
}

impl<T> AsRef<[T]> for Aligned<T> {
    fn as_ref(&self) -> &[T] {
        &self.values[self.first..][..self.len]
    }
}

impl<T> AsMut<[T]> for Aligned<T> {
    fn as_mut(&mut self) -> &mut [T] {
        &mut self.values[self.first..][..self.len]
    }
}
