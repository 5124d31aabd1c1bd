//! Field kinds: one module each, all with the same stages.
//!
//! | stage | in -> out |
//! | --- | --- |
//! | check | a document's values of the field -> valid, or why not |
//! | invert | the values of a batch -> what the batch holds of the field |
//! | write, which is merge too | batches and segments -> sections of a new segment, and statistics |
//! | open | sections of a segment -> a reader |
//! | verify | a reader -> statistics counted anew, or what is broken |
//!
//! [`Stages`] names them. The enums and dispatches here are made from the one list of kinds,
//! [`field_kinds`](crate::format::field_kinds); nothing else in the crate lists them. External ids
//! are no field of a schema, since every document has one; [`id`] has the same stages as functions.

mod column;
mod dense;
#[cfg(test)]
mod flag;
pub(super) mod id;
mod sparse;
mod stored;
mod terms;
mod text;

use std::io::Write;

use super::document::Document;
use super::document_map::DocumentMap;
use super::forward::{Forward, ForwardTask};
use super::reader::{FieldSections, SegmentReader};
use super::write::{SegmentWriter, Source};
use crate::error::{Error, Result};
use crate::format::column::{ColumnValues, Value};
use crate::format::dense::DenseVectors;
use crate::format::dictionary::Dictionary;
use crate::format::field_kinds::for_each_field_kind;
use crate::format::schema::Field;
use crate::format::segment_info::FieldStatistics;
use crate::format::stored::Stored;
use crate::format::{FieldKind, FieldNumber, FieldOptions};
use crate::text::Analyzer;

#[cfg(test)]
use flag::Flags;
pub(crate) use sparse::check_sum;
pub use sparse::{SparseField, SparseVector};
pub(crate) use terms::ListVisitor;
pub(super) use terms::{Posting, PostingStream, next_postings};
pub use text::TextField;

/// The stages of a field kind; each module implements them for its `Kind`.
pub(super) trait Stages {
    /// The options of such a field in the schema.
    type Options;
    /// What a document has in such a field.
    type Value: 'static;
    /// Inverts batches, one after another, on one thread.
    type Inverter;
    /// What a batch holds of such a field.
    type Inverted;
    /// Such a field of an opened segment.
    type Reader;

    /// Whether the inverter remembers terms from batch to batch, in its share of the memory for
    /// that.
    const REMEMBERS_TERMS: bool = false;
    /// Of the fields of a schema, the one with the highest preference gives the terms by which
    /// documents are put in order; with 0 a kind has no terms.
    const ORDER_PREFERENCE: u8 = 0;

    /// About how many bytes a value takes in memory.
    fn value_bytes(value: &Self::Value) -> usize;

    /// Checks a document's values of the field.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] and [`Error::Limit`] that say what is wrong with them.
    fn check(document: &Document, field: &Field, options: &Self::Options) -> Result<()>;

    /// An inverter for the field; `None` when it cannot have values. A text field takes the next of
    /// the analyzers.
    fn inverter(
        field: &Field,
        options: &Self::Options,
        analyzers: &mut std::slice::Iter<'_, Analyzer>,
    ) -> Option<Self::Inverter>;

    /// Inverts the documents of a batch; what the inverter remembers takes about `memory` bytes.
    fn invert(
        inverter: &mut Self::Inverter,
        documents: &[Document],
        memory: usize,
    ) -> Result<Self::Inverted>;

    /// About how many bytes the field of a batch takes; depends on the batch's documents alone.
    fn memory(inverted: &Self::Inverted) -> usize;

    /// The terms of each document, from which an order of documents is found; `None` when there are
    /// none, or too little memory.
    fn forward(
        _task: &ForwardTask<'_>,
        _field: &Field,
        _options: &Self::Options,
    ) -> Result<Option<Forward>> {
        Ok(None)
    }

    /// Visits the lists of the field's terms over all sources; nothing for a kind without lists.
    fn visit_lists(
        _sources: &[Source<'_>],
        _maps: &[DocumentMap],
        _field: &Field,
        _options: &Self::Options,
        _visit: &mut ListVisitor<'_>,
    ) -> Result<()> {
        Ok(())
    }

    /// Writes the sections of the field, and adds its statistics, unless no source has it.
    fn write<W: Write>(
        writer: &mut SegmentWriter<'_, W>,
        field: &Field,
        options: &Self::Options,
    ) -> Result<()>;

    /// Opens the field of a segment, in constant time.
    fn open(sections: &FieldSections<'_>, options: &Self::Options) -> Result<Self::Reader>;

    /// The field's terms, if it has any.
    fn terms(_reader: &Self::Reader) -> Option<&Dictionary> {
        None
    }

    /// Walks everything that a segment holds of the field, and counts it.
    fn verify(
        segment: &SegmentReader,
        field: FieldNumber,
        reader: &Self::Reader,
    ) -> Result<FieldStatistics>;
}

/// Finds what belongs to one kind among what belongs to any.
pub(super) trait Variant: Stages {
    /// The value, if it is of this kind.
    fn value(value: &FieldValue) -> Option<&Self::Value>;
    /// The field of a batch, if it is of this kind.
    fn inverted(inverted: &InvertedField) -> Option<&Self::Inverted>;
    /// The field of a segment, if it is of this kind.
    fn reader(reader: &FieldReader) -> Option<&Self::Reader>;
}

/// What a source holds of one field.
pub(super) enum Part<'a, K: Stages> {
    Batch(&'a K::Inverted),
    Segment(&'a SegmentReader, &'a K::Reader),
}

impl<'a> Source<'a> {
    /// What the source holds of a field of kind `K`, if anything.
    pub(super) fn field<K: Variant>(self, field: FieldNumber) -> Option<Part<'a, K>> {
        match self {
            Self::Batch(batch, _) => {
                let inverted = K::inverted(batch.field(field)?)?;
                Some(Part::Batch(inverted))
            }
            Self::Segment(segment, _) => {
                let reader = K::reader(segment.field(field)?)?;
                Some(Part::Segment(segment, reader))
            }
        }
    }
}

macro_rules! define_stages {
    ($($(#[$attribute:meta])* $Kind:ident = $code:literal, $module:ident, $Options:ty, $Value:ty, $Reader:ty;)*) => {
        /// What a document has in one field.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum FieldValue {
            $(
                $(#[$attribute])*
                #[doc = concat!("A value of a ", stringify!($module), " field.")]
                $Kind($Value),
            )*
        }

        /// A field of a segment.
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        #[allow(clippy::large_enum_variant, reason = "there is one for each field of a segment")]
        pub enum FieldReader {
            $(
                $(#[$attribute])*
                #[doc = concat!("See [`", stringify!($Reader), "`].")]
                $Kind($Reader),
            )*
        }

        /// Inverts the values of one field.
        #[allow(clippy::large_enum_variant, reason = "there is one for each field of a batch")]
        pub(super) enum FieldInverter {
            $($(#[$attribute])* $Kind(<$module::Kind as Stages>::Inverter),)*
        }

        /// What a batch holds of one field.
        pub(super) enum InvertedField {
            $($(#[$attribute])* $Kind(<$module::Kind as Stages>::Inverted),)*
        }

        $(
            $(#[$attribute])*
            impl Variant for $module::Kind {
                fn value(value: &FieldValue) -> Option<&Self::Value> {
                    match value {
                        FieldValue::$Kind(value) => Some(value),
                        _ => None,
                    }
                }

                fn inverted(inverted: &InvertedField) -> Option<&Self::Inverted> {
                    match inverted {
                        InvertedField::$Kind(inverted) => Some(inverted),
                        _ => None,
                    }
                }

                fn reader(reader: &FieldReader) -> Option<&Self::Reader> {
                    match reader {
                        FieldReader::$Kind(reader) => Some(reader),
                        _ => None,
                    }
                }
            }
        )*

        impl FieldValue {
            /// The kind of field that the value is for.
            pub fn kind(&self) -> FieldKind {
                match self {
                    $($(#[$attribute])* Self::$Kind(_) => FieldKind::$Kind,)*
                }
            }

            /// About how many bytes the value takes in memory.
            pub(crate) fn bytes(&self) -> usize {
                match self {
                    $($(#[$attribute])* Self::$Kind(value) => $module::Kind::value_bytes(value),)*
                }
            }
        }

        impl FieldReader {
            /// The field's terms; `None` for a kind that has none.
            pub fn terms(&self) -> Option<&Dictionary> {
                match self {
                    $($(#[$attribute])* Self::$Kind(reader) => $module::Kind::terms(reader),)*
                }
            }
        }

        impl FieldInverter {
            /// An inverter for a field that can have values.
            pub fn new(
                field: &Field,
                analyzers: &mut std::slice::Iter<'_, Analyzer>,
            ) -> Option<Self> {
                match &field.options {
                    $(
                        $(#[$attribute])*
                        FieldOptions::$Kind(options) => {
                            let inverter = $module::Kind::inverter(field, options, analyzers);
                            inverter.map(Self::$Kind)
                        }
                    )*
                    FieldOptions::Unknown { .. } => None,
                }
            }

            /// See [`Stages::REMEMBERS_TERMS`].
            pub fn remembers_terms(&self) -> bool {
                match self {
                    $($(#[$attribute])* Self::$Kind(_) => $module::Kind::REMEMBERS_TERMS,)*
                }
            }

            /// See [`Stages::invert`].
            pub fn invert(
                &mut self,
                documents: &[Document],
                memory: usize,
            ) -> Result<InvertedField> {
                Ok(match self {
                    $(
                        $(#[$attribute])*
                        Self::$Kind(inverter) => {
                            let inverted = $module::Kind::invert(inverter, documents, memory)?;
                            InvertedField::$Kind(inverted)
                        }
                    )*
                })
            }
        }

        impl InvertedField {
            /// See [`Stages::memory`].
            pub fn memory(&self) -> usize {
                match self {
                    $($(#[$attribute])* Self::$Kind(inverted) => $module::Kind::memory(inverted),)*
                }
            }
        }

        /// See [`Stages::check`].
        pub(super) fn check(document: &Document, field: &Field) -> Result<()> {
            match &field.options {
                $(
                    $(#[$attribute])*
                    FieldOptions::$Kind(options) => $module::Kind::check(document, field, options),
                )*
                FieldOptions::Unknown { .. } => Ok(()),
            }
        }

        /// See [`Stages::ORDER_PREFERENCE`].
        pub(super) fn order_preference(field: &Field) -> u8 {
            match &field.options {
                $(
                    $(#[$attribute])*
                    FieldOptions::$Kind(_) => $module::Kind::ORDER_PREFERENCE,
                )*
                FieldOptions::Unknown { .. } => 0,
            }
        }

        /// See [`Stages::visit_lists`].
        pub(crate) fn visit_lists(
            sources: &[Source<'_>],
            maps: &[DocumentMap],
            field: &Field,
            visit: &mut ListVisitor<'_>,
        ) -> Result<()> {
            match &field.options {
                $(
                    $(#[$attribute])*
                    FieldOptions::$Kind(options) => {
                        $module::Kind::visit_lists(sources, maps, field, options, visit)
                    }
                )*
                FieldOptions::Unknown { .. } => Ok(()),
            }
        }

        /// See [`Stages::forward`].
        pub(super) fn forward(task: &ForwardTask<'_>, field: &Field) -> Result<Option<Forward>> {
            match &field.options {
                $(
                    $(#[$attribute])*
                    FieldOptions::$Kind(options) => $module::Kind::forward(task, field, options),
                )*
                FieldOptions::Unknown { .. } => Ok(None),
            }
        }

        /// See [`Stages::write`].
        pub(super) fn write<W: Write>(
            writer: &mut SegmentWriter<'_, W>,
            field: &Field,
        ) -> Result<()> {
            match &field.options {
                $(
                    $(#[$attribute])*
                    FieldOptions::$Kind(options) => $module::Kind::write(writer, field, options),
                )*
                FieldOptions::Unknown { .. } => Ok(()),
            }
        }

        /// See [`Stages::open`]; `None` for a kind that this build does not know.
        pub(super) fn open(sections: &FieldSections<'_>) -> Result<Option<FieldReader>> {
            match (&sections.field.options, sections.statistics.kind) {
                $(
                    $(#[$attribute])*
                    (FieldOptions::$Kind(options), FieldKind::$Kind) => {
                        let reader = $module::Kind::open(sections, options)?;
                        Ok(Some(FieldReader::$Kind(reader)))
                    }
                )*
                (FieldOptions::Unknown { .. }, _) => Ok(None),
                _ => Err(of_another_kind(sections)),
            }
        }

        /// See [`Stages::verify`].
        pub(super) fn verify(
            segment: &SegmentReader,
            field: FieldNumber,
            reader: &FieldReader,
        ) -> Result<FieldStatistics> {
            match reader {
                $(
                    $(#[$attribute])*
                    FieldReader::$Kind(reader) => $module::Kind::verify(segment, field, reader),
                )*
            }
        }
    };
}

for_each_field_kind!(define_stages);

impl<V: Into<Value>> From<V> for FieldValue {
    fn from(value: V) -> Self {
        Self::Column(value.into())
    }
}

fn of_another_kind(sections: &FieldSections<'_>) -> Error {
    let number = sections.field.number;
    let message = format!("field {number} is of another kind than in the schema");
    Error::corrupt(sections.container.file(), "info", 0, message)
}

impl SegmentReader {
    /// A text field.
    pub fn text(&self, field: FieldNumber) -> Option<&TextField> {
        text::Kind::reader(self.field(field)?)
    }

    /// A sparse field.
    pub fn sparse(&self, field: FieldNumber) -> Option<&SparseField> {
        sparse::Kind::reader(self.field(field)?)
    }

    /// A column.
    pub fn column(&self, field: FieldNumber) -> Option<&ColumnValues> {
        column::Kind::reader(self.field(field)?).map(|column| &**column)
    }

    /// The vectors of a dense field.
    pub fn dense(&self, field: FieldNumber) -> Option<&DenseVectors> {
        dense::Kind::reader(self.field(field)?)
    }

    /// The stored documents, if the segment has any.
    pub fn stored(&self) -> Option<&Stored> {
        let mut fields = self.fields().iter();
        fields.find_map(|(_, reader)| stored::Kind::reader(reader))
    }
}
