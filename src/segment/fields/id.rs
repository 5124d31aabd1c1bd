//! External ids, which every document has: sorted, and two arrays that join them with documents.
//!
//! The document of each ordinal comes in order while the ids of all sources are merged, and waits
//! in a [`Spool`]. The ordinal of each document is its inverse: it is made for as many documents at
//! a time as fit a fixed amount of memory, each time from the whole spool.

use std::io::Write;

use crate::doc_set::DocSet;
use crate::error::{Error, Result};
use crate::format::dictionary::{DictionaryIter, DictionaryWriter};
use crate::format::ids::{IdOrder, Ids};
use crate::format::{Container, DocId, count32};
use crate::segment::document::Document;
use crate::segment::head::Head;
use crate::segment::interner::Strings;
use crate::segment::reader::SegmentReader;
use crate::segment::spool::Spool;
use crate::segment::term_merge::{KeyMerge, KeyStream};
use crate::segment::write::{DICTIONARY_BYTES, SegmentWriter, Source};

/// The ids of a batch.
pub(in crate::segment) struct Inverted {
    ids: Strings,
    /// Documents by rising id; of equal ids the last document added is last.
    by_id: Vec<DocId>,
}

impl Inverted {
    /// The id of a document.
    pub fn get(&self, document: DocId) -> &[u8] {
        self.ids.get(document)
    }

    /// The document at a place of the order by id, counted from 1.
    fn document_at(&self, place: u32) -> Option<DocId> {
        let place = place.checked_sub(1)?;
        self.by_id.get(place as usize).copied()
    }

    /// About how many bytes of memory they take.
    pub fn memory(&self) -> usize {
        self.ids.memory() + 4 * self.by_id.len()
    }
}

/// Sorts the ids of a batch.
pub(in crate::segment) fn invert(documents: &[Document]) -> Result<Inverted> {
    let mut ids = Strings::default();
    for document in documents {
        ids.push(document.id().as_bytes());
    }
    ids.check()?;
    let count = count32("documents of a batch", documents.len())?;
    let by_id = order_by_id(&ids, count);
    Ok(Inverted { ids, by_id })
}

/// Documents by rising id; those with equal ids stay in the order in which they came.
fn order_by_id(ids: &Strings, documents: u32) -> Vec<DocId> {
    let heads = (0..documents).map(|document| (Head::of(ids.get(document)), document));
    let mut by_id: Vec<(Head, DocId)> = heads.collect();
    by_id.sort_unstable_by(|(head_a, a), (head_b, b)| {
        let by_head = head_a.cmp(head_b);
        let is_decided = by_head.is_ne() || head_a.is_whole();
        let by_bytes = || ids.get(*a).cmp(ids.get(*b));
        let by_id = if is_decided { by_head } else { by_bytes() };
        by_id.then(a.cmp(b))
    });
    by_id.into_iter().map(|(_, document)| document).collect()
}

/// The sorted ids of one source, with their documents.
enum IdStream<'a> {
    /// With the place in the order that the stream stands on, counted from 1; 0 before the first.
    Batch(&'a Inverted, u32),
    Segment(&'a SegmentReader, DictionaryIter<'a>),
}

impl<'a> IdStream<'a> {
    fn of(source: Source<'a>) -> Self {
        match source {
            Source::Batch(batch, _) => Self::Batch(&batch.ids, 0),
            Source::Segment(segment, _) => {
                Self::Segment(segment, segment.ids().dictionary().iter())
            }
        }
    }

    fn document(&self) -> Result<DocId> {
        match self {
            Self::Batch(ids, place) => ids
                .document_at(*place)
                .ok_or_else(|| Error::invalid("a batch has fewer ids than documents")),
            Self::Segment(segment, ids) => segment.ids().document_of(ids.ordinal()),
        }
    }
}

impl KeyStream for IdStream<'_> {
    fn advance(&mut self) -> Result<bool> {
        match self {
            Self::Batch(ids, place) => {
                *place += 1;
                Ok(ids.document_at(*place).is_some())
            }
            Self::Segment(_, ids) => ids.advance(),
        }
    }

    fn key(&self) -> &[u8] {
        match self {
            Self::Batch(ids, place) => {
                let document = ids.document_at(*place);
                document.map_or(&[], |document| ids.get(document))
            }
            Self::Segment(_, ids) => ids.key(),
        }
    }
}

/// Ordinals of documents that are held at a time, 16 MiB of them; a multiple of [`IdOrder::PART`].
const WINDOW: u32 = 4 << 20;

impl<'a, W: Write> SegmentWriter<'a, W> {
    /// Writes the ids and their order.
    pub(in crate::segment) fn ids(&mut self) -> Result<()> {
        self.begin("ids", None)?;
        let (mut document_of, is_identity) = self.sorted_ids()?;
        let order = IdOrder::new(self.documents, is_identity);
        self.section("id-order", None, &order.head())?;
        if !order.has_arrays() {
            return Ok(());
        }
        self.documents_of(order, &mut document_of)?;
        self.ordinals_of(order, &mut document_of)
    }

    /// Writes the dictionary of ids. Returns the document of each ordinal, and whether these are 0,
    /// 1, 2 and so on.
    fn sorted_ids(&mut self) -> Result<(Spool<'a>, bool)> {
        let streams = self.sources.iter().map(|source| IdStream::of(*source));
        let mut merge = KeyMerge::new(streams.collect())?;
        let mut dictionary = DictionaryWriter::of_keys();
        let mut document_of = Spool::new(self.options.scratch);
        let (mut count, mut is_identity) = (0u32, true);
        let maps = self.maps;
        while merge.advance()? {
            let mut found = None;
            merge.for_current(|source, stream| {
                let document = stream.document()?;
                // Of documents with equal ids all but the last are dropped before.
                found = maps.get(source).and_then(|m| m.get(document)).or(found);
                Ok(())
            })?;
            let Some(document) = found else { continue };
            dictionary.add_id(merge.key())?;
            dictionary.take_blocks(DICTIONARY_BYTES, |blocks| self.put(blocks))?;
            document_of.push(&document.to_le_bytes())?;
            is_identity &= document == count;
            count = count.saturating_add(1);
        }
        if count != self.documents {
            let message = "two live documents have the same external id";
            return Err(Error::corrupt(self.file, "ids", 0, message));
        }
        self.put(&dictionary.finish()?)?;
        Ok((document_of, is_identity))
    }

    /// Writes the first array: the document of each ordinal.
    fn documents_of(&mut self, order: IdOrder, document_of: &mut Spool<'_>) -> Result<()> {
        let (mut part, mut packed) = (Vec::with_capacity(IdOrder::PART), Vec::new());
        for_each_number(document_of, |document| {
            part.push(document);
            if part.len() == IdOrder::PART {
                order.pack(&part, &mut packed);
                part.clear();
            }
            if packed.len() >= DICTIONARY_BYTES {
                self.put(&packed)?;
                packed.clear();
            }
            Ok(())
        })?;
        order.pack(&part, &mut packed);
        self.put(&packed)
    }

    /// Writes the second array: the ordinal of each document.
    fn ordinals_of(&mut self, order: IdOrder, document_of: &mut Spool<'_>) -> Result<()> {
        for start in (0..self.documents).step_by(WINDOW as usize) {
            let length = (self.documents - start).min(WINDOW);
            let mut ordinals = vec![0; length as usize];
            let mut ordinal = 0;
            for_each_number(document_of, |document| {
                let place = document.checked_sub(start);
                let slot = place.and_then(|place| ordinals.get_mut(place as usize));
                if let Some(slot) = slot {
                    *slot = ordinal;
                }
                ordinal += 1;
                Ok(())
            })?;
            let mut packed = Vec::new();
            order.pack(&ordinals, &mut packed);
            self.put(&packed)?;
        }
        Ok(())
    }
}

/// Visits the numbers of a spool of entries of 4 bytes.
fn for_each_number(
    spool: &mut Spool<'_>,
    mut visit: impl FnMut(DocId) -> Result<()>,
) -> Result<()> {
    spool.for_each(|piece| {
        let mut entries = piece.as_chunks::<4>().0.iter();
        entries.try_for_each(|entry| visit(u32::from_le_bytes(*entry)))
    })
}

/// Opens the ids of a segment.
pub(in crate::segment) fn open(container: &Container) -> Result<Ids> {
    let ids = container.section("ids", None)?.clone();
    Ids::open(ids, container.section("id-order", None)?.clone())
}

/// Checks that ids rise, and that ids and documents name each other.
pub(in crate::segment) fn verify(segment: &SegmentReader) -> Result<()> {
    let ids = segment.ids();
    let mut iter = ids.dictionary().iter();
    let mut seen = DocSet::empty(segment.documents());
    let mut last = Vec::new();
    while iter.advance()? {
        if !last.is_empty() && last.as_slice() >= iter.key() {
            return Err(segment.broken("ids", "external ids do not rise"));
        }
        last.clear();
        last.extend_from_slice(iter.key());
        let document = ids.document_of(iter.ordinal())?;
        if !seen.insert(document) || ids.id(document)?.as_bytes() != iter.key() {
            let message = "ids and documents do not name each other";
            return Err(segment.broken("id-order", message));
        }
    }
    if seen.count() != segment.documents() {
        return Err(segment.broken("id-order", "a document has no id"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_ordered_by_id_and_then_as_they_came() {
        let documents = ["b", "a", "c", "a"].map(Document::new);
        assert_eq!(invert(&documents).unwrap().by_id, [1, 3, 0, 2]);
    }
}
