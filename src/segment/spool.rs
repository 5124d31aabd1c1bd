//! Bytes that are written now and read later, in memory up to a limit and in a scratch file beyond
//! it.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::error::{Error, Result};
use crate::format::wide;
use crate::store::{Directory, Scratch};

/// Bytes that a spool holds in memory.
const MAX_MEMORY: usize = 4 << 20;
/// Bytes that are read from a scratch file at a time; a multiple of the size of an entry.
const READ_BYTES: usize = 256 << 10;

/// A queue of bytes.
pub(super) struct Spool<'a> {
    directory: &'a dyn Directory,
    max_memory: usize,
    memory: Vec<u8>,
    file: Option<Box<dyn Scratch>>,
    written: u64,
}

impl<'a> Spool<'a> {
    pub fn new(directory: &'a dyn Directory) -> Self {
        Self {
            directory,
            max_memory: MAX_MEMORY,
            memory: Vec::new(),
            file: None,
            written: 0,
        }
    }

    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.memory.extend_from_slice(bytes);
        self.written += wide(bytes.len());
        if self.memory.len() >= self.max_memory {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            file => file.insert(self.directory.scratch()?),
        };
        let written = file.write_all(&self.memory);
        written.map_err(|e| scratch_error(self.directory, "write", e))?;
        self.memory.clear();
        Ok(())
    }

    /// Calls `visit` with all bytes from the first on, in pieces of whole entries when all that was
    /// pushed was entries of 4 bytes.
    pub fn for_each(&mut self, mut visit: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let Some(file) = &mut self.file else {
            return visit(&self.memory);
        };
        let failed = |e| scratch_error(self.directory, "read", e);
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let mut left = self.written - wide(self.memory.len());
        let mut piece = vec![0; READ_BYTES];
        while left > 0 {
            let length = usize::try_from(left).map_or(READ_BYTES, |left| left.min(READ_BYTES));
            let Some(piece) = piece.get_mut(..length) else {
                break;
            };
            file.read_exact(piece).map_err(failed)?;
            visit(piece)?;
            left -= wide(length);
        }
        visit(&self.memory)
    }
}

pub(super) fn scratch_error(
    directory: &dyn Directory,
    action: &'static str,
    error: io::Error,
) -> Error {
    Error::io(directory.path().join("scratch file"), action, error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Memory;

    #[test]
    fn bytes_come_back_from_memory_and_from_a_file() {
        let directory = Memory::new();
        for max_memory in [1 << 20, 1_000] {
            let mut spool = Spool::new(&directory);
            spool.max_memory = max_memory;
            let mut expected = Vec::new();
            for number in 0..100_000u32 {
                spool.push(&number.to_le_bytes()).unwrap();
                expected.extend_from_slice(&number.to_le_bytes());
            }
            assert_eq!(spool.file.is_some(), max_memory < expected.len());
            for _ in 0..2 {
                let mut found = Vec::new();
                spool
                    .for_each(|piece| {
                        assert!(piece.len().is_multiple_of(4));
                        found.extend_from_slice(piece);
                        Ok(())
                    })
                    .unwrap();
                assert!(found == expected);
            }
        }
    }
}
