//! Wildcards: `*` and `?`, compiled as a regular expression.

use super::{Compiled, PatternError, Rest, expect_length, regex};

/// Compiles a wildcard pattern.
pub(super) fn compile(pattern: &str) -> Result<Compiled, PatternError> {
    expect_length("a wildcard pattern", pattern)?;
    let tokens = parse(pattern)?;
    let prefix = literals(&tokens);
    let length = prefix.chars().count();
    let rest = tokens.get(length..).unwrap_or_default();
    let suffix = rest.get(1..).map(literals);
    let rest = match (rest.first(), suffix) {
        // The common cases `a*`, `*a` and `a*b` need no automaton.
        (Some(Token::Any), Some(suffix)) if suffix.chars().count() == rest.len() - 1 => {
            Rest::EndsWith(suffix.into_bytes())
        }
        _ => {
            let automaton = regex::compile_own(&to_regex(rest));
            Rest::Accepted(Box::new(automaton.ok_or_else(|| too_large(pattern))?))
        }
    };
    Ok(Compiled {
        prefix: prefix.into_bytes(),
        rest,
    })
}

fn too_large(pattern: &str) -> PatternError {
    PatternError(format!(
        "expected a wildcard pattern with fewer `*` and `?`, found `{pattern}`, which needs too \
         much memory; leave out some, or write one `*` for several"
    ))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// This character.
    Literal(char),
    /// `?`: any one character.
    One,
    /// `*`: any number of characters.
    Any,
}

fn parse(pattern: &str) -> Result<Vec<Token>, PatternError> {
    let mut tokens = Vec::new();
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        let token = match character {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Literal(characters.next().ok_or_else(|| {
                PatternError(format!(
                    "expected a character after the last backslash of a wildcard pattern, found \
                     the end of `{pattern}`; write `\\\\` for a backslash"
                ))
            })?),
            _ => Token::Literal(character),
        };
        // `**` means `*`.
        if token != Token::Any || tokens.last() != Some(&token) {
            tokens.push(token);
        }
    }
    Ok(tokens)
}

/// The literal characters that come first.
fn literals(tokens: &[Token]) -> String {
    let literal = |token: &Token| match token {
        Token::Literal(character) => Some(*character),
        Token::One | Token::Any => None,
    };
    tokens.iter().map_while(literal).collect()
}

fn to_regex(tokens: &[Token]) -> String {
    let mut regex = String::new();
    for token in tokens {
        match token {
            Token::Any => regex.push_str(".*"),
            Token::One => regex.push('.'),
            Token::Literal(character) => {
                // A backslash before these two would make them word boundaries.
                if character.is_ascii_punctuation() && !matches!(character, '<' | '>') {
                    regex.push('\\');
                }
                regex.push(*character);
            }
        }
    }
    regex
}
