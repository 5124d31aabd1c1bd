//! Documents that are not in a segment yet.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::options::OnDuplicate;
use super::pool::ReadyBatch;
use crate::doc_set::DocSet;
use crate::error::Error;
use crate::format::DocId;
use crate::segment::{InvertedBatch, Source};

/// Where a document of the buffer is: the batch, and the document in the batch.
pub(super) type Place = (u32, DocId);

/// An id of the buffer: that of a document, or one to delete from older segments.
#[derive(Clone, Copy)]
pub(super) enum BufferedId {
    Document(Place),
    Deleted(usize),
}

/// A batch, with the documents that were replaced or deleted since it was added.
pub(super) struct BufferedBatch {
    batch: InvertedBatch,
    dropped: DocSet,
    file: Arc<str>,
    lines: Vec<u64>,
}

impl BufferedBatch {
    fn duplicate(&self, document: DocId) -> Error {
        duplicate_error(
            &String::from_utf8_lossy(self.batch.id(document)),
            &self.file,
            // Line 0 means that the line is not known.
            self.lines
                .get(document as usize)
                .copied()
                .filter(|line| *line > 0),
        )
    }
}

fn duplicate_error(id: &str, file: &str, line: Option<u64>) -> Error {
    let error = Error::invalid(format!(
        "duplicate id `{id}`: an earlier document of this load has the same id"
    ));
    match line {
        Some(line) => error.at_line(file, line),
        None => error,
    }
}

/// The documents of the next segment.
#[derive(Default)]
pub(super) struct Buffer {
    batches: Vec<BufferedBatch>,
    /// Where the live document of each id is. The table stores places only: the ids themselves are
    /// in the batches.
    ids: HashTable<Place>,
    hasher: DefaultHashBuilder,
    /// Ids to delete from older segments.
    deleted_ids: Vec<String>,
    memory: usize,
}

impl Buffer {
    pub fn is_empty(&self) -> bool {
        self.batches.is_empty() && self.deleted_ids.is_empty()
    }

    /// Whether there is a document to write.
    pub fn has_documents(&self) -> bool {
        !self.ids.is_empty()
    }

    /// Approximate memory of the buffer in bytes. It depends on the documents alone: when a segment
    /// is full must not depend on the number of threads.
    pub fn memory(&self) -> usize {
        self.memory
    }

    /// Adds a batch. A document whose id is already in the buffer replaces the older one or is
    /// dropped with an error, as `on_duplicate` says. Returns the errors of the batch.
    pub fn add(&mut self, ready: ReadyBatch, on_duplicate: OnDuplicate) -> Vec<Error> {
        let mut errors = ready.errors;
        let documents = ready.batch.documents;
        let number = u32::try_from(self.batches.len()).unwrap_or(u32::MAX);
        self.memory += ready.batch.memory() + documents as usize * 20 + ready.lines.len() * 8;
        self.batches.push(BufferedBatch {
            batch: ready.batch,
            dropped: DocSet::empty(documents),
            file: ready.file,
            lines: ready.lines,
        });
        for document in 0..documents {
            let Some(older) = self.insert(number, document) else {
                continue;
            };
            let (batch, loser) = match on_duplicate {
                OnDuplicate::Replace => older,
                OnDuplicate::Reject => (number, document),
            };
            if let Some(batch) = self.batches.get_mut(batch as usize) {
                batch.dropped.insert(loser);
                if on_duplicate == OnDuplicate::Reject {
                    errors.push(batch.duplicate(loser));
                }
            }
            if on_duplicate == OnDuplicate::Replace {
                self.replace(older, (number, document));
            }
        }
        errors
    }

    fn id(&self, (batch, document): Place) -> &[u8] {
        let batch = self.batches.get(batch as usize);
        batch.map_or(&[], |b| b.batch.id(document))
    }

    /// Inserts the place of an id. If the id is present, changes nothing and returns its place.
    fn insert(&mut self, batch: u32, document: DocId) -> Option<Place> {
        let id = self.id((batch, document));
        let hash = self.hasher.hash_one(id);
        if let Some(found) = self.ids.find(hash, |place| self.id(*place) == id) {
            return Some(*found);
        }
        let (batches, hasher) = (&self.batches, &self.hasher);
        self.ids.insert_unique(hash, (batch, document), |(b, d)| {
            let batch = batches.get(*b as usize);
            hasher.hash_one(batch.map_or(&[][..], |batch| batch.batch.id(*d)))
        });
        None
    }

    fn replace(&mut self, from: Place, to: Place) {
        let hash = self.hasher.hash_one(self.id(to));
        if let Some(place) = self.ids.find_mut(hash, |place| *place == from) {
            *place = to;
        }
    }

    /// Deletes the document with this id from the buffer, and from older segments when the buffer
    /// is flushed.
    pub fn delete(&mut self, id: &str) {
        let hash = self.hasher.hash_one(id.as_bytes());
        let batches = &self.batches;
        let entry = self.ids.find_entry(hash, |(b, d)| {
            let batch = batches.get(*b as usize);
            batch.is_some_and(|batch| batch.batch.id(*d) == id.as_bytes())
        });
        if let Ok(entry) = entry {
            let ((batch, document), _) = entry.remove();
            if let Some(batch) = self.batches.get_mut(batch as usize) {
                batch.dropped.insert(document);
            }
        }
        self.memory += id.len() + 24;
        self.deleted_ids.push(id.to_owned());
    }

    /// The live ids of the buffer and the ids to delete, sorted, and what each of them is.
    pub fn sorted_ids(&self) -> (Vec<&[u8]>, Vec<BufferedId>) {
        let live = self.ids.iter().copied().map(BufferedId::Document);
        let deleted = (0..self.deleted_ids.len()).map(BufferedId::Deleted);
        let mut sorted: Vec<BufferedId> = live.chain(deleted).collect();
        // A live document was added after any delete of its id, so the delete sorts first.
        let is_document = |id: &BufferedId| matches!(id, BufferedId::Document(_));
        sorted.sort_unstable_by(|a, b| {
            let by_bytes = self.bytes_of(*a).cmp(self.bytes_of(*b));
            by_bytes.then(is_document(a).cmp(&is_document(b)))
        });
        let ids = sorted.iter().map(|id| self.bytes_of(*id)).collect();
        (ids, sorted)
    }

    fn bytes_of(&self, id: BufferedId) -> &[u8] {
        match id {
            BufferedId::Document(place) => self.id(place),
            BufferedId::Deleted(number) => {
                let id = self.deleted_ids.get(number);
                id.map_or(&[], |id| id.as_bytes())
            }
        }
    }

    /// Drops a document whose id an older segment of the same load has, and returns the error.
    pub fn reject(&mut self, (batch, document): Place) -> Option<Error> {
        let id = self.id((batch, document)).to_vec();
        let hash = self.hasher.hash_one(&id[..]);
        if let Ok(entry) = self
            .ids
            .find_entry(hash, |place| *place == (batch, document))
        {
            entry.remove();
        }
        let batch = self.batches.get_mut(batch as usize)?;
        batch.dropped.insert(document);
        Some(batch.duplicate(document))
    }

    /// The batches to write as a segment.
    pub fn sources(&self) -> Vec<Source<'_>> {
        let batches = self.batches.iter();
        batches
            .map(|b| Source::Batch(&b.batch, Some(&b.dropped)))
            .collect()
    }
}
