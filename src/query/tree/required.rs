//! Documents that have all of some parts, and maybe others.
//!
//! An optional part without which a document cannot exceed the cut is required in that window. The
//! required part with the fewest postings leads: its documents of a window are candidates, which
//! are looked up in the other required parts, then in the optional ones, and dropped as soon as
//! their score cannot exceed the cut. Scores are summed in the order of the query at the end.

use std::ops::Range;

use super::scorer::{Scorer, first_error};
use crate::error::Error;
use crate::format::DocId;
use crate::query::cursor::{Collected, Matches};
use crate::query::score::Score;

/// Required parts, at least one, and optional ones. A document's score is the sum of those of its
/// parts, the required ones first.
pub(in crate::query) struct Required<P: Scorer> {
    /// The required parts, then the optional ones.
    parts: Vec<P>,
    required: usize,
    /// How many of the optional parts a document must have.
    minimum: usize,
    /// The order in which parts are looked at: the required ones by rising cost, then the optional
    /// ones by falling bound.
    order: Vec<usize>,
    /// The same for a window, in which the first `required_here` are required.
    order_here: Vec<usize>,
    required_here: usize,
    /// The bounds of the parts in a window.
    bounds: Vec<P::Score>,
    /// `rest[i]` bounds what the parts after the i-th in `order_here` add.
    rest: Vec<P::Score>,
    candidates: Candidates<P::Score>,
}

impl<P: Scorer> Required<P> {
    /// Parts in the order of the query.
    pub fn new(required: Vec<P>, optional: Vec<P>, minimum: usize) -> Self {
        let count = required.len();
        let mut parts = required;
        parts.extend(optional);
        let mut order: Vec<usize> = (0..parts.len()).collect();
        let (first, last) = order.split_at_mut(count);
        first.sort_by_key(|part| parts[*part].cost());
        last.sort_by(|a, b| {
            let bounds = parts[*b].bound().partial_cmp(&parts[*a].bound());
            bounds.unwrap_or(std::cmp::Ordering::Equal)
        });
        Self {
            required: count,
            minimum,
            order_here: order.clone(),
            required_here: count,
            bounds: vec![P::Score::default(); parts.len()],
            rest: vec![P::Score::default(); parts.len()],
            candidates: Candidates::new(parts.len()),
            order,
            parts,
        }
    }

    /// Sets the bounds of a window, and returns a bound of the whole.
    fn set_bounds(&mut self, window: &Range<DocId>) -> P::Score {
        let mut sum = P::Score::default();
        for place in (0..self.order.len()).rev() {
            let part = self.order[place];
            let bound = self.parts[part].window_bound(window);
            self.bounds[part] = bound;
            if place < self.required && bound == P::Score::default() {
                // A required part has nothing here.
                return P::Score::default();
            }
            sum = sum.plus(bound);
        }
        sum
    }

    /// Goes back to the order of all windows.
    fn reset_order(&mut self) {
        self.order_here.clone_from(&self.order);
        self.required_here = self.required;
    }

    /// Chooses the order of a window whose bounds are set.
    fn choose_order(&mut self, cut: P::Score) {
        self.reset_order();
        let cut = P::Score::cut(cut, P::Score::default(), self.parts.len());
        self.set_rest();
        let mut before = P::Score::default();
        for (place, part) in self.order.iter().enumerate() {
            // Bounds are added up, never subtracted: a small one would be lost beside a large one.
            if place >= self.required {
                if before.plus(self.rest[place]) > cut {
                    // Of all documents those behind have lower bounds, so hardly one is required.
                    break;
                }
                self.required_here += 1;
            }
            before = before.plus(self.bounds[*part]);
        }
        if self.required_here > self.required {
            let parts = &self.parts;
            self.order_here[..self.required_here].sort_by_key(|part| parts[*part].cost());
            self.set_rest();
        }
    }

    /// Sets `rest` for the order of the window.
    fn set_rest(&mut self) {
        let mut sum = P::Score::default();
        for (rest, part) in self.rest.iter_mut().zip(&self.order_here).rev() {
            *rest = sum;
            sum = sum.plus(self.bounds[*part]);
        }
    }

    /// Looks the candidates up in a part.
    fn look_up(&mut self, place: usize, cut: Option<P::Score>) {
        let part = self.order_here[place];
        if let Some(cut) = cut {
            // `rest` is of the parts behind this one.
            let rest = self.rest[place - 1];
            let cut = P::Score::cut(cut, rest, self.parts.len());
            self.candidates.keep_above(cut);
        }
        let candidates = &mut self.candidates;
        if candidates.documents.is_empty() {
            return;
        }
        candidates.found.places.clear();
        candidates.found.contributions.clear();
        self.parts[part].find(&candidates.documents, &mut candidates.found);
        match place < self.required_here {
            true => candidates.intersect(part, part >= self.required),
            false => candidates.add(part),
        }
    }

    /// Looks the candidates up in all parts from a place in the order on, and passes on the
    /// documents that are left, with the places that they had in the beginning.
    fn complete(
        &mut self,
        from: usize,
        cut: Option<P::Score>,
        mut visit: impl FnMut(usize, DocId, P::Score),
    ) {
        for place in from..self.order.len() {
            self.look_up(place, cut);
        }
        let minimum = self.minimum;
        if minimum > 0 {
            self.candidates.keep(|_, optional| optional >= minimum);
        }
        let candidates = &self.candidates;
        for (document, place) in candidates.documents.iter().zip(&candidates.places) {
            let score = candidates.score(*place as usize);
            if cut.is_none_or(|cut| score > cut) {
                visit(*place as usize, *document, score);
            }
        }
    }
}

impl<P: Scorer> Scorer for Required<P> {
    type Score = P::Score;

    /// The rarest required part is looked up in all parts.
    fn cost(&self) -> u64 {
        let lead = self
            .order
            .first()
            .map_or(0, |lead| self.parts[*lead].cost());
        lead.saturating_mul(self.parts.len() as u64)
    }

    fn bound(&self) -> P::Score {
        let bounds = self.parts.iter().map(Scorer::bound);
        bounds.fold(P::Score::default(), P::Score::plus)
    }

    fn window_bound(&mut self, window: &Range<DocId>) -> P::Score {
        self.set_bounds(window)
    }

    fn next(&mut self, start: DocId) -> DocId {
        let required = &self.order[..self.required];
        let mut next = start;
        for part in required {
            next = next.max(self.parts[*part].next(next));
        }
        next
    }

    fn collect(
        &mut self,
        window: &Range<DocId>,
        cut: Option<P::Score>,
        found: &mut Collected<P::Score>,
    ) {
        match cut {
            Some(cut) => {
                let no_rest = P::Score::default();
                if self.set_bounds(window) <= P::Score::cut(cut, no_rest, self.parts.len()) {
                    return;
                }
                self.choose_order(cut);
            }
            None => self.reset_order(),
        }
        let lead = self.order_here[0];
        let of_lead = cut.map(|cut| P::Score::cut(cut, self.rest[0], self.parts.len()));
        let mut collected = std::mem::take(&mut self.candidates.lead);
        collected.documents.clear();
        collected.contributions.clear();
        self.parts[lead].collect(window, of_lead, &mut collected);
        self.candidates
            .begin(lead, &collected, lead >= self.required);
        self.candidates.lead = collected;
        self.complete(1, cut, |_, document, score| {
            found.documents.push(document);
            found.contributions.push(score);
        });
    }

    fn find(&mut self, documents: &[DocId], found: &mut Matches<P::Score>) {
        self.reset_order();
        self.candidates.begin_with(documents);
        self.complete(0, None, |place, _, score| {
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

/// The documents of a window that may be found.
pub(super) struct Candidates<S> {
    /// What the lead has in the window.
    lead: Collected<S>,
    /// The candidates, their sums so far, and how many optional parts they have.
    pub documents: Vec<DocId>,
    sums: Vec<S>,
    optional: Vec<usize>,
    /// Where in the rows of contributions the candidates are.
    pub places: Vec<u32>,
    /// What each part, in the order of the query, contributes.
    contributions: Vec<Vec<S>>,
    pub found: Matches<S>,
}

impl<S: Score> Candidates<S> {
    pub fn new(parts: usize) -> Self {
        Self {
            lead: Collected::default(),
            documents: Vec::new(),
            sums: Vec::new(),
            optional: Vec::new(),
            places: Vec::new(),
            contributions: vec![Vec::new(); parts],
            found: Matches::default(),
        }
    }

    /// Begins with documents that no part was asked about yet.
    pub fn begin_with(&mut self, documents: &[DocId]) {
        let count = documents.len();
        self.documents.clear();
        self.documents.extend_from_slice(documents);
        self.places.clear();
        self.places.extend((0..).take(count));
        self.sums.clear();
        self.sums.resize(count, S::default());
        self.optional.clear();
        self.optional.resize(count, 0);
        for row in &mut self.contributions {
            row.clear();
            row.resize(count, S::default());
        }
    }

    /// Begins with the documents of a part, which may be optional.
    fn begin(&mut self, lead: usize, collected: &Collected<S>, is_optional: bool) {
        self.begin_with(&collected.documents);
        self.optional.fill(usize::from(is_optional));
        self.sums.copy_from_slice(&collected.contributions);
        self.contributions[lead].copy_from_slice(&collected.contributions);
    }

    /// Keeps the candidates for which `is_kept` is true, given their sums and how many optional parts
    /// they have.
    pub fn keep(&mut self, mut is_kept: impl FnMut(S, usize) -> bool) {
        let mut kept = 0;
        for at in 0..self.documents.len() {
            let (sum, optional) = (self.sums[at], self.optional[at]);
            self.move_to(kept, at);
            kept += usize::from(is_kept(sum, optional));
        }
        self.truncate(kept);
    }

    /// Keeps the candidates whose sums are above `cut`; all of them when it is 0.
    pub fn keep_above(&mut self, cut: S) {
        if cut > S::default() {
            self.keep(|sum, _| sum > cut);
        }
    }

    fn move_to(&mut self, to: usize, from: usize) {
        self.documents[to] = self.documents[from];
        self.sums[to] = self.sums[from];
        self.optional[to] = self.optional[from];
        self.places[to] = self.places[from];
    }

    fn truncate(&mut self, count: usize) {
        self.documents.truncate(count);
        self.sums.truncate(count);
        self.optional.truncate(count);
        self.places.truncate(count);
    }

    /// Keeps the candidates that a part was found to have, which may be optional.
    fn intersect(&mut self, part: usize, is_optional: bool) {
        let found = std::mem::take(&mut self.found);
        for (kept, at) in found.places.iter().enumerate() {
            self.move_to(kept, *at);
            let contribution = found.contributions[kept];
            self.sums[kept] = self.sums[kept].plus(contribution);
            self.optional[kept] += usize::from(is_optional);
            self.contributions[part][self.places[kept] as usize] = contribution;
        }
        self.truncate(found.places.len());
        self.found = found;
    }

    /// Adds what an optional part was found to contribute.
    pub fn add(&mut self, part: usize) {
        for (at, contribution) in self.found.places.iter().zip(&self.found.contributions) {
            self.sums[*at] = self.sums[*at].plus(*contribution);
            self.optional[*at] += 1;
            self.contributions[part][self.places[*at] as usize] = *contribution;
        }
    }

    /// Adds what an optional part contributes to those of its documents that are candidates; both
    /// rise.
    pub fn add_collected(&mut self, part: usize, collected: &Collected<S>) {
        let mut at = 0;
        let pairs = collected.documents.iter().zip(&collected.contributions);
        for (document, contribution) in pairs {
            while self.documents.get(at).is_some_and(|next| next < document) {
                at += 1;
            }
            if self.documents.get(at) == Some(document) {
                self.sums[at] = self.sums[at].plus(*contribution);
                self.optional[at] += 1;
                self.contributions[part][self.places[at] as usize] = *contribution;
            }
        }
    }

    /// The sum of a document's contributions in the order of the query.
    fn score(&self, place: usize) -> S {
        let contributions = self.contributions.iter().map(|row| row[place]);
        contributions.fold(S::default(), S::plus).clamped()
    }

    /// What each part contributes to a document.
    pub fn contributions(&self, place: usize) -> impl Iterator<Item = S> + Clone + '_ {
        self.contributions.iter().map(move |row| row[place])
    }
}
