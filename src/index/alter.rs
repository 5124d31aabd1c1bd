//! Changing the schema of an index, in a commit of its own.
//!
//! Only the manifest is written anew: segments name their fields by number, so a field that they
//! lack has no values, and one that was dropped is skipped when they are opened and left out when
//! they are merged. Its number stays used, so no later field finds its values.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::commit::{expect_newest, remove_unused, write_manifest};
use super::open::{Index, IndexOptions};
use super::snapshot::Snapshot;
use super::writer::CommitReport;
use crate::error::{Error, Result};
use crate::format::{FieldKind, FieldOptions, SchemaChange};

impl Index {
    /// Adds and drops fields, and changes options; [`SchemaChange`] says what can be changed. All of
    /// the change is one commit, which is there completely or not at all, and takes no longer for
    /// many documents than for few.
    ///
    /// Snapshots that were taken before keep their schema. Clones of this index, and other
    /// processes, see the change in their next snapshot; what [`schema`](Self::schema) returns
    /// there stays as it is until they open the index again.
    ///
    /// ```
    /// use esparsa::{Column, Document, Index, Query, Schema, SchemaChange, Text};
    ///
    /// let schema = Schema::builder().text("text", Text::new().analyzer("en")).build()?;
    /// let mut index = Index::in_memory(schema)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("a").with_text("text", "a volcano"))?;
    /// writer.commit()?;
    /// drop(writer);
    ///
    /// index.change_schema(SchemaChange::new().add_field("height", Column::i64()))?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("b").with_text("text", "another").with("height", 3357))?;
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// let high = Query::range("height", 3000..);
    /// assert_eq!(snapshot.search(&high, 10)?.ids()?, ["b"]);
    /// assert_eq!(snapshot.documents(), 2);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] or [`Error::Limit`] when the change is not possible, and
    /// [`Error::Locked`] while a writer is open: the index is unchanged then. [`Error::Io`], after
    /// which the index is as before or as after the change, and otherwise as [`Index::open`].
    pub fn change_schema(&mut self, change: SchemaChange) -> Result<CommitReport> {
        let directory = self.cache.directory().clone();
        let _lock = directory.lock()?;
        let newest = expect_newest(&*directory, self.options.damaged)?;
        let mut manifest = newest.manifest;
        let schema = manifest.schema.changed(&resolved(change, &self.options)?)?;
        let mut fields = schema.fields().iter();
        if let Some(field) = fields.find(|f| f.options.kind() == FieldKind::Unknown) {
            let message =
                "this build does not know the kind of this field, so it cannot change the index";
            return Err(Error::invalid(message).in_field(&field.name));
        }
        if schema != manifest.schema {
            manifest.commit = newest.last_commit + 1;
            let has_field = |number| schema.field_numbered(number).is_some();
            manifest.calibrations.retain(|kept| has_field(kept.field));
            manifest.schema = schema;
            // Segments that cannot be opened with the new schema fail now, before there is a commit.
            Snapshot::of(&self.cache, &manifest, &self.options)?;
            write_manifest(&*directory, &manifest)?;
            remove_unused(&*directory, &manifest, &BTreeSet::new(), true);
        }
        let report = CommitReport::of(&manifest);
        self.schema = Arc::new(manifest.schema);
        Ok(report)
    }
}

/// The change with the canonical names and the revisions of analyzers.
fn resolved(mut change: SchemaChange, options: &IndexOptions) -> Result<SchemaChange> {
    change.for_each_options(|field, is_new| {
        let FieldOptions::Text(text) = field else {
            return Ok(());
        };
        match options.find(&text.analyzer) {
            Ok(analyzer) => {
                analyzer.name().clone_into(&mut text.analyzer);
                text.revision = analyzer.revision();
                Ok(())
            }
            // Of a field that is there, the analyzer is compared by name alone.
            Err(error) if is_new => Err(error),
            Err(_) => Ok(()),
        }
    })?;
    Ok(change)
}

#[cfg(test)]
mod tests;
