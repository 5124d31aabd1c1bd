//! Bytes and the typed views over them: one file per chapter of `format-spec/`, same names.
//!
//! Bytes come in as slices that `store` mapped, typed values go out, and the other way round when
//! writing. Nothing here performs I/O (writers append to any [`std::io::Write`]) and nothing here
//! scores. Every length, offset and count is checked before use: what does not fit is reported as
//! [`Malformed`], which the [`Section`] it was found in turns into an [`Error`](crate::Error)
//! that names file, section and offset.
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::cast_possible_truncation
    )
)]

pub mod bits;
pub mod block;
pub mod block_list;
mod bm25;
pub mod bounds;
mod calibration;
mod codec;
pub mod column;
pub mod container;
pub mod deletes;
pub mod dense;
pub mod dictionary;
pub(crate) mod field_kinds;
pub mod ids;
pub mod impact;
pub mod lengths;
pub mod limits;
pub mod manifest;
mod model_identity;
mod patched;
pub mod positions;
pub mod postings;
pub mod range_list;
pub mod schema;
pub mod section;
pub mod segment_info;
pub mod sparse_postings;
pub mod stored;
pub mod text_postings;
pub mod varint;

pub use bm25::Bm25;
pub use calibration::{Calibration, CalibrationPoint};
pub use codec::PostingCodec;
pub use column::{ColumnType, Value};
pub use container::{Capabilities, Container, ContainerWriter, FileKind};
pub use dense::{DenseElement, DenseMetric};
pub use model_identity::ModelIdentity;
pub use schema::{
    Column, Dense, FieldKind, FieldNumber, FieldOptions, Schema, SchemaBuilder, SchemaChange,
    Sparse, SparseLayout, SparseTerms, Text,
};
pub use section::{Section, Verify};

pub use crate::doc_set::DocId;

use crate::error::{Error, Result};

/// Past the last document of any segment: what an exhausted list stands on.
pub const NO_MORE_DOCUMENTS: DocId = DocId::MAX;

/// Bytes that do not mean what their place says; see [`Section::malformed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// The result of reading bytes whose file and section the reader does not know.
pub type Parse<T> = std::result::Result<T, Malformed>;

/// Widens a count; `usize` is at most 64 bits on every platform that Rust has.
pub(crate) fn wide(count: usize) -> u64 {
    count as u64
}

/// Narrows a number that was read to an index into memory.
pub(crate) fn narrow(number: u64) -> Parse<usize> {
    usize::try_from(number).map_err(|_| Malformed("number is larger than this machine's memory"))
}

/// A count as the format holds it, in 32 bits; `what` names it in the error.
///
/// # Errors
///
/// [`Error::Limit`] when it has more bits.
pub(crate) fn count32(what: &str, count: usize) -> Result<u32> {
    u32::try_from(count).map_err(|_| Error::limit(what, wide(count), u64::from(u32::MAX)))
}

/// An index in 32 bits where an error cannot be returned for each one.
///
/// What does not fit saturates. So whoever grows the array that the index points into checks its
/// length before anything that holds such indexes is used.
#[inline]
pub(crate) fn index32(index: impl TryInto<u32>) -> u32 {
    index.try_into().unwrap_or(u32::MAX)
}

/// Reads a little-endian `u32` at `at`.
pub(crate) fn read_u32(bytes: &[u8], at: usize) -> Parse<u32> {
    at.checked_add(4)
        .and_then(|end| bytes.get(at..end))
        .and_then(|four| four.try_into().ok())
        .map(u32::from_le_bytes)
        .ok_or(Malformed("expected four more bytes"))
}

/// Reads a little-endian `u64` at `at`.
pub(crate) fn read_u64(bytes: &[u8], at: usize) -> Parse<u64> {
    at.checked_add(8)
        .and_then(|end| bytes.get(at..end))
        .and_then(|eight| eight.try_into().ok())
        .map(u64::from_le_bytes)
        .ok_or(Malformed("expected eight more bytes"))
}
