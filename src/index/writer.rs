//! Adding and deleting documents, and committing them.
//!
//! This file has the public calls. `flow` brings documents into segments, `merging` merges
//! segments, and `finish` makes them a commit.

mod discard;
mod finish;
mod flow;
mod merging;
mod refresh;
mod scope;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::sync::Arc;

pub(super) use finish::write_deletes_file;
use scope::JobScope;

use super::buffer::Buffer;
use super::commit::{DamagedCommit, expect_newest, free_number, remove_unused};
use super::open::{Index, IndexOptions, WriterAnalyzers};
use super::options::WriterOptions;
use super::pool::{BatchInput, ParsedBatch, Pool, ReadyBatch, ReadySegment};
use super::segment_cache::SegmentCache;
use super::segments::{LiveSegment, MergePlan, Segments};
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::format::manifest::{Manifest, segment_file};
use crate::format::{Calibration, FieldKind, Schema, Verify};
use crate::segment::{self, Document, Reorder, SegmentReader, Source, WriteOptions};
use crate::store::{Bytes, Directory, Lock, open_directory};

/// The state of the index after a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitReport {
    /// Number of the commit. Creating an index is commit 1, so the first load is commit 2.
    pub commit: u64,
    /// Number of segments.
    pub segments: usize,
    /// Number of live documents.
    pub documents: u64,
}

impl CommitReport {
    pub(super) fn of(manifest: &Manifest) -> Self {
        let segments = manifest.segments.iter();
        Self {
            commit: manifest.commit,
            segments: manifest.segments.len(),
            documents: segments.map(|s| u64::from(s.live_documents())).sum(),
        }
    }
}

/// Approximate bytes of a batch, the unit of work of the threads.
const BATCH_BYTES: usize = 1 << 20;
/// Bytes counted per document beyond its content, so that many tiny documents fill a batch too.
const DOCUMENT_OVERHEAD: usize = 64;
/// Maximum number of results that wait for an earlier one.
const MAX_ARRIVED: usize = 64;
/// Share of the memory for the documents of the next segment. The previous segment holds as much
/// while it is written; the rest is for batches in flight and the term tables of the threads.
const BUFFER_SHARE: f64 = 0.25;
/// Maximum number of input errors that are kept until `take_errors`.
const MAX_ERRORS: usize = 10_000;
/// Share of the memory for the term tables of the threads.
const TABLE_SHARE: f64 = 0.1;

/// Adds, replaces and deletes documents. Readers see nothing of it before [`commit`](Self::commit).
///
/// An index has at most one writer at a time. The writer's lock is released when it is dropped or
/// its process ends, even by a crash; uncommitted changes are then lost, and only they.
///
/// ```
/// use esparsa::{Document, Index, Schema, Text};
///
/// let index = Index::in_memory(Schema::builder()
///     .text("text", Text::new().analyzer("english"))
///     .stored("source")
///     .build()?)?;
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
    cache: Arc<SegmentCache>,
    index_options: Arc<IndexOptions>,
    analyzers: Arc<WriterAnalyzers>,
    schema: Arc<Schema>,
    options: WriterOptions,
    pool: Pool,
    manifest: Manifest,
    /// Number of the newest commit. Greater than that of `manifest` if the newest one is damaged.
    last_commit: u64,
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
    /// Numbers of the files that merges are writing.
    merging: BTreeSet<u64>,
    /// Merges that wait until others have ended.
    pending_merges: VecDeque<MergePlan>,
    /// Numbers of documents of the merges in the pool, by file number.
    running_merges: BTreeMap<u64, u64>,
    /// The first failed merge and its error, until `wait_for_merges` returns it.
    failed_merge: Option<(u64, Error)>,
    /// The merge that [`merge_to`](Self::merge_to) waits for.
    wanted_merge: Option<u64>,
    failed_wanted: Option<Error>,
    /// Cancels the running jobs when the writer is dropped or rolled back.
    scope: JobScope,
    errors: Vec<Error>,
    /// Errors that were dropped because `errors` was full.
    errors_dropped: u64,
    calibrations: Vec<Calibration>,
    changed: bool,
    poisoned: Option<String>,
    /// The last field, so that the lock is released after everything else was dropped.
    lock: Box<dyn Lock>,
}

impl std::fmt::Debug for IndexWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IndexWriter({})", self.directory.path().display())
    }
}

/// The result for a sequence number.
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
        if options.merge_threads > 1_024 {
            let message = format!(
                "expected 0 to 1024 threads for merges, found {}",
                options.merge_threads
            );
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
        let directory = index.cache.directory().clone();
        let lock = directory.lock()?;
        let newest = expect_newest(&*directory, index.options.damaged)?;
        let manifest = newest.manifest;
        let schema = Arc::new(manifest.schema.clone());
        if let Some(field) = schema
            .fields()
            .iter()
            .find(|f| f.options.kind() == FieldKind::Unknown)
        {
            let message =
                "this build does not know the kind of this field, so it cannot write the index";
            return Err(Error::invalid(message).in_field(&field.name));
        }
        let analyzers = Arc::new(WriterAnalyzers::new(&index.options, &schema)?);
        // Rounding does not matter: this changes the speed, not the output.
        let table_memory = (options.memory as f64 * TABLE_SHARE) as usize;
        let mut writer = Self {
            pool: Pool::new(
                &index.options.executor,
                options.threads,
                options.merge_threads,
                table_memory,
                &schema,
                &analyzers,
            ),
            last_commit: newest.last_commit,
            next_file: index
                .cache
                .first_number(free_number(&*directory, &manifest)?),
            directory,
            cache: index.cache.clone(),
            index_options: index.options.clone(),
            analyzers,
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
            merging: BTreeSet::new(),
            pending_merges: VecDeque::new(),
            running_merges: BTreeMap::new(),
            failed_merge: None,
            wanted_merge: None,
            failed_wanted: None,
            scope: JobScope::default(),
            errors: Vec::new(),
            errors_dropped: 0,
            calibrations: Vec::new(),
            changed: false,
            poisoned: None,
            lock,
        };
        // The previous writer may have crashed after it published its manifest and before the name
        // was durable. The files of older commits must not be removed until it is.
        writer.directory.sync()?;
        let loaded = writer.load_committed();
        writer.guard(loaded)?;
        Ok(writer)
    }

    /// Discards everything but the last commit, and removes the files that it does not name.
    fn load_committed(&mut self) -> Result<()> {
        self.segments = Segments::default();
        self.cache.will_open(&self.manifest.segments);
        for entry in &self.manifest.segments {
            let segment = self.cache.open(entry, &self.schema)?;
            self.segments.push(LiveSegment::committed(&segment));
        }
        // Only after the last commit was opened: it is intact, so older files are not needed.
        remove_unused(&*self.directory, &self.manifest, &BTreeSet::new(), false);
        self.calibrations.clone_from(&self.manifest.calibrations);
        // If a damaged commit was skipped, the next commit gets a number above it.
        self.changed = self.last_commit > self.manifest.commit;
        Ok(())
    }

    /// The fields.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Adds a document. It replaces a live document with the same external id.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] or [`Error::Limit`] when the document does not fit the schema. It is
    /// then not added, and the writer stays usable. Any other error is about earlier work, and the
    /// writer refuses further work with [`Error::Poisoned`].
    ///
    /// Under [`OnDuplicate::Reject`](crate::OnDuplicate::Reject), a duplicate is not an error here:
    /// it is found when its batch is processed, at the latest by [`commit`](Self::commit), and
    /// [`take_errors`](Self::take_errors) returns it from then on.
    pub fn add(&mut self, document: Document) -> Result<()> {
        self.check_poison()?;
        self.analyzers.check(&document, &self.schema)?;
        self.queue_bytes += document.bytes() + DOCUMENT_OVERHEAD;
        self.queue.push(document);
        if self.queue_bytes >= BATCH_BYTES {
            self.submit_queue()?;
        }
        Ok(())
    }

    /// Adds the documents that `parse` returns; it is called on one of the writer's threads.
    /// [`take_errors`](Self::take_errors) returns the errors of the batch, and one for each
    /// document that does not fit the schema.
    ///
    /// # Errors
    ///
    /// Errors are about earlier work; after one the writer refuses further work with
    /// [`Error::Poisoned`].
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
        // Accepts steps that have arrived: otherwise a load of deletes alone would pile them up.
        let taken = self.take_results();
        self.guard(taken)
    }

    /// The input errors since the last call, in the order of the input. Only the first 10,000 are
    /// kept; if there were more, one additional error has their number.
    pub fn take_errors(&mut self) -> Vec<Error> {
        let mut errors = std::mem::take(&mut self.errors);
        let dropped = std::mem::take(&mut self.errors_dropped);
        if dropped > 0 {
            let message = format!("{dropped} more errors were dropped; take errors more often");
            errors.push(Error::invalid(message));
        }
        errors
    }

    fn report(&mut self, errors: impl IntoIterator<Item = Error>) {
        for error in errors {
            if self.errors.len() < MAX_ERRORS {
                self.errors.push(error);
            } else {
                self.errors_dropped += 1;
            }
        }
    }

    /// Makes all additions and deletes so far durable and visible to new snapshots. Merges run in
    /// the background ([`WriterOptions::merge_threads`]) and become part of a later commit; a
    /// commit waits for them only while there are hundreds of segments.
    ///
    /// Files that are no longer needed are removed afterwards. If one cannot be removed, the commit
    /// still succeeds; later commits and writers try again.
    ///
    /// After an error the index is in the state before or after the commit, never in between. Open
    /// a new writer to continue.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], after which the writer refuses further work with [`Error::Poisoned`].
    pub fn commit(&mut self) -> Result<CommitReport> {
        self.check_poison()?;
        let committed = self.try_commit();
        self.guard(committed)
    }

    /// Discards all changes since the last commit.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] or [`Error::Corrupt`] when the last commit cannot be read.
    pub fn rollback(&mut self) -> Result<()> {
        self.check_poison()?;
        let rolled_back = self.try_rollback();
        self.guard(rolled_back)
    }

    /// Waits until no merge is running and the policy wants none.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit). The first error of a merge since the last call is returned too,
    /// and the writer stays usable: its segments stay and are not merged again by this writer.
    pub fn wait_for_merges(&mut self) -> Result<()> {
        self.check_poison()?;
        let waited = self.write_everything(SegmentPlace::File).and_then(|()| {
            self.plan_merges();
            self.finish_merges()
        });
        self.guard(waited)?;
        self.failed_merge
            .take()
            .map_or(Ok(()), |(_, error)| Err(error))
    }

    /// Merges until there are at most `segments` segments. With 1, it also drops deleted documents.
    /// Visible after the next commit.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit). The writer stays usable after [`Error::InvalidInput`], when
    /// `segments` is 0, [`Error::Limit`] when a segment would be too large, and any other error of
    /// the merge. The segments stay as they were.
    pub fn merge_to(&mut self, segments: usize) -> Result<()> {
        self.check_poison()?;
        if segments == 0 {
            return Err(Error::invalid(
                "expected to merge to at least 1 segment, found 0",
            ));
        }
        let merged = self.try_merge_to(segments);
        let failed = self.guard(merged)?;
        // A failed merge has changed nothing, so the writer stays usable.
        failed.map_or(Ok(()), Err)
    }

    /// Stores a calibration from [`Snapshot::calibrate`](super::Snapshot::calibrate) in the next
    /// commit and those after it; it replaces the field's previous one. Calibrate again when the
    /// documents or the queries have changed.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the schema has no such sparse field or a number is out of its
    /// range; [`Error::Limit`] when there are too many points.
    pub fn keep_calibration(&mut self, calibration: Calibration) -> Result<()> {
        self.check_poison()?;
        calibration.check()?;
        let mut fields = self.schema.fields().iter();
        let field = fields.find(|field| field.number == calibration.field);
        if field.is_none_or(|field| field.options.kind() != FieldKind::Sparse) {
            let message = format!(
                "expected a calibration of a sparse field of this index, found one of field \
                 number {}",
                calibration.field
            );
            return Err(Error::invalid(message));
        }
        self.calibrations
            .retain(|kept| kept.field != calibration.field);
        self.calibrations.push(calibration);
        self.changed = true;
        Ok(())
    }

    /// Adds the segments of the index at `path`, which has the same schema, without rewriting them.
    /// Their documents replace live ones with the same external ids. Visible after the next commit.
    ///
    /// On one file system the two indexes share files by hard links. Of an index of strangers,
    /// copy a snapshot that is [untrusted](crate::IndexOptions::untrusted) to a folder of your own,
    /// and attach that: who can write to a file that is shared can change this index.
    ///
    /// # Errors
    ///
    /// [`Error::NoIndex`] when there is no index at `path`; [`Error::InvalidInput`] when the schemas
    /// differ; [`Error::Corrupt`] when the other index is damaged. Nothing is attached then. After
    /// any other error the writer refuses further work with [`Error::Poisoned`].
    pub fn attach(&mut self, path: impl AsRef<Path>) -> Result<()> {
        self.check_poison()?;
        self.attach_in(open_directory(path)?, Verify::AtOpen)
    }

    /// As [`attach`](Self::attach), of an index in any directory. Of an index in an object store,
    /// [`Verify::AtOpen`] reads every byte; with another value, its segments are copied inside the
    /// store where they can be, and only their ids are read.
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach).
    pub fn attach_in(&mut self, directory: Arc<dyn Directory>, verify: Verify) -> Result<()> {
        self.check_poison()?;
        let options = IndexOptions {
            verify,
            damaged: DamagedCommit::Refuse,
            analyzers: self.index_options.analyzers.clone(),
            executor: self.index_options.executor.clone(),
            untrusted: None,
        };
        let other = Index::open_in(directory, options)?;
        let snapshot = other.snapshot()?;
        if snapshot.schema().fields() != self.schema.fields() {
            let message = format!(
                "{} has a different schema from this index: {}",
                other.cache.directory().path().display(),
                self.schema.difference(snapshot.schema())
            );
            return Err(Error::invalid(message));
        }
        // Its segments may hold fields that it has dropped, whose numbers must stay unused.
        let schema = self.schema.with_numbers_of(snapshot.schema());
        if schema != *self.schema {
            self.schema = Arc::new(schema);
        }
        let attached = self.try_attach(&**other.cache.directory(), &snapshot);
        self.guard(attached)
    }

    fn segment_job(
        &self,
        number: u64,
        reorder: Option<Reorder>,
        place: SegmentPlace,
    ) -> SegmentJob {
        SegmentJob {
            place,
            cache: self.cache.clone(),
            schema: self.schema.clone(),
            number,
            reorder,
            scope: self.scope.clone(),
            executor: self.index_options.executor.clone(),
        }
    }

    fn check_poison(&self) -> Result<()> {
        if !self.lock.is_held() {
            return Err(Error::invalid(
                "expected the process that opened the writer, found a child of it made by `fork`, which has neither its \
                 threads nor its lock; open another writer there when this one is dropped",
            ));
        }
        match &self.poisoned {
            Some(message) => Err(Error::Poisoned {
                message: message.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Poisons the writer after an error that is not about one document: its state is then unknown.
    fn guard<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            self.poisoned = Some(error.to_string());
        }
        result
    }
}

/// Where a new segment is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SegmentPlace {
    /// A file of the directory, made durable.
    File,
    /// Memory: the next commit writes the file.
    Memory,
}

/// The context of a job that writes a segment.
#[derive(Clone)]
struct SegmentJob {
    place: SegmentPlace,
    cache: Arc<SegmentCache>,
    schema: Arc<Schema>,
    number: u64,
    reorder: Option<Reorder>,
    scope: JobScope,
    executor: Arc<dyn Executor>,
}

impl SegmentJob {
    /// Writes a segment and opens it.
    fn run(&self, sources: &[Source<'_>]) -> Result<ReadySegment> {
        let name = segment_file(self.number);
        let directory = &**self.cache.directory();
        let options = WriteOptions {
            reorder: self.reorder,
            scratch: directory,
            executor: &*self.executor,
            cancel: self.scope.token(),
        };
        let path = directory.path().join(&name);
        let shown = path.to_string_lossy();
        let (written, reader) = match self.place {
            SegmentPlace::Memory => {
                let written = segment::write(&self.schema, sources, &options, Vec::new(), &shown)?;
                let (bytes, written) = written;
                let file = Arc::new(Bytes::from(bytes));
                let reader = SegmentReader::open(file, &name, &self.schema, Verify::default())?;
                (written, reader)
            }
            SegmentPlace::File => {
                let file = self.scope.create(directory, &name)?;
                let written = segment::write(&self.schema, sources, &options, file, &shown)?;
                let (mut file, written) = written;
                self.scope.sync(&mut *file, &path)?;
                drop(file);
                self.scope.token().check("merging")?;
                let reader = self.cache.open_segment(self.number, None, &self.schema)?;
                (written, reader)
            }
        };
        Ok(ReadySegment {
            number: self.number,
            written,
            reader,
            is_unsaved: self.place == SegmentPlace::Memory,
        })
    }
}

impl Drop for IndexWriter {
    fn drop(&mut self) {
        // In a child made by `fork`, files and jobs are the parent's.
        if !self.lock.is_held() {
            return;
        }
        // Cancels the running jobs without waiting for them.
        self.scope.close();
        if self.poisoned.is_none() {
            remove_unused(&*self.directory, &self.manifest, &BTreeSet::new(), false);
        }
    }
}

#[cfg(test)]
mod tests;
