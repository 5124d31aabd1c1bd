//! Adding, replacing and deleting documents.

use std::mem;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use esparsa::{CommitReport, Document, IndexWriter, Schema};
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::arrow;
use crate::document::{Extra, Rows, external_id};
use crate::error::{invalid, raise};
use crate::interrupt::{detached, interruptible};
use crate::query::query;
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
}

impl PyWriter {
    pub fn new(writer: IndexWriter) -> Self {
        Self {
            schema: writer.schema().clone(),
            writer: Mutex::new(Some(writer)),
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

    /// Does long work with the writer, which Ctrl-C does not divide: what it raises comes after.
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
            batch
                .into_iter()
                .try_for_each(|document| writer.add(document))
        })?;
        py.check_signals()
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
        self.with(py, |writer| writer.add(document))
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
        let mut batch = Vec::new();
        let mut count = 0;
        if documents.hasattr("__arrow_c_stream__")? {
            return arrow::each_document(documents, &rows, |document| {
                batch.push(document);
                count += 1;
                match batch.len() < BATCH {
                    true => Ok(()),
                    false => self.flush(py, &mut batch),
                }
            })
            .and_then(|()| self.flush(py, &mut batch))
            .map(|()| count);
        }
        for row in documents.try_iter()? {
            match row.and_then(|row| rows.document(&row)) {
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

    /// Adds many documents whose fields are columns: `ids`, and for each field as many values, a
    /// matrix of vectors (NumPy, SciPy, PyTorch), or a list.
    ///
    /// >>> import numpy as np
    /// >>> from esparsa import Dense, Index, Schema
    /// >>> index = Index.in_memory(Schema(vector=Dense(2)))
    /// >>> with index.writer() as writer:
    /// ...     writer.add_columns(["a", "b"], vector=np.eye(2, dtype=np.float32))
    /// 2
    #[pyo3(signature = (ids, **fields))]
    fn add_columns(
        &self,
        py: Python<'_>,
        ids: &Bound<'_, PyAny>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<usize> {
        let ids = ids.try_iter()?.map(|id| external_id(&id?));
        let ids: Vec<String> = ids.collect::<PyResult<_>>()?;
        let count = ids.len();
        let mut columns = Vec::new();
        for (name, values) in fields.into_iter().flatten() {
            columns.push(Values::new(name.extract()?, &values, count)?);
        }
        let rows = self.rows(None, "error")?;
        let mut batch = Vec::new();
        for (row, id) in ids.into_iter().enumerate() {
            let others = PyDict::new(py);
            for column in &columns {
                column.set(row, &others)?;
            }
            let mut document = rows.with_id(id, &others)?;
            for column in &columns {
                document = column.with_vector(row, document);
            }
            batch.push(document);
            if batch.len() >= BATCH {
                self.flush(py, &mut batch)?;
            }
        }
        self.flush(py, &mut batch)?;
        Ok(count)
    }

    /// Deletes the document with an external id, if there is one.
    fn delete(&self, py: Python<'_>, id: &str) -> PyResult<()> {
        self.with(py, |writer| writer.delete(id))
    }

    /// Deletes the documents that match a query, and returns how many.
    fn delete_matching(&self, py: Python<'_>, query: &Bound<'_, PyAny>) -> PyResult<u64> {
        let query = self::query(query)?;
        self.with_long(py, |writer| writer.delete_matching(&query))
    }

    /// Makes everything so far durable and visible to new snapshots; returns a dict of `commit`,
    /// `documents` and `segments`. Documents that were rejected since the last commit, as
    /// duplicates, raise `InvalidInputError` after the commit.
    fn commit<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (report, mut errors) =
            self.with_long(py, |writer| Ok((writer.commit()?, writer.take_errors())))?;
        if let Some(first) = errors.pop() {
            return Err(raise(first));
        }
        commit_report(py, &report)
    }

    /// Discards everything since the last commit.
    fn rollback(&self, py: Python<'_>) -> PyResult<()> {
        self.with_long(py, IndexWriter::rollback)
    }

    /// A snapshot of what is not committed yet, for near-real-time search.
    fn refresh(&self, py: Python<'_>) -> PyResult<PySnapshot> {
        Ok(PySnapshot(self.with_long(py, IndexWriter::refresh)?))
    }

    /// Merges until there are at most so many segments; visible after the next commit.
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

    /// Closes the writer, so that another may be opened. What is not committed is lost.
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
            true => self.commit(py).map(|_| ()),
            false => Ok(()),
        };
        self.close(py)?;
        committed.map(|()| false)
    }

    fn __repr__(&self) -> &'static str {
        "<esparsa.Writer>"
    }
}

fn commit_report<'py>(py: Python<'py>, report: &CommitReport) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("commit", report.commit)?;
    dict.set_item("documents", report.documents)?;
    dict.set_item("segments", report.segments)?;
    Ok(dict)
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
    fn new(name: String, values: &Bound<'py, PyAny>, count: usize) -> PyResult<Self> {
        let matrix = values
            .py()
            .import("esparsa._vectors")?
            .call_method1("csr", (values,))?;
        let is_matrix = values
            .getattr("ndim")
            .and_then(|ndim| ndim.extract::<usize>())
            .is_ok_and(|ndim| ndim == 2);
        let (found, column) = if !matrix.is_none() {
            let (offsets, terms, weights): (Bound<'_, PyAny>, Bound<'_, PyAny>, Bound<'_, PyAny>) =
                matrix.extract()?;
            let offsets = vectors::offsets(&offsets)?;
            let (terms, weights) = (vectors::unsigned(&terms)?, vectors::floats(&weights)?);
            let rises =
                offsets.is_sorted() && offsets.last().is_some_and(|end| *end <= terms.len());
            if !rises || terms.len() != weights.len() {
                return Err(invalid(format!(
                    "field `{name}`: expected a sparse matrix with rising offsets of rows, found other ones"
                )));
            }
            (
                offsets.len() - 1,
                Self::Sparse(name, offsets, terms, weights),
            )
        } else if is_matrix {
            let rows = vectors::rows(values)?;
            (rows.as_array().nrows(), Self::Dense(name, rows))
        } else {
            if values.is_instance_of::<PyString>() {
                return Err(invalid(format!(
                    "field `{name}`: expected a list with a value for each document, found one string"
                )));
            }
            let objects: Vec<_> = values.try_iter()?.collect::<PyResult<_>>()?;
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
