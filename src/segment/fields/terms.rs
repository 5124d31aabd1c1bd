//! What fields of terms share: sorted terms with their postings, merged into the lists of a
//! segment.

use std::io::Write;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::format::dictionary::{Dictionary, DictionaryWriter, TermEntry};
use crate::format::positions::skip_varints;
use crate::format::postings::Postings;
use crate::format::{DocId, Malformed, Parse, wide};
use crate::segment::document_map::DocumentMap;
use crate::segment::posting_sorter::PostingSorter;
use crate::segment::reader::SegmentReader;
use crate::segment::spool::Spool;
use crate::segment::term_merge::{KeyMerge, KeyStream};
use crate::segment::term_table::FieldPostings;
use crate::segment::write::{DICTIONARY_BYTES, PENDING_BYTES, SegmentWriter};

/// The sorted terms of one field of one source, with their postings.
pub(in crate::segment) trait PostingStream: KeyStream {
    /// Appends the current term's postings of documents that are kept, under their new numbers.
    fn append(&self, map: &DocumentMap, to: &mut Postings) -> Result<()>;
}

/// Moves to the next term, and takes its postings of all sources; false after the last term.
pub(in crate::segment) fn next_postings<S: PostingStream>(
    merge: &mut KeyMerge<S>,
    maps: &[DocumentMap],
    postings: &mut Postings,
) -> Result<bool> {
    if !merge.advance()? {
        return Ok(false);
    }
    postings.clear();
    merge.for_current(|source, stream| match maps.get(source) {
        Some(map) => stream.append(map, postings),
        None => Ok(()),
    })?;
    Ok(true)
}

/// Is called with a term, its documents, rising, and what the term weighs in each.
pub(crate) type ListVisitor<'a> = dyn FnMut(&[u8], &[DocId], &[f32]) -> Result<()> + 'a;

/// Visits the lists of all terms of a merge, in the order of their bytes; those without documents
/// are left out.
pub(super) fn visit_lists<S: PostingStream>(
    mut merge: KeyMerge<S>,
    maps: &[DocumentMap],
    weigh: impl Fn(u32) -> f32,
    visit: &mut ListVisitor<'_>,
) -> Result<()> {
    let (mut postings, mut weights) = (Postings::default(), Vec::new());
    while next_postings(&mut merge, maps, &mut postings)? {
        if !postings.is_empty() {
            weights.clear();
            weights.extend(postings.values.iter().map(|value| weigh(*value)));
            visit(merge.key(), &postings.documents, &weights)?;
        }
    }
    Ok(())
}

/// A posting while an order of documents is sought.
#[derive(Clone, Copy)]
pub(in crate::segment) struct Posting {
    /// What the stream gave as its value.
    pub value: u32,
    /// How many documents have the term.
    pub document_frequency: usize,
}

/// The sorted terms of a field of a batch.
pub(super) struct BatchTerms<'a> {
    postings: &'a FieldPostings,
    with_positions: bool,
    /// Which term the stream stands on, counted from 1; 0 before the first.
    place: u32,
}

impl<'a> BatchTerms<'a> {
    pub fn new(postings: &'a FieldPostings) -> Self {
        Self {
            postings,
            with_positions: false,
            place: 0,
        }
    }

    /// Appends positions too, if the field has them.
    pub fn with_positions(mut self, with_positions: bool) -> Self {
        self.with_positions = with_positions;
        self
    }

    pub fn append(&self, map: &DocumentMap, to: &mut Postings) -> Result<()> {
        let range = self.range(&self.postings.ends);
        let all = &self.postings.postings;
        let documents = all.documents.get(range.clone()).unwrap_or_default();
        let values = all.values.get(range).unwrap_or_default();
        for (document, value) in documents.iter().zip(values) {
            if let Some(new) = map.get(*document) {
                to.push(new, *value);
            }
        }
        if self.with_positions {
            let range = self.range(&self.postings.position_ends);
            let positions = all.positions.get(range).unwrap_or_default();
            let of_batch = |Malformed(message)| Error::invalid(message);
            append_positions(positions, documents, values, map, to).map_err(of_batch)?;
        }
        Ok(())
    }

    /// What the current term has in an array of which these are the ends.
    fn range(&self, ends: &[u32]) -> Range<usize> {
        let end_of = |term: u32| {
            let end = term.checked_sub(1);
            let end = end.and_then(|term| ends.get(term as usize));
            end.copied().unwrap_or(0) as usize
        };
        end_of(self.place.saturating_sub(1))..end_of(self.place)
    }
}

/// Appends the positions of the documents that are kept.
fn append_positions(
    positions: &[u8],
    documents: &[DocId],
    frequencies: &[u32],
    map: &DocumentMap,
    to: &mut Postings,
) -> Parse<()> {
    if map.keeps_all() {
        to.positions.extend_from_slice(positions);
        return Ok(());
    }
    let mut end = 0;
    for (document, frequency) in documents.iter().zip(frequencies) {
        let start = end;
        skip_varints(positions, &mut end, *frequency)?;
        if map.get(*document).is_some() {
            let of_document = positions.get(start..end).unwrap_or_default();
            to.positions.extend_from_slice(of_document);
        }
    }
    Ok(())
}

impl KeyStream for BatchTerms<'_> {
    fn advance(&mut self) -> Result<bool> {
        self.place += 1;
        Ok(self.place as usize <= self.postings.terms.len())
    }

    fn key(&self) -> &[u8] {
        self.postings.terms.get(self.place.saturating_sub(1))
    }
}

/// What was counted while lists were written.
#[derive(Clone, Copy, Default)]
pub(super) struct Counted {
    pub terms: u64,
    pub postings: u64,
    /// Sum of all values.
    pub values: u64,
}

impl<'a, W: Write> SegmentWriter<'a, W> {
    /// Merges the terms of all sources, encodes their lists into the section that was begun, and
    /// returns the bytes of the dictionary.
    pub(super) fn lists<S: PostingStream>(
        &mut self,
        mut merge: KeyMerge<S>,
        mut dictionary: DictionaryWriter,
        mut encode: impl FnMut(&Postings, u64, &mut Vec<u8>) -> Result<TermEntry>,
    ) -> Result<(Spool<'a>, Counted)> {
        let mut counted = Counted::default();
        let mut spool = Spool::new(self.options.scratch);
        let mut postings = Postings::default();
        let (mut written, mut pending) = (0, Vec::with_capacity(PENDING_BYTES * 2));
        let maps = self.maps;
        let in_order = maps.iter().all(DocumentMap::keeps_order);
        let mut sorter = PostingSorter::new(self.documents);
        while next_postings(&mut merge, maps, &mut postings)? {
            if postings.is_empty() {
                continue;
            }
            if !in_order {
                sorter.sort(&mut postings)?;
            }
            let offset = written + wide(pending.len());
            if !postings.rises() {
                let message = "documents of a list do not rise in what is merged";
                return Err(Error::corrupt(self.file, "postings", offset, message));
            }
            let entry = encode(&postings, offset, &mut pending)?;
            dictionary.add_term(merge.key(), &entry, offset)?;
            dictionary.take_blocks(DICTIONARY_BYTES, |blocks| spool.push(blocks))?;
            counted.postings += wide(postings.len());
            counted.values += postings.values.iter().map(|v| u64::from(*v)).sum::<u64>();
            if pending.len() >= PENDING_BYTES {
                self.put(&pending)?;
                written += wide(pending.len());
                pending.clear();
            }
        }
        self.put(&pending)?;
        counted.terms = dictionary.keys();
        spool.push(&dictionary.finish()?)?;
        Ok((spool, counted))
    }
}

/// Checks that the keys of a dictionary rise, and gives each term to `visit`.
pub(super) fn walk_terms(
    segment: &SegmentReader,
    dictionary: &Dictionary,
    mut visit: impl FnMut(&TermEntry) -> Result<()>,
) -> Result<()> {
    let mut terms = dictionary.iter();
    let mut last = Vec::new();
    while let Some(entry) = terms.next_term()? {
        if terms.key().is_empty() || last.as_slice() >= terms.key() {
            return Err(segment.broken("terms", "terms do not rise"));
        }
        last.clear();
        last.extend_from_slice(terms.key());
        visit(&entry)?;
    }
    Ok(())
}

/// Checks that documents rise from `last` on, and are documents of the segment.
pub(super) fn check_rising(
    segment: &SegmentReader,
    section: &str,
    last: &mut Option<DocId>,
    documents: &[DocId],
) -> Result<()> {
    for document in documents {
        if last.is_some_and(|last| last >= *document) || *document >= segment.documents() {
            return Err(segment.broken(section, "documents of a list do not rise"));
        }
        *last = Some(*document);
    }
    Ok(())
}
