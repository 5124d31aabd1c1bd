//! Loads in a build that has no models.

use super::load::{Load, Loaded};
use super::peek::Peeked;
use crate::Schema;
use crate::cli::input::{Ids, Source};
use crate::cli::progress::Progress;
use crate::error::Result;

/// No options.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct EncodingArguments {}

/// No models.
pub struct Encoders;

impl Encoders {
    /// Opens none.
    ///
    /// # Errors
    ///
    /// None.
    pub fn open(_: &EncodingArguments, _: usize) -> Result<Self> {
        Ok(Self)
    }

    /// Expects no vectors.
    ///
    /// # Errors
    ///
    /// None.
    pub fn look_ahead(&self, _: &mut Peeked, _: bool) -> Result<()> {
        Ok(())
    }

    /// Leaves the schema as it is.
    ///
    /// # Errors
    ///
    /// None.
    pub fn note_in(&self, schema: Schema) -> Result<Schema> {
        Ok(schema)
    }

    /// Is content with any schema.
    ///
    /// # Errors
    ///
    /// None.
    pub fn check(&self, _: &Schema) -> Result<()> {
        Ok(())
    }

    /// Loads what the inputs hold.
    ///
    /// # Errors
    ///
    /// Those of [`Load::run`].
    pub fn load(
        &self,
        load: Load<'_>,
        source: Source,
        ids: Ids,
        progress: &mut Progress,
    ) -> Result<Loaded> {
        load.run(source, ids, progress)
    }

    /// No models, no names.
    pub fn names(&self) -> Vec<String> {
        Vec::new()
    }
}
