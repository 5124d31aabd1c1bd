//! Sources become the file of a segment.
//!
//! A source is a batch in memory or a segment on disk, with the documents of it that are dropped. A
//! new segment and a merge are the same thing: the sources' documents follow one another, or are
//! put in an order of their own, and the sorted terms of all of them are merged.
//!
//! Memory: the list being encoded, the length codes of one field and the map of documents are held,
//! about [`merge_bytes_per_document`] together, and for a new order what
//! [`forward`](super::forward) gathers. Dictionaries, the order of ids and stored documents in a
//! new order go through scratch files.

use std::io::Write;

use super::bisect;
use super::document_map::DocumentMap;
use super::fields;
use super::forward::ForwardTask;
use super::invert::InvertedBatch;
use super::reader::SegmentReader;
use super::spool::Spool;
use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::executor::{CancelToken, Executor};
use crate::format::container::FileStamp;
use crate::format::limits::add_documents;
use crate::format::segment_info::SegmentInfo;
use crate::format::{Capabilities, ContainerWriter, DocId, FieldNumber, FileKind, Schema};
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
    /// What runs the threads of [`Reorder`].
    pub executor: &'a dyn Executor,
    /// Ends the work with [`Error::Cancelled`] soon after it is set.
    pub cancel: &'a CancelToken,
}

impl WriteOptions<'_> {
    /// # Errors
    ///
    /// [`Error::Cancelled`] once the work is cancelled.
    pub(super) fn check_cancelled(&self) -> Result<()> {
        self.cancel.check("merging")
    }
}

/// Bytes of memory that a merge takes for each document, at most: 8 for the longest list of
/// postings, 4 for the map of documents, 1 for length codes, and what small tables take. A new
/// order takes 4 more, beside what [`Reorder::memory`] bounds.
const MERGE_BYTES_PER_DOCUMENT: u64 = 14;

/// Bytes of memory that a merge takes for each document: [`MERGE_BYTES_PER_DOCUMENT`], and what the
/// options of a field add to that.
pub(crate) fn merge_bytes_per_document(schema: &Schema) -> u64 {
    let fields = schema.fields().iter();
    let added = fields.map(|field| field.options.merge_bytes_per_document());
    // Fields are merged one after another.
    MERGE_BYTES_PER_DOCUMENT + added.max().unwrap_or(0)
}

/// A segment that was written.
#[derive(Clone, Debug)]
pub struct WrittenSegment {
    /// Length and fingerprint of the file.
    pub stamp: FileStamp,
    /// Where the documents of each source went.
    pub(crate) maps: Vec<DocumentMap>,
}

impl Source<'_> {
    /// Number of its documents, dropped ones included.
    pub(super) fn documents(&self) -> u32 {
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
        base = add_documents(base, map.kept())?;
        maps.push(map);
    }
    Ok(maps)
}

/// Writes a segment that holds the documents of `sources`, in order or, with
/// [`reorder`](WriteOptions::reorder), in an order by their terms, and returns what it wrote.
///
/// # Errors
///
/// [`Error::Limit`] when the segment would be too large, [`Error::Corrupt`] when a source is
/// damaged, [`Error::Io`] with `file` when `out` fails, and [`Error::Cancelled`].
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
        && let Some(places) = find_places(schema, sources, &maps, reorder, options)?
    {
        let pairs = maps.iter_mut().zip(sources);
        pairs.for_each(|(map, source)| *map = map.permuted(source.documents(), &places));
    }
    let failed = |e| Error::io(file, "write", e);
    let mut capabilities = Capabilities {
        required: schema.required_capabilities(),
        optional: 0,
    };
    if options.reorder.is_some() {
        capabilities.optional |= Capabilities::REORDERED;
    }
    let writer = ContainerWriter::with_capabilities(out, FileKind::Segment, capabilities);
    let writer = writer.map_err(failed)?;
    let mut writer = SegmentWriter {
        out: writer,
        file,
        options,
        sources,
        maps: &maps,
        documents,
        info: SegmentInfo {
            documents,
            fields: Vec::new(),
        },
    };
    for field in schema.fields() {
        fields::write(&mut writer, field)?;
    }
    writer.ids()?;
    writer.section("info", None, &writer.info.encode()?)?;
    let (out, stamp) = writer.out.finish().map_err(failed)?;
    Ok((out, WrittenSegment { stamp, maps }))
}

/// The new place of each document that is kept, by the terms of one field.
fn find_places(
    schema: &Schema,
    sources: &[Source<'_>],
    maps: &[DocumentMap],
    reorder: Reorder,
    options: &WriteOptions<'_>,
) -> Result<Option<Vec<DocId>>> {
    let with_terms = schema.fields().iter();
    let with_terms = with_terms.filter(|field| fields::order_preference(field) > 0);
    // Of equal ones the first: `max_by_key` takes the last.
    let Some(field) = with_terms
        .rev()
        .max_by_key(|field| fields::order_preference(field))
    else {
        return Ok(None);
    };
    let task = ForwardTask {
        sources,
        maps,
        documents: maps.iter().map(DocumentMap::kept).sum(),
        memory: reorder.memory,
        options,
    };
    let Some(forward) = fields::forward(&task, field)? else {
        return Ok(None);
    };
    let on = bisect::OnThreads {
        executor: options.executor,
        threads: reorder.threads,
    };
    let Some(order) = bisect::order(forward, on, options.cancel) else {
        return Err(Error::Cancelled { work: "merging" });
    };
    let mut places = vec![0; order.len()];
    for (place, document) in (0..).zip(order) {
        if let Some(slot) = places.get_mut(document as usize) {
            *slot = place;
        }
    }
    Ok(Some(places))
}

/// Writes the sections of a segment, one after another.
pub(super) struct SegmentWriter<'a, W> {
    out: ContainerWriter<W>,
    /// Where the file is, for messages.
    pub file: &'a str,
    pub options: &'a WriteOptions<'a>,
    pub sources: &'a [Source<'a>],
    pub maps: &'a [DocumentMap],
    /// Number of documents that are kept.
    pub documents: u32,
    pub info: SegmentInfo,
}

impl<W: Write> SegmentWriter<'_, W> {
    /// Begins a section.
    pub fn begin(&mut self, name: &str, field: Option<FieldNumber>) -> Result<()> {
        let begun = self.out.begin(name, field);
        begun.map_err(|e| Error::io(self.file, "write", e))
    }

    /// Appends to the section that was begun last.
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.options.check_cancelled()?;
        let written = self.out.write_all(bytes);
        written.map_err(|e| Error::io(self.file, "write", e))
    }

    /// Writes a whole section.
    pub fn section(&mut self, name: &str, field: Option<FieldNumber>, bytes: &[u8]) -> Result<()> {
        self.begin(name, field)?;
        self.put(bytes)
    }

    /// Writes a section from a spool.
    pub fn spooled_section(
        &mut self,
        name: &str,
        field: Option<FieldNumber>,
        mut bytes: Spool<'_>,
    ) -> Result<()> {
        self.begin(name, field)?;
        bytes.for_each(|piece| self.put(piece))
    }
}

/// Postings are handed to the file in pieces of about this many bytes.
pub(super) const PENDING_BYTES: usize = 1 << 20;
/// Dictionaries are handed to the file, or put aside, in pieces of about this many bytes.
pub(super) const DICTIONARY_BYTES: usize = 64 << 10;
