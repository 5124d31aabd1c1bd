//! Conjunction: the documents that have every term of the query.
//!
//! Ding and Suel, "Faster top-k document retrieval using block-max indexes", SIGIR 2011, on
//! conjunctive queries.
//!
//! The term with the fewest postings leads. Its list is read in *pieces*: a block, or the blocks of
//! a range of documents where postings are dense. The documents of a piece are candidates. They are
//! looked up in the other lists, shorter lists first; blocks without a candidate are never decoded.
//! Once k documents are kept, a piece is skipped when the bounds of all lists there together do not
//! exceed the threshold, and a candidate is dropped when its contributions so far and the bounds of
//! the remaining lists do not; for the next list the bound of the candidate's block is used.
//!
//! Invariant: the contribution of each term to a candidate is kept, and in the end they are summed
//! in the query's term order, so every score equals the exhaustive one bit for bit. Partial sums
//! are in another order; they only decide which candidates are dropped, with room for rounding.
//!
//! The planner picks it whenever all terms are asked for.

use std::ops::Range;

use super::accept::Accept;
use super::cursor::{Collected, Cursor, Matches};
use super::leaf::SegmentTask;
use super::score::Score;
use super::simd::{Level, SLACK};
use super::top_k::TopK;
use crate::error::Result;
use crate::format::DocId;

/// A piece ends at a multiple of this many documents, unless its block ends later.
const PIECE: u32 = 4_096;
/// Where a list is expected to have more postings in a piece than this, the bound of the whole list
/// is used for the piece: the maximum over many blocks is hardly lower.
const FEW_POSTINGS: u64 = 1_024;

/// Postings of each term that the cursors have, in no order.
pub(super) fn postings_of_terms<C: Cursor>(cursors: &[C]) -> Vec<u64> {
    let mut all: Vec<(usize, u64)> = Vec::with_capacity(cursors.len());
    for cursor in cursors {
        let (term, postings) = (cursor.term(), u64::from(cursor.len()));
        match all.iter_mut().find(|(known, _)| *known == term) {
            Some((_, sum)) => *sum += postings,
            None => all.push((term, postings)),
        }
    }
    all.into_iter().map(|(_, postings)| postings).collect()
}

/// Offers every accepted document of the part that has all terms of the cursors and can exceed the
/// threshold.
pub(super) fn search<C: Cursor>(
    cursors: &mut [C],
    task: &SegmentTask<'_>,
    top: &mut TopK<C::Score>,
) -> Result<()> {
    let part = task.doc_range();
    let mut lists = Lists::new(cursors, task.documents(), part.start);
    let mut candidates = Candidates::new(lists.lists.len());
    let mut start = lists.next(part.start);
    while start < part.end {
        task.check_cancelled()?;
        top.exchange();
        let threshold = top.threshold();
        let end = lists.piece_end(start).min(part.end);
        if lists.bound(start..end, threshold) {
            candidates.lead(&mut lists, start..end, threshold);
            for place in 1..lists.lists.len() {
                candidates.look_up(&mut lists, place, threshold);
            }
            candidates.offer(task.accept, top);
        }
        start = lists.next(end);
    }
    Ok(())
}

/// The cursors of one term.
struct List<'a, C> {
    cursors: &'a mut [C],
    postings: u64,
    /// The place among the query's terms that are here.
    order: usize,
}

/// The lists of all terms, the shortest first.
struct Lists<'a, C: Cursor> {
    lists: Vec<List<'a, C>>,
    documents: u32,
    /// `rest[i]` bounds what the lists after the i-th add to any document of the piece.
    rest: Vec<C::Score>,
}

impl<'a, C: Cursor> Lists<'a, C> {
    /// Moves every cursor to its first document from `start` on.
    fn new(cursors: &'a mut [C], documents: u32, start: DocId) -> Self {
        cursors.sort_by_key(Cursor::term);
        cursors.iter_mut().for_each(|cursor| cursor.seek(start));
        let of_terms = cursors.chunk_by_mut(|a, b| a.term() == b.term());
        let list = |(order, cursors): (usize, &'a mut [C])| List {
            postings: cursors.iter().map(|cursor| u64::from(cursor.len())).sum(),
            order,
            cursors,
        };
        let mut lists: Vec<_> = of_terms.enumerate().map(list).collect();
        lists.sort_by_key(|list| list.postings);
        Self {
            rest: vec![C::Score::default(); lists.len()],
            lists,
            documents,
        }
    }

    /// No document from `from` until this one has all terms.
    fn next(&self, from: DocId) -> DocId {
        let first = |list: &List<'_, C>| list.cursors.iter().map(Cursor::document).min();
        let next = self.lists.iter().filter_map(first).max();
        next.map_or(from, |next| next.max(from))
    }

    /// Where a piece from `start` on ends, exclusive.
    fn piece_end(&mut self, start: DocId) -> DocId {
        let min_end = (start / PIECE + 1).saturating_mul(PIECE);
        let Some(lead) = self.lists.first_mut() else {
            return min_end;
        };
        let blocks = lead.cursors.iter_mut().map(|c| c.block_bound(start).1);
        let end = blocks.min().map_or(0, |last| last.saturating_add(1));
        end.max(min_end)
    }

    /// Sets `rest` for a piece, and says whether any document of it can exceed the threshold.
    fn bound(&mut self, piece: Range<DocId>, threshold: Option<C::Score>) -> bool {
        let Some(threshold) = threshold else {
            return true;
        };
        let width = u64::from(piece.end - piece.start);
        let documents = u64::from(self.documents.max(1));
        let mut sum = C::Score::default();
        for (place, list) in self.lists.iter_mut().enumerate().rev() {
            self.rest[place] = sum;
            let has_few = list.postings * width <= FEW_POSTINGS * documents;
            let bounds = list.cursors.iter_mut().map(|cursor| {
                if has_few {
                    cursor.window_bound(piece.start, piece.end)
                } else {
                    cursor.bound()
                }
            });
            sum = sum.plus(bounds.fold(C::Score::default(), C::Score::larger));
        }
        sum > C::Score::cut(threshold, C::Score::default(), self.lists.len())
    }
}

/// The documents of a piece that have all terms looked up so far.
struct Candidates<S> {
    level: Level,
    /// What the lead has in the piece.
    collected: Collected<S>,
    /// Places of the candidates in it.
    places: Vec<u32>,
    /// The candidates, and their sums so far.
    documents: Vec<DocId>,
    sums: Vec<S>,
    /// What each term, in the query's term order, contributes to each document of the lead that has
    /// it.
    contributions: Vec<Vec<S>>,
    matches: Matches<S>,
}

impl<S: Score> Candidates<S> {
    fn new(terms: usize) -> Self {
        Self {
            level: Level::detect(),
            collected: Collected::default(),
            places: Vec::new(),
            documents: Vec::new(),
            sums: Vec::new(),
            contributions: vec![Vec::new(); terms],
            matches: Matches::default(),
        }
    }

    /// Takes the documents that the lead has in a piece.
    fn lead<C: Cursor<Score = S>>(
        &mut self,
        lists: &mut Lists<'_, C>,
        piece: Range<DocId>,
        threshold: Option<S>,
    ) {
        let terms = lists.lists.len();
        let Some(lead) = lists.lists.first_mut() else {
            return;
        };
        let collected = &mut self.collected;
        collected.documents.clear();
        collected.contributions.clear();
        let cut = threshold.map(|threshold| S::cut(threshold, lists.rest[0], terms));
        for cursor in lead.cursors.iter_mut() {
            match cut {
                Some(cut) => cursor.collect_above(piece.start, piece.end, cut, collected),
                None => cursor.collect(piece.start, piece.end, collected),
            }
        }
        if lead.cursors.len() > 1 {
            sort(&mut collected.documents, &mut collected.contributions);
        }
        let count = collected.documents.len();
        for contributions in &mut self.contributions {
            if contributions.len() < count {
                contributions.resize(count, S::default());
            }
        }
        match cut {
            None => {
                self.places.clear();
                self.places.extend((0..).take(count));
            }
            Some(cut) => {
                self.places.resize(count + SLACK, 0);
                let (sums, places) = (&collected.contributions, &mut self.places);
                let kept = S::above(self.level, sums, cut, 0, places);
                places.truncate(kept);
            }
        }
        let places = self.places.iter().map(|place| *place as usize);
        self.documents.clear();
        self.sums.clear();
        let contributions = &mut self.contributions[lead.order];
        for place in places {
            self.documents.push(collected.documents[place]);
            self.sums.push(collected.contributions[place]);
            contributions[place] = collected.contributions[place];
        }
    }

    /// Keeps the candidates that a list has, of those that can exceed the threshold.
    fn look_up<C: Cursor<Score = S>>(
        &mut self,
        lists: &mut Lists<'_, C>,
        place: usize,
        threshold: Option<S>,
    ) {
        if self.documents.is_empty() {
            return;
        }
        let terms = lists.lists.len();
        let list = &mut lists.lists[place];
        if let Some(threshold) = threshold {
            let rest = lists.rest[place];
            if let [cursor] = &mut *list.cursors {
                let (mut cut, mut end) = (S::default(), 0);
                self.keep(|document, sum| {
                    if document >= end {
                        let (bound, last) = cursor.block_bound(document);
                        cut = S::cut(threshold, rest.plus(bound), terms);
                        end = last.saturating_add(1);
                    }
                    sum > cut
                });
            } else {
                let cut = S::cut(threshold, lists.rest[place - 1], terms);
                self.keep(|_, sum| sum > cut);
            }
        }
        let matches = &mut self.matches;
        matches.places.clear();
        matches.contributions.clear();
        for cursor in list.cursors.iter_mut() {
            cursor.find(&self.documents, matches);
        }
        if list.cursors.len() > 1 {
            sort(&mut matches.places, &mut matches.contributions);
        }
        self.intersect(list.order);
    }

    /// Keeps the candidates for which `is_kept` is true, given their sums.
    #[inline(always)]
    fn keep(&mut self, mut is_kept: impl FnMut(DocId, S) -> bool) {
        let mut kept = 0;
        for at in 0..self.documents.len() {
            let (document, sum) = (self.documents[at], self.sums[at]);
            self.places[kept] = self.places[at];
            self.documents[kept] = document;
            self.sums[kept] = sum;
            kept += usize::from(is_kept(document, sum));
        }
        self.truncate(kept);
    }

    /// Keeps the candidates that were found, with what the term contributes.
    fn intersect(&mut self, order: usize) {
        let contributions = &mut self.contributions[order];
        let found = self.matches.places.iter().zip(&self.matches.contributions);
        for (kept, (at, contribution)) in found.enumerate() {
            let place = self.places[*at];
            self.places[kept] = place;
            self.documents[kept] = self.documents[*at];
            self.sums[kept] = self.sums[*at].plus(*contribution);
            contributions[place as usize] = *contribution;
        }
        self.truncate(self.matches.places.len());
    }

    fn truncate(&mut self, count: usize) {
        self.places.truncate(count);
        self.documents.truncate(count);
        self.sums.truncate(count);
    }

    /// Offers the accepted candidates that are left.
    fn offer(&self, accept: Accept<'_>, top: &mut TopK<S>) {
        for (document, place) in self.documents.iter().zip(&self.places) {
            let contributions = self
                .contributions
                .iter()
                .map(|of_term| of_term[*place as usize]);
            let score = contributions.fold(S::default(), S::plus);
            if score > S::default() && accept.contains(*document) {
                top.offer(*document, score);
            }
        }
    }
}

/// Sorts keys, which are all different, and the scores that belong to them.
fn sort<K: Ord + Copy, S: Copy>(keys: &mut [K], scores: &mut [S]) {
    let pairs = keys.iter().copied().zip(scores.iter().copied());
    let mut pairs: Vec<(K, S)> = pairs.collect();
    pairs.sort_unstable_by_key(|(key, _)| *key);
    for ((key, score), pair) in keys.iter_mut().zip(scores.iter_mut()).zip(pairs) {
        (*key, *score) = pair;
    }
}
