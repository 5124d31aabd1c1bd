//! The terms of a sparse field of all sources, written to a segment.

use std::io::Write;

use super::{Kind, Quantizer, SparseField};
use crate::doc_set::DocSet;
use crate::error::Result;
use crate::format::dictionary::{DictionaryIter, DictionaryWriter, TermEntry};
use crate::format::impact::{Impact, pack};
use crate::format::postings::Postings;
use crate::format::segment_info::FieldStatistics;
use crate::format::sparse_postings::{SparseList, SparseListEncoder};
use crate::format::{FieldKind, FieldNumber, PostingCodec, Sparse};
use crate::segment::document_map::DocumentMap;
use crate::segment::fields::terms::BatchTerms;
use crate::segment::fields::{Part, PostingStream};
use crate::segment::term_merge::{KeyMerge, KeyStream};
use crate::segment::write::{SegmentWriter, Source};

/// The sorted terms of one source.
pub(super) enum Stream<'a> {
    Nothing,
    Batch(BatchTerms<'a>, &'a Quantizer),
    Segment {
        field: &'a SparseField,
        documents: u32,
        terms: DictionaryIter<'a>,
        entry: Option<TermEntry>,
        /// The base exponent that impacts are packed with.
        base: i16,
    },
}

/// A stream of postings for each source, in order; `None` when no source has the field.
pub(super) fn streams<'a>(
    sources: &[Source<'a>],
    field: FieldNumber,
    quantizer: &'a Quantizer,
) -> Result<Option<KeyMerge<Stream<'a>>>> {
    let mut any = false;
    let streams = sources.iter().map(|source| {
        let part = source.field::<Kind>(field);
        any |= part.is_some();
        match part {
            None => Stream::Nothing,
            Some(Part::Batch(inverted)) => {
                Stream::Batch(BatchTerms::new(&inverted.postings), quantizer)
            }
            Some(Part::Segment(segment, field)) => Stream::Segment {
                field,
                documents: segment.documents(),
                terms: field.terms.iter(),
                entry: None,
                base: quantizer.base(),
            },
        }
    });
    let streams = streams.collect();
    any.then(|| KeyMerge::new(streams)).transpose()
}

impl KeyStream for Stream<'_> {
    fn advance(&mut self) -> Result<bool> {
        match self {
            Self::Nothing => Ok(false),
            Self::Batch(batch, _) => batch.advance(),
            Self::Segment { terms, entry, .. } => {
                *entry = terms.next_term()?;
                Ok(entry.is_some())
            }
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Batch(batch, _) => batch.key(),
            Self::Segment { terms, .. } => terms.key(),
        }
    }
}

impl PostingStream for Stream<'_> {
    /// Values are [packed](pack) impacts.
    fn append(&self, map: &DocumentMap, to: &mut Postings) -> Result<()> {
        let start = to.len();
        let (field, documents, entry, base) = match self {
            Self::Nothing | Self::Segment { entry: None, .. } => return Ok(()),
            Self::Batch(batch, quantizer) => {
                batch.append(map, to)?;
                if let Some(weights) = to.values.get_mut(start..) {
                    quantizer.quantize(weights);
                }
                return Ok(());
            }
            Self::Segment {
                field,
                documents,
                entry: Some(entry),
                base,
                ..
            } => (field, *documents, entry, *base),
        };
        let (mut lists, mut walked, mut rises) = (0, Ok(()), true);
        field.open(documents, entry, |exponent, list| {
            lists += 1;
            rises &= lists == 1 && matches!(&list, SparseList::Ranges(_));
            let at_exponent = pack(Impact { exponent, steps: 0 }, base);
            let added = list.for_each(|document, steps| {
                if let Some(new) = map.get(document) {
                    to.push(new, at_exponent | u32::from(steps));
                }
            });
            if walked.is_ok() {
                walked = added;
            }
        })?;
        walked?;
        // Tiers and parts come one after another. In a new order of documents they are sorted with
        // those of all sources.
        if !rises && map.keeps_order() {
            to.sort_from(start);
        }
        Ok(())
    }
}

/// Writes the sections of the field, unless no source has it.
pub(super) fn write<W: Write>(
    writer: &mut SegmentWriter<'_, W>,
    field: FieldNumber,
    options: &Sparse,
) -> Result<()> {
    let quantizer = Quantizer::choose(writer.sources, field, options);
    let Some(merge) = streams(writer.sources, field, &quantizer)? else {
        return Ok(());
    };
    let mut encoder = SparseListEncoder::new(options.layout, quantizer.base(), writer.documents);
    let mut seen = DocSet::empty(writer.documents);
    let (mut has_parts, mut steps) = (false, 0);
    writer.begin("impacts", Some(field))?;
    let (dictionary, counted) = writer.lists(
        merge,
        DictionaryWriter::of_sparse_terms(),
        |postings, offset, out| {
            for (document, packed) in postings.iter() {
                seen.insert(document);
                has_parts |= packed > u32::from(u8::MAX);
                steps += u64::from(packed & 0xFF);
            }
            encoder.encode(postings, offset, out)
        },
    )?;
    let mut statistics = FieldStatistics::new(field, FieldKind::Sparse);
    statistics.codec = PostingCodec::BitPacked.code();
    (statistics.terms, statistics.postings) = (counted.terms, counted.postings);
    statistics.total = steps;
    (statistics.base, statistics.has_parts) = (quantizer.base(), has_parts);
    statistics.documents = seen.count();
    let (clamped, rounded_up) = counted_before(writer.sources, field);
    statistics.skipped = clamped.saturating_add(quantizer.clamped());
    statistics.rounded_up = rounded_up.saturating_add(quantizer.rounded_up());
    writer.spooled_section("terms", Some(field), dictionary)?;
    writer.info.fields.push(statistics);
    Ok(())
}

/// Weights that were clamped, and those that were rounded up, when the segments among the sources
/// were written: no merge can count them again.
fn counted_before(sources: &[Source<'_>], field: FieldNumber) -> (u64, u64) {
    let (mut clamped, mut rounded_up) = (0u64, 0u64);
    for source in sources {
        if let Source::Segment(segment, _) = source
            && let Some(found) = segment.info().field(field)
        {
            clamped = clamped.saturating_add(found.skipped);
            rounded_up = rounded_up.saturating_add(found.rounded_up);
        }
    }
    (clamped, rounded_up)
}
