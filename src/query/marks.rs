//! The words of a text that a query looks for.
//!
//! The text is analyzed once for each field of the query. Words and patterns are compared term by
//! term; the positions of the words of phrases are collected, and only those that stand as a phrase
//! are kept, by the rule by which phrases are searched.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use super::matching_terms::TermPattern;
use super::phrase_places::{
    BEGINNING, Beginning, PhraseWords, Place, check_slop, exact_shifts, least_movement,
    moved_positions,
};
use super::request::{Condition, Phrase, Query, QueryKind};
use super::text_terms::analyze;
use crate::error::Result;
use crate::format::{FieldKind, FieldNumber, Value};
use crate::index::Snapshot;

/// A word of a text, with one of its terms that a query looks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Occurrence {
    /// The bytes of the text.
    pub range: Range<usize>,
    /// The term's place in [`Occurrences::terms`].
    pub term: usize,
}

/// What a query looks for and a text has.
#[derive(Debug, Default)]
pub(super) struct Occurrences {
    /// In the order of the text: neither beginnings nor ends fall.
    pub all: Vec<Occurrence>,
    /// The distinct terms that occur, each with one of its fields.
    pub terms: Vec<(FieldNumber, String)>,
}

impl Snapshot {
    /// The words of a text that a query looks for: in this field, or in all text fields.
    pub(super) fn occurrences(
        &self,
        query: &Query,
        field: Option<&str>,
        text: &str,
    ) -> Result<Occurrences> {
        let only = match field {
            Some(name) => Some(self.schema().expect(name, FieldKind::Text)?.number),
            None => None,
        };
        let mut all = AllSought {
            only,
            of_fields: BTreeMap::new(),
        };
        self.collect_sought(query, &mut all)?;
        let mut found = Found::default();
        for (field, sought) in all.of_fields {
            sought.find(self, field, text, &mut found)?;
        }
        Ok(found.finish())
    }

    /// Adds what a query looks for. Filters and excluded queries are left out: they say which
    /// documents are wanted, not what they are about.
    fn collect_sought(&self, query: &Query, all: &mut AllSought) -> Result<()> {
        let expect = |name: &str| self.schema().expect(name, FieldKind::Text);
        let mut parts: Vec<&Query> = Vec::new();
        match &query.kind {
            QueryKind::Text(text) => {
                let field = expect(&query.field)?.number;
                if let Some(sought) = all.of_field(field) {
                    sought.terms.extend(analyze(self, field, text)?.into_keys());
                }
            }
            QueryKind::Analyzed(terms) => {
                let field = expect(&query.field)?.number;
                if let Some(sought) = all.of_field(field) {
                    sought.terms.extend(terms.iter().cloned());
                }
            }
            QueryKind::Fields(fields, text) => {
                for (name, _) in fields {
                    let field = expect(name)?.number;
                    if let Some(sought) = all.of_field(field) {
                        sought.terms.extend(analyze(self, field, text)?.into_keys());
                    }
                }
            }
            QueryKind::Phrase(phrase) => {
                let field = expect(&query.field)?.number;
                if let Some(sought) = all.of_field(field) {
                    check_slop(phrase)?;
                    let words = PhraseWords::new(self.expect_analyzer(field)?, phrase)?;
                    sought.phrases.push(SoughtPhrase::new(words, phrase));
                }
            }
            QueryKind::Condition(Condition::AllOf(queries) | Condition::AnyOf(queries)) => {
                parts.extend(queries);
            }
            QueryKind::Condition(condition) => {
                let field = self.schema().field(&query.field);
                let field = field.filter(|field| field.options.kind() == FieldKind::Text);
                if let Some(sought) = field.and_then(|field| all.of_field(field.number)) {
                    sought.add_condition(condition)?;
                }
            }
            QueryKind::Bool(clauses) => parts.extend(clauses.must.iter().chain(&clauses.should)),
            QueryKind::Best(queries, _) => parts.extend(queries),
            QueryKind::Sparse(_) | QueryKind::SparseNumbered(_) | QueryKind::Dense(_) => {}
        }
        for part in parts {
            self.collect_sought(part, all)?;
        }
        Ok(())
    }
}

/// What a query looks for, by field.
struct AllSought {
    /// The only field that is wanted, or `None` for all.
    only: Option<FieldNumber>,
    of_fields: BTreeMap<FieldNumber, Sought>,
}

impl AllSought {
    /// What it looks for in a field, to add to; `None` when the field is not wanted.
    fn of_field(&mut self, field: FieldNumber) -> Option<&mut Sought> {
        match self.only {
            Some(only) if only != field => None,
            _ => Some(self.of_fields.entry(field).or_default()),
        }
    }
}

/// What a query looks for in one field.
#[derive(Default)]
struct Sought {
    terms: HashSet<String>,
    patterns: Vec<TermPattern>,
    phrases: Vec<SoughtPhrase>,
}

impl Sought {
    /// Adds the terms of a condition; one such as a range has none.
    fn add_condition(&mut self, condition: &Condition) -> Result<()> {
        match condition {
            Condition::Terms(terms) => self.terms.extend(terms.iter().map(Value::to_string)),
            Condition::Matching(pattern) => self.patterns.push(TermPattern::new(pattern)?),
            _ => {}
        }
        Ok(())
    }

    fn find(
        mut self,
        snapshot: &Snapshot,
        field: FieldNumber,
        text: &str,
        found: &mut Found,
    ) -> Result<()> {
        let analyzer = snapshot.expect_analyzer(field)?;
        analyzer.positions(text, &mut |term, position, range| {
            // An analyzer of the application may be wrong.
            if text.get(range.clone()).is_none_or(str::is_empty) {
                return;
            }
            if self.terms.contains(term) || self.patterns.iter().any(|p| p.matches(term)) {
                found.add(field, term, range.clone());
            }
            for phrase in &mut self.phrases {
                phrase.see(term, position, &range);
            }
        });
        for phrase in self.phrases {
            phrase.finish(field, found);
        }
        Ok(())
    }
}

/// A phrase, and where a text has its words.
struct SoughtPhrase {
    slop: i64,
    /// The places of the phrase, and at the end that of the beginning.
    places: Vec<Place>,
    /// The number of each word, and its positions.
    words: HashMap<String, (usize, Vec<u32>)>,
    beginning: Option<Beginning>,
    /// Terms with the beginning, with their positions.
    begun: Vec<(u32, String)>,
    /// The words at the positions that matter, in order.
    ranges: Vec<(u32, Range<usize>)>,
}

impl SoughtPhrase {
    fn new(words: PhraseWords, phrase: &Phrase) -> Self {
        let mut numbers = HashMap::new();
        let mut places = Vec::new();
        for (position, term) in words.terms {
            let next = numbers.len();
            let (number, _) = numbers.entry(term).or_insert((next, Vec::new()));
            places.push(Place::new(*number, position));
        }
        let beginning = words.beginning.map(|(pattern, position)| {
            places.push(Place::new(BEGINNING, position));
            pattern
        });
        Self {
            slop: i64::from(phrase.slop),
            places,
            words: numbers,
            beginning,
            begun: Vec::new(),
            ranges: Vec::new(),
        }
    }

    /// Takes the next term of the text.
    fn see(&mut self, term: &str, position: u32, range: &Range<usize>) {
        let mut is_part = false;
        if let Some((_, positions)) = self.words.get_mut(term) {
            positions.push(position);
            is_part = true;
        }
        if self.beginning.as_ref().is_some_and(|b| b.matches(term)) {
            self.begun.push((position, term.to_owned()));
            is_part = true;
        }
        let is_known = self.ranges.last().is_some_and(|last| last.0 == position);
        if is_part && !is_known {
            self.ranges.push((position, range.clone()));
        }
    }

    /// Adds the words that stand as the phrase.
    fn finish(mut self, field: FieldNumber, found: &mut Found) {
        let mut names = vec![""; self.words.len()];
        for (name, (number, positions)) in &mut self.words {
            positions.dedup();
            names[*number] = name.as_str();
            let places = self.places.iter_mut();
            for place in places.filter(|place| place.number == *number) {
                place.found.clone_from(positions);
            }
        }
        if self.beginning.is_some()
            && let Some(last) = self.places.last_mut()
        {
            last.found = self.begun.iter().map(|(position, _)| *position).collect();
            last.found.dedup();
        }
        // Occurrences overlap, and each word is marked once.
        let mut taken: BTreeSet<(u32, usize)> = BTreeSet::new();
        let Some((first, others)) = self.places.split_first() else {
            return;
        };
        if self.slop == 0 || others.is_empty() {
            let mut shifts = Vec::new();
            exact_shifts(&self.places, &mut shifts);
            for shift in shifts {
                for place in &self.places {
                    if let Ok(position) = u32::try_from(shift + place.offset) {
                        taken.insert((position, place.number));
                    }
                }
            }
        } else {
            for position in &first.found {
                let movement = least_movement(first, *position, others, self.slop);
                let moved = movement.and_then(|by| moved_positions(first, *position, others, &by));
                let moved = moved.unwrap_or_default().into_iter();
                taken.extend(moved.map(|(number, position)| (position, number)));
            }
        }
        let mut add = |number: usize, position: u32| {
            let at = self.ranges.binary_search_by_key(&position, |(at, _)| *at);
            let Some((_, range)) = at.ok().and_then(|at| self.ranges.get(at)) else {
                return;
            };
            if let Some(name) = names.get(number) {
                found.add(field, name, range.clone());
                return;
            }
            let from = self.begun.partition_point(|(at, _)| *at < position);
            let here = self.begun[from..].iter();
            for (_, term) in here.take_while(|(at, _)| *at == position) {
                found.add(field, term, range.clone());
            }
        };
        for (position, number) in taken {
            add(number, position);
        }
    }
}

/// Occurrences while they are collected.
#[derive(Default)]
struct Found {
    all: Vec<Occurrence>,
    terms: Vec<(FieldNumber, String)>,
    numbers: HashMap<String, usize>,
}

impl Found {
    fn add(&mut self, field: FieldNumber, term: &str, range: Range<usize>) {
        let number = match self.numbers.get(term) {
            Some(number) => *number,
            None => {
                let number = self.terms.len();
                self.terms.push((field, term.to_owned()));
                self.numbers.insert(term.to_owned(), number);
                number
            }
        };
        self.all.push(Occurrence {
            range,
            term: number,
        });
    }

    fn finish(mut self) -> Occurrences {
        // The longer word of two that begin together is the first.
        self.all
            .sort_by_key(|one| (one.range.start, usize::MAX - one.range.end, one.term));
        // A word inside another, as another field's analyzer finds it, counts as the whole.
        let mut last = 0..0;
        for one in &mut self.all {
            if one.range.end <= last.end {
                one.range = last.clone();
            } else {
                last = one.range.clone();
            }
        }
        self.all.dedup();
        Occurrences {
            all: self.all,
            terms: self.terms,
        }
    }
}

/// Makes one of ranges that overlap, and lets none begin or end inside of what is seen as one
/// character, a grapheme cluster. Ranges are in order.
pub(super) fn merged(text: &str, ranges: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut clusters = text.grapheme_indices(true);
    let mut cluster = 0..0;
    let mut all: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        // Neither beginnings nor ends fall, so clusters are visited once.
        while range.start >= cluster.end
            && let Some((start, part)) = clusters.next()
        {
            cluster = start..start + part.len();
        }
        let start = match cluster.contains(&range.start) {
            true => cluster.start,
            false => range.start,
        };
        while range.end > cluster.end
            && let Some((start, part)) = clusters.next()
        {
            cluster = start..start + part.len();
        }
        let range = start..range.end.max(cluster.end);
        match all.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => all.push(range),
        }
    }
    all
}
