//! From chunks of input to the commit.

#[cfg(feature = "neural")]
mod encoded;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::OnBadInput;
use super::target::{
    DENSE_FIELD, Fields, SPARSE_FIELD, TEXT_FIELD, no_dense_field, no_sparse_field,
};
use crate::cli::input::{Chunk, Reader, Record, parse};
use crate::cli::progress::Progress;
use crate::error::{Error, Result};
use crate::{CommitReport, Document, IndexWriter, ParsedBatch};

/// So many bad records are printed; more are only counted.
const BAD_RECORDS_SHOWN: u64 = 20;

/// A load under way.
pub struct Load<'a> {
    writer: &'a mut IndexWriter,
    fields: Arc<Fields>,
    on_bad_input: OnBadInput,
    /// Records parsed so far, bad ones included; counted by the writer's threads.
    records: Arc<AtomicU64>,
    bad_records: u64,
    input_bytes: u64,
}

/// What a load did.
pub struct Loaded {
    /// The commit.
    pub commit: CommitReport,
    /// Documents added or replaced.
    pub documents: u64,
    /// Records left out.
    pub bad_records: u64,
    /// Bytes of input, decompressed.
    pub input_bytes: u64,
}

impl<'a> Load<'a> {
    /// Begins a load.
    pub fn new(writer: &'a mut IndexWriter, fields: Fields, on_bad_input: OnBadInput) -> Self {
        Self {
            writer,
            fields: Arc::new(fields),
            on_bad_input,
            records: Arc::default(),
            bad_records: 0,
            input_bytes: 0,
        }
    }

    /// Loads `first` and the rest of `reader`, merges to `segments` if that is asked for, and commits.
    ///
    /// # Errors
    ///
    /// The first bad record, unless bad records are skipped; any error in reading the inputs and writing the index.
    pub fn run(
        mut self,
        first: Vec<Result<Chunk>>,
        reader: &mut Reader,
        segments: Option<u32>,
        progress: &mut Progress,
    ) -> Result<Loaded> {
        for item in first {
            self.take(item, progress)?;
        }
        while let Some(item) = reader.next() {
            self.take(item, progress)?;
            progress.update(reader.bytes_read(), self.records.load(Ordering::Relaxed));
        }
        self.finish(segments, progress)
    }

    /// Merges to `segments` if that is asked for, and commits.
    fn finish(mut self, segments: Option<u32>, progress: &mut Progress) -> Result<Loaded> {
        progress.phase("writing and merging segments");
        match segments {
            Some(segments) => self.writer.merge_to(segments as usize)?,
            None => self.writer.wait_for_merges()?,
        }
        self.take_bad_records(progress)?;
        if self.bad_records > BAD_RECORDS_SHOWN {
            let more = self.bad_records - BAD_RECORDS_SHOWN;
            progress.message(&format!("… and {more} more bad records"));
        }
        progress.phase("committing");
        let commit = self.writer.commit()?;
        let records = self.records.load(Ordering::Relaxed);
        Ok(Loaded {
            commit,
            documents: records - self.bad_records,
            bad_records: self.bad_records,
            input_bytes: self.input_bytes,
        })
    }

    /// Hands a chunk to the writer's threads.
    fn take(&mut self, item: Result<Chunk>, progress: &Progress) -> Result<()> {
        let (fields, records) = (Arc::clone(&self.fields), Arc::clone(&self.records));
        match item {
            Ok(chunk) => {
                self.input_bytes += chunk.bytes.len() as u64;
                self.writer
                    .add_parsed(move || parse_chunk(&chunk, &fields, &records))?;
            }
            // A record that is too large takes its turn among the others, so that the first error is the first.
            Err(error) if error.is_input() => self.writer.add_parsed(move || {
                records.fetch_add(1, Ordering::Relaxed);
                ParsedBatch {
                    errors: vec![error],
                    ..ParsedBatch::default()
                }
            })?,
            Err(error) => return Err(error),
        }
        self.take_bad_records(progress)
    }

    fn take_bad_records(&mut self, progress: &Progress) -> Result<()> {
        let errors = self.writer.take_errors();
        if self.on_bad_input == OnBadInput::Fail {
            return first_of(errors).map_or(Ok(()), Err);
        }
        for error in errors {
            self.bad_records += 1;
            if self.bad_records <= BAD_RECORDS_SHOWN {
                progress.message(&format!("bad record: {error}"));
            }
        }
        Ok(())
    }
}

/// The error of the first line among those about the same file as the first: duplicates are noticed after what cannot
/// be parsed.
fn first_of(errors: Vec<Error>) -> Option<Error> {
    let place = |error: &Error| match error {
        Error::InvalidInput { origin, .. } | Error::Limit { origin, .. } => origin.clone(),
        _ => None,
    };
    let file = errors.first().and_then(place).map(|origin| origin.file);
    errors.into_iter().min_by_key(|error| {
        let origin = place(error).filter(|origin| Some(&origin.file) == file.as_ref());
        origin.map_or(u64::MAX, |origin| origin.line)
    })
}

/// Parses a chunk; runs on the writer's threads.
fn parse_chunk(chunk: &Chunk, fields: &Fields, records: &AtomicU64) -> ParsedBatch {
    let mut batch = ParsedBatch {
        file: Arc::clone(&chunk.file),
        ..ParsedBatch::default()
    };
    parse(chunk, &mut |result| {
        let line = result.as_ref().map_or(0, |record| record.line);
        match result.and_then(|record| document_of(record, fields)) {
            Ok(document) => {
                batch.documents.push(document);
                batch.lines.push(line);
            }
            Err(error) => batch.errors.push(error),
        }
    });
    let parsed = batch.documents.len() + batch.errors.len();
    records.fetch_add(parsed as u64, Ordering::Relaxed);
    batch
}

fn document_of(mut record: Record, fields: &Fields) -> Result<Document> {
    let text = match &record.title {
        None => record.text.take().unwrap_or_default(),
        Some(_) => record.contents().into_owned(),
    };
    let mut document = Document::new(record.id).with_text(TEXT_FIELD, text);
    if let Some(vector) = record.vector {
        if !fields.sparse {
            return Err(no_sparse_field().at_line(&*record.file, record.line));
        }
        document = document.with_sparse(SPARSE_FIELD, vector);
    }
    if let Some(vector) = record.dense {
        if !fields.dense {
            return Err(no_dense_field().at_line(&*record.file, record.line));
        }
        document = document.with_dense(DENSE_FIELD, vector);
    }
    if let Some(stored) = &fields.stored {
        document = document.with_stored(stored.as_str(), record.source);
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_first_file_is_the_first_error() {
        let errors = vec![
            Error::invalid("b").at_line("x", 9),
            Error::invalid("c").at_line("y", 1),
            Error::invalid("a").at_line("x", 2),
        ];
        assert_eq!(first_of(errors).unwrap().to_string(), "x:2: a");
        assert!(first_of(Vec::new()).is_none());
    }

    #[test]
    fn a_vector_without_a_field_is_refused_at_its_line() {
        let chunk = Chunk {
            file: "v.jsonl".into(),
            first_line: 4,
            format: crate::cli::input::RecordFormat::JsonLines,
            bytes: b"{\"id\":\"a\"}\n{\"id\":\"b\",\"vector\":{\"x\":1}}\n{\"id\":\"c\",\"vector\":[1]}\n".to_vec(),
        };
        let fields = Fields {
            sparse: false,
            dense: false,
            stored: None,
        };
        let records = AtomicU64::new(0);
        let batch = parse_chunk(&chunk, &fields, &records);
        assert_eq!(
            (batch.documents.len(), batch.lines.as_slice()),
            (1, &[4][..])
        );
        let message = batch.errors[0].to_string();
        assert!(
            message.starts_with("v.jsonl:5: field `vector`: "),
            "{message}"
        );
        let message = batch.errors[1].to_string();
        assert!(
            message.starts_with("v.jsonl:6: field `vector`: the index has no dense field"),
            "{message}"
        );
        assert_eq!(records.into_inner(), 3);
    }
}
