//! What a query reads of segments in an object store, requested before it is needed.
//!
//! Each request takes as long as many others at once. So the dictionaries of all segments are
//! requested together, then all lists. On other segments this does nothing.

use super::look_up::Entries;
use crate::format::FieldNumber;
use crate::format::dictionary::{Dictionary, TermEntry, TermPostings};
use crate::index::Snapshot;
use crate::segment::SegmentReader;

/// Bytes of a list, or of the lengths of documents, that are requested at once: searches skip much
/// of what is longer.
const MAX_BYTES: u64 = 2 << 20;

/// Requests what look-ups in a field's dictionaries read.
pub(super) fn dictionaries<'a>(
    snapshot: &'a Snapshot,
    dictionary: impl Fn(&'a SegmentReader) -> Option<&'a Dictionary>,
) {
    for segment in snapshot.segments() {
        if segment.reader.is_on_demand()
            && let Some(dictionary) = dictionary(&segment.reader)
        {
            dictionary.prefetch();
        }
    }
}

/// Requests the lists of the terms of a text field, and the lengths of its documents.
pub(super) fn text_lists(snapshot: &Snapshot, field: FieldNumber, entries: &Entries) {
    for (ordinal, segment) in snapshot.segments().iter().enumerate() {
        if !segment.reader.is_on_demand() || segment.live_documents() == 0 {
            continue;
        }
        let Some(text) = segment.reader.text(field) else {
            continue;
        };
        for entry in entries.of_segment(ordinal) {
            if let Some((offset, length)) = place_of(entry) {
                text.postings.prefetch(offset, length);
                text.lengths.prefetch(0, MAX_BYTES);
            }
        }
    }
}

/// Requests the lists of the terms of a sparse field.
pub(super) fn sparse_lists<'a>(
    reader: &SegmentReader,
    field: FieldNumber,
    entries: impl Iterator<Item = &'a TermEntry>,
) {
    if let Some(sparse) = reader.sparse(field) {
        for (offset, length) in entries.filter_map(place_of) {
            sparse.impacts.prefetch(offset, length);
        }
    }
}

/// Where the part of a term's list is that is requested.
fn place_of(entry: &TermEntry) -> Option<(u64, u64)> {
    match entry.postings {
        TermPostings::List { offset, length } => Some((offset, length.min(MAX_BYTES))),
        TermPostings::Single { .. } => None,
    }
}
