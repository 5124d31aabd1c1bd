//! Fields of learned sparse vectors: terms with impacts, which are quantized weights.

mod check;
mod merge;
mod quantizer;
mod verify;

use std::io::Write;

use super::Stages;
use crate::error::Result;
use crate::format::dictionary::{Dictionary, Payload, TermEntry};
use crate::format::impact::{ExponentCounts, in_base_steps, step, unpack};
use crate::format::schema::Field;
use crate::format::segment_info::FieldStatistics;
use crate::format::sparse_postings::{SparseList, open_lists, read_exponents};
use crate::format::{DocId, FieldNumber, PostingCodec, Section, Sparse};
use crate::segment::document::Document;
use crate::segment::document_map::DocumentMap;
use crate::segment::fields::terms::{ListVisitor, visit_lists};
use crate::segment::forward::{Forward, ForwardTask};
use crate::segment::reader::{FieldSections, SegmentReader};
use crate::segment::term_table::{FieldPostings, TermTable};
use crate::segment::write::{SegmentWriter, Source};
use crate::text::Analyzer;
pub(crate) use check::check_sum;
use quantizer::Quantizer;

/// A sparse vector: terms with their weights.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum SparseVector {
    /// Terms named by strings.
    Strings(Vec<(String, f32)>),
    /// Terms named by numbers.
    Numbers(Vec<(u32, f32)>),
}

/// A sparse field of a segment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SparseField {
    /// The field's terms.
    pub terms: Dictionary,
    /// Their postings.
    pub impacts: Section,
    /// The exponent of the impacts of every list that names none.
    pub base: i16,
    /// Whether any impact has another exponent.
    pub has_parts: bool,
    /// How the postings are encoded.
    pub codec: PostingCodec,
}

impl SparseField {
    /// Opens the lists of a term that the dictionary gave, and calls `visit` with each and the
    /// exponent of its impacts: one list, or a few whose exponents fall.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when they are damaged.
    pub fn open<'a>(
        &'a self,
        documents: u32,
        entry: &TermEntry,
        visit: impl FnMut(i16, SparseList<'a>),
    ) -> Result<()> {
        match self.codec {
            PostingCodec::BitPacked => {
                open_lists(&self.impacts, documents, self.base, entry, visit)
            }
        }
    }

    /// Calls `visit` with the exponents of a term's impacts.
    ///
    /// # Errors
    ///
    /// As [`SparseField::open`].
    pub fn exponents(&self, entry: &TermEntry, mut visit: impl FnMut(i16)) -> Result<()> {
        if self.has_parts {
            return read_exponents(&self.impacts, self.base, entry, visit);
        }
        visit(self.base);
        Ok(())
    }
}

/// The terms of a sparse field of a batch.
pub(in crate::segment) struct Inverted {
    /// Values are the bits of weights: they are quantized when a segment is written, by all of its
    /// weights.
    pub postings: FieldPostings,
    /// The exponents that the weights need, see [`ExponentCounts::needed`].
    pub exponents: Vec<(i16, u64)>,
}

/// Inverts the vectors of one field.
pub(in crate::segment) struct Inverter {
    name: String,
    scale: f32,
    table: TermTable,
    exponents: ExponentCounts,
}

impl Inverter {
    /// Adds the bits of a weight, which are in the order of positive weights.
    fn add(&mut self, document: DocId, term: &[u8], weight: f32) {
        self.exponents.count(weight, self.scale);
        let term = self.table.number(term);
        self.table.add(term, document, weight.to_bits(), u32::max);
    }
}

pub(in crate::segment) struct Kind;

impl Stages for Kind {
    type Options = Sparse;
    type Value = SparseVector;
    type Inverter = Inverter;
    type Inverted = Inverted;
    type Reader = SparseField;

    const REMEMBERS_TERMS: bool = true;
    const ORDER_PREFERENCE: u8 = 2;

    fn value_bytes(value: &SparseVector) -> usize {
        match value {
            SparseVector::Strings(terms) => terms.iter().map(|(term, _)| term.len() + 4).sum(),
            SparseVector::Numbers(terms) => terms.len() * 8,
        }
    }

    fn check(document: &Document, field: &Field, options: &Sparse) -> Result<()> {
        let mut vectors = document.values_of::<Self>(&field.name);
        vectors.try_for_each(|vector| check::check_vector(&field.name, options, vector))
    }

    fn inverter(
        field: &Field,
        options: &Sparse,
        _: &mut std::slice::Iter<'_, Analyzer>,
    ) -> Option<Inverter> {
        Some(Inverter {
            name: field.name.clone(),
            scale: options.scale,
            table: TermTable::default(),
            exponents: ExponentCounts::default(),
        })
    }

    fn invert(inverter: &mut Inverter, documents: &[Document], memory: usize) -> Result<Inverted> {
        inverter.table.begin_batch(0, memory);
        inverter.exponents.clear();
        let name = inverter.name.clone();
        for (number, document) in (0..).zip(documents) {
            for vector in document.values_of::<Self>(&name) {
                match vector {
                    SparseVector::Strings(terms) => {
                        for (term, weight) in terms.iter().filter(|(_, weight)| *weight > 0.0) {
                            inverter.add(number, term.as_bytes(), *weight);
                        }
                    }
                    SparseVector::Numbers(terms) => {
                        for (term, weight) in terms.iter().filter(|(_, weight)| *weight > 0.0) {
                            // Big-endian, so that keys sort as numbers.
                            inverter.add(number, &term.to_be_bytes(), *weight);
                        }
                    }
                }
            }
        }
        Ok(Inverted {
            postings: inverter.table.finish_batch()?,
            exponents: inverter.exponents.needed(),
        })
    }

    fn memory(inverted: &Inverted) -> usize {
        inverted.postings.memory()
    }

    fn forward(task: &ForwardTask<'_>, field: &Field, options: &Sparse) -> Result<Option<Forward>> {
        let quantizer = Quantizer::choose(task.sources, field.number, options);
        match merge::streams(task.sources, field.number, &quantizer)? {
            Some(merge) => task.gather(merge, |posting| in_base_steps(posting.value)),
            None => Ok(None),
        }
    }

    fn visit_lists(
        sources: &[Source<'_>],
        maps: &[DocumentMap],
        field: &Field,
        options: &Sparse,
        visit: &mut ListVisitor<'_>,
    ) -> Result<()> {
        let quantizer = Quantizer::choose(sources, field.number, options);
        let weigh = |packed| {
            let impact = unpack(packed, quantizer.base());
            // A weight is below the max of `f32`, since the sum of a vector's weights is.
            #[allow(clippy::cast_possible_truncation)]
            let weight = (step(options.scale, impact.exponent) * f64::from(impact.steps)) as f32;
            weight
        };
        match merge::streams(sources, field.number, &quantizer)? {
            Some(merge) => visit_lists(merge, maps, weigh, visit),
            None => Ok(()),
        }
    }

    fn write<W: Write>(
        writer: &mut SegmentWriter<'_, W>,
        field: &Field,
        options: &Sparse,
    ) -> Result<()> {
        merge::write(writer, field.number, options)
    }

    fn open(sections: &FieldSections<'_>, _: &Sparse) -> Result<SparseField> {
        Ok(SparseField {
            terms: Dictionary::open(sections.section("terms")?, Payload::SparseTerms)?,
            impacts: sections.section("impacts")?,
            base: sections.statistics.base,
            has_parts: sections.statistics.has_parts,
            codec: sections.codec()?,
        })
    }

    fn terms(reader: &SparseField) -> Option<&Dictionary> {
        Some(&reader.terms)
    }

    fn verify(
        segment: &SegmentReader,
        number: FieldNumber,
        field: &SparseField,
    ) -> Result<FieldStatistics> {
        verify::walk(segment, number, field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Schema;
    use crate::segment::fields::Part;
    use crate::segment::write::Source;

    #[test]
    fn weights_are_kept_until_a_segment_is_written() {
        let sparse = Sparse::new().expected_max(2.55);
        let schema = Schema::builder().sparse("s", sparse).build().unwrap();
        let document = Document::new("a").with_sparse("s", [("x", 1.0), ("y", 0.0), ("x", 3.0)]);
        let mut inverter = crate::segment::Inverter::new(&schema, &[], 1 << 20);
        let batch = inverter.invert(&[document]).unwrap();
        let Some(Part::Batch(field)) = Source::Batch(&batch, None).field::<Kind>(0) else {
            panic!("the batch has no vectors");
        };
        assert_eq!(field.postings.terms.len(), 1);
        assert_eq!(field.postings.postings.values, [3f32.to_bits()]);
        assert_eq!(field.exponents, [(-1, 1), (1, 1)]);
    }
}
