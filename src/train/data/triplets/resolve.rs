//! Lines of ids, resolved to numbers of texts.

use super::super::random_file::RandomFile;
use super::super::texts::Texts;
use super::super::unknown::UnknownIds;
use super::line::Columns;
use crate::error::Result;

/// Turns lines of ids into rows: query, number of relevant documents, relevant documents, negatives.
/// Ids that no text has are counted, and refused at the end.
pub(super) struct Resolver<'a> {
    queries: &'a Texts,
    corpus: &'a Texts,
    unknown: [UnknownIds; 2],
    /// The last query found: neighbouring lines often have the same one.
    last: (String, u32),
    /// Where the first line with an unknown id starts.
    first: Option<u64>,
}

impl<'a> Resolver<'a> {
    pub fn new(queries: &'a Texts, corpus: &'a Texts) -> Self {
        Self {
            queries,
            corpus,
            unknown: [UnknownIds::new("query"), UnknownIds::new("document")],
            last: (String::new(), 0),
            first: None,
        }
    }

    /// Appends the numbers of a line to an empty row; `start` is where the line starts. An unknown id
    /// becomes 0: the rows are not used then.
    pub fn row(&mut self, line: &Columns<'_>, start: u64, row: &mut Vec<u32>) -> Result<()> {
        let before = self.unknown();
        let query = self.query(&line.query)?;
        // A line is at most 16 MiB long.
        row.extend([query, line.relevant.len() as u32]);
        for id in line.relevant.iter().chain(&line.negatives) {
            let number = self.unknown[1].number(self.corpus, id)?;
            row.push(number.unwrap_or(0));
        }
        if self.unknown() > before {
            self.first.get_or_insert(start);
        }
        Ok(())
    }

    fn query(&mut self, id: &str) -> Result<u32> {
        // Ids are never empty, so the initial one is none.
        if self.last.0 == id {
            return Ok(self.last.1);
        }
        let Some(number) = self.unknown[0].number(self.queries, id)? else {
            return Ok(0);
        };
        self.last.0.clear();
        self.last.0.push_str(id);
        self.last.1 = number;
        Ok(number)
    }

    fn unknown(&self) -> u64 {
        self.unknown.iter().map(UnknownIds::count).sum()
    }

    /// Refuses unknown ids, if there were any.
    pub fn finish(self, file: &RandomFile) -> Result<()> {
        let error = UnknownIds::error(&self.unknown, [self.queries, self.corpus]);
        match (error, self.first) {
            (Some(error), Some(start)) => Err(error.at_line(file.name(), file.line_number(start)?)),
            _ => Ok(()),
        }
    }
}
