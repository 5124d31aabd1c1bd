//! Queries of terms and weights on a sparse field: dot products of integers.

use std::cmp::Reverse;
use std::sync::Arc;

use super::cursor::Cursor;
use super::cursor_search::workload;
use super::effort::Effort;
use super::exhaustive;
use super::explanation::{Explain, Explanation, TermScore};
use super::leaf::{Found, Leaf, SegmentTask};
use super::look_up::{Entries, Required, postings_of};
use super::options::SearchOptions;
use super::plan::{Algorithm, choose_sparse};
use super::prefetch;
use super::range_cursor::RangeCursor;
use super::ranges::SparseRanges;
use super::request::Query;
use super::score::{Ranked, in_units};
use super::sparse_cursor::SparseCursor;
use super::sparse_terms::SparseTerms;
use super::sparse_weights::{IntegerWeights, QueryWeight};
use super::tier_cursor::TierCursor;
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::dictionary::TermEntry;
use crate::format::sparse_postings::SparseList;
use crate::format::{FieldKind, FieldNumber, FieldOptions, SparseTerms as TermType};
use crate::index::{DocAddress, Snapshot, SnapshotSegment};

/// Terms with integer weights.
pub(super) struct SparseLeaf<'a> {
    segments: &'a [SnapshotSegment],
    field: FieldNumber,
    weights: IntegerWeights,
    /// What one unit of a score stands for.
    unit: f32,
    /// The highest weight first.
    terms: Vec<SparseTerm>,
    entries: Entries<SparseEntry>,
    effort: Effort,
    required: Option<Required>,
    skipped_terms: u64,
    /// The algorithm that was asked for.
    algorithm: Option<Algorithm>,
}

struct SparseTerm {
    key: Vec<u8>,
    /// As text.
    name: String,
    /// As the query gives it.
    exact_weight: f32,
    /// The integer weight at the largest exponent that the term's impacts have.
    weight: u32,
    /// The term's place in [`SparseLeaf::entries`].
    entry: usize,
}

/// What a segment has of a term.
#[derive(Clone, Copy)]
struct SparseEntry {
    entry: TermEntry,
    /// The smallest and the largest exponent of the impacts.
    exponents: (i16, i16),
}

/// The field of a query, and its scale.
fn sparse_field(snapshot: &Snapshot, name: &str, expected: TermType) -> Result<(FieldNumber, f32)> {
    let field = snapshot.schema().expect(name, FieldKind::Sparse)?;
    match &field.options {
        FieldOptions::Sparse(sparse) if sparse.terms == expected => {
            Ok((field.number, sparse.scale))
        }
        FieldOptions::Sparse(sparse) => {
            let message = format!(
                "expected terms that are {}, as in the schema, found {}; use `Query::{}`",
                sparse.terms.name(),
                expected.name(),
                match sparse.terms {
                    TermType::Strings => "sparse",
                    TermType::Numbers => "sparse_numbered",
                }
            );
            Err(Error::invalid(message).in_field(name))
        }
        _ => Err(Error::invalid("expected a sparse field").in_field(name)),
    }
}

/// A term of a sparse query, as the dictionary of its field writes it.
pub(super) trait SparseTermKey: ToString {
    /// The type of the terms of the fields that it is searched in.
    const TYPE: TermType;

    /// Its key in the dictionary.
    fn key(&self) -> Vec<u8>;
}

impl SparseTermKey for String {
    const TYPE: TermType = TermType::Strings;

    fn key(&self) -> Vec<u8> {
        self.as_bytes().to_vec()
    }
}

impl SparseTermKey for u32 {
    const TYPE: TermType = TermType::Numbers;

    fn key(&self) -> Vec<u8> {
        self.to_be_bytes().to_vec()
    }
}

impl<'a> SparseLeaf<'a> {
    /// The leaf of a query, of which `vector` are the weighted terms.
    pub fn new<T: SparseTermKey>(
        snapshot: &'a Snapshot,
        query: &Query,
        vector: &[(T, f32)],
        options: &SearchOptions,
    ) -> Result<Self> {
        let field = sparse_field(snapshot, &query.field, T::TYPE)?;
        let terms = vector
            .iter()
            .map(|(term, weight)| (term.key(), term.to_string(), *weight));
        let terms = SparseTerms::new(query, terms)?;
        Self::with_terms(snapshot, query, field, terms, options)
    }

    fn with_terms(
        snapshot: &'a Snapshot,
        query: &Query,
        (field, scale): (FieldNumber, f32),
        given: SparseTerms,
        options: &SearchOptions,
    ) -> Result<Self> {
        let entries = look_up(snapshot, options, field, &given)?;
        let SparseTerms {
            terms: weights,
            mut unknown,
            skipped,
        } = given;
        let mut found = Vec::new();
        let mut query_weights = Vec::with_capacity(weights.len());
        for (entry, (key, (name, exact_weight))) in weights.into_iter().enumerate() {
            let exponents = exponents_of(&entries, entry);
            query_weights.push(QueryWeight {
                weight: exact_weight,
                exponents,
            });
            let Some((_, exponent)) = exponents else {
                unknown.push(name);
                continue;
            };
            let term = SparseTerm {
                key,
                name,
                exact_weight,
                weight: 0,
                entry,
            };
            found.push((term, exponent));
        }
        let weights = IntegerWeights::new(&query_weights);
        let terms = found.into_iter().map(|(term, exponent)| SparseTerm {
            weight: weights.integer(term.exact_weight, exponent),
            ..term
        });
        let mut terms: Vec<SparseTerm> = terms.collect();
        terms.sort_by(|a, b| b.weight.cmp(&a.weight).then_with(|| a.key.cmp(&b.key)));
        let mut effort = Effort::EXACT;
        if !query.all_terms {
            effort = options.effort_for(snapshot.calibration(field));
            terms.truncate(effort.kept(terms.iter().map(|term| term.weight)));
        }
        Ok(Self {
            segments: snapshot.segments(),
            field,
            weights,
            unit: weights.unit(scale),
            terms,
            entries,
            effort,
            required: query.all_terms.then_some(Required { unknown }),
            skipped_terms: skipped,
            algorithm: options.algorithm,
        })
    }

    /// True when lists cut at ranges are searched range by range.
    fn may_use_ranges(&self) -> bool {
        self.required.is_none() && matches!(self.algorithm, None | Some(Algorithm::Ranges))
    }

    /// The cursors in a segment, the largest bounds first.
    pub fn cursors(&self, ordinal: usize) -> Result<Vec<SparseCursor<'a>>> {
        Ok(cursors(&self.lists(ordinal)?))
    }

    /// Of how many terms documents must have all; `None` when they need not.
    pub fn required_terms(&self) -> Option<usize> {
        let required = self.required.as_ref()?;
        // No document has an unknown term.
        Some(self.terms.len() + required.unknown.len())
    }

    /// The lists in a segment: one for each term, or a few that share no document.
    fn lists(&self, ordinal: usize) -> Result<Vec<WeightedList<'a>>> {
        let reader = &self.segments[ordinal].reader;
        let Some(field) = reader.sparse(self.field) else {
            return Ok(Vec::new());
        };
        let mut lists = Vec::with_capacity(self.terms.len());
        for (number, term) in self.terms.iter().enumerate() {
            if let Some(found) = self.entries.get(ordinal, term.entry) {
                field.open(reader.documents(), &found.entry, |exponent, list| {
                    lists.push(WeightedList {
                        term: number,
                        weight: self.weights.integer(term.exact_weight, exponent),
                        list,
                    });
                })?;
            }
        }
        Ok(lists)
    }
}

fn look_up(
    snapshot: &Snapshot,
    options: &SearchOptions,
    field: FieldNumber,
    given: &SparseTerms,
) -> Result<Entries<SparseEntry>> {
    prefetch::dictionaries(snapshot, |reader| Some(&reader.sparse(field)?.terms));
    let keys = given.terms.keys();
    let entries = Entries::look_up(snapshot, options, keys.len(), |segment| {
        match segment.reader.sparse(field) {
            Some(sparse) => keys.clone().map(|key| sparse.terms.term(key)).collect(),
            None => Ok(Vec::new()),
        }
    })?;
    for (ordinal, segment) in snapshot.segments().iter().enumerate() {
        if segment.reader.is_on_demand() && segment.live_documents() > 0 {
            prefetch::sparse_lists(&segment.reader, field, entries.of_segment(ordinal));
        }
    }
    entries.map(snapshot, |segment, entry| {
        segment.reader.sparse(field).map_or(Ok(None), |sparse| {
            let mut exponents: Option<(i16, i16)> = None;
            sparse.exponents(&entry, |exponent| {
                exponents = Some(widen(exponents, (exponent, exponent)));
            })?;
            Ok(exponents.map(|exponents| SparseEntry { entry, exponents }))
        })
    })
}

/// The smallest and the largest exponent of a term's impacts; `None` when no document has the term.
fn exponents_of(entries: &Entries<SparseEntry>, term: usize) -> Option<(i16, i16)> {
    let exponents = entries.of_term(term).map(|found| found.exponents);
    exponents.fold(None, |all, exponents| Some(widen(all, exponents)))
}

fn widen(all: Option<(i16, i16)>, (min, max): (i16, i16)) -> (i16, i16) {
    all.map_or((min, max), |(low, high)| (low.min(min), high.max(max)))
}

/// What a sparse query has in a segment.
pub(super) enum SparseLists<'a> {
    Ranges(SparseRanges<'a>),
    Lists(Vec<WeightedList<'a>>),
}

impl<'a> Leaf for SparseLeaf<'a> {
    type Score = u32;
    type Lists = SparseLists<'a>;

    fn unit(&self) -> f32 {
        self.unit
    }

    /// Where bounds are lowered by a slack, documents would be skipped that reach the score and are
    /// found without it.
    fn lowest_score(&self, min: f32) -> Option<u32> {
        match self.effort.slack < 1.0 {
            true => None,
            false => u32::lowest(min, self.unit),
        }
    }

    fn skipped_terms(&self) -> u64 {
        self.skipped_terms
    }

    /// Ranges are dealt out evenly, and every part visits its best ones first: with more than one
    /// part for each thread, a thread would look into ranges for a threshold that it knows already.
    fn parts_per_thread(&self) -> u64 {
        if self.may_use_ranges() { 1 } else { 2 }
    }

    fn postings(&self, ordinal: usize) -> u64 {
        let entry = |term: &SparseTerm| self.entries.get(ordinal, term.entry);
        let frequencies = self.terms.iter();
        let frequencies = frequencies.map(|term| Some(entry(term)?.entry.document_frequency));
        postings_of(self.required.as_ref(), frequencies)
    }

    fn open(&self, ordinal: usize) -> Result<SparseLists<'a>> {
        let lists = self.lists(ordinal)?;
        if !(self.may_use_ranges() && is_cut_at_ranges(&lists)) {
            return Ok(SparseLists::Lists(lists));
        }
        let mut ranges = SparseRanges::new(self.effort.slack);
        for list in lists {
            ranges.add(list.weight, list.list)?;
        }
        Ok(SparseLists::Ranges(ranges))
    }

    fn score_of(&self, address: DocAddress) -> Result<Option<u32>> {
        let mut cursors = self.cursors(address.segment as usize)?;
        let terms = self.terms.len();
        TermScore::sum(
            &mut cursors,
            terms,
            address.document,
            self.required.as_ref(),
        )
    }

    fn matching(&self, ordinal: usize) -> Result<Arc<DocSet>> {
        let all_terms = self.required.is_some();
        let documents = self.segments[ordinal].reader.documents();
        if all_terms && self.postings(ordinal) == 0 {
            return Ok(Arc::new(DocSet::empty(documents)));
        }
        let lists = self.lists(ordinal)?;
        exhaustive::matching(cursors(&lists), documents, all_terms)
    }

    fn search(
        &self,
        lists: &SparseLists<'a>,
        task: &SegmentTask<'_>,
        found: &mut Found<u32>,
    ) -> Result<()> {
        match lists {
            SparseLists::Ranges(ranges) => {
                found.statistics.postings_scored += ranges.search(task, &mut found.top)?;
                if task.part.is_first() {
                    found.statistics.algorithms.push(Algorithm::Ranges);
                    found.statistics.postings += self.postings(task.ordinal);
                }
                Ok(())
            }
            SparseLists::Lists(lists) => {
                let all_terms = self.required.is_some();
                if all_terms && self.postings(task.ordinal) == 0 {
                    return Ok(());
                }
                found.search_cursors(&mut cursors(lists), task, all_terms)
            }
        }
    }
}

impl Explain for SparseLeaf<'_> {
    fn explain(&self, address: DocAddress, k: usize, explanation: &mut Explanation) -> Result<()> {
        let ordinal = address.segment as usize;
        let lists = self.lists(ordinal)?;
        let mut cursors = cursors(&lists);
        let (documents, all_terms) = (
            self.segments[ordinal].reader.documents(),
            self.required.is_some(),
        );
        let workload = workload(&cursors, k, documents, all_terms);
        explanation.choose(choose_sparse(workload, is_cut_at_ranges(&lists)));
        let mut sum = 0;
        for (number, term) in self.terms.iter().enumerate() {
            let score = TermScore::of(&mut cursors, number, address.document)?;
            sum += score.contribution;
            let entries = self.entries.of_term(term.entry);
            let frequency = entries
                .map(|found| u64::from(found.entry.document_frequency))
                .sum();
            let term = score.explain(&term.name, frequency, term.exact_weight, self.unit);
            explanation.terms.push(term);
        }
        explanation.score = in_units(sum, self.unit);
        explanation.require(self.required.as_ref());
        Ok(())
    }
}

/// A list of a term, with the term's number and its integer weight for the exponent of the list's
/// impacts.
pub(super) struct WeightedList<'a> {
    term: usize,
    weight: u32,
    list: SparseList<'a>,
}

/// True when any list is cut at ranges: then all are searched range by range, unless another
/// algorithm is asked for.
fn is_cut_at_ranges(lists: &[WeightedList<'_>]) -> bool {
    let mut lists = lists.iter();
    lists.any(|list| matches!(list.list, SparseList::Ranges(_)))
}

/// Cursors on the lists, one for each tier, the largest bounds first.
fn cursors<'a>(lists: &[WeightedList<'a>]) -> Vec<SparseCursor<'a>> {
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
    cursors.sort_by_key(|cursor| Reverse(cursor.bound()));
    cursors
}
