//! Sorted streams of keys become one sorted stream.
//!
//! A binary heap holds the streams by their current keys, of which the heads are kept beside them
//! as numbers: they decide nearly every comparison. The streams that stand on the min key are
//! together at the top of the heap: each entry's parent has the same key. They are moved on where
//! they are, and then sink from the lowest place to the highest, as when a heap is made: for a key
//! of many streams that takes little more than a step for each.
//!
//! Streams that stand on the same key come out together, in the order in which they were given, so
//! that postings of earlier sources come first.

use super::head::Head;
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
    /// The min key is first; streams that have ended have the head that is none.
    heap: Vec<Entry>,
    /// Places in the heap, rising, of the streams on the current key.
    places: Vec<usize>,
    /// The streams on the current key, one bit each.
    current: Vec<u64>,
}

#[derive(Clone, Copy)]
struct Entry {
    /// Of the current key.
    head: Head,
    stream: usize,
}

impl<S: KeyStream> KeyMerge<S> {
    /// Begins with streams that have not been advanced yet.
    pub fn new(streams: Vec<S>) -> Result<Self> {
        let count = streams.len();
        let entry = |stream| Entry {
            head: Head::END,
            stream,
        };
        Ok(Self {
            heap: (0..count).map(entry).collect(),
            // All are still before their first keys.
            places: (0..count).collect(),
            current: vec![0; count.div_ceil(64)],
            streams,
        })
    }

    /// Moves to the next key; false after the last. [`KeyMerge::for_current`] then visits the
    /// streams that stand on it.
    pub fn advance(&mut self) -> Result<bool> {
        let mut places = std::mem::take(&mut self.places);
        for place in places.drain(..).rev() {
            self.move_on(place)?;
        }
        self.current.fill(0);
        let first = self.heap.first().copied();
        let Some(first) = first.filter(|first| first.head != Head::END) else {
            return Ok(false);
        };
        places.push(0);
        let mut next = 0;
        while let Some(place) = places.get(next).copied() {
            next += 1;
            self.mark(place);
            for child in [2 * place + 1, 2 * place + 2] {
                if self
                    .at(child)
                    .is_some_and(|entry| self.is_same(entry, first))
                {
                    places.push(child);
                }
            }
        }
        self.places = places;
        Ok(true)
    }

    /// The current key.
    pub fn key(&self) -> &[u8] {
        let first = self.places.first().and_then(|place| self.at(*place));
        first.map_or(&[], |entry| self.key_of(entry))
    }

    /// Calls `visit` with each stream that stands on the current key and its number.
    pub fn for_current(
        &mut self,
        mut visit: impl FnMut(usize, &mut S) -> Result<()>,
    ) -> Result<()> {
        for (word, base) in self.current.iter().zip((0..).step_by(64)) {
            let mut rest = *word;
            while rest != 0 {
                let number = base + rest.trailing_zeros() as usize;
                rest &= rest - 1;
                if let Some(stream) = self.streams.get_mut(number) {
                    visit(number, stream)?;
                }
            }
        }
        Ok(())
    }

    /// Notes that the stream at a place stands on the current key.
    fn mark(&mut self, place: usize) {
        let Some(entry) = self.at(place) else {
            return;
        };
        if let Some(word) = self.current.get_mut(entry.stream / 64) {
            *word |= 1 << (entry.stream % 64);
        }
    }

    /// Moves the stream at a place to its next key, and the entry to where it belongs below.
    fn move_on(&mut self, mut place: usize) -> Result<()> {
        let Some(mut entry) = self.at(place) else {
            return Ok(());
        };
        entry.head = Head::END;
        if let Some(stream) = self.streams.get_mut(entry.stream)
            && stream.advance()?
        {
            entry.head = Head::of(stream.key());
        }
        while let Some(left) = self.at(2 * place + 1) {
            let (child, below) = match self.at(2 * place + 2) {
                Some(right) if self.is_less(right, left) => (2 * place + 2, right),
                _ => (2 * place + 1, left),
            };
            if !self.is_less(below, entry) {
                break;
            }
            self.set(place, below);
            place = child;
        }
        self.set(place, entry);
        Ok(())
    }

    fn key_of(&self, entry: Entry) -> &[u8] {
        self.streams.get(entry.stream).map_or(&[], |s| s.key())
    }

    #[inline]
    fn is_less(&self, a: Entry, b: Entry) -> bool {
        if a.head != b.head || a.head.is_whole() {
            return a.head < b.head;
        }
        self.key_of(a) < self.key_of(b)
    }

    #[inline]
    fn is_same(&self, a: Entry, b: Entry) -> bool {
        a.head == b.head && (a.head.is_whole() || self.key_of(a) == self.key_of(b))
    }

    #[inline]
    fn at(&self, place: usize) -> Option<Entry> {
        self.heap.get(place).copied()
    }

    #[inline]
    fn set(&mut self, place: usize, entry: Entry) {
        if let Some(slot) = self.heap.get_mut(place) {
            *slot = entry;
        }
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
