//! Terms within an edit distance, compiled by `levenshtein_automata`.

use std::sync::OnceLock;

use levenshtein_automata::{DFA, Distance, LevenshteinAutomatonBuilder, SINK_STATE};

use super::automaton::{Automaton, ByteClasses, Source};
use super::{Compiled, Fuzzy, PatternError, Rest};

/// Maximum edit distance: the number of states rises steeply with it.
const MAX_DISTANCE: u8 = 2;

/// Maximum number of characters after the common prefix: the number of states is proportional.
const MAX_CHARACTERS: usize = 100;

/// Compiles a fuzzy term.
pub(super) fn compile(fuzzy: &Fuzzy) -> Result<Compiled, PatternError> {
    if fuzzy.distance > MAX_DISTANCE {
        return Err(PatternError(format!(
            "expected an edit distance of 0 to {MAX_DISTANCE} for the fuzzy term, found {}; use a \
             smaller one, or a wildcard",
            fuzzy.distance,
        )));
    }
    let split = fuzzy.term.char_indices().nth(fuzzy.prefix);
    let (prefix, rest) = fuzzy
        .term
        .split_at(split.map_or(fuzzy.term.len(), |(at, _)| at));
    let characters = rest.chars().count();
    if characters > MAX_CHARACTERS {
        return Err(PatternError(format!(
            "expected a fuzzy term of at most {MAX_CHARACTERS} characters after the {} that must \
             be the same, found {characters}; require more to be the same, or shorten the term",
            fuzzy.prefix,
        )));
    }
    let levenshtein = Levenshtein {
        dfa: builder(fuzzy.distance, fuzzy.transpositions).build_dfa(rest),
        max_distance: fuzzy.distance,
        prefix_match: fuzzy.prefix_match,
    };
    Ok(Compiled {
        prefix: prefix.as_bytes().to_vec(),
        rest: Rest::Accepted(Box::new(Automaton::new(&levenshtein, byte_classes(rest)))),
    })
}

/// The part of the construction that is the same for all terms.
fn builder(distance: u8, transpositions: bool) -> &'static LevenshteinAutomatonBuilder {
    static BUILDERS: [[OnceLock<LevenshteinAutomatonBuilder>; 2]; MAX_DISTANCE as usize + 1] =
        [const { [const { OnceLock::new() }; 2] }; MAX_DISTANCE as usize + 1];
    let distance = distance.min(MAX_DISTANCE);
    BUILDERS[usize::from(distance)][usize::from(transpositions)]
        .get_or_init(|| LevenshteinAutomatonBuilder::new(distance, transpositions))
}

/// A class for each byte of the term. Of the others, only the length of the character matters,
/// which its first byte tells.
fn byte_classes(term: &str) -> ByteClasses {
    let own = term.bytes().flat_map(|byte| [byte, byte.saturating_add(1)]);
    ByteClasses::new([0xC0, 0xE0, 0xF0].into_iter().chain(own))
}

/// The automaton of a term, and the minimum distance of the prefixes so far. A state is numbered
/// by both.
///
/// The prefix automata of the crate are not used: they report the distance of a later prefix where
/// it is larger, and so miss "bz" for "xab" within 2.
struct Levenshtein {
    dfa: DFA,
    max_distance: u8,
    prefix_match: bool,
}

impl Levenshtein {
    /// The values of a minimum: 0 to the maximum distance, and one for "none yet".
    fn minimums(&self) -> usize {
        usize::from(self.max_distance) + 2
    }

    fn split(&self, state: usize) -> (u32, Option<u8>) {
        let minimum = (state % self.minimums()) as u8;
        let id = (state / self.minimums()) as u32;
        (id, (minimum <= self.max_distance).then_some(minimum))
    }

    fn join(&self, id: u32, minimum: Option<u8>) -> usize {
        let minimum = minimum.unwrap_or(self.max_distance + 1);
        id as usize * self.minimums() + usize::from(minimum)
    }

    fn distance_of(&self, id: u32) -> Option<u8> {
        match self.dfa.distance(id) {
            Distance::Exact(distance) => Some(distance),
            Distance::AtLeast(_) => None,
        }
    }

    /// The state after more bytes, given the minimum of the prefixes before them.
    fn arrive(&self, id: u32, before: Option<u8>) -> usize {
        if !self.prefix_match {
            return self.join(id, None);
        }
        let minimum = before.into_iter().chain(self.distance_of(id)).min();
        // Nothing is below 0: the bytes that follow do not matter.
        let id = if minimum == Some(0) { SINK_STATE } else { id };
        self.join(id, minimum)
    }
}

impl Source for Levenshtein {
    fn states(&self) -> usize {
        self.dfa.num_states() * self.minimums()
    }

    fn start(&self) -> usize {
        self.arrive(self.dfa.initial_state(), None)
    }

    fn next(&self, state: usize, byte: u8) -> usize {
        let (id, minimum) = self.split(state);
        self.arrive(self.dfa.transition(id, byte), minimum)
    }

    fn distance(&self, state: usize) -> Option<u8> {
        let (id, minimum) = self.split(state);
        if self.prefix_match {
            minimum
        } else {
            self.distance_of(id)
        }
    }
}
