//! The terms that say most of each document, gathered from the lists of what is to be merged.

use super::bisect::Forward;
use super::document_map::DocumentMap;
use super::streams::PostingStream;
use super::term_merge::KeyMerge;
use crate::error::Result;
use crate::format::impact::in_base_steps;

/// Terms kept of each document, when there is memory for them: the order hardly gains from more.
const MOST_TERMS: usize = 48;
/// With fewer there is no order to be found.
const LEAST_TERMS: usize = 8;
/// What a term of a document takes: its number and weight here, and then the copies of two levels of bisection.
const TERM_BYTES: usize = 14;

/// How the weight of a posting is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Weighing {
    /// By impact; values are packed impacts.
    ByImpact,
    /// Rarer terms weigh more.
    ByRarity,
}

/// Gathers the weightiest terms of each of `documents` documents in about `memory` bytes; `None` when that is too little.
pub(super) fn gather(
    mut merge: KeyMerge<PostingStream<'_>>,
    maps: &[DocumentMap],
    documents: u32,
    weighing: Weighing,
    memory: usize,
) -> Result<Option<Forward>> {
    let room = memory / TERM_BYTES / (documents as usize).max(1);
    if room < LEAST_TERMS {
        return Ok(None);
    }
    let mut kept = Kept::new(documents, room.min(MOST_TERMS));
    let (mut of_term, mut values) = (Vec::new(), Vec::new());
    let mut term_count = 0;
    while merge.advance()? {
        of_term.clear();
        values.clear();
        merge.for_current(|source, stream| match maps.get(source) {
            Some(map) => stream.postings(map, &mut of_term, &mut values),
            None => Ok(()),
        })?;
        // A term of one document brings none closer.
        if of_term.len() < 2 {
            continue;
        }
        let rarity = of_term.len().leading_zeros().saturating_mul(3);
        for (document, value) in of_term.iter().zip(&values) {
            let weight = match weighing {
                Weighing::ByImpact => in_base_steps(*value),
                Weighing::ByRarity => u8::try_from(rarity).unwrap_or(u8::MAX),
            };
            kept.offer(*document as usize, term_count, weight);
        }
        term_count += 1;
    }
    Ok(Some(kept.into_forward(term_count as usize)))
}

/// A few terms of each document, the weightiest so far.
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
            let least = weights.iter().copied().min().unwrap_or(u8::MAX);
            if least >= weight {
                return;
            }
            weights.iter().position(|w| *w == least).unwrap_or(0)
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
