//! Builds a schema from fields with typed options.

use super::options::{FieldKind, FieldOptions};
use super::{Column, Dense, Field, FieldNumber, Schema, Sparse, StoredOptions, Text};
use crate::error::{Error, Result};
use crate::format::limits::{MAX_FIELD_NAME_BYTES, MAX_FIELDS};
use crate::format::wide;

/// Collects the fields of a schema; made by [`Schema::builder`].
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct SchemaBuilder {
    fields: Vec<(String, FieldOptions)>,
}

impl SchemaBuilder {
    /// Adds a field of any kind.
    pub fn field(mut self, name: impl Into<String>, options: impl Into<FieldOptions>) -> Self {
        self.fields.push((name.into(), options.into()));
        self
    }

    /// Adds a text field.
    pub fn text(self, name: impl Into<String>, options: Text) -> Self {
        self.field(name, options)
    }

    /// Adds a field of learned sparse vectors.
    pub fn sparse(self, name: impl Into<String>, options: Sparse) -> Self {
        self.field(name, options)
    }

    /// Adds a column: numbers, dates, flags or keywords.
    pub fn column(self, name: impl Into<String>, options: Column) -> Self {
        self.field(name, options)
    }

    /// Adds a field of dense vectors.
    pub fn dense(self, name: impl Into<String>, options: Dense) -> Self {
        self.field(name, options)
    }

    /// Adds the field that keeps documents as they are; a schema has at most one.
    pub fn stored(self, name: impl Into<String>) -> Self {
        self.field(name, StoredOptions)
    }

    /// The schema, whose fields are numbered in the order in which they were added.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when a name is empty, too long or taken, an option is out of its
    /// range or there are two stored fields; [`Error::Limit`] when there are too many fields, or
    /// dimensions of a vector.
    pub fn build(self) -> Result<Schema> {
        let mut schema = Schema::default();
        for (name, options) in self.fields {
            schema.add(name, options)?;
        }
        Ok(schema)
    }
}

impl Schema {
    /// Adds a field under the next number.
    ///
    /// # Errors
    ///
    /// As [`SchemaBuilder::build`].
    pub(super) fn add(&mut self, name: String, options: FieldOptions) -> Result<()> {
        if self.fields.len() >= MAX_FIELDS {
            let (found, limit) = (wide(self.fields.len()) + 1, wide(MAX_FIELDS));
            return Err(Error::limit("number of fields", found, limit));
        }
        if name.is_empty() || name.len() > MAX_FIELD_NAME_BYTES {
            let found = name.len();
            let message = format!(
                "expected a field name of 1 to {MAX_FIELD_NAME_BYTES} bytes, found {found}"
            );
            return Err(Error::invalid(message));
        }
        if self.field(&name).is_some() {
            return Err(Error::invalid("there is a field of this name").in_field(&name));
        }
        if options.kind() == FieldKind::Stored && self.stored_field().is_some() {
            let message = "a schema has at most one stored field";
            return Err(Error::invalid(message).in_field(&name));
        }
        options.check().map_err(|error| error.in_field(&name))?;
        let number = self.next;
        // The last number means no field in the files of segments.
        if number == FieldNumber::MAX {
            let limit = u64::from(FieldNumber::MAX);
            return Err(Error::limit("number of a field", limit, limit - 1));
        }
        self.next = number + 1;
        self.fields.push(Field {
            number,
            name,
            options,
            unknown: Vec::new(),
        });
        Ok(())
    }
}
