//! The section with the first and the last bytes of every other, which opening reads: so one read
//! of the end opens a file in an object store (`format-spec/container.md`).

use std::sync::Arc;

use crate::bytes::Bytes;
use crate::error::Result;
use crate::format::{FieldNumber, Malformed, Section, wide};

/// The name of the section.
pub(super) const EDGES: &str = "edges";
/// Bytes of each edge, of a section that has as many.
pub(super) const EDGE_BYTES: usize = 64;

/// Bytes of each edge of a section of this length.
pub(super) fn edge_bytes(length: u64) -> usize {
    usize::try_from(length).map_or(EDGE_BYTES, |length| length.min(EDGE_BYTES))
}

/// A section with its first and its last bytes.
pub(super) type Edges<'a> = (&'a mut Section, Bytes, Bytes);

/// The section of the edges, and the sections before it with theirs, which begin at `places`.
pub(super) fn edges_of<'a>(
    sections: &'a mut [(FieldNumber, Arc<str>, Section)],
    places: &[usize],
) -> Result<Option<(Section, Vec<Edges<'a>>)>> {
    let Some(((_, name, edges), others)) = sections.split_last_mut() else {
        return Ok(None);
    };
    if **name != *EDGES {
        return Ok(None);
    }
    let bytes = Bytes::from(edges.all()?.to_vec());
    let mut found = Vec::with_capacity(others.len());
    for ((_, _, section), at) in others.iter_mut().zip(places.iter().copied()) {
        let length = edge_bytes(section.len());
        let (middle, end) = (at + length, at + 2 * length);
        let (first, last) = (bytes.slice(at..middle), bytes.slice(middle..end));
        let (Some(first), Some(last)) = (first, last) else {
            return Err(edges.malformed(wide(at), Malformed("expected more bytes of sections")));
        };
        found.push((section, first, last));
    }
    let expected = places.last().copied();
    if expected.map(wide) != Some(edges.len()) {
        let message =
            Malformed("expected the first and last bytes of the sections before, no others");
        return Err(edges.malformed(0, message));
    }
    Ok(Some((edges.clone(), found)))
}

/// Gives the sections of a file that is filled on demand their edges.
pub(super) fn read_edges(
    sections: &mut [(FieldNumber, Arc<str>, Section)],
    places: &[usize],
) -> Result<()> {
    if let Some((_, others)) = edges_of(sections, places)? {
        for (section, first, last) in others {
            section.set_edges(Some([first, last]));
        }
    }
    Ok(())
}
