//! Terms that were looked up before.
//!
//! A query with 40 weighted terms spends a quarter of its time on finding them in the dictionary. A
//! long-lived reader sees the same terms again and again, so those found first are remembered, in a
//! table that never grows and never forgets: a place is written once and read without a lock. A
//! term that finds its places taken is looked up each time.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::DefaultHashBuilder;
use std::hash::BuildHasher;

use super::TermEntry;

/// Places of the largest table.
const MAX_PLACES: u64 = 16_384;
/// Places that a term may take.
const PLACES_OF_TERM: usize = 4;
/// Lookups without a table: one query from a command line should not pay for one.
const LOOKUPS_BEFORE: u32 = 256;

type Place = OnceLock<(Box<[u8]>, TermEntry)>;

/// A table of terms and what the dictionary says of them.
#[derive(Debug, Default)]
pub(super) struct TermMemo {
    lookups: AtomicU32,
    places: OnceLock<Box<[Place]>>,
    hasher: DefaultHashBuilder,
}

impl TermMemo {
    /// What was remembered of a term, or else what `look_up` finds, of a dictionary with `keys`
    /// keys.
    pub fn get<E>(
        &self,
        key: &[u8],
        keys: u64,
        look_up: impl FnOnce() -> Result<Option<TermEntry>, E>,
    ) -> Result<Option<TermEntry>, E> {
        let Some(places) = self.places(keys) else {
            return look_up();
        };
        // The table's length is a power of two.
        let mask = places.len() - 1;
        let hash = self.hasher.hash_one(key).to_le_bytes();
        let first = usize::from(u16::from_le_bytes([hash[0], hash[1]]));
        let mut free = None;
        for step in 0..PLACES_OF_TERM {
            let Some(place) = places.get(first.wrapping_add(step) & mask) else {
                continue;
            };
            match place.get() {
                Some((remembered, entry)) if **remembered == *key => return Ok(Some(*entry)),
                Some(_) => {}
                None => {
                    free = Some(place);
                    break;
                }
            }
        }
        let found = look_up()?;
        if let (Some(place), Some(entry)) = (free, found) {
            // Another thread may have been faster, and then this term is remembered another time.
            let _ = place.set((key.into(), entry));
        }
        Ok(found)
    }

    fn places(&self, keys: u64) -> Option<&[Place]> {
        if let Some(places) = self.places.get() {
            return Some(places);
        }
        if self.lookups.fetch_add(1, Ordering::Relaxed) < LOOKUPS_BEFORE {
            return None;
        }
        let count = keys.clamp(1, MAX_PLACES).next_power_of_two();
        let places = || (0..count).map(|_| Place::new()).collect();
        Some(self.places.get_or_init(places))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{TermPositions, TermPostings};
    use super::*;
    use std::convert::Infallible;

    fn entry(number: u32) -> TermEntry {
        let postings = TermPostings::List {
            offset: u64::from(number),
            length: 7,
        };
        TermEntry {
            document_frequency: number,
            postings,
            positions: TermPositions::None,
        }
    }

    #[test]
    fn what_is_remembered_is_what_was_found() {
        let memo = TermMemo::default();
        let mut looked_up = 0;
        for round in 0..4 {
            for number in 0..500u32 {
                let found = memo.get(&number.to_le_bytes(), 400, || {
                    looked_up += 1;
                    Ok::<_, Infallible>((number % 5 != 0).then(|| entry(number)))
                });
                let expected = (number % 5 != 0).then(|| entry(number));
                assert_eq!(found.unwrap(), expected, "round {round}");
            }
        }
        // Those that are not there, and those that found no place, are looked up every time.
        assert!((900..1_600).contains(&looked_up), "{looked_up} lookups");
    }

    #[test]
    fn errors_are_handed_on_and_not_remembered() {
        let memo = TermMemo::default();
        for number in 0..1_000 {
            let found = memo.get(b"term", 10, || Err::<Option<TermEntry>, u32>(number));
            assert_eq!(found, Err(number));
        }
    }
}
