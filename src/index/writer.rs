//! Adding and deleting documents, and committing them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::buffer::Buffer;
use super::commit::{expect_newest, free_number, remove_unused, write_manifest};
use super::merge_policy::MergePolicy;
use super::open::{Index, IndexOptions};
use super::pool::{BatchInput, Done, Job, ParsedBatch, Pool, ReadyBatch, ReadySegment, Task};
use super::segments::{LiveSegment, Segments};
use super::snapshot::{Snapshot, open_segment};
use crate::error::{Error, Result};
use crate::format::manifest::{DeletesEntry, Manifest, SegmentEntry, deletes_file, segment_file};
use crate::format::{FieldKind, Schema, Verify};
use crate::segment::{self, Document, SegmentReader, Source};
use crate::store::{Directory, FileSystem, Lock};
use crate::text::Analyzer;

/// What to do with a document whose id an earlier document of the same load has. Documents that were
/// committed before are replaced in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDuplicate {
    /// The later document replaces the earlier one.
    #[default]
    Replace,
    /// The later document is dropped and reported by [`IndexWriter::take_errors`].
    Reject,
}

/// How a writer works.
///
/// ```
/// use esparsa::WriterOptions;
///
/// let options = WriterOptions { threads: 2, memory: 512 << 20, ..WriterOptions::default() };
/// ```
#[derive(Clone, Debug)]
pub struct WriterOptions {
    /// Number of threads. With 1, the default, everything runs on the caller's; with more, the writer
    /// starts that many of its own.
    pub threads: usize,
    /// Bytes of memory that the writer may take, about; at least [`MIN_MEMORY`](Self::MIN_MEMORY). When
    /// documents waiting to be written take their share of it, they become a segment.
    pub memory: usize,
    /// Which segments are merged in the background.
    pub merge_policy: MergePolicy,
    /// What to do with duplicates within a load.
    pub on_duplicate: OnDuplicate,
}

impl WriterOptions {
    /// The least memory that a writer works with.
    pub const MIN_MEMORY: usize = 32 << 20;
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            threads: 1,
            memory: 256 << 20,
            merge_policy: MergePolicy::default(),
            on_duplicate: OnDuplicate::default(),
        }
    }
}

/// What a commit made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitReport {
    /// Number of the commit.
    pub commit: u64,
    /// Segments of the index.
    pub segments: usize,
    /// Live documents of the index.
    pub documents: u64,
}

/// Documents are handed to the threads in batches of about this many bytes.
const BATCH_BYTES: usize = 1 << 20;
/// What a document costs beyond its bytes, so that many tiny ones end a batch too.
const DOCUMENT_OVERHEAD: usize = 64;
/// Share of the memory that the documents of the next segment may take. As much again is held while
/// the segment before is being written; the rest is for batches on their way and the tables of threads.
const BUFFER_SHARE: f64 = 0.3;

/// Adds, replaces and deletes documents; nothing is seen by readers before [`commit`](Self::commit).
///
/// One writer at a time holds an index; it lets go when it is dropped or its process ends, however it
/// ends, and what was not committed is then as if it had never been.
///
/// ```
/// use esparsa::{Document, Index, Schema};
///
/// let index = Index::in_memory(Schema::new().text("text", "english")?.stored("source")?)?;
/// let mut writer = index.writer()?;
/// writer.add(Document::new("a").with_text("text", "first"))?;
/// writer.add(Document::new("a").with_text("text", "second"))?; // replaces the first
/// writer.add(Document::new("b").with_text("text", "third"))?;
/// writer.delete("b")?;
/// assert_eq!(writer.commit()?.documents, 1);
///
/// let stored = index.snapshot()?.get("a")?.unwrap();
/// assert_eq!(stored, br#"{"_id":"a","text":"second"}"#);
/// # Ok::<(), esparsa::Error>(())
/// ```
pub struct IndexWriter {
    directory: Arc<dyn Directory>,
    index_options: Arc<IndexOptions>,
    schema: Arc<Schema>,
    options: WriterOptions,
    pool: Pool,
    manifest: Manifest,
    next_file: u64,
    segments: Segments,
    buffer: Buffer,
    queue: Vec<Document>,
    queue_bytes: usize,
    next_sequence: u64,
    next_to_accept: u64,
    arrived: BTreeMap<u64, Step>,
    batches_in_flight: usize,
    writing: bool,
    merging: usize,
    errors: Vec<Error>,
    changed: bool,
    poisoned: Option<String>,
    /// Last, so that the lock is let go when everything else is gone.
    _lock: Box<dyn Lock>,
}

impl std::fmt::Debug for IndexWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IndexWriter({})", self.directory.path().display())
    }
}

/// What arrives for a sequence number.
enum Step {
    Batch(Box<ReadyBatch>),
    Delete(String),
}

impl IndexWriter {
    pub(super) fn open(index: &Index, options: WriterOptions) -> Result<Self> {
        if options.threads == 0 || options.threads > 1_024 {
            let message = format!("expected 1 to 1024 threads, found {}", options.threads);
            return Err(Error::invalid(message));
        }
        if options.memory < WriterOptions::MIN_MEMORY {
            let message = format!(
                "expected at least {} bytes of memory for a writer, found {}",
                WriterOptions::MIN_MEMORY,
                options.memory
            );
            return Err(Error::invalid(message));
        }
        let directory = index.directory.clone();
        let lock = directory.lock()?;
        let manifest = expect_newest(&*directory)?;
        let schema = Arc::new(manifest.schema.clone());
        if let Some(field) = schema
            .fields()
            .iter()
            .find(|f| f.options.kind() == FieldKind::Unknown)
        {
            let message = "this build does not know the kind of the field, so it cannot write it";
            return Err(Error::invalid(message).in_field(&field.name));
        }
        let analyzers: Vec<Analyzer> = index
            .options
            .resolve(&schema)?
            .into_iter()
            .map(|(_, analyzer)| analyzer)
            .collect();
        let mut writer = Self {
            pool: Pool::new(options.threads, &schema, &analyzers)?,
            next_file: free_number(&*directory, &manifest)?,
            directory,
            index_options: index.options.clone(),
            schema,
            options,
            manifest,
            segments: Segments::default(),
            buffer: Buffer::default(),
            queue: Vec::new(),
            queue_bytes: 0,
            next_sequence: 0,
            next_to_accept: 0,
            arrived: BTreeMap::new(),
            batches_in_flight: 0,
            writing: false,
            merging: 0,
            errors: Vec::new(),
            changed: false,
            poisoned: None,
            _lock: lock,
        };
        // The writer before may have stopped between renaming its manifest and making the name durable:
        // what older commits name must not be removed before.
        writer.directory.sync()?;
        writer.load_committed()?;
        Ok(writer)
    }

    /// Forgets everything but the last commit, and removes what it does not name.
    fn load_committed(&mut self) -> Result<()> {
        remove_unused(&*self.directory, &self.manifest, &Default::default())?;
        self.segments = Segments::default();
        for entry in &self.manifest.segments {
            let verify = self.index_options.verify;
            let segment = open_segment(&*self.directory, entry, &self.schema, verify)?;
            self.segments.push(LiveSegment::committed(&segment));
        }
        self.changed = false;
        Ok(())
    }

    /// The fields.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Adds a document; a live document with the same external id is replaced.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] or [`Error::Limit`] when the document does not fit the schema: it is then
    /// not added, and the writer goes on. Any other error is about earlier work, and poisons the writer.
    pub fn add(&mut self, document: Document) -> Result<()> {
        self.check_poison()?;
        document.check(&self.schema)?;
        self.queue_bytes += document.bytes() + DOCUMENT_OVERHEAD;
        self.queue.push(document);
        if self.queue_bytes >= BATCH_BYTES {
            self.submit_queue()?;
        }
        Ok(())
    }

    /// Adds the documents that `parse` returns, which is called on one of the writer's threads. What
    /// could not be parsed, or does not fit the schema, is reported by [`take_errors`](Self::take_errors).
    ///
    /// # Errors
    ///
    /// Errors are about earlier work, and poison the writer.
    pub fn add_parsed(
        &mut self,
        parse: impl FnOnce() -> ParsedBatch + Send + 'static,
    ) -> Result<()> {
        self.check_poison()?;
        self.submit_queue()?;
        self.submit(BatchInput::Parse(Box::new(parse)))
    }

    /// Deletes the document with this external id, if there is one.
    ///
    /// # Errors
    ///
    /// As [`add_parsed`](Self::add_parsed).
    pub fn delete(&mut self, id: &str) -> Result<()> {
        self.check_poison()?;
        self.submit_queue()?;
        self.arrived
            .insert(self.next_sequence, Step::Delete(id.to_owned()));
        self.next_sequence += 1;
        let accepted = self.accept_arrived();
        self.guard(accepted)
    }

    /// Bad input met since the last call, in the order of the input.
    pub fn take_errors(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.errors)
    }

    /// Makes everything added and deleted so far durable and visible to new snapshots.
    ///
    /// When this returns an error, the index is as it was before or as it would be after, never anything
    /// else; open a new writer to go on.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], which poisons the writer.
    pub fn commit(&mut self) -> Result<CommitReport> {
        self.check_poison()?;
        let committed = self.try_commit();
        self.guard(committed)
    }

    /// Forgets everything since the last commit.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Corrupt`] when the last commit cannot be read.
    pub fn rollback(&mut self) -> Result<()> {
        self.check_poison()?;
        let rolled_back = self.try_rollback();
        self.guard(rolled_back)
    }

    /// Waits until no merge is under way and the policy wants none.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit).
    pub fn wait_for_merges(&mut self) -> Result<()> {
        self.check_poison()?;
        let waited = self.write_everything().and_then(|()| {
            self.plan_merges()?;
            self.finish_merges()
        });
        self.guard(waited)
    }

    /// Merges until there are at most `segments` segments and, if that is 1, no deleted document waits
    /// to be dropped. Not visible before the next commit.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit), and [`Error::InvalidInput`] when `segments` is 0.
    pub fn merge_to(&mut self, segments: usize) -> Result<()> {
        self.check_poison()?;
        if segments == 0 {
            return Err(Error::invalid(
                "expected to merge to at least 1 segment, found 0",
            ));
        }
        let merged = self.try_merge_to(segments);
        self.guard(merged)
    }

    /// Brings in the segments of another index with the same schema, without rewriting them. Their
    /// documents replace live ones with the same external ids. Not visible before the next commit.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the schemas differ, [`Error::Corrupt`] when the other index is damaged;
    /// nothing is attached then. Any other error poisons the writer.
    pub fn attach(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.check_poison()?;
        let other = Arc::new(FileSystem::open(&path)?);
        let options = IndexOptions {
            verify: Verify::AtOpen,
            analyzers: self.index_options.analyzers.clone(),
        };
        let other = Index::open_in(other, options)?;
        let snapshot = other.snapshot()?;
        if snapshot.schema() != &*self.schema {
            let message = format!(
                "{} has another schema: expected {:?}, found {:?}",
                path.as_ref().display(),
                self.schema.fields(),
                snapshot.schema().fields()
            );
            return Err(Error::invalid(message));
        }
        let attached = self.try_attach(path.as_ref(), &snapshot);
        self.guard(attached)
    }

    fn check_poison(&self) -> Result<()> {
        match &self.poisoned {
            Some(message) => Err(Error::Poisoned {
                message: message.clone(),
            }),
            None => Ok(()),
        }
    }

    /// After any error that is not about one document, nobody knows what has become of the work.
    fn guard<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.poisoned = Some(error.to_string());
        }
        result
    }

    fn submit_queue(&mut self) -> Result<()> {
        if self.queue.is_empty() {
            return Ok(());
        }
        self.queue_bytes = 0;
        let documents = std::mem::take(&mut self.queue);
        self.submit(BatchInput::Documents(documents))
    }

    fn submit(&mut self, input: BatchInput) -> Result<()> {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        self.batches_in_flight += 1;
        self.pool.submit(Job::Invert { sequence, input });
        let taken = self.take_results();
        self.guard(taken)
    }

    /// Takes the results that are there, and waits when too many batches are in flight.
    fn take_results(&mut self) -> Result<()> {
        loop {
            while let Some(done) = self.pool.try_next() {
                self.receive(done)?;
            }
            self.accept_arrived()?;
            if self.batches_in_flight < self.pool.batches_in_flight() {
                return Ok(());
            }
            let done = self.pool.next()?;
            self.receive(done)?;
        }
    }

    /// Notes a result. Batches wait for their turn; segments take their places.
    fn receive(&mut self, done: Done) -> Result<()> {
        match done {
            Done::Inverted { sequence, result } => {
                self.batches_in_flight -= 1;
                self.arrived
                    .insert(sequence, Step::Batch(Box::new(result?)));
            }
            Done::Written(result) => {
                self.writing = false;
                self.segments.push(LiveSegment::new(result?));
                self.changed = true;
            }
            Done::Merged(result) => {
                self.merging -= 1;
                self.segments.end_merge(result?)?;
                self.changed = true;
            }
        }
        Ok(())
    }

    /// Moves what has arrived into the buffer, in order, and writes the buffer when it is full.
    fn accept_arrived(&mut self) -> Result<()> {
        while let Some(step) = self.arrived.remove(&self.next_to_accept) {
            self.next_to_accept += 1;
            match step {
                Step::Batch(ready) => {
                    let errors = self.buffer.add(*ready, self.options.on_duplicate);
                    self.errors.extend(errors);
                }
                Step::Delete(id) => self.buffer.delete(&id),
            }
            // Rounding does not matter here, only that it is always the same.
            let full = self.options.memory as f64 * BUFFER_SHARE;
            if self.buffer.memory() as f64 >= full {
                self.flush()?;
            }
        }
        Ok(())
    }

    /// Begins to write the buffer as a segment, after the one before is written.
    fn flush(&mut self) -> Result<()> {
        self.finish_writing()?;
        self.plan_merges()?;
        if self.buffer.is_empty() {
            return Ok(());
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        self.resolve(&mut buffer)?;
        self.changed = true;
        if !buffer.has_documents() {
            return Ok(());
        }
        let number = self.take_number();
        let (directory, schema) = (self.directory.clone(), self.schema.clone());
        let verify = self.index_options.verify;
        let task: Task = Box::new(move || {
            write_segment(&*directory, &schema, number, &buffer.sources(), verify)
        });
        self.writing = true;
        self.pool.submit(Job::Write(task));
        Ok(())
    }

    /// Deletes the buffer's ids from older segments.
    fn resolve(&mut self, buffer: &mut Buffer) -> Result<()> {
        if self.segments.iter().next().is_none() {
            return Ok(());
        }
        let mut rejected = Vec::new();
        {
            let sorted = buffer.sorted_ids();
            let ids: Vec<&[u8]> = sorted.iter().map(|(id, _)| *id).collect();
            let rejects = self.options.on_duplicate == OnDuplicate::Reject;
            self.segments.delete_ids(&ids, |place| {
                let document = sorted.get(place).and_then(|(_, document)| *document);
                rejected.extend(document.filter(|_| rejects));
                rejects && document.is_some()
            })?;
        }
        for document in rejected {
            self.errors.extend(buffer.reject(document));
        }
        Ok(())
    }

    fn take_number(&mut self) -> u64 {
        let number = self.next_file;
        self.next_file += 1;
        number
    }

    fn finish_writing(&mut self) -> Result<()> {
        while self.writing {
            let done = self.pool.next()?;
            self.receive(done)?;
        }
        Ok(())
    }

    fn finish_merges(&mut self) -> Result<()> {
        while self.merging > 0 {
            let done = self.pool.next()?;
            self.receive(done)?;
        }
        Ok(())
    }

    /// Waits for all batches and writes them to segments.
    fn write_everything(&mut self) -> Result<()> {
        self.submit_queue()?;
        while self.batches_in_flight > 0 {
            let done = self.pool.next()?;
            self.receive(done)?;
            self.accept_arrived()?;
        }
        self.accept_arrived()?;
        self.flush()?;
        self.finish_writing()?;
        self.segments.drop_empty();
        Ok(())
    }

    fn plan_merges(&mut self) -> Result<()> {
        loop {
            let places = self
                .options
                .merge_policy
                .choose(&self.segments.candidates());
            if places.is_empty() {
                return Ok(());
            }
            if places.iter().any(|place| self.segments.is_merging(*place)) {
                // Its turn depends on what was added, not on when the merge ends, so wait.
                self.finish_merges()?;
            }
            self.begin_merge(&places);
        }
    }

    fn begin_merge(&mut self, places: &[usize]) {
        let number = self.take_number();
        let Some(plan) = self.segments.begin_merge(places, number) else {
            return;
        };
        let (directory, schema) = (self.directory.clone(), self.schema.clone());
        let verify = self.index_options.verify;
        let task: Task = Box::new(move || {
            let sources: Vec<Source<'_>> = plan
                .sources
                .iter()
                .map(|(reader, deleted)| Source::Segment(reader, deleted.as_deref()))
                .collect();
            write_segment(&*directory, &schema, number, &sources, verify)
        });
        self.merging += 1;
        self.pool.submit(Job::Merge(task));
    }

    fn try_merge_to(&mut self, segments: usize) -> Result<()> {
        self.write_everything()?;
        self.finish_merges()?;
        self.segments.drop_empty();
        let candidates = self.segments.candidates();
        let mut places: Vec<usize> = (0..candidates.len()).collect();
        if candidates.len() > segments {
            // The smallest ones: the least work.
            places.sort_by_key(|place| candidates.get(*place).map_or(0, |c| c.bytes));
            places.truncate(candidates.len() - segments + 1);
            places.sort_unstable();
        } else {
            let deleted = candidates.iter().any(|c| c.deleted > 0);
            if segments > 1 || !deleted {
                return Ok(());
            }
        }
        self.begin_merge(&places);
        self.finish_merges()
    }

    fn try_attach(&mut self, path: &Path, snapshot: &Snapshot) -> Result<()> {
        self.write_everything()?;
        for segment in snapshot.segments() {
            let number = self.take_number();
            let name = segment_file(number);
            let source = path.join(segment_file(segment.entry.number));
            self.directory.import(&source, &name)?;
            let mut ids = Vec::new();
            let mut iter = segment.reader.ids().dictionary().iter();
            while iter.advance()? {
                let document = segment.reader.ids().document_of(iter.ordinal())?;
                if segment.is_live(document) {
                    ids.push(iter.key().to_vec());
                }
            }
            let ids: Vec<&[u8]> = ids.iter().map(Vec::as_slice).collect();
            self.segments.delete_ids(&ids, |_| false)?;
            let reader = SegmentReader::open(
                self.directory.open(&name)?,
                &name,
                &self.schema,
                self.index_options.verify,
            )?;
            self.segments.push(LiveSegment {
                number,
                stamp: segment.entry.stamp,
                reader,
                deleted: segment.deleted.clone(),
                deletes_file: None,
                is_new: true,
            });
        }
        self.changed = true;
        Ok(())
    }

    fn try_commit(&mut self) -> Result<CommitReport> {
        self.write_everything()?;
        self.plan_merges()?;
        while let Some(done) = self.pool.try_next() {
            self.receive(done)?;
        }
        self.segments.drop_empty();
        if self.changed {
            self.write_deletes()?;
            let manifest = Manifest {
                commit: self.manifest.commit + 1,
                next_file: self.next_file,
                schema: (*self.schema).clone(),
                segments: self.segments.iter().map(entry_of).collect(),
            };
            write_manifest(&*self.directory, &manifest)?;
            self.manifest = manifest;
            self.changed = false;
            for segment in self.segments.iter_mut() {
                segment.is_new = false;
            }
            let merging = self.segments.merging();
            remove_unused(&*self.directory, &self.manifest, &merging)?;
        }
        let segments = self.manifest.segments.iter();
        Ok(CommitReport {
            commit: self.manifest.commit,
            segments: self.manifest.segments.len(),
            documents: segments.map(|s| u64::from(s.live_documents())).sum(),
        })
    }

    /// Writes the deletes files that are not written yet.
    fn write_deletes(&mut self) -> Result<()> {
        let mut next_file = self.next_file;
        for segment in self.segments.iter_mut() {
            let Some(deleted) = &segment.deleted else {
                continue;
            };
            if segment.deletes_file.is_some() || deleted.count() == 0 {
                continue;
            }
            let number = next_file;
            next_file += 1;
            let name = deletes_file(number);
            let failed = |e| Error::io(self.directory.path().join(&name), "write", e);
            let file = self.directory.create(&name)?;
            let (mut file, stamp) = deleted.write(file).map_err(failed)?;
            file.sync().map_err(failed)?;
            segment.deletes_file = Some(DeletesEntry {
                number,
                stamp,
                deleted: deleted.count(),
            });
        }
        self.next_file = next_file;
        Ok(())
    }

    fn try_rollback(&mut self) -> Result<()> {
        self.queue.clear();
        self.queue_bytes = 0;
        while self.batches_in_flight > 0 || self.writing || self.merging > 0 {
            let done = self.pool.next()?;
            self.receive(done)?;
        }
        self.arrived.clear();
        self.next_to_accept = self.next_sequence;
        self.buffer = Buffer::default();
        self.errors.clear();
        self.load_committed()
    }
}

fn entry_of(segment: &LiveSegment) -> SegmentEntry {
    SegmentEntry {
        number: segment.number,
        stamp: segment.stamp,
        documents: segment.reader.documents(),
        deletes: segment.deletes_file.clone(),
    }
}

/// Writes a segment file, makes its content durable, and opens it.
fn write_segment(
    directory: &dyn Directory,
    schema: &Schema,
    number: u64,
    sources: &[Source<'_>],
    verify: Verify,
) -> Result<ReadySegment> {
    let name = segment_file(number);
    let file = directory.create(&name)?;
    let (mut file, written) = segment::write(schema, sources, file, &name)?;
    file.sync()
        .map_err(|e| Error::io(directory.path().join(&name), "fsync", e))?;
    drop(file);
    let reader = SegmentReader::open(directory.open(&name)?, &name, schema, verify)?;
    Ok(ReadySegment {
        number,
        written,
        reader,
    })
}
