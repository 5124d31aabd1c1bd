//! The chunks of all inputs, and how far they have been read.
//!
//! Chunks depend on the input alone, so counting them says where a load was when it was
//! interrupted. A checksum of what was read tells whether the input is still the same.

use esparsa::{Error, Result};
use serde::{Deserialize, Serialize};

use super::{Chunk, Reader};

/// How far inputs have been read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Chunks, and records too large for one, that were read to their ends.
    pub chunks: u64,
    /// Records of the next chunk, bad ones included.
    pub records: u64,
    /// Decompressed bytes of the chunks, with the next one if some of its records were read.
    pub bytes: u64,
    /// CRC-32C of the chunks that were read to their ends.
    pub checksum: u32,
}

/// The chunks of a [`Reader`], preceded by those that were read ahead from it.
pub struct Source {
    first: std::vec::IntoIter<Result<Chunk>>,
    /// Decompressed bytes of all first chunks, and of those not returned yet.
    first_bytes: u64,
    first_left: u64,
    reader: Reader,
    position: Position,
}

impl Source {
    /// The chunks `first`, which came from `reader`, and the rest of it.
    pub fn new(first: Vec<Result<Chunk>>, reader: Reader) -> Self {
        let bytes = |item: &Result<Chunk>| item.as_ref().map_or(0, |c| c.bytes.len() as u64);
        let first_bytes = first.iter().map(bytes).sum();
        Self {
            first: first.into_iter(),
            first_bytes,
            first_left: first_bytes,
            reader,
            position: Position::default(),
        }
    }

    /// The position after the last chunk that was returned.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Bytes of input up to the last chunk that was returned, as they are on disk; bytes that were
    /// read ahead for the first chunks are divided among these.
    pub fn bytes_read(&self) -> u64 {
        let handed_out = (self.first_bytes - self.first_left) as f64;
        match self.first_left {
            0 => self.reader.bytes_read(),
            _ => (self.reader.bytes_read() as f64 * handed_out / self.first_bytes as f64) as u64,
        }
    }

    /// Skips to the start of the chunk where `end` is; calls `pass` with each chunk before it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidInput`] when what is read is not what was read then, and errors in reading.
    pub fn skip_to(&mut self, end: &Position, mut pass: impl FnMut(&Chunk)) -> Result<()> {
        while self.position.chunks < end.chunks {
            match self.next() {
                Some(Ok(chunk)) => pass(&chunk),
                Some(Err(error)) if error.is_input() => {}
                Some(Err(error)) => return Err(error),
                None => break,
            }
        }
        if (self.position.chunks, self.position.checksum) == (end.chunks, end.checksum) {
            return Ok(());
        }
        Err(Error::invalid(
            "the inputs are not what they were when they were loaded; omit --resume to load them from the \
             beginning",
        ))
    }
}

impl Iterator for Source {
    type Item = Result<Chunk>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = self.first.next();
        let is_first = first.is_some();
        let item = first.or_else(|| self.reader.next())?;
        self.position.chunks += 1;
        if let Ok(chunk) = &item {
            if is_first {
                self.first_left -= chunk.bytes.len() as u64;
            }
            self.position.bytes += chunk.bytes.len() as u64;
            self.position.checksum = crc32c::crc32c_append(self.position.checksum, &chunk.bytes);
        }
        Some(item)
    }
}

#[cfg(test)]
mod tests {
    use super::super::InputFormat;
    use super::*;

    fn source(folder: &tempfile::TempDir, content: &str) -> Source {
        let path = folder.path().join("in.tsv");
        std::fs::write(&path, content).unwrap();
        Source::new(
            Vec::new(),
            Reader::open(&[path], InputFormat::Auto).unwrap(),
        )
    }

    #[test]
    fn a_position_is_found_again_in_the_same_input_only() {
        let folder = tempfile::tempdir().unwrap();
        let text = (0..200_000).map(|line| format!("{line}\tsome words of text\n"));
        let text: String = text.collect();
        let mut read = source(&folder, &text);
        let first = read.by_ref().take(2).map(Result::unwrap);
        let first: usize = first.map(|chunk| chunk.bytes.len()).sum();
        let position = read.position();
        assert_eq!((position.chunks, position.bytes), (2, first as u64));
        let third = read.next().unwrap().unwrap();

        let mut again = source(&folder, &text);
        let mut passed = 0;
        again.skip_to(&position, |_| passed += 1).unwrap();
        assert_eq!((passed, again.position()), (2, position));
        assert_eq!(again.next().unwrap().unwrap(), third);

        for changed in [text.replacen("some", "SOME", 1), "0\tx\n".to_owned()] {
            let mut other = source(&folder, &changed);
            let error = other.skip_to(&position, |_| {}).unwrap_err().to_string();
            assert!(error.contains("not what they were"), "{error}");
        }
    }
}
