//! The records of all inputs, one after another.

use std::collections::VecDeque;

use super::input::{Chunk, Reader, Record, RecordFormat, parse};
use crate::error::Result;

/// A record, or why there is none, and how far the inputs have been read.
pub struct Read {
    /// The record.
    pub record: Result<Record>,
    /// Bytes of input up to here, compressed as they are; within a chunk, by the share of its
    /// records.
    pub bytes_read: u64,
    /// The same, decompressed.
    pub input_bytes: u64,
}

/// Reads inputs record by record; holds no more of them in memory than a chunk.
pub struct Records {
    reader: Reader,
    /// Chunks that were read before.
    first: std::vec::IntoIter<Result<Chunk>>,
    /// Bytes of those, decompressed, that are not parsed yet.
    first_bytes: u64,
    ready: VecDeque<Result<Record>>,
    /// Where the records that are ready begin, in bytes of input, and where they end.
    start: u64,
    end: u64,
    /// How many were ready when their chunk had been parsed.
    parsed: usize,
    input_bytes: u64,
}

impl Records {
    /// All records of `reader`.
    pub fn new(reader: Reader) -> Self {
        Self::after(Vec::new(), reader)
    }

    /// The records of chunks that were read already, then those of the rest of `reader`.
    pub fn after(first: Vec<Result<Chunk>>, reader: Reader) -> Self {
        let bytes =
            |item: &Result<Chunk>| item.as_ref().map_or(0, |chunk| chunk.bytes.len() as u64);
        Self {
            reader,
            first_bytes: first.iter().map(bytes).sum(),
            first: first.into_iter(),
            ready: VecDeque::new(),
            start: 0,
            end: 0,
            parsed: 0,
            input_bytes: 0,
        }
    }

    /// Parses the next chunk; `None` at the end of the inputs.
    fn parse_next(&mut self) -> Option<()> {
        let (item, is_first) = match self.first.next() {
            Some(item) => (item, true),
            None => (self.reader.next()?, false),
        };
        self.start = self.end;
        let unread = self.reader.bytes_read().saturating_sub(self.start);
        match item {
            Ok(chunk) => {
                let bytes = chunk.bytes.len() as u64;
                self.input_bytes += bytes;
                // What was read ahead for the first chunks is shared among them.
                let share = match is_first {
                    true => bytes as f64 / self.first_bytes.max(1) as f64,
                    false => 1.0,
                };
                self.end += (unread as f64 * share) as u64;
                if is_first {
                    self.first_bytes -= bytes;
                }
                parse(&chunk, &mut |record| self.ready.push_back(record));
            }
            Err(error) => self.ready.push_back(Err(error)),
        }
        self.parsed = self.ready.len();
        Some(())
    }
}

impl Iterator for Records {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        while self.ready.is_empty() {
            self.parse_next()?;
        }
        let record = self.ready.pop_front()?;
        let taken = self.parsed - self.ready.len();
        let share = taken as f64 / self.parsed as f64;
        Some(Read {
            record,
            bytes_read: self.start + ((self.end - self.start) as f64 * share) as u64,
            input_bytes: self.input_bytes,
        })
    }
}

/// Title and text of a stored document, as they were when it was indexed; of a document that is no JSON object, all of it.
pub fn stored_contents(stored: &[u8]) -> String {
    let chunk = Chunk {
        file: "stored".into(),
        first_line: 1,
        format: RecordFormat::JsonLines,
        bytes: stored.to_vec(),
    };
    let mut contents = None;
    parse(&chunk, &mut |record| {
        contents = record.ok().map(|record| record.contents().into_owned());
    });
    contents.unwrap_or_else(|| String::from_utf8_lossy(stored).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::input::InputFormat;

    #[test]
    fn records_of_all_files_come_in_order_with_their_errors() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["a.tsv", "b.jsonl"].map(|name| folder.path().join(name));
        std::fs::write(&paths[0], "1\tone\n2\ttwo\n").unwrap();
        std::fs::write(
            &paths[1],
            "{\"id\":3}\n{\"text\":\"no id\"}\n{\"id\":\"4\"}\n",
        )
        .unwrap();
        let reader = Reader::open(&paths, InputFormat::Auto).unwrap();
        let total = reader.total_bytes().unwrap();
        let read: Vec<Read> = Records::new(reader).collect();
        let ids = read
            .iter()
            .map(|read| read.record.as_ref().map(|record| &*record.id).ok());
        let expected = [Some("1"), Some("2"), Some("3"), None, Some("4")];
        assert_eq!(ids.collect::<Vec<_>>(), expected);
        assert_eq!(read[4].bytes_read, total);
    }

    #[test]
    fn the_first_record_of_a_chunk_is_not_the_end_of_the_input() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tsv");
        std::fs::write(&path, "1\tone\n2\ttwo\n3\tsix\n4\tten\n").unwrap();
        for reads_ahead in [false, true] {
            let mut reader = Reader::open(std::slice::from_ref(&path), InputFormat::Auto).unwrap();
            let first = reader.by_ref().take(usize::from(reads_ahead)).collect();
            let read = Records::after(first, reader).map(|read| read.bytes_read);
            assert_eq!(read.collect::<Vec<_>>(), [6, 12, 18, 24]);
        }
    }

    #[test]
    fn stored_documents_give_what_was_indexed() {
        let stored = br#"{"_id":"a","title":"Etna","text":"a  volcano"}"#;
        assert_eq!(stored_contents(stored), "Etna a  volcano");
        assert_eq!(stored_contents(b"plain text"), "plain text");
        assert_eq!(stored_contents(b""), "");
    }
}
