//! Walks the lists of a sparse field.

use super::SparseField;
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::format::block::DecodedBlock;
use crate::format::range_list::{NOTED_RANKS, RANGE_DOCUMENTS, RangeList};
use crate::format::segment_info::FieldStatistics;
use crate::format::sparse_postings::{SparseList, Tier};
use crate::format::{DocId, FieldKind, FieldNumber, wide};
use crate::segment::fields::terms::{check_rising, walk_terms};
use crate::segment::reader::SegmentReader;

/// Counts the postings of all terms anew, and checks the invariants of their lists.
pub(super) fn walk(
    segment: &SegmentReader,
    number: FieldNumber,
    field: &SparseField,
) -> Result<FieldStatistics> {
    let mut found = FieldStatistics::new(number, FieldKind::Sparse);
    found.terms = field.terms.len();
    found.codec = field.codec.code();
    let mut seen = DocSet::empty(segment.documents());
    walk_terms(segment, &field.terms, |entry| {
        let mut of_term = Vec::new();
        let mut visit = |document: DocId, steps: u8| {
            found.total += u64::from(steps);
            seen.insert(document);
            of_term.push(document);
        };
        let mut lists = Vec::new();
        field.open(segment.documents(), entry, |exponent, list| {
            found.has_parts |= exponent != field.base;
            lists.push(list);
        })?;
        for list in lists {
            match list {
                SparseList::Ranges(list) => walk_ranges(segment, &list, &mut visit)?,
                SparseList::Tiers(tiers) => walk_tiers(segment, &tiers, &mut visit)?,
            }
        }
        found.postings += wide(of_term.len());
        of_term.sort_unstable();
        if of_term
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a == b))
        {
            return Err(segment.broken("impacts", "a document is in two tiers or parts"));
        }
        Ok(())
    })?;
    found.base = field.base;
    found.documents = seen.count();
    Ok(found)
}

fn walk_tiers(
    segment: &SegmentReader,
    tiers: &[Tier<'_>],
    visit: &mut impl FnMut(DocId, u8),
) -> Result<()> {
    let mut block = DecodedBlock::default();
    let mut floor = 256;
    for tier in tiers {
        let (mut last, mut min) = (None, 256);
        for index in 0..tier.blocks.block_count() {
            tier.blocks.decode(index, &mut block)?;
            check_rising(segment, "impacts", &mut last, block.documents())?;
            let mut max = 0;
            for (document, value) in block.documents().iter().zip(block.values()) {
                let impact = tier.impact(*value);
                max = max.max(impact);
                min = min.min(u32::from(impact));
                visit(*document, impact);
            }
            let expected = tier.blocks.table().get(index).map(|e| e.max_impact());
            let matches = expected.is_none_or(|expected| expected == max);
            if !matches || u32::from(max) >= floor || min == 0 {
                let message = "impacts do not agree with their tier";
                return Err(segment.broken("impacts", message));
            }
        }
        floor = min;
    }
    Ok(())
}

fn walk_ranges(
    segment: &SegmentReader,
    list: &RangeList<'_>,
    visit: &mut impl FnMut(DocId, u8),
) -> Result<()> {
    let mut max = vec![0; segment.documents().div_ceil(RANGE_DOCUMENTS) as usize];
    let mut falling = Vec::new();
    list.for_each(|document, impact| {
        if let Some(max) = max.get_mut((document / RANGE_DOCUMENTS) as usize) {
            *max = impact.max(*max);
        }
        falling.push(impact);
        visit(document, impact);
    })?;
    let of_ranges = max.iter().filter(|max| **max > 0);
    let tight = of_ranges.eq(list.max_impacts());
    falling.sort_unstable_by_key(|impact| std::cmp::Reverse(*impact));
    let holds = NOTED_RANKS
        .iter()
        .all(|rank| falling.get(rank - 1).copied().unwrap_or(0) == list.impact_at_rank(*rank));
    if tight && holds {
        return Ok(());
    }
    let message = "impacts do not agree with what the list notes of them";
    Err(segment.broken("impacts", message))
}
