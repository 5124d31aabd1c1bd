//! What a search returns.

use std::hash::{DefaultHasher, Hash, Hasher};

use esparsa::{DocAddress, Hits, MatchCount, SearchResult, SearchStatistics};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::IntoPyObjectExt;
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyIterator, PyList, PySlice, PyTuple};

use crate::document::external_id;
use crate::error::{invalid, raise};
use crate::facets::{Asked, counted};
use crate::interrupt::detached;
use crate::several::several;
use crate::value::all_to_python;

/// The best documents of a search, best first: a sequence of `Hit`.
///
/// Ids are read from the index when they are asked for. Hits keep their snapshot open.
#[pyclass(name = "Hits", module = "esparsa", frozen, sequence)]
pub struct PyHits {
    pub hits: Hits,
    /// The commit that was searched; of hits that were made of others, theirs.
    pub commit: u64,
    count: Option<MatchCount>,
    facets: Option<Py<PyAny>>,
    statistics: Option<SearchStatistics>,
}

impl PyHits {
    /// Hits without counts.
    pub fn of(hits: Hits, commit: u64) -> Self {
        Self {
            hits,
            commit,
            count: None,
            facets: None,
            statistics: None,
        }
    }

    /// The result of a search for which these facets were asked.
    pub fn new(py: Python<'_>, result: SearchResult, commit: u64, asked: &Asked) -> PyResult<Self> {
        let facets = counted(py, asked, &result.facets)?;
        Ok(Self {
            hits: result.hits,
            commit,
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
    /// least this number otherwise.
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

    /// A frame of pandas with the columns `id` and `score`, and with those of the stored documents
    /// if `documents` is true.
    #[pyo3(signature = (*, documents = false))]
    fn to_pandas<'py>(slf: &Bound<'py, Self>, documents: bool) -> PyResult<Bound<'py, PyAny>> {
        let frames = slf.py().import("esparsa._frames")?;
        frames.call_method1("of_hits", (slf, documents))
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
            let hits = ranks_of(slice, count)?.into_iter().map(hit);
            return Ok(PyList::new(slf.py(), hits.collect::<PyResult<Vec<_>>>()?)?.into_any());
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

/// The places of a slice.
fn ranks_of(slice: &Bound<'_, PySlice>, count: usize) -> PyResult<Vec<usize>> {
    let range = slice.indices(isize::try_from(count)?)?;
    let place = |n: usize| {
        Ok(usize::try_from(
            range.start + isize::try_from(n)? * range.step,
        )?)
    };
    (0..range.slicelength).map(place).collect()
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

    /// The commit in which the document was found, and where it is there.
    pub fn place(&self) -> (u64, DocAddress) {
        (self.hits.get().commit, self.hit().address)
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

    /// Where the next page begins: a short string, which `after` of a search takes instead of the
    /// hit. It holds for the commit that was searched.
    #[getter]
    fn cursor(&self) -> String {
        let (commit, DocAddress { segment, document }) = self.place();
        format!("{commit}.{segment}.{document}")
    }

    /// The document's values of a column.
    fn values<'py>(&self, py: Python<'py>, column: &str) -> PyResult<Vec<Bound<'py, PyAny>>> {
        all_to_python(py, &self.hit().values(column).map_err(raise)?)
    }

    /// Hits of the same document with the same score are equal.
    fn __eq__(&self, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Self>() else {
            return Ok(false);
        };
        let other = other.get();
        Ok(self.hit().score == other.hit().score && self.id()? == other.id()?)
    }

    fn __hash__(&self) -> PyResult<u64> {
        let mut hasher = DefaultHasher::new();
        self.id()?.hash(&mut hasher);
        Ok(hasher.finish())
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
    let py = bytes.py();
    let read = py.import("esparsa._json")?.call_method1("loads", (bytes,));
    read.map_err(|error| match error.is_instance_of::<PyValueError>(py) {
        true => invalid(format!(
            "expected stored bytes that are JSON, found others ({}); take `stored`, which is the bytes",
            error.value(py)
        )),
        false => error,
    })
}

/// The results of several queries, in their order: a sequence of `Hits`.
#[pyclass(name = "Results", module = "esparsa", frozen, sequence)]
pub struct PyResults {
    results: Vec<Py<PyHits>>,
    /// The ids of the queries, where they came with them.
    queries: Option<Vec<String>>,
}

impl PyResults {
    pub fn new(
        py: Python<'_>,
        results: Vec<SearchResult>,
        commit: u64,
        queries: Option<Vec<String>>,
        asked: &Asked,
    ) -> PyResult<Self> {
        let results = results
            .into_iter()
            .map(|result| Py::new(py, PyHits::new(py, result, commit, asked)?));
        Ok(Self {
            results: results.collect::<PyResult<_>>()?,
            queries,
        })
    }

    /// The ids of the queries: those that are given, or those that came with them.
    fn names(&self, given: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<String>> {
        let Some(given) = given else {
            return self.queries.clone().ok_or_else(|| {
                invalid("expected the ids of the queries, or queries that were given as a dict, found neither")
            });
        };
        let ids = several(given, "the ids of the queries")?.map(|id| external_id(&id?));
        let ids: Vec<String> = ids.collect::<PyResult<_>>()?;
        match ids.len() == self.results.len() {
            true => Ok(ids),
            false => Err(invalid(format!(
                "expected an id for each of {} queries, found {}",
                self.results.len(),
                ids.len()
            ))),
        }
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

    /// The scores of each query's documents, as arrays of float32.
    #[getter]
    fn scores<'py>(&self, py: Python<'py>) -> Vec<Bound<'py, PyArray1<f32>>> {
        let results = self.results.iter();
        results.map(|hits| hits.get().scores(py)).collect()
    }

    /// A dict of the scores of documents for each query, as `ir_measures`, `ranx` and `pytrec_eval`
    /// take a run. `queries` are the ids of the queries; those that were searched as a dict have
    /// them already.
    #[pyo3(signature = (queries = None))]
    fn to_run<'py>(
        &self,
        py: Python<'py>,
        queries: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let run = PyDict::new(py);
        let names = self.names(queries)?;
        for ((query, ids), hits) in names.into_iter().zip(self.all_ids(py)?).zip(&self.results) {
            let scores = PyDict::new(py);
            for (id, (_, score)) in ids.into_iter().zip(hits.get().hits.scored()) {
                scores.set_item(id, *score)?;
            }
            run.set_item(query, scores)?;
        }
        Ok(run)
    }

    /// A frame of pandas with a row for each hit: `query`, `rank` (from 0), `id` and `score`.
    #[pyo3(signature = (queries = None))]
    fn to_pandas<'py>(
        slf: &Bound<'py, Self>,
        queries: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let names = slf.get().names(queries)?;
        let frames = slf.py().import("esparsa._frames")?;
        frames.call_method1("of_results", (slf, names))
    }

    fn __len__(&self) -> usize {
        self.results.len()
    }

    fn __getitem__<'py>(&self, place: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = place.py();
        let at = |place: usize| self.results[place].bind(py).clone();
        if let Ok(slice) = place.cast::<PySlice>() {
            let places = ranks_of(slice, self.results.len())?.into_iter();
            return Ok(PyList::new(py, places.map(at).collect::<Vec<_>>())?.into_any());
        }
        Ok(at(rank_of(place.extract()?, self.results.len())?).into_any())
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        let results = self.results.iter().map(|hits| hits.clone_ref(py));
        PyList::new(py, results.collect::<Vec<_>>())?.try_iter()
    }

    fn __repr__(&self) -> String {
        format!("<esparsa.Results of {} queries>", self.results.len())
    }
}
