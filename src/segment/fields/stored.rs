//! Stored documents: blocks are copied where all documents of a source are kept in their order, and
//! packed anew otherwise.
//!
//! In another order, documents are distributed over scratch files by ranges of their new numbers,
//! each range small enough to be sorted in memory; a range that turns out to be larger is
//! distributed again. So every document is decompressed once and written to scratch a few times at
//! most, however large the segment is.

use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;

use super::{Part, Stages};
use crate::error::{Error, Result};
use crate::format::schema::{Field, StoredOptions};
use crate::format::segment_info::FieldStatistics;
use crate::format::stored::{Stored, StoredBlock, StoredIndexWriter, StoredPacker};
use crate::format::{DocId, FieldKind, FieldNumber, Section, wide};
use crate::segment::document::Document;
use crate::segment::document_map::DocumentMap;
use crate::segment::reader::{FieldSections, SegmentReader};
use crate::segment::scattered::{Entry, Scattered};
use crate::segment::write::{SegmentWriter, Source};
use crate::text::Analyzer;

/// Bytes of documents that are sorted in memory.
const PART_BYTES: u64 = 32 << 20;
/// Ranges over which documents are distributed at a time.
const MAX_PARTS: u64 = 256;
/// Bytes of memory that a document takes beside its content while it is sorted.
const BYTES_PER_DOCUMENT: u64 = 64;

pub(in crate::segment) struct Kind;

impl Stages for Kind {
    type Options = StoredOptions;
    type Value = Vec<u8>;
    /// The name of the field.
    type Inverter = String;
    type Inverted = Vec<StoredBlock>;
    type Reader = Stored;

    fn value_bytes(value: &Vec<u8>) -> usize {
        value.len()
    }

    fn check(document: &Document, field: &Field, _: &StoredOptions) -> Result<()> {
        match document.values_of::<Self>(&field.name).count() {
            0 => document.check_source(),
            1 => Ok(()),
            _ => Err(Error::invalid("expected at most one stored value")),
        }
    }

    fn inverter(
        field: &Field,
        _: &StoredOptions,
        _: &mut std::slice::Iter<'_, Analyzer>,
    ) -> Option<String> {
        Some(field.name.clone())
    }

    fn invert(name: &mut String, documents: &[Document], _: usize) -> Result<Vec<StoredBlock>> {
        let mut packer = StoredPacker::default();
        for document in documents {
            match document.values_of::<Self>(name).next() {
                Some(bytes) => packer.add(bytes)?,
                None => packer.add(&document.source()?)?,
            }
        }
        packer.finish()
    }

    fn memory(inverted: &Vec<StoredBlock>) -> usize {
        inverted.iter().map(|block| block.frame.len() + 32).sum()
    }

    fn write<W: Write>(
        writer: &mut SegmentWriter<'_, W>,
        field: &Field,
        _: &StoredOptions,
    ) -> Result<()> {
        let number = field.number;
        let mut index = StoredIndexWriter::default();
        writer.begin("stored", Some(number))?;
        if writer.maps.iter().all(DocumentMap::keeps_order) {
            for (source, map) in writer.sources.iter().zip(writer.maps) {
                writer.stored_in_order(*source, number, map, &mut index)?;
            }
        } else {
            writer.stored_anew(number, &mut index)?;
        }
        writer.section("stored-index", Some(number), &index.finish())?;
        let statistics = FieldStatistics::new(number, FieldKind::Stored);
        writer.info.fields.push(statistics);
        Ok(())
    }

    fn open(sections: &FieldSections<'_>, _: &StoredOptions) -> Result<Stored> {
        Stored::open(
            sections.section("stored")?,
            sections.section("stored-index")?,
        )
    }

    fn verify(
        segment: &SegmentReader,
        field: FieldNumber,
        stored: &Stored,
    ) -> Result<FieldStatistics> {
        let mut documents = 0;
        for block in 0..stored.blocks() {
            documents += wide(stored.documents_of(block)?.len());
        }
        if documents != u64::from(segment.documents()) {
            let expected = segment.documents();
            let message = format!("expected {expected} stored documents, found {documents}");
            return Err(segment.broken("stored-index", message));
        }
        Ok(FieldStatistics::new(field, FieldKind::Stored))
    }
}

impl<W: Write> SegmentWriter<'_, W> {
    fn stored_in_order(
        &mut self,
        source: Source<'_>,
        field: FieldNumber,
        map: &DocumentMap,
        index: &mut StoredIndexWriter,
    ) -> Result<()> {
        match source.field::<Kind>(field) {
            Some(Part::Batch(blocks)) if map.keeps_all() => {
                blocks.iter().try_for_each(|b| self.put(index.add(b)))
            }
            Some(Part::Segment(segment, stored)) if map.keeps_all() => {
                check_count(segment, stored)?;
                let mut blocks = (0..stored.blocks()).map(|block| stored.block(block));
                blocks.try_for_each(|block| self.put(index.add(&block?)))
            }
            _ => self.repack(source, field, map, index),
        }
    }

    /// Compresses the kept documents of a source anew.
    fn repack(
        &mut self,
        source: Source<'_>,
        field: FieldNumber,
        map: &DocumentMap,
        index: &mut StoredIndexWriter,
    ) -> Result<()> {
        let mut packer = StoredPacker::default();
        for_each_stored(source, field, |document, content| {
            if map.get(document).is_some() {
                packer.add(content)?;
            }
            self.put_closed(&mut packer, index)
        })?;
        self.finish_packing(packer, index)
    }

    /// Compresses all documents anew in their new order.
    fn stored_anew(&mut self, field: FieldNumber, index: &mut StoredIndexWriter) -> Result<()> {
        let mut packer = StoredPacker::default();
        let bytes = self.sources.iter().map(|source| raw_bytes(*source, field));
        let bytes = bytes.sum::<Result<u64>>()?;
        let documents = 0..self.documents;
        let (sources, maps) = (self.sources, self.maps);
        let visit_all = |visit: &mut dyn FnMut(DocId, &[u8]) -> Result<()>| {
            for (source, map) in sources.iter().zip(maps) {
                for_each_stored(*source, field, |document, content| {
                    match map.get(document) {
                        Some(new) => visit(new, content),
                        None => Ok(()),
                    }
                })?;
            }
            Ok(())
        };
        self.sort_stored(documents, bytes, &visit_all, &mut |writer, document| {
            packer.add(document)?;
            writer.put_closed(&mut packer, index)
        })?;
        self.finish_packing(packer, index)
    }

    /// Hands the documents that `visit_all` visits, about `bytes` of them in any order, to `add` by
    /// rising number.
    fn sort_stored(
        &mut self,
        documents: Range<DocId>,
        bytes: u64,
        visit_all: VisitAll<'_>,
        add: &mut AddStored<'_, Self>,
    ) -> Result<()> {
        let count = u64::from(documents.end - documents.start);
        let bytes = bytes.saturating_add(count.saturating_mul(BYTES_PER_DOCUMENT));
        let options = self.options;
        if bytes <= PART_BYTES || count <= 1 {
            let mut part: BTreeMap<DocId, Vec<u8>> = BTreeMap::new();
            visit_all(&mut |document, content| {
                options.check_cancelled()?;
                part.insert(document, content.to_vec());
                Ok(())
            })?;
            return part.values().try_for_each(|content| add(self, content));
        }
        // Half a part on average, since ranges differ in size.
        let parts = bytes
            .div_ceil(PART_BYTES / 2)
            .clamp(2, MAX_PARTS)
            .min(count);
        // At most all documents, of which there are fewer than 32 bits count.
        let width = u32::try_from(count.div_ceil(parts)).unwrap_or(u32::MAX);
        let mut scattered = Scattered::new(
            self.options.scratch,
            documents.clone().step_by(width as usize).len(),
        )?;
        visit_all(&mut |document, content| {
            options.check_cancelled()?;
            let part = (document - documents.start) / width;
            scattered.push(part as usize, Entry { document, content })
        })?;
        for (part, start) in (0..).zip(documents.clone().step_by(width as usize)) {
            let range = start..start.saturating_add(width).min(documents.end);
            let bytes = scattered.bytes(part);
            let visit = |visit: &mut dyn FnMut(DocId, &[u8]) -> Result<()>| {
                scattered.for_each(part, |entry| visit(entry.document, entry.content))
            };
            self.sort_stored(range, bytes, &visit, add)?;
        }
        Ok(())
    }

    fn put_closed(
        &mut self,
        packer: &mut StoredPacker,
        index: &mut StoredIndexWriter,
    ) -> Result<()> {
        let mut closed = packer.take_closed().into_iter();
        closed.try_for_each(|block| self.put(index.add(&block)))
    }

    fn finish_packing(
        &mut self,
        packer: StoredPacker,
        index: &mut StoredIndexWriter,
    ) -> Result<()> {
        let mut blocks = packer.finish()?.into_iter();
        blocks.try_for_each(|block| self.put(index.add(&block)))
    }
}

type Visit<'a> = &'a mut dyn FnMut(DocId, &[u8]) -> Result<()>;
type VisitAll<'a> = &'a dyn Fn(Visit<'_>) -> Result<()>;
type AddStored<'a, S> = dyn FnMut(&mut S, &[u8]) -> Result<()> + 'a;

fn check_count(segment: &SegmentReader, stored: &Stored) -> Result<()> {
    let mut counted = 0;
    for block in 0..stored.blocks() {
        counted += u64::from(stored.block_documents(block)?);
    }
    if counted != u64::from(segment.documents()) {
        let expected = segment.documents();
        let message = format!("expected {expected} stored documents, found {counted}");
        return Err(segment.broken("stored-index", message));
    }
    Ok(())
}

/// Bytes of a source's documents before compression, about.
fn raw_bytes(source: Source<'_>, field: FieldNumber) -> Result<u64> {
    match source.field::<Kind>(field) {
        None => Ok(0),
        Some(Part::Batch(blocks)) => {
            Ok(blocks.iter().map(|block| u64::from(block.raw_length)).sum())
        }
        Some(Part::Segment(_, stored)) => stored.raw_bytes(),
    }
}

/// Calls `visit` with every document of a source and its content, empty where there is none.
fn for_each_stored(
    source: Source<'_>,
    field: FieldNumber,
    mut visit: impl FnMut(DocId, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut next = 0;
    let mut visit_all = |contents: Vec<Vec<u8>>| {
        contents.iter().try_for_each(|content| {
            next += 1;
            visit(next - 1, content)
        })
    };
    match source.field::<Kind>(field) {
        None => {}
        Some(Part::Batch(blocks)) => visit_all(unpack_batch(blocks)?)?,
        Some(Part::Segment(segment, stored)) => {
            check_count(segment, stored)?;
            for block in 0..stored.blocks() {
                visit_all(stored.documents_of(block)?)?;
            }
        }
    }
    (next..source.documents()).try_for_each(|document| visit(document, &[]))
}

/// The documents of a batch's stored blocks.
fn unpack_batch(blocks: &[StoredBlock]) -> Result<Vec<Vec<u8>>> {
    let mut index = StoredIndexWriter::default();
    let mut frames = Vec::new();
    for block in blocks {
        frames.extend_from_slice(index.add(block));
    }
    let frames = Section::from_bytes("stored", frames);
    let stored = Stored::open(frames, Section::from_bytes("stored-index", index.finish()))?;
    let mut documents = Vec::new();
    for block in 0..stored.blocks() {
        documents.extend(stored.documents_of(block)?);
    }
    Ok(documents)
}
