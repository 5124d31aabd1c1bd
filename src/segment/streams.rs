//! What a source brings to a merge: its sorted terms with postings, and its sorted ids.

use super::document_map::DocumentMap;
use super::invert::{InvertedBatch, InvertedField};
use super::quantizer::Quantizer;
use super::reader::{FieldReader, SegmentReader, SparseField, TextField};
use super::term_merge::KeyStream;
use super::term_table::FieldPostings;
use super::write::Source;
use crate::error::Result;
use crate::format::block::DecodedBlock;
use crate::format::block_list::{BlockEntry, BlockList};
use crate::format::dictionary::{DictionaryIter, TermEntry};
use crate::format::impact::{Impact, pack};
use crate::format::sparse_postings::SparseList;
use crate::format::{DocId, FieldNumber};

/// The field of a batch with this number.
pub(super) fn field_of(batch: &InvertedBatch, field: FieldNumber) -> Option<&InvertedField> {
    batch.fields.iter().find(|f| f.number == field)
}

/// The sorted terms of one field of one source, with their postings.
pub(super) enum PostingStream<'a> {
    Nothing,
    /// With what quantizes the values if they are weights.
    Batch(&'a FieldPostings, BatchPlace, Option<&'a Quantizer>),
    Text(&'a TextField, u32, DictionaryIter<'a>, Option<TermEntry>),
    /// With the base exponent that impacts are to be packed with.
    Sparse(
        &'a SparseField,
        u32,
        DictionaryIter<'a>,
        Option<TermEntry>,
        i16,
    ),
}

/// Which term of a batch a stream stands on, counted from 1; 0 before the first.
pub(super) struct BatchPlace(u32);

impl<'a> PostingStream<'a> {
    /// The stream of a source; a sparse field has a quantizer.
    pub fn of(source: Source<'a>, field: FieldNumber, quantizer: Option<&'a Quantizer>) -> Self {
        match source {
            Source::Batch(batch, _) => match field_of(batch, field) {
                Some(field) => Self::Batch(&field.postings, BatchPlace(0), quantizer),
                None => Self::Nothing,
            },
            Source::Segment(segment, _) => match segment.field(field) {
                Some(FieldReader::Text(text)) => {
                    Self::Text(text, segment.documents(), text.terms.iter(), None)
                }
                Some(FieldReader::Sparse(sparse)) => {
                    let base = quantizer.map_or(sparse.base, Quantizer::base);
                    Self::Sparse(sparse, segment.documents(), sparse.terms.iter(), None, base)
                }
                Some(FieldReader::Dense(_)) | None => Self::Nothing,
            },
        }
    }

    /// Appends the current term's postings of documents that are kept: documents under their new
    /// numbers, and term frequencies or [packed](pack) impacts.
    pub fn postings(
        &self,
        map: &DocumentMap,
        documents: &mut Vec<DocId>,
        values: &mut Vec<u32>,
    ) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Batch(postings, place, quantizer) => {
                let start = values.len();
                batch_postings(postings, place.0, map, documents, values);
                if let (Some(quantizer), Some(weights)) = (quantizer, values.get_mut(start..)) {
                    quantizer.quantize(weights);
                }
                Ok(())
            }
            Self::Text(field, count, _, Some(entry)) => {
                let list = field.list(*count, entry)?;
                list_postings(&list.blocks, map, documents, values, |value| {
                    value.saturating_add(1)
                })
            }
            Self::Sparse(field, count, _, Some(entry), base) => {
                let start = documents.len();
                let (mut lists, mut walked, mut rises) = (0, Ok(()), true);
                field.open(*count, entry, |exponent, list| {
                    lists += 1;
                    rises &= lists == 1 && matches!(&list, SparseList::Ranges(_));
                    let at_exponent = pack(Impact { exponent, steps: 0 }, *base);
                    let added = list.for_each(|document, steps| {
                        if let Some(new) = map.get(document) {
                            documents.push(new);
                            values.push(at_exponent | u32::from(steps));
                        }
                    });
                    if walked.is_ok() {
                        walked = added;
                    }
                })?;
                walked?;
                // In another order they are sorted with those of all sources.
                if !rises && map.keeps_order() {
                    sort_from(start, documents, values);
                }
                Ok(())
            }
            Self::Text(_, _, _, None) | Self::Sparse(_, _, _, None, _) => Ok(()),
        }
    }
}

impl KeyStream for PostingStream<'_> {
    fn advance(&mut self) -> Result<bool> {
        match self {
            Self::Nothing => Ok(false),
            Self::Batch(postings, place, _) => {
                place.0 += 1;
                Ok(place.0 as usize <= postings.terms.len())
            }
            Self::Text(_, _, terms, entry) | Self::Sparse(_, _, terms, entry, _) => {
                *entry = terms.next_term()?;
                Ok(entry.is_some())
            }
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Batch(postings, place, _) => postings.terms.get(place.0.saturating_sub(1)),
            Self::Text(_, _, terms, _) | Self::Sparse(_, _, terms, _, _) => terms.key(),
        }
    }
}

fn batch_postings(
    postings: &FieldPostings,
    place: u32,
    map: &DocumentMap,
    documents: &mut Vec<DocId>,
    values: &mut Vec<u32>,
) {
    let end_of = |term: u32| {
        let end = term
            .checked_sub(1)
            .and_then(|t| postings.ends.get(t as usize));
        end.copied().unwrap_or(0) as usize
    };
    let range = end_of(place.saturating_sub(1))..end_of(place);
    let of_term = (
        postings.documents.get(range.clone()).unwrap_or_default(),
        postings.values.get(range).unwrap_or_default(),
    );
    for (document, value) in of_term.0.iter().zip(of_term.1) {
        if let Some(new) = map.get(*document) {
            documents.push(new);
            values.push(*value);
        }
    }
}

fn list_postings<E: BlockEntry>(
    list: &BlockList<'_, E>,
    map: &DocumentMap,
    documents: &mut Vec<DocId>,
    values: &mut Vec<u32>,
    meaning: impl Fn(u32) -> u32,
) -> Result<()> {
    let mut block = DecodedBlock::default();
    for index in 0..list.block_count() {
        list.decode(index, &mut block)?;
        for (document, value) in block.documents().iter().zip(block.values()) {
            if let Some(new) = map.get(*document) {
                documents.push(new);
                values.push(meaning(*value));
            }
        }
    }
    Ok(())
}

/// Sorts the postings from `start` on by document: tiers come one after another.
fn sort_from(start: usize, documents: &mut [DocId], values: &mut [u32]) {
    let (Some(documents), Some(values)) = (documents.get_mut(start..), values.get_mut(start..))
    else {
        return;
    };
    let mut pairs: Vec<(DocId, u32)> = documents
        .iter()
        .copied()
        .zip(values.iter().copied())
        .collect();
    pairs.sort_unstable();
    for ((document, value), pair) in documents.iter_mut().zip(values).zip(pairs) {
        (*document, *value) = pair;
    }
}

/// The sorted ids of one source, with their documents.
pub(super) enum IdStream<'a> {
    Batch(&'a InvertedBatch, BatchPlace),
    Segment(&'a SegmentReader, DictionaryIter<'a>),
}

impl<'a> IdStream<'a> {
    pub fn of(source: Source<'a>) -> Self {
        match source {
            Source::Batch(batch, _) => Self::Batch(batch, BatchPlace(0)),
            Source::Segment(segment, _) => {
                Self::Segment(segment, segment.ids().dictionary().iter())
            }
        }
    }

    pub fn document(&self) -> Result<DocId> {
        match self {
            Self::Batch(batch, place) => Ok(batch
                .by_id
                .get((place.0 as usize).saturating_sub(1))
                .copied()
                .unwrap_or(DocId::MAX)),
            Self::Segment(segment, ids) => segment.ids().document_of(ids.ordinal()),
        }
    }
}

impl KeyStream for IdStream<'_> {
    fn advance(&mut self) -> Result<bool> {
        match self {
            Self::Batch(batch, place) => {
                place.0 += 1;
                Ok(place.0 <= batch.documents)
            }
            Self::Segment(_, ids) => ids.advance(),
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Batch(batch, place) => batch
                .by_id
                .get((place.0 as usize).saturating_sub(1))
                .map_or(&[], |document| batch.ids.get(*document)),
            Self::Segment(_, ids) => ids.key(),
        }
    }
}
