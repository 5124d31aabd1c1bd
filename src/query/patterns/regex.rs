//! Regular expressions, compiled by `regex-automata`.

use std::error::Error;

use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_automata::util::primitives::StateID;
use regex_automata::util::{start, syntax};
use regex_automata::{Anchored, MatchKind};

use super::automaton::{Automaton, ByteClasses, Source};
use super::{Compiled, PatternError, Rest, expect_length};

/// Maximum size of the nondeterministic automaton, and of the deterministic one.
const MAX_AUTOMATON_BYTES: usize = 1 << 20;

/// Maximum memory for the sets of states that determinization tells apart. Its time is
/// proportional: reaching a limit takes some 20 ms in a release build.
const MAX_DETERMINIZE_BYTES: usize = 1 << 18;

/// Maximum number of character classes within other classes. The parser needs milliseconds for each
/// when letters match in either case.
const MAX_NESTED_CLASSES: usize = 16;

/// Compiles a regular expression.
pub(super) fn compile(pattern: &str) -> Result<Compiled, PatternError> {
    expect_length("a regular expression", pattern)?;
    let nested = nested_classes(pattern);
    if nested > MAX_NESTED_CLASSES {
        return Err(PatternError(format!(
            "expected a regular expression with at most {MAX_NESTED_CLASSES} character classes \
             within classes, found {nested} in `{pattern}`; write them as one class"
        )));
    }
    let nfa = parse(pattern)?;
    if nfa.look_set_any().contains_word_unicode() {
        return Err(PatternError(format!(
            "expected a regular expression without `\\b` and `\\B`, found `{pattern}`; leave them \
             out, because the expression matches a whole term, or write `(?-u:\\b)` for the \
             boundaries of ASCII words"
        )));
    }
    Ok(Compiled {
        prefix: Vec::new(),
        rest: Rest::Accepted(Box::new(determinize(&nfa).map_err(|_| too_large(pattern))?)),
    })
}

/// The automaton of an expression that this code wrote; `None` when it would be too large.
pub(super) fn compile_own(pattern: &str) -> Option<Automaton> {
    determinize(&parse(pattern).ok()?).ok()
}

/// Counts the character classes that begin within a class; of a malformed expression, some number.
fn nested_classes(pattern: &str) -> usize {
    let mut bytes = pattern.bytes();
    let (mut depth, mut nested) = (0_usize, 0);
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => _ = bytes.next(),
            b'[' => {
                nested += usize::from(depth > 0);
                depth += 1;
            }
            b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    nested
}

/// The nondeterministic automaton of an expression.
fn parse(pattern: &str) -> Result<NFA, PatternError> {
    let config = thompson::Config::new()
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(MAX_AUTOMATON_BYTES));
    thompson::Compiler::new()
        .configure(config)
        .syntax(syntax::Config::new().dot_matches_new_line(true))
        .build(pattern)
        .map_err(|error| match error.source() {
            _ if error.size_limit().is_some() => too_large(pattern),
            Some(source) => malformed(pattern, &source.to_string()),
            None => malformed(pattern, &error.to_string()),
        })
}

fn malformed(pattern: &str, reason: &str) -> PatternError {
    // The parser draws the expression and a caret above its last line, the message.
    let last = reason.lines().last().unwrap_or_default();
    let reason = last.strip_prefix("error: ").unwrap_or(last);
    PatternError(format!(
        "expected a regular expression, found `{pattern}`: {reason}; correct it, or put a \
         backslash before punctuation that stands for itself"
    ))
}

fn too_large(pattern: &str) -> PatternError {
    PatternError(format!(
        "expected a regular expression that compiles to at most {MAX_AUTOMATON_BYTES} bytes, found `{pattern}`; \
         use fewer or smaller counts of repetition, or classes of fewer characters, such as \
         `[a-z0-9]` for `\\w`"
    ))
}

/// The automaton of an expression that has no Unicode word boundary.
fn determinize(nfa: &NFA) -> Result<Automaton, Box<dyn Error>> {
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(StartKind::Anchored)
        .accelerate(false)
        .dfa_size_limit(Some(MAX_AUTOMATON_BYTES))
        .determinize_size_limit(Some(MAX_DETERMINIZE_BYTES));
    let dfa = dense::Builder::new()
        .configure(config)
        .build_from_nfa(nfa)?;
    let start = dfa.start_state(&start::Config::new().anchored(Anchored::Yes))?;
    let units = dfa.byte_classes().representatives(0..=255);
    let classes = ByteClasses::new(units.filter_map(|unit| unit.as_u8()));
    Ok(Automaton::new(&Dense { dfa, start }, classes))
}

struct Dense {
    dfa: dense::DFA<Vec<u32>>,
    start: StateID,
}

impl Dense {
    fn id(&self, state: usize) -> StateID {
        StateID::new_unchecked(state << self.dfa.stride2())
    }

    fn number(&self, id: StateID) -> usize {
        id.as_usize() >> self.dfa.stride2()
    }
}

impl Source for Dense {
    fn states(&self) -> usize {
        // The table of transitions is a part of the memory.
        self.dfa.memory_usage() / (size_of::<u32>() << self.dfa.stride2()) + 1
    }

    fn start(&self) -> usize {
        self.number(self.start)
    }

    fn next(&self, state: usize, byte: u8) -> usize {
        self.number(self.dfa.next_state(self.id(state), byte))
    }

    /// Matches are found one unit late: a term matches when its end leads to a match state.
    fn distance(&self, state: usize) -> Option<u8> {
        let end = self.dfa.next_eoi_state(self.id(state));
        self.dfa.is_match_state(end).then_some(0)
    }
}
