//! Documents that an application parses on the writer's threads.

use std::sync::Arc;

use crate::error::{Error, Result};
use crate::segment::Document;

/// Documents parsed from one piece of input, and the errors of the records that could not be
/// parsed; see [`IndexWriter::add_parsed`](crate::IndexWriter::add_parsed).
///
/// ```
/// use esparsa::{Document, Index, ParsedBatch, Schema, Text};
///
/// let index = Index::in_memory(Schema::builder().text("text", Text::new()).build()?)?;
/// let mut writer = index.writer()?;
/// writer.add_parsed(|| {
///     let mut batch = ParsedBatch::of_file("volcanoes.txt");
///     for (line, text) in (1..).zip(["Etna", "Hekla"]) {
///         batch.add_line(Document::new(format!("{line}")).with_text("text", text), line);
///     }
///     batch
/// })?;
/// assert_eq!(writer.commit()?.documents, 2);
/// # Ok::<(), esparsa::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct ParsedBatch {
    pub(super) documents: Vec<Document>,
    pub(super) file: Arc<str>,
    /// The line of each document, 0 where it is not known; empty when no line is known.
    pub(super) lines: Vec<u64>,
    pub(super) errors: Vec<Error>,
}

impl ParsedBatch {
    /// An empty batch of documents that come from no file.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch of documents from `file`, which errors name.
    pub fn of_file(file: impl Into<Arc<str>>) -> Self {
        Self {
            file: file.into(),
            ..Self::default()
        }
    }

    pub(super) fn of_documents(documents: Vec<Document>) -> Self {
        Self {
            documents,
            ..Self::default()
        }
    }

    /// Adds a document.
    pub fn add(&mut self, document: Document) {
        // Lines are stored only if there are any: they would count towards the writer's memory.
        if !self.lines.is_empty() {
            self.lines.push(0);
        }
        self.documents.push(document);
    }

    /// Adds the document of a line of the file, counted from 1; errors about the document name it.
    pub fn add_line(&mut self, document: Document, line: u64) {
        self.lines.resize(self.documents.len(), 0);
        self.lines.push(line);
        self.documents.push(document);
    }

    /// Adds the error of a record that could not be parsed.
    /// [`IndexWriter::take_errors`](crate::IndexWriter::take_errors) returns it.
    pub fn add_error(&mut self, error: Error) {
        self.errors.push(error);
    }

    /// Name of the file; empty when the documents come from no file.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The line of each document, 0 where it is not known; empty when no line is known.
    pub fn lines(&self) -> &[u64] {
        &self.lines
    }

    /// Drops the documents that `check` refuses, and adds an error for each of them.
    pub(super) fn retain(&mut self, check: impl Fn(&Document) -> Result<()>) {
        let mut lines = std::mem::take(&mut self.lines).into_iter();
        for document in std::mem::take(&mut self.documents) {
            let line = lines.next();
            match check(&document) {
                Ok(()) => {
                    self.documents.push(document);
                    self.lines.extend(line);
                }
                Err(error) => {
                    let error = error.at_line(&*self.file, line.unwrap_or(0));
                    self.errors.push(error);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_with_their_documents() {
        let mut batch = ParsedBatch::of_file("a.jsonl");
        batch.add(Document::new("a"));
        assert!(batch.lines().is_empty());
        batch.add_line(Document::new("b"), 7);
        batch.add(Document::new("c"));
        assert_eq!(batch.lines(), [0, 7, 0]);
        batch.retain(|document| match document.id() {
            "b" => Err(Error::invalid("refused")),
            _ => Ok(()),
        });
        assert_eq!(batch.lines(), [0, 0]);
        let errors: Vec<String> = batch.errors.iter().map(ToString::to_string).collect();
        assert!(errors[0].starts_with("a.jsonl:7"), "{errors:?}");
    }
}
