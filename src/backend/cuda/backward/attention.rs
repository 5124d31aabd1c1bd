//! Gradients of attention.

use super::super::{Cuda, Tensor};
use crate::backend::{Attention, AttentionGradients, PositionGradients};
use crate::error::{Error, Result};

impl Cuda {
    /// The gradient of attention. Shapes have been checked.
    pub(super) fn attention_gradient(
        &self,
        _attention: &Attention<'_, Self>,
        _dy: &Tensor,
        _positions: PositionGradients<'_, Self>,
    ) -> Result<AttentionGradients<Self>> {
        Err(Error::device("attention_backward: not on this backend yet"))
    }
}
