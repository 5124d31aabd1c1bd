//! Walks the terms that an automaton accepts.
//!
//! The idea: keep the automaton's state after each byte of the current term, so that the next term
//! runs only the bytes it does not share. Where the automaton dies, no term matches until the
//! smallest string above that the automaton can still accept. Step a few terms towards it, because
//! most gaps are short and a seek costs as much as many steps, then seek to it.
//!
//! Invariant: no matching term lies between the current term and the target of a skip.

use super::automaton::{Automaton, State};
use super::{Terms, ends_with, strip_prefix};

/// Steps towards the target of a skip before it is sought. They cost less than a seek, so that a
/// skip never costs much more than the better of the two would.
const STEPS_BEFORE_SEEK: usize = 8;

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
                skip_to(&path.key, terms)?
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

/// Moves to the first term that is not below `target`, which is above the current one.
fn skip_to<T: Terms>(target: &[u8], terms: &mut T) -> Result<bool, T::Error> {
    for _ in 0..STEPS_BEFORE_SEEK {
        if !terms.advance()? {
            return Ok(false);
        }
        if terms.key() >= target {
            return Ok(true);
        }
    }
    terms.seek(target)
}

/// A string that begins with the prefix, and the states after each of its bytes.
struct Path<'a> {
    automaton: &'a Automaton,
    prefix: usize,
    key: Vec<u8>,
    /// The state after the prefix and after each byte that follows it.
    states: Vec<State>,
}

/// Length of the longest common prefix, by words of eight bytes.
#[inline]
fn common_prefix(left: &[u8], right: &[u8]) -> usize {
    let (left_words, _) = left.as_chunks::<8>();
    let (right_words, _) = right.as_chunks::<8>();
    let mut length = 0;
    for (left, right) in left_words.iter().zip(right_words) {
        let difference = u64::from_le_bytes(*left) ^ u64::from_le_bytes(*right);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    let pairs = left.iter().zip(right).skip(length);
    length + pairs.take_while(|(left, right)| left == right).count()
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
