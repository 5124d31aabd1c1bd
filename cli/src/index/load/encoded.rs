//! Loads whose documents are encoded by models.
//!
//! Records are read in windows: while the models encode one, the previous one goes to the writer's
//! threads and the next one is read.

use std::sync::Arc;

use esparsa::neural::{Encoded, for_each_window};
use esparsa::{Document, Error, ParsedBatch, Result};

use super::intake::Intake;
use super::{Ids, Load, Loaded, Mapping, Problem, Source, document_of};
use crate::index::encoding::{Encoders, Vectors};
use crate::index::target::{DENSE_FIELD, SPARSE_FIELD};
use crate::input::{OnDuplicate, Record};
use crate::progress::Progress;
use crate::records::{Read, Records};

impl Load<'_> {
    /// As [`Load::run`], with the vectors that the models make of the records.
    ///
    /// # Errors
    ///
    /// Those of [`Load::run`], and [`Error::Device`].
    pub fn run_encoded(
        mut self,
        source: Source,
        ids: Ids,
        encoders: &Encoders,
        progress: &mut Progress,
    ) -> Result<Loaded> {
        let mut records = Records::of(source, ids);
        records.skip_to(&self.start.position)?;
        // Duplicates are found where records are read, so that no model encodes them.
        let intake = Intake::new(Ids::new(OnDuplicate::Replace));
        let mut position = self.start.position;
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
                let records = window.len() as u64;
                let last = window.last().map(|read| (read.bytes_read, read.position));
                let (bytes_read, end) = last.unwrap_or((0, position));
                let (batches, problems) =
                    batches(window, encoded.results, encoders, &self.mapping, &intake)?;
                for problem in problems {
                    self.problems.take(problem, progress)?;
                }
                for batch in batches {
                    self.writer.add_parsed(move || batch)?;
                }
                self.take_problems(&intake, progress)?;
                let all = intake.with_tally(|tally| tally.records);
                progress.update_with_tokens(bytes_read, all, tokens);
                self.commits
                    .add(records, end.bytes.saturating_sub(position.bytes));
                position = end;
                match self.commits.are_due() {
                    true => self.commit_part(&intake, position),
                    false => Ok(()),
                }
            },
        )?;
        self.finish(&intake, position, progress)
    }
}

/// The vectors of a window's records; records without text and records that cannot be read have
/// none.
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

/// The documents of a window, in one batch per file, and the problems of the other records.
fn batches(
    window: Vec<Read>,
    results: Vec<Result<Vectors>>,
    encoders: &Encoders,
    mapping: &Mapping,
    intake: &Intake,
) -> Result<(Vec<ParsedBatch>, Vec<Problem>)> {
    let mut batches: Vec<ParsedBatch> = Vec::new();
    let mut problems = Vec::new();
    for (read, vectors) in window.into_iter().zip(results) {
        intake.with_tally(|tally| tally.records += 1);
        let record = match read.record {
            Ok(record) => record,
            Err(error) => {
                problems.push(Problem {
                    error,
                    is_duplicate: read.is_duplicate,
                });
                continue;
            }
        };
        let (file, line) = (Arc::clone(&record.file), record.line);
        match document(record, vectors, encoders, mapping, intake) {
            Ok(document) => {
                if batches.last().is_none_or(|batch| batch.file() != &*file) {
                    batches.push(ParsedBatch::of_file(file));
                }
                if let Some(batch) = batches.last_mut() {
                    batch.add_line(document, line);
                }
            }
            Err(error) if error.is_input() => problems.push(Problem::bad(error)),
            Err(error) => return Err(error),
        }
    }
    Ok((batches, problems))
}

fn document(
    record: Record,
    vectors: Result<Vectors>,
    encoders: &Encoders,
    mapping: &Mapping,
    intake: &Intake,
) -> Result<Document> {
    let (file, line) = (Arc::clone(&record.file), record.line);
    let (has_content, encoding) = (record.has_content(), record.encoding);
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
        let message = "the record has a vector of the kind that the model makes; omit one of them";
        return Err(at_line(Error::invalid(message).in_field("vector")));
    }
    let mut document = document_of(record, &mapping.fields)?;
    if let Some(vector) = vectors.sparse {
        document = document.with_sparse(SPARSE_FIELD, vector);
    }
    if let Some(vector) = vectors.dense {
        document = document.with_dense(DENSE_FIELD, vector);
    }
    document.check(&mapping.schema).map_err(at_line)?;
    intake.with_tally(|tally| tally.note(document.id(), has_content, encoding));
    Ok(document)
}
