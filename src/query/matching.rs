//! Which documents match a query, as sets: what filters are made of.
//!
//! A [`Matcher`] is a query that was checked against the schema, with its values as codes of
//! columns. It finds the documents of a segment without regard to deletes, which a search looks at
//! anyway. Sets that take reading postings or columns are kept with their segment, so that a filter
//! that comes again costs next to nothing.

use std::sync::Arc;

use super::accept::Filter;
use super::capabilities::check_parameters;
use super::in_field::{InField, exists, matching, range, terms};
use super::options::SearchOptions;
use super::prepare::{Prepared, prepare_scored};
use super::request::{Clauses, Condition, Query, QueryKind};
use super::tree::TreeLeaf;
use crate::doc_set::DocSet;
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
        let prepared = match query.all_terms {
            // A conjunction without scores: the terms with the fewest postings lead.
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

    /// The documents of a segment that match, deleted ones included.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] when bytes that must be read are damaged.
    pub fn documents(&self, ordinal: usize) -> Result<Arc<DocSet>> {
        let mut documents = match self.node {
            Node::All if !self.filters.is_empty() => None,
            _ => Some(self.of_node(ordinal)?),
        };
        intersect(&mut documents, &self.filters, ordinal)?;
        let mut documents = documents.unwrap_or_else(|| self.all(ordinal));
        for excluded in &self.excluded {
            Arc::make_mut(&mut documents).subtract(&*excluded.documents(ordinal)?);
        }
        Ok(documents)
    }

    /// The live documents of a segment that match, and that a filter accepts.
    ///
    /// # Errors
    ///
    /// As [`documents`](Self::documents).
    pub fn live_documents(&self, ordinal: usize, filter: Option<&Filter>) -> Result<Arc<DocSet>> {
        let mut documents = self.documents(ordinal)?;
        if let Some(deleted) = &self.snapshot.segments()[ordinal].deleted {
            Arc::make_mut(&mut documents).subtract(deleted);
        }
        if let Some(accepted) = filter.and_then(|filter| filter.set(ordinal)) {
            Arc::make_mut(&mut documents).intersect(accepted);
        }
        Ok(documents)
    }

    /// How many live documents of a segment match, and are accepted by a filter.
    ///
    /// # Errors
    ///
    /// As [`documents`](Self::documents).
    pub fn count(&self, ordinal: usize, filter: Option<&Filter>) -> Result<u32> {
        let is_deleted = self.snapshot.segments()[ordinal].deleted.is_some();
        if let (Some(query), None, false) = (self.scored_alone(), filter, is_deleted)
            && let Some(count) = query.known_count(ordinal)
        {
            return Ok(count);
        }
        Ok(self.live_documents(ordinal, filter)?.count())
    }

    /// A lower bound of [`count`](Self::count) without a filter, as far as one is known without
    /// looking at documents.
    pub fn min_count(&self, ordinal: usize) -> u32 {
        let known = self.scored_alone().map(|query| query.min_count(ordinal));
        let deleted = self.snapshot.segments()[ordinal].deleted_count();
        known.map_or(0, |known| known.saturating_sub(deleted))
    }

    /// The query of words or a vector that this is, without filters.
    fn scored_alone(&self) -> Option<&(dyn Prepared + 'a)> {
        let has_filters = !self.filters.is_empty() || !self.excluded.is_empty();
        match &self.node {
            Node::Scored(query, _) if !has_filters => Some(&**query),
            _ => None,
        }
    }

    fn all(&self, ordinal: usize) -> Arc<DocSet> {
        let reader = &self.snapshot.segments()[ordinal].reader;
        Arc::new(DocSet::full(reader.documents()))
    }

    fn of_node(&self, ordinal: usize) -> Result<Arc<DocSet>> {
        let reader = &self.snapshot.segments()[ordinal].reader;
        match &self.node {
            Node::All => Ok(self.all(ordinal)),
            Node::Ids(ids) => {
                let mut set = DocSet::empty(reader.documents());
                for id in ids {
                    if let Some(document) = reader.ids().document(id)? {
                        set.insert(document);
                    }
                }
                Ok(Arc::new(set))
            }
            Node::AllOf(matchers) => {
                let mut set = None;
                intersect(&mut set, matchers, ordinal)?;
                Ok(set.unwrap_or_else(|| self.all(ordinal)))
            }
            Node::AnyOf(matchers) => {
                let mut set = Arc::new(DocSet::empty(reader.documents()));
                for matcher in matchers {
                    let next = matcher.documents(ordinal)?;
                    match set.is_empty() {
                        true => set = next,
                        false => Arc::make_mut(&mut set).unite(&next),
                    }
                }
                Ok(set)
            }
            Node::AtLeast(matchers, minimum) => {
                let mut counts = vec![0_u32; reader.documents() as usize];
                for matcher in matchers {
                    for document in matcher.documents(ordinal)?.iter() {
                        counts[document as usize] += 1;
                    }
                }
                let mut set = DocSet::empty(reader.documents());
                for (document, count) in (0..).zip(counts) {
                    if count as usize >= *minimum {
                        set.insert(document);
                    }
                }
                Ok(Arc::new(set))
            }
            Node::Scored(query, key) => reader.cached_set(key, || query.matching(ordinal)),
            Node::Field(field, in_field, key) => {
                reader.cached_set(key, || in_field.documents(reader, *field))
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

/// Keeps the documents that all of these match; without a set yet, those of the first are taken.
fn intersect(
    set: &mut Option<Arc<DocSet>>,
    matchers: &[Matcher<'_>],
    ordinal: usize,
) -> Result<()> {
    for matcher in matchers {
        let next = matcher.documents(ordinal)?;
        match set {
            Some(set) => Arc::make_mut(set).intersect(&next),
            None => *set = Some(next),
        }
    }
    Ok(())
}
