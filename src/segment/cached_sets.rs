//! Sets of documents that were made for filters, kept with the segment: it never changes, so they
//! are right for as long as it is open.

use std::sync::{Arc, Mutex, PoisonError};

use crate::doc_set::DocSet;
use crate::error::Result;

/// Sets that are kept, of one bit for each document; the one that was used least recently goes
/// first.
const MAX_SETS: usize = 32;
/// Bytes of the sets of a segment, of which at least one is kept.
const MAX_BYTES: usize = 64 << 20;
/// Keys that are longer cost more to compare than they save, and are not kept.
const MAX_KEY_BYTES: usize = 4_096;

/// The sets of a segment, the most recently used last.
#[derive(Default)]
pub(super) struct CachedSets {
    sets: Mutex<Vec<(Box<str>, Arc<DocSet>)>>,
}

impl CachedSets {
    /// The set of this key, made if it is not there.
    pub fn get(
        &self,
        key: &str,
        make: impl FnOnce() -> Result<Arc<DocSet>>,
    ) -> Result<Arc<DocSet>> {
        if key.len() > MAX_KEY_BYTES {
            return make();
        }
        if let Some(set) = self.find(key) {
            return Ok(set);
        }
        // Two threads may make the same set: that is better than one that waits for another's.
        let set = make()?;
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        if !sets.iter().any(|(known, _)| **known == *key) {
            let bytes = set.words().len() * 8;
            while sets.len() >= MAX_SETS || !sets.is_empty() && (sets.len() + 1) * bytes > MAX_BYTES
            {
                sets.remove(0);
            }
            sets.push((key.into(), Arc::clone(&set)));
        }
        Ok(set)
    }

    /// The set of this key, if it is there.
    pub fn find(&self, key: &str) -> Option<Arc<DocSet>> {
        let mut sets = self.sets.lock().unwrap_or_else(PoisonError::into_inner);
        let place = sets.iter().position(|(known, _)| **known == *key)?;
        let found = sets.remove(place);
        let set = Arc::clone(&found.1);
        sets.push(found);
        Some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(documents: u32) -> Arc<DocSet> {
        Arc::new(DocSet::full(documents))
    }

    #[test]
    fn the_most_recently_used_sets_are_kept() {
        let sets = CachedSets::default();
        let known = |key: &str| {
            let mut is_known = true;
            let made = sets.get(key, || {
                is_known = false;
                Ok(set(7))
            });
            assert_eq!(*made.unwrap(), *set(7));
            is_known
        };
        for number in 0..MAX_SETS {
            assert!(!known(&number.to_string()));
        }
        assert!(known("0"));
        assert!(!known("more"));
        assert!(known("0") && !known("1"));
        assert_eq!(sets.sets.lock().unwrap().len(), MAX_SETS);
    }

    #[test]
    fn large_sets_and_long_keys_take_little_memory() {
        let sets = CachedSets::default();
        for number in 0..9 {
            sets.get(&number.to_string(), || Ok(set(200 << 20)))
                .unwrap();
        }
        assert_eq!(sets.sets.lock().unwrap().len(), 2);
        sets.get(&"x".repeat(MAX_KEY_BYTES + 1), || Ok(set(1)))
            .unwrap();
        assert_eq!(sets.sets.lock().unwrap().len(), 2);
    }

    #[test]
    fn a_set_that_cannot_be_made_is_not_kept() {
        let sets = CachedSets::default();
        let failed = sets.get("a", || Err(crate::Error::invalid("no")));
        assert!(failed.is_err());
        assert!(sets.get("a", || Ok(set(1))).is_ok());
    }
}
