//! Searching a segment or a part of one: the lists or cursors of the query's terms there, and the algorithm.

use super::cursor::Cursor;
use super::part::Part;
use super::plan::{Algorithm, Workload, choose};
use super::prepare::{PreparedSparse, PreparedText, Required};
use super::range_cursor::RangeCursor;
use super::ranges::SparseRanges;
use super::request::SearchOptions;
use super::score::Ranked;
use super::search::SearchStatistics;
use super::simd::Bm25Term;
use super::sparse_cursor::SparseCursor;
use super::text_cursor::TextCursor;
use super::tier_cursor::TierCursor;
use super::top_k::TopK;
use super::{block_max_wand, conjunction, exhaustive, max_score, wand};
use crate::error::Result;
use crate::format::dictionary::TermEntry;
use crate::format::sparse_postings::SparseList;
use crate::index::{DocAddress, SnapshotSegment};

/// Parts for each thread where a part is a stretch of documents: with more, threads end at the same time more nearly, but
/// every part opens its lists anew. Ranges are dealt out evenly, and every part visits its best ones first: there more than
/// one for each thread would mean looking into ranges for a threshold that another part knows already.
pub(super) const STRETCHES_PER_THREAD: u64 = 2;

/// A query on one kind of field, to be searched in segments, which are named by their places in the snapshot.
pub(super) trait Searched: Sync {
    type Score: Ranked;
    /// What the query has in a segment, opened once for all parts.
    type Lists: Send + Sync;

    /// How many parts the work is cut into for each thread, about.
    fn parts_per_thread(&self) -> u64;

    /// Postings of the query's terms in a segment, as far as they must be looked at, or work that takes as long as so many.
    fn postings(&self, place: usize) -> u64;

    /// Opens a segment.
    fn open(&self, place: usize) -> Result<Self::Lists>;

    /// Searches a part of a segment.
    fn search(
        &self,
        lists: &Self::Lists,
        place: usize,
        part: Part,
        found: &mut Found<Self::Score>,
    ) -> Result<()>;
}

/// A query on a text field.
pub(super) struct TextSearch<'a> {
    pub segments: &'a [SnapshotSegment],
    pub options: &'a SearchOptions,
    pub text: &'a PreparedText,
}

impl Searched for TextSearch<'_> {
    type Score = f32;
    /// Cursors move, so every part has its own.
    type Lists = ();

    fn parts_per_thread(&self) -> u64 {
        STRETCHES_PER_THREAD
    }

    fn postings(&self, place: usize) -> u64 {
        let terms = self.text.terms.iter().map(|term| &*term.entries);
        postings_of(terms, self.text.required.as_ref(), place)
    }

    fn open(&self, _: usize) -> Result<()> {
        Ok(())
    }

    fn search(&self, (): &(), place: usize, part: Part, found: &mut Found<f32>) -> Result<()> {
        let segment = &self.segments[place];
        found.enter(place);
        let required = self.text.required.is_some();
        if required && self.postings(place) == 0 {
            return Ok(());
        }
        let mut cursors = text_cursors(self.text, segment, place)?;
        found.search_segment(self.options, &mut cursors, segment, (part, required))
    }
}

/// A query on a sparse field.
pub(super) struct SparseSearch<'a> {
    pub segments: &'a [SnapshotSegment],
    pub options: &'a SearchOptions,
    pub sparse: &'a PreparedSparse,
}

impl SparseSearch<'_> {
    /// Whether lists cut at ranges are searched by ranges.
    fn may_use_ranges(&self) -> bool {
        let algorithm = self.options.algorithm;
        self.sparse.required.is_none() && matches!(algorithm, None | Some(Algorithm::Ranges))
    }
}

/// What a sparse query has in a segment.
pub(super) enum SparseLists<'a> {
    Ranges(SparseRanges<'a>),
    Lists(Vec<WeightedList<'a>>),
}

impl<'a> Searched for SparseSearch<'a> {
    type Score = u32;
    type Lists = SparseLists<'a>;

    fn parts_per_thread(&self) -> u64 {
        if self.may_use_ranges() {
            1
        } else {
            STRETCHES_PER_THREAD
        }
    }

    fn postings(&self, place: usize) -> u64 {
        let terms = self.sparse.terms.iter().map(|term| &*term.entries);
        postings_of(terms, self.sparse.required.as_ref(), place)
    }

    fn open(&self, place: usize) -> Result<SparseLists<'a>> {
        let lists = sparse_lists(self.sparse, &self.segments[place], place)?;
        if !(self.may_use_ranges() && is_cut_at_ranges(&lists)) {
            return Ok(SparseLists::Lists(lists));
        }
        let mut ranges = SparseRanges::new(self.sparse.effort.slack);
        for list in lists {
            ranges.add(list.weight, list.list)?;
        }
        Ok(SparseLists::Ranges(ranges))
    }

    fn search(
        &self,
        lists: &SparseLists<'a>,
        place: usize,
        part: Part,
        found: &mut Found<u32>,
    ) -> Result<()> {
        let segment = &self.segments[place];
        found.enter(place);
        match lists {
            SparseLists::Ranges(ranges) => {
                found.search_ranges(ranges, self.postings(place), segment, part)
            }
            SparseLists::Lists(lists) => {
                let required = self.sparse.required.is_some();
                if required && self.postings(place) == 0 {
                    return Ok(());
                }
                let mut cursors = sparse_cursors(lists);
                found.search_segment(self.options, &mut cursors, segment, (part, required))
            }
        }
    }
}

/// Postings in the `place`-th segment of terms with these entries, of which all may be required.
fn postings_of<'a>(
    terms: impl Iterator<Item = &'a [Option<TermEntry>]>,
    required: Option<&Required>,
    place: usize,
) -> u64 {
    if let Some(required) = required {
        return required.postings(terms, place);
    }
    let entries = terms.filter_map(|entries| entries.get(place)?.as_ref());
    entries
        .map(|entry| u64::from(entry.document_frequency))
        .sum()
}

/// What was found in the segments searched so far.
pub(super) struct Found<S> {
    pub top: TopK<S>,
    pub statistics: SearchStatistics,
}

impl<S: Ranked> Found<S> {
    /// Nothing yet.
    pub fn with(top: TopK<S>) -> Self {
        Self {
            top,
            statistics: SearchStatistics::default(),
        }
    }

    /// Goes to another segment.
    pub fn enter(&mut self, place: usize) {
        self.top.enter(u32::try_from(place).unwrap_or(u32::MAX));
    }

    fn search_segment<C: Cursor<Score = S>>(
        &mut self,
        options: &SearchOptions,
        cursors: &mut [C],
        segment: &SnapshotSegment,
        (part, all_terms): (Part, bool),
    ) -> Result<()> {
        if cursors.is_empty() {
            return Ok(());
        }
        let workload = workload(cursors, options.k, segment, all_terms);
        let algorithm = match options.algorithm {
            None => choose(workload).0,
            // No list of this segment is long enough to be cut at ranges.
            Some(Algorithm::Ranges) => Algorithm::MaxScore,
            Some(chosen) => chosen,
        };
        run(
            algorithm,
            cursors,
            segment,
            (part, all_terms),
            &mut self.top,
        );
        if part.is_first() {
            self.statistics.algorithms.push(algorithm);
            self.statistics.postings += workload.postings;
        }
        for cursor in cursors {
            self.statistics.postings_scored += cursor.scored();
            if let Some(error) = cursor.take_error() {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Addresses and scores, the best first.
    pub fn into_unnamed(self, unit: f32) -> Vec<(DocAddress, f32)> {
        let hits = self.top.into_sorted().into_iter();
        hits.map(|hit| (hit.address, in_units(hit.score, unit)))
            .collect()
    }
}

/// A score in units that stand for so much; at most the largest number, as products of large
/// weights may be larger.
pub(super) fn in_units<S: Ranked>(score: S, unit: f32) -> f32 {
    (score.to_f32() * unit).min(f32::MAX)
}

impl Found<u32> {
    fn search_ranges(
        &mut self,
        ranges: &SparseRanges<'_>,
        postings: u64,
        segment: &SnapshotSegment,
        part: Part,
    ) -> Result<()> {
        let scored = ranges.search(
            part,
            segment.reader.documents(),
            segment.deleted_count(),
            |document| segment.is_live(document),
            &mut self.top,
        )?;
        self.statistics.postings_scored += scored;
        if part.is_first() {
            self.statistics.algorithms.push(Algorithm::Ranges);
            self.statistics.postings += postings;
        }
        Ok(())
    }
}

pub(super) fn workload<C: Cursor>(
    cursors: &[C],
    k: usize,
    segment: &SnapshotSegment,
    all_terms: bool,
) -> Workload {
    let rarest = || conjunction::postings_of_terms(cursors).into_iter().min();
    Workload {
        cursors: cursors.len(),
        postings: cursors.iter().map(|c| u64::from(c.len())).sum(),
        k,
        documents: segment.reader.documents(),
        rarest: if all_terms { rarest() } else { None },
    }
}

fn run<C: Cursor>(
    algorithm: Algorithm,
    cursors: &mut [C],
    segment: &SnapshotSegment,
    (part, all_terms): (Part, bool),
    top: &mut TopK<C::Score>,
) {
    let documents = segment.reader.documents();
    let stretch = part.stretch(documents);
    let is_live = |document| segment.is_live(document);
    match algorithm {
        Algorithm::Exhaustive if all_terms => {
            exhaustive::search_for_all_terms(cursors, stretch, is_live, top);
        }
        Algorithm::Exhaustive => exhaustive::search(cursors, stretch, is_live, top),
        Algorithm::Conjunction => {
            conjunction::search(cursors, documents, stretch, is_live, top);
        }
        // Planning gives these two whole segments.
        Algorithm::Wand => wand::search(cursors, is_live, top),
        Algorithm::BlockMaxWand => block_max_wand::search(cursors, is_live, top),
        // Without deletions nothing is asked of the candidates.
        Algorithm::MaxScore | Algorithm::Ranges if segment.deleted_count() == 0 => {
            max_score::search(cursors, documents, stretch, |_| true, top);
        }
        Algorithm::MaxScore | Algorithm::Ranges => {
            max_score::search(cursors, documents, stretch, is_live, top);
        }
    }
}

/// The cursors of a text query on the `place`-th segment, in term order.
pub(super) fn text_cursors<'a>(
    text: &'a PreparedText,
    segment: &'a SnapshotSegment,
    place: usize,
) -> Result<Vec<TextCursor<'a>>> {
    let Some(field) = segment.reader.text(text.field) else {
        return Ok(Vec::new());
    };
    let lengths = field.lengths.all()?;
    let mut cursors = Vec::with_capacity(text.terms.len());
    for (number, term) in text.terms.iter().enumerate() {
        if let Some(Some(entry)) = term.entries.get(place) {
            let list = field.list(segment.reader.documents(), entry)?;
            let parts = Bm25Term {
                weight: term.weight,
                norms: &text.norms,
                lengths,
            };
            cursors.push(TextCursor::new(&list, number, parts)?);
        }
    }
    Ok(cursors)
}

/// A list of a term, with the term's number and its integer weight for the exponent of the list's
/// impacts.
pub(super) struct WeightedList<'a> {
    pub term: usize,
    pub weight: u32,
    pub list: SparseList<'a>,
}

/// Whether any list is cut at ranges: then all are searched by ranges, unless another algorithm is asked for.
pub(super) fn is_cut_at_ranges(lists: &[WeightedList<'_>]) -> bool {
    let mut lists = lists.iter();
    lists.any(|list| matches!(list.list, SparseList::Ranges(_)))
}

/// The lists of a sparse query on the `place`-th segment: one for each term, or a few that share no
/// document.
pub(super) fn sparse_lists<'a>(
    sparse: &PreparedSparse,
    segment: &'a SnapshotSegment,
    place: usize,
) -> Result<Vec<WeightedList<'a>>> {
    let Some(field) = segment.reader.sparse(sparse.field) else {
        return Ok(Vec::new());
    };
    let mut lists = Vec::with_capacity(sparse.terms.len());
    for (number, term) in sparse.terms.iter().enumerate() {
        if let Some(Some(entry)) = term.entries.get(place) {
            field.open(segment.reader.documents(), entry, |exponent, list| {
                lists.push(WeightedList {
                    term: number,
                    weight: sparse.weights.integer(term.exact_weight, exponent),
                    list,
                });
            })?;
        }
    }
    Ok(lists)
}

/// Cursors on the lists of a sparse query, one for each tier, greatest bounds first.
pub(super) fn sparse_cursors<'a>(lists: &[WeightedList<'a>]) -> Vec<SparseCursor<'a>> {
    let mut cursors = Vec::with_capacity(lists.len());
    for WeightedList { term, weight, list } in lists {
        match list {
            SparseList::Tiers(tiers) => {
                for tier in tiers {
                    let cursor = TierCursor::new(tier, *term, *weight);
                    cursors.push(SparseCursor::Tier(Box::new(cursor)));
                }
            }
            SparseList::Ranges(list) => {
                let cursor = RangeCursor::new(*list, *term, *weight);
                cursors.push(SparseCursor::Ranges(Box::new(cursor)));
            }
        }
    }
    // Sums of integers are the same in any order.
    cursors.sort_by_key(|cursor| std::cmp::Reverse(cursor.bound()));
    cursors
}
