//! From a query to its nodes: terms found and weighed, conditions checked, once for all segments.

use super::accepted::{Masked, Without};
use super::any::{Any, Combine};
use super::documents::{Documents, Nothing};
use super::fields::FieldsNode;
use super::phrase::PhraseNode;
use super::required::Required;
use super::scorer::AnyScorer;
use super::terms::Terms;
use super::wrap::{Boosted, InUnits};
use crate::error::{Error, Result};
use crate::format::limits::{MAX_QUERY_CLAUSES, MAX_QUERY_TERMS};
use crate::index::{Snapshot, SnapshotSegment};
use crate::query::capabilities::check_parameters;
use crate::query::leaf::Leaf;
use crate::query::matching::Matcher;
use crate::query::options::SearchOptions;
use crate::query::request::{Query, QueryKind};
use crate::query::sparse::SparseLeaf;
use crate::query::text::TextLeaf;

/// A query in a tree, with the statistics of the whole snapshot.
pub(super) struct Node<'a> {
    segments: &'a [SnapshotSegment],
    pub kind: NodeKind<'a>,
    boost: f32,
    /// Excluded queries that are looked up where a document would be found.
    excluded: Vec<Self>,
    /// The filters of the query itself.
    mask: Option<Matcher<'a>>,
    /// What it is, for explanations.
    pub name: String,
}

pub(super) enum NodeKind<'a> {
    /// Documents must have this many of the terms; the number of all terms for all of them.
    Text(TextLeaf<'a>, usize),
    Sparse(SparseLeaf<'a>),
    Fields(FieldsNode<'a>),
    Phrase(PhraseNode<'a>),
    Condition(Matcher<'a>),
    Required {
        must: Vec<Node<'a>>,
        should: Vec<Node<'a>>,
        minimum: usize,
    },
    Any(Vec<Node<'a>>, Combine, usize),
}

impl<'a> Node<'a> {
    /// Prepares a query without its filters.
    pub fn new(snapshot: &'a Snapshot, query: &Query, options: &SearchOptions) -> Result<Self> {
        let mut count = 0;
        Self::counted(snapshot, query, options, &mut count)
    }

    /// As [`new`](Self::new), with its filters.
    fn filtered(
        snapshot: &'a Snapshot,
        query: &Query,
        options: &SearchOptions,
        count: &mut usize,
    ) -> Result<Self> {
        let mask = Matcher::of_filters(snapshot, query, options)?;
        let node = Self::counted(snapshot, query, options, count)?;
        Ok(Self { mask, ..node })
    }

    fn counted(
        snapshot: &'a Snapshot,
        query: &Query,
        options: &SearchOptions,
        count: &mut usize,
    ) -> Result<Self> {
        check_parameters(query)?;
        *count += 1;
        if *count > MAX_QUERY_CLAUSES {
            let limit = MAX_QUERY_CLAUSES as u64;
            return Err(Error::limit(
                "number of terms and groups that a query scores",
                limit + 1,
                limit,
            ));
        }
        Ok(Self {
            segments: snapshot.segments(),
            kind: Self::kind(snapshot, query, options, count)?,
            boost: query.boost,
            excluded: Self::excluded(snapshot, query, options, count)?,
            mask: None,
            name: query.name(),
        })
    }

    fn excluded(
        snapshot: &'a Snapshot,
        query: &Query,
        options: &SearchOptions,
        count: &mut usize,
    ) -> Result<Vec<Self>> {
        let excluded = query.looked_up();
        let nodes = excluded.map(|query| {
            let node = Self::counted(snapshot, query, options, count)?;
            match node.skipped_terms() {
                0 => Ok(node),
                skipped => {
                    let (what, limit) = ("number of distinct terms of a filter", MAX_QUERY_TERMS);
                    let limit = limit as u64;
                    Err(Error::limit(what, limit + skipped, limit))
                }
            }
        });
        nodes.collect()
    }

    fn kind(
        snapshot: &'a Snapshot,
        query: &Query,
        options: &SearchOptions,
        count: &mut usize,
    ) -> Result<NodeKind<'a>> {
        if query.is_condition() {
            let matcher = Matcher::without_filters(snapshot, query, options)?;
            return Ok(NodeKind::Condition(matcher));
        }
        let mut each = |queries: &[Query]| {
            let nodes = queries.iter();
            let nodes = nodes.map(|query| Self::filtered(snapshot, query, options, count));
            nodes.collect::<Result<Vec<Self>>>()
        };
        Ok(match &query.kind {
            QueryKind::Text(text) => {
                let leaf = TextLeaf::new(snapshot, query, text, options)?;
                let minimum = leaf.minimum(query.minimum_terms);
                NodeKind::Text(leaf, minimum)
            }
            QueryKind::Analyzed(terms) => {
                let leaf = TextLeaf::of_terms(snapshot, query, terms, options)?;
                let minimum = leaf.minimum(query.minimum_terms);
                NodeKind::Text(leaf, minimum)
            }
            QueryKind::Sparse(vector) => {
                NodeKind::Sparse(SparseLeaf::new(snapshot, query, vector, options)?)
            }
            QueryKind::SparseNumbered(vector) => {
                NodeKind::Sparse(SparseLeaf::new(snapshot, query, vector, options)?)
            }
            QueryKind::Fields(fields, text) => {
                NodeKind::Fields(FieldsNode::new(snapshot, query, (fields, text), options)?)
            }
            QueryKind::Phrase(phrase) => {
                NodeKind::Phrase(PhraseNode::new(snapshot, query, phrase, options)?)
            }
            QueryKind::Bool(clauses) if clauses.must.is_empty() => {
                let minimum = clauses.minimum();
                NodeKind::Any(each(&clauses.should)?, Combine::Sum, minimum.max(1))
            }
            QueryKind::Bool(clauses) => NodeKind::Required {
                must: each(&clauses.must)?,
                should: each(&clauses.should)?,
                minimum: clauses.minimum(),
            },
            QueryKind::Best(queries, tie_breaker) => {
                let tie_breaker = *tie_breaker;
                NodeKind::Any(each(queries)?, Combine::Best { tie_breaker }, 1)
            }
            QueryKind::Dense(_) => {
                let message = "expected a query whose scores can be added to others, found a vector for a dense field, \
                               whose scores may be negative; fuse their rankings, or use it as a query of its own";
                return Err(Error::invalid(message).in_field(&query.field));
            }
            QueryKind::Condition(_) => {
                return Err(Error::invalid(
                    "expected a query with scores, found a condition",
                ));
            }
        })
    }

    /// The parts of the node, in the order of the query.
    pub fn parts(&self) -> Vec<&Self> {
        match &self.kind {
            NodeKind::Required { must, should, .. } => must.iter().chain(should).collect(),
            NodeKind::Any(parts, ..) => parts.iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Nodes and terms from here on: what sums are made of.
    pub fn size(&self) -> usize {
        let own = match &self.kind {
            NodeKind::Text(leaf, _) => leaf.terms().count(),
            NodeKind::Fields(fields) => fields.size(),
            NodeKind::Phrase(phrase) => phrase.size(),
            _ => 1,
        };
        self.parts()
            .iter()
            .fold(own + 1, |sum, part| sum + part.size())
    }

    /// Terms above the limit, which are not searched.
    pub fn skipped_terms(&self) -> u64 {
        let own = match &self.kind {
            NodeKind::Text(leaf, _) => leaf.skipped_terms(),
            NodeKind::Sparse(leaf) => leaf.skipped_terms(),
            _ => 0,
        };
        self.parts()
            .iter()
            .fold(own, |sum, part| sum + part.skipped_terms())
    }

    /// Postings of all terms in a segment.
    pub fn postings(&self, ordinal: usize) -> u64 {
        let own = match &self.kind {
            NodeKind::Text(leaf, _) => leaf.postings(ordinal),
            NodeKind::Sparse(leaf) => leaf.postings(ordinal),
            NodeKind::Fields(fields) => fields.postings(ordinal),
            NodeKind::Phrase(phrase) => phrase.postings(ordinal),
            NodeKind::Condition(_) => u64::from(self.documents(ordinal).div_ceil(u64::BITS)),
            _ => 0,
        };
        self.parts()
            .iter()
            .fold(own, |sum, part| sum + part.postings(ordinal))
    }

    fn documents(&self, ordinal: usize) -> u32 {
        self.segments[ordinal].reader.documents()
    }

    /// The node in a segment.
    pub fn scorer(&self, ordinal: usize) -> Result<AnyScorer<'_>> {
        let mut scorer = self.of_kind(ordinal)?;
        if self.boost != 1.0 && !matches!(self.kind, NodeKind::Condition(_)) {
            scorer = Box::new(Boosted::new(scorer, self.boost));
        }
        if !self.excluded.is_empty() {
            let excluded = scorers(&self.excluded, ordinal)?;
            scorer = Box::new(Without::new(scorer, excluded));
        }
        if let Some(mask) = &self.mask {
            scorer = Box::new(Masked::new(scorer, mask.documents(ordinal)?));
        }
        Ok(scorer)
    }

    fn of_kind(&self, ordinal: usize) -> Result<AnyScorer<'_>> {
        let documents = self.documents(ordinal);
        Ok(match &self.kind {
            NodeKind::Text(leaf, minimum) => text(leaf, *minimum, ordinal, documents)?,
            NodeKind::Sparse(leaf) => sparse(leaf, ordinal, documents)?,
            NodeKind::Fields(fields) => fields.scorer(ordinal, documents)?,
            NodeKind::Phrase(phrase) => phrase.scorer(ordinal)?,
            NodeKind::Condition(matcher) => {
                Box::new(Documents::new(matcher.documents(ordinal)?, self.boost))
            }
            NodeKind::Required {
                must,
                should,
                minimum,
            } => match *minimum > should.len() {
                true => Box::new(Nothing),
                false => Box::new(Required::new(
                    scorers(must, ordinal)?,
                    scorers(should, ordinal)?,
                    *minimum,
                )),
            },
            NodeKind::Any(parts, ..) if parts.is_empty() => Box::new(Nothing),
            NodeKind::Any(parts, _, minimum) if *minimum > parts.len() => Box::new(Nothing),
            NodeKind::Any(parts, combine, minimum) => {
                Box::new(Any::new(scorers(parts, ordinal)?, *combine, *minimum))
            }
        })
    }
}

fn scorers<'n>(nodes: &'n [Node<'_>], ordinal: usize) -> Result<Vec<AnyScorer<'n>>> {
    nodes.iter().map(|node| node.scorer(ordinal)).collect()
}

/// Words in a segment.
fn text<'n>(
    leaf: &'n TextLeaf<'_>,
    minimum: usize,
    ordinal: usize,
    documents: u32,
) -> Result<AnyScorer<'n>> {
    if leaf.lacks_required() {
        return Ok(Box::new(Nothing));
    }
    let cursors = leaf.cursors_of_weight(ordinal, None)?;
    let count = cursors.len();
    Ok(match minimum {
        minimum if count == 0 || minimum > count => Box::new(Nothing),
        0 | 1 => Box::new(Terms::new(cursors, documents)),
        minimum if minimum == count => {
            let terms = Terms::each(cursors, documents);
            Box::new(Required::new(terms, Vec::new(), 0))
        }
        minimum => {
            let terms = Terms::each(cursors, documents).into_iter();
            let terms = terms.map(|term| Box::new(term) as AnyScorer<'n>);
            Box::new(Any::new(terms.collect(), Combine::Sum, minimum))
        }
    })
}

/// A sparse vector in a segment.
fn sparse<'n>(leaf: &'n SparseLeaf<'_>, ordinal: usize, documents: u32) -> Result<AnyScorer<'n>> {
    let (cursors, terms) = (leaf.cursors(ordinal)?, leaf.required_terms());
    if cursors.is_empty() {
        return Ok(Box::new(Nothing));
    }
    let unit = leaf.unit();
    Ok(match terms {
        None => Box::new(InUnits::new(Terms::new(cursors, documents), unit)),
        Some(terms) => {
            let lists = Terms::each(cursors, documents);
            match lists.len() == terms {
                true => Box::new(InUnits::new(Required::new(lists, Vec::new(), 0), unit)),
                false => Box::new(Nothing),
            }
        }
    })
}
