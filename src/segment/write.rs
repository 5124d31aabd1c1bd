//! Sources become the file of a segment.
//!
//! A source is a batch in memory or a segment on disk, with the documents of it that are dropped. A
//! new segment and a merge are the same thing: the sources' documents follow one another, or are
//! put in an order of their own, and the sorted terms of all of them are merged.
//!
//! Memory: the list being encoded, the length codes of one field and the map of documents are held,
//! at most [`MERGE_BYTES_PER_DOCUMENT`] together, and for a new order what
//! [`forward`](super::forward) gathers. Dictionaries, the order of ids and stored documents in a
//! new order go through scratch files.

mod dense;
mod ids;
mod stored;

use std::io::Write;

use super::bisect;
use super::document_map::DocumentMap;
use super::forward::{self, Weighing};
use super::invert::InvertedBatch;
use super::posting_sorter::PostingSorter;
use super::quantizer::Quantizer;
use super::reader::SegmentReader;
use super::spool::Spool;
use super::streams::{PostingStream, field_of};
use super::term_merge::KeyMerge;
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::executor::CancelToken;
use crate::format::container::FileStamp;
use crate::format::dictionary::{DictionaryWriter, TermEntry};
use crate::format::limits::MAX_SEGMENT_DOCUMENTS;
use crate::format::schema::Field;
use crate::format::segment_info::{FieldStatistics, SegmentInfo};
use crate::format::sparse_postings::SparseListEncoder;
use crate::format::text_postings::TextListEncoder;
use crate::format::{
    ContainerWriter, DocId, FieldKind, FieldNumber, FieldOptions, FileKind, Schema, SparseLayout,
    wide,
};
use crate::store::Directory;

/// Documents to be written to a segment.
#[derive(Clone, Copy)]
pub enum Source<'a> {
    /// A batch in memory, and the documents of it that are gone already.
    Batch(&'a InvertedBatch, Option<&'a DocSet>),
    /// A segment, and the documents of it that are deleted.
    Segment(&'a SegmentReader, Option<&'a DocSet>),
}

/// How to find an order in which documents that share terms are close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reorder {
    /// Threads to do it with.
    pub threads: usize,
    /// Bytes of memory that it may take, about. With too few the documents stay in their order.
    pub memory: usize,
}

/// How a segment is written.
#[derive(Clone, Copy)]
pub struct WriteOptions<'a> {
    /// Puts the documents in another order.
    pub reorder: Option<Reorder>,
    /// Where scratch files are put.
    pub scratch: &'a dyn Directory,
    /// Ends the work with [`Error::Cancelled`] soon after it is set.
    pub cancel: &'a CancelToken,
}

/// Bytes of memory that a merge takes for each document, at most: 8 for the longest list of postings,
/// 4 for the map of documents, 1 for length codes, and what small tables take. A new order takes 4
/// more, beside what [`Reorder::memory`] bounds.
pub(crate) const MERGE_BYTES_PER_DOCUMENT: u64 = 14;

/// A segment that was written.
#[derive(Clone, Debug)]
pub struct WrittenSegment {
    /// Length and fingerprint of the file.
    pub stamp: FileStamp,
    /// Its statistics.
    pub info: SegmentInfo,
    /// Where the documents of each source went.
    pub(crate) maps: Vec<DocumentMap>,
}

impl Source<'_> {
    fn documents(&self) -> u32 {
        match self {
            Self::Batch(batch, _) => batch.documents,
            Self::Segment(segment, _) => segment.documents(),
        }
    }

    fn dropped(&self) -> Option<&DocSet> {
        match self {
            Self::Batch(_, dropped) | Self::Segment(_, dropped) => *dropped,
        }
    }
}

/// Where the documents of each source go when they keep their order.
fn document_maps(sources: &[Source<'_>]) -> Result<Vec<DocumentMap>> {
    let mut base = 0u32;
    let mut maps = Vec::with_capacity(sources.len());
    for source in sources {
        let map = DocumentMap::new(base, source.documents(), source.dropped());
        let next = u64::from(base) + u64::from(map.kept());
        base = u32::try_from(next)
            .ok()
            .filter(|next| *next <= MAX_SEGMENT_DOCUMENTS)
            .ok_or_else(|| {
                let limit = u64::from(MAX_SEGMENT_DOCUMENTS);
                Error::limit("number of documents of a segment", next, limit)
            })?;
        maps.push(map);
    }
    Ok(maps)
}

/// Writes a segment that holds the documents of `sources`, in order or, with
/// [`reorder`](WriteOptions::reorder), in an order by their terms, and returns what it wrote.
///
/// # Errors
///
/// [`Error::Limit`] when the segment would be too large, [`Error::Corrupt`] when a source is damaged,
/// [`Error::Io`] with `file` when `out` fails, and [`Error::Cancelled`].
pub fn write<W: Write>(
    schema: &Schema,
    sources: &[Source<'_>],
    options: &WriteOptions<'_>,
    out: W,
    file: &str,
) -> Result<(W, WrittenSegment)> {
    let mut maps = document_maps(sources)?;
    let documents = maps.iter().map(DocumentMap::kept).sum();
    if let Some(reorder) = options.reorder
        && let Some(places) = find_places(schema, sources, &maps, documents, reorder)?
    {
        let pairs = maps.iter_mut().zip(sources);
        pairs.for_each(|(map, source)| *map = map.permuted(source.documents(), &places));
    }
    let failed = |e| Error::io(file, "write", e);
    let writer = ContainerWriter::new(out, FileKind::Segment).map_err(failed)?;
    let mut writer = SegmentWriter {
        out: writer,
        file,
        options,
        sources,
        maps: &maps,
        documents,
        info: SegmentInfo {
            documents,
            reordered: options.reorder.is_some(),
            fields: Vec::new(),
        },
    };
    for field in schema.fields() {
        match field.options.kind() {
            FieldKind::Text => writer.text_field(field.number)?,
            FieldKind::Sparse => writer.sparse_field(field)?,
            FieldKind::Stored => writer.stored()?,
            FieldKind::Dense => {
                if let Some(shape) = field.options.dense_shape() {
                    writer.dense_field(field.number, shape)?;
                }
            }
            FieldKind::Unknown => {}
        }
    }
    writer.ids()?;
    writer.section("info", None, &writer.info.encode())?;
    let info = writer.info;
    let (out, stamp) = writer.out.finish().map_err(failed)?;
    Ok((out, WrittenSegment { stamp, info, maps }))
}

fn layout_of(field: &Field) -> SparseLayout {
    match field.options {
        FieldOptions::Sparse { layout, .. } => layout,
        _ => SparseLayout::default(),
    }
}

/// The new place of each document that is kept, by the terms of the first sparse field, or of the first text
/// field if there is none.
fn find_places(
    schema: &Schema,
    sources: &[Source<'_>],
    maps: &[DocumentMap],
    documents: u32,
    reorder: Reorder,
) -> Result<Option<Vec<DocId>>> {
    let of_kind = |kind| {
        let mut fields = schema.fields().iter();
        fields.find(|field| field.options.kind() == kind)
    };
    let (field, weighing) = match (of_kind(FieldKind::Sparse), of_kind(FieldKind::Text)) {
        (Some(field), _) => (field, Weighing::ByImpact),
        (None, Some(field)) => (field, Weighing::ByRarity),
        (None, None) => return Ok(None),
    };
    let quantizer = Quantizer::choose(sources, field.number, &field.options);
    let Some(merge) = field_streams(sources, field.number, quantizer.as_ref())? else {
        return Ok(None);
    };
    let Some(forward) = forward::gather(merge, maps, documents, weighing, reorder.memory)? else {
        return Ok(None);
    };
    let order = bisect::order(forward, reorder.threads);
    let mut places = vec![0; order.len()];
    for (place, document) in (0..).zip(order) {
        if let Some(slot) = places.get_mut(document as usize) {
            *slot = place;
        }
    }
    Ok(Some(places))
}

/// A stream of postings for each source, in order; `None` when no source has the field. A sparse
/// field has a quantizer.
fn field_streams<'a>(
    sources: &[Source<'a>],
    field: FieldNumber,
    quantizer: Option<&'a Quantizer>,
) -> Result<Option<KeyMerge<PostingStream<'a>>>> {
    let mut any = false;
    let streams = sources.iter().map(|source| {
        let stream = PostingStream::of(*source, field, quantizer);
        any |= !matches!(stream, PostingStream::Nothing);
        stream
    });
    let streams = streams.collect();
    any.then(|| KeyMerge::new(streams)).transpose()
}

struct SegmentWriter<'a, W> {
    out: ContainerWriter<W>,
    file: &'a str,
    options: &'a WriteOptions<'a>,
    sources: &'a [Source<'a>],
    maps: &'a [DocumentMap],
    documents: u32,
    info: SegmentInfo,
}

impl<'a, W: Write> SegmentWriter<'a, W> {
    fn begin(&mut self, name: &str, field: Option<FieldNumber>) -> Result<()> {
        let begun = self.out.begin(name, field);
        begun.map_err(|e| Error::io(self.file, "write", e))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.options.cancel.check("merging")?;
        let written = self.out.write_all(bytes);
        written.map_err(|e| Error::io(self.file, "write", e))
    }

    fn section(&mut self, name: &str, field: Option<FieldNumber>, bytes: &[u8]) -> Result<()> {
        self.begin(name, field)?;
        self.put(bytes)
    }

    fn spooled_section(
        &mut self,
        name: &str,
        field: Option<FieldNumber>,
        mut bytes: Spool<'_>,
    ) -> Result<()> {
        self.begin(name, field)?;
        bytes.for_each(|piece| self.put(piece))
    }

    fn text_field(&mut self, field: FieldNumber) -> Result<()> {
        let Some(merge) = field_streams(self.sources, field, None)? else {
            return Ok(());
        };
        let lengths = self.lengths(field)?;
        let mut encoder = TextListEncoder::default();
        self.begin("postings", Some(field))?;
        let (dictionary, mut statistics) = self.lists(
            merge,
            DictionaryWriter::of_text_terms(),
            |documents, values, offset, out| {
                encoder.encode(documents, values, &lengths, offset, out)
            },
        )?;
        statistics.field = field;
        statistics.kind = 1;
        statistics.left_out = self.counted(field).left_out;
        let has_terms = lengths.iter().filter(|code| **code > 0).count();
        statistics.documents = u32::try_from(has_terms).unwrap_or(u32::MAX);
        self.spooled_section("terms", Some(field), dictionary)?;
        self.section("lengths", Some(field), &lengths)?;
        self.info.fields.push(statistics);
        Ok(())
    }

    fn sparse_field(&mut self, field: &Field) -> Result<()> {
        let layout = layout_of(field);
        let Some(quantizer) = Quantizer::choose(self.sources, field.number, &field.options) else {
            return Ok(());
        };
        let field = field.number;
        let Some(merge) = field_streams(self.sources, field, Some(&quantizer))? else {
            return Ok(());
        };
        let mut encoder = SparseListEncoder::new(layout, quantizer.base(), self.documents);
        let mut seen = DocSet::empty(self.documents);
        let (mut has_parts, mut steps) = (false, 0);
        self.begin("impacts", Some(field))?;
        let (dictionary, mut statistics) = self.lists(
            merge,
            DictionaryWriter::of_sparse_terms(),
            |documents, values, offset, out| {
                for document in documents {
                    seen.insert(*document);
                }
                for packed in values {
                    has_parts |= *packed > u32::from(u8::MAX);
                    steps += u64::from(packed & 0xFF);
                }
                encoder.encode(documents, values, offset, out)
            },
        )?;
        let of_sources = self.counted(field);
        statistics.field = field;
        statistics.kind = 2;
        statistics.total = steps;
        statistics.left_out = of_sources.left_out.saturating_add(quantizer.clamped());
        statistics.rounded_up = of_sources.rounded_up.saturating_add(quantizer.rounded_up());
        statistics.documents = seen.count();
        statistics.base = quantizer.base();
        statistics.has_parts = has_parts;
        self.spooled_section("terms", Some(field), dictionary)?;
        self.info.fields.push(statistics);
        Ok(())
    }

    /// Merges the terms of all sources, encodes their lists into the section that was begun, and returns
    /// the bytes of the dictionary.
    fn lists(
        &mut self,
        mut merge: KeyMerge<PostingStream<'_>>,
        mut dictionary: DictionaryWriter,
        mut encode: impl FnMut(&[DocId], &[u32], u64, &mut Vec<u8>) -> Result<TermEntry>,
    ) -> Result<(Spool<'a>, FieldStatistics)> {
        let mut statistics = FieldStatistics::default();
        let mut spool = Spool::new(self.options.scratch);
        let (mut documents, mut values) = (Vec::new(), Vec::new());
        let (mut written, mut pending) = (0, Vec::with_capacity(PENDING_BYTES * 2));
        let maps = self.maps;
        let in_order = maps.iter().all(DocumentMap::keeps_order);
        let mut sorter = PostingSorter::new(self.documents);
        while merge.advance()? {
            documents.clear();
            values.clear();
            merge.for_current(|source, stream| match maps.get(source) {
                Some(map) => stream.postings(map, &mut documents, &mut values),
                None => Ok(()),
            })?;
            if documents.is_empty() {
                continue;
            }
            if !in_order {
                sorter.sort(&mut documents, &mut values);
            }
            if documents
                .windows(2)
                .any(|pair| matches!(pair, [a, b] if a >= b))
            {
                let message = "documents of a list do not rise in what is merged";
                return Err(Error::corrupt(
                    self.file,
                    "postings",
                    written + wide(pending.len()),
                    message,
                ));
            }
            let offset = written + wide(pending.len());
            let entry = encode(&documents, &values, offset, &mut pending)?;
            dictionary.add_term(merge.key(), &entry, offset)?;
            dictionary.take_blocks(DICTIONARY_BYTES, |blocks| spool.push(blocks))?;
            statistics.postings += wide(documents.len());
            statistics.total += values.iter().map(|v| u64::from(*v)).sum::<u64>();
            if pending.len() >= PENDING_BYTES {
                self.put(&pending)?;
                written += wide(pending.len());
                pending.clear();
            }
        }
        self.put(&pending)?;
        statistics.terms = dictionary.keys();
        spool.push(&dictionary.finish()?)?;
        Ok((spool, statistics))
    }

    /// The length codes of all kept documents.
    fn lengths(&self, field: FieldNumber) -> Result<Vec<u8>> {
        let mut all = vec![0; self.documents as usize];
        for (source, map) in self.sources.iter().zip(self.maps) {
            let lengths: &[u8] = match source {
                Source::Batch(batch, _) => field_of(batch, field)
                    .and_then(|f| f.lengths.as_deref())
                    .unwrap_or_default(),
                Source::Segment(segment, _) => match segment.text(field) {
                    Some(text) => text.lengths.all()?,
                    None => &[],
                },
            };
            for document in 0..source.documents() {
                let slot = map.get(document).and_then(|new| all.get_mut(new as usize));
                if let (Some(slot), Some(length)) = (slot, lengths.get(document as usize)) {
                    *slot = *length;
                }
            }
        }
        Ok(all)
    }

    /// What the sources have counted and no merge can count again.
    fn counted(&self, field: FieldNumber) -> FieldStatistics {
        let mut all = FieldStatistics::default();
        for source in self.sources {
            let (left_out, rounded_up) = match source {
                Source::Batch(batch, _) => {
                    let found = field_of(batch, field);
                    (found.map_or(0, |found| found.left_out), 0)
                }
                Source::Segment(segment, _) => {
                    let found = segment.info().field(field);
                    found.map_or((0, 0), |found| (found.left_out, found.rounded_up))
                }
            };
            all.left_out = all.left_out.saturating_add(left_out);
            all.rounded_up = all.rounded_up.saturating_add(rounded_up);
        }
        all
    }
}

/// Postings are handed to the file in pieces of about this many bytes.
const PENDING_BYTES: usize = 1 << 20;
/// Dictionaries are handed to the file, or put aside, in pieces of about this many bytes.
const DICTIONARY_BYTES: usize = 64 << 10;
