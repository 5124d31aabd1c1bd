//! Walks the terms that an automaton accepts.
//!
//! The idea: keep the automaton's state after each byte of the current term, so that the next term
//! runs only the bytes it does not share. Where the automaton dies, no term matches until the
//! smallest string above that the automaton can still accept, and it is sought.
//!
//! Invariant: no matching term lies between the current term and the target of a skip.

use super::automaton::{Automaton, State};
use super::{Terms, ends_with, strip_prefix};
use crate::format::dictionary::common_prefix;

/// Bytes by which a target is extended beyond the byte that must change.
const MAX_EXTENSION: usize = 16;

/// Calls `visit` on each term that begins with `prefix` and whose rest `automaton` accepts.
pub(super) fn intersect<T: Terms>(
    prefix: &[u8],
    automaton: &Automaton,
    terms: &mut T,
    mut visit: impl FnMut(&T, u8) -> Result<(), T::Error>,
) -> Result<(), T::Error> {
    if !automaton.is_alive(automaton.start()) {
        return Ok(());
    }
    let mut path = Path::new(prefix, automaton);
    path.extend_to_smallest();
    let mut has_term = terms.seek(&path.key)?;
    while has_term {
        // Terms only rise: the first that lacks the prefix is above all that have it.
        if strip_prefix(terms.key(), prefix).is_none() {
            return Ok(());
        }
        has_term = match path.follow(terms.key()) {
            Followed::ToEnd(state) => {
                if let Some(distance) = automaton.distance(state) {
                    visit(terms, distance)?;
                }
                terms.advance()?
            }
            Followed::DeadAt(byte) => {
                if !path.move_above(byte) {
                    return Ok(());
                }
                terms.seek(&path.key)?
            }
        };
    }
    Ok(())
}

/// Calls `visit` on each term that begins with `prefix` and whose rest ends with `suffix`.
pub(super) fn scan<T: Terms>(
    prefix: &[u8],
    suffix: &[u8],
    terms: &mut T,
    mut visit: impl FnMut(&T, u8) -> Result<(), T::Error>,
) -> Result<(), T::Error> {
    let mut has_term = terms.seek(prefix)?;
    while has_term && let Some(rest) = strip_prefix(terms.key(), prefix) {
        if ends_with(rest, suffix) {
            visit(terms, 0)?;
        }
        has_term = terms.advance()?;
    }
    Ok(())
}

/// A string that begins with the prefix, and the states after each of its bytes.
struct Path<'a> {
    automaton: &'a Automaton,
    prefix: usize,
    key: Vec<u8>,
    /// The state after the prefix and after each byte that follows it.
    states: Vec<State>,
}

/// What became of the automaton on a term.
enum Followed {
    /// It is alive after the last byte.
    ToEnd(State),
    /// It died at this byte, the one after the path.
    DeadAt(u8),
}

impl<'a> Path<'a> {
    fn new(prefix: &[u8], automaton: &'a Automaton) -> Self {
        Self {
            automaton,
            prefix: prefix.len(),
            key: prefix.to_vec(),
            states: vec![automaton.start()],
        }
    }

    fn state(&self) -> State {
        let last = self.states.last().copied();
        last.unwrap_or_else(|| self.automaton.start())
    }

    fn push(&mut self, byte: u8, state: State) {
        self.key.push(byte);
        self.states.push(state);
    }

    /// Makes the path the bytes of `term`, which has the prefix, that the automaton survives.
    #[inline]
    fn follow(&mut self, term: &[u8]) -> Followed {
        let shared = common_prefix(&self.key, term);
        self.key.truncate(shared);
        self.states.truncate(shared - self.prefix + 1);
        let mut state = self.state();
        let rest = term.get(shared..).unwrap_or_default();
        self.states.reserve(rest.len());
        for (length, &byte) in rest.iter().enumerate() {
            let Some(next) = self.automaton.next(state, byte) else {
                self.key.extend(rest.get(..length).unwrap_or_default());
                return Followed::DeadAt(byte);
            };
            state = next;
            self.states.push(state);
        }
        self.key.extend(rest);
        Followed::ToEnd(state)
    }

    /// Makes the path the smallest live string above all that continue it with `byte`; false when
    /// there is none.
    fn move_above(&mut self, mut byte: u8) -> bool {
        loop {
            let state = self.state();
            let from = byte.checked_add(1);
            let live = from.and_then(|from| self.automaton.next_live_byte(state, from));
            if let Some(live) = live
                && let Some(next) = self.automaton.next(state, live)
            {
                self.push(live, next);
                self.extend_to_smallest();
                return true;
            }
            if self.states.len() == 1 {
                return false;
            }
            self.states.pop();
            byte = self.key.pop().unwrap_or(u8::MAX);
        }
    }

    /// Extends the path towards the smallest match that begins with it, so that a seek lands
    /// behind terms that would only be tried and left again.
    fn extend_to_smallest(&mut self) {
        let mut state = self.state();
        for _ in 0..MAX_EXTENSION {
            if self.automaton.distance(state).is_some() {
                return;
            }
            // Where the smallest byte is 0, no string is skipped.
            let smallest = self.automaton.next_live_byte(state, 0);
            let Some(byte) = smallest.filter(|byte| *byte > 0) else {
                return;
            };
            let Some(next) = self.automaton.next(state, byte) else {
                return;
            };
            self.push(byte, next);
            state = next;
        }
    }
}
