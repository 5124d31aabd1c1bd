//! Loads whose vectors are made by models on the way.
//!
//! Records are read in windows; while the lanes of the models encode one, the one before goes to the writer's threads and the next is read.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Load, Loaded, document_of};
use crate::cli::index::encoding::{Encoders, Vectors};
use crate::cli::index::target::{DENSE_FIELD, Fields, SPARSE_FIELD};
use crate::cli::input::Record;
use crate::cli::progress::Progress;
use crate::cli::records::{Read, Records};
use crate::error::{Error, Result};
use crate::neural::{Encoded, for_each_window};
use crate::{Document, ParsedBatch};

impl Load<'_> {
    /// Loads all records with the vectors that the models make of them, merges to `segments` if that is asked for, and commits.
    ///
    /// # Errors
    ///
    /// Those of [`Load::run`], and [`Error::Device`].
    pub fn run_encoded(
        mut self,
        records: Records,
        encoders: &Encoders,
        segments: Option<u32>,
        progress: &mut Progress,
    ) -> Result<Loaded> {
        let mut tokens = 0;
        for_each_window(
            records,
            |read| {
                read.record
                    .as_ref()
                    .map_or(0, |record| record.contents().len())
            },
            encoders.window_size(),
            encoders.are_threaded(),
            |window| encode(window, encoders),
            |window, encoded| {
                let encoded = encoded?;
                tokens += encoded.tokens;
                let read = window
                    .last()
                    .map(|read| (read.bytes_read, read.input_bytes));
                let (bytes_read, input_bytes) = read.unwrap_or_default();
                self.input_bytes = input_bytes;
                self.records
                    .fetch_add(window.len() as u64, Ordering::Relaxed);
                for batch in batches(window, encoded.results, encoders, &self.fields)? {
                    self.writer.add_parsed(move || batch)?;
                }
                self.take_bad_records(progress)?;
                let records = self.records.load(Ordering::Relaxed);
                progress.update_with_tokens(bytes_read, records, tokens);
                Ok(())
            },
        )?;
        self.finish(segments, progress)
    }
}

/// The vectors of a window's records; a record without text has none, and so has one that cannot be read.
fn encode(window: &[Read], encoders: &Encoders) -> Result<Encoded<Vectors>> {
    let texts: Vec<_> = window
        .iter()
        .map(|read| read.record.as_ref().ok().map(Record::contents))
        .map(|text| text.filter(|text| !text.trim().is_empty()))
        .collect();
    let with_text: Vec<&str> = texts.iter().flatten().map(AsRef::as_ref).collect();
    let encoded = encoders.encode(&with_text)?;
    let mut vectors = encoded.results.into_iter();
    let of_text = |text: &Option<_>| match text {
        Some(_) => vectors.next(),
        None => None,
    };
    let results = texts.iter().map(of_text);
    Ok(Encoded {
        results: results
            .map(|vectors| vectors.unwrap_or_else(|| Ok(Vectors::default())))
            .collect(),
        tokens: encoded.tokens,
        full: encoded.full,
    })
}

/// The documents of a window, those of each file together, and what became none.
fn batches(
    window: Vec<Read>,
    results: Vec<Result<Vectors>>,
    encoders: &Encoders,
    fields: &Fields,
) -> Result<Vec<ParsedBatch>> {
    let mut batches: Vec<ParsedBatch> = vec![ParsedBatch::default()];
    for (read, vectors) in window.into_iter().zip(results) {
        let place = read
            .record
            .as_ref()
            .ok()
            .map(|record| (Arc::clone(&record.file), record.line));
        let document = read
            .record
            .and_then(|record| document(record, vectors, encoders, fields));
        if let Some((file, _)) = &place
            && batches.last().is_some_and(|batch| batch.file != *file)
        {
            batches.push(ParsedBatch {
                file: Arc::clone(file),
                ..ParsedBatch::default()
            });
        }
        let Some(batch) = batches.last_mut() else {
            continue;
        };
        match document {
            Ok(document) => {
                batch.documents.push(document);
                batch.lines.push(place.map_or(0, |(_, line)| line));
            }
            Err(error) if error.is_input() => batch.errors.push(error),
            Err(error) => return Err(error),
        }
    }
    Ok(batches)
}

fn document(
    record: Record,
    vectors: Result<Vectors>,
    encoders: &Encoders,
    fields: &Fields,
) -> Result<Document> {
    let (file, line) = (Arc::clone(&record.file), record.line);
    let at_line = |error: Error| error.at_line(&*file, line);
    let vectors = vectors.map_err(|error| match error.is_input() {
        true => {
            let message = format!("document `{}` cannot be encoded: {error}", record.id);
            at_line(Error::invalid(message))
        }
        false => error,
    })?;
    let has_both = record.vector.is_some() && encoders.make_sparse()
        || record.dense.is_some() && encoders.make_dense();
    if has_both {
        let message =
            "the record has a vector of the kind that the model makes; leave out one of them";
        return Err(at_line(Error::invalid(message).in_field("vector")));
    }
    let mut document = document_of(record, fields)?;
    if let Some(vector) = vectors.sparse {
        document = document.with_sparse(SPARSE_FIELD, vector);
    }
    if let Some(vector) = vectors.dense {
        document = document.with_dense(DENSE_FIELD, vector);
    }
    Ok(document)
}
