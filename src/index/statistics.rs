//! Statistics of the files of a commit, for programs that inspect or verify an index.

use super::snapshot::{Snapshot, SnapshotSegment};
use crate::error::Result;
use crate::format::FieldNumber;
use crate::format::manifest::{deletes_file, manifest_file};
use crate::segment;

/// Statistics of one segment of a snapshot; see [`Snapshot::segment_statistics`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentStatistics {
    /// Name of the segment file.
    pub file: String,
    /// Bytes of the segment file.
    pub bytes: u64,
    /// Number of documents, deleted ones included.
    pub documents: u32,
    /// Number of deleted documents.
    pub deleted: u32,
    /// Name of the deletes file, if documents are deleted.
    pub deletes_file: Option<String>,
    /// Bytes of the deletes file; 0 without one.
    pub deletes_bytes: u64,
    /// Number of terms, summed over all fields.
    pub terms: u64,
    /// Number of postings, summed over all fields.
    pub postings: u64,
    /// The sections, in the order of the file.
    pub sections: Vec<SectionStatistics>,
}

/// A section of a segment file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SectionStatistics {
    /// Name of the section, as in `format-spec/segment.md`.
    pub name: String,
    /// The field that the section belongs to, if it belongs to one.
    pub field: Option<FieldNumber>,
    /// Bytes of the section.
    pub bytes: u64,
}

impl Snapshot {
    /// Name of the manifest file.
    pub fn manifest_file(&self) -> String {
        manifest_file(self.commit())
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        self.segments().len()
    }

    /// Statistics of each segment, in the order of the segments. Reads no postings.
    ///
    /// ```
    /// use esparsa::{Document, Index, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("text", Text::new().analyzer("english"))
    ///     .build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("etna").with_text("text", "lava and ash"))?;
    /// writer.commit()?;
    /// let segments = index.snapshot()?.segment_statistics();
    /// assert_eq!((segments.len(), segments[0].terms), (1, 2));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn segment_statistics(&self) -> Vec<SegmentStatistics> {
        self.segments().iter().map(statistics_of).collect()
    }

    /// Verifies every checksum and every invariant of one segment. This reads the whole segment.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) for the first damage found;
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when there is no such segment.
    pub fn verify_segment(&self, segment: usize) -> Result<()> {
        let Some(part) = self.segments().get(segment) else {
            let count = self.segments().len();
            return Err(crate::Error::invalid(format!(
                "expected a segment number below {count}, found {segment}"
            )));
        };
        segment::verify(&part.reader)
    }
}

fn statistics_of(segment: &SnapshotSegment) -> SegmentStatistics {
    let container = segment.reader.container();
    let fields = &segment.reader.info().fields;
    let deletes = segment.entry.deletes.as_ref();
    let sections = container.sections();
    SegmentStatistics {
        file: container.file().to_owned(),
        bytes: segment.entry.stamp.length,
        documents: segment.entry.documents,
        deleted: segment.deleted_count(),
        deletes_file: deletes.map(|deletes| deletes_file(deletes.number)),
        deletes_bytes: deletes.map_or(0, |deletes| deletes.stamp.length),
        terms: fields.iter().map(|field| field.terms).sum(),
        postings: fields.iter().map(|field| field.postings).sum(),
        sections: sections
            .map(|(name, field, bytes)| SectionStatistics {
                name: name.to_owned(),
                field,
                bytes,
            })
            .collect(),
    }
}
