//! Which documents match a query, as sets: what filters are made of.
//!
//! A [`Matcher`] is a query that was checked against the schema, with its values as codes of
//! columns; `documents` finds the documents of a segment.

mod documents;

use super::capabilities::check_parameters;
use super::in_field::{InField, exists, matching, range, terms};
use super::options::SearchOptions;
use super::prepare::{Prepared, prepare_scored};
use super::request::{Clauses, Condition, Query, QueryKind};
use super::tree::TreeLeaf;
use crate::error::{Error, Result};
use crate::format::FieldNumber;
use crate::format::limits::{MAX_QUERY_DEPTH, MAX_QUERY_TERMS};
use crate::index::Snapshot;

/// A query that documents match or do not match.
pub(super) struct Matcher<'a> {
    snapshot: &'a Snapshot,
    node: Node<'a>,
    filters: Vec<Self>,
    excluded: Vec<Self>,
}

enum Node<'a> {
    All,
    Ids(Vec<String>),
    AllOf(Vec<Matcher<'a>>),
    AnyOf(Vec<Matcher<'a>>),
    /// At least this number of these.
    AtLeast(Vec<Matcher<'a>>, usize),
    /// Documents of one field, with what tells them from others.
    Field(FieldNumber, InField, String),
    /// Words or a vector, with what tells them from others.
    Scored(Box<dyn Prepared + 'a>, String),
}

impl<'a> Matcher<'a> {
    /// Checks a query and its filters.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when a field is not there or of another kind, or a value does not fit
    /// its column; [`Error::Limit`] when queries are nested too deep or have too many terms.
    pub fn new(snapshot: &'a Snapshot, query: &Query, options: &SearchOptions) -> Result<Self> {
        check_parameters(query)?;
        Ok(Self {
            snapshot,
            node: Self::node(snapshot, query, options)?,
            filters: Self::each(snapshot, &query.filters, options)?,
            excluded: Self::each(snapshot, &query.excluded, options)?,
        })
    }

    /// As [`new`](Self::new), without the query's own filters.
    pub fn without_filters(
        snapshot: &'a Snapshot,
        query: &Query,
        options: &SearchOptions,
    ) -> Result<Self> {
        Ok(Self {
            snapshot,
            node: Self::node(snapshot, query, options)?,
            filters: Vec::new(),
            excluded: Vec::new(),
        })
    }

    /// The filters of a query alone, but for what is [looked up](Query::looked_up) in the search;
    /// `None` when it has none.
    pub fn of_filters(
        snapshot: &'a Snapshot,
        query: &Query,
        options: &SearchOptions,
    ) -> Result<Option<Self>> {
        let looked_up = query.looked_up().count();
        if query.filters.is_empty() && query.excluded.len() == looked_up {
            return Ok(None);
        }
        let mut excluded = query.excluded.clone();
        if looked_up > 0 {
            excluded.retain(|query| !query.is_looked_up());
        }
        Ok(Some(Self {
            snapshot,
            node: Node::All,
            filters: Self::each(snapshot, &query.filters, options)?,
            excluded: Self::each(snapshot, &excluded, options)?,
        }))
    }

    fn each(
        snapshot: &'a Snapshot,
        queries: &[Query],
        options: &SearchOptions,
    ) -> Result<Vec<Self>> {
        let matchers = queries.iter();
        let matchers = matchers.map(|query| Self::new(snapshot, query, options));
        matchers.collect()
    }

    fn node(snapshot: &'a Snapshot, query: &Query, options: &SearchOptions) -> Result<Node<'a>> {
        let of = |queries: &[Query]| Self::each(snapshot, queries, options);
        let condition = match &query.kind {
            QueryKind::Condition(condition) => condition,
            QueryKind::Bool(clauses) => return Self::of_clauses(snapshot, clauses, options),
            QueryKind::Best(queries, _) => {
                let wide = without_narrower(queries);
                let wide = wide.map(|query| Self::new(snapshot, query, options));
                return Ok(Node::AnyOf(wide.collect::<Result<_>>()?));
            }
            _ => return Self::scored(snapshot, query, options),
        };
        let in_field = match condition {
            Condition::All => return Ok(Node::All),
            Condition::Ids(ids) => return Ok(Node::Ids(ids.clone())),
            Condition::AllOf(queries) => return Ok(Node::AllOf(of(queries)?)),
            Condition::AnyOf(queries) => return Ok(Node::AnyOf(of(queries)?)),
            Condition::TooDeep => {
                let limit = MAX_QUERY_DEPTH as u64;
                return Err(Error::limit("depth of nested queries", limit + 1, limit));
            }
            Condition::Terms(values) => terms(snapshot, &query.field, values),
            Condition::Range(low, high) => range(snapshot, &query.field, low, high),
            Condition::Matching(pattern) => matching(snapshot, &query.field, pattern),
            Condition::Exists => exists(snapshot, &query.field),
        };
        let (field, in_field) = in_field.map_err(|error| error.in_field(&query.field))?;
        let key = format!("{field} {in_field:?}");
        Ok(Node::Field(field, in_field, key))
    }

    /// Words or a vector.
    fn scored(snapshot: &'a Snapshot, query: &Query, options: &SearchOptions) -> Result<Node<'a>> {
        let mut alone = query.clone();
        (alone.filters, alone.excluded) = (Vec::new(), Vec::new());
        (alone.boost, alone.is_constant) = (1.0, false);
        let is_text = matches!(query.kind, QueryKind::Text(_) | QueryKind::Analyzed(_));
        let prepared = match query.all_terms && !is_text {
            // In a tree the terms with the fewest postings lead, as they do among words.
            true => Box::new(TreeLeaf::new(snapshot, &alone, options)?),
            false => prepare_scored(snapshot, &alone, &options.exact())?,
        };
        let skipped = prepared.skipped_terms();
        if skipped > 0 {
            let (limit, what) = (
                MAX_QUERY_TERMS as u64,
                "number of distinct terms of a filter",
            );
            return Err(Error::limit(what, limit + skipped, limit));
        }
        Ok(Node::Scored(prepared, format!("{alone:?}")))
    }

    fn of_clauses(
        snapshot: &'a Snapshot,
        clauses: &Clauses,
        options: &SearchOptions,
    ) -> Result<Node<'a>> {
        let mut all = Self::each(snapshot, &clauses.must, options)?;
        let should = Self::each(snapshot, &clauses.should, options)?;
        let minimum = clauses.minimum();
        if clauses.must.is_empty() && clauses.should.is_empty() {
            return Ok(match clauses.minimum_should.unwrap_or(0) {
                0 => Node::All,
                _ => Node::AnyOf(Vec::new()),
            });
        }
        let node = match minimum {
            0 if all.is_empty() => return Ok(Node::AnyOf(should)),
            0 => return Ok(Self::all_of(all)),
            1 => Node::AnyOf(should),
            minimum => Node::AtLeast(should, minimum),
        };
        all.push(Self {
            snapshot,
            node,
            filters: Vec::new(),
            excluded: Vec::new(),
        });
        Ok(Self::all_of(all))
    }

    /// All of some queries; of one without filters what it is itself, which may know its count.
    fn all_of(mut all: Vec<Self>) -> Node<'a> {
        match all.pop() {
            Some(one) if all.is_empty() && one.filters.is_empty() && one.excluded.is_empty() => {
                one.node
            }
            last => {
                all.extend(last);
                Node::AllOf(all)
            }
        }
    }
}

/// The queries without fuzzy terms of which a wider one is among them, as it is in a
/// [fuzzy term](Query::fuzzy) that is scored by edits: walking the dictionary is what takes time.
fn without_narrower(queries: &[Query]) -> impl Iterator<Item = &Query> {
    let is_narrower = |query: &Query, than: &Query| match (&query.kind, &than.kind) {
        (QueryKind::Condition(narrow), QueryKind::Condition(wide)) => {
            let has_filters = query.has_filters() || than.has_filters();
            query.field == than.field && !has_filters && narrow.is_narrower(wide)
        }
        _ => false,
    };
    queries
        .iter()
        .filter(move |query| !queries.iter().any(|other| is_narrower(query, other)))
}
