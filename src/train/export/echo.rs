//! The lexical echo, beside the modules of sentence-transformers.

use crate::error::{Error, Result};
use crate::neural::{ECHO_FOLDER, ECHO_TENSORS, ModelFolder, Role};

use super::super::files::{NewFolder, TensorSource, write_tensors};
use super::Export;
use super::tensors::WEIGHTS;

/// Writes the weights that are given, or else those of the base.
pub(super) fn write(folder: &NewFolder, base: &ModelFolder, export: &Export<'_>) -> Result<()> {
    if !export.has_echo(base) {
        return Ok(());
    }
    let of_base = of(base);
    let given = [0, 1].map(|place| export.echo[place].or(of_base[place]));
    for table in given.into_iter().flatten() {
        let is_finite = table.iter().all(|weight| weight.is_finite());
        if table.len() != base.config.vocabulary || !is_finite {
            return Err(Error::invalid(format!(
                "the lexical echo: expected {} finite weights, one for each token, found {}",
                base.config.vocabulary,
                table.len()
            )));
        }
    }
    write_echo(folder, given)
}

/// The weights of a model: for documents and for queries.
pub(in crate::train) fn of(folder: &ModelFolder) -> [Option<&[f32]>; 2] {
    let echo = folder.echo.as_ref();
    [Role::Document, Role::Query].map(|role| Some(echo?.of(role)?.weights()))
}

/// Writes weights for documents and for queries, if there are any.
pub(in crate::train) fn write_echo(folder: &NewFolder, tables: [Option<&[f32]>; 2]) -> Result<()> {
    let named = ECHO_TENSORS.into_iter().zip(tables);
    let tensors: Vec<_> = named
        .filter_map(|(name, table)| {
            let table = table?;
            Some(TensorSource::of_values(name, vec![table.len()], table))
        })
        .collect();
    if tensors.is_empty() {
        return Ok(());
    }
    let file = folder.file(&format!("{ECHO_FOLDER}/{WEIGHTS}"))?;
    write_tensors(file, tensors).map(|_| ())
}
