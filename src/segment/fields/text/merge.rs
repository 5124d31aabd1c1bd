//! The terms of a text field of all sources, written to a segment.

use std::io::Write;

use super::{Kind, TextField};
use crate::error::Result;
use crate::format::block::DecodedBlock;
use crate::format::dictionary::{DictionaryIter, DictionaryWriter, TermEntry};
use crate::format::postings::Postings;
use crate::format::segment_info::FieldStatistics;
use crate::format::text_postings::TextListEncoder;
use crate::format::{FieldKind, FieldNumber, PostingCodec, count32};
use crate::segment::document_map::DocumentMap;
use crate::segment::fields::terms::BatchTerms;
use crate::segment::fields::{Part, PostingStream};
use crate::segment::term_merge::{KeyMerge, KeyStream};
use crate::segment::write::{SegmentWriter, Source};

/// The sorted terms of one source.
pub(super) enum Stream<'a> {
    Nothing,
    Batch(BatchTerms<'a>),
    Segment {
        field: &'a TextField,
        documents: u32,
        terms: DictionaryIter<'a>,
        entry: Option<TermEntry>,
    },
}

/// A stream of postings for each source, in order; `None` when no source has the field.
pub(super) fn streams<'a>(
    sources: &[Source<'a>],
    field: FieldNumber,
) -> Result<Option<KeyMerge<Stream<'a>>>> {
    let mut any = false;
    let streams = sources.iter().map(|source| {
        let part = source.field::<Kind>(field);
        any |= part.is_some();
        match part {
            None => Stream::Nothing,
            Some(Part::Batch(inverted)) => Stream::Batch(BatchTerms::new(&inverted.postings)),
            Some(Part::Segment(segment, field)) => Stream::Segment {
                field,
                documents: segment.documents(),
                terms: field.terms.iter(),
                entry: None,
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
            Self::Batch(batch) => batch.advance(),
            Self::Segment { terms, entry, .. } => {
                *entry = terms.next_term()?;
                Ok(entry.is_some())
            }
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Nothing => &[],
            Self::Batch(batch) => batch.key(),
            Self::Segment { terms, .. } => terms.key(),
        }
    }
}

impl PostingStream for Stream<'_> {
    /// Values are term frequencies.
    fn append(&self, map: &DocumentMap, to: &mut Postings) -> Result<()> {
        let (field, documents, entry) = match self {
            Self::Nothing | Self::Segment { entry: None, .. } => return Ok(()),
            Self::Batch(batch) => {
                batch.append(map, to);
                return Ok(());
            }
            Self::Segment {
                field,
                documents,
                entry: Some(entry),
                ..
            } => (field, *documents, entry),
        };
        let list = field.list(documents, entry)?;
        let mut block = DecodedBlock::default();
        for index in 0..list.blocks.block_count() {
            list.blocks.decode(index, &mut block)?;
            for (document, value) in block.documents().iter().zip(block.values()) {
                if let Some(new) = map.get(*document) {
                    to.push(new, value.saturating_add(1));
                }
            }
        }
        Ok(())
    }
}

/// How much a term tells about its documents: rarer terms tell more.
pub(super) fn rarity(document_frequency: usize) -> u8 {
    // 64 bits at most, so that the product fits a byte.
    let bits = document_frequency.leading_zeros().to_le_bytes()[0];
    bits.saturating_mul(3)
}

/// Writes the sections of the field, unless no source has it.
pub(super) fn write<W: Write>(writer: &mut SegmentWriter<'_, W>, field: FieldNumber) -> Result<()> {
    let Some(merge) = streams(writer.sources, field)? else {
        return Ok(());
    };
    let lengths = lengths(writer, field)?;
    let mut encoder = TextListEncoder::default();
    writer.begin("postings", Some(field))?;
    let (dictionary, counted) = writer.lists(
        merge,
        DictionaryWriter::of_text_terms(),
        |postings, offset, out| encoder.encode(postings, &lengths, offset, out),
    )?;
    let mut statistics = FieldStatistics::new(field, FieldKind::Text);
    statistics.codec = PostingCodec::BitPacked.code();
    (statistics.terms, statistics.postings) = (counted.terms, counted.postings);
    statistics.total = counted.values;
    statistics.skipped = skipped(writer.sources, field);
    let with_terms = lengths.iter().filter(|code| **code > 0).count();
    statistics.documents = count32("documents of a text field", with_terms)?;
    writer.spooled_section("terms", Some(field), dictionary)?;
    writer.section("lengths", Some(field), &lengths)?;
    writer.info.fields.push(statistics);
    Ok(())
}

/// The length codes of all kept documents.
fn lengths<W: Write>(writer: &SegmentWriter<'_, W>, field: FieldNumber) -> Result<Vec<u8>> {
    let mut all = vec![0; writer.documents as usize];
    for (source, map) in writer.sources.iter().zip(writer.maps) {
        let lengths: &[u8] = match source.field::<Kind>(field) {
            Some(Part::Batch(inverted)) => &inverted.lengths,
            Some(Part::Segment(_, text)) => text.lengths.all()?,
            None => &[],
        };
        for (document, length) in (0..source.documents()).zip(lengths) {
            if let Some(slot) = map.get(document).and_then(|new| all.get_mut(new as usize)) {
                *slot = *length;
            }
        }
    }
    Ok(all)
}

/// Terms that were too long, which no merge can count again.
fn skipped(sources: &[Source<'_>], field: FieldNumber) -> u64 {
    let of_sources = sources
        .iter()
        .map(|source| match source.field::<Kind>(field) {
            Some(Part::Batch(inverted)) => inverted.skipped,
            Some(Part::Segment(segment, _)) => {
                let statistics = segment.info().field(field);
                statistics.map_or(0, |statistics| statistics.skipped)
            }
            None => 0,
        });
    of_sources.fold(0, u64::saturating_add)
}
