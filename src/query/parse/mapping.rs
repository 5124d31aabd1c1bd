//! What the nodes of the query language mean in an index.

use std::cell::RefCell;

use super::columns::{in_column, in_sparse};
use super::parts::Parts;
use super::words::{TIE_BREAKER, Words, boosted};
use super::{ID, QueryParser};
use crate::error::{Error, Result};
use crate::format::{FieldKind, FieldOptions};
use crate::index::Snapshot;
use crate::query::capabilities::BOOSTS;
use crate::query::language::{Clause, Node, NodeKind, Occur, placed};
use crate::query::options::SearchOptions;
use crate::query::prepare::prepare;
use crate::query::request::Query;

/// From nodes to queries.
pub(super) struct Mapping<'a> {
    parser: &'a QueryParser,
    snapshot: &'a Snapshot,
    source: &'a str,
    words: Words<'a>,
    /// Mistakes so far, where they are searched as words.
    mistakes: Option<RefCell<Vec<String>>>,
}

/// The fields that a node is searched in; `None` for those of the parser.
type Fields<'a> = Option<&'a [String]>;

impl<'a> Mapping<'a> {
    pub fn new(
        parser: &'a QueryParser,
        snapshot: &'a Snapshot,
        source: &'a str,
        is_lenient: bool,
    ) -> Self {
        Self {
            parser,
            snapshot,
            source,
            words: Words::new(parser, snapshot),
            mistakes: is_lenient.then(RefCell::default),
        }
    }

    /// What was searched as words.
    pub fn into_mistakes(self) -> Vec<String> {
        self.mistakes.map(RefCell::into_inner).unwrap_or_default()
    }

    /// What a mistake becomes: an error, or something else and a note.
    fn mistake(&self, error: Error, instead: impl FnOnce() -> Query) -> Result<Query> {
        match &self.mistakes {
            Some(mistakes) => {
                mistakes.borrow_mut().push(error.to_string());
                Ok(instead())
            }
            None => Err(error),
        }
    }

    /// A query of a part of the source, or its words if it does not fit the index.
    fn checked(&self, node: &Node, query: Result<Query>) -> Result<Query> {
        let query = query.and_then(|query| {
            prepare(self.snapshot, &query, &SearchOptions::new(1))?;
            Ok(query)
        });
        let query = query.map_err(|error| self.placed(node, error));
        self.or_words(node, query)
    }

    /// An error about a node, with its place.
    fn placed(&self, node: &Node, error: Error) -> Error {
        match error {
            Error::InvalidInput { .. } => {
                let message = placed(&error.to_string(), self.source, node.span.start);
                Error::invalid(message)
            }
            error => error,
        }
    }

    fn or_words(&self, node: &Node, query: Result<Query>) -> Result<Query> {
        query.or_else(|error| {
            let text = self.source.get(node.span.clone()).unwrap_or_default();
            self.mistake(error, || self.words.plain(text))
        })
    }

    /// The query that a node means. The parts of a lenient query are checked one by one, and then
    /// together: there may be too many of them.
    pub fn root(&self, node: &Node) -> Result<Query> {
        let query = match node.kind {
            // As words they find nothing either, but it can be told which have no terms.
            NodeKind::Nothing => self.words.in_all(self.source)?,
            _ => self.node(node, None)?,
        };
        let fits = match &self.mistakes {
            Some(_) => prepare(self.snapshot, &query, &SearchOptions::new(1)).map(|_| query),
            None => Ok(query),
        };
        self.or_words(node, fits)
    }

    fn node(&self, node: &Node, fields: Fields<'_>) -> Result<Query> {
        Ok(match &node.kind {
            NodeKind::Nothing => Query::any_of([]),
            NodeKind::Everything => Query::all(),
            NodeKind::Words(text) if fields.is_none() => {
                return self.checked(node, self.words.in_all(text));
            }
            NodeKind::Field { names, node } => self.node(node, Some(names))?,
            NodeKind::Boost { node: of, factor } => {
                let query = self.node(of, fields)?;
                match above_zero(*factor) {
                    Ok(factor) => boosted(query, factor),
                    Err(error) => self.mistake(self.placed(node, error), || query)?,
                }
            }
            NodeKind::ConstantScore { node: of, score } => {
                let query = self.node(of, fields)?;
                match above_zero(*score) {
                    Ok(score) => query.with_constant_score(score),
                    Err(error) => self.mistake(self.placed(node, error), || query)?,
                }
            }
            NodeKind::Not(node) => Query::all().without(self.node(node, fields)?),
            NodeKind::All(nodes) => self.all(nodes, fields)?,
            NodeKind::Any(nodes) => {
                let queries = nodes.iter().map(|node| self.node(node, fields));
                let queries = queries.collect::<Result<Vec<_>>>()?;
                queries.into_iter().fold(Query::bool(), Query::should)
            }
            NodeKind::Group { clauses, minimum } => self.group(clauses, *minimum, fields)?,
            _ => return self.checked(node, self.in_fields(node, fields)),
        })
    }

    /// Operands of `AND`. Words that analysis drops, such as stop words, need not be there.
    fn all(&self, nodes: &[Node], fields: Fields<'_>) -> Result<Query> {
        let mut parts = Parts::default();
        for node in nodes {
            match &node.kind {
                NodeKind::Not(node) => parts.without(self.node(node, fields)?),
                _ => parts.must(self.node(node, fields)?, self.is_dropped(node, fields)?),
            }
        }
        Ok(parts.into_query(None))
    }

    fn group(
        &self,
        clauses: &[Clause],
        minimum: Option<usize>,
        fields: Fields<'_>,
    ) -> Result<Query> {
        let are_required = self.parser.all_terms && minimum.is_none();
        let mut parts = Parts::default();
        for Clause { occur, node } in clauses {
            let part = self.node(node, fields)?;
            match occur {
                Occur::MustNot => parts.without(part),
                Occur::Should if !are_required => {
                    // A word that analysis drops cannot count towards the minimum.
                    if minimum.is_none() || !self.is_dropped(node, fields)? {
                        parts.should(part);
                    }
                }
                _ => parts.must(part, self.is_dropped(node, fields)?),
            }
        }
        Ok(parts.into_query(minimum))
    }

    /// Whether a node is of words that analysis drops.
    fn is_dropped(&self, node: &Node, fields: Fields<'_>) -> Result<bool> {
        let (text, names) = match &node.kind {
            NodeKind::Words(text) => (text, fields),
            NodeKind::Field { names, node } => match &node.kind {
                NodeKind::Words(text) => (text, Some(&names[..])),
                _ => return Ok(false),
            },
            _ => return Ok(false),
        };
        for (name, _) in self.names(names) {
            let field = self.snapshot.schema().field(name);
            let is_text = field.is_some_and(|field| field.options.kind() == FieldKind::Text);
            if !is_text || self.snapshot.has_terms(&Query::text(name, text.as_str()))? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The names and weights of fields.
    fn names<'n>(&'n self, fields: Fields<'n>) -> Vec<(&'n str, f32)> {
        match fields {
            Some(names) => names.iter().map(|name| (name.as_str(), 1.0)).collect(),
            None => {
                let fields = self.parser.fields.iter();
                fields
                    .map(|(name, weight)| (name.as_str(), *weight))
                    .collect()
            }
        }
    }

    /// A term, in the one of its fields that fits best.
    fn in_fields(&self, node: &Node, fields: Fields<'_>) -> Result<Query> {
        let names = self.names(fields);
        if let [(name, weight)] = names[..] {
            return Ok(boosted(self.in_field(node, name)?, weight));
        }
        let queries = names.into_iter().map(|(name, weight)| {
            let query = self.in_field(node, name)?;
            Ok(boosted(query, weight))
        });
        Ok(Query::best_of(
            queries.collect::<Result<Vec<_>>>()?,
            TIE_BREAKER,
        ))
    }

    fn in_field(&self, node: &Node, name: &str) -> Result<Query> {
        if name == ID {
            return ids(node);
        }
        let Some(field) = self.snapshot.schema().field(name) else {
            // The error that names the fields of the index.
            self.snapshot.schema().expect(name, FieldKind::Text)?;
            return Err(Error::invalid("expected the name of a field").in_field(name));
        };
        let query = match &field.options {
            FieldOptions::Text(_) => self.words.in_text(node, name),
            FieldOptions::Column(column) => in_column(node, name, column.column_type),
            FieldOptions::Sparse(sparse) => in_sparse(node, name, sparse.terms),
            _ if matches!(node.kind, NodeKind::Exists) => Ok(Query::exists(name)),
            options => Err(Error::invalid(format!(
                "expected a field of text, of weights or a column, found a {} field",
                options.kind().name()
            ))),
        };
        query.map_err(|error| error.in_field(name))
    }
}

/// Documents by their external ids.
fn ids(node: &Node) -> Result<Query> {
    match &node.kind {
        NodeKind::Words(id)
        | NodeKind::Phrase {
            text: id,
            slop: 0,
            prefix: false,
        } => Ok(Query::ids([id.as_str()])),
        NodeKind::Exists => Ok(Query::all()),
        NodeKind::Set(ids) => Ok(Query::ids(ids.iter().map(String::as_str))),
        _ => Err(Error::invalid(format!(
            "expected an id, or `IN(…)` with several, after `{ID}:`, found something else"
        ))),
    }
}

/// A boost or a constant score.
fn above_zero(number: f32) -> Result<f32> {
    match BOOSTS.contains(&number) {
        true => Ok(number),
        false => Err(Error::invalid(format!(
            "expected a number above 0 after `^`, from {:e} to {:e}, found {number}",
            BOOSTS.start(),
            BOOSTS.end()
        ))),
    }
}
