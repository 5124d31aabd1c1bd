//! The terms that say most of each document, gathered from the lists of what is to be merged.

pub(super) use super::bisect::Forward;
use super::document_map::DocumentMap;
use super::fields::{Posting, PostingStream, next_postings};
use super::term_merge::KeyMerge;
use super::write::{Source, WriteOptions};
use crate::error::Result;
use crate::format::postings::Postings;

/// Max terms kept per document, memory permitting: the order hardly gains from more.
const MAX_TERMS: usize = 48;
/// With fewer terms per document no useful order is found.
const MIN_TERMS: usize = 8;
/// Bytes of a term of a document: its number and weight here, and then the copies of two levels of
/// bisection.
const TERM_BYTES: usize = 14;

/// What an order of documents is sought for.
pub(super) struct ForwardTask<'a> {
    pub sources: &'a [Source<'a>],
    pub maps: &'a [DocumentMap],
    /// Number of documents that are kept.
    pub documents: u32,
    /// Bytes of memory that it may take, about.
    pub memory: usize,
    pub options: &'a WriteOptions<'a>,
}

impl ForwardTask<'_> {
    /// Gathers the terms of each document with the highest weights; `None` when there is too little
    /// memory to gather enough.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when a source is damaged, and
    /// [`Error::Cancelled`](crate::Error::Cancelled).
    pub fn gather<S: PostingStream>(
        &self,
        mut merge: KeyMerge<S>,
        weigh: impl Fn(Posting) -> u8,
    ) -> Result<Option<Forward>> {
        let room = self.memory / TERM_BYTES / (self.documents as usize).max(1);
        if room < MIN_TERMS {
            return Ok(None);
        }
        let mut kept = Kept::new(self.documents, room.min(MAX_TERMS));
        let mut postings = Postings::default();
        let mut term_count = 0;
        while next_postings(&mut merge, self.maps, &mut postings)? {
            self.options.check_cancelled()?;
            // A term of one document brings none closer.
            let document_frequency = postings.len();
            if document_frequency < 2 {
                continue;
            }
            for (document, value) in postings.iter() {
                let weight = weigh(Posting {
                    value,
                    document_frequency,
                });
                kept.offer(document as usize, term_count, weight);
            }
            term_count += 1;
        }
        Ok(Some(kept.into_forward(term_count as usize)))
    }
}

/// A few terms of each document, those with the highest weights so far.
struct Kept {
    room: usize,
    counts: Vec<u8>,
    terms: Vec<u32>,
    weights: Vec<u8>,
}

impl Kept {
    fn new(documents: u32, room: usize) -> Self {
        let documents = documents as usize;
        Self {
            room,
            counts: vec![0; documents],
            terms: vec![0; documents * room],
            weights: vec![0; documents * room],
        }
    }

    fn offer(&mut self, document: usize, term: u32, weight: u8) {
        let slots = document * self.room..(document + 1) * self.room;
        let (Some(count), Some(terms), Some(weights)) = (
            self.counts.get_mut(document),
            self.terms.get_mut(slots.clone()),
            self.weights.get_mut(slots),
        ) else {
            return;
        };
        let place = if usize::from(*count) < self.room {
            *count += 1;
            usize::from(*count) - 1
        } else {
            let min = weights.iter().copied().min().unwrap_or(0);
            if min >= weight {
                return;
            }
            weights.iter().position(|w| *w == min).unwrap_or(0)
        };
        if let (Some(term_slot), Some(weight_slot)) = (terms.get_mut(place), weights.get_mut(place))
        {
            (*term_slot, *weight_slot) = (term, weight);
        }
    }

    fn into_forward(self, term_count: usize) -> Forward {
        let mut forward = Forward {
            ends: Vec::with_capacity(self.counts.len()),
            terms: self.terms,
            term_count,
        };
        let mut end = 0;
        for (document, count) in self.counts.iter().enumerate() {
            let start = document * self.room;
            let count = usize::from(*count);
            forward.terms.copy_within(start..start + count, end);
            end += count;
            forward.ends.push(end);
        }
        forward.terms.truncate(end);
        forward
    }
}
