//! The file of a segment, opened: its parts, found in constant time.

use std::sync::{Arc, Weak};

use crate::bytes::FileHandle;
use crate::error::{Error, Result};
use crate::format::dense::DenseVectors;
use crate::format::dictionary::{Dictionary, Payload, TermEntry};
use crate::format::ids::Ids;
use crate::format::schema::Field;
use crate::format::segment_info::{FieldStatistics, SegmentInfo};
use crate::format::sparse_postings::{SparseList, open_lists, read_exponents};
use crate::format::stored::Stored;
use crate::format::text_postings::TextList;
use crate::format::{
    Container, DocId, FieldKind, FieldNumber, FileKind, Malformed, Schema, Section, Verify,
};

/// A text field of a segment.
#[derive(Clone, Debug)]
pub struct TextField {
    /// The field's terms.
    pub terms: Dictionary,
    /// Their postings.
    pub postings: Section,
    /// One length code for each document.
    pub lengths: Section,
}

/// A sparse field of a segment.
#[derive(Clone, Debug)]
pub struct SparseField {
    /// The field's terms.
    pub terms: Dictionary,
    /// Their postings.
    pub impacts: Section,
    /// The exponent of the impacts of every list that names none.
    pub base: i16,
    /// Whether any impact has another exponent.
    pub has_parts: bool,
}

/// A field of a segment.
#[derive(Clone, Debug)]
pub enum FieldReader {
    /// See [`TextField`].
    Text(TextField),
    /// See [`SparseField`].
    Sparse(SparseField),
    /// See [`DenseVectors`].
    Dense(DenseVectors),
}

/// An opened segment; cloning shares it.
#[derive(Clone, Debug)]
pub struct SegmentReader {
    inner: Arc<Parts>,
}

/// A segment that somebody may hold open; see [`SegmentReader::downgrade`].
#[derive(Clone, Debug)]
pub(crate) struct WeakSegmentReader {
    inner: Weak<Parts>,
}

impl WeakSegmentReader {
    /// The segment, if anybody still holds it open.
    pub fn upgrade(&self) -> Option<SegmentReader> {
        let inner = self.inner.upgrade()?;
        Some(SegmentReader { inner })
    }
}

struct Parts {
    container: Container,
    info: SegmentInfo,
    ids: Ids,
    stored: Option<Stored>,
    fields: Vec<(FieldNumber, FieldReader)>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} documents",
            self.container.file(),
            self.info.documents
        )
    }
}

impl SegmentReader {
    /// The same segment, not held open.
    pub(crate) fn downgrade(&self) -> WeakSegmentReader {
        WeakSegmentReader {
            inner: Arc::downgrade(&self.inner),
        }
    }

    /// Bytes of the largest dictionary.
    pub(crate) fn key_bytes(&self) -> u64 {
        let sections = self.inner.container.sections();
        let dictionaries = sections.filter(|(name, _, _)| matches!(*name, "ids" | "terms"));
        dictionaries.map(|(_, _, length)| length).max().unwrap_or(0)
    }

    /// Opens a segment; the cost depends on the number of fields alone, unless `verify` is
    /// [`Verify::AtOpen`].
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] or [`Error::TooNew`] when the file cannot be used.
    pub fn open(
        source: Arc<dyn FileHandle>,
        file: &str,
        schema: &Schema,
        verify: Verify,
    ) -> Result<Self> {
        let container = Container::open(source, file, FileKind::Segment, verify)?;
        let section = container.section("info", None)?;
        let info = SegmentInfo::read(section)?;
        let ids = Ids::open(
            container.section("ids", None)?.clone(),
            container.section("id-order", None)?.clone(),
        )?;
        if ids.documents() != info.documents {
            let message = Malformed("the segment has another number of documents than of ids");
            return Err(section.malformed(0, message));
        }
        let stored = match (
            container.find("stored", None),
            container.find("stored-index", None),
        ) {
            (Some(frames), Some(index)) => Some(Stored::open(frames.clone(), index.clone())?),
            _ => None,
        };
        let mut fields = Vec::new();
        for statistics in &info.fields {
            fields.extend(open_field(&container, statistics, schema, info.documents)?);
        }
        let parts = Parts {
            container,
            info,
            ids,
            stored,
            fields,
        };
        Ok(Self {
            inner: Arc::new(parts),
        })
    }

    /// The frame of the file.
    pub fn container(&self) -> &Container {
        &self.inner.container
    }

    /// The statistics.
    pub fn info(&self) -> &SegmentInfo {
        &self.inner.info
    }

    /// Number of documents, deleted ones included.
    pub fn documents(&self) -> u32 {
        self.inner.info.documents
    }

    /// The external ids.
    pub fn ids(&self) -> &Ids {
        &self.inner.ids
    }

    /// The stored documents, if the segment has any.
    pub fn stored(&self) -> Option<&Stored> {
        self.inner.stored.as_ref()
    }

    /// A field, if any document of the segment has it.
    pub fn field(&self, field: FieldNumber) -> Option<&FieldReader> {
        let mut fields = self.inner.fields.iter();
        fields.find(|(number, _)| *number == field).map(|(_, f)| f)
    }

    /// All fields with their numbers.
    pub fn fields(&self) -> &[(FieldNumber, FieldReader)] {
        &self.inner.fields
    }

    /// A text field.
    pub fn text(&self, field: FieldNumber) -> Option<&TextField> {
        match self.field(field) {
            Some(FieldReader::Text(text)) => Some(text),
            _ => None,
        }
    }

    /// A sparse field.
    pub fn sparse(&self, field: FieldNumber) -> Option<&SparseField> {
        match self.field(field) {
            Some(FieldReader::Sparse(sparse)) => Some(sparse),
            _ => None,
        }
    }

    /// The vectors of a dense field.
    pub fn dense(&self, field: FieldNumber) -> Option<&DenseVectors> {
        match self.field(field) {
            Some(FieldReader::Dense(vectors)) => Some(vectors),
            _ => None,
        }
    }

    /// The bytes stored for a document; empty when none were.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when there is no such document or it is damaged.
    pub fn stored_document(&self, document: DocId) -> Result<Vec<u8>> {
        match self.stored() {
            Some(stored) => stored.document(document),
            None => Ok(Vec::new()),
        }
    }
}

impl TextField {
    /// The postings of a term that the dictionary gave.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when they are damaged.
    pub fn list(&self, documents: u32, entry: &TermEntry) -> Result<TextList<'_>> {
        TextList::open(&self.postings, documents, entry)
    }
}

impl SparseField {
    /// Opens the lists of a term that the dictionary gave, and calls `visit` with each and the
    /// exponent of its impacts: one list, or a few whose exponents fall.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when they are damaged.
    pub fn open<'a>(
        &'a self,
        documents: u32,
        entry: &TermEntry,
        visit: impl FnMut(i16, SparseList<'a>),
    ) -> Result<()> {
        open_lists(&self.impacts, documents, self.base, entry, visit)
    }

    /// Calls `visit` with the exponents of a term's impacts.
    ///
    /// # Errors
    ///
    /// As [`SparseField::open`].
    pub fn exponents(&self, entry: &TermEntry, mut visit: impl FnMut(i16)) -> Result<()> {
        if self.has_parts {
            return read_exponents(&self.impacts, self.base, entry, visit);
        }
        visit(self.base);
        Ok(())
    }
}

fn open_field(
    container: &Container,
    statistics: &FieldStatistics,
    schema: &Schema,
    documents: u32,
) -> Result<Option<(FieldNumber, FieldReader)>> {
    let number = statistics.field;
    let section = |name| container.section(name, Some(number)).cloned();
    let known = schema.fields().iter().find(|f| f.number == number);
    let Some(known) = known else {
        let message = format!("field {number} is not in the schema of the index");
        return Err(Error::corrupt(container.file(), "info", 0, message));
    };
    let reader = match (known.options.kind(), statistics.kind) {
        (FieldKind::Text, 1) => {
            let lengths = section("lengths")?;
            if lengths.len() != u64::from(documents) {
                let message = Malformed("expected one length for each document");
                return Err(lengths.malformed(0, message));
            }
            FieldReader::Text(TextField {
                terms: Dictionary::open(section("terms")?, Payload::TextTerms)?,
                postings: section("postings")?,
                lengths,
            })
        }
        (FieldKind::Sparse, 2) => FieldReader::Sparse(SparseField {
            terms: Dictionary::open(section("terms")?, Payload::SparseTerms)?,
            impacts: section("impacts")?,
            base: statistics.base,
            has_parts: statistics.has_parts,
        }),
        (FieldKind::Dense, 4) => {
            FieldReader::Dense(open_dense(container, statistics, known, documents)?)
        }
        (FieldKind::Unknown, _) => return Ok(None),
        _ => {
            let message = format!("field {number} is of another kind than in the schema");
            return Err(Error::corrupt(container.file(), "info", 0, message));
        }
    };
    Ok(Some((number, reader)))
}

fn open_dense(
    container: &Container,
    statistics: &FieldStatistics,
    field: &Field,
    documents: u32,
) -> Result<DenseVectors> {
    let shape = field.options.dense_shape();
    let shape = shape.filter(|shape| u64::from(shape.dimensions) == statistics.terms);
    let number = Some(statistics.field);
    let section = |name| container.find(name, number).cloned();
    let Some(shape) = shape else {
        let message = format!(
            "field {} has another number of dimensions than in the schema",
            statistics.field
        );
        return Err(Error::corrupt(container.file(), "info", 0, message));
    };
    DenseVectors::open(
        shape,
        documents,
        statistics.documents,
        container.section("vectors", number)?.clone(),
        section("vector-scales"),
        section("vector-documents"),
    )
}
