//! Documents and queries of the model, and which of them match by their definition.

use std::collections::BTreeMap;

use esparsa::{Column, Dense, Document, Query, Schema, Sparse, SparseLayout, Text};

use super::input::Input;

pub const IDS: usize = 16;
const WORDS: usize = 12;
const TERMS: usize = 6;

/// What a document has.
#[derive(Clone, Debug, PartialEq)]
pub struct Doc {
    words: Vec<usize>,
    /// Terms with weights in halves, from 1.
    weights: BTreeMap<usize, u8>,
    numbers: Vec<i64>,
    tag: Option<usize>,
    vector: Option<[f32; 2]>,
    pub stored: Vec<u8>,
}

pub fn schema() -> Schema {
    let sparse = Sparse::new().expected_max(4.0);
    let builder = Schema::builder()
        .text("text", Text::new().positions())
        .text("note", Text::new())
        .sparse("ranges", sparse.clone())
        .sparse("tiers", sparse.layout(SparseLayout::Tiers))
        .dense("dense", Dense::new(2))
        .column("number", Column::i64().several())
        .column("tag", Column::keyword())
        .stored("source");
    builder.build().unwrap()
}

impl Doc {
    /// A document of the next bytes.
    pub fn take(input: &mut Input<'_>) -> Self {
        let [shape, first, step, number] = input.bytes();
        let (first, step) = (usize::from(first), usize::from(step));
        let words = (0..usize::from(shape % 8)).map(|place| (first + place * step) % WORDS);
        let terms = (0..usize::from(shape >> 3 & 3)).map(|place| {
            let term = (first / 3 + place * (step % 5 + 1)) % TERMS;
            (
                term,
                1 + (step as u8).wrapping_mul(7).wrapping_add(place as u8) % 8,
            )
        });
        let (low, high) = (i64::from(number % 16), i64::from(number / 16));
        Self {
            words: words.collect(),
            weights: terms.collect(),
            numbers: [vec![], vec![low], vec![low, high]][usize::from(shape >> 5) % 3].clone(),
            tag: (shape < 0xC0).then_some(step % 4),
            vector: (shape & 0x40 != 0).then_some([low as f32, high as f32 - 7.0]),
            stored: vec![shape, first as u8, step as u8, number],
        }
    }

    pub fn document(&self, id: usize) -> Document {
        let words: Vec<String> = self.words.iter().map(|word| format!("w{word}")).collect();
        let weights = self.weights.iter();
        let weights = weights.map(|(term, halves)| (format!("s{term}"), f32::from(*halves) / 2.0));
        let weights: Vec<(String, f32)> = weights.collect();
        let mut document = Document::new(id_of(id))
            .with_text("text", words.join(" "))
            .with_text("note", words.join(" "))
            .with_sparse("ranges", weights.clone())
            .with_sparse("tiers", weights)
            .with_stored("source", self.stored.clone());
        for number in &self.numbers {
            document = document.with("number", *number);
        }
        if let Some(tag) = self.tag {
            document = document.with("tag", format!("t{tag}"));
        }
        if let Some(vector) = self.vector {
            document = document.with_dense("dense", vector);
        }
        document
    }
}

pub fn id_of(id: usize) -> String {
    format!("d{id}")
}

type Matches = dyn Fn(usize, &Doc) -> bool;

/// A query, and whether a document matches it.
pub struct Asked {
    pub query: Query,
    pub matches: Box<Matches>,
    /// Every document with a vector matches one, so nothing is deleted by one.
    pub is_vector: bool,
}

impl Asked {
    fn new(query: Query, matches: impl Fn(usize, &Doc) -> bool + 'static) -> Self {
        Self {
            query,
            matches: Box::new(matches),
            is_vector: false,
        }
    }

    /// A query of the next bytes.
    pub fn take(input: &mut Input<'_>) -> Self {
        let [kind, x, y] = input.bytes();
        let (a, b) = (usize::from(x) % WORDS, usize::from(y) % WORDS);
        let (low, high) = (i64::from(x % 16), i64::from(y % 16));
        let both = format!("w{a} w{b}");
        let has = |word: usize| move |_: usize, doc: &Doc| doc.words.contains(&word);
        match kind % 12 {
            0 => Self::new(Query::text("text", both), move |_, doc| {
                doc.words.contains(&a) || doc.words.contains(&b)
            }),
            1 => Self::new(Query::text("note", both).with_all_terms(), move |_, doc| {
                doc.words.contains(&a) && doc.words.contains(&b)
            }),
            2 => Self::new(Query::phrase("text", both), move |_, doc| {
                doc.words.windows(2).any(|pair| pair == [a, b])
            }),
            3 => Self::new(Query::prefix("text", "w1"), |_, doc| {
                doc.words.iter().any(|word| *word == 1 || *word >= 10)
            }),
            4 => Self::new(Query::range("number", low..high.max(low)), move |_, doc| {
                doc.numbers
                    .iter()
                    .any(|number| (low..high).contains(number))
            }),
            5 => {
                let tag = usize::from(x) % 4;
                Self::new(Query::term("tag", format!("t{tag}")), move |_, doc| {
                    doc.tag == Some(tag)
                })
            }
            6 => Self::new(Query::exists("number"), |_, doc| !doc.numbers.is_empty()),
            7 | 8 => {
                let field = if kind % 12 == 7 { "ranges" } else { "tiers" };
                let (a, b) = (a % TERMS, b % TERMS);
                let weights = BTreeMap::from([(format!("s{a}"), 1.0), (format!("s{b}"), 0.3)]);
                Self::new(Query::sparse(field, weights), move |_, doc| {
                    doc.weights.contains_key(&a) || doc.weights.contains_key(&b)
                })
            }
            9 => {
                let query = Query::bool().must(Query::text("text", format!("w{a}")));
                let query = query.should(Query::text("note", format!("w{b}")));
                let without = Query::range("number", low..=low);
                Self::new(query.without(without), move |id, doc| {
                    has(a)(id, doc) && !doc.numbers.contains(&low)
                })
            }
            10 => Self::new(Query::ids([id_of(a), id_of(b)]), move |id, _| {
                id == a || id == b
            }),
            _ => {
                let query = Query::dense("dense", [low as f32 + 1.0, high as f32]);
                let mut asked = Self::new(query, |_, doc| doc.vector.is_some());
                asked.is_vector = true;
                asked
            }
        }
    }
}
