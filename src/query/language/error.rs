//! What is wrong with a query, and where.

use std::fmt;

/// How many characters a message shows on either side of the place.
const CONTEXT: usize = 32;

/// How many errors a lenient parse lists; later ones are passed over silently.
pub(super) const MAX_ERRORS: usize = 100;

/// An error in a query. Printed, it has three lines: the message, the query around the place, and
/// a caret below it.
///
/// ```text
/// expected a distance of 0, 1 or 2 at character 5, found `3`
///     teh~3 cat
///         ^
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxError {
    /// The byte in the query.
    pub offset: usize,
    /// The character in the query, from 1.
    pub column: usize,
    /// What is missing.
    pub expected: String,
    /// What is there instead.
    pub found: String,
    /// What to do, where that is not plain from the rest.
    pub hint: Option<String>,
    /// The query around the place.
    excerpt: String,
    /// How many columns of a terminal are left of the caret.
    indent: usize,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            column,
            expected,
            found,
            ..
        } = self;
        write!(
            f,
            "expected {expected} at character {column}, found {found}"
        )?;
        if let Some(hint) = &self.hint {
            write!(f, ": {hint}")?;
        }
        write!(f, "\n    {}\n    {:2$}^", self.excerpt, "", self.indent)
    }
}

impl std::error::Error for SyntaxError {}

/// A message with the place in the query that it is about, and a caret below it.
pub fn placed(message: &str, source: &str, offset: usize) -> String {
    let place = Problem::new(offset, "", "").locate(source);
    let (column, excerpt) = (place.column, place.excerpt);
    format!(
        "{message}, at character {column}\n    {excerpt}\n    {:1$}^",
        "", place.indent
    )
}

/// An error before its place is looked up, which takes time in a long query.
pub(super) struct Problem {
    at: usize,
    expected: String,
    found: String,
    hint: Option<String>,
}

impl Problem {
    pub fn new(at: usize, expected: impl Into<String>, found: impl Into<String>) -> Self {
        Self {
            at,
            expected: expected.into(),
            found: found.into(),
            hint: None,
        }
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn locate(self, source: &str) -> SyntaxError {
        let (before, after) = source.split_at_checked(self.at).unwrap_or((source, ""));
        let start = before
            .char_indices()
            .rev()
            .nth(CONTEXT - 1)
            .map_or(0, |(at, _)| at);
        let before_shown = before.get(start..).unwrap_or_default();
        let shown = before_shown.chars().chain(after.chars().take(CONTEXT));
        SyntaxError {
            offset: before.len(),
            column: before.chars().count() + 1,
            expected: self.expected,
            found: self.found,
            hint: self.hint,
            excerpt: shown.map(printable).collect(),
            indent: before_shown.chars().map(columns).sum(),
        }
    }
}

/// Line breaks would part the caret from its line.
fn printable(character: char) -> char {
    if character.is_whitespace() || character.is_control() {
        ' '
    } else {
        character
    }
}

/// The columns of a terminal that a character takes: two for East Asian characters and emoji.
fn columns(character: char) -> usize {
    match character {
        '\u{300}'..='\u{36f}' | '\u{200b}'..='\u{200d}' | '\u{fe00}'..='\u{fe0f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{2fff}'
        | '\u{3001}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// What is found at a byte, for messages: a word, or the end.
pub(super) fn found(source: &str, at: usize) -> String {
    let rest = source.get(at..).unwrap_or_default();
    let Some(first) = rest.chars().next() else {
        return "the end of the query".into();
    };
    if first.is_whitespace() {
        return "a space".into();
    }
    let ends = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"');
    let word: String = match rest.chars().take(CONTEXT).position(ends) {
        Some(0) => first.into(),
        Some(length) => rest.chars().take(length).collect(),
        None => rest.chars().take(CONTEXT).collect(),
    };
    format!("`{word}`")
}

/// The errors of a parse: the first one ends a strict parse, a lenient one goes on.
pub(super) struct Reports<'a> {
    pub source: &'a str,
    pub lenient: bool,
    /// The first [`MAX_ERRORS`].
    pub errors: Vec<SyntaxError>,
    pub count: usize,
}

impl Reports<'_> {
    /// Fails if the parse is strict.
    pub fn report(&mut self, problem: Problem) -> Result<(), SyntaxError> {
        if !self.lenient {
            return Err(problem.locate(self.source));
        }
        self.count += 1;
        if self.errors.len() < MAX_ERRORS {
            self.errors.push(problem.locate(self.source));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_place() {
        let error = Problem::new(4, "a distance of 0, 1 or 2", "`3`").locate("teh~3 cat");
        let expected =
            "expected a distance of 0, 1 or 2 at character 5, found `3`\n    teh~3 cat\n        ^";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn a_message_is_shown_with_its_place() {
        let expected = "expected a number, found \"x\", at character 5\n    cat price:x\n        ^";
        let message = placed("expected a number, found \"x\"", "cat price:x", 4);
        assert_eq!(message, expected);
    }

    #[test]
    fn wide_characters_move_the_caret_and_long_queries_are_cut() {
        let error = Problem::new(6, "x", "y").locate("東京)\n");
        assert_eq!((error.offset, error.column, error.indent), (6, 3, 4));
        let long = "a ".repeat(1000);
        let error = Problem::new(1000, "x", "y").locate(&long);
        assert_eq!(
            (error.column, error.indent, error.excerpt.len()),
            (1001, 32, 64)
        );
    }
}
