//! The query of a request: words in the query language, or a query tree in JSON, and its filters.

use esparsa::{FieldKind, Query, QueryParser, Snapshot};

use super::error::ApiError;
use super::parameters::Parameters;

/// Bytes of a query in the query language; a query tree is bounded by the body.
pub const MAX_QUERY_BYTES: usize = 8 << 10;
/// Filters of a query, and fields that words are searched in.
const MAX_PARTS: usize = 256;

/// A query, as it is searched.
pub struct Asked {
    /// The query without the filters: what snippets mark.
    pub unfiltered: Query,
    /// The query with the filters.
    pub query: Query,
    /// What a lenient parse took as words.
    pub notes: Vec<String>,
}

impl Asked {
    /// Takes `q` or `query`, `strict`, `search_fields` and `filter`.
    ///
    /// # Errors
    ///
    /// 400 when there is none or both, and for mistakes in them.
    pub fn take(parameters: &mut Parameters, snapshot: &Snapshot) -> Result<Self, ApiError> {
        let words = parameters.text("q")?;
        let tree = parameters.query("query")?;
        let is_strict = parameters.flag("strict")?;
        let fields = parameters.texts("search_fields", MAX_PARTS)?;
        let filters = parameters.queries("filter", MAX_PARTS)?;
        let (unfiltered, notes) = match (words, tree) {
            (Some(words), None) => of_words(&words, fields, is_strict, snapshot)?,
            (None, Some(_)) if is_strict || fields.is_some() => {
                return Err(ApiError::invalid(
                    "expected `strict` and `search_fields` with `q`, found them with `query`, which says itself what it \
                     searches; leave them out",
                ));
            }
            (None, Some(tree)) => (tree, Vec::new()),
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid(
                    "expected either `q` or `query`, found both; leave one out",
                ));
            }
            (None, None) => {
                return Err(ApiError::invalid(
                    "expected `q`, a query in the query language, or `query`, a query in JSON; found neither",
                ));
            }
        };
        let query = filters
            .into_iter()
            .fold(unfiltered.clone(), Query::with_filter);
        Ok(Self {
            unfiltered,
            query,
            notes,
        })
    }
}

/// Reads words over the fields that are named, or else over all fields of text.
fn of_words(
    words: &str,
    fields: Option<Vec<String>>,
    is_strict: bool,
    snapshot: &Snapshot,
) -> Result<(Query, Vec<String>), ApiError> {
    if words.len() > MAX_QUERY_BYTES {
        return Err(ApiError::invalid(format!(
            "expected a query of at most {MAX_QUERY_BYTES} bytes in `q`, found one of {}; shorten it",
            words.len()
        )));
    }
    let fields = match fields {
        Some(fields) => fields,
        None => text_fields(snapshot),
    };
    if fields.is_empty() {
        return Err(ApiError::invalid(
            "expected `q` for an index with a field of text, found an index without; send `query`, such as \
             `{\"sparse\": {\"FIELD\": {\"volcano\": 2.5}}}`",
        ));
    }
    for field in &fields {
        snapshot.schema().expect(field, FieldKind::Text)?;
    }
    let parser = QueryParser::new(fields);
    match is_strict {
        true => Ok((parser.parse(snapshot, words)?, Vec::new())),
        false => Ok(parser.parse_lenient(snapshot, words)),
    }
}

/// The names of the fields of text that have any; of all of them, when none has.
pub fn text_fields(snapshot: &Snapshot) -> Vec<String> {
    let fields = snapshot.schema().fields().iter();
    let fields: Vec<_> = fields
        .filter(|field| field.options.kind() == FieldKind::Text)
        .collect();
    let has_text = |name: &str| {
        let field = snapshot.schema().field(name);
        field.is_some_and(|field| snapshot.totals(field.number).documents > 0)
    };
    let names = || fields.iter().map(|field| field.name.clone());
    let held: Vec<String> = names().filter(|name| has_text(name)).collect();
    match held.is_empty() {
        true => names().collect(),
        false => held,
    }
}
