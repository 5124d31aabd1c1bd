//! Fields of text: terms with frequencies, and the length of each document.

mod invert;
mod merge;
#[cfg(test)]
mod tests;

use std::io::Write;

use super::Stages;
use super::terms::{check_rising, walk_terms};
use crate::error::{Error, Result};
use crate::format::block::DecodedBlock;
use crate::format::bounds::Bound;
use crate::format::dictionary::{Dictionary, Payload, TermEntry, TermPositions};
use crate::format::positions::{POSITION_GAP, PositionList, PositionReader};
use crate::format::schema::Field;
use crate::format::segment_info::FieldStatistics;
use crate::format::text_postings::TextList;
use crate::format::{
    FieldKind, FieldNumber, Malformed, PostingCodec, Section, Text, count32, lengths, wide,
};
use crate::segment::document::Document;
use crate::segment::document_map::DocumentMap;
use crate::segment::fields::terms::{ListVisitor, visit_lists};
use crate::segment::forward::{Forward, ForwardTask};
use crate::segment::reader::{FieldSections, SegmentReader};
use crate::segment::write::{SegmentWriter, Source};
use crate::text::Analyzer;
use invert::{Inverted, Inverter};

/// A text field of a segment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TextField {
    /// The field's terms.
    pub terms: Dictionary,
    /// Their postings.
    pub postings: Section,
    /// One length code for each document.
    pub lengths: Section,
    /// The terms' positions, if the field has them.
    pub positions: Option<Section>,
    /// How the postings are encoded.
    pub codec: PostingCodec,
}

impl TextField {
    /// The postings of a term that the dictionary gave.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when they are damaged.
    pub fn list(&self, documents: u32, entry: &TermEntry) -> Result<TextList<'_>> {
        match self.codec {
            PostingCodec::BitPacked => TextList::open(&self.postings, documents, entry),
        }
    }

    /// The positions of a term that the dictionary gave, in the order of its postings; `None` when
    /// the field has none.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when they are damaged.
    pub fn positions(&self, entry: &TermEntry) -> Result<Option<PositionList<'_>>> {
        match &self.positions {
            Some(section) => PositionList::open(section, entry),
            None => Ok(None),
        }
    }
}

/// Checks that positions of texts of these lengths, in bytes, have 32 bits.
fn check_positions(texts: impl Iterator<Item = usize>) -> Result<()> {
    // A text has no more words than bytes.
    let positions = texts.map(|length| wide(length) + u64::from(POSITION_GAP));
    let (found, limit) = (positions.sum::<u64>(), u64::from(u32::MAX));
    match found <= limit {
        true => Ok(()),
        false => {
            let what = "bytes of the texts of a field with positions, and 100 for each text";
            Err(Error::limit(what, found, limit))
        }
    }
}

pub(in crate::segment) struct Kind;

impl Stages for Kind {
    type Options = Text;
    type Value = String;
    type Inverter = Inverter;
    type Inverted = Inverted;
    type Reader = TextField;

    const REMEMBERS_TERMS: bool = true;
    const ORDER_PREFERENCE: u8 = 1;

    fn value_bytes(value: &String) -> usize {
        value.len()
    }

    /// Any text can be indexed, unless the positions of a document's texts need more than 32 bits.
    fn check(document: &Document, field: &Field, options: &Text) -> Result<()> {
        if !options.positions {
            return Ok(());
        }
        let texts = document.values_of::<Self>(&field.name);
        check_positions(texts.map(String::len))
    }

    fn inverter(
        field: &Field,
        options: &Text,
        analyzers: &mut std::slice::Iter<'_, Analyzer>,
    ) -> Option<Inverter> {
        let analyzer = analyzers.next()?.clone();
        Some(Inverter::new(&field.name, analyzer, options.positions))
    }

    fn invert(inverter: &mut Inverter, documents: &[Document], memory: usize) -> Result<Inverted> {
        inverter.invert(documents, memory)
    }

    fn memory(inverted: &Inverted) -> usize {
        inverted.postings.memory() + inverted.lengths.len()
    }

    fn forward(task: &ForwardTask<'_>, field: &Field, _: &Text) -> Result<Option<Forward>> {
        match merge::streams(task.sources, field.number, false)? {
            Some(merge) => task.gather(merge, |posting| merge::rarity(posting.document_frequency)),
            None => Ok(None),
        }
    }

    fn visit_lists(
        sources: &[Source<'_>],
        maps: &[DocumentMap],
        field: &Field,
        _: &Text,
        visit: &mut ListVisitor<'_>,
    ) -> Result<()> {
        // Frequencies above 2^24 are rounded.
        #[allow(clippy::cast_precision_loss)]
        let weigh = |frequency: u32| frequency as f32;
        match merge::streams(sources, field.number, false)? {
            Some(merge) => visit_lists(merge, maps, weigh, visit),
            None => Ok(()),
        }
    }

    fn write<W: Write>(
        writer: &mut SegmentWriter<'_, W>,
        field: &Field,
        options: &Text,
    ) -> Result<()> {
        merge::write(writer, field.number, options)
    }

    fn open(sections: &FieldSections<'_>, options: &Text) -> Result<TextField> {
        let lengths = sections.section("lengths")?;
        if lengths.len() != u64::from(sections.documents) {
            let message = Malformed("expected one length for each document");
            return Err(lengths.malformed(0, message));
        }
        let (payload, positions) = match options.positions {
            true => {
                let positions = sections.section("positions")?;
                (Payload::TextTermsWithPositions, Some(positions))
            }
            false => (Payload::TextTerms, None),
        };
        Ok(TextField {
            terms: Dictionary::open(sections.section("terms")?, payload)?,
            postings: sections.section("postings")?,
            lengths,
            positions,
            codec: sections.codec()?,
        })
    }

    fn terms(reader: &TextField) -> Option<&Dictionary> {
        Some(&reader.terms)
    }

    fn verify(
        segment: &SegmentReader,
        number: FieldNumber,
        field: &TextField,
    ) -> Result<FieldStatistics> {
        let codes = field.lengths.all()?;
        let mut found = FieldStatistics::new(number, FieldKind::Text);
        found.terms = field.terms.len();
        found.codec = field.codec.code();
        let with_terms = codes.iter().filter(|code| **code > 0).count();
        found.documents = count32("documents of a text field", with_terms)?;
        let mut block = DecodedBlock::default();
        let mut sums = vec![0u32; segment.documents() as usize];
        let mut positions = PositionCheck::default();
        walk_terms(segment, &field.terms, |entry| {
            let list = field.list(segment.documents(), entry)?;
            let mut of_term = positions.begin(segment, field, entry)?;
            let mut last = None;
            for index in 0..list.blocks.block_count() {
                list.blocks.decode(index, &mut block)?;
                check_rising(segment, "postings", &mut last, block.documents())?;
                found.postings += wide(block.len);
                if let Some(reader) = &mut of_term {
                    positions.read(reader, index, &block)?;
                }
                let bounds = list.blocks.table().get(index).map(|entry| entry.bounds());
                for (document, value) in block.documents().iter().zip(block.values()) {
                    found.total += u64::from(*value) + 1;
                    // Frequencies and lengths go no further than 32 bits when they are written.
                    let frequency = value.saturating_add(1);
                    if let Some(sum) = sums.get_mut(*document as usize) {
                        *sum = sum.saturating_add(frequency);
                    }
                    let length = codes.get(*document as usize).copied().unwrap_or(0);
                    let posting = Bound::of(frequency, length);
                    let holds = |bounds: &[Bound]| bounds.iter().any(|b| b.dominates(posting));
                    let of_block = bounds.is_none_or(|bounds| holds(bounds));
                    let of_list = list.bounds.is_none_or(|bounds| holds(bounds));
                    if !of_block || !of_list {
                        let message = format!("bounds do not hold for document {document}");
                        return Err(segment.broken("postings", message));
                    }
                }
            }
            Ok(())
        })?;
        positions.finish(segment, field)?;
        let coded = sums.iter().map(|sum| lengths::encode(*sum));
        if !coded.eq(codes.iter().copied()) {
            let message = "a length is not the sum of the document's term frequencies";
            return Err(segment.broken("lengths", message));
        }
        Ok(found)
    }
}

/// Checks the positions of all terms.
#[derive(Default)]
struct PositionCheck {
    /// Where the next term's list must begin.
    next: u64,
    positions: Vec<u32>,
}

impl PositionCheck {
    /// Begins with the next term, whose positions follow those of the one before.
    fn begin<'a>(
        &mut self,
        segment: &SegmentReader,
        field: &'a TextField,
        entry: &TermEntry,
    ) -> Result<Option<PositionReader<'a>>> {
        if let TermPositions::List { offset, length } = entry.positions {
            if offset != self.next {
                return Err(segment.broken("positions", "lists do not follow one another"));
            }
            self.next = offset.saturating_add(length);
        }
        let list = field.positions(entry)?;
        Ok(list.map(|list| list.reader()))
    }

    /// Reads the positions of a block: they are as many as its values say, and none falls.
    fn read(
        &mut self,
        reader: &mut PositionReader<'_>,
        number: usize,
        block: &DecodedBlock,
    ) -> Result<()> {
        (0..block.len).try_for_each(|posting| {
            reader.read(number, block.values(), posting, &mut self.positions)
        })
    }

    fn finish(&self, segment: &SegmentReader, field: &TextField) -> Result<()> {
        match &field.positions {
            Some(section) if section.len() != self.next => {
                let message = "the last list does not end with the section";
                Err(segment.broken("positions", message))
            }
            _ => Ok(()),
        }
    }
}
