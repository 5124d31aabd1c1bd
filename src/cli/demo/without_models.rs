//! The demo in a build that has no models.

use crate::cli::input::Record;
use crate::error::Result;
use crate::eval::{self, Run};
use crate::format::Schema;
use crate::index::Snapshot;
use crate::segment::Document;

/// No options.
#[derive(clap::Args, Debug, Default)]
pub struct DemoArguments {}

/// No models.
pub struct DemoModels;

impl DemoModels {
    /// Opens none.
    ///
    /// # Errors
    ///
    /// None.
    pub fn open(_: &DemoArguments, _: &[Record]) -> Result<Self> {
        Ok(Self)
    }

    /// Leaves the schema as it is.
    ///
    /// # Errors
    ///
    /// None.
    pub fn add_to(&self, schema: Schema) -> Result<Schema> {
        Ok(schema)
    }

    /// Leaves the document as it is.
    pub fn with_vectors(&self, _: &str, document: Document) -> Document {
        document
    }

    /// None.
    ///
    /// # Errors
    ///
    /// None.
    pub fn runs(&self, _: &Snapshot, _: &[eval::Query]) -> Result<Vec<(String, Run)>> {
        Ok(Vec::new())
    }
}
