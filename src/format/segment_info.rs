//! The statistics of a segment (`format-spec/segment.md`).

use zerocopy::byteorder::little_endian::{I16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::impact::MAX_EXPONENT;
use super::limits::MAX_SEGMENT_DOCUMENTS;
use super::section::Section;
use super::{FieldKind, FieldNumber, Malformed, count32, read_u32};
use crate::error::Result;

const HEAD_BYTES: usize = 12;
const RECORD_BYTES: usize = size_of::<FieldRecord>();

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct FieldRecord {
    field: U32,
    kind: U32,
    terms: U64,
    postings: U64,
    total: U64,
    skipped: U64,
    rounded_up: U64,
    documents: U32,
    base: I16,
    has_parts: u8,
    codec: u8,
}

/// Statistics of one field of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldStatistics {
    /// Field number.
    pub field: FieldNumber,
    /// Kind of the field.
    pub kind: FieldKind,
    /// Number of distinct terms. Dense: dimensions. Column: keywords. Stored: 0.
    pub terms: u64,
    /// Number of postings. Dense: vectors. Column: values. Stored: 0.
    pub postings: u64,
    /// Text: sum of all exact lengths. Sparse: sum of the steps of all impacts. Others: 0.
    pub total: u64,
    /// Text: terms skipped because they are too long. Sparse: weights clamped. Others: 0.
    pub skipped: u64,
    /// Sparse: weights below half of the smallest step, which were rounded up to it. Others: 0.
    pub rounded_up: u64,
    /// Number of documents that have the field.
    pub documents: u32,
    /// Sparse: the exponent of the impacts of every list that names none. Others: 0.
    pub base: i16,
    /// Sparse: whether any impact has another exponent. Others: no.
    pub has_parts: bool,
    /// The number of the codec of the field's postings; 0 for a field without postings.
    pub codec: u8,
}

impl FieldStatistics {
    /// The statistics of a field of which nothing has been counted.
    pub fn new(field: FieldNumber, kind: FieldKind) -> Self {
        Self {
            field,
            kind,
            terms: 0,
            postings: 0,
            total: 0,
            skipped: 0,
            rounded_up: 0,
            documents: 0,
            base: 0,
            has_parts: false,
            codec: 0,
        }
    }
}

/// Statistics of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Number of documents, deleted ones included.
    pub documents: u32,
    /// One record for each field that has sections, by rising number.
    pub fields: Vec<FieldStatistics>,
}

impl SegmentInfo {
    /// The statistics of a field, if the segment has it.
    pub fn field(&self, field: FieldNumber) -> Option<&FieldStatistics> {
        self.fields.iter().find(|record| record.field == field)
    }

    /// The bytes of the section.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`](crate::Error::Limit) when there are more fields than a `u32` counts.
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + RECORD_BYTES * self.fields.len());
        bytes.extend_from_slice(&self.documents.to_le_bytes());
        let count = count32("number of fields", self.fields.len())?;
        bytes.extend_from_slice(&count.to_le_bytes());
        let length = count32("bytes of a field's record", RECORD_BYTES)?;
        bytes.extend_from_slice(&length.to_le_bytes());
        for field in &self.fields {
            let record = FieldRecord {
                field: U32::new(field.field),
                kind: U32::new(field.kind.code()),
                terms: U64::new(field.terms),
                postings: U64::new(field.postings),
                total: U64::new(field.total),
                skipped: U64::new(field.skipped),
                rounded_up: U64::new(field.rounded_up),
                documents: U32::new(field.documents),
                base: I16::new(field.base),
                has_parts: u8::from(field.has_parts),
                codec: field.codec,
            };
            bytes.extend_from_slice(record.as_bytes());
        }
        Ok(bytes)
    }

    /// Reads the section. Of records longer than those of this build the rest is skipped.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when it is not made of records.
    pub fn read(section: &Section) -> Result<Self> {
        let bytes = section.all()?;
        let documents = section.parsed(0, read_u32(bytes, 0))?;
        let count = section.parsed(4, read_u32(bytes, 4))?;
        let length = section.parsed(8, read_u32(bytes, 8))? as usize;
        let records = bytes
            .get(HEAD_BYTES..)
            .filter(|_| length >= RECORD_BYTES)
            .filter(|rest| Some(rest.len()) == (count as usize).checked_mul(length))
            .ok_or_else(|| section.malformed(4, Malformed("expected one record for each field")))?;
        let records = records.chunks_exact(length).map(|record| {
            let record = FieldRecord::ref_from_prefix(record);
            record.map(|(record, _)| record).map_err(|_| {
                section.malformed(
                    HEAD_BYTES as u64,
                    Malformed("a field's record is cut short"),
                )
            })
        });
        let records = records.collect::<Result<Vec<&FieldRecord>>>()?;
        if documents > MAX_SEGMENT_DOCUMENTS {
            let message = Malformed("the segment has more documents than the limit");
            return Err(section.malformed(0, message));
        }
        if records
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a.field.get() >= b.field.get()))
        {
            let message = Malformed("field numbers do not rise");
            return Err(section.malformed(HEAD_BYTES as u64, message));
        }
        if records
            .iter()
            .any(|record| record.base.get().unsigned_abs() > MAX_EXPONENT.unsigned_abs())
        {
            let message = Malformed("a base exponent is out of range");
            return Err(section.malformed(HEAD_BYTES as u64, message));
        }
        let fields = records.iter().map(|record| FieldStatistics {
            field: record.field.get(),
            kind: FieldKind::of_code(u64::from(record.kind.get())),
            terms: record.terms.get(),
            postings: record.postings.get(),
            total: record.total.get(),
            skipped: record.skipped.get(),
            rounded_up: record.rounded_up.get(),
            documents: record.documents.get(),
            base: record.base.get(),
            has_parts: record.has_parts != 0,
            codec: record.codec,
        });
        Ok(Self {
            documents,
            fields: fields.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> SegmentInfo {
        SegmentInfo {
            documents: 2,
            fields: vec![FieldStatistics {
                terms: 3,
                postings: 4,
                total: 5,
                documents: 2,
                codec: 1,
                ..FieldStatistics::new(0, FieldKind::Text)
            }],
        }
    }

    #[test]
    fn the_chapters_example_holds() {
        let info = example();
        let bytes = info.encode().unwrap();
        assert_eq!(bytes.len(), 68);
        assert_eq!(bytes[..12], [2, 0, 0, 0, 1, 0, 0, 0, 56, 0, 0, 0]);
        let section = Section::from_bytes("info", bytes.clone());
        assert_eq!(SegmentInfo::read(&section).unwrap(), info);
        let cut = Section::from_bytes("info", bytes[..67].to_vec());
        assert!(SegmentInfo::read(&cut).is_err());
    }

    #[test]
    fn longer_records_of_a_later_version_are_read_as_far_as_they_are_known() {
        let mut bytes = example().encode().unwrap();
        bytes[8] = 64;
        bytes.extend_from_slice(&[7; 8]);
        let section = Section::from_bytes("info", bytes.clone());
        assert_eq!(SegmentInfo::read(&section).unwrap(), example());
        // Shorter ones than this build's, or too many of them, are none.
        for (at, byte) in [(8, 55), (4, 2), (11, 255)] {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            assert!(SegmentInfo::read(&Section::from_bytes("info", bytes)).is_err());
        }
    }
}
