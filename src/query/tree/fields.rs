//! Terms in several fields as if these were one: BM25F.
//!
//! A term's frequency is counted over the fields, each occurrence as much as its field's weight and
//! length say, before it saturates; so a second field with the term adds less than the first did,
//! and the number of fields does not favor a document. Robertson and Zaragoza, "The Probabilistic
//! Relevance Framework: BM25 and Beyond", 2009, section 3.4.
//!
//! The document frequency of a term is the max of those in the fields.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};

use super::any::{Any, Combine};
use super::documents::Nothing;
use super::required::Required;
use super::scorer::{AnyScorer, Scorer, WINDOW, is_rare};
use crate::error::{Error, Result};
use crate::format::limits::MAX_QUERY_TERMS;
use crate::format::{DocId, FieldKind};
use crate::index::Snapshot;
use crate::query::cursor::{Collected, Cursor, Matches};
use crate::query::leaf::Leaf;
use crate::query::options::SearchOptions;
use crate::query::request::Query;
use crate::query::text::{TextLeaf, idf};
use crate::query::text_cursor::TextCursor;
use crate::query::text_terms::count_terms;

/// With smaller ones, frequencies would be rounded to nothing.
const WEIGHTS: RangeInclusive<f32> = 1e-3..=1e3;

/// Words in several fields, with the statistics of the whole snapshot.
pub(super) struct FieldsNode<'a> {
    fields: Vec<Field<'a>>,
    /// The highest weight first: this is the query's term order.
    terms: Vec<Term>,
    /// How many of the terms a document must have.
    minimum: usize,
    /// False when a document must have a term that is not there.
    can_match: bool,
    segments: usize,
}

struct Field<'a> {
    leaf: TextLeaf<'a>,
    weight: f32,
}

struct Term {
    /// idf times the term's frequency in the query: the limit of the contribution.
    weight: f32,
    /// For each field the number of the term in its leaf.
    numbers: Vec<Option<usize>>,
}

/// What is known of a term while the fields are gone through.
#[derive(Default)]
struct Found {
    document_frequency: u64,
    numbers: Vec<Option<usize>>,
}

impl<'a> FieldsNode<'a> {
    /// Prepares words for fields with weights.
    pub fn new(
        snapshot: &'a Snapshot,
        query: &Query,
        (fields, text): (&[(String, f32)], &str),
        options: &SearchOptions,
    ) -> Result<Self> {
        let mut found: BTreeMap<String, Found> = BTreeMap::new();
        let (mut parts, mut documents) = (Vec::new(), 0);
        for (name, weight) in fields {
            check_weight(*weight).map_err(|error| error.in_field(name))?;
            let mut words = Query::text(name.as_str(), text);
            words.bm25 = query.bm25;
            let leaf = TextLeaf::new(snapshot, &words, text, options)?;
            let skipped = Leaf::skipped_terms(&leaf);
            if skipped > 0 {
                return Err(too_many(MAX_QUERY_TERMS as u64 + skipped));
            }
            documents = documents.max(snapshot.totals(leaf.field()).documents);
            for (number, (term, document_frequency)) in leaf.terms().enumerate() {
                let found = found.entry(term.to_owned()).or_default();
                found.document_frequency = found.document_frequency.max(document_frequency);
                found.numbers.resize(parts.len(), None);
                found.numbers.push(Some(number));
            }
            parts.push(Field {
                leaf,
                weight: *weight,
            });
        }
        let counts = counts(snapshot, fields, text)?;
        let mut terms = Vec::with_capacity(found.len());
        for (name, mut found) in found {
            found.numbers.resize(parts.len(), None);
            let count = counts.get(&name).copied().unwrap_or(1);
            let weight = idf(documents, found.document_frequency) * count as f32;
            terms.push((name, weight, found.numbers));
        }
        terms.sort_by(|(a, high, _), (b, low, _)| low.total_cmp(high).then_with(|| a.cmp(b)));
        let minimum = match query.all_terms {
            // All of no terms is nothing, as it is in one field.
            true => counts.len().max(1),
            false => query.minimum_terms.unwrap_or(1).max(1) as usize,
        };
        let terms = terms.into_iter();
        let terms: Vec<Term> = terms
            .map(|(_, weight, numbers)| Term { weight, numbers })
            .collect();
        if terms.len() > MAX_QUERY_TERMS {
            return Err(too_many(terms.len() as u64));
        }
        Ok(Self {
            can_match: minimum <= terms.len(),
            fields: parts,
            terms,
            minimum,
            segments: snapshot.segments().len(),
        })
    }

    pub fn size(&self) -> usize {
        self.terms.len() * (self.fields.len() + 1)
    }

    pub fn postings(&self, ordinal: usize) -> u64 {
        let fields = self.fields.iter();
        fields.map(|field| field.leaf.postings(ordinal)).sum()
    }

    pub fn scorer(&self, ordinal: usize, documents: u32) -> Result<AnyScorer<'_>> {
        debug_assert!(ordinal < self.segments);
        let mut of_fields = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let mut by_number: Vec<Option<TextCursor<'_>>> = Vec::new();
            for cursor in field.leaf.cursors_of_weight(ordinal, Some(1.0))? {
                by_number.resize_with(by_number.len().max(cursor.term() + 1), || None);
                let term = cursor.term();
                by_number[term] = Some(cursor);
            }
            of_fields.push(by_number);
        }
        let mut scorers: Vec<AnyScorer<'_>> = Vec::with_capacity(self.terms.len());
        for term in &self.terms {
            let mut lists = Vec::new();
            for ((field, cursors), number) in
                self.fields.iter().zip(&mut of_fields).zip(&term.numbers)
            {
                let cursor = number.and_then(|number| cursors.get_mut(number)?.take());
                lists.extend(cursor.map(|cursor| FieldList::new(field, cursor)));
            }
            if !lists.is_empty() {
                scorers.push(Box::new(TermInFields::new(lists, term.weight, documents)));
            }
        }
        let count = scorers.len();
        Ok(match self.minimum {
            minimum if !self.can_match || minimum > count => Box::new(Nothing),
            minimum if minimum == count => Box::new(Required::new(scorers, Vec::new(), 0)),
            minimum => Box::new(Any::new(scorers, Combine::Sum, minimum)),
        })
    }
}

fn too_many(terms: u64) -> Error {
    let what = "number of distinct terms of a query of several fields";
    Error::limit(what, terms, MAX_QUERY_TERMS as u64)
}

fn check_weight(weight: f32) -> Result<()> {
    if WEIGHTS.contains(&weight) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "expected the weight of a field to be a number from {} to {}, found {weight}",
        WEIGHTS.start(),
        WEIGHTS.end()
    )))
}

/// The terms of a text with their frequencies. All fields must have the same analyzer: else a word
/// would be another term in each.
fn counts(
    snapshot: &Snapshot,
    fields: &[(String, f32)],
    text: &str,
) -> Result<BTreeMap<String, u32>> {
    let Some((first, _)) = fields.first() else {
        let message = "expected at least one field to search in, found none";
        return Err(Error::invalid(message));
    };
    let number_of = |name: &str| {
        let field = snapshot.schema().expect(name, FieldKind::Text)?;
        Ok::<_, Error>(field.number)
    };
    let analyzer_of = |name: &str| {
        let analyzer = snapshot.expect_analyzer(number_of(name)?)?;
        Ok::<_, Error>(analyzer.name().to_owned())
    };
    let expected = analyzer_of(first)?;
    for (name, _) in &fields[1..] {
        let found = analyzer_of(name)?;
        if found != expected {
            let message = format!(
                "expected the analyzer `{expected}`, as of `{first}`, found `{found}`: fields that are searched as one \
                 have the same analyzer; search them by queries of their own"
            );
            return Err(Error::invalid(message).in_field(name));
        }
    }
    count_terms(snapshot, number_of(first)?, text)
}

/// A term's postings in one field.
struct FieldList<'a> {
    cursor: TextCursor<'a>,
    weight: f32,
    /// No document has more.
    bound: f32,
}

impl<'a> FieldList<'a> {
    fn new(field: &Field<'a>, cursor: TextCursor<'a>) -> Self {
        let weight = field.weight;
        let bound = amount_bound(cursor.bound()) * weight;
        Self {
            cursor,
            weight,
            bound,
        }
    }

    /// What the current document has of the term: its weighted and normalized frequency.
    fn amount(&self) -> f32 {
        self.weight * self.cursor.amount()
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> f32 {
        amount_bound(self.cursor.window_bound(window.start, window.end)) * self.weight
    }
}

/// A bound of the amounts whose contribution, at a weight of 1, is bounded by this.
fn amount_bound(contribution: f32) -> f32 {
    if contribution <= 0.0 {
        return 0.0;
    }
    // Rounding of the contribution is far below this.
    let rest = 1.0 - (f64::from(contribution) + 1e-6);
    if rest <= 0.0 {
        return f32::INFINITY;
    }
    (1.0 / rest - 1.0) as f32 * (1.0 + 1e-6)
}

/// One term in all fields.
struct TermInFields<'a> {
    lists: Vec<FieldList<'a>>,
    weight: f32,
    documents: u32,
    postings: u64,
    amounts: Vec<f32>,
}

impl<'a> TermInFields<'a> {
    fn new(lists: Vec<FieldList<'a>>, weight: f32, documents: u32) -> Self {
        let postings = lists.iter().map(|list| u64::from(list.cursor.len())).sum();
        Self {
            lists,
            weight,
            documents,
            postings,
            amounts: vec![0.0; WINDOW as usize],
        }
    }

    fn score(&self, amount: f32) -> f32 {
        self.weight - self.weight / (1.0 + amount)
    }

    fn bound_of(&self, amount: f32) -> f32 {
        match amount > 0.0 {
            true => (self.score(amount) * (1.0 + 1e-6) + self.weight * 1e-6).min(self.weight),
            false => 0.0,
        }
    }
}

impl Scorer for TermInFields<'_> {
    type Score = f32;

    fn cost(&self) -> u64 {
        self.postings
    }

    fn bound(&self) -> f32 {
        self.bound_of(self.lists.iter().map(|list| list.bound).sum())
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> f32 {
        let bounds = self.lists.iter_mut().map(|list| list.window_bound(window));
        let amount = bounds.sum();
        self.bound_of(amount)
    }

    fn next(&mut self, start: DocId) -> DocId {
        if !is_rare(self.postings, self.documents) {
            return start;
        }
        let next = self.lists.iter_mut().map(|list| {
            list.cursor.seek(start);
            list.cursor.document()
        });
        next.min().unwrap_or(self.documents).max(start)
    }

    fn collect(&mut self, window: &Range<DocId>, cut: Option<f32>, found: &mut Collected<f32>) {
        self.amounts.fill(0.0);
        for list in &mut self.lists {
            list.cursor.seek(window.start);
            while list.cursor.document() < window.end {
                let place = (list.cursor.document() - window.start) as usize;
                self.amounts[place] += list.amount();
                list.cursor.advance();
            }
        }
        let cut = cut.unwrap_or(0.0);
        for (document, amount) in window.clone().zip(&self.amounts) {
            if *amount > 0.0 {
                let score = self.score(*amount);
                if score > cut {
                    found.documents.push(document);
                    found.contributions.push(score);
                }
            }
        }
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<f32>) {
        for (place, document) in documents.iter().enumerate() {
            let mut amount = 0.0;
            for list in &mut self.lists {
                list.cursor.seek(*document);
                if list.cursor.document() == *document {
                    amount += list.amount();
                }
            }
            let score = self.score(amount);
            if score > 0.0 {
                found.places.push(place);
                found.contributions.push(score);
            }
        }
    }

    fn scored(&self) -> u64 {
        self.lists.iter().map(|list| list.cursor.scored()).sum()
    }

    fn take_error(&mut self) -> Option<Error> {
        self.lists
            .iter_mut()
            .find_map(|list| list.cursor.take_error())
    }
}
