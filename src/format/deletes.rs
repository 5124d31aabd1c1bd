//! Which documents of a segment are deleted (`format-spec/deletes.md`).

use std::io::{self, Write};

use super::container::{Container, ContainerWriter, FileKind, FileStamp};
use super::section::Section;
use super::{Malformed, read_u32, read_u64};
use crate::doc_set::DocSet;
use crate::error::Result;

const HEAD_BYTES: usize = 8;

/// Writes the deletes file of a segment whose deleted documents are these.
///
/// # Errors
///
/// What `out` reports.
pub fn write<W: Write>(deleted: &DocSet, out: W) -> io::Result<(W, FileStamp)> {
    let mut writer = ContainerWriter::new(out, FileKind::Deletes)?;
    writer.begin("deleted", None)?;
    let mut bytes = Vec::with_capacity(HEAD_BYTES + 8 * deleted.words().len());
    bytes.extend_from_slice(&deleted.documents().to_le_bytes());
    bytes.extend_from_slice(&deleted.count().to_le_bytes());
    bytes.extend(deleted.words().iter().flat_map(|word| word.to_le_bytes()));
    writer.write_all(&bytes)?;
    writer.finish()
}

/// Reads the deletes file of a segment of `documents` documents.
///
/// # Errors
///
/// [`Error::Corrupt`](crate::Error::Corrupt) when it belongs to another segment or its counts do
/// not agree with its bits.
pub fn read(container: &Container, documents: u32) -> Result<DocSet> {
    let section: &Section = container.section("deleted", None)?;
    let bytes = section.all()?;
    let found = section.parsed(0, read_u32(bytes, 0))?;
    let count = section.parsed(4, read_u32(bytes, 4))?;
    let words = (documents as usize).div_ceil(64);
    if found != documents || bytes.len() != HEAD_BYTES + 8 * words {
        let message = Malformed("this deletes file belongs to another segment");
        return Err(section.malformed(0, message));
    }
    let words = (0..words)
        .map(|word| section.parsed(0, read_u64(bytes, HEAD_BYTES + 8 * word)))
        .collect::<Result<Vec<u64>>>()?;
    DocSet::from_words(documents, words)
        .filter(|deleted| deleted.count() == count)
        .ok_or_else(|| {
            let message = Malformed("the number of deleted documents is not that of the bits");
            section.malformed(4, message)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::Verify;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn reopen(bytes: Vec<u8>, documents: u32) -> Result<DocSet> {
        let container =
            Container::open(Arc::new(bytes), "d", FileKind::Deletes, Verify::default())?;
        read(&container, documents)
    }

    proptest! {
        #[test]
        fn a_deletes_file_holds_the_set_that_was_written(
            documents in 1u32..300,
            gone in prop::collection::vec(0u32..400, 0..80),
        ) {
            let mut deleted = DocSet::empty(documents);
            for document in gone {
                deleted.insert(document);
            }
            let (bytes, _) = write(&deleted, Vec::new()).unwrap();
            prop_assert_eq!(reopen(bytes.clone(), documents).unwrap(), deleted);
            prop_assert!(reopen(bytes, documents + 1).is_err());
        }
    }
}
