//! A read-only view of one commit.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::commit;
use super::open::IndexOptions;
use super::segment_cache::SegmentCache;
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::executor::Executor;
use crate::format::manifest::{Manifest, SegmentEntry};
use crate::format::{Calibration, DocId, FieldNumber, FieldOptions, Schema};
use crate::segment::SegmentReader;
use crate::store::{Directory, FileVersion, is_missing};
use crate::text::Analyzer;

/// Address of a document in one snapshot: the index of its segment, and its number in the segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocAddress {
    /// Index of the segment in the snapshot.
    pub segment: u32,
    /// Number of the document in the segment.
    pub document: DocId,
}

/// Statistics of a field, summed over all segments of a snapshot, deleted documents included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldTotals {
    /// Documents that have at least one term of the field.
    pub documents: u64,
    /// Text: sum of all lengths. Sparse: sum of the steps of all impacts.
    pub total: u64,
    /// Number of postings.
    pub postings: u64,
    /// Text: terms skipped because they were too long. Sparse: weights clamped to the field's
    /// [max weight](crate::Sparse::max_weight).
    pub skipped: u64,
    /// Sparse: weights below half of the smallest step of their segment, which were rounded up to
    /// it.
    pub rounded_up: u64,
}

/// A segment of a snapshot.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SnapshotSegment {
    /// The segment.
    pub reader: SegmentReader,
    /// Its deleted documents, if any.
    pub deleted: Option<Arc<DocSet>>,
    /// Its entry in the manifest.
    pub entry: SegmentEntry,
}

impl SnapshotSegment {
    /// Number of its deleted documents.
    pub fn deleted_count(&self) -> u32 {
        self.deleted.as_ref().map_or(0, |deleted| deleted.count())
    }

    /// Number of its documents that are not deleted.
    pub fn live_documents(&self) -> u32 {
        self.reader.documents().saturating_sub(self.deleted_count())
    }

    /// True if the document is not deleted.
    #[inline]
    pub fn is_live(&self, document: DocId) -> bool {
        self.deleted
            .as_ref()
            .is_none_or(|deleted| !deleted.contains(document))
    }
}

/// A read-only view of one commit, of what a writer holds
/// ([`IndexWriter::refresh`](super::IndexWriter::refresh)), or of several indexes
/// ([`joined`](Self::joined)). Cloning is cheap; later commits do not
/// change it.
#[derive(Clone)]
pub struct Snapshot {
    inner: Arc<Parts>,
}

/// What a snapshot is made of.
pub(super) struct State<'a> {
    pub directory: &'a Arc<dyn Directory>,
    pub commit: u64,
    pub is_committed: bool,
    pub schema: Arc<Schema>,
    pub segments: Vec<SnapshotSegment>,
    pub calibrations: Vec<Calibration>,
    pub options: &'a IndexOptions,
}

struct Parts {
    directory: Arc<dyn Directory>,
    commit: u64,
    is_committed: bool,
    /// Whether the segments are those of several indexes.
    is_joined: bool,
    /// Whether its files are still those that it has open when they are opened again by name.
    can_reopen_files: bool,
    schema: Arc<Schema>,
    segments: Vec<SnapshotSegment>,
    analyzers: Vec<(FieldNumber, Analyzer)>,
    totals: BTreeMap<FieldNumber, FieldTotals>,
    calibrations: Vec<Calibration>,
    executor: Arc<dyn Executor>,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Snapshot(commit {}, {:?})",
            self.inner.commit, self.inner.segments
        )
    }
}

impl Snapshot {
    pub(super) fn newest(cache: &SegmentCache, options: &IndexOptions) -> Result<Self> {
        cache.newest(|| Self::read_newest(cache, options))
    }

    fn read_newest(cache: &SegmentCache, options: &IndexOptions) -> Result<(FileVersion, Self)> {
        // A writer may remove files of a manifest that was just read; then a newer one exists.
        const TRIES: usize = 20;
        let directory = &**cache.directory();
        let mut last = match cache.take_opened()? {
            Some(opened) => opened,
            None => commit::expect_newest(directory, options.damaged)?,
        };
        let mut tries = 0;
        loop {
            tries += 1;
            match Self::of(cache, &last.manifest, options) {
                Err(error) if is_missing(&error) && tries < TRIES => {
                    let newer = commit::expect_newest(directory, options.damaged)?;
                    if newer == last {
                        return Err(error);
                    }
                    last = newer;
                }
                result => return Ok((last.version, result?)),
            }
        }
    }

    /// The snapshot of a commit.
    pub(super) fn of(
        cache: &SegmentCache,
        manifest: &Manifest,
        options: &IndexOptions,
    ) -> Result<Self> {
        let schema = Arc::new(manifest.schema.clone());
        cache.will_open(&manifest.segments);
        let segments = manifest
            .segments
            .iter()
            .map(|entry| cache.open(entry, &schema))
            .collect::<Result<Vec<_>>>()?;
        Ok(Self::new(State {
            directory: cache.directory(),
            commit: manifest.commit,
            is_committed: true,
            schema,
            segments,
            calibrations: manifest.calibrations.clone(),
            options,
        }))
    }

    /// A snapshot of these segments, opened with this schema.
    pub(super) fn new(state: State<'_>) -> Self {
        let parts = Parts {
            totals: totals_of(&state.segments),
            is_joined: false,
            can_reopen_files: state.is_committed && !state.options.is_untrusted(),
            directory: state.directory.clone(),
            commit: state.commit,
            is_committed: state.is_committed,
            analyzers: state.options.resolve_known(&state.schema),
            schema: state.schema,
            segments: state.segments,
            calibrations: state.calibrations,
            executor: state.options.executor.clone(),
        };
        Self {
            inner: Arc::new(parts),
        }
    }

    /// Searches several indexes as one: a snapshot of the documents of all of these, whose fields are
    /// equal. Its statistics are those of all of them, so hits and scores are those of one index with
    /// the same documents; ties go to the index that comes first.
    ///
    /// Ids should differ: nothing says which document of two with the same id is the newer, so both
    /// are found, and what looks a document up by its id, such as [`find`](Self::find), takes the
    /// first. The calibrations of approximate searches are left behind, names of files are those in
    /// each index's own folder, and the snapshot cannot be [copied](Self::copy_to);
    /// [`attach`](super::IndexWriter::attach) joins indexes for good.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, Snapshot, Text};
    ///
    /// let schema = Schema::builder().text("text", Text::new()).build()?;
    /// let mut snapshots = Vec::new();
    /// for (id, text) in [("etna", "lava on a volcano"), ("fuji", "snow on a volcano")] {
    ///     let index = Index::in_memory(schema.clone())?;
    ///     let mut writer = index.writer()?;
    ///     writer.add(Document::new(id).with_text("text", text))?;
    ///     writer.commit()?;
    ///     snapshots.push(index.snapshot()?);
    /// }
    /// let all = Snapshot::joined(&snapshots)?;
    /// assert_eq!(all.documents(), 2);
    /// assert_eq!(all.search(&Query::text("text", "volcano"), 10)?.ids()?, ["etna", "fuji"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is no snapshot, or when fields differ.
    pub fn joined<'a>(snapshots: impl IntoIterator<Item = &'a Self>) -> Result<Self> {
        let mut snapshots = snapshots.into_iter();
        let Some(first) = snapshots.next() else {
            return Err(Error::invalid(
                "expected at least one snapshot to search, found none",
            ));
        };
        let mut segments = first.inner.segments.clone();
        let mut analyzers = first.inner.analyzers.clone();
        let mut indexes = 1;
        for snapshot in snapshots {
            indexes += 1;
            if first.schema().fields() != snapshot.schema().fields() {
                let difference = first.schema().difference(snapshot.schema());
                return Err(Error::invalid(format!(
                    "expected snapshots with equal fields, found that number {indexes} differs \
                     from the first: {difference}; index the documents of one of them again with \
                     the schema of the other"
                )));
            }
            segments.extend_from_slice(&snapshot.inner.segments);
            let others = snapshot.inner.analyzers.iter();
            let is_new = |number: FieldNumber| analyzers.iter().all(|(known, _)| *known != number);
            let others: Vec<_> = others.filter(|(number, _)| is_new(*number)).collect();
            analyzers.extend(others.into_iter().cloned());
        }
        if indexes == 1 {
            return Ok(first.clone());
        }
        let parts = Parts {
            directory: first.inner.directory.clone(),
            commit: first.inner.commit,
            is_committed: false,
            is_joined: true,
            can_reopen_files: false,
            schema: first.inner.schema.clone(),
            analyzers,
            totals: totals_of(&segments),
            segments,
            calibrations: Vec::new(),
            executor: first.inner.executor.clone(),
        };
        Ok(Self {
            inner: Arc::new(parts),
        })
    }

    /// A snapshot that finds the documents of some segments alone, with the statistics of all: their
    /// scores and addresses are those of this snapshot. So the segments of an index may be searched
    /// on several machines, and the hits merged by score, then address, are those of one search.
    /// Segments are numbered from 0, in the order of
    /// [`segment_statistics`](Self::segment_statistics).
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder().text("text", Text::new()).build()?)?;
    /// let mut writer = index.writer()?;
    /// for (id, text) in [("etna", "lava on a volcano"), ("fuji", "a volcano")] {
    ///     writer.add(Document::new(id).with_text("text", text))?;
    ///     writer.commit()?;
    /// }
    /// let (snapshot, query) = (index.snapshot()?, Query::text("text", "volcano"));
    /// let first = snapshot.only_segments([0])?.search(&query, 10)?;
    /// assert_eq!(first.ids()?, ["etna"]);
    /// assert_eq!(first.first(), snapshot.search(&query, 10)?.get(1));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is no such segment.
    pub fn only_segments(&self, segments: impl IntoIterator<Item = usize>) -> Result<Self> {
        let mut is_kept = vec![false; self.segments().len()];
        for segment in segments {
            let count = is_kept.len();
            let kept = is_kept.get_mut(segment).ok_or_else(|| {
                Error::invalid(format!(
                    "expected a segment number below {count}, found {segment}"
                ))
            })?;
            *kept = true;
        }
        let mut segments = self.inner.segments.clone();
        for (segment, _) in segments.iter_mut().zip(is_kept).filter(|(_, kept)| !kept) {
            // Statistics count deleted documents, and searches skip segments without others.
            let all = DocSet::full(segment.reader.documents());
            segment.deleted = Some(Arc::new(all));
        }
        let parts = Parts {
            directory: self.inner.directory.clone(),
            commit: self.inner.commit,
            is_committed: false,
            is_joined: self.inner.is_joined,
            can_reopen_files: false,
            schema: self.inner.schema.clone(),
            analyzers: self.inner.analyzers.clone(),
            totals: self.inner.totals.clone(),
            segments,
            calibrations: self.inner.calibrations.clone(),
            executor: self.inner.executor.clone(),
        };
        Ok(Self {
            inner: Arc::new(parts),
        })
    }

    /// Number of the commit; 1 is the empty index, as it was created. Of a snapshot with uncommitted
    /// changes it is the commit that they are made to, and of a [joined](Self::joined) one that of the
    /// first.
    pub fn commit(&self) -> u64 {
        self.inner.commit
    }

    /// False for a snapshot of [`IndexWriter::refresh`](super::IndexWriter::refresh) with changes
    /// that were not committed when it was taken, for a [joined](Self::joined) one, and for one of
    /// [some segments](Self::only_segments).
    pub fn is_committed(&self) -> bool {
        self.inner.is_committed
    }

    pub(super) fn is_joined(&self) -> bool {
        self.inner.is_joined
    }

    pub(super) fn can_reopen_files(&self) -> bool {
        self.inner.can_reopen_files
    }

    /// The fields.
    pub fn schema(&self) -> &Schema {
        &self.inner.schema
    }

    /// Where its files are, or were.
    pub(super) fn directory(&self) -> &dyn Directory {
        &*self.inner.directory
    }

    pub(super) fn calibrations(&self) -> &[Calibration] {
        &self.inner.calibrations
    }

    pub(super) fn shared_schema(&self) -> &Arc<Schema> {
        &self.inner.schema
    }

    /// The segments, in the order in which ties are broken; applications use
    /// [`segment_statistics`](Self::segment_statistics).
    #[doc(hidden)]
    pub fn segments(&self) -> &[SnapshotSegment] {
        &self.inner.segments
    }

    /// Number of documents that are not deleted.
    pub fn documents(&self) -> u64 {
        let segments = self.inner.segments.iter();
        segments.map(|s| u64::from(s.live_documents())).sum()
    }

    /// Statistics of a field.
    pub fn totals(&self, field: FieldNumber) -> FieldTotals {
        self.inner.totals.get(&field).copied().unwrap_or_default()
    }

    /// The calibration of approximate searches of a sparse field, if one was stored; see
    /// [`IndexWriter::keep_calibration`](super::IndexWriter::keep_calibration).
    pub fn calibration(&self, field: FieldNumber) -> Option<&Calibration> {
        let mut calibrations = self.inner.calibrations.iter();
        calibrations.find(|calibration| calibration.field == field)
    }

    /// The analyzer of a text field; `None` for a custom one that the options lack.
    pub fn analyzer(&self, field: FieldNumber) -> Option<&Analyzer> {
        let mut analyzers = self.inner.analyzers.iter();
        analyzers.find(|(n, _)| *n == field).map(|(_, a)| a)
    }

    /// The analyzer of a text field, or an error that names the missing one.
    pub(crate) fn expect_analyzer(&self, field: FieldNumber) -> Result<&Analyzer> {
        self.analyzer(field)
            .ok_or_else(|| missing_analyzer(self.schema(), field))
    }

    /// The executor that runs the searches of this snapshot.
    pub fn executor(&self) -> &Arc<dyn Executor> {
        &self.inner.executor
    }

    /// The address of the live document with this external id.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when the bytes that are read are damaged.
    pub fn find(&self, id: &str) -> Result<Option<DocAddress>> {
        for (number, segment) in (0..).zip(&self.inner.segments) {
            if let Some(document) = segment.reader.ids().document(id)?
                && segment.is_live(document)
            {
                return Ok(Some(DocAddress {
                    segment: number,
                    document,
                }));
            }
        }
        Ok(None)
    }

    /// The stored bytes of the live document with this external id; `None` when there is no such
    /// document, empty when nothing was stored.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::find`].
    pub fn get(&self, id: &str) -> Result<Option<Vec<u8>>> {
        self.find(id)?
            .map(|address| self.stored(address))
            .transpose()
    }

    /// Begins to read the ids of documents, if they are in an object store.
    pub(crate) fn prefetch_ids(&self, addresses: impl Iterator<Item = DocAddress> + Clone) {
        for (number, segment) in (0..).zip(&self.inner.segments) {
            if segment.reader.is_on_demand() {
                let of_segment = addresses.clone().filter(|a| a.segment == number);
                let documents: Vec<_> = of_segment.map(|address| address.document).collect();
                if !documents.is_empty() {
                    segment.reader.ids().prefetch(&documents);
                }
            }
        }
    }

    /// The external id of a document.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::find`], and [`Error::InvalidInput`] when the snapshot has no such address.
    pub fn id(&self, address: DocAddress) -> Result<String> {
        self.segment(address)?.reader.ids().id(address.document)
    }

    /// The stored bytes of a document; empty when nothing was stored.
    ///
    /// # Errors
    ///
    /// As [`Snapshot::id`].
    pub fn stored(&self, address: DocAddress) -> Result<Vec<u8>> {
        self.segment(address)?
            .reader
            .stored_document(address.document)
    }

    /// The segment of a document.
    pub(crate) fn segment(&self, address: DocAddress) -> Result<&SnapshotSegment> {
        let segment = self.inner.segments.get(address.segment as usize);
        segment
            .filter(|s| address.document < s.reader.documents())
            .ok_or_else(|| {
                let message = format!("{address:?} is not a document of this snapshot");
                Error::invalid(message)
            })
    }
}

fn totals_of(segments: &[SnapshotSegment]) -> BTreeMap<FieldNumber, FieldTotals> {
    let mut totals: BTreeMap<FieldNumber, FieldTotals> = BTreeMap::new();
    for field in segments.iter().flat_map(|s| &s.reader.info().fields) {
        let total = totals.entry(field.field).or_default();
        total.documents = total.documents.saturating_add(u64::from(field.documents));
        total.total = total.total.saturating_add(field.total);
        total.postings = total.postings.saturating_add(field.postings);
        total.skipped = total.skipped.saturating_add(field.skipped);
        total.rounded_up = total.rounded_up.saturating_add(field.rounded_up);
    }
    totals
}

/// The error for a text field whose analyzer, or whose revision of it, is unknown here.
pub(super) fn missing_analyzer(schema: &Schema, number: FieldNumber) -> Error {
    let field = schema.field_numbered(number);
    match field.map(|field| (&field.options, field)) {
        Some((FieldOptions::Text(text), field)) => {
            let (analyzer, revision) = (&text.analyzer, text.revision);
            let message = match Analyzer::named(analyzer) {
                Ok(known) => format!(
                    "the text of this field was analyzed by revision {revision} of `{analyzer}`, \
                     and this build has revision {}; index the documents again",
                    known.revision()
                ),
                Err(_) => format!(
                    "the text of this field is analyzed by revision {revision} of `{analyzer}`, \
                     which is not known here; supply it with `IndexOptions::analyzer`"
                ),
            };
            Error::invalid(message).in_field(&field.name)
        }
        _ => Error::invalid("expected a text field, which has an analyzer"),
    }
}
