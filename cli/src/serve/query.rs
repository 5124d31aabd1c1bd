//! The query of a request: words, in the query language or for a model, or a query tree in JSON, and
//! its filters.

use esparsa::{FieldKind, Query, QueryParser, Snapshot};

use super::error::ApiError;
use super::parameters::Parameters;
use super::system::System;

/// Bytes of a query in the query language; a query tree is bounded by the body.
pub const MAX_QUERY_BYTES: usize = 8 << 10;
/// Filters of a query, and fields that words are searched in.
const MAX_PARTS: usize = 256;

/// What is asked for, before any model sees it.
pub struct Asked {
    /// The words, as they were sent.
    pub text: Option<String>,
    /// What the words or the tree mean, without the filters: what snippets mark. `None` when only a
    /// model reads the words, and the index has no field of text.
    pub words: Option<Query>,
    /// What a lenient parse took as words.
    pub notes: Vec<String>,
    filters: Vec<Query>,
}

impl Asked {
    /// Takes `q` or `query`, `strict`, `search_fields` and `filter`.
    ///
    /// # Errors
    ///
    /// 400 when there is none or both, for mistakes in them, and for those that the system has no
    /// use for.
    pub fn take(
        parameters: &mut Parameters,
        snapshot: &Snapshot,
        system: System,
    ) -> Result<Self, ApiError> {
        let text = parameters.text("q")?;
        let tree = parameters.query("query")?;
        let is_strict = parameters.flag("strict")?;
        let fields = parameters.texts("search_fields", MAX_PARTS)?;
        let filters = parameters.queries("filter", MAX_PARTS)?;
        check_length(text.as_deref())?;
        let is_searched = matches!(system, System::Bm25 | System::Fused);
        if !is_searched && (is_strict || fields.is_some()) {
            return Err(ApiError::invalid(format!(
                "expected `strict` and `search_fields` with a system that searches words, found them with `{}`; leave them \
                 out",
                system.name()
            )));
        }
        let (words, notes) = match (&text, tree) {
            (Some(_), Some(_)) => {
                return Err(ApiError::invalid(
                    "expected either `q` or `query`, found both; leave one out",
                ));
            }
            (None, _) if system != System::Bm25 => {
                return Err(ApiError::invalid(format!(
                    "expected `q`, a text that a model reads, with `system={}`, found none; add it, and leave `query` out",
                    system.name()
                )));
            }
            (None, None) => {
                return Err(ApiError::invalid(
                    "expected `q`, a query in the query language, or `query`, a query in JSON; found neither",
                ));
            }
            (None, Some(_)) if is_strict || fields.is_some() => {
                return Err(ApiError::invalid(
                    "expected `strict` and `search_fields` with `q`, found them with `query`, which says itself what it \
                     searches; leave them out",
                ));
            }
            (None, Some(tree)) => (Some(tree), Vec::new()),
            (Some(_), None) if system != System::Bm25 && text_fields(snapshot).is_empty() => {
                (None, Vec::new())
            }
            (Some(text), None) => {
                let (words, notes) = of_words(text, fields, is_strict, snapshot)?;
                // A model reads operators as words, so that their mistakes are none.
                (Some(words), if is_searched { notes } else { Vec::new() })
            }
        };
        Ok(Self {
            text,
            words,
            notes,
            filters,
        })
    }

    /// A query with the filters.
    pub fn filtered(&self, query: Query) -> Query {
        self.filters.iter().cloned().fold(query, Query::with_filter)
    }
}

fn check_length(text: Option<&str>) -> Result<(), ApiError> {
    match text {
        Some(text) if text.len() > MAX_QUERY_BYTES => Err(ApiError::invalid(format!(
            "expected a query of at most {MAX_QUERY_BYTES} bytes in `q`, found one of {}; shorten it",
            text.len()
        ))),
        _ => Ok(()),
    }
}

/// Reads words over the fields that are named, or else over all fields of text.
fn of_words(
    words: &str,
    fields: Option<Vec<String>>,
    is_strict: bool,
    snapshot: &Snapshot,
) -> Result<(Query, Vec<String>), ApiError> {
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
