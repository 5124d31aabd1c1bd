//! The statistics of a segment (`format-spec/segment.md`).

use zerocopy::byteorder::little_endian::{I16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::impact::MAX_EXPONENT;
use super::limits::MAX_SEGMENT_DOCUMENTS;
use super::section::Section;
use super::{FieldNumber, Malformed, read_u32};
use crate::error::Result;

const HEAD_BYTES: usize = 12;
const REORDERED: u32 = 1;

#[derive(Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct FieldRecord {
    field: U32,
    kind: U32,
    terms: U64,
    postings: U64,
    total: U64,
    left_out: U64,
    rounded_up: U64,
    documents: U32,
    base: I16,
    has_parts: u8,
    reserved: u8,
}

/// Statistics of one field of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FieldStatistics {
    /// Field number.
    pub field: FieldNumber,
    /// Kind of the field as the schema numbers it: 1 text, 2 sparse, 4 dense.
    pub kind: u32,
    /// Number of distinct terms. Dense: dimensions.
    pub terms: u64,
    /// Number of postings. Dense: vectors.
    pub postings: u64,
    /// Text: sum of all exact lengths. Sparse: sum of the steps of all impacts. Dense: 0.
    pub total: u64,
    /// Text: terms left out for being too long. Sparse: weights clamped. Dense: 0.
    pub left_out: u64,
    /// Sparse: weights below half of the smallest step, which were rounded up to it. Others: 0.
    pub rounded_up: u64,
    /// Number of documents that have the field.
    pub documents: u32,
    /// Sparse: the exponent of the impacts of every list that names none. Others: 0.
    pub base: i16,
    /// Sparse: whether any impact has another exponent. Others: no.
    pub has_parts: bool,
}

/// Statistics of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Number of documents, deleted ones included.
    pub documents: u32,
    /// Whether documents were put in an order by their terms, as far as there was one to be found.
    pub reordered: bool,
    /// One record for each field that has sections, by rising number.
    pub fields: Vec<FieldStatistics>,
}

impl SegmentInfo {
    /// The statistics of a field, if the segment has it.
    pub fn field(&self, field: FieldNumber) -> Option<&FieldStatistics> {
        self.fields.iter().find(|record| record.field == field)
    }

    /// The bytes of the section.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes =
            Vec::with_capacity(HEAD_BYTES + size_of::<FieldRecord>() * self.fields.len());
        bytes.extend_from_slice(&self.documents.to_le_bytes());
        let count = u32::try_from(self.fields.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&count.to_le_bytes());
        let flags = if self.reordered { REORDERED } else { 0 };
        bytes.extend_from_slice(&flags.to_le_bytes());
        for field in &self.fields {
            let record = FieldRecord {
                field: U32::new(field.field),
                kind: U32::new(field.kind),
                terms: U64::new(field.terms),
                postings: U64::new(field.postings),
                total: U64::new(field.total),
                left_out: U64::new(field.left_out),
                rounded_up: U64::new(field.rounded_up),
                documents: U32::new(field.documents),
                base: I16::new(field.base),
                has_parts: u8::from(field.has_parts),
                reserved: 0,
            };
            bytes.extend_from_slice(record.as_bytes());
        }
        bytes
    }

    /// Reads the section.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when it is not made of records.
    pub fn read(section: &Section) -> Result<Self> {
        let bytes = section.all()?;
        let documents = section.parsed(0, read_u32(bytes, 0))?;
        let count = section.parsed(4, read_u32(bytes, 4))?;
        let flags = section.parsed(8, read_u32(bytes, 8))?;
        let records = bytes
            .get(HEAD_BYTES..)
            .and_then(|rest| <[FieldRecord]>::ref_from_bytes(rest).ok())
            .filter(|records| records.len() == count as usize)
            .ok_or_else(|| section.malformed(4, Malformed("expected one record for each field")))?;
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
            kind: record.kind.get(),
            terms: record.terms.get(),
            postings: record.postings.get(),
            total: record.total.get(),
            left_out: record.left_out.get(),
            rounded_up: record.rounded_up.get(),
            documents: record.documents.get(),
            base: record.base.get(),
            has_parts: record.has_parts != 0,
        });
        Ok(Self {
            documents,
            reordered: flags & REORDERED != 0,
            fields: fields.collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chapters_example_holds() {
        let info = SegmentInfo {
            documents: 2,
            reordered: true,
            fields: vec![FieldStatistics {
                field: 0,
                kind: 1,
                terms: 3,
                postings: 4,
                total: 5,
                documents: 2,
                ..FieldStatistics::default()
            }],
        };
        let bytes = info.encode();
        assert_eq!(bytes.len(), 68);
        let section = Section::from_bytes("info", bytes.clone());
        assert_eq!(SegmentInfo::read(&section).unwrap(), info);
        let cut = Section::from_bytes("info", bytes[..67].to_vec());
        assert!(SegmentInfo::read(&cut).is_err());
    }
}
