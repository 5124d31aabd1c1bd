//! The records of all inputs, one after another.

use std::collections::VecDeque;

use super::input::{Chunk, Reader, Record, RecordFormat, parse};
use crate::error::Result;

/// A record, or why there is none, and how far the inputs have been read.
pub struct Read {
    /// The record.
    pub record: Result<Record>,
    /// Bytes of input read so far, compressed as they are.
    pub bytes_read: u64,
    /// The same, decompressed.
    pub input_bytes: u64,
}

/// Reads inputs record by record; holds no more of them in memory than a chunk.
pub struct Records {
    reader: Reader,
    /// Chunks that were read before.
    first: std::vec::IntoIter<Result<Chunk>>,
    ready: VecDeque<Result<Record>>,
    input_bytes: u64,
}

impl Records {
    /// All records of `reader`.
    pub fn new(reader: Reader) -> Self {
        Self::after(Vec::new(), reader)
    }

    /// The records of chunks that were read already, then those of the rest of `reader`.
    pub fn after(first: Vec<Result<Chunk>>, reader: Reader) -> Self {
        Self {
            reader,
            first: first.into_iter(),
            ready: VecDeque::new(),
            input_bytes: 0,
        }
    }
}

impl Iterator for Records {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        while self.ready.is_empty() {
            match self.first.next().or_else(|| self.reader.next())? {
                Ok(chunk) => {
                    self.input_bytes += chunk.bytes.len() as u64;
                    parse(&chunk, &mut |record| self.ready.push_back(record));
                }
                Err(error) => self.ready.push_back(Err(error)),
            }
        }
        Some(Read {
            record: self.ready.pop_front()?,
            bytes_read: self.reader.bytes_read(),
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
    fn stored_documents_give_what_was_indexed() {
        let stored = br#"{"_id":"a","title":"Etna","text":"a  volcano"}"#;
        assert_eq!(stored_contents(stored), "Etna a  volcano");
        assert_eq!(stored_contents(b"plain text"), "plain text");
        assert_eq!(stored_contents(b""), "");
    }
}
