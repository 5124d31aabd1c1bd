//! Queries, as trees.

use std::ops::Bound as End;

use esparsa::{Bm25, Query, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString};

use crate::document::{external_id, to_json};
use crate::error::{invalid, raise};
use crate::value::value;
use crate::vectors::{SparseVector, floats, sparse};

/// What is searched for: a tree of queries.
///
/// Wherever a query is expected, a dict in the form of `Query.from_json` does too.
///
/// >>> from esparsa import Query
/// >>> query = Query.text("body", "volcano").filter(Query.range("year", gte=1990))
/// >>> either = Query.phrase("body", "active volcano") | Query.prefix("title", "etn").boost(2)
#[pyclass(name = "Query", module = "esparsa", frozen, eq)]
#[derive(Clone, PartialEq)]
pub struct PyQuery(pub Query);

/// A query from a `Query`, or from a dict in the form of JSON.
pub fn query(object: &Bound<'_, PyAny>) -> PyResult<Query> {
    if let Ok(query) = object.cast::<PyQuery>() {
        return Ok(query.get().0.clone());
    }
    if object.is_instance_of::<PyDict>() {
        return of_json(object);
    }
    Err(invalid(format!(
        "expected a query: a Query, or a dict such as {{\"text\": {{\"body\": \"volcano\"}}}}; found {}",
        object.repr()?
    )))
}

fn of_json(object: &Bound<'_, PyAny>) -> PyResult<Query> {
    let json = String::from_utf8(to_json(object)?)
        .map_err(|_| invalid("expected JSON in UTF-8, found other bytes"))?;
    Query::from_json(&json).map_err(raise)
}

/// Queries from one query or several.
pub fn queries(object: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<Query>> {
    let Some(object) = object else {
        return Ok(Vec::new());
    };
    if object.is_instance_of::<PyQuery>() || object.is_instance_of::<PyDict>() {
        return Ok(vec![query(object)?]);
    }
    object.try_iter()?.map(|each| query(&each?)).collect()
}

/// Fields with weights: a name, several names, or a dict of names and weights.
pub fn weighted_fields(object: &Bound<'_, PyAny>) -> PyResult<Vec<(String, f32)>> {
    if let Ok(name) = object.cast::<PyString>() {
        return Ok(vec![(name.to_str()?.to_owned(), 1.0)]);
    }
    if let Ok(weights) = object.cast::<PyMapping>() {
        return weights.items()?.iter().map(|item| item.extract()).collect();
    }
    let names = object.try_iter()?;
    names.map(|name| Ok((name?.extract()?, 1.0))).collect()
}

/// k1 and b from a pair.
pub fn bm25((k1, b): (f32, f32)) -> Bm25 {
    Bm25 { k1, b }
}

#[pymethods]
impl PyQuery {
    /// Documents with any of the words of a text, scored by BM25; with all of them if `all_terms`,
    /// or with `minimum_terms` of them. `bm25` is a pair of k1 and b instead of the field's own.
    #[staticmethod]
    #[pyo3(signature = (field, text, *, all_terms = false, minimum_terms = None, bm25 = None))]
    fn text(
        field: &str,
        text: &str,
        all_terms: bool,
        minimum_terms: Option<u32>,
        bm25: Option<(f32, f32)>,
    ) -> Self {
        Self(words(
            Query::text(field, text),
            all_terms,
            minimum_terms,
            bm25,
        ))
    }

    /// Words in several text fields as if these were one (BM25F). `fields` is a list of names, or a
    /// dict of names and weights.
    #[staticmethod]
    #[pyo3(signature = (fields, text, *, all_terms = false, minimum_terms = None, bm25 = None))]
    fn text_in(
        fields: &Bound<'_, PyAny>,
        text: &str,
        all_terms: bool,
        minimum_terms: Option<u32>,
        bm25: Option<(f32, f32)>,
    ) -> PyResult<Self> {
        let query = Query::text_in(weighted_fields(fields)?, text);
        Ok(Self(words(query, all_terms, minimum_terms, bm25)))
    }

    /// Words in their order, with up to `slop` moves of words; the field has positions.
    #[staticmethod]
    #[pyo3(signature = (field, text, *, slop = 0))]
    fn phrase(field: &str, text: &str, slop: u32) -> Self {
        Self(Query::phrase(field, text).with_slop(slop))
    }

    /// A phrase whose last word may go on.
    #[staticmethod]
    fn phrase_prefix(field: &str, text: &str) -> Self {
        Self(Query::phrase_prefix(field, text))
    }

    /// Terms that begin with a prefix.
    #[staticmethod]
    fn prefix(field: &str, prefix: &str) -> Self {
        Self(Query::prefix(field, prefix))
    }

    /// Terms that match a pattern: `*` is any characters, `?` is one.
    #[staticmethod]
    fn wildcard(field: &str, pattern: &str) -> Self {
        Self(Query::wildcard(field, pattern))
    }

    /// Terms that match a regular expression as a whole.
    #[staticmethod]
    fn regex(field: &str, expression: &str) -> Self {
        Self(Query::regex(field, expression))
    }

    /// Terms within an edit distance of up to 2, whose first `prefix` characters are the same.
    #[staticmethod]
    #[pyo3(signature = (field, term, *, distance = 1, prefix = 0))]
    fn fuzzy(field: &str, term: &str, distance: u8, prefix: usize) -> Self {
        Self(match prefix {
            0 => Query::fuzzy(field, term, distance),
            _ => Query::fuzzy_after(field, term, distance, prefix),
        })
    }

    /// Terms as the field's analyzer gave them, elsewhere.
    #[staticmethod]
    fn analyzed(field: &str, terms: Vec<String>) -> Self {
        Self(Query::analyzed(field, terms))
    }

    /// The dot product with a sparse vector: a dict of terms and weights, a pair of arrays, or one
    /// row of a SciPy matrix or PyTorch tensor.
    #[staticmethod]
    fn sparse(field: &str, vector: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(match sparse(vector)? {
            SparseVector::Strings(vector) => Query::sparse(field, vector),
            SparseVector::Numbers(vector) => Query::sparse_numbered(field, vector),
        }))
    }

    /// The inner product or cosine with a dense vector: an array, a list or a tensor.
    #[staticmethod]
    fn dense(field: &str, vector: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Query::dense(field, floats(vector)?)))
    }

    /// Documents with this value in a column, or this term in a text field.
    #[staticmethod]
    fn term(field: &str, term: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Query::term(field, value(term)?)))
    }

    /// Documents with any of these values in a column.
    #[staticmethod]
    fn terms(field: &str, terms: &Bound<'_, PyAny>) -> PyResult<Self> {
        let values = terms.try_iter()?.map(|term| value(&term?));
        Ok(Self(Query::terms(
            field,
            values.collect::<PyResult<Vec<_>>>()?,
        )))
    }

    /// Documents with a value of a column above `gt` or from `gte` on, and below `lt` or up to
    /// `lte`.
    #[staticmethod]
    #[pyo3(signature = (field, *, gt = None, gte = None, lt = None, lte = None))]
    fn range(
        field: &str,
        gt: Option<&Bound<'_, PyAny>>,
        gte: Option<&Bound<'_, PyAny>>,
        lt: Option<&Bound<'_, PyAny>>,
        lte: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let range = (end("gt", gt, "gte", gte)?, end("lt", lt, "lte", lte)?);
        Ok(Self(Query::range::<Value>(field, range)))
    }

    /// Documents that have a field.
    #[staticmethod]
    fn exists(field: &str) -> Self {
        Self(Query::exists(field))
    }

    /// Documents with these external ids.
    #[staticmethod]
    fn ids(ids: &Bound<'_, PyAny>) -> PyResult<Self> {
        let ids = ids.try_iter()?.map(|id| external_id(&id?));
        Ok(Self(Query::ids(ids.collect::<PyResult<Vec<_>>>()?)))
    }

    /// All documents.
    #[staticmethod]
    fn all() -> Self {
        Self(Query::all())
    }

    /// Documents that match all queries of `must`, of those of `should` at least `minimum_should`,
    /// and none of `must_not`. Scores of `must` and `should` are added; `filter` does not score.
    /// Each is a query or a list of queries.
    #[staticmethod]
    #[pyo3(name = "bool", signature = (
        *, must = None, should = None, must_not = None, filter = None, minimum_should = None
    ))]
    fn boolean(
        must: Option<&Bound<'_, PyAny>>,
        should: Option<&Bound<'_, PyAny>>,
        must_not: Option<&Bound<'_, PyAny>>,
        filter: Option<&Bound<'_, PyAny>>,
        minimum_should: Option<u32>,
    ) -> PyResult<Self> {
        let mut query = Query::bool();
        query = queries(must)?.into_iter().fold(query, Query::must);
        query = queries(should)?.into_iter().fold(query, Query::should);
        query = queries(filter)?.into_iter().fold(query, Query::with_filter);
        query = queries(must_not)?.into_iter().fold(query, Query::without);
        if let Some(minimum) = minimum_should {
            query = query.with_minimum_should(minimum);
        }
        Ok(Self(query))
    }

    /// The best score of several queries, plus `tie_breaker` times the others.
    #[staticmethod]
    #[pyo3(signature = (queries, *, tie_breaker = 0.0))]
    fn best_of(queries: &Bound<'_, PyAny>, tie_breaker: f32) -> PyResult<Self> {
        Ok(Self(Query::best_of(
            self::queries(Some(queries))?,
            tie_breaker,
        )))
    }

    /// Documents that match all of these queries, which do not score.
    #[staticmethod]
    fn all_of(queries: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Query::all_of(self::queries(Some(queries))?)))
    }

    /// Documents that match any of these queries, which do not score.
    #[staticmethod]
    fn any_of(queries: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self(Query::any_of(self::queries(Some(queries))?)))
    }

    /// A query from JSON, as text or as a dict. The command line and HTTP take the same form.
    ///
    /// >>> from esparsa import Query
    /// >>> Query.from_json({"text": {"body": "volcano"}}) == Query.text("body", "volcano")
    /// True
    #[staticmethod]
    fn from_json(json: &Bound<'_, PyAny>) -> PyResult<Self> {
        match json.cast::<PyString>() {
            Ok(text) => Ok(Self(Query::from_json(text.to_str()?).map_err(raise)?)),
            Err(_) => Ok(Self(of_json(json)?)),
        }
    }

    /// This query, of which only documents count that match others too. Scores stay as they are.
    #[pyo3(signature = (*queries))]
    fn filter(&self, queries: &Bound<'_, PyAny>) -> PyResult<Self> {
        let filters = self::queries(Some(queries))?.into_iter();
        Ok(Self(filters.fold(self.0.clone(), Query::with_filter)))
    }

    /// This query without the documents that match others.
    #[pyo3(signature = (*queries))]
    fn without(&self, queries: &Bound<'_, PyAny>) -> PyResult<Self> {
        let excluded = self::queries(Some(queries))?.into_iter();
        Ok(Self(excluded.fold(self.0.clone(), Query::without)))
    }

    /// This query with its scores times a factor.
    fn boost(&self, factor: f32) -> Self {
        Self(self.0.clone().with_boost(factor))
    }

    /// This query with the same score for every document.
    fn constant_score(&self, score: f32) -> Self {
        Self(self.0.clone().with_constant_score(score))
    }

    /// Documents that match both; scores are added.
    fn __and__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        let both = Query::bool().must(self.0.clone()).must(query(other)?);
        Ok(Self(both))
    }

    /// Documents that match either; scores are added.
    fn __or__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        let either = Query::bool().should(self.0.clone()).should(query(other)?);
        Ok(Self(either))
    }

    fn __repr__(&self) -> String {
        format!("<esparsa.Query: {:?}>", self.0)
    }
}

fn words(
    mut query: Query,
    all_terms: bool,
    minimum_terms: Option<u32>,
    parameters: Option<(f32, f32)>,
) -> Query {
    if all_terms {
        query = query.with_all_terms();
    }
    if let Some(minimum) = minimum_terms {
        query = query.with_minimum_terms(minimum);
    }
    match parameters {
        Some(parameters) => query.with_bm25(bm25(parameters)),
        None => query,
    }
}

/// One end of a range, which is given at most once.
fn end(
    exclusive_name: &str,
    exclusive: Option<&Bound<'_, PyAny>>,
    inclusive_name: &str,
    inclusive: Option<&Bound<'_, PyAny>>,
) -> PyResult<End<Value>> {
    match (exclusive, inclusive) {
        (None, None) => Ok(End::Unbounded),
        (Some(object), None) => Ok(End::Excluded(value(object)?)),
        (None, Some(object)) => Ok(End::Included(value(object)?)),
        (Some(_), Some(_)) => Err(invalid(format!(
            "expected {exclusive_name} or {inclusive_name}, found both"
        ))),
    }
}
