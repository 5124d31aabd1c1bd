//! A commit: the schema and the segments of an index (`format-spec/manifest.md`).

use std::collections::BTreeSet;
use std::io::{self, Write};

use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::calibration::Calibration;
use super::container::{Container, ContainerWriter, FileKind, FileStamp};
use super::limits::MAX_FILE_NUMBER;
use super::schema::Schema;
use super::{Malformed, read_u64};
use crate::error::Result;

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct SegmentRecord {
    number: U64,
    length: U64,
    fingerprint: U32,
    documents: U32,
    deletes_number: U64,
    deletes_length: U64,
    deletes_fingerprint: U32,
    deleted: U32,
    reserved: [u8; 16],
}

/// A segment as the manifest names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentEntry {
    /// File number.
    pub number: u64,
    /// Length and fingerprint of the file.
    pub stamp: FileStamp,
    /// Number of documents, deleted ones included.
    pub documents: u32,
    /// The deletes file in force, if documents are deleted.
    pub deletes: Option<DeletesEntry>,
}

/// A deletes file as the manifest names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletesEntry {
    /// File number.
    pub number: u64,
    /// Length and fingerprint of the file.
    pub stamp: FileStamp,
    /// Number of deleted documents.
    pub deleted: u32,
}

impl SegmentEntry {
    /// Number of documents that are not deleted.
    pub fn live_documents(&self) -> u32 {
        let deleted = self.deletes.as_ref().map_or(0, |deletes| deletes.deleted);
        self.documents.saturating_sub(deleted)
    }
}

/// A commit.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Number of the commit.
    pub commit: u64,
    /// Greater than the number of every file ever named.
    pub next_file: u64,
    /// The fields.
    pub schema: Schema,
    /// The segments, in the order in which ties are broken.
    pub segments: Vec<SegmentEntry>,
    /// What was measured of approximate searches, at most once for a field.
    pub calibrations: Vec<Calibration>,
}

/// Name of a segment file.
pub fn segment_file(number: u64) -> String {
    format!("segment-{number:010}")
}

/// Name of a deletes file.
pub fn deletes_file(number: u64) -> String {
    format!("deletes-{number:010}")
}

/// Name of a manifest.
pub fn manifest_file(number: u64) -> String {
    format!("manifest-{number:010}")
}

/// The number in a file's name, if the name is one that this build gives: `prefix`, a dash and the
/// number.
pub fn file_number(name: &str, prefix: &str) -> Option<u64> {
    let digits = name.strip_prefix(prefix)?.strip_prefix('-')?;
    let number = digits.parse().ok()?;
    (number <= MAX_FILE_NUMBER && digits == format!("{number:010}")).then_some(number)
}

impl Manifest {
    /// Writes the manifest's file.
    ///
    /// # Errors
    ///
    /// What `out` reports.
    pub fn write<W: Write>(&self, out: W) -> io::Result<(W, FileStamp)> {
        let mut writer = ContainerWriter::new(out, FileKind::Manifest)?;
        writer.begin("commit", None)?;
        writer.write_all(&self.commit.to_le_bytes())?;
        writer.write_all(&self.next_file.to_le_bytes())?;
        writer.begin("schema", None)?;
        writer.write_all(&self.schema.encode())?;
        writer.begin("segments", None)?;
        for segment in &self.segments {
            writer.write_all(record_of(segment).as_bytes())?;
        }
        for calibration in &self.calibrations {
            writer.begin_optional("calibration", Some(calibration.field))?;
            writer.write_all(&calibration.encode())?;
        }
        writer.finish()
    }

    /// Reads the file of commit `commit`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when its sections contradict one another.
    pub fn read(container: &Container, commit: u64) -> Result<Self> {
        let section = container.section("commit", None)?;
        let bytes = section.all()?;
        let found = section.parsed(0, read_u64(bytes, 0))?;
        let next_file = section.parsed(8, read_u64(bytes, 8))?;
        if next_file > MAX_FILE_NUMBER {
            let message = Malformed("the next file number is greater than the limit");
            return Err(section.malformed(8, message));
        }
        if found != commit {
            let message = Malformed("the manifest is not the one that its name says");
            return Err(section.malformed(0, message));
        }
        let section = container.section("schema", None)?;
        let schema = Schema::read(section)?;
        let section = container.section("segments", None)?;
        let records = <[SegmentRecord]>::ref_from_bytes(section.all()?)
            .map_err(|_| section.malformed(0, Malformed("expected records of 64 bytes")))?;
        let segments: Vec<SegmentEntry> = records.iter().map(entry_of).collect();
        let mut numbers = BTreeSet::new();
        let files = segments
            .iter()
            .flat_map(|s| [Some(s.number), s.deletes.as_ref().map(|d| d.number)])
            .flatten();
        for number in files {
            if number >= next_file || !numbers.insert(number) {
                let message = Malformed("a file number is used twice or was never handed out");
                return Err(section.malformed(0, message));
            }
        }
        let calibrations = schema.fields().iter().filter_map(|field| {
            let section = container.find("calibration", Some(field.number))?;
            let bytes = section.all();
            Some(
                bytes.and_then(|bytes| section.parsed(0, Calibration::decode(field.number, bytes))),
            )
        });
        let calibrations = calibrations.collect::<Result<_>>()?;
        Ok(Self {
            commit,
            next_file,
            schema,
            segments,
            calibrations,
        })
    }
}

fn record_of(segment: &SegmentEntry) -> SegmentRecord {
    let deletes = segment.deletes.as_ref();
    SegmentRecord {
        number: U64::new(segment.number),
        length: U64::new(segment.stamp.length),
        fingerprint: U32::new(segment.stamp.fingerprint),
        documents: U32::new(segment.documents),
        deletes_number: U64::new(deletes.map_or(0, |d| d.number)),
        deletes_length: U64::new(deletes.map_or(0, |d| d.stamp.length)),
        deletes_fingerprint: U32::new(deletes.map_or(0, |d| d.stamp.fingerprint)),
        deleted: U32::new(deletes.map_or(0, |d| d.deleted)),
        reserved: [0; 16],
    }
}

fn entry_of(record: &SegmentRecord) -> SegmentEntry {
    let deletes = (record.deletes_number.get() != 0).then(|| DeletesEntry {
        number: record.deletes_number.get(),
        stamp: FileStamp {
            length: record.deletes_length.get(),
            fingerprint: record.deletes_fingerprint.get(),
        },
        deleted: record.deleted.get(),
    });
    SegmentEntry {
        number: record.number.get(),
        stamp: FileStamp {
            length: record.length.get(),
            fingerprint: record.fingerprint.get(),
        },
        documents: record.documents.get(),
        deletes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Dense, ModelIdentity, Text, Verify};
    use std::sync::Arc;

    fn schema() -> Schema {
        let model = ModelIdentity {
            name: "mini".into(),
            fingerprint: 1 << 100,
        };
        let builder = Schema::builder().text("t", Text::new());
        builder
            .dense("d", Dense::new(3).model(model))
            .build()
            .unwrap()
    }

    fn sample() -> Manifest {
        let stamp = FileStamp {
            length: 9,
            fingerprint: 3,
        };
        let segment = |number, deletes| SegmentEntry {
            number,
            stamp,
            documents: 5,
            deletes,
        };
        let deletes = DeletesEntry {
            number: 4,
            stamp,
            deleted: 2,
        };
        Manifest {
            commit: 7,
            next_file: 6,
            schema: schema(),
            segments: vec![segment(2, None), segment(5, Some(deletes))],
            calibrations: vec![Calibration {
                field: 0,
                documents: 8,
                queries: 2,
                points: Vec::new(),
            }],
        }
    }

    fn reopen(manifest: &Manifest, commit: u64) -> Result<Manifest> {
        let (bytes, _) = manifest.write(Vec::new()).unwrap();
        let kind = FileKind::Manifest;
        let container = Container::open(Arc::new(bytes), "m", kind, Verify::default())?;
        Manifest::read(&container, commit)
    }

    #[test]
    fn manifests_are_read_as_written() {
        let manifest = sample();
        assert_eq!(reopen(&manifest, 7).unwrap(), manifest);
        assert!(reopen(&manifest, 8).is_err());
    }

    #[test]
    fn file_numbers_used_twice_are_refused() {
        let mut manifest = sample();
        manifest.segments[0].number = 5;
        assert!(reopen(&manifest, 7).is_err());
        manifest.segments[0].number = 6;
        assert!(reopen(&manifest, 7).is_err());
    }

    #[test]
    fn names_give_their_numbers() {
        assert_eq!(file_number(&segment_file(12), "segment"), Some(12));
        assert_eq!(file_number("manifest-0000000003.tmp", "manifest"), None);
        assert_eq!(file_number("segment-+1", "segment"), None);
        assert_eq!(file_number("manifest-99", "manifest"), None);
    }
}
