//! Which documents a search may return: the live ones, and of these the ones that a filter accepts.
//!
//! Every algorithm gets one [`Accept`] for a segment. It looks at a document when the document's
//! score is good enough, never posting by posting.
//!
//! Bounds hold for any subset of the documents, so they need no correction. A threshold that is
//! taken from a list before any document was looked at (a *seed*, such as the k-th impact of a
//! term) does: as many of the documents that reach it as are [`rejected`](Accept::rejected) may not
//! be returned.

use std::borrow::Cow;
use std::sync::Arc;

use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::DocId;
use crate::index::SnapshotSegment;

/// The documents that a filter accepts, one set for each segment of the snapshot, in order.
pub(super) type Filter = Arc<[DocSet]>;

/// The documents of a segment that a search may return.
#[derive(Clone, Copy, Debug)]
pub(super) enum Accept<'a> {
    /// All of them.
    All,
    /// All but these.
    Deleted(&'a DocSet),
    /// Only these.
    Mask(&'a DocSet),
}

impl Accept<'_> {
    /// True when the document may be returned.
    #[inline(always)]
    pub fn contains(self, document: DocId) -> bool {
        match self {
            Self::All => true,
            Self::Deleted(deleted) => !deleted.contains(document),
            Self::Mask(accepted) => accepted.contains(document),
        }
    }

    /// Number of documents of the segment that may not be returned.
    pub fn rejected(self) -> u32 {
        match self {
            Self::All => 0,
            Self::Deleted(deleted) => deleted.count(),
            Self::Mask(accepted) => accepted.documents() - accepted.count(),
        }
    }

    /// Keeps the accepted ones of the first `count` candidates, in order, and returns how many they
    /// are. Branches once on the kind of mask, not for each candidate.
    #[inline]
    pub fn keep(self, candidates: &mut [DocId], count: usize) -> usize {
        match self {
            Self::All => count,
            Self::Deleted(deleted) => keep(candidates, count, |d| !deleted.contains(d)),
            Self::Mask(accepted) => keep(candidates, count, |d| accepted.contains(d)),
        }
    }
}

#[inline(always)]
fn keep(candidates: &mut [DocId], count: usize, is_accepted: impl Fn(DocId) -> bool) -> usize {
    let mut kept = 0;
    for place in 0..count {
        let document = candidates[place];
        candidates[kept] = document;
        kept += usize::from(is_accepted(document));
    }
    kept
}

/// What a search accepts in each segment of a snapshot.
pub(super) struct Accepted<'a> {
    segments: &'a [SnapshotSegment],
    /// The filter's documents that are live, for each segment; empty without a filter.
    masks: Vec<Cow<'a, DocSet>>,
}

impl<'a> Accepted<'a> {
    /// The live documents of these segments, and of them those that the filter accepts.
    pub fn new(segments: &'a [SnapshotSegment], filter: Option<&'a Filter>) -> Result<Self> {
        let masks = match filter {
            None => Vec::new(),
            Some(filter) => masks(segments, filter)?,
        };
        Ok(Self { segments, masks })
    }

    /// What is accepted in a segment.
    pub fn in_segment(&self, ordinal: usize) -> Accept<'_> {
        match self.masks.get(ordinal) {
            Some(mask) => Accept::Mask(mask),
            None => accept_live(&self.segments[ordinal]),
        }
    }
}

fn accept_live(segment: &SnapshotSegment) -> Accept<'_> {
    match &segment.deleted {
        Some(deleted) if !deleted.is_empty() => Accept::Deleted(deleted),
        _ => Accept::All,
    }
}

fn masks<'a>(segments: &[SnapshotSegment], filter: &'a Filter) -> Result<Vec<Cow<'a, DocSet>>> {
    let documents = segments.iter().map(|segment| segment.reader.documents());
    if !documents.eq(filter.iter().map(DocSet::documents)) {
        return Err(Error::invalid(format!(
            "expected a filter with a set of documents for each of the snapshot's {} segments, found {} sets, or \
             sets of other sizes; make the filter from the snapshot that is searched",
            segments.len(),
            filter.len()
        )));
    }
    let mask = |(segment, accepted): (&SnapshotSegment, &'a DocSet)| match &segment.deleted {
        Some(deleted) if !deleted.is_empty() => {
            let mut live = accepted.clone();
            live.subtract(deleted);
            Cow::Owned(live)
        }
        _ => Cow::Borrowed(accepted),
    };
    Ok(segments.iter().zip(filter.iter()).map(mask).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn keeping_is_looking_at_each_document(
            documents in 1u32..300,
            members in prop::collection::vec(0u32..300, 0..60),
            candidates in prop::collection::vec(0u32..300, 0..100),
        ) {
            let mut set = DocSet::empty(documents);
            for member in members {
                set.insert(member);
            }
            for accept in [Accept::All, Accept::Deleted(&set), Accept::Mask(&set)] {
                let accepted = (0..documents).filter(|document| accept.contains(*document)).count();
                prop_assert_eq!(accepted as u32 + accept.rejected(), documents);
                let expected: Vec<u32> = candidates.iter().copied().filter(|d| accept.contains(*d)).collect();
                let mut kept = candidates.clone();
                let count = accept.keep(&mut kept, candidates.len());
                prop_assert_eq!(&kept[..count], expected);
            }
        }
    }
}
