//! A tree as a query that parses, strictly, to the same tree.

use std::fmt::{self, Display, Formatter, Write};
use std::ops::Bound;

use super::lexer::{Lexer, TokenKind};
use super::scan;
use super::tree::{Clause, Node, NodeKind, Occur, Piece};
use super::word;

/// Prints a query that parses to the same tree. Spans are not the same: white space, parentheses
/// and escapes are only where they are needed. At the limit of nesting, a word with an escaped
/// space may print one level deeper than is allowed.
impl Display for Node {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        query(f, self)
    }
}

/// A node that has a query, or parentheses, for itself.
fn query(f: &mut Formatter<'_>, node: &Node) -> fmt::Result {
    match &node.kind {
        NodeKind::Nothing => Ok(()),
        NodeKind::Words(text) => words(f, text),
        NodeKind::Group {
            clauses,
            minimum: None,
        } => self::clauses(f, clauses, false),
        _ => chain_or_operand(f, node),
    }
}

/// A node with operators weaker than these beside it. More parentheses than the query had could
/// be nested too deep.
fn chain_or_operand(f: &mut Formatter<'_>, node: &Node) -> fmt::Result {
    match &node.kind {
        NodeKind::All(nodes) => separated(f, nodes, " AND ", operand),
        NodeKind::Any(nodes) => separated(f, nodes, " OR ", |f, node| match &node.kind {
            NodeKind::All(_) => chain_or_operand(f, node),
            _ => operand(f, node),
        }),
        _ => operand(f, node),
    }
}

fn separated<T>(
    f: &mut Formatter<'_>,
    list: &[T],
    separator: &str,
    print: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    for (position, element) in list.iter().enumerate() {
        if position > 0 {
            f.write_str(separator)?;
        }
        print(f, element)?;
    }
    Ok(())
}

/// What must not match, if that is all that the clause says.
fn negation(clause: &Clause) -> Option<&Node> {
    let NodeKind::Group {
        clauses,
        minimum: None,
    } = &clause.node.kind
    else {
        return None;
    };
    match clauses.as_slice() {
        [
            Clause {
                occur: Occur::MustNot,
                node,
            },
        ] => Some(node),
        _ => None,
    }
}

/// The clauses of a group with a minimum.
fn counted_clauses(f: &mut Formatter<'_>, list: &[Clause]) -> fmt::Result {
    // These may come from `(a OR NOT b)@1`, which has no parentheses around the negation.
    let are_operands = list.len() > 1 && list.iter().all(Clause::is_optional);
    if !are_operands || !list.iter().any(|clause| negation(clause).is_some()) {
        return clauses(f, list, true);
    }
    separated(f, list, " OR ", |f, clause| match negation(clause) {
        Some(node) => {
            f.write_str("NOT ")?;
            operand(f, node)
        }
        None if matches!(clause.node.kind, NodeKind::All(_)) => chain_or_operand(f, &clause.node),
        None => operand(f, &clause.node),
    })
}

/// The clauses of a group; with a minimum, each word is one.
fn clauses(f: &mut Formatter<'_>, clauses: &[Clause], has_minimum: bool) -> fmt::Result {
    let mut follows_words = false;
    for (position, Clause { occur, node }) in clauses.iter().enumerate() {
        if position > 0 {
            f.write_char(' ')?;
        }
        let is_words = matches!(node.kind, NodeKind::Words(_)) && *occur == Occur::Should;
        match (occur, &node.kind) {
            (Occur::Should, NodeKind::Words(text)) if !has_minimum && !follows_words => {
                words(f, text)?
            }
            // Without parentheses it would join the words before it.
            (Occur::Should, NodeKind::Words(_)) if !has_minimum => parentheses(f, node)?,
            (Occur::Should, _) => chain_or_operand(f, node)?,
            (Occur::Must, _) => prefixed(f, '+', node)?,
            (Occur::MustNot, _) => prefixed(f, '-', node)?,
        }
        follows_words = is_words && !follows_words;
    }
    Ok(())
}

fn prefixed(f: &mut Formatter<'_>, prefix: char, node: &Node) -> fmt::Result {
    f.write_char(prefix)?;
    if let NodeKind::Words(text) = &node.kind
        && !text.starts_with(word::starts_term)
        && !has_inner_space(text)
    {
        // The prefix is none before these characters, unless they are escaped.
        return f.write_str(&word::escape(text));
    }
    operand(f, node)
}

fn parentheses(f: &mut Formatter<'_>, node: &Node) -> fmt::Result {
    f.write_char('(')?;
    query(f, node)?;
    f.write_char(')')
}

/// A node beside an operator.
fn operand(f: &mut Formatter<'_>, node: &Node) -> fmt::Result {
    match &node.kind {
        NodeKind::Words(text) if !has_inner_space(text) => words(f, text),
        NodeKind::Not(node) => {
            f.write_str("NOT ")?;
            operand(f, node)
        }
        NodeKind::Field { names, node } => field(f, names, node, false),
        NodeKind::Boost { node, factor } => {
            boosted(f, node)?;
            write!(f, "^{factor}")
        }
        NodeKind::ConstantScore { node, score } => {
            boosted(f, node)?;
            write!(f, "^={score}")
        }
        NodeKind::Group {
            clauses: list,
            minimum: Some(minimum),
        } => {
            f.write_char('(')?;
            counted_clauses(f, list)?;
            write!(f, ")@{minimum}")
        }
        NodeKind::Words(_)
        | NodeKind::Nothing
        | NodeKind::All(_)
        | NodeKind::Any(_)
        | NodeKind::Group { .. } => parentheses(f, node),
        kind => leaf(f, kind),
    }
}

/// A node before `^`.
fn boosted(f: &mut Formatter<'_>, node: &Node) -> fmt::Result {
    match &node.kind {
        NodeKind::Words(text) if !has_inner_space(text) => f.write_str(&word::escape(text)),
        NodeKind::Field { names, node } => field(f, names, node, true),
        NodeKind::Boost { .. } | NodeKind::ConstantScore { .. } => parentheses(f, node),
        _ => operand(f, node),
    }
}

fn field(f: &mut Formatter<'_>, names: &[String], node: &Node, is_boosted: bool) -> fmt::Result {
    separated(f, names, ",", |f, name| {
        f.write_str(&scan::escape_name(name))
    })?;
    f.write_char(':')?;
    match &node.kind {
        NodeKind::Words(text) if !has_inner_space(text) => {
            if !is_boosted && is_plain(text, "f:") {
                f.write_str(text)
            } else {
                f.write_str(&word::escape(text))
            }
        }
        NodeKind::Group {
            minimum: Some(_), ..
        } => operand(f, node),
        kind if is_value(kind) => leaf(f, kind),
        _ => parentheses(f, node),
    }
}

/// Whether the node can stand directly after the colon of a field.
fn is_value(kind: &NodeKind) -> bool {
    matches!(
        kind,
        NodeKind::Phrase { .. }
            | NodeKind::Prefix(_)
            | NodeKind::Wildcard(_)
            | NodeKind::Regex(_)
            | NodeKind::Fuzzy { .. }
            | NodeKind::Range { .. }
            | NodeKind::Set(_)
            | NodeKind::Exists
    )
}

fn leaf(f: &mut Formatter<'_>, kind: &NodeKind) -> fmt::Result {
    match kind {
        NodeKind::Everything => f.write_str("*:*"),
        NodeKind::Exists => f.write_str("*"),
        NodeKind::Phrase { text, slop, prefix } => {
            quoted(f, text)?;
            f.write_str(if *prefix { "*" } else { "" })?;
            if *slop > 0 {
                write!(f, "~{slop}")
            } else {
                Ok(())
            }
        }
        NodeKind::Prefix(text) => write!(f, "{}*", word::escape(text)),
        NodeKind::Wildcard(pieces) => pieces.iter().try_for_each(|piece| match piece {
            Piece::Literal(text) => f.write_str(&word::escape(text)),
            Piece::AnyCharacters => f.write_char('*'),
            Piece::OneCharacter => f.write_char('?'),
        }),
        NodeKind::Regex(pattern) => regex(f, pattern),
        NodeKind::Fuzzy { word, distance } => write!(f, "{}~{distance}", word::escape(word)),
        NodeKind::Range { lower, upper } => {
            f.write_char(if matches!(lower, Bound::Excluded(_)) {
                '{'
            } else {
                '['
            })?;
            bound(f, lower)?;
            f.write_str(" TO ")?;
            bound(f, upper)?;
            f.write_char(if matches!(upper, Bound::Excluded(_)) {
                '}'
            } else {
                ']'
            })
        }
        NodeKind::Set(values) => {
            f.write_str("IN(")?;
            separated(f, values, " ", |f, value| plain_or_quoted(f, value))?;
            f.write_char(')')
        }
        // The others are no leaves.
        _ => Ok(()),
    }
}

fn bound(f: &mut Formatter<'_>, bound: &Bound<String>) -> fmt::Result {
    match bound {
        Bound::Unbounded => f.write_char('*'),
        Bound::Included(value) | Bound::Excluded(value) => plain_or_quoted(f, value),
    }
}

fn plain_or_quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    let is_plain = |c: char| c.is_alphanumeric() || "-._:+".contains(c);
    if text.is_empty() || !text.chars().all(is_plain) {
        quoted(f, text)
    } else {
        f.write_str(text)
    }
}

fn quoted(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(character)?;
    }
    f.write_char('"')
}

fn regex(f: &mut Formatter<'_>, pattern: &str) -> fmt::Result {
    let mut is_escaped = false;
    f.write_char('/')?;
    for character in pattern.chars() {
        if character == '/' && !is_escaped {
            f.write_char('\\')?;
        }
        is_escaped = character == '\\' && !is_escaped;
        f.write_char(character)?;
    }
    f.write_char('/')
}

/// Whether the text is several words; white space at its ends can only be escaped.
fn has_inner_space(text: &str) -> bool {
    text.contains(char::is_whitespace) && text.trim() == text
}

/// Words as they were written, with escapes where a word would be an operator.
fn words(f: &mut Formatter<'_>, text: &str) -> fmt::Result {
    if text.trim() != text {
        return f.write_str(&word::escape(text));
    }
    for part in text.split_inclusive(char::is_whitespace) {
        let word = part.trim_end();
        if word.is_empty() || is_plain(word, "") {
            f.write_str(part)?;
        } else {
            write!(
                f,
                "{}{}",
                word::escape(word),
                part.get(word.len()..).unwrap_or_default()
            )?;
        }
    }
    Ok(())
}

/// Whether the word stands for itself, after a field or alone, whatever stands after it and
/// whichever fields there are.
fn is_plain(word: &str, before: &str) -> bool {
    // These may be closed by a later word.
    if word.starts_with(['/', '[', '{']) {
        return false;
    }
    let source = format!("{before}{word}");
    let mut lexer = Lexer::new(&source, false, &|_| true);
    lexer.in_field = true;
    let Ok(token) = lexer.next() else {
        return false;
    };
    let (TokenKind::Term(term) | TokenKind::Field(_, Some(term))) = token.kind else {
        return false;
    };
    let is_text = matches!(&term.kind, NodeKind::Words(text) if text == word);
    term.is_bare && is_text && term.span == (before.len()..source.len())
}
