//! Sorted streams of keys become one sorted stream.
//!
//! A binary heap holds the streams by their current key, of which the first eight bytes are kept beside
//! it as a number: they decide nearly every comparison. Streams that stand on the same key come out
//! together, in the order in which they were given, so that postings of earlier sources come first.

use super::term_table::prefix;
use crate::error::Result;

/// A stream of rising keys.
pub(super) trait KeyStream {
    /// Moves to the next key; false after the last.
    fn advance(&mut self) -> Result<bool>;
    /// The current key.
    fn key(&self) -> &[u8];
}

/// Merges streams.
pub(super) struct KeyMerge<S> {
    streams: Vec<S>,
    /// Prefix of the current key and number of the stream; the least is first.
    heap: Vec<(u64, usize)>,
    /// Streams on the current key, by rising number.
    current: Vec<usize>,
}

impl<S: KeyStream> KeyMerge<S> {
    /// Begins with streams that have not been advanced yet.
    pub fn new(streams: Vec<S>) -> Result<Self> {
        let mut merge = Self {
            heap: Vec::with_capacity(streams.len()),
            current: (0..streams.len()).collect(),
            streams,
        };
        merge.refill()?;
        Ok(merge)
    }

    /// Moves to the next key; false after the last. [`KeyMerge::current`] then gives the streams that
    /// stand on it.
    pub fn advance(&mut self) -> Result<bool> {
        self.refill()?;
        let Some(first) = self.pop() else {
            return Ok(false);
        };
        self.current.push(first.1);
        while let Some(next) = self.heap.first().copied() {
            if next.0 != first.0 || self.key_of(next.1) != self.key_of(first.1) {
                break;
            }
            self.pop();
            self.current.push(next.1);
        }
        Ok(true)
    }

    /// The current key.
    pub fn key(&self) -> &[u8] {
        self.current.first().map_or(&[], |s| self.key_of(*s))
    }

    /// Calls `visit` with each stream that stands on the current key and its number.
    pub fn for_current(
        &mut self,
        mut visit: impl FnMut(usize, &mut S) -> Result<()>,
    ) -> Result<()> {
        for number in &self.current {
            if let Some(stream) = self.streams.get_mut(*number) {
                visit(*number, stream)?;
            }
        }
        Ok(())
    }

    fn refill(&mut self) -> Result<()> {
        let mut current = std::mem::take(&mut self.current);
        for number in current.drain(..) {
            if let Some(stream) = self.streams.get_mut(number)
                && stream.advance()?
            {
                let entry = (prefix(stream.key()), number);
                self.push(entry);
            }
        }
        self.current = current;
        Ok(())
    }

    fn key_of(&self, stream: usize) -> &[u8] {
        self.streams.get(stream).map_or(&[], |s| s.key())
    }

    fn is_less(&self, a: (u64, usize), b: (u64, usize)) -> bool {
        a.0.cmp(&b.0)
            .then_with(|| self.key_of(a.1).cmp(self.key_of(b.1)))
            .then(a.1.cmp(&b.1))
            .is_lt()
    }

    fn at(&self, place: usize) -> Option<(u64, usize)> {
        self.heap.get(place).copied()
    }

    fn push(&mut self, entry: (u64, usize)) {
        let mut place = self.heap.len();
        self.heap.push(entry);
        while place > 0 {
            let parent = (place - 1) / 2;
            match self.at(parent) {
                Some(above) if self.is_less(entry, above) => self.heap.swap(place, parent),
                _ => break,
            }
            place = parent;
        }
    }

    fn pop(&mut self) -> Option<(u64, usize)> {
        let top = self.at(0)?;
        let last = self.heap.len() - 1;
        self.heap.swap(0, last);
        self.heap.truncate(last);
        let mut place = 0;
        while let Some(left) = self.at(2 * place + 1) {
            let child = match self.at(2 * place + 2) {
                Some(right) if self.is_less(right, left) => 2 * place + 2,
                _ => 2 * place + 1,
            };
            match (self.at(child), self.at(place)) {
                (Some(below), Some(here)) if self.is_less(below, here) => {
                    self.heap.swap(place, child);
                }
                _ => break,
            }
            place = child;
        }
        Some(top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    struct Keys {
        keys: Vec<String>,
        next: usize,
    }

    impl KeyStream for Keys {
        fn advance(&mut self) -> Result<bool> {
            self.next += 1;
            Ok(self.next <= self.keys.len())
        }

        fn key(&self) -> &[u8] {
            self.keys[self.next - 1].as_bytes()
        }
    }

    proptest! {
        #[test]
        fn keys_come_in_order_with_all_their_streams(
            sets in prop::collection::vec(
                prop::collection::btree_set("[ab]{1,10}", 0..20),
                0..6,
            ),
        ) {
            let mut expected: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
            for (number, set) in sets.iter().enumerate() {
                for key in set {
                    expected.entry(key.clone()).or_default().insert(number);
                }
            }
            let streams = sets
                .into_iter()
                .map(|set| Keys { keys: set.into_iter().collect(), next: 0 })
                .collect();
            let mut merge = KeyMerge::new(streams).unwrap();
            let mut found = Vec::new();
            while merge.advance().unwrap() {
                let key = String::from_utf8(merge.key().to_vec()).unwrap();
                let mut streams = Vec::new();
                merge
                    .for_current(|number, _| {
                        streams.push(number);
                        Ok(())
                    })
                    .unwrap();
                found.push((key, streams));
            }
            let expected: Vec<(String, Vec<usize>)> = expected
                .into_iter()
                .map(|(key, streams)| (key, streams.into_iter().collect()))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
