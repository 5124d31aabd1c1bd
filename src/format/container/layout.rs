//! The places of the parts of a file, which follow from one another (`format-spec/container.md`).
//!
//! They are checked when a file is opened, with its checksums right or not: sections that overlapped
//! would let a small file claim any number of bytes, each of which takes time to verify and memory to
//! remember as verified.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{ALIGNMENT, CHUNK_BYTES, ENTRY_BYTES, HEADER_BYTES, TableEntry, wide};
use crate::bytes::FileHandle;
use crate::error::{Error, Result};

/// Alignment of the checksums and of the section table.
const CHECKSUM_ALIGNMENT: u64 = 4;
const TABLE_ALIGNMENT: u64 = 8;

/// Where the checksums are, and the pads between the parts of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    /// The checksums of all sections.
    pub checksums: Range<u64>,
    /// Bytes that belong to no part; they are zero.
    pads: Vec<Range<u64>>,
}

impl Layout {
    /// Checks the places of the sections in the table, which begins at `table_start`.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when sections overlap, are not where the ones before them end, or have one
    /// name and field.
    pub fn read(table: &[TableEntry], table_start: u64, file: &str) -> Result<Self> {
        let corrupt = |index: usize, message: &str| {
            Error::corrupt(file, "table", wide(index) * ENTRY_BYTES, message)
        };
        let first_checksum = table
            .first()
            .map_or(table_start, |entry| entry.checksums.get());
        let (mut end, mut checksums_end) = (HEADER_BYTES, first_checksum);
        let mut pads = Vec::with_capacity(table.len() + 2);
        let mut names = BTreeSet::new();
        for (index, entry) in table.iter().enumerate() {
            let (offset, length) = (entry.offset.get(), entry.length.get());
            if end.checked_next_multiple_of(ALIGNMENT) != Some(offset) {
                let message = "a section does not begin where the one before it ends";
                return Err(corrupt(index, message));
            }
            let section_end = offset.checked_add(length);
            let section_end = section_end.filter(|end| *end <= first_checksum);
            let section_end = section_end
                .ok_or_else(|| corrupt(index, "a section lies outside its part of the file"))?;
            let bytes = length.div_ceil(wide(CHUNK_BYTES)).checked_mul(4);
            let next = bytes.and_then(|bytes| checksums_end.checked_add(bytes));
            let next = next.filter(|next| *next <= table_start);
            let next = next.filter(|_| entry.checksums.get() == checksums_end);
            let next = next.ok_or_else(|| {
                corrupt(
                    index,
                    "the checksums of a section are not behind those before them",
                )
            })?;
            if !names.insert((entry.name, entry.field.get())) {
                return Err(corrupt(index, "two sections have one name and field"));
            }
            pads.push(end..offset);
            (end, checksums_end) = (section_end, next);
        }
        let places = [
            (end, CHECKSUM_ALIGNMENT, first_checksum),
            (checksums_end, TABLE_ALIGNMENT, table_start),
        ];
        for (end, alignment, start) in places {
            if end.checked_next_multiple_of(alignment) != Some(start) {
                let message = "checksums or table do not begin where the part before them ends";
                return Err(corrupt(table.len(), message));
            }
            pads.push(end..start);
        }
        pads.retain(|pad| !pad.is_empty());
        Ok(Self {
            checksums: first_checksum..checksums_end,
            pads,
        })
    }

    /// Compares the pads with zeros.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when one is not zero, and [`Error::Io`].
    pub fn verify_pads(&self, source: &dyn FileHandle, file: &str) -> Result<()> {
        for pad in &self.pads {
            if source.read(pad.clone())?.iter().any(|byte| *byte != 0) {
                let message = "expected zeros between the parts of the file";
                return Err(Error::corrupt(file, "pads", pad.start, message));
            }
        }
        Ok(())
    }
}
