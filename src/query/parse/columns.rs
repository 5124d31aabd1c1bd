//! What values and patterns of the query language mean in columns and in fields of weights.

use std::ops::Bound;

use crate::error::{Error, Result};
use crate::format::column::ColumnType;
use crate::format::{SparseTerms, Value};
use crate::query::language::{Node, NodeKind, Piece};
use crate::query::request::Query;

/// A wildcard pattern, as [`Query::wildcard`] takes it.
pub(super) fn wildcard(
    pieces: &[Piece],
    normal: impl Fn(&str) -> Result<String>,
) -> Result<String> {
    let mut pattern = String::new();
    for piece in pieces {
        match piece {
            Piece::AnyCharacters => pattern.push('*'),
            Piece::OneCharacter => pattern.push('?'),
            Piece::Literal(text) => {
                for character in normal(text)?.chars() {
                    if matches!(character, '*' | '?' | '\\') {
                        pattern.push('\\');
                    }
                    pattern.push(character);
                }
            }
        }
    }
    Ok(pattern)
}

/// A term of a sparse field, with a weight of 1.
pub(super) fn in_sparse(node: &Node, name: &str, terms: SparseTerms) -> Result<Query> {
    let words = match &node.kind {
        NodeKind::Words(words) => vec![words.as_str()],
        NodeKind::Set(words) => words.iter().map(String::as_str).collect(),
        _ => {
            let message = "expected a term of a field of weights, found something else";
            return Err(Error::invalid(message));
        }
    };
    Ok(match terms {
        SparseTerms::Strings => Query::sparse(name, words.into_iter().map(|word| (word, 1.0))),
        SparseTerms::Numbers => {
            let numbers = words.into_iter().map(|word| {
                let number = word.parse::<u32>();
                let number = number.map_err(|_| {
                    Error::invalid(format!("expected the number of a term, found `{word}`"))
                });
                Ok((number?, 1.0))
            });
            Query::sparse_numbered(name, numbers.collect::<Result<Vec<_>>>()?)
        }
    })
}

/// Values of a column.
pub(super) fn in_column(node: &Node, name: &str, column: ColumnType) -> Result<Query> {
    let value = |text: &str| value(column, text);
    Ok(match &node.kind {
        NodeKind::Phrase { slop: 1.., .. } => {
            let message =
                "expected a value of a column without slop, because it is compared as a whole";
            return Err(Error::invalid(message));
        }
        NodeKind::Phrase {
            text, prefix: true, ..
        } => Query::prefix(name, text.as_str()),
        NodeKind::Words(text) | NodeKind::Phrase { text, .. } => Query::term(name, value(text)?),
        NodeKind::Set(values) => {
            let values = values.iter().map(|text| value(text));
            Query::terms(name, values.collect::<Result<Vec<_>>>()?)
        }
        NodeKind::Range { lower, upper } => {
            let bound = |bound: &Bound<String>| -> Result<Bound<Value>> {
                Ok(match bound {
                    Bound::Included(text) => Bound::Included(value(text)?),
                    Bound::Excluded(text) => Bound::Excluded(value(text)?),
                    Bound::Unbounded => Bound::Unbounded,
                })
            };
            Query::range(name, (bound(lower)?, bound(upper)?))
        }
        NodeKind::Prefix(prefix) => Query::prefix(name, prefix.as_str()),
        NodeKind::Wildcard(pieces) => {
            Query::wildcard(name, wildcard(pieces, |text| Ok(text.to_owned()))?)
        }
        NodeKind::Regex(expression) => Query::regex(name, expression.as_str()),
        NodeKind::Fuzzy { word, distance } => Query::fuzzy(name, word.as_str(), *distance),
        NodeKind::Exists => Query::exists(name),
        _ => {
            return Err(Error::invalid(
                "expected a value of a column, found something else",
            ));
        }
    })
}

/// The value that a text stands for.
fn value(column: ColumnType, text: &str) -> Result<Value> {
    let number = || {
        let whole = text.parse().map(Value::I64);
        let whole = whole.or_else(|_| text.parse().map(Value::U64));
        whole.or_else(|_| text.parse().map(Value::F64))
    };
    let value = match column {
        ColumnType::I64 | ColumnType::U64 | ColumnType::F64 => number().ok(),
        ColumnType::Bool => text.parse().map(Value::Bool).ok(),
        _ => None,
    };
    Ok(value.unwrap_or_else(|| Value::from(text)))
}
