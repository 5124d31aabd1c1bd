//! The terms of a text field of all sources, written to a segment.

use std::io::Write;

use super::{Kind, TextField};
use crate::error::Result;
use crate::format::block::DecodedBlock;
use crate::format::dictionary::{DictionaryIter, DictionaryWriter, TermEntry, TermPositions};
use crate::format::positions::{PositionListEncoder, PositionReader};
use crate::format::postings::Postings;
use crate::format::segment_info::FieldStatistics;
use crate::format::text_postings::TextListEncoder;
use crate::format::{FieldKind, FieldNumber, PostingCodec, Text, count32, varint, wide};
use crate::segment::document_map::DocumentMap;
use crate::segment::fields::terms::BatchTerms;
use crate::segment::fields::{Part, PostingStream};
use crate::segment::spool::Spool;
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
        with_positions: bool,
    },
}

/// A stream of postings, with their positions if these are wanted, for each source, in order;
/// `None` when no source has the field.
pub(super) fn streams<'a>(
    sources: &[Source<'a>],
    field: FieldNumber,
    with_positions: bool,
) -> Result<Option<KeyMerge<Stream<'a>>>> {
    let mut any = false;
    let streams = sources.iter().map(|source| {
        let part = source.field::<Kind>(field);
        any |= part.is_some();
        match part {
            None => Stream::Nothing,
            Some(Part::Batch(inverted)) => {
                let terms = BatchTerms::new(&inverted.postings);
                Stream::Batch(terms.with_positions(with_positions))
            }
            Some(Part::Segment(segment, field)) => Stream::Segment {
                field,
                documents: segment.documents(),
                terms: field.terms.iter(),
                entry: None,
                with_positions,
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
        let (field, documents, entry, with_positions) = match self {
            Self::Nothing | Self::Segment { entry: None, .. } => return Ok(()),
            Self::Batch(batch) => return batch.append(map, to),
            Self::Segment {
                field,
                documents,
                entry: Some(entry),
                with_positions,
                ..
            } => (field, *documents, entry, *with_positions),
        };
        let list = field.list(documents, entry)?;
        let positions = match with_positions {
            true => field.positions(entry)?,
            false => None,
        };
        let mut positions = positions.map(|list| list.reader());
        let mut block = DecodedBlock::default();
        for index in 0..list.blocks.block_count() {
            list.blocks.decode(index, &mut block)?;
            let postings = block.documents().iter().zip(block.values());
            for (posting, (document, value)) in postings.enumerate() {
                let Some(new) = map.get(*document) else {
                    continue;
                };
                to.push(new, value.saturating_add(1));
                if let Some(reader) = &mut positions {
                    append_positions(reader, index, block.values(), posting, to)?;
                }
            }
        }
        Ok(())
    }
}

fn append_positions(
    reader: &mut PositionReader<'_>,
    block: usize,
    values: &[u32],
    posting: usize,
    to: &mut Postings,
) -> Result<()> {
    reader.distances(block, values, posting, |distances| {
        for distance in distances {
            varint::write(u64::from(*distance), &mut to.positions);
        }
    })
}

/// The positions of the terms that were written so far.
struct PositionsWriter<'a> {
    encoder: PositionListEncoder,
    list: Vec<u8>,
    bytes: Spool<'a>,
    written: u64,
}

impl PositionsWriter<'_> {
    /// Adds those of the next term.
    fn add(&mut self, postings: &Postings) -> Result<TermPositions> {
        self.list.clear();
        let encoder = &mut self.encoder;
        let place = encoder.encode(postings, self.written, &mut self.list)?;
        self.written += wide(self.list.len());
        self.bytes.push(&self.list)?;
        Ok(place)
    }
}

/// How much a term tells about its documents: rarer terms tell more.
pub(super) fn rarity(document_frequency: usize) -> u8 {
    // 64 bits at most, so that the product fits a byte.
    let bits = document_frequency.leading_zeros().to_le_bytes()[0];
    bits.saturating_mul(3)
}

/// Writes the sections of the field, unless no source has it.
pub(super) fn write<W: Write>(
    writer: &mut SegmentWriter<'_, W>,
    field: FieldNumber,
    options: &Text,
) -> Result<()> {
    let Some(merge) = streams(writer.sources, field, options.positions)? else {
        return Ok(());
    };
    let lengths = lengths(writer, field)?;
    let mut encoder = TextListEncoder::default();
    // A section is written at a time, so positions wait until the postings are there.
    let mut positions = options.positions.then(|| PositionsWriter {
        encoder: PositionListEncoder::default(),
        list: Vec::new(),
        bytes: Spool::new(writer.options.scratch),
        written: 0,
    });
    let dictionary = match options.positions {
        true => DictionaryWriter::of_text_terms_with_positions(),
        false => DictionaryWriter::of_text_terms(),
    };
    writer.begin("postings", Some(field))?;
    let (dictionary, counted) = writer.lists(merge, dictionary, |postings, offset, out| {
        let mut entry = encoder.encode(postings, &lengths, offset, out)?;
        if let Some(positions) = &mut positions {
            entry.positions = positions.add(postings)?;
        }
        Ok(entry)
    })?;
    let mut statistics = FieldStatistics::new(field, FieldKind::Text);
    statistics.codec = PostingCodec::BitPacked.code();
    (statistics.terms, statistics.postings) = (counted.terms, counted.postings);
    statistics.total = counted.values;
    statistics.skipped = skipped(writer.sources, field);
    let with_terms = lengths.iter().filter(|code| **code > 0).count();
    statistics.documents = count32("documents of a text field", with_terms)?;
    writer.spooled_section("terms", Some(field), dictionary)?;
    writer.section("lengths", Some(field), &lengths)?;
    if let Some(positions) = positions {
        writer.spooled_section("positions", Some(field), positions.bytes)?;
    }
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
