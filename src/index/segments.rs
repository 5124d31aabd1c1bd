//! The writer's view of the segments, and merges among them.
//!
//! A merge takes the place of its sources at once, and keeps them until it is done: deletes go to the
//! sources meanwhile, and are carried over to the merged segment then. What is merged depends on the
//! order of what was added and deleted alone, never on which thread was faster.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::merge_policy::Candidate;
use super::pool::ReadySegment;
use super::resolve::find_ids;
use super::snapshot::SnapshotSegment;
use crate::error::Result;
use crate::format::container::FileStamp;
use crate::format::deletes::DeletedDocuments;
use crate::format::manifest::DeletesEntry;
use crate::segment::SegmentReader;

/// A segment as the writer sees it.
#[derive(Clone)]
pub(super) struct LiveSegment {
    pub number: u64,
    pub stamp: FileStamp,
    pub reader: SegmentReader,
    pub deleted: Option<Arc<DeletedDocuments>>,
    /// The deletes file that says the same as `deleted`; `None` when it must be written.
    pub deletes_file: Option<DeletesEntry>,
    /// Whether it was written since the last commit.
    pub is_new: bool,
}

impl LiveSegment {
    pub fn committed(segment: &SnapshotSegment) -> Self {
        Self {
            number: segment.entry.number,
            stamp: segment.entry.stamp,
            reader: segment.reader.clone(),
            deleted: segment.deleted.clone(),
            deletes_file: segment.entry.deletes.clone(),
            is_new: false,
        }
    }

    pub fn new(ready: ReadySegment) -> Self {
        Self {
            number: ready.number,
            stamp: ready.written.stamp,
            reader: ready.reader,
            deleted: None,
            deletes_file: None,
            is_new: true,
        }
    }

    pub fn deleted_count(&self) -> u32 {
        self.deleted.as_ref().map_or(0, |deleted| deleted.count())
    }

    fn delete(&mut self, document: u32) -> bool {
        let documents = self.reader.documents();
        let deleted = self
            .deleted
            .get_or_insert_with(|| Arc::new(DeletedDocuments::none(documents)));
        if deleted.contains(document) {
            return false;
        }
        self.deletes_file = None;
        Arc::make_mut(deleted).delete(document)
    }
}

enum State {
    Ready(LiveSegment),
    Merging {
        number: u64,
        sources: Vec<LiveSegment>,
        /// What was deleted of each source when the merge began.
        at_start: Vec<Option<Arc<DeletedDocuments>>>,
    },
}

struct Slot {
    state: State,
    /// Bytes of the file, or of everything that goes into it: independent of when a merge ends.
    bytes: u64,
}

/// What a merge job needs.
pub(super) struct MergePlan {
    pub sources: Vec<(SegmentReader, Option<Arc<DeletedDocuments>>)>,
}

/// All segments of the next commit, in order.
#[derive(Default)]
pub(super) struct Segments {
    slots: Vec<Slot>,
}

impl Segments {
    pub fn push(&mut self, segment: LiveSegment) {
        self.slots.push(Slot {
            bytes: segment.stamp.length,
            state: State::Ready(segment),
        });
    }

    /// Every segment, those being merged included.
    pub fn iter(&self) -> impl Iterator<Item = &LiveSegment> {
        self.slots.iter().flat_map(|slot| match &slot.state {
            State::Ready(segment) => std::slice::from_ref(segment),
            State::Merging { sources, .. } => sources,
        })
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut LiveSegment> {
        self.slots
            .iter_mut()
            .flat_map(|slot| match &mut slot.state {
                State::Ready(segment) => std::slice::from_mut(segment),
                State::Merging { sources, .. } => sources,
            })
    }

    /// Numbers of the files that merges are writing.
    pub fn merging(&self) -> BTreeSet<u64> {
        let numbers = self.slots.iter().filter_map(|slot| match &slot.state {
            State::Ready(_) => None,
            State::Merging { number, .. } => Some(*number),
        });
        numbers.collect()
    }

    pub fn is_merging(&self, place: usize) -> bool {
        self.slots
            .get(place)
            .is_some_and(|slot| matches!(slot.state, State::Merging { .. }))
    }

    /// What the merge policy looks at, the same whether a merge has ended or not.
    pub fn candidates(&self) -> Vec<Candidate> {
        let of_slot = |slot: &Slot| match &slot.state {
            State::Ready(segment) => Candidate {
                bytes: slot.bytes,
                documents: segment.reader.documents(),
                deleted: segment.deleted_count(),
            },
            State::Merging {
                sources, at_start, ..
            } => {
                let before =
                    |d: &Option<Arc<DeletedDocuments>>| d.as_ref().map_or(0, |d| d.count());
                let pairs = || sources.iter().zip(at_start);
                Candidate {
                    bytes: slot.bytes,
                    documents: pairs().map(|(s, d)| s.reader.documents() - before(d)).sum(),
                    deleted: pairs().map(|(s, d)| s.deleted_count() - before(d)).sum(),
                }
            }
        };
        self.slots.iter().map(of_slot).collect()
    }

    /// Marks the documents of `ids` (sorted) as deleted in every segment. `reject` is asked first for ids
    /// that a segment written since the last commit has live: when it says true, the document stays.
    pub fn delete_ids(
        &mut self,
        ids: &[&[u8]],
        mut reject: impl FnMut(usize) -> bool,
    ) -> Result<()> {
        for segment in self.iter_mut() {
            let mut gone = Vec::new();
            find_ids(&segment.reader, ids, |place, document| {
                gone.push((place, document))
            })?;
            for (place, document) in gone {
                let live = segment
                    .deleted
                    .as_ref()
                    .is_none_or(|d| !d.contains(document));
                if live && !(segment.is_new && reject(place)) {
                    segment.delete(document);
                }
            }
        }
        Ok(())
    }

    /// Begins a merge of the segments at `places` (rising, none of them merging) into file `number`.
    pub fn begin_merge(&mut self, places: &[usize], number: u64) -> Option<MergePlan> {
        let first = *places.first()?;
        let mut bytes = 0;
        let mut sources = Vec::with_capacity(places.len());
        for place in places.iter().rev() {
            let slot = self.slots.remove(*place);
            bytes += slot.bytes;
            if let State::Ready(segment) = slot.state {
                sources.push(segment);
            }
        }
        sources.reverse();
        let at_start: Vec<_> = sources.iter().map(|s| s.deleted.clone()).collect();
        let plan = MergePlan {
            sources: sources
                .iter()
                .map(|s| (s.reader.clone(), s.deleted.clone()))
                .collect(),
        };
        let state = State::Merging {
            number,
            sources,
            at_start,
        };
        self.slots.insert(first, Slot { state, bytes });
        Some(plan)
    }

    /// Puts a merged segment in the place of its sources, with what was deleted of them meanwhile.
    pub fn end_merge(&mut self, mut ready: ReadySegment) -> Result<()> {
        let slot = self.slots.iter_mut().find(
            |slot| matches!(&slot.state, State::Merging { number, .. } if *number == ready.number),
        );
        let Some(slot) = slot else { return Ok(()) };
        let State::Merging { sources, .. } = &slot.state else {
            return Ok(());
        };
        let maps = std::mem::take(&mut ready.written.maps);
        let mut merged = LiveSegment::new(ready);
        merged.is_new = sources.iter().any(|source| source.is_new);
        for (source, map) in sources.iter().zip(&maps) {
            let Some(deleted) = &source.deleted else {
                continue;
            };
            let gone = (0..source.reader.documents()).filter(|d| deleted.contains(*d));
            for document in gone.filter_map(|d| map.get(d)) {
                merged.delete(document);
            }
        }
        slot.state = State::Ready(merged);
        Ok(())
    }

    /// Drops segments of which every document is deleted.
    pub fn drop_empty(&mut self) {
        self.slots.retain(|slot| match &slot.state {
            State::Ready(segment) => segment.deleted_count() < segment.reader.documents(),
            State::Merging { .. } => true,
        });
    }
}
