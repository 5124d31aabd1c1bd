//! The file of a segment, opened: its parts, found in constant time.

use std::sync::{Arc, Weak};

use super::cached_sets::CachedSets;
use super::fields::{self, FieldReader};
use crate::bytes::FileHandle;
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::ids::Ids;
use crate::format::schema::Field;
use crate::format::segment_info::{FieldStatistics, SegmentInfo};
use crate::format::{
    Capabilities, Container, DocId, FieldNumber, FileKind, Malformed, PostingCodec, Schema,
    Section, Verify,
};

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
    /// True if somebody still holds it open. Unlike [`upgrade`](Self::upgrade), this never makes
    /// the caller the last holder, who would have to close the file.
    pub fn is_open(&self) -> bool {
        self.inner.strong_count() > 0
    }

    /// The segment, if anybody still holds it open.
    pub fn upgrade(&self) -> Option<SegmentReader> {
        let inner = self.inner.upgrade()?;
        Some(SegmentReader { inner })
    }
}

struct Parts {
    source: Arc<dyn FileHandle>,
    is_on_demand: bool,
    container: Container,
    info: SegmentInfo,
    ids: Ids,
    fields: Vec<(FieldNumber, FieldReader)>,
    sets: CachedSets,
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
        let dictionaries =
            sections.filter(|(name, _, _)| matches!(*name, "ids" | "terms" | "column-keywords"));
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
        let container = Container::open(source.clone(), file, FileKind::Segment, verify)?;
        let section = container.section("info", None)?;
        let info = SegmentInfo::read(section)?;
        let ids = fields::id::open(&container)?;
        if ids.documents() != info.documents {
            let message = Malformed("the segment has another number of documents than of ids");
            return Err(section.malformed(0, message));
        }
        let has_exponents = info.fields.iter().any(|f| f.base != 0 || f.has_parts);
        if has_exponents && container.capabilities().required & Capabilities::IMPACT_EXPONENTS == 0
        {
            let message = Malformed("impacts have exponents, but the header does not say so");
            return Err(section.malformed(0, message));
        }
        let mut opened = Vec::new();
        for statistics in &info.fields {
            let number = statistics.field;
            let Some(field) = schema.field_numbered(number) else {
                // A field that was dropped: merges leave it out.
                if schema.has_or_had(number) {
                    continue;
                }
                let message = format!("field {number} is not in the schema of the index");
                return Err(Error::corrupt(container.file(), "info", 0, message));
            };
            let sections = FieldSections {
                container: &container,
                field,
                statistics,
                documents: info.documents,
            };
            let reader = fields::open(&sections)?;
            opened.extend(reader.map(|reader| (number, reader)));
        }
        let parts = Parts {
            is_on_demand: source.on_demand().is_some(),
            source,
            container,
            info,
            ids,
            fields: opened,
            sets: CachedSets::default(),
        };
        Ok(Self {
            inner: Arc::new(parts),
        })
    }

    /// The file, which stays readable after its name was removed.
    pub(crate) fn source(&self) -> &dyn FileHandle {
        &*self.inner.source
    }

    /// True if the file is in an object store: what will be read should be prefetched.
    pub(crate) fn is_on_demand(&self) -> bool {
        self.inner.is_on_demand
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

    /// Whether documents were put in an order by their terms, as far as there was one to be found.
    pub fn is_reordered(&self) -> bool {
        self.inner.container.capabilities().optional & Capabilities::REORDERED != 0
    }

    /// The external ids.
    pub fn ids(&self) -> &Ids {
        &self.inner.ids
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

    /// The set of documents of this key, where it was made before.
    pub(crate) fn known_set(&self, key: &str) -> Option<Arc<DocSet>> {
        self.inner.sets.find(key)
    }

    /// The set of documents that was made under this key before, or now.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub(crate) fn cached_set(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<Arc<DocSet>>,
    ) -> Result<Arc<DocSet>> {
        self.inner.sets.get(key, make)
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

    /// The error for content that breaks an invariant of a section.
    pub(super) fn broken(&self, section: &str, message: impl Into<String>) -> Error {
        Error::corrupt(self.container().file(), section, 0, message)
    }
}

/// What a field of a segment is opened from.
pub(super) struct FieldSections<'a> {
    pub container: &'a Container,
    pub field: &'a Field,
    pub statistics: &'a FieldStatistics,
    /// Number of documents of the segment.
    pub documents: u32,
}

impl FieldSections<'_> {
    /// A section of the field, which must be there.
    pub fn section(&self, name: &str) -> Result<Section> {
        self.container
            .section(name, Some(self.field.number))
            .cloned()
    }

    /// A section of the field, if it is there.
    pub fn find(&self, name: &str) -> Option<Section> {
        self.container.find(name, Some(self.field.number)).cloned()
    }

    /// The codec of the field's postings.
    ///
    /// # Errors
    ///
    /// [`Error::TooNew`] when this build does not know it.
    pub fn codec(&self) -> Result<PostingCodec> {
        let code = self.statistics.codec;
        PostingCodec::of_code(code).ok_or_else(|| {
            let known = PostingCodec::ALL.map(|codec| format!("{} ({codec:?})", codec.code()));
            Error::TooNew {
                file: self.container.file().to_owned(),
                found: format!("postings codec {code} of field {}", self.field.number),
                supported: format!("the postings codecs {}", known.join(", ")),
            }
        })
    }

    /// The error for statistics that contradict the schema.
    pub fn corrupt(&self, message: impl Into<String>) -> Error {
        Error::corrupt(self.container.file(), "info", 0, message)
    }
}
