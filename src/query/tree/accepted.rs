//! Nodes around one other, with fewer documents: those of a set, or those that others do not have.

use std::ops::Range;
use std::sync::Arc;

use super::scorer::{AnyScorer, Scorer, first_error, keep, keep_matches};
use crate::doc_set::DocSet;
use crate::error::Error;
use crate::format::DocId;
use crate::query::cursor::{Collected, Matches};

/// Those documents of a node that are in a set.
pub(in crate::query) struct Masked<'a> {
    part: AnyScorer<'a>,
    accepted: Arc<DocSet>,
}

impl<'a> Masked<'a> {
    pub fn new(part: AnyScorer<'a>, accepted: Arc<DocSet>) -> Self {
        Self { part, accepted }
    }
}

impl Scorer for Masked<'_> {
    type Score = f32;

    fn cost(&self) -> u64 {
        self.part.cost()
    }

    fn bound(&self) -> f32 {
        self.part.bound()
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> f32 {
        self.part.window_bound(window)
    }

    fn next(&mut self, start: DocId) -> DocId {
        self.part.next(start)
    }

    fn collect(&mut self, window: &Range<DocId>, cut: Option<f32>, found: &mut Collected<f32>) {
        let from = found.documents.len();
        self.part.collect(window, cut, found);
        keep(found, from, |document, _| self.accepted.contains(document));
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<f32>) {
        let from = found.places.len();
        self.part.find(documents, found);
        keep_matches(found, from, |place| {
            self.accepted.contains(documents[place])
        });
    }

    fn scored(&self) -> u64 {
        self.part.scored()
    }

    fn take_error(&mut self) -> Option<Error> {
        self.part.take_error()
    }
}

/// Those documents of a node that others do not have. They are looked up last, where few documents
/// are left.
pub(in crate::query) struct Without<'a> {
    part: AnyScorer<'a>,
    excluded: Vec<AnyScorer<'a>>,
    found: Matches<f32>,
    documents: Vec<DocId>,
}

impl<'a> Without<'a> {
    pub fn new(part: AnyScorer<'a>, excluded: Vec<AnyScorer<'a>>) -> Self {
        Self {
            part,
            excluded,
            found: Matches::default(),
            documents: Vec::new(),
        }
    }

    /// Finds which of `self.documents` an excluded node has.
    fn look_up(&mut self, number: usize) {
        self.found.places.clear();
        self.found.contributions.clear();
        self.excluded[number].find(&self.documents, &mut self.found);
    }
}

/// Whether a place is among those found, which rise; called with rising places.
fn is_among(found: &[usize], next: &mut usize, place: usize) -> bool {
    while found.get(*next).is_some_and(|found| *found < place) {
        *next += 1;
    }
    found.get(*next) == Some(&place)
}

impl Scorer for Without<'_> {
    type Score = f32;

    fn cost(&self) -> u64 {
        self.part.cost()
    }

    fn bound(&self) -> f32 {
        self.part.bound()
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> f32 {
        self.part.window_bound(window)
    }

    fn next(&mut self, start: DocId) -> DocId {
        self.part.next(start)
    }

    fn collect(&mut self, window: &Range<DocId>, cut: Option<f32>, found: &mut Collected<f32>) {
        let from = found.documents.len();
        self.part.collect(window, cut, found);
        for number in 0..self.excluded.len() {
            self.documents.clear();
            self.documents.extend_from_slice(&found.documents[from..]);
            self.look_up(number);
            let (mut place, mut next) = (0, 0);
            keep(found, from, |_, _| {
                let is_kept = !is_among(&self.found.places, &mut next, place);
                place += 1;
                is_kept
            });
        }
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<f32>) {
        let from = found.places.len();
        self.part.find(documents, found);
        for number in 0..self.excluded.len() {
            self.documents.clear();
            let places = found.places[from..].iter();
            self.documents.extend(places.map(|place| documents[*place]));
            self.look_up(number);
            let (mut at, mut next) = (0, 0);
            keep_matches(found, from, |_| {
                let is_kept = !is_among(&self.found.places, &mut next, at);
                at += 1;
                is_kept
            });
        }
    }

    fn scored(&self) -> u64 {
        let excluded = self.excluded.iter().map(Scorer::scored);
        self.part.scored() + excluded.sum::<u64>()
    }

    fn take_error(&mut self) -> Option<Error> {
        let of_part = self.part.take_error();
        of_part.or_else(|| first_error(&mut self.excluded))
    }
}
