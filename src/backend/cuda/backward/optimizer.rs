//! AdamW, and norms of gradients.

use super::super::tensor::decode_f32;
use super::super::{Cuda, sources};
use super::TrainingBuffer;
use super::pack::BLOCK_VALUES;
use super::parameters::{AdamWStep, SumOfSquares};
use crate::backend::AdamW;
use crate::error::Result;

/// Values of which a warp computes the sum of squares. The number is fixed, so that sums do not
/// depend on the GPU.
const SQUARES: usize = 4_096;
/// Warps per block.
const WARPS: usize = 8;

impl Cuda {
    /// The sum of squares: of fixed blocks in f32 on the GPU, of their sums in f64.
    pub(super) fn squares(&self, buffer: &TrainingBuffer) -> Result<f64> {
        let values = self.address_of(buffer)?;
        let blocks = buffer.len.div_ceil(SQUARES);
        if blocks == 0 {
            return Ok(0.0);
        }
        let sums = self.stream.allocate(blocks * size_of::<f32>())?;
        let parameters = SumOfSquares {
            values,
            sums: sums.address(),
            count: buffer.len as u64,
        };
        let kernel = const { sources::kernel("sum_of_squares") };
        let grid = [blocks.div_ceil(WARPS), 1, 1];
        self.stream.launch(kernel, grid, 0, &parameters)?;
        let sums = self.stream.download(&sums, blocks * size_of::<f32>())?;
        Ok(decode_f32(&sums).into_iter().map(f64::from).sum())
    }

    /// A step of AdamW; `moments` are the mean and the mean square of the gradient.
    pub(super) fn adamw_step(
        &self,
        step: &AdamW,
        master: &TrainingBuffer,
        gradient: &TrainingBuffer,
        [mean, mean_square]: [&TrainingBuffer; 2],
    ) -> Result<()> {
        let number = i32::try_from(step.step).unwrap_or(i32::MAX);
        let correction = |beta: f32| 1.0 - f64::from(beta).powi(number);
        let parameters = AdamWStep {
            master: self.address_of(master)?,
            gradient: self.address_of(gradient)?,
            mean: self.address_of(mean)?,
            mean_square: self.address_of(mean_square)?,
            count: master.len as u64,
            rate: (f64::from(step.learning_rate) / correction(step.beta1)) as f32,
            decay: 1.0 - step.learning_rate * step.weight_decay,
            beta1: step.beta1,
            beta2: step.beta2,
            epsilon: step.epsilon,
            root_correction: (1.0 / correction(step.beta2).sqrt()) as f32,
            gradient_scale: step.gradient_scale,
            padding: 0.0,
        };
        let kernel = const { sources::kernel("adamw") };
        let grid = [master.len.div_ceil(BLOCK_VALUES), 1, 1];
        self.stream.launch(kernel, grid, 0, &parameters)
    }
}
