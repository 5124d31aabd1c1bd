//! The external ids of a segment, sorted, and the two arrays that join them with documents.
//!
//! The document of each ordinal comes in order while the ids of all sources are merged, and waits
//! in a [`Spool`]. The ordinal of each document is its inverse: it is made for as many documents at
//! a time as fit a fixed amount of memory, each time from the whole spool.

use std::io::Write;

use super::{DICTIONARY_BYTES, SegmentWriter};
use crate::error::{Error, Result};
use crate::format::DocId;
use crate::format::dictionary::DictionaryWriter;
use crate::format::ids::IdOrder;
use crate::segment::spool::Spool;
use crate::segment::streams::IdStream;
use crate::segment::term_merge::KeyMerge;

/// Ordinals of documents that are held at a time, 16 MiB of them; a multiple of [`IdOrder::PART`].
const WINDOW: u32 = 4 << 20;

impl<'a, W: Write> SegmentWriter<'a, W> {
    /// Writes the ids and their order.
    pub(super) fn ids(&mut self) -> Result<()> {
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
        let mut dictionary = DictionaryWriter::of_ids();
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
