//! The terms of a batch and their postings.
//!
//! Terms keep their numbers from batch to batch, so that a writer pays for hashing a word's bytes
//! once per occurrence and for copying them once in its life. Postings are logged in the order of
//! documents and sorted by term at the end of the batch, by counting.

use super::head::Head;
use super::interner::{Interner, Strings};
use crate::error::Result;
use crate::format::postings::Postings;
use crate::format::{DocId, count32, index32, varint};

/// Number of a term in a [`TermTable`].
pub(super) type TermNumber = u32;

#[derive(Clone, Copy)]
struct TermState {
    /// The batch in which the term was last seen.
    batch: u32,
    /// The last document that had it.
    document: DocId,
    /// Its last posting in the log.
    last: u32,
    /// Postings of this batch; while sorting, where the next one goes.
    postings: u32,
}

struct LoggedPosting {
    term: TermNumber,
    document: DocId,
    value: u32,
}

/// Postings of one field of a batch, sorted by term.
#[derive(Default)]
pub struct FieldPostings {
    pub(super) terms: Strings,
    /// End of each term's postings.
    pub(super) ends: Vec<u32>,
    /// The postings of all terms; values are term frequencies, or the bits of weights.
    pub(super) postings: Postings,
    /// End of each term's positions; empty when there are none.
    pub(super) position_ends: Vec<u32>,
}

impl FieldPostings {
    /// About how many bytes they take; depends on the postings alone, so that it may decide where
    /// segments end.
    pub fn memory(&self) -> usize {
        let ends = self.ends.len() + self.position_ends.len();
        let positions = self.postings.positions.len();
        self.terms.memory() + 4 * (ends + 2 * self.postings.len()) + positions
    }
}

/// Collects the postings of a batch.
#[derive(Default)]
pub(super) struct TermTable {
    terms: Interner,
    states: Vec<TermState>,
    batch: u32,
    touched: Vec<TermNumber>,
    log: Vec<LoggedPosting>,
    /// Where terms occur, in the order of the texts; empty when that is not asked for.
    occurrences: Vec<Occurrence>,
}

/// One occurrence of a term.
struct Occurrence {
    /// Its posting in the log.
    posting: u32,
    position: u32,
}

impl TermTable {
    /// Begins a batch. True when the table, with `extra_memory` beside it, took more than
    /// `max_memory` bytes and forgot its terms: numbers given before are then void.
    pub fn begin_batch(&mut self, extra_memory: usize, max_memory: usize) -> bool {
        self.batch = self.batch.wrapping_add(1);
        self.touched.clear();
        self.log.clear();
        self.occurrences.clear();
        let memory = self.terms.memory() + size_of::<TermState>() * self.states.capacity();
        let full = memory + extra_memory > max_memory || self.batch == 0;
        if full {
            self.terms.clear();
            self.states.clear();
            self.batch = 1;
        }
        full
    }

    /// The number of a term.
    #[inline]
    pub fn number(&mut self, term: &[u8]) -> TermNumber {
        let (number, is_new) = self.terms.intern(term);
        if is_new {
            self.states.push(TermState {
                batch: 0,
                document: 0,
                last: 0,
                postings: 0,
            });
        }
        number
    }

    /// Notes that a document has a term. When it was the last document noted for the term, `join`
    /// makes one value of the old one and the new one. Returns the place of the posting, for
    /// [`TermTable::add_position`].
    #[inline]
    pub fn add(
        &mut self,
        term: TermNumber,
        document: DocId,
        value: u32,
        join: impl Fn(u32, u32) -> u32,
    ) -> u32 {
        let Some(state) = self.states.get_mut(term as usize) else {
            return u32::MAX;
        };
        if state.batch == self.batch {
            if state.document == document {
                if let Some(last) = self.log.get_mut(state.last as usize) {
                    last.value = join(last.value, value);
                }
                return state.last;
            }
            state.document = document;
            state.postings += 1;
        } else {
            *state = TermState {
                batch: self.batch,
                document,
                last: 0,
                postings: 1,
            };
            self.touched.push(term);
        }
        state.last = index32(self.log.len());
        self.log.push(LoggedPosting {
            term,
            document,
            value,
        });
        state.last
    }

    /// Notes where the term of a posting occurs. Positions of a document do not fall, and each
    /// posting of the batch has as many as its value says.
    #[inline]
    pub fn add_position(&mut self, posting: u32, position: u32) {
        self.occurrences.push(Occurrence { posting, position });
    }

    /// Ends the batch: its postings, sorted by term and then by document.
    ///
    /// # Errors
    ///
    /// [`Error::Limit`](crate::Error::Limit) when there are more terms or postings than 32 bits
    /// count.
    pub fn finish_batch(&mut self) -> Result<FieldPostings> {
        self.terms.check()?;
        count32("postings of a batch", self.log.len())?;
        let mut order: Vec<(u64, TermNumber)> = self
            .touched
            .iter()
            .map(|term| (Head::of(self.terms.get(*term)).first_eight(), *term))
            .collect();
        let terms = &self.terms;
        // Eight bytes decide nearly always.
        order.sort_unstable_by(|a, b| {
            a.0.cmp(&b.0)
                .then_with(|| terms.get(a.1).cmp(terms.get(b.1)))
        });
        let mut postings = FieldPostings::default();
        let mut end = 0;
        for (_, term) in order {
            postings.terms.push(self.terms.get(term));
            if let Some(state) = self.states.get_mut(term as usize) {
                let start = end;
                end += state.postings;
                state.postings = start;
            }
            postings.ends.push(end);
        }
        let zeros = || vec![0; self.log.len()];
        let mut sorted = Postings::new(zeros(), zeros());
        // Where each logged posting goes.
        let has_positions = !self.occurrences.is_empty();
        let mut places = vec![0; if has_positions { self.log.len() } else { 0 }];
        for (number, posting) in self.log.iter().enumerate() {
            let Some(state) = self.states.get_mut(posting.term as usize) else {
                continue;
            };
            let place = state.postings as usize;
            if let Some(slot) = places.get_mut(number) {
                *slot = state.postings;
            }
            state.postings += 1;
            let slots = (
                sorted.documents.get_mut(place),
                sorted.values.get_mut(place),
            );
            if let (Some(document), Some(value)) = slots {
                (*document, *value) = (posting.document, posting.value);
            }
        }
        postings.postings = sorted;
        if has_positions {
            self.sort_positions(&places, &mut postings)?;
        }
        postings.terms.shrink_to_fit();
        postings.terms.check()?;
        Ok(postings)
    }

    /// Puts the positions of postings, which went to these places, in the order of the places.
    fn sort_positions(&self, places: &[u32], to: &mut FieldPostings) -> Result<()> {
        count32(
            "occurrences of the terms of a batch",
            self.occurrences.len(),
        )?;
        // First where those of each posting begin, and then where the next one goes.
        let mut nexts = Vec::with_capacity(to.postings.len());
        let mut end = 0u32;
        for frequency in &to.postings.values {
            nexts.push(end);
            end = end.saturating_add(*frequency);
        }
        let mut sorted = vec![0u32; self.occurrences.len()];
        for occurrence in &self.occurrences {
            let place = places.get(occurrence.posting as usize);
            let Some(next) = place.and_then(|place| nexts.get_mut(*place as usize)) else {
                continue;
            };
            if let Some(slot) = sorted.get_mut(*next as usize) {
                *slot = occurrence.position;
            }
            *next += 1;
        }
        // Most distances take a byte.
        let mut bytes = Vec::with_capacity(sorted.len() + sorted.len() / 8);
        let mut positions = sorted.iter();
        let mut start = 0;
        for end in &to.ends {
            let values = to.postings.values.get(start as usize..*end as usize);
            for frequency in values.unwrap_or_default() {
                let mut last = 0;
                for position in positions.by_ref().take(*frequency as usize) {
                    varint::write(u64::from(position.wrapping_sub(last)), &mut bytes);
                    last = *position;
                }
            }
            to.position_ends.push(index32(bytes.len()));
            start = *end;
        }
        count32("bytes of the positions of a batch", bytes.len())?;
        bytes.shrink_to_fit();
        to.postings.positions = bytes;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn postings_come_out_sorted_as_in_a_tree_map(
            batches in prop::collection::vec(
                prop::collection::vec(prop::collection::vec("[ab]{1,9}", 0..12), 0..20),
                1..4,
            ),
        ) {
            let mut table = TermTable::default();
            for batch in batches {
                table.begin_batch(0, 1 << 20);
                let mut expected: BTreeMap<Vec<u8>, BTreeMap<u32, u32>> = BTreeMap::new();
                let mut positions: BTreeMap<(Vec<u8>, u32), Vec<u32>> = BTreeMap::new();
                for (document, words) in (0..).zip(&batch) {
                    for (position, word) in (0..).step_by(3).zip(words) {
                        let number = table.number(word.as_bytes());
                        let posting = table.add(number, document, 1, |old, new| old + new);
                        table.add_position(posting, position);
                        let of_posting = (word.clone().into_bytes(), document);
                        positions.entry(of_posting).or_default().push(position);
                        *expected
                            .entry(word.clone().into_bytes())
                            .or_default()
                            .entry(document)
                            .or_default() += 1;
                    }
                }
                let postings = table.finish_batch().unwrap();
                prop_assert_eq!(postings.terms.len(), expected.len());
                let positions_of: Vec<&Vec<u8>> = positions.keys().map(|(term, _)| term).collect();
                let mut found_ends = Vec::new();
                let mut bytes = Vec::new();
                for (number, ((term, _), positions)) in positions.iter().enumerate() {
                    let mut last = 0;
                    for position in positions {
                        varint::write(u64::from(position - last), &mut bytes);
                        last = *position;
                    }
                    // The last document of each term.
                    if positions_of.get(number + 1).is_none_or(|next| *next != term) {
                        found_ends.push(bytes.len() as u32);
                    }
                }
                prop_assert_eq!(&postings.postings.positions, &bytes);
                prop_assert_eq!(&postings.position_ends, &found_ends);
                let mut start = 0;
                for (index, (term, documents)) in expected.iter().enumerate() {
                    prop_assert_eq!(postings.terms.get(index as u32), &term[..]);
                    let end = postings.ends[index] as usize;
                    let found: BTreeMap<u32, u32> = postings.postings.documents[start..end]
                        .iter()
                        .copied()
                        .zip(postings.postings.values[start..end].iter().copied())
                        .collect();
                    prop_assert_eq!(&found, documents);
                    start = end;
                }
            }
        }
    }
}
