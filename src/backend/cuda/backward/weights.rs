//! Gradients of the weights of linear layers.

use super::super::{Cuda, Tensor};
use crate::backend::LinearPart;
use crate::error::{Error, Result};

impl Cuda {
    /// Adds dyᵀ · x to the gradients of the weights, and the sum of the rows of dy to those of the
    /// biases. Shapes have been checked.
    pub(super) fn add_weight_gradients(
        &self,
        _x: &Tensor,
        _dy: &Tensor,
        _parts: &mut [LinearPart<'_, Self>],
    ) -> Result<()> {
        Err(Error::device(
            "linear_weight_backward: not on this backend yet",
        ))
    }
}
