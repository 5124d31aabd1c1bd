//! Searches in a build that has no models: what models would add, left out.

use crate::cli::queries::SearchedField;
use crate::error::Result;
use crate::eval;
use crate::format::{FieldKind, Schema};
use crate::index::Snapshot;
use crate::query::SearchResult;

/// No options.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct SearchModels {}

/// No models.
pub struct Models;

impl Models {
    /// Opens none.
    ///
    /// # Errors
    ///
    /// None.
    pub fn open(_: &SearchModels, _: &Snapshot) -> Result<Self> {
        Ok(Self)
    }

    /// None.
    pub fn field_kind(&self) -> Option<FieldKind> {
        None
    }

    /// Leaves queries as they are.
    ///
    /// # Errors
    ///
    /// None.
    pub fn encode(&self, _: &Schema, _: &SearchedField, _: &mut [eval::Query]) -> Result<()> {
        Ok(())
    }

    /// As many results as are asked for.
    pub fn depth(&self, k: usize) -> usize {
        k
    }

    /// Leaves results as they are.
    ///
    /// # Errors
    ///
    /// None.
    pub fn rerank(
        &self,
        _: &Snapshot,
        _: Option<&str>,
        _: &mut SearchResult,
        _: usize,
    ) -> Result<()> {
        Ok(())
    }
}
