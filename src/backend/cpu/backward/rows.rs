//! Gradients of what works row by row: activations, norms, pooling, tables; and AdamW.

use std::ops::Range;

use rayon::prelude::*;

use super::super::math::{erf, exp, gelu, gelu_tanh, silu, tanh};
use super::super::rows::sum;
use super::super::simd::Task;
use super::super::{Cpu, Tensor};
use crate::backend::{Activation, AdamW, Norm, NormGradients, Pooling};

/// Rows whose share of a norm's gradients is summed at once. The number is fixed, so that sums do not
/// depend on the number of threads.
const BLOCK_ROWS: usize = 64;

/// Calls a function with each pair of values, vectorized.
struct Each<'a> {
    activation: Activation,
    x: &'a [f32],
    /// Gradients to multiply by the slope; without them values are activated.
    dy: Option<&'a [f32]>,
    out: &'a mut [f32],
}

impl Each<'_> {
    #[inline(always)]
    fn with(self, value: impl Fn(f32) -> f32, slope: impl Fn(f32) -> f32) {
        match self.dy {
            None => {
                for (out, x) in self.out.iter_mut().zip(self.x) {
                    *out = value(*x);
                }
            }
            Some(dy) => {
                for ((out, x), dy) in self.out.iter_mut().zip(self.x).zip(dy) {
                    *out = slope(*x) * dy;
                }
            }
        }
    }
}

impl Task for Each<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        match self.activation {
            Activation::Identity => self.with(|x| x, |_| 1.0),
            Activation::Relu => self.with(|x| x.max(0.0), |x| if x > 0.0 { 1.0 } else { 0.0 }),
            Activation::Tanh => self.with(tanh::<FUSED>, |x| {
                let y = tanh::<FUSED>(x);
                1.0 - y * y
            }),
            Activation::Silu => self.with(silu::<FUSED>, |x| {
                let sigmoid = 1.0 / (1.0 + exp::<FUSED>(-x));
                sigmoid * (1.0 + x * (1.0 - sigmoid))
            }),
            Activation::Gelu => self.with(gelu::<FUSED>, |x| {
                let density = 0.398_942_3 * exp::<FUSED>(-0.5 * x * x);
                0.5 * (1.0 + erf::<FUSED>(x * std::f32::consts::FRAC_1_SQRT_2)) + x * density
            }),
            Activation::GeluTanh => self.with(gelu_tanh::<FUSED>, |x| {
                const FACTOR: f32 = 0.797_884_6;
                let y = tanh::<FUSED>(FACTOR * (x + 0.044_715 * x * x * x));
                let inner = FACTOR * (1.0 + 3.0 * 0.044_715 * x * x);
                0.5 * (1.0 + y) + 0.5 * x * (1.0 - y * y) * inner
            }),
        }
    }
}

impl Cpu {
    pub(super) fn activated(&self, x: &Tensor, activation: Activation) -> Tensor {
        self.each(x, activation, None)
    }

    /// slope(x) ∘ dy.
    pub(super) fn activation_slopes(
        &self,
        x: &Tensor,
        activation: Activation,
        dy: &Tensor,
    ) -> Tensor {
        self.each(x, activation, Some(dy))
    }

    fn each(&self, x: &Tensor, activation: Activation, dy: Option<&Tensor>) -> Tensor {
        let columns = x.columns();
        let mut out = self.buffers.tensor(x.rows(), columns);
        self.par_rows(out.values_mut(), columns, |rows, out| {
            let range = rows.start * columns..rows.end * columns;
            self.level.run(Each {
                activation,
                x: &x.values()[range.clone()],
                dy: dy.map(|dy| &dy.values()[range]),
                out,
            });
        });
        out
    }

    /// Adds row i of dy to row `ids[i]` of the gradient, in ascending order, on the calling thread.
    pub(super) fn add_rows(&self, gradient: &mut [f32], ids: &[u32], dy: &Tensor) {
        let columns = dy.columns();
        for (row, id) in ids.iter().enumerate() {
            let first = *id as usize * columns;
            let sums = &mut gradient[first..first + columns];
            for (sum, value) in sums.iter_mut().zip(dy.row(row)) {
                *sum += value;
            }
        }
    }

    pub(super) fn norm_gradient(
        &self,
        x: &Tensor,
        norm: &Norm<'_, Self>,
        dy: &Tensor,
        gradients: NormGradients<'_, Self>,
    ) -> Tensor {
        let columns = x.columns();
        let mut dx = self.buffers.tensor(x.rows(), columns);
        // Each block of rows with its share of the parameters' gradients.
        let part = |block: usize, dx: &mut [f32]| {
            let first = block * BLOCK_ROWS;
            let (mut weight, mut bias) = (vec![0.0; columns], vec![0.0; columns]);
            self.level.run(NormRows {
                x,
                norm,
                dy,
                rows: first..x.rows().min(first + BLOCK_ROWS),
                dx,
                weight: &mut weight,
                bias: &mut bias,
            });
            (weight, bias)
        };
        let block_len = (BLOCK_ROWS * columns).max(1);
        let parts: Vec<_> = match &self.pool {
            None => {
                let blocks = dx.values_mut().chunks_mut(block_len).enumerate();
                blocks.map(|(block, dx)| part(block, dx)).collect()
            }
            Some(pool) => pool.install(|| {
                let blocks = dx.values_mut().par_chunks_mut(block_len).enumerate();
                blocks.map(|(block, dx)| part(block, dx)).collect()
            }),
        };
        let NormGradients { weight, mut bias } = gradients;
        for (of_weight, of_bias) in &parts {
            add_all(weight, of_weight);
            if let Some(bias) = &mut bias {
                add_all(bias, of_bias);
            }
        }
        dx
    }

    pub(super) fn im2col_gradient(&self, dy: &Tensor, starts: &[u32], width: usize) -> Tensor {
        let columns = dy.columns() / width;
        let mut dx = self.buffers.tensor(dy.rows(), columns);
        dx.values_mut().fill(0.0);
        for pair in starts.windows(2) {
            let sequence = pair[0] as usize..pair[1] as usize;
            for row in sequence.clone() {
                for (place, part) in dy.row(row).chunks(columns.max(1)).enumerate() {
                    let neighbor = (row + place).checked_sub(width / 2);
                    if let Some(neighbor) = neighbor.filter(|row| sequence.contains(row)) {
                        let first = neighbor * columns;
                        add_all(&mut dx.values_mut()[first..first + columns], part);
                    }
                }
            }
        }
        dx
    }

    pub(super) fn pool_gradient(
        &self,
        x: &Tensor,
        starts: &[u32],
        pooling: Pooling,
        dy: &Tensor,
    ) -> Tensor {
        let columns = x.columns();
        let mut dx = self.buffers.tensor(x.rows(), columns);
        dx.values_mut().fill(0.0);
        for (index, pair) in starts.windows(2).enumerate() {
            let rows = pair[0] as usize..pair[1] as usize;
            let out = &mut dx.values_mut()[rows.start * columns..rows.end * columns];
            pool_sequence(x, rows, pooling, dy.row(index), out);
        }
        dx
    }

    pub(super) fn l2_gradient(&self, x: &Tensor, dy: &Tensor) -> Tensor {
        let columns = x.columns();
        let mut dx = self.buffers.tensor(x.rows(), columns);
        let rows = dx.values_mut().chunks_exact_mut(columns.max(1));
        for (row, out) in rows.enumerate() {
            let (x, dy) = (x.row(row), dy.row(row));
            let length = sum(x, |value| value * value).sqrt();
            let products: f32 = x.iter().zip(dy).map(|(x, dy)| x * dy).sum();
            let along = if length > 1e-12 {
                products / (length * length)
            } else {
                0.0
            };
            for ((out, x), dy) in out.iter_mut().zip(x).zip(dy) {
                *out = (dy - x * along) / length.max(1e-12);
            }
        }
        dx
    }
}

fn add_all(sums: &mut [f32], values: &[f32]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

/// One block of rows: `dx` is written, the sums of the parameters' gradients are added to.
struct NormRows<'a> {
    x: &'a Tensor,
    norm: &'a Norm<'a, Cpu>,
    dy: &'a Tensor,
    rows: Range<usize>,
    dx: &'a mut [f32],
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

impl Task for NormRows<'_> {
    type Output = ();

    /// See `reference::backward::rows` for the formula.
    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let (weight, epsilon, centers) = match self.norm {
            Norm::Layer {
                weight, epsilon, ..
            } => (weight, *epsilon, true),
            Norm::RootMeanSquare { weight, epsilon } => (weight, *epsilon, false),
        };
        let count = self.x.columns();
        let columns = count as f32;
        let mut normal = vec![0.0; count];
        let mut inner = vec![0.0; count];
        let rows = self.dx.chunks_exact_mut(count.max(1));
        for (row, dx) in self.rows.zip(rows) {
            let (x, dy) = (self.x.row(row), self.dy.row(row));
            let center = if centers {
                sum(x, |value| value) / columns
            } else {
                0.0
            };
            let variance = sum(x, |value| (value - center) * (value - center)) / columns;
            let factor = 1.0 / (variance + epsilon).sqrt();
            for place in 0..count {
                normal[place] = (x[place] - center) * factor;
                inner[place] = dy[place] * weight[place];
                self.weight[place] += dy[place] * normal[place];
                self.bias[place] += dy[place];
            }
            let shift = if centers {
                sum(&inner, |value| value) / columns
            } else {
                0.0
            };
            // dx holds the products for a moment, so that they are summed in lanes.
            for place in 0..count {
                dx[place] = inner[place] * normal[place];
            }
            let slope = sum(dx, |value| value) / columns;
            for place in 0..count {
                dx[place] = (inner[place] - shift - normal[place] * slope) * factor;
            }
        }
    }
}

fn pool_sequence(x: &Tensor, rows: Range<usize>, pooling: Pooling, dy: &[f32], out: &mut [f32]) {
    let columns = dy.len();
    let count = rows.len() as f32;
    if pooling == Pooling::Max {
        for (column, dy) in dy.iter().enumerate() {
            let mut best: Option<usize> = None;
            for row in rows.clone() {
                if best.is_none_or(|best| x.row(row)[column] > x.row(best)[column]) {
                    best = Some(row);
                }
            }
            if let Some(best) = best {
                out[(best - rows.start) * columns + column] = *dy;
            }
        }
        return;
    }
    let last = rows.len().saturating_sub(1);
    for (place, out) in out.chunks_exact_mut(columns.max(1)).enumerate() {
        let share = match pooling {
            Pooling::First if place == 0 => 1.0,
            Pooling::Last if place == last => 1.0,
            Pooling::Mean => 1.0 / count,
            Pooling::MeanSqrt => 1.0 / count.sqrt(),
            Pooling::WeightedMean => (place as f32 + 1.0) / (count * (count + 1.0) / 2.0),
            _ => 0.0,
        };
        for (out, dy) in out.iter_mut().zip(dy) {
            *out = share * dy;
        }
    }
}

/// Values of AdamW that a thread takes at once.
const BLOCK_VALUES: usize = 1 << 14;

impl Cpu {
    /// One step of AdamW; `moments` are the mean and the mean square of the gradient.
    pub(super) fn adamw_step(
        &self,
        step: &AdamW,
        master: &mut [f32],
        gradient: &[f32],
        moments: [&mut Vec<f32>; 2],
    ) {
        let [mean, mean_square] = moments;
        let run = |master: &mut [f32], gradient, mean: &mut [f32], mean_square: &mut [f32]| {
            self.level.run(Step {
                step,
                master,
                gradient,
                mean,
                mean_square,
            });
        };
        let Some(pool) = &self.pool else {
            return run(master, gradient, mean, mean_square);
        };
        pool.install(|| {
            let moments = mean
                .par_chunks_mut(BLOCK_VALUES)
                .zip(mean_square.par_chunks_mut(BLOCK_VALUES));
            master
                .par_chunks_mut(BLOCK_VALUES)
                .zip(gradient.par_chunks(BLOCK_VALUES))
                .zip(moments)
                .for_each(|((master, gradient), (mean, square))| {
                    run(master, gradient, mean, square)
                });
        });
    }
}

/// AdamW of some values.
struct Step<'a> {
    step: &'a AdamW,
    master: &'a mut [f32],
    gradient: &'a [f32],
    mean: &'a mut [f32],
    mean_square: &'a mut [f32],
}

impl Task for Step<'_> {
    type Output = ();

    #[inline(always)]
    fn run<const FUSED: bool>(self) {
        let step = self.step;
        let number = i32::try_from(step.step).unwrap_or(i32::MAX);
        let correction1 = 1.0 - f64::from(step.beta1).powi(number);
        let correction2 = 1.0 - f64::from(step.beta2).powi(number);
        let rate = (f64::from(step.learning_rate) / correction1) as f32;
        let root_correction = (1.0 / correction2.sqrt()) as f32;
        let decay = 1.0 - step.learning_rate * step.weight_decay;
        let moments = self.mean.iter_mut().zip(self.mean_square);
        let values = self.master.iter_mut().zip(self.gradient);
        for ((value, gradient), (mean, square)) in values.zip(moments) {
            let gradient = gradient * step.gradient_scale;
            *mean = step.beta1 * *mean + (1.0 - step.beta1) * gradient;
            *square = step.beta2 * *square + (1.0 - step.beta2) * gradient * gradient;
            let root = square.sqrt() * root_correction + step.epsilon;
            *value = *value * decay - rate * *mean / root;
        }
    }
}
