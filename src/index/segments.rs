//! The writer's list of segments, and the merges among them.
//!
//! A planned merge replaces its sources in the list at once and owns them until it ends. Deletes go
//! to the sources until then and are carried over to the merged segment. The sources of a merge may
//! be merges themselves; it starts when those have ended. So planning never waits, and which
//! segments are merged depends only on the sequence of additions and deletes. When a merge starts
//! decides only which deleted documents the merged file drops and which stay in its deletes file;
//! the live documents are the same.

use std::sync::Arc;

use super::added::Added;
use super::merge_policy::Candidate;
use super::pool::ReadySegment;
use super::resolve::find_ids;
use super::snapshot::SnapshotSegment;
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::format::container::FileStamp;
use crate::format::manifest::DeletesEntry;
use crate::segment::SegmentReader;

/// A segment as the writer sees it.
#[derive(Clone)]
pub(super) struct LiveSegment {
    pub number: u64,
    pub stamp: FileStamp,
    pub reader: SegmentReader,
    pub deleted: Option<Arc<DocSet>>,
    /// The deletes file with the content of `deleted`; `None` when it must still be written.
    pub deletes_file: Option<DeletesEntry>,
    /// Which of its documents were added since the last commit.
    pub added: Added,
    /// True when it is in memory alone: the next commit writes its file.
    pub is_unsaved: bool,
}

impl LiveSegment {
    pub fn committed(segment: &SnapshotSegment) -> Self {
        Self {
            number: segment.entry.number,
            stamp: segment.entry.stamp,
            reader: segment.reader.clone(),
            deleted: segment.deleted.clone(),
            deletes_file: segment.entry.deletes.clone(),
            added: Added::Nothing,
            is_unsaved: false,
        }
    }

    pub fn new(ready: ReadySegment) -> Self {
        Self {
            number: ready.number,
            stamp: ready.written.stamp,
            reader: ready.reader,
            deleted: None,
            deletes_file: None,
            added: Added::Everything,
            is_unsaved: ready.is_unsaved,
        }
    }

    pub fn deleted_count(&self) -> u32 {
        self.deleted.as_ref().map_or(0, |deleted| deleted.count())
    }

    fn live(&self) -> u32 {
        self.reader.documents().saturating_sub(self.deleted_count())
    }

    fn delete(&mut self, document: u32) -> bool {
        let documents = self.reader.documents();
        let deleted = self
            .deleted
            .get_or_insert_with(|| Arc::new(DocSet::empty(documents)));
        if deleted.contains(document) {
            return false;
        }
        self.deletes_file = None;
        Arc::make_mut(deleted).insert(document)
    }

    /// Deletes the documents of a set, and returns how many of them were live.
    fn delete_set(&mut self, documents: &DocSet) -> u32 {
        let before = self.deleted_count();
        let mut deleted = match &self.deleted {
            Some(deleted) => (**deleted).clone(),
            None => DocSet::empty(self.reader.documents()),
        };
        deleted.unite(documents);
        let count = deleted.count() - before;
        if count > 0 {
            self.deleted = Some(Arc::new(deleted));
            self.deletes_file = None;
        }
        count
    }
}

enum State {
    Ready(LiveSegment),
    Merging(Merging),
}

/// A merge that is running or waits for the merges of its parts.
struct Merging {
    number: u64,
    parts: Vec<Slot>,
    is_running: bool,
}

/// An entry of the list: a segment, or a merge of several.
struct Slot {
    state: State,
    /// Bytes of the file or, for a merge, of the sources. This and the next two fields do not
    /// change when a merge ends: the choices of the merge policy must not depend on timing.
    bytes: u64,
    /// Number of documents; for a merge, of the documents that were live when it was planned.
    documents: u32,
    /// Bytes of the largest dictionary; for a merge, the sum over the sources.
    key_bytes: u64,
    can_merge: bool,
}

impl Slot {
    fn new(segment: LiveSegment) -> Self {
        Self {
            bytes: segment.stamp.length,
            documents: segment.reader.documents(),
            key_bytes: segment.reader.key_bytes(),
            can_merge: true,
            state: State::Ready(segment),
        }
    }

    fn live(&self) -> u32 {
        match &self.state {
            State::Ready(segment) => segment.live(),
            // Saturates only above the limit of documents per segment, where the merge fails
            // anyway.
            State::Merging(merge) => merge
                .parts
                .iter()
                .fold(0, |sum, part| part.live().saturating_add(sum)),
        }
    }

    /// Bytes less the share of deleted documents.
    fn live_bytes(&self) -> u64 {
        let bytes = u128::from(self.bytes) * u128::from(self.live());
        let bytes = bytes / u128::from(self.documents.max(1));
        u64::try_from(bytes).unwrap_or(self.bytes)
    }

    fn visit<'a>(&'a self, visit: &mut impl FnMut(&'a LiveSegment)) {
        match &self.state {
            State::Ready(segment) => visit(segment),
            State::Merging(merge) => merge.parts.iter().for_each(|part| part.visit(visit)),
        }
    }

    fn visit_mut(&mut self, visit: &mut impl FnMut(&mut LiveSegment)) {
        match &mut self.state {
            State::Ready(segment) => visit(segment),
            State::Merging(merge) => {
                merge
                    .parts
                    .iter_mut()
                    .for_each(|part| part.visit_mut(visit));
            }
        }
    }

    /// The slot of the merge that writes file `number`: this one or one among its parts.
    fn find_merge(&mut self, number: u64) -> Option<&mut Self> {
        let State::Merging(merge) = &self.state else {
            return None;
        };
        if merge.number == number {
            return Some(self);
        }
        let State::Merging(merge) = &mut self.state else {
            return None;
        };
        let mut parts = merge.parts.iter_mut();
        parts.find_map(|part| part.find_merge(number))
    }

    /// Collects the merges whose parts are all ready, and marks them as running.
    fn start_merges(&mut self, plans: &mut Vec<MergePlan>) {
        let State::Merging(merge) = &mut self.state else {
            return;
        };
        if merge.is_running {
            return;
        }
        merge.parts.iter_mut().for_each(|p| p.start_merges(plans));
        let ready: Option<Vec<&LiveSegment>> = merge
            .parts
            .iter()
            .map(|part| match &part.state {
                State::Ready(segment) => Some(segment),
                State::Merging(_) => None,
            })
            .collect();
        if let Some(sources) = ready {
            let source = |s: &LiveSegment| (s.reader.clone(), s.deleted.clone());
            plans.push(MergePlan {
                number: merge.number,
                sources: sources.into_iter().map(source).collect(),
            });
            merge.is_running = true;
        }
    }
}

/// The input of a merge job.
pub(super) struct MergePlan {
    /// Number of the file that it writes.
    pub number: u64,
    pub sources: Vec<(SegmentReader, Option<Arc<DocSet>>)>,
}

impl MergePlan {
    /// Documents of its sources, deleted ones included.
    pub fn documents(&self) -> u64 {
        let sources = self.sources.iter();
        sources
            .map(|(reader, _)| u64::from(reader.documents()))
            .sum()
    }
}

/// All segments of the next commit, in order.
#[derive(Default)]
pub(super) struct Segments {
    slots: Vec<Slot>,
}

impl Segments {
    pub fn push(&mut self, segment: LiveSegment) {
        self.slots.push(Slot::new(segment));
    }

    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Every segment, those being merged included.
    pub fn all(&self) -> Vec<&LiveSegment> {
        let mut segments = Vec::with_capacity(self.slots.len());
        let mut push = |segment| segments.push(segment);
        self.slots.iter().for_each(|slot| slot.visit(&mut push));
        segments
    }

    /// Visits every segment, those being merged included.
    pub fn for_each_mut(&mut self, mut visit: impl FnMut(&mut LiveSegment)) {
        let slots = self.slots.iter_mut();
        slots.for_each(|slot| slot.visit_mut(&mut visit));
    }

    /// The input of the merge policy. It does not depend on whether a merge has ended.
    pub fn candidates(&self) -> Vec<Candidate> {
        let slots = self.slots.iter();
        slots
            .map(|slot| Candidate {
                bytes: slot.live_bytes(),
                documents: slot.documents,
                deleted: slot.documents.saturating_sub(slot.live()),
                key_bytes: slot.key_bytes,
                can_merge: slot.can_merge,
            })
            .collect()
    }

    /// Deletes the documents with these ids, which are sorted, from every segment. For a live
    /// document that was added since the last commit, `reject` is called first with the index of
    /// the id: if it returns true, the document stays.
    pub fn delete_ids(
        &mut self,
        ids: &[&[u8]],
        mut reject: impl FnMut(usize) -> bool,
    ) -> Result<()> {
        let mut result = Ok(());
        self.for_each_mut(|segment| {
            let mut matches = Vec::new();
            let found = find_ids(&segment.reader, ids, |place, document| {
                matches.push((place, document));
            });
            if found.is_err() {
                result = found;
                return;
            }
            for (place, document) in matches {
                let live = segment
                    .deleted
                    .as_ref()
                    .is_none_or(|d| !d.contains(document));
                if live && !(segment.added.contains(document) && reject(place)) {
                    segment.delete(document);
                }
            }
        });
        result
    }

    /// Deletes the documents of these sets, one for each segment in the order of
    /// [`all`](Self::all), and returns how many of them were live.
    pub fn delete_sets(&mut self, sets: &[Arc<DocSet>]) -> u64 {
        let mut count = 0;
        let mut sets = sets.iter();
        self.for_each_mut(|segment| {
            if let Some(documents) = sets.next() {
                count += u64::from(segment.delete_set(documents));
            }
        });
        count
    }

    /// Plans a merge of the segments at `places`, ascending, into file `number`. It replaces them
    /// now, and [`start_merges`](Self::start_merges) returns it when all of them are ready.
    pub fn plan_merge(&mut self, places: &[usize], number: u64) {
        let Some(first) = places.first().copied() else {
            return;
        };
        let removed = places.iter().rev().map(|place| self.slots.remove(*place));
        let mut parts: Vec<Slot> = removed.collect();
        parts.reverse();
        let live = parts.iter().map(Slot::live);
        let slot = Slot {
            bytes: parts.iter().map(Slot::live_bytes).sum(),
            documents: live.fold(0, u32::saturating_add),
            key_bytes: parts.iter().map(|part| part.key_bytes).sum(),
            can_merge: true,
            state: State::Merging(Merging {
                number,
                parts,
                is_running: false,
            }),
        };
        self.slots.insert(first, slot);
    }

    /// The planned merges whose sources are ready, to run now.
    pub fn start_merges(&mut self) -> Vec<MergePlan> {
        let mut plans = Vec::new();
        let slots = self.slots.iter_mut();
        slots.for_each(|slot| slot.start_merges(&mut plans));
        plans
    }

    /// Replaces the sources of a merge by the merged segment, and applies the deletes that the
    /// sources received during the merge. False if its slot was dropped because all its documents
    /// were deleted.
    pub fn end_merge(&mut self, mut ready: ReadySegment) -> bool {
        let number = ready.number;
        let mut slots = self.slots.iter_mut();
        let Some(slot) = slots.find_map(|slot| slot.find_merge(number)) else {
            return false;
        };
        let mut sources = Vec::new();
        slot.visit(&mut |segment| sources.push(segment));
        let maps = std::mem::take(&mut ready.written.maps);
        let mut merged = LiveSegment::new(ready);
        let pairs = || sources.iter().copied().zip(&maps);
        merged.added = Added::merged(
            merged.reader.documents(),
            pairs().map(|(source, map)| (&source.added, source.reader.documents(), map)),
        );
        for (source, map) in pairs() {
            let Some(deleted) = &source.deleted else {
                continue;
            };
            let deleted = (0..source.reader.documents()).filter(|d| deleted.contains(*d));
            for document in deleted.filter_map(|d| map.get(d)) {
                merged.delete(document);
            }
        }
        slot.state = State::Ready(merged);
        true
    }

    /// Puts the sources of a failed merge back into the list. With `exclude`, the policy does not
    /// merge them again.
    pub fn abandon_merge(&mut self, number: u64, exclude: bool) {
        abandon_in(&mut self.slots, number, exclude);
    }

    /// Drops the segments without live documents.
    pub fn drop_empty(&mut self) {
        self.slots.retain(|slot| slot.live() > 0);
    }
}

fn abandon_in(slots: &mut Vec<Slot>, number: u64, exclude: bool) -> bool {
    let is_it = |slot: &Slot| matches!(&slot.state, State::Merging(m) if m.number == number);
    if let Some(place) = slots.iter().position(is_it) {
        if let State::Merging(merge) = slots.remove(place).state {
            let parts = merge.parts.into_iter().map(|part| Slot {
                can_merge: part.can_merge && !exclude,
                ..part
            });
            slots.splice(place..place, parts);
        }
        return true;
    }
    slots.iter_mut().any(|slot| match &mut slot.state {
        State::Merging(merge) => abandon_in(&mut merge.parts, number, exclude),
        State::Ready(_) => false,
    })
}
