//! Strings get numbers.
//!
//! Most strings are words that were seen before, and of these most are so rare that finding them
//! means waiting for memory. So a table of slots holds the heads of strings, which say all of most
//! words, beside their numbers: a word is found with one look into the table, at the slot that its
//! hash names or at those behind it, and no byte of any string is read.

use std::hash::BuildHasher;

use hashbrown::DefaultHashBuilder;

use super::head::Head;
use crate::error::Result;
use crate::format::{count32, index32};

/// Strings one after another, found by number.
#[derive(Default)]
pub(super) struct Strings {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Strings {
    /// Appends a string and returns its number.
    pub fn push(&mut self, string: &[u8]) -> u32 {
        self.bytes.extend_from_slice(string);
        self.ends.push(index32(self.bytes.len()));
        index32(self.ends.len() - 1)
    }

    /// Checks that all numbers and ends fit their 32 bits.
    pub fn check(&self) -> Result<()> {
        count32("bytes of the strings of a batch", self.bytes.len())?;
        count32("strings of a batch", self.ends.len())?;
        Ok(())
    }

    /// The string with this number.
    #[inline]
    pub fn get(&self, number: u32) -> &[u8] {
        let number = number as usize;
        let start = number
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        let end = self.ends.get(number).copied().unwrap_or(0);
        self.bytes
            .get(start.copied().unwrap_or(0) as usize..end as usize)
            .unwrap_or_default()
    }

    /// Number of strings.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// About how many bytes they take.
    pub fn memory(&self) -> usize {
        self.bytes.len() + 4 * self.ends.len()
    }

    /// Gives back the memory that nothing is in.
    pub fn shrink_to_fit(&mut self) {
        self.bytes.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Gives equal strings equal numbers.
#[derive(Default)]
pub(super) struct Interner {
    strings: Strings,
    slots: Vec<Slot>,
    hash: HeadHash,
}

/// A string's head and number; the head that is none marks an empty slot.
#[derive(Clone, Copy)]
struct Slot {
    head: Head,
    number: u32,
}

const EMPTY: Slot = Slot {
    head: Head::END,
    number: 0,
};
/// Slots of the smallest table; a power of two, as the number of slots always is.
const FEWEST_SLOTS: usize = 1 << 10;

/// Hashes strings, in another way in each table: nobody can choose words that all have the same
/// hash.
struct HeadHash {
    seeds: (u64, u64),
    of_long: DefaultHashBuilder,
}

impl Default for HeadHash {
    fn default() -> Self {
        let of_long = DefaultHashBuilder::default();
        let seeds = (of_long.hash_one(0u64), of_long.hash_one(1u64));
        Self { seeds, of_long }
    }
}

impl HeadHash {
    #[inline]
    // Any truncation of the hash is still a valid hash.
    #[allow(clippy::cast_possible_truncation)]
    fn of<'a>(&self, head: Head, string: impl FnOnce() -> &'a [u8]) -> usize {
        if head.is_whole() {
            return head.hash(self.seeds) as usize;
        }
        self.of_long.hash_one(string()) as usize
    }
}

impl Interner {
    /// See [`Strings::check`].
    pub fn check(&self) -> Result<()> {
        self.strings.check()
    }

    /// The number of a string, and whether it is new.
    #[inline]
    pub fn intern(&mut self, string: &[u8]) -> (u32, bool) {
        let head = Head::of(string);
        let mut at = self.hash.of(head, || string);
        let mask = self.slots.len().wrapping_sub(1);
        while let Some(slot) = self.slots.get(at & mask)
            && slot.head != Head::END
        {
            if slot.head == head && (head.is_whole() || self.strings.get(slot.number) == string) {
                return (slot.number, false);
            }
            at = at.wrapping_add(1);
        }
        (self.insert(head, string), true)
    }

    /// Adds a string that is not there.
    fn insert(&mut self, head: Head, string: &[u8]) -> u32 {
        // Load factor 2/3 keeps probe chains short.
        if (self.strings.len() + 1) * 3 > self.slots.len() * 2 {
            self.grow();
        }
        let number = self.strings.push(string);
        self.put(Slot { head, number });
        number
    }

    fn grow(&mut self) {
        let count = (self.slots.len() * 2).max(FEWEST_SLOTS);
        let before = std::mem::replace(&mut self.slots, vec![EMPTY; count]);
        for slot in before.into_iter().filter(|slot| slot.head != Head::END) {
            self.put(slot);
        }
    }

    /// Fills the first empty slot for a string.
    fn put(&mut self, slot: Slot) {
        let mut at = self.hash.of(slot.head, || self.strings.get(slot.number));
        let mask = self.slots.len().wrapping_sub(1);
        while let Some(here) = self.slots.get_mut(at & mask) {
            if here.head == Head::END {
                *here = slot;
                return;
            }
            at = at.wrapping_add(1);
        }
    }

    pub fn get(&self, number: u32) -> &[u8] {
        self.strings.get(number)
    }

    pub fn memory(&self) -> usize {
        self.strings.memory() + size_of::<Slot>() * self.slots.len()
    }

    pub fn clear(&mut self) {
        self.strings.clear();
        self.slots.fill(EMPTY);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn equal_strings_have_equal_numbers(
            strings in prop::collection::vec("[ab]{0,20}", 0..4_000),
            clear_at in prop::option::of(0usize..4_000),
        ) {
            let mut interner = Interner::default();
            let mut expected: HashMap<&str, u32> = HashMap::new();
            for (place, string) in strings.iter().enumerate() {
                if clear_at == Some(place) {
                    interner.clear();
                    expected.clear();
                }
                let (next, is_known) = (expected.len() as u32, expected.contains_key(&**string));
                let number = *expected.entry(string).or_insert(next);
                prop_assert_eq!(interner.intern(string.as_bytes()), (number, !is_known));
                prop_assert_eq!(interner.get(number), string.as_bytes());
            }
        }
    }
}
