//! Which documents of a segment are gone (`format-spec/deletes.md`).

use std::io::{self, Write};

use super::container::{Container, ContainerWriter, FileKind, FileStamp};
use super::section::Section;
use super::{DocId, Malformed, read_u32, read_u64, wide};
use crate::error::Result;

const HEAD_BYTES: usize = 8;

/// A set of deleted documents in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeletedDocuments {
    documents: u32,
    deleted: u32,
    words: Vec<u64>,
}

impl DeletedDocuments {
    /// No document of a segment of `documents` is deleted.
    pub fn none(documents: u32) -> Self {
        Self {
            documents,
            deleted: 0,
            words: vec![0; (documents as usize).div_ceil(64)],
        }
    }

    /// Deletes a document; false when it was deleted before or is not there.
    pub fn delete(&mut self, document: DocId) -> bool {
        let bit = 1 << (document % 64);
        match self.words.get_mut((document / 64) as usize) {
            Some(word) if document < self.documents && *word & bit == 0 => {
                *word |= bit;
                self.deleted += 1;
                true
            }
            _ => false,
        }
    }

    /// Whether a document is deleted.
    #[inline]
    pub fn contains(&self, document: DocId) -> bool {
        self.words
            .get((document / 64) as usize)
            .is_some_and(|word| word >> (document % 64) & 1 == 1)
    }

    /// Number of deleted documents.
    pub fn count(&self) -> u32 {
        self.deleted
    }

    /// Number of documents of the segment.
    pub fn documents(&self) -> u32 {
        self.documents
    }

    /// Writes a deletes file.
    ///
    /// # Errors
    ///
    /// What `out` reports.
    pub fn write<W: Write>(&self, out: W) -> io::Result<(W, FileStamp)> {
        let mut writer = ContainerWriter::new(out, FileKind::Deletes)?;
        writer.begin("deleted", None)?;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 8 * self.words.len());
        bytes.extend_from_slice(&self.documents.to_le_bytes());
        bytes.extend_from_slice(&self.deleted.to_le_bytes());
        bytes.extend(self.words.iter().flat_map(|word| word.to_le_bytes()));
        writer.write_all(&bytes)?;
        writer.finish()
    }

    /// Reads a deletes file for a segment of `documents` documents.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`](crate::Error::Corrupt) when it belongs to another segment or its counts do not
    /// agree with its bits.
    pub fn read(container: &Container, documents: u32) -> Result<Self> {
        let section: &Section = container.section("deleted", None)?;
        let bytes = section.all()?;
        let found = section.parsed(0, read_u32(bytes, 0))?;
        let deleted = section.parsed(4, read_u32(bytes, 4))?;
        let words = (documents as usize).div_ceil(64);
        if found != documents || bytes.len() != HEAD_BYTES + 8 * words {
            let message = Malformed("this deletes file belongs to another segment");
            return Err(section.malformed(0, message));
        }
        let words = (0..words)
            .map(|word| section.parsed(0, read_u64(bytes, HEAD_BYTES + 8 * word)))
            .collect::<Result<Vec<u64>>>()?;
        let ones: u64 = words.iter().map(|word| u64::from(word.count_ones())).sum();
        let past_end = !documents.is_multiple_of(64)
            && words
                .last()
                .is_some_and(|word| word >> (documents % 64) != 0);
        if ones != u64::from(deleted) || past_end || wide(words.len()) * 64 < ones {
            let message = Malformed("the number of deleted documents is not that of the bits");
            return Err(section.malformed(4, message));
        }
        Ok(Self {
            documents,
            deleted,
            words,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Verify;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn reopen(bytes: Vec<u8>, documents: u32) -> Result<DeletedDocuments> {
        let container =
            Container::open(Arc::new(bytes), "d", FileKind::Deletes, Verify::default())?;
        DeletedDocuments::read(&container, documents)
    }

    proptest! {
        #[test]
        fn what_is_deleted_stays_deleted(
            documents in 1u32..300,
            gone in prop::collection::vec(0u32..400, 0..80),
        ) {
            let mut deleted = DeletedDocuments::none(documents);
            let mut model = std::collections::BTreeSet::new();
            for document in gone {
                let new = document < documents && model.insert(document);
                prop_assert_eq!(deleted.delete(document), new);
            }
            let (bytes, _) = deleted.write(Vec::new()).unwrap();
            let read = reopen(bytes.clone(), documents).unwrap();
            prop_assert_eq!(read.count() as usize, model.len());
            for document in 0..documents {
                prop_assert_eq!(read.contains(document), model.contains(&document));
            }
            prop_assert!(reopen(bytes, documents + 1).is_err());
        }
    }
}
