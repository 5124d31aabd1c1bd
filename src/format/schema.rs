//! The fields of an index and their options (`format-spec/manifest.md`).

mod builder;
mod change;
mod column;
mod dense;
mod difference;
#[cfg(test)]
mod flag;
mod options;
mod records;
mod sparse;
mod stored;
mod text;

use super::limits::{MAX_FIELD_NAME_BYTES, MAX_FIELDS};
use super::model_identity::ModelIdentity;
use super::section::Section;
use super::{Malformed, Parse, varint, wide};
use crate::error::{Error, Result};

pub use builder::SchemaBuilder;
pub use change::SchemaChange;
pub use column::Column;
pub use dense::Dense;
#[cfg(test)]
pub use flag::Flag;
pub use options::{FieldKind, FieldOptions};
pub use records::OptionRecord;
pub use sparse::{Sparse, SparseLayout, SparseTerms};
pub use stored::StoredOptions;
pub use text::Text;

/// A field's number, given when the index is created and never reused.
pub type FieldNumber = u32;

/// A field of a schema.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Field {
    /// The field's number.
    pub number: FieldNumber,
    /// The field's name, unique in its schema.
    pub name: String,
    /// What it holds.
    pub options: FieldOptions,
    /// Optional options that this build does not know; a manifest that is written anew keeps them.
    pub unknown: Vec<OptionRecord>,
}

/// The fields of an index, given when it is created; [`SchemaChange`] says what can be changed
/// later.
///
/// ```
/// use esparsa::{Dense, Schema, Sparse, Text};
///
/// let schema = Schema::builder()
///     .text("body", Text::new().analyzer("english"))
///     .sparse("splade", Sparse::new().expected_max(3.0))
///     .dense("passage", Dense::new(384).cosine())
///     .stored("source")
///     .build()?;
/// assert_eq!(schema.fields().len(), 4);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    fields: Vec<Field>,
    /// Greater than the number of every field that the index has or had.
    next: FieldNumber,
}

impl Schema {
    /// Begins a schema without fields: documents have an external id and nothing else.
    pub fn builder() -> SchemaBuilder {
        SchemaBuilder::default()
    }

    /// The model that makes the vectors of a field, if that is known.
    ///
    /// ```
    /// use esparsa::{Dense, ModelIdentity, Schema};
    ///
    /// let model = ModelIdentity { name: "mini".into(), fingerprint: 0x51AB };
    /// let passage = Dense::new(384).model(model.clone());
    /// let schema = Schema::builder().dense("passage", passage).build()?;
    /// assert_eq!(schema.model_of("passage"), Some(&model));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn model_of(&self, name: &str) -> Option<&ModelIdentity> {
        self.field(name)?.options.model()
    }

    /// The same fields with other options.
    pub(crate) fn with_fields(&self, fields: Vec<Field>) -> Self {
        let next = self.next;
        Self { fields, next }
    }

    /// True for the number of a field that the index has, or had before it was dropped.
    pub(crate) fn has_or_had(&self, number: FieldNumber) -> bool {
        number < self.next
    }

    /// The numbers of the fields of both schemas count as used.
    pub(crate) fn with_numbers_of(&self, other: &Self) -> Self {
        let next = self.next.max(other.next);
        let fields = self.fields.clone();
        Self { fields, next }
    }

    /// True if both have the same fields with the same options, as they are stored, in any order.
    pub(crate) fn has_same_fields(&self, other: &Self) -> bool {
        let is_same = |field: &Field| {
            let same = other.field(&field.name);
            let encoded = |field: &Field| field.options.encode(&field.unknown);
            same.is_some_and(|same| encoded(same) == encoded(field))
        };
        self.fields.len() == other.fields.len() && self.fields.iter().all(is_same)
    }

    /// The number after the highest of a field.
    fn after_last(&self) -> FieldNumber {
        let last = self.fields.last();
        last.map_or(0, |field| field.number.saturating_add(1))
    }

    /// A schema of the fields that `keep` accepts, which keep their numbers.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(&Field) -> bool) -> Self {
        let fields = self.fields.iter();
        Self {
            fields: fields.filter(|field| keep(field)).cloned().collect(),
            next: self.next,
        }
    }

    /// All fields, by rising number.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// The field of this number.
    pub fn field_numbered(&self, number: FieldNumber) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    /// The field of this name, which must be there and of this kind.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] that lists the fields there are.
    pub fn expect(&self, name: &str, kind: FieldKind) -> Result<&Field> {
        let field = self.field(name).filter(|f| f.options.kind() == kind);
        field.ok_or_else(|| {
            let all: Vec<String> = self
                .fields
                .iter()
                .map(|f| format!("`{}` ({})", f.name, f.options.kind().name()))
                .collect();
            let message = format!(
                "expected a {} field, found none of this name and kind; the index has {}",
                kind.name(),
                all.join(", ")
            );
            Error::invalid(message).in_field(name)
        })
    }

    /// The field that keeps documents.
    pub fn stored_field(&self) -> Option<&Field> {
        let mut fields = self.fields.iter();
        fields.find(|field| field.options.kind() == FieldKind::Stored)
    }

    /// Capability bits that a segment of this schema requires of its readers.
    pub(crate) fn required_capabilities(&self) -> u64 {
        let of_fields = self
            .fields
            .iter()
            .map(|f| f.options.required_capabilities());
        of_fields.fold(0, |all, bits| all | bits)
    }

    /// The bytes of the manifest's `schema` section.
    #[doc(hidden)]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        varint::write(wide(self.fields.len()), &mut bytes);
        for field in &self.fields {
            let (kind, options) = field.options.encode(&field.unknown);
            varint::write(u64::from(field.number), &mut bytes);
            varint::write(kind, &mut bytes);
            for part in [field.name.as_bytes(), &options] {
                varint::write(wide(part.len()), &mut bytes);
                bytes.extend_from_slice(part);
            }
        }
        if self.next > self.after_last() {
            varint::write(u64::from(self.next), &mut bytes);
        }
        bytes
    }

    /// Reads the manifest's `schema` section.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when it does not hold a schema, [`Error::TooNew`] when a field has an
    /// option that must be understood and is not known to this build.
    #[doc(hidden)]
    pub fn read(section: &Section) -> Result<Self> {
        let schema = section.parsed(0, Self::decode(section.all()?))?;
        for field in &schema.fields {
            if let Some(record) = field.unknown.iter().find(|record| record.required) {
                return Err(Error::TooNew {
                    file: section.file().to_owned(),
                    found: format!(
                        "required option {} of the field `{}`",
                        record.tag, field.name
                    ),
                    supported: format!(
                        "the options of {} fields that this version has",
                        field.options.kind().name()
                    ),
                });
            }
        }
        Ok(schema)
    }

    fn decode(bytes: &[u8]) -> Parse<Self> {
        let mut position = 0;
        let count = varint::read(bytes, &mut position)?;
        if count > wide(MAX_FIELDS) {
            return Err(Malformed("the schema has too many fields"));
        }
        let mut schema = Self::default();
        for _ in 0..count {
            let number = varint::read_u32(bytes, &mut position)?;
            let kind = varint::read(bytes, &mut position)?;
            let name = utf8(varint::read_bytes(bytes, &mut position)?)?;
            let options = varint::read_bytes(bytes, &mut position)?;
            if name.is_empty() || name.len() > MAX_FIELD_NAME_BYTES {
                return Err(Malformed("a field's name is empty or too long"));
            }
            let rises = schema.fields.last().is_none_or(|last| last.number < number);
            if !rises || schema.field(&name).is_some() {
                return Err(Malformed(
                    "field numbers do not rise or names are not unique",
                ));
            }
            let (options, unknown) = FieldOptions::decode(kind, options)?;
            if options.kind() == FieldKind::Stored && schema.stored_field().is_some() {
                return Err(Malformed("the schema has two stored fields"));
            }
            schema.fields.push(Field {
                number,
                name,
                options,
                unknown,
            });
        }
        schema.next = schema.after_last();
        if position < bytes.len() {
            let next = varint::read_u32(bytes, &mut position)?;
            if next <= schema.next {
                return Err(Malformed("the next field number is one that is not free"));
            }
            schema.next = next;
        }
        if position == bytes.len() {
            Ok(schema)
        } else {
            Err(Malformed("the schema has bytes left over"))
        }
    }
}

fn utf8(bytes: &[u8]) -> Parse<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed("a name is not UTF-8"))
}

#[cfg(test)]
mod tests;
