//! Fields of text: terms with frequencies, and the length of each document.

mod invert;
mod merge;

use std::io::Write;

use super::Stages;
use super::terms::{check_rising, walk_terms};
use crate::error::Result;
use crate::format::block::DecodedBlock;
use crate::format::bounds::Bound;
use crate::format::dictionary::{Dictionary, Payload, TermEntry};
use crate::format::schema::Field;
use crate::format::segment_info::FieldStatistics;
use crate::format::text_postings::TextList;
use crate::format::{
    FieldKind, FieldNumber, Malformed, PostingCodec, Section, Text, count32, lengths, wide,
};
use crate::segment::document::Document;
use crate::segment::forward::{Forward, ForwardTask};
use crate::segment::reader::{FieldSections, SegmentReader};
use crate::segment::write::SegmentWriter;
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

    /// Any text can be indexed.
    fn check(_: &Document, _: &Field, _: &Text) -> Result<()> {
        Ok(())
    }

    fn inverter(
        field: &Field,
        _: &Text,
        analyzers: &mut std::slice::Iter<'_, Analyzer>,
    ) -> Option<Inverter> {
        let analyzer = analyzers.next()?.clone();
        Some(Inverter::new(&field.name, analyzer))
    }

    fn invert(inverter: &mut Inverter, documents: &[Document], memory: usize) -> Result<Inverted> {
        inverter.invert(documents, memory)
    }

    fn memory(inverted: &Inverted) -> usize {
        inverted.postings.memory() + inverted.lengths.len()
    }

    fn forward(task: &ForwardTask<'_>, field: &Field, _: &Text) -> Result<Option<Forward>> {
        match merge::streams(task.sources, field.number)? {
            Some(merge) => task.gather(merge, |posting| merge::rarity(posting.document_frequency)),
            None => Ok(None),
        }
    }

    fn write<W: Write>(writer: &mut SegmentWriter<'_, W>, field: &Field, _: &Text) -> Result<()> {
        merge::write(writer, field.number)
    }

    fn open(sections: &FieldSections<'_>, _: &Text) -> Result<TextField> {
        let lengths = sections.section("lengths")?;
        if lengths.len() != u64::from(sections.documents) {
            let message = Malformed("expected one length for each document");
            return Err(lengths.malformed(0, message));
        }
        Ok(TextField {
            terms: Dictionary::open(sections.section("terms")?, Payload::TextTerms)?,
            postings: sections.section("postings")?,
            lengths,
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
        let coded = sums.iter().map(|sum| lengths::encode(*sum));
        if !coded.eq(codes.iter().copied()) {
            let message = "a length is not the sum of the document's term frequencies";
            return Err(segment.broken("lengths", message));
        }
        Ok(found)
    }
}
