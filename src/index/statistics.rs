//! What the files of a commit hold, for programs that show or check an index.

use super::snapshot::{Snapshot, SnapshotSegment};
use crate::error::Result;
use crate::format::FieldNumber;
use crate::format::manifest::{deletes_file, manifest_file};
use crate::segment;

/// What one segment of a snapshot holds; see [`Snapshot::segment_statistics`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentStatistics {
    /// Name of the segment's file.
    pub file: String,
    /// Bytes of the segment's file.
    pub bytes: u64,
    /// Number of documents, deleted ones included.
    pub documents: u32,
    /// Number of deleted documents.
    pub deleted: u32,
    /// Name of the file of deleted documents, if there are any.
    pub deletes_file: Option<String>,
    /// Bytes of the file of deleted documents.
    pub deletes_bytes: u64,
    /// Number of terms, summed over all fields.
    pub terms: u64,
    /// Number of postings, summed over all fields.
    pub postings: u64,
    /// The sections of the segment's file, in their order in the file.
    pub sections: Vec<SectionStatistics>,
}

/// A section of a segment's file.
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
    /// Name of the manifest's file.
    pub fn manifest_file(&self) -> String {
        manifest_file(self.commit())
    }

    /// Number of segments.
    pub fn segment_count(&self) -> usize {
        self.segments().len()
    }

    /// What each segment holds, in the order of the segments. It reads no postings.
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

    /// Verifies every checksum and every invariant of one segment, which takes as long as reading
    /// all of it.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) with the first damage found;
    /// [`Error::InvalidInput`](crate::Error::InvalidInput) when there is no such segment.
    pub fn verify_segment(&self, segment: usize) -> Result<()> {
        let Some(part) = self.segments().get(segment) else {
            let count = self.segments().len();
            return Err(crate::Error::invalid(format!(
                "expected a segment below {count}, found {segment}"
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
