//! A deterministic automaton over bytes as one table.
//!
//! The automata of other crates are copied into this form. It makes them alike to the walk, keeps
//! a row small by byte classes, and leaves out states from which no match can be reached, so that
//! a state is alive exactly when some continuation matches.

/// An automaton under construction: numbered states, computed on demand.
pub(super) trait Source {
    /// States are below this number.
    fn states(&self) -> usize;

    /// The state before the first byte.
    fn start(&self) -> usize;

    /// The state after one more byte, the same for all bytes of a class.
    fn next(&self, state: usize, byte: u8) -> usize;

    /// The edit distance of a term that ends in this state, if it matches.
    fn distance(&self, state: usize) -> Option<u8>;
}

/// A live state: the offset of its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(u32);

/// No transition, no match, and no start: row 0 is the row of no state.
const NONE: u32 = 0;

/// A table with a row for each live state: the next state for each byte class, then the edit
/// distance plus one of a term that ends there.
#[derive(Clone, Debug)]
pub(super) struct Automaton {
    table: Vec<u32>,
    classes: ByteClasses,
    start: u32,
}

impl Automaton {
    /// Copies the states of `source` that are on a path from its start to a match.
    pub(super) fn new(source: &impl Source, classes: ByteClasses) -> Self {
        let reached = Reached::explore(source, &classes);
        let alive = reached.alive();
        // Row 0 is dead; the live states follow in the order they were reached.
        let width = classes.len() + 1;
        let mut rows = vec![NONE; alive.len()];
        let mut length = width;
        for (row, alive) in rows.iter_mut().zip(&alive) {
            if *alive {
                *row = length as u32;
                length += width;
            }
        }
        let mut table = vec![NONE; width];
        table.reserve_exact(length - width);
        for (index, state) in reached.states.iter().enumerate() {
            if !alive[index] {
                continue;
            }
            let next = reached.next_states(index);
            table.extend(next.iter().map(|&next| rows[next as usize]));
            table.push(source.distance(*state).map_or(NONE, |d| u32::from(d) + 1));
        }
        Self {
            table,
            classes,
            start: rows[0],
        }
    }

    /// The state before the first byte, which may be dead.
    pub(super) fn start(&self) -> State {
        State(self.start)
    }

    /// Whether some continuation matches. Only the start of an automaton can be dead.
    pub(super) fn is_alive(&self, state: State) -> bool {
        state.0 != NONE
    }

    /// The state after one more byte; `None` when no continuation matches.
    #[inline]
    pub(super) fn next(&self, state: State, byte: u8) -> Option<State> {
        let class = usize::from(self.classes.of(byte));
        let next = self.table.get(state.0 as usize + class);
        next.filter(|next| **next != NONE).copied().map(State)
    }

    /// The edit distance of a term that ends here, if it matches.
    #[inline]
    pub(super) fn distance(&self, state: State) -> Option<u8> {
        let cell = self.table.get(state.0 as usize + self.classes.len())?;
        u8::try_from(*cell).ok()?.checked_sub(1)
    }

    /// The smallest byte from `from` up that leads to a live state.
    pub(super) fn next_live_byte(&self, state: State, from: u8) -> Option<u8> {
        let row = state.0 as usize;
        let row = self.table.get(row..row + self.classes.len())?;
        let first = usize::from(self.classes.of(from));
        let skipped = row.get(first..)?.iter().position(|next| *next != NONE)?;
        Some(self.classes.first_byte(first + skipped).max(from))
    }

    /// Size of the table in bytes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        size_of_val(&self.table[..])
    }
}

/// The states that a source can be in, numbered from 0 in the order they were reached.
struct Reached {
    /// The source's number of each.
    states: Vec<usize>,
    /// The state that follows on each byte class, a row for each state.
    next: Vec<u32>,
    /// Whether a term that ends here matches.
    matches: Vec<bool>,
    classes: usize,
}

impl Reached {
    fn explore(source: &impl Source, classes: &ByteClasses) -> Self {
        const UNKNOWN: u32 = u32::MAX;
        let mut numbers = vec![UNKNOWN; source.states()];
        let mut states = vec![source.start()];
        numbers[source.start()] = 0;
        let mut next = Vec::new();
        let mut matches = Vec::new();
        let mut current = 0;
        while let Some(&state) = states.get(current) {
            matches.push(source.distance(state).is_some());
            for &byte in &classes.first_bytes {
                let to = source.next(state, byte);
                if numbers[to] == UNKNOWN {
                    numbers[to] = states.len() as u32;
                    states.push(to);
                }
                next.push(numbers[to]);
            }
            current += 1;
        }
        Self {
            states,
            next,
            matches,
            classes: classes.len(),
        }
    }

    fn next_states(&self, index: usize) -> &[u32] {
        &self.next[index * self.classes..][..self.classes]
    }

    /// Whether a match can be reached from each state. Most transitions lead to states reached
    /// later, so sweeps from the last state to the first need few rounds.
    fn alive(&self) -> Vec<bool> {
        let mut alive = self.matches.clone();
        loop {
            let mut changed = false;
            for index in (0..alive.len()).rev() {
                if !alive[index] && self.next_states(index).iter().any(|&to| alive[to as usize]) {
                    alive[index] = true;
                    changed = true;
                }
            }
            if !changed {
                return alive;
            }
        }
    }
}

/// Ranges of bytes that no state distinguishes.
#[derive(Clone, Debug)]
pub(super) struct ByteClasses {
    class_of: [u8; 256],
    first_bytes: Vec<u8>,
}

impl ByteClasses {
    /// Classes that begin at 0 and at each of these bytes.
    pub(super) fn new(first_bytes: impl IntoIterator<Item = u8>) -> Self {
        let mut is_first = [false; 256];
        is_first[0] = true;
        for byte in first_bytes {
            is_first[usize::from(byte)] = true;
        }
        let first_bytes: Vec<u8> = (0..=255).filter(|&b| is_first[usize::from(b)]).collect();
        let mut class_of = [0; 256];
        let mut class = 0;
        for (of, first) in class_of.iter_mut().zip(is_first).skip(1) {
            class += u8::from(first);
            *of = class;
        }
        Self {
            class_of,
            first_bytes,
        }
    }

    fn len(&self) -> usize {
        self.first_bytes.len()
    }

    fn of(&self, byte: u8) -> u8 {
        self.class_of[usize::from(byte)]
    }

    fn first_byte(&self, class: usize) -> u8 {
        self.first_bytes.get(class).copied().unwrap_or(u8::MAX)
    }
}
