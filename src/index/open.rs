//! Creating and opening an index.

use std::path::Path;
use std::sync::Arc;

use super::commit::{self, DamagedCommit, write_manifest};
use super::options::WriterOptions;
use super::snapshot::Snapshot;
use super::writer::IndexWriter;
use crate::error::{Error, Result};
use crate::format::manifest::Manifest;
use crate::format::{FieldNumber, FieldOptions, Schema, Verify};
use crate::store::{Directory, FileSystem, Memory};
use crate::text::Analyzer;

/// How an index is opened.
///
/// ```
/// use esparsa::{IndexOptions, Verify};
///
/// let options = IndexOptions::new().verify(Verify::AtOpen);
/// ```
#[derive(Clone, Default)]
pub struct IndexOptions {
    pub(super) verify: Verify,
    pub(super) damaged: DamagedCommit,
    pub(super) analyzers: Vec<Analyzer>,
}

impl IndexOptions {
    /// Checksums on first touch, no analyzers but the built-in ones.
    pub fn new() -> Self {
        Self::default()
    }

    /// When checksums are compared.
    #[must_use]
    pub fn verify(mut self, verify: Verify) -> Self {
        self.verify = verify;
        self
    }

    /// Goes back to an older commit when the newest one is damaged and an older one is still there, as it
    /// may be after the system failed to remove it. Everything committed since is lost: a writer removes
    /// its files. Without this, a damaged newest commit is [`Error::Corrupt`].
    #[must_use]
    pub fn accept_older_commit(mut self) -> Self {
        self.damaged = DamagedCommit::PassOver;
        self
    }

    /// Supplies an analyzer of the application's own, made with [`Analyzer::custom`].
    #[must_use]
    pub fn analyzer(mut self, analyzer: Analyzer) -> Self {
        self.analyzers.push(analyzer);
        self
    }

    fn find(&self, name: &str) -> Result<Analyzer> {
        match self.analyzers.iter().find(|a| a.name() == name) {
            Some(analyzer) => Ok(analyzer.clone()),
            None => Analyzer::named(name),
        }
    }

    /// The analyzers of all text fields, with their fields' numbers.
    pub(super) fn resolve(&self, schema: &Schema) -> Result<Vec<(FieldNumber, Analyzer)>> {
        let mut found = Vec::new();
        for field in schema.fields() {
            if let FieldOptions::Text { analyzer, .. } = &field.options {
                let analyzer = self.find(analyzer).map_err(|e| e.in_field(&field.name))?;
                found.push((field.number, analyzer));
            }
        }
        Ok(found)
    }
}

/// An index in a folder: any number of readers, one writer at a time, in any number of processes.
///
/// ```
/// use esparsa::{Document, Index, Query, Schema};
///
/// let index = Index::in_memory(Schema::new().text("text", "english")?)?;
/// let mut writer = index.writer()?;
/// writer.add(Document::new("etna").with_text("text", "Etna is a volcano in Sicily."))?;
/// writer.commit()?;
///
/// let hits = index.snapshot()?.search(&Query::text("text", "volcanoes"), 10)?;
/// assert_eq!(hits[0].id, "etna");
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone)]
pub struct Index {
    pub(super) directory: Arc<dyn Directory>,
    pub(super) options: Arc<IndexOptions>,
    pub(super) schema: Arc<Schema>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({})", self.directory.path().display())
    }
}

impl Index {
    /// Creates an empty index in a folder, which is created if need be and must hold no index.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when there is an index already or an analyzer is unknown, [`Error::Io`]
    /// when the folder cannot be written.
    pub fn create(path: impl AsRef<Path>, schema: Schema) -> Result<Self> {
        let directory = Arc::new(FileSystem::create(path)?);
        Self::create_in(directory, schema, IndexOptions::new())
    }

    /// Opens the index in a folder.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when the folder holds no index, [`Error::TooNew`] when a newer version
    /// wrote it, [`Error::Corrupt`] when it is damaged.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let directory = Arc::new(FileSystem::open(path)?);
        Self::open_in(directory, IndexOptions::new())
    }

    /// Creates an index in memory, gone with the last of its clones.
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
        let _lock = directory.lock()?;
        if commit::newest(&*directory, options.damaged)?.is_some() {
            let message = format!(
                "{} holds an index already; open it, or choose another folder",
                directory.path().display()
            );
            return Err(Error::invalid(message));
        }
        let schema = canonical(schema, &options)?;
        let manifest = Manifest {
            commit: 1,
            next_file: 1,
            schema,
            segments: Vec::new(),
            calibrations: Vec::new(),
        };
        commit::remove_unfinished(&*directory, manifest.commit)?;
        write_manifest(&*directory, &manifest)?;
        Ok(Self {
            directory,
            options: Arc::new(options),
            schema: Arc::new(manifest.schema),
        })
    }

    /// Opens an index in any directory, with options.
    ///
    /// # Errors
    ///
    /// As [`Index::open`].
    pub fn open_in(directory: Arc<dyn Directory>, options: IndexOptions) -> Result<Self> {
        let manifest = commit::expect_newest(&*directory, options.damaged)?;
        options.resolve(&manifest.schema)?;
        Ok(Self {
            directory,
            options: Arc::new(options),
            schema: Arc::new(manifest.schema),
        })
    }

    /// The fields.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The newest commit, for reading; it stays as it is whatever is committed later.
    ///
    /// # Errors
    ///
    /// As [`Index::open`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        Snapshot::newest(&self.directory, &self.options)
    }

    /// The writer, with default options.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] when there is another.
    pub fn writer(&self) -> Result<IndexWriter> {
        self.writer_with(WriterOptions::default())
    }

    /// The writer.
    ///
    /// # Errors
    ///
    /// [`Error::Locked`] when there is another, [`Error::InvalidInput`] when the options make no sense.
    pub fn writer_with(&self, options: WriterOptions) -> Result<IndexWriter> {
        IndexWriter::open(self, options)
    }
}

/// The schema with the canonical names of its analyzers (`pt` becomes `portuguese`).
fn canonical(schema: Schema, options: &IndexOptions) -> Result<Schema> {
    let analyzers = options.resolve(&schema)?;
    let fields = schema.fields().iter().map(|field| {
        let resolved = analyzers.iter().find(|(number, _)| *number == field.number);
        let mut field = field.clone();
        if let (FieldOptions::Text { analyzer, .. }, Some((_, resolved))) =
            (&mut field.options, resolved)
        {
            resolved.name().clone_into(analyzer);
        }
        field
    });
    Ok(Schema::from_fields(fields.collect()))
}
