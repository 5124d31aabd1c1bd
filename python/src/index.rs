//! An index: a folder on disk, or memory.

use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use esparsa::{Index, IndexOptions, OnDuplicate, SchemaChange, Verify, WriterOptions};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};

use crate::error::raise;
use crate::hits::{PyHits, PyResults};
use crate::interrupt::{detached, interruptible};
use crate::options::names;
use crate::query::PyQuery;
use crate::schema::{PySchema, choice, field_options};
use crate::snapshot::PySnapshot;
use crate::writer::PyWriter;

/// An index.
///
/// >>> from esparsa import Index, Schema, Stored, Text
/// >>> index = Index.in_memory(Schema(text=Text("en"), source=Stored()))
/// >>> with index.writer() as writer:
/// ...     writer.add({"_id": "etna", "text": "Etna is an active volcano in Sicily."})
/// ...     writer.add({"_id": "bees", "text": "Bees dance to tell where flowers are."})
/// >>> hits = index.search("dancing bee")
/// >>> hits.ids
/// ['bees']
/// >>> hits[0].document["text"]
/// 'Bees dance to tell where flowers are.'
#[pyclass(name = "Index", module = "esparsa", frozen)]
pub struct PyIndex {
    /// Changes of the schema replace it. The lock is held only to copy it.
    index: RwLock<Index>,
    path: Option<PathBuf>,
}

impl PyIndex {
    fn index(&self) -> Index {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.clone()
    }

    fn on_disk(
        py: Python<'_>,
        path: PathBuf,
        open: impl FnOnce(&Path) -> esparsa::Result<Index> + Send,
    ) -> PyResult<Self> {
        let index = detached(py, || open(&path))?;
        Ok(Self {
            index: RwLock::new(index),
            path: Some(path),
        })
    }

    fn newest(&self, py: Python<'_>) -> PyResult<PySnapshot> {
        let index = self.index();
        Ok(PySnapshot(detached(py, || index.snapshot())?))
    }
}

#[pymethods]
impl PyIndex {
    /// Opens the index in a folder, as `Index.open` does.
    #[new]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        Self::open(py, path, None)
    }

    /// Opens the index in a folder. Of an index of strangers, `untrusted` says how many bytes its
    /// files may take in memory: they are read into it, and verified from end to end before they are
    /// searched, and the index cannot be written.
    #[staticmethod]
    #[pyo3(signature = (path, *, untrusted = None))]
    fn open(py: Python<'_>, path: PathBuf, untrusted: Option<u64>) -> PyResult<Self> {
        Self::on_disk(py, path, |path| match untrusted {
            Some(memory) => Index::open_with(path, IndexOptions::new().untrusted(memory)),
            None => Index::open(path),
        })
    }

    /// Creates an index in a folder, which is made if it is not there. There must be no index in it.
    #[staticmethod]
    fn create(py: Python<'_>, path: PathBuf, schema: &Bound<'_, PySchema>) -> PyResult<Self> {
        let schema = schema.get().0.clone();
        Self::on_disk(py, path, |path| Index::create(path, schema))
    }

    /// Opens the index in a folder, which has this schema, or creates it.
    #[staticmethod]
    fn open_or_create(
        py: Python<'_>,
        path: PathBuf,
        schema: &Bound<'_, PySchema>,
    ) -> PyResult<Self> {
        let schema = schema.get().0.clone();
        Self::on_disk(py, path, |path| Index::open_or_create(path, schema))
    }

    /// Creates an index in memory.
    #[staticmethod]
    fn in_memory(schema: &Bound<'_, PySchema>) -> PyResult<Self> {
        let index = Index::in_memory(schema.get().0.clone()).map_err(raise)?;
        Ok(Self {
            index: RwLock::new(index),
            path: None,
        })
    }

    /// Whether there is an index in a folder.
    #[staticmethod]
    fn exists(path: PathBuf) -> PyResult<bool> {
        Index::exists(path).map_err(raise)
    }

    /// The newest commit.
    fn snapshot(&self, py: Python<'_>) -> PyResult<PySnapshot> {
        self.newest(py)
    }

    /// A writer. An index has at most one at a time, whichever process it is in.
    ///
    /// `threads` analyze and write, all cores by default; `memory` is in bytes. A document replaces
    /// the one with the same id that an earlier commit has. `on_duplicate` says what it does to one
    /// that this writer has added since: `"replace"`, or `"reject"`, which leaves the later one out
    /// (see `Writer.commit`).
    #[pyo3(signature = (*, threads = None, memory = None, on_duplicate = "replace"))]
    fn writer(
        &self,
        py: Python<'_>,
        threads: Option<usize>,
        memory: Option<usize>,
        on_duplicate: &str,
    ) -> PyResult<PyWriter> {
        let choices = [
            ("replace", OnDuplicate::Replace),
            ("reject", OnDuplicate::Reject),
        ];
        let mut options =
            WriterOptions::new().on_duplicate(choice("on_duplicate", on_duplicate, &choices)?);
        if let Some(threads) = threads {
            options = options.threads(threads);
        }
        if let Some(memory) = memory {
            options = options.memory(memory);
        }
        let index = self.index();
        let writer = detached(py, || index.writer_with(options))?;
        Ok(PyWriter::new(writer))
    }

    /// Searches the newest commit: see `Snapshot.search`.
    #[pyo3(signature = (query, k = 10, **options))]
    fn search(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        k: usize,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyHits> {
        self.newest(py)?.search(py, query, k, options)
    }

    /// Searches the newest commit for several queries: see `Snapshot.search_many`.
    #[pyo3(signature = (queries, k = 10, *, workers = None, **options))]
    fn search_many(
        &self,
        py: Python<'_>,
        queries: &Bound<'_, PyAny>,
        k: usize,
        workers: Option<usize>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyResults> {
        self.newest(py)?
            .search_many(py, queries, k, workers, options)
    }

    /// The document with an external id: see `Snapshot.get`.
    fn get<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        self.newest(py)?.get(py, id)
    }

    /// How many documents match a query: see `Snapshot.count`.
    #[pyo3(signature = (query, **options))]
    fn count(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<u64> {
        self.newest(py)?.count(py, query, options)
    }

    /// Where the score of a document comes from: see `Snapshot.explain`.
    #[pyo3(signature = (query, id, *, k = 10, **options))]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, PyAny>,
        id: &Bound<'py, PyAny>,
        k: usize,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        self.newest(py)?.explain(py, query, id, k, options)
    }

    /// A query from the query language: see `Snapshot.parse`.
    #[pyo3(signature = (text, *, fields = None, all_terms = false, lenient = false, synonyms = None))]
    fn parse(
        &self,
        py: Python<'_>,
        text: &str,
        fields: Option<&Bound<'_, PyAny>>,
        all_terms: bool,
        lenient: bool,
        synonyms: Option<&str>,
    ) -> PyResult<PyQuery> {
        self.newest(py)?
            .parse(text, fields, all_terms, lenient, synonyms)
    }

    /// Changes the schema, in one commit: fields that are added, given as a dict or as keywords,
    /// and the names of fields that are dropped, one or several.
    #[pyo3(signature = (add = None, /, *, drop = None, **more))]
    fn change_schema(
        &self,
        py: Python<'_>,
        add: Option<&Bound<'_, PyMapping>>,
        drop: Option<&Bound<'_, PyAny>>,
        more: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let mut change = SchemaChange::new();
        if let Some(drop) = drop {
            for name in names(drop)? {
                change = change.drop_field(name);
            }
        }
        let more = more.map(|more| more.as_mapping());
        for fields in [add, more].into_iter().flatten() {
            for item in fields.items()? {
                let (name, options): (String, Bound<'_, PyAny>) = item.extract()?;
                let options = field_options(&name, &options)?;
                change = change.add_field(name, options);
            }
        }
        let mut index = self.index();
        let changed = interruptible(py, |_| {
            index.change_schema(change)?;
            Ok(index)
        })?;
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = changed;
        Ok(())
    }

    /// A retriever of PyTerrier: see `esparsa.pyterrier.EsparsaRetriever`.
    #[pyo3(signature = (**options))]
    fn as_pyterrier_transformer<'py>(
        slf: &Bound<'py, Self>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let module = slf.py().import("esparsa.pyterrier")?;
        module.getattr("as_transformer")?.call((slf,), options)
    }

    /// Reads every byte of the newest commit, and raises `CorruptError` if something is damaged.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let index = self.index();
        interruptible(py, |cancel| {
            // Opened anew: an open index remembers what it has verified.
            let index = match &self.path {
                Some(path) => Index::open_with(path, IndexOptions::new().verify(Verify::AtOpen))?,
                None => index,
            };
            let snapshot = index.snapshot()?;
            (0..snapshot.segment_count()).try_for_each(|segment| {
                cancel.check("checking")?;
                snapshot.verify_segment(segment)
            })
        })
    }

    /// The folder; None for an index in memory.
    #[getter]
    fn path(&self) -> Option<PathBuf> {
        self.path.clone()
    }

    /// The fields.
    #[getter]
    fn schema(&self) -> PySchema {
        PySchema(self.index().schema().clone())
    }

    /// The number of documents of the newest commit.
    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        Ok(usize::try_from(self.newest(py)?.0.documents())?)
    }

    fn __contains__(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        self.newest(py)?.__contains__(id)
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let documents = self.newest(py)?.0.documents();
        Ok(match &self.path {
            Some(path) => format!("<esparsa.Index of {documents} documents in {path:?}>"),
            None => format!("<esparsa.Index of {documents} documents in memory>"),
        })
    }
}
