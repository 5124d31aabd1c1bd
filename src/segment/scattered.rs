//! Documents distributed over parts, each of which is read again as a whole.
//!
//! Each part has a buffer. A full one is compressed and appended to a scratch file that all parts
//! share; where its pieces are is kept in memory, 16 bytes for each of [`PIECE_BYTES`] or so.

use std::cell::RefCell;
use std::io::SeekFrom;

use super::spool::scratch_error;
use crate::error::{Error, Result};
use crate::format::{DocId, Malformed, read_u32, wide};
use crate::store::{Directory, Scratch};

/// Raw bytes after which the buffer of a part is written.
const PIECE_BYTES: usize = 64 << 10;
/// Number of the document and length of its content.
const HEAD_BYTES: usize = 8;
const LEVEL: i32 = 1;

/// A document on its way to another place.
#[derive(Clone, Copy)]
pub(super) struct Entry<'a> {
    pub document: DocId,
    pub content: &'a [u8],
}

#[derive(Default)]
struct Part {
    buffer: Vec<u8>,
    pieces: Vec<Piece>,
    bytes: u64,
}

#[derive(Clone, Copy)]
struct Piece {
    offset: u64,
    length: usize,
    raw_length: usize,
}

/// Documents by part.
pub(super) struct Scattered<'a> {
    directory: &'a dyn Directory,
    file: RefCell<Box<dyn Scratch>>,
    end: u64,
    parts: Vec<Part>,
}

impl<'a> Scattered<'a> {
    pub fn new(directory: &'a dyn Directory, parts: usize) -> Result<Self> {
        Ok(Self {
            directory,
            file: RefCell::new(directory.scratch()?),
            end: 0,
            parts: (0..parts).map(|_| Part::default()).collect(),
        })
    }

    /// Adds a document to a part.
    pub fn push(&mut self, part: usize, entry: Entry<'_>) -> Result<()> {
        let length = u32::try_from(entry.content.len()).map_err(|_| {
            let found = wide(entry.content.len());
            Error::limit("bytes of a stored document", found, u64::from(u32::MAX))
        })?;
        let Some(part) = self.parts.get_mut(part) else {
            return Err(Error::invalid("a document belongs to no part"));
        };
        part.buffer.extend_from_slice(&entry.document.to_le_bytes());
        part.buffer.extend_from_slice(&length.to_le_bytes());
        part.buffer.extend_from_slice(entry.content);
        part.bytes += wide(HEAD_BYTES + entry.content.len());
        if part.buffer.len() < PIECE_BYTES {
            return Ok(());
        }
        let failed = |e| scratch_error(self.directory, "write", e);
        let piece = zstd::bulk::compress(&part.buffer, LEVEL).map_err(failed)?;
        let mut file = self.file.borrow_mut();
        file.write_all(&piece).map_err(failed)?;
        part.pieces.push(Piece {
            offset: self.end,
            length: piece.len(),
            raw_length: part.buffer.len(),
        });
        self.end += wide(piece.len());
        part.buffer = Vec::new();
        Ok(())
    }

    /// Bytes of a part.
    pub fn bytes(&self, part: usize) -> u64 {
        self.parts.get(part).map_or(0, |part| part.bytes)
    }

    /// Visits the documents of a part, in the order in which they were added.
    pub fn for_each(
        &self,
        part: usize,
        mut visit: impl FnMut(Entry<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(part) = self.parts.get(part) else {
            return Ok(());
        };
        for piece in &part.pieces {
            for_each_entry(&self.read(piece)?, &mut visit)?;
        }
        for_each_entry(&part.buffer, &mut visit)
    }

    fn read(&self, piece: &Piece) -> Result<Vec<u8>> {
        let failed = |e| scratch_error(self.directory, "read", e);
        let mut compressed = vec![0; piece.length];
        let mut file = self.file.borrow_mut();
        file.seek(SeekFrom::Start(piece.offset)).map_err(failed)?;
        file.read_exact(&mut compressed).map_err(failed)?;
        zstd::bulk::decompress(&compressed, piece.raw_length).map_err(failed)
    }
}

fn for_each_entry(mut bytes: &[u8], visit: &mut impl FnMut(Entry<'_>) -> Result<()>) -> Result<()> {
    let damaged = |Malformed(message)| Error::corrupt("scratch file", "documents", 0, message);
    while let Some((head, rest)) = bytes.split_at_checked(HEAD_BYTES) {
        let document = read_u32(head, 0).map_err(damaged)?;
        let length = read_u32(head, 4).map_err(damaged)? as usize;
        let Some((content, rest)) = rest.split_at_checked(length) else {
            return Err(damaged(Malformed("a document is cut short")));
        };
        visit(Entry { document, content })?;
        bytes = rest;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;

    #[test]
    fn every_part_gives_back_its_documents_in_order() {
        let directory = Memory::new();
        let mut scattered = Scattered::new(&directory, 3).unwrap();
        let content = |document: u32| vec![document as u8; (document * 37 % 900) as usize];
        for document in 0..2_000 {
            let content = &content(document)[..];
            let entry = Entry { document, content };
            scattered.push((document % 3) as usize, entry).unwrap();
        }
        for part in 0..3 {
            let mut expected = (part as u32..2_000).step_by(3);
            let mut bytes = 0;
            scattered
                .for_each(part, |entry| {
                    assert_eq!(Some(entry.document), expected.next());
                    assert_eq!(entry.content, content(entry.document));
                    bytes += (HEAD_BYTES + entry.content.len()) as u64;
                    Ok(())
                })
                .unwrap();
            assert_eq!((expected.next(), bytes), (None, scattered.bytes(part)));
        }
    }
}
