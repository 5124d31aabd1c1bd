//! From chunks of input to commits.

mod encoded;
mod intake;

use std::sync::Arc;

use esparsa::{CommitReport, Document, Error, FieldValue, IndexWriter, Result, Schema};

use self::intake::{Intake, Parsed, Tally};
use super::checkpoint::Done;
use super::columns;
use super::commits::Commits;
use super::problems::{Problem, Problems};
use super::target::{
    DENSE_FIELD, Fields, SPARSE_FIELD, TEXT_FIELD, no_dense_field, no_sparse_field,
};
use crate::input::{Chunk, Ids, Position, Record, Source, TEXT_KEYS, parse};
use crate::progress::Progress;
use crate::size::counted;

/// How records become documents.
#[derive(Debug)]
pub struct Mapping {
    /// The fields that documents get.
    pub fields: Fields,
    /// What documents are checked against.
    pub schema: Schema,
}

/// A load in progress.
pub struct Load<'a> {
    /// Writes the documents.
    pub writer: &'a mut IndexWriter,
    /// What the documents are like.
    pub mapping: Arc<Mapping>,
    /// Records that are not loaded.
    pub problems: Problems,
    /// When to commit.
    pub commits: &'a mut Commits,
    /// Where the load starts: at the beginning, unless it is resumed.
    pub start: Done,
    /// Max number of segments at the end.
    pub segments: Option<u32>,
    /// Keys of the first records, if none of these can be searched.
    pub keys: Vec<String>,
}

/// What a load did.
pub struct Loaded {
    /// The last commit.
    pub commit: CommitReport,
    /// Documents added or replaced, without those before an interruption.
    pub documents: u64,
    /// Documents loaded before the load was interrupted.
    pub resumed_after: u64,
    /// Records skipped because they cannot be read.
    pub bad_records: u64,
    /// Records skipped because an earlier one has their id.
    pub duplicates: u64,
    /// Bytes of input, decompressed, without those before an interruption.
    pub input_bytes: u64,
}

impl Load<'_> {
    /// Loads `source`, merges and commits. `ids` says what becomes of duplicates.
    ///
    /// # Errors
    ///
    /// The first bad record and the first duplicate, unless these are skipped; any error in reading
    /// the inputs and writing the index.
    pub fn run(
        mut self,
        mut source: Source,
        mut ids: Ids,
        progress: &mut Progress,
    ) -> Result<Loaded> {
        source.skip_to(&self.start.position, |chunk| {
            if ids.are_kept() {
                for parsed in parse_chunk(chunk, &self.mapping) {
                    if let Ok(document) = &parsed.document {
                        // The second of two with the same id was skipped before the interruption.
                        let _ = ids.add(document.id(), &chunk.file, parsed.line);
                    }
                }
            }
        })?;
        let intake = Intake::new(ids);
        let mut chunks = 0;
        while let Some(item) = source.next() {
            let (documents, bytes) = self.hand_on(item, &intake, chunks)?;
            chunks += 1;
            self.take_problems(&intake, progress)?;
            progress.update(
                source.bytes_read(),
                intake.with_tally(|tally| tally.records),
            );
            self.commits.add(documents, bytes);
            if self.commits.are_due() {
                // Only then are all problems of the documents to be committed known.
                intake.wait_for(chunks);
                self.take_problems(&intake, progress)?;
                self.commit_part(&intake, source.position())?;
            }
        }
        intake.wait_for(chunks);
        self.take_problems(&intake, progress)?;
        self.finish(&intake, source.position(), progress)
    }

    /// Passes a chunk to the writer's threads; returns its approximate number of documents, and its
    /// bytes.
    fn hand_on(
        &mut self,
        item: Result<Chunk>,
        intake: &Arc<Intake>,
        number: u64,
    ) -> Result<(u64, u64)> {
        let ticket = intake.ticket(number);
        match item {
            Ok(chunk) => {
                let size = (chunk.records_about(), chunk.bytes.len() as u64);
                let mapping = Arc::clone(&self.mapping);
                self.writer.add_parsed(move || {
                    let parsed = parse_chunk(&chunk, &mapping);
                    ticket.take(&chunk.file, parsed)
                })?;
                Ok(size)
            }
            // An oversized record takes its turn like a chunk, so that errors are reported in the
            // order of the input.
            Err(error) if error.is_input() => {
                let parsed = vec![Parsed {
                    document: Err(error),
                    line: 0,
                    has_content: false,
                    encoding: None,
                }];
                self.writer
                    .add_parsed(move || ticket.take(&Arc::from(""), parsed))?;
                Ok((1, 0))
            }
            Err(error) => Err(error),
        }
    }

    fn take_problems(&mut self, intake: &Intake, progress: &Progress) -> Result<()> {
        for problem in intake.take_problems() {
            self.problems.take(problem, progress)?;
        }
        for error in self.writer.take_errors() {
            self.problems.take(Problem::bad(error), progress)?;
        }
        Ok(())
    }

    /// Commits everything before `position`, unless no document so far can be searched.
    fn commit_part(&mut self, intake: &Intake, position: Position) -> Result<()> {
        if !self.has_content(intake) {
            return Ok(());
        }
        let done = self.done(intake, position);
        let commit = self.writer.commit()?;
        self.commits.note(commit, done, false)
    }

    /// Merges to the requested number of segments, and commits.
    fn finish(
        mut self,
        intake: &Intake,
        position: Position,
        progress: &mut Progress,
    ) -> Result<Loaded> {
        if !self.has_content(intake) && intake.with_tally(|tally| tally.documents) > 0 {
            return Err(self.nothing_to_search());
        }
        progress.phase("writing and merging segments");
        match self.segments {
            Some(segments) => self.writer.merge_to(segments as usize)?,
            None => self.writer.wait_for_merges()?,
        }
        self.take_problems(intake, progress)?;
        self.problems.finish(progress);
        progress.phase("committing");
        let done = self.done(intake, position);
        let commit = self.writer.commit()?;
        self.commits.note(commit, done, true)?;
        intake.with_tally(|tally| warn(tally, progress));
        Ok(Loaded {
            commit,
            documents: done.documents - self.start.documents,
            resumed_after: self.start.documents,
            bad_records: self.problems.bad_records,
            duplicates: self.problems.duplicates,
            input_bytes: position.bytes.saturating_sub(self.start.position.bytes),
        })
    }

    fn has_content(&self, intake: &Intake) -> bool {
        self.start.documents > 0 || intake.with_tally(|tally| tally.has_content)
    }

    fn done(&self, intake: &Intake, position: Position) -> Done {
        let documents = intake.with_tally(|tally| tally.documents);
        Done {
            position,
            documents: self.start.documents + documents,
        }
    }

    /// The error for a load without anything to search.
    fn nothing_to_search(&self) -> Error {
        let quoted = |keys: &mut dyn Iterator<Item = &str>| {
            let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
            keys.join(", ")
        };
        Error::invalid(format!(
            "no document of the load has a text or a vector to be searched; the first ones have {}. A text is expected in {}, a \
             title in `title`, a vector in `vector`",
            match self.keys.is_empty() {
                true => "empty texts".to_owned(),
                false => format!(
                    "the keys {}",
                    quoted(&mut self.keys.iter().map(String::as_str))
                ),
            },
            quoted(&mut TEXT_KEYS.into_iter())
        ))
    }
}

/// Warns about encodings and ids of the loaded documents.
fn warn(tally: &Tally, progress: &Progress) {
    for (encoding, count) in &tally.encodings {
        progress.message(&format!(
            "{} not UTF-8, read as {encoding}; `--encoding` names another encoding",
            counted(*count, "document")
        ));
    }
    if let Some(id) = &tally.first_escaped {
        progress.message(&format!(
            "{} white space or control characters, the first `{id}`: runs write these as `%20` and the like, which \
             esparsa reads back",
            match tally.escaped_ids {
                1 => "1 id has".to_owned(),
                count => format!("{} have", counted(count, "id")),
            }
        ));
    }
}

/// Parses a chunk; runs on the writer's threads.
fn parse_chunk(chunk: &Chunk, mapping: &Mapping) -> Vec<Parsed> {
    let mut all = Vec::new();
    parse(chunk, &mut |result| {
        all.push(match result {
            Ok(record) => parsed(record, mapping),
            Err(error) => Parsed {
                document: Err(error),
                line: 0,
                has_content: false,
                encoding: None,
            },
        });
    });
    all
}

fn parsed(record: Record, mapping: &Mapping) -> Parsed {
    let (line, encoding) = (record.line, record.encoding);
    let has_content = record.has_content();
    let file = Arc::clone(&record.file);
    let document = document_of(record, &mapping.fields).and_then(|document| {
        let checked = document.check(&mapping.schema);
        checked
            .map(|()| document)
            .map_err(|error| error.at_line(&*file, line))
    });
    let has_column = |document: &Document| {
        let mut values = document.values().iter();
        values.any(|(_, value)| matches!(value, FieldValue::Column(_)))
    };
    Parsed {
        has_content: has_content || document.as_ref().is_ok_and(has_column),
        document,
        line,
        encoding,
    }
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
    let with_columns = columns::with_columns(document, &fields.columns, &record.source);
    document = with_columns.map_err(|error| error.at_line(&*record.file, record.line))?;
    if let Some(stored) = &fields.stored {
        document = document.with_stored(stored.as_str(), record.source);
    }
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_without_a_field_is_refused_at_its_line() {
        let chunk = Chunk {
            file: "v.jsonl".into(),
            first_line: 4,
            format: crate::input::RecordFormat::JsonLines,
            bytes: b"{\"id\":\"a\"}\n{\"id\":\"b\",\"vector\":{\"x\":1}}\n{\"id\":\"c\",\"vector\":[1]}\n".to_vec(),
        };
        let mapping = Mapping {
            fields: Fields {
                sparse: false,
                dense: false,
                stored: None,
                columns: Vec::new(),
            },
            schema: Schema::builder()
                .text(TEXT_FIELD, esparsa::Text::new().analyzer("en"))
                .build()
                .unwrap(),
        };
        let parsed = parse_chunk(&chunk, &mapping);
        assert_eq!(parsed.len(), 3);
        assert_eq!((parsed[0].line, parsed[0].has_content), (4, false));
        assert!(parsed[0].document.is_ok());
        let message = |place: usize| parsed[place].document.as_ref().unwrap_err().to_string();
        assert!(message(1).starts_with("v.jsonl:5: field `vector`: "));
        let dense = "v.jsonl:6: field `vector`: the index has no dense field";
        assert!(message(2).starts_with(dense), "{}", message(2));
    }
}
