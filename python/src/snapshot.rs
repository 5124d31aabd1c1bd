//! One commit of an index, as it is searched.

use std::path::PathBuf;

use esparsa::text::{Analyzer, Synonyms};
use esparsa::{Completion, QueryParser, Snapshot};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyMapping};

use crate::document::external_id;
use crate::error::raise;
use crate::explain::explanation;
use crate::facets::{Asked, counted};
use crate::hits::{PyHits, PyResults, from_json};
use crate::interrupt::{detached, interruptible};
use crate::options::{Keywords, text_fields};
use crate::query::{PyQuery, queries, weighted_fields};
use crate::schema::PySchema;
use crate::several::several;
use crate::snippets::{passage_options, snippets};
use crate::value::{all_to_python, to_python};

/// One commit of an index. It never changes, however much is written meanwhile, and any number of
/// threads may search it.
#[pyclass(name = "Snapshot", module = "esparsa", frozen)]
pub struct PySnapshot(pub Snapshot);

#[pymethods]
impl PySnapshot {
    /// The best `k` documents.
    ///
    /// `query` is a `Query`, a dict in the form of `Query.from_json`, or a string. A string is plain
    /// words, in which nothing is an operator (`parse` reads the query language). They are looked for
    /// in all text fields: as if these were one, or, of fields with other analyzers, in the one that
    /// scores best. Keywords:
    ///
    /// - `fields`: for a string, the text fields: a name, a list, or a dict of names and weights;
    ///   `all_terms`: documents have all words; `bm25`: a pair of k1 and b;
    /// - `filter`, `without`: queries that documents must, or must not, match;
    /// - `sort`: a column, or several; `"-price"` begins with the highest. Scores are 0 then.
    ///   Documents without a value are last, or first with `missing_first`;
    /// - `offset`: leaves out the first hits; `after`: begins behind a hit or its `cursor`, for pages
    ///   of the same search on the same snapshot;
    /// - `facets`: a `Facet` or a column, a list, or a dict of them: see `Hits.facets`;
    /// - `count`: counts all documents that match, or up to a number: see `Hits.count`;
    /// - `min_score`: finds, and counts, only documents whose score is at least this; not with `sort`;
    /// - `algorithm`: such as `"max-score"`, instead of the planner's choice; `recall`: below 1,
    ///   approximate search of a sparse field; `threads`: threads for this query.
    #[pyo3(signature = (query, k = 10, **options))]
    pub fn search(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        k: usize,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyHits> {
        let (keywords, options) = Keywords::new(k, options)?;
        keywords.check_commit(self.0.commit())?;
        let query = keywords.query(self.0.schema(), query)?;
        let result = detached(py, || self.0.search_with(&query, &options))?;
        PyHits::new(py, result, self.0.commit(), &keywords.asked)
    }

    /// The best `k` documents of each of several queries, on `workers` threads; all cores by
    /// default. A dict of queries has their ids as keys, which `Results.to_run` then knows. Otherwise
    /// as `search`.
    #[pyo3(signature = (queries, k = 10, *, workers = None, **options))]
    pub fn search_many(
        &self,
        py: Python<'_>,
        queries: &Bound<'_, PyAny>,
        k: usize,
        workers: Option<usize>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<PyResults> {
        let (keywords, options) = Keywords::new(k, options)?;
        keywords.check_commit(self.0.commit())?;
        let schema = self.0.schema();
        let (names, queries) = match queries.cast::<PyMapping>() {
            Ok(named) => {
                let names = named.keys()?.iter().map(|id| external_id(&id));
                (
                    Some(names.collect::<PyResult<_>>()?),
                    named.values()?.into_any(),
                )
            }
            Err(_) => (None, queries.clone()),
        };
        let queries = several(&queries, "several queries")?;
        let queries = queries.map(|each| keywords.query(schema, &each?));
        let queries: Vec<_> = queries.collect::<PyResult<_>>()?;
        let workers = workers.unwrap_or_else(cores);
        let results = interruptible(py, |cancel| {
            let options = options.cancel(cancel.clone());
            self.0.search_batch(&queries, &options, workers)
        })?;
        PyResults::new(py, results, self.0.commit(), names, &keywords.asked)
    }

    /// How many documents match a query. The keywords are `fields`, `all_terms`, `bm25`, `filter` and
    /// `without`, as of `search`.
    #[pyo3(signature = (query, **options))]
    pub fn count(
        &self,
        py: Python<'_>,
        query: &Bound<'_, PyAny>,
        options: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<u64> {
        let keywords = Keywords::of_query(options)?;
        let query = keywords.query(self.0.schema(), query)?;
        detached(py, || self.0.count(&query))
    }

    /// Counts facets over all documents that match a query, without finding the best ones. The
    /// keywords are those of `count`.
    #[pyo3(signature = (query, facets, **options))]
    fn facets<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, PyAny>,
        facets: &Bound<'py, PyAny>,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let keywords = Keywords::of_query(options)?;
        let query = keywords.query(self.0.schema(), query)?;
        let asked = Asked::new(facets)?;
        let results = detached(py, || self.0.facets(&query, &asked.facets))?;
        counted(py, &asked, &results)
    }

    /// A query that a person wrote in the query language, such as
    /// `'+volcano -sicily title:"new york" +year:>=1990 erupt* vulcano~1'`. What has no `+` is
    /// optional, conditions on columns too.
    ///
    /// `fields` are the text fields of words without a field: all of them by default. With
    /// `lenient`, what is wrong is searched as words instead of being an error, and is listed in the
    /// query's `mistakes`. `synonyms` are lines in Solr's format.
    #[pyo3(signature = (text, *, fields = None, all_terms = false, lenient = false, synonyms = None))]
    pub fn parse(
        &self,
        text: &str,
        fields: Option<&Bound<'_, PyAny>>,
        all_terms: bool,
        lenient: bool,
        synonyms: Option<&str>,
    ) -> PyResult<PyQuery> {
        let fields = match fields {
            Some(fields) => weighted_fields(fields)?,
            None => text_fields(self.0.schema())?,
        };
        let mut parser = QueryParser::weighted(fields);
        if all_terms {
            parser = parser.all_terms();
        }
        if let Some(synonyms) = synonyms {
            parser = parser.with_synonyms(Synonyms::parse(synonyms).map_err(raise)?);
        }
        if lenient {
            let (query, mistakes) = parser.parse_lenient(&self.0, text);
            return Ok(PyQuery::with_mistakes(query, mistakes));
        }
        Ok(parser.parse(&self.0, text).map_err(raise)?.into())
    }

    /// The document with an external id, as it was stored, from JSON; None if there is none.
    pub fn get<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let stored = self.stored(py, id)?;
        stored.map(|bytes| from_json(&bytes)).transpose()
    }

    /// The bytes that are stored for the document with an external id; None if there is none.
    fn stored<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let id = external_id(id)?;
        let bytes = detached(py, || self.0.get(&id))?;
        Ok(bytes.map(|bytes| PyBytes::new(py, &bytes)))
    }

    /// The values of a column of the document with an external id; None if there is no such
    /// document.
    fn values<'py>(
        &self,
        py: Python<'py>,
        id: &Bound<'py, PyAny>,
        column: &str,
    ) -> PyResult<Option<Vec<Bound<'py, PyAny>>>> {
        let Some(address) = self.0.find(&external_id(id)?).map_err(raise)? else {
            return Ok(None);
        };
        let values = self.0.values(column, address).map_err(raise)?;
        Ok(Some(all_to_python(py, &values)?))
    }

    /// Where the score of a document comes from in a search of `k`, as a dict; None if there is no
    /// such document. The keywords are those of `count`.
    #[pyo3(signature = (query, id, *, k = 10, **options))]
    pub fn explain<'py>(
        &self,
        py: Python<'py>,
        query: &Bound<'py, PyAny>,
        id: &Bound<'py, PyAny>,
        k: usize,
        options: Option<&Bound<'py, PyDict>>,
    ) -> PyResult<Option<Bound<'py, PyDict>>> {
        let keywords = Keywords::of_query(options)?;
        let query = keywords.query(self.0.schema(), query)?;
        let id = external_id(id)?;
        let explained = detached(py, || self.0.explain(&query, &id, k))?;
        explained
            .map(|explained| explanation(py, &explained))
            .transpose()
    }

    /// The best passages of a text by what a query looks for, with the words marked by `before` and
    /// `after`; what is between is escaped for HTML. `field` says by which field the text is
    /// analyzed.
    #[pyo3(signature = (
        query, text, *, field = None, length = 160, passages = 1, before = "<mark>", after = "</mark>",
        html = true
    ))]
    #[allow(clippy::too_many_arguments)]
    fn snippets(
        &self,
        query: &Bound<'_, PyAny>,
        text: &str,
        field: Option<&str>,
        length: usize,
        passages: usize,
        before: &str,
        after: &str,
        html: bool,
    ) -> PyResult<Vec<String>> {
        let query = Keywords::default().query(self.0.schema(), query)?;
        let options = passage_options(length, passages);
        let found = self
            .0
            .snippets(&query, field, text, &options)
            .map_err(raise)?;
        Ok(snippets(&found, before, after, html))
    }

    /// Where a text matches a query: pairs of the first character and the one behind the last.
    fn highlight(&self, query: &Bound<'_, PyAny>, text: &str) -> PyResult<Vec<(usize, usize)>> {
        let query = Keywords::default().query(self.0.schema(), query)?;
        let ranges = self.0.highlight(&query, text).map_err(raise)?;
        Ok(crate::snippets::characters(text, &ranges))
    }

    /// Completions of a prefix: terms of a text field or keywords of a column, the most frequent
    /// first, as dicts of `text`, `documents`, `weight` and `edits`.
    ///
    /// With `titles`, whole keywords whose beginning matches whatever their case and accents; then
    /// `any_word` finds later words of them too, `weight` is a column that orders them, and
    /// `filter` is what their documents match. `typos` are accepted.
    #[pyo3(signature = (
        field, prefix, n = 10, *, titles = false, any_word = false, typos = 0, weight = None, filter = None
    ))]
    #[allow(clippy::too_many_arguments)]
    fn complete<'py>(
        &self,
        py: Python<'py>,
        field: &str,
        prefix: &str,
        n: usize,
        titles: bool,
        any_word: bool,
        typos: u8,
        weight: Option<&str>,
        filter: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let completion = match titles {
            true => Completion::titles(field),
            false => Completion::terms(field),
        };
        let mut completion = completion.typos(typos);
        if any_word {
            completion = completion.any_word();
        }
        if let Some(column) = weight {
            completion = completion.weight(column);
        }
        for filter in queries(filter)? {
            completion = completion.filter(filter.query);
        }
        let found = detached(py, || self.0.complete_with(&completion, prefix, n))?;
        let each = found.iter().map(|suggestion| {
            let dict = PyDict::new(py);
            dict.set_item("text", &suggestion.text)?;
            dict.set_item("documents", suggestion.documents)?;
            let weight = suggestion.weight.as_ref();
            dict.set_item(
                "weight",
                weight.map(|value| to_python(py, value)).transpose()?,
            )?;
            dict.set_item("edits", suggestion.edits)?;
            Ok(dict)
        });
        each.collect()
    }

    /// A text with misspelled words corrected by the terms of a field; None if there are none.
    fn correct(&self, py: Python<'_>, field: &str, text: &str) -> PyResult<Option<String>> {
        let correction = detached(py, || self.0.correct(field, text))?;
        Ok(correction.map(|correction| correction.text))
    }

    /// Terms of a text or sparse field that begin with `prefix`, in the order of their bytes, with
    /// the number of documents that have each.
    #[pyo3(signature = (field, prefix = "", n = 100))]
    fn terms(&self, field: &str, prefix: &str, n: usize) -> PyResult<Vec<(String, u64)>> {
        let terms = self.0.terms(field, prefix.as_bytes(), n).map_err(raise)?;
        let each = terms.into_iter();
        Ok(each
            .map(|term| {
                (
                    String::from_utf8_lossy(&term.term).into_owned(),
                    term.documents,
                )
            })
            .collect())
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

    /// Copies the index as this snapshot has it to a new folder, beside a working writer.
    fn backup(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        interruptible(py, |_| self.0.backup(path))
    }

    /// The segments, in the order in which ties are broken: their `file`, `bytes`, and number of
    /// `documents`, deleted ones included.
    #[getter]
    fn segments<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let statistics = self.0.segment_statistics();
        let segments = statistics.into_iter().map(|segment| {
            let of_segment = PyDict::new(py);
            of_segment.set_item("file", segment.file)?;
            of_segment.set_item("bytes", segment.bytes)?;
            of_segment.set_item("documents", segment.documents)?;
            Ok(of_segment)
        });
        segments.collect()
    }

    /// A snapshot that finds the documents of some segments alone, by their numbers from 0, with the
    /// statistics of all: hits have the scores and cursors that they have in this snapshot, so
    /// searches of parts on several machines can be merged.
    fn only_segments(&self, segments: Vec<usize>) -> PyResult<Self> {
        self.0.only_segments(segments).map(Self).map_err(raise)
    }

    /// The number of the commit.
    #[getter]
    fn commit(&self) -> u64 {
        self.0.commit()
    }

    /// The fields.
    #[getter]
    fn schema(&self) -> PySchema {
        PySchema(self.0.schema().clone())
    }

    /// The number of documents.
    fn __len__(&self) -> PyResult<usize> {
        Ok(usize::try_from(self.0.documents())?)
    }

    pub fn __contains__(&self, id: &Bound<'_, PyAny>) -> PyResult<bool> {
        Ok(self.0.find(&external_id(id)?).map_err(raise)?.is_some())
    }

    fn __repr__(&self) -> String {
        format!(
            "<esparsa.Snapshot of {} documents, commit {}>",
            self.0.documents(),
            self.0.commit()
        )
    }
}

/// Several indexes as one, with the statistics of all; they have the same fields.
///
/// >>> from esparsa import Index, Schema, Text, joined
/// >>> indexes = [Index.in_memory(Schema(text=Text())) for _ in range(2)]
/// >>> for index, id in zip(indexes, ["etna", "fuji"]):
/// ...     with index.writer() as writer:
/// ...         writer.add({"_id": id, "text": "a volcano"})
/// >>> joined([index.snapshot() for index in indexes]).search("volcano").ids
/// ['etna', 'fuji']
#[pyfunction]
pub fn joined(snapshots: Vec<Py<PySnapshot>>) -> PyResult<PySnapshot> {
    let snapshots = snapshots.iter().map(|snapshot| &snapshot.get().0);
    Ok(PySnapshot(Snapshot::joined(snapshots).map_err(raise)?))
}

/// The terms that an analyzer makes of a text, as it is named by `Text`.
///
/// >>> from esparsa import analyze
/// >>> analyze("english", "The volcanoes erupted")
/// ['volcano', 'erupt']
#[pyfunction]
pub fn analyze(analyzer: &str, text: &str) -> PyResult<Vec<String>> {
    let analyzer = Analyzer::named(analyzer).map_err(raise)?;
    let mut terms = Vec::new();
    analyzer.analyze(text, &mut |term, _| terms.push(term.to_owned()));
    Ok(terms)
}

/// Threads of a batch, unless an application says how many.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
