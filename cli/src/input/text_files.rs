//! Plain text files: the whole file is the text of one document.

use esparsa::Result;

use super::lines::utf8;
use super::{Chunk, Record};

/// Makes the document `id` of a chunk that holds a whole file.
pub(super) fn parse(chunk: &Chunk, id: &str) -> Result<Record> {
    utf8(&chunk.bytes, &chunk.file, chunk.first_line)
        .and_then(|text| Record::from_parts(id, "", text, &chunk.file, chunk.first_line))
        .map_err(|error| error.at_line(&*chunk.file, chunk.first_line))
}

#[cfg(test)]
mod tests {
    use super::super::RecordFormat;
    use super::super::tests::parse_all;

    fn text(id: &str) -> RecordFormat {
        RecordFormat::Text { id: id.into() }
    }

    #[test]
    fn a_file_is_one_document() {
        let results = parse_all(b"# A heading\r\n\ntext\n", text("notes/a.md"));
        let record = results[0].as_ref().unwrap();
        assert_eq!(results.len(), 1);
        assert_eq!((record.id.as_str(), record.line), ("notes/a.md", 1));
        assert_eq!(record.contents(), "# A heading\r\n\ntext\n");
        let source = br##"{"_id":"notes/a.md","text":"# A heading\r\n\ntext\n"}"##;
        assert_eq!(record.source, source);
    }

    #[test]
    fn an_empty_file_is_a_document_of_length_zero() {
        let results = parse_all(b"", text("empty.txt"));
        assert_eq!(results[0].as_ref().unwrap().contents(), "");
    }

    #[test]
    fn bad_bytes_and_long_ids_are_reported() {
        let results = parse_all(b"one\ntwo\xc3", text("a.txt"));
        let message = results[0].as_ref().unwrap_err().to_string();
        assert!(
            message.starts_with("test:2: not valid UTF-8 at byte 4"),
            "{message}"
        );
        let results = parse_all(b"text", text(&"x".repeat(600)));
        let message = results[0].as_ref().unwrap_err().to_string();
        assert!(
            message.contains("is 600, more than the limit of 512"),
            "{message}"
        );
    }
}
