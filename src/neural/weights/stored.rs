//! Tensors as they are stored, for programs that write a changed copy of a model's files.

use safetensors::tensor::TensorInfo;

use crate::error::{Error, Result};

use super::Weights;

impl Weights {
    /// The name in the files of the tensor that [`Weights::tensor`] reads by `name`.
    pub(crate) fn published(&self, name: &str) -> Option<&str> {
        self.find(name).map(|(published, _)| published)
    }

    /// The dtype and shape of a tensor by its name in the files.
    pub(crate) fn info(&self, published: &str) -> Option<&TensorInfo> {
        self.tensors.get(published).map(|stored| &stored.info)
    }

    /// True if two tensors, by their names in the files, have the same dtype, shape and bytes.
    pub(crate) fn are_equal(&self, one: &str, other: &str) -> Result<bool> {
        let (Some(one), Some(other)) = (self.tensors.get(one), self.tensors.get(other)) else {
            return Ok(false);
        };
        let is_alike = one.info.dtype == other.info.dtype && one.info.shape == other.info.shape;
        Ok(is_alike && self.digest(one)? == self.digest(other)?)
    }

    /// Calls `each` with the bytes of a tensor, by its name in the files, piece after piece. After
    /// an error of `each` it is not called again.
    pub(crate) fn copy_bytes(
        &self,
        published: &str,
        mut each: impl FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let stored = self.tensors.get(published).ok_or_else(|| {
            Error::model(
                &self.folder,
                format!("expected the tensor `{published}`, found none"),
            )
        })?;
        let mut outcome = Ok(());
        self.files[stored.file].for_each_piece(&stored.info, |piece| {
            if outcome.is_ok() {
                outcome = each(piece);
            }
        })?;
        outcome
    }
}
