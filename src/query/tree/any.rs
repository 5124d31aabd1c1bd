//! Documents that have any of some parts, or a minimum number of them.
//!
//! As in MaxScore, parts whose bounds together do not exceed the cut are *not essential* in a
//! window: a document that only they have cannot exceed it. The documents of the essential parts are
//! candidates, which are looked up in the others. A document that must have at least m parts has one
//! of any n - m + 1, so the m - 1 most costly ones need not be essential either.

use std::ops::Range;

use super::required::Candidates;
use super::scorer::{AnyScorer, Scorer, WINDOW, first_error};
use crate::error::Error;
use crate::format::DocId;
use crate::query::cursor::{Collected, Matches};
use crate::query::score::Score;

/// How the scores of the parts that a document has become its score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::query) enum Combine {
    /// Their sum, in the order of the query.
    Sum,
    /// The highest, and this share of the sum of the others.
    Best { tie_breaker: f32 },
}

impl Combine {
    /// The score of a document, from the scores of its parts, 0 for those that it does not have.
    fn score(self, parts: impl Iterator<Item = f32> + Clone) -> f32 {
        match self {
            Self::Sum => parts.fold(0.0, |sum, part| sum + part).min(f32::MAX),
            Self::Best { tie_breaker } => {
                let mut best = (0, 0.0);
                for (place, part) in parts.clone().enumerate() {
                    if part > best.1 {
                        best = (place, part);
                    }
                }
                let others = parts.enumerate().filter(|(place, _)| *place != best.0);
                let others = others.fold(0.0, |sum, (_, part)| sum + part);
                (best.1 + tie_breaker * others.min(f32::MAX)).min(f32::MAX)
            }
        }
    }

    /// A bound of the scores of documents, from the highest bound of a part and the sum of all.
    fn bound(self, highest: f32, sum: f32) -> f32 {
        match self {
            Self::Sum => sum,
            Self::Best { tie_breaker } => {
                let others = f32::minus(sum.min(f32::MAX), highest);
                // The difference is rounded, by as much as the sum may be.
                highest + tie_breaker * (others + sum.min(f32::MAX) * f32::EPSILON)
            }
        }
    }

    fn bound_of(self, bounds: impl Iterator<Item = f32>) -> f32 {
        let (highest, sum) = bounds.fold((0.0, 0.0), |(highest, sum), bound| {
            (f32::max(highest, bound), sum + bound)
        });
        self.bound(highest, sum)
    }
}

/// Parts in the order of the query.
pub(in crate::query) struct Any<'a> {
    parts: Vec<AnyScorer<'a>>,
    combine: Combine,
    minimum: usize,
    bounds: Vec<f32>,
    /// For each part the sum of the bounds of the others. They are added up, never subtracted from
    /// the sum of all: a small bound would be lost beside a large one.
    others: Vec<f32>,
    is_essential: Vec<bool>,
    collected: Vec<Collected<f32>>,
    candidates: Candidates<f32>,
    /// The candidates of a window, one bit each.
    bits: Vec<u64>,
}

impl<'a> Any<'a> {
    /// Documents must have at least `minimum` of the parts, which is at least 1.
    pub fn new(parts: Vec<AnyScorer<'a>>, combine: Combine, minimum: usize) -> Self {
        let count = parts.len();
        Self {
            combine,
            minimum,
            bounds: vec![0.0; count],
            others: vec![0.0; count],
            is_essential: vec![true; count],
            collected: (0..count).map(|_| Collected::default()).collect(),
            candidates: Candidates::new(count),
            bits: vec![0; (WINDOW / u64::BITS) as usize + 1],
            parts,
        }
    }

    fn cut(&self, cut: f32, rest: f32) -> f32 {
        f32::cut(cut, rest, self.parts.len())
    }

    fn set_bounds(&mut self, window: &Range<DocId>) -> f32 {
        for (bound, part) in self.bounds.iter_mut().zip(&mut self.parts) {
            *bound = part.window_bound(window);
        }
        self.combine.bound_of(self.bounds.iter().copied())
    }

    /// Chooses the essential parts of a window whose bounds are known.
    fn choose_essential(&mut self, cut: Option<f32>) {
        let count = self.parts.len();
        self.is_essential.fill(true);
        let mut spare = 0;
        if let Some(cut) = cut {
            let cut = self.cut(cut, 0.0);
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by(|a, b| self.bounds[*a].total_cmp(&self.bounds[*b]));
            let mut sum = 0.0;
            for part in &order {
                sum += self.bounds[*part];
                if self.combine.bound(self.bounds[*part], sum) > cut {
                    break;
                }
                spare += 1;
            }
            order[..spare]
                .iter()
                .for_each(|part| self.is_essential[*part] = false);
        }
        if self.minimum - 1 > spare {
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by_key(|part| std::cmp::Reverse(self.parts[*part].cost()));
            self.is_essential.fill(true);
            let spared = order.iter().take(self.minimum - 1);
            spared.for_each(|part| self.is_essential[*part] = false);
        }
    }

    fn sum_others(&mut self) {
        let mut before = 0.0;
        for (others, bound) in self.others.iter_mut().zip(&self.bounds) {
            *others = before;
            before += bound;
        }
        let mut behind = 0.0;
        for (others, bound) in self.others.iter_mut().zip(&self.bounds).rev() {
            *others += behind;
            behind += bound;
        }
    }

    /// Collects the documents of the essential parts.
    fn collect_essential(&mut self, window: &Range<DocId>, cut: Option<f32>) {
        self.sum_others();
        let terms = self.parts.len();
        self.bits.fill(0);
        let parts = self.parts.iter_mut().zip(&mut self.collected);
        let parts = parts.zip(&self.others).zip(&self.is_essential);
        for (((part, collected), others), is_essential) in parts {
            collected.documents.clear();
            collected.contributions.clear();
            if !is_essential {
                continue;
            }
            // No score is above the sum of the parts, however they are combined.
            let cut = cut.map(|cut| f32::cut(cut, *others, terms));
            part.collect(window, cut, collected);
            for document in &collected.documents {
                let bit = document - window.start;
                self.bits[(bit / u64::BITS) as usize] |= 1 << (bit % u64::BITS);
            }
        }
    }

    /// Makes candidates of the documents of the essential parts.
    fn merge(&mut self, start: DocId) {
        let mut documents = Vec::new();
        for (word, base) in self.bits.iter().zip((start..).step_by(u64::BITS as usize)) {
            let mut rest = *word;
            while rest != 0 {
                documents.push(base + rest.trailing_zeros());
                rest &= rest - 1;
            }
        }
        self.candidates.begin_with(&documents);
        for (part, collected) in self.collected.iter().enumerate() {
            self.candidates.add_collected(part, collected);
        }
    }

    /// Looks the candidates up in a part.
    fn look_up(&mut self, part: usize) {
        let candidates = &mut self.candidates;
        candidates.found.places.clear();
        candidates.found.contributions.clear();
        self.parts[part].find(&candidates.documents, &mut candidates.found);
        candidates.add(part);
    }

    /// Passes on the candidates that have enough parts and exceed the cut.
    fn finish(&mut self, cut: Option<f32>, mut visit: impl FnMut(usize, DocId, f32)) {
        let minimum = self.minimum;
        self.candidates.keep(|_, parts| parts >= minimum);
        let candidates = &self.candidates;
        for (document, place) in candidates.documents.iter().zip(&candidates.places) {
            let score = self
                .combine
                .score(candidates.contributions(*place as usize));
            if cut.is_none_or(|cut| score > cut) {
                visit(*place as usize, *document, score);
            }
        }
    }
}

impl Scorer for Any<'_> {
    type Score = f32;

    fn cost(&self) -> u64 {
        self.parts.iter().map(Scorer::cost).sum()
    }

    fn bound(&self) -> f32 {
        self.combine.bound_of(self.parts.iter().map(Scorer::bound))
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> f32 {
        self.set_bounds(window)
    }

    fn next(&mut self, start: DocId) -> DocId {
        let mut next = DocId::MAX;
        for part in &mut self.parts {
            next = next.min(part.next(start));
            if next == start {
                break;
            }
        }
        next.max(start)
    }

    fn collect(&mut self, window: &Range<DocId>, cut: Option<f32>, found: &mut Collected<f32>) {
        let bound = self.set_bounds(window);
        if cut.is_some_and(|cut| bound <= self.cut(cut, 0.0)) {
            return;
        }
        self.choose_essential(cut);
        self.collect_essential(window, cut);
        self.merge(window.start);
        // Those with high bounds first: then candidates are dropped early.
        let mut others: Vec<usize> = (0..self.parts.len()).collect();
        others.retain(|part| !self.is_essential[*part]);
        others.sort_by(|a, b| self.bounds[*b].total_cmp(&self.bounds[*a]));
        // What the parts from each place on add.
        let mut rest = vec![0.0; others.len()];
        let mut sum = 0.0;
        for (rest, part) in rest.iter_mut().zip(&others).rev() {
            sum += self.bounds[*part];
            *rest = sum;
        }
        for (part, rest) in others.into_iter().zip(rest) {
            if let Some(cut) = cut {
                let cut = self.cut(cut, rest);
                self.candidates.keep_above(cut);
            }
            if self.candidates.documents.is_empty() {
                return;
            }
            self.look_up(part);
        }
        self.finish(cut, |_, document, score| {
            found.documents.push(document);
            found.contributions.push(score);
        });
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<f32>) {
        self.candidates.begin_with(documents);
        for part in 0..self.parts.len() {
            self.look_up(part);
        }
        self.finish(None, |place, _, score| {
            found.places.push(place);
            found.contributions.push(score);
        });
    }

    fn scored(&self) -> u64 {
        self.parts.iter().map(Scorer::scored).sum()
    }

    fn take_error(&mut self) -> Option<Error> {
        first_error(&mut self.parts)
    }
}
