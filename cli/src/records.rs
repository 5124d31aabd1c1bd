//! The records of all inputs, one after another.

use std::collections::VecDeque;

use esparsa::Result;

use crate::input::{
    Chunk, Ids, OnDuplicate, Position, Reader, Record, RecordFormat, Source, parse,
};

/// A record or its error, and how far the inputs have been read.
pub struct Read {
    /// The record.
    pub record: Result<Record>,
    /// True if it is an error because an earlier record has its id.
    pub is_duplicate: bool,
    /// Bytes of input up to here, as they are on disk; interpolated within a chunk.
    pub bytes_read: u64,
    /// Where the next record is.
    pub position: Position,
}

/// Reads inputs record by record; holds no more of them in memory than a chunk.
pub struct Records {
    source: Source,
    ids: Ids,
    ready: VecDeque<Result<Record>>,
    /// Where the chunk of `ready` begins, and how many of its records were returned.
    position: Position,
    /// Bytes of input before that chunk and after it, and how many records it has.
    start: u64,
    end: u64,
    parsed: usize,
}

impl Records {
    /// All records of `reader`, including those with the same id.
    pub fn new(reader: Reader) -> Self {
        let source = Source::new(Vec::new(), reader);
        Self::of(source, Ids::new(OnDuplicate::Replace))
    }

    /// The records of `source`; one whose id is in `ids` already is an error.
    pub fn of(source: Source, ids: Ids) -> Self {
        Self {
            position: source.position(),
            source,
            ids,
            ready: VecDeque::new(),
            start: 0,
            end: 0,
            parsed: 0,
        }
    }

    /// Skips the records before `end`; only their ids are remembered.
    ///
    /// # Errors
    ///
    /// Those of [`Source::skip_to`].
    pub fn skip_to(&mut self, end: &Position) -> Result<()> {
        let ids = &mut self.ids;
        self.source.skip_to(end, |chunk| {
            if ids.are_kept() {
                parse(chunk, &mut |record| note(ids, record));
            }
        })?;
        self.position = self.source.position();
        while self.position.records < end.records && self.fill() {
            if let Some(record) = self.ready.pop_front() {
                self.position.records += 1;
                note(&mut self.ids, record);
            }
        }
        Ok(())
    }

    /// Reads on until a record is ready; false at the end.
    fn fill(&mut self) -> bool {
        while self.ready.is_empty() {
            self.position = self.source.position();
            match self.source.next() {
                Some(Ok(chunk)) => parse(&chunk, &mut |record| self.ready.push_back(record)),
                Some(Err(error)) => self.ready.push_back(Err(error)),
                None => return false,
            }
            self.start = std::mem::replace(&mut self.end, self.source.bytes_read());
            self.parsed = self.ready.len();
        }
        true
    }
}

/// Remembers the id of a record before the interruption. The second of two with the same id was
/// skipped then.
fn note(ids: &mut Ids, record: Result<Record>) {
    if let Ok(record) = record {
        let _ = ids.add(&record.id, &record.file, record.line);
    }
}

impl Iterator for Records {
    type Item = Read;

    fn next(&mut self) -> Option<Read> {
        if !self.fill() {
            return None;
        }
        let mut record = self.ready.pop_front()?;
        self.position.records += 1;
        let mut is_duplicate = false;
        if let Ok(found) = &record
            && let Err(error) = self.ids.add(&found.id, &found.file, found.line)
        {
            record = Err(error);
            is_duplicate = true;
        }
        // After the last record of a chunk the next one is in the next chunk.
        let position = match self.ready.is_empty() {
            true => self.source.position(),
            false => Position {
                bytes: self.source.position().bytes,
                ..self.position
            },
        };
        let taken = self.parsed - self.ready.len();
        let share = taken as f64 / self.parsed as f64;
        Some(Read {
            record,
            is_duplicate,
            bytes_read: self.start + ((self.end - self.start) as f64 * share) as u64,
            position,
        })
    }
}

/// Title and text of a stored document, as they were when it was indexed; of a document that is no
/// JSON object, all of it.
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
    use crate::input::InputFormat;

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
            let source = Source::new(first, reader);
            let records = Records::of(source, Ids::new(OnDuplicate::Replace));
            let read = records.map(|read| read.bytes_read);
            assert_eq!(read.collect::<Vec<_>>(), [6, 12, 18, 24]);
        }
    }

    #[test]
    fn any_record_can_be_the_next_after_an_interruption() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in.tsv");
        let filler = "words ".repeat(200);
        let lines = (0..2_000).map(|line| format!("{}\t{filler}\n", line % 1_990));
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        let records = || {
            let reader = Reader::open(std::slice::from_ref(&path), InputFormat::Auto).unwrap();
            Records::of(Source::new(Vec::new(), reader), Ids::new(OnDuplicate::Skip))
        };
        let outcome = |read: Read| (read.record.map(|record| record.line).ok(), read.position);
        let whole: Vec<_> = records().map(outcome).collect();
        let kept = whole.iter().filter(|(line, _)| line.is_some());
        assert_eq!(kept.count(), 1_990);
        for done in [1, 700, 1_500, 1_995, 2_000] {
            let mut rest = records();
            rest.skip_to(&whole[done - 1].1).unwrap();
            let rest: Vec<_> = rest.map(outcome).collect();
            assert!(rest == whole[done..], "after {done}");
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
