//! Which documents of a segment a sorted list of ids means.

use crate::error::Result;
use crate::format::DocId;
use crate::segment::SegmentReader;

/// Below this share of ids to documents, each id is looked up; above, both lists are walked.
const LOOKUP_SHARE: u64 = 16;

/// Calls `found` with the place in `ids` and the document of every id that the segment has, deleted or not.
pub(super) fn find_ids(
    segment: &SegmentReader,
    ids: &[&[u8]],
    mut found: impl FnMut(usize, DocId),
) -> Result<()> {
    if (ids.len() as u64) * LOOKUP_SHARE < u64::from(segment.documents()) {
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
