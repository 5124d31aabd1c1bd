//! What a search returns.

use esparsa::{DocAddress, Hits, MatchCount, SearchResult, SearchStatistics};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PySlice, PyTuple};

use crate::error::raise;
use crate::facets::{Asked, counted};
use crate::interrupt::detached;
use crate::value::all_to_python;

/// The best documents of a search, best first: a sequence of `Hit`.
///
/// Ids are read from the index when they are asked for. Hits keep their snapshot open.
#[pyclass(name = "Hits", module = "esparsa", frozen, sequence)]
pub struct PyHits {
    pub hits: Hits,
    count: Option<MatchCount>,
    facets: Option<Py<PyAny>>,
    statistics: Option<SearchStatistics>,
}

impl PyHits {
    /// Hits without counts.
    pub fn of(hits: Hits) -> Self {
        Self {
            hits,
            count: None,
            facets: None,
            statistics: None,
        }
    }

    /// The result of a search for which these facets were asked.
    pub fn new(py: Python<'_>, result: SearchResult, asked: &Asked) -> PyResult<Self> {
        let facets = counted(py, asked, &result.facets)?;
        Ok(Self {
            hits: result.hits,
            count: result.count,
            facets: facets.map(Bound::unbind),
            statistics: Some(result.statistics),
        })
    }
}

#[pymethods]
impl PyHits {
    /// The external ids, best first.
    #[getter]
    fn ids(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        detached(py, || self.hits.ids())
    }

    /// The scores, as an array of float32.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        let scores = self.hits.scored().iter().map(|(_, score)| *score);
        PyArray1::from_vec(py, scores.collect())
    }

    /// How many documents match, if `count` was asked for: all of them if `count_is_exact`, at
    /// least so many otherwise.
    #[getter]
    fn count(&self) -> Option<u64> {
        self.count.map(|count| match count {
            MatchCount::Exact(count) | MatchCount::AtLeast(count) => count,
        })
    }

    /// Whether `count` counts all documents that match.
    #[getter]
    fn count_is_exact(&self) -> bool {
        matches!(self.count, Some(MatchCount::Exact(_)))
    }

    /// What was counted, in the form in which facets were asked for: a list or a dict.
    #[getter]
    fn facets(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.facets.as_ref().map(|facets| facets.clone_ref(py))
    }

    /// What the search did: the algorithm of each segment, the postings of the query's terms, those
    /// that were scored, and terms that were skipped.
    #[getter]
    fn statistics<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(statistics) = &self.statistics else {
            return Ok(None);
        };
        let dict = PyDict::new(py);
        let algorithms: Vec<_> = statistics.algorithms.iter().map(|a| a.name()).collect();
        dict.set_item("algorithms", algorithms)?;
        dict.set_item("postings", statistics.postings)?;
        dict.set_item("postings_scored", statistics.postings_scored)?;
        dict.set_item("terms_skipped", statistics.terms_skipped)?;
        Ok(Some(dict))
    }

    fn __len__(&self) -> usize {
        self.hits.len()
    }

    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        place: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let count = slf.get().hits.len();
        let hit = |rank: usize| {
            let hits = slf.clone().unbind();
            Bound::new(slf.py(), PyHit { hits, rank })
        };
        if let Ok(slice) = place.cast::<PySlice>() {
            let range = slice.indices(isize::try_from(count)?)?;
            let ranks = (0..range.slicelength).map(|n| {
                usize::try_from(range.start + isize::try_from(n)? * range.step).map_err(PyErr::from)
            });
            let hits: Vec<_> = ranks.map(|rank| hit(rank?)).collect::<PyResult<_>>()?;
            return Ok(PyList::new(slf.py(), hits)?.into_any());
        }
        Ok(hit(rank_of(place.extract()?, count)?)?.into_any())
    }

    fn __iter__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyIterator>> {
        let hits = (0..slf.get().hits.len()).map(|rank| {
            let hits = slf.clone().unbind();
            Bound::new(slf.py(), PyHit { hits, rank })
        });
        PyList::new(slf.py(), hits.collect::<PyResult<Vec<_>>>()?)?.try_iter()
    }

    fn __repr__(&self) -> String {
        format!("<esparsa.Hits of {} documents>", self.hits.len())
    }
}

/// The place of an index that may count from the end.
fn rank_of(index: isize, count: usize) -> PyResult<usize> {
    let count = isize::try_from(count)?;
    let place = if index < 0 { index + count } else { index };
    match (0..count).contains(&place) {
        true => Ok(usize::try_from(place)?),
        false => Err(PyIndexError::new_err(format!(
            "expected a place among {count} results, found {index}"
        ))),
    }
}

/// A document that was found.
#[pyclass(name = "Hit", module = "esparsa", frozen)]
pub struct PyHit {
    hits: Py<PyHits>,
    rank: usize,
}

impl PyHit {
    fn hit(&self) -> esparsa::Hit<'_> {
        let hit = self.hits.get().hits.get(self.rank);
        hit.expect("hits never change, and the rank was one of theirs")
    }

    pub fn address(&self) -> DocAddress {
        self.hit().address
    }
}

#[pymethods]
impl PyHit {
    /// The document's external id.
    #[getter]
    fn id(&self) -> PyResult<String> {
        self.hit().id().map_err(raise)
    }

    /// The score, which is a float32.
    #[getter]
    fn score(&self) -> f32 {
        self.hit().score
    }

    /// The bytes stored for the document.
    #[getter]
    fn stored<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = detached(py, || self.hit().stored())?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The document as it was stored, from JSON.
    #[getter]
    fn document<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        from_json(&self.stored(py)?)
    }

    /// The document's values of a column.
    fn values<'py>(&self, py: Python<'py>, column: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
        all_to_python(py, &self.hit().values(column).map_err(raise)?)
    }

    fn __repr__(&self) -> PyResult<String> {
        Ok(format!(
            "<esparsa.Hit {:?} {}>",
            self.id()?,
            self.hit().score
        ))
    }
}

/// An object from stored JSON.
pub fn from_json<'py>(bytes: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyAny>> {
    let json = bytes.py().import("esparsa._json")?;
    json.call_method1("loads", (bytes,))
}

/// The results of several queries, in their order: a sequence of `Hits`.
#[pyclass(name = "Results", module = "esparsa", frozen, sequence)]
pub struct PyResults {
    results: Vec<Py<PyHits>>,
}

impl PyResults {
    pub fn new(py: Python<'_>, results: Vec<SearchResult>, asked: &Asked) -> PyResult<Self> {
        let results = results
            .into_iter()
            .map(|result| Py::new(py, PyHits::new(py, result, asked)?));
        Ok(Self {
            results: results.collect::<PyResult<_>>()?,
        })
    }

    fn all_ids(&self, py: Python<'_>) -> PyResult<Vec<Vec<String>>> {
        let hits: Vec<&Hits> = self.results.iter().map(|hits| &hits.get().hits).collect();
        detached(py, || hits.into_iter().map(Hits::ids).collect())
    }
}

#[pymethods]
impl PyResults {
    /// The external ids of each query's documents.
    #[getter]
    fn ids(&self, py: Python<'_>) -> PyResult<Vec<Vec<String>>> {
        self.all_ids(py)
    }

    /// Two arrays with a row for each query: external ids, and scores in float32. Rows of queries
    /// with fewer documents than others end with None and NaN.
    fn to_numpy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let columns = self.results.iter().map(|hits| hits.get().hits.len());
        let columns = columns.max().unwrap_or(0);
        let mut scores = vec![f32::NAN; self.results.len() * columns];
        for (row, hits) in scores.chunks_mut(columns.max(1)).zip(&self.results) {
            for (cell, (_, score)) in row.iter_mut().zip(hits.get().hits.scored()) {
                *cell = *score;
            }
        }
        let scores: Bound<'py, PyArray2<f32>> =
            PyArray1::from_vec(py, scores).reshape([self.results.len(), columns])?;
        let mut ids: Vec<Py<PyAny>> = Vec::with_capacity(self.results.len() * columns);
        for row in self.all_ids(py)? {
            let missing = columns - row.len();
            for id in row {
                ids.push(id.into_py_any(py)?);
            }
            ids.extend((0..missing).map(|_| py.None()));
        }
        let ids: Bound<'py, PyArray2<Py<PyAny>>> =
            PyArray1::from_vec(py, ids).reshape([self.results.len(), columns])?;
        (ids, scores).into_pyobject(py)
    }

    /// A dict of the scores of documents for each query, as `ir_measures`, `ranx` and `pytrec_eval`
    /// take a run; `queries` are the queries' ids.
    fn to_run<'py>(&self, py: Python<'py>, queries: Vec<String>) -> PyResult<Bound<'py, PyDict>> {
        if queries.len() != self.results.len() {
            return Err(crate::error::invalid(format!(
                "expected an id for each of {} queries, found {}",
                self.results.len(),
                queries.len()
            )));
        }
        let run = PyDict::new(py);
        let ids = self.all_ids(py)?;
        for ((query, ids), hits) in queries.into_iter().zip(ids).zip(&self.results) {
            let scores = PyDict::new(py);
            for (id, (_, score)) in ids.into_iter().zip(hits.get().hits.scored()) {
                scores.set_item(id, *score)?;
            }
            run.set_item(query, scores)?;
        }
        Ok(run)
    }

    fn __len__(&self) -> usize {
        self.results.len()
    }

    fn __getitem__(&self, py: Python<'_>, index: isize) -> PyResult<Py<PyHits>> {
        let place = rank_of(index, self.results.len())?;
        Ok(self.results[place].clone_ref(py))
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let results = self.results.iter().map(|hits| hits.clone_ref(py));
        PyList::new(py, results.collect::<Vec<_>>())?.try_iter()
    }

    fn __repr__(&self) -> String {
        format!("<esparsa.Results of {} queries>", self.results.len())
    }
}
