//! Immutable segments: documents are inverted, written, read, verified and merged here.
//!
//! In come [`Document`]s and, when merging, segments. Out goes one file per segment, and a
//! [`SegmentReader`] over it that hands out postings, ids, lengths and stored documents. Nothing
//! here decides when a segment is written or merged, or which segments make an index: that is
//! `index`.
//!
//! | file | concept |
//! | --- | --- |
//! | `document` | what is indexed |
//! | `head` | the beginning of a string as a number |
//! | `interner` | strings get numbers |
//! | `term_table` | terms of a batch and their postings, counted |
//! | `fields` | one module per field kind: check, invert, write and merge, open, verify |
//! | `invert` | documents of a batch -> ids and what each field kind makes of them |
//! | `term_merge` | sorted term streams -> one sorted stream |
//! | `document_map` | documents of a source -> documents of the segment written |
//! | `forward`, `bisect` | the terms that tell the most about each document, and an order by them |
//! | `posting_sorter` | postings in the order of their documents' new numbers |
//! | `spool`, `scattered` | what does not fit in memory while a segment is written |
//! | `write` | sources -> the file of a segment |
//! | `reader` | the file of a segment -> its parts |
//! | `cached_sets` | sets of documents that were made for filters |
//! | `verify` | walks everything that a segment holds |
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

mod bisect;
mod cached_sets;
mod document;
mod document_map;
mod fields;
mod forward;
mod head;
mod interner;
mod invert;
mod posting_sorter;
mod reader;
mod scattered;
mod spool;
mod term_merge;
mod term_table;
mod verify;
mod write;

pub use document::Document;
pub(crate) use document_map::DocumentMap;
pub use fields::FieldValue;
pub use fields::TextField;
#[cfg(feature = "internals")]
pub use fields::{FieldReader, SparseField, SparseVector};
pub(crate) use fields::{check_sum, visit_lists};
pub use invert::{InvertedBatch, Inverter};
pub use reader::SegmentReader;
pub(crate) use reader::WeakSegmentReader;
pub use verify::verify;
pub(crate) use write::merge_bytes_per_document;
pub use write::{Reorder, Source, WriteOptions, WrittenSegment, write};
