//! Patterns of terms: prefix, wildcard, regular expression and fuzzy term.
//!
//! In comes a pattern as the user wrote it and a sorted list of terms; out go the terms that
//! match, in order, with their edit distance. Each pattern compiles to a literal prefix and, unless
//! a literal suffix is all it needs, a deterministic automaton over the bytes of UTF-8 that must
//! accept the whole rest of the term ([`Automaton`]). [`intersect`] walks the list only where the
//! automaton can still reach a match.
//!
//! Invariants: compiling takes bounded time and memory and returns an error where a pattern would
//! need more; nothing here performs I/O.

mod automaton;
mod fuzzy;
mod intersect;
mod regex;
#[cfg(test)]
pub(super) mod tests;
mod wildcard;

use std::fmt;

use automaton::Automaton;

/// Maximum length of a pattern in bytes, so that parsing takes bounded time.
const MAX_PATTERN_BYTES: usize = 1_000;

/// A sorted list of terms that can be walked and sought in. It starts before its first term.
pub(crate) trait Terms {
    /// Why a term could not be read.
    type Error;

    /// Moves to the first term that is not below `key`; false when there is none. Called only with
    /// keys above the current term, so an implementation may search forward from there.
    fn seek(&mut self, key: &[u8]) -> Result<bool, Self::Error>;

    /// Moves to the next term; false after the last.
    fn advance(&mut self) -> Result<bool, Self::Error>;

    /// The current term.
    fn key(&self) -> &[u8];
}

/// Which terms match.
///
/// A pattern matches a term as a whole, byte for byte: case and accents are significant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Pattern {
    /// Terms that begin with this string.
    Prefix(String),
    /// `*` matches any number of characters, `?` exactly one; a backslash takes away the meaning
    /// of the character after it.
    Wildcard(String),
    /// A regular expression in the syntax of the `regex` crate, where `.` matches a line break
    /// too. `\b` and `\B` are supported for ASCII only: `(?-u:\b)`.
    Regex(String),
    /// Terms within an edit distance of a term.
    Fuzzy(Fuzzy),
}

/// Terms within an edit distance of `term`: the minimum number of characters inserted, deleted or
/// substituted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fuzzy {
    /// The term to compare with.
    pub(crate) term: String,
    /// Maximum edit distance, 0 to 2.
    pub(crate) distance: u8,
    /// Number of leading characters that must be the same; edits are counted after them.
    pub(crate) prefix: usize,
    /// Whether a swap of two neighbours is one edit (optimal string alignment), not two.
    pub(crate) transpositions: bool,
    /// Whether terms also match that begin with a string within the distance; their distance is
    /// the minimum over their prefixes.
    pub(crate) prefix_match: bool,
}

/// Why a pattern cannot be used: what was expected, what was found, what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PatternError(String);

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PatternError {}

impl Pattern {
    /// Compiles the pattern once for any number of lists of terms.
    ///
    /// # Errors
    ///
    /// [`PatternError`] when the pattern is malformed, too long, or needs too large an automaton.
    pub(crate) fn compile(&self) -> Result<Compiled, PatternError> {
        match self {
            Self::Prefix(prefix) => Ok(Compiled {
                prefix: prefix.clone().into_bytes(),
                rest: Rest::EndsWith(Vec::new()),
            }),
            Self::Wildcard(pattern) => wildcard::compile(pattern),
            Self::Regex(pattern) => regex::compile(pattern),
            Self::Fuzzy(fuzzy) => fuzzy::compile(fuzzy),
        }
    }
}

/// A pattern ready to match: terms that begin with `prefix` and continue as `rest` says.
#[derive(Clone, Debug)]
pub(crate) struct Compiled {
    prefix: Vec<u8>,
    rest: Rest,
}

/// What follows the prefix.
#[derive(Clone, Debug)]
enum Rest {
    /// Anything that ends with these bytes.
    EndsWith(Vec<u8>),
    /// What the automaton accepts.
    Accepted(Box<Automaton>),
}

impl Compiled {
    /// Calls `visit` on each matching term in order, with its edit distance (0 unless the pattern
    /// is fuzzy).
    ///
    /// # Errors
    ///
    /// The first error of `terms` or `visit`, which ends the walk.
    pub(crate) fn for_each<T: Terms>(
        &self,
        terms: &mut T,
        visit: impl FnMut(&T, u8) -> Result<(), T::Error>,
    ) -> Result<(), T::Error> {
        match &self.rest {
            Rest::EndsWith(suffix) => intersect::scan(&self.prefix, suffix, terms, visit),
            Rest::Accepted(automaton) => {
                intersect::intersect(&self.prefix, automaton, terms, visit)
            }
        }
    }

    /// The edit distance of a term that matches (0 unless the pattern is fuzzy), `None` of another.
    pub(crate) fn matches(&self, term: &[u8]) -> Option<u8> {
        let rest = strip_prefix(term, &self.prefix)?;
        match &self.rest {
            Rest::EndsWith(suffix) => ends_with(rest, suffix).then_some(0),
            Rest::Accepted(automaton) => {
                let mut state = automaton.start();
                for &byte in rest {
                    state = automaton.next(state, byte)?;
                }
                automaton.distance(state)
            }
        }
    }
}

// An empty vector points to no memory, and there some implementations of `memcmp` take 40 ns for
// the comparison of nothing (masked loads that fault on AMD Zen 4). Hence these two.

/// `term` after `prefix`, if it begins with it.
fn strip_prefix<'a>(term: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    if prefix.is_empty() {
        return Some(term);
    }
    term.strip_prefix(prefix)
}

fn ends_with(term: &[u8], suffix: &[u8]) -> bool {
    suffix.is_empty() || term.ends_with(suffix)
}

fn expect_length(kind: &str, pattern: &str) -> Result<(), PatternError> {
    if pattern.len() <= MAX_PATTERN_BYTES {
        return Ok(());
    }
    Err(PatternError(format!(
        "expected {kind} of at most {MAX_PATTERN_BYTES} bytes, found one of {}; shorten it",
        pattern.len(),
    )))
}
