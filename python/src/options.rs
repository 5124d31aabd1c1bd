//! How to search: the keywords that all searches take.

use esparsa::{Algorithm, DocAddress, FieldKind, FieldOptions, Query, Schema, SearchOptions, Sort};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use crate::error::{invalid, raise};
use crate::facets::Asked;
use crate::hits::PyHit;
use crate::query::{PyQuery, queries, query, weighted_fields, words};

/// The keywords of a search.
#[derive(Default)]
pub struct Keywords {
    fields: Option<Vec<(String, f32)>>,
    all_terms: bool,
    bm25: Option<(f32, f32)>,
    filters: Vec<PyQuery>,
    excluded: Vec<PyQuery>,
    /// The commit of the hit that the search begins behind.
    after: Option<u64>,
    pub asked: Asked,
}

const QUERY_NAMES: [&str; 5] = ["fields", "all_terms", "bm25", "filter", "without"];
const SEARCH_NAMES: [&str; 10] = [
    "algorithm",
    "recall",
    "threads",
    "sort",
    "missing_first",
    "offset",
    "after",
    "facets",
    "count",
    "min_score",
];

impl Keywords {
    /// The keywords of a search, and what the library calls its options.
    pub fn new(k: usize, given: Option<&Bound<'_, PyDict>>) -> PyResult<(Self, SearchOptions)> {
        let mut keywords = Self::default();
        let mut options = SearchOptions::new(k);
        let Some(given) = given else {
            return Ok((keywords, options));
        };
        let mut sorts = Vec::new();
        let mut missing_first = false;
        for (key, object) in given.iter() {
            let name = key.cast::<PyString>()?.to_str()?;
            if !QUERY_NAMES.contains(&name) && !SEARCH_NAMES.contains(&name) {
                let names = [QUERY_NAMES.as_slice(), SEARCH_NAMES.as_slice()]
                    .concat()
                    .join(", ");
                return Err(invalid(format!("expected keywords {names}, found {name}")));
            }
            if object.is_none() {
                continue;
            }
            options = match name {
                "algorithm" => {
                    let algorithm: Algorithm = object.extract::<&str>()?.parse().map_err(raise)?;
                    options.algorithm(algorithm)
                }
                "recall" => options.recall(object.extract()?),
                "threads" => options.threads(object.extract()?),
                "offset" => options.offset(object.extract()?),
                "min_score" => options.min_score(object.extract()?),
                "after" => {
                    let (commit, address) = after(&object)?;
                    keywords.after = Some(commit);
                    options.after(address)
                }
                "count" => match count(&object)? {
                    Some(limit) => options.count_up_to(limit),
                    None => options,
                },
                "facets" => {
                    keywords.asked = Asked::new(&object)?;
                    options.facets(keywords.asked.facets.iter().cloned())
                }
                "sort" => {
                    sorts = names(&object)?;
                    options
                }
                "missing_first" => {
                    missing_first = object.extract()?;
                    options
                }
                key => {
                    keywords.set(key, &object)?;
                    options
                }
            };
        }
        if missing_first && sorts.is_empty() {
            return Err(invalid("expected missing_first with sort, found it alone"));
        }
        for column in sorts {
            let sort = match column.strip_prefix('-') {
                Some(column) => Sort::descending(column),
                None => Sort::ascending(column),
            };
            options = options.sort(if missing_first {
                sort.missing_first()
            } else {
                sort
            });
        }
        Ok((keywords, options))
    }

    /// The keywords of work that finds no best documents: those about the query alone.
    pub fn of_query(given: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut keywords = Self::default();
        for (key, object) in given.into_iter().flatten() {
            let key = key.cast::<PyString>()?.to_str()?.to_owned();
            if !QUERY_NAMES.contains(&key.as_str()) {
                let names = QUERY_NAMES.join(", ");
                return Err(invalid(format!("expected keywords {names}, found {key}")));
            }
            if !object.is_none() {
                keywords.set(&key, &object)?;
            }
        }
        Ok(keywords)
    }

    /// A keyword about the query.
    fn set(&mut self, key: &str, object: &Bound<'_, PyAny>) -> PyResult<()> {
        match key {
            "fields" => {
                let fields = weighted_fields(object)?;
                if fields.is_empty() {
                    return Err(invalid("expected fields to search, found none of them"));
                }
                self.fields = Some(fields);
            }
            "all_terms" => self.all_terms = object.extract()?,
            "bm25" => self.bm25 = Some(object.extract()?),
            "filter" => self.filters = queries(Some(object))?,
            "without" => self.excluded = queries(Some(object))?,
            _ => {}
        }
        Ok(())
    }

    /// Refuses to begin behind a hit of another commit, in which its place is another document's.
    pub fn check_commit(&self, commit: u64) -> PyResult<()> {
        match self.after {
            Some(found) if found != commit => Err(invalid(format!(
                "expected after to be a hit of commit {commit}, which is searched, found one of commit \
                 {found}; take a snapshot, and search it for all pages"
            ))),
            _ => Ok(()),
        }
    }

    /// The query of an object: words in text fields if it is a string.
    pub fn query(&self, schema: &Schema, object: &Bound<'_, PyAny>) -> PyResult<Query> {
        let mut query = match object.cast::<PyString>() {
            Ok(text) => self.words(schema, text.to_str()?)?,
            Err(_) if self.fields.is_some() || self.all_terms || self.bm25.is_some() => {
                return Err(invalid(
                    "expected fields, all_terms and bm25 with a query that is a string, found another one; \
                     give them to Query.text",
                ));
            }
            Err(_) => {
                let query = query(object)?;
                query.check_models(schema)?;
                query.query
            }
        };
        for filter in &self.filters {
            query = query.with_filter(filter.query.clone());
        }
        for excluded in &self.excluded {
            query = query.without(excluded.query.clone());
        }
        Ok(query)
    }

    fn words(&self, schema: &Schema, text: &str) -> PyResult<Query> {
        let fields = match &self.fields {
            Some(fields) => fields.clone(),
            None => text_fields(schema)?,
        };
        let groups = by_analyzer(schema, fields).into_iter();
        let mut queries: Vec<Query> = groups.map(|fields| self.words_in(fields, text)).collect();
        Ok(match queries.len() {
            1 => queries.remove(0),
            _ => Query::best_of(queries, 0.0),
        })
    }

    /// Words in fields with one analyzer.
    fn words_in(&self, fields: Vec<(String, f32)>, text: &str) -> Query {
        let query = match fields.as_slice() {
            [(field, weight)] if *weight == 1.0 => Query::text(field, text),
            _ => Query::text_in(fields, text),
        };
        words(query, self.all_terms, None, self.bm25)
    }
}

/// Fields by their analyzers, in the order of the first of each: only those of one analyzer can be
/// searched as one field.
fn by_analyzer(schema: &Schema, fields: Vec<(String, f32)>) -> Vec<Vec<(String, f32)>> {
    let analyzer = |name: &str| match schema.field(name).map(|field| &field.options) {
        Some(FieldOptions::Text(text)) => Some(text.analyzer.as_str()),
        _ => None,
    };
    let mut groups: Vec<Vec<(String, f32)>> = Vec::new();
    for (name, weight) in fields {
        let found = groups
            .iter_mut()
            .find(|group| analyzer(&group[0].0) == analyzer(&name));
        match found {
            Some(group) => group.push((name, weight)),
            None => groups.push(vec![(name, weight)]),
        }
    }
    groups
}

/// All text fields, which words are looked for in unless an application names others.
pub fn text_fields(schema: &Schema) -> PyResult<Vec<(String, f32)>> {
    let fields = schema.fields().iter();
    let texts = fields.filter(|field| field.options.kind() == FieldKind::Text);
    let names: Vec<_> = texts.map(|field| (field.name.clone(), 1.0)).collect();
    if names.is_empty() {
        return Err(invalid(
            "expected an index with a text field for a query that is a string, found none; give a Query",
        ));
    }
    Ok(names)
}

/// The commit and the place of a hit, or of its cursor.
fn after(object: &Bound<'_, PyAny>) -> PyResult<(u64, DocAddress)> {
    if let Ok(hit) = object.cast::<PyHit>() {
        return Ok(hit.get().place());
    }
    let cursor = object.extract::<String>().unwrap_or_default();
    let mut parts = cursor.split('.');
    let place = (|| {
        let commit = parts.next()?.parse().ok()?;
        let segment = parts.next()?.parse().ok()?;
        let document = parts.next()?.parse().ok()?;
        parts
            .next()
            .is_none()
            .then_some((commit, DocAddress { segment, document }))
    })();
    place.ok_or_else(|| {
        invalid(
            "expected after to be a Hit of the page before, or its cursor, found something else",
        )
    })
}

/// Up to how many documents are counted: all of them if true.
fn count(object: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    match object.cast::<PyBool>() {
        Ok(flag) => Ok(flag.is_true().then_some(u64::MAX)),
        Err(_) => Ok(Some(object.extract()?)),
    }
}

/// One name, or several.
pub fn names(object: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    match object.cast::<PyString>() {
        Ok(name) => Ok(vec![name.to_str()?.to_owned()]),
        Err(_) => object.extract(),
    }
}
