//! Random trees of conditions, and the plain evaluator of one document.

use std::cmp::Ordering;
use std::ops::Bound;

use esparsa::{Query, Value};

use super::documents::{COLUMNS, Doc, WORDS, value};
use crate::random::Random;

/// A condition as the plain evaluator reads it.
pub enum Tree {
    All,
    Ids(Vec<String>),
    Values(usize, Vec<Value>),
    Range(usize, Bound<Value>, Bound<Value>),
    Has(usize),
    Words(Vec<u64>, bool),
    TextTerm(u64),
    HasText,
    HasVector,
    AllOf(Vec<Tree>),
    AnyOf(Vec<Tree>),
    Filtered(Box<Tree>, Vec<Tree>, Vec<Tree>),
}

fn trees(random: &mut Random, depth: u64, max: u64) -> Vec<Tree> {
    let count = random.below(max);
    (0..count).map(|_| tree(random, depth)).collect()
}

pub fn tree(random: &mut Random, depth: u64) -> Tree {
    let column = random.below(COLUMNS.len() as u64) as usize;
    let of_column = |random: &mut Random| value(random, COLUMNS[column].1);
    match random.below(if depth == 0 { 9 } else { 13 }) {
        0 => Tree::All,
        1 => Tree::Ids(
            (0..random.below(4))
                .map(|_| format!("d{}", random.below(99)))
                .collect(),
        ),
        2 | 3 => Tree::Values(
            column,
            (0..random.below(4)).map(|_| of_column(random)).collect(),
        ),
        4 | 5 => range(random, column),
        6 => Tree::Has(column),
        7 => {
            let words = 1 + random.below(3);
            let words = (0..words).map(|_| random.below(WORDS)).collect();
            Tree::Words(words, random.chance(2))
        }
        8 => match random.below(3) {
            0 => Tree::TextTerm(random.below(WORDS)),
            1 => Tree::HasText,
            _ => Tree::HasVector,
        },
        9 => Tree::AllOf(trees(random, depth - 1, 4)),
        10 => Tree::AnyOf(trees(random, depth - 1, 4)),
        _ => {
            let inner = Box::new(tree(random, depth - 1));
            let filters = trees(random, depth - 1, 3);
            Tree::Filtered(inner, filters, trees(random, depth - 1, 3))
        }
    }
}

/// A range that is not reversed.
fn range(random: &mut Random, column: usize) -> Tree {
    let of = COLUMNS[column].1;
    let mut values = [value(random, of), value(random, of)];
    if compare(&values[0], &values[1]).is_gt() {
        values.reverse();
    }
    let mut bound = |value: Value| match random.below(3) {
        0 => Bound::Unbounded,
        1 => Bound::Excluded(value),
        _ => Bound::Included(value),
    };
    let [low, high] = values;
    Tree::Range(column, bound(low), bound(high))
}

pub fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::I64(a), Value::I64(b)) | (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::U64(a), Value::U64(b)) => a.cmp(b),
        (Value::F64(a), Value::F64(b)) => a.partial_cmp(b).unwrap(),
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Keyword(a), Value::Keyword(b)) => a.as_bytes().cmp(b.as_bytes()),
        _ => panic!("values of two types"),
    }
}

impl Tree {
    pub fn matches(&self, doc: &Doc) -> bool {
        match self {
            Self::All => true,
            Self::Ids(ids) => ids.contains(&doc.id),
            Self::Values(column, values) => doc.values[*column]
                .iter()
                .any(|value| values.contains(value)),
            Self::Range(column, low, high) => doc.values[*column].iter().any(|value| {
                let above = match low {
                    Bound::Unbounded => true,
                    Bound::Included(low) => compare(value, low).is_ge(),
                    Bound::Excluded(low) => compare(value, low).is_gt(),
                };
                above
                    && match high {
                        Bound::Unbounded => true,
                        Bound::Included(high) => compare(value, high).is_le(),
                        Bound::Excluded(high) => compare(value, high).is_lt(),
                    }
            }),
            Self::Has(column) => !doc.values[*column].is_empty(),
            Self::Words(words, all) => match all {
                true => words.iter().all(|word| doc.words.contains(word)),
                false => words.iter().any(|word| doc.words.contains(word)),
            },
            Self::TextTerm(word) => doc.words.contains(word),
            Self::HasText => !doc.words.is_empty(),
            Self::HasVector => doc.has_vector,
            Self::AllOf(trees) => trees.iter().all(|tree| tree.matches(doc)),
            Self::AnyOf(trees) => trees.iter().any(|tree| tree.matches(doc)),
            Self::Filtered(tree, filters, excluded) => {
                tree.matches(doc)
                    && filters.iter().all(|tree| tree.matches(doc))
                    && !excluded.iter().any(|tree| tree.matches(doc))
            }
        }
    }

    /// Whether its documents have scores of their own.
    pub fn is_scored(&self) -> bool {
        match self {
            Self::Words(..) => true,
            Self::Filtered(inner, ..) => inner.is_scored(),
            _ => false,
        }
    }

    pub fn query(&self) -> Query {
        let all = |trees: &[Self]| trees.iter().map(Self::query).collect::<Vec<_>>();
        match self {
            Self::All => Query::all(),
            Self::Ids(ids) => Query::ids(ids),
            Self::Values(column, values) => Query::terms(COLUMNS[*column].0, values.clone()),
            Self::Range(column, low, high) => {
                Query::range(COLUMNS[*column].0, (low.clone(), high.clone()))
            }
            Self::Has(column) => Query::exists(COLUMNS[*column].0),
            Self::Words(words, all) => {
                let words: Vec<String> = words.iter().map(|word| format!("w{word}")).collect();
                let query = Query::text("text", words.join(" "));
                if *all { query.with_all_terms() } else { query }
            }
            Self::TextTerm(word) => Query::term("text", format!("w{word}")),
            Self::HasText => Query::exists("text"),
            Self::HasVector => Query::exists("dense"),
            Self::AllOf(trees) => Query::all_of(all(trees)),
            Self::AnyOf(trees) => Query::any_of(all(trees)),
            Self::Filtered(tree, filters, excluded) => {
                let query = all(filters)
                    .into_iter()
                    .fold(tree.query(), Query::with_filter);
                all(excluded).into_iter().fold(query, Query::without)
            }
        }
    }
}
