//! Sets of documents that all have one score.

use std::ops::Range;
use std::sync::Arc;

use super::scorer::Scorer;
use crate::doc_set::DocSet;
use crate::error::Error;
use crate::format::DocId;
use crate::query::cursor::{Collected, Matches};

/// A set of documents, each with the same score.
pub(in crate::query) struct Documents {
    set: Arc<DocSet>,
    score: f32,
}

impl Documents {
    pub fn new(set: Arc<DocSet>, score: f32) -> Self {
        Self { set, score }
    }
}

impl Scorer for Documents {
    type Score = f32;

    fn cost(&self) -> u64 {
        u64::from(self.set.documents().div_ceil(u64::BITS)) + u64::from(self.set.count())
    }

    fn bound(&self) -> f32 {
        match self.set.is_empty() {
            true => 0.0,
            false => self.score,
        }
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> f32 {
        match self.set.iter_in(window.clone()).next() {
            Some(_) => self.score,
            None => 0.0,
        }
    }

    fn next(&mut self, start: DocId) -> DocId {
        let documents = self.set.documents();
        let next = self.set.iter_in(start..documents).next();
        next.unwrap_or(documents.max(start))
    }

    fn collect(&mut self, window: &Range<DocId>, cut: Option<f32>, found: &mut Collected<f32>) {
        if cut.is_some_and(|cut| self.score <= cut) {
            return;
        }
        let from = found.documents.len();
        found.documents.extend(self.set.iter_in(window.clone()));
        let count = found.documents.len() - from;
        found
            .contributions
            .extend(std::iter::repeat_n(self.score, count));
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<f32>) {
        for (place, document) in documents.iter().enumerate() {
            if self.set.contains(*document) {
                found.places.push(place);
                found.contributions.push(self.score);
            }
        }
    }

    fn scored(&self) -> u64 {
        0
    }

    fn take_error(&mut self) -> Option<Error> {
        None
    }
}

/// No document.
pub(in crate::query) struct Nothing;

impl Scorer for Nothing {
    type Score = f32;

    fn cost(&self) -> u64 {
        0
    }

    fn bound(&self) -> f32 {
        f32::default()
    }

    fn window_bound(&mut self, _: &Range<DocId>) -> f32 {
        f32::default()
    }

    fn next(&mut self, _: DocId) -> DocId {
        DocId::MAX
    }

    fn collect(&mut self, _: &Range<DocId>, _: Option<f32>, _: &mut Collected<f32>) {}

    fn find(&mut self, _: &[DocId], _: &mut Matches<f32>) {}

    fn scored(&self) -> u64 {
        0
    }

    fn take_error(&mut self) -> Option<Error> {
        None
    }
}
