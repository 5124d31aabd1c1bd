//! Creating and opening an index.

use std::path::Path;
use std::sync::Arc;

use super::commit::{self, DamagedCommit, Newest, write_manifest};
use super::options::WriterOptions;
use super::segment_cache::{SegmentCache, Trust};
use super::snapshot::{Snapshot, missing_analyzer};
use super::writer::IndexWriter;
use crate::error::{Error, Result};
use crate::executor::{Executor, Threads};
use crate::format::manifest::Manifest;
use crate::format::{FieldNumber, FieldOptions, Schema, Verify};
use crate::segment::Document;
use crate::store::{Directory, Memory, Untrusted, create_directory, open_directory};
use crate::text::Analyzer;

/// Options for opening an index: checksums, analyzers, and the threads that it runs on.
///
/// ```
/// use esparsa::{IndexOptions, Verify};
///
/// let options = IndexOptions::new().verify(Verify::AtOpen);
/// ```
#[derive(Clone)]
pub struct IndexOptions {
    pub(super) verify: Verify,
    pub(super) damaged: DamagedCommit,
    pub(super) analyzers: Vec<Analyzer>,
    pub(super) executor: Arc<dyn Executor>,
    /// How many bytes the open files of an index of strangers may have.
    pub(super) untrusted: Option<u64>,
}

impl Default for IndexOptions {
    fn default() -> Self {
        Self {
            verify: Verify::default(),
            damaged: DamagedCommit::default(),
            analyzers: Vec::new(),
            executor: Arc::new(Threads::new()),
            untrusted: None,
        }
    }
}

impl IndexOptions {
    /// Verifies checksums on first use, knows the built-in analyzers, starts threads on demand.
    pub fn new() -> Self {
        Self::default()
    }

    /// When checksums are verified.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// Falls back to an older commit if the newest one is damaged and an older one still exists,
    /// which is the case when its files could not be removed. Everything committed since is lost: a
    /// writer removes its files. Without this option, a damaged newest commit is an
    /// [`Error::Corrupt`].
    #[must_use]
    pub fn accept_older_commit(mut self) -> Self {
        self.damaged = DamagedCommit::FallBack;
        self
    }

    /// Opens an index of strangers, or one in a folder that others can write to. Its files are
    /// read into memory, in which nobody else can change them, and each segment is verified as by
    /// [`Snapshot::verify_segment`] before there is a snapshot of it: checksums, and every bound,
    /// count and statistic, whatever [`verify`](Self::verify) says. In a folder of the local file
    /// system, symbolic links, pipes and devices are refused.
    ///
    /// Files that are open have at most `max_bytes` together, or [`Error::Limit`] is returned
    /// before they are read. Snapshots of two commits that are open at once need both; what is
    /// made of the files, such as sets of deleted documents, comes on top. Opening a snapshot of a
    /// new commit takes as long as verifying its new segments, and other threads wait for it.
    ///
    /// The index can be searched, and its snapshots [copied](Snapshot::copy_to) to a folder of
    /// one's own; it has no writer. What is verified is that the files are consistent, not that
    /// they tell the truth, so that a copy is as little to be trusted.
    ///
    /// ```
    /// use esparsa::{Document, Index, IndexOptions, Query, Schema, Text};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let schema = Schema::builder().text("text", Text::new()).build()?;
    /// let mut writer = Index::create(folder.path(), schema)?.writer()?;
    /// writer.add(Document::new("etna").with_text("text", "lava"))?;
    /// writer.commit()?;
    ///
    /// let options = IndexOptions::new().untrusted(64 << 20);
    /// let index = Index::open_with(folder.path(), options)?;
    /// assert_eq!(index.snapshot()?.search(&Query::text("text", "lava"), 10)?.len(), 1);
    /// assert!(index.writer().is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn untrusted(mut self, max_bytes: u64) -> Self {
        self.untrusted = Some(max_bytes);
        self
    }

    /// Adds a custom analyzer, made with [`Analyzer::custom`].
    #[must_use]
    pub fn analyzer(mut self, analyzer: Analyzer) -> Self {
        self.analyzers.push(analyzer);
        self
    }

    /// The executor that runs searches, writers and merges of the index, in place of threads that
    /// are started on demand.
    #[must_use]
    pub fn executor(mut self, executor: Arc<dyn Executor>) -> Self {
        self.executor = executor;
        self
    }

    pub(super) fn is_untrusted(&self) -> bool {
        self.untrusted.is_some()
    }

    fn trust(&self) -> Trust {
        match self.is_untrusted() {
            true => Trust::None,
            false => Trust::Content(self.verify),
        }
    }

    pub(super) fn find(&self, name: &str) -> Result<Analyzer> {
        match self.analyzers.iter().find(|a| a.name() == name) {
            Some(analyzer) => Ok(analyzer.clone()),
            None => Analyzer::named(name),
        }
    }

    /// The analyzer with the name and the revision that a field was indexed with.
    fn find_same(&self, field: &TextField<'_>) -> Option<Analyzer> {
        let found = self.find(field.analyzer).ok()?;
        (found.revision() == field.revision).then_some(found)
    }

    /// The analyzers of all text fields of a new index, with the numbers of the fields; every one
    /// must be known.
    fn resolve(&self, schema: &Schema) -> Result<Vec<(FieldNumber, Analyzer)>> {
        let resolve = |field: TextField<'_>| {
            let found = self.find(field.analyzer);
            Ok((field.number, found.map_err(|e| e.in_field(field.name))?))
        };
        text_fields(schema).map(resolve).collect()
    }

    /// The analyzers that are known in the revision of the index. Without the others the index can
    /// still be read, and documents can be deleted and merged.
    pub(super) fn resolve_known(&self, schema: &Schema) -> Vec<(FieldNumber, Analyzer)> {
        let known =
            text_fields(schema).filter_map(|field| Some((field.number, self.find_same(&field)?)));
        known.collect()
    }
}

/// The analyzers of a writer.
#[derive(Clone)]
pub(super) struct WriterAnalyzers {
    /// One per text field, in order.
    pub analyzers: Vec<Analyzer>,
    /// Text fields whose analyzer is not known.
    missing: Vec<FieldNumber>,
}

impl WriterAnalyzers {
    /// Finds the analyzers of all text fields. A missing one becomes an error when a document has
    /// text in its field.
    pub fn new(options: &IndexOptions, schema: &Schema) -> Result<Self> {
        let (mut analyzers, mut missing) = (Vec::new(), Vec::new());
        for field in text_fields(schema) {
            analyzers.push(match options.find_same(&field) {
                Some(analyzer) => analyzer,
                None => {
                    missing.push(field.number);
                    // A placeholder that is never called: `check` refuses text for this field.
                    Analyzer::named("simple")?
                }
            });
        }
        Ok(Self { analyzers, missing })
    }

    /// Checks that a document fits the schema and that its text can be analyzed.
    pub fn check(&self, document: &Document, schema: &Schema) -> Result<()> {
        document.check(schema)?;
        for number in &self.missing {
            let field = schema.fields().iter().find(|field| field.number == *number);
            let mut values = document.values().iter();
            if values.any(|(name, _)| field.is_some_and(|field| field.name == *name)) {
                return Err(missing_analyzer(schema, *number));
            }
        }
        Ok(())
    }
}

/// A text field and how it is analyzed.
struct TextField<'a> {
    number: FieldNumber,
    name: &'a str,
    analyzer: &'a str,
    revision: u32,
}

fn text_fields(schema: &Schema) -> impl Iterator<Item = TextField<'_>> {
    let fields = schema.fields().iter();
    fields.filter_map(|field| match &field.options {
        FieldOptions::Text(text) => Some(TextField {
            number: field.number,
            name: &field.name,
            analyzer: &text.analyzer,
            revision: text.revision,
        }),
        _ => None,
    })
}

/// An index in a directory, open for any number of readers and one writer at a time, in any number
/// of processes.
///
/// ```
/// use esparsa::{Document, Index, Query, Schema, Text};
///
/// let index = Index::in_memory(Schema::builder()
///     .text("text", Text::new().analyzer("english"))
///     .build()?)?;
/// let mut writer = index.writer()?;
/// writer.add(Document::new("etna").with_text("text", "Etna is a volcano in Sicily."))?;
/// writer.commit()?;
///
/// let hits = index.snapshot()?.search(&Query::text("text", "volcanoes"), 10)?;
/// assert_eq!(hits.ids()?, ["etna"]);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone)]
pub struct Index {
    pub(super) cache: Arc<SegmentCache>,
    pub(super) options: Arc<IndexOptions>,
    pub(super) schema: Arc<Schema>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({})", self.cache.directory().path().display())
    }
}

impl Index {
    /// Creates an empty index in a folder. The folder is created if it does not exist; it must not
    /// hold an index.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the folder holds an index or an analyzer is unknown;
    /// [`Error::Locked`] when another program is creating an index there; [`Error::Io`] when the
    /// folder cannot be written.
    pub fn create(path: impl AsRef<Path>, schema: Schema) -> Result<Self> {
        Self::create_in(create_directory(path)?, schema, IndexOptions::new())
    }

    /// Opens the index in a folder or, with the feature `cloud`, at a URL such as
    /// `s3://bucket/folder`: see [`open_directory`].
    ///
    /// # Errors
    ///
    /// [`Error::NoIndex`] when the folder does not exist or holds no index; [`Error::TooNew`] when a
    /// newer version wrote it; [`Error::Corrupt`] when it is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, IndexOptions::new())
    }

    /// Opens the index in a folder, with options.
    ///
    /// # Errors
    ///
    /// As [`Index::open`].
    pub fn open_with(path: impl AsRef<Path>, options: IndexOptions) -> Result<Self> {
        Self::open_in(open_directory(path)?, options)
    }

    /// Opens the index in a folder, or creates an empty one where there is none. An existing index
    /// must have this schema: the same fields with the same options, in any order. To open one
    /// whose schema differs, [`open`](Self::open) it and [change](Self::change_schema) its schema.
    ///
    /// ```
    /// use esparsa::{Document, Index, Schema, Text};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let schema = Schema::builder().text("text", Text::new().analyzer("english")).build()?;
    /// for run in 1..=2_u64 {
    ///     let index = Index::open_or_create(folder.path(), schema.clone())?;
    ///     let mut writer = index.writer()?;
    ///     writer.add(Document::new(run.to_string()).with_text("text", "Etna is a volcano."))?;
    ///     assert_eq!(writer.commit()?.documents, run);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the index has a different schema, which includes an analyzer of
    /// another revision, and the message names the differences; otherwise as [`Index::create`] and
    /// [`Index::open`].
    pub fn open_or_create(path: impl AsRef<Path>, schema: Schema) -> Result<Self> {
        Self::open_or_create_in(create_directory(path)?, schema, IndexOptions::new())
    }

    /// True if a folder holds an index, intact or damaged; false if it does not exist.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the folder cannot be read.
    pub fn exists(path: impl AsRef<Path>) -> Result<bool> {
        match open_directory(path) {
            Ok(directory) => Self::exists_in(&*directory),
            Err(Error::NoIndex { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Creates an index in memory. It is freed with the last of its clones and snapshots.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when an analyzer is unknown.
    pub fn in_memory(schema: Schema) -> Result<Self> {
        Self::create_in(Arc::new(Memory::new()), schema, IndexOptions::new())
    }

    /// Creates an index in any directory, with options.
    ///
    /// # Errors
    ///
    /// As [`Index::create`].
    pub fn create_in(
        directory: Arc<dyn Directory>,
        schema: Schema,
        options: IndexOptions,
    ) -> Result<Self> {
        if options.is_untrusted() {
            return Err(Error::invalid(
                "expected options of an index that is created, found those of an untrusted one, which \
                 is only read",
            ));
        }
        let lock = directory.lock();
        // A writer of the index that is there holds the lock, but waiting for it would not help.
        if matches!(lock, Err(Error::Locked { .. })) && Self::exists_in(&*directory)? {
            return Err(already_holds_an_index(&*directory));
        }
        let _lock = lock?;
        if commit::newest(&*directory, options.damaged)?.is_some() {
            return Err(already_holds_an_index(&*directory));
        }
        let schema = canonical(schema, &options)?;
        let manifest = Manifest {
            commit: 1,
            next_file: 1,
            schema,
            segments: Vec::new(),
            calibrations: Vec::new(),
        };
        write_manifest(&*directory, &manifest)?;
        Ok(Self::new(directory, options, manifest.schema, None))
    }

    /// Opens the index in any directory, or creates an empty one where there is none, with options.
    /// An existing index must have this schema.
    ///
    /// # Errors
    ///
    /// As [`Index::open_or_create`].
    pub fn open_or_create_in(
        directory: Arc<dyn Directory>,
        schema: Schema,
        options: IndexOptions,
    ) -> Result<Self> {
        if !Self::exists_in(&*directory)? {
            match Self::create_in(directory.clone(), schema.clone(), options.clone()) {
                // Another program has created it in the meantime.
                Err(_) if Self::exists_in(&*directory)? => {}
                created => return created,
            }
        }
        let index = Self::open_in(directory, options)?;
        let schema = canonical(schema, &index.options)?;
        if schema.has_same_fields(&index.schema) {
            return Ok(index);
        }
        let message = format!(
            "{} holds an index with a different schema: {}; open it as it is, change its schema, \
             choose another folder, or index the documents anew",
            index.cache.directory().path().display(),
            schema.difference(&index.schema)
        );
        Err(Error::invalid(message))
    }

    /// Opens an index in any directory, with options.
    ///
    /// An analyzer that the options lack is needed only where text is analyzed: text queries on its
    /// field, and documents with text in it, return an error. Everything else works.
    ///
    /// # Errors
    ///
    /// As [`Index::open`].
    pub fn open_in(directory: Arc<dyn Directory>, options: IndexOptions) -> Result<Self> {
        let directory = match options.untrusted {
            Some(max_bytes) => Arc::new(Untrusted::new(directory, max_bytes)),
            None => directory,
        };
        let opened = commit::expect_newest(&*directory, options.damaged)?;
        let schema = opened.manifest.schema.clone();
        Ok(Self::new(directory, options, schema, Some(opened)))
    }

    fn new(
        directory: Arc<dyn Directory>,
        options: IndexOptions,
        schema: Schema,
        opened: Option<Newest>,
    ) -> Self {
        Self {
            cache: Arc::new(SegmentCache::new(directory, options.trust(), opened)),
            options: Arc::new(options),
            schema: Arc::new(schema),
        }
    }

    /// The fields, as they were when the index was opened or [changed](Self::change_schema) through
    /// this value; [`Snapshot::schema`] has those of the newest commit.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// A snapshot of the newest commit. Later commits do not change it.
    ///
    /// This is cheap enough to call for each request: it takes a few microseconds while nothing new
    /// was committed, and opens only new segments otherwise. An index and its clones keep the
    /// segments of the newest snapshot open.
    ///
    /// # Errors
    ///
    /// As [`Index::open`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::newest(&self.cache, &self.options)
    }

    /// Opens the writer with default options.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] when another writer is open.
    pub fn writer(&self) -> Result<IndexWriter> {
        self.writer_with(WriterOptions::new())
    }

    /// Opens the writer.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] when another writer is open; [`Error::InvalidInput`] when an option is out
    /// of its range.
    pub fn writer_with(&self, options: WriterOptions) -> Result<IndexWriter> {
        IndexWriter::open(self, options)
    }
}

pub(super) fn already_holds_an_index(directory: &dyn Directory) -> Error {
    let message = format!(
        "{} already holds an index; open it, or choose another folder",
        directory.path().display()
    );
    Error::invalid(message)
}

/// The schema with the canonical names of its analyzers (`pt` becomes `portuguese`) and their
/// revisions.
fn canonical(schema: Schema, options: &IndexOptions) -> Result<Schema> {
    let analyzers = options.resolve(&schema)?;
    let fields = schema.fields().iter().map(|field| {
        let resolved = analyzers.iter().find(|(number, _)| *number == field.number);
        let mut field = field.clone();
        if let (FieldOptions::Text(text), Some((_, resolved))) = (&mut field.options, resolved) {
            resolved.name().clone_into(&mut text.analyzer);
            text.revision = resolved.revision();
        }
        field
    });
    Ok(schema.with_fields(fields.collect()))
}

#[cfg(test)]
mod tests;
