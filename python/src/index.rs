//! An index: a folder on disk, or memory.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use esparsa::{Index, OnDuplicate, SchemaChange, WriterOptions};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping};

use crate::error::raise;
use crate::hits::{PyHits, PyResults};
use crate::interrupt::{detached, interruptible};
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
pub struct PyIndex(RwLock<Index>);

impl PyIndex {
    fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn new(index: Index) -> Self {
        Self(RwLock::new(index))
    }

    fn newest(&self, py: Python<'_>) -> PyResult<PySnapshot> {
        Ok(PySnapshot(detached(py, || self.index().snapshot())?))
    }
}

#[pymethods]
impl PyIndex {
    /// Opens the index in a folder.
    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        Ok(Self::new(detached(py, || Index::open(path))?))
    }

    /// Creates an index in a folder that does not exist or is empty.
    #[staticmethod]
    fn create(py: Python<'_>, path: PathBuf, schema: &Bound<'_, PySchema>) -> PyResult<Self> {
        let schema = schema.get().0.clone();
        Ok(Self::new(detached(py, || Index::create(path, schema))?))
    }

    /// Opens the index in a folder, which has this schema, or creates it.
    #[staticmethod]
    fn open_or_create(
        py: Python<'_>,
        path: PathBuf,
        schema: &Bound<'_, PySchema>,
    ) -> PyResult<Self> {
        let schema = schema.get().0.clone();
        Ok(Self::new(detached(py, || {
            Index::open_or_create(path, schema)
        })?))
    }

    /// Creates an index in memory.
    #[staticmethod]
    fn in_memory(schema: &Bound<'_, PySchema>) -> PyResult<Self> {
        let index = Index::in_memory(schema.get().0.clone());
        Ok(Self::new(index.map_err(raise)?))
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
    /// `threads` analyze and write, all cores by default; `memory` is in bytes. `on_duplicate` says
    /// what a document does whose id is live: `"replace"` or `"reject"`.
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
        let writer = detached(py, || self.index().writer_with(options))?;
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

    /// Changes the schema, in one commit: fields that are added, given as a dict or as keywords,
    /// and names of fields that are dropped.
    #[pyo3(signature = (add = None, *, drop = None))]
    fn change_schema(
        &self,
        py: Python<'_>,
        add: Option<&Bound<'_, PyMapping>>,
        drop: Option<Vec<String>>,
    ) -> PyResult<()> {
        let mut change = SchemaChange::new();
        for name in drop.into_iter().flatten() {
            change = change.drop_field(name);
        }
        if let Some(fields) = add {
            for item in fields.items()? {
                let (name, options): (String, Bound<'_, PyAny>) = item.extract()?;
                let options = field_options(&name, &options)?;
                change = change.add_field(name, options);
            }
        }
        interruptible(py, |_| {
            let mut index = self.0.write().unwrap_or_else(PoisonError::into_inner);
            index.change_schema(change)
        })?;
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

    /// Reads every byte of the index, and raises `CorruptError` if something is damaged.
    fn check(&self, py: Python<'_>) -> PyResult<()> {
        let snapshot = self.newest(py)?.0;
        interruptible(py, |cancel| {
            (0..snapshot.segment_count()).try_for_each(|segment| {
                cancel.check("checking")?;
                snapshot.verify_segment(segment)
            })
        })
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

    fn __contains__(&self, py: Python<'_>, id: &str) -> PyResult<bool> {
        Ok(self.newest(py)?.0.find(id).map_err(raise)?.is_some())
    }

    fn __repr__(&self) -> String {
        format!(
            "<esparsa.Index with {:?}>",
            self.index().schema().fields().len()
        )
    }
}
