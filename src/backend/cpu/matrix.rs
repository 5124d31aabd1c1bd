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
            Some(unit) => Form::Bf16(unit, pack_bf16(outputs, inputs, values, unit)),
        };
        Self {
            outputs,
            inputs,
            form,
        }
    }

    /// Packs a matrix of which `values` is the transpose, `inputs` × `outputs` values, on the threads
    /// of `threads`.
    #[cfg(feature = "train")]
    pub(super) fn pack_transposed(
        outputs: usize,
        inputs: usize,
        values: &[f32],
        unit: Option<Bf16Unit>,
        threads: &impl Panels,
    ) -> Self {
        let panels = outputs.div_ceil(WIDTH);
        let form = match unit {
            None => {
                let mut packed = Aligned::zeros(panels * WIDTH * inputs);
                let pack = |panel: usize, out: &mut [f32]| {
                    pack_f32_panel(values, panel, outputs, outputs, out);
                };
                threads.each(packed.as_mut(), WIDTH * inputs, pack);
                Form::F32(packed)
            }
            Some(unit) => {
                let len = inputs.div_ceil(DEPTH) * WIDTH * DEPTH;
                let mut packed = Aligned::zeros(panels * len);
                let pack = |panel: usize, out: &mut [u16]| {
                    pack_bf16_panel(values, panel, outputs, unit, out);
                };
                threads.each(packed.as_mut(), len, pack);
                Form::Bf16(unit, packed)
            }
        };
        Self {
            outputs,
            inputs,
            form,
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

fn pack_bf16(outputs: usize, inputs: usize, values: &[f32], unit: Bf16Unit) -> Aligned<u16> {
    let steps = inputs.div_ceil(DEPTH);
    let mut packed = Aligned::zeros(outputs.div_ceil(WIDTH) * steps * WIDTH * DEPTH);
    let mut rounded = vec![0; inputs];
    let out = packed.as_mut();
    for output in 0..outputs {
        unit.round(&values[output * inputs..][..inputs], &mut rounded);
        let (panel, column) = (output / WIDTH, output % WIDTH);
        let first = panel * steps * WIDTH * DEPTH + column / BLOCK * BLOCK * DEPTH;
        for (input, value) in rounded.iter().enumerate() {
            let (step, within) = (input / DEPTH, input % DEPTH);
            let place =
                step * WIDTH * DEPTH + within / 2 * 2 * BLOCK + column % BLOCK * 2 + within % 2;
            out[first + place] = *value;
        }
    }
    packed
}

/// What runs a function for each panel of a packed matrix.
#[cfg(feature = "train")]
pub(super) trait Panels {
    /// Calls `pack` with the number of each panel and its `len` values.
    fn each<T: Send>(&self, packed: &mut [T], len: usize, pack: impl Fn(usize, &mut [T]) + Sync);
}

/// Packs a panel of the columns of rows of `outputs` values as bf16: two rows are interleaved.
#[cfg(feature = "train")]
fn pack_bf16_panel(
    values: &[f32],
    panel: usize,
    outputs: usize,
    unit: Bf16Unit,
    packed: &mut [u16],
) {
    let first = panel * WIDTH;
    let there = WIDTH.min(outputs - first);
    let mut rounded = [[0; WIDTH]; 2];
    for (row, values) in values.chunks_exact(outputs).enumerate() {
        unit.round(
            &values[first..first + there],
            &mut rounded[row % 2][..there],
        );
        let (step, within) = (row / DEPTH, row % DEPTH);
        if within % 2 == 1 {
            interleave(&rounded, &mut packed[step * WIDTH * DEPTH..], within / 2);
        }
    }
    let rows = values.len() / outputs.max(1);
    if rows % 2 == 1 {
        rounded[1] = [0; WIDTH];
        let (step, within) = ((rows - 1) / DEPTH, (rows - 1) % DEPTH);
        interleave(&rounded, &mut packed[step * WIDTH * DEPTH..], within / 2);
    }
}

/// Writes the values of two inputs into both blocks of a step.
#[cfg(feature = "train")]
fn interleave(rounded: &[[u16; WIDTH]; 2], step: &mut [u16], pair: usize) {
    for half in 0..WIDTH / BLOCK {
        let out = &mut step[half * BLOCK * DEPTH + pair * 2 * BLOCK..][..2 * BLOCK];
        for (column, out) in out.chunks_exact_mut(2).enumerate() {
            out[0] = rounded[0][half * BLOCK + column];
            out[1] = rounded[1][half * BLOCK + column];
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
            for step in 0..steps {
                let out = &mut panel_values[step * BLOCK * DEPTH + within * DEPTH..][..DEPTH];
                let begin = (step * DEPTH).min(values.len());
                let taken = &values[begin..values.len().min(begin + DEPTH)];
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
