//! The segments that an [`Index`](super::Index) holds open.
//!
//! Snapshots and writers of one index share open segments: a new snapshot maps only new segments
//! and keeps the state of the others (verified checksums, term lookups, decompressed documents).
//!
//! - The cache holds the segments of the newest known commit open, used or not.
//! - Snapshots and writers hold older segments open; the cache has weak references to them.
//! - The cache keeps the newest snapshot and returns it again while its manifest is the newest,
//!   which costs two file lookups.
//!
//! Why two lookups are enough: commits have consecutive numbers, and a writer removes manifests in
//! ascending order and stops at the first failure. So manifest N is the newest if N + 1 does not
//! exist and, checked after that, N exists. Its [`FileVersion`] tells whether it is still the same
//! file, not manifest N of an index that was created again in the same directory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use super::commit::Newest;
use super::snapshot::{Snapshot, SnapshotSegment};
use crate::error::{Error, Result};
use crate::format::container::FileStamp;
use crate::format::manifest::{SegmentEntry, deletes_file, manifest_file, segment_file};
use crate::format::{Container, FileKind, Schema, Verify, deletes};
use crate::segment::{self, SegmentReader, WeakSegmentReader};
use crate::store::{Directory, FileHandle, FileVersion};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// What is taken for granted of segments whose checksums are right.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trust {
    /// That a writer wrote their content.
    Content(Verify),
    /// Nothing: they are verified from end to end before they are used.
    None,
}

/// Opens every segment of one directory once.
#[derive(Debug)]
pub(super) struct SegmentCache {
    directory: Arc<dyn Directory>,
    trust: Trust,
    state: Mutex<State>,
    /// Held while a snapshot is opened, so that two threads do not open the same segments.
    loading: Mutex<()>,
    /// What opening the index read, until the first snapshot.
    opened: Mutex<Option<Newest>>,
    /// Greater than the number of every file that a writer of this cache began. A dropped writer's
    /// job may still be sending a file to the directory, so its number is not used again.
    numbers: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    newest: Option<(FileVersion, Snapshot)>,
    /// Segments of the newest known commit, by number, with their deleted documents.
    current: HashMap<u64, SnapshotSegment>,
    /// The schema that they were opened with.
    current_schema: Option<Arc<Schema>>,
    /// Every segment that may still be open somewhere, by number.
    open: HashMap<u64, OpenSegment>,
}

/// A segment that may still be open, and what it was opened with.
#[derive(Clone, Debug)]
struct OpenSegment {
    stamp: FileStamp,
    schema: Arc<Schema>,
    reader: WeakSegmentReader,
}

/// Whether the segment is to be opened anew, so that its space in a local cache becomes free.
fn is_evicted(segment: &SnapshotSegment) -> bool {
    segment.reader.source().is_evicted()
}

impl SegmentCache {
    pub fn new(directory: Arc<dyn Directory>, trust: Trust, opened: Option<Newest>) -> Self {
        Self {
            opened: Mutex::new(opened),
            numbers: AtomicU64::new(0),
            directory,
            trust,
            state: Mutex::default(),
            loading: Mutex::default(),
        }
    }

    /// The newest snapshot: the cached one if it is still the newest, else the result of `make`.
    pub fn newest(&self, make: impl Fn() -> Result<(FileVersion, Snapshot)>) -> Result<Snapshot> {
        if let Some(snapshot) = self.unchanged()? {
            return Ok(snapshot);
        }
        let _loading = lock(&self.loading);
        // Another thread may have opened it while this one waited for the lock.
        if let Some(snapshot) = self.unchanged()? {
            return Ok(snapshot);
        }
        let made = match make() {
            // Files of an untrusted index may take so much memory: what is kept for the next
            // snapshot makes room for it.
            Err(Error::Limit { .. }) if matches!(self.trust, Trust::None) => {
                self.forget();
                make()
            }
            made => made,
        };
        let (version, snapshot) = made?;
        self.keep(
            snapshot.segments().to_vec(),
            snapshot.shared_schema(),
            Some((version, snapshot.clone())),
        );
        Ok(snapshot)
    }

    /// The cached snapshot, if nothing was committed since.
    fn unchanged(&self) -> Result<Option<Snapshot>> {
        let newest = lock(&self.state).newest.clone();
        let is_kept = |snapshot: &Snapshot| !snapshot.segments().iter().any(is_evicted);
        let Some((version, snapshot)) = newest.filter(|(_, snapshot)| is_kept(snapshot)) else {
            return Ok(None);
        };
        Ok(self
            .is_newest(snapshot.commit(), version)?
            .then_some(snapshot))
    }

    /// True if the newest manifest is that of `commit`, in a file of this version.
    fn is_newest(&self, commit: u64, version: FileVersion) -> Result<bool> {
        // The order of the two lookups matters: see the docs of this module.
        if self
            .directory
            .version(&manifest_file(commit + 1))?
            .is_some()
        {
            return Ok(false);
        }
        Ok(self.directory.version(&manifest_file(commit))? == Some(version))
    }

    /// The manifest that the index was opened with, once, if it is still the newest: the first
    /// snapshot needs not list the directory and read it again.
    pub fn take_opened(&self) -> Result<Option<Newest>> {
        let Some(opened) = lock(&self.opened).take() else {
            return Ok(None);
        };
        let is_newest = self.is_newest(opened.manifest.commit, opened.version)?;
        Ok(is_newest.then_some(opened))
    }

    /// The first file number of a new writer: `free`, or above all that writers of this cache used.
    pub fn first_number(&self, free: u64) -> u64 {
        self.numbers.load(Ordering::Relaxed).max(free)
    }

    /// Remembers that a writer has used the numbers below `next`.
    pub fn number_used(&self, next: u64) {
        self.numbers.fetch_max(next, Ordering::Relaxed);
    }

    /// Holds the segments of a new commit open, opened with this schema, and releases those of the
    /// previous one.
    pub fn keep(
        &self,
        segments: Vec<SnapshotSegment>,
        schema: &Arc<Schema>,
        newest: Option<(FileVersion, Snapshot)>,
    ) {
        let segments = segments.into_iter();
        let current = segments
            .map(|segment| (segment.entry.number, segment))
            .collect();
        let mut state = lock(&self.state);
        let before = std::mem::replace(&mut state.current, current);
        state.current_schema = Some(schema.clone());
        let before = (before, std::mem::replace(&mut state.newest, newest));
        drop(state);
        // Files are closed outside the lock, because unmapping may be slow. Weak references die
        // with them, so their entries are removed afterwards.
        drop(before);
        lock(&self.state)
            .open
            .retain(|_, open| open.reader.is_open());
    }

    /// Releases the segments of the newest known commit.
    fn forget(&self) {
        let mut state = lock(&self.state);
        let before = (std::mem::take(&mut state.current), state.newest.take());
        drop(state);
        drop(before);
    }

    /// Tells the directory which files will be opened, those that are not open yet.
    pub fn will_open(&self, entries: &[SegmentEntry]) {
        let state = lock(&self.state);
        let is_open = |entry: &SegmentEntry| {
            let current = state.current.get(&entry.number);
            current.is_some_and(|segment| segment.entry == *entry)
        };
        let files = |entry: &SegmentEntry| {
            let deletes = entry.deletes.as_ref().map(|d| deletes_file(d.number));
            let is_new = !state
                .open
                .get(&entry.number)
                .is_some_and(|open| open.stamp == entry.stamp && open.reader.is_open());
            [is_new.then(|| segment_file(entry.number)), deletes]
        };
        let new = entries.iter().filter(|entry| !is_open(entry));
        let names: Vec<String> = new.flat_map(files).flatten().collect();
        drop(state);
        if !names.is_empty() {
            self.directory.will_open(&names);
        }
    }

    /// Opens a segment that a manifest names, and its deletes.
    pub fn open(&self, entry: &SegmentEntry, schema: &Arc<Schema>) -> Result<SnapshotSegment> {
        let name = segment_file(entry.number);
        let current = {
            let state = lock(&self.state);
            let is_same = state.current_schema.as_ref() == Some(schema);
            let current = state.current.get(&entry.number).filter(|_| is_same);
            current.filter(|segment| !is_evicted(segment)).cloned()
        };
        if let Some(segment) = current.filter(|segment| segment.entry == *entry) {
            return Ok(segment);
        }
        let reader = self.open_segment(entry.number, Some(entry.stamp), schema)?;
        if reader.container().stamp() != entry.stamp || reader.documents() != entry.documents {
            let message = "the file is not the one that the manifest names";
            return Err(Error::corrupt(name, "trailer", 0, message));
        }
        let mut deleted = None;
        if let Some(entry_of_deletes) = &entry.deletes {
            let name = deletes_file(entry_of_deletes.number);
            let file = self.directory.open(&name)?;
            let container = Container::open_whole(file, &name, FileKind::Deletes)?;
            let read = deletes::read(&container, entry.documents)?;
            if container.stamp() != entry_of_deletes.stamp
                || read.count() != entry_of_deletes.deleted
            {
                let message = "the file is not the one that the manifest names";
                return Err(Error::corrupt(name, "trailer", 0, message));
            }
            deleted = Some(Arc::new(read));
        }
        Ok(SnapshotSegment {
            reader,
            deleted,
            entry: entry.clone(),
        })
    }

    /// Opens the segment with this number. Returns the open one if its stamp is `expected`.
    pub fn open_segment(
        &self,
        number: u64,
        expected: Option<FileStamp>,
        schema: &Arc<Schema>,
    ) -> Result<SegmentReader> {
        let open = lock(&self.state).open.get(&number).cloned();
        let same = open.filter(|open| Some(open.stamp) == expected && open.schema == *schema);
        let same = same.and_then(|open| open.reader.upgrade());
        if let Some(reader) = same.filter(|reader| !reader.source().is_evicted()) {
            return Ok(reader);
        }
        let name = segment_file(number);
        let open = || {
            let file = self.directory.open(&name)?;
            let reader = self.read_segment(file.clone(), &name, schema);
            let is_other = |reader: &SegmentReader| {
                expected.is_some_and(|expected| expected != reader.container().stamp())
            };
            let is_corrupt = matches!(&reader, Err(Error::Corrupt { .. }));
            if is_corrupt || reader.as_ref().is_ok_and(is_other) {
                // If it is a local copy that is damaged, it is opened anew from its source.
                return Ok((reader, file.discard()));
            }
            Ok::<_, Error>((reader, false))
        };
        let mut opened = open()?;
        if opened.1 {
            opened = open()?;
        }
        let reader = opened.0?;
        let open = OpenSegment {
            stamp: reader.container().stamp(),
            schema: schema.clone(),
            reader: reader.downgrade(),
        };
        lock(&self.state).open.insert(number, open);
        Ok(reader)
    }

    fn read_segment(
        &self,
        file: Arc<dyn FileHandle>,
        name: &str,
        schema: &Schema,
    ) -> Result<SegmentReader> {
        match self.trust {
            Trust::Content(verify) => SegmentReader::open(file, name, schema, verify),
            Trust::None => {
                let reader = SegmentReader::open(file, name, schema, Verify::OnFirstTouch)?;
                segment::verify(&reader)?;
                Ok(reader)
            }
        }
    }

    pub fn directory(&self) -> &Arc<dyn Directory> {
        &self.directory
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change of the state is a single assignment or insertion, so it is consistent even after
    // a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Fault, Faulty, Memory};
    use crate::{Document, Index, IndexOptions, IndexWriter};

    fn schema() -> Schema {
        Schema::builder()
            .text("text", crate::Text::new())
            .stored("source")
            .build()
            .unwrap()
    }

    fn add(writer: &mut IndexWriter, id: &str) {
        let document = Document::new(id).with_text("text", "lava");
        writer.add(document).unwrap();
        writer.commit().unwrap();
    }

    /// True if two snapshots share the reader of segment `place`.
    fn share(a: &Snapshot, b: &Snapshot, place: usize) -> bool {
        let terms = |s: &Snapshot| std::ptr::from_ref(s.segments()[place].reader.info());
        terms(a) == terms(b)
    }

    #[test]
    fn a_new_snapshot_opens_only_new_segments() {
        let index = Index::in_memory(schema()).unwrap();
        let mut writer = index.writer().unwrap();
        add(&mut writer, "a");
        let first = index.snapshot().unwrap();
        assert!(share(&first, &index.snapshot().unwrap(), 0));
        add(&mut writer, "b");
        writer.delete("a").unwrap();
        add(&mut writer, "c");
        drop(writer);
        let second = index.snapshot().unwrap();
        assert_eq!((first.documents(), second.documents()), (1, 2));
        let mut writer = index.writer().unwrap();
        add(&mut writer, "d");
        let third = index.snapshot().unwrap();
        assert!(share(&second, &third, 0) && share(&second, &third, 1));
        assert_eq!(third.documents(), 3);
    }

    #[test]
    fn deletes_do_not_reopen_the_segment() {
        let index = Index::in_memory(schema()).unwrap();
        let mut writer = index.writer().unwrap();
        // Ten documents: one deleted document is no reason to merge the segment.
        for id in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
            writer
                .add(Document::new(id).with_text("text", "x"))
                .unwrap();
        }
        writer.commit().unwrap();
        let before = index.snapshot().unwrap();
        writer.delete("b").unwrap();
        writer.commit().unwrap();
        let after = index.snapshot().unwrap();
        assert!(share(&before, &after, 0));
        assert_eq!((before.documents(), after.documents()), (10, 9));
        assert!(before.find("b").unwrap().is_some());
        assert!(after.find("b").unwrap().is_none());
    }

    #[test]
    fn commits_of_other_processes_and_new_indexes_of_the_same_numbers_are_seen() {
        let memory = Arc::new(Memory::new());
        let index = Index::create_in(memory.clone(), schema(), IndexOptions::new()).unwrap();
        // Another handle shares no cache with this one, like one in another process.
        let other = Index::open_in(memory.clone(), IndexOptions::new()).unwrap();
        assert_eq!(other.snapshot().unwrap().documents(), 0);
        let mut writer = index.writer().unwrap();
        for (count, id) in (1..).zip(["a", "b", "c"]) {
            add(&mut writer, id);
            assert_eq!(other.snapshot().unwrap().documents(), count);
        }
        drop(writer);
        let commit = other.snapshot().unwrap().commit();
        for name in memory.list().unwrap() {
            memory.remove(&name).unwrap();
        }
        let again = Index::create_in(memory, schema(), IndexOptions::new()).unwrap();
        let mut writer = again.writer().unwrap();
        while other.snapshot().unwrap().commit() < commit {
            writer.delete("none").unwrap();
            add(&mut writer, "z");
        }
        let snapshot = other.snapshot().unwrap();
        assert_eq!((snapshot.commit(), snapshot.documents()), (commit, 1));
        assert!(snapshot.find("z").unwrap().is_some());
    }

    #[test]
    fn the_first_snapshot_uses_what_opening_read_unless_there_is_a_newer_commit() {
        let directory = Arc::new(Faulty::new(Fault::None));
        let index = Index::create_in(directory.clone(), schema(), IndexOptions::new()).unwrap();
        let mut writer = index.writer().unwrap();
        add(&mut writer, "a");
        let before = directory.operations();
        let open = || Index::open_in(directory.clone(), IndexOptions::new()).unwrap();
        let opened = open();
        // The listing, and the version and the content of the manifest.
        assert_eq!(directory.operations() - before, 3);
        assert_eq!(opened.snapshot().unwrap().documents(), 1);
        // Two lookups say that the manifest is the newest; one segment is opened.
        assert_eq!(directory.operations() - before, 3 + 2 + 1);
        let opened = open();
        add(&mut writer, "b");
        assert_eq!(opened.snapshot().unwrap().documents(), 2);
    }

    #[test]
    fn the_numbers_of_a_dropped_writer_are_not_used_again() {
        let index = Index::in_memory(schema()).unwrap();
        let number = |index: &Index| {
            let snapshot = index.snapshot().unwrap();
            snapshot.segments().last().unwrap().entry.number
        };
        let mut writer = index.writer().unwrap();
        add(&mut writer, "a");
        let committed = number(&index);
        // Writes the segment of "b", which no commit names when the writer is dropped.
        writer
            .add(Document::new("b").with_text("text", "lava"))
            .unwrap();
        writer.wait_for_merges().unwrap();
        drop(writer);
        add(&mut index.writer().unwrap(), "c");
        assert!(number(&index) > committed + 1);
    }

    #[test]
    fn segments_without_users_are_closed() {
        let index = Index::in_memory(schema()).unwrap();
        let mut writer = index.writer().unwrap();
        for id in ["a", "b", "c"] {
            add(&mut writer, id);
        }
        let old = index.snapshot().unwrap();
        let segment = old.segments()[0].reader.downgrade();
        writer.merge_to(1).unwrap();
        writer.commit().unwrap();
        // The old snapshot still uses it.
        assert!(segment.upgrade().is_some());
        drop(old);
        assert!(segment.upgrade().is_none());
        assert_eq!(index.snapshot().unwrap().segments().len(), 1);
    }
}
