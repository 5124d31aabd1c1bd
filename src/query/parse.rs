//! From a line of text to a query: the query language over the fields of an index.

mod columns;
mod mapping;
mod parts;
mod words;

use std::sync::Arc;

use self::mapping::Mapping;
use super::language::{self, SyntaxError};
use super::request::Query;
use crate::error::{Error, Result};
use crate::format::Bm25;
use crate::index::Snapshot;
use crate::text::Synonyms;

/// The name by which documents are found by external id.
const ID: &str = "_id";

/// Reads queries that people write, such as
/// `title:"new york"~2 +browser -java year:[2020 TO 2024] firef* teh~1`.
///
/// The page `query-language.md` of the repository describes the language. Words alone are one query
/// of words, as [`Query::text`] makes it, or [`Query::text_in`] for several fields.
///
/// ```
/// use esparsa::{Column, Document, Index, Query, QueryParser, Schema, Text};
///
/// let index = Index::in_memory(Schema::builder()
///     .text("title", Text::new().analyzer("en"))
///     .column("year", Column::i64())
///     .build()?)?;
/// let mut writer = index.writer()?;
/// writer.add(Document::new("a").with_text("title", "Volcanoes of Sicily").with("year", 1998))?;
/// writer.add(Document::new("b").with_text("title", "A volcano in Iceland").with("year", 2004))?;
/// writer.commit()?;
///
/// let snapshot = index.snapshot()?;
/// let parser = QueryParser::new(["title"]);
/// let ids = |text: &str| snapshot.search(&parser.parse(&snapshot, text)?, 10)?.ids();
/// assert_eq!(ids("volcano -sicily")?, ["b"]);
/// assert_eq!(ids("+volcan* +year:<2000")?, ["a"]);
///
/// let refused = parser.parse(&snapshot, "volcano AND").unwrap_err();
/// assert!(refused.to_string().contains("expected"));
/// let (query, mistakes) = parser.parse_lenient(&snapshot, "volcano AND");
/// assert_eq!((snapshot.count(&query)?, mistakes.len()), (2, 1));
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct QueryParser {
    fields: Vec<(String, f32)>,
    all_terms: bool,
    bm25: Option<Bm25>,
    synonyms: Option<Arc<Synonyms>>,
}

impl QueryParser {
    /// A parser that looks for what has no field of its own in these text fields.
    pub fn new<F: Into<String>>(fields: impl IntoIterator<Item = F>) -> Self {
        Self::weighted(fields.into_iter().map(|field| (field, 1.0)))
    }

    /// As [`new`](Self::new), with the weights of the fields.
    pub fn weighted<F: Into<String>>(fields: impl IntoIterator<Item = (F, f32)>) -> Self {
        let fields = fields.into_iter();
        Self {
            fields: fields
                .map(|(field, weight)| (field.into(), weight))
                .collect(),
            all_terms: false,
            bm25: None,
            synonyms: None,
        }
    }

    /// Searches for synonyms of words too, where a query of words is on one field; see
    /// [`Query::text_with_synonyms`]. With [all terms](Self::all_terms), synonyms are left alone.
    #[must_use]
    pub fn with_synonyms(mut self, synonyms: Synonyms) -> Self {
        self.synonyms = Some(Arc::new(synonyms));
        self
    }

    /// Sets k1 and b of all words and phrases, which are their fields' otherwise.
    #[must_use]
    pub fn with_bm25(mut self, parameters: Bm25) -> Self {
        self.bm25 = Some(parameters);
        self
    }

    /// Requires what stands side by side, as if `AND` were between, instead of any of it.
    #[must_use]
    pub fn all_terms(mut self) -> Self {
        self.all_terms = true;
        self
    }

    /// Reads a query, for the fields of a snapshot's index.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] for the first mistake, also for what does not fit its field, such as a
    /// phrase in a field without positions: the message says where it is, and what was expected
    /// there.
    pub fn parse(&self, snapshot: &Snapshot, text: &str) -> Result<Query> {
        let node = language::parse(text, &is_field(snapshot));
        let node = node.map_err(|error| Error::invalid(error.to_string()))?;
        Mapping::new(self, snapshot, text, false).root(&node)
    }

    /// Reads a query as well as it can be understood: what is wrong is searched as words, and listed
    /// with the query. It never fails.
    pub fn parse_lenient(&self, snapshot: &Snapshot, text: &str) -> (Query, Vec<String>) {
        let (node, errors) = language::parse_lenient(text, &is_field(snapshot));
        let mut mistakes: Vec<String> = errors.iter().map(SyntaxError::to_string).collect();
        let mapping = Mapping::new(self, snapshot, text, true);
        let query = mapping.root(&node);
        mistakes.extend(mapping.into_mistakes());
        let query = query.unwrap_or_else(|error| {
            mistakes.push(error.to_string());
            Query::any_of([])
        });
        (query, mistakes)
    }
}

fn is_field(snapshot: &Snapshot) -> impl Fn(&str) -> bool + '_ {
    |name| name == ID || snapshot.schema().field(name).is_some()
}
