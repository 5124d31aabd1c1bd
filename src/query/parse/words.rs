//! What words and patterns of the query language mean in fields of text.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::QueryParser;
use super::columns::wildcard;
use crate::error::{Error, Result};
use crate::format::FieldKind;
use crate::index::Snapshot;
use crate::query::language::{Node, NodeKind};
use crate::query::request::Query;
use crate::text::{Analyzer, FieldSynonyms};

/// The share of the other fields' scores, where a term is looked for in several fields that cannot
/// be searched as one.
pub(super) const TIE_BREAKER: f32 = 0.3;

/// Words in the fields of an index.
pub(super) struct Words<'a> {
    parser: &'a QueryParser,
    snapshot: &'a Snapshot,
    /// The parser's synonyms, by the field for which they were analyzed.
    synonyms: RefCell<BTreeMap<String, Arc<FieldSynonyms>>>,
}

impl<'a> Words<'a> {
    pub fn new(parser: &'a QueryParser, snapshot: &'a Snapshot) -> Self {
        Self {
            parser,
            snapshot,
            synonyms: RefCell::default(),
        }
    }

    /// Words in the parser's fields.
    pub fn in_all(&self, text: &str) -> Result<Query> {
        if let [(field, weight)] = &self.parser.fields[..]
            && let Some(query) = self.with_synonyms(field, text)?
        {
            return Ok(boosted(query, *weight));
        }
        Ok(self.plain(text))
    }

    /// Words in the parser's fields, without synonyms.
    pub fn plain(&self, text: &str) -> Query {
        let in_field = |(field, weight): &(String, f32)| {
            boosted(self.of_words(Query::text(field.as_str(), text)), *weight)
        };
        match &self.parser.fields[..] {
            [field] => in_field(field),
            fields if self.have_one_analyzer(fields) => {
                self.of_words(Query::text_in(fields.iter().cloned(), text))
            }
            fields => Query::best_of(fields.iter().map(in_field), TIE_BREAKER),
        }
    }

    /// A query of words, of which all are asked for where the parser says so.
    fn of_words(&self, query: Query) -> Query {
        let query = self.scored(query);
        match self.parser.all_terms {
            true => query.with_all_terms(),
            false => query,
        }
    }

    /// A query of words or a phrase, with the parser's parameters.
    fn scored(&self, query: Query) -> Query {
        match self.parser.bm25 {
            Some(bm25) => query.with_bm25(bm25),
            None => query,
        }
    }

    /// Words and their synonyms; `None` where these are not asked for.
    fn with_synonyms(&self, field: &str, text: &str) -> Result<Option<Query>> {
        let synonyms = self.parser.synonyms.as_ref();
        let Some(synonyms) = synonyms.filter(|_| !self.parser.all_terms) else {
            return Ok(None);
        };
        let mut of_fields = self.synonyms.borrow_mut();
        let synonyms = match of_fields.get(field) {
            Some(known) => Arc::clone(known),
            None => {
                let analyzed = Arc::new(synonyms.for_analyzer(self.analyzer(field)?)?);
                of_fields.insert(field.to_owned(), Arc::clone(&analyzed));
                analyzed
            }
        };
        let query = Query::text_with_synonyms(field, text, &synonyms);
        Ok(Some(match self.parser.bm25 {
            Some(bm25) => query.with_bm25_of_words(bm25),
            None => query,
        }))
    }

    fn analyzer(&self, field: &str) -> Result<&Analyzer> {
        let field = self.snapshot.schema().expect(field, FieldKind::Text)?;
        self.snapshot.expect_analyzer(field.number)
    }

    fn have_one_analyzer(&self, fields: &[(String, f32)]) -> bool {
        let names = fields
            .iter()
            .map(|(field, _)| Some(self.analyzer(field).ok()?.name()));
        let names: Option<Vec<&str>> = names.collect();
        names.is_some_and(|names| names.windows(2).all(|pair| pair[0] == pair[1]))
    }

    /// A term in a field of text.
    pub fn in_text(&self, node: &Node, name: &str) -> Result<Query> {
        let normal = |text: &str| Ok(self.analyzer(name)?.normalize(text));
        Ok(match &node.kind {
            NodeKind::Words(text) => match self.with_synonyms(name, text)? {
                Some(query) => query,
                None => self.of_words(Query::text(name, text.as_str())),
            },
            NodeKind::Phrase { text, slop, prefix } => {
                let query = match prefix {
                    true => Query::phrase_prefix(name, text.as_str()),
                    false => Query::phrase(name, text.as_str()),
                };
                self.scored(query.with_slop(*slop))
            }
            NodeKind::Prefix(prefix) => Query::prefix(name, normal(prefix)?),
            NodeKind::Wildcard(pieces) => Query::wildcard(name, wildcard(pieces, normal)?),
            NodeKind::Regex(expression) => Query::regex(name, expression.as_str()),
            NodeKind::Fuzzy { word, distance } => {
                Query::fuzzy(name, term_of(self.analyzer(name)?, word), *distance)
            }
            NodeKind::Set(terms) => {
                let terms = terms.iter();
                Query::any_of(terms.map(|text| Query::text(name, text.as_str()).with_all_terms()))
            }
            NodeKind::Exists => Query::exists(name),
            _ => {
                return Err(Error::invalid(
                    "expected a column for a range of values, found a text field",
                ));
            }
        })
    }
}

/// The term of a word, as documents have it: what fuzzy terms are compared with.
fn term_of(analyzer: &Analyzer, word: &str) -> String {
    let mut terms = Vec::new();
    analyzer.analyze_query(word, &mut |term, _| terms.push(term.to_owned()));
    match &mut terms[..] {
        [term] => std::mem::take(term),
        _ => analyzer.normalize(word),
    }
}

/// A query with a boost, unless that changes nothing.
pub(super) fn boosted(query: Query, boost: f32) -> Query {
    match boost {
        1.0 => query,
        _ => query.with_boost(boost),
    }
}
