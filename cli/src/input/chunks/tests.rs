//! Tests of cutting: chunked and whole parsing give the same records, and oversized records are
//! skipped.

use std::io::{Cursor, repeat};

use proptest::prelude::*;

use super::super::decompress::Compression;
use super::super::tests::parse_all;
use super::super::{Record, parse};
use super::*;

fn chunks(input: impl Read + Send + 'static, format: RecordFormat, limits: Limits) -> FileChunks {
    let stream = Stream {
        bytes: Box::new(input),
        compression: Compression::None,
    };
    FileChunks::new("test".into(), format, stream, None, limits)
}

/// What a run gives for each record: its content and place, or the message.
type Outcome = std::result::Result<(String, u64, Option<String>, Option<String>), String>;

fn outcome(result: Result<Record>) -> Outcome {
    result
        .map(|record| (record.id, record.line, record.title, record.text))
        .map_err(|error| error.to_string())
}

/// All outcomes of reading `input` in chunks.
fn read(input: impl Read + Send + 'static, format: RecordFormat, limits: Limits) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for chunk in chunks(input, format, limits) {
        match chunk {
            Ok(chunk) => parse(&chunk, &mut |result| outcomes.push(outcome(result))),
            Err(error) => outcomes.push(Err(error.to_string())),
        }
    }
    outcomes
}

/// A stream that returns few bytes per read, as a pipe does.
struct Trickle(Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = self.1 % 7 + 1;
        let length = self.1.min(buffer.len());
        self.0.read(&mut buffer[..length])
    }
}

/// Pieces of input files, good and broken.
fn pieces() -> impl Strategy<Value = (RecordFormat, Vec<u8>)> {
    let json =
        r#"\{"id":[0-9]{1,3},"text":"[a-z\n]{0,12}"\}|\r?\n|\n\n|x|\{"vector":\{"a":1\},"id":2\}"#;
    let tsv = "[a-z]{0,3}\t[a-z ]{0,20}\n|\n|\r\n|\t|word";
    let trec = "<DOC>\n?|<DOCNO>[a-z]{0,4}</DOCNO>\n?|</DOC>\n?|<TEXT>|</TEXT>|[a-z<>\n ]{0,12}|<TITLE>t</TITLE>";
    let of = |pattern: &'static str, format: RecordFormat| {
        prop::collection::vec(pattern, 0..30)
            .prop_map(move |parts| (format.clone(), parts.concat().into_bytes()))
    };
    prop_oneof![
        of(json, RecordFormat::JsonLines),
        of(tsv, RecordFormat::Tsv),
        of(trec, RecordFormat::Trec),
        of("[a-z\n]{0,20}", RecordFormat::Text { id: "a".into() }),
    ]
}

proptest! {
    #[test]
    fn chunked_parsing_equals_parsing_the_whole(
        (format, bytes) in pieces(),
        chunk_bytes in 1usize..200,
        max_lines in 1u64..20,
    ) {
        let limits = Limits { max_lines, ..Limits::new(chunk_bytes, 1 << 20) };
        let whole: Vec<_> = parse_all(&bytes, format.clone()).into_iter().map(outcome).collect();
        prop_assert_eq!(&read(Cursor::new(bytes.clone()), format.clone(), limits), &whole);
        prop_assert_eq!(&read(Trickle(Cursor::new(bytes), 0), format, limits), &whole);
    }

    #[test]
    fn chunks_depend_on_the_input_alone(
        (format, bytes) in pieces(),
        chunk_bytes in 1usize..200,
        max_lines in 1u64..20,
    ) {
        let limits = Limits { max_lines, ..Limits::new(chunk_bytes, 1 << 20) };
        let at_once = chunks(Cursor::new(bytes.clone()), format.clone(), limits);
        let trickled = chunks(Trickle(Cursor::new(bytes.clone()), 0), format, limits);
        let at_once: Vec<_> = at_once.map(Result::unwrap).collect();
        let trickled: Vec<_> = trickled.map(Result::unwrap).collect();
        prop_assert_eq!(&at_once, &trickled);
        let joined: Vec<u8> = at_once.into_iter().flat_map(|chunk| chunk.bytes).collect();
        prop_assert_eq!(joined, bytes);
    }

    #[test]
    fn what_is_too_large_does_not_depend_on_the_chunk_size(
        (format, bytes) in pieces(),
        sizes in (1usize..80, 1usize..80),
    ) {
        let run = |size| read(Cursor::new(bytes.clone()), format.clone(), Limits::new(size, 40));
        let outcomes = run(sizes.0);
        prop_assert_eq!(&outcomes, &run(sizes.1));
        match &format {
            RecordFormat::JsonLines | RecordFormat::Tsv => {
                prop_assert_eq!(outcomes, line_by_line(&bytes, &format, 40));
            }
            RecordFormat::Text { .. } => {
                prop_assert_eq!(outcomes.len(), 1);
                prop_assert_eq!(outcomes[0].is_err(), bytes.len() > 40);
            }
            RecordFormat::Trec => {}
        }
    }
}

/// What reading lines must give when lines of over `max` bytes are too large, worked out line by
/// line.
fn line_by_line(bytes: &[u8], format: &RecordFormat, max: usize) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for (index, line) in bytes.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let line_number = index as u64 + 1;
        if line.strip_suffix(b"\n").unwrap_or(line).len() > max {
            let error = Error::limit(
                "length of the record in bytes",
                line.len() as u64,
                max as u64,
            );
            outcomes.push(Err(error.at_line("test", line_number).to_string()));
            continue;
        }
        let chunk = Chunk {
            file: "test".into(),
            first_line: line_number,
            format: format.clone(),
            bytes: line.to_vec(),
        };
        parse(&chunk, &mut |result| outcomes.push(outcome(result)));
    }
    outcomes
}

fn json_line(text_bytes: usize) -> Vec<u8> {
    format!("{{\"id\":1,\"text\":\"{}\"}}\n", "x".repeat(text_bytes)).into_bytes()
}

#[test]
fn a_record_of_the_limit_is_read_and_one_byte_more_is_not() {
    let line = json_line(100);
    let limit = line.len() - 1;
    for chunk_bytes in [1, 10, 64, 1000] {
        let run = |max| {
            let input = Cursor::new([line.clone(), json_line(0)].concat());
            read(
                input,
                RecordFormat::JsonLines,
                Limits::new(chunk_bytes, max),
            )
        };
        assert!(run(limit).iter().all(|outcome| outcome.is_ok()));
        let outcomes = run(limit - 1);
        let message = outcomes[0].as_ref().unwrap_err();
        let expected = format!(
            "test:1: length of the record in bytes is {}, more than the limit of {}",
            limit + 1,
            limit - 1
        );
        assert_eq!(*message, expected);
        assert_eq!(outcomes[1].as_ref().unwrap().1, 2);
    }
}

#[test]
fn a_line_of_100_megabytes_is_read_past_in_less_memory() {
    let before: Vec<u8> = b"{\"id\":1}\n".repeat(3);
    let input = Cursor::new(before)
        .chain(repeat(b'x').take(100 << 20))
        .chain(Cursor::new(b"\n{\"id\":2}".to_vec()));
    let mut chunks = chunks(input, RecordFormat::JsonLines, Limits::default());
    let mut lines = Vec::new();
    let mut errors = Vec::new();
    while let Some(chunk) = chunks.next() {
        assert!(chunks.buffer.capacity() <= MAX_RECORD_BYTES + 1);
        match chunk {
            Ok(chunk) => parse(&chunk, &mut |result| lines.push(result.unwrap().line)),
            Err(error) => {
                assert!(chunks.buffer.capacity() <= 2 * CHUNK_BYTES);
                errors.push(error.to_string());
            }
        }
    }
    assert_eq!(lines, [1, 2, 3, 5]);
    let found = (100 << 20) + 1;
    let expected = format!(
        "test:4: length of the record in bytes is {found}, more than the limit of {MAX_RECORD_BYTES}"
    );
    assert_eq!(errors, [expected]);
}

#[test]
fn large_documents_and_text_files_are_read_past() {
    let input = format!(
        "<DOC><DOCNO>1</DOCNO></DOC>\n\n<DOC><DOCNO>2</DOCNO>{}</DOC>\n<DOC><DOCNO>3</DOCNO></DOC>",
        "word\n".repeat(100)
    );
    let outcomes = read(Cursor::new(input), RecordFormat::Trec, Limits::new(32, 100));
    assert_eq!(outcomes.len(), 3);
    let message = outcomes[1].as_ref().unwrap_err();
    assert!(
        message.starts_with("test:3: length of the record"),
        "{message}"
    );
    assert_eq!(outcomes[2].as_ref().unwrap().1, 104);

    let text = RecordFormat::Text { id: "a".into() };
    let outcomes = read(repeat(b'x').take(1000), text, Limits::new(32, 100));
    assert_eq!(outcomes.len(), 1);
    let message = outcomes[0].as_ref().unwrap_err();
    assert!(
        message.contains("is 1000, more than the limit of 100"),
        "{message}"
    );
}

#[test]
fn chunks_are_close_to_their_size() {
    let input = json_line(50).repeat(1000);
    let length = input.len();
    let chunks = chunks(
        Cursor::new(input),
        RecordFormat::JsonLines,
        Limits::new(4096, 1 << 20),
    );
    let sizes: Vec<_> = chunks.map(|chunk| chunk.unwrap().bytes.len()).collect();
    assert_eq!(sizes.iter().sum::<usize>(), length);
    let full = &sizes[..sizes.len() - 1];
    assert!(
        full.iter().all(|size| (4000..=4096).contains(size)),
        "{sizes:?}"
    );
}

#[test]
fn chunks_of_short_lines_hold_no_more_than_their_number() {
    let input = "1\ta\n".repeat(50_000);
    let chunks = chunks(Cursor::new(input), RecordFormat::Tsv, Limits::default());
    let lines: Vec<u64> = chunks
        .map(|chunk| count_line_feeds(&chunk.unwrap().bytes))
        .collect();
    assert_eq!(lines.iter().sum::<u64>(), 50_000);
    assert!(lines.iter().all(|lines| *lines <= MAX_LINES), "{lines:?}");
}

#[test]
fn a_failed_read_ends_the_file() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    let input = Cursor::new(json_line(1)).chain(Broken);
    let mut chunks = chunks(input, RecordFormat::JsonLines, Limits::new(4, 100));
    assert!(chunks.next().unwrap().is_ok());
    let error = chunks.find_map(Result::err).unwrap();
    assert_eq!(error.to_string(), "test: cannot read: the disk is gone");
    assert!(chunks.next().is_none());
}
