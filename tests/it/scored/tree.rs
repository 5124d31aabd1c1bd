//! Random trees of queries with scores, and the plain evaluator of one document.

use std::collections::BTreeMap;

use esparsa::{Query, SearchOptions, Snapshot};

use crate::conditions::documents::{Doc, NOTE_WORDS, WORDS};
use crate::conditions::tree::{Pattern, Tree, edits, field_of, random_pattern, tree};
use crate::random::Random;

/// How many of some words documents must have.
#[derive(Clone, Copy)]
pub enum Mode {
    Any,
    All,
    AtLeast(u32),
}

/// A query with scores as the plain evaluator reads it.
pub enum Scored {
    Words(&'static str, Vec<u64>, Mode),
    Weights(Vec<u64>, bool),
    /// Weights of the text and of the title.
    Fields([f32; 2], Vec<u64>, Mode),
    /// Words, by how much they may be moved, and the beginning of a last one.
    Phrase(Vec<usize>, u32, Option<&'static str>),
    Condition(Tree),
    Pattern(Pattern, bool),
    Bool {
        must: Vec<Scored>,
        should: Vec<Scored>,
        minimum: Option<u32>,
    },
    Best(Vec<Scored>, f32),
    Boosted(Box<Scored>, f32),
    Constant(Box<Scored>, f32),
    Filtered(Box<Scored>, Vec<Tree>, Vec<Tree>),
}

fn mode(random: &mut Random) -> Mode {
    match random.below(4) {
        0 => Mode::All,
        1 => Mode::AtLeast(1 + random.below(3) as u32),
        _ => Mode::Any,
    }
}

fn words(random: &mut Random) -> Vec<u64> {
    let count = random.below(5);
    // A few are in no document.
    (0..count).map(|_| random.below(WORDS + 2)).collect()
}

fn parts(random: &mut Random, depth: u64, max: u64) -> Vec<Scored> {
    let count = random.below(max);
    (0..count).map(|_| scored(random, depth)).collect()
}

pub fn scored(random: &mut Random, depth: u64) -> Scored {
    let boost = random.pick(&[0.25, 0.7, 1.0, 3.3, 1e-6, 1e6, 1e9]);
    match random.below(if depth == 0 { 9 } else { 16 }) {
        0..=2 => Scored::Words(
            ["text", "title"][random.below(2) as usize],
            words(random),
            mode(random),
        ),
        3 => Scored::Weights(words(random), random.chance(3)),
        4 => {
            let weight = random.pick(&[1e-3, 0.7, 1.0, 1e3]);
            Scored::Fields([weight, 1.5], words(random), mode(random))
        }
        5 | 6 => Scored::Condition(tree(random, 1)),
        7 => {
            let (pattern, is_text) = random_pattern(random);
            Scored::Pattern(pattern, is_text)
        }
        8 => {
            let count = random.below(4) as usize;
            let words = (0..count).map(|_| random.below(NOTE_WORDS.len() as u64) as usize);
            let words = words.collect();
            let beginning = random.pick(&[None, None, Some("w"), Some("w1")]);
            Scored::Phrase(words, random.below(5) as u32 / 2 * 2, beginning)
        }
        9..=11 => Scored::Bool {
            must: parts(random, depth - 1, 3),
            should: parts(random, depth - 1, 4),
            minimum: random.chance(3).then_some(random.below(4) as u32),
        },
        12 => Scored::Best(
            parts(random, depth - 1, 4),
            [0.0, 0.3, 1.0][random.below(3) as usize],
        ),
        13 => Scored::Boosted(Box::new(scored(random, depth - 1)), boost),
        14 => Scored::Constant(Box::new(scored(random, depth - 1)), boost),
        _ => {
            let inner = Box::new(scored(random, depth - 1));
            let filters = (0..random.below(2)).map(|_| tree(random, 1)).collect();
            let excluded = (0..random.below(2)).map(|_| tree(random, 1)).collect();
            Scored::Filtered(inner, filters, excluded)
        }
    }
}

fn text(words: &[u64]) -> String {
    let words: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
    words.join(" ")
}

fn with_mode(query: Query, mode: Mode) -> Query {
    match mode {
        Mode::Any => query,
        Mode::All => query.with_all_terms(),
        Mode::AtLeast(minimum) => query.with_minimum_terms(minimum),
    }
}

/// Distinct words of a query that a document's words have, and how many there are.
fn have(words: &[u64], of_document: impl Fn(&u64) -> bool) -> (usize, usize) {
    let mut distinct = words.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    let found = distinct.iter().filter(|word| of_document(word)).count();
    (found, distinct.len())
}

fn enough(mode: Mode, (found, distinct): (usize, usize)) -> bool {
    match mode {
        Mode::Any => found > 0,
        Mode::All => found == distinct && distinct > 0,
        Mode::AtLeast(minimum) => found >= minimum as usize,
    }
}

impl Scored {
    pub fn query(&self) -> Query {
        let all = |parts: &[Self]| parts.iter().map(Self::query).collect::<Vec<_>>();
        match self {
            Self::Words(field, words, mode) => with_mode(Query::text(*field, text(words)), *mode),
            Self::Weights(words, all_terms) => {
                let weights = words.iter().map(|w| (format!("t{w}"), 0.5 + *w as f32));
                let query = Query::sparse("sparse", weights);
                if *all_terms {
                    query.with_all_terms()
                } else {
                    query
                }
            }
            Self::Fields([of_text, of_title], words, mode) => {
                let fields = [("text", *of_text), ("title", *of_title)];
                with_mode(Query::text_in(fields, text(words)), *mode)
            }
            Self::Phrase(words, slop, beginning) => {
                let words = words.iter().map(|word| NOTE_WORDS[*word]);
                let words: Vec<&str> = words.chain(*beginning).collect();
                let query = match beginning {
                    Some(_) => Query::phrase_prefix("note", words.join(" ")),
                    None => Query::phrase("note", words.join(" ")),
                };
                query.with_slop(*slop)
            }
            Self::Condition(tree) => tree.query().with_constant_score(1.0),
            Self::Pattern(pattern, is_text) => pattern.query(field_of(*is_text)),
            Self::Bool {
                must,
                should,
                minimum,
            } => {
                let query = all(must).into_iter().fold(Query::bool(), Query::must);
                let query = all(should).into_iter().fold(query, Query::should);
                match minimum {
                    Some(minimum) => query.with_minimum_should(*minimum),
                    None => query,
                }
            }
            Self::Best(parts, tie_breaker) => Query::best_of(all(parts), *tie_breaker),
            // A query of one part: a boost of a boost would be one boost.
            Self::Boosted(part, boost) => Query::bool().must(part.query()).with_boost(*boost),
            Self::Constant(part, score) => part.query().with_constant_score(*score),
            Self::Filtered(part, filters, excluded) => {
                let part = Query::bool().must(part.query());
                let filters = filters.iter().map(Tree::query);
                let query = filters.fold(part, Query::with_filter);
                excluded.iter().map(Tree::query).fold(query, Query::without)
            }
        }
    }

    /// The score of a document; `None` when it does not match.
    pub fn score(&self, doc: &Doc, of_leaves: &Leaves<'_>) -> Option<f32> {
        match self {
            Self::Words(field, words, mode) => {
                let of_document = match *field {
                    "text" => &doc.words,
                    _ => &doc.title,
                };
                let found = have(words, |word| of_document.contains(word));
                let score = of_leaves.search(&Query::text(*field, text(words)), &doc.id);
                score.filter(|_| enough(*mode, found))
            }
            Self::Weights(..) => of_leaves.search(&self.query(), &doc.id),
            Self::Fields(weights, words, mode) => {
                let found = have(words, |word| {
                    doc.words.contains(word) || doc.title.contains(word)
                });
                enough(*mode, found).then(|| of_leaves.fields(doc, *weights, words))
            }
            Self::Phrase(words, slop, beginning) => {
                of_leaves.phrase(doc, words, i64::from(*slop), *beginning)
            }
            Self::Condition(tree) => tree.matches(doc).then_some(1.0),
            Self::Pattern(pattern, is_text) => {
                let edits = edits(pattern, *is_text, doc)?;
                Some(1.0 / (1.0 + edits as f32))
            }
            Self::Bool {
                must,
                should,
                minimum,
            } => {
                let of = |parts: &[Self]| -> Vec<Option<f32>> {
                    parts
                        .iter()
                        .map(|part| part.score(doc, of_leaves))
                        .collect()
                };
                let (must, should) = (of(must), of(should));
                let found = should.iter().flatten().count() as u32;
                if must.is_empty() && should.is_empty() {
                    return (minimum.unwrap_or(0) == 0).then_some(1.0);
                }
                // Without a `must`, one of the others must match, even where a minimum of 0 is given.
                let minimum = match (minimum, must.is_empty()) {
                    (Some(minimum), true) => (*minimum).max(1),
                    (None, true) => 1,
                    (minimum, false) => minimum.unwrap_or(0),
                };
                if must.contains(&None) || found < minimum {
                    return None;
                }
                let scores = must.iter().chain(&should).flatten();
                Some(scores.fold(0.0, |sum, score| sum + score))
            }
            Self::Best(parts, tie_breaker) => {
                let scores = parts.iter().filter_map(|part| part.score(doc, of_leaves));
                let scores: Vec<f32> = scores.collect();
                let best = scores
                    .iter()
                    .copied()
                    .fold(None, |best: Option<f32>, score| {
                        Some(best.map_or(score, |best| best.max(score)))
                    })?;
                let place = scores.iter().position(|score| *score == best)?;
                let others = scores.iter().enumerate();
                let others = others.filter(|(other, _)| *other != place);
                let others = others.fold(0.0, |sum, (_, score)| sum + score);
                Some(best + tie_breaker * others)
            }
            Self::Boosted(part, boost) => Some(part.score(doc, of_leaves)? * boost),
            Self::Constant(part, score) => part.score(doc, of_leaves).map(|_| *score),
            Self::Filtered(part, filters, excluded) => {
                let is_kept = filters.iter().all(|tree| tree.matches(doc))
                    && !excluded.iter().any(|tree| tree.matches(doc));
                part.score(doc, of_leaves).filter(|_| is_kept)
            }
        }
    }
}

/// The smallest movement of a phrase whose first words stand at these places, of all places that the
/// others may have; equal words have different ones.
fn movement(slots: &[(&str, bool)], places: &[Vec<i64>], taken: &mut Vec<i64>) -> Option<i64> {
    let next = taken.len();
    if next == slots.len() {
        let shifts = taken.iter().zip(0..).map(|(place, offset)| place - offset);
        let (low, high) = (shifts.clone().min()?, shifts.max()?);
        return Some(high - low);
    }
    let mut best = None;
    for place in &places[next] {
        let may_be_same =
            |before: usize| slots[before] == slots[next] || slots[before].1 || slots[next].1;
        let is_taken = |before: usize| may_be_same(before) && taken[before] == *place;
        if (0..next).any(is_taken) {
            continue;
        }
        taken.push(*place);
        let found = movement(slots, places, taken);
        taken.pop();
        best = match (best, found) {
            (Some(best), Some(found)) => Some(std::cmp::min::<i64>(best, found)),
            (best, found) => best.or(found),
        };
    }
    best
}

/// Scores of queries on one field, which other oracles compare with plain evaluators.
pub struct Leaves<'a> {
    pub snapshot: &'a Snapshot,
    pub found: std::cell::RefCell<BTreeMap<String, BTreeMap<String, f32>>>,
}

impl Leaves<'_> {
    fn search(&self, query: &Query, id: &str) -> Option<f32> {
        let mut all = self.found.borrow_mut();
        let found = all.entry(format!("{query:?}")).or_insert_with(|| {
            let options = SearchOptions::new(5_000).algorithm(
                if format!("{query:?}").contains("all_terms: true") {
                    esparsa::Algorithm::Conjunction
                } else {
                    esparsa::Algorithm::Exhaustive
                },
            );
            let hits = self.snapshot.search_with(query, &options).unwrap().hits;
            let ids = hits.ids().unwrap().into_iter();
            ids.zip(hits.scored().iter().map(|(_, score)| *score))
                .collect()
        });
        found.get(id).copied()
    }

    /// BM25F by its definition.
    fn fields(&self, doc: &Doc, weights: [f32; 2], words: &[u64]) -> f32 {
        let totals = ["text", "title"].map(|name| {
            let field = self.snapshot.schema().field(name).unwrap().number;
            self.snapshot.totals(field)
        });
        let documents = totals.iter().map(|totals| totals.documents).max().unwrap();
        let mut distinct = words.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        let mut terms = Vec::new();
        for word in distinct {
            let frequencies = ["text", "title"].map(|field| self.frequency(field, word, &doc.id));
            let frequency = frequencies.into_iter().max().unwrap() as f64;
            if frequency == 0.0 {
                continue;
            }
            let idf = (1.0 + (documents as f64 - frequency + 0.5) / (frequency + 0.5)).ln() as f32;
            let count = words.iter().filter(|other| **other == word).count();
            terms.push((idf * count as f32, word));
        }
        terms.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut sum = 0.0;
        for (weight, word) in terms {
            let mut amount = 0.0;
            for ((list, totals), of_field) in [&doc.words, &doc.title]
                .into_iter()
                .zip(&totals)
                .zip(weights)
            {
                let frequency = list.iter().filter(|other| **other == word).count();
                let average = (totals.total as f64 / totals.documents.max(1) as f64) as f32;
                let share = list.len() as f32 / average;
                let norm = 1.0 / (0.9_f32 * (1.0 - 0.4_f32 + 0.4_f32 * share));
                if frequency > 0 {
                    amount += of_field * (frequency as f32 * norm);
                }
            }
            if amount > 0.0 {
                sum += weight - weight / (1.0 + amount);
            }
        }
        sum
    }

    /// BM25 of a phrase by its definition.
    fn phrase(
        &self,
        doc: &Doc,
        words: &[usize],
        slop: i64,
        beginning: Option<&str>,
    ) -> Option<f32> {
        let mut positions = Vec::new();
        let mut next = 0;
        for note in &doc.notes {
            let of_note = note.iter().map(|word| NOTE_WORDS[*word]);
            positions.extend(of_note.zip(next..));
            next += note.len() as i64 + 99;
            next += i64::from(!note.is_empty());
        }
        let slots = words.iter().map(|word| (NOTE_WORDS[*word], false));
        let slots: Vec<(&str, bool)> = slots.chain(beginning.map(|word| (word, true))).collect();
        if words.is_empty() {
            let (word, _) = slots.first()?;
            let has = positions.iter().any(|(other, _)| other.starts_with(word));
            return has.then_some(1.0);
        }
        let of_slot = |(word, is_prefix): &(&str, bool)| -> Vec<i64> {
            let places = positions.iter().filter(|(other, _)| match is_prefix {
                true => other.starts_with(word),
                false => other == word,
            });
            places.map(|(_, position)| *position).collect()
        };
        let places: Vec<Vec<i64>> = slots.iter().map(of_slot).collect();
        let mut frequency = 0.0;
        for first in &places[0] {
            let mut taken = vec![*first];
            if let Some(movement) = movement(&slots, &places, &mut taken)
                && movement <= slop
            {
                frequency += 1.0 / (1.0 + movement as f32);
            }
        }
        if frequency == 0.0 {
            return None;
        }
        let field = self.snapshot.schema().field("note").unwrap().number;
        let totals = self.snapshot.totals(field);
        let mut weights = Vec::new();
        let mut distinct = words.to_vec();
        distinct.sort_unstable();
        distinct.dedup();
        for word in distinct {
            let query = Query::text("note", NOTE_WORDS[word]);
            let explanation = self.snapshot.explain(&query, &doc.id, 1).unwrap().unwrap();
            let frequency = explanation.terms[0].document_frequency as f64;
            let documents = totals.documents as f64;
            let idf = (1.0 + (documents - frequency + 0.5) / (frequency + 0.5)).ln() as f32;
            let count = words.iter().filter(|other| **other == word).count();
            weights.push(idf * count as f32);
        }
        weights.sort_by(|a, b| b.total_cmp(a));
        let weight: f32 = weights.into_iter().sum();
        let average = (totals.total as f64 / totals.documents.max(1) as f64) as f32;
        let length: usize = doc.notes.iter().map(Vec::len).sum();
        let share = length as f32 / average;
        let norm = 1.0 / (0.9_f32 * (1.0 - 0.4_f32 + 0.4_f32 * share));
        Some(weight - weight / (1.0 + frequency * norm))
    }

    /// How many documents have a word, deleted ones included.
    fn frequency(&self, field: &str, word: u64, id: &str) -> u64 {
        let query = Query::text(field, format!("w{word}"));
        // A document that lacks the word is explained too.
        let explanation = self.snapshot.explain(&query, id, 1).unwrap().unwrap();
        let term = explanation.terms.first();
        term.map_or(0, |term| term.document_frequency)
    }
}
