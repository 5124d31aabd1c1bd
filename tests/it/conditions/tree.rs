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
    Pattern(Pattern, bool),
}

/// A pattern of terms as the plain evaluator reads it.
pub enum Pattern {
    Prefix(&'static str),
    Wildcard(&'static str),
    /// An expression, and what it matches.
    Regex(&'static str, fn(&str) -> bool),
    Fuzzy(&'static str, u8, usize),
}

const PREFIXES: [&str; 6] = ["", "w", "w1", "a", "b", "x"];
const WILDCARDS: [&str; 6] = ["w?", "*", "*3", "?", "b?", "c*c"];
type Expression = (&'static str, fn(&str) -> bool);

const EXPRESSIONS: [Expression; 4] = [
    ("w[1-3]", |term| matches!(term, "w1" | "w2" | "w3")),
    ("(a|z)+", |term| {
        !term.is_empty() && term.bytes().all(|b| b == b'a' || b == b'z')
    }),
    (".*b", |term| term.ends_with('b')),
    ("", str::is_empty),
];
const FUZZY: [&str; 6] = ["w3", "3w", "ab", "bá", "", "zz"];

fn pattern(random: &mut Random) -> Pattern {
    match random.below(4) {
        0 => Pattern::Prefix(random.pick(&PREFIXES)),
        1 => Pattern::Wildcard(random.pick(&WILDCARDS)),
        2 => {
            let (expression, matches) = random.pick(&EXPRESSIONS);
            Pattern::Regex(expression, matches)
        }
        _ => {
            let (distance, prefix) = (random.below(3) as u8, random.below(2) as usize);
            Pattern::Fuzzy(random.pick(&FUZZY), distance, prefix)
        }
    }
}

/// Edits between two strings: optimal string alignment, by its definition.
pub fn distance(a: &[char], b: &[char]) -> usize {
    let ([rest_a @ .., last_a], [rest_b @ .., last_b]) = (a, b) else {
        return a.len().max(b.len());
    };
    let replaced = distance(rest_a, rest_b) + usize::from(last_a != last_b);
    let shorter = distance(rest_a, b).min(distance(a, rest_b)) + 1;
    match (rest_a, rest_b) {
        ([a @ .., before_a], [b @ .., before_b]) if last_a == before_b && before_a == last_b => {
            replaced.min(shorter).min(distance(a, b) + 1)
        }
        _ => replaced.min(shorter),
    }
}

fn is_like(pattern: &[char], term: &[char]) -> bool {
    match (pattern, term) {
        ([], term) => term.is_empty(),
        (['*', rest @ ..], _) => (0..=term.len()).any(|from| is_like(rest, &term[from..])),
        (['?', rest @ ..], [_, others @ ..]) => is_like(rest, others),
        ([first, rest @ ..], [other, others @ ..]) => first == other && is_like(rest, others),
        _ => false,
    }
}

impl Pattern {
    /// The edits of a term that matches; 0 where there are none.
    pub fn matches(&self, term: &str) -> Option<usize> {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        match self {
            Self::Prefix(prefix) => term.starts_with(prefix).then_some(0),
            Self::Wildcard(pattern) => is_like(&chars(pattern), &chars(term)).then_some(0),
            Self::Regex(_, matches) => matches(term).then_some(0),
            Self::Fuzzy(word, max, prefix) => {
                let (word, term) = (chars(word), chars(term));
                let prefix = (*prefix).min(word.len());
                if term.len() < prefix || word[..prefix] != term[..prefix] {
                    return None;
                }
                let edits = distance(&word[prefix..], &term[prefix..]);
                (edits <= usize::from(*max)).then_some(edits)
            }
        }
    }

    pub fn query(&self, field: &str) -> Query {
        match self {
            Self::Prefix(prefix) => Query::prefix(field, *prefix),
            Self::Wildcard(pattern) => Query::wildcard(field, *pattern),
            Self::Regex(expression, _) => Query::regex(field, *expression),
            Self::Fuzzy(word, distance, prefix) => {
                Query::fuzzy_after(field, *word, *distance, *prefix)
            }
        }
    }
}

/// The column of keywords in which patterns are looked for.
const TAGS: usize = 7;

/// The fewest edits of a document's terms, or keywords, that match.
pub fn edits(pattern: &Pattern, is_text: bool, doc: &Doc) -> Option<usize> {
    let terms: Vec<String> = match is_text {
        true => doc.words.iter().map(|word| format!("w{word}")).collect(),
        false => {
            let values = doc.values[TAGS].iter();
            values.map(ToString::to_string).collect()
        }
    };
    terms.iter().filter_map(|term| pattern.matches(term)).min()
}

/// The field of a pattern.
pub fn field_of(is_text: bool) -> &'static str {
    match is_text {
        true => "text",
        false => COLUMNS[TAGS].0,
    }
}

pub fn random_pattern(random: &mut Random) -> (Pattern, bool) {
    (pattern(random), random.chance(2))
}

fn trees(random: &mut Random, depth: u64, max: u64) -> Vec<Tree> {
    let count = random.below(max);
    (0..count).map(|_| tree(random, depth)).collect()
}

pub fn tree(random: &mut Random, depth: u64) -> Tree {
    let column = random.below(COLUMNS.len() as u64) as usize;
    let of_column = |random: &mut Random| value(random, COLUMNS[column].1);
    match random.below(if depth == 0 { 10 } else { 14 }) {
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
        9 => {
            let (pattern, is_text) = random_pattern(random);
            Tree::Pattern(pattern, is_text)
        }
        10 => Tree::AllOf(trees(random, depth - 1, 4)),
        11 => Tree::AnyOf(trees(random, depth - 1, 4)),
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
            Self::Pattern(pattern, is_text) => edits(pattern, *is_text, doc).is_some(),
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
            Self::Words(..) | Self::Pattern(Pattern::Fuzzy(..), _) => true,
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
            Self::Pattern(pattern, is_text) => pattern.query(field_of(*is_text)),
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
