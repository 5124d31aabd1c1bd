//! What to search for.

mod conditions;
mod patterns;
mod scored;
mod words;

use std::ops::Bound;

use super::patterns::{Fuzzy, Pattern};
use crate::error::{Error, Result};
use crate::format::limits::{MAX_QUERY_DEPTH, MAX_QUERY_TERMS};
use crate::format::{Bm25, FieldKind, Value};

/// A query: words or vectors, by which documents are scored, or conditions that they meet.
///
/// Any query may have [filters](Self::with_filter), which documents must match too and which change
/// no score. Conditions, such as [`Query::range`], make good filters; as queries of their own they
/// give every document that meets them a score of 1.
///
/// ```
/// use esparsa::{Bm25, Query};
///
/// let words = Query::text("text", "volcanoes of Sicily").with_bm25(Bm25 { k1: 0.82, b: 0.68 });
/// let weights = Query::sparse("splade", [("volcano", 2.5), ("sicily", 1.9)]);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// Empty for conditions that are on no field, or on several.
    pub(super) field: String,
    pub(super) kind: QueryKind,
    /// `None`: the field's.
    pub(super) bm25: Option<Bm25>,
    pub(super) all_terms: bool,
    /// How many of the terms documents must have.
    pub(super) minimum_terms: Option<u32>,
    /// What scores are multiplied by.
    pub(super) boost: f32,
    /// Whether all documents have the same score, which is the boost.
    pub(super) is_constant: bool,
    /// Documents must match all of these.
    pub(super) filters: Vec<Query>,
    /// Documents must match none of these.
    pub(super) excluded: Vec<Query>,
    /// How deep queries are nested here.
    depth: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum QueryKind {
    Text(String),
    /// Terms that are not analyzed.
    Analyzed(Vec<String>),
    Sparse(Vec<(String, f32)>),
    SparseNumbered(Vec<(u32, f32)>),
    Dense(Vec<f32>),
    /// Fields with their weights, and words.
    Fields(Vec<(String, f32)>, String),
    Phrase(Phrase),
    Bool(Clauses),
    /// The best of these queries, and this share of the others.
    Best(Vec<Query>, f32),
    Condition(Condition),
}

/// Words in this order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Phrase {
    pub text: String,
    pub slop: u32,
    /// The last word is the beginning of one.
    pub is_prefix: bool,
}

/// Queries that are combined.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Clauses {
    pub must: Vec<Query>,
    pub should: Vec<Query>,
    pub minimum_should: Option<u32>,
}

impl Clauses {
    /// How many of `should` documents must match.
    pub fn minimum(&self) -> usize {
        let default = u32::from(self.must.is_empty());
        self.minimum_should.unwrap_or(default) as usize
    }
}

/// What documents meet or do not meet.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    All,
    Ids(Vec<String>),
    /// A value of a column, or a term of a text field.
    Terms(Vec<Value>),
    Range(Bound<Value>, Bound<Value>),
    /// A term of a text field, or a keyword of a column.
    Matching(Pattern),
    Exists,
    AllOf(Vec<Query>),
    AnyOf(Vec<Query>),
    /// Too deep to be searched: what was in it is gone.
    TooDeep,
}

impl Condition {
    /// Whether all that meets this condition meets another, because of all within a number of edits
    /// of a term it asks for those within fewer.
    pub fn is_narrower(&self, than: &Self) -> bool {
        let Self::Matching(Pattern::Fuzzy(wide)) = than else {
            return false;
        };
        match self {
            Self::Terms(values) => {
                matches!(&values[..], [Value::Keyword(term)] if *term == wide.term)
            }
            Self::Matching(Pattern::Fuzzy(narrow)) => {
                let of = |fuzzy: &Fuzzy| (fuzzy.prefix, fuzzy.transpositions, fuzzy.prefix_match);
                narrow.distance < wide.distance
                    && of(narrow) == of(wide)
                    && narrow.term == wide.term
            }
            _ => false,
        }
    }
}

impl QueryKind {
    /// The kind of the one field that is scored; `None` for other queries.
    pub fn field(&self) -> Option<FieldKind> {
        match self {
            Self::Text(_) | Self::Analyzed(_) | Self::Phrase(_) => Some(FieldKind::Text),
            Self::Sparse(_) | Self::SparseNumbered(_) => Some(FieldKind::Sparse),
            Self::Dense(_) => Some(FieldKind::Dense),
            Self::Fields(..) | Self::Bool(_) | Self::Best(..) | Self::Condition(_) => None,
        }
    }
}

impl Query {
    /// Words for a text field, analyzed as its documents were. Documents with any of the words
    /// match, unless [all are asked for](Self::with_all_terms); a word given twice counts twice.
    pub fn text(field: impl Into<String>, text: impl Into<String>) -> Self {
        Self::new(field.into(), QueryKind::Text(text.into()))
    }

    /// Terms for a text field as its index has them, which the field's analyzer gave; else as
    /// [`text`](Self::text).
    pub fn analyzed<T: Into<String>>(
        field: impl Into<String>,
        terms: impl IntoIterator<Item = T>,
    ) -> Self {
        let terms = terms.into_iter().map(Into::into);
        Self::new(field.into(), QueryKind::Analyzed(terms.collect()))
    }

    fn new(field: String, kind: QueryKind) -> Self {
        Self {
            field,
            kind,
            bm25: None,
            all_terms: false,
            minimum_terms: None,
            boost: 1.0,
            is_constant: false,
            filters: Vec::new(),
            excluded: Vec::new(),
            depth: 0,
        }
    }

    /// Terms and weights for a sparse field whose terms are strings; weights are finite and not
    /// negative, and their sum is within `f32`. The weights of a term that is given more than once
    /// are added.
    pub fn sparse<T: Into<String>>(
        field: impl Into<String>,
        vector: impl IntoIterator<Item = (T, f32)>,
    ) -> Self {
        let vector = vector
            .into_iter()
            .map(|(term, weight)| (term.into(), weight));
        Self::new(field.into(), QueryKind::Sparse(vector.collect()))
    }

    /// Terms and weights for a sparse field whose terms are numbers.
    pub fn sparse_numbered(
        field: impl Into<String>,
        vector: impl IntoIterator<Item = (u32, f32)>,
    ) -> Self {
        let kind = QueryKind::SparseNumbered(vector.into_iter().collect());
        Self::new(field.into(), kind)
    }

    /// A vector for a dense field. Every document that has a vector matches, and all of them are
    /// scored: nothing is approximated.
    ///
    /// ```
    /// use esparsa::{Dense, Document, Index, Query, Schema};
    ///
    /// let index = Index::in_memory(Schema::builder().dense("passage", Dense::new(3)).build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("etna").with_dense("passage", [0.9, 0.1, 0.0]))?;
    /// writer.add(Document::new("bees").with_dense("passage", [0.0, 0.2, 0.8]))?;
    /// writer.commit()?;
    ///
    /// let hits = index.snapshot()?.search(&Query::dense("passage", [0.0, 0.0, 1.0]), 10)?;
    /// assert_eq!((hits.ids()?[0].as_str(), hits.scored()[0].1), ("bees", 0.8));
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    pub fn dense(field: impl Into<String>, vector: impl Into<Vec<f32>>) -> Self {
        Self::new(field.into(), QueryKind::Dense(vector.into()))
    }

    /// Sets k1 and b, which are the field's otherwise. Only queries of words have them: with
    /// vectors a search is refused.
    #[must_use]
    pub fn with_bm25(mut self, parameters: Bm25) -> Self {
        self.bm25 = Some(parameters);
        self
    }

    /// Asks for documents that have every term; scores stay what they are.
    ///
    /// What the field's analyzer drops, such as a stop word, is no term and need not be there;
    /// neither need a term of a sparse query whose weight is 0. With a term that no document has,
    /// or with none at all, nothing is found; a word that is too long for an index is a term that
    /// no document has. Such queries are searched exactly: a [recall](crate::SearchOptions::recall) below
    /// 1 is refused, and so is a vector for a dense field, which has no terms.
    ///
    /// ```
    /// use esparsa::{Document, Index, Query, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("text", Text::new().analyzer("english"))
    ///     .build()?)?;
    /// let mut writer = index.writer()?;
    /// writer.add(Document::new("etna").with_text("text", "Etna is an active volcano in Sicily."))?;
    /// writer.add(Document::new("ararat").with_text("text", "Ararat is a dormant volcano."))?;
    /// writer.commit()?;
    ///
    /// let snapshot = index.snapshot()?;
    /// let query = Query::text("text", "the volcanoes of Sicily");
    /// assert_eq!(snapshot.search(&query, 10)?.len(), 2);
    /// let hits = snapshot.search(&query.with_all_terms(), 10)?;
    /// assert_eq!(hits.ids()?, ["etna"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    #[must_use]
    pub fn with_all_terms(mut self) -> Self {
        self.all_terms = true;
        self
    }

    /// The field searched; empty for a query that is on no field, or on several.
    pub fn field(&self) -> &str {
        &self.field
    }
}

/// Filters.
impl Query {
    /// Keeps documents that match another query too. Scores stay what they are: those of all
    /// documents of the index.
    ///
    /// ```
    /// use esparsa::{Column, Document, Index, Query, Schema, Text};
    ///
    /// let index = Index::in_memory(Schema::builder()
    ///     .text("name", Text::new().analyzer("en"))
    ///     .column("price", Column::f64())
    ///     .column("color", Column::keyword().several())
    ///     .build()?)?;
    /// let mut writer = index.writer()?;
    /// let cup = Document::new("cup").with_text("name", "A tea cup");
    /// writer.add(cup.with("price", 4.5).with("color", "red").with("color", "white"))?;
    /// let pot = Document::new("pot").with_text("name", "A tea pot");
    /// writer.add(pot.with("price", 20.0).with("color", "red"))?;
    /// writer.commit()?;
    ///
    /// let tea = Query::text("name", "tea")
    ///     .with_filter(Query::range("price", 10.0..))
    ///     .with_filter(Query::term("color", "red"))
    ///     .without(Query::term("color", "white"));
    /// assert_eq!(index.snapshot()?.search(&tea, 10)?.ids()?, ["pot"]);
    /// # Ok::<(), esparsa::Error>(())
    /// ```
    #[must_use]
    pub fn with_filter(mut self, filter: Self) -> Self {
        let depth = self.depth.max(filter.depth + 1);
        self.filters.push(filter);
        self.deeper(depth)
    }

    /// Drops documents that match another query.
    #[must_use]
    pub fn without(mut self, query: Self) -> Self {
        let depth = self.depth.max(query.depth + 1);
        self.excluded.push(query);
        self.deeper(depth)
    }

    /// Whether it has filters, or drops documents.
    pub(super) fn has_filters(&self) -> bool {
        !self.filters.is_empty() || !self.excluded.is_empty()
    }

    /// What is nested too deep becomes a query that is refused, so that neither searching nor
    /// dropping it exhausts the stack.
    fn deeper(mut self, depth: usize) -> Self {
        self.depth = depth;
        if depth > MAX_QUERY_DEPTH {
            return Self::condition("", Condition::TooDeep);
        }
        self
    }
}

/// How many of a query's terms are above the limit. Where documents must have all terms none can be
/// skipped, so that is an error.
pub(super) fn excess(terms: usize, all_terms: bool) -> Result<u64> {
    let excess = terms.saturating_sub(MAX_QUERY_TERMS) as u64;
    if excess > 0 && all_terms {
        let (found, limit) = (terms as u64, MAX_QUERY_TERMS as u64);
        let what = "number of distinct terms of a query that asks for all of them";
        return Err(Error::limit(what, found, limit));
    }
    Ok(excess)
}
