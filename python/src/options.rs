//! How to search: the keywords that all searches take.

use esparsa::{Algorithm, FieldKind, FieldOptions, Query, Schema, SearchOptions, Sort};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyString};

use crate::error::{invalid, raise};
use crate::facets::Asked;
use crate::hits::PyHit;
use crate::query::{bm25, queries, query, weighted_fields};

/// The keywords of a search.
#[derive(Default)]
pub struct Keywords {
    fields: Option<Vec<(String, f32)>>,
    all_terms: bool,
    bm25: Option<(f32, f32)>,
    filters: Vec<Query>,
    excluded: Vec<Query>,
    pub asked: Asked,
}

const QUERY_NAMES: [&str; 5] = ["fields", "all_terms", "bm25", "filter", "without"];
const NAMES: &str = "fields, all_terms, bm25, filter, without, algorithm, recall, threads, sort, \
                     missing_first, offset, after, facets and count";

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
            if object.is_none() {
                continue;
            }
            options = match key.cast::<PyString>()?.to_str()? {
                "algorithm" => {
                    let algorithm: Algorithm = object.extract::<&str>()?.parse().map_err(raise)?;
                    options.algorithm(algorithm)
                }
                "recall" => options.recall(object.extract()?),
                "threads" => options.threads(object.extract()?),
                "offset" => options.offset(object.extract()?),
                "after" => options.after(after(&object)?),
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
            "fields" => self.fields = Some(weighted_fields(object)?),
            "all_terms" => self.all_terms = object.extract()?,
            "bm25" => self.bm25 = Some(object.extract()?),
            "filter" => self.filters = queries(Some(object))?,
            "without" => self.excluded = queries(Some(object))?,
            other => {
                return Err(invalid(format!("expected keywords {NAMES}, found {other}")));
            }
        }
        Ok(())
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
            Err(_) => query(object)?,
        };
        query = self.filters.iter().cloned().fold(query, Query::with_filter);
        Ok(self.excluded.iter().cloned().fold(query, Query::without))
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
        let mut query = match fields.as_slice() {
            [(field, weight)] if *weight == 1.0 => Query::text(field, text),
            _ => Query::text_in(fields, text),
        };
        if self.all_terms {
            query = query.with_all_terms();
        }
        match self.bm25 {
            Some(parameters) => query.with_bm25(bm25(parameters)),
            None => query,
        }
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

fn after(object: &Bound<'_, PyAny>) -> PyResult<esparsa::DocAddress> {
    let hit = object.cast::<PyHit>().map_err(|_| {
        invalid("expected after to be a Hit of the page before, found something else")
    })?;
    Ok(hit.get().address())
}

/// Up to how many documents are counted: all of them if true.
fn count(object: &Bound<'_, PyAny>) -> PyResult<Option<u64>> {
    match object.cast::<PyBool>() {
        Ok(flag) => Ok(flag.is_true().then_some(u64::MAX)),
        Err(_) => Ok(Some(object.extract()?)),
    }
}

/// One name, or several.
fn names(object: &Bound<'_, PyAny>) -> PyResult<Vec<String>> {
    match object.cast::<PyString>() {
        Ok(name) => Ok(vec![name.to_str()?.to_owned()]),
        Err(_) => object.extract(),
    }
}
