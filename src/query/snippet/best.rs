//! The stretches of a text with the best matches.
//!
//! A stretch begins and ends with a match and is no longer than a passage, or is a single match;
//! the term of its first match is in it once, since without that match it would have the same
//! terms. The best has the highest weight, which is the sum of those of its distinct terms; of
//! equal ones that with the least text between its matches, and then the first.
//!
//! Two pointers: for each last match, the stretch begins as far ahead as its length requires and
//! its distinct terms allow. Neither pointer moves back, so the time is linear in the matches.

use std::cmp::Reverse;
use std::ops::Range;

use super::ruler::{Ruler, ceil, floor};
use crate::query::marks::Occurrence;

/// A match, with its place in the text as lengths.
#[derive(Clone, Debug)]
pub(super) struct Spot {
    range: Range<usize>,
    from: usize,
    to: usize,
    /// The length of what is marked, up to the end of this match.
    marked: usize,
    term: usize,
}

/// Measures the places of matches.
pub(super) fn measure(text: &str, occurrences: &[Occurrence], ruler: &Ruler) -> Vec<Spot> {
    let mut spots = Vec::with_capacity(occurrences.len());
    let (mut start, mut end, mut from, mut to, mut marked) = (0, 0, 0usize, 0usize, 0usize);
    for one in occurrences {
        let range = &one.range;
        from = from.saturating_add(ruler.measure(&text[start..range.start]));
        let before = to;
        to = to.saturating_add(ruler.measure(&text[end..range.end]));
        (start, end) = (range.start, range.end);
        marked = marked.saturating_add(to - before.max(from));
        spots.push(Spot {
            range: range.clone(),
            from,
            to,
            marked,
            term: one.term,
        });
    }
    spots
}

/// How good a stretch is; the best is the highest.
pub(super) type Rank = (u64, Reverse<usize>, Reverse<usize>);

/// The best matches of a range of the text.
struct Core {
    /// The first and the last match.
    spots: Range<usize>,
    weight: u64,
    /// The length of the text between the matches.
    gap: usize,
}

impl Core {
    fn rank(&self, spots: &[Spot]) -> Rank {
        let start = spots
            .get(self.spots.start)
            .map_or(0, |spot| spot.range.start);
        (self.weight, Reverse(self.gap), Reverse(start))
    }
}

/// A range of a text from which no passage was taken yet, and the best matches in it.
pub(super) struct Stretch<'s> {
    pub free: Range<usize>,
    spots: &'s [Spot],
    core: Option<Core>,
}

impl<'s> Stretch<'s> {
    /// Finds the best of some matches, which are in a range of the text.
    pub fn new(spots: &'s [Spot], free: Range<usize>, weights: &[u64], length: usize) -> Self {
        Self {
            core: best(spots, weights, length),
            spots,
            free,
        }
    }

    /// How good its best matches are; `None` without any.
    pub fn rank(&self) -> Option<Rank> {
        Some(self.core.as_ref()?.rank(self.spots))
    }

    /// The range of its best matches, in whole grapheme clusters.
    pub fn core(&self, text: &str) -> Option<Range<usize>> {
        let core = self.core.as_ref()?;
        let spots = &self.spots[core.spots.clone()];
        let (first, last) = (spots.first()?, spots.last()?);
        Some(floor(text, first.range.start)..ceil(text, last.range.end))
    }

    /// What is left before and behind a passage.
    pub fn without(&self, taken: &Range<usize>, weights: &[u64], length: usize) -> [Self; 2] {
        let before = self
            .spots
            .partition_point(|spot| spot.range.end <= taken.start);
        let behind = self
            .spots
            .partition_point(|spot| spot.range.start < taken.end);
        let (before, behind) = (&self.spots[..before], &self.spots[behind..]);
        [
            Self::new(before, self.free.start..taken.start, weights, length),
            Self::new(behind, taken.end..self.free.end, weights, length),
        ]
    }
}

fn best(spots: &[Spot], weights: &[u64], length: usize) -> Option<Core> {
    let mut best: Option<Core> = None;
    // How often each term is between the pointers.
    let mut counts = vec![0u32; weights.len()];
    let (mut first, mut weight) = (0, 0);
    for (last, spot) in spots.iter().enumerate() {
        counts[spot.term] += 1;
        if counts[spot.term] == 1 {
            weight += weights[spot.term];
        }
        while first < last {
            let next = &spots[first];
            if spot.to - next.from <= length && counts[next.term] == 1 {
                break;
            }
            counts[next.term] -= 1;
            if counts[next.term] == 0 {
                weight -= weights[next.term];
            }
            first += 1;
        }
        let start = &spots[first];
        let marked = spot.marked - start.marked + (start.to - start.from);
        let core = Core {
            spots: first..last + 1,
            weight,
            gap: (spot.to - start.from).saturating_sub(marked),
        };
        if best
            .as_ref()
            .is_none_or(|best| core.rank(spots) > best.rank(spots))
        {
            best = Some(core);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rank of the best stretch, by trying all.
    fn by_trying(spots: &[Spot], weights: &[u64], length: usize) -> Option<Rank> {
        let mut best = None;
        for first in 0..spots.len() {
            for last in first..spots.len() {
                let inside = &spots[first..=last];
                let (from, to) = (spots[first].from, spots[last].to);
                let is_repeated = inside[1..].iter().any(|spot| spot.term == inside[0].term);
                if is_repeated || first < last && to - from > length {
                    continue;
                }
                let mut terms: Vec<usize> = inside.iter().map(|spot| spot.term).collect();
                terms.sort_unstable();
                terms.dedup();
                let weight = terms.iter().map(|term| weights[*term]).sum::<u64>();
                let is_marked =
                    |at: &usize| inside.iter().any(|spot| (spot.from..spot.to).contains(at));
                let gap = (from..to).filter(|at| !is_marked(at)).count();
                let rank = (weight, Reverse(gap), Reverse(spots[first].range.start));
                best = best.max(Some(rank));
            }
        }
        best
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn two_pointers_find_what_trying_all_stretches_finds(
            words in prop::collection::vec((0usize..4, 1usize..5, 0usize..3, 0usize..5), 0..14),
            weights in prop::collection::vec(1u64..6, 5),
            length in 1usize..30,
        ) {
            // Words overlap by at most one character, and may have several terms.
            let text = "x".repeat(200);
            let mut occurrences: Vec<Occurrence> = Vec::new();
            let mut at = 1;
            for (gap, size, overlap, term) in words {
                let range = at + gap - usize::from(overlap == 1)..at + gap + size;
                at = range.end;
                if overlap == 2 {
                    let term = (term + 1) % 5;
                    occurrences.push(Occurrence { range: range.clone(), term });
                }
                occurrences.push(Occurrence { range, term });
            }
            let spots = measure(&text, &occurrences, &Ruler::default());
            let found = Stretch::new(&spots, 0..text.len(), &weights, length);
            prop_assert_eq!(found.rank(), by_trying(&spots, &weights, length));
        }
    }
}
