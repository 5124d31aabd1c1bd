//! Reading documents to be indexed: files, folders and standard input, in the usual formats.
//!
//! What comes in: paths, and the name of a format or [`InputFormat::Auto`]. What goes out:
//! [`Record`]s, each with its id, title, text, sparse or dense vector and the JSON object to be
//! stored, and one error, with file and line, for each record that cannot be read.
//!
//! The work is split in two, so that it can use many threads. A [`Reader`] runs on one thread: it
//! opens and decompresses the files and cuts them into [`Chunk`]s of whole records, looking only
//! for record boundaries. [`parse`] turns one chunk into records, on any thread. The chunks depend
//! on the input alone, never on timing, so records numbered in chunk order are numbered alike on
//! every run.
//!
//! | format | record | id | title | text |
//! | --- | --- | --- | --- | --- |
//! | JSON Lines, BEIR, Anserini | a line | `_id`, `id` or `docid` | `title` | `text`, `contents`, `content`, `body` or `passage` |
//! | TSV | a line | column 1 | column 2 of 3 | last column |
//! | TREC | `<DOC>` to `</DOC>` | `DOCNO` | `TITLE`, `HEADLINE` | all other elements but `DOCHDR`, `SCRIPT`, `STYLE` |
//! | text | a file | path within the folder | none | the content |
//!
//! This module never analyzes text, never writes, starts no threads, and holds no more of an input
//! in memory than one chunk or one record.

mod chunks;
mod collection;
mod content;
mod decompress;
mod detect;
mod encoding;
mod entities;
mod files;
mod ids;
mod json_lines;
mod lines;
mod reader;
mod repair;
mod source;
mod text_files;
mod trec;
mod tsv;
mod vector;
mod without_field;

use std::borrow::Cow;
use std::sync::Arc;

use esparsa::limits;
use esparsa::{Error, Result};
use serde::Serialize;

pub use content::Content;
pub use detect::InputFormat;
pub use encoding::InputEncoding;
pub use ids::{Ids, OnDuplicate};
pub use json_lines::TEXT_KEYS;
pub use reader::Reader;
pub use source::{Position, Source};

/// Target size of a [`Chunk`] in bytes; it is exceeded only by a larger record.
pub const CHUNK_BYTES: usize = 1 << 20;

/// Max size of a record in bytes, decompressed; a larger one is skipped and reported.
pub const MAX_RECORD_BYTES: usize = limits::MAX_DOCUMENT_BYTES;

/// Max length of a document's id in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = limits::MAX_ID_BYTES;

/// Max length of a term of a sparse vector in bytes of UTF-8.
pub const MAX_TERM_BYTES: usize = limits::MAX_SPARSE_TERM_BYTES;

/// How the records of a chunk are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordFormat {
    /// One JSON object a line: BEIR, Anserini vectors, and any other JSON Lines.
    JsonLines,
    /// Two or three columns separated by tabs: id, title (optional), text.
    Tsv,
    /// TREC SGML, from `<DOC>` to `</DOC>`.
    Trec,
    /// The whole chunk is the text of one document.
    Text {
        /// The document's id, which the content does not give: the path within the folder, with `/`
        /// between its parts.
        id: Arc<str>,
    },
}

/// Complete records of one input file, not parsed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Path of the file, or `<stdin>`.
    pub file: Arc<str>,
    /// Number of the first line of `bytes` in the decompressed file, from 1.
    pub first_line: u64,
    /// How the records are written.
    pub format: RecordFormat,
    /// The records, about [`CHUNK_BYTES`] of them; more only when one record is larger. A text file
    /// is one chunk.
    pub bytes: Vec<u8>,
}

impl Chunk {
    /// Approximate number of records, without parsing: blank lines count too.
    pub fn records_about(&self) -> u64 {
        match self.format {
            RecordFormat::JsonLines | RecordFormat::Tsv => lines::count_line_feeds(&self.bytes),
            RecordFormat::Trec => trec::count_documents(&self.bytes),
            RecordFormat::Text { .. } => 1,
        }
    }
}

/// One document of the input.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The document's own id, 1 to [`MAX_ID_BYTES`] bytes.
    pub id: String,
    /// The title, if the record has one.
    pub title: Option<String>,
    /// The text, if the record has one.
    pub text: Option<String>,
    /// The sparse vector, if the record has one: terms in the order of the file with weights above
    /// 0. A term that occurs twice in the file occurs twice here.
    pub vector: Option<Vec<(String, f32)>>,
    /// The dense vector, if the record has one.
    pub dense: Option<Vec<f32>>,
    /// The JSON object to be stored: for JSON Lines the record without `vector`, for other formats
    /// `_id`, `title` and `text`, without empty ones.
    pub source: Vec<u8>,
    /// Path of the file, or `<stdin>`.
    pub file: Arc<str>,
    /// Line of the file on which the record begins, from 1.
    pub line: u64,
    /// The encoding that was detected, if the record is not UTF-8.
    pub encoding: Option<&'static str>,
}

impl Record {
    /// Returns the words to be indexed: the title, a space, and the text; either may be missing or
    /// empty.
    pub fn contents(&self) -> Cow<'_, str> {
        let title = self.title.as_deref().unwrap_or("");
        let text = self.text.as_deref().unwrap_or("");
        if title.is_empty() {
            Cow::Borrowed(text)
        } else if text.is_empty() {
            Cow::Borrowed(title)
        } else {
            Cow::Owned(format!("{title} {text}"))
        }
    }

    /// True if there are words or a vector to be searched.
    pub fn has_content(&self) -> bool {
        let has_words = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or("");
            text.contains(|c: char| !c.is_whitespace())
        };
        has_words(&self.text)
            || has_words(&self.title)
            || self.vector.as_ref().is_some_and(|terms| !terms.is_empty())
            || self
                .dense
                .as_ref()
                .is_some_and(|numbers| !numbers.is_empty())
    }

    /// True if the record begins its file and consists of names of columns, as a header does.
    pub fn looks_like_header(&self) -> bool {
        self.line == 1 && are_column_names(&self.id, self.text.as_deref().unwrap_or(""))
    }

    /// A record of a format other than JSON Lines; checks the id and writes the JSON object to be
    /// stored.
    fn from_parts(id: &str, title: &str, text: &str, file: &Arc<str>, line: u64) -> Result<Self> {
        check_id(id)?;
        let stored = Stored { id, title, text };
        let source = serde_json::to_vec(&stored)
            .map_err(|error| Error::invalid(format!("cannot be written as JSON: {error}")))?;
        Ok(Self {
            id: id.to_owned(),
            title: (!title.is_empty()).then(|| title.to_owned()),
            text: (!text.is_empty()).then(|| text.to_owned()),
            vector: None,
            dense: None,
            source,
            file: Arc::clone(file),
            line,
            encoding: None,
        })
    }
}

/// What is stored of a record that is not JSON in the input.
#[derive(Serialize)]
struct Stored<'a> {
    #[serde(rename = "_id")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    title: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
}

/// Parses the records of a chunk, in order, and hands each to `emit`.
///
/// A record that cannot be read becomes one error that names its file and line
/// ([`Error::InvalidInput`] or [`Error::Limit`]), and parsing goes on with the next record. Empty
/// lines are skipped. A record with neither text nor vector is a document of length 0, not an
/// error.
///
/// ```
/// use esparsa_cli::input::{Chunk, RecordFormat, parse};
///
/// let chunk = Chunk {
///     file: "corpus.jsonl".into(),
///     first_line: 1,
///     format: RecordFormat::JsonLines,
///     bytes: b"{\"_id\":\"d1\",\"title\":\"Sparse\",\"text\":\"retrieval\"}\n{\"text\":\"no id\"}\n".to_vec(),
/// };
/// let mut results = Vec::new();
/// parse(&chunk, &mut |result| results.push(result));
/// assert_eq!(results[0].as_ref().unwrap().contents(), "Sparse retrieval");
/// let message = results[1].as_ref().unwrap_err().to_string();
/// assert!(message.starts_with("corpus.jsonl:2: "));
/// ```
pub fn parse(chunk: &Chunk, emit: &mut dyn FnMut(Result<Record>)) {
    match &chunk.format {
        RecordFormat::JsonLines => json_lines::parse(chunk, emit),
        RecordFormat::Tsv => tsv::parse(chunk, emit),
        RecordFormat::Trec => trec::parse(chunk, emit),
        RecordFormat::Text { id } => emit(text_files::parse(chunk, id)),
    }
}

/// The lines of a chunk that are not empty, each with its number in the file; one that is not UTF-8
/// is an error.
pub(crate) fn lines(chunk: &Chunk) -> impl Iterator<Item = (u64, Result<&str>)> {
    let all = lines::Lines::new(&chunk.bytes, chunk.first_line);
    all.filter(|(_, line)| !line.is_empty())
        .map(|(number, line)| (number, lines::utf8(line, &chunk.file, number)))
}

/// Checks an id, of any format.
pub(crate) fn check_id(id: &str) -> Result<()> {
    if id.is_empty() {
        return Err(Error::invalid(
            "the id is empty; expected at least one character",
        ));
    }
    if id.len() > MAX_ID_BYTES {
        return Err(Error::limit(
            "length of the id in bytes",
            id.len() as u64,
            MAX_ID_BYTES as u64,
        ));
    }
    Ok(())
}

/// Names of the column of ids in headers, and of the column after it or of the last one.
const ID_COLUMNS: [&str; 13] = [
    "id",
    "_id",
    "qid",
    "pid",
    "did",
    "docid",
    "doc_id",
    "docno",
    "query_id",
    "query-id",
    "passage_id",
    "corpus_id",
    "corpus-id",
];
const TEXT_COLUMNS: [&str; 8] = [
    "text", "query", "title", "passage", "contents", "content", "body", "document",
];

/// True for the id and the text of a row that names columns, such as `qid` and `query`.
pub fn are_column_names(id: &str, text: &str) -> bool {
    let is_one_of = |names: &[&str], found: &str| {
        let found = found.trim();
        names.iter().any(|name| name.eq_ignore_ascii_case(found))
    };
    let text = text.split('\t').next().unwrap_or_default();
    is_one_of(&ID_COLUMNS, id) && is_one_of(&TEXT_COLUMNS, text)
}

/// The warning about a file whose first row looks like a header; `read_as` says what it is read as.
pub fn header_warning(file: &str, read_as: &str) -> String {
    let format = match read_as {
        "query" => "",
        _ => " and `--format tsv`",
    };
    let advice = match file.starts_with('<') {
        true => "pipe it through `tail -n +2`".to_owned(),
        false => format!(
            "remove the line, or name `-` instead of the file{format} and pipe in `tail -n +2 {file}`"
        ),
    };
    format!(
        "warning: {file}:1: the first row looks like a header, and is read as a {read_as}, because TSV files have no header \
         here; to skip it, {advice}"
    )
}

/// About 40 bytes of `text` around the byte `at`, on one line, for error messages.
pub(crate) fn excerpt(text: &str, at: usize) -> String {
    const AROUND: usize = 20;
    let mut start = at.saturating_sub(AROUND).min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = at.saturating_add(AROUND).min(text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let mut quoted = String::new();
    if start > 0 {
        quoted.push('…');
    }
    quoted.extend(text[start..end].chars().map(|character| {
        if character.is_control() {
            ' '
        } else {
            character
        }
    }));
    if end < text.len() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files in it.
    pub(super) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        folder
    }

    /// Parses `bytes` as the file `test`.
    pub(super) fn parse_all(bytes: &[u8], format: RecordFormat) -> Vec<Result<Record>> {
        let chunk = Chunk {
            file: "test".into(),
            first_line: 1,
            format,
            bytes: bytes.to_vec(),
        };
        let mut results = Vec::new();
        parse(&chunk, &mut |result| results.push(result));
        results
    }

    /// Parses `bytes`, of which every record is good.
    pub(super) fn records(bytes: &[u8], format: RecordFormat) -> Vec<Record> {
        let results = parse_all(bytes, format);
        results.into_iter().map(Result::unwrap).collect()
    }

    /// The error messages that `bytes` give.
    pub(super) fn messages(bytes: &[u8], format: RecordFormat) -> Vec<String> {
        let errors = parse_all(bytes, format).into_iter().filter_map(Result::err);
        errors.map(|error| error.to_string()).collect()
    }

    #[test]
    fn contents_join_title_and_text_with_one_space() {
        let contents = |title: &str, text: &str| {
            let file = Arc::from("test");
            let record = Record::from_parts("id", title, text, &file, 1).unwrap();
            record.contents().into_owned()
        };
        assert_eq!(contents("a", "b"), "a b");
        assert_eq!(contents("a", ""), "a");
        assert_eq!(contents("", "b"), "b");
        assert_eq!(contents("", ""), "");
    }

    #[test]
    fn names_of_columns_are_told_from_documents() {
        for (id, text) in [("id", "text"), ("QID", " Query"), ("docid", "title\ttext")] {
            assert!(are_column_names(id, text), "{id} {text}");
        }
        for (id, text) in [("1", "text"), ("id", "a text"), ("", ""), ("text", "id")] {
            assert!(!are_column_names(id, text), "{id} {text}");
        }
        let header = records(b"id\ttitle\ttext\nid\ttext\n", RecordFormat::Tsv);
        assert!(header[0].looks_like_header() && !header[1].looks_like_header());
    }

    #[test]
    fn excerpts_are_short_and_on_one_line() {
        assert_eq!(excerpt("short\n", 2), "short ");
        let long = "é".repeat(100);
        assert_eq!(excerpt(&long, 101), format!("…{}…", "é".repeat(21)));
        assert_eq!(excerpt("abc", 900), "…");
    }
}
