//! Which documents a search may return: the live ones, and of these the ones that a filter accepts.
//!
//! Every algorithm gets one [`Accept`] for a segment. It looks at a document when the document's
//! score is good enough, never posting by posting.
//!
//! Bounds hold for any subset of the documents, so they need no correction. A threshold that is
//! taken from a list before any document was looked at (a *seed*, such as the k-th impact of a
//! term) does: as many of the documents that reach it as are [`rejected`](Accept::max_rejected) may not
//! be returned.

use std::ops::Range;
use std::sync::Arc;

use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::DocId;
use crate::format::container::FileStamp;
use crate::index::{DocAddress, SnapshotSegment};

const WORD_BITS: u32 = u64::BITS;
/// Looking a document up in a list takes about as long as going over this many postings of the same
/// list, many of which are skipped.
const LOOK_UP_COST: u64 = 5;

/// The documents that a search may return, one set for each segment of a snapshot.
///
/// [`Snapshot::filter`](crate::Snapshot::filter) makes it. It holds for that snapshot and for others
/// of the same segments: documents that were deleted since are not returned.
#[derive(Clone, Debug)]
pub struct Filter {
    segments: Arc<[(SegmentKey, Arc<DocSet>)]>,
}

/// What tells a segment from one that had its number before: its number and stamp.
type SegmentKey = (u64, FileStamp);

fn key_of(segment: &SnapshotSegment) -> SegmentKey {
    (segment.entry.number, segment.entry.stamp)
}

impl Filter {
    /// A filter of these sets, one for each segment, in order.
    pub(crate) fn new(segments: &[SnapshotSegment], sets: Vec<Arc<DocSet>>) -> Result<Self> {
        let documents = segments.iter().map(|segment| segment.reader.documents());
        if !documents.eq(sets.iter().map(|set| set.documents())) {
            return Err(Error::invalid(format!(
                "expected a set of documents for each of the snapshot's {} segments, each as large as its segment, \
                 found {} sets or sets of other sizes; make the sets from the segments of this snapshot",
                segments.len(),
                sets.len()
            )));
        }
        let segments = segments.iter().map(key_of).zip(sets);
        Ok(Self {
            segments: segments.collect(),
        })
    }

    /// Whether a document is accepted.
    pub(super) fn has(&self, address: DocAddress) -> bool {
        let segment = self.segments.get(address.segment as usize);
        segment.is_some_and(|(_, accepted)| accepted.contains(address.document))
    }

    /// The documents of a segment that are accepted.
    pub(super) fn set(&self, ordinal: usize) -> Option<&DocSet> {
        self.segments.get(ordinal).map(|(_, set)| &**set)
    }

    /// The documents that both filters accept; both are of the same segments.
    pub(super) fn and(&self, other: &Self) -> Self {
        let pairs = self.segments.iter().zip(&*other.segments);
        let segments = pairs.map(|((key, one), (_, other))| {
            let mut both = (**one).clone();
            both.intersect(other);
            (*key, Arc::new(both))
        });
        Self {
            segments: segments.collect(),
        }
    }

    /// Refuses a filter of other segments.
    pub(super) fn check(&self, segments: &[SnapshotSegment]) -> Result<()> {
        let keys = self.segments.iter().map(|(key, _)| *key);
        if keys.eq(segments.iter().map(key_of)) {
            return Ok(());
        }
        Err(Error::invalid(
            "expected a filter of the snapshot that is searched, found one of other segments; make the filter anew \
             after a commit that adds, merges or rewrites segments",
        ))
    }
}

/// The documents of a segment that a search may return.
#[derive(Clone, Copy, Debug)]
pub(super) enum Accept<'a> {
    /// All of them.
    All,
    /// All but these.
    Deleted(&'a DocSet),
    /// Only these.
    Mask(&'a DocSet),
    /// Those of `accepted` that are not in `deleted`. The difference is not computed beforehand: that
    /// would write a bitmap for each segment of each query.
    LiveMask {
        accepted: &'a DocSet,
        deleted: &'a DocSet,
    },
}

impl Accept<'_> {
    /// True when the document may be returned.
    #[inline(always)]
    pub fn contains(self, document: DocId) -> bool {
        match self {
            Self::All => true,
            Self::Deleted(deleted) => !deleted.contains(document),
            Self::Mask(accepted) => accepted.contains(document),
            Self::LiveMask { accepted, deleted } => {
                accepted.contains(document) && !deleted.contains(document)
            }
        }
    }

    /// No more documents of the segment than this may not be returned.
    pub fn max_rejected(self) -> u32 {
        match self {
            Self::All => 0,
            Self::Deleted(deleted) => deleted.count(),
            Self::Mask(accepted) => accepted.documents() - accepted.count(),
            Self::LiveMask { accepted, deleted } => {
                let filtered = accepted.documents() - accepted.count();
                filtered.saturating_add(deleted.count())
            }
        }
    }

    /// Whether so few documents are accepted that they are better looked up in this many lists than
    /// found among the postings of all of them.
    pub fn is_selective(self, lists: usize, postings: u64) -> bool {
        match self {
            Self::All | Self::Deleted(_) => false,
            Self::Mask(accepted) | Self::LiveMask { accepted, .. } => {
                let look_ups = u64::from(accepted.count()) * lists as u64;
                look_ups * LOOK_UP_COST <= postings
            }
        }
    }

    /// The documents of a range that may be returned, in order.
    pub fn documents(self, range: Range<DocId>) -> impl Iterator<Item = DocId> {
        let words = range.start / WORD_BITS..range.end.div_ceil(WORD_BITS);
        let documents = words.flat_map(move |place| {
            let mut rest = self.word(place as usize);
            std::iter::from_fn(move || {
                let bit = rest.trailing_zeros();
                rest &= rest.wrapping_sub(1);
                (bit < WORD_BITS).then_some(place * WORD_BITS + bit)
            })
        });
        documents
            .skip_while(move |document| *document < range.start)
            .take_while(move |document| *document < range.end)
    }

    /// False when none of these documents may be returned; looks at 64 documents at a time, so it may
    /// say true for the sake of their neighbors.
    #[inline]
    pub fn any_near(self, documents: Range<DocId>) -> bool {
        if matches!(self, Self::All) {
            return true;
        }
        let words = documents.start / WORD_BITS..documents.end.div_ceil(WORD_BITS);
        words.into_iter().any(|word| self.word(word as usize) != 0)
    }

    /// One bit for each of 64 consecutive documents: whether it may be returned. Bits beyond the last
    /// document have no meaning.
    #[inline(always)]
    fn word(self, place: usize) -> u64 {
        let of = |set: &DocSet| set.words().get(place).copied().unwrap_or(0);
        match self {
            Self::All => u64::MAX,
            Self::Deleted(deleted) => !of(deleted),
            Self::Mask(accepted) => of(accepted),
            Self::LiveMask { accepted, deleted } => of(accepted) & !of(deleted),
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
            Self::LiveMask { accepted, deleted } => keep(candidates, count, |d| {
                accepted.contains(d) && !deleted.contains(d)
            }),
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
    filter: Option<&'a Filter>,
}

impl<'a> Accepted<'a> {
    /// The live documents of these segments, and of them those that the filter accepts.
    pub fn new(segments: &'a [SnapshotSegment], filter: Option<&'a Filter>) -> Result<Self> {
        if let Some(filter) = filter {
            filter.check(segments)?;
        }
        Ok(Self { segments, filter })
    }

    /// What is accepted in a segment.
    pub fn in_segment(&self, ordinal: usize) -> Accept<'a> {
        let deleted = self.segments[ordinal].deleted.as_deref();
        let deleted = deleted.filter(|deleted| !deleted.is_empty());
        let accepted = self.filter.map(|filter| &*filter.segments[ordinal].1);
        match (accepted, deleted) {
            (None, None) => Accept::All,
            (None, Some(deleted)) => Accept::Deleted(deleted),
            (Some(accepted), None) => Accept::Mask(accepted),
            (Some(accepted), Some(deleted)) => Accept::LiveMask { accepted, deleted },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(documents: u32, members: &[u32]) -> DocSet {
        let mut set = DocSet::empty(documents);
        for member in members {
            set.insert(*member);
        }
        set
    }

    proptest! {
        #[test]
        fn keeping_is_looking_at_each_document(
            documents in 1u32..300,
            members in prop::collection::vec(0u32..300, 0..60),
            others in prop::collection::vec(0u32..300, 0..60),
            candidates in prop::collection::vec(0u32..300, 0..100),
            range in (0u32..300, 0u32..300),
        ) {
            let (set, other) = (set(documents, &members), set(documents, &others));
            let both = Accept::LiveMask { accepted: &set, deleted: &other };
            for accept in [Accept::All, Accept::Deleted(&set), Accept::Mask(&set), both] {
                let accepted = (0..documents).filter(|document| accept.contains(*document)).count();
                prop_assert!(accepted as u32 + accept.max_rejected() >= documents);
                if !matches!(accept, Accept::LiveMask { .. }) {
                    prop_assert_eq!(accepted as u32 + accept.max_rejected(), documents);
                }
                let expected: Vec<u32> = candidates.iter().copied().filter(|d| accept.contains(*d)).collect();
                let mut kept = candidates.clone();
                let count = accept.keep(&mut kept, candidates.len());
                prop_assert_eq!(&kept[..count], expected);

                let some = range.0.min(documents)..range.1.min(documents);
                let expected: Vec<u32> = some.clone().filter(|d| accept.contains(*d)).collect();
                prop_assert_eq!(accept.documents(some).collect::<Vec<u32>>(), expected);
                let range = range.0.min(range.1).min(documents)..range.0.max(range.1).min(documents);
                if range.clone().any(|document| accept.contains(document)) {
                    prop_assert!(accept.any_near(range.clone()));
                }
                let whole = range.start / 64 * 64..range.end / 64 * 64;
                let any = whole.clone().any(|document| accept.contains(document));
                prop_assert!(whole.is_empty() || accept.any_near(whole) == any);
            }
        }
    }
}
