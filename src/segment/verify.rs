//! Walks everything that a segment holds and compares it with the invariants of the format.

use super::reader::{FieldReader, SegmentReader, SparseField, TextField};
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::block::DecodedBlock;
use crate::format::bounds::Bound;
use crate::format::dense::DenseVectors;
use crate::format::range_list::{NOTED_RANKS, RANGE_DOCUMENTS, RangeList};
use crate::format::segment_info::FieldStatistics;
use crate::format::sparse_postings::{SparseList, Tier};
use crate::format::{DocId, FieldKind, lengths, wide};

/// Verifies every checksum and every invariant of a segment.
///
/// # Errors
///
/// [`Error::Corrupt`] at the first thing that is not as `format-spec/` says.
pub fn verify(segment: &SegmentReader) -> Result<()> {
    segment.container().verify()?;
    verify_ids(segment)?;
    verify_stored(segment)?;
    for (number, field) in segment.fields() {
        let statistics = segment.info().field(*number).copied();
        let statistics = statistics.unwrap_or(FieldStatistics::new(*number, FieldKind::Unknown));
        let found = match field {
            FieldReader::Text(text) => walk_text(segment, text)?,
            FieldReader::Sparse(sparse) => walk_sparse(segment, sparse)?,
            FieldReader::Dense(vectors) => walk_dense(segment, vectors)?,
        };
        let expected = FieldStatistics {
            field: found.field,
            left_out: found.left_out,
            rounded_up: found.rounded_up,
            ..statistics
        };
        if found != expected {
            let message =
                format!("field {number}: expected the statistics {expected:?}, found {found:?}");
            return Err(broken(segment, "info", message));
        }
    }
    Ok(())
}

fn broken(segment: &SegmentReader, section: &str, message: impl Into<String>) -> Error {
    Error::corrupt(segment.container().file(), section, 0, message)
}

fn verify_ids(segment: &SegmentReader) -> Result<()> {
    let ids = segment.ids();
    let mut iter = ids.dictionary().iter();
    let mut seen = DocSet::empty(segment.documents());
    let mut last = Vec::new();
    while iter.advance()? {
        if !last.is_empty() && last.as_slice() >= iter.key() {
            return Err(broken(segment, "ids", "external ids do not rise"));
        }
        last.clear();
        last.extend_from_slice(iter.key());
        let document = ids.document_of(iter.ordinal())?;
        if !seen.insert(document) || ids.id(document)?.as_bytes() != iter.key() {
            let message = "ids and documents do not name each other";
            return Err(broken(segment, "id-order", message));
        }
    }
    if seen.count() != segment.documents() {
        return Err(broken(segment, "id-order", "a document has no id"));
    }
    Ok(())
}

fn verify_stored(segment: &SegmentReader) -> Result<()> {
    let Some(stored) = segment.stored() else {
        return Ok(());
    };
    let mut documents = 0;
    for block in 0..stored.blocks() {
        documents += wide(stored.documents_of(block)?.len());
    }
    if documents != u64::from(segment.documents()) {
        let message = format!(
            "expected {} stored documents, found {documents}",
            segment.documents()
        );
        return Err(broken(segment, "stored-index", message));
    }
    Ok(())
}

/// Checks that keys rise and gives each term to `visit`.
fn walk_terms(
    segment: &SegmentReader,
    dictionary: &crate::format::dictionary::Dictionary,
    mut visit: impl FnMut(&crate::format::dictionary::TermEntry) -> Result<()>,
) -> Result<()> {
    let mut terms = dictionary.iter();
    let mut last = Vec::new();
    while let Some(entry) = terms.next_term()? {
        if terms.key().is_empty() || last.as_slice() >= terms.key() {
            return Err(broken(segment, "terms", "terms do not rise"));
        }
        last.clear();
        last.extend_from_slice(terms.key());
        visit(&entry)?;
    }
    Ok(())
}

fn walk_text(segment: &SegmentReader, field: &TextField) -> Result<FieldStatistics> {
    let codes = field.lengths.all()?;
    let mut found = FieldStatistics {
        terms: field.terms.len(),
        ..FieldStatistics::new(0, FieldKind::Unknown)
    };
    let with_terms = codes.iter().filter(|code| **code > 0).count();
    found.documents = u32::try_from(with_terms).unwrap_or(u32::MAX);
    let mut block = DecodedBlock::default();
    let mut sums = vec![0u32; segment.documents() as usize];
    walk_terms(segment, &field.terms, |entry| {
        let list = field.list(segment.documents(), entry)?;
        let mut last = None;
        for index in 0..list.blocks.block_count() {
            list.blocks.decode(index, &mut block)?;
            check_rising(segment, "postings", &mut last, block.documents())?;
            found.postings += wide(block.len);
            let bounds = list.blocks.table().get(index).map(|entry| entry.bounds());
            for (document, value) in block.documents().iter().zip(block.values()) {
                found.total += u64::from(*value) + 1;
                if let Some(sum) = sums.get_mut(*document as usize) {
                    *sum = sum.saturating_add(value.saturating_add(1));
                }
                let length = codes.get(*document as usize).copied().unwrap_or(0);
                let posting = Bound::of(value.saturating_add(1), length);
                let holds = |bounds: &[Bound]| bounds.iter().any(|b| b.dominates(posting));
                let of_block = bounds.is_none_or(|bounds| holds(bounds));
                let of_list = list.bounds.is_none_or(|bounds| holds(bounds));
                if !of_block || !of_list {
                    let message = format!("bounds do not hold for document {document}");
                    return Err(broken(segment, "postings", message));
                }
            }
        }
        Ok(())
    })?;
    let coded = sums.iter().map(|sum| lengths::encode(*sum));
    if !coded.eq(codes.iter().copied()) {
        let message = "a length is not the sum of the document's term frequencies";
        return Err(broken(segment, "lengths", message));
    }
    found.kind = FieldKind::Text;
    found.codec = field.codec.code();
    Ok(found)
}

fn walk_sparse(segment: &SegmentReader, field: &SparseField) -> Result<FieldStatistics> {
    let mut found = FieldStatistics {
        terms: field.terms.len(),
        ..FieldStatistics::new(0, FieldKind::Unknown)
    };
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
            return Err(broken(
                segment,
                "impacts",
                "a document is in two tiers or parts",
            ));
        }
        Ok(())
    })?;
    found.kind = FieldKind::Sparse;
    found.codec = field.codec.code();
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
        let (mut last, mut smallest) = (None, 256);
        for index in 0..tier.blocks.block_count() {
            tier.blocks.decode(index, &mut block)?;
            check_rising(segment, "impacts", &mut last, block.documents())?;
            let mut greatest = 0;
            for (document, value) in block.documents().iter().zip(block.values()) {
                let impact = tier.impact(*value);
                greatest = greatest.max(impact);
                smallest = smallest.min(u32::from(impact));
                visit(*document, impact);
            }
            let expected = tier.blocks.table().get(index).map(|e| e.greatest_impact());
            let matches = expected.is_none_or(|expected| expected == greatest);
            if !matches || u32::from(greatest) >= floor || smallest == 0 {
                let message = "impacts do not agree with their tier";
                return Err(broken(segment, "impacts", message));
            }
        }
        floor = smallest;
    }
    Ok(())
}

fn walk_ranges(
    segment: &SegmentReader,
    list: &RangeList<'_>,
    visit: &mut impl FnMut(DocId, u8),
) -> Result<()> {
    let mut greatest = vec![0; segment.documents().div_ceil(RANGE_DOCUMENTS) as usize];
    let mut falling = Vec::new();
    list.for_each(|document, impact| {
        if let Some(greatest) = greatest.get_mut((document / RANGE_DOCUMENTS) as usize) {
            *greatest = impact.max(*greatest);
        }
        falling.push(impact);
        visit(document, impact);
    })?;
    let of_ranges = greatest.iter().filter(|greatest| **greatest > 0);
    let tight = of_ranges.eq(list.greatest_impacts());
    falling.sort_unstable_by_key(|impact| std::cmp::Reverse(*impact));
    let holds = NOTED_RANKS
        .iter()
        .all(|rank| falling.get(rank - 1).copied().unwrap_or(0) == list.impact_at_rank(*rank));
    if tight && holds {
        return Ok(());
    }
    let message = "impacts do not agree with what the list notes of them";
    Err(broken(segment, "impacts", message))
}

fn walk_dense(segment: &SegmentReader, vectors: &DenseVectors) -> Result<FieldStatistics> {
    let mut last = None;
    for row in 0..vectors.rows() {
        let document = vectors.document(row)?;
        check_rising(segment, "vector-documents", &mut last, &[document])?;
        vectors.check_row(row)?;
    }
    Ok(FieldStatistics {
        terms: u64::from(vectors.shape().dimensions),
        postings: u64::from(vectors.rows()),
        documents: vectors.rows(),
        ..FieldStatistics::new(0, FieldKind::Dense)
    })
}

fn check_rising(
    segment: &SegmentReader,
    section: &str,
    last: &mut Option<DocId>,
    documents: &[DocId],
) -> Result<()> {
    for document in documents {
        if last.is_some_and(|last| last >= *document) || *document >= segment.documents() {
            return Err(broken(segment, section, "documents of a list do not rise"));
        }
        *last = Some(*document);
    }
    Ok(())
}
