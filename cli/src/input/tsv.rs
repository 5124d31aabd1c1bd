//! Records of tab-separated lines: id, text, or id, title, text.

use std::sync::Arc;

use esparsa::{Error, Result};

use super::lines::{Lines, utf8};
use super::{Chunk, Record};

/// Parses the lines of a chunk; empty lines are skipped.
pub(super) fn parse(chunk: &Chunk, emit: &mut dyn FnMut(Result<Record>)) {
    for (number, line) in Lines::new(&chunk.bytes, chunk.first_line) {
        if !line.is_empty() {
            let result = parse_line(line, &chunk.file, number);
            emit(result.map_err(|error| error.at_line(&*chunk.file, number)));
        }
    }
}

fn parse_line(line: &[u8], file: &Arc<str>, number: u64) -> Result<Record> {
    let line = utf8(line, file, number)?;
    let mut columns = line.split('\t');
    let (id, title, text) = match (columns.next(), columns.next(), columns.next()) {
        (Some(id), Some(text), None) => (id, "", text),
        (Some(id), Some(title), Some(text)) if columns.next().is_none() => (id, title, text),
        _ => {
            return Err(Error::invalid(format!(
                "expected two columns (id, text) or three (id, title, text) separated by tabs, found {}; \
                 remove the other tabs, or convert the file to JSON Lines",
                line.split('\t').count()
            )));
        }
    };
    Record::from_parts(id, title, text, file, number)
}

#[cfg(test)]
mod tests {
    use super::super::MAX_ID_BYTES;
    use super::super::RecordFormat;
    use super::super::tests::{messages, parse_all, records};

    #[test]
    fn two_and_three_columns_are_read() {
        let records = records(
            b"d1\tsome text\r\n\nd2\ta title\tmore \"text\"",
            RecordFormat::Tsv,
        );
        assert_eq!(records[0].id, "d1");
        assert_eq!(records[0].title, None);
        assert_eq!(records[0].text.as_deref(), Some("some text"));
        assert_eq!(records[0].source, br#"{"_id":"d1","text":"some text"}"#);
        assert_eq!(records[1].title.as_deref(), Some("a title"));
        assert_eq!(records[1].line, 3);
        let source = br#"{"_id":"d2","title":"a title","text":"more \"text\""}"#;
        assert_eq!(records[1].source, source);
    }

    #[test]
    fn an_empty_text_is_a_document_of_length_zero() {
        let records = records(b"d1\t\n", RecordFormat::Tsv);
        assert_eq!(records[0].contents(), "");
        assert_eq!(records[0].source, br#"{"_id":"d1"}"#);
    }

    #[test]
    fn bad_lines_are_reported_and_the_next_are_read() {
        let long = "x".repeat(MAX_ID_BYTES + 1);
        let input = format!("one\na\tb\tc\td\n\tno id\n{long}\ttext\nok\ttext\n");
        let messages = messages(input.as_bytes(), RecordFormat::Tsv);
        assert_eq!(messages.len(), 4);
        assert!(messages[0].starts_with("test:1: expected two columns"));
        assert!(messages[1].contains("found 4"), "{}", messages[1]);
        assert!(messages[2].starts_with("test:3: the id is empty"));
        assert!(messages[3].contains("is 513, more than the limit of 512"));
        let results = parse_all(input.as_bytes(), RecordFormat::Tsv);
        assert_eq!(results[4].as_ref().unwrap().id, "ok");
    }

    #[test]
    fn invalid_utf8_is_named_by_line_and_byte() {
        let messages = messages(b"a\tb\nc\td\xff\n", RecordFormat::Tsv);
        assert!(messages[0].starts_with("test:2: not valid UTF-8 at byte 4"));
    }
}
