//! Dense fields: rows of numbers, in the order of the documents of the segment that is written.
//!
//! Rows are copied from their sources one by one, so that no more than one is held. When documents
//! are put in another order, where each comes from is recorded before, four bytes a document.

use std::io::Write;

use super::terms::check_rising;
use super::{Part, Stages};
use crate::error::{Error, Result};
use crate::format::dense::{DenseRows, DenseShape, DenseVectors, encode_documents, encode_scales};
use crate::format::schema::Field;
use crate::format::segment_info::FieldStatistics;
use crate::format::{Dense, DenseElement, DocId, FieldKind, FieldNumber, count32};
use crate::segment::document::Document;
use crate::segment::document_map::DocumentMap;
use crate::segment::reader::{FieldSections, SegmentReader};
use crate::segment::write::{SegmentWriter, Source};
use crate::text::Analyzer;

pub(in crate::segment) struct Kind;

/// Makes rows of the vectors of a batch.
pub(in crate::segment) struct Inverter {
    name: String,
    shape: DenseShape,
}

impl Stages for Kind {
    type Options = Dense;
    type Value = Vec<f32>;
    type Inverter = Inverter;
    type Inverted = DenseRows;
    type Reader = DenseVectors;

    fn value_bytes(value: &Vec<f32>) -> usize {
        value.len() * 4
    }

    fn check(document: &Document, field: &Field, options: &Dense) -> Result<()> {
        let mut vectors = document.values_of::<Self>(&field.name);
        let Some(vector) = vectors.next() else {
            return Ok(());
        };
        let checked = match vectors.next() {
            None => options.shape().check(vector),
            Some(_) => Err(Error::invalid("expected at most one vector for the field")),
        };
        checked.map_err(|error| error.in_field(&field.name))
    }

    fn inverter(
        field: &Field,
        options: &Dense,
        _: &mut std::slice::Iter<'_, Analyzer>,
    ) -> Option<Inverter> {
        Some(Inverter {
            name: field.name.clone(),
            shape: options.shape(),
        })
    }

    fn invert(inverter: &mut Inverter, documents: &[Document], _: usize) -> Result<DenseRows> {
        let mut rows = DenseRows::default();
        for (number, document) in (0..).zip(documents) {
            if let Some(vector) = document.values_of::<Self>(&inverter.name).next() {
                rows.push(inverter.shape, number, vector);
            }
        }
        Ok(rows)
    }

    fn memory(inverted: &DenseRows) -> usize {
        inverted.memory()
    }

    fn write<W: Write>(
        writer: &mut SegmentWriter<'_, W>,
        field: &Field,
        options: &Dense,
    ) -> Result<()> {
        writer.dense_field(field.number, options.shape())
    }

    fn open(sections: &FieldSections<'_>, options: &Dense) -> Result<DenseVectors> {
        if u64::from(options.dimensions) != sections.statistics.terms {
            let message = format!(
                "field {} has another number of dimensions than in the schema",
                sections.field.number
            );
            return Err(sections.corrupt(message));
        }
        DenseVectors::open(
            options.shape(),
            sections.documents,
            sections.statistics.documents,
            sections.section("vectors")?,
            sections.find("vector-scales"),
            sections.find("vector-documents"),
        )
    }

    fn verify(
        segment: &SegmentReader,
        field: FieldNumber,
        vectors: &DenseVectors,
    ) -> Result<FieldStatistics> {
        let mut last = None;
        for row in 0..vectors.rows() {
            let document = vectors.document(row)?;
            check_rising(segment, "vector-documents", &mut last, &[document])?;
            vectors.check_row(row)?;
        }
        Ok(statistics(field, vectors.shape(), vectors.rows()))
    }
}

fn statistics(field: FieldNumber, shape: DenseShape, rows: u32) -> FieldStatistics {
    FieldStatistics {
        terms: u64::from(shape.dimensions),
        postings: u64::from(rows),
        documents: rows,
        ..FieldStatistics::new(field, FieldKind::Dense)
    }
}

/// Rows of a field of one source.
enum SourceRows<'a> {
    Nothing,
    Batch(&'a DenseRows),
    Segment(&'a DenseVectors),
}

/// A row of a source, and the number of its document in the segment that is written.
#[derive(Clone, Copy)]
struct Place {
    new: DocId,
    row: u32,
}

/// Scales and documents are handed to the file this many at a time.
const AT_ONCE: usize = 1 << 14;

impl<'a> SourceRows<'a> {
    fn of(source: Source<'a>, field: FieldNumber) -> Self {
        match source.field::<Kind>(field) {
            None => Self::Nothing,
            Some(Part::Batch(rows)) => Self::Batch(rows),
            Some(Part::Segment(_, vectors)) => Self::Segment(vectors),
        }
    }

    fn len(&self) -> Result<u32> {
        match self {
            Self::Nothing => Ok(0),
            Self::Batch(rows) => count32("vectors of a batch", rows.documents.len()),
            Self::Segment(vectors) => Ok(vectors.rows()),
        }
    }

    fn document(&self, row: u32) -> Result<DocId> {
        match self {
            Self::Nothing => Err(no_such_row()),
            Self::Batch(rows) => {
                let document = rows.documents.get(row as usize).copied();
                document.ok_or_else(no_such_row)
            }
            Self::Segment(vectors) => vectors.document(row),
        }
    }

    fn bytes(&self, shape: DenseShape, row: u32) -> Result<&'a [u8]> {
        match self {
            Self::Nothing => Ok(&[]),
            Self::Batch(rows) => {
                let start = row as usize * shape.row_bytes();
                let bytes = rows.vectors.get(start..start + shape.row_bytes());
                Ok(bytes.unwrap_or_default())
            }
            Self::Segment(vectors) => vectors.row_bytes(row, 1),
        }
    }

    fn scale(&self, row: u32) -> Result<f32> {
        let mut scale = [0.0];
        match self {
            Self::Nothing => {}
            Self::Batch(rows) => {
                scale = [rows.scales.get(row as usize).copied().unwrap_or(0.0)];
            }
            Self::Segment(vectors) => vectors.copy_scales(row, &mut scale)?,
        }
        let [scale] = scale;
        Ok(scale)
    }
}

impl<W: Write> SegmentWriter<'_, W> {
    /// Writes the sections of a dense field, unless no document has it.
    fn dense_field(&mut self, field: FieldNumber, shape: DenseShape) -> Result<()> {
        let rows = self.sources.iter().map(|s| SourceRows::of(*s, field));
        let merged = Merged::new(rows.collect(), self.maps, self.documents)?;
        let mut count = 0u32;
        let mut last = None;
        merged.for_each(|place, _| {
            // A damaged list of documents must not become one that looks whole.
            if last >= Some(place.new) {
                let message = "documents of rows do not rise in what is merged";
                return Err(Error::corrupt(self.file, "vector-documents", 0, message));
            }
            last = Some(place.new);
            count += 1;
            Ok(())
        })?;
        if count == 0 {
            return Ok(());
        }
        self.begin("vectors", Some(field))?;
        merged.for_each(|place, rows| self.put(rows.bytes(shape, place.row)?))?;
        if shape.element == DenseElement::I8 {
            self.begin("vector-scales", Some(field))?;
            let scale = |place: Place, rows: &SourceRows<'_>| rows.scale(place.row);
            self.in_pieces(&merged, scale, encode_scales)?;
        }
        if count < self.documents {
            self.begin("vector-documents", Some(field))?;
            let document = |place: Place, _: &SourceRows<'_>| Ok(place.new);
            self.in_pieces(&merged, document, encode_documents)?;
        }
        let statistics = statistics(field, shape, count);
        self.info.fields.push(statistics);
        Ok(())
    }

    /// Writes a number for each row.
    fn in_pieces<T>(
        &mut self,
        merged: &Merged<'_>,
        number: impl Fn(Place, &SourceRows<'_>) -> Result<T>,
        encode: impl Fn(&[T]) -> Vec<u8>,
    ) -> Result<()> {
        let mut numbers = Vec::with_capacity(AT_ONCE);
        merged.for_each(|place, rows| {
            numbers.push(number(place, rows)?);
            if numbers.len() == AT_ONCE {
                self.put(&encode(&numbers))?;
                numbers.clear();
            }
            Ok(())
        })?;
        self.put(&encode(&numbers))
    }
}

/// The kept rows of all sources.
struct Merged<'a> {
    sources: Vec<SourceRows<'a>>,
    maps: &'a [DocumentMap],
    /// For documents in another order: which row of all sources each has, counted through them.
    order: Option<Vec<u32>>,
}

/// The document has no row.
const NO_ROW: u32 = u32::MAX;

impl<'a> Merged<'a> {
    fn new(sources: Vec<SourceRows<'a>>, maps: &'a [DocumentMap], documents: u32) -> Result<Self> {
        let mut merged = Self {
            sources,
            maps,
            order: None,
        };
        if maps.iter().all(DocumentMap::keeps_order) {
            return Ok(merged);
        }
        let mut order = vec![NO_ROW; documents as usize];
        let mut row = 0;
        for (rows, map) in merged.sources.iter().zip(maps) {
            for of_source in 0..rows.len()? {
                let new = map.get(rows.document(of_source)?);
                if let Some(slot) = new.and_then(|new| order.get_mut(new as usize)) {
                    *slot = row;
                }
                row += 1;
            }
        }
        merged.order = Some(order);
        Ok(merged)
    }

    /// Visits the kept rows in the order of their documents' new numbers.
    fn for_each(&self, mut visit: impl FnMut(Place, &SourceRows<'a>) -> Result<()>) -> Result<()> {
        if let Some(order) = &self.order {
            for (new, row) in (0..).zip(order) {
                if *row != NO_ROW {
                    let (rows, row) = self.source_of(*row)?;
                    visit(Place { new, row }, rows)?;
                }
            }
            return Ok(());
        }
        for (rows, map) in self.sources.iter().zip(self.maps) {
            for row in 0..rows.len()? {
                if let Some(new) = map.get(rows.document(row)?) {
                    visit(Place { new, row }, rows)?;
                }
            }
        }
        Ok(())
    }

    /// The source of a row that was counted through all of them.
    fn source_of(&self, mut row: u32) -> Result<(&SourceRows<'a>, u32)> {
        for rows in &self.sources {
            let count = rows.len()?;
            if row < count {
                return Ok((rows, row));
            }
            row -= count;
        }
        Err(no_such_row())
    }
}

fn no_such_row() -> Error {
    Error::invalid("a source has fewer vectors than it says")
}
