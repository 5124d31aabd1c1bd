//! The query language for people: from a line of text to a syntax tree.
//!
//! A query such as `title:"new york"~2 +browser -java year:[2020 TO 2024]` and the question which
//! fields there are come in, a [`Node`] goes out. Nothing here knows more about an index, analyzes
//! words or searches. The page `query-language.md` describes the language for its users.
//!
//! [`parse`] fails at the first error, [`parse_lenient`] never does: what it cannot understand is
//! searched as words. Both are one parser, so they agree on every query without an error.
//!
//! Invariants: time is linear in the length of the query, recursion is as deep as parentheses may
//! be nested, and a printed tree parses to the same tree.
//!
//! A file imports only files above it in this table.
//!
//! | file | concept |
//! | --- | --- |
//! | `tree` | [`Node`]: what a query says |
//! | `error` | [`SyntaxError`]: what is wrong, and where |
//! | `scan` | where phrases, ranges, sets and names end |
//! | `word` | where words end, and which of their characters are operators |
//! | `modifiers` | `^2`, `~1` and `@2` |
//! | `lexer`, `terms` | tokens, and the terms among them |
//! | `clauses` | what stands side by side: runs of words, and minimums |
//! | `parser` | precedence, nesting and limits |
//! | `display` | a tree as a query |

mod clauses;
mod display;
mod error;
mod lexer;
mod modifiers;
mod parser;
mod scan;
mod terms;
mod tree;
mod word;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod mistakes;
#[cfg(test)]
mod properties;

pub use error::{SyntaxError, placed};
pub use tree::{Clause, Node, NodeKind, Occur, Piece};

use lexer::Lexer;
use parser::Parser;

/// Parses a query. `is_field` says which names before a colon are fields.
///
/// # Errors
///
/// The first [`SyntaxError`]: an operator without a term, a phrase, parenthesis or range that is
/// not closed, a number out of its range, a name before a colon that is no field, or too many
/// nodes or levels.
pub fn parse(source: &str, is_field: &dyn Fn(&str) -> bool) -> Result<Node, SyntaxError> {
    Parser::new(Lexer::new(source, false, is_field)).parse()
}

/// Parses a query as well as it can be understood, and lists the errors that it passed over (the
/// first 100). Every word stays searched; a query beyond a limit is taken as words alone.
pub fn parse_lenient(source: &str, is_field: &dyn Fn(&str) -> bool) -> (Node, Vec<SyntaxError>) {
    let mut parser = Parser::new(Lexer::new(source, true, is_field));
    let result = parser.parse();
    let mut errors = parser.into_errors();
    let node = result.unwrap_or_else(|error| {
        errors.push(error);
        let text = source.trim();
        let start = source.len() - source.trim_start().len();
        Node::new(NodeKind::Words(text.into()), start..start + text.len())
    });
    (node, errors)
}
