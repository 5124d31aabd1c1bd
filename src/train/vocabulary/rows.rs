//! Tensors with the rows of the pieces that stay.

use crate::neural::ModelFolder;

use super::super::export::is_of_vocabulary;
use super::super::files::{TensorBytes, TensorSource};
use super::pieces::Kept;

/// All tensors of the model; those with a row for each piece lose rows.
pub(super) fn sources<'a>(base: &'a ModelFolder, kept: &'a Kept) -> Vec<TensorSource<'a>> {
    let vocabulary = base.config.vocabulary;
    let sources = base.weights.names().filter_map(|name| {
        let info = base.weights.info(name)?;
        let mut shape = info.shape.clone();
        let mut bytes = TensorBytes::Stored(&base.weights, name);
        if shape.first() == Some(&vocabulary) && is_of_vocabulary(base.config.family, name) {
            shape[0] = kept.ids().len();
            bytes = TensorBytes::Rows(&base.weights, name, kept.ids());
        }
        Some(TensorSource {
            name: name.to_owned(),
            dtype: info.dtype,
            shape,
            bytes,
        })
    });
    sources.collect()
}

/// The weights of the pieces that stay, of one for each piece.
pub(super) fn of_table(table: &[f32], kept: &Kept) -> Vec<f32> {
    let weights = kept.ids().iter();
    let weights = weights.map(|id| table.get(*id as usize).copied().unwrap_or_default());
    weights.collect()
}
