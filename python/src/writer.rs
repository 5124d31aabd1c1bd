//! Adding, replacing and deleting documents.

use std::ffi::CString;
use std::mem;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};

use esparsa::{CommitReport, Document, Error, Field, FieldKind, IndexWriter, Schema};
use numpy::PyReadonlyArray2;
use pyo3::exceptions::PyResourceWarning;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::arrow;
use crate::document::{Extra, Rows, external_id};
use crate::error::{invalid, raise};
use crate::interrupt::{detached, interruptible};
use crate::query::query;
use crate::several::several;
use crate::snapshot::PySnapshot;
use crate::vectors;

/// Documents that are added without looking at signals between them.
const BATCH: usize = 512;

/// Adds, replaces and deletes documents. Nothing of it is seen before `commit`.
///
/// As a context manager it commits at the end of the block, and discards everything since the last
/// commit if the block raises.
#[pyclass(name = "Writer", module = "esparsa", frozen)]
pub struct PyWriter {
    writer: Mutex<Option<IndexWriter>>,
    schema: Schema,
    /// Documents that were added and deletes that were asked for since the last commit.
    pending: AtomicU64,
}

impl PyWriter {
    pub fn new(writer: IndexWriter) -> Self {
        Self {
            schema: writer.schema().clone(),
            writer: Mutex::new(Some(writer)),
            pending: AtomicU64::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<IndexWriter>> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does short work with the writer.
    fn with<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut IndexWriter) -> esparsa::Result<T> + Send,
    ) -> PyResult<T> {
        let done = py.detach(|| self.lock().as_mut().map(work));
        done.ok_or_else(closed)?.map_err(raise)
    }

    /// Does long work with the writer. A signal does not interrupt it; what the signal's handler
    /// raises is raised when the work is done.
    fn with_long<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut IndexWriter) -> esparsa::Result<T> + Send,
    ) -> PyResult<T> {
        let done = interruptible(py, |_| self.lock().as_mut().map(work).transpose())?;
        done.ok_or_else(closed)
    }

    fn rows(&self, id: Option<String>, extra: &str) -> PyResult<Rows<'_>> {
        Ok(Rows {
            schema: &self.schema,
            id,
            extra: Extra::of_name(extra)?,
        })
    }

    /// Adds a batch, and raises what signals raise.
    fn flush(&self, py: Python<'_>, batch: &mut Vec<Document>) -> PyResult<()> {
        let batch = mem::take(batch);
        self.with(py, |writer| {
            batch.into_iter().try_for_each(|document| {
                writer.add(document)?;
                self.pending.fetch_add(1, Relaxed);
                Ok(())
            })
        })?;
        py.check_signals()
    }

    /// Adds documents one after another; those before one that is refused are added.
    fn add_each(
        &self,
        py: Python<'_>,
        documents: impl Iterator<Item = PyResult<Document>>,
    ) -> PyResult<usize> {
        let mut batch = Vec::new();
        let mut count = 0;
        for document in documents {
            match document {
                Ok(document) => batch.push(document),
                Err(error) => {
                    self.flush(py, &mut batch)?;
                    return Err(error);
                }
            }
            count += 1;
            if batch.len() >= BATCH {
                self.flush(py, &mut batch)?;
            }
        }
        self.flush(py, &mut batch)?;
        Ok(count)
    }

    fn finish(&self, py: Python<'_>) -> PyResult<(CommitReport, Vec<Error>)> {
        let done = self.with_long(py, |writer| Ok((writer.commit()?, writer.take_errors())))?;
        self.pending.store(0, Relaxed);
        Ok(done)
    }
}

/// Documents of a writer that nobody committed or closed are lost: that is worth a warning.
impl Drop for PyWriter {
    fn drop(&mut self) {
        let pending = self.pending.load(Relaxed);
        let writer = self
            .writer
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if pending == 0 || writer.is_none() {
            return;
        }
        let message = format!(
            "a writer was dropped with {pending} changes that were not committed; call commit() or close()"
        );
        Python::attach(|py| {
            let Ok(message) = CString::new(message) else {
                return;
            };
            let category = py.get_type::<PyResourceWarning>();
            // Where warnings are errors, there is no caller to raise this one to.
            if let Err(error) = PyErr::warn(py, &category, &message, 1) {
                error.write_unraisable(py, None);
            }
        });
    }
}

fn closed() -> PyErr {
    invalid("expected an open writer, found a closed one; take another from the index")
}

#[pymethods]
impl PyWriter {
    /// Adds a document: a dict whose keys are the names of fields, and `_id` (or `id`) for the
    /// external id. It replaces the document that has this id.
    ///
    /// Text fields take strings, columns take values or lists of them, sparse fields take dicts of
    /// weights or arrays, dense fields arrays or lists; None is no value. `id` names another key.
    /// `extra` says what becomes of other keys: `"error"`, `"ignore"` or `"store"`.
    #[pyo3(signature = (document, *, id = None, extra = "error"))]
    fn add(
        &self,
        py: Python<'_>,
        document: &Bound<'_, PyAny>,
        id: Option<String>,
        extra: &str,
    ) -> PyResult<()> {
        let document = self.rows(id, extra)?.document(document)?;
        self.with(py, |writer| writer.add(document))?;
        self.pending.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Adds many documents, and returns how many: from an iterable of dicts, or from anything that
    /// exports an Arrow stream (tables of pyarrow, polars, DuckDB and pandas). Otherwise as `add`.
    ///
    /// Documents before one that is refused have been added.
    #[pyo3(signature = (documents, *, id = None, extra = "error"))]
    fn add_many(
        &self,
        py: Python<'_>,
        documents: &Bound<'_, PyAny>,
        id: Option<String>,
        extra: &str,
    ) -> PyResult<usize> {
        let rows = self.rows(id, extra)?;
        if !documents.hasattr("__arrow_c_stream__")? {
            let documents = several(documents, "documents")?;
            return self.add_each(py, documents.map(|row| rows.document(&row?)));
        }
        let mut count = 0;
        arrow::each_batch(documents, &rows, |mut batch| {
            count += batch.len();
            self.flush(py, &mut batch)
        })?;
        Ok(count)
    }

    /// Adds many documents whose fields are columns: `ids`, and for each field as many values, a
    /// matrix of vectors (NumPy, SciPy, PyTorch), or a list.
    ///
    /// >>> import numpy as np
    /// >>> from esparsa import Dense, Index, Schema
    /// >>> index = Index.in_memory(Schema(vector=Dense(2)))
    /// >>> with index.writer() as writer:
    /// ...     writer.add_columns(["a", "b"], vector=np.eye(2, dtype=np.float32))
    /// 2
    #[pyo3(signature = (ids, /, **fields))]
    fn add_columns(
        &self,
        py: Python<'_>,
        ids: &Bound<'_, PyAny>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<usize> {
        let listed = match ids.hasattr("to_pylist")? {
            true => &ids.call_method0("to_pylist")?,
            false => ids,
        };
        let ids = several(listed, "external ids")?.map(|id| external_id(&id?));
        let ids: Vec<String> = ids.collect::<PyResult<_>>()?;
        let mut columns = Vec::new();
        for (name, values) in fields.into_iter().flatten() {
            let name: String = name.extract()?;
            let field = self.schema.field(&name).ok_or_else(|| {
                invalid(format!(
                    "expected names of fields of the index, found `{name}`"
                ))
            })?;
            columns.push(Values::new(field, &values, ids.len())?);
        }
        let rows = self.rows(None, "error")?;
        let documents = ids.into_iter().enumerate().map(|(row, id)| {
            let others = PyDict::new(py);
            columns
                .iter()
                .try_for_each(|column| column.set(row, &others))?;
            let document = rows.with_id(id, &others)?;
            let with_vector = |document, column: &Values<'_>| column.with_vector(row, document);
            Ok(columns.iter().fold(document, with_vector))
        });
        self.add_each(py, documents)
    }

    /// Deletes the document with an external id, if there is one.
    fn delete(&self, py: Python<'_>, id: &Bound<'_, PyAny>) -> PyResult<()> {
        let id = external_id(id)?;
        self.with(py, |writer| writer.delete(&id))?;
        self.pending.fetch_add(1, Relaxed);
        Ok(())
    }

    /// Deletes the documents that match a query, and returns how many.
    fn delete_matching(&self, py: Python<'_>, query: &Bound<'_, PyAny>) -> PyResult<u64> {
        let query = self::query(query)?.query;
        let deleted = self.with_long(py, |writer| writer.delete_matching(&query))?;
        self.pending.fetch_add(deleted, Relaxed);
        Ok(deleted)
    }

    /// Makes everything so far durable and visible to new snapshots; returns a dict of `commit`,
    /// `documents`, `segments` and `rejected`: why documents were left out, as duplicates are of a
    /// writer with `on_duplicate="reject"`.
    fn commit<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (report, rejected) = self.finish(py)?;
        let dict = PyDict::new(py);
        dict.set_item("commit", report.commit)?;
        dict.set_item("documents", report.documents)?;
        dict.set_item("segments", report.segments)?;
        let rejected: Vec<String> = rejected.iter().map(Error::to_string).collect();
        dict.set_item("rejected", rejected)?;
        Ok(dict)
    }

    /// Discards everything since the last commit.
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        self.with_long(py, IndexWriter::rollback)?;
        self.pending.store(0, Relaxed);
        Ok(())
    }

    /// Changes since the last commit: documents that were added, and deletes.
    #[getter]
    fn pending(&self) -> u64 {
        self.pending.load(Relaxed)
    }

    /// A snapshot of what is not committed yet, for near-real-time search.
    fn refresh(&self, py: Python<'_>) -> PyResult<PySnapshot> {
        Ok(PySnapshot(self.with_long(py, IndexWriter::refresh)?))
    }

    /// Merges until there are at most `segments` segments; visible after the next commit.
    #[pyo3(signature = (segments = 1))]
    fn merge(&self, py: Python<'_>, segments: usize) -> PyResult<()> {
        self.with_long(py, |writer| writer.merge_to(segments))
    }

    /// Waits until no merge is running and none is wanted.
    fn wait_for_merges(&self, py: Python<'_>) -> PyResult<()> {
        self.with_long(py, IndexWriter::wait_for_merges)
    }

    /// Adds the segments of another index, which has the same schema, without rewriting them.
    fn attach(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.with_long(py, |writer| writer.attach(path))
    }

    /// Closes the writer, so that another may be opened. What is not committed is lost. It does
    /// nothing to a closed one.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        detached(py, || {
            self.lock().take();
            Ok(())
        })
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    #[pyo3(signature = (kind, _value, _traceback))]
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _traceback: &Bound<'_, PyAny>,
    ) -> PyResult<bool> {
        let is_open = py.detach(|| self.lock().is_some());
        let committed = match is_open && kind.is_none() {
            true => self.finish(py).map(|(_, rejected)| rejected),
            false => Ok(Vec::new()),
        };
        self.close(py)?;
        match committed?.as_slice() {
            [] => Ok(false),
            [first, others @ ..] => Err(invalid(format!(
                "expected no documents that are rejected, found {}; all others are committed; the first: {first}",
                others.len() + 1
            ))),
        }
    }

    fn __repr__(&self) -> String {
        format!(
            "<esparsa.Writer with {} changes that are not committed>",
            self.pending()
        )
    }
}

/// The values of a field for many documents.
enum Values<'py> {
    /// A matrix of dense vectors.
    Dense(String, PyReadonlyArray2<'py, f32>),
    /// A matrix of sparse vectors: offsets of rows, terms, weights.
    Sparse(String, Vec<usize>, Vec<u32>, Vec<f32>),
    /// Anything else, one object for each document.
    Objects(String, Vec<Bound<'py, PyAny>>),
}

impl<'py> Values<'py> {
    fn new(field: &Field, values: &Bound<'py, PyAny>, count: usize) -> PyResult<Self> {
        let name = field.name.clone();
        let kind = field.options.kind();
        let dimensions = values
            .getattr("ndim")
            .and_then(|ndim| ndim.extract::<usize>());
        let is_matrix = dimensions.is_ok_and(|dimensions| dimensions == 2);
        let vectors = values.py().import("esparsa._vectors")?;
        let csr = match kind == FieldKind::Sparse {
            true => vectors.call_method1("csr", (values,))?,
            false => values.py().None().into_bound(values.py()),
        };
        let (found, column) = if !csr.is_none() {
            Self::sparse(name, &csr)?
        } else if is_matrix && kind == FieldKind::Dense {
            let rows = vectors::rows(values)?;
            (rows.as_array().nrows(), Self::Dense(name, rows))
        } else {
            let values = match values.hasattr("to_pylist")? {
                true => &values.call_method0("to_pylist")?,
                false => values,
            };
            let expected = format!("a list for field `{name}`, with a value for each document");
            let objects: Vec<_> = several(values, &expected)?.collect::<PyResult<_>>()?;
            (objects.len(), Self::Objects(name, objects))
        };
        match found == count {
            true => Ok(column),
            false => Err(invalid(format!(
                "field `{}`: expected a value for each of {count} documents, found {found}",
                column.name()
            ))),
        }
    }

    /// A sparse matrix from its offsets of rows, terms and weights, and the number of its rows.
    fn sparse(name: String, csr: &Bound<'py, PyAny>) -> PyResult<(usize, Self)> {
        let (offsets, terms, weights): (Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>) =
            csr.extract()?;
        let offsets = vectors::offsets(&offsets)?;
        let (terms, weights) = (vectors::unsigned(&terms)?, vectors::floats(&weights)?);
        let rises = offsets.is_sorted() && offsets.last().is_some_and(|end| *end <= terms.len());
        match rises && terms.len() == weights.len() {
            true => Ok((
                offsets.len() - 1,
                Self::Sparse(name, offsets, terms, weights),
            )),
            false => Err(invalid(format!(
                "field `{name}`: expected a sparse matrix with rising offsets of rows, found other ones"
            ))),
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Dense(name, _) | Self::Sparse(name, ..) | Self::Objects(name, _) => name,
        }
    }

    /// Adds the value of a document, if it is an object.
    fn set(&self, row: usize, others: &Bound<'_, PyDict>) -> PyResult<()> {
        match self {
            Self::Objects(name, objects) => others.set_item(name, &objects[row]),
            _ => Ok(()),
        }
    }

    /// The document with the vector of a row, if this is a matrix.
    fn with_vector(&self, row: usize, document: Document) -> Document {
        match self {
            Self::Dense(name, rows) => document.with_dense(name, rows.as_array().row(row).to_vec()),
            Self::Sparse(name, offsets, terms, weights) => {
                let range = offsets[row]..offsets[row + 1];
                let pairs = terms[range.clone()].iter().zip(&weights[range]);
                document.with_sparse_numbered(name, pairs.map(|(term, weight)| (*term, *weight)))
            }
            Self::Objects(..) => document,
        }
    }
}
