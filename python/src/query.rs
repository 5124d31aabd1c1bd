//! Queries, as trees.

use std::ops::Bound as End;

use esparsa::{Bm25, ModelIdentity, Query, Schema, Value};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyMapping, PyString, PyTuple};

use crate::document::{external_id, to_json};
use crate::error::{invalid, raise};
use crate::several::several;
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
#[derive(Clone)]
pub struct PyQuery {
    pub query: Query,
    /// Of vectors of models: the field, and the model.
    models: Vec<(String, ModelIdentity)>,
    mistakes: Vec<String>,
    /// What it was made by, so that `a | b | c` is one query of three, not one within another.
    made_by: Option<Operator>,
}

/// An operator of Python between two queries.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    And,
    Or,
}

impl Operator {
    /// Adds a query to a boolean one.
    fn add(self, to: Query, part: &PyQuery) -> Query {
        match self {
            Self::And => to.must(part.query.clone()),
            Self::Or => to.should(part.query.clone()),
        }
    }

    fn join(self, left: &PyQuery, right: &PyQuery) -> PyQuery {
        let first = match left.made_by == Some(self) {
            true => left.query.clone(),
            false => self.add(Query::bool(), left),
        };
        let parts = [std::slice::from_ref(left), std::slice::from_ref(right)];
        PyQuery {
            made_by: Some(self),
            ..PyQuery::of(self.add(first, right), &parts)
        }
    }
}

impl PartialEq for PyQuery {
    fn eq(&self, other: &Self) -> bool {
        self.query == other.query
    }
}

impl From<Query> for PyQuery {
    fn from(query: Query) -> Self {
        Self {
            query,
            models: Vec::new(),
            mistakes: Vec::new(),
            made_by: None,
        }
    }
}

impl PyQuery {
    /// A query on a field whose vector a model made.
    pub fn of_model(query: Query, field: &str, model: ModelIdentity) -> Self {
        Self {
            models: vec![(field.to_owned(), model)],
            ..query.into()
        }
    }

    /// A query that was read leniently, with what was wrong.
    pub fn with_mistakes(query: Query, mistakes: Vec<String>) -> Self {
        Self {
            mistakes,
            ..query.into()
        }
    }

    /// A query made of others.
    fn of(query: Query, parts: &[&[Self]]) -> Self {
        let mut models: Vec<(String, ModelIdentity)> = Vec::new();
        for model in parts
            .iter()
            .copied()
            .flatten()
            .flat_map(|part| &part.models)
        {
            if !models.contains(model) {
                models.push(model.clone());
            }
        }
        Self {
            models,
            ..query.into()
        }
    }

    /// Refuses vectors of another model than the one that made a field's vectors.
    pub fn check_models(&self, schema: &Schema) -> PyResult<()> {
        for (field, found) in &self.models {
            if let Some(noted) = schema.model_of(field)
                && noted.fingerprint != found.fingerprint
            {
                return Err(invalid(format!(
                    "field `{field}`: expected a query by the model `{}` ({:032x}), which made its vectors, \
                     found one by `{}` ({:032x})",
                    noted.name, noted.fingerprint, found.name, found.fingerprint
                )));
            }
        }
        Ok(())
    }
}

/// A query from a `Query`, or from a dict in the form of JSON.
pub fn query(object: &Bound<'_, PyAny>) -> PyResult<PyQuery> {
    if let Ok(query) = object.cast::<PyQuery>() {
        return Ok(query.get().clone());
    }
    if object.is_instance_of::<PyDict>() {
        return Ok(of_json(object)?.into());
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
pub fn queries(object: Option<&Bound<'_, PyAny>>) -> PyResult<Vec<PyQuery>> {
    let Some(object) = object else {
        return Ok(Vec::new());
    };
    if object.is_instance_of::<PyQuery>() || object.is_instance_of::<PyDict>() {
        return Ok(vec![query(object)?]);
    }
    let each = several(object, "a query or several")?;
    each.map(|each| query(&each?)).collect()
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
fn bm25((k1, b): (f32, f32)) -> Bm25 {
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
        words(Query::text(field, text), all_terms, minimum_terms, bm25).into()
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
        Ok(words(query, all_terms, minimum_terms, bm25).into())
    }

    /// Words in their order, with up to `slop` moves of words; the field has positions.
    #[staticmethod]
    #[pyo3(signature = (field, text, *, slop = 0))]
    fn phrase(field: &str, text: &str, slop: u32) -> Self {
        Query::phrase(field, text).with_slop(slop).into()
    }

    /// A phrase whose last word may go on.
    #[staticmethod]
    fn phrase_prefix(field: &str, text: &str) -> Self {
        Query::phrase_prefix(field, text).into()
    }

    /// Terms that begin with a prefix.
    #[staticmethod]
    fn prefix(field: &str, prefix: &str) -> Self {
        Query::prefix(field, prefix).into()
    }

    /// Terms that match a pattern: `*` is any characters, `?` is one.
    #[staticmethod]
    fn wildcard(field: &str, pattern: &str) -> Self {
        Query::wildcard(field, pattern).into()
    }

    /// Terms that match a regular expression as a whole.
    #[staticmethod]
    fn regex(field: &str, expression: &str) -> Self {
        Query::regex(field, expression).into()
    }

    /// Terms within an edit distance of up to 2, whose first `prefix` characters are the same.
    #[staticmethod]
    #[pyo3(signature = (field, term, *, distance = 1, prefix = 0))]
    fn fuzzy(field: &str, term: &str, distance: u8, prefix: usize) -> Self {
        match prefix {
            0 => Query::fuzzy(field, term, distance),
            _ => Query::fuzzy_after(field, term, distance, prefix),
        }
        .into()
    }

    /// Terms as the field's analyzer gave them, elsewhere.
    #[staticmethod]
    fn analyzed(field: &str, terms: Vec<String>) -> Self {
        Query::analyzed(field, terms).into()
    }

    /// The dot product with a sparse vector: a dict of terms and weights, a pair of arrays, or one
    /// row of a SciPy matrix or PyTorch tensor.
    #[staticmethod]
    fn sparse(field: &str, vector: &Bound<'_, PyAny>) -> PyResult<Self> {
        let query = match sparse(vector)? {
            SparseVector::Strings(vector) => Query::sparse(field, vector),
            SparseVector::Numbers(vector) => Query::sparse_numbered(field, vector),
            SparseVector::Empty => Query::any_of([]),
        };
        Ok(query.into())
    }

    /// The inner product or cosine with a dense vector: an array, a list or a tensor.
    #[staticmethod]
    fn dense(field: &str, vector: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Query::dense(field, floats(vector)?).into())
    }

    /// Documents with this value in a column, or this term in a text field.
    #[staticmethod]
    fn term(field: &str, term: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Query::term(field, value(term)?).into())
    }

    /// Documents with any of these values in a column.
    #[staticmethod]
    fn terms(field: &str, terms: &Bound<'_, PyAny>) -> PyResult<Self> {
        let values = several(terms, "several values")?.map(|term| value(&term?));
        Ok(Query::terms(field, values.collect::<PyResult<Vec<_>>>()?).into())
    }

    /// Documents with a value of a column above `gt` or from `gte` on, and below `lt` or up to
    /// `lte`. A date without a time is its first moment, in UTC.
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
        Ok(Query::range::<Value>(field, range).into())
    }

    /// Documents that have a field.
    #[staticmethod]
    fn exists(field: &str) -> Self {
        Query::exists(field).into()
    }

    /// Documents with these external ids.
    #[staticmethod]
    fn ids(ids: &Bound<'_, PyAny>) -> PyResult<Self> {
        let ids = several(ids, "several external ids")?.map(|id| external_id(&id?));
        Ok(Query::ids(ids.collect::<PyResult<Vec<_>>>()?).into())
    }

    /// All documents.
    #[staticmethod]
    fn all() -> Self {
        Query::all().into()
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
        let [must, should, filter, must_not] = [
            queries(must)?,
            queries(should)?,
            queries(filter)?,
            queries(must_not)?,
        ];
        let plain = |queries: &[Self]| queries.iter().map(|each| each.query.clone()).collect();
        let fold = |query, queries: &[Self], add: fn(Query, Query) -> Query| {
            let queries: Vec<Query> = plain(queries);
            queries.into_iter().fold(query, add)
        };
        let mut query = fold(Query::bool(), &must, Query::must);
        query = fold(query, &should, Query::should);
        query = fold(query, &filter, Query::with_filter);
        query = fold(query, &must_not, Query::without);
        if let Some(minimum) = minimum_should {
            query = query.with_minimum_should(minimum);
        }
        Ok(Self::of(query, &[&must, &should, &filter, &must_not]))
    }

    /// The best score of several queries, plus `tie_breaker` times the others.
    #[staticmethod]
    #[pyo3(signature = (queries, *, tie_breaker = 0.0))]
    fn best_of(queries: &Bound<'_, PyAny>, tie_breaker: f32) -> PyResult<Self> {
        let queries = self::queries(Some(queries))?;
        let query = Query::best_of(queries.iter().map(|each| each.query.clone()), tie_breaker);
        Ok(Self::of(query, &[&queries]))
    }

    /// Documents that match all of these queries, which do not score.
    #[staticmethod]
    fn all_of(queries: &Bound<'_, PyAny>) -> PyResult<Self> {
        let queries = self::queries(Some(queries))?;
        let query = Query::all_of(queries.iter().map(|each| each.query.clone()));
        Ok(Self::of(query, &[&queries]))
    }

    /// Documents that match any of these queries, which do not score.
    #[staticmethod]
    fn any_of(queries: &Bound<'_, PyAny>) -> PyResult<Self> {
        let queries = self::queries(Some(queries))?;
        let query = Query::any_of(queries.iter().map(|each| each.query.clone()));
        Ok(Self::of(query, &[&queries]))
    }

    /// A query from JSON, as text or as a dict. The command line and HTTP take the same form: one of
    /// these keys, and beside it `filter`, `without`, `boost`, `constant_score`, and for words
    /// `all_terms` or `minimum_terms`.
    ///
    /// - `{"text": {FIELD: WORDS}}`, `{"text_in": {"fields": {FIELD: WEIGHT}, "text": WORDS}}`
    /// - `{"phrase": {FIELD: {"text": WORDS, "slop": N}}}`, with `"prefix": true` for a phrase prefix
    /// - `{"prefix": {FIELD: TEXT}}`, and so `wildcard` and `regex`
    /// - `{"fuzzy": {FIELD: {"term": TEXT, "distance": N, "prefix": N}}}`
    /// - `{"sparse": {FIELD: {TERM: WEIGHT}}}`, `{"sparse_numbered": {FIELD: {NUMBER: WEIGHT}}}`,
    ///   `{"dense": {FIELD: [NUMBER]}}`
    /// - `{"term": {FIELD: VALUE}}`, `{"terms": {FIELD: [VALUE]}}`, `{"exists": FIELD}`,
    ///   `{"ids": [ID]}`, `{"range": {FIELD: {"gt": VALUE, "gte": …, "lt": …, "lte": …}}}`, `{"all": {}}`
    /// - `{"bool": {"must": [QUERY], "should": [QUERY], "minimum_should": N}}`
    /// - `{"best_of": [QUERY], "tie_breaker": NUMBER}`, `{"all_of": [QUERY]}`, `{"any_of": [QUERY]}`
    ///
    /// >>> from esparsa import Query
    /// >>> Query.from_json({"text": {"body": "volcano"}}) == Query.text("body", "volcano")
    /// True
    #[staticmethod]
    fn from_json(json: &Bound<'_, PyAny>) -> PyResult<Self> {
        match json.cast::<PyString>() {
            Ok(text) => Ok(Query::from_json(text.to_str()?).map_err(raise)?.into()),
            Err(_) => Ok(of_json(json)?.into()),
        }
    }

    /// This query, of which only documents count that match others too, given one by one or as a
    /// list. Scores stay as they are.
    #[pyo3(signature = (*queries))]
    fn filter(&self, queries: &Bound<'_, PyTuple>) -> PyResult<Self> {
        self.with_each(queries, Query::with_filter)
    }

    /// This query without the documents that match others, given one by one or as a list.
    #[pyo3(signature = (*queries))]
    fn without(&self, queries: &Bound<'_, PyTuple>) -> PyResult<Self> {
        self.with_each(queries, Query::without)
    }

    /// This query with its scores times a factor.
    fn boost(&self, factor: f32) -> Self {
        let query = self.query.clone().with_boost(factor);
        Self {
            query,
            made_by: None,
            ..self.clone()
        }
    }

    /// This query with the same score for every document.
    fn constant_score(&self, score: f32) -> Self {
        let query = self.query.clone().with_constant_score(score);
        Self {
            query,
            made_by: None,
            ..self.clone()
        }
    }

    /// What was wrong with a text that `Snapshot.parse` read leniently.
    #[getter]
    fn mistakes(&self) -> Vec<String> {
        self.mistakes.clone()
    }

    /// Documents that match both; scores are added.
    fn __and__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Operator::And.join(self, &query(other)?))
    }

    fn __rand__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Operator::And.join(&query(other)?, self))
    }

    /// Documents that match either; scores are added.
    fn __or__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Operator::Or.join(self, &query(other)?))
    }

    fn __ror__(&self, other: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Operator::Or.join(&query(other)?, self))
    }

    fn __repr__(&self) -> String {
        format!("<esparsa.Query: {:?}>", self.query)
    }
}

impl PyQuery {
    /// This query with others added, which are queries or lists of them.
    fn with_each(
        &self,
        others: &Bound<'_, PyTuple>,
        add: fn(Query, Query) -> Query,
    ) -> PyResult<Self> {
        let mut all = self.clone();
        all.made_by = None;
        for other in others {
            for other in queries(Some(&other))? {
                all.query = add(all.query, other.query);
                all.models.extend(other.models);
            }
        }
        Ok(all)
    }
}

/// A query of words with what else is asked of them.
pub fn words(
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
