//! The ids of a load, to find duplicates before they are indexed.
//!
//! The idea: an entry of 16 bytes for each id, 80 bits of its hash and 48 bits for the position of
//! its first record. At 100 million ids the probability that any two different ones have the same
//! hash is 4e-9. A position is a block of up to a million lines of one file, and a line in it;
//! blocks are few. With the table's free entries an id takes 19 to 39 bytes.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use clap::ValueEnum;
use esparsa::{Error, Result};
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// Bits of an entry for the position of the id's first record: the block, then the line in it.
const PLACE_BITS: u32 = 48;
const LINE_BITS: u32 = 20;
const LINES_PER_BLOCK: u64 = 1 << LINE_BITS;

/// The policy for a record that has the id of an earlier record of the same inputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnDuplicate {
    /// The later record replaces the earlier one; ids take no memory.
    #[default]
    Replace,
    /// It is an error; ids take about 30 bytes of memory each.
    Fail,
    /// It is reported and skipped, from the 21st on only counted; ids take about 30 bytes of memory
    /// each.
    Skip,
}

/// The ids seen so far, as far as the policy needs them.
pub struct Ids {
    seen: Option<Seen>,
}

struct Seen {
    entries: HashTable<u128>,
    blocks: Vec<Block>,
    /// Random, so that nobody can craft ids that collide.
    seed: u64,
}

/// Up to [`LINES_PER_BLOCK`] lines of a file, from `first_line`.
struct Block {
    file: Arc<str>,
    first_line: u64,
}

impl Ids {
    /// No ids yet.
    pub fn new(policy: OnDuplicate) -> Self {
        let seen = || Seen {
            entries: HashTable::new(),
            blocks: Vec::new(),
            seed: RandomState::new().hash_one(0),
        };
        Self {
            seen: (policy != OnDuplicate::Replace).then(seen),
        }
    }

    /// Adds the id of a record on `line` of `file`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when an earlier record has it, unless later ones replace earlier
    /// ones.
    pub fn add(&mut self, id: &str, file: &Arc<str>, line: u64) -> Result<()> {
        match &mut self.seen {
            Some(seen) => seen.add(id, file, line),
            None => Ok(()),
        }
    }

    /// True if a record has this id; never if ids are not remembered.
    pub fn contains(&self, id: &str) -> bool {
        self.seen.as_ref().is_some_and(|seen| {
            let hash = seen.hash(id);
            seen.find(hash).is_some()
        })
    }

    /// True if ids are remembered.
    pub fn are_kept(&self) -> bool {
        self.seen.is_some()
    }
}

/// The bits of an entry that choose its place in the table.
fn top(entry: u128) -> u64 {
    (entry >> 64) as u64
}

impl Seen {
    fn hash(&self, id: &str) -> u128 {
        xxh3_128_with_seed(id.as_bytes(), self.seed) >> PLACE_BITS
    }

    /// The entry with this hash.
    fn find(&self, hash: u128) -> Option<&u128> {
        self.entries
            .find(top(hash << PLACE_BITS), |other| other >> PLACE_BITS == hash)
    }

    fn add(&mut self, id: &str, file: &Arc<str>, line: u64) -> Result<()> {
        let hash = self.hash(id);
        if let Some(first) = self.find(hash) {
            return Err(self.duplicate(id, *first, file).at_line(&**file, line));
        }
        let entry = (hash << PLACE_BITS) | u128::from(self.place(file, line));
        self.entries
            .insert_unique(top(entry), entry, |entry| top(*entry));
        Ok(())
    }

    /// The place of a line, in the last block or in a new one.
    fn place(&mut self, file: &Arc<str>, line: u64) -> u64 {
        let in_block = |block: &Block| {
            let offset = line.checked_sub(block.first_line)?;
            (block.file == *file && offset < LINES_PER_BLOCK).then_some(offset)
        };
        let offset = self.blocks.last().and_then(in_block).unwrap_or_else(|| {
            self.blocks.push(Block {
                file: Arc::clone(file),
                first_line: line,
            });
            0
        });
        ((self.blocks.len() as u64 - 1) << LINE_BITS) | offset
    }

    fn duplicate(&self, id: &str, first: u128, file: &Arc<str>) -> Error {
        let place = first as u64 & ((1 << PLACE_BITS) - 1);
        let block = self.blocks.get((place >> LINE_BITS) as usize);
        let first = match block {
            Some(block) => {
                let line = block.first_line + place % LINES_PER_BLOCK;
                match block.file == *file {
                    true => format!("line {line}"),
                    false => format!("{}:{line}", block.file),
                }
            }
            None => "an earlier record".to_owned(),
        };
        Error::invalid(format!("duplicate id `{id}`, already used by {first}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(ids: &mut Ids, id: &str, file: &str, line: u64) -> String {
        ids.add(id, &file.into(), line).unwrap_err().to_string()
    }

    #[test]
    fn a_duplicate_is_named_with_the_place_of_the_first() {
        let mut ids = Ids::new(OnDuplicate::Fail);
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let last = 3 * LINES_PER_BLOCK + 5;
        for (id, file, line) in [
            ("x", &a, 1),
            ("y", &a, LINES_PER_BLOCK),
            ("z", &a, LINES_PER_BLOCK + 1),
            ("far", &a, last),
            ("in b", &b, 7),
        ] {
            ids.add(id, file, line).unwrap();
        }
        for (id, expected) in [
            ("x", "b:9: duplicate id `x`, already used by a:1".to_owned()),
            ("y", format!("already used by a:{LINES_PER_BLOCK}")),
            ("z", format!("already used by a:{}", LINES_PER_BLOCK + 1)),
            ("far", format!("already used by a:{last}")),
            ("in b", "already used by line 7".to_owned()),
        ] {
            let message = message(&mut ids, id, "b", 9);
            assert!(message.contains(&expected), "{message}");
        }
        ids.add("X", &b, 10).unwrap();
        assert!(ids.contains("X") && ids.contains("far") && !ids.contains("other"));
    }

    #[test]
    fn an_id_takes_16_bytes() {
        let mut ids = Ids::new(OnDuplicate::Skip);
        let file: Arc<str> = "a".into();
        for line in 1..=10_000u64 {
            ids.add(&format!("document-{line}"), &file, line).unwrap();
        }
        let seen = ids.seen.as_ref().unwrap();
        assert_eq!((seen.entries.len(), seen.blocks.len()), (10_000, 1));
        // 16 bytes, one of control, and room for twice as many at worst.
        assert!(seen.entries.allocation_size() <= 10_000 * 40);
    }

    #[test]
    fn later_records_may_replace_earlier_ones() {
        let mut ids = Ids::new(OnDuplicate::Replace);
        for line in [1, 2] {
            ids.add("x", &"a".into(), line).unwrap();
        }
        assert!(!ids.are_kept() && !ids.contains("x"));
    }
}
