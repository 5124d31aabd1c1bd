//! A request: what is searched, and what is wanted of it. Unknown keys are errors, because a
//! misspelled one that is ignored gives a wrong answer.

use esparsa::{Error, Facet, Query, QueryParser, Result, SearchOptions, Snapshot, Sort};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::passages::Wanted;

/// Hits, unless another number is asked for.
const DEFAULT_K: usize = 10;
/// Matches are counted up to this number unless another is asked for.
const DEFAULT_COUNT: u64 = 10_000;
/// Values of a facet, unless another number is asked for.
const DEFAULT_VALUES: usize = 10;
/// The most values of a facet.
const MAX_VALUES: usize = 10_000;
/// The most hits up to the last one: an answer holds their documents.
const MAX_HITS: usize = 10_000;
/// The most filters, facets, orders and fields.
const MAX_PARTS: usize = 256;

/// A request as it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request<'a> {
    #[serde(borrow)]
    query: &'a RawValue,
    #[serde(default)]
    strict: bool,
    fields: Option<Vec<String>>,
    #[serde(borrow, default)]
    filter: Vec<&'a RawValue>,
    #[serde(default = "default_k")]
    k: usize,
    #[serde(default)]
    offset: usize,
    #[serde(default)]
    sort: Vec<String>,
    #[serde(default)]
    facets: Vec<String>,
    #[serde(default = "default_count")]
    count: u64,
    min_score: Option<f32>,
    #[serde(default)]
    snippets: usize,
    snippet_length: Option<usize>,
}

fn default_k() -> usize {
    DEFAULT_K
}

fn default_count() -> u64 {
    DEFAULT_COUNT
}

/// A column whose values are counted.
pub struct CountedColumn {
    /// Its name.
    pub name: String,
    values: usize,
}

impl<'a> Request<'a> {
    /// Reads a request.
    ///
    /// # Errors
    ///
    /// For anything but an object with the known keys, and for numbers out of range.
    pub fn read(json: &'a str) -> Result<Self> {
        let request: Self = serde_json::from_str(json).map_err(|error| {
            Error::invalid(format!(
                "expected a request such as `{{\"query\": \"volcano\", \"k\": 10}}`: {error}; \
                 correct it"
            ))
        })?;
        let (k, offset) = (request.k, request.offset);
        if k == 0 || k.saturating_add(offset) > MAX_HITS {
            return Err(Error::invalid(format!(
                "expected `k` from 1, and `k` and `offset` together up to {MAX_HITS}; found {k} \
                 and {offset}; ask for fewer hits, or narrow the search by filters"
            )));
        }
        let fields = request.fields.as_ref().map_or(0, Vec::len);
        for (name, found) in [
            ("fields", fields),
            ("filter", request.filter.len()),
            ("sort", request.sort.len()),
            ("facets", request.facets.len()),
        ] {
            if found > MAX_PARTS {
                return Err(Error::invalid(format!(
                    "expected at most {MAX_PARTS} of `{name}`, found {found}; leave some out"
                )));
            }
        }
        Ok(request)
    }

    /// The query as words, unless it is a query tree.
    ///
    /// # Errors
    ///
    /// When it is neither.
    pub fn words(&self) -> Result<Option<String>> {
        match self.query.get().as_bytes().first() {
            Some(b'{') => Ok(None),
            Some(b'"') => serde_json::from_str(self.query.get())
                .map(Some)
                .map_err(wrong_query),
            _ => Err(wrong_query(self.query.get())),
        }
    }

    /// The query tree.
    ///
    /// # Errors
    ///
    /// Those of [`Query::from_json`], and for options of words beside it.
    pub fn tree(&self) -> Result<Query> {
        if self.strict || self.fields.is_some() {
            return Err(Error::invalid(
                "expected `strict` and `fields` with words, found them with a query tree, which \
                 says itself what it searches; leave them out",
            ));
        }
        Query::from_json(self.query.get()).map_err(|error| error.in_field("query"))
    }

    /// The fields that words are searched in, if they are named.
    pub fn fields(&self) -> Option<&[String]> {
        self.fields.as_deref()
    }

    /// Reads words over fields; the texts say what a lenient parse took as words.
    ///
    /// # Errors
    ///
    /// When mistakes in the words are errors, and for a field that cannot be searched.
    pub fn parse(
        &self,
        snapshot: &Snapshot,
        fields: Vec<String>,
        words: &str,
    ) -> Result<(Query, Vec<String>)> {
        let parser = QueryParser::new(fields);
        match self.strict {
            true => Ok((parser.parse(snapshot, words)?, Vec::new())),
            false => Ok(parser.parse_lenient(snapshot, words)),
        }
    }

    /// What hits must match beside the query.
    ///
    /// # Errors
    ///
    /// Those of [`Query::from_json`].
    pub fn filters(&self) -> Result<Vec<Query>> {
        let filters = self
            .filter
            .iter()
            .map(|filter| Query::from_json(filter.get()));
        filters
            .collect::<Result<_>>()
            .map_err(|error| error.in_field("filter"))
    }

    /// The columns whose values are counted, from `NAME` or `NAME:N`.
    ///
    /// # Errors
    ///
    /// For other texts.
    pub fn facets(&self) -> Result<Vec<CountedColumn>> {
        let facets = self.facets.iter().map(|text| {
            let (name, values) = match text.rsplit_once(':') {
                None => (text.as_str(), Some(DEFAULT_VALUES)),
                Some((name, values)) => (name, values.parse().ok()),
            };
            match values {
                Some(values @ 1..=MAX_VALUES) => Ok(CountedColumn {
                    name: name.to_owned(),
                    values,
                }),
                _ => Err(Error::invalid(format!(
                    "expected `COLUMN` or `COLUMN:N` with N from 1 to {MAX_VALUES} in `facets`, \
                     found `{text}`; correct it"
                ))),
            }
        });
        facets.collect()
    }

    /// The options of the library.
    pub fn options(&self, facets: &[CountedColumn]) -> SearchOptions {
        let facets = facets
            .iter()
            .map(|facet| Facet::values(&facet.name, facet.values));
        let mut options = SearchOptions::new(self.k)
            .offset(self.offset)
            .facets(facets);
        if self.count > 0 {
            options = options.count_up_to(self.count);
        }
        if let Some(score) = self.min_score {
            options = options.min_score(score);
        }
        let sorts = self.sort.iter().map(|sort| match sort.rsplit_once(':') {
            Some((column, "desc")) => Sort::descending(column),
            Some((column, "asc")) => Sort::ascending(column),
            _ => Sort::ascending(sort),
        });
        sorts.fold(options, SearchOptions::sort)
    }

    /// Hits that are left out before the first.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The passages that are wanted, if any are.
    ///
    /// # Errors
    ///
    /// For a length out of range.
    pub fn passages(&self) -> Result<Option<Wanted>> {
        Wanted::new(self.snippets, self.snippet_length)
    }
}

fn wrong_query(found: impl std::fmt::Display) -> Error {
    Error::invalid(format!(
        "expected words or a query tree in `query`, found `{found}`; send a string, or an object \
         such as `{{\"text\": {{\"FIELD\": \"volcano\"}}}}`"
    ))
}
