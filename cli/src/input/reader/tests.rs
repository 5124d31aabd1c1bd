//! Tests from files on disk to records.

use std::fs;

use super::super::decompress::tests::{gzip, zstd};
use super::super::tests::folder;
use super::super::{Record, parse};
use super::*;

const BEIR_LINES: &[u8] = b"{\"_id\": \"d1\", \"title\": \"t\", \"text\": \"one\"}\n{\"_id\": \"d2\", \"text\": \"two\"}\n";

/// The records and the error messages that a reader gives.
fn read(reader: &mut Reader) -> (Vec<Record>, Vec<String>) {
    let mut records = Vec::new();
    let mut messages = Vec::new();
    let mut sort = |result: Result<Record>| match result {
        Ok(record) => records.push(record),
        Err(error) => messages.push(error.to_string()),
    };
    for chunk in reader {
        match chunk {
            Ok(chunk) => parse(&chunk, &mut sort),
            Err(error) => sort(Err(error)),
        }
    }
    (records, messages)
}

/// Reads a folder of which every record is good.
fn read_folder(files: &[(&str, &[u8])], format: InputFormat) -> Vec<Record> {
    let folder = folder(files);
    let mut reader = Reader::open(&[folder.path().to_path_buf()], format).unwrap();
    let (records, messages) = read(&mut reader);
    assert_eq!(messages, Vec::<String>::new());
    records
}

fn ids(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.id.as_str()).collect()
}

#[test]
fn compressed_corpora_give_the_same_records() {
    let plain = read_folder(&[("corpus.jsonl", BEIR_LINES)], InputFormat::Auto);
    assert_eq!(ids(&plain), ["d1", "d2"]);
    let packed: [(&str, Vec<u8>); 3] = [
        ("corpus.jsonl.gz", gzip(BEIR_LINES)),
        ("corpus.jsonl.zst", zstd(BEIR_LINES)),
        // Compressed, though the name does not say so.
        ("corpus.jsonl", gzip(BEIR_LINES)),
    ];
    for (name, content) in packed {
        let records = read_folder(&[(name, &content)], InputFormat::Beir);
        let sources =
            |records: &[Record]| records.iter().map(|r| r.source.clone()).collect::<Vec<_>>();
        assert_eq!(sources(&records), sources(&plain));
    }
}

#[test]
fn files_in_utf_16_and_in_a_named_encoding_are_read() {
    let utf_16 = |text: &str| {
        let units = std::iter::once(0xfeff).chain(text.encode_utf16());
        units.flat_map(u16::to_le_bytes).collect::<Vec<u8>>()
    };
    let lines = "{\"id\":\"a\",\"text\":\"café\"}\r\n{\"id\":\"b\"}";
    // The name says nothing of the second one's format.
    for name in ["corpus.jsonl", "lines"] {
        let records = read_folder(&[(name, &utf_16(lines))], InputFormat::Auto);
        assert_eq!(
            (ids(&records), &*records[0].contents()),
            (vec!["a", "b"], "café")
        );
    }
    let folder = folder(&[("a.tsv", b"a\tcaf\xe9\n"), ("b.txt", b"\xe9t\xe9")]);
    let paths = [folder.path().to_path_buf()];
    let (format, encoding) = (InputFormat::Auto, "latin1".parse().unwrap());
    let (records, messages) = read(&mut Reader::open_encoded(&paths, format, encoding).unwrap());
    assert_eq!(messages, Vec::<String>::new());
    let texts: Vec<_> = records.iter().map(|record| record.contents()).collect();
    assert_eq!(texts, ["café", "été"]);
}

#[test]
fn a_folder_of_every_format_is_read_in_order() {
    let records = read_folder(
        &[
            (
                "1.json",
                b"{\"id\":\"j\",\"contents\":\"x\",\"vector\":{\"a\":1}}\n",
            ),
            ("2.tsv", b"t\tx\n"),
            ("3/FT911", b"<DOC><DOCNO>s</DOCNO></DOC>\n"),
            ("4.txt", b"<DOC><DOCNO>u</DOCNO></DOC>\n"),
            ("5/notes.md", b"x"),
            ("6.txt", b""),
        ],
        InputFormat::Auto,
    );
    assert_eq!(ids(&records), ["j", "t", "s", "u", "5/notes.md", "6.txt"]);
    assert!(records[4].file.ends_with("notes.md"));
}

#[test]
fn a_byte_order_mark_is_no_part_of_any_format() {
    let with_mark = |content: &[u8]| [b"\xef\xbb\xbf", content].concat();
    let files = [
        ("1.jsonl", with_mark(b"{\"id\":1}\r\n{\"id\":2}")),
        ("2.tsv", with_mark(b"3\tx\r\n")),
        ("3.sgml", with_mark(b"<DOC><DOCNO>4</DOCNO></DOC>")),
        ("4.txt", with_mark(b"text")),
        ("5", with_mark(b"{\"id\":6}")),
    ];
    let files: Vec<_> = files
        .iter()
        .map(|(name, content)| (*name, content.as_slice()))
        .collect();
    let records = read_folder(&files, InputFormat::Auto);
    assert_eq!(ids(&records), ["1", "2", "3", "4", "4.txt", "6"]);
    assert_eq!(records[4].contents(), "text");
}

#[test]
fn bytes_read_reach_the_total() {
    let packed = gzip(&BEIR_LINES.repeat(1000));
    let folder = folder(&[("a.jsonl.gz", &packed), ("b.txt", b"text"), ("c", b"\x01")]);
    let inputs = [folder.path().to_path_buf()];
    let mut reader = Reader::open(&inputs, InputFormat::Auto).unwrap();
    let total = packed.len() as u64 + 4;
    assert_eq!(
        (reader.total_bytes(), reader.bytes_read()),
        (Some(total), 0)
    );
    assert_eq!(reader.skipped(), [folder.path().join("c")]);
    read(&mut reader);
    assert_eq!(reader.bytes_read(), total);
    let reader = Reader::open(&[PathBuf::from("-")], InputFormat::Auto).unwrap();
    assert_eq!(reader.total_bytes(), None);
}

#[test]
fn a_truncated_file_is_reported_and_the_next_is_read() {
    let packed = gzip(BEIR_LINES);
    let folder = folder(&[
        ("a.jsonl.gz", &packed[..packed.len() - 1]),
        ("b.jsonl", b"{\"id\":3}"),
    ]);
    let inputs = [folder.path().to_path_buf()];
    let (records, messages) = read(&mut Reader::open(&inputs, InputFormat::Auto).unwrap());
    assert_eq!(ids(&records), ["3"]);
    assert_eq!(messages.len(), 1);
    assert!(
        messages[0].contains("a.jsonl.gz: cannot decompress: "),
        "{messages:?}"
    );
    assert!(messages[0].contains("truncated"), "{messages:?}");
}

#[test]
fn a_file_that_vanishes_is_reported_and_the_next_is_read() {
    let folder = folder(&[("a.jsonl", b"{\"id\":1}"), ("b.jsonl", b"{\"id\":2}")]);
    let inputs = [folder.path().to_path_buf()];
    let mut reader = Reader::open(&inputs, InputFormat::Auto).unwrap();
    fs::remove_file(folder.path().join("a.jsonl")).unwrap();
    let (records, messages) = read(&mut reader);
    assert_eq!(ids(&records), ["2"]);
    assert!(messages[0].contains("a.jsonl: cannot open"), "{messages:?}");
}

#[test]
fn large_records_are_reported_with_their_line_and_the_load_goes_on() {
    let long = format!("{{\"id\":2,\"text\":\"{}\"}}\n", "x".repeat(500));
    let content = ["{\"id\":1}\n", &long, "{\"id\":3}\n"].concat();
    for packed in [content.clone().into_bytes(), gzip(content.as_bytes())] {
        let folder = folder(&[("a.jsonl", &packed)]);
        let limits = Limits::new(64, 200);
        let inputs = [folder.path().to_path_buf()];
        let mut reader =
            Reader::with_limits(&inputs, InputFormat::Auto, InputEncoding::default(), limits)
                .unwrap();
        let (records, messages) = read(&mut reader);
        assert_eq!(ids(&records), ["1", "3"]);
        assert_eq!(records[1].line, 3);
        assert!(messages[0].contains("a.jsonl:2: length of the record in bytes is 5"));
    }
}

#[test]
fn a_named_text_file_is_called_by_its_name() {
    let folder = folder(&[("sub/notes.txt", b"text"), ("data.bin", b"text")]);
    let inputs = [
        folder.path().join("sub/notes.txt"),
        folder.path().join("data.bin"),
    ];
    let (records, _) = read(&mut Reader::open(&inputs, InputFormat::Text).unwrap());
    assert_eq!(ids(&records), ["notes.txt", "data.bin"]);
    assert!(Reader::open(&inputs, InputFormat::Auto).is_err());
}

#[cfg(unix)]
#[test]
fn a_text_file_whose_name_is_no_utf8_is_reported() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder(&[("a.txt", b"x")]);
    let bad = std::ffi::OsStr::from_bytes(b"b\xff.txt");
    fs::write(folder.path().join(bad), "x").unwrap();
    let inputs = [folder.path().to_path_buf()];
    let (records, messages) = read(&mut Reader::open(&inputs, InputFormat::Auto).unwrap());
    assert_eq!(ids(&records), ["a.txt"]);
    assert!(
        messages[0].contains("the file name is not valid UTF-8"),
        "{messages:?}"
    );
}

#[test]
fn a_reader_can_be_moved_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Reader>();
}
