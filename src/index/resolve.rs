//! Finds the documents of a segment that have given external ids.

use crate::error::Result;
use crate::format::DocId;
use crate::segment::SegmentReader;

/// With fewer than one id per this many documents, each id is looked up in the dictionary; with
/// more, one pass over the dictionary costs less.
const DOCUMENTS_PER_LOOKUP: u64 = 16;

/// Calls `found` with the index in `ids`, which are sorted, and the document of every id that the
/// segment has, deleted documents included.
pub(super) fn find_ids(
    segment: &SegmentReader,
    ids: &[&[u8]],
    mut found: impl FnMut(usize, DocId),
) -> Result<()> {
    if (ids.len() as u64) * DOCUMENTS_PER_LOOKUP < u64::from(segment.documents()) {
        for (place, id) in ids.iter().enumerate() {
            if let Some(ordinal) = segment.ids().dictionary().ordinal(id)? {
                found(place, segment.ids().document_of(ordinal)?);
            }
        }
        return Ok(());
    }
    let mut iter = segment.ids().dictionary().iter();
    let mut has_key = iter.advance()?;
    for (place, id) in ids.iter().enumerate() {
        while has_key && iter.key() < *id {
            has_key = iter.advance()?;
        }
        if !has_key {
            break;
        }
        if iter.key() == *id {
            found(place, segment.ids().document_of(iter.ordinal())?);
        }
    }
    Ok(())
}
