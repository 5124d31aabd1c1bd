//! The documents of lists of postings, without scores.
//!
//! What filters, counts and deletes need of lists: no values are decoded, and the documents that
//! several lists have are found from those of the shortest, in the blocks of the others that may
//! have them.

use std::ops::Range;

use super::simd::{Level, keep_in_block};
use crate::error::Result;
use crate::format::block::DecodedBlock;
use crate::format::block_list::{BlockEntry, BlockList};
use crate::format::{DocId, NO_MORE_DOCUMENTS};

/// Documents that are looked up in a block one by one; more are compared by flags.
const FEW_IN_BLOCK: usize = 32;
/// Documents of a segment that lists are intersected in at a time, unless the shortest is shorter.
const PIECE: u32 = 1 << 16;
/// Documents that have a flag.
const FLAGS: usize = 1 << 12;

/// Calls `visit` with the documents of each block.
pub(super) fn for_each_block<E: BlockEntry>(
    list: &BlockList<'_, E>,
    visit: impl FnMut(&[DocId]),
) -> Result<()> {
    for_each_block_of(list, 0..NO_MORE_DOCUMENTS, visit)
}

/// As [`for_each_block`], for the blocks that may have documents of a range.
fn for_each_block_of<E: BlockEntry>(
    list: &BlockList<'_, E>,
    range: Range<DocId>,
    mut visit: impl FnMut(&[DocId]),
) -> Result<()> {
    let mut block = DecodedBlock::default();
    for number in list.find_block(0, range.start)..list.block_count() {
        list.decode_documents(number, &mut block)?;
        visit(block.documents());
        if block
            .documents()
            .last()
            .is_some_and(|last| *last >= range.end)
        {
            break;
        }
    }
    Ok(())
}

/// The documents of a list.
pub(super) fn documents_of<E: BlockEntry>(list: &BlockList<'_, E>) -> Result<Vec<DocId>> {
    let mut documents = Vec::with_capacity(list.len() as usize);
    for_each_block(list, |block| documents.extend_from_slice(block))?;
    Ok(documents)
}

/// Calls `visit` with the documents that all of some lists have, the shortest list first; never with
/// those of no lists. Documents come in pieces, so that memory is bounded.
pub(super) fn for_each_in_all<E: BlockEntry>(
    lists: &[BlockList<'_, E>],
    documents: u32,
    mut visit: impl FnMut(&[DocId]),
) -> Result<()> {
    let shortest = lists.first().map_or(0, BlockList::len);
    let width = match shortest <= PIECE {
        true => documents.max(1),
        false => PIECE,
    };
    let mut found = Vec::new();
    for start in (0..documents).step_by(width as usize) {
        find_all(lists, start..start.saturating_add(width), &mut found)?;
        visit(&found);
    }
    Ok(())
}

/// Finds the documents of a range that all of some lists have, the shortest list first.
pub(super) fn find_all<E: BlockEntry>(
    lists: &[BlockList<'_, E>],
    range: Range<DocId>,
    documents: &mut Vec<DocId>,
) -> Result<()> {
    documents.clear();
    let Some((shortest, others)) = lists.split_first() else {
        return Ok(());
    };
    for_each_block_of(shortest, range.clone(), |block| {
        let start = block.partition_point(|document| *document < range.start);
        let end = block.partition_point(|document| *document < range.end);
        documents.extend_from_slice(&block[start..end.max(start)]);
    })?;
    others
        .iter()
        .try_for_each(|list| retain(list, documents, true))
}

/// Of documents that rise, keeps those that a list has, or those that it does not have.
pub(super) fn retain<E: BlockEntry>(
    list: &BlockList<'_, E>,
    documents: &mut Vec<DocId>,
    are_kept: bool,
) -> Result<()> {
    let (level, mut flags) = (Level::detect(), [0; FLAGS]);
    let mut decoded = DecodedBlock::default();
    let (mut from, mut to, mut block) = (0, 0, 0);
    while let Some(first) = documents.get(from) {
        block = list.find_block(block, *first);
        if block >= list.block_count() {
            break;
        }
        list.decode_documents(block, &mut decoded)?;
        if let Some(behind) = decoded.documents.get_mut(decoded.len..) {
            behind.fill(NO_MORE_DOCUMENTS);
        }
        let last = decoded.documents().last().copied().unwrap_or(0);
        let rest = documents[from..].iter();
        let here = from..from + rest.take_while(|document| **document <= last).count();
        from = here.end;
        to = match flagged(&decoded).filter(|_| here.len() > FEW_IN_BLOCK) {
            Some(first) => {
                let flagged = (&decoded, first, &mut flags);
                keep_flagged(flagged, documents, (here, to), are_kept)
            }
            None => keep_in_block(level, &decoded, documents, (here, to), are_kept),
        };
        block += 1;
    }
    match are_kept {
        true => documents.truncate(to),
        false => drop(documents.drain(to..from)),
    }
    Ok(())
}

/// The first document of a block whose documents are close enough for flags.
fn flagged(block: &DecodedBlock) -> Option<DocId> {
    let (first, last) = (block.documents().first()?, block.documents().last()?);
    ((last - first) as usize).lt(&FLAGS).then_some(*first)
}

/// As [`keep_in_block`], by a flag for each document from the block's first on; flags are 0 before
/// and afterwards.
fn keep_flagged(
    (block, first, flags): (&DecodedBlock, DocId, &mut [u8; FLAGS]),
    documents: &mut [DocId],
    (range, mut to): (Range<usize>, usize),
    are_kept: bool,
) -> usize {
    for document in block.documents() {
        flags[(document - first) as usize % FLAGS] = 1;
    }
    for place in range {
        let document = documents[place];
        // Documents before the block have no flag.
        let flag = flags.get(document.wrapping_sub(first) as usize);
        documents[to] = document;
        to += usize::from(flag.copied().unwrap_or(0) == u8::from(are_kept));
    }
    for document in block.documents() {
        flags[(document - first) as usize % FLAGS] = 0;
    }
    to
}

/// Of documents that rise, removes those of `others`, which rise too and are all among them.
pub(super) fn remove_all(documents: &mut Vec<DocId>, others: &[DocId]) {
    let mut others = others.iter().peekable();
    documents.retain(|document| others.next_if(|other| *other == document).is_none());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::postings::Postings;
    use crate::format::section::Section;
    use crate::format::text_postings::{TextList, TextListEncoder};
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const DOCUMENTS: u32 = 60_000;

    /// Lists of all lengths and densities.
    fn lists() -> impl Strategy<Value = Vec<BTreeSet<u32>>> {
        let list = (0u32..6, any::<u64>(), 1u32..2_000).prop_map(|(density, seed, count)| {
            let mut random = seed | 1;
            let mut document = 0;
            let documents = (0..count).map(|_| {
                random = random.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                document += 1 + (random >> 40) as u32 % (1 << (2 * density));
                document
            });
            documents.filter(|document| *document < DOCUMENTS).collect()
        });
        let list = list.prop_filter("no list is empty", |list: &BTreeSet<u32>| !list.is_empty());
        prop::collection::vec(list, 1..4)
    }

    proptest! {
        #[test]
        fn lists_are_sets_of_numbers(sets in lists(), one in 0..DOCUMENTS, other in 0..DOCUMENTS) {
            let (start, end) = (one.min(other), one.max(other));
            let mut bytes = Vec::new();
            let entries: Vec<_> = sets.iter().map(|set| {
                let documents: Vec<u32> = set.iter().copied().collect();
                let postings = Postings::new(documents, vec![1; set.len()]);
                let (lengths, offset) = (vec![1; DOCUMENTS as usize], bytes.len() as u64);
                TextListEncoder::default().encode(&postings, &lengths, offset, &mut bytes).unwrap()
            }).collect();
            let section = Section::from_bytes("postings", bytes);
            let lists: Vec<_> = entries
                .iter()
                .map(|entry| TextList::open(&section, DOCUMENTS, entry).unwrap().blocks)
                .collect();
            let mut all = sets[0].clone();
            for (list, set) in lists.iter().zip(&sets) {
                let documents: Vec<u32> = set.iter().copied().collect();
                prop_assert_eq!(documents_of(list).unwrap(), documents);
                for are_kept in [true, false] {
                    let mut found: Vec<u32> = sets[0].iter().copied().collect();
                    retain(list, &mut found, are_kept).unwrap();
                    let expected = sets[0].iter().filter(|d| set.contains(d) == are_kept);
                    prop_assert_eq!(&found, &expected.copied().collect::<Vec<u32>>());
                    let mut rest: Vec<u32> = sets[0].iter().copied().collect();
                    remove_all(&mut rest, &found);
                    let expected = sets[0].iter().filter(|d| set.contains(d) != are_kept);
                    prop_assert_eq!(rest, expected.copied().collect::<Vec<u32>>());
                }
                all.retain(|document| set.contains(document));
            }
            let mut found = Vec::new();
            find_all(&lists, start..end, &mut found).unwrap();
            prop_assert_eq!(found, all.range(start..end).copied().collect::<Vec<_>>());
            let mut found = Vec::new();
            for_each_in_all(&lists, DOCUMENTS, |documents| found.extend_from_slice(documents)).unwrap();
            prop_assert_eq!(found, all.into_iter().collect::<Vec<_>>());
        }
    }
}
