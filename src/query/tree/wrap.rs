//! Nodes around one other, with other scores: in other units, or boosted.

use std::ops::Range;

use super::scorer::{AnyScorer, Scorer, keep_above};
use crate::error::Error;
use crate::format::DocId;
use crate::query::cursor::{Collected, Matches};
use crate::query::score::in_units;

/// Room for the rounding of a product.
const SLACK: f32 = 4.0 * f32::EPSILON;

/// Scores of integers as numbers, of which one unit stands for `unit`.
pub(in crate::query) struct InUnits<P: Scorer> {
    part: P,
    unit: f32,
    collected: Collected<P::Score>,
    found: Matches<P::Score>,
}

impl<P: Scorer<Score = u32>> InUnits<P> {
    pub fn new(part: P, unit: f32) -> Self {
        Self {
            part,
            unit,
            collected: Collected::default(),
            found: Matches::default(),
        }
    }

    /// All integers up to this one are, in units, not above `cut`.
    fn cut(&self, cut: f32) -> u32 {
        let cut = cut / self.unit * (1.0 - SLACK);
        // Saturating: below 0 and beyond the largest integer.
        (cut as u32).saturating_sub(1)
    }
}

impl<P: Scorer<Score = u32>> Scorer for InUnits<P> {
    type Score = f32;

    fn cost(&self) -> u64 {
        self.part.cost()
    }

    fn bound(&self) -> f32 {
        in_units(self.part.bound(), self.unit)
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> f32 {
        in_units(self.part.window_bound(window), self.unit)
    }

    fn next(&mut self, start: DocId) -> DocId {
        self.part.next(start)
    }

    fn collect(&mut self, window: &Range<DocId>, cut: Option<f32>, found: &mut Collected<f32>) {
        self.collected.documents.clear();
        self.collected.contributions.clear();
        let integer = cut.map(|cut| self.cut(cut));
        self.part.collect(window, integer, &mut self.collected);
        let from = found.documents.len();
        found.documents.extend_from_slice(&self.collected.documents);
        let scores = self.collected.contributions.iter();
        let scores = scores.map(|score| in_units(*score, self.unit));
        found.contributions.extend(scores);
        keep_above(found, from, cut);
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<f32>) {
        self.found.places.clear();
        self.found.contributions.clear();
        self.part.find(documents, &mut self.found);
        found.places.extend_from_slice(&self.found.places);
        let scores = self.found.contributions.iter();
        let scores = scores.map(|score| in_units(*score, self.unit));
        found.contributions.extend(scores);
    }

    fn scored(&self) -> u64 {
        self.part.scored()
    }

    fn take_error(&mut self) -> Option<Error> {
        self.part.take_error()
    }
}

/// Scores times a boost, which is above 0.
pub(in crate::query) struct Boosted<'a> {
    part: AnyScorer<'a>,
    boost: f32,
}

impl<'a> Boosted<'a> {
    pub fn new(part: AnyScorer<'a>, boost: f32) -> Self {
        Self { part, boost }
    }

    /// A score times the boost; at most the largest number.
    fn of(&self, score: f32) -> f32 {
        in_units(score, self.boost)
    }

    /// As [`of`](Self::of), for a bound: 0 means that there is no document, so none is rounded to 0.
    fn of_bound(&self, bound: f32) -> f32 {
        match bound > 0.0 {
            true => self.of(bound).max(f32::MIN_POSITIVE),
            false => 0.0,
        }
    }
}

impl Scorer for Boosted<'_> {
    type Score = f32;

    fn cost(&self) -> u64 {
        self.part.cost()
    }

    fn bound(&self) -> f32 {
        self.of_bound(self.part.bound())
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> f32 {
        let bound = self.part.window_bound(window);
        self.of_bound(bound)
    }

    fn next(&mut self, start: DocId) -> DocId {
        self.part.next(start)
    }

    fn collect(&mut self, window: &Range<DocId>, cut: Option<f32>, found: &mut Collected<f32>) {
        let from = found.documents.len();
        let of_part = cut.map(|cut| (cut / self.boost).min(f32::MAX) * (1.0 - SLACK));
        self.part.collect(window, of_part, found);
        for place in from..found.contributions.len() {
            found.contributions[place] = self.of(found.contributions[place]);
        }
        keep_above(found, from, cut);
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<f32>) {
        let from = found.contributions.len();
        self.part.find(documents, found);
        for place in from..found.contributions.len() {
            found.contributions[place] = self.of(found.contributions[place]);
        }
    }

    fn scored(&self) -> u64 {
        self.part.scored()
    }

    fn take_error(&mut self) -> Option<Error> {
        self.part.take_error()
    }
}
