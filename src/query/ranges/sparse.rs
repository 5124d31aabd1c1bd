//! Ranges of a sparse field: integer scores, and lists that are cut at ranges.

use super::{Scale, ScoreRanges, Visit};
use crate::error::{Error, Result};
use crate::format::DocId;
use crate::format::range_list::{
    GROUP_RANGES, RANGE_DOCUMENTS, RangeGroup, RangeList, RangePostings, groups_of,
};
use crate::format::sparse_postings::SparseList;
use crate::query::accept::Accept;
use crate::query::leaf::SegmentTask;
use crate::query::part::Part;
use crate::query::simd::{self, Level, MAX_WEIGHT, RangeSums};
use crate::query::top_k::TopK;

/// The postings of this many terms are prefetched: often the rest is not needed.
const PREFETCHED_TERMS: usize = 12;

/// The lists of a query in one segment.
pub(in crate::query) struct SparseRanges<'a> {
    /// Lists that are cut at ranges, in descending order of weight.
    cut: Vec<CutTerm<'a>>,
    /// Those of them whose weight is too large for the SIMD code. There are none unless impacts
    /// have exponents far apart.
    heavy: Vec<CutTerm<'a>>,
    /// The other lists, which are short.
    few: Vec<FewTerm>,
    /// A range is scored, and not left early, while its bound is this many times the threshold; 1
    /// makes results exact.
    reach: f64,
}

struct CutTerm<'a> {
    weight: u32,
    groups: &'a [RangeGroup],
    list: RangeList<'a>,
}

/// A short list, decoded, in document order.
struct FewTerm {
    weight: u32,
    max_impact: u8,
    offsets: Vec<u8>,
    impacts: Vec<u8>,
    /// The range, its max impact and where its postings end, for each range that has any.
    ranges: Vec<(u32, u8, u32)>,
}

impl<'a> SparseRanges<'a> {
    /// No list yet. Bounds are multiplied by `slack`, which is above 0; 1 makes results exact.
    pub fn new(slack: f32) -> Self {
        Self {
            cut: Vec::new(),
            heavy: Vec::new(),
            few: Vec::new(),
            reach: 1.0 / f64::from(slack),
        }
    }

    /// Adds the list of a term; terms with higher weights come first.
    pub fn add(&mut self, weight: u32, list: SparseList<'a>) -> Result<()> {
        match list {
            SparseList::Ranges(list) => {
                let terms = if weight <= MAX_WEIGHT {
                    &mut self.cut
                } else {
                    &mut self.heavy
                };
                terms.push(CutTerm {
                    weight,
                    groups: list.groups(),
                    list,
                });
            }
            SparseList::Tiers(_) => self.few.push(FewTerm::decode(weight, &list)?),
        }
        Ok(())
    }

    /// All lists that are cut at ranges.
    fn all_cut(&self) -> impl Iterator<Item = &CutTerm<'a>> {
        self.cut.iter().chain(&self.heavy)
    }

    /// Weights and max impacts of all lists.
    fn max_impacts(&self) -> impl Iterator<Item = (f64, u8)> {
        let cut = self
            .all_cut()
            .map(|term| (term.weight, term.list.max_impact()));
        let few = self.few.iter().map(|term| (term.weight, term.max_impact));
        cut.chain(few).map(|(weight, max)| (f64::from(weight), max))
    }

    /// A score that at least `rank` documents reach; 0 when none is known.
    fn score_at_rank(&self, rank: usize) -> u32 {
        let scores = self
            .all_cut()
            .map(|term| term.weight * u32::from(term.list.impact_at_rank(rank)));
        scores.max().unwrap_or(0)
    }

    /// A bound for each range of a part of the segment.
    fn bounds(&self, level: Level, scale: &Scale, documents: u32, part: Part) -> Vec<u16> {
        let groups = part.groups(groups_of(documents));
        let mut bounds = vec![0u16; groups.len() * GROUP_RANGES as usize];
        for term in self.all_cut() {
            let weight = scale.weight(f64::from(term.weight));
            let max_impacts = term.list.max_impacts();
            if part.is_whole() {
                simd::add_bounds(level, term.groups, max_impacts, weight, &mut bounds);
                continue;
            }
            let bounds = bounds.chunks_exact_mut(GROUP_RANGES as usize);
            for (group, bounds) in groups.clone().zip(bounds) {
                let group = term.groups.get(group..=group).unwrap_or_default();
                simd::add_bounds(level, group, max_impacts, weight, bounds);
            }
        }
        for term in &self.few {
            let weight = scale.weight(f64::from(term.weight));
            for (range, max_impact, _) in &term.ranges {
                if let Some(place) = part.place_of(*range) {
                    let bound = &mut bounds[place];
                    *bound = bound.saturating_add(simd::share(*max_impact, weight));
                }
            }
        }
        bounds
    }

    /// Offers every accepted document of a part that can be kept, in no order, and returns how many
    /// postings were scored.
    ///
    /// The threshold begins with a seed: an impact that many postings of one list reach. Rejected
    /// documents may be among them, so it is that of rank k plus their number.
    pub fn search(&self, task: &SegmentTask<'_>, top: &mut TopK<u32>) -> Result<u64> {
        let (part, documents, accept) = (task.part, task.documents(), task.accept);
        let level = Level::detect();
        let scale = Scale::new(self.max_impacts());
        let bounds = self.bounds(level, &scale, documents, part);
        let k = top.k();
        let seed = match top.keeps_the_best() {
            true => self.score_at_rank(k.saturating_add(accept.max_rejected() as usize)),
            false => 0,
        };
        let mut scorer = Scorer {
            level,
            terms: self,
            part,
            documents,
            scale,
            seed: seed.max(1),
            kept: vec![0; RANGE_DOCUMENTS as usize + simd::SLACK],
            scored: 0,
            accept,
            task,
            top,
        };
        level.run(Visit {
            level,
            bounds: &bounds,
            k,
            scorer: &mut scorer,
        })?;
        Ok(scorer.scored)
    }
}

impl CutTerm<'_> {
    /// Adds what the list has in a range; returns how many postings that is.
    fn add(&self, range: u32, sums: &mut RangeSums, rest: &mut u32) -> Result<usize> {
        let Some(found) = self.list.find(range) else {
            return Ok(0);
        };
        let postings = self.list.postings(found)?;
        *rest = rest.saturating_sub(self.weight * u32::from(self.list.max_of(found)));
        simd::add_scalar(self.weight, postings, sums);
        Ok(postings.len())
    }
}

impl FewTerm {
    fn decode(weight: u32, list: &SparseList<'_>) -> Result<Self> {
        let mut postings = Vec::new();
        list.for_each(|document, impact| postings.push((document, impact)))?;
        // Tiers come one after another.
        postings.sort_unstable();
        let mut ranges: Vec<(u32, u8, u32)> = Vec::new();
        for ((document, impact), end) in postings.iter().zip(1..) {
            let range = document / RANGE_DOCUMENTS;
            match ranges.last_mut() {
                Some(last) if last.0 == range => *last = (range, last.1.max(*impact), end),
                _ => ranges.push((range, *impact, end)),
            }
        }
        Ok(Self {
            weight,
            max_impact: postings
                .iter()
                .map(|(_, impact)| *impact)
                .max()
                .unwrap_or(0),
            offsets: postings
                .iter()
                .map(|(d, _)| (d % RANGE_DOCUMENTS) as u8)
                .collect(),
            impacts: postings.iter().map(|(_, impact)| *impact).collect(),
            ranges,
        })
    }

    /// Adds what the list has in a range; returns how many postings that is.
    fn add(&self, range: u32, sums: &mut RangeSums, rest: &mut u32) -> usize {
        let Ok(place) = self
            .ranges
            .binary_search_by_key(&range, |(range, ..)| *range)
        else {
            return 0;
        };
        let start = place
            .checked_sub(1)
            .map_or(0, |before| self.ranges[before].2 as usize);
        let (_, max_impact, end) = self.ranges[place];
        let postings = start..end as usize;
        for (offset, impact) in self.offsets[postings.clone()]
            .iter()
            .zip(&self.impacts[postings.clone()])
        {
            let sum = &mut sums[usize::from(*offset)];
            *sum = sum.wrapping_add(self.weight * u32::from(*impact));
        }
        *rest = rest.saturating_sub(self.weight * u32::from(max_impact));
        postings.len()
    }
}

struct Scorer<'a> {
    level: Level,
    terms: &'a SparseRanges<'a>,
    /// The visit names ranges by their places in the part.
    part: Part,
    documents: u32,
    scale: Scale,
    /// At least k accepted documents have this score.
    seed: u32,
    kept: Vec<DocId>,
    scored: u64,
    accept: Accept<'a>,
    task: &'a SegmentTask<'a>,
    top: &'a mut TopK<u32>,
}

impl Scorer<'_> {
    /// The lowest score that can be kept.
    #[inline(always)]
    fn min_score(&self) -> u32 {
        self.top.threshold().unwrap_or(0).max(self.seed)
    }
}

impl ScoreRanges for Scorer<'_> {
    #[inline(always)]
    fn min_bound(&self) -> u16 {
        self.scale
            .min_bound(f64::from(self.min_score()) * self.terms.reach)
    }

    #[inline(always)]
    fn prefetch(&self, place: u32) {
        let range = self.part.range_at(place);
        for term in self.terms.cut.iter().take(PREFETCHED_TERMS) {
            if let Some(found) = term.list.find(range) {
                term.list.ahead(found).into_iter().for_each(simd::prefetch);
            }
        }
    }

    #[inline(always)]
    fn score_range(&mut self, place: u32, bound: u16) -> Result<()> {
        self.task.check_cancelled()?;
        let range = self.part.range_at(place);
        let first = range * RANGE_DOCUMENTS;
        if !self.accept.any_near(first..first + RANGE_DOCUMENTS) {
            return Ok(());
        }
        self.top.exchange();
        let min = self.min_score();
        // The cast saturates.
        let reached = (f64::from(min) * self.terms.reach) as u32;
        let mut sums = [0; RANGE_DOCUMENTS as usize];
        let mut rest = self.scale.score(bound).ceil() as u32;
        for term in &self.terms.few {
            self.scored += term.add(range, &mut sums, &mut rest) as u64;
        }
        for term in &self.terms.heavy {
            self.scored += term.add(range, &mut sums, &mut rest)? as u64;
        }
        for terms in self.terms.cut.chunks(u64::BITS as usize) {
            let mut parts = Parts {
                terms,
                range,
                present: present(terms, range),
                scored: 0,
                error: None,
            };
            let all = simd::add_parts(self.level, &mut parts, &mut rest, reached, &mut sums);
            self.scored += parts.scored;
            if let Some(error) = parts.error {
                return Err(error);
            }
            if !all {
                return Ok(());
            }
        }
        let found = simd::above_u32(self.level, &sums, min - 1, first, &mut self.kept);
        for document in &self.kept[..found] {
            if *document < self.documents && self.accept.contains(*document) {
                self.top.offer(*document, sums[(document - first) as usize]);
            }
        }
        Ok(())
    }
}

/// Which of the terms have postings in a range, one bit each. Found for all of them first and
/// without branches: whether a list is there is unpredictable, and a misprediction costs more than
/// a list.
#[inline(always)]
fn present(terms: &[CutTerm<'_>], range: u32) -> u64 {
    let (group, bit) = ((range / GROUP_RANGES) as usize, range % GROUP_RANGES);
    let mut present = 0;
    for (place, term) in terms.iter().enumerate() {
        let word = term.groups.get(group).map_or(0, |group| group.present());
        present |= (word >> bit & 1) << place;
    }
    present
}

/// What each of the terms has in a range.
struct Parts<'a, 'b> {
    terms: &'b [CutTerm<'a>],
    range: u32,
    present: u64,
    scored: u64,
    error: Option<Error>,
}

impl<'a> Iterator for &mut Parts<'a, '_> {
    type Item = (u32, RangePostings<'a>);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.present == 0 {
            return None;
        }
        let term = &self.terms[self.present.trailing_zeros() as usize];
        self.present &= self.present - 1;
        match term.list.postings(term.list.find(self.range)?) {
            Ok(postings) => {
                self.scored += postings.len() as u64;
                Some((term.weight, postings))
            }
            Err(error) => {
                self.error = Some(error);
                None
            }
        }
    }
}
