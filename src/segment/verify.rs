//! Walks everything that a segment holds and compares it with the invariants of the format.

use super::fields;
use super::reader::SegmentReader;
use crate::error::Result;
use crate::format::segment_info::FieldStatistics;

/// Verifies every checksum and every invariant of a segment.
///
/// # Errors
///
/// [`Error::Corrupt`](crate::Error::Corrupt) at the first thing that is not as `format-spec/` says.
pub fn verify(segment: &SegmentReader) -> Result<()> {
    segment.container().verify()?;
    fields::id::verify(segment)?;
    for (number, reader) in segment.fields() {
        let found = fields::verify(segment, *number, reader)?;
        let statistics = segment.info().field(*number).copied();
        let expected = statistics.map(|statistics| FieldStatistics {
            // No reader can count these again.
            skipped: found.skipped,
            rounded_up: found.rounded_up,
            ..statistics
        });
        if expected != Some(found) {
            let message =
                format!("field {number}: expected the statistics {expected:?}, found {found:?}");
            return Err(segment.broken("info", message));
        }
    }
    Ok(())
}
