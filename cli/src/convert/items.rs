//! Documents and queries of any format, one after another.
//!
//! The rows of TSV files are read here, because those of published collections have forms of their
//! own: everything after the first tab is the text, or the columns are id, URL, title and body.

use std::sync::Arc;

use esparsa::eval::{self, read_queries};
use esparsa::{Error, Result};

use crate::input::{
    self, Chunk, Reader, Record, RecordFormat, are_column_names, check_id, excerpt,
};

/// How the rows of TSV files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rows {
    /// An id, a tab, and the text, which may have tabs.
    Text,
    /// The same, or MS MARCO's documents (id, URL, title, body) where the first row of a file has a
    /// URL in its second of four columns.
    TextOrDocument,
}

/// A document or a query.
#[derive(Debug, PartialEq)]
pub(super) struct Item {
    pub id: String,
    pub title: String,
    pub text: String,
    /// Where it is.
    pub file: Arc<str>,
    pub line: u64,
    /// The encoding that was detected, if it is not UTF-8.
    pub encoding: Option<&'static str>,
}

impl Item {
    /// An error about it.
    pub fn error(&self, message: impl Into<String>) -> Error {
        Error::invalid(message).at_line(&*self.file, self.line)
    }

    /// True without any words.
    pub fn is_empty(&self) -> bool {
        self.title.trim().is_empty() && self.text.trim().is_empty()
    }

    fn of(record: Record) -> Self {
        Self {
            id: record.id,
            title: record.title.unwrap_or_default(),
            text: record.text.unwrap_or_default(),
            file: record.file,
            line: record.line,
            encoding: record.encoding,
        }
    }
}

/// Parses chunks; remembers what the first row of a file says about the others.
#[derive(Debug)]
pub(super) struct ItemParser {
    rows: Rows,
    is_of_documents: bool,
    /// Whether a row of the file was read.
    is_begun: bool,
    /// A file whose first row names the columns, which is skipped.
    pub header: Option<Arc<str>>,
}

impl ItemParser {
    /// A parser of rows of this form.
    pub fn new(rows: Rows) -> Self {
        Self {
            rows,
            is_of_documents: false,
            is_begun: false,
            header: None,
        }
    }

    /// The items of a chunk, and an error for each that cannot be read.
    pub fn parse(&mut self, chunk: &Chunk) -> Vec<Result<Item>> {
        let mut items = Vec::new();
        match &chunk.format {
            RecordFormat::Tsv => self.parse_rows(chunk, &mut items),
            RecordFormat::Text { .. } => {
                let message = "expected documents in the form of TREC, TSV or JSON Lines, found plain text; name only \
                               files of documents";
                items.push(Err(Error::invalid(message).at_line(&*chunk.file, 0)));
            }
            RecordFormat::JsonLines | RecordFormat::Trec => {
                input::parse(chunk, &mut |record| items.push(record.map(Item::of)));
            }
        }
        items
    }

    fn parse_rows(&mut self, chunk: &Chunk, items: &mut Vec<Result<Item>>) {
        if chunk.first_line == 1 {
            self.is_begun = false;
        }
        for (line, row) in input::lines(chunk) {
            let is_first = !std::mem::replace(&mut self.is_begun, true);
            if is_first && let Ok(row) = row {
                self.is_of_documents = self.rows == Rows::TextOrDocument && is_document(row);
                if let Some((id, text)) = row.split_once('\t')
                    && are_column_names(id, text)
                {
                    self.header = Some(Arc::clone(&chunk.file));
                    continue;
                }
            }
            let item = row.and_then(|row| self.parse_row(row, &chunk.file, line));
            items.push(item.map_err(|error| error.at_line(&*chunk.file, line)));
        }
    }

    fn parse_row(&self, row: &str, file: &Arc<str>, line: u64) -> Result<Item> {
        let mut columns = row.splitn(4, '\t');
        let found = match self.is_of_documents {
            true => match (
                columns.next(),
                columns.next(),
                columns.next(),
                columns.next(),
            ) {
                (Some(id), Some(_), Some(title), Some(body)) => Some((id, title, body)),
                _ => None,
            },
            false => row.split_once('\t').map(|(id, text)| (id, "", text)),
        };
        let Some((id, title, text)) = found else {
            let (expected, tabs) = match self.is_of_documents {
                true => (
                    "four columns (id, URL, title, body) as on the first line",
                    "fewer tabs",
                ),
                false => ("an id, a tab, and the text", "no tab"),
            };
            let row = excerpt(row, 0);
            return Err(Error::invalid(format!(
                "expected {expected}, found `{row}` with {tabs}; correct the line, or skip such lines with --on-bad-input skip"
            )));
        };
        check_id(id)?;
        Ok(Item {
            id: id.to_owned(),
            title: title.to_owned(),
            text: text.to_owned(),
            file: Arc::clone(file),
            line,
            encoding: None,
        })
    }
}

/// True for a row of MS MARCO's documents.
fn is_document(row: &str) -> bool {
    let columns: Vec<&str> = row.splitn(5, '\t').collect();
    columns.len() >= 4
        && ["http://", "https://"]
            .iter()
            .any(|it| columns[1].starts_with(it))
}

/// Passes the queries of a reader of one file to `take`: JSON Lines, TSV or topics of TREC, as the
/// first character says. Topics are read whole.
///
/// # Errors
///
/// Those of `take`, and all errors about topics, which have no records that could be skipped.
pub(super) fn each_query(
    reader: &mut Reader,
    part: eval::TopicPart,
    parser: &mut ItemParser,
    mut take: impl FnMut(Result<Item>) -> Result<()>,
) -> Result<()> {
    let mut format = None;
    let mut topics = Vec::new();
    let mut name = Arc::from("");
    for chunk in reader {
        let mut chunk = match chunk {
            Ok(chunk) => chunk,
            Err(error) => {
                take(Err(error))?;
                continue;
            }
        };
        let format = format.get_or_insert_with(|| match chunk.bytes.trim_ascii_start().first() {
            Some(b'{') => RecordFormat::JsonLines,
            Some(b'<') => RecordFormat::Trec,
            _ => RecordFormat::Tsv,
        });
        if *format == RecordFormat::Trec {
            topics.append(&mut chunk.bytes);
            name = chunk.file;
            continue;
        }
        chunk.format = format.clone();
        parser.parse(&chunk).into_iter().try_for_each(&mut take)?;
    }
    for query in read_queries(&*topics, &name, part)? {
        take(Ok(Item {
            id: query.id,
            title: String::new(),
            text: query.text.unwrap_or_default(),
            file: Arc::clone(&name),
            line: 0,
            encoding: None,
        }))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rows: Rows, text: &str) -> Vec<Result<Item>> {
        let chunk = Chunk {
            file: "a.tsv".into(),
            first_line: 1,
            format: RecordFormat::Tsv,
            bytes: text.into(),
        };
        ItemParser::new(rows).parse(&chunk)
    }

    fn columns(item: &Result<Item>) -> [&str; 3] {
        let item = item.as_ref().unwrap();
        [&item.id, &item.title, &item.text]
    }

    #[test]
    fn a_text_may_have_tabs_and_a_header_is_skipped() {
        let items = parse(Rows::Text, "id\ttext\n1\ta\tb\r\n\n2\t\n");
        assert_eq!(items.len(), 2);
        assert_eq!(columns(&items[0]), ["1", "", "a\tb"]);
        assert!(items[1].as_ref().unwrap().is_empty());
        assert_eq!(items[1].as_ref().unwrap().line, 4);
    }

    #[test]
    fn the_first_row_tells_documents_from_passages() {
        let text = "D1\thttps://a.example/\tA title\tA body\nD2\thttp://b.example/\t\t\nD3\tx\n";
        let items = parse(Rows::TextOrDocument, text);
        assert_eq!(columns(&items[0]), ["D1", "A title", "A body"]);
        assert_eq!(columns(&items[1]), ["D2", "", ""]);
        let message = items[2].as_ref().unwrap_err().to_string();
        assert!(
            message.starts_with("a.tsv:3: expected four columns"),
            "{message}"
        );
        let passage = "1\thttps://a.example/\tis a\tlink\n";
        let items = parse(Rows::Text, passage);
        assert_eq!(columns(&items[0])[2], "https://a.example/\tis a\tlink");
    }

    #[test]
    fn rows_without_a_tab_or_an_id_are_named() {
        let message = |text: &str| parse(Rows::Text, text)[0].as_ref().unwrap_err().to_string();
        assert!(message("no tab").starts_with("a.tsv:1: expected an id, a tab"));
        assert!(message("\ttext").starts_with("a.tsv:1: the id is empty"));
    }
}
